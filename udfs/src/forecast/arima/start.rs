//! Start values for the search after Hannan & Rissanen: regressions on past values and on the residuals of a long
//! autoregression.
//!
//! In: a differenced series. Out: one table of moments for every order within bounds, and coefficients from it.
//!
//! The table is filled once a series, so that a start costs the solution of one small system.

use super::super::Buffers;
use super::order::{COEFFICIENTS_MAX, Coefficients, Order};
use super::search::solve;

/// Moments of a series and its residuals at the lags that orders within bounds have.
#[derive(Debug)]
pub(super) struct Moments {
    bounds: Order,
    /// Values, their lags, the lags of the residuals: all products, row by row.
    products: Vec<f64>,
    rows: usize,
}

impl Moments {
    /// For orders up to `bounds`.
    pub(super) fn new(w: &[f64], bounds: &Order, buffers: &mut Buffers) -> Self {
        let n = w.len();
        let mean = w.iter().sum::<f64>() / n.max(1) as f64;
        let seasonal = bounds.sp + bounds.sq > 0;
        let pad = bounds.p.max(bounds.q).max(bounds.m * bounds.sp.max(bounds.sq));
        let (mut values, mut residuals) = (buffers.take(pad + n), buffers.take(pad + n));
        values[pad..].iter_mut().zip(w).for_each(|(to, v)| *to = v - mean);
        let order = (bounds.p.max(bounds.q) + 3 + if seasonal { bounds.m } else { 3 }).min(n / 3);
        whiten(&values[pad..], order, &mut residuals[pad..], buffers);
        let rows = 1 + bounds.arma();
        let mut products = buffers.take(rows * rows);
        let column = |i: usize| {
            let [(_, p), (_, q), (_, sp), _] = bounds.groups();
            let (from, lag) = match i.checked_sub(1) {
                None => (&values, 0),
                Some(i) if i < p => (&values, i + 1),
                Some(i) if i < p + q => (&residuals, i - p + 1),
                Some(i) if i < p + q + sp => (&values, bounds.m * (i - p - q + 1)),
                Some(i) => (&residuals, bounds.m * (i - p - q - sp + 1)),
            };
            &from[pad - lag..pad - lag + n]
        };
        for i in 0..rows {
            for j in i..rows {
                let sum = dot(column(i), column(j));
                products[i * rows + j] = sum;
                products[j * rows + i] = sum;
            }
        }
        buffers.give(values);
        buffers.give(residuals);
        Self { bounds: *bounds, products, rows }
    }

    /// Gives the memory back.
    pub(super) fn give(self, buffers: &mut Buffers) {
        buffers.give(self.products);
    }

    /// Coefficients of an order within the bounds: least squares, products of lags left out. Not yet admissible.
    pub(super) fn coefficients(&self, order: &Order) -> Coefficients {
        let mut chosen = [0; COEFFICIENTS_MAX];
        let groups = order.groups().into_iter().zip(self.bounds.groups());
        for ((first, length), (own, _)) in groups {
            (0..length).for_each(|i| chosen[first + i] = 1 + own + i);
        }
        let count = order.arma();
        let mut matrix = [[0.0; COEFFICIENTS_MAX]; COEFFICIENTS_MAX];
        let mut right = [0.0; COEFFICIENTS_MAX];
        let variance = self.products[0].max(f64::MIN_POSITIVE);
        for i in 0..count {
            let row = &self.products[chosen[i] * self.rows..];
            right[i] = row[0];
            (0..count).for_each(|j| matrix[i][j] = row[chosen[j]]);
            matrix[i][i] += 1e-3 * matrix[i][i] + 1e-9 * variance;
        }
        match solve(&mut matrix, &mut right, count) {
            Some(()) => right,
            None => [0.0; COEFFICIENTS_MAX],
        }
    }
}

/// Dot product in four partial sums of fixed order.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (head, tail) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    for (x, y) in head.0.iter().zip(tail.0) {
        for k in 0..4 {
            sums[k] += x[k] * y[k];
        }
    }
    let rest: f64 = head.1.iter().zip(tail.1).map(|(x, y)| x * y).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// Residuals of an autoregression fitted by Levinson's recursion; before its start, the values themselves.
fn whiten(values: &[f64], order: usize, residuals: &mut [f64], buffers: &mut Buffers) {
    let n = values.len();
    let mut phi = buffers.take(order);
    let mut covariances = buffers.take(order + 1);
    covariances.iter_mut().enumerate().for_each(|(k, c)| *c = dot(&values[k.min(n)..], &values[..n - k.min(n)]));
    let mut variance = covariances[0];
    for k in 0..order {
        if variance <= 1e-12 * covariances[0] {
            break;
        }
        let known: f64 = (0..k).map(|i| phi[i] * covariances[k - i]).sum();
        let last = (covariances[k + 1] - known) / variance;
        for i in 0..k.div_ceil(2) {
            let j = k - 1 - i;
            let (a, b) = (phi[i], phi[j]);
            phi[i] = a - last * b;
            if i != j {
                phi[j] = b - last * a;
            }
        }
        phi[k] = last;
        variance *= 1.0 - last * last;
    }
    residuals.copy_from_slice(values);
    for (i, f) in phi.iter().enumerate() {
        let lag = i + 1;
        residuals.iter_mut().skip(lag).zip(values).for_each(|(e, v)| *e -= f * v);
    }
    buffers.give(phi);
    buffers.give(covariances);
}
