//! What became of a series: the `status` and `reason` columns.
//!
//! In: what a check or a model found. Out: a stable name for programs and a sentence for people.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The value of the `status` column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Status {
    /// Forecast by the model asked for.
    #[default]
    Ok,
    /// Forecast by a simpler model, because the series is too short for the one asked for.
    Fallback,
    /// Forecast, but the bounds are null: too few observations tell how far values stray.
    NoInterval,
    /// The id, or a part of it, is null.
    NullId,
    /// A time is null.
    NullTime,
    /// A value is null.
    NullValue,
    /// No value is left to learn from.
    NoObservation,
    /// A value is NaN or infinite.
    NotFinite,
    /// A time occurs twice.
    DuplicateTime,
    /// A time of the calendar is missing, and `fill` is `'error'`.
    Gap,
    /// A time does not lie on the calendar of the others.
    MixedFrequency,
    /// One observation tells no frequency, and `freq` is `'auto'`.
    NoFrequency,
    /// A time lies outside the years 1 to 9999 or the range of its type.
    OutOfRange,
    /// The forecast lies outside the range of a 64-bit float.
    Overflow,
    /// The state of last night cannot be read, and there is nothing to fit anew from.
    BadState,
    /// Values that the model cannot take, and `fallback` is `'no'`.
    Unfit,
    /// Fewer observations than the model needs, and `fallback` is `'no'`.
    TooShort,
    /// More observations than there is memory for. The one status that depends on the memory of the run.
    TooLarge,
    /// A fault of lakecast itself.
    Bug,
}

impl Status {
    /// Every status: first those of a forecast, then those of a refusal.
    pub const ALL: &[Self] = &[
        Self::Ok,
        Self::Fallback,
        Self::NoInterval,
        Self::NullId,
        Self::NullTime,
        Self::NullValue,
        Self::NoObservation,
        Self::NotFinite,
        Self::DuplicateTime,
        Self::Gap,
        Self::MixedFrequency,
        Self::NoFrequency,
        Self::OutOfRange,
        Self::Overflow,
        Self::BadState,
        Self::Unfit,
        Self::TooShort,
        Self::TooLarge,
        Self::Bug,
    ];

    /// As in the column.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// What it says about the series, for help.
    pub fn meaning(self) -> &'static str {
        self.row().1
    }

    /// Whether the series has a forecast.
    pub fn is_forecast(self) -> bool {
        matches!(self, Self::Ok | Self::Fallback | Self::NoInterval)
    }

    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Ok => ("ok", "forecast by the model asked for"),
            Self::Fallback => {
                ("fallback", "forecast by a simpler model, because the series is too short for the one asked for")
            }
            Self::NoInterval => {
                ("no_interval", "forecast, but the bounds are null: too few observations tell how far values stray")
            }
            Self::NullId => ("null_id", "the id, or a part of it, is null"),
            Self::NullTime => ("null_time", "a time is null"),
            Self::NullValue => ("null_value", "a value is null, and fill is not 'null'"),
            Self::NoObservation => {
                ("no_observation", "no value is left: all are missing, or the id has rows in a side table only")
            }
            Self::NotFinite => ("not_finite", "a value is NaN or infinite"),
            Self::DuplicateTime => ("duplicate_time", "a time occurs twice, and duplicates is 'error'"),
            Self::Gap => ("gap", "a time of the calendar is missing, and fill is 'error'"),
            Self::MixedFrequency => ("mixed_frequency", "a time does not lie on the calendar of the others"),
            Self::NoFrequency => ("no_frequency", "one observation tells no frequency, and freq is 'auto'"),
            Self::OutOfRange => ("out_of_range", "a time lies outside the years 1 to 9999 or the range of its type"),
            Self::Overflow => ("overflow", "the forecast lies outside the range of a 64-bit float"),
            Self::BadState => ("bad_state", "the state of last night cannot be read"),
            Self::Unfit => ("unfit", "values that the model cannot take, and fallback is 'no'"),
            Self::TooShort => ("too_short", "fewer observations than the model needs, and fallback is 'no'"),
            Self::TooLarge => {
                ("too_large", "more observations than there is memory for; the one status that depends on --memory")
            }
            Self::Bug => ("bug", "a fault of lakecast itself"),
        }
    }
}

/// Why a series has no forecast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kind, for programs.
    pub status: Status,
    /// The sentence, for people: what, where, what to do.
    pub reason: String,
}

impl Refusal {
    /// A refusal of that kind.
    pub fn new(status: Status, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    /// The refusal of a model that needs more observations.
    pub fn too_short(model: &str, least: usize, n: usize) -> Self {
        Self::new(Status::TooShort, format!("{model} needs n>={least}, has n={n}"))
    }
}

/// Runs mathematics whose panic may cost no more than what it was run for: what the panic said, if there was one.
pub(super) fn unwound<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|s| s.to_string());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
    })
}

/// The same for what may refuse a series: a panic is a refusal that names `what` panicked.
pub(super) fn caught<T>(what: impl Display, run: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    unwound(run)
        .unwrap_or_else(|text| Err(Refusal::new(Status::Bug, format!("{what} panicked, please report it: {text}"))))
}
