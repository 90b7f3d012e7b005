//! Effects of columns known in the future (price, promotion, holidays) around any model.
//!
//! In: a series and columns over its history and the horizon, plain slices. Out: the history without the effects, which
//! any model forecasts, and per step of the horizon the effect to put back.
//!
//! ```text
//! Pooling::add(y, columns) per series of a group -> Pooling::finish -> Pool            (optional, once a group)
//! fit(y, columns, options, pool) -> Effects { adjusted, future, .. } -> model on `adjusted` -> Effects::put_back(path)
//! ```

//!
//! Multiplicative (`y = base * exp(x b)`): a ridge regression with log link and variance proportional to the mean (quasi-
//! Poisson), so that zeros and small counts bias nothing, as they do on log(1 + y); the base is a local mean times a
//! profile of the season, and both are taken out of the columns before these compete for what is left.
//! Source: McCullagh & Nelder (1989), Generalized Linear Models, 9; Speckman (1988), JRSS B 50 (partialling out).

mod base;
mod design;
mod holidays;
mod newton;
mod pool;

pub use holidays::{Holiday, HolidayColumn, holiday_columns};
pub use pool::{Pool, PoolEffect, Pooling};

use super::{Buffers, Path};
use design::Design;
use newton::Solution;

/// What the numbers of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 0, or 1 where it applies (promotion, holiday, SNAP day, open): enters as the difference from the more frequent one.
    /// If nothing was ever sold on the rarer ones (open = 0) and that is no chance, these count as closed: no value there,
    /// forecast 0.
    Event,
    /// A positive price: enters as the logarithm of its ratio to the geometric mean of the history, so that a coefficient
    /// is an elasticity on the multiplicative scale.
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
    /// Multiplicative if no value is negative, else additive.
    Auto,
    /// `y = base * exp(x b)`; zeros are fine, a negative value makes it additive ([`Effects::multiplicative`] says so).
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
    /// Ridge weight, > 0: 1 / tau^2, where tau is how far an effect of this series is expected to lie from the pool's (or
    /// from zero without a pool), as a factor's logarithm or a share of the series' mean; for a price's elasticity ten
    /// times that. 100 expects 10 %, and elasticities that differ by 1.
    pub lambda: f64,
}

impl Options {
    /// The default for `lambda`.
    pub const LAMBDA: f64 = 100.0;
    /// The default for `lambda` in a [`Pooling`].
    pub const LAMBDA_POOL: f64 = 200.0;
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
    /// The season explains it: the same value on each phase.
    Season,
}

impl Unused {
    /// As in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::MissingInFuture => "missing_in_future",
            Self::BadValue => "bad_value",
            Self::Constant => "constant",
            Self::TooFewObservations => "too_few_observations",
            Self::Season => "season",
        }
    }
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
    /// Nothing was ever sold where it applies: those steps are closed.
    Closed,
    /// As `Own` or `Shrunk`, but an earlier column says the same: they share the effect.
    Collinear,
    /// No effect: zero.
    Unused(Unused),
}

impl Origin {
    /// As in a report; a reason stands for itself.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Shrunk => "shrunk",
            Self::Pool => "pool",
            Self::Closed => "closed",
            Self::Collinear => "collinear",
            Self::Unused(why) => why.name(),
        }
    }
}

/// The effect of one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficient {
    /// Per unit of the column as it enters (see [`Kind`]): a logarithm of a factor, or a summand.
    pub value: f64,
    /// Standard error, given the prior and the other effects.
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

/// Estimates the effects of `columns` on `y` and takes them out.
///
/// | argument | range | meaning |
/// |---|---|---|
/// | `y` | finite values, NaN where missing | the history |
/// | `horizon` | any | steps after it; the length of each column's `future` |
/// | `columns` | see [`Column`] | what is known of history and horizon |
/// | `options` | see [`Options`] | scale, season, shrinkage |
/// | `pool` | of the same scale, else left aside | what effects are drawn to |
///
/// Never fails: a column that cannot be used has an [`Origin::Unused`], and without any, `adjusted` is `y` and `future`
/// changes nothing. O(n p^2) time for p columns, less for those that are mostly zero.
pub fn fit(
    y: &[f64],
    horizon: usize,
    columns: &[Column],
    options: Options,
    pool: Option<&Pool>,
    buffers: &mut Buffers,
    effects: &mut Effects,
) {
    let multiplicative = options.scale != Scale::Additive && !y.iter().any(|&v| v < 0.0);
    let pool = pool.filter(|p| p.multiplicative == multiplicative);
    let design = Design::new(y, horizon, columns, options, multiplicative, pool, buffers);
    let solution = newton::solve(&design, buffers);
    effects.multiplicative = multiplicative;
    write_coefficients(&design, &solution, &mut effects.coefficients);
    let mut eta = buffers.take(y.len() + horizon);
    for (entry, &b) in design.entries.iter().zip(&solution.coefficients) {
        if b != 0.0 {
            eta.iter_mut().zip(design.column(entry)).for_each(|(sum, x)| *sum += b * x);
        }
    }
    let unit = design.unit;
    effects.adjusted.clear();
    effects.future.clear();
    if multiplicative {
        effects.adjusted.extend(y.iter().zip(&eta).map(|(v, &eta)| match base::factor(eta) {
            f if f < FACTOR_MIN => f64::NAN,
            f => v / f,
        }));
        effects.future.extend(eta[y.len()..].iter().map(|&eta| base::factor(eta)));
    } else {
        effects.adjusted.extend(y.iter().zip(&eta).map(|(v, eta)| v - unit * eta));
        effects.future.extend(eta[y.len()..].iter().map(|eta| unit * eta));
    }
    buffers.give(eta);
    solution.give(buffers);
    design.give(buffers);
}

/// Below this factor a value says too little of its base to be scaled up.
const FACTOR_MIN: f64 = 0.05;

fn write_coefficients(design: &Design, solution: &Solution, coefficients: &mut Vec<Coefficient>) {
    coefficients.clear();
    let unused = |why: &Option<Unused>| match why {
        Some(why) => Origin::Unused(*why),
        None => Origin::Own,
    };
    coefficients.extend(design.unused.iter().map(|why| Coefficient { value: 0.0, error: 0.0, origin: unused(why) }));
    for (k, entry) in design.entries.iter().enumerate() {
        let origin = match (entry.closed, solution.information[k] > 0.0, entry.pooled) {
            (true, ..) => Origin::Closed,
            (_, false, true) => Origin::Pool,
            // Off at each step where it applies, or explained by the season.
            (_, false, false) if entry.spots.is_some() => Origin::Unused(Unused::Constant),
            (_, false, false) => Origin::Unused(Unused::Season),
            _ if solution.collinear[k] => Origin::Collinear,
            (.., true) => Origin::Shrunk,
            (.., false) => Origin::Own,
        };
        let error = design.unit / (solution.information[k] + entry.lambda).sqrt();
        coefficients[entry.column] = Coefficient { value: design.unit * solution.coefficients[k], error, origin };
    }
}

#[cfg(test)]
mod tests;
