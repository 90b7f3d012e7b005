//! `model => 'auto'`: the class of a series chooses its pools, rolling origins judge them, the best are combined.
//!
//! In: one series. Out: a portfolio, its class, and how far its errors exceed what its models expect.

use super::demand::{Demand, classify};
use super::model::{Buffers, Path, State, observed_count};
use super::pools::{Family, Pool, pools};
use super::portfolio::{Member, Portfolio};
use super::predictive::{RATIO_MAX, Seen, Shape};
use super::status::unwound;
use super::{Choice, Refusal};
use crate::error::Result;
use std::collections::HashMap;
use std::sync::Arc;

/// Rolling origins at most.
const ORIGINS: usize = 3;

/// A second pool takes over where its squared error is below this share of the first one's: three origins tell no less.
const CLEARLY: f64 = 0.8;

/// Members of a portfolio at most.
const MEMBERS: usize = 5;

/// Observations that an origin leaves before it at least.
const BEFORE_ORIGIN: usize = 4;

/// Of the variance that noise gives to a season, this much is taken from it: less than all of it, because what many
/// series share adds up while their noise does not.
const SEASON_NOISE: f64 = 0.6;

/// `auto` for one season length and horizon.
pub(super) struct Auto {
    season_length: usize,
    horizon: usize,
    choices: HashMap<String, Option<Arc<Choice>>>,
    trials: Vec<Trial>,
    season: Vec<f64>,
    ratios: Vec<Seen>,
    /// Of the expected deviation over the horizon.
    growth: f64,
}

/// What `auto` says beside the portfolio.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub(super) demand: Demand,
    /// Shape of the errors at the origins in units of those that the models expect.
    pub(super) shape: Shape,
    /// Models that failed, and why.
    pub(super) failed: Vec<String>,
}

/// One candidate on trial: its forecasts at the origins.
struct Trial {
    choice: Arc<Choice>,
    /// For each origin and step, the earliest origin first; NaN at origins with too few observations before them.
    mean: Vec<f64>,
    deviation: Vec<f64>,
    state: State,
    path: Path,
    score: f64,
    weight: f64,
    /// How much of its season is more than noise.
    season_share: f64,
}

/// Where forecasts are judged.
struct Origins {
    /// Steps before each origin, ascending.
    cuts: Vec<usize>,
    /// Observed ones among them.
    observed: Vec<usize>,
    /// Steps judged at each.
    horizon: usize,
}

impl Origins {
    /// The last full horizon, and those before it: a horizon apart where the series is long enough, else a third of one.
    fn of(y: &[f64], horizon: usize, season_length: usize) -> Self {
        let n = y.len();
        let horizon = horizon.min(n / 2).max(1);
        let far = n >= ORIGINS * horizon + (3 * season_length).max(2 * horizon);
        let step = if far { horizon } else { (horizon / 3).max(1) };
        let cuts = (0..ORIGINS).rev().filter_map(|k| n.checked_sub(horizon + k * step));
        let counted =
            cuts.map(|cut| (cut, observed_count(&y[..cut]))).filter(|(_, observed)| *observed >= BEFORE_ORIGIN);
        let (cuts, observed) = counted.unzip();
        Self { cuts, observed, horizon }
    }
}

impl Auto {
    /// `season_length` is at least 1, `horizon` in steps.
    pub(super) fn new(season_length: usize, horizon: usize) -> Self {
        Self {
            season_length,
            horizon,
            choices: HashMap::new(),
            trials: vec![],
            season: vec![],
            ratios: vec![],
            growth: 1.0,
        }
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.trials.iter().map(|t| 8 * (t.mean.capacity() + t.deviation.capacity() + t.state.states.capacity())).sum()
    }

    fn choice(&mut self, text: &str) -> Option<Arc<Choice>> {
        if let Some(known) = self.choices.get(text) {
            return known.clone();
        }
        let choice = Choice::parse(text, self.season_length).ok().map(Arc::new);
        self.choices.insert(text.into(), choice.clone());
        choice
    }

    /// Chooses and fits models for `y` (the first value observed, sizes moderate) into `portfolio`.
    ///
    /// Cost: each model of the pools is fitted once before the origins, the chosen ones once more. Errors: a [`Refusal`]
    /// if not even the naive model takes the series.
    pub(super) fn choose(
        &mut self,
        y: &[f64],
        buffers: &mut Buffers,
        portfolio: &mut Portfolio,
    ) -> Result<Chosen, Refusal> {
        let demand = classify(y, self.season_length);
        let origins = Origins::of(y, self.horizon, self.season_length);
        let mut failed = vec![];
        let mut best: Option<(f64, Shape)> = None;
        portfolio.members.clear();
        portfolio.season_length = self.season_length;
        for pool in pools(&demand, self.season_length) {
            self.try_pool(&pool, y, &origins, buffers, &mut failed);
            let Some(error) = self.judge(pool.family, y, &origins) else { continue };
            if best.is_none_or(|(least, _)| error < CLEARLY * least) {
                best = Some((
                    error,
                    Shape::conformal(
                        &mut self.ratios,
                        pool.family.shape(self.season_length, demand.observed, self.growth),
                        pool.family.prior(),
                    ),
                ));
                self.fit(pool.family, y, buffers, portfolio, &mut failed);
            }
        }
        if portfolio.members.is_empty() {
            self.foot(y, buffers, portfolio, &mut failed)?;
        }
        Ok(Chosen { demand, shape: best.map_or(Shape::NORMAL, |(_, shape)| shape), failed })
    }

    /// Lets every model of a pool that the series is long enough for forecast at every origin.
    fn try_pool(&mut self, pool: &Pool, y: &[f64], origins: &Origins, buffers: &mut Buffers, failed: &mut Vec<String>) {
        let observed = observed_count(y);
        let mut used = 0;
        for text in &pool.models {
            let Some(choice) = self.choice(text).filter(|c| c.kernel.observations_min() <= observed) else { continue };
            if self.trials.len() == used {
                self.trials.push(Trial::new(Arc::clone(&choice)));
            }
            let trial = &mut self.trials[used];
            trial.choice = choice;
            match guarded(|| trial.run(y, origins, self.season_length, buffers)) {
                Ok(()) => used += 1,
                Err(why) => failed.push(format!("{text}: {why}")),
            }
        }
        self.trials.truncate(used);
    }

    /// Scores and weights the trials. The mean squared error of the combination, `None` if there is no trial; its errors in
    /// units of those that its models expect stay in `ratios`.
    fn judge(&mut self, family: Family, y: &[f64], origins: &Origins) -> Option<f64> {
        if self.trials.is_empty() {
            return None;
        }
        let (m, h) = (self.season_length, origins.horizon);
        if family == Family::Level {
            self.borrow_season(origins, m);
        }
        for trial in &mut self.trials {
            let (mut sum, mut n) = (0.0, 0.0);
            for (o, &cut) in origins.cuts.iter().enumerate() {
                for (v, f) in y[cut..cut + h].iter().zip(&trial.mean[o * h..]) {
                    let e = v - f;
                    if !e.is_nan() {
                        sum += if family == Family::Level { e * e } else { e.abs() };
                        n += 1.0;
                    }
                }
            }
            trial.score = if n > 0.0 { sum / n } else { f64::NAN };
        }
        weigh(&mut self.trials);
        let (mut error, mut seen, mut first, mut last) = (0.0, 0.0, 0.0, 0.0);
        self.ratios.clear();
        for (o, &cut) in origins.cuts.iter().enumerate() {
            for (t, v) in y[cut..cut + h].iter().enumerate() {
                let mut weight = 0.0;
                let (mut mean, mut deviation) = (0.0, 0.0);
                for trial in self.trials.iter().filter(|t| t.weight > 0.0 && !t.mean[o * h].is_nan()) {
                    weight += trial.weight;
                    mean += trial.weight * trial.mean[o * h + t];
                    deviation += trial.weight * trial.deviation[o * h + t];
                }
                let e = v - mean / weight;
                if e.is_nan() {
                    continue;
                }
                error += e * e;
                seen += 1.0;
                let expected = deviation / weight;
                let ratio = (e / expected).abs();
                if expected > 0.0 && ratio < RATIO_MAX {
                    self.ratios.push(Seen { ratio, place: (t as f64 + 0.5) / h as f64 });
                    if t == 0 {
                        first += expected;
                    } else if t + 1 == h {
                        last += expected;
                    }
                }
            }
        }
        self.growth = if first > 0.0 && last > 0.0 { last / first } else { 1.0 };
        Some(if seen > 0.0 { error / seen } else { f64::INFINITY })
    }

    /// Takes the season out of the seasonal model's forecasts and adds what is more than noise of it to all.
    fn borrow_season(&mut self, origins: &Origins, m: usize) {
        let h = origins.horizon;
        let Some(giver) = self.trials.iter().position(|t| t.choice.model.is_seasonal()) else { return };
        self.season.clear();
        let trial = &mut self.trials[giver];
        let share = trial.season_share;
        for path in trial.mean.chunks_mut(h) {
            let level = path[..m.min(h)].iter().sum::<f64>() / m.min(h) as f64;
            self.season.extend(path.iter().map(|v| share * (v - level)));
            path.fill(level);
        }
        for trial in &mut self.trials {
            trial.mean.iter_mut().zip(&self.season).for_each(|(v, s)| *v += s);
        }
    }

    /// Fits the trials with a weight to the whole series.
    fn fit(
        &mut self,
        family: Family,
        y: &[f64],
        buffers: &mut Buffers,
        portfolio: &mut Portfolio,
        failed: &mut Vec<String>,
    ) {
        portfolio.members.clear();
        let mut fell = false;
        // The seasonal model stays for its season, even if its level takes no part.
        let gives = |t: &Trial| family == Family::Level && t.choice.model.is_seasonal();
        for trial in self.trials.iter_mut().filter(|t| t.weight > 0.0 || gives(t)) {
            let mut state = State::default();
            let done = guarded(|| {
                state.clear();
                trial.choice.kernel.estimate(y, buffers, &mut state)?;
                trial.choice.kernel.update(y, &mut state);
                trial.path.reset(self.horizon.max(self.season_length));
                trial.choice.kernel.forecast(&state, &mut trial.path);
                finite(&trial.path)
            });
            let mut season = 0.0;
            if gives(trial) {
                season = season_share(&trial.path, self.season_length, observed_count(y)) - trial.weight;
            }
            let weight = trial.weight;
            match done {
                Ok(()) => portfolio.members.push(Member { choice: Arc::clone(&trial.choice), weight, season, state }),
                Err(why) => {
                    fell = true;
                    failed.push(format!("{}: {why}", trial.choice.text));
                }
            }
        }
        let total: f64 = portfolio.members.iter().map(|m| m.weight).sum();
        if total <= 0.0 {
            // Whatever has a weight has failed; what only gives its season forecasts nothing.
            return portfolio.members.clear();
        }
        for m in &mut portfolio.members {
            let weight = m.weight / total;
            // Of its share of the season, more is in its own weight now that others have failed.
            if fell && m.season != 0.0 {
                m.season += m.weight - weight;
            }
            m.weight = weight;
        }
        // The heaviest first; equal ones stay in the order of the pool.
        portfolio.members.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    }

    /// The foot of the ladder, for a series that tells nothing yet or that no model of its pools takes.
    fn foot(
        &mut self,
        y: &[f64],
        buffers: &mut Buffers,
        portfolio: &mut Portfolio,
        failed: &mut Vec<String>,
    ) -> Result<(), Refusal> {
        let mut last = Refusal::too_short("auto", 1, 0);
        let observed = observed_count(y);
        for text in ["ets_ann", "window_mean", "naive"] {
            let Some(choice) = self.choice(text).filter(|c| c.kernel.observations_min() <= observed) else { continue };
            let mut state = State::default();
            state.clear();
            match choice.kernel.estimate(y, buffers, &mut state) {
                Ok(()) => {
                    choice.kernel.update(y, &mut state);
                    portfolio.members.push(Member { choice, weight: 1.0, season: 0.0, state });
                    return Ok(());
                }
                Err(refusal) => {
                    failed.push(format!("{text}: {}", refusal.reason));
                    last = refusal;
                }
            }
        }
        Err(last)
    }
}

/// Weights by the inverse square of the scores, for the best few; equal ones where nothing was judged.
fn weigh(trials: &mut [Trial]) {
    let judged: Vec<f64> = trials.iter().map(|t| t.score).filter(|s| s.is_finite()).collect();
    let least = judged.iter().copied().fold(f64::INFINITY, f64::min);
    let mut ranked = judged.clone();
    ranked.sort_unstable_by(f64::total_cmp);
    let worst = ranked.get(MEMBERS - 1).copied().unwrap_or(f64::INFINITY);
    for t in trials.iter_mut() {
        t.weight = if judged.is_empty() {
            1.0
        } else if !t.score.is_finite() || t.score > worst {
            0.0
        } else if least == 0.0 {
            f64::from(t.score == 0.0)
        } else {
            (least / t.score) * (least / t.score)
        };
    }
    let total: f64 = trials.iter().map(|t| t.weight).sum();
    trials.iter_mut().for_each(|t| t.weight /= total);
}

/// How much of a model's season is more than noise: 1 - c F^-1, where F compares the season's variance with what noise of
/// the one-step errors alone would give it. Source: the positive-part estimator of James & Stein (1961).
fn season_share(path: &Path, m: usize, observed: usize) -> f64 {
    if m < 2 || path.mean.len() < m {
        return 1.0;
    }
    let cycle = &path.mean[..m];
    let level = cycle.iter().sum::<f64>() / m as f64;
    let variance = cycle.iter().map(|v| (v - level) * (v - level)).sum::<f64>() / (m - 1) as f64;
    let noise = path.deviation[0] * path.deviation[0] * m as f64 / observed as f64;
    if variance > 0.0 { (1.0 - SEASON_NOISE * noise / variance).max(0.0) } else { 0.0 }
}

/// Runs a candidate; a panic costs the candidate alone.
fn guarded(run: impl FnOnce() -> Result<(), Refusal>) -> Result<(), String> {
    match unwound(run) {
        Ok(done) => done.map_err(|r| r.reason),
        Err(text) => Err(format!("panicked, please report it: {text}")),
    }
}

fn finite(path: &Path) -> Result<(), Refusal> {
    match path.mean.iter().chain(&path.deviation).all(|v| v.is_finite()) {
        true => Ok(()),
        false => Err(Refusal::new(super::Status::Overflow, "forecast exceeds the range of a 64-bit float")),
    }
}

impl Trial {
    fn new(choice: Arc<Choice>) -> Self {
        let (state, path) = (State::default(), Path::default());
        Self { choice, mean: vec![], deviation: vec![], state, path, score: f64::NAN, weight: 0.0, season_share: 1.0 }
    }

    /// Estimates before the first origin that has observations enough, then forecasts at it and at all later ones.
    fn run(&mut self, y: &[f64], origins: &Origins, m: usize, buffers: &mut Buffers) -> Result<(), Refusal> {
        self.mean.clear();
        self.deviation.clear();
        let kernel = &self.choice.kernel;
        let mut at = None;
        for (&cut, &observed) in origins.cuts.iter().zip(&origins.observed) {
            if observed < kernel.observations_min() {
                self.mean.resize(self.mean.len() + origins.horizon, f64::NAN);
                self.deviation.resize(self.mean.len(), f64::NAN);
                continue;
            }
            if at.is_none() {
                self.state.clear();
                kernel.estimate(&y[..cut], buffers, &mut self.state)?;
            }
            kernel.update(&y[at.unwrap_or(0)..cut], &mut self.state);
            self.path.reset(origins.horizon.max(m));
            kernel.forecast(&self.state, &mut self.path);
            finite(&self.path)?;
            if at.is_none() {
                self.season_share = season_share(&self.path, m, observed);
            }
            at = Some(cut);
            self.mean.extend(&self.path.mean[..origins.horizon]);
            self.deviation.extend(&self.path.deviation[..origins.horizon]);
        }
        Ok(())
    }
}
