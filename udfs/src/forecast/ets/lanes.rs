//! The recursion of the ETS family, eight candidates at a time over one series.
//!
//! In: the series, smoothing parameters and the states at its end. Out: start states, end states and the likelihood.
//!
//! Written in the one-step error the recursion of a form with multiplicative error is that with additive error: only the
//! likelihood differs. A multiplicative season takes one division a step, and no other form takes any.

use super::form::{Error, Form, Season, Smooth, Trend};
use std::f64::consts::LN_2;

/// Candidates of one search round.
pub(in crate::forecast) const LANES: usize = 8;

const NONE: u8 = 0;
const ADD: u8 = 1;
const MUL: u8 = 2;
const DAMPED: u8 = 2;

/// A mean squared relative error that counts as an exact fit: what rounding leaves.
pub(in crate::forecast) const EXACT: f64 = 1e-30;

/// Steps after which the product of relative means is split into mantissa and exponent, long before it can overflow.
const SPLIT: usize = 16;

/// The states of `L` candidates on their way through a series, and what they have summed up.
#[derive(Clone, Copy)]
pub(in crate::forecast) struct Lanes<const L: usize> {
    alpha: [f64; L],
    beta: [f64; L],
    gamma: [f64; L],
    phi: [f64; L],
    pub(in crate::forecast) level: [f64; L],
    pub(in crate::forecast) trend: [f64; L],
    /// Sum of squared errors, relative ones under a multiplicative error.
    pub(in crate::forecast) sum: [f64; L],
    /// Product of mean / value, as mantissa and binary exponent.
    product: [f64; L],
    exponent: [i64; L],
    /// The smallest mean / value: a candidate that reaches zero has no likelihood.
    least: [f64; L],
}

/// A series as the recursion reads it.
#[derive(Clone, Copy)]
pub(in crate::forecast) struct Series<'a> {
    pub(in crate::forecast) y: &'a [f64],
    /// 1 / y; empty if no form asks for it.
    pub(in crate::forecast) inverse: &'a [f64],
    /// Observed values.
    pub(in crate::forecast) observed: usize,
    /// The power of two that brings its largest value near one.
    pub(in crate::forecast) scale: f64,
    /// Sum of log(y / scale), where `inverse` is filled.
    pub(in crate::forecast) logs: f64,
}

impl<const L: usize> Lanes<L> {
    pub(in crate::forecast) fn new(points: &[Smooth; L]) -> Self {
        let pick = |i: usize| std::array::from_fn(|k| points[k][i]);
        Self {
            alpha: pick(0),
            beta: pick(1),
            gamma: pick(2),
            phi: pick(3),
            level: [0.0; L],
            trend: [0.0; L],
            sum: [0.0; L],
            product: [1.0; L],
            exponent: [0; L],
            least: [f64::INFINITY; L],
        }
    }

    /// Log likelihood times -2 without its constant, over the observed count; smaller is better, NaN where there is none.
    /// Additive errors: the sum of squares itself, which orders alike without a logarithm.
    pub(in crate::forecast) fn scores(&self, error: Error, observed: usize) -> [f64; L] {
        let n = observed as f64;
        std::array::from_fn(|k| match error {
            Error::Add => self.sum[k],
            Error::Mul if self.least[k] > 0.0 => {
                libm::log(self.sum[k].max(EXACT * n))
                    + 2.0 / n * (libm::log(self.product[k]) + self.exponent[k] as f64 * LN_2)
            }
            Error::Mul => f64::NAN,
        })
    }

    /// One step of time. `inverse` is 1 / v where relative errors are scored.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "one lane index through several arrays becomes vectors")]
    fn step<const T: u8, const S: u8, const E: u8>(&mut self, v: f64, inverse: f64, season: &mut [f64; L]) {
        if v.is_nan() {
            if T != NONE {
                for k in 0..L {
                    let slope = if T == DAMPED { self.phi[k] * self.trend[k] } else { self.trend[k] };
                    self.level[k] += slope;
                    self.trend[k] = slope;
                }
            }
            return;
        }
        for k in 0..L {
            let slope = match T {
                NONE => 0.0,
                DAMPED => self.phi[k] * self.trend[k],
                _ => self.trend[k],
            };
            let q = if T == NONE { self.level[k] } else { self.level[k] + slope };
            if S == MUL {
                let mean = q * season[k];
                let relative = v / mean - 1.0;
                let pull = q * relative;
                self.level[k] = q + self.alpha[k] * pull;
                if T != NONE {
                    self.trend[k] = slope + self.beta[k] * pull;
                }
                season[k] += self.gamma[k] * (season[k] * relative);
                if E == MUL {
                    self.relative(k, mean * inverse, relative);
                }
            } else {
                let e = if S == ADD { (v - season[k]) - q } else { v - q };
                self.level[k] = q + self.alpha[k] * e;
                if T != NONE {
                    self.trend[k] = slope + self.beta[k] * e;
                }
                if S == ADD {
                    season[k] += self.gamma[k] * e;
                }
                if E == ADD {
                    self.sum[k] += e * e;
                }
                if E == MUL {
                    let mean = v - e;
                    self.relative(k, mean * inverse, e / mean);
                }
            }
        }
    }

    #[inline(always)]
    fn relative(&mut self, k: usize, mean: f64, error: f64) {
        self.sum[k] += error * error;
        self.product[k] *= mean;
        self.least[k] = if mean < self.least[k] { mean } else { self.least[k] };
    }

    /// Moves the binary exponent of the product out of it.
    #[inline(always)]
    fn split(&mut self) {
        const EXPONENT: u64 = 0x7FF << 52;
        for k in 0..L {
            let bits = self.product[k].to_bits();
            self.exponent[k] += ((bits & EXPONENT) >> 52) as i64 - 1023;
            self.product[k] = f64::from_bits((bits & !EXPONENT) | (1023 << 52));
        }
    }

    /// From the end to the start, or from the start to the end adding up the likelihood. Season i of `seasons` belongs to
    /// phase i of the series; the trend of a way back runs backwards.
    #[inline(always)]
    fn pass<const T: u8, const S: u8, const E: u8, const BACK: bool>(
        &mut self,
        series: Series<'_>,
        seasons: &mut [[f64; L]],
    ) {
        let n = series.y.len();
        let mut none = [0.0; L];
        let m = if S == NONE { 1 } else { seasons.len() };
        let mut phase = if BACK && m > 0 { (n + m - 1) % m } else { 0 };
        for i in 0..n {
            let t = if BACK { n - 1 - i } else { i };
            let inverse = if E == MUL { series.inverse[t] } else { 0.0 };
            if S == NONE {
                self.step::<T, S, E>(series.y[t], inverse, &mut none);
            } else {
                self.step::<T, S, E>(series.y[t], inverse, &mut seasons[phase]);
                phase = match (BACK, phase) {
                    (true, 0) => m - 1,
                    (true, p) => p - 1,
                    (false, p) if p + 1 == m => 0,
                    (false, p) => p + 1,
                };
            }
            if E == MUL && i % SPLIT == SPLIT - 1 {
                self.split();
            }
        }
        if E == MUL {
            self.split();
        }
    }

    /// From the states at the end, set in `self` and `seasons`, to those before the first value.
    pub(in crate::forecast) fn backcast(&mut self, form: Form, series: Series<'_>, seasons: &mut [[f64; L]]) {
        self.trend.iter_mut().for_each(|b| *b = -*b);
        match (form.trend, form.season) {
            (Trend::None, Season::None) => self.pass::<NONE, NONE, NONE, true>(series, seasons),
            (Trend::None, Season::Add) => self.pass::<NONE, ADD, NONE, true>(series, seasons),
            (Trend::None, Season::Mul) => self.pass::<NONE, MUL, NONE, true>(series, seasons),
            (_, Season::None) => self.pass::<ADD, NONE, NONE, true>(series, seasons),
            (_, Season::Add) => self.pass::<ADD, ADD, NONE, true>(series, seasons),
            (_, Season::Mul) => self.pass::<ADD, MUL, NONE, true>(series, seasons),
        }
        for k in 0..L {
            // The way back ends at the first value; the way forth starts one step before it.
            self.level[k] += self.phi[k] * self.trend[k];
            self.trend[k] = -self.trend[k];
        }
    }

    /// From the states before the first value to the end.
    pub(in crate::forecast) fn forward(&mut self, form: Form, series: Series<'_>, seasons: &mut [[f64; L]]) {
        match (form.error, form.trend, form.season) {
            (Error::Add, Trend::None, Season::Add) => self.pass::<NONE, ADD, ADD, false>(series, seasons),
            (Error::Add, Trend::Add, Season::Add) => self.pass::<ADD, ADD, ADD, false>(series, seasons),
            (Error::Add, Trend::Damped, Season::Add) => self.pass::<DAMPED, ADD, ADD, false>(series, seasons),
            (Error::Add, Trend::None, _) => self.pass::<NONE, NONE, ADD, false>(series, seasons),
            (Error::Add, Trend::Add, _) => self.pass::<ADD, NONE, ADD, false>(series, seasons),
            (Error::Add, Trend::Damped, _) => self.pass::<DAMPED, NONE, ADD, false>(series, seasons),
            (Error::Mul, Trend::None, Season::None) => self.pass::<NONE, NONE, MUL, false>(series, seasons),
            (Error::Mul, Trend::Add, Season::None) => self.pass::<ADD, NONE, MUL, false>(series, seasons),
            (Error::Mul, Trend::Damped, Season::None) => self.pass::<DAMPED, NONE, MUL, false>(series, seasons),
            (Error::Mul, Trend::None, Season::Add) => self.pass::<NONE, ADD, MUL, false>(series, seasons),
            (Error::Mul, Trend::Add, Season::Add) => self.pass::<ADD, ADD, MUL, false>(series, seasons),
            (Error::Mul, Trend::Damped, Season::Add) => self.pass::<DAMPED, ADD, MUL, false>(series, seasons),
            (Error::Mul, Trend::None, Season::Mul) => self.pass::<NONE, MUL, MUL, false>(series, seasons),
            (Error::Mul, Trend::Add, Season::Mul) => self.pass::<ADD, MUL, MUL, false>(series, seasons),
            (Error::Mul, Trend::Damped, Season::Mul) => self.pass::<DAMPED, MUL, MUL, false>(series, seasons),
        }
    }
}
