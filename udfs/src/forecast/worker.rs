//! One series after the other: checks, cleaning, calendar, model, rows.
//!
//! In: the rows of a series, ascending by time. Out: one row per step, or one row that says why not.

use super::Buffers;
use super::calendar::{Calendar, Clock, Frequency};
use super::clean::{self, Counts, Duplicates, Fill};
use super::effects::Pooling;
use super::fit::Fit;
use super::forecaster::{Fitted, Forecaster, Progress, Terms};
use super::pool_effects::{POOLS, Pools};
use super::regressors::{Holidays, Known, On, Regressors};
use super::rows::{Rows, Verdict};
use super::series::{Layout, Series};
use super::status::{Refusal, Status, panic_text};
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
    pub(super) frequency: Frequency,
    /// Model, season, horizon, bounds.
    pub(super) terms: Arc<Terms>,
    pub(super) cleaning: Cleaning,
    /// Steps after which a series that goes on from its state is fitted anew.
    pub(super) refit_every: u64,
    /// Hash of the arguments that a fit depends on.
    pub(super) arguments: u64,
    /// Whether the state of each series comes out.
    pub(super) fitted: bool,
    /// Names of the regressors, in the order of their columns.
    pub(super) regressors: Vec<String>,
    pub(super) holidays: bool,
}

impl Plan {
    /// Whether to tell what became of last night's state.
    pub(super) fn tells_fit(&self) -> bool {
        self.fitted || self.layout.state.is_some()
    }

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
    pools: Pools,
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
    forecaster: Forecaster,
    /// What became of last night's state.
    fit: Fit,
    /// The state of the series, written.
    state: Vec<u8>,
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
        let rows = Rows::new(plan.terms.asked.columns(), plan.has_effects(), plan.tells_fit(), plan.fitted);
        Self {
            forecaster: Forecaster::new(Arc::clone(&plan.terms)),
            fit: Fit::Fitted,
            state: Vec::new(),
            plan,
            holidays: Holidays::default(),
            pools: Pools::default(),
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
            rows,
        }
    }

    /// Says that the series' id is null.
    pub(super) fn null_id(&mut self, column: &str) {
        self.series.fault(Status::NullId, format!("id is null, filter or mend the rows: column={column}"));
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
    pub(super) fn clear(&mut self) {
        self.series.clear();
        self.pools.clear();
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
        self.forecaster.let_go();
    }

    /// Checks, cleaning, calendar and model.
    fn compute(&mut self, context: &dyn GroupContext) -> Result<Result<Fitted, Refusal>> {
        let plan = Arc::clone(&self.plan);
        or_refuse!(self.take_up(&plan, context)?);
        self.fit = Fit::Fitted;
        (self.regressors.unused, self.regressors.told) = (None, None);
        if let Some(bytes) = self.series.state.take()
            && let Some(fitted) = or_refuse!(self.resume(&plan, &bytes))
        {
            return Ok(Ok(fitted));
        }
        let calendar = or_refuse!(self.lay_out(&plan, context)?);
        let last = self.positions.last().copied().unwrap_or(0);
        or_refuse!(self.look_ahead(&plan, &calendar, last));
        Ok(self.fit(&plan, &calendar))
    }

    /// Checks, cleaning and calendar alone, then the series is added to those of its group, which `of` names by pace, first
    /// step and length. Whether it could be used.
    pub(super) fn pool<'a>(
        &mut self,
        context: &dyn GroupContext,
        of: impl FnOnce((u8, i64), i64, usize) -> Option<&'a mut Pooling>,
    ) -> Result<Result<bool, Refusal>> {
        let plan = Arc::clone(&self.plan);
        or_refuse!(self.take_up(&plan, context)?);
        let calendar = or_refuse!(self.lay_out(&plan, context)?);
        let y = if self.filled.is_empty() { &self.series.values } else { &self.filled };
        let y = &y[self.start..];
        let first = calendar.since_epoch(&plan.clock, self.start as i64);
        let Some((first, pooling)) = first.and_then(|f| Some((f, of(calendar.pace(), f, y.len())?))) else {
            return Ok(Ok(false));
        };
        let on = on(&plan, &calendar, &self.positions, self.start, y.len());
        let known = Known { names: &plan.regressors, holidays: &self.holidays, series: &self.series, on };
        self.regressors.add_to(pooling, first, y, &known, &mut self.buffers);
        Ok(Ok(true))
    }

    /// All checks, in the order of the columns; merges rows of one time.
    fn take_up(&mut self, plan: &Plan, context: &dyn GroupContext) -> Result<Result<(), Refusal>> {
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
        or_refuse!(self.reserve(context, 2 * self.series.times.len() + self.effect_words(plan))?);
        self.counts = Counts { closed: self.series.closed, filled: self.series.nulls, ..Counts::default() };
        self.counts.duplicates = self.series.merge(plan.cleaning.duplicates);
        Ok(Ok(()))
    }

    /// What the effects of columns known in the future take.
    fn effect_words(&self, plan: &Plan) -> usize {
        let width = self.series.times.len() + plan.terms.horizon;
        if plan.has_effects() { width * (4 + self.series.regressors.len()) } else { 0 }
    }

    /// Puts the series on its calendar and cleans it.
    fn lay_out(&mut self, plan: &Plan, context: &dyn GroupContext) -> Result<Result<Calendar, Refusal>> {
        let calendar = or_refuse!(self.place(plan));
        let last = self.positions.last().copied().unwrap_or(0);
        let gaps = (self.positions.len() as i64) < last + 1;
        if plan.cleaning.fill != Fill::Error && gaps && last < FILLED_MAX {
            or_refuse!(self.reserve(context, 2 * (last as usize + 1) + self.effect_words(plan))?);
        }
        or_refuse!(self.fill(plan, &calendar, last));
        or_refuse!(self.clean(plan));
        Ok(Ok(calendar))
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
            self.counts.spikes = Some(clean::cap_spikes(y, plan.terms.season_length, &mut scratch));
            self.buffers.give(scratch);
        }
        (self.counts.level_shifts, self.counts.level_shift) = clean::level_shifts(y, plan.terms.season_length);
        let own = self.positions.iter().zip(&self.series.values).filter(|(p, v)| **p >= start as i64 && !v.is_nan());
        self.counts.observed = own.count();
        Ok(())
    }

    /// The times of the horizon.
    fn look_ahead(&mut self, plan: &Plan, calendar: &Calendar, last: i64) -> Result<(), Refusal> {
        self.future.clear();
        for step in 1..=plan.terms.horizon as i64 {
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
        let fitted = if plan.has_effects() {
            let on = on(plan, calendar, &self.positions, self.start, y.len());
            let known = Known { names: &plan.regressors, holidays: &self.holidays, series: &self.series, on };
            let (regressors, pool, buffers) = (&mut self.regressors, self.pools.current(), &mut self.buffers);
            caught("effects", || {
                regressors.fit(y, &known, pool, buffers);
                Ok(())
            })?;
            let fitted = self.forecaster.fit(self.regressors.adjusted(), y)?;
            self.regressors.put_back(&mut self.forecaster.path);
            fitted
        } else {
            self.forecaster.fit(y, y)?
        };
        if plan.fitted {
            self.remember(plan, calendar, self.positions.last().copied().unwrap_or(0));
        }
        Ok(fitted)
    }

    /// Writes down where the series stands, for the next night. `last`: the step of its last time on the calendar.
    fn remember(&mut self, plan: &Plan, calendar: &Calendar, last: i64) {
        let memory = &mut self.forecaster.memory;
        memory.arguments = plan.arguments;
        memory.last_time = self.series.times.last().copied().unwrap_or(0);
        // Two times tell the calendar again. One value alone has no step before it.
        memory.time_before = calendar.at(&plan.clock, last - 1).unwrap_or(memory.last_time);
        memory.last_value = self.series.values.last().copied().unwrap_or(f64::NAN);
        self.state.clear();
        memory.write(&mut self.state);
    }

    /// Goes on from last night's state if it is of the same arguments and no new fit is due; else says so in `fit`.
    fn resume(&mut self, plan: &Plan, bytes: &[u8]) -> Result<Option<Fitted>, Refusal> {
        let unreadable = self.forecaster.remember(bytes);
        let memory = &self.forecaster.memory;
        let (last_time, first) = (memory.last_time, self.series.times.partition_point(|t| *t <= memory.last_time));
        let has_history = first > 0;
        match unreadable {
            Err(refusal) if !has_history && self.series.times.is_empty() => return Err(refusal),
            Err(_) => {
                self.fit = Fit::Unreadable;
                return Ok(None);
            }
            Ok(()) if memory.arguments != plan.arguments => {
                self.fit = Fit::Arguments;
                return Ok(None);
            }
            Ok(()) => {}
        }
        let times: Vec<i64> =
            [memory.time_before, last_time].into_iter().chain(self.series.times[first..].iter().copied()).collect();
        let from = usize::from(times[0] == times[1]);
        let calendar = Calendar::of(&plan.clock, plan.frequency, &times[from..])?;
        calendar.positions(&plan.clock, &times[from..], &mut self.positions)?;
        self.positions.drain(..1 - from);
        let begin = self.positions.first().copied().unwrap_or(0);
        self.positions.iter_mut().for_each(|p| *p -= begin);
        let before = memory.last_value;
        let (old_steps, salt) = (memory.steps(), memory.salt());
        let news = self.series.values.split_off(first);
        let gaps = self.positions.last().copied().unwrap_or(0) - news.len() as i64;
        let history = std::mem::replace(&mut self.series.values, std::iter::once(before).chain(news).collect());
        let kept = std::mem::replace(&mut self.series.times, times[1..].to_vec());
        if gaps > 0 {
            self.fill(plan, &calendar, self.positions.last().copied().unwrap_or(0))?;
        } else {
            self.filled.clear();
        }
        let y = if self.filled.is_empty() { &self.series.values } else { &self.filled };
        let progress = self.forecaster.resume(&y[1..])?;
        self.counts.observed = y[1..].iter().filter(|v| !v.is_nan()).count();
        let steps = old_steps + y.len() as u64 - 1;
        let due = (steps + salt) / plan.refit_every != (old_steps + salt) / plan.refit_every;
        self.fit = match (progress, due) {
            (Progress::Tripped, _) => Fit::Tracking,
            (Progress::Updated, true) => Fit::Rolling,
            (Progress::Updated, false) => Fit::Updated,
        };
        if self.fit != Fit::Updated && has_history {
            // The history is there: fit anew from all of it.
            let news = self.series.values.split_off(1);
            self.series.values = history.into_iter().chain(news).collect();
            self.series.times = kept;
            self.counts = Counts {
                closed: self.series.closed,
                filled: self.series.nulls,
                duplicates: self.counts.duplicates,
                ..Counts::default()
            };
            return Ok(None);
        }
        if self.fit != Fit::Updated {
            self.fit = Fit::Due;
        }
        let last = self.positions.last().copied().unwrap_or(0);
        // The calendar of the new times begins a step before the last one of the state.
        self.look_ahead(plan, &calendar, last + begin)?;
        self.start = 0;
        let told = self.forecaster.told();
        if plan.fitted {
            self.remember(plan, &calendar, last + begin);
        }
        Ok(Some(told))
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
        let (model, class) = (Some(fitted.model.as_str()), Some(fitted.class.name()));
        let (fit, mut state) = (Some(self.fit.name()), self.plan.fitted.then_some(self.state.as_slice()));
        let mut effects = self.regressors.told.as_deref();
        let mut bounds = self.buffers.take(0);
        for (t, &time) in self.future.iter().enumerate() {
            let mean = self.forecaster.step(t, &mut bounds);
            let verdict = Verdict { model, class, cutoff, status, reason, counts, shift, unused, effects, fit, state };
            let columns = (0..self.plan.terms.asked.columns()).map(|k| fitted.bounds.then(|| bounds[k]));
            self.rows.forecast(time, t as i32 + 1, mean, columns, verdict);
            // What is long stands once, on the first row.
            (state, effects) = (None, None);
        }
        self.buffers.give(bounds);
    }
}

fn on<'a>(plan: &'a Plan, calendar: &'a Calendar, positions: &'a [i64], start: usize, values: usize) -> On<'a> {
    let (horizon, season_length) = (plan.terms.horizon, plan.terms.season_length);
    On { clock: &plan.clock, calendar, positions, start, values, horizon, season_length }
}

/// A panic of the mathematics costs its series alone.
fn caught<T>(what: &str, run: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let reason = format!("{what} panicked, please report it: {}", panic_text(panic.as_ref()));
        Err(Refusal::new(Status::Bug, reason))
    })
}

impl GroupWorker for Worker {
    fn side(&mut self, name: &str, rows: &RecordBatch) -> Result<()> {
        match name {
            "holidays" => self.holidays = Holidays::read(rows, &self.plan.clock)?,
            POOLS => self.pools = Pools::read(rows)?,
            _ => return Err(Error::Bug(format!("no such table: name={name}"))),
        }
        Ok(())
    }

    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        if self.rows_in == 0
            && let Some(key) = (0..plan.layout.keys).find(|&k| rows.num_rows() > 0 && rows.column(k).is_null(0))
        {
            let name = rows.schema_ref().field(key).name().clone();
            self.null_id(&name);
        }
        self.rows_in += rows.num_rows() as u64;
        if let Some(last) = &mut self.shed {
            *last = plan.layout.last_observed(rows, &plan.clock)?.or(*last);
            return Ok(());
        }
        self.pools.see(rows, &plan.layout, &plan.clock)?;
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
        let words =
            self.series.capacity() + self.positions.capacity() + self.filled.capacity() + self.future.capacity();
        let beside = self.regressors.memory_bytes() + self.holidays.memory_bytes() + self.pools.memory_bytes();
        8 * words + beside + self.forecaster.memory_bytes() + self.buffers.memory_bytes() + self.rows.memory_bytes()
    }

    fn shed(&mut self) -> bool {
        if self.shed.is_none() {
            self.shed = Some(self.series.times.last().copied());
            self.let_go();
        }
        true
    }
}
