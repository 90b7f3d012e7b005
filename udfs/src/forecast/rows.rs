//! Output rows of `forecast`, built column by column.
//!
//! In: forecasts and refusals. Out: arrow arrays in the order of the function's output columns.

use super::calendar::Clock;
use super::clean::Counts;
use super::status::Status;
use crate::error::Result;
use arrow::array::{Array, ArrayRef, BinaryBuilder, Float64Builder, Int32Builder, Int64Builder, StringBuilder};
use std::sync::Arc;

/// Builders of the columns after the keys.
#[derive(Debug, Default)]
pub(super) struct Rows {
    time: Int64Builder,
    step: Int32Builder,
    yhat: Float64Builder,
    bounds: Vec<Float64Builder>,
    model: StringBuilder,
    class: StringBuilder,
    cutoff: Int64Builder,
    status: StringBuilder,
    reason: StringBuilder,
    counts: [Int32Builder; COUNTS.len()],
    shift: Int64Builder,
    /// There only where a state comes in or goes out.
    fit: Option<StringBuilder>,
    fitted: Option<BinaryBuilder>,
    /// There only where columns known in the future are.
    unused: Option<StringBuilder>,
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
            unused: effects.then(StringBuilder::new),
            effects: effects.then(StringBuilder::new),
            fit: fit.then(StringBuilder::new),
            fitted: fitted.then(BinaryBuilder::new),
            ..Self::default()
        };
        rows.bounds.resize_with(bounds, Float64Builder::new);
        rows
    }

    /// One row of a forecast; `bounds` are lower and upper of each level, then the quantiles.
    pub(super) fn forecast(
        &mut self,
        time: i64,
        step: i32,
        yhat: f64,
        bounds: impl Iterator<Item = Option<f64>>,
        verdict: Verdict,
    ) {
        self.time.append_value(time);
        self.step.append_value(step);
        self.yhat.append_value(yhat);
        for (builder, bound) in self.bounds.iter_mut().zip(bounds) {
            builder.append_option(bound);
        }
        self.verdict(verdict);
    }

    /// The one row of a series without forecast.
    pub(super) fn refusal(&mut self, verdict: Verdict) {
        self.time.append_null();
        self.step.append_null();
        self.yhat.append_null();
        self.bounds.iter_mut().for_each(Float64Builder::append_null);
        self.verdict(verdict);
    }

    fn verdict(&mut self, verdict: Verdict) {
        self.model.append_option(verdict.model);
        self.class.append_option(verdict.class);
        self.cutoff.append_option(verdict.cutoff);
        self.status.append_value(verdict.status.name());
        self.reason.append_option(verdict.reason);
        let counts = verdict.counts.map(counted);
        for (at, builder) in self.counts.iter_mut().enumerate() {
            let count = counts.and_then(|c| c[at]);
            builder.append_option(count.map(|n| i32::try_from(n).unwrap_or(i32::MAX)));
        }
        self.shift.append_option(verdict.shift);
        if let Some(unused) = &mut self.unused {
            unused.append_option(verdict.unused);
        }
        if let Some(effects) = &mut self.effects {
            effects.append_option(verdict.effects);
        }
        if let Some(fit) = &mut self.fit {
            fit.append_option(verdict.fit);
        }
        if let Some(fitted) = &mut self.fitted {
            fitted.append_option(verdict.state);
        }
        self.rows += 1;
    }

    /// Takes the rows built so far; the times become the clock's type.
    pub(super) fn take(&mut self, clock: &Clock) -> Result<Vec<ArrayRef>> {
        self.rows = 0;
        let mut columns: Vec<ArrayRef> =
            vec![clock.column(self.time.finish())?, Arc::new(self.step.finish()), Arc::new(self.yhat.finish())];
        columns.extend(self.bounds.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        columns.push(Arc::new(self.model.finish()));
        columns.push(Arc::new(self.class.finish()));
        columns.push(clock.column(self.cutoff.finish())?);
        columns.push(Arc::new(self.status.finish()));
        columns.push(Arc::new(self.reason.finish()));
        columns.extend(self.counts.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        columns.push(clock.column(self.shift.finish())?);
        columns.extend(self.unused.as_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        columns.extend(self.effects.as_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        columns.extend(self.fit.as_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        columns.extend(self.fitted.as_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        debug_assert!(columns.iter().all(|c| c.len() == columns[0].len()));
        Ok(columns)
    }

    /// Bytes of the rows not yet taken; builders double as they grow, so twice what is used.
    pub(super) fn memory_bytes(&self) -> usize {
        let unused = self.unused.iter().chain(&self.effects).map(|b| b.values_slice().len()).sum::<usize>();
        let texts =
            self.model.values_slice().len() + self.status.values_slice().len() + self.reason.values_slice().len();
        let fit = self.fit.as_ref().map_or(0, |b| b.values_slice().len());
        let state = self.fitted.as_ref().map_or(0, |b| b.values_slice().len());
        let texts = texts + unused + fit + state + self.class.values_slice().len();
        let row = 8 + 4 + 8 + 8 * self.bounds.len() + 8 + 7 * 4 + 4 * COUNTS.len() + 8 + 2;
        2 * (self.rows * row + texts)
    }
}
