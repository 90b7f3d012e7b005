//! The filter that carries a fitted model through a series, value by value.
//!
//! In: parameters, a state, values. Out: the state after them, one-step errors with their variances, and a forecast.
//!
//! The state has three forms, the cheapest that is exact: as long as nothing is missing, the first values fill the
//! differences and then the filter of [`super::likelihood`] runs (`STARTING`); once its gain stands still, only last
//! values and the state of the ARMA part are kept (`SETTLED`); after a missing value the covariance of all of it is
//! carried along (`FULL`) until it is back at that of a settled filter. In the last form a difference that lacks its
//! value has a diffuse prior, as in R's `arima`.

use super::super::{Buffers, Path, Spread, State};
use super::covariance::{DIFFUSE, Moving, after_updates};
use super::likelihood::first_gain;
use super::order::{COEFFICIENTS_MAX, Coefficients, Order};
use super::process::{Process, lanes_mut};

/// Forms of the state: the first number of `State::states`.
const STARTING: f64 = 0.0;
const SETTLED: f64 = 1.0;
const FULL: f64 = 2.0;

/// Form, variance of the one-step error, weight of its change.
const HEAD: usize = 3;

/// Largest state whose covariance is carried through gaps; a larger one takes a missing value for its forecast.
pub(super) const FULL_MAX: usize = 160;

/// The variance is that of the shocks, up to this share.
const NEAR: f64 = 1e-10;

/// An error with a variance above this comes from a diffuse prior and tells nothing.
const UNKNOWN: f64 = 1e5;

/// A model with its coefficients, and where it stands.
#[derive(Debug)]
pub(super) struct Filter<'a> {
    order: Order,
    process: Process<1>,
    mean: f64,
    /// Subtracted from every value, so that a diffuse prior has its centre near them.
    origin: f64,
    /// Weights of the last values in the next one, from the differences.
    past: Vec<f64>,
    states: &'a mut Vec<f64>,
    scratch: Vec<f64>,
    buffers: Buffers,
}

/// What a model is to a state: [`State::parameters`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters {
    pub(super) order: Order,
    pub(super) coefficients: Coefficients,
    pub(super) origin: f64,
    /// Coefficients that the series chose.
    pub(super) estimated: usize,
}

impl Parameters {
    /// Into a state.
    pub(super) fn write(&self, to: &mut Vec<f64>) {
        to.clear();
        to.extend(self.order.encode());
        to.extend([self.origin, self.estimated as f64]);
        to.extend(&self.coefficients[..self.order.arma() + usize::from(self.order.constant)]);
    }

    /// From a state.
    pub(super) fn read(from: &[f64]) -> Self {
        let order = Order::decode(from);
        let at = |i: usize| from.get(i).copied().unwrap_or(0.0);
        let mut coefficients = [0.0; COEFFICIENTS_MAX];
        coefficients.iter_mut().zip(from.iter().skip(10)).for_each(|(to, c)| *to = *c);
        Self { order, coefficients, origin: at(8), estimated: at(9) as usize }
    }

    /// The mean of the differenced series.
    pub(super) fn mean(&self) -> f64 {
        if self.order.constant { self.coefficients[self.order.arma()] } else { 0.0 }
    }
}

impl<'a> Filter<'a> {
    /// At where `states` are.
    pub(super) fn resume(parameters: &Parameters, states: &'a mut Vec<f64>) -> Self {
        let order = parameters.order;
        let mut buffers = Buffers::default();
        let process = Process::new(&order, &[parameters.coefficients], &mut buffers);
        let mut past = vec![0.0; order.lost()];
        order.integration(&mut past);
        let (mean, origin) = (parameters.mean(), parameters.origin);
        Self { order, process, mean, origin, past, states, scratch: Vec::new(), buffers }
    }

    /// Before the first value.
    pub(super) fn start(parameters: &Parameters, states: &'a mut Vec<f64>) -> Self {
        let mut filter = Self::resume(parameters, states);
        let (lost, r) = (filter.order.lost(), filter.process.span);
        filter.states.clear();
        filter.states.resize(HEAD + lost + 3 * r, 0.0);
        let mut column = filter.buffers.take(r + 1);
        let gain = lanes_mut::<1>(&mut column);
        filter.process.stationary_column(gain, &mut filter.buffers);
        let variance = gain[0][0];
        first_gain(&filter.process, gain);
        filter.states[..HEAD].copy_from_slice(&[STARTING, variance, 1.0 / variance]);
        for first in [HEAD + lost + r, HEAD + lost + 2 * r] {
            filter.states[first..first + r].copy_from_slice(&column[..r]);
        }
        filter.buffers.give(column);
        filter.settle_if_still();
        filter
    }

    /// One value, NaN if it is missing; `steps` came before it. Its error and the variance of that in units of the shocks,
    /// if the past says anything about it.
    pub(super) fn step(&mut self, v: f64, steps: u64) -> Option<(f64, f64)> {
        let v = v - self.origin;
        if self.states[0] == FULL {
            return self.full_step(v);
        }
        let lost = self.order.lost();
        if v.is_nan() {
            if lost + self.process.span > FULL_MAX {
                self.assume(steps);
                return None;
            }
            self.unfold(steps);
            return self.full_step(v);
        }
        if steps < lost as u64 {
            self.remember(v);
            return None;
        }
        let w = v - self.from_past() - self.mean;
        self.remember(v);
        let e = w - self.states[HEAD + lost];
        let variance = self.states[1];
        if self.states[0] == STARTING {
            self.starting_step(e)
        } else {
            self.settled_step(w, e)
        }
        Some((e, variance))
    }

    /// What the last values add to the next one.
    fn from_past(&self) -> f64 {
        self.past.iter().zip(&self.states[HEAD..]).filter(|(p, _)| **p != 0.0).map(|(p, h)| p * h).sum()
    }

    fn remember(&mut self, v: f64) {
        let lost = self.order.lost();
        if lost > 0 {
            self.states.copy_within(HEAD..HEAD + lost - 1, HEAD + 1);
            self.states[HEAD] = v;
        }
    }

    fn starting_step(&mut self, e: f64) {
        let (lost, r) = (self.order.lost(), self.process.span);
        let (head, rest) = self.states.split_at_mut(HEAD + lost);
        let (state, rest) = rest.split_at_mut(r);
        let (gain, change) = rest.split_at_mut(r);
        let mut moving = Moving { variance: head[1], weight: head[2], gain, change };
        let by_variance = e / moving.variance;
        shift(state, 0.0, &self.process);
        state.iter_mut().zip(moving.gain.iter()).for_each(|(x, g)| *x += g * by_variance);
        moving.step(&self.process);
        (head[1], head[2]) = (moving.variance, moving.weight);
        self.settle_if_still();
    }

    fn settle_if_still(&mut self) {
        if self.states[1] - 1.0 <= NEAR {
            (self.states[0], self.states[1], self.states[2]) = (SETTLED, 1.0, 0.0);
            self.states.truncate(HEAD + self.order.lost() + self.process.span);
        }
    }

    fn settled_step(&mut self, w: f64, e: f64) {
        let first = HEAD + self.order.lost();
        let state = &mut self.states[first..first + self.process.span];
        let before = state[0];
        shift(state, w - before, &self.process);
        for &lag in self.process.ma_lags.get().iter() {
            state[lag - 1] += self.process.ma()[lag][0] * e;
        }
    }

    /// A missing value of a state too large for its covariance: as if its forecast had come.
    fn assume(&mut self, steps: u64) {
        let lost = self.order.lost();
        let first = HEAD + lost;
        if steps < lost as u64 {
            let last = self.states[HEAD];
            self.remember(last);
            return;
        }
        let v = self.from_past() + self.mean + self.states[first];
        self.remember(v);
        shift(&mut self.states[first..first + self.process.span], 0.0, &self.process);
    }

    /// Into the form that carries the covariance.
    fn unfold(&mut self, steps: u64) {
        let (lost, r) = (self.order.lost(), self.process.span);
        let dim = lost + r;
        let seen = (steps as usize).min(lost);
        let settled = self.states[0] == SETTLED && (steps as usize >= lost);
        let mut matrix = self.buffers.take(r * r);
        let updates = if settled { usize::MAX } else { steps as usize - seen };
        after_updates(&self.process, updates, &mut matrix, &mut self.buffers);
        self.states.truncate(HEAD + dim);
        self.states.resize(HEAD + dim + dim * dim, 0.0);
        self.states[0] = FULL;
        let covariance = &mut self.states[HEAD + dim..];
        for i in 0..r {
            covariance[i * dim..i * dim + r].copy_from_slice(&matrix[i * r..(i + 1) * r]);
        }
        self.buffers.give(matrix);
        if (steps as usize) < lost {
            (r..dim).for_each(|i| covariance[i * dim + i] = DIFFUSE);
            let mut first = self.buffers.take(seen);
            first.copy_from_slice(&self.states[HEAD..HEAD + seen]);
            self.states[HEAD..HEAD + lost].fill(0.0);
            first.iter().rev().for_each(|v| _ = self.full_step(*v));
            self.buffers.give(first);
        }
    }

    fn full_step(&mut self, v: f64) -> Option<(f64, f64)> {
        let (lost, r) = (self.order.lost(), self.process.span);
        let dim = lost + r;
        let expected = self.from_past() + self.mean + self.states[HEAD + lost];
        let (head, covariance) = self.states.split_at_mut(HEAD + dim);
        self.scratch.resize(2 * dim, 0.0);
        let (gain, row) = self.scratch.split_at_mut(dim);
        let observed = |row: &[f64]| {
            row[0] + self.past.iter().zip(&row[r..]).filter(|(p, _)| **p != 0.0).map(|(p, x)| p * x).sum::<f64>()
        };
        gain.iter_mut().zip(covariance.chunks_exact(dim)).for_each(|(g, row)| *g = observed(row));
        let variance = observed(gain).max(0.0);
        let error = v - expected;
        // A variance of zero: the value was known before it came.
        if !v.is_nan() && variance > 0.0 {
            let by_variance = error / variance;
            head[HEAD + lost..].iter_mut().zip(&gain[..r]).for_each(|(x, g)| *x += g * by_variance);
            head[HEAD..HEAD + lost].iter_mut().zip(&gain[r..]).for_each(|(x, g)| *x += g * by_variance);
            for (row, g) in covariance.chunks_exact_mut(dim).zip(gain.iter()) {
                let share = g / variance;
                row.iter_mut().zip(gain.iter()).for_each(|(c, g)| *c -= share * g);
            }
        }
        transition_rows(covariance, dim, &self.process, &self.past, row);
        for row in covariance.chunks_exact_mut(dim) {
            let next = observed(row);
            shift_past(&mut row[r..], next);
            shift(&mut row[..r], 0.0, &self.process);
        }
        for i in 0..r {
            let own = self.process.ma()[i][0];
            (0..r).filter(|_| own != 0.0).for_each(|j| covariance[i * dim + j] += own * self.process.ma()[j][0]);
        }
        let state = &mut head[HEAD + lost..];
        shift(state, 0.0, &self.process);
        self.remember(if v.is_nan() { expected } else { v });
        if !v.is_nan() && variance - 1.0 <= NEAR {
            self.fold_if_still();
        }
        (!v.is_nan() && variance > 0.0 && (lost == 0 || variance < UNKNOWN)).then_some((error, variance))
    }

    /// Back to the settled form, if the covariance is that of a settled filter.
    fn fold_if_still(&mut self) {
        let (lost, r) = (self.order.lost(), self.process.span);
        let dim = lost + r;
        let ma = |i: usize| if i < r { self.process.ma()[i][0] } else { 0.0 };
        let rows = self.states[HEAD + dim..].chunks_exact(dim).enumerate();
        let still = rows.map(|(i, row)| row.iter().enumerate().all(|(j, c)| (c - ma(i) * ma(j)).abs() <= 1e-9));
        if still.into_iter().all(|row| row) {
            self.states.truncate(HEAD + dim);
            (self.states[0], self.states[1], self.states[2]) = (SETTLED, 1.0, 0.0);
        }
    }

    /// Means and standard deviations; `variance` is that of the shocks.
    fn forecast(&mut self, steps: u64, variance: f64, path: &mut Path) {
        let (lost, r) = (self.order.lost(), self.process.span);
        let ar = self.process.ar();
        for h in 0..path.mean.len() {
            // Until the variances come, the deviations hold the forecasts of the differenced series.
            let known = if h < r { self.states[HEAD + lost + h] } else { 0.0 };
            let lags = self.process.ar_lags.get().iter().take_while(|lag| **lag <= h);
            let w = known + lags.map(|lag| ar[*lag][0] * path.deviation[h - lag]).sum::<f64>();
            path.deviation[h] = w;
            let mut y = w + self.mean;
            for (j, p) in self.past.iter().enumerate().filter(|(_, p)| **p != 0.0) {
                y += p * if j < h { path.mean[h - 1 - j] } else { self.states[HEAD + j - h] };
            }
            path.mean[h] = y;
        }
        path.mean.iter_mut().for_each(|v| *v += self.origin);
        self.deviations(steps, variance, &mut path.deviation);
    }

    /// The variance of step h: that of the state now, as it shows h steps on, and the shocks in between.
    fn deviations(&mut self, steps: u64, variance: f64, deviation: &mut [f64]) {
        let (lost, r) = (self.order.lost(), self.process.span);
        let full = self.states[0] == FULL;
        let mut matrix = Vec::new();
        if self.states[0] == STARTING && r <= FULL_MAX {
            matrix.resize(r * r, 0.0);
            let updates = (steps as usize).saturating_sub(lost);
            after_updates(&self.process, updates, &mut matrix, &mut self.buffers);
        }
        let (covariance, dim) = if full { (&self.states[HEAD + lost + r..], lost + r) } else { (&matrix[..], r) };
        let mut seen = vec![0.0; lost + r];
        seen[0] = 1.0;
        seen[r..].copy_from_slice(&self.past);
        let mut shocks = 0.0;
        for d in deviation {
            let psi: f64 = seen[..r].iter().zip(self.process.ma()).map(|(s, m)| s * m[0]).sum();
            let state = if covariance.is_empty() { psi * psi } else { quadratic(covariance, &seen[..dim]) };
            *d = (variance * (shocks + state.max(0.0))).sqrt();
            shocks += psi * psi;
            self.see_further(&mut seen);
        }
    }

    /// The weights of the state in the value one step later.
    fn see_further(&self, seen: &mut [f64]) {
        let (state, history) = seen.split_at_mut(self.process.span);
        let newest = history.first().copied().unwrap_or(0.0);
        let lags = self.process.ar_lags.get();
        let first = lags.iter().map(|lag| state[lag - 1] * self.process.ar()[*lag][0]).sum::<f64>() + newest;
        state.rotate_right(1);
        state[0] = first;
        for j in 0..history.len() {
            let next = history.get(j + 1).copied().unwrap_or(0.0);
            history[j] = newest * self.past[j] + next;
        }
    }
}

/// One step of the ARMA state without its shock; `extra` is added to what the autoregression sees.
fn shift(state: &mut [f64], extra: f64, process: &Process<1>) {
    let seen = state[0] + extra;
    let r = state.len();
    state.copy_within(1..r, 0);
    state[r - 1] = 0.0;
    for &lag in process.ar_lags.get() {
        state[lag - 1] += process.ar()[lag][0] * seen;
    }
}

fn shift_past(history: &mut [f64], v: f64) {
    let n = history.len();
    if n > 0 {
        history.copy_within(0..n - 1, 1);
        history[0] = v;
    }
}

/// Multiplies the covariance by the transition from the left; `row` is room for one row.
fn transition_rows(covariance: &mut [f64], dim: usize, process: &Process<1>, past: &[f64], row: &mut [f64]) {
    let r = process.span;
    if !past.is_empty() {
        row.copy_from_slice(&covariance[..dim]);
        for (j, p) in past.iter().enumerate().filter(|(_, p)| **p != 0.0) {
            row.iter_mut().zip(&covariance[(r + j) * dim..]).for_each(|(to, c)| *to += p * c);
        }
        covariance.copy_within(r * dim..(dim - 1) * dim, (r + 1) * dim);
        covariance[r * dim..(r + 1) * dim].copy_from_slice(row);
    }
    row.copy_from_slice(&covariance[..dim]);
    covariance.copy_within(dim..r * dim, 0);
    covariance[(r - 1) * dim..r * dim].fill(0.0);
    for &lag in process.ar_lags.get() {
        let phi = process.ar()[lag][0];
        covariance[(lag - 1) * dim..lag * dim].iter_mut().zip(row.iter()).for_each(|(to, c)| *to += phi * c);
    }
}

fn quadratic(matrix: &[f64], x: &[f64]) -> f64 {
    let rows = matrix.chunks_exact(x.len());
    rows.zip(x).map(|(row, a)| a * row.iter().zip(x).map(|(c, b)| c * b).sum::<f64>()).sum()
}

/// Moves a state on by further values.
pub(super) fn update(y: &[f64], state: &mut State) {
    let parameters = Parameters::read(&state.parameters);
    let mut states = std::mem::take(&mut state.states);
    let mut filter = Filter::resume(&parameters, &mut states);
    for &v in y {
        if let Some((e, variance)) = filter.step(v, state.steps) {
            state.count(e / variance.sqrt());
        }
        state.steps += 1;
    }
    state.states = states;
}

/// Forecasts from a state; the variance of the shocks is that of the standardised errors, less one for each coefficient
/// that the series chose.
pub(super) fn forecast(state: &State, path: &mut Path) -> Spread {
    let parameters = Parameters::read(&state.parameters);
    let free = (state.errors as f64 - parameters.estimated as f64).max(1.0);
    let mut states = state.states.clone();
    Filter::resume(&parameters, &mut states).forecast(state.steps, state.sse / free, path);
    Spread::Known
}
