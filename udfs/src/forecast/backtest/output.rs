//! Output rows of `backtest`.  In: scores of origins. Out: arrow columns, measures and sums from their tables.

use super::metrics::{METRIC_OUTPUT, METRICS};
use super::origins::{Interval, Rolling, Score};
use crate::error::Result;
use crate::forecast::calendar::Clock;
use crate::forecast::measure::{Measure, Of, reals};
use crate::forecast::status::{Refusal, Status};
use crate::signature::Output;
use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Field};
use std::sync::Arc;

/// What became of one model on one series, at one origin or at all.
#[derive(Debug, Clone)]
pub(super) struct Row {
    model: String,
    cutoff: Option<i64>,
    score: Score,
    /// The last origin that the model did not take.
    refusal: Option<Refusal>,
    status: Status,
    reason: Option<String>,
}

impl Row {
    pub(super) fn of(model: &str) -> Self {
        let (score, status) = (Score::default(), Status::Ok);
        Self { model: model.into(), cutoff: None, score, refusal: None, status, reason: None }
    }

    /// The row of a series that cannot be used.
    pub(super) fn refused(model: &str, refusal: Refusal) -> Self {
        Self { status: refusal.status, reason: Some(refusal.reason), ..Self::of(model) }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.score.origins == 0
    }

    /// Takes in what became of a later origin.
    pub(super) fn take(&mut self, cutoff: Option<i64>, score: Result<Score, Refusal>) {
        self.cutoff = cutoff;
        match score {
            Ok(score) => self.score.add(score),
            Err(refusal) => self.refusal = Some(refusal),
        }
    }

    /// The verdict over all origins, of which so many were asked for.
    pub(super) fn end(mut self, asked: i64, rolling: &Rolling) -> Self {
        let has_interval = rolling.levels.is_empty() || self.score.n_interval == self.score.sums.n;
        (self.status, self.reason) = match (&self.refusal, self.score.origins, self.score.fell.take()) {
            (Some(refusal), 0, _) => (refusal.status, Some(refusal.reason.clone())),
            (_, _, Some(why)) => (Status::Fallback, Some(why)),
            (_, _, None) if !has_interval => {
                (Status::NoInterval, Some("too few observations for an interval at an origin".into()))
            }
            _ => (Status::Ok, None),
        };
        if self.score.origins > 0 && self.score.origins < asked {
            let said = self.reason.take().or(self.refusal.take().map(|r| r.reason));
            let why = said.map(|s| format!("; {s}")).unwrap_or_default();
            self.reason = Some(format!("too short for all origins: asked={asked}, used={}{why}", self.score.origins));
        }
        self
    }
}

/// A number of the sums, null where there are no errors.
const fn sum(name: &'static str, meaning: &'static str, of: fn(&Row) -> Option<f64>) -> Measure<Row> {
    Measure { name, meaning, of: Of::Real(of) }
}

const fn count(name: &'static str, meaning: &'static str, of: fn(&Row) -> Option<i64>) -> Measure<Row> {
    Measure { name, meaning, of: Of::Count(of) }
}

const fn flag(name: &'static str, meaning: &'static str, of: fn(&Row) -> Option<bool>) -> Measure<Row> {
    Measure { name, meaning, of: Of::Flag(of) }
}

const fn text(name: &'static str, meaning: &'static str, of: fn(&Row) -> Option<&str>) -> Measure<Row> {
    Measure { name, meaning, of: Of::Text(of) }
}

const HEAD: [Measure<Row>; 5] = [
    text("model", "the model asked for", |r| Some(&r.model)),
    text(
        "chosen",
        "what forecast at the last cutoff: the choice of auto, or the model that the ladder ended at",
        |r| r.score.chosen.as_deref(),
    ),
    Measure { name: "cutoff", meaning: "time of the last value that the last fit saw", of: Of::Time(|r| r.cutoff) },
    count("origins", "cutoffs that count; 0 if refused", |r| Some(r.score.origins)),
    count("n", "errors: forecast steps whose actual value is known", |r| Some(r.score.sums.n as i64)),
];

/// Null, as all measures are, where nothing was forecast.
fn if_any(row: &Row, sum: f64) -> Option<f64> {
    (!row.is_refused()).then_some(sum)
}

#[rustfmt::skip]
const SUMS: [Measure<Row>; 12] = [
    sum("sum_error", "sum of forecast - actual", |r| if_any(r, r.score.sums.error)),
    sum("sum_absolute", "sum of absolute errors", |r| if_any(r, r.score.sums.absolute)),
    sum("sum_squared", "sum of squared errors", |r| if_any(r, r.score.sums.squared)),
    sum("sum_actual", "sum of actual values", |r| if_any(r, r.score.sums.actual)),
    sum("sum_absolute_actual", "sum of absolute actual values", |r| if_any(r, r.score.sums.absolute_actual)),
    sum("sum_symmetric", "sum behind smape: that over sum of n is the smape of many series", |r| if_any(r, r.score.sums.symmetric)),
    count("n_scaled", "errors of cutoffs whose scale is not zero", |r| Some(r.score.sums.n_scaled as i64)),
    sum("sum_absolute_scaled", "sum behind mase, over n_scaled", |r| if_any(r, r.score.sums.absolute_scaled)),
    sum("sum_squared_scaled", "sum behind rmsse, over n_scaled", |r| if_any(r, r.score.sums.squared_scaled)),
    sum("naive_sum_absolute", "sum of absolute errors of seasonal naive at the same steps", |r| if_any(r, r.score.sums.naive_absolute)),
    sum("naive_sum_squared", "sum of squared errors of seasonal naive at the same steps", |r| if_any(r, r.score.sums.naive_squared)),
    count("n_interval", "errors that have a prediction interval", |r| Some(r.score.n_interval as i64)),
];

#[rustfmt::skip]
const EVENTS: [Measure<Row>; 5] = [
    flag("sells_actual", "per origin: whether the actual values of the horizon sum to more than zero", |r| r.score.events.sells_actual),
    flag("sells_forecast", "per origin: whether sells_probability reaches probability", |r| r.score.events.sells_forecast),
    sum("sells_probability", "per origin: 1 - exp(-sum of the forecast), the chance of a sale if they come at random", |r| r.score.events.sells_probability),
    text("trend_actual", "per origin: up, flat or down: the horizon's mean against the last season's (horizon's without a season)", |r| r.score.events.trend_actual),
    text("trend_forecast", "per origin: the same of the forecast", |r| r.score.events.trend_forecast),
];

#[rustfmt::skip]
const STOCK: [Measure<Row>; 2] = [
    flag("stockout_actual", "per origin, with stock: whether the horizon's demand exceeds the stock at the cutoff", |r| r.score.events.stockout_actual),
    flag("stockout_forecast", "per origin, with stock: the same of the forecast", |r| r.score.events.stockout_forecast),
];

const TAIL: [Measure<Row>; 2] = [
    text("status", "whether the model was tested, and if not, why, as in forecast", |r| Some(r.status.name())),
    text("reason", "what, where and what to do; null if all was as asked", |r| r.reason.as_deref()),
];

/// Columns of a level: number, meaning, what of an interval.
const LEVEL: [(&str, &str); 4] = [
    ("coverage_<level>", "share of actual values within the prediction interval, ends included"),
    ("width_<level>", "mean width of the prediction interval, in the unit of value"),
    ("covered_<level>", "actual values within, of n_interval"),
    ("sum_width_<level>", "sum of widths, over n_interval"),
];

const COLUMNS: usize =
    1 + HEAD.len() + METRICS.len() + LEVEL.len() + SUMS.len() + EVENTS.len() + STOCK.len() + TAIL.len();

/// Every column for help.
pub(super) const OUTPUT: [Output; COLUMNS] = {
    let mut out =
        [const { Output { name: "<id>", kind: "as the input", meaning: "the id columns, unchanged" } }; COLUMNS];
    let mut at = put(&mut out, 1, &HEAD);
    let mut i = 0;
    while i < METRICS.len() {
        out[at] = Output { ..METRIC_OUTPUT[i] };
        (at, i) = (at + 1, i + 1);
    }
    i = 0;
    while i < LEVEL.len() {
        out[at] = Output { name: LEVEL[i].0, kind: if i == 2 { "bigint" } else { "double" }, meaning: LEVEL[i].1 };
        (at, i) = (at + 1, i + 1);
    }
    at = put(&mut out, at, &SUMS);
    at = put(&mut out, at, &EVENTS);
    at = put(&mut out, at, &STOCK);
    put(&mut out, at, &TAIL);
    out
};

const fn put<const N: usize>(out: &mut [Output; COLUMNS], mut at: usize, measures: &[Measure<Row>; N]) -> usize {
    let mut i = 0;
    while i < N {
        out[at] = measures[i].output();
        (at, i) = (at + 1, i + 1);
    }
    at
}

/// The columns that only some calls have.
fn events(per_origin: bool, has_stock: bool) -> impl Iterator<Item = &'static Measure<Row>> {
    const ALL: &[Measure<Row>] = &EVENTS;
    const OF_STOCK: &[Measure<Row>] = &STOCK;
    ALL.iter().take(if per_origin { ALL.len() } else { 0 }).chain(OF_STOCK.iter().take(if per_origin && has_stock {
        OF_STOCK.len()
    } else {
        0
    }))
}

/// The output columns of a call.
pub(super) fn fields(clock: &Clock, levels: &[i64], per_origin: bool, has_stock: bool) -> Vec<Field> {
    let real = |name: String| Field::new(name, DataType::Float64, true);
    let mut fields: Vec<_> = HEAD.iter().map(|m| m.field(clock)).collect();
    fields.extend(METRICS.iter().map(|m| real(m.name.into())));
    for level in levels {
        for (i, (name, _)) in LEVEL.iter().enumerate() {
            let kind = if i == 2 { DataType::Int64 } else { DataType::Float64 };
            fields.push(Field::new(name.replace("<level>", &level.to_string()), kind, true));
        }
    }
    fields.extend(SUMS.iter().chain(events(per_origin, has_stock)).chain(&TAIL).map(|m| m.field(clock)));
    fields
}

/// The rows as columns, in the order of [`fields`].
pub(super) fn columns(
    rows: &[Row],
    clock: &Clock,
    levels: &[i64],
    per_origin: bool,
    has_stock: bool,
) -> Result<Vec<ArrayRef>> {
    let mut columns = HEAD.iter().map(|m| m.column(rows, clock)).collect::<Result<Vec<_>>>()?;
    columns.extend(METRICS.iter().map(|m| reals(rows.iter().map(|r| (m.of)(&r.score.sums)))));
    for level in 0..levels.len() {
        let of = |r: &Row| (r.score.n_interval > 0).then(|| r.score.intervals.get(level).copied()).flatten();
        let mean = |r: &Row, part: fn(&Interval) -> f64| of(r).map(|i| part(&i) / r.score.n_interval as f64);
        columns.push(reals(rows.iter().map(|r| mean(r, |i| i.covered as f64))));
        columns.push(reals(rows.iter().map(|r| mean(r, |i| i.width))));
        columns.push(Arc::new(rows.iter().map(|r| of(r).map(|i| i.covered as i64)).collect::<Int64Array>()));
        columns.push(reals(rows.iter().map(|r| of(r).map(|i| i.width))));
    }
    for measure in SUMS.iter().chain(events(per_origin, has_stock)).chain(&TAIL) {
        columns.push(measure.column(rows, clock)?);
    }
    Ok(columns)
}
