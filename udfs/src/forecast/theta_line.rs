//! The Theta recursion and its search: a straight line and exponential smoothing of what is left beside it.
//!
//! In: a series without season, as distances from its first value. Out: smoothing, weight of the line, start level.
//!
//! With w = 1 - 1 / theta, the one-step forecast is level + w (a u + b v), where a + b t is the least squares line and
//! u, v are what smoothing has not yet caught up with of the constant 1 and of the time t: u = (1 - alpha)^(t - 1) and
//! v = (1 - (1 - alpha)^t) / alpha, kept as u <- (1 - alpha) u and v <- 1 + (1 - alpha) v, so that a missing
//! observation is a step of the time alone. For a given alpha the forecast is linear in the start level and in w: both
//! come out of two normal equations that the pass over the series sums up, and only alpha is searched, eight candidates
//! at a time.

use super::Buffers;

/// The slowest smoothing tried has this many times 1 / n as its alpha, and never above 0.1: the least alpha of the
/// paper, which knows months and years, is fast for years of days.
const MEMORY: f64 = 10.0;

/// How many observations it counts for that the start level lies where the method puts it, at first value / theta.
const START_WEIGHT: f64 = 5.0;

/// How far the weight of the line strays from the classical one, as the standard deviation of a normal prior.
const STRAY: f64 = 0.5;

/// What a fit with a prior estimates: with no more errors than these it takes the classical weight.
const UNKNOWNS: f64 = 3.0;

/// Candidates of one search round.
const LANES: usize = 8;

/// Below this the memory of the start is gone; products of it would become subnormal, which processors do slowly.
const GONE: f64 = 1e-100;

/// Observations whose errors do not count: the line is not yet a line.
pub(super) const WARM_UP: u64 = 3;

/// The weight of the line in the classical Theta method, theta = 2.
pub(super) const CLASSIC: f64 = 0.5;

/// Search rounds after the first; each puts its candidates between the neighbours of the best one known.
const ROUNDS: usize = 3;

/// Where the search starts, as log odds of alpha: from 0.1, or from `MEMORY` / n in long series, to 0.99.
const START: [f64; LANES] = [-2.2, -1.5, -0.9, -0.3, 0.4, 1.2, 2.4, 4.6];

/// The least squares line through what has been seen, about the first value; moves on by one value.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Line {
    pub(super) n: f64,
    pub(super) mean_t: f64,
    pub(super) mean: f64,
    pub(super) tt: f64,
    pub(super) ty: f64,
}

impl Line {
    /// One more value at time `t`.
    #[inline]
    pub(super) fn push(&mut self, t: f64, z: f64) {
        self.n += 1.0;
        let (dt, dz) = (t - self.mean_t, z - self.mean);
        self.mean_t += dt / self.n;
        self.mean += dz / self.n;
        self.tt += dt * (t - self.mean_t);
        self.ty += dt * (z - self.mean);
    }

    /// Intercept at time 0, and slope.
    #[inline]
    pub(super) fn coefficients(&self) -> (f64, f64) {
        let b = if self.n > 1.0 { self.ty / self.tt } else { 0.0 };
        (self.mean - b * self.mean_t, b)
    }
}

/// Where the smoothing stands, in distances from the first value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Smooth {
    /// Level, started at zero.
    pub(super) level: f64,
    /// What smoothing has not caught up with of a constant.
    pub(super) u: f64,
    /// The same of the time.
    pub(super) v: f64,
}

impl Smooth {
    /// Before the first value.
    pub(super) const START: Self = Self { level: 0.0, u: 1.0, v: 1.0 };

    /// One more value.
    #[inline]
    pub(super) fn push(&mut self, alpha: f64, z: f64) {
        let q = 1.0 - alpha;
        self.level += alpha * (z - self.level);
        self.u = if q * self.u < GONE { 0.0 } else { q * self.u };
        self.v = 1.0 + q * self.v;
    }

    /// The forecast of the next value.
    #[inline]
    pub(super) fn next(&self, shift: f64, w: f64, (a, b): (f64, f64)) -> f64 {
        self.level + shift * self.u + w * (a * self.u + b * self.v)
    }
}

/// What the search found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    /// Smoothing of the level.
    pub(super) alpha: f64,
    /// Weight of the line, 1 - 1 / theta.
    pub(super) w: f64,
    /// Start level less first value / theta.
    pub(super) shift: f64,
    /// Sum of squared one-step errors after the warm-up.
    pub(super) sse: f64,
    /// The same with what the prior adds: what the search minimises.
    pub(super) score: f64,
}

/// A series and the line known before each of its values.
pub(super) struct Lines {
    /// Distances from the first value, NaN where an observation is missing.
    pub(super) z: Vec<f64>,
    a: Vec<f64>,
    b: Vec<f64>,
}

impl Lines {
    /// The line through the values before each one (dynamic), or the one through all.
    pub(super) fn new(z: Vec<f64>, is_dynamic: bool, buffers: &mut Buffers) -> Self {
        let mut lines = Self { z, a: buffers.take(0), b: buffers.take(0) };
        lines.draw(is_dynamic);
        lines
    }

    /// Draws the lines anew.
    pub(super) fn draw(&mut self, is_dynamic: bool) {
        self.a.clear();
        self.b.clear();
        let mut line = Line::default();
        for (t, &z) in self.z.iter().enumerate() {
            let (a, b) = line.coefficients();
            if is_dynamic {
                self.a.push(a);
                self.b.push(b);
            }
            if !z.is_nan() {
                line.push((t + 1) as f64, z);
            }
        }
        if !is_dynamic {
            let (a, b) = line.coefficients();
            self.a.resize(self.z.len(), a);
            self.b.resize(self.z.len(), b);
        }
    }

    /// The line before the last value; the one through all if they are all the same.
    pub(super) fn last(&self) -> (f64, f64) {
        (self.a.last().copied().unwrap_or(0.0), self.b.last().copied().unwrap_or(0.0))
    }

    /// Gives the memory back.
    pub(super) fn give(self, buffers: &mut Buffers) {
        [self.z, self.a, self.b].into_iter().for_each(|v| buffers.give(v));
    }

    /// The least sum of squares over alpha, start level and, unless it is given, w in [0, 1], with or without the prior
    /// on both.
    pub(super) fn search(&self, alpha: Option<f64>, w: Option<f64>, has_prior: bool) -> Found {
        if let Some(alpha) = alpha {
            return best(&self.candidates(&[alpha; LANES], w, has_prior)).1;
        }
        let mut points = START;
        points[0] = points[0].min(libm::log(MEMORY / self.z.iter().filter(|z| !z.is_nan()).count() as f64));
        let (mut low, mut high) = (points[0], START[LANES - 1]);
        let mut found: Option<Found> = None;
        for round in 0..=ROUNDS {
            if round > 0 {
                let step = (high - low) / (LANES + 1) as f64;
                points = std::array::from_fn(|k| low + (k + 1) as f64 * step);
            }
            let (k, next) = best(&self.candidates(&points.map(share), w, has_prior));
            if found.is_none_or(|f| next.score < f.score) {
                found = Some(next);
            }
            (low, high) = (if k > 0 { points[k - 1] } else { low }, if k + 1 < LANES { points[k + 1] } else { high });
        }
        found.unwrap_or(Found { alpha: 0.5, w: CLASSIC, shift: 0.0, sse: 0.0, score: 0.0 })
    }

    /// One pass over the series with eight values of alpha.
    fn candidates(&self, alpha: &[f64; LANES], w: Option<f64>, has_prior: bool) -> [Found; LANES] {
        let mut x = Lanes::new(alpha, has_prior);
        let mut seen = 0;
        for ((&z, &a), &b) in self.z.iter().zip(&self.a).zip(&self.b) {
            if z.is_nan() {
                x.skip();
            } else if seen < WARM_UP {
                seen += 1;
                x.step::<false>(z, a, b);
            } else {
                x.step::<true>(z, a, b);
            }
        }
        let errors = (self.z.iter().filter(|z| !z.is_nan()).count() as f64 - WARM_UP as f64).max(1.0);
        std::array::from_fn(|k| x.solve(k, w, has_prior, errors))
    }
}

/// Eight smoothings on their way through a series, with the sums of the normal equations: of the start level's
/// regressor u, of the line's regressor x = a u + b v, and of what the smoothing leaves, e.
struct Lanes {
    alpha: [f64; LANES],
    level: [f64; LANES],
    u: [f64; LANES],
    v: [f64; LANES],
    uu: [f64; LANES],
    ux: [f64; LANES],
    xx: [f64; LANES],
    ue: [f64; LANES],
    xe: [f64; LANES],
    ee: [f64; LANES],
}

impl Lanes {
    fn new(alpha: &[f64; LANES], has_prior: bool) -> Self {
        let zero = [0.0; LANES];
        let one = [1.0; LANES];
        let alpha = *alpha;
        Self {
            alpha,
            level: zero,
            u: one,
            v: one,
            uu: [if has_prior { START_WEIGHT } else { 0.0 }; LANES],
            ux: zero,
            xx: zero,
            ue: zero,
            xe: zero,
            ee: zero,
        }
    }

    #[inline(always)]
    fn step<const SCORE: bool>(&mut self, z: f64, a: f64, b: f64) {
        for k in 0..LANES {
            let (q, u, v) = (1.0 - self.alpha[k], self.u[k], self.v[k]);
            let e = z - self.level[k];
            if SCORE {
                let x = a * u + b * v;
                self.uu[k] += u * u;
                self.ux[k] += u * x;
                self.xx[k] += x * x;
                self.ue[k] += u * e;
                self.xe[k] += x * e;
                self.ee[k] += e * e;
            }
            self.level[k] += self.alpha[k] * e;
            self.u[k] = if q * u < GONE { 0.0 } else { q * u };
            self.v[k] = 1.0 + q * v;
        }
    }

    /// A step without observation: only time goes on.
    fn skip(&mut self) {
        self.v.iter_mut().for_each(|v| *v += 1.0);
    }

    /// The best start level and weight of the line for one alpha.
    fn solve(&self, k: usize, w: Option<f64>, has_prior: bool, errors: f64) -> Found {
        let (uu, ux, xx) = (self.uu[k], self.ux[k], self.xx[k]);
        let (ue, xe, ee) = (self.ue[k], self.xe[k], self.ee[k]);
        // Beyond the memory of the start its level tells nothing, and stays where the method puts it.
        let shift = |w: f64| if uu > GONE { (ue - w * ux) / uu } else { 0.0 };
        let sse = |shift: f64, w: f64| {
            ee - 2.0 * (shift * ue + w * xe) + (shift * shift * uu + 2.0 * shift * w * ux + w * w * xx)
        };
        let (mut best, mut pull) = (CLASSIC, 0.0);
        let left = if uu > GONE { xx - ux * ux / uu } else { xx };
        if left > 1e-10 * xx {
            best = (xe - ux * shift(0.0)) / left;
            if has_prior && w.is_none() {
                // The more noise beside the least squares, the more the prior weighs.
                let known = errors > UNKNOWNS;
                let noise = if known { sse(shift(best), best).max(0.0) / (errors - UNKNOWNS) } else { f64::INFINITY };
                pull = noise / (STRAY * STRAY);
                best = if known { (xe - ux * shift(0.0) + pull * CLASSIC) / (left + pull) } else { CLASSIC };
            }
        }
        let w = w.unwrap_or(best).clamp(0.0, 1.0);
        let shift = shift(w);
        let sse = sse(shift, w);
        let stray = w - CLASSIC;
        let score = if stray == 0.0 { sse } else { sse + pull * (stray * stray) };
        let weight = if has_prior { START_WEIGHT } else { 0.0 };
        Found { alpha: self.alpha[k], w, shift, sse: sse - weight * (shift * shift), score }
    }
}

/// The first of the least.
fn best(candidates: &[Found; LANES]) -> (usize, Found) {
    let k = (0..LANES).fold(0, |best, k| if candidates[k].score < candidates[best].score { k } else { best });
    (k, candidates[k])
}

/// Log odds to a share in (0, 1), by (1 + x/1024)^1024 for the exponential: it only has to be smooth and rising, and
/// multiplications round alike on every host.
fn share(x: f64) -> f64 {
    let mut odds = 1.0 + x / 1024.0;
    for _ in 0..10 {
        odds *= odds;
    }
    odds / (1.0 + odds)
}
