//! A series on its calendar, as a model takes it.  In: its rows and how to clean them. Out: one value per step, or why not.

use crate::forecast::calendar::{Calendar, Clock, Frequency};
use crate::forecast::clean::{self, Fill};
use crate::forecast::gather::STEPS_MAX;
use crate::forecast::series::Series;
use crate::forecast::status::{Refusal, Status};
use crate::forecast::worker::Cleaning;

/// One series, one entry a step.
#[derive(Default)]
pub(super) struct Steps {
    pub(super) y: Vec<f64>,
    /// The last stock known at each step, NaN before the first; empty if the call names no such column.
    pub(super) stock: Vec<f64>,
    /// Steps of the calendar before the first entry.
    pub(super) start: usize,
    positions: Vec<i64>,
}

impl Steps {
    /// Cleans the rows and lays them out. Refuses what `forecast` refuses.
    pub(super) fn lay_out(
        &mut self,
        rows: &mut Series,
        clock: &Clock,
        frequency: Frequency,
        cleaning: Cleaning,
    ) -> Result<Calendar, Refusal> {
        rows.check(clock, cleaning.duplicates)?;
        rows.merge(cleaning.duplicates);
        let calendar = Calendar::of(clock, frequency, &rows.times)?;
        calendar.positions(clock, &rows.times, &mut self.positions)?;
        let steps = self.positions.last().map_or(0, |last| last.saturating_add(1));
        let missing = steps - self.positions.len() as i64;
        if missing > 0 && (cleaning.fill == Fill::Error || steps > STEPS_MAX) {
            let first =
                (0..).zip(&self.positions).find(|(expected, position)| expected != *position).map_or(0, |(i, _)| i);
            let time = calendar.at(clock, first).map_or_else(|| "?".into(), |t| clock.text(t));
            let why = match cleaning.fill {
                Fill::Error => "times are missing, set fill => 'null', 'zero' or 'previous'",
                _ => "too many times are missing to fill them, set a coarser freq",
            };
            let step = calendar.words(clock);
            let reason = format!("{why}: first_missing={time}, missing={missing}, step={step}");
            return Err(Refusal::new(Status::Gap, reason));
        }
        put(&self.positions, &rows.values, &mut self.y, |before| match cleaning.fill {
            Fill::Zero => 0.0,
            Fill::Previous => before,
            Fill::Null | Fill::Error => f64::NAN,
        });
        self.stock.clear();
        if let Some(stock) = rows.regressors.first() {
            put(&self.positions, stock, &mut self.stock, |before| before);
            for t in 1..self.stock.len() {
                if self.stock[t].is_nan() {
                    self.stock[t] = self.stock[t - 1];
                }
            }
        }
        let Some((start, _)) = clean::leading(&self.y, cleaning.drop_leading_zeros) else {
            return Err(Refusal::new(Status::NoObservation, "every value of the series is missing"));
        };
        self.start = start;
        self.y.drain(..start);
        self.stock.drain(..start.min(self.stock.len()));
        Ok(calendar)
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        8 * (self.y.capacity() + self.stock.capacity() + self.positions.capacity())
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
