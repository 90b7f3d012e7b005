//! The covariance of the ARMA state after so many observed values, without looking at them.
//!
//! In: a process. Out: the covariance of its state, given the past, which a gap or an interval needs.

use super::super::Buffers;
use super::likelihood::{SETTLED, first_gain};
use super::process::{Process, lanes, lanes_mut, stationary_matrix};

/// Variance of a diffuse prior, in units of the shocks: large enough to tell nothing, small enough that what is left of it
/// after the values that it waits for is exact to eight digits.
pub(super) const DIFFUSE: f64 = 1e8;

/// The part of the filter of [`super::likelihood`] that does not depend on the values, for one process.
pub(super) struct Moving<'a> {
    pub(super) variance: f64,
    pub(super) weight: f64,
    /// Gain times variance.
    pub(super) gain: &'a mut [f64],
    /// The direction in which the covariance shrinks.
    pub(super) change: &'a mut [f64],
}

impl Moving<'_> {
    /// One observed value on.
    pub(super) fn step(&mut self, process: &Process<1>) {
        let s = self.change[0];
        let r = self.change.len();
        self.change.copy_within(1..r, 0);
        self.change[r - 1] = 0.0;
        for &lag in process.ar_lags.get() {
            self.change[lag - 1] += process.ar()[lag][0] * s;
        }
        let (by_variance, by_weight) = (s / self.variance, self.weight * s);
        let next = (self.variance - by_weight * s).max(1.0);
        self.weight *= self.variance / next;
        for (m, u) in self.gain.iter_mut().zip(self.change.iter_mut()) {
            let (gain, moved) = (*m, *u);
            *u = moved - gain * by_variance;
            *m = gain - by_weight * moved;
        }
        self.variance = next;
    }
}

/// The covariance of the state, `span` squared entries, once nothing changes any more: that of the shock alone.
pub(super) fn settled(process: &Process<1>, matrix: &mut [f64]) {
    let r = process.span;
    for (row, own) in matrix.chunks_exact_mut(r).zip(process.ma()) {
        row.iter_mut().zip(process.ma()).for_each(|(c, other)| *c = own[0] * other[0]);
    }
}

/// The covariance of the state, `span` squared entries, after so many observed values. O(updates span^2).
pub(super) fn after_updates(process: &Process<1>, updates: usize, matrix: &mut [f64], buffers: &mut Buffers) {
    let r = process.span;
    let (mut column, mut change) = (buffers.take(r + 1), buffers.take(r));
    process.stationary_column(lanes_mut(&mut column), buffers);
    stationary_matrix(process, lanes(&column), matrix);
    let variance = column[0];
    first_gain(process, lanes_mut(&mut column));
    change.copy_from_slice(&column[..r]);
    let mut moving = Moving { variance, weight: 1.0 / variance, gain: &mut column[..r], change: &mut change };
    let mut done = 0;
    while done < updates && moving.variance - 1.0 > SETTLED {
        for i in 0..r {
            let share = moving.weight * moving.change[i];
            matrix[i * r..(i + 1) * r].iter_mut().zip(moving.change.iter()).for_each(|(p, l)| *p -= share * l);
        }
        moving.step(process);
        done += 1;
    }
    if done < updates {
        settled(process, matrix);
    }
    buffers.give(column);
    buffers.give(change);
}
