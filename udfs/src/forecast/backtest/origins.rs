//! Rolling origins: a model fitted afresh at each, and its errors.  In: a series and a ladder of models. Out: scores.

use super::events::{Events, Wanted};
use super::metrics::{Scale, Sums};
use crate::forecast::status::{Refusal, Status};
use crate::forecast::{Buffers, Choice, Path, Spread, State, forecast};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Where forecasts start, and what is said of their errors.
#[derive(Debug, Clone)]
pub(super) struct Rolling {
    pub(super) horizon: usize,
    /// Origins asked for.
    pub(super) origins: usize,
    /// Steps between two origins.
    pub(super) step: usize,
    /// Steps between the values whose differences are the scale.
    pub(super) scale_length: usize,
    /// Percent, and the half width in standard deviations.
    pub(super) levels: Vec<(i64, f64)>,
    pub(super) events: Wanted,
}

impl Rolling {
    /// How many values each fit sees, ascending: the last leaves one horizon, every other is `step` before the next.
    /// None if the series is no longer than the horizon.
    pub(super) fn cutoffs(&self, n: usize) -> impl Iterator<Item = usize> {
        let last = n.saturating_sub(self.horizon);
        let count = if last == 0 { 0 } else { self.origins.min((last - 1) / self.step + 1) };
        let step = self.step;
        (0..count).rev().map(move |back| last - back * step)
    }
}

/// What a prediction interval held, over some errors; adds up over series and origins.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Interval {
    /// Actual values inside, ends included.
    pub(super) covered: u64,
    /// Sum of upper - lower bound.
    pub(super) width: f64,
}

/// The errors of a model at one origin, or at several.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Score {
    pub(super) origins: i64,
    pub(super) sums: Sums,
    /// Errors that have a prediction interval.
    pub(super) n_interval: u64,
    /// One for each level.
    pub(super) intervals: Vec<Interval>,
    /// Those of the last origin.
    pub(super) events: Events,
    /// Why a simpler model forecast.
    pub(super) fell: Option<String>,
}

impl Score {
    /// Takes in a later origin.
    pub(super) fn add(&mut self, other: Self) {
        self.origins += other.origins;
        self.sums.add(&other.sums);
        self.n_interval += other.n_interval;
        self.intervals.resize(other.intervals.len(), Interval::default());
        for (own, more) in self.intervals.iter_mut().zip(&other.intervals) {
            own.covered += more.covered;
            own.width += more.width;
        }
        self.events = other.events;
        self.fell = self.fell.take().or(other.fell);
    }
}

/// Working memory of the fits.
#[derive(Debug, Default)]
pub(super) struct Bench {
    buffers: Buffers,
    state: State,
    path: Path,
    /// Means of seasonal naive, one horizon for each origin.
    naive: Vec<f64>,
}

impl Bench {
    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        let state = self.state.states.capacity() + self.state.parameters.capacity();
        let words = self.path.mean.capacity() + self.path.deviation.capacity() + self.naive.capacity() + state;
        8 * words + self.buffers.memory_bytes()
    }

    /// Frees what a long series has left.
    pub(super) fn shrink(&mut self) {
        *self = Self { path: std::mem::take(&mut self.path), ..Self::default() };
    }

    /// Forecasts seasonal naive at every origin, for [`Bench::score`] to compare with; NaN where it cannot.
    pub(super) fn compare_with(&mut self, naive: &[Choice], y: &[f64], rolling: &Rolling) {
        self.naive.clear();
        for cutoff in rolling.cutoffs(y.len()) {
            let done = self.fit(naive, &y[..cutoff], rolling.horizon);
            let of = |mean: &f64| if done.is_ok() { *mean } else { f64::NAN };
            self.naive.extend(self.path.mean.iter().map(of));
        }
    }

    /// Fits at one origin, the `index`-th, and counts the errors of the horizon after it.
    pub(super) fn score(
        &mut self,
        ladder: &[Choice],
        y: &[f64],
        (index, cutoff): (usize, usize),
        stock: Option<f64>,
        rolling: &Rolling,
    ) -> Result<Score, Refusal> {
        let (before, actual) = (&y[..cutoff], &y[horizon_of(cutoff, rolling.horizon)]);
        let (spread, fell) = self.fit(ladder, before, rolling.horizon)?;
        let scale = Scale::of(before, rolling.scale_length);
        let mut score = Score { origins: 1, fell, ..Score::default() };
        score.intervals.resize(rolling.levels.len(), Interval::default());
        let naive = &self.naive[horizon_of(index * rolling.horizon, rolling.horizon)];
        for (t, &a) in actual.iter().enumerate().filter(|(_, a)| !a.is_nan()) {
            let (mean, deviation) = (self.path.mean[t], self.path.deviation[t]);
            score.sums.count(a, mean, scale);
            score.sums.naive_absolute += (naive[t] - a).abs();
            score.sums.naive_squared += (naive[t] - a) * (naive[t] - a);
            if spread == Spread::Known {
                score.n_interval += 1;
                for (interval, (_, z)) in score.intervals.iter_mut().zip(&rolling.levels) {
                    let reach = z * deviation;
                    interval.covered += u64::from(mean - reach <= a && a <= mean + reach);
                    interval.width += 2.0 * reach;
                }
            }
        }
        score.events = Events::of(before, actual, &self.path.mean, stock, rolling.events);
        Ok(score)
    }

    /// Goes down the ladder to the first model that takes the values; says why it was not the first.
    fn fit(&mut self, ladder: &[Choice], y: &[f64], horizon: usize) -> Result<(Spread, Option<String>), Refusal> {
        let mut fell = None;
        let mut refusal = Refusal::new(Status::Bug, "a ladder without models");
        for choice in ladder {
            let run =
                AssertUnwindSafe(|| forecast(choice, y, horizon, &mut self.buffers, &mut self.state, &mut self.path));
            let done = catch_unwind(run).unwrap_or_else(|_| {
                Err(Refusal::new(Status::Bug, format!("model {} panicked, please report it", choice.text)))
            });
            match done {
                Ok(spread) => return Ok((spread, fell)),
                Err(r) if matches!(r.status, Status::TooShort | Status::Unfit) => {
                    fell.get_or_insert_with(|| r.reason.clone());
                    refusal = r;
                }
                Err(r) => return Err(r),
            }
        }
        // What the model asked for lacked says more than what the last resort lacked.
        Err(Refusal { reason: fell.unwrap_or(refusal.reason), ..refusal })
    }
}

fn horizon_of(first: usize, horizon: usize) -> Range<usize> {
    first..first + horizon
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_end_one_horizon_before_the_end() {
        let wanted = Wanted { probability: 0.5, band: 0.1, base: 1 };
        let rolling = |horizon, origins, step| Rolling {
            horizon,
            origins,
            step,
            scale_length: 1,
            levels: vec![],
            events: wanted,
        };
        let of = |r: Rolling, n| r.cutoffs(n).collect::<Vec<_>>();
        assert_eq!(of(rolling(4, 3, 4), 20), [8, 12, 16]);
        assert_eq!(of(rolling(4, 3, 1), 20), [14, 15, 16]);
        assert_eq!(of(rolling(4, 9, 4), 13), [1, 5, 9]);
        assert_eq!(of(rolling(4, 3, 4), 5), [1]);
        assert!(of(rolling(4, 3, 4), 4).is_empty() && of(rolling(4, 3, 4), 0).is_empty());
    }
}
