//! The rows of one series as they arrive: observed ones, those known of the future, and the state of the last night.
//!
//! In: record batches of one group. Out: times and values side by side, or the first thing that is wrong with them.

use super::calendar::Clock;
use super::clean::{self, Duplicates, Fill};
use super::pool_effects::POOL_BY;
use super::status::{Refusal, Status};
use crate::error::Result;
use crate::functions::GroupSchema;
use crate::signature::KIND;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int8Type};
use std::cmp::Ordering;
use std::ops::Range;

/// The number of the `future` table in the column [`KIND`].
pub(super) const FUTURE: i8 = 1;
/// The number of the `state` table.
pub(super) const STATE: i8 = 2;

/// Where the columns of a series stand in its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) keys: usize,
    pub(super) time: usize,
    pub(super) version: Option<usize>,
    pub(super) value: usize,
    pub(super) available: Option<usize>,
    pub(super) regressors: Vec<usize>,
    pub(super) kind: Option<usize>,
    pub(super) state: Option<usize>,
    /// The columns whose values tell the group whose effects the series' own are drawn to.
    pub(super) pools: Vec<usize>,
}

impl Layout {
    /// The layout that a call gives; a call that names no value arguments has the value alone.
    pub(super) fn of(input: &GroupSchema) -> Self {
        let first = |argument: &str| input.positions(argument).next();
        Self {
            keys: input.keys,
            time: input.keys,
            version: (input.order > 1).then_some(input.keys + 1),
            value: first("value").unwrap_or(input.keys + input.order),
            available: first("available"),
            regressors: input.positions("regressors").collect(),
            kind: first(KIND),
            state: first("state"),
            pools: input.positions(POOL_BY).collect(),
        }
    }

    /// The last time of the rows that are of the input.
    pub(super) fn last_observed(&self, rows: &RecordBatch, clock: &Clock) -> Result<Option<i64>> {
        let times = clock.integers(rows.column(self.time))?;
        let kinds = self.kind.map(|at| rows.column(at).as_primitive::<Int8Type>());
        let observed = (0..times.len()).rev().find(|&row| kinds.is_none_or(|k| k.value(row) == 0));
        Ok(observed.filter(|&row| times.is_valid(row)).map(|row| times.value(row)))
    }
}

/// The rows of a series. Keeps its memory from series to series.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub(super) times: Vec<i64>,
    /// NaN where missing.
    pub(super) values: Vec<f64>,
    /// One column per regressor, NaN where null.
    pub(super) regressors: Vec<Vec<f64>>,
    pub(super) future_times: Vec<i64>,
    /// The regressors at those times.
    pub(super) future: Vec<Vec<f64>>,
    /// What the last night left of the series, if there is anything.
    pub(super) state: Vec<u8>,
    pub(super) has_state: bool,
    /// Rows taken as missing because they were not available, and because they were null.
    pub(super) closed: usize,
    pub(super) nulls: usize,
    versions: Vec<i64>,
    /// Rows of missing values, ascending: any other NaN was one in the table.
    missing: Vec<usize>,
    fault: Option<Refusal>,
}

/// Whether a fault makes everything else about the series meaningless.
fn is_grave(status: Status) -> bool {
    matches!(status, Status::NullId | Status::NullTime | Status::OutOfRange)
}

impl Series {
    /// Keeps the graver of two faults: an id or time that is null makes the rest meaningless.
    pub(super) fn fault(&mut self, status: Status, reason: String) {
        if self.fault.as_ref().is_none_or(|f| is_grave(status) && !is_grave(f.status)) {
            self.fault = Some(Refusal::new(status, reason));
        }
    }

    /// The fault, if it is one beside which nothing else matters.
    pub(super) fn take_grave(&mut self) -> Option<Refusal> {
        self.fault.take().filter(|f| is_grave(f.status))
    }

    /// Forgets the rows.
    pub(super) fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        self.versions.clear();
        self.future_times.clear();
        self.regressors.iter_mut().chain(&mut self.future).for_each(Vec::clear);
        self.missing.clear();
        self.state.clear();
        (self.has_state, self.fault, self.closed, self.nulls) = (false, None, 0, 0);
    }

    /// Forgets the rows and their memory, not what is wrong with them.
    pub(super) fn let_go(&mut self) {
        *self = Self { fault: self.fault.take(), ..Self::default() };
    }

    /// Words of eight bytes held.
    pub(super) fn capacity(&self) -> usize {
        let columns = self.regressors.iter().chain(&self.future).map(Vec::capacity).sum::<usize>();
        let own = [self.times.capacity(), self.values.capacity(), self.versions.capacity(), self.missing.capacity()];
        own.iter().sum::<usize>() + self.future_times.capacity() + columns + self.state.capacity() / 8
    }

    /// Takes rows of any kind, in order of time.
    pub(super) fn append(&mut self, rows: &RecordBatch, layout: &Layout, clock: &Clock, fill: Fill) -> Result<()> {
        let Some(kind) = layout.kind else { return self.observed(rows, 0..rows.num_rows(), layout, clock, fill) };
        let kinds = rows.column(kind).as_primitive::<Int8Type>().values();
        let mut from = 0;
        // Rows of one kind stand side by side, but where times of the future lie within the history.
        while from < kinds.len() {
            let run = from..from + kinds[from..].iter().take_while(|k| **k == kinds[from]).count();
            match (kinds[from], layout.state) {
                (FUTURE, _) => self.known(&rows.slice(run.start, run.len()), layout, clock)?,
                (STATE, Some(column)) => self.left(rows.column(column), run.clone())?,
                _ => self.observed(rows, run.clone(), layout, clock, fill)?,
            }
            from = run.end;
        }
        Ok(())
    }

    /// Takes the state of the last night. Of several the largest bytes, so that their order changes nothing.
    fn left(&mut self, column: &ArrayRef, rows: Range<usize>) -> Result<()> {
        let other;
        let states = match column.as_binary_opt::<i32>() {
            Some(states) => states,
            None => {
                other = cast(column, &DataType::Binary)?;
                other.as_binary::<i32>()
            }
        };
        for bytes in rows.filter(|row| states.is_valid(*row)).map(|row| states.value(row)) {
            if !self.has_state || bytes > self.state.as_slice() {
                self.state.clear();
                self.state.extend_from_slice(bytes);
                self.has_state = true;
            }
        }
        Ok(())
    }

    /// Rows without nulls, the usual case, by copying slices; else row by row.
    fn observed(
        &mut self,
        rows: &RecordBatch,
        of: Range<usize>,
        layout: &Layout,
        clock: &Clock,
        fill: Fill,
    ) -> Result<()> {
        let (times, values) = (rows.column(layout.time), rows.column(layout.value));
        let whole = |column: &ArrayRef| column.null_count() == 0 || of.clone().all(|row| column.is_valid(row));
        let plain = layout.version.is_none() && layout.available.is_none() && layout.regressors.is_empty();
        if let (true, Some(numbers)) = (plain, values.as_primitive_opt::<Float64Type>())
            && whole(times)
            && whole(values)
            && clock.extend(times, of.clone(), &mut self.times)
        {
            self.values.extend_from_slice(&numbers.values()[of]);
            return Ok(());
        }
        self.unusual(&rows.slice(of.start, of.len()), layout, clock, fill)
    }

    fn unusual(&mut self, rows: &RecordBatch, layout: &Layout, clock: &Clock, fill: Fill) -> Result<()> {
        let column = rows.column(layout.time);
        let times = clock.integers(column)?;
        let values = cast(rows.column(layout.value), &DataType::Float64)?;
        let values: &Float64Array = values.as_primitive();
        let open = layout.available.map(|at| cast(rows.column(at), &DataType::Boolean)).transpose()?;
        extend(&mut self.regressors, rows, &layout.regressors)?;
        if let Some(at) = layout.version {
            let versions = cast(rows.column(at), &DataType::Int64)?;
            let versions: &Int64Array = versions.as_primitive();
            self.versions.extend(versions.iter().map(|v| v.unwrap_or(i64::MIN)));
        }
        if times.null_count() == 0 && values.null_count() == 0 && open.is_none() {
            self.times.extend_from_slice(times.values());
            self.values.extend_from_slice(values.values());
            return Ok(());
        }
        for row in 0..times.len() {
            if self.time(column, &times, row, "") {
                let is_open = open.as_ref().is_none_or(|o| o.is_null(row) || o.as_boolean().value(row));
                self.value((!values.is_null(row)).then(|| values.value(row)), is_open, clock, fill);
            }
        }
        Ok(())
    }

    /// Takes the time of a row, if it is one.
    fn time(&mut self, column: &ArrayRef, times: &Int64Array, row: usize, of: &str) -> bool {
        let position = self.times.len() + 1;
        if column.is_null(row) {
            self.fault(Status::NullTime, format!("time is null{of}, drop or mend the row: position={position}"));
        } else if times.is_null(row) {
            self.fault(Status::OutOfRange, format!("time exceeds 64-bit signed integers{of}: position={position}"));
        } else if of.is_empty() {
            self.times.push(times.value(row));
            return true;
        } else {
            self.future_times.push(times.value(row));
            return true;
        }
        false
    }

    /// Takes the value of the row whose time was taken last.
    fn value(&mut self, value: Option<f64>, is_open: bool, clock: &Clock, fill: Fill) {
        if is_open && let Some(value) = value {
            return self.values.push(value);
        }
        self.missing.push(self.values.len());
        self.values.push(f64::NAN);
        if !is_open {
            self.closed += 1;
        } else if fill == Fill::Null {
            self.nulls += 1;
        } else {
            let time = clock.text(self.times.last().copied().unwrap_or_default());
            let next = "drop the row, put a number or set fill => 'null'";
            self.fault(Status::NullValue, format!("value is null, {next}: time={time}"));
        }
    }

    /// Rows of the future: their times and regressors.
    fn known(&mut self, rows: &RecordBatch, layout: &Layout, clock: &Clock) -> Result<()> {
        let column = rows.column(layout.time);
        let times = clock.integers(column)?;
        extend(&mut self.future, rows, &layout.regressors)?;
        for row in 0..times.len() {
            self.time(column, &times, row, " in the future table");
        }
        Ok(())
    }

    /// All that can be said of the rows as they are. Graver faults come first.
    pub(super) fn check(&mut self, clock: &Clock, duplicates: Duplicates) -> Result<(), Refusal> {
        let found = self.fault.take();
        if let Some(fault) = found.as_ref().filter(|f| f.status != Status::NullValue) {
            return Err(fault.clone());
        }
        if let Some(&time) = self.times.iter().chain(&self.future_times).find(|&&t| !clock.holds(t)) {
            return Err(Refusal::new(
                Status::OutOfRange,
                format!("time is outside the years 1 to 9999 or its type: time={time}, type={}", clock.kind()),
            ));
        }
        if duplicates == Duplicates::Error {
            for (times, of) in [(&self.times, ""), (&self.future_times, " in the future table")] {
                if let Some(w) = times.windows(2).find(|w| w[0] == w[1]) {
                    let next = "aggregate first or set duplicates";
                    let reason = format!("time occurs twice{of}, {next}: time={}", clock.text(w[0]));
                    return Err(Refusal::new(Status::DuplicateTime, reason));
                }
            }
        }
        if let Some(fault) = found {
            return Err(fault);
        }
        let odd = |(at, v): &(usize, &f64)| !v.is_finite() && self.missing.binary_search(at).is_err();
        if let Some((at, value)) = self.values.iter().enumerate().find(odd) {
            return Err(Refusal::new(
                Status::NotFinite,
                format!("value is not finite: time={}, value={value}", clock.text(self.times[at])),
            ));
        }
        match self.times.is_empty() && !self.has_state {
            false => Ok(()),
            true => Err(Refusal::new(
                Status::NoObservation,
                "the id has rows in a side table and none in the input, filter the table or add the rows",
            )),
        }
    }

    /// Merges rows of one time as asked; gives how many went into another. Regressors of a sum, and of rows known of the
    /// future, are the largest of the rows.
    pub(super) fn merge(&mut self, duplicates: Duplicates) -> usize {
        if duplicates == Duplicates::Error {
            return 0;
        }
        let mut future: Vec<_> = self.future.iter_mut().collect();
        clean::merge_runs(&mut self.future_times, &mut future, largest);
        let mut columns: Vec<_> = std::iter::once(&mut self.values).chain(&mut self.regressors).collect();
        let versions = &self.versions;
        clean::merge_runs(&mut self.times, &mut columns, |columns, run| {
            if duplicates == Duplicates::Sum {
                columns[0][run.start] = clean::sum(&mut columns[0][run.clone()]);
                return largest(&mut columns[1..], run);
            }
            // Rows that are equal in all that is compared are equal in all that is taken.
            let order = |a: &usize, b: &usize| {
                let by_column = columns.iter().map(|c| c[*a].total_cmp(&c[*b])).find(|o| o.is_ne());
                versions.get(*a).cmp(&versions.get(*b)).then(by_column.unwrap_or(Ordering::Equal))
            };
            if let Some(last) = run.clone().max_by(order) {
                columns.iter_mut().for_each(|column| column[run.start] = column[last]);
            }
        })
    }
}

/// Leaves in the first row of a run the largest value of each column.
fn largest(columns: &mut [&mut Vec<f64>], run: Range<usize>) {
    for column in columns {
        column[run.start] = column[run.clone()].iter().copied().fold(f64::NAN, f64::max);
    }
}

/// Adds the rows' regressors to `columns`, NaN where null.
fn extend(columns: &mut Vec<Vec<f64>>, rows: &RecordBatch, at: &[usize]) -> Result<()> {
    columns.resize_with(at.len(), Vec::new);
    for (column, &at) in columns.iter_mut().zip(at) {
        let values = cast(rows.column(at), &DataType::Float64)?;
        let values: &Float64Array = values.as_primitive();
        match values.null_count() {
            0 => column.extend_from_slice(values.values()),
            _ => column.extend(values.iter().map(|v| v.unwrap_or(f64::NAN))),
        }
    }
    Ok(())
}
