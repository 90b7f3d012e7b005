//! One series after the other: checks, calendar, model, rows.
//!
//! In: the rows of a series, ascending by time. Out: one row per step, or one row that says why not.

use super::calendar::{Calendar, Clock, Frequency};
use super::rows::{Rows, Verdict};
use super::status::{Refusal, Status};
use super::forecaster::{Fitted, Forecaster, Terms};
use crate::error::{Error, Result};
use crate::functions::{GroupContext, GroupWorker, Outcome};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use std::sync::Arc;

/// Longest series after filling: a gap that fills to more is refused, not filled.
const FILLED_MAX: i64 = 10_000_000;

/// Buffers beyond this are not kept for the next series.
const KEPT_BYTES: usize = 1 << 20;

/// What to do with a time of the calendar that has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// Refuse the series.
    Error,
    /// Take zero.
    Zero,
    /// Take the value before.
    Previous,
}

/// The checked arguments of a call.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) clock: Clock,
    pub(super) keys: usize,
    pub(super) horizon: usize,
    pub(super) frequency: Frequency,
    pub(super) terms: Arc<Terms>,
    /// Percent, and the half width in standard deviations.
    pub(super) levels: Vec<(i64, f64)>,
    pub(super) fill: Fill,
}

/// Forecasts the series of one partition.
pub(super) struct Worker {
    plan: Arc<Plan>,
    times: Vec<i64>,
    values: Vec<f64>,
    positions: Vec<i64>,
    filled: Vec<f64>,
    future: Vec<i64>,
    /// The first thing wrong with the rows so far.
    fault: Option<Refusal>,
    /// Rows of the series, held or not.
    rows_in: u64,
    /// The last time of a series whose rows are no longer held.
    shed: Option<Option<i64>>,
    forecaster: Forecaster,
    rows: Rows,
}

impl Worker {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        let rows = Rows::new(plan.levels.len());
        let forecaster = Forecaster::new(Arc::clone(&plan.terms));
        Self {
            plan,
            times: Vec::new(),
            values: Vec::new(),
            positions: Vec::new(),
            filled: Vec::new(),
            future: Vec::new(),
            fault: None,
            rows_in: 0,
            shed: None,
            forecaster,
            rows,
        }
    }

    /// Keeps the graver of two faults: an id or time that is null makes the rest meaningless.
    fn fault(&mut self, status: Status, reason: String) {
        if self.fault.as_ref().is_none_or(|f| is_grave(status) && !is_grave(f.status)) {
            self.fault = Some(Refusal::new(status, reason));
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
        self.times.clear();
        self.values.clear();
        self.fault = None;
        self.rows_in = 0;
        self.shed = None;
        let words = self.times.capacity() + self.positions.capacity() + self.filled.capacity();
        if 8 * words > KEPT_BYTES {
            self.let_go();
        }
    }

    /// Frees all buffers that grow with the series.
    fn let_go(&mut self) {
        self.times = Vec::new();
        self.values = Vec::new();
        self.positions = Vec::new();
        self.filled = Vec::new();
        self.forecaster.let_go();
    }

    /// Takes rows without nulls, the usual case, by copying slices; else row by row.
    fn append(&mut self, times: &arrow::array::Int64Array, column: &ArrayRef, values: &Float64Array) {
        let first = self.times.len();
        if times.null_count() == 0 && values.null_count() == 0 {
            self.times.extend_from_slice(times.values());
            self.values.extend_from_slice(values.values());
            return;
        }
        for row in 0..times.len() {
            if column.is_null(row) {
                self.fault(
                    Status::NullTime,
                    format!("time is null, drop or mend the row: position={}", first + row + 1),
                );
            } else if times.is_null(row) {
                self.fault(
                    Status::OutOfRange,
                    format!("time exceeds 64-bit signed integers: position={}", first + row + 1),
                );
            } else {
                self.times.push(times.value(row));
                self.values.push(if values.is_null(row) { 0.0 } else { values.value(row) });
                if values.is_null(row) {
                    let time = self.plan.clock.text(times.value(row));
                    self.fault(Status::NullValue, format!("value is null, drop the row or put a number: time={time}"));
                }
            }
        }
    }

    /// All checks, in the order of the columns, then calendar and model.
    fn compute(&mut self, context: &dyn GroupContext) -> Result<Result<Fitted, Refusal>> {
        let plan = Arc::clone(&self.plan);
        if self.shed.is_some() {
            let grave = self.fault.take().filter(|f| is_grave(f.status));
            return Ok(Err(grave.unwrap_or_else(|| self.too_large())));
        }
        if let Some(down) = self.times.windows(2).find(|w| w[1] < w[0]) {
            return Err(Error::Bug(format!(
                "rows of a group arrived out of order: before={}, after={}",
                down[0], down[1]
            )));
        }
        if let Err(refusal) = self.check(&plan) {
            return Ok(Err(refusal));
        }
        // The positions on the calendar, and what a model makes of the values.
        if let Err(refusal) = self.reserve(context, 2 * self.times.len())? {
            return Ok(Err(refusal));
        }
        let calendar = match self.place(&plan) {
            Ok(calendar) => calendar,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let last = self.positions.last().copied().unwrap_or(0);
        if plan.fill != Fill::Error
            && (self.positions.len() as i64) < last + 1
            && last < FILLED_MAX
            && let Err(refusal) = self.reserve(context, 2 * (last as usize + 1))?
        {
            return Ok(Err(refusal));
        }
        if let Err(refusal) = self.fill(&plan, &calendar, last) {
            return Ok(Err(refusal));
        }
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
                    return Ok(Err(Refusal::new(Status::OutOfRange, reason)));
                }
            }
        }
        Ok(self.fit(&plan))
    }

    fn check(&mut self, plan: &Plan) -> Result<(), Refusal> {
        let found = self.fault.take();
        if let Some(fault) = found.as_ref().filter(|f| f.status != Status::NullValue) {
            return Err(fault.clone());
        }
        if let Some(&time) = self.times.iter().find(|&&t| !plan.clock.holds(t)) {
            return Err(Refusal::new(
                Status::OutOfRange,
                format!("time is outside the years 1 to 9999 or its type: time={time}, type={}", plan.clock.kind()),
            ));
        }
        if let Some(w) = self.times.windows(2).find(|w| w[0] == w[1]) {
            return Err(Refusal::new(
                Status::DuplicateTime,
                format!("time occurs twice, aggregate first: time={}", plan.clock.text(w[0])),
            ));
        }
        if let Some(fault) = found {
            return Err(fault);
        }
        match self.values.iter().position(|v| !v.is_finite()) {
            None => Ok(()),
            Some(at) => Err(Refusal::new(
                Status::NotFinite,
                format!("value is not finite: time={}, value={}", plan.clock.text(self.times[at]), self.values[at]),
            )),
        }
    }

    fn place(&mut self, plan: &Plan) -> Result<Calendar, Refusal> {
        let calendar = Calendar::of(&plan.clock, plan.frequency, &self.times)?;
        calendar.positions(&plan.clock, &self.times, &mut self.positions)?;
        Ok(calendar)
    }

    /// Puts the values on the calendar. Leaves `filled` empty if no time is missing.
    fn fill(&mut self, plan: &Plan, calendar: &Calendar, last: i64) -> Result<(), Refusal> {
        self.filled.clear();
        let Some((missing, _)) = (0..).zip(&self.positions).find(|(expected, position)| expected != *position) else {
            return Ok(());
        };
        let time = calendar.at(&plan.clock, missing).map_or_else(|| "?".into(), |t| plan.clock.text(t));
        let gap = |why: &str| {
            let steps = calendar.words(&plan.clock);
            let missing = last + 1 - self.positions.len() as i64;
            Err(Refusal::new(Status::Gap, format!("{why}: first_missing={time}, missing={missing}, step={steps}")))
        };
        if plan.fill == Fill::Error {
            return gap("times are missing, set fill => 'zero' or 'previous'");
        }
        if last >= FILLED_MAX {
            return gap("too many times are missing to fill them, set a coarser freq");
        }
        let mut before = 0.0;
        for (&position, &value) in self.positions.iter().zip(&self.values) {
            let blank = if plan.fill == Fill::Zero { 0.0 } else { before };
            self.filled.resize(position as usize, blank);
            self.filled.push(value);
            before = value;
        }
        Ok(())
    }

    fn fit(&mut self, _plan: &Plan) -> Result<Fitted, Refusal> {
        let y = if self.filled.is_empty() { &self.values } else { &self.filled };
        self.forecaster.fit(y)
    }

    fn write(&mut self, fitted: &Fitted) {
        let cutoff = self.times.last().copied();
        let verdict =
            Verdict { model: Some(&fitted.model), cutoff, status: fitted.status, reason: fitted.reason.as_deref() };
        let mut out = vec![];
        for (t, &time) in self.future.iter().enumerate() {
            let mean = self.forecaster.step(t, &mut out);
            let bounds = (0..2 * self.plan.levels.len()).map(|k| fitted.bounds.then(|| out[k]));
            self.rows.forecast(time, t as i32 + 1, mean, bounds, verdict);
        }
    }
}

/// Whether a fault makes everything else about the series meaningless.
fn is_grave(status: Status) -> bool {
    matches!(status, Status::NullId | Status::NullTime | Status::OutOfRange)
}

impl GroupWorker for Worker {
    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        let keys = self.plan.keys;
        if self.rows_in == 0
            && let Some(key) = (0..keys).find(|&k| rows.num_rows() > 0 && rows.column(k).is_null(0))
        {
            let name = rows.schema_ref().field(key).name().clone();
            self.fault(Status::NullId, format!("id is null, filter or mend the rows: column={name}"));
        }
        self.rows_in += rows.num_rows() as u64;
        let column = rows.column(keys);
        let times = self.plan.clock.integers(column)?;
        if let Some(last) = &mut self.shed {
            *last = times.iter().next_back().flatten().or(*last);
            return Ok(());
        }
        let values = cast(rows.column(keys + 1), &DataType::Float64)?;
        self.append(&times, column, values.as_primitive());
        Ok(())
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
                let last = self.times.last().copied().or(self.shed.flatten());
                let cutoff = last.filter(|t| self.plan.clock.holds(*t));
                let (status, reason) = (refusal.status, Some(refusal.reason.as_str()));
                self.rows.refusal(Verdict { model: None, cutoff, status, reason });
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
        let words = self.times.capacity()
            + self.values.capacity()
            + self.positions.capacity()
            + self.filled.capacity()
            + self.future.capacity();
        8 * words + self.forecaster.memory_bytes() + self.rows.memory_bytes()
    }

    fn shed(&mut self) -> bool {
        if self.shed.is_none() {
            self.shed = Some(self.times.last().copied());
            self.let_go();
        }
        true
    }
}
