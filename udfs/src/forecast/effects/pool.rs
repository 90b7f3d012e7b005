//! Effects of a group.  In: its series with their columns. Out: what the effects of each are drawn to, as a line of text.

use super::base::CLOSED;
use super::design::{self, Design};
use super::newton::{self, cholesky};
use super::{Buffers, Column, Kind, Options, Scale};
use serde::{Deserialize, Serialize};

/// The effects of a group: what its series' own are drawn to. Travels as text ([`Pool::to_text`]).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// Whether the coefficients are logarithms of factors; if not, they are shares of a series' mean size.
    pub multiplicative: bool,
    /// Ordered by name.
    pub effects: Vec<PoolEffect>,
}

/// The effect of one column in a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolEffect {
    /// The column.
    pub name: String,
    /// As in [`super::Coefficient::value`], in the pool's unit; 20 or -20 for a closed step.
    pub value: f64,
    /// As in [`super::Coefficient::error`], in the pool's unit.
    pub error: f64,
}

impl Pool {
    /// One line of JSON; reads back to the same bits.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The effect of the column of that name.
    pub fn effect(&self, name: &str) -> Option<&PoolEffect> {
        self.effects.binary_search_by(|e| e.name.as_str().cmp(name)).ok().map(|at| &self.effects[at])
    }

    /// Reads [`Pool::to_text`]. `None` if it is none, or holds a number that no pool has.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut pool: Self = serde_json::from_str(text).ok()?;
        pool.effects.sort_by(|a, b| a.name.cmp(&b.name));
        let sound = |e: &PoolEffect| e.value.is_finite() && e.error.is_finite() && e.error >= 0.0;
        pool.effects.iter().all(sound).then_some(pool)
    }
}

/// Gathers the series of a group into a [`Pool`]: add each, merge the parts of the group, finish.
///
/// A column that is the same for all series (holidays, SNAP days) is fitted on their sum, in which their noise drowns and
/// their common shocks count as the noise they are. One that differs between them (price) gets the precision-weighted mean
/// of the series' own effects. Sums depend on the order of `add` and `merge` by rounding: give the series in one order.
#[derive(Debug, Clone)]
pub struct Pooling {
    options: Options,
    sum: Line,
    columns: Vec<Gathered>,
}

/// A column over the group.
#[derive(Debug, Clone)]
struct Gathered {
    name: String,
    kind: Kind,
    /// Its values while all series agree.
    values: Line,
    differs: bool,
    /// Coefficient, if nothing sells where it applies in some series.
    closed: f64,
    /// Information with each column before it and with itself, and information times coefficients, summed over the series.
    information: Vec<f64>,
    right: f64,
}

/// Values over a stretch of the calendar; NaN where there is none.
#[derive(Debug, Clone, Default)]
struct Line {
    first: i64,
    values: Vec<f64>,
}

impl Line {
    /// The entries from `first` on, so many, made if need be.
    fn stretch(&mut self, first: i64, length: usize) -> &mut [f64] {
        if self.values.is_empty() {
            self.first = first;
        }
        let before = self.first.saturating_sub(first).max(0) as usize;
        self.values.splice(0..0, std::iter::repeat_n(f64::NAN, before));
        self.first = self.first.min(first);
        let from = (first - self.first) as usize;
        let end = self.values.len().max(from + length);
        self.values.resize(end, f64::NAN);
        &mut self.values[from..from + length]
    }

    fn add(&mut self, first: i64, values: impl ExactSizeIterator<Item = f64>) {
        for (sum, v) in self.stretch(first, values.len()).iter_mut().zip(values).filter(|(_, v)| !v.is_nan()) {
            *sum = if sum.is_nan() { v } else { *sum + v };
        }
    }

    /// Fills in what is not there yet; whether what is there differs.
    fn agree(&mut self, first: i64, values: &[f64]) -> bool {
        let mut differs = false;
        for (known, &v) in self.stretch(first, values.len()).iter_mut().zip(values).filter(|(_, v)| !v.is_nan()) {
            differs |= !known.is_nan() && *known != v;
            *known = v;
        }
        differs
    }
}

impl Pooling {
    /// An empty group. [`Options::LAMBDA_POOL`] is the usual `lambda` here: the distance from a larger group, or from zero.
    pub fn new(options: Options) -> Self {
        Self { options, sum: Line::default(), columns: Vec::new() }
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        let columns = self.columns.iter().map(|c| c.values.values.capacity() + c.information.capacity() + 16);
        8 * (self.sum.values.capacity() + columns.sum::<usize>())
    }

    fn multiplicative(&self) -> bool {
        self.options.scale != Scale::Additive
    }

    /// One more series of the group, with the columns that [`super::fit`] will see (their `future` is not looked at).
    ///
    /// `first`: position of the first value on the calendar of the group, any origin; memory is that of the stretch of
    /// calendar that the series cover, times the columns. A series with a negative value does not enter a
    /// group of factors. Cost: that of a fit.
    pub fn add(&mut self, first: i64, y: &[f64], columns: &[Column], buffers: &mut Buffers) {
        if self.multiplicative() && y.iter().any(|&v| v < 0.0) {
            return;
        }
        let observed = || y.iter().filter(|v| v.is_finite());
        let mean = observed().sum::<f64>() / observed().count().max(1) as f64;
        // A missing value of one series is no fall of the sum.
        self.sum.add(first, y.iter().map(|&v| if v.is_finite() { v } else { mean }));
        let columns: Vec<Column> = columns.iter().map(|c| Column { future: &[], ..*c }).collect();
        let known: Vec<usize> = columns.iter().enumerate().map(|(k, c)| self.index(k, c.name, c.kind)).collect();
        for (column, &k) in columns.iter().zip(&known).filter(|(c, _)| c.history.len() == y.len()) {
            self.columns[k].differs |= self.columns[k].values.agree(first, column.history);
        }
        let design = Design::new(y, 0, &columns, self.options, self.multiplicative(), None, buffers);
        let solution = newton::solve(&design, buffers);
        let p = design.entries.len();
        for (i, a) in design.entries.iter().enumerate() {
            if a.closed {
                self.columns[known[a.column]].closed = a.prior;
                continue;
            }
            self.columns[known[a.column]].right += a.lambda * solution.coefficients[i];
            for (j, b) in design.entries.iter().enumerate().filter(|(_, b)| !b.closed) {
                let both = solution.matrix[i.max(j) * p + i.min(j)];
                self.columns[known[a.column]].right += both * solution.coefficients[j];
                let (k, l) = (known[a.column], known[b.column]);
                if l <= k {
                    self.columns[k].information[l] += both;
                }
            }
        }
        solution.give(buffers);
        design.give(buffers);
    }

    /// Joins another part of the same group.
    pub fn merge(&mut self, other: &Self) {
        self.sum.add(other.sum.first, other.sum.values.iter().copied());
        let known: Vec<usize> = other.columns.iter().enumerate().map(|(k, c)| self.index(k, &c.name, c.kind)).collect();
        for (column, &k) in other.columns.iter().zip(&known) {
            for (both, &l) in column.information.iter().zip(&known) {
                self.columns[k.max(l)].information[k.min(l)] += both;
            }
            let own = &mut self.columns[k];
            own.differs |= own.values.agree(column.values.first, &column.values.values) || column.differs;
            own.right += column.right;
            own.closed = if column.closed == 0.0 { own.closed } else { column.closed };
        }
    }

    /// The group's effects; drawn to those of `parent` (a larger group), or its alone where the group says nothing; else to
    /// zero.
    pub fn finish(&self, parent: Option<&Pool>, buffers: &mut Buffers) -> Pool {
        let multiplicative = self.multiplicative();
        let parent = parent.filter(|p| p.multiplicative == multiplicative);
        let mut line = Line::default();
        let mut lines: Vec<(usize, Vec<f64>)> = Vec::new();
        for (k, column) in self.columns.iter().enumerate().filter(|(_, c)| !c.differs) {
            line.clone_from(&column.values);
            lines.push((k, line.stretch(self.sum.first, self.sum.values.len()).to_vec()));
        }
        let columns: Vec<Column> = lines
            .iter()
            .map(|(k, history)| (&self.columns[*k], history))
            .map(|(c, history)| Column { name: &c.name, kind: c.kind, history, future: &[] })
            .collect();
        let design = Design::new(&self.sum.values, 0, &columns, self.options, multiplicative, parent, buffers);
        let solution = newton::solve(&design, buffers);
        let mut found: Vec<Option<(f64, f64)>> = vec![None; self.columns.len()];
        for (i, entry) in design.entries.iter().enumerate() {
            let error = 1.0 / (solution.information[i] + entry.lambda).sqrt();
            found[lines[entry.column].0] = Some((solution.coefficients[i], error));
        }
        solution.give(buffers);
        design.give(buffers);
        self.differing(parent, &mut found);
        let effects = self
            .columns
            .iter()
            .zip(found)
            .filter_map(|(c, found)| found.map(|(value, error)| PoolEffect { name: c.name.clone(), value, error }))
            // Of numbers beyond all reason a sum may overflow: such a group knows nothing.
            .filter(|e| e.value.is_finite() && e.error.is_finite());
        let mut pool = Pool { multiplicative, effects: effects.collect() };
        // Of what the group has not seen, the larger one's effect is all that is known.
        let unseen = |e: &&PoolEffect| !pool.effects.iter().any(|own| own.name == e.name);
        let unseen: Vec<PoolEffect> = parent.into_iter().flat_map(|p| &p.effects).filter(unseen).cloned().collect();
        pool.effects.extend(unseen);
        pool.effects.sort_by(|a, b| a.name.cmp(&b.name));
        pool
    }

    /// Effects of the columns that differ between the series, given those of the others.
    fn differing(&self, parent: Option<&Pool>, found: &mut [Option<(f64, f64)>]) {
        let between = |k: usize, l: usize| self.columns[k.max(l)].information[k.min(l)];
        let mut these = Vec::new();
        for (k, column) in self.columns.iter().enumerate().filter(|(_, c)| c.differs) {
            if column.closed != 0.0 && between(k, k) == 0.0 {
                found[k] = Some((column.closed, 0.0));
            } else if between(k, k) > 0.0 {
                these.push(k);
            }
        }
        let p = these.len();
        let (mut matrix, mut right) = (vec![0.0; p * p], vec![0.0; p]);
        let mut ridges = Vec::new();
        for (i, &k) in these.iter().enumerate() {
            let group = parent.and_then(|p| p.effect(&self.columns[k].name));
            let group = group.filter(|g| g.value.abs() < 0.75 * CLOSED);
            let ridge = design::ridge(self.columns[k].kind, self.options.lambda, group.map_or(0.0, |g| g.error));
            right[i] = self.columns[k].right + ridge * group.map_or(0.0, |g| g.value);
            for (l, effect) in found.iter().enumerate() {
                right[i] -= effect.filter(|e| e.0.abs() < 0.75 * CLOSED).map_or(0.0, |e| between(k, l) * e.0);
            }
            these[..=i].iter().enumerate().for_each(|(j, &l)| matrix[i * p + j] = between(k, l));
            matrix[i * p + i] += ridge;
            ridges.push(matrix[i * p + i]);
        }
        cholesky(&mut matrix, p, &mut right);
        for ((&k, value), information) in these.iter().zip(right).zip(ridges) {
            found[k] = Some((value, 1.0 / information.sqrt()));
        }
    }

    /// The position of a column, new or known; `near` is where it is most often.
    fn index(&mut self, near: usize, name: &str, kind: Kind) -> usize {
        if self.columns.get(near).is_some_and(|c| c.name == name) {
            return near;
        }
        if let Some(known) = self.columns.iter().position(|c| c.name == name) {
            return known;
        }
        let information = vec![0.0; self.columns.len() + 1];
        let (name, values) = (name.to_owned(), Line::default());
        self.columns.push(Gathered { name, kind, values, differs: false, closed: 0.0, information, right: 0.0 });
        self.columns.len() - 1
    }
}
