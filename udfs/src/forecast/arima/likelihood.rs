//! The exact Gaussian likelihood of a stationary series without gaps, for several candidates side by side.
//!
//! In: the differenced series and the processes. Out: standardised one-step errors, their squares and the log of the
//! variances.
//!
//! The Kalman filter of a stationary process needs no covariance matrix: from step to step the covariance of the state
//! changes by a product of one vector with itself (Pearlman 1980; Melard 1984, AS 197; the recursion of Chandrasekhar and
//! of Morf, Sidhu & Kailath). So a step costs O(span) instead of O(span^2), and once the variance of the error has come
//! down to that of the shocks, a step costs as many multiplications as the polynomials have coefficients.

use super::super::Buffers;
use super::process::{Lane, Process, add_product, lanes_mut, zip};

/// The variance of the one-step error is that of the shocks, up to this share.
pub(super) const SETTLED: f64 = 1e-8;

/// Steps between two looks at the size of the product of the variances.
const STRIDE: usize = 8;

/// What a pass over the series found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scores<const L: usize> {
    /// Sum of squared standardised errors.
    pub(super) squares: Lane<L>,
    /// Sum of the logarithms of the variances of the errors, in units of the variance of the shocks.
    pub(super) log_variances: Lane<L>,
}

impl<const L: usize> Scores<L> {
    /// Nothing seen yet.
    pub(super) fn empty() -> Self {
        Self { squares: [0.0; L], log_variances: [0.0; L] }
    }
}

/// The filter: gain and its change, both of which the step moves, and the state.
struct Filter<'a, const L: usize> {
    process: &'a Process<L>,
    /// Variance of the one-step error.
    variance: Lane<L>,
    /// Weight of the change of the covariance.
    weight: Lane<L>,
    /// Gain times variance.
    gain: &'a mut [Lane<L>],
    /// Direction of the change and state: windows of `span + 1` that slide by one a step.
    change: &'a mut [Lane<L>],
    state: &'a mut [Lane<L>],
}

impl<const L: usize> Filter<'_, L> {
    /// Error of the value at step `t`, and the step to the next one.
    #[inline(always)]
    fn step(&mut self, t: usize, v: Lane<L>) -> Lane<L> {
        let r = self.process.span;
        let (head, change) = self.change[t..=t + r].split_at_mut(1);
        let (first, state) = self.state[t..=t + r].split_at_mut(1);
        let (s, a) = (head[0], first[0]);
        let (mut e, mut by_variance, mut s_by_variance, mut s_by_weight) = ([0.0; L], [0.0; L], [0.0; L], [0.0; L]);
        let mut next = [0.0; L];
        for k in 0..L {
            e[k] = v[k] - a[k];
            let inverse = 1.0 / self.variance[k];
            by_variance[k] = e[k] * inverse;
            s_by_variance[k] = s[k] * inverse;
            s_by_weight[k] = self.weight[k] * s[k];
            // Never below the variance of the shocks, whatever rounding says.
            next[k] = (self.variance[k] - s_by_weight[k] * s[k]).max(1.0);
            self.weight[k] *= self.variance[k] / next[k];
        }
        for &lag in self.process.ar_lags.get() {
            let phi = &self.process.ar()[lag];
            add_product(&mut change[lag - 1], phi, &s);
            add_product(&mut state[lag - 1], phi, &a);
        }
        for ((m, u), x) in self.gain[..r].iter_mut().zip(change).zip(state) {
            for k in 0..L {
                let (gain, moved) = (m[k], u[k]);
                x[k] += gain * by_variance[k];
                u[k] = moved - gain * s_by_variance[k];
                m[k] = gain - s_by_weight[k] * moved;
            }
        }
        self.variance = next;
        e
    }

    /// The same once gain and variance stand still.
    #[inline(always)]
    fn settled_step(&mut self, t: usize, v: Lane<L>) -> Lane<L> {
        let (first, state) = self.state[t..=t + self.process.span].split_at_mut(1);
        let e = zip(&v, &first[0], |v, a| v - a);
        for &lag in self.process.ar_lags.get() {
            add_product(&mut state[lag - 1], &self.process.ar()[lag], &v);
        }
        for &lag in self.process.ma_lags.get() {
            add_product(&mut state[lag - 1], &self.process.ma()[lag], &e);
        }
        e
    }
}

/// Filters `w` times `weights` less `mean`, and leaves the standardised errors in `errors`, one a value.
pub(super) fn score<const L: usize>(
    w: &[f64],
    weights: &Lane<L>,
    mean: &Lane<L>,
    process: &Process<L>,
    errors: &mut [Lane<L>],
    buffers: &mut Buffers,
) -> Scores<L> {
    let (n, r) = (w.len(), process.span);
    let mut column = buffers.take((r + 1) * L);
    let (mut change, mut state) = (buffers.take((n + r + 1) * L), buffers.take((n + r + 1) * L));
    let gain = lanes_mut::<L>(&mut column);
    process.stationary_column(gain, buffers);
    let variance = gain[0];
    first_gain(process, gain);
    lanes_mut::<L>(&mut change)[..r].copy_from_slice(&gain[..r]);
    let mut filter = Filter {
        process,
        variance,
        weight: variance.map(|v| 1.0 / v),
        gain,
        change: lanes_mut(&mut change),
        state: lanes_mut(&mut state),
    };
    let mut scores = Scores::empty();
    let mut product = [1.0; L];
    let mut t = 0;
    while t < n && filter.variance.iter().any(|v| *v - 1.0 > SETTLED) {
        let variance = filter.variance;
        let e = filter.step(t, zip(weights, mean, |a, mu| a * w[t] - mu));
        product = zip(&product, &variance, |p, v| p * v);
        errors[t] = zip(&e, &variance, |e, v| e / v.sqrt());
        scores.squares = zip(&scores.squares, &errors[t], |sum, e| sum + e * e);
        t += 1;
        if t % STRIDE == 0 {
            take_logarithms(&mut product, &mut scores.log_variances);
        }
    }
    for t in t..n {
        let e = filter.settled_step(t, zip(weights, mean, |a, mu| a * w[t] - mu));
        errors[t] = e;
        scores.squares = zip(&scores.squares, &e, |sum, e| sum + e * e);
    }
    take_logarithms(&mut product, &mut scores.log_variances);
    for vector in [column, change, state] {
        buffers.give(vector);
    }
    scores
}

/// Turns the covariances of the state with the value into gain times variance: one step on.
pub(super) fn first_gain<const L: usize>(process: &Process<L>, column: &mut [Lane<L>]) {
    let first = column[0];
    for i in 0..process.span {
        let mut next = column[i + 1];
        add_product(&mut next, &process.ar()[i + 1], &first);
        column[i] = next;
    }
    column[process.span] = [0.0; L];
}

fn take_logarithms<const L: usize>(product: &mut Lane<L>, sum: &mut Lane<L>) {
    for k in 0..L {
        if product[k] != 1.0 {
            sum[k] += libm::log(product[k]);
            product[k] = 1.0;
        }
    }
}
