//! A stationary ARMA process with shocks of variance 1, and how its values covary.
//!
//! In: an order and its coefficients. Out: the covariance of the Harvey state before the first value.
//!
//! State entry i is what the past adds to the value i steps ahead: `a_i(t) = sum_{k>i} phi_k w_{t+i-k} + sum_{k>=i}
//! theta_k e_{t+i-k}`, so entry 0 is the value itself, and one step is `a_i <- a_{i+1} + phi_{i+1} a_0 + theta_i e`.
//! Everything runs for `L` processes of one order side by side, which the compiler turns into vector registers.

use super::super::Buffers;
use super::order::{Coefficients, Lags, Order, expand, lags};

/// One vector register's worth of numbers, one a process.
pub(super) type Lane<const L: usize> = [f64; L];

/// `L` processes of the same order.
#[derive(Debug)]
pub(super) struct Process<const L: usize> {
    /// Entries of the state.
    pub(super) span: usize,
    pub(super) ar_lags: Lags,
    pub(super) ma_lags: Lags,
    ar: Vec<f64>,
    ma: Vec<f64>,
}

#[inline(always)]
pub(super) fn zip<const L: usize>(a: &Lane<L>, b: &Lane<L>, f: impl Fn(f64, f64) -> f64) -> Lane<L> {
    std::array::from_fn(|k| f(a[k], b[k]))
}

/// `a += b * c`, rounded after the product as every host does.
#[inline(always)]
pub(super) fn add_product<const L: usize>(a: &mut Lane<L>, b: &Lane<L>, c: &Lane<L>) {
    for k in 0..L {
        a[k] += b[k] * c[k];
    }
}

/// A vector of numbers as lanes.
#[inline(always)]
pub(super) fn lanes<const L: usize>(values: &[f64]) -> &[Lane<L>] {
    values.as_chunks::<L>().0
}

/// The same, to write.
#[inline(always)]
pub(super) fn lanes_mut<const L: usize>(values: &mut [f64]) -> &mut [Lane<L>] {
    values.as_chunks_mut::<L>().0
}

impl<const L: usize> Process<L> {
    /// The processes of `L` sets of coefficients.
    pub(super) fn new(order: &Order, coefficients: &[Coefficients; L], buffers: &mut Buffers) -> Self {
        let span = order.span();
        let (ar_lags, ma_lags) = lags(order);
        let (mut ar, mut ma) = (buffers.take((span + 1) * L), buffers.take((span + 1) * L));
        for (k, c) in coefficients.iter().enumerate() {
            expand(order, c, k, lanes_mut::<L>(&mut ar), lanes_mut::<L>(&mut ma));
        }
        lanes_mut::<L>(&mut ma)[0] = [1.0; L];
        Self { span, ar_lags, ma_lags, ar, ma }
    }

    /// Gives the memory back.
    pub(super) fn give(self, buffers: &mut Buffers) {
        buffers.give(self.ar);
        buffers.give(self.ma);
    }

    /// Autoregressive coefficients by lag; entry 0 is not used.
    #[inline(always)]
    pub(super) fn ar(&self) -> &[Lane<L>] {
        lanes(&self.ar)
    }

    /// Moving average coefficients by lag; entry 0 is 1.
    #[inline(always)]
    pub(super) fn ma(&self) -> &[Lane<L>] {
        lanes(&self.ma)
    }

    /// Covariances of the state with the value of the same step; `column` has `span + 1` entries, the last stays 0.
    ///
    /// O(P^2 + (P + Q) lags), P and Q the spans of the polynomials.
    pub(super) fn stationary_column(&self, column: &mut [Lane<L>], buffers: &mut Buffers) {
        let p = self.ar_lags.get().last().copied().unwrap_or(0);
        let q = self.ma_lags.get().last().copied().unwrap_or(0);
        let mut pure = buffers.take((p + q + 1) * L);
        let mut half = buffers.take((p + q + 1) * L);
        let mut full = buffers.take((p + 1) * L);
        let mut psi = buffers.take((q + 1) * L);
        self.autoregressive_covariances(p, lanes_mut(&mut pure), buffers);
        self.moving_average_twice(p, q, lanes(&pure), lanes_mut(&mut half), lanes_mut(&mut full));
        self.psi(lanes_mut(&mut psi));
        let (gamma, psi_lanes) = (lanes::<L>(&full), lanes::<L>(&psi));
        for (i, to) in column.iter_mut().take(self.span).enumerate() {
            let mut sum = if i == 0 { [1.0; L] } else { [0.0; L] };
            for &k in self.ar_lags.get().iter().filter(|k| **k > i) {
                add_product(&mut sum, &self.ar()[k], &gamma[k - i]);
            }
            for &k in self.ma_lags.get().iter().filter(|k| **k >= i) {
                add_product(&mut sum, &self.ma()[k], &psi_lanes[k - i]);
            }
            *to = sum;
        }
        for vector in [pure, half, full, psi] {
            buffers.give(vector);
        }
    }

    /// Weights of the shocks: `w_t = sum psi_j e_{t-j}`.
    pub(super) fn psi(&self, psi: &mut [Lane<L>]) {
        for j in 0..psi.len() {
            let mut sum = self.ma().get(j).copied().unwrap_or([0.0; L]);
            for &k in self.ar_lags.get().iter().take_while(|k| **k <= j) {
                add_product(&mut sum, &self.ar()[k], &psi[j - k]);
            }
            psi[j] = sum;
        }
    }

    /// Autocovariances of the process without its moving average: the coefficients down to partial autocorrelations,
    /// which give the variance, and up again by Levinson's recursion.
    fn autoregressive_covariances(&self, p: usize, gamma: &mut [Lane<L>], buffers: &mut Buffers) {
        let (mut below, mut partial) = (buffers.take(p * L), buffers.take(p * L));
        let (phi, partials) = (lanes_mut::<L>(&mut below), lanes_mut::<L>(&mut partial));
        phi.copy_from_slice(&self.ar()[1..=p]);
        let mut variance = [1.0; L];
        for k in (0..p).rev() {
            let last = phi[k];
            partials[k] = last;
            let scale = last.map(|r| 1.0 / (1.0 - r * r));
            variance = zip(&variance, &scale, |v, s| v * s);
            for i in 0..k.div_ceil(2) {
                let (a, b) = (phi[i], phi[k - 1 - i]);
                for x in 0..L {
                    phi[i][x] = (a[x] + last[x] * b[x]) * scale[x];
                    phi[k - 1 - i][x] = (b[x] + last[x] * a[x]) * scale[x];
                }
            }
        }
        gamma[0] = variance;
        for k in 0..p {
            let last = partials[k];
            let mut sum = zip(&last, &variance, |r, v| r * v);
            for i in 0..k {
                add_product(&mut sum, &phi[i], &gamma[k - i]);
            }
            gamma[k + 1] = sum;
            for i in 0..k.div_ceil(2) {
                let (a, b) = (phi[i], phi[k - 1 - i]);
                for x in 0..L {
                    phi[i][x] = a[x] - last[x] * b[x];
                    phi[k - 1 - i][x] = b[x] - last[x] * a[x];
                }
            }
            phi[k] = last;
            variance = zip(&variance, &last, |v, r| v * (1.0 - r * r));
        }
        for k in p + 1..gamma.len() {
            let mut sum = [0.0; L];
            for &lag in self.ar_lags.get() {
                add_product(&mut sum, &self.ar()[lag], &gamma[k - lag]);
            }
            gamma[k] = sum;
        }
        buffers.give(below);
        buffers.give(partial);
    }

    /// Autocovariances `full` of the process from those of its autoregression, `pure`: the moving average applied
    /// forwards and then backwards. `half` holds lags -q to p.
    fn moving_average_twice(&self, p: usize, q: usize, pure: &[Lane<L>], half: &mut [Lane<L>], full: &mut [Lane<L>]) {
        for (at, to) in half.iter_mut().enumerate() {
            let mut sum = pure[at.abs_diff(q)];
            for &lag in self.ma_lags.get() {
                add_product(&mut sum, &self.ma()[lag], &pure[(at + lag).abs_diff(q)]);
            }
            *to = sum;
        }
        for (k, to) in full.iter_mut().enumerate().take(p + 1) {
            let mut sum = half[k + q];
            for &lag in self.ma_lags.get() {
                add_product(&mut sum, &self.ma()[lag], &half[k + q - lag]);
            }
            *to = sum;
        }
    }
}

/// The whole covariance of the stationary state from its first column, `span` squared entries.
pub(super) fn stationary_matrix(process: &Process<1>, column: &[Lane<1>], matrix: &mut [f64]) {
    let r = process.span;
    let (ar, ma) = (process.ar(), process.ma());
    let at = |i: usize| column[i][0];
    for i in (0..r).rev() {
        for j in (i..r).rev() {
            let value = if i == 0 {
                at(j)
            } else {
                let next = if j + 1 < r { matrix[(i + 1) * r + j + 1] } else { 0.0 };
                let (a, b) = (ar[i + 1][0], ar[j + 1][0]);
                a * b * at(0) + a * at(j + 1) + b * at(i + 1) + next + ma[i][0] * ma[j][0]
            };
            matrix[i * r + j] = value;
            matrix[j * r + i] = value;
        }
    }
}
