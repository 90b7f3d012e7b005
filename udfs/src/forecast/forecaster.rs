//! From a clean series to its forecast: fit or move on, look ahead, bounds.
//!
//! In: values of one series, NaN where missing. Out: means, bounds and quantiles per step, and what became of the series.

use super::auto::Auto;
use super::calendar::Clock;
use super::demand::{Class, classify};
use super::memory::{Choices, Memory, Unusable};
use super::model::{Buffers, Path, Spread, State, observed_count};
use super::portfolio::Member;
use super::predictive::{Asked, Predictive, RATIO_MAX, Seen, Shape, Support};
use super::status::{Refusal, Status, caught};
use super::{Choice, scale};
use crate::error::Result;
use std::sync::Arc;

/// Rolling origins from which the spread of a model without an exact one is measured.
const ORIGINS: usize = 5;

/// Errors as expected that count beside those seen at rolling origins, when the spread is measured.
const PRIOR_ERRORS: f64 = 30.0;

/// Weight of the newest error in the tracking signal. Source: Trigg (1964), Monitoring a forecasting system.
const TRACKING: f64 = 0.1;

/// Tracking signal above which the errors of a series have gone to one side, and it is fitted anew.
const TRACKING_MAX: f64 = 0.7;

/// The model asked for.
#[derive(Clone)]
pub(super) enum Asking {
    /// `auto`.
    Auto,
    /// A model, then the simpler ones below it.
    Ladder(Vec<Arc<Choice>>),
}

/// What every series of a call shares.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) asking: Asking,
    pub(super) season_length: usize,
    pub(super) horizon: usize,
    pub(super) asked: Asked,
    /// Cut at zero; `None`: if the series holds no negative value.
    pub(super) non_negative: Option<bool>,
}

/// What became of a series.
#[derive(Debug, Clone)]
pub(super) struct Fitted {
    pub(super) class: Class,
    pub(super) status: Status,
    /// Every step down the ladder.
    pub(super) reason: Option<String>,
    /// Whether the bounds hold.
    pub(super) bounds: bool,
}

/// Whether a series could go on from last night's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Moved on; forecast as usual.
    Updated,
    /// Moved on, but its errors have gone to one side.
    Tripped,
}

/// Forecasts one series after the other; keeps its buffers.
pub(super) struct Forecaster {
    terms: Arc<Terms>,
    auto: Auto,
    /// What is known of the current series.
    pub(super) memory: Memory,
    spread: Spread,
    ratios: Vec<Seen>,
    /// Start states of the model fitted last.
    start: State,
    buffers: Buffers,
    choices: Choices,
    /// The path of the current series.
    pub(super) path: Path,
    member: Path,
    predictive: Predictive,
    /// The models of the current series, as in the `model` column.
    pub(super) model: String,
}

impl Forecaster {
    pub(super) fn new(terms: Arc<Terms>) -> Self {
        Self {
            auto: Auto::new(terms.season_length, terms.horizon),
            terms,
            memory: Memory::default(),
            spread: Spread::Unknown,
            ratios: vec![],
            start: State::default(),
            buffers: Buffers::default(),
            choices: Choices::default(),
            path: Path::default(),
            member: Path::default(),
            predictive: Predictive::default(),
            model: String::new(),
        }
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        let paths = [&self.path, &self.member].iter().map(|p| 16 * p.mean.capacity()).sum::<usize>();
        self.buffers.memory_bytes() + self.auto.memory_bytes() + paths
    }

    /// Frees what grows with a series.
    pub(super) fn let_go(&mut self) {
        *self = Self::new(Arc::clone(&self.terms));
    }

    /// Fits `y` (finite, or NaN for missing) and leaves its state in `memory`, its path in `path`. `observed`: the values
    /// before effects were taken out, which tell what kind of number is forecast; else `y`.
    ///
    /// Errors: a [`Refusal`] `too_short`, `unfit` or `overflow`.
    pub(super) fn fit(&mut self, y: &[f64], observed: &[f64]) -> Result<Fitted, Refusal> {
        let y = &y[y.iter().position(|v| !v.is_nan()).unwrap_or(y.len())..];
        let largest = y.iter().fold(0.0_f64, |largest, v| if v.is_nan() { largest } else { largest.max(v.abs()) });
        let (down, _) = scale(largest).unwrap_or((1.0, 1.0));
        self.memory.portfolio.scale = down;
        if down == 1.0 {
            return self.fit_moderate(y, observed);
        }
        let mut scaled = self.buffers.take(0);
        scaled.extend(y.iter().map(|v| v * down));
        let fitted = self.fit_moderate(&scaled, observed);
        self.buffers.give(scaled);
        fitted
    }

    fn fit_moderate(&mut self, y: &[f64], observed: &[f64]) -> Result<Fitted, Refusal> {
        let terms = Arc::clone(&self.terms);
        let (class, mut reasons) = match &terms.asking {
            Asking::Auto => {
                let chosen = self.auto.choose(y, &mut self.buffers, &mut self.memory.portfolio)?;
                self.memory.shape = chosen.shape;
                (chosen.demand.class, chosen.failed)
            }
            Asking::Ladder(ladder) => {
                let demand = classify(y, self.terms.season_length);
                let steps = self.climb(ladder, y)?;
                (demand.class, steps)
            }
        };
        self.memory.class = Some(class);
        self.memory.draw();
        self.memory.support = self.support_of(observed, class);
        self.look_ahead()?;
        self.memory.tracking = (0.0, 0.8 * self.path.deviation.first().copied().unwrap_or(0.0));
        Ok(self.tell(class, &mut reasons, || observed_count(y)))
    }

    /// What became of a series, of whose models `reasons` says why they are not those asked for.
    fn tell(&mut self, class: Class, reasons: &mut Vec<String>, observed: impl Fn() -> usize) -> Fitted {
        self.memory.portfolio.text(&mut self.model);
        let bounds = self.spread == Spread::Known;
        let mut status = if reasons.is_empty() { Status::Ok } else { Status::Fallback };
        if self.terms.asked.columns() > 0 && !bounds {
            reasons.push(format!("{} tells no spread from n={}", self.model, observed()));
            status = if status == Status::Ok { Status::NoInterval } else { status };
        }
        let reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        Fitted { class, status, reason, bounds }
    }

    /// Goes down the ladder to the first model that takes the series. The reasons of those above it.
    fn climb(&mut self, ladder: &[Arc<Choice>], y: &[f64]) -> Result<Vec<String>, Refusal> {
        let observed = observed_count(y);
        let mut first: Option<Refusal> = None;
        let mut steps = vec![];
        for choice in ladder {
            let least = choice.kernel.observations_min().max(1);
            let done = if observed < least {
                Err(Refusal::too_short(choice.model.name(), least, observed))
            } else {
                self.fit_one(choice, y)
            };
            match done {
                Ok(()) => {
                    let exact = choice.model.has_exact_spread();
                    self.memory.shape = if exact { Shape::NORMAL } else { self.shape_of(choice, y) };
                    return Ok(steps);
                }
                Err(refusal) => {
                    steps.push(refusal.reason.clone());
                    first.get_or_insert(refusal);
                }
            }
        }
        Err(first.unwrap_or_else(|| Refusal::too_short("forecast", 1, observed)))
    }

    /// Fits one model to `y`; its start states stay in `start`.
    fn fit_one(&mut self, choice: &Arc<Choice>, y: &[f64]) -> Result<(), Refusal> {
        let mut state = self.memory.portfolio.members.pop().map(|m| m.state).unwrap_or_default();
        self.memory.portfolio.members.clear();
        state.clear();
        let (buffers, start) = (&mut self.buffers, &mut self.start);
        caught(format_args!("model {}", choice.text), || {
            choice.kernel.estimate(y, buffers, &mut state)?;
            start.clone_from(&state);
            choice.kernel.update(y, &mut state);
            Ok(())
        })?;
        self.memory.portfolio.members.push(Member { choice: Arc::clone(choice), weight: 1.0, season: 0.0, state });
        Ok(())
    }

    /// The shape of the errors at rolling origins, parameters and start states fixed: one more pass over the series.
    fn shape_of(&mut self, choice: &Choice, y: &[f64]) -> Shape {
        let h = self.terms.horizon.min(y.len() / 4);
        let mut at = 0;
        self.ratios.clear();
        for k in (1..=ORIGINS).rev().filter(|k| h > 0 && y.len() > k * h + h) {
            let cut = y.len() - k * h;
            choice.kernel.update(&y[at..cut], &mut self.start);
            at = cut;
            self.member.reset(h);
            if choice.kernel.forecast(&self.start, &mut self.member) == Spread::Unknown {
                return Shape::NORMAL;
            }
            let expected = self.member.mean.iter().zip(&self.member.deviation);
            let place = |t: usize| (t as f64 + 0.5) / h as f64;
            let seen = y[cut..]
                .iter()
                .zip(expected)
                .enumerate()
                .map(|(t, (v, (mean, deviation)))| Seen { ratio: ((v - mean) / deviation).abs(), place: place(t) });
            self.ratios.extend(seen.filter(|s| s.ratio < RATIO_MAX));
        }
        Shape::conformal(&mut self.ratios, Shape::NORMAL, PRIOR_ERRORS)
    }

    /// What kind of number the series holds, as far as its intervals are concerned.
    fn support_of(&self, y: &[f64], class: Class) -> Support {
        let observed = || y.iter().filter(|v| !v.is_nan());
        let non_negative = self.terms.non_negative.unwrap_or_else(|| observed().all(|v| *v >= 0.0));
        if !non_negative {
            return Support::Real;
        }
        let counts = self.memory.portfolio.scale == 1.0
            && (class.is_intermittent() || matches!(self.terms.asking, Asking::Auto))
            && observed().all(|v| *v >= 0.0 && is_whole(*v));
        if counts { Support::Count } else { Support::NonNegative }
    }

    /// The path of the series from where it stands. Errors: `overflow`.
    pub(super) fn look_ahead(&mut self) -> Result<(), Refusal> {
        self.path.reset(self.terms.horizon);
        self.spread = self.memory.portfolio.forecast(&mut self.path, &mut self.member);
        self.check()?;
        self.expect();
        Ok(())
    }

    /// Checks that the path and all that may be asked of it are finite. Errors: `overflow`.
    pub(super) fn check(&mut self) -> Result<(), Refusal> {
        // A tilted shape widens by less than twice.
        let reach = 9.0_f64.max(2.0 * self.predictive.reach(self.memory.shape, &self.terms.asked));
        let beyond = |(m, d): (&f64, &f64)| !(m + reach * d).is_finite() || !(m - reach * d).is_finite();
        match self.path.mean.iter().zip(&self.path.deviation).position(beyond) {
            None => Ok(()),
            Some(at) => Err(Refusal::new(
                Status::Overflow,
                format!("forecast or its interval exceeds the range of a 64-bit float: step={}", at + 1),
            )),
        }
    }

    fn expect(&mut self) {
        if self.memory.support == Support::Count && self.spread == Spread::Known {
            let steps = (0..self.path.mean.len()).map(|t| spread(&self.path, &self.memory.shape, t));
            self.predictive.expect(steps);
        }
    }

    /// Once the series has been looked ahead: mean of step `t`, cut at zero if negative values make no sense; bounds of levels and quantiles into `out`.
    pub(super) fn step(&mut self, t: usize, out: &mut Vec<f64>) -> f64 {
        let (mean, deviation) = spread(&self.path, &self.memory.shape, t);
        if self.spread == Spread::Known {
            self.predictive.step(mean, deviation, self.memory.support, out);
        }
        if self.memory.support == Support::Real { mean } else { mean.max(0.0) }
    }

    /// Goes on from last night's state by the values since. O(values).
    ///
    /// Errors: a [`Refusal`] `overflow`.
    pub(super) fn resume(&mut self, y: &[f64]) -> Result<Progress, Refusal> {
        self.memory.support = match self.memory.support {
            Support::Real => Support::Real,
            _ if self.terms.non_negative.is_none() && y.iter().any(|v| *v < 0.0) => Support::Real,
            Support::Count if y.iter().any(|v| *v < 0.0 || !is_whole(*v) && !v.is_nan()) => Support::NonNegative,
            same => same,
        };
        for v in y {
            if !v.is_nan() {
                self.path.reset(1);
                self.memory.portfolio.forecast(&mut self.path, &mut self.member);
                let e = v - self.path.mean[0];
                let (signed, size) = &mut self.memory.tracking;
                *signed += TRACKING * (e - *signed);
                *size += TRACKING * (e.abs() - *size);
            }
            self.memory.portfolio.update(std::slice::from_ref(v), &mut self.buffers);
        }
        self.look_ahead()?;
        let (signed, size) = self.memory.tracking;
        Ok(if signed.abs() > TRACKING_MAX * size { Progress::Tripped } else { Progress::Updated })
    }

    /// Reads last night's state, which must be of the same `arguments`.
    pub(super) fn remember(&mut self, bytes: &[u8], arguments: u64, clock: &Clock) -> Result<(), Unusable> {
        self.memory.read(bytes, arguments, clock, self.terms.season_length, &mut self.choices)
    }

    /// What to say of a series that went on from last night's state.
    pub(super) fn told(&mut self) -> Fitted {
        let mut reasons = Vec::new();
        if let (Asking::Ladder(ladder), [one]) = (&self.terms.asking, self.memory.portfolio.members.as_slice())
            && let Some(first) = ladder.first().filter(|first| first.text != one.choice.text)
        {
            reasons.push(format!("{} did not take the series when it was fitted last", first.text));
        }
        let errors = self.memory.portfolio.members.first().map_or(0, |m| m.state.errors);
        self.tell(self.memory.class.unwrap_or(Class::New), &mut reasons, || errors as usize)
    }
}

/// Whether a number is whole; NaN is not. From 2^53 on every one is.
fn is_whole(v: f64) -> bool {
    v.abs() >= 9_007_199_254_740_992.0 || (v as i64) as f64 == v
}

/// Mean and deviation of step `t`, as the errors of the series bend it over the horizon.
fn spread(path: &Path, shape: &Shape, t: usize) -> (f64, f64) {
    let place = (t as f64 + 0.5) / path.mean.len() as f64;
    (path.mean[t], path.deviation[t] * shape.slope(place))
}
