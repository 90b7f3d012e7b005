//! The days of the marketplace: weekday, place in the year, holidays and shop events, and what they do to demand.
//! In: first day, number of days. Out: one `Day` per day, and the `calendar` table.

use std::f64::consts::TAU;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::{Datelike, Days, NaiveDate, Weekday};

use super::{Error, Result};

/// Days of the `calendar` table behind the history, so that holidays of the horizon are known.
pub(super) const DAYS_AFTER_HISTORY: u32 = 90;

/// One day.
#[derive(Debug, Clone)]
pub(super) struct Day {
    /// The date.
    pub(super) date: NaiveDate,
    /// Days since 1970-01-01, as Arrow's Date32 holds it.
    pub(super) date32: i32,
    /// 0 = Monday.
    pub(super) weekday: usize,
    /// Cosine and sine of the angle of the day in the year.
    pub(super) season: (f64, f64),
    /// Name of the public holiday.
    pub(super) holiday: Option<&'static str>,
    /// Name of the shop event.
    pub(super) event: Option<&'static str>,
    /// Factor of holiday and event on the demand of an item of average sensitivity.
    pub(super) factor: f64,
}

/// Days since 1970-01-01.
pub(super) fn date32(date: NaiveDate) -> i32 {
    const EPOCH_FROM_CE: i32 = 719_163;
    date.num_days_from_ce() - EPOCH_FROM_CE
}

/// The days from `first` on.
pub(super) fn days(first: NaiveDate, count: u32) -> Result<Vec<Day>> {
    (0..count).map(|offset| first.checked_add_days(Days::new(u64::from(offset))).map(day)).collect::<Option<_>>().ok_or_else(
        || Error::Options(format!("the history leaves the calendar: use an earlier start date or fewer days, start_date={first}, days={count}")),
    )
}

fn day(date: NaiveDate) -> Day {
    let angle = TAU * f64::from(date.ordinal0()) / 365.25;
    let holiday = holiday(date);
    let event = event(date);
    Day {
        date,
        date32: date32(date),
        weekday: date.weekday().num_days_from_monday() as usize,
        season: (libm::cos(angle), libm::sin(angle)),
        holiday: holiday.map(|(name, _)| name),
        event: event.map(|(name, _)| name),
        factor: holiday.map_or(1.0, |(_, factor)| factor) * event.map_or(1.0, |(_, factor)| factor),
    }
}

/// The holiday of a date and its factor on demand.
fn holiday(date: NaiveDate) -> Option<(&'static str, f64)> {
    let fixed = match (date.month(), date.day()) {
        (1, 1) => Some(("New Year's Day", 0.6)),
        (2, 14) => Some(("Valentine's Day", 1.3)),
        (5, 1) => Some(("Labour Day", 0.8)),
        (10, 31) => Some(("Halloween", 1.2)),
        (12, 24) => Some(("Christmas Eve", 0.7)),
        (12, 25) => Some(("Christmas Day", 0.3)),
        (12, 26) => Some(("Boxing Day", 1.3)),
        (12, 31) => Some(("New Year's Eve", 0.7)),
        _ => None,
    };
    let year = date.year();
    let moving = || {
        let after_easter = easter(year).map(|easter| (date - easter).num_days());
        let after_thanksgiving = thanksgiving(year).map(|thursday| (date - thursday).num_days());
        if after_easter == Some(0) {
            Some(("Easter Sunday", 0.7))
        } else if after_thanksgiving == Some(0) {
            Some(("Thanksgiving", 0.8))
        } else if after_thanksgiving == Some(1) {
            Some(("Black Friday", 1.6))
        } else if NaiveDate::from_weekday_of_month_opt(year, 5, Weekday::Sun, 2) == Some(date) {
            Some(("Mother's Day", 1.3))
        } else {
            None
        }
    };
    fixed.or_else(moving)
}

/// The shop event of a date and its factor on demand.
fn event(date: NaiveDate) -> Option<(&'static str, f64)> {
    let before_easter = easter(date.year()).map(|easter| (easter - date).num_days());
    let after_thanksgiving = thanksgiving(date.year()).map(|thursday| (date - thursday).num_days());
    if after_thanksgiving.is_some_and(|days| (-3..=4).contains(&days)) {
        return Some(("black_week", 1.35));
    }
    if before_easter.is_some_and(|days| (1..=7).contains(&days)) {
        return Some(("easter_week", 1.2));
    }
    match (date.month(), date.day()) {
        (7, 1..=14) => Some(("summer_sale", 1.2)),
        (8, 20..=31) | (9, 1..=7) => Some(("back_to_school", 1.1)),
        (12, day @ 1..=23) => Some(("christmas_shopping", 1.1 + 0.015 * f64::from(day))),
        _ => None,
    }
}

fn thanksgiving(year: i32) -> Option<NaiveDate> {
    NaiveDate::from_weekday_of_month_opt(year, 11, Weekday::Thu, 4)
}

/// Easter Sunday of the Gregorian calendar (Meeus, Jones, Butcher).
fn easter(year: i32) -> Option<NaiveDate> {
    let a = year % 19;
    let (b, c) = (year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 19 * l) / 433;
    let month = (h + l - 7 * m + 90) / 25;
    let day = (h + l - 7 * m + 33 * month + 19) % 32;
    NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)
}

/// The `calendar` table: ds, holiday, event.
pub(super) fn table(days: &[Day]) -> Result<RecordBatch> {
    let schema = Schema::new(vec![
        Field::new("ds", DataType::Date32, false),
        Field::new("holiday", DataType::Utf8, true),
        Field::new("event", DataType::Utf8, true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Date32Array::from_iter_values(days.iter().map(|day| day.date32))),
        Arc::new(StringArray::from_iter(days.iter().map(|day| day.holiday))),
        Arc::new(StringArray::from_iter(days.iter().map(|day| day.event))),
    ];
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn moving_holidays_fall_on_the_known_dates() {
        for (year, sunday) in [(2024, "2024-03-31"), (2025, "2025-04-20"), (2026, "2026-04-05"), (2038, "2038-04-25")] {
            assert_eq!(easter(year), Some(date(sunday)));
        }
        assert_eq!(holiday(date("2026-11-27")).map(|(name, _)| name), Some("Black Friday"));
        assert_eq!(holiday(date("2026-05-10")).map(|(name, _)| name), Some("Mother's Day"));
        assert_eq!(event(date("2026-11-23")).map(|(name, _)| name), Some("black_week"));
        assert_eq!(event(date("2026-12-01")).map(|(name, _)| name), Some("christmas_shopping"));
    }

    #[test]
    fn a_day_knows_its_number_and_weekday() {
        let day = day(date("1970-01-02"));
        assert_eq!((day.date32, day.weekday), (1, 4));
    }
}
