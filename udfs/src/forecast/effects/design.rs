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
    /// How many steps are on, and how many of these are zero.
    steps: f64,
    zeros: f64,
    values: usize,
    horizon: usize,
    x: Vec<f64>,
}

/// So many steps without a sale are a closure although the pool's series sell on them.
const CLOSURES_AGAINST_POOL: usize = 3;

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
            steps: 0.0,
            zeros: 0.0,
            values: y.len(),
            horizon,
            x: buffers.take(0),
        };
        design.leave_gaps(columns);
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

    /// A step at which a column in use is unknown does not count; a column unknown at most of them is not used.
    fn leave_gaps(&mut self, columns: &[Column]) {
        let observed: f64 = self.on.iter().sum();
        let mut gaps = Vec::new();
        for (column, why) in columns.iter().zip(&mut self.unused) {
            if why.is_none() && !all_finite(column.history) {
                let known = column.history.iter().zip(&self.on).filter(|(x, on)| **on > 0.0 && !x.is_nan()).count();
                match 2.0 * (known as f64) < observed {
                    true => *why = Some(Unused::TooFewObservations),
                    false => gaps.push(column.history),
                }
            }
        }
        for x in gaps {
            self.on.iter_mut().zip(x).filter(|(_, x)| x.is_nan()).for_each(|(on, _)| *on = 0.0);
        }
        self.steps = self.on.iter().sum();
        self.zeros = self.y.iter().zip(&self.on).filter(|(v, on)| **v == 0.0 && **on > 0.0).count() as f64;
    }

    /// Adds the column's entry, or says why it has none.
    fn enter(&mut self, k: usize, column: &Column, options: Options, pool: Option<&Pool>) -> Option<Unused> {
        let start = self.x.len();
        self.x.extend(column.history.iter().chain(column.future));
        let x = &mut self.x[start..];
        let varies = centre(column.kind, x, &self.on);
        if !all_finite(column.history) {
            x[..self.values].iter_mut().filter(|x| x.is_nan()).for_each(|x| *x = 0.0);
        }
        let group = pool.and_then(|p| p.effect(column.name));
        let short = self.steps < (2 * self.season_length + 1).max(8) as f64;
        if (short || !varies) && (group.is_none() || (column.kind == Kind::Number && !varies)) {
            self.x.truncate(start);
            return Some(if short { Unused::TooFewObservations } else { Unused::Constant });
        }
        let x = &self.x[start..start + self.values];
        let first = self.spots.len();
        collect_spots(x, &self.on, &mut self.spots);
        let apart = &self.spots[first..];
        let by_group = group.is_some_and(|g| g.value.abs() > 0.75 * CLOSED);
        // Where others sell, one empty day is a day without stock.
        let least = if group.is_some() { CLOSURES_AGAINST_POOL } else { 1 };
        let closed = self.multiplicative
            && column.kind == Kind::Event
            && (by_group || (!short && apart.len() >= least && closure(apart, &self.y, self.steps, self.zeros)));
        let prior = match (group, closed) {
            (Some(g), _) if by_group == closed => g.value,
            (_, true) if apart.first().is_some_and(|&t| x[t as usize] < 0.0) => CLOSED,
            (_, true) => -CLOSED,
            _ => 0.0,
        };
        let sparse = apart.len() * SPARSE <= self.values || closed || short;
        if !sparse || short {
            self.spots.truncate(first);
        }
        let spots = sparse.then_some((first, self.spots.len()));
        let lambda = ridge(column.kind, options.lambda, group.map_or(0.0, |g| g.error));
        self.entries.push(Entry { column: k, prior, lambda, pooled: group.is_some(), closed, spots, start });
        None
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

/// An elasticity is that many times as large as other effects.
const ELASTICITY: f64 = 10.0;

/// The ridge of one coefficient: what it may differ from its prior by, and what the prior itself may be wrong by.
pub(super) fn ridge(kind: Kind, lambda: f64, prior_error: f64) -> f64 {
    let size = if kind == Kind::Price { ELASTICITY } else { 1.0 };
    1.0 / (size * size / lambda.clamp(1e-12, 1e12) + prior_error * prior_error)
}

/// Whether nothing was sold on all of these steps, and that is no chance.
fn closure(apart: &[u32], y: &[f64], steps: f64, zeros: f64) -> bool {
    if apart.is_empty() || apart.iter().any(|&t| y[t as usize] != 0.0) {
        return false;
    }
    let usual = steps - apart.len() as f64;
    let share: f64 = if usual > 0.0 { (zeros - apart.len() as f64) / usual } else { 1.0 };
    (0..apart.len().min(64)).fold(1.0, |chance, _| chance * share) <= CLOSURE_CHANCE
}

/// Steps that are on and apart from the reference.
fn collect_spots(x: &[f64], on: &[f64], spots: &mut Vec<u32>) {
    for (block, (xs, ons)) in x.chunks(16).zip(on.chunks(16)).enumerate() {
        // Most blocks of a holiday's column are empty.
        if xs.iter().fold(0, |any, x| any | (x.to_bits() << 1)) == 0 {
            continue;
        }
        for (k, _) in xs.iter().zip(ons).enumerate().filter(|(_, (x, on))| **x != 0.0 && **on > 0.0) {
            spots.push((16 * block + k) as u32);
        }
    }
}

/// In lanes: nothing of a value is 0 unless it is NaN or infinite.
fn all_finite(x: &[f64]) -> bool {
    let mut lanes = [0.0; 8];
    let (blocks, rest) = x.as_chunks::<8>();
    for block in blocks {
        for k in 0..8 {
            lanes[k] += 0.0 * block[k];
        }
    }
    lanes.iter().all(|&v| v == 0.0) && rest.iter().all(|v| v.is_finite())
}

fn check(column: &Column, values: usize, horizon: usize) -> Option<Unused> {
    if column.history.len() != values || column.future.len() != horizon {
        return Some(Unused::Length);
    }
    if !all_finite(column.future) {
        return Some(Unused::MissingInFuture);
    }
    if column.kind != Kind::Price && all_finite(column.history) {
        return None;
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
    let Some(any) = x.iter().zip(on).find_map(|(x, on)| (*on > 0.0).then_some(*x)) else { return false };
    let Sums { count, sum, ones, least, most } = Sums::of(x, on, any);
    let (shift, scale) = match kind {
        // The more frequent of 0 and 1, so that what is put back and taken out is the exception.
        Kind::Event if 2.0 * ones > count => (1.0, 1.0),
        Kind::Event => (0.0, 1.0),
        _ if least == most => (least, 1.0),
        Kind::Price => (sum / count, 1.0),
        Kind::Number => {
            let (mean, size) = (sum / count, (most - least).max(f64::MIN_POSITIVE));
            let squares = x.iter().zip(on).filter(|(_, on)| **on > 0.0).map(|(x, _)| ((x - mean) / size).powi(2));
            (mean, size * (squares.sum::<f64>() / count).sqrt())
        }
    };
    let usable = shift.is_finite() && scale.is_finite() && scale > 0.0;
    if !usable || shift != 0.0 || scale != 1.0 {
        x.iter_mut().for_each(|x| *x = if usable { (*x - shift) / scale } else { 0.0 });
    }
    usable && least < most && (kind == Kind::Event || x.iter().all(|x| !x.is_infinite()))
}

/// What of a column its reference is made of, over the steps that are on.
struct Sums {
    count: f64,
    sum: f64,
    ones: f64,
    least: f64,
    most: f64,
}

impl Sums {
    /// `any`: the value at one of the steps.
    fn of(x: &[f64], on: &[f64], any: f64) -> Self {
        const L: usize = 8;
        let (mut count, mut sum, mut ones, mut least, mut most) = ([0.0; L], [0.0; L], [0.0; L], [any; L], [any; L]);
        for (xs, ons) in x[..on.len()].chunks(L).zip(on.chunks(L)) {
            for (k, (&x, &on)) in xs.iter().zip(ons).enumerate() {
                let v = if on > 0.0 { x } else { any };
                count[k] += on;
                sum[k] += if on > 0.0 { x } else { 0.0 };
                ones[k] += if x == 1.0 { on } else { 0.0 };
                least[k] = if v < least[k] { v } else { least[k] };
                most[k] = if v > most[k] { v } else { most[k] };
            }
        }
        let total = |lanes: [f64; L]| lanes.iter().sum::<f64>();
        Self {
            count: total(count),
            sum: total(sum),
            ones: total(ones),
            least: least.into_iter().fold(any, f64::min),
            most: most.into_iter().fold(any, f64::max),
        }
    }
}
