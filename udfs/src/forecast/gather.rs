//! The rows of one series, gathered for functions that look at it as a whole.
//!
//! In: record batches `[keys.., time, value]`, ascending by time. Out: times and values as vectors, how
//! many rows were null or not finite, or why the rows cannot be used at all.

use super::calendar::Clock;
use super::status::{Refusal, Status};
use crate::error::{Error, Result};
use crate::functions::GroupContext;
use arrow::array::{Array, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;

/// Most steps of a series on its calendar: a gap that needs more is not laid out.
pub(super) const STEPS_MAX: i64 = 10_000_000;

/// Buffers beyond this are not kept for the next series.
pub(super) const KEPT_BYTES: usize = 1 << 20;

/// The rows of the series at hand.
pub(super) struct Gathered {
    clock: Clock,
    keys: usize,
    /// Ascending; the same length as `values`.
    pub(super) times: Vec<i64>,
    /// NaN where the value is null or not finite.
    pub(super) values: Vec<f64>,
    /// Rows, held or not.
    pub(super) rows: u64,
    /// Rows whose value is null, and the time of the first.
    pub(super) nulls: (u64, Option<i64>),
    /// Rows whose value is NaN or infinite, and time and value of the first.
    pub(super) not_finite: (u64, Option<(i64, f64)>),
    /// What makes the series useless.
    fault: Option<Refusal>,
    /// Set once the rows are no longer held.
    shed: bool,
}

impl Gathered {
    pub(super) fn new(clock: Clock, keys: usize) -> Self {
        Self {
            clock,
            keys,
            times: Vec::new(),
            values: Vec::new(),
            rows: 0,
            nulls: (0, None),
            not_finite: (0, None),
            fault: None,
            shed: false,
        }
    }

    /// Takes further rows.
    pub(super) fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        if self.rows == 0
            && let Some(key) = (0..self.keys).find(|&k| rows.num_rows() > 0 && rows.column(k).is_null(0))
        {
            let name = rows.schema_ref().field(key).name().clone();
            self.fault(Status::NullId, format!("id is null, filter or mend the rows: column={name}"));
        }
        let first = self.rows + 1;
        self.rows += rows.num_rows() as u64;
        if self.shed {
            return Ok(());
        }
        let column = rows.column(self.keys);
        let times = self.clock.integers(column)?;
        for row in 0..if times.null_count() > 0 { times.len() } else { 0 } {
            let position = first + row as u64;
            if column.is_null(row) {
                self.fault(Status::NullTime, format!("time is null, drop or mend the row: position={position}"));
            } else if times.is_null(row) {
                self.fault(Status::OutOfRange, format!("time exceeds 64-bit signed integers: position={position}"));
            }
        }
        self.times.extend_from_slice(times.values());
        let values = cast(rows.column(self.keys + 1), &DataType::Float64)?;
        self.append(values.as_primitive(), times.values());
        Ok(())
    }

    fn append(&mut self, values: &Float64Array, times: &[i64]) {
        if values.null_count() == 0 && values.values().iter().all(|v| v.is_finite()) {
            self.values.extend_from_slice(values.values());
            return;
        }
        for (value, &time) in values.iter().zip(times) {
            match value {
                Some(v) if v.is_finite() => self.values.push(v),
                Some(v) => {
                    self.not_finite.0 += 1;
                    self.not_finite.1.get_or_insert((time, v));
                    self.values.push(f64::NAN);
                }
                None => {
                    self.nulls.0 += 1;
                    self.nulls.1.get_or_insert(time);
                    self.values.push(f64::NAN);
                }
            }
        }
    }

    /// The first fault stands.
    fn fault(&mut self, status: Status, reason: String) {
        self.fault.get_or_insert_with(|| Refusal::new(status, reason));
    }

    /// Whether ids and times can be used. Errors: `Bug` if the rows are out of order.
    pub(super) fn check(&self) -> Result<Result<(), Refusal>> {
        if let Some(fault) = &self.fault {
            return Ok(Err(fault.clone()));
        }
        if self.shed {
            return Ok(Err(self.too_large()));
        }
        if let Some(down) = self.times.windows(2).find(|w| w[1] < w[0]) {
            let (before, after) = (down[0], down[1]);
            return Err(Error::Bug(format!("rows of a group arrived out of order: before={before}, after={after}")));
        }
        Ok(match self.times.iter().find(|&&t| !self.clock.holds(t)) {
            None => Ok(()),
            Some(time) => {
                let kind = self.clock.kind();
                let reason = format!("time is outside the years 1 to 9999 or its type: time={time}, type={kind}");
                Err(Refusal::new(Status::OutOfRange, reason))
            }
        })
    }

    /// Asks for so many words beside `held` bytes. Refuses the series that cannot have them.
    pub(super) fn reserve(&self, context: &dyn GroupContext, held: usize, words: usize) -> Result<Result<(), Refusal>> {
        match context.reserve(held + 8 * words) {
            Err(Error::Limit(_)) => Ok(Err(self.too_large())),
            done => done.map(Ok),
        }
    }

    fn too_large(&self) -> Refusal {
        let (rows, bytes) = (self.rows, self.rows * 16);
        let next = "raise --memory, or filter the series or aggregate it to a coarser time";
        Refusal::new(Status::TooLarge, format!("no memory is left for the series, {next}: rows={rows}, bytes={bytes}"))
    }

    /// Lets go of the rows; further ones are counted only.
    pub(super) fn shed(&mut self) {
        self.shed = true;
        self.let_go();
    }

    fn let_go(&mut self) {
        (self.times, self.values) = (Vec::new(), Vec::new());
    }

    /// Ends the series; buffers of a usual size stay.
    pub(super) fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        if self.memory_bytes() > KEPT_BYTES {
            self.let_go();
        }
        (self.rows, self.nulls, self.not_finite) = (0, (0, None), (0, None));
        (self.fault, self.shed) = (None, false);
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        8 * (self.times.capacity() + self.values.capacity())
    }
}

/// Frees vectors that a long series has left larger than usual.
pub(super) fn shrink(vectors: &mut [&mut Vec<f64>]) {
    for vector in vectors.iter_mut().filter(|v| 8 * v.capacity() > KEPT_BYTES) {
        **vector = Vec::new();
    }
}
