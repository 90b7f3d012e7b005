//! One series after the other: checks, cleaning, calendar, model, rows.
//!
//! In: the rows of a series, ascending by time. Out: one row per step, or one row that says why not.

use super::calendar::{Calendar, Clock, Frequency};
use super::clean::{self, Counts, Duplicates, Fill};
use super::regressors::{Holidays, On, Regressors};
use super::rows::{Rows, Verdict};
use super::series::{Layout, Series};
use super::status::{Refusal, Status};
use super::{Buffers, Choice, Path, Spread, State, forecast};
use crate::error::{Error, Result};
use crate::functions::{GroupContext, GroupWorker, Outcome};
use arrow::array::{Array, ArrayRef, RecordBatch};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Longest series after filling: a gap that fills to more is refused, not filled.
const FILLED_MAX: i64 = 10_000_000;

/// Buffers beyond this are not kept for the next series.
const KEPT_BYTES: usize = 1 << 20;

/// The checked arguments of a call.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) clock: Clock,
    pub(super) layout: Layout,
    pub(super) horizon: usize,
    pub(super) season_length: usize,
    pub(super) frequency: Frequency,
    /// The model, then the simpler ones below it.
    pub(super) ladder: Vec<Choice>,
    /// Percent, and the half width in standard deviations.
    pub(super) levels: Vec<(i64, f64)>,
    /// Probability, and the quantile in standard deviations.
    pub(super) quantiles: Vec<(f64, f64)>,
    pub(super) cleaning: Cleaning,
    /// `None`: of series without negative values.
    pub(super) non_negative: Option<bool>,
    /// Names of the regressors, in the order of their columns.
    pub(super) regressors: Vec<String>,
    pub(super) holidays: bool,
}

impl Plan {
    /// Whether there are columns known in the future.
    pub(super) fn has_effects(&self) -> bool {
        self.holidays || !self.regressors.is_empty()
    }
}

/// What is done to a series before a model sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cleaning {
    pub(super) fill: Fill,
    pub(super) duplicates: Duplicates,
    pub(super) drop_leading_zeros: bool,
    pub(super) cap_spikes: bool,
}

/// Forecasts the series of one partition.
pub(super) struct Worker {
    plan: Arc<Plan>,
    holidays: Holidays,
    series: Series,
    positions: Vec<i64>,
    filled: Vec<f64>,
    /// Where in the filled values, or in the values if none is missing, the model begins.
    start: usize,
    counts: Counts,
    future: Vec<i64>,
    regressors: Regressors,
    /// Rows of the series in the input, held or not.
    rows_in: u64,
    /// The last time of a series whose rows are no longer held.
    shed: Option<Option<i64>>,
    buffers: Buffers,
    state: State,
    path: Path,
    rows: Rows,
}

/// A result, or why the series has none.
macro_rules! or_refuse {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(refusal) => return Ok(Err(refusal)),
        }
    };
}

impl Worker {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        let rows = Rows::new(2 * plan.levels.len() + plan.quantiles.len(), plan.has_effects());
        Self {
            plan,
            holidays: Holidays::default(),
            series: Series::default(),
            positions: Vec::new(),
            filled: Vec::new(),
            start: 0,
            counts: Counts::default(),
            future: Vec::new(),
            regressors: Regressors::default(),
            rows_in: 0,
            shed: None,
            buffers: Buffers::default(),
            state: State::default(),
            path: Path::default(),
            rows,
        }
    }

    /// Asks for so many words beside what is held. Refuses the series that cannot have them.
    fn reserve(&self, context: &dyn GroupContext, words: usize) -> Result<Result<(), Refusal>> {
        match context.reserve(self.memory_bytes() + 8 * words) {
            Err(Error::Limit(_)) => Ok(Err(self.too_large())),
            done => done.map(Ok),
        }
    }

    fn too_large(&self) -> Refusal {
        let (rows, bytes) = (self.rows_in, self.rows_in * 16);
        let next = "raise --memory, or filter the series or aggregate it to a coarser time";
        Refusal::new(Status::TooLarge, format!("no memory is left for the series, {next}: rows={rows}, bytes={bytes}"))
    }

    /// Ends a series: nothing of it stays but buffers of a usual size.
    fn clear(&mut self) {
        self.series.clear();
        self.rows_in = 0;
        self.shed = None;
        let words = self.series.times.capacity() + self.positions.capacity() + self.filled.capacity();
        if 8 * words > KEPT_BYTES {
            self.let_go();
        }
    }

    /// Frees all buffers that grow with the series.
    fn let_go(&mut self) {
        self.series.let_go();
        self.positions = Vec::new();
        self.filled = Vec::new();
        self.regressors = Regressors::default();
        self.buffers = Buffers::default();
    }

    /// All checks, in the order of the columns, then cleaning, calendar and model.
    fn compute(&mut self, context: &dyn GroupContext) -> Result<Result<Fitted, Refusal>> {
        let plan = Arc::clone(&self.plan);
        if self.shed.is_some() {
            return Ok(Err(self.series.take_grave().unwrap_or_else(|| self.too_large())));
        }
        for times in [&self.series.times, &self.series.future_times] {
            if let Some(down) = times.windows(2).find(|w| w[1] < w[0]) {
                let (before, after) = (down[0], down[1]);
                return Err(Error::Bug(format!(
                    "rows of a group arrived out of order: before={before}, after={after}"
                )));
            }
        }
        or_refuse!(self.series.check(&plan.clock, plan.cleaning.duplicates));
        // The positions on the calendar, and what a model makes of the values.
        let width = self.series.times.len() + plan.horizon;
        let effects = if plan.has_effects() { width * (4 + self.series.regressors.len()) } else { 0 };
        or_refuse!(self.reserve(context, 2 * self.series.times.len() + effects)?);
        self.counts = Counts { closed: self.series.closed, filled: self.series.nulls, ..Counts::default() };
        self.counts.duplicates = self.series.merge(plan.cleaning.duplicates);
        let calendar = or_refuse!(self.place(&plan));
        let last = self.positions.last().copied().unwrap_or(0);
        let gaps = (self.positions.len() as i64) < last + 1;
        if plan.cleaning.fill != Fill::Error && gaps && last < FILLED_MAX {
            or_refuse!(self.reserve(context, 2 * (last as usize + 1) + effects)?);
        }
        or_refuse!(self.fill(&plan, &calendar, last));
        or_refuse!(self.clean(&plan));
        or_refuse!(self.look_ahead(&plan, &calendar, last));
        Ok(self.fit(&plan, &calendar))
    }

    fn place(&mut self, plan: &Plan) -> Result<Calendar, Refusal> {
        let calendar = Calendar::of(&plan.clock, plan.frequency, &self.series.times)?;
        calendar.positions(&plan.clock, &self.series.times, &mut self.positions)?;
        Ok(calendar)
    }

    /// Puts the values on the calendar. Leaves `filled` empty if no time is missing.
    fn fill(&mut self, plan: &Plan, calendar: &Calendar, last: i64) -> Result<(), Refusal> {
        self.filled.clear();
        let Some((missing, _)) = (0..).zip(&self.positions).find(|(expected, position)| expected != *position) else {
            return Ok(());
        };
        let time = calendar.at(&plan.clock, missing).map_or_else(|| "?".into(), |t| plan.clock.text(t));
        let missing = last + 1 - self.positions.len() as i64;
        let gap = |why: &str| {
            let steps = calendar.words(&plan.clock);
            Err(Refusal::new(Status::Gap, format!("{why}: first_missing={time}, missing={missing}, step={steps}")))
        };
        if plan.cleaning.fill == Fill::Error {
            return gap("times are missing, set fill => 'null', 'zero' or 'previous'");
        }
        if last >= FILLED_MAX {
            return gap("too many times are missing to fill them, set a coarser freq");
        }
        let mut before = 0.0;
        for (&position, &value) in self.positions.iter().zip(&self.series.values) {
            let blank = match plan.cleaning.fill {
                Fill::Zero => 0.0,
                Fill::Previous => before,
                Fill::Null | Fill::Error => f64::NAN,
            };
            self.filled.resize(position as usize, blank);
            self.filled.push(value);
            before = value;
        }
        self.counts.filled += missing as usize;
        Ok(())
    }

    /// Finds where the series begins, caps and notes. Refuses a series without any value.
    fn clean(&mut self, plan: &Plan) -> Result<(), Refusal> {
        let y = if self.filled.is_empty() { &mut self.series.values } else { &mut self.filled };
        let Some((start, zeros)) = clean::leading(y, plan.cleaning.drop_leading_zeros) else {
            return Err(Refusal::new(Status::NoObservation, "every value of the series is missing"));
        };
        (self.start, self.counts.leading_zeros) = (start, zeros);
        let y = &mut y[start..];
        if plan.cleaning.cap_spikes {
            let mut scratch = self.buffers.take(0);
            self.counts.spikes = Some(clean::cap_spikes(y, plan.season_length, &mut scratch));
            self.buffers.give(scratch);
        }
        (self.counts.level_shifts, self.counts.level_shift) = clean::level_shifts(y, plan.season_length);
        let own = self.positions.iter().zip(&self.series.values).filter(|(p, v)| **p >= start as i64 && !v.is_nan());
        self.counts.observed = own.count();
        Ok(())
    }

    /// The times of the horizon.
    fn look_ahead(&mut self, plan: &Plan, calendar: &Calendar, last: i64) -> Result<(), Refusal> {
        self.future.clear();
        for step in 1..=plan.horizon as i64 {
            match calendar.at(&plan.clock, last + step) {
                Some(time) => self.future.push(time),
                None => {
                    let reason = format!(
                        "forecast leaves the range of times: step={step}, frequency={}, type={}",
                        calendar.words(&plan.clock),
                        plan.clock.kind()
                    );
                    return Err(Refusal::new(Status::OutOfRange, reason));
                }
            }
        }
        Ok(())
    }

    /// Takes effects of known-future columns out, forecasts, and puts them back.
    fn fit(&mut self, plan: &Plan, calendar: &Calendar) -> Result<Fitted, Refusal> {
        let y = if self.filled.is_empty() { &self.series.values } else { &self.filled };
        let y = &y[self.start..];
        self.regressors.unused = None;
        let negative = y.iter().any(|v| *v < 0.0);
        let mut fitted = if plan.has_effects() {
            let on = On {
                clock: &plan.clock,
                calendar,
                positions: &self.positions,
                start: self.start,
                values: y.len(),
                horizon: plan.horizon,
                season_length: plan.season_length,
            };
            let (regressors, series, buffers) = (&mut self.regressors, &self.series, &mut self.buffers);
            caught("effects", || {
                regressors.fit(y, &plan.regressors, &self.holidays, series, &on, buffers);
                Ok(())
            })?;
            let fitted = model(plan, self.regressors.adjusted(), &mut self.buffers, &mut self.state, &mut self.path)?;
            self.regressors.put_back(&mut self.path);
            fitted
        } else {
            model(plan, y, &mut self.buffers, &mut self.state, &mut self.path)?
        };
        fitted.non_negative = plan.non_negative.unwrap_or(!negative);
        let quantiles = plan.quantiles.iter().map(|(_, z)| z.abs());
        let widest = plan.levels.iter().map(|(_, z)| *z).chain(quantiles).fold(0.0, f64::max);
        let reaches = |(m, d): (&f64, &f64)| (m - widest * d).is_finite() && (m + widest * d).is_finite();
        if let Some(at) = self.path.mean.iter().zip(&self.path.deviation).position(|pair| !reaches(pair)) {
            let reason = format!("prediction interval exceeds the range of a 64-bit float: step={}", at + 1);
            return Err(Refusal::new(Status::Overflow, reason));
        }
        Ok(fitted)
    }

    fn write(&mut self, fitted: &Fitted) {
        let cutoff = self.series.times.last().copied();
        let counts = Some(&self.counts);
        // A shift is told by its time, which the positions lead to where no time was filled in.
        let shift = self.counts.level_shift.map(|at| (at + self.start) as i64);
        let shift = shift.and_then(|step| {
            let at = self.positions.partition_point(|&p| p < step);
            self.series.times.get(at).copied()
        });
        let (status, reason, unused) = (fitted.status, fitted.reason.as_deref(), self.regressors.unused.as_deref());
        let verdict = Verdict { model: Some(fitted.model), cutoff, status, reason, counts, shift, unused };
        let cut = |v: f64| if fitted.non_negative && v < 0.0 { 0.0 } else { v };
        let known = |v: f64| fitted.bounds.then(|| cut(v));
        let plan = &self.plan;
        for (t, (&time, (&mean, &deviation))) in
            self.future.iter().zip(self.path.mean.iter().zip(&self.path.deviation)).enumerate()
        {
            let bounds = plan.levels.iter().flat_map(|(_, z)| [-z, *z]).chain(plan.quantiles.iter().map(|(_, z)| *z));
            let bounds = bounds.map(|z| known(mean + z * deviation));
            self.rows.forecast(time, t as i32 + 1, cut(mean), bounds, verdict);
        }
    }
}

/// Goes down the ladder of models to the first that the series is long enough for, and forecasts with it.
fn model(plan: &Plan, y: &[f64], buffers: &mut Buffers, state: &mut State, path: &mut Path) -> Result<Fitted, Refusal> {
    let n = y.iter().filter(|v| !v.is_nan()).count();
    let least = |choice: &Choice| choice.kernel.observations_min();
    let fits = |choice: &&Choice| n >= least(choice);
    let too_short = |choice: &Choice| Refusal::too_short(choice.model.name(), least(choice), n);
    let Some(chosen) = plan.ladder.iter().find(fits) else { return Err(too_short(&plan.ladder[0])) };
    let short = plan.ladder.first().filter(|first| !fits(first)).map(|first| too_short(first).reason);
    let spread = caught(&chosen.text, || forecast(chosen, y, plan.horizon, buffers, state, path))?;
    let bounds = spread == Spread::Known;
    let asked = !plan.levels.is_empty() || !plan.quantiles.is_empty();
    let unknown = (!bounds && asked)
        .then(|| format!("{} needs n>{} for an interval, has n={n}", chosen.model.name(), least(chosen)));
    let (status, reason) = match (short, unknown) {
        (None, None) => (Status::Ok, None),
        (None, Some(unknown)) => (Status::NoInterval, Some(unknown)),
        (Some(short), None) => (Status::Fallback, Some(short)),
        (Some(short), Some(unknown)) => (Status::Fallback, Some(format!("{short}; {unknown}"))),
    };
    Ok(Fitted { model: chosen.model.name(), status, reason, bounds, non_negative: false })
}

/// A panic of the mathematics costs its series alone.
fn caught<T>(what: &str, run: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let said =
            panic.downcast_ref::<&str>().map(|s| s.to_string()).or_else(|| panic.downcast_ref::<String>().cloned());
        let reason = format!("model {what} panicked, please report it: {}", said.unwrap_or_default());
        Err(Refusal::new(Status::Bug, reason))
    })
}

/// Which model forecast, and how that came.
struct Fitted {
    model: &'static str,
    status: Status,
    reason: Option<String>,
    bounds: bool,
    /// Whether nothing below zero is told.
    non_negative: bool,
}

impl GroupWorker for Worker {
    fn side(&mut self, name: &str, rows: &RecordBatch) -> Result<()> {
        if name != "holidays" {
            return Err(Error::Bug(format!("no such table: name={name}")));
        }
        self.holidays = Holidays::read(rows, &self.plan.clock)?;
        Ok(())
    }

    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        if self.rows_in == 0
            && let Some(key) = (0..plan.layout.keys).find(|&k| rows.num_rows() > 0 && rows.column(k).is_null(0))
        {
            let name = rows.schema_ref().field(key).name().clone();
            self.series.fault(Status::NullId, format!("id is null, filter or mend the rows: column={name}"));
        }
        self.rows_in += rows.num_rows() as u64;
        if let Some(last) = &mut self.shed {
            *last = plan.layout.last_observed(rows, &plan.clock)?.or(*last);
            return Ok(());
        }
        self.series.append(rows, &plan.layout, &plan.clock, plan.cleaning.fill)
    }

    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome> {
        context.check_cancelled()?;
        let result = self.compute(context);
        let outcome = match &result {
            Ok(Ok(fitted)) => {
                self.write(fitted);
                Ok(Outcome { rows: self.future.len(), refused: false })
            }
            Ok(Err(refusal)) => {
                let last = self.series.times.last().copied().or(self.shed.flatten());
                let cutoff = last.filter(|t| self.plan.clock.holds(*t));
                let (status, reason) = (refusal.status, Some(refusal.reason.as_str()));
                self.rows.refusal(Verdict { cutoff, status, reason, ..Verdict::default() });
                Ok(Outcome { rows: 1, refused: true })
            }
            Err(_) => Ok(Outcome { rows: 0, refused: true }),
        };
        self.clear();
        result.and(outcome)
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        self.rows.take(&self.plan.clock)
    }

    fn memory_bytes(&self) -> usize {
        let words = self.series.capacity()
            + self.positions.capacity()
            + self.filled.capacity()
            + self.future.capacity()
            + self.path.mean.capacity()
            + self.path.deviation.capacity();
        let beside = self.regressors.memory_bytes() + self.holidays.memory_bytes();
        8 * words + beside + self.buffers.memory_bytes() + self.rows.memory_bytes()
    }

    fn shed(&mut self) -> bool {
        if self.shed.is_none() {
            self.shed = Some(self.series.times.last().copied());
            self.let_go();
        }
        true
    }
}
