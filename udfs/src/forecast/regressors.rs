//! Columns known in the future and holidays, on the calendar of one series, around the model.
//!
//! In: the rows of a series, a table of holidays, a calendar. Out: the series without their effects, the effects to put
//! back on its forecast, and which columns could not be used, with the reason.

use super::calendar::{Calendar, Clock};
use super::effects::{
    self, Column, Effects, Holiday, HolidayColumn, Kind, Options, Origin, Pool, Pooling, Scale, Unused,
};
use super::series::Series;
use super::{Buffers, Path};
use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use std::fmt::Write;

/// Longest window of a holiday, in days either side.
const WINDOW_DAYS_MAX: i64 = 366;

/// One day of the table of holidays: the day itself, or one that its window adds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Day {
    /// `easter`, `easter-1`, `easter+2`: days of one name share an effect.
    name: String,
    time: i64,
    offset: i64,
}

/// The holidays of a call.
#[derive(Debug, Default)]
pub(super) struct Holidays {
    days: Vec<Day>,
}

impl Holidays {
    /// Reads the columns time, name, first and last day of the window. Errors: `Data` for a null or a window that is none.
    pub(super) fn read(rows: &RecordBatch, clock: &Clock) -> Result<Self> {
        let column = |at: usize| rows.columns().get(at).ok_or_else(|| Error::Bug("holidays lack a column".into()));
        let times = clock.integers(column(0)?)?;
        let names = cast(column(1)?, &DataType::Utf8)?;
        let names = names.as_string::<i32>();
        let windows = [cast(column(2)?, &DataType::Int64)?, cast(column(3)?, &DataType::Int64)?];
        let window = |of: &ArrayRef, row: usize| match of.is_null(row) {
            true => 0,
            false => of.as_primitive::<Int64Type>().value(row),
        };
        let mut days = vec![];
        for row in 0..rows.num_rows() {
            let (first, last) = (window(&windows[0], row), window(&windows[1], row));
            let known = !times.is_null(row) && !names.is_null(row) && clock.holds(times.value(row));
            if !known || first > last || first < -WINDOW_DAYS_MAX || last > WINDOW_DAYS_MAX {
                return Err(Error::Data(format!(
                    "forecast: holidays need a date, a name and lower_window <= upper_window within {WINDOW_DAYS_MAX} days: \
                     date={}, name={}, lower_window={first}, upper_window={last}",
                    if times.is_null(row) { "null".into() } else { clock.text(times.value(row)) },
                    if names.is_null(row) { "null" } else { names.value(row) },
                )));
            }
            let time = times.value(row);
            days.extend((first..=last).map(|offset| {
                let name = names.value(row);
                let name = if offset == 0 { name.into() } else { format!("{name}{offset:+}") };
                Day { name, time, offset }
            }));
        }
        Ok(Self { days })
    }

    /// One column per name that touches `start..end` of the calendar, split at `last`.
    fn columns(&self, on: &On) -> Vec<HolidayColumn> {
        let mut touched = vec![];
        for day in &self.days {
            for step in on.calendar.steps_of_day(on.clock, day.time, day.offset) {
                let position = step - on.start as i64;
                touched.push(Holiday { name: &day.name, position, lower_window: 0, upper_window: 0 });
            }
        }
        effects::holiday_columns(&touched, on.values, on.horizon)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.days.iter().map(|d| size_of::<Day>() + d.name.capacity()).sum()
    }
}

/// Where a series stands on its calendar.
pub(super) struct On<'a> {
    pub(super) clock: &'a Clock,
    pub(super) calendar: &'a Calendar,
    /// Steps from the first time for each row.
    pub(super) positions: &'a [i64],
    /// The step of the first value that the model is given.
    pub(super) start: usize,
    /// How many values it is given.
    pub(super) values: usize,
    pub(super) horizon: usize,
    pub(super) season_length: usize,
}

/// The known-future columns of one series after the other. Keeps its memory.
#[derive(Debug, Default)]
pub(super) struct Regressors {
    /// Regressor after regressor, the history then the horizon.
    matrix: Vec<f64>,
    effects: Effects,
    /// `name: why; name: why` of the columns that could not be used.
    pub(super) unused: Option<String>,
    /// `name=0.31 own; name=0.12 pool` of the others.
    pub(super) told: Option<String>,
}

/// What the effects of one series are estimated from.
pub(super) struct Known<'a> {
    pub(super) names: &'a [String],
    pub(super) holidays: &'a Holidays,
    pub(super) series: &'a Series,
    pub(super) on: On<'a>,
}

impl Regressors {
    pub(super) fn memory_bytes(&self) -> usize {
        8 * (self.matrix.capacity() + self.effects.adjusted.capacity() + self.effects.future.capacity())
    }

    /// Estimates the effects of the named columns and of the holidays on `y`, the values that the model is given; drawn to
    /// those of `pool`.
    ///
    /// This is the one place that calls [`effects::fit`].
    pub(super) fn fit(&mut self, y: &[f64], known: &Known, pool: Option<&Pool>, buffers: &mut Buffers) {
        self.align(known.series, &known.on);
        let days = known.holidays.columns(&known.on);
        let columns = columns(&self.matrix, known, &days);
        let options = Options { scale: Scale::Auto, season_length: known.on.season_length, lambda: Options::LAMBDA };
        effects::fit(y, known.on.horizon, &columns, options, pool, buffers, &mut self.effects);
        (self.unused, self.told) = (None, None);
        for (column, effect) in columns.iter().zip(&self.effects.coefficients) {
            let (text, value) = match effect.origin {
                Origin::Unused(why) => (&mut self.unused, format!(": {}", words(why))),
                origin => (&mut self.told, format!("={:.4} {}", effect.value, origin.name())),
            };
            let text = text.get_or_insert_default();
            let separator = if text.is_empty() { "" } else { "; " };
            let _ = write!(text, "{separator}{}{value}", column.name);
        }
    }

    /// Adds the series to those of its group; `first`: the step of `y[0]` on the calendar of the group.
    pub(super) fn add_to(
        &mut self,
        pooling: &mut Pooling,
        first: i64,
        y: &[f64],
        known: &Known,
        buffers: &mut Buffers,
    ) {
        self.align(known.series, &known.on);
        let days = known.holidays.columns(&known.on);
        pooling.add(first, y, &columns(&self.matrix, known, &days), buffers);
    }

    /// The series without the effects.
    pub(super) fn adjusted(&self) -> &[f64] {
        &self.effects.adjusted
    }

    /// Puts the effects of the horizon back on a forecast.
    pub(super) fn put_back(&self, path: &mut Path) {
        self.effects.put_back(path);
    }

    /// Puts the rows' regressors on the calendar: NaN where a step has no row, or its row none.
    fn align(&mut self, series: &Series, on: &On) {
        self.matrix.clear();
        let last = on.positions.last().copied().unwrap_or(0);
        for (at, history) in series.regressors.iter().enumerate() {
            let begin = self.matrix.len();
            self.matrix.resize(begin + on.values + on.horizon, f64::NAN);
            let (known, ahead) = self.matrix[begin..].split_at_mut(on.values);
            for (&position, &value) in on.positions.iter().zip(history) {
                let slot = usize::try_from(position).ok().and_then(|p| p.checked_sub(on.start));
                if let Some(slot) = slot.and_then(|at| known.get_mut(at)) {
                    *slot = value;
                }
            }
            // A series without rows in the table has no column there: all of its horizon is missing.
            let future = series.future.get(at).map_or(&[][..], Vec::as_slice);
            for (&time, &value) in series.future_times.iter().zip(future) {
                let step = on.calendar.position(on.clock, time).map(|p| p - last - 1);
                if let Some(slot) = step.and_then(|s| usize::try_from(s).ok()).and_then(|at| ahead.get_mut(at)) {
                    *slot = value;
                }
            }
        }
    }
}

/// The named columns, then those of the holidays.
fn columns<'a>(matrix: &'a [f64], known: &'a Known, days: &'a [HolidayColumn]) -> Vec<Column<'a>> {
    let width = known.on.values + known.on.horizon;
    let own = known.names.iter().zip(matrix.chunks_exact(width.max(1))).map(|(name, column)| {
        let (history, future) = column.split_at(known.on.values);
        Column { name, kind: kind(column), history, future }
    });
    let days = days.iter().map(|d| Column { name: &d.name, kind: Kind::Event, history: &d.history, future: &d.future });
    own.chain(days).collect()
}

/// What the numbers of a column are: 0 and 1 an event, all positive a price, else any number.
fn kind(column: &[f64]) -> Kind {
    let known = || column.iter().copied().filter(|v| !v.is_nan());
    if known().all(|v| v == 0.0 || v == 1.0) {
        Kind::Event
    } else if known().all(|v| v > 0.0) {
        Kind::Price
    } else {
        Kind::Number
    }
}

fn words(why: Unused) -> &'static str {
    match why {
        Unused::Length => "not of the length of the series",
        Unused::MissingInFuture => "missing at a step of the horizon",
        Unused::BadValue => "infinite, or a price that is not positive",
        Unused::Constant => "the same at each observed step",
        Unused::TooFewObservations => "too few observed steps",
        Unused::Season => "the same in every season",
    }
}
