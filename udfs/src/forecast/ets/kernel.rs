//! ETS models as kernels: one form, or the best of a pool.  In: a series. Out: a state that knows its form, and its path.

use super::form::{Error, Form, Season, Smooth, Trend};
use super::lanes::Series;
use super::search::{Point, Task, deviance, hopeless, search};
use super::start::End;
use super::variance;
use crate::forecast::model::observed_count;
use crate::forecast::{Buffers, Kernel, Path, Refusal, Spread, State, Status};

/// One form, or several of which the corrected Akaike criterion chooses; smoothing parameters may be given.
///
/// Parameters: the code of the form, alpha, beta, gamma, phi. States: level, trend, the sum of squared relative errors
/// (zero under additive errors), then the season of each phase if there is one.
pub(in crate::forecast) struct Ets {
    /// Simpler forms before the bigger ones that start from them.
    pub(in crate::forecast) pool: Vec<Form>,
    /// The pool of a series that no seasonal form of the first one takes.
    pub(in crate::forecast) short: Vec<Form>,
    pub(in crate::forecast) fixed: [Option<f64>; 4],
    /// 1 for no season.
    pub(in crate::forecast) season_length: usize,
    pub(in crate::forecast) name: &'static str,
}

/// How far a form may lie behind the best one, in units of the criterion, when its search has just begun.
const GAP: f64 = 12.0;

const LEVEL: usize = 0;
const TREND: usize = 1;
const RELATIVE: usize = 2;
const SEASONS: usize = 3;

impl Ets {
    /// Parameters and states of a fit.
    fn keep(form: Form, smooth: Smooth, start: End, seasons: &[f64], state: &mut State) {
        state.parameters.clear();
        state.parameters.push(form.code());
        state.parameters.extend(smooth);
        state.states.clear();
        state.states.extend([start.level, start.trend, 0.0]);
        state.states.extend_from_slice(seasons);
    }

    /// A series of one value repeated has no likelihood to maximise: any parameters forecast it without error.
    fn constant(&self, y: &[f64], state: &mut State) -> bool {
        let first = y[0];
        if y.iter().any(|v| *v != first && !v.is_nan()) {
            return false;
        }
        let fits = |f: &&Form| first > 0.0 || !f.needs_positive();
        let Some(form) = self.pool.iter().find(fits) else { return false };
        let uses = form.uses();
        let smooth = std::array::from_fn(|i| match (uses[i], self.fixed[i]) {
            (true, Some(given)) => given,
            (true, None) => [0.1, 0.01, 0.1, 0.98][i],
            (false, _) => [0.0, 0.0, 0.0, 1.0][i],
        });
        Self::keep(*form, smooth, End { level: first, trend: 0.0 }, &[], state);
        let neutral = if form.season == Season::Mul { 1.0 } else { 0.0 };
        state.states.resize(SEASONS + if form.has_season() { self.season_length } else { 0 }, neutral);
        true
    }

    /// Parameters that were estimated, the variance not among them.
    fn estimated(&self, form: Form) -> usize {
        let smoothing = form.uses().iter().zip(&self.fixed).filter(|(used, given)| **used && given.is_none()).count();
        smoothing + form.free_states(self.season_length)
    }

    /// What the corrected Akaike criterion adds to the deviance of a form.
    fn penalty(&self, form: Form, observed: usize) -> f64 {
        let k = self.estimated(form) as f64 + 1.0;
        2.0 * k + 2.0 * k * (k + 1.0) / (observed as f64 - k - 1.0).max(1e-3)
    }

    fn pool_of(&self, observed: usize, positive: bool) -> &[Form] {
        let seasonal = self.pool.iter().any(|f| f.has_season() && self.takes(*f, observed, positive));
        if seasonal || self.short.is_empty() { &self.pool } else { &self.short }
    }

    /// Whether a form can take the series.
    fn takes(&self, form: Form, observed: usize, positive: bool) -> bool {
        observed >= form.observations_min(self.season_length) && (positive || !form.needs_positive())
    }
}

impl Kernel for Ets {
    fn observations_min(&self) -> usize {
        self.pool.iter().map(|f| f.observations_min(self.season_length)).min().unwrap_or(1)
    }

    fn estimate(&self, y: &[f64], buffers: &mut Buffers, state: &mut State) -> Result<(), Refusal> {
        if self.constant(y, state) {
            return Ok(());
        }
        let observed = observed_count(y);
        let positive = !y.iter().any(|v| *v <= 0.0);
        let scale = power_of_two(y.iter().fold(0.0, |largest, v| v.abs().max(largest)));
        let mut inverse = buffers.take(0);
        let mut logs = 0.0;
        if positive && self.pool.iter().any(|f| f.needs_positive()) {
            inverse.extend(y.iter().map(|v| 1.0 / v));
            logs = y.iter().filter(|v| !v.is_nan()).map(|v| libm::log(v / scale)).sum();
        }
        let series = Series { y, inverse: &inverse, observed, scale, logs };
        let mut seasons = buffers.take(0);
        let mut near: Option<(Form, Point)> = None;
        let mut least = f64::INFINITY;
        for &form in self.pool_of(observed, positive).iter().filter(|f| self.takes(**f, observed, positive)) {
            let penalty = self.penalty(form, observed);
            let task = Task {
                form,
                season_length: self.season_length,
                fixed: &self.fixed,
                near,
                hopeless: hopeless(series, form.error, least - penalty + GAP),
            };
            let Some(fit) = search(&task, series, buffers, &mut seasons) else { continue };
            near = Some((form, fit.point));
            let criterion = deviance(series, form.error, fit.score) + penalty;
            if criterion < least {
                least = criterion;
                Self::keep(form, fit.smooth, fit.start, &seasons, state);
            }
        }
        for vector in [inverse, seasons] {
            buffers.give(vector);
        }
        if least < f64::INFINITY {
            state.aicc = least;
            return Ok(());
        }
        let why = if positive { "finds no means above zero for this series" } else { "takes values above zero only" };
        Err(Refusal::new(Status::Unfit, format!("{} {why}", self.name)))
    }

    fn update(&self, y: &[f64], state: &mut State) {
        let form = Form::from_code(state.parameters[0]);
        for &v in y {
            step(form, v, state);
        }
    }

    fn forecast(&self, state: &State, path: &mut Path) -> Spread {
        let form = Form::from_code(state.parameters[0]);
        let &[_, alpha, beta, gamma, phi] = state.parameters.as_slice() else { return Spread::Unknown };
        let (level, trend) = (state.states[LEVEL], state.states[TREND]);
        let seasons = &state.states[SEASONS..];
        let m = seasons.len().max(1);
        let first = (state.steps % m as u64) as usize;
        let (mut q, mut slope) = (level, trend);
        for (t, mean) in path.mean.iter_mut().enumerate() {
            slope *= phi;
            q += slope;
            *mean = match form.season {
                Season::None => q,
                Season::Add => q + seasons[(first + t) % m],
                Season::Mul => q * seasons[(first + t) % m],
            };
        }
        let free = (state.errors as f64 - self.estimated(form) as f64).max(1.0);
        let sum = if form.error == Error::Mul { state.states[RELATIVE] } else { state.sse };
        let now = variance::Now { level, trend, seasons, first };
        variance::deviations(form, [alpha, beta, gamma, phi], now, sum / free, path);
        if state.errors > 0 { Spread::Known } else { Spread::Unknown }
    }
}

/// One step of time, as [`super::lanes`] takes it.
fn step(form: Form, v: f64, state: &mut State) {
    let &[_, alpha, beta, gamma, phi] = state.parameters.as_slice() else { return };
    let m = state.states.len() - SEASONS;
    let phase = SEASONS + if m > 0 { (state.steps % m as u64) as usize } else { 0 };
    state.steps += 1;
    let slope = if form.trend == Trend::Damped { phi * state.states[TREND] } else { state.states[TREND] };
    let q = state.states[LEVEL] + slope;
    if v.is_nan() {
        (state.states[LEVEL], state.states[TREND]) = (q, slope);
        return;
    }
    let (mean, e) = match form.season {
        Season::None => (q, v - q),
        Season::Add => (q + state.states[phase], (v - state.states[phase]) - q),
        Season::Mul => (q * state.states[phase], v - q * state.states[phase]),
    };
    let mut pull = e;
    match form.season {
        Season::None => {}
        Season::Add => state.states[phase] += gamma * e,
        Season::Mul => {
            pull = e / state.states[phase];
            state.states[phase] += gamma * (e / q);
        }
    }
    state.states[LEVEL] = q + alpha * pull;
    state.states[TREND] = slope + beta * pull;
    state.count(e);
    if form.error == Error::Mul {
        state.states[RELATIVE] += (e / mean) * (e / mean);
    }
}

/// The power of two at or below a positive number of moderate size; 1 for zero.
fn power_of_two(x: f64) -> f64 {
    if x > 0.0 { f64::from_bits(x.to_bits() & (0x7FF << 52)) } else { 1.0 }
}
