//! The `profile_series` group function: what a data engineer looks at before a forecast.
//!
//! In: the rows of each series, in any condition. Out: one row of counts and figures for each.

mod changes;
mod shape;
mod spikes;
mod strength;

use super::calendar::{Calendar, Clock, Frequency};
use super::gather::{Gathered, STEPS_MAX};
use super::measure::{Measure, Of, owned_by, unlike};
use super::status::{Refusal, Status};
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome};
use crate::signature::{Class, Column, Kind, Output, Param, Role, Signature};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Field;
use shape::{Shape, Work, shape};
use std::sync::Arc;

/// `profile_series`: one series in, one row out.
///
/// Gaps, duplicates, nulls and numbers that are none are what it counts, so that none of them refuses a series. Times that
/// lie on no common calendar leave the columns that need one null, and null ids or times all of them; `status` and
/// `reason` say so. O(n log n) time and O(n) memory per series, n the steps of its calendar.
///
/// ```sql
/// SELECT class, count(*) AS series, sum(n) AS "rows", avg(seasonal_strength) AS season, sum(gaps) AS gaps
/// FROM profile_series(TABLE(sales), id => sku, time => ds, value => qty, season_length => 7, freq => 'D')
/// GROUP BY class ORDER BY series DESC
/// ```
pub struct ProfileSeries;

const PARAMS: &[Param] = &[
    Param {
        name: "season_length",
        kind: Kind::Integer { min: 1, max: 10_000 },
        default: Some("1"),
        meaning: "observations per season, such as 7 for daily data with a week; 1 for no season",
    },
    Param {
        name: "freq",
        kind: Kind::Text,
        default: Some("\"auto\""),
        meaning: "distance of observations, as in forecast; 'auto' infers it per series",
    },
    Param {
        name: "fill",
        kind: Kind::Choice(|| vec!["null", "zero"]),
        default: Some("\"null\""),
        meaning: "what a time of the calendar without a row is: 'null' unknown, 'zero' nothing sold",
    },
    Param {
        name: "duplicates",
        kind: Kind::Choice(|| vec!["sum", "max"]),
        default: Some("\"sum\""),
        meaning: "what rows of one time are: 'sum' parts of one value, 'max' the same value loaded again",
    },
];

static SIGNATURE: Signature = Signature {
    name: "profile_series",
    summary: "looks at every series: gaps, duplicates, class of demand, season, trend, changes of level, spikes",
    columns: &[
        column("id", Role::Key, Class::Exact, "column or columns that tell series apart, such as sku or [shop, sku]"),
        column("time", Role::Order, Class::Time, "time of the observation, in any row order"),
        column(
            "value",
            Role::Value,
            Class::Number,
            "what is observed, in any unit; null, NaN and infinity are counted",
        ),
    ],
    tables: &[],
    params: PARAMS,
    output: &OUTPUT,
};

const fn column(name: &'static str, role: Role, class: Class, meaning: &'static str) -> Column {
    Column { name, role, class, many: matches!(role, Role::Key), required: true, meaning }
}

/// What is said of one series.
#[derive(Default)]
struct Profile {
    rows: u64,
    first: Option<i64>,
    last: Option<i64>,
    frequency: Option<String>,
    steps: Option<i64>,
    gaps: Option<i64>,
    counts: Option<Counts>,
    shape: Option<Shape>,
    last_change: Option<i64>,
    refusal: Option<Refusal>,
}

/// What is counted without a calendar.
#[derive(Clone, Copy)]
struct Counts {
    duplicates: u64,
    nulls: u64,
    not_finite: u64,
    zeros: u64,
    negatives: u64,
}

impl Profile {
    fn status(&self) -> Status {
        self.refusal.as_ref().map_or(Status::Ok, |r| r.status)
    }
}

const fn count(name: &'static str, meaning: &'static str, of: fn(&Profile) -> Option<i64>) -> Measure<Profile> {
    Measure { name, meaning, of: Of::Count(of) }
}

const fn real(name: &'static str, meaning: &'static str, of: fn(&Profile) -> Option<f64>) -> Measure<Profile> {
    Measure { name, meaning, of: Of::Real(of) }
}

const fn time(name: &'static str, meaning: &'static str, of: fn(&Profile) -> Option<i64>) -> Measure<Profile> {
    Measure { name, meaning, of: Of::Time(of) }
}

const fn text(name: &'static str, meaning: &'static str, of: fn(&Profile) -> Option<&str>) -> Measure<Profile> {
    Measure { name, meaning, of: Of::Text(of) }
}

fn of_shape(p: &Profile, of: fn(&Shape) -> f64) -> Option<f64> {
    p.shape.as_ref().map(of)
}

fn of_counts(p: &Profile, of: fn(Counts) -> u64) -> Option<i64> {
    p.counts.map(|c| of(c) as i64)
}

/// The output columns after the ids, one a line.
#[rustfmt::skip]
const MEASURES: [Measure<Profile>; 30] = [
    count("n", "rows", |p| Some(p.rows as i64)),
    time("first_time", "time of the first row", |p| p.first),
    time("last_time", "time of the last row", |p| p.last),
    text("frequency", "step of the calendar in words; null for a single time", |p| p.frequency.as_deref()),
    count("steps", "steps of the calendar from the first time to the last, both counted", |p| p.steps),
    count("gaps", "steps without a row", |p| p.gaps),
    count("duplicates", "rows beyond the first of their time", |p| of_counts(p, |c| c.duplicates)),
    count("nulls", "rows whose value is null", |p| of_counts(p, |c| c.nulls)),
    count("not_finite", "rows whose value is NaN or infinite", |p| of_counts(p, |c| c.not_finite)),
    count("zeros", "rows whose value is zero", |p| of_counts(p, |c| c.zeros)),
    count("negatives", "rows whose value is below zero", |p| of_counts(p, |c| c.negatives)),
    count("observed", "steps with a value, after fill and duplicates", |p| p.shape.map(|s| s.observed as i64)),
    count("leading_zeros", "observed steps before the first value other than zero", |p| p.shape.map(|s| s.demand.leading_zeros as i64)),
    count("silence", "observed steps since the last value other than zero", |p| p.shape.map(|s| s.demand.silence as i64)),
    count("sales", "observed steps with a value other than zero", |p| p.shape.map(|s| s.demand.sales as i64)),
    real("adi", "average demand interval: observed steps from the first sale on, per sale; null without one", |p| of_shape(p, |s| s.demand.adi)),
    real("cv_squared", "squared coefficient of variation of the sales", |p| of_shape(p, |s| s.demand.cv_squared)),
    text("class", "new, short, smooth, erratic, intermittent, lumpy or dead", |p| p.shape.as_ref().map(|s| s.demand.class.name())),
    real("seasonal_strength", "0 to 1: share of the movement about the trend that the season explains; null below three seasons", |p| p.shape.and_then(|s| s.strength.seasonal)),
    real("trend_strength", "0 to 1: share of the movement about the season that the trend explains; null if too short", |p| p.shape.and_then(|s| s.strength.trend)),
    count("changes", "lasting changes of the level; a slope shows as several", |p| p.shape.map(|s| s.changes as i64)),
    time("last_change", "first time of the last level; null without a change", |p| p.last_change),
    count("spikes", "values far from the median of the fifteen about them (Hampel)", |p| p.shape.map(|s| s.spikes as i64)),
    real("sum", "sum of the steps", |p| of_shape(p, |s| s.sum)),
    real("mean", "mean of the steps", |p| of_shape(p, |s| s.mean)),
    real("deviation", "sample standard deviation of the steps; null below two", |p| of_shape(p, |s| s.deviation)),
    real("min", "least step", |p| of_shape(p, |s| s.min)),
    real("max", "largest step", |p| of_shape(p, |s| s.max)),
    text("status", "ok, or why columns are null, as in forecast", |p| Some(p.status().name())),
    text("reason", "what, where and what to do; null if ok", |p| p.refusal.as_ref().map(|r| r.reason.as_str())),
];

const OUTPUT: [Output; MEASURES.len() + 1] = {
    let mut out = [const { Output { name: "<id>", kind: "as the input", meaning: "the id columns, unchanged" } };
        MEASURES.len() + 1];
    let mut i = 0;
    while i < MEASURES.len() {
        out[i + 1] = MEASURES[i].output();
        i += 1;
    }
    out
};

impl GroupFunction for ProfileSeries {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn bind(&self, input: &GroupSchema, args: &Args) -> Result<Arc<dyn BoundFunction>> {
        let fields = input.schema.fields();
        if input.order != 1 || fields.len() != input.keys + 2 {
            return Err(Error::Bug(format!("profile_series takes keys, time and value: columns={}", fields.len())));
        }
        let clock = Clock::new(fields[input.keys].data_type()).map_err(|e| owned_by(SIGNATURE.name, e))?;
        let plan = Plan {
            frequency: Frequency::parse(args.text("freq")?, &clock).map_err(|e| owned_by(SIGNATURE.name, e))?,
            clock,
            keys: input.keys,
            season_length: args.integer("season_length")? as usize,
            blank: if args.text("fill")? == "zero" { 0.0 } else { f64::NAN },
            adds: args.text("duplicates")? == "sum",
        };
        unlike(SIGNATURE.name, fields.iter().take(input.keys), &plan.output())?;
        Ok(Arc::new(plan))
    }
}

/// The checked arguments of a call.
#[derive(Clone)]
struct Plan {
    clock: Clock,
    keys: usize,
    frequency: Frequency,
    season_length: usize,
    /// The value of a step without a row.
    blank: f64,
    /// Whether rows of one time are added; else the largest stands.
    adds: bool,
}

impl BoundFunction for Plan {
    fn output(&self) -> Vec<Field> {
        MEASURES.iter().map(|m| m.field(&self.clock)).collect()
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        Box::new(Worker {
            gathered: Gathered::new(self.clock.clone(), self.keys),
            plan: self.clone(),
            times: Vec::new(),
            values: Vec::new(),
            positions: Vec::new(),
            y: Vec::new(),
            work: Work::default(),
            done: Vec::new(),
        })
    }
}

struct Worker {
    plan: Plan,
    gathered: Gathered,
    /// Times and values, one of each time.
    times: Vec<i64>,
    values: Vec<f64>,
    positions: Vec<i64>,
    /// On the calendar.
    y: Vec<f64>,
    work: Work,
    done: Vec<Profile>,
}

impl Worker {
    fn profile(&mut self, context: &dyn GroupContext, profile: &mut Profile) -> Result<Result<(), Refusal>> {
        profile.rows = self.gathered.rows;
        if let Err(refusal) = self.gathered.check()? {
            return Ok(Err(refusal));
        }
        if let Err(refusal) = self.gathered.reserve(context, self.memory_bytes(), 4 * self.gathered.times.len())? {
            return Ok(Err(refusal));
        }
        profile.counts = Some(self.count());
        (profile.first, profile.last) = (self.times.first().copied(), self.times.last().copied());
        let calendar = match self.place() {
            Ok(calendar) => calendar,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let steps = self.positions.last().map_or(0, |last| last.saturating_add(1));
        profile.frequency = calendar.map(|c| c.words(&self.plan.clock));
        profile.steps = Some(steps);
        profile.gaps = Some(steps - self.positions.len() as i64);
        if steps > STEPS_MAX {
            let reason = format!("too many times are missing to look at the rest, set a coarser freq: steps={steps}");
            return Ok(Err(Refusal::new(Status::Gap, reason)));
        }
        let words = steps as usize + Work::words(steps as usize);
        if let Err(refusal) = self.gathered.reserve(context, self.memory_bytes(), words)? {
            return Ok(Err(refusal));
        }
        self.y.clear();
        self.y.resize(steps as usize, self.plan.blank);
        for (&position, &value) in self.positions.iter().zip(&self.values) {
            self.y[position as usize] = value;
        }
        let shape = shape(&self.y, self.plan.season_length, &mut self.work);
        let time = |step: usize| calendar.and_then(|c| c.at(&self.plan.clock, step as i64));
        profile.last_change = shape.last_change.and_then(time);
        profile.shape = Some(shape);
        Ok(Ok(()))
    }

    /// Counts the rows, and leaves one value of each time.
    fn count(&mut self) -> Counts {
        let g = &mut self.gathered;
        let (zeros, negatives) = g
            .values
            .iter()
            .fold((0, 0), |(zeros, negatives), v| (zeros + u64::from(*v == 0.0), negatives + u64::from(*v < 0.0)));
        self.times.clear();
        self.values.clear();
        let mut from = 0;
        for same in g.times.chunk_by(|a, b| a == b) {
            let values = &mut g.values[from..from + same.len()];
            from += same.len();
            // Rows of one time come in any order, so that they are put into one before they are added.
            values.sort_unstable_by(f64::total_cmp);
            let observed = values.iter().filter(|v| !v.is_nan());
            let value = if self.plan.adds {
                observed.copied().reduce(|a, b| a + b)
            } else {
                observed.copied().reduce(f64::max)
            };
            self.times.push(same[0]);
            // A sum beyond all floats is as good as no number.
            self.values.push(value.filter(|v| v.is_finite()).unwrap_or(f64::NAN));
        }
        let duplicates = (g.times.len() - self.times.len()) as u64;
        Counts { duplicates, nulls: g.nulls.0, not_finite: g.not_finite.0, zeros, negatives }
    }

    /// Positions on the calendar; a single time needs none.
    fn place(&mut self) -> Result<Option<Calendar>, Refusal> {
        let clock = &self.plan.clock;
        if self.times.len() == 1 && self.plan.frequency == Frequency::Auto {
            self.positions.clear();
            self.positions.push(0);
            return Ok(None);
        }
        let calendar = Calendar::of(clock, self.plan.frequency, &self.times)?;
        calendar.positions(clock, &self.times, &mut self.positions)?;
        Ok(Some(calendar))
    }

    fn clear(&mut self) {
        self.gathered.clear();
        self.work.shrink();
        super::gather::shrink(&mut [&mut self.values, &mut self.y]);
        if self.times.capacity() > self.values.capacity() {
            (self.times, self.positions) = (Vec::new(), Vec::new());
        }
    }
}

impl GroupWorker for Worker {
    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        self.gathered.push(rows)
    }

    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome> {
        context.check_cancelled()?;
        let mut profile = Profile::default();
        let result = self.profile(context, &mut profile);
        self.clear();
        profile.refusal = result?.err();
        let refused = profile.refusal.is_some();
        self.done.push(profile);
        Ok(Outcome { rows: 1, refused })
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        let columns = MEASURES.iter().map(|m| m.column(&self.done, &self.plan.clock)).collect();
        self.done.clear();
        columns
    }

    fn memory_bytes(&self) -> usize {
        let words = self.times.capacity() + self.values.capacity() + self.positions.capacity() + self.y.capacity();
        // A row leaves as columns of about its own size.
        let rows = 2 * self.done.len() * size_of::<Profile>();
        self.gathered.memory_bytes() + self.work.memory_bytes() + 8 * words + rows
    }

    fn shed(&mut self) -> bool {
        self.gathered.shed();
        true
    }
}

#[cfg(test)]
mod tests;
