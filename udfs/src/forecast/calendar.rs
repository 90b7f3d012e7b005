//! Time columns and frequencies: which times a series should have, and which come next.
//!
//! In: the type of a time column, the text of `freq`, sorted times as the column's integers. Out: positions on a regular
//! calendar, or why there is none; later times.

use super::status::{Refusal, Status};
use crate::error::{Error, Result};
use crate::signature::nearest;
use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow::util::display::array_value_to_string;
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone};
use std::ops::Range;
use std::sync::Arc;

/// Days from 1970-01-01 to 0001-01-01 and to 9999-12-31.
const DAYS: (i64, i64) = (-719_162, 2_932_896);

/// What a time column's integers mean.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    kind: DataType,
    /// Smallest and largest time allowed: years 1 to 9999, or the range of the integer type (that of `Int64` for `UInt64`).
    range: (i64, i64),
    /// Units per day; `None` for step numbers.
    day: Option<i64>,
    zone: Option<Tz>,
}

impl Clock {
    /// Errors: `Argument` for a type that is no time, or a time zone that this build does not know.
    pub(super) fn new(kind: &DataType) -> Result<Self> {
        let per_second = |unit: &TimeUnit| match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        };
        let (day, integers) = match kind {
            DataType::Date32 => (Some(1), None),
            DataType::Date64 => (Some(86_400_000), None),
            DataType::Timestamp(unit, _) => (Some(86_400 * per_second(unit)), None),
            DataType::Int8 => (None, Some((i8::MIN.into(), i8::MAX.into()))),
            DataType::Int16 => (None, Some((i16::MIN.into(), i16::MAX.into()))),
            DataType::Int32 => (None, Some((i32::MIN.into(), i32::MAX.into()))),
            DataType::Int64 => (None, Some((i64::MIN, i64::MAX))),
            DataType::UInt8 => (None, Some((0, u8::MAX.into()))),
            DataType::UInt16 => (None, Some((0, u16::MAX.into()))),
            DataType::UInt32 => (None, Some((0, u32::MAX.into()))),
            DataType::UInt64 => (None, Some((0, i64::MAX))),
            other => return Err(Error::Argument(format!("forecast: no time column: type={other}"))),
        };
        let range = match (day, integers) {
            (_, Some(range)) => range,
            (day, None) => {
                let day = day.unwrap_or(1);
                (DAYS.0.saturating_mul(day), (DAYS.1 + 1).saturating_mul(day).saturating_sub(1))
            }
        };
        let zone = match kind {
            DataType::Timestamp(_, Some(name)) => Some(name.parse::<Tz>().map_err(|e| {
                Error::Argument(format!(
                    "forecast: unknown time zone: column_type={kind}, {e}; cast to a timestamp in UTC"
                ))
            })?),
            _ => None,
        };
        Ok(Self { kind: kind.clone(), range, day, zone })
    }

    /// The type of the column.
    pub(super) fn kind(&self) -> &DataType {
        &self.kind
    }

    /// Appends a column's integers from `rows`, none of which is null, without a copy of the column; `false` if its type
    /// needs one.
    pub(super) fn extend(&self, column: &ArrayRef, rows: Range<usize>, out: &mut Vec<i64>) -> bool {
        if let Some(days) = column.as_primitive_opt::<Date32Type>() {
            out.extend(days.values()[rows].iter().map(|day| i64::from(*day)));
            return true;
        }
        let plain = match &self.kind {
            DataType::Int64 => column.as_primitive_opt::<Int64Type>().map(|c| c.values()),
            DataType::Timestamp(TimeUnit::Second, _) => {
                column.as_primitive_opt::<TimestampSecondType>().map(|c| c.values())
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                column.as_primitive_opt::<TimestampMillisecondType>().map(|c| c.values())
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                column.as_primitive_opt::<TimestampMicrosecondType>().map(|c| c.values())
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                column.as_primitive_opt::<TimestampNanosecondType>().map(|c| c.values())
            }
            _ => None,
        };
        plain.map(|values| out.extend_from_slice(&values[rows])).is_some()
    }

    /// A column's integers; null where the column is, and where a `UInt64` exceeds `Int64`.
    pub(super) fn integers(&self, column: &ArrayRef) -> Result<Int64Array> {
        let cast = cast(column, &DataType::Int64)?;
        Ok(cast.as_any().downcast_ref::<Int64Array>().cloned().unwrap_or_else(|| Int64Array::from(Vec::<i64>::new())))
    }

    /// Integers as a column of the clock's type.
    pub(super) fn column(&self, times: Int64Array) -> Result<ArrayRef> {
        Ok(cast(&(Arc::new(times) as ArrayRef), &self.kind)?)
    }

    /// A time as SQL prints it.
    pub(super) fn text(&self, time: i64) -> String {
        self.column(Int64Array::from(vec![time]))
            .and_then(|column| Ok(array_value_to_string(&column, 0)?))
            .unwrap_or_else(|_| time.to_string())
    }

    /// Whether a time lies within the years 1 to 9999, or the integer type.
    pub(super) fn holds(&self, time: i64) -> bool {
        (self.range.0..=self.range.1).contains(&time)
    }

    /// Local day number, and the rest of the day in units.
    fn local(&self, time: i64) -> Option<(i64, i64)> {
        let day = self.day?;
        let second = (day / 86_400).max(1);
        let offset = match &self.zone {
            None => 0,
            Some(zone) => {
                let utc = DateTime::from_timestamp(time.div_euclid(second), 0)?.naive_utc();
                i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * second
            }
        };
        let local = time.checked_add(offset)?;
        Some((local.div_euclid(day), local.rem_euclid(day)))
    }

    /// The time at a local day number and rest of the day. A local time that a clock change skips is moved on by the
    /// change; of two equal ones the first is taken.
    fn utc(&self, number: i64, rest: i64) -> Option<i64> {
        let day = self.day?;
        let local = number.checked_mul(day)?.checked_add(rest)?;
        let Some(zone) = &self.zone else { return Some(local) };
        let second = (day / 86_400).max(1);
        let naive: NaiveDateTime = DateTime::from_timestamp(local.div_euclid(second), 0)?.naive_utc();
        let resolve = |at: NaiveDateTime| zone.from_local_datetime(&at).earliest();
        let offset = match resolve(naive) {
            Some(found) => found.offset().fix(),
            None => resolve(naive.checked_sub_signed(TimeDelta::hours(3))?)?.offset().fix(),
        };
        local.checked_sub(i64::from(offset.local_minus_utc()) * second)
    }
}

/// What the `freq` argument asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frequency {
    /// Inferred for each series.
    Auto,
    /// So many units of an integer column.
    Count(i64),
    /// Elapsed time.
    Seconds(i64),
    /// Days of the local calendar.
    Days(i64),
    /// Months of the local calendar.
    Months(i64, Anchor),
}

/// The day of the month on which a monthly calendar lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// The first.
    Start,
    /// The last.
    End,
    /// As the series has it.
    Any,
}

/// Units of `freq` with their spellings.
const UNITS: &[(&[&str], Frequency)] = &[
    (&["s", "S", "second", "seconds"], Frequency::Seconds(1)),
    (&["min", "T", "minute", "minutes"], Frequency::Seconds(60)),
    (&["h", "H", "hour", "hours"], Frequency::Seconds(3600)),
    (&["D", "d", "day", "days"], Frequency::Days(1)),
    (&["W", "w", "week", "weeks"], Frequency::Days(7)),
    (&["MS"], Frequency::Months(1, Anchor::Start)),
    (&["M", "ME"], Frequency::Months(1, Anchor::End)),
    (&["month", "months"], Frequency::Months(1, Anchor::Any)),
    (&["QS"], Frequency::Months(3, Anchor::Start)),
    (&["Q", "QE"], Frequency::Months(3, Anchor::End)),
    (&["quarter", "quarters"], Frequency::Months(3, Anchor::Any)),
    (&["YS", "AS"], Frequency::Months(12, Anchor::Start)),
    (&["Y", "YE", "A"], Frequency::Months(12, Anchor::End)),
    (&["year", "years"], Frequency::Months(12, Anchor::Any)),
];

/// Largest multiplier of a unit: no calendar from year 1 to 9999 needs more, and no product of it overflows.
const MULTIPLIER_MAX: i64 = 1_000_000;

impl Frequency {
    /// Reads `freq` and checks it against the type of the time column.
    ///
    /// Errors: `Argument`, with what is allowed and the nearest known unit.
    pub(super) fn parse(text: &str, clock: &Clock) -> Result<Self> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = (&text[..digits], text[digits..].trim());
        let count = if number.is_empty() { Some(1) } else { number.parse::<i64>().ok().filter(|n| *n >= 1) };
        let known = || UNITS.iter().flat_map(|(names, _)| names.iter().copied());
        let refuse = |why: &str| {
            let hint = nearest(unit, known())
                .filter(|n| *n != unit)
                .map(|n| format!(", did you mean '{n}'?"))
                .unwrap_or_default();
            Err(Error::Argument(format!(
                "forecast: bad argument: name=freq, given='{text}', {why}, time_type={}, allowed=['auto', for integer columns a step such as '1', for dates and timestamps an optional multiplier of at most {MULTIPLIER_MAX} and one of {}]{hint}",
                clock.kind,
                known().collect::<Vec<_>>().join(" ")
            )))
        };
        let Some(count) = count else { return refuse("the multiplier must be a whole number of at least 1") };
        if unit.is_empty() {
            return match clock.day {
                _ if number.is_empty() => refuse("it is empty"),
                None => Ok(Self::Count(count)),
                Some(_) => refuse("a bare number is a step of an integer column"),
            };
        }
        let Some((_, unit)) = UNITS.iter().find(|(names, _)| names.contains(&unit)) else {
            return refuse("unknown unit");
        };
        if clock.day.is_none() {
            return refuse("an integer column has no calendar");
        }
        if count > MULTIPLIER_MAX {
            return refuse("the multiplier is too large");
        }
        if matches!(unit, Self::Seconds(_)) && matches!(clock.kind, DataType::Date32 | DataType::Date64) {
            return refuse("a date has no time of day");
        }
        Ok(match *unit {
            Self::Seconds(n) => Self::Seconds(n * count),
            Self::Days(n) => Self::Days(n * count),
            Self::Months(n, anchor) => Self::Months(n * count, anchor),
            other => other,
        })
    }
}

/// A regular calendar through the first time of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Calendar {
    origin: i64,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Units of the column.
    Units(i64),
    /// Local days.
    Days(i64),
    /// Local months, on this day of the month, or on the last if the month is shorter.
    Months(i64, u32),
}

impl Default for Calendar {
    fn default() -> Self {
        Self { origin: 0, step: Step::Units(1) }
    }
}

impl Calendar {
    /// First time, kind of step (0 for units, 1 for days, a day of the month plus 1 for months), and how many of it.
    pub(super) fn parts(&self) -> (i64, u8, i64) {
        match self.step {
            Step::Units(n) => (self.origin, 0, n),
            Step::Days(n) => (self.origin, 1, n),
            Step::Months(n, on) => (self.origin, on as u8 + 1, n),
        }
    }

    /// The calendar of those parts; `None` if a clock has no such calendar.
    pub(super) fn of_parts(clock: &Clock, (origin, code, n): (i64, u8, i64)) -> Option<Self> {
        let step = match code {
            0 => Step::Units(n),
            1 => Step::Days(n),
            2..=32 => Step::Months(n, u32::from(code) - 1),
            _ => return None,
        };
        let has_days = code == 0 || clock.day.is_some();
        (n >= 1 && has_days && clock.holds(origin)).then_some(Self { origin, step })
    }

    /// The first time.
    pub(super) fn origin(&self) -> i64 {
        self.origin
    }

    /// The calendar of a series: as asked, or inferred.
    ///
    /// Inferred is the smallest distance between neighbours: of step numbers; of whole months if all times are at least
    /// 28 days apart and lie on one day of the month or at month ends; else of local days or of elapsed time.
    /// `times` ascend without duplicates and are not empty.
    pub(super) fn of(clock: &Clock, frequency: Frequency, times: &[i64]) -> Result<Self, Refusal> {
        let origin = times[0];
        let second = clock.day.map_or(1, |day| (day / 86_400).max(1));
        let step = match frequency {
            Frequency::Count(n) => Step::Units(n),
            Frequency::Seconds(n) => Step::Units(n.saturating_mul(second)),
            Frequency::Days(n) => match clock.day {
                Some(day) if clock.zone.is_none() => Step::Units(n.saturating_mul(day)),
                _ => Step::Days(n),
            },
            Frequency::Months(n, Anchor::Start) => Step::Months(n, 1),
            Frequency::Months(n, Anchor::End) => Step::Months(n, 31),
            Frequency::Months(n, Anchor::Any) => Step::Months(n, month_day(clock, times).unwrap_or(1)),
            Frequency::Auto => return Self::infer(clock, times),
        };
        Ok(Self { origin, step })
    }

    fn infer(clock: &Clock, times: &[i64]) -> Result<Self, Refusal> {
        let origin = times[0];
        let Some(least) = times.windows(2).map(|w| w[1].saturating_sub(w[0])).min() else {
            return Err(Refusal::new(
                Status::NoFrequency,
                format!("one observation tells no frequency, set freq: time={}", clock.text(origin)),
            ));
        };
        let mut calendar = Self { origin, step: Step::Units(least) };
        let Some(day) = clock.day else { return Ok(calendar) };
        // Half a day of slack for clock changes between the two.
        if least >= day.saturating_mul(28) - if clock.zone.is_some() { day / 2 } else { 0 }
            && let Some(months) = calendar.months(clock, times)
        {
            calendar.step = months;
        } else if clock.zone.is_some() && least >= day / 2 {
            let days = times.windows(2).filter_map(|w| Some(clock.local(w[1])?.0 - clock.local(w[0])?.0)).min();
            let local = Self { origin, step: Step::Days(days.unwrap_or(0).max(1)) };
            if times.iter().all(|&t| local.position(clock, t).is_some()) {
                return Ok(local);
            }
        }
        Ok(calendar)
    }

    /// Months if every time lies on one day of the month at one time of day.
    fn months(self, clock: &Clock, times: &[i64]) -> Option<Step> {
        let on = month_day(clock, times)?;
        let every = Self { origin: self.origin, step: Step::Months(1, on) };
        let mut least = i64::MAX;
        let mut before = None;
        for &time in times {
            let position = every.position(clock, time)?;
            least = before.map_or(least, |b| least.min(position - b));
            before = Some(position);
        }
        (least > 0).then_some(Step::Months(least, on))
    }

    /// Steps from the first time; `None` if the time does not lie on the calendar.
    pub(super) fn position(&self, clock: &Clock, time: i64) -> Option<i64> {
        let steps = |distance: i64, n: i64| (distance % n == 0).then_some(distance / n);
        let position = match self.step {
            Step::Units(n) => return steps(time.checked_sub(self.origin)?, n),
            Step::Days(n) => steps(clock.local(time)?.0 - clock.local(self.origin)?.0, n)?,
            Step::Months(n, _) => {
                steps(month(date(clock.local(time)?.0)?) - month(date(clock.local(self.origin)?.0)?), n)?
            }
        };
        (self.at(clock, position)? == time).then_some(position)
    }

    /// Steps that a day touches, `days` after the day of `time`, counted from the first time: those that begin in it, else
    /// the one that it lies in. Of step numbers, the step itself. Empty outside what the clock holds.
    pub(super) fn steps_of_day(&self, clock: &Clock, time: i64, days: i64) -> Range<i64> {
        self.try_steps_of_day(clock, time, days).unwrap_or(0..0)
    }

    fn try_steps_of_day(&self, clock: &Clock, time: i64, days: i64) -> Option<Range<i64>> {
        if clock.day.is_none() {
            let at = self.position(clock, time.checked_add(days)?)?;
            return Some(at..at + 1);
        }
        let number = clock.local(time)?.0.checked_add(days)?;
        let (begin, end) = (clock.utc(number, 0)?, clock.utc(number + 1, 0)?);
        let within = self.before(clock, begin)?;
        // A step before the first has no effect and, of months, no time.
        let first = if self.at(clock, within) == Some(begin) { within } else { within + 1 }.max(0);
        let steps = (first..).take_while(|&p| self.at(clock, p).is_some_and(|t| t < end)).count() as i64;
        Some(if steps > 0 { first..first + steps } else { within..within + 1 })
    }

    /// The last step that does not begin after `time`.
    fn before(&self, clock: &Clock, time: i64) -> Option<i64> {
        let guess = match self.step {
            Step::Units(n) => return Some(time.checked_sub(self.origin)?.div_euclid(n)),
            Step::Days(n) => (clock.local(time)?.0 - clock.local(self.origin)?.0).div_euclid(n),
            Step::Months(n, _) => {
                (month(date(clock.local(time)?.0)?) - month(date(clock.local(self.origin)?.0)?)).div_euclid(n)
            }
        };
        Some(if self.at(clock, guess).is_some_and(|t| t > time) { guess - 1 } else { guess })
    }

    /// The time so many steps after the first; `None` outside what the clock holds.
    pub(super) fn at(&self, clock: &Clock, position: i64) -> Option<i64> {
        let time = match self.step {
            Step::Units(n) => self.origin.checked_add(position.checked_mul(n)?)?,
            Step::Days(n) => {
                let (number, rest) = clock.local(self.origin)?;
                clock.utc(number.checked_add(position.checked_mul(n)?)?, rest)?
            }
            Step::Months(n, on) => {
                let (number, rest) = clock.local(self.origin)?;
                let first = date(number)?.with_day(1)?;
                let months = u32::try_from(position.checked_mul(n)?).ok()?;
                let first = first.checked_add_months(Months::new(months))?;
                let last = first.checked_add_months(Months::new(1))?.pred_opt()?.day();
                let date = first.checked_add_days(Days::new(u64::from(on.min(last) - 1)))?;
                clock.utc(i64::from(date.num_days_from_ce()) + DAYS.0 - 1, rest)?
            }
        };
        clock.holds(time).then_some(time)
    }

    /// Steps from the first time for each of `times`, ascending, into `positions`. Refuses `mixed_frequency`.
    pub(super) fn positions(&self, clock: &Clock, times: &[i64], positions: &mut Vec<i64>) -> Result<(), Refusal> {
        positions.clear();
        if let Step::Units(n) = self.step
            && times.windows(2).all(|w| w[1].checked_sub(w[0]) == Some(n))
        {
            positions.extend(0..times.len() as i64);
            return Ok(());
        }
        self.further(clock, times, positions)
    }

    /// As [`Calendar::positions`], of times that need not begin with the first.
    pub(super) fn further(&self, clock: &Clock, times: &[i64], positions: &mut Vec<i64>) -> Result<(), Refusal> {
        positions.clear();
        for &time in times {
            let Some(position) = self.position(clock, time) else {
                return Err(Refusal::new(
                    Status::MixedFrequency,
                    format!(
                        "a time is no whole number of steps after the first, clean the times or set freq: time={}, first={}, step={}",
                        clock.text(time),
                        clock.text(self.origin),
                        self.words(clock)
                    ),
                ));
            };
            positions.push(position);
        }
        Ok(())
    }

    /// Kind and length of the step: calendars of one pace share positions since the epoch.
    pub(super) fn pace(&self) -> (u8, i64) {
        match self.step {
            Step::Units(n) => (0, n),
            Step::Days(n) => (1, n),
            Step::Months(n, _) => (2, n),
        }
    }

    /// Steps of this pace from a fixed time, the same for all calendars, to so many steps after the first time.
    pub(super) fn since_epoch(&self, clock: &Clock, position: i64) -> Option<i64> {
        let first = match self.step {
            Step::Units(n) => self.origin.div_euclid(n),
            Step::Days(n) => clock.local(self.origin)?.0.div_euclid(n),
            Step::Months(n, _) => month(date(clock.local(self.origin)?.0)?).div_euclid(n),
        };
        first.checked_add(position)
    }

    /// The step in words.
    pub(super) fn words(&self, clock: &Clock) -> String {
        match (self.step, clock.day) {
            (Step::Units(n), None) => n.to_string(),
            (Step::Units(n), Some(day)) if n % day == 0 => format!("{} day", n / day),
            (Step::Units(n), Some(day)) => format!("{} s", n as f64 / (day as f64 / 86_400.0)),
            (Step::Days(n), _) => format!("{n} day"),
            (Step::Months(n, 31), _) => format!("{n} month, last day"),
            (Step::Months(n, on), _) => format!("{n} month, day {on}"),
        }
    }
}

/// The day of the month on which the times lie: their common one, else 31 if all are month ends, else the largest.
fn month_day(clock: &Clock, times: &[i64]) -> Option<u32> {
    let mut largest = 0;
    let (mut same, mut ends) = (true, true);
    for &time in times {
        let date = date(clock.local(time)?.0)?;
        same &= largest == 0 || date.day() == largest;
        largest = largest.max(date.day());
        ends &= date.succ_opt().is_none_or(|next| next.day() == 1);
    }
    Some(if same && largest <= 28 {
        largest
    } else if ends {
        31
    } else {
        largest
    })
}

fn date(number: i64) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(i32::try_from(number - DAYS.0 + 1).ok()?)
}

fn month(date: NaiveDate) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month0())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_touches_the_steps_that_begin_in_it_else_the_one_around_it() {
        let on = |kind: DataType, origin: i64, step: Step| (Clock::new(&kind).unwrap(), Calendar { origin, step });
        let (clock, daily) = on(DataType::Date32, 100, Step::Units(1));
        assert_eq!(daily.steps_of_day(&clock, 103, 0), 3..4);
        assert_eq!(daily.steps_of_day(&clock, 103, -5), -2..-1);
        let (clock, weekly) = on(DataType::Date32, 100, Step::Units(7));
        assert_eq!(weekly.steps_of_day(&clock, 113, 0), 1..2);
        assert_eq!(weekly.steps_of_day(&clock, 113, 1), 2..3);
        let (clock, monthly) = on(DataType::Date32, 0, Step::Months(1, 1));
        assert_eq!(monthly.steps_of_day(&clock, 45, 0), 1..2);
        assert_eq!(monthly.steps_of_day(&clock, 31, 0), 1..2);
        assert_eq!(monthly.steps_of_day(&clock, 31, -1), 0..1);
        let hour = 3_600;
        let (clock, hourly) = on(DataType::Timestamp(TimeUnit::Second, None), 5 * hour, Step::Units(hour));
        assert_eq!(hourly.steps_of_day(&clock, 0, 0), 0..19);
        assert_eq!(hourly.steps_of_day(&clock, 12 * hour, 1), 19..43);
        let (clock, mornings) = on(DataType::Timestamp(TimeUnit::Second, None), 6 * hour, Step::Days(1));
        assert_eq!(mornings.steps_of_day(&clock, 24 * hour, 0), 1..2);
        let (clock, steps) = on(DataType::Int64, 10, Step::Units(5));
        assert_eq!((steps.steps_of_day(&clock, 20, 0), steps.steps_of_day(&clock, 21, 0)), (2..3, 0..0));
    }
}
