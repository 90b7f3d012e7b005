//! Effects of columns known in the future (price, promotion, holidays) around any model.
//!
//! In: a series and columns over its history and the horizon, plain slices. Out: the history without the effects, which
//! any model forecasts, and per step of the horizon the effect to put back.
//!
//! ```text
//! Pooling::add(y, columns) per series of a group -> Pooling::finish -> Pool            (optional, once a group)
//! fit(y, columns, options, pool) -> Effects { adjusted, future, .. } -> model on `adjusted` -> Effects::put_back(path)
//! ```

mod holidays;

pub use holidays::{Holiday, HolidayColumn, holiday_columns};

use super::{Buffers, Path};

/// What the numbers of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 0, or 1 where it applies (promotion, holiday, SNAP day, open): used as it is; the reference is 0.
    Event,
    /// A positive price: enters as the logarithm of its ratio to the median of the history, so that a coefficient is an
    /// elasticity on the multiplicative scale.
    Price,
    /// Any number: enters as the difference from the mean of the history in standard deviations.
    Number,
}

/// One known-future column of one series.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    /// Its name in the table; a pool's effects are found by it.
    pub name: &'a str,
    /// What its numbers are.
    pub kind: Kind,
    /// One entry per value of the series, NaN where unknown (the step then does not count for the effects).
    pub history: &'a [f64],
    /// One entry per step of the horizon. A NaN makes the column unused: there would be nothing to put back.
    pub future: &'a [f64],
}

/// How effects join the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Multiplicative if no value is negative and at least one is positive, else additive.
    Auto,
    /// `y = base * exp(x b)`; zeros are fine, negative values make it additive (reported in [`Effects::scale`]).
    Multiplicative,
    /// `y = base + x b`.
    Additive,
}

/// Settings of [`fit`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// How effects join the series.
    pub scale: Scale,
    /// Steps of a season, whose profile is no effect of a column; 1 for none.
    pub season_length: usize,
    /// Ridge weight, > 0: how strongly effects are drawn to the pool's, or to zero without a pool.
    pub lambda: f64,
}

/// Why a column has no effect, or not one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unused {
    /// Slices whose lengths are not those of the series and the horizon.
    Length,
    /// The horizon holds a NaN or an infinite value.
    MissingInFuture,
    /// An infinite value in the history, or a price that is not positive.
    BadValue,
    /// The same value at each observed step of the history, and no pool knows the column; a holiday that never occurred.
    Constant,
    /// Fewer observed steps than the fit needs, and no pool knows the column.
    TooFewObservations,
    /// A multiple of an earlier column: that one carries the effect.
    Collinear,
}

/// Where a coefficient comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The series' own history; drawn towards zero by the ridge.
    Own,
    /// The series' own history, drawn towards the pool's.
    Shrunk,
    /// The pool's alone: the series' history says nothing.
    Pool,
    /// No effect: zero.
    Unused(Unused),
}

/// The effect of one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficient {
    /// Per unit of the column as it enters (see [`Kind`]): a logarithm of a factor, or a summand.
    pub value: f64,
    /// Standard error given the prior.
    pub error: f64,
    /// Where it comes from.
    pub origin: Origin,
}

/// What [`fit`] found; memory is kept from series to series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effects {
    /// Whether effects are factors; if not, summands.
    pub multiplicative: bool,
    /// The history at the columns' reference values, one entry per value; NaN where `y` was, and where a factor is so
    /// small that the value says nothing of the base (a closed day).
    pub adjusted: Vec<f64>,
    /// Per step of the horizon, factor or summand.
    pub future: Vec<f64>,
    /// One per column, in their order.
    pub coefficients: Vec<Coefficient>,
}

impl Effects {
    /// The column's coefficients that were not used, with the reason: position in the columns and why.
    pub fn unused(&self) -> impl Iterator<Item = (usize, Unused)> + '_ {
        self.coefficients.iter().enumerate().filter_map(|(i, c)| match c.origin {
            Origin::Unused(why) => Some((i, why)),
            _ => None,
        })
    }

    /// Puts the effects of the horizon back on a forecast of `adjusted`: factors on means and deviations, or summands on
    /// means.
    pub fn put_back(&self, path: &mut Path) {
        for ((mean, deviation), &effect) in path.mean.iter_mut().zip(&mut path.deviation).zip(&self.future) {
            if self.multiplicative {
                *mean *= effect;
                *deviation *= effect;
            } else {
                *mean += effect;
            }
        }
    }
}

/// The effects of a group: what its series' own are drawn to. A row travels as text ([`Pool::to_text`]).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pool {
    /// Per column name: coefficient and its standard error in the group.
    pub effects: Vec<PoolEffect>,
    /// Whether the coefficients are logarithms of factors.
    pub multiplicative: bool,
}

/// The effect of one column in a group.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolEffect {
    /// The column.
    pub name: String,
    /// As in [`Coefficient::value`].
    pub value: f64,
    /// As in [`Coefficient::error`].
    pub error: f64,
}

/// Gathers the series of a group into a [`Pool`]: add each, merge the parts of a group, finish.
#[derive(Debug, Clone, Default)]
pub struct Pooling {}

impl Pooling {
    /// An empty group.
    pub fn new(_options: Options) -> Self {
        Self {}
    }

    /// One more series of the group, with the columns that [`fit`] will see.
    pub fn add(&mut self, _y: &[f64], _columns: &[Column], _buffers: &mut Buffers) {
        unimplemented!()
    }

    /// Joins another part of the same group.
    pub fn merge(&mut self, _other: &Self) {
        unimplemented!()
    }

    /// The group's effects; drawn to those of `parent` (a larger group), else to zero.
    pub fn finish(&self, _parent: Option<&Pool>) -> Pool {
        unimplemented!()
    }
}

impl Pool {
    /// One line of JSON.
    pub fn to_text(&self) -> String {
        unimplemented!()
    }

    /// Reads [`Pool::to_text`]. `None` if it is none.
    pub fn from_text(_text: &str) -> Option<Self> {
        unimplemented!()
    }
}

/// Estimates the effects of `columns` on `y` and takes them out.
///
/// `y`: the history, NaN where missing. The length of the columns' `future` is the horizon. Never fails: a column that
/// cannot be used has an [`Origin::Unused`], and without any `adjusted` is `y` and `future` changes nothing.
pub fn fit(
    _y: &[f64],
    _horizon: usize,
    _columns: &[Column],
    _options: Options,
    _pool: Option<&Pool>,
    _buffers: &mut Buffers,
    _effects: &mut Effects,
) {
    unimplemented!()
}
