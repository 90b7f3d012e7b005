//! Columns as they enter the fit.  In: columns as given. Out: those that can be used, centred; why the others cannot.

use super::base::CLOSED;
use super::{Buffers, Column, Kind, Options, Pool, Unused};

/// Columns with at most one step in so many apart from the reference are kept as a list of steps.
const SPARSE: usize = 16;
/// Zeros on the rarer steps of an event are a closure if chance would make them all zero with less than this.
const CLOSURE_CHANCE: f64 = 1e-4;

/// One column in use.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its position among the columns given.
    pub(super) column: usize,
    /// What its coefficient is drawn to, and how strongly.
    pub(super) prior: f64,
    pub(super) lambda: f64,
    /// Whether the prior is a pool's.
    pub(super) pooled: bool,
    /// Nothing sells where it applies: the coefficient is fixed, those steps are off.
    pub(super) closed: bool,
    /// If mostly zero: where its steps stand in `Design::spots`.
    pub(super) spots: Option<(usize, usize)>,
    start: usize,
}

/// A series and its columns, ready for the fit.
pub(super) struct Design {
    /// Values over `unit`; zero where off.
    pub(super) y: Vec<f64>,
    /// 1 where the step counts, else 0.
    pub(super) on: Vec<f64>,
    /// 1 for factors, the mean size of the values for summands: coefficients are in this unit.
    pub(super) unit: f64,
    pub(super) season_length: usize,
    pub(super) multiplicative: bool,
    /// Columns in use, sparse ones first, so that the normal equations fill little.
    pub(super) entries: Vec<Entry>,
    /// Per column given, why it has no entry.
    pub(super) unused: Vec<Option<Unused>>,
    /// Steps at which sparse columns are not zero.
    pub(super) spots: Vec<u32>,
    values: usize,
    horizon: usize,
    x: Vec<f64>,
}

impl Design {
    pub(super) fn new(
        y: &[f64],
        horizon: usize,
        columns: &[Column],
        options: Options,
        multiplicative: bool,
        pool: Option<&Pool>,
        buffers: &mut Buffers,
    ) -> Self {
        let (mut own, mut on) = (buffers.take(y.len()), buffers.take(y.len()));
        let (mut size, mut observed) = (0.0, 0.0);
        for ((v, own), on) in y.iter().zip(&mut own).zip(&mut on).filter(|((v, ..), _)| v.is_finite()) {
            (*own, *on) = (*v, 1.0);
            size += v.abs();
            observed += 1.0;
        }
        let unit = if multiplicative || size == 0.0 { 1.0 } else { size / observed };
        own.iter_mut().for_each(|v| *v /= unit);
        let season_length = options.season_length.max(1);
        let mut design = Self {
            y: own,
            on,
            unit,
            season_length,
            multiplicative,
            entries: Vec::new(),
            unused: columns.iter().map(|c| check(c, y.len(), horizon)).collect(),
            spots: Vec::new(),
            values: y.len(),
            horizon,
            x: buffers.take(0),
        };
        let known = |c: &Column| c.history.iter().zip(&design.on).filter(|(x, on)| **on > 0.0 && !x.is_nan()).count();
        for (column, why) in columns.iter().zip(&mut design.unused) {
            if why.is_none() && 2.0 * (known(column) as f64) < observed {
                *why = Some(Unused::TooFewObservations);
            }
        }
        for (column, _) in columns.iter().zip(&design.unused).filter(|(_, why)| why.is_none()) {
            design.on.iter_mut().zip(column.history).filter(|(_, x)| x.is_nan()).for_each(|(on, _)| *on = 0.0);
        }
        for (k, column) in columns.iter().enumerate() {
            if design.unused[k].is_none() {
                design.unused[k] = design.enter(k, column, options, pool);
            }
        }
        design.finish();
        design
    }

    /// The column of an entry, history and horizon.
    pub(super) fn column(&self, entry: &Entry) -> &[f64] {
        &self.x[entry.start..entry.start + self.values + self.horizon]
    }

    /// Its history.
    pub(super) fn history(&self, entry: &Entry) -> &[f64] {
        &self.x[entry.start..entry.start + self.values]
    }

    pub(super) fn give(self, buffers: &mut Buffers) {
        [self.y, self.on, self.x].into_iter().for_each(|v| buffers.give(v));
    }

    /// Adds the column's entry, or says why it has none.
    fn enter(&mut self, k: usize, column: &Column, options: Options, pool: Option<&Pool>) -> Option<Unused> {
        let start = self.x.len();
        self.x.extend(column.history.iter().chain(column.future));
        let x = &mut self.x[start..];
        let varies = centre(column.kind, x, &self.on);
        x[..self.values].iter_mut().filter(|x| x.is_nan()).for_each(|x| *x = 0.0);
        let group = pool.and_then(|p| p.effects.iter().find(|e| e.name == column.name));
        let observed = self.on.iter().sum::<f64>();
        let short = observed < (2 * self.season_length + 1).max(8) as f64;
        if short || !varies {
            if group.is_none() || (column.kind == Kind::Number && !varies) {
                self.x.truncate(start);
                return Some(if short { Unused::TooFewObservations } else { Unused::Constant });
            }
        }
        let x = &self.x[start..start + self.values];
        let by_group = group.is_some_and(|g| g.value.abs() > 0.75 * CLOSED);
        let closed = self.multiplicative && column.kind == Kind::Event && (by_group || (!short && self.closure(x)));
        let prior = match (group, closed) {
            (Some(g), _) if by_group == closed => g.value,
            (_, true) => {
                if x.iter().any(|&x| x < 0.0) {
                    CLOSED
                } else {
                    -CLOSED
                }
            }
            _ => 0.0,
        };
        let expected = 1.0 / options.lambda.clamp(1e-12, 1e12);
        let lambda = 1.0 / (expected + group.map_or(0.0, |g| g.error * g.error));
        let first = self.spots.len();
        let apart = x.iter().zip(&self.on).enumerate().filter(|(_, (x, on))| **x != 0.0 && **on > 0.0);
        let apart = apart.map(|(t, _)| t as u32);
        let sparse = apart.clone().count() * SPARSE <= self.values || closed || short;
        if sparse && !short {
            self.spots.extend(apart);
        }
        let spots = sparse.then_some((first, self.spots.len()));
        self.entries.push(Entry { column: k, prior, lambda, pooled: group.is_some(), closed, spots, start });
        None
    }

    /// Whether every value apart from the reference is zero, and that is no chance.
    fn closure(&self, x: &[f64]) -> bool {
        let (mut apart, mut usual, mut zeros) = (0, 0.0, 0.0);
        for ((&x, &v), _) in x.iter().zip(&self.y).zip(&self.on).filter(|(_, on)| **on > 0.0) {
            if x != 0.0 {
                if v != 0.0 {
                    return false;
                }
                apart += 1;
            } else {
                usual += 1.0;
                zeros += f64::from(u8::from(v == 0.0));
            }
        }
        let share: f64 = if usual > 0.0 { zeros / usual } else { 1.0 };
        apart > 0 && (0..apart.min(64)).fold(1.0, |chance, _| chance * share) <= CLOSURE_CHANCE
    }

    /// Takes closed steps out and orders the entries.
    fn finish(&mut self) {
        for entry in self.entries.iter().filter(|e| e.closed) {
            let x = &self.x[entry.start..entry.start + self.values];
            self.on.iter_mut().zip(x).filter(|(_, x)| **x != 0.0).for_each(|(on, _)| *on = 0.0);
        }
        self.y.iter_mut().zip(&self.on).for_each(|(v, on)| *v *= on);
        self.entries.sort_by_key(|e| e.spots.is_none());
    }
}

fn check(column: &Column, values: usize, horizon: usize) -> Option<Unused> {
    if column.history.len() != values || column.future.len() != horizon {
        return Some(Unused::Length);
    }
    if column.future.iter().any(|x| !x.is_finite()) {
        return Some(Unused::MissingInFuture);
    }
    let bad = |x: &f64| x.is_infinite() || (column.kind == Kind::Price && *x <= 0.0);
    column.history.iter().chain(column.future).any(bad).then_some(Unused::BadValue)
}

/// Brings a column to its reference, in place; whether it varies where `on`.
fn centre(kind: Kind, x: &mut [f64], on: &[f64]) -> bool {
    if kind == Kind::Price {
        let mut last = (f64::NAN, f64::NAN);
        for x in x.iter_mut() {
            if *x != last.0 {
                last = (*x, libm::log(*x));
            }
            *x = last.1;
        }
    }
    let (mut count, mut sum, mut ones) = (0.0, 0.0, 0.0);
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for (&x, _) in x.iter().zip(on).filter(|(_, on)| **on > 0.0) {
        (least, most) = (least.min(x), most.max(x));
        count += 1.0;
        sum += x;
        ones += f64::from(u8::from(x == 1.0));
    }
    let (shift, scale) = match kind {
        // The more frequent of 0 and 1, so that what is put back and taken out is the exception.
        Kind::Event if 2.0 * ones > count => (1.0, 1.0),
        Kind::Event => (0.0, 1.0),
        _ if count == 0.0 || least == most => (if count > 0.0 { least } else { 0.0 }, 1.0),
        Kind::Price => (sum / count, 1.0),
        Kind::Number => {
            let (mean, size) = (sum / count, (most - least).max(f64::MIN_POSITIVE));
            let squares = x.iter().zip(on).filter(|(_, on)| **on > 0.0).map(|(x, _)| ((x - mean) / size).powi(2));
            (mean, size * (squares.sum::<f64>() / count).sqrt())
        }
    };
    let usable = shift.is_finite() && scale.is_finite() && scale > 0.0;
    x.iter_mut().for_each(|x| *x = if usable { (*x - shift) / scale } else { 0.0 });
    usable && least < most && x.iter().all(|x| !x.is_infinite())
}
