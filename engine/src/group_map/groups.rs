//! Finds group borders in ordered batches and drives a worker over them.
//!
//! In: batches ordered by key. Out: finished rows with their keys. The key of each group is held as one encoded row, so
//! that no input batch lives longer than its group.

use crate::cancel::Cancel;
use crate::functions::to_datafusion;
use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{partition, take};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::{Result, internal_err, resources_datafusion_err};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryReservation};
use lakecast_udfs::Error;
use lakecast_udfs::functions::{GroupContext, GroupWorker};
use std::fmt::Write;

/// What every group may take whatever the pool says, so that a group of usual size never depends on who else is busy.
/// The pool is told of it, and as few partitions compute at a time, it is little.
const GROUP_BYTES_FREE: usize = 1 << 20;

/// The share of all memory that the rows of one group may fill where the function can do without them: the sorts of other
/// partitions need the rest.
const GROUP_SHARE: usize = 4;

/// Counts of one partition.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) groups: usize,
    pub(super) refused: usize,
}

pub(super) struct Groups {
    function: String,
    worker: Box<dyn GroupWorker>,
    schema: SchemaRef,
    keys: usize,
    converter: RowConverter,
    current: Option<OwnedRow>,
    rows_in_group: u64,
    finished: Vec<(OwnedRow, usize)>,
    rows_finished: usize,
    key_bytes: usize,
    /// Bytes that the rows of one group may fill.
    group_bytes_max: usize,
    context: Context,
    pub(super) tally: Tally,
}

struct Context {
    reservation: MemoryReservation,
    cancel: Cancel,
    /// Bytes held when the current group began.
    bytes_before: usize,
}

impl Context {
    /// Tells the pool that `bytes` are held in all. Errors: the pool has no more.
    fn hold(&self, bytes: usize) -> Result<()> {
        match self.reservation.try_resize(bytes) {
            Err(_) if bytes <= self.bytes_before + GROUP_BYTES_FREE => {
                self.reservation.resize(bytes);
                Ok(())
            }
            done => done,
        }
    }
}

impl GroupContext for Context {
    fn reserve(&self, bytes: usize) -> lakecast_udfs::Result<()> {
        self.hold(bytes).map_err(|e| Error::Limit(e.strip_backtrace()))
    }

    fn check_cancelled(&self) -> lakecast_udfs::Result<()> {
        if self.cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

impl Groups {
    /// `schema` is the output schema, whose first `keys` columns are the keys; `memory` is all that the process may use.
    pub(super) fn new(
        function: &str,
        worker: Box<dyn GroupWorker>,
        schema: SchemaRef,
        keys: usize,
        reservation: MemoryReservation,
        memory: MemoryLimit,
        cancel: Cancel,
    ) -> Result<Self> {
        let fields = schema.fields().iter().take(keys).map(|f| SortField::new(f.data_type().clone())).collect();
        Ok(Self {
            function: function.to_string(),
            worker,
            keys,
            converter: RowConverter::new(fields)?,
            current: None,
            rows_in_group: 0,
            finished: vec![],
            rows_finished: 0,
            key_bytes: 0,
            group_bytes_max: match memory {
                MemoryLimit::Finite(bytes) => (bytes / GROUP_SHARE).max(GROUP_BYTES_FREE),
                _ => usize::MAX,
            },
            context: Context { reservation, cancel, bytes_before: 0 },
            schema,
            tally: Tally::default(),
        })
    }

    /// Output rows that wait to be taken.
    pub(super) fn rows_finished(&self) -> usize {
        self.rows_finished
    }

    /// Hands the worker a side table, before the first batch.
    pub(super) fn side(&mut self, name: &str, rows: &RecordBatch) -> Result<()> {
        self.worker.side(name, rows).map_err(to_datafusion)
    }

    /// Takes one batch: every group that ends inside it is computed.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let columns = &batch.columns()[..self.keys];
        let ranges = partition(columns)?.ranges();
        let starts = UInt32Array::from_iter_values(ranges.iter().map(|r| r.start as u32));
        let heads = columns.iter().map(|c| take(c, &starts, None)).collect::<Result<Vec<_>, _>>()?;
        let heads = self.converter.convert_columns(&heads)?;
        for (range, head) in ranges.iter().zip(heads.iter()) {
            if self.current.as_ref().is_some_and(|k| k.row() != head) {
                self.end_group()?;
            }
            if self.current.is_none() {
                self.current = Some(head.owned());
                self.context.bytes_before = self.bytes();
            }
            self.worker.push(&batch.slice(range.start, range.len())).map_err(to_datafusion)?;
            self.rows_in_group += range.len() as u64;
        }
        if self.bytes() > self.context.bytes_before.saturating_add(self.group_bytes_max) {
            self.worker.shed();
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.worker.memory_bytes() + self.key_bytes
    }

    /// Tells the pool what is held. `false`: it is too much, and what is finished must be taken.
    pub(super) fn fits(&self) -> bool {
        self.context.hold(self.bytes()).is_ok()
    }

    /// Ends the last group of the partition.
    pub(super) fn end(&mut self) -> Result<()> {
        if self.current.is_some() { self.end_group() } else { Ok(()) }
    }

    fn end_group(&mut self) -> Result<()> {
        self.context.check_cancelled().map_err(to_datafusion)?;
        let outcome = match self.worker.finish(&self.context) {
            Ok(outcome) => outcome,
            Err(Error::Cancelled) => return Err(to_datafusion(Error::Cancelled)),
            Err(Error::Limit(m)) => {
                return Err(to_datafusion(Error::Limit(format!("{}: {m}{}", self.function, self.place()))));
            }
            Err(Error::Data(m)) => {
                return Err(to_datafusion(Error::Data(format!("{}: {m}{}", self.function, self.place()))));
            }
            Err(e) => return Err(to_datafusion(e)),
        };
        if let Some(key) = self.current.take() {
            self.key_bytes += key.row().as_ref().len() + size_of::<(OwnedRow, usize)>();
            self.finished.push((key, outcome.rows));
        }
        self.rows_finished += outcome.rows;
        self.rows_in_group = 0;
        self.tally.groups += 1;
        self.tally.refused += usize::from(outcome.refused);
        Ok(())
    }

    // Rows of one group are held until it ends, so the pool must know of them before the next batch arrives.
    fn account(&mut self) -> Result<()> {
        if self.fits() || (self.current.is_some() && self.worker.shed() && self.fits()) {
            return Ok(());
        }
        let bytes = self.bytes();
        self.context.hold(bytes).map_err(|e| {
            resources_datafusion_err!(
                "{}: no memory is left for a group{}, held_bytes={bytes}: raise the memory limit, use more partitions or split the group ({})",
                self.function, self.place(), e.strip_backtrace()
            )
        })
    }

    /// `, key=[..], rows=..` of the current group, for errors.
    fn place(&self) -> String {
        let mut out = String::new();
        if let Some(key) = &self.current
            && let Ok(columns) = self.converter.convert_rows([key.row()])
        {
            let values: Vec<_> = columns
                .iter()
                .map(|c| datafusion::arrow::util::display::array_value_to_string(c, 0).unwrap_or_default())
                .collect();
            let _ = write!(out, ", key=[{}], rows={}", values.join(", "), self.rows_in_group);
        }
        out
    }

    /// Takes everything finished as one batch with the keys in front; `None` if nothing is finished.
    pub(super) fn take(&mut self) -> Result<Option<RecordBatch>> {
        if self.finished.is_empty() {
            return self.account().map(|()| None);
        }
        let repeated = self.finished.iter().flat_map(|(key, rows)| std::iter::repeat_n(key.row(), *rows));
        let mut columns: Vec<ArrayRef> = self.converter.convert_rows(repeated)?;
        columns.extend(self.worker.take().map_err(to_datafusion)?);
        let rows = std::mem::take(&mut self.rows_finished);
        self.finished.clear();
        self.key_bytes = 0;
        if let Some(odd) = columns.iter().find(|c| c.len() != rows) {
            return internal_err!("{}: said {rows} rows and gave {}", self.function, odd.len());
        }
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        self.account()?;
        Ok((rows > 0).then_some(batch))
    }
}

#[cfg(test)]
mod tests;
