//! Rolling origins: a model fitted afresh at each, and its errors.  In: a series and the terms of a model. Out: scores.

use super::events::{Events, Wanted};
use super::metrics::{Scale, Sums};
use crate::forecast::clean;
use crate::forecast::forecaster::{Forecaster, Terms};
use crate::forecast::status::{Refusal, Status};
use std::sync::Arc;

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
    /// Percent.
    pub(super) levels: Vec<i64>,
    /// Whether spikes are capped in what a fit sees; errors are counted against the values as they are.
    pub(super) cap_spikes: bool,
    pub(super) season_length: usize,
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
    /// The models that forecast at the last origin.
    pub(super) chosen: Option<String>,
    /// Why it was not the model asked for, at the first origin where it was not.
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
        self.chosen = other.chosen;
        self.fell = self.fell.take().or(other.fell);
    }
}

/// The models on trial, with their working memory.
pub(super) struct Bench {
    models: Vec<Forecaster>,
    naive: Forecaster,
    /// Means of seasonal naive, one horizon for each origin.
    naive_means: Vec<f64>,
    means: Vec<f64>,
    bounds: Vec<f64>,
    capped: Vec<f64>,
    scratch: Vec<f64>,
}

/// What a fit sees: the values before its cutoff, spikes capped if that is asked for.
fn seen<'a>(before: &'a [f64], rolling: &Rolling, capped: &'a mut Vec<f64>, scratch: &mut Vec<f64>) -> &'a [f64] {
    if !rolling.cap_spikes {
        return before;
    }
    capped.clear();
    capped.extend_from_slice(before);
    clean::cap_spikes(capped, rolling.season_length, scratch);
    capped
}

impl Bench {
    pub(super) fn new(models: &[Arc<Terms>], naive: &Arc<Terms>) -> Self {
        Self {
            models: models.iter().map(|terms| Forecaster::new(Arc::clone(terms))).collect(),
            naive: Forecaster::new(Arc::clone(naive)),
            naive_means: Vec::new(),
            means: Vec::new(),
            bounds: Vec::new(),
            capped: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        let words =
            self.naive_means.capacity() + self.means.capacity() + self.capped.capacity() + self.scratch.capacity();
        8 * words + self.models.iter().chain([&self.naive]).map(Forecaster::memory_bytes).sum::<usize>()
    }

    /// Frees what a long series has left.
    pub(super) fn let_go(&mut self) {
        self.models.iter_mut().chain([&mut self.naive]).for_each(Forecaster::let_go);
        (self.naive_means, self.capped, self.scratch) = (Vec::new(), Vec::new(), Vec::new());
    }

    /// Forecasts seasonal naive at every origin, for [`Bench::score`] to compare with; NaN where it cannot.
    pub(super) fn compare_with(&mut self, y: &[f64], rolling: &Rolling) {
        self.naive_means.clear();
        for cutoff in rolling.cutoffs(y.len()) {
            let before = seen(&y[..cutoff], rolling, &mut self.capped, &mut self.scratch);
            let done = self.naive.fit(before, before).is_ok();
            for t in 0..rolling.horizon {
                self.naive_means.push(if done { self.naive.step(t, &mut self.bounds) } else { f64::NAN });
            }
        }
    }

    /// Fits a model at one origin, the `index`-th, and counts the errors of the horizon after it.
    pub(super) fn score(
        &mut self,
        model: usize,
        y: &[f64],
        (index, cutoff): (usize, usize),
        stock: Option<f64>,
        rolling: &Rolling,
    ) -> Result<Score, Refusal> {
        let (before, actual) = (&y[..cutoff], &y[cutoff..cutoff + rolling.horizon]);
        if before.iter().all(|v| v.is_nan()) {
            return Err(Refusal::new(Status::TooShort, "no value is observed before the first cutoff"));
        }
        let forecaster = &mut self.models[model];
        let values = seen(before, rolling, &mut self.capped, &mut self.scratch);
        let fitted = forecaster.fit(values, values)?;
        let scale = Scale::of(before, rolling.scale_length);
        let fell = fitted.reason.filter(|_| fitted.status == Status::Fallback);
        let mut score = Score { origins: 1, chosen: Some(forecaster.model.clone()), fell, ..Score::default() };
        score.intervals.resize(rolling.levels.len(), Interval::default());
        let naive = &self.naive_means[index * rolling.horizon..];
        self.means.clear();
        for (t, &a) in actual.iter().enumerate() {
            let mean = forecaster.step(t, &mut self.bounds);
            self.means.push(mean);
            if a.is_nan() {
                continue;
            }
            score.sums.count(a, mean, scale);
            score.sums.naive_absolute += (naive[t] - a).abs();
            score.sums.naive_squared += (naive[t] - a) * (naive[t] - a);
            if fitted.bounds {
                score.n_interval += 1;
                // Lower and upper bound of each level stand side by side.
                for (interval, bound) in score.intervals.iter_mut().zip(self.bounds.chunks_exact(2)) {
                    interval.covered += u64::from(bound[0] <= a && a <= bound[1]);
                    interval.width += bound[1] - bound[0];
                }
            }
        }
        score.events = Events::of(before, actual, &self.means, stock, rolling.events);
        Ok(score)
    }
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
            cap_spikes: false,
            season_length: 1,
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
