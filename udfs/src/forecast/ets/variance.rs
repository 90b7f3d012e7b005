//! Standard deviations of ETS forecast errors, by the three classes of models that have formulas for them.
//!
//! In: a form, its smoothing parameters, states at the end and the variance of the one-step error. Out: one a step.
//!
//! Source: Hyndman, Koehler, Ord & Snyder (2008), Forecasting with Exponential Smoothing, ch. 6.

use super::form::{Error, Form, Season, Smooth, Trend};
use crate::forecast::Path;

/// The states that a forecast starts from.
pub(in crate::forecast) struct Now<'a> {
    pub(in crate::forecast) level: f64,
    pub(in crate::forecast) trend: f64,
    /// One a phase; empty without a season.
    pub(in crate::forecast) seasons: &'a [f64],
    /// Phase of the first step.
    pub(in crate::forecast) first: usize,
}

/// The standard deviations of a form, whichever class it belongs to; `path` holds its means.
///
/// `variance`: of the one-step error, of the relative one under a multiplicative error.
pub(in crate::forecast) fn deviations(form: Form, smooth: Smooth, now: Now<'_>, variance: f64, path: &mut Path) {
    let (m, deviation) = (now.seasons.len(), &mut path.deviation);
    match (form.error, form.season) {
        (Error::Add, _) => additive(form, smooth, m, variance, deviation),
        (Error::Mul, Season::Mul) => multiplied(form, smooth, now, variance, deviation),
        (Error::Mul, _) => relative(form, smooth, m, variance, &path.mean, deviation),
    }
}

/// Class 1, additive errors: sigma^2 (1 + sum of c_j^2), c_j what one error moves the mean j steps on.
fn additive(form: Form, smooth: Smooth, m: usize, variance: f64, deviation: &mut [f64]) {
    let mut weights = Weights::new(form, smooth, m);
    let mut sum = 1.0;
    for d in deviation {
        *d = (variance * sum).sqrt();
        let c = weights.next();
        sum += c * c;
    }
}

/// Class 2, multiplicative errors without a multiplicative season: (1 + sigma^2) theta_h - mu_h^2 with
/// theta_h = mu_h^2 + sigma^2 sum of c_j^2 theta_(h-j). O(h^2): no shorter recursion holds for every form.
///
/// `mean`: the forecasts themselves. `variance`: of the relative error.
fn relative(form: Form, smooth: Smooth, m: usize, variance: f64, mean: &[f64], deviation: &mut [f64]) {
    for h in 0..deviation.len() {
        let mut weights = Weights::new(form, smooth, m);
        let sum = deviation[..h].iter().rev().fold(0.0, |sum, theta| {
            let c = weights.next();
            sum + c * c * theta
        });
        deviation[h] = mean[h] * mean[h] + variance * sum;
    }
    for (d, mu) in deviation.iter_mut().zip(mean) {
        *d = ((1.0 + variance) * *d - mu * mu).max(0.0).sqrt();
    }
    saturate(deviation);
}

/// What one error moves the mean one, two, .. steps on: alpha + beta (phi + .. + phi^j), and gamma after whole seasons.
struct Weights {
    smooth: Smooth,
    m: usize,
    step: usize,
    power: f64,
    sum: f64,
}

impl Weights {
    fn new(form: Form, smooth: Smooth, m: usize) -> Self {
        Self { smooth, m: if form.has_season() { m } else { 0 }, step: 0, power: 1.0, sum: 0.0 }
    }

    #[inline]
    fn next(&mut self) -> f64 {
        let [alpha, beta, gamma, phi] = self.smooth;
        self.step += 1;
        self.power *= phi;
        self.sum += self.power;
        let season = if self.step == self.m { gamma } else { 0.0 };
        self.step = if self.step == self.m { 0 } else { self.step };
        alpha + beta * self.sum + season
    }
}

/// Class 3, multiplicative errors and season: the exact second moments under normal relative errors.
///
/// The mean at phase i is (level + slope) times season i. Both are moved by the same errors, but season i only in its
/// own phase; so for each phase the moments E x s and E x x' s^2 (x level and trend, s the season) follow a recursion of
/// five numbers. O(horizon min(m, horizon)).
fn multiplied(form: Form, smooth: Smooth, now: Now<'_>, variance: f64, deviation: &mut [f64]) {
    let [_, _, gamma, _] = smooth;
    let m = now.seasons.len().max(1);
    let step = Step::new(form, smooth);
    for phase in 0..m.min(deviation.len()) {
        let s = now.seasons.get((now.first + phase) % m).copied().unwrap_or(1.0);
        let mut x = [now.level * s, now.trend * s];
        let mut v = [x[0] * x[0], x[0] * x[1], x[1] * x[1]];
        let last = (deviation.len() - 1 - phase) / m * m + phase;
        for (t, d) in deviation.iter_mut().enumerate().take(last + 1) {
            let own = t % m == phase;
            if own {
                let mean = step.mean(x);
                *d = ((1.0 + variance) * step.square(v) - mean * mean).max(0.0).sqrt();
            }
            let g = if own { gamma } else { 0.0 };
            let gain = [1.0 + g * g * variance, 2.0 * g * variance, variance + 3.0 * g * g * variance * variance];
            v = step.moments(v, gain);
            x = step.moved(x, g * variance);
        }
    }
    saturate(deviation);
}

/// One step of level and trend: x -> A x + B x r, with A = [1 phi; 0 phi] and B = (alpha, beta)' (1 phi).
struct Step {
    alpha: f64,
    beta: f64,
    phi: f64,
}

impl Step {
    fn new(form: Form, [alpha, beta, _, phi]: Smooth) -> Self {
        Self { alpha, beta, phi: if form.trend == Trend::None { 0.0 } else { phi } }
    }

    fn mean(&self, [level, trend]: [f64; 2]) -> f64 {
        level + self.phi * trend
    }

    /// E of the squared mean.
    fn square(&self, [ll, lb, bb]: [f64; 3]) -> f64 {
        ll + 2.0 * self.phi * lb + self.phi * self.phi * bb
    }

    fn moved(&self, x: [f64; 2], gain: f64) -> [f64; 2] {
        let q = self.mean(x);
        [q + gain * self.alpha * q, self.phi * x[1] + gain * self.beta * q]
    }

    /// A V A' , A V B' + B V A' and B V B', weighted by `gain`.
    fn moments(&self, v: [f64; 3], gain: [f64; 3]) -> [f64; 3] {
        let (phi, a, b) = (self.phi, self.alpha, self.beta);
        let qq = self.square(v);
        let qb = phi * (v[1] + phi * v[2]);
        let aa = [qq, qb, phi * phi * v[2]];
        let ab = [2.0 * a * qq, b * qq + a * qb, 2.0 * b * qb];
        let b2 = [a * a * qq, a * b * qq, b * b * qq];
        std::array::from_fn(|i| gain[0] * aa[i] + gain[1] * ab[i] + gain[2] * b2[i])
    }
}

/// Relative errors compound: what exceeds a float stays at the last one that does not.
fn saturate(deviation: &mut [f64]) {
    let mut last = 0.0;
    for d in deviation {
        if d.is_finite() { last = *d } else { *d = last }
    }
}
