//! One series after the other: checks, cleaning, calendar, model, rows.
//!
//! In: the rows of a series, ascending by time. Out: one row per step, or one row that says why not.

use super::Buffers;
use super::calendar::{Calendar, Clock, Frequency};
use super::clean::{self, Counts, Duplicates, Fill};
use super::effects::Pooling;
use super::fit::Fit;
use super::forecaster::{Fitted, Forecaster, Progress, Terms};
use super::memory::Unusable;
use super::pool_effects::{POOLS, Pools};
use super::regressors::{Holidays, Known, On, Regressors};
use super::rows::{Rows, Verdict};
use super::series::{Layout, Series};
use super::status::{Refusal, Status, caught};
use crate::error::{Error, Result};
use crate::forecast::model::observed_count;
use crate::functions::{GroupContext, GroupWorker, Outcome};
use arrow::array::{Array, ArrayRef, RecordBatch};
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
    /// The last time of the series, and its last value before anything was capped.
    cutoff: Option<i64>,
    last_value: f64,
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
            cutoff: None,
            last_value: f64::NAN,
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
        if 8 * words + self.forecaster.memory_bytes() + self.buffers.memory_bytes() > KEPT_BYTES {
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
        if self.series.has_state
            && let Some(fitted) = or_refuse!(self.resume(&plan, context)?)
        {
            return Ok(Ok(fitted));
        }
        (self.cutoff, self.last_value) =
            (self.series.times.last().copied(), self.series.values.last().copied().unwrap_or(f64::NAN));
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
        or_refuse!(self.fill(plan, &calendar, 0, 0));
        or_refuse!(self.clean(plan));
        Ok(Ok(calendar))
    }

    fn place(&mut self, plan: &Plan) -> Result<Calendar, Refusal> {
        let calendar = Calendar::of(&plan.clock, plan.frequency, &self.series.times)?;
        calendar.positions(&plan.clock, &self.series.times, &mut self.positions)?;
        Ok(calendar)
    }

    /// Puts the values from the `first` on on the calendar, on which they begin at step `begin`, after the last value that
    /// was there before. Leaves `filled` empty if no time is missing.
    fn fill(&mut self, plan: &Plan, calendar: &Calendar, begin: i64, first: usize) -> Result<(), Refusal> {
        self.filled.clear();
        let Some((missing, _)) = (begin..).zip(&self.positions).find(|(expected, position)| expected != *position)
        else {
            return Ok(());
        };
        let width = self.positions.last().map_or(0, |last| last + 1 - begin);
        let gap = |why: &str| {
            let time = calendar.at(&plan.clock, missing).map_or_else(|| "?".into(), |t| plan.clock.text(t));
            let (missing, steps) = (width - self.positions.len() as i64, calendar.words(&plan.clock));
            Err(Refusal::new(Status::Gap, format!("{why}: first_missing={time}, missing={missing}, step={steps}")))
        };
        if plan.cleaning.fill == Fill::Error {
            return gap("times are missing, set fill => 'null', 'zero' or 'previous'");
        }
        if width > FILLED_MAX {
            return gap("too many times are missing to fill them, set a coarser freq");
        }
        let mut before = if begin > 0 { self.last_value } else { 0.0 };
        for (&position, &value) in self.positions.iter().zip(&self.series.values[first..]) {
            let blank = match plan.cleaning.fill {
                Fill::Zero => 0.0,
                Fill::Previous => before,
                Fill::Null | Fill::Error => f64::NAN,
            };
            self.filled.resize((position - begin) as usize, blank);
            self.filled.push(value);
            before = value;
        }
        self.counts.filled += width as usize - self.positions.len();
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
            let fitted = caught("forecast", || self.forecaster.fit(self.regressors.adjusted(), y));
            if fitted.is_ok() {
                self.regressors.put_back(&mut self.forecaster.path);
                self.forecaster.check()?;
            }
            fitted
        } else {
            caught("forecast", || self.forecaster.fit(y, y))
        };
        let fitted = self.sound(fitted)?;
        if plan.fitted {
            self.remember(plan, calendar, self.positions.last().copied().unwrap_or(0));
        }
        Ok(fitted)
    }

    /// Passes a result on. Of a forecaster that panicked nothing is used again.
    fn sound<T>(&mut self, result: Result<T, Refusal>) -> Result<T, Refusal> {
        if result.as_ref().is_err_and(|r| r.status == Status::Bug) {
            self.forecaster.let_go();
        }
        result
    }

    /// Writes down where the series stands, for the next night. `last`: the step of its last time on the calendar.
    fn remember(&mut self, plan: &Plan, calendar: &Calendar, last: i64) {
        let memory = &mut self.forecaster.memory;
        (memory.arguments, memory.calendar, memory.last) = (plan.arguments, *calendar, last);
        memory.last_value = self.last_value;
        self.state.clear();
        memory.write(&mut self.state);
    }

    /// Goes on from last night's state if it is of the same arguments and no new fit is due; else says so in `fit`.
    ///
    /// Rows up to the last time of the state are history: whatever they say now, the state stands, until a fit from them
    /// is due. They are enough for one if they reach back over half of the series.
    fn resume(&mut self, plan: &Plan, context: &dyn GroupContext) -> Result<Result<Option<Fitted>, Refusal>> {
        if let Err(unusable) = self.forecaster.remember(&self.series.state, plan.arguments, &plan.clock) {
            if self.series.times.is_empty() {
                return Ok(Err(unusable.refusal()));
            }
            self.fit = if unusable == Unusable::Arguments { Fit::Arguments } else { Fit::Unreadable };
            return Ok(Ok(None));
        }
        let memory = &self.forecaster.memory;
        let (calendar, old) = (memory.calendar, memory.last);
        let Some(last_time) = calendar.at(&plan.clock, old) else {
            let refusal = Unusable::Broken.refusal();
            self.fit = Fit::Unreadable;
            return Ok(if self.series.times.is_empty() { Err(refusal) } else { Ok(None) });
        };
        self.last_value = memory.last_value;
        let first = self.series.times.partition_point(|t| *t <= last_time);
        let reach = |from: i64| i128::from(last_time) - i128::from(from);
        let oldest = self.series.times[..first].first();
        let has_history = oldest.is_some_and(|&oldest| 2 * reach(oldest) >= reach(calendar.origin()));
        let counts = self.counts;
        let moved = match self.news(plan, &calendar, old, first, context)? {
            Ok(()) => self.move_on(plan, &calendar, old, first, last_time),
            Err(refusal) => Err((refusal, Fit::Calendar)),
        };
        Ok(match moved {
            Ok(fitted) if self.fit == Fit::Updated || !has_history => {
                if self.fit != Fit::Updated {
                    self.fit = Fit::Due;
                }
                if plan.fitted {
                    let last = self.positions.last().copied().unwrap_or(old);
                    self.remember(plan, &calendar, last);
                }
                Ok(Some(fitted))
            }
            Err((refusal, _)) if !has_history => Err(refusal),
            other => {
                // The history is there: fit anew from all of it.
                if let Err((_, fit)) = other {
                    self.fit = fit;
                }
                self.counts = counts;
                Ok(None)
            }
        })
    }

    /// Puts the values after step `old` on the calendar of the state.
    fn news(
        &mut self,
        plan: &Plan,
        calendar: &Calendar,
        old: i64,
        first: usize,
        context: &dyn GroupContext,
    ) -> Result<Result<(), Refusal>> {
        or_refuse!(calendar.further(&plan.clock, &self.series.times[first..], &mut self.positions));
        let last = self.positions.last().copied().unwrap_or(old);
        if last - old > self.positions.len() as i64 && plan.cleaning.fill != Fill::Error && last - old <= FILLED_MAX {
            or_refuse!(self.reserve(context, 2 * (last - old) as usize)?);
        }
        Ok(self.fill(plan, calendar, old + 1, first))
    }

    /// Moves the models of the state on by the new values and looks ahead. Errors: why not, and what that means for the fit.
    fn move_on(
        &mut self,
        plan: &Plan,
        calendar: &Calendar,
        old: i64,
        first: usize,
        last_time: i64,
    ) -> Result<Fitted, (Refusal, Fit)> {
        let y = if self.filled.is_empty() { &self.series.values[first..] } else { &self.filled };
        let (steps, lot) = (self.forecaster.memory.steps(), u64::from(self.forecaster.memory.lot));
        let turn = |steps: u64| steps.wrapping_add(lot) / plan.refit_every;
        let due = turn(steps.wrapping_add(y.len() as u64)) != turn(steps);
        self.counts.observed = observed_count(&self.series.values[first..]);
        let progress = caught("update", || self.forecaster.resume(y));
        let progress = self.sound(progress).map_err(|refusal| (refusal, Fit::Overflow))?;
        self.fit = match (progress, due) {
            (Progress::Tripped, _) => Fit::Tracking,
            (Progress::Updated, true) => Fit::Rolling,
            (Progress::Updated, false) => Fit::Updated,
        };
        if let (Some(&time), Some(&value)) = (self.series.times[first..].last(), self.series.values.last()) {
            (self.cutoff, self.last_value) = (Some(time), value);
        } else {
            self.cutoff = Some(last_time);
        }
        let last = self.positions.last().copied().unwrap_or(old);
        self.look_ahead(plan, calendar, last).map_err(|refusal| (refusal, Fit::Calendar))?;
        self.start = 0;
        Ok(self.forecaster.told())
    }

    fn write(&mut self, fitted: &Fitted) {
        let cutoff = self.cutoff;
        let counts = Some(&self.counts);
        // A shift is told by its time, which the positions lead to where no time was filled in.
        let shift = self.counts.level_shift.map(|at| (at + self.start) as i64);
        let shift = shift.and_then(|step| {
            let at = self.positions.partition_point(|&p| p < step);
            self.series.times.get(at).copied()
        });
        let (status, reason, unused) = (fitted.status, fitted.reason.as_deref(), self.regressors.unused.as_deref());
        let (fit, state) = (Some(self.fit.name()), self.plan.fitted.then_some(self.state.as_slice()));
        let effects = self.regressors.told.as_deref();
        let mut bounds = self.buffers.take(0);
        for t in 0..self.future.len() {
            let mean = self.forecaster.step(t, &mut bounds);
            self.rows.step(mean, fitted.bounds.then_some(bounds.as_slice()));
        }
        self.buffers.give(bounds);
        let (model, class) = (Some(self.forecaster.model.as_str()), Some(fitted.class.name()));
        // State and effects stand once, on the first row.
        let verdict = Verdict { model, class, cutoff, status, reason, counts, shift, unused, effects, fit, state };
        self.rows.forecast(&self.future, fitted.bounds, verdict);
    }
}

fn on<'a>(plan: &'a Plan, calendar: &'a Calendar, positions: &'a [i64], start: usize, values: usize) -> On<'a> {
    let (horizon, season_length) = (plan.terms.horizon, plan.terms.season_length);
    On { clock: &plan.clock, calendar, positions, start, values, horizon, season_length }
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
