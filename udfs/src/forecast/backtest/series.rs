//! A gathered series on its calendar, as a model takes it.  In: rows. Out: one value per step, or why not.

use crate::error::Error;
use crate::forecast::calendar::{Calendar, Clock, Frequency};
use crate::forecast::gather::{Gathered, STEPS_MAX};
use crate::forecast::status::{Refusal, Status};

/// What a time of the calendar without a row is: the `fill` argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// A reason to refuse the series.
    Error,
    /// A missing value, which models step over and no error is counted at; so is a null.
    Null,
    /// Zero.
    Zero,
    /// The value before.
    Previous,
}

impl Fill {
    /// Errors: `Bug` for a word that the signature of `forecast` allows and this one does not know.
    pub(super) fn parse(word: &str) -> Result<Self, Error> {
        match word {
            "error" => Ok(Self::Error),
            "null" => Ok(Self::Null),
            "zero" => Ok(Self::Zero),
            "previous" => Ok(Self::Previous),
            other => Err(Error::Bug(format!("backtest does not know this fill: given={other}"))),
        }
    }
}

/// One series, one entry a step.
#[derive(Default)]
pub(super) struct Series {
    pub(super) y: Vec<f64>,
    /// The last stock known at each step, NaN before the first; empty if the call names no such column.
    pub(super) stock: Vec<f64>,
    positions: Vec<i64>,
}

impl Series {
    /// Checks values and lays them out. Refuses what `forecast` refuses.
    pub(super) fn lay_out(
        &mut self,
        rows: &Gathered,
        clock: &Clock,
        frequency: Frequency,
        fill: Fill,
    ) -> Result<Calendar, Refusal> {
        check(rows, clock, fill)?;
        let calendar = Calendar::of(clock, frequency, &rows.times)?;
        calendar.positions(clock, &rows.times, &mut self.positions)?;
        let steps = self.positions.last().map_or(0, |last| last.saturating_add(1));
        let missing = steps - self.positions.len() as i64;
        if missing > 0 && (fill == Fill::Error || steps > STEPS_MAX) {
            let first =
                (0..).zip(&self.positions).find(|(expected, position)| expected != *position).map_or(0, |(i, _)| i);
            let time = calendar.at(clock, first).map_or_else(|| "?".into(), |t| clock.text(t));
            let why = match fill {
                Fill::Error => "times are missing, set fill => 'zero' or 'previous'",
                _ => "too many times are missing to fill them, set a coarser freq",
            };
            let step = calendar.words(clock);
            let reason = format!("{why}: first_missing={time}, missing={missing}, step={step}");
            return Err(Refusal::new(Status::Gap, reason));
        }
        put(&self.positions, &rows.values, &mut self.y, |before| match fill {
            Fill::Zero => 0.0,
            Fill::Previous => before,
            Fill::Null | Fill::Error => f64::NAN,
        });
        self.stock.clear();
        if !rows.further.is_empty() {
            put(&self.positions, &rows.further, &mut self.stock, |before| before);
            for t in 1..self.stock.len() {
                if self.stock[t].is_nan() {
                    self.stock[t] = self.stock[t - 1];
                }
            }
        }
        Ok(calendar)
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        8 * (self.y.capacity() + self.stock.capacity() + self.positions.capacity())
    }
}

fn check(rows: &Gathered, clock: &Clock, fill: Fill) -> Result<(), Refusal> {
    if let Some(w) = rows.times.windows(2).find(|w| w[0] == w[1]) {
        let time = clock.text(w[0]);
        return Err(Refusal::new(Status::DuplicateTime, format!("time occurs twice, aggregate first: time={time}")));
    }
    if let Some(time) = rows.nulls.1.filter(|_| fill != Fill::Null) {
        let reason = format!("value is null, drop the row or put a number: time={}", clock.text(time));
        return Err(Refusal::new(Status::NullValue, reason));
    }
    match rows.not_finite.1 {
        None => Ok(()),
        Some((time, value)) => {
            let reason = format!("value is not finite: time={}, value={value}", clock.text(time));
            Err(Refusal::new(Status::NotFinite, reason))
        }
    }
}

/// Values at their positions; what lies between follows from the one before.
fn put(positions: &[i64], values: &[f64], out: &mut Vec<f64>, between: impl Fn(f64) -> f64) {
    out.clear();
    for (&position, &value) in positions.iter().zip(values) {
        let blank = between(out.last().copied().unwrap_or(f64::NAN));
        out.resize(position as usize, blank);
        out.push(value);
    }
}
