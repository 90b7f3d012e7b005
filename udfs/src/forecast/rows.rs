//! Output rows of `forecast`, built column by column.
//!
//! In: forecasts and refusals. Out: arrow arrays in the order of the function's output columns.

use super::calendar::Clock;
use super::clean::Counts;
use super::status::Status;
use crate::error::Result;
use arrow::array::NullBufferBuilder;
use arrow::array::{
    Array, ArrayBuilder, ArrayRef, ArrowPrimitiveType, BinaryBuilder, Float64Builder, Int32Builder, Int64Builder,
    PrimitiveArray, PrimitiveBuilder, StringArray, StringBuilder,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use std::sync::Arc;

/// Builders of the columns after the keys.
#[derive(Debug, Default)]
pub(super) struct Rows {
    time: Int64Builder,
    step: Int32Builder,
    yhat: Float64Builder,
    bounds: Vec<Float64Builder>,
    model: Texts,
    class: Texts,
    cutoff: Int64Builder,
    status: Texts,
    reason: Texts,
    counts: [Int32Builder; COUNTS.len()],
    shift: Int64Builder,
    /// There only where a state comes in or goes out.
    fit: Option<Texts>,
    fitted: Option<BinaryBuilder>,
    /// There only where columns known in the future are.
    unused: Option<Texts>,
    effects: Option<StringBuilder>,
    rows: usize,
}

/// The count columns, in the order of [`counted`].
pub(super) const COUNTS: [&str; 7] =
    ["n_observed", "n_filled", "n_duplicates", "n_leading_zeros", "n_closed", "n_spikes", "n_level_shifts"];

fn counted(counts: &Counts) -> [Option<usize>; COUNTS.len()] {
    [
        Some(counts.observed),
        Some(counts.filled),
        Some(counts.duplicates),
        Some(counts.leading_zeros),
        Some(counts.closed),
        counts.spikes,
        Some(counts.level_shifts),
    ]
}

/// A text column in which neighbours are mostly equal.
#[derive(Debug)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    valid: NullBufferBuilder,
}

impl Default for Texts {
    fn default() -> Self {
        Self { bytes: Vec::new(), ends: vec![0], valid: NullBufferBuilder::new(0) }
    }
}

impl Texts {
    /// The same text `n` times, or so many nulls.
    fn append(&mut self, text: Option<&str>, n: usize) {
        let Some(text) = text else {
            self.ends.resize(self.ends.len() + n, self.bytes.len() as i32);
            return self.valid.append_n_nulls(n);
        };
        let (begin, length) = (self.bytes.len(), text.len());
        self.bytes.reserve(length * n);
        self.bytes.extend_from_slice(text.as_bytes());
        // What is there is doubled, so that short texts cost no call each.
        while self.bytes.len() < begin + length * n {
            let next = (self.bytes.len() - begin).min(begin + length * n - self.bytes.len());
            self.bytes.extend_from_within(begin..begin + next);
        }
        self.bytes.truncate(begin + length * n);
        self.ends.extend((1..=n).map(|k| (begin + k * length) as i32));
        self.valid.append_n_non_nulls(n);
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The column so far; begins anew with room for as much.
    fn finish(&mut self) -> Result<ArrayRef> {
        let next = Self {
            bytes: Vec::with_capacity(self.bytes.len()),
            ends: Vec::with_capacity(self.ends.len()),
            valid: NullBufferBuilder::new(0),
        };
        let mut done = std::mem::replace(self, next);
        self.ends.push(0);
        let ends = OffsetBuffer::new(done.ends.into());
        Ok(Arc::new(StringArray::try_new(ends, Buffer::from_vec(done.bytes), done.valid.finish())?))
    }
}

/// The column so far; begins anew with room for as much.
fn finish<T: ArrowPrimitiveType>(builder: &mut PrimitiveBuilder<T>) -> PrimitiveArray<T> {
    let next = PrimitiveBuilder::with_capacity(builder.len());
    std::mem::replace(builder, next).finish()
}

fn numbers<T: ArrowPrimitiveType>(builder: &mut PrimitiveBuilder<T>, number: Option<T::Native>, n: usize) {
    match number {
        Some(number) => builder.append_value_n(number, n),
        None => builder.append_nulls(n),
    }
}

/// What all rows of one series share.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Verdict<'a> {
    pub(super) model: Option<&'a str>,
    pub(super) class: Option<&'static str>,
    pub(super) cutoff: Option<i64>,
    pub(super) status: Status,
    pub(super) reason: Option<&'a str>,
    /// What cleaning did; `None` for a series without forecast.
    pub(super) counts: Option<&'a Counts>,
    /// When the last level shift began.
    pub(super) shift: Option<i64>,
    /// Columns known in the future that could not be used.
    pub(super) unused: Option<&'a str>,
    /// The effects of those that were, on the first row.
    pub(super) effects: Option<&'a str>,
    /// What became of last night's state.
    pub(super) fit: Option<&'static str>,
    /// Where the series stands, on its first row.
    pub(super) state: Option<&'a [u8]>,
}

impl Rows {
    /// Builders for so many bounds and quantiles; for what says which columns known in the future were not used; for what
    /// became of last night's state, and for the state itself.
    pub(super) fn new(bounds: usize, effects: bool, fit: bool, fitted: bool) -> Self {
        let mut rows = Self {
            unused: effects.then(Texts::default),
            effects: effects.then(StringBuilder::new),
            fit: fit.then(Texts::default),
            fitted: fitted.then(BinaryBuilder::new),
            ..Self::default()
        };
        rows.bounds.resize_with(bounds, Float64Builder::new);
        rows
    }

    /// Mean of the next step, and its bounds if they are known: lower and upper of each level, then the quantiles.
    pub(super) fn step(&mut self, yhat: f64, bounds: Option<&[f64]>) {
        self.yhat.append_value(yhat);
        if let Some(bounds) = bounds {
            self.bounds.iter_mut().zip(bounds).for_each(|(builder, bound)| builder.append_value(*bound));
        }
    }

    /// What the steps of a series share, once all of them are there: their times, and whether they had bounds.
    pub(super) fn forecast(&mut self, times: &[i64], bounds: bool, verdict: Verdict) {
        self.time.append_slice(times);
        (1..=times.len()).for_each(|step| self.step.append_value(step as i32));
        if !bounds {
            self.bounds.iter_mut().for_each(|builder| builder.append_nulls(times.len()));
        }
        self.verdict(verdict, times.len());
    }

    /// The one row of a series without forecast.
    pub(super) fn refusal(&mut self, verdict: Verdict) {
        self.time.append_null();
        self.step.append_null();
        self.yhat.append_null();
        self.bounds.iter_mut().for_each(Float64Builder::append_null);
        self.verdict(verdict, 1);
    }

    /// The columns that are the same in all `n` rows of a series, each filled in one go.
    fn verdict(&mut self, verdict: Verdict, n: usize) {
        self.model.append(verdict.model, n);
        self.class.append(verdict.class, n);
        numbers(&mut self.cutoff, verdict.cutoff, n);
        self.status.append(Some(verdict.status.name()), n);
        self.reason.append(verdict.reason, n);
        let counts = verdict.counts.map(counted);
        for (at, builder) in self.counts.iter_mut().enumerate() {
            let count = counts.and_then(|c| c[at]);
            numbers(builder, count.map(|n| i32::try_from(n).unwrap_or(i32::MAX)), n);
        }
        numbers(&mut self.shift, verdict.shift, n);
        if let Some(unused) = &mut self.unused {
            unused.append(verdict.unused, n);
        }
        if let Some(effects) = &mut self.effects {
            effects.append_option(verdict.effects);
            (1..n).for_each(|_| effects.append_null());
        }
        if let Some(fit) = &mut self.fit {
            fit.append(verdict.fit, n);
        }
        if let Some(fitted) = &mut self.fitted {
            fitted.append_option(verdict.state);
            fitted.append_nulls(n - 1);
        }
        self.rows += n;
    }

    /// Takes the rows built so far; the times become the clock's type.
    pub(super) fn take(&mut self, clock: &Clock) -> Result<Vec<ArrayRef>> {
        self.rows = 0;
        let mut columns: Vec<ArrayRef> = vec![
            clock.column(finish(&mut self.time))?,
            Arc::new(finish(&mut self.step)),
            Arc::new(finish(&mut self.yhat)),
        ];
        columns.extend(self.bounds.iter_mut().map(|b| Arc::new(finish(b)) as ArrayRef));
        columns.push(self.model.finish()?);
        columns.push(self.class.finish()?);
        columns.push(clock.column(finish(&mut self.cutoff))?);
        columns.push(self.status.finish()?);
        columns.push(self.reason.finish()?);
        columns.extend(self.counts.iter_mut().map(|b| Arc::new(finish(b)) as ArrayRef));
        columns.push(clock.column(finish(&mut self.shift))?);
        columns.extend(self.unused.as_mut().map(Texts::finish).transpose()?);
        columns.extend(self.effects.as_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        columns.extend(self.fit.as_mut().map(Texts::finish).transpose()?);
        columns.extend(self.fitted.as_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        debug_assert!(columns.iter().all(|c| c.len() == columns[0].len()));
        Ok(columns)
    }

    /// Bytes of the rows not yet taken; builders double as they grow, so twice what is used.
    pub(super) fn memory_bytes(&self) -> usize {
        let unused =
            self.unused.as_ref().map_or(0, Texts::len) + self.effects.as_ref().map_or(0, |b| b.values_slice().len());
        let texts = self.model.len() + self.status.len() + self.reason.len();
        let fit = self.fit.as_ref().map_or(0, Texts::len);
        let state = self.fitted.as_ref().map_or(0, |b| b.values_slice().len());
        let texts = texts + unused + fit + state + self.class.len();
        let row = 8 + 4 + 8 + 8 * self.bounds.len() + 8 + 7 * 4 + 4 * COUNTS.len() + 8 + 2;
        2 * (self.rows * row + texts)
    }
}
