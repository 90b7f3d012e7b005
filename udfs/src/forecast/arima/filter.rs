//! The filter that carries a fitted model through a series, value by value.
//!
//! In: parameters, a state, values. Out: the state after them, and one-step errors with their variances.
//!
//! The state has three forms, the cheapest that is exact: as long as nothing is missing, the first values fill the
//! differences and then the filter of [`super::likelihood`] runs (`STARTING`); once its gain stands still, only last
//! values and the state of the ARMA part are kept (`SETTLED`); after a missing value the covariance of all of it is
//! carried along (`FULL`) until it is back at that of a settled filter. In the last form a difference that lacks its
//! value has a diffuse prior, as in R's `arima`.
//!
//! The numbers of a state: form, variance of the one-step error, weight of its change; the last values, newest first; the
//! ARMA state; then gain and change while it is `STARTING`, or the covariance, ARMA state first, while it is `FULL`.

use super::super::{Buffers, State};
use super::covariance::{DIFFUSE, Moving, after_updates, settled};
use super::likelihood::{SETTLED as NEAR, first_gain};
use super::process::lanes_mut;
use super::system::{Parameters, System, remember};

/// Forms of the state: its first number.
pub(super) const STARTING: f64 = 0.0;
const SETTLED: f64 = 1.0;
pub(super) const FULL: f64 = 2.0;

/// Numbers before the last values.
pub(super) const HEAD: usize = 3;

/// Largest state whose covariance is carried through gaps; a larger one takes a missing value for its forecast.
pub(super) const FULL_MAX: usize = 160;

/// The covariance is that of a settled filter, up to this, in units of the shocks.
const STILL: f64 = 1e-8;

/// An error with a variance above this comes from a diffuse prior and tells nothing.
const UNKNOWN: f64 = 1e5;

/// A model, and where it stands.
#[derive(Debug)]
pub(super) struct Filter<'a> {
    system: System,
    states: &'a mut Vec<f64>,
    scratch: Vec<f64>,
    buffers: &'a mut Buffers,
}

impl<'a> Filter<'a> {
    /// At where `states` are.
    pub(super) fn resume(parameters: &Parameters, states: &'a mut Vec<f64>, buffers: &'a mut Buffers) -> Self {
        let system = System::new(parameters, buffers);
        let scratch = buffers.take(0);
        Self { system, states, scratch, buffers }
    }

    /// Before the first value.
    pub(super) fn start(parameters: &Parameters, states: &'a mut Vec<f64>, buffers: &'a mut Buffers) -> Self {
        let filter = Self::resume(parameters, states, buffers);
        let (lost, r) = (filter.system.lost(), filter.system.span());
        filter.states.clear();
        filter.states.resize(HEAD + lost + 3 * r, 0.0);
        let mut column = filter.buffers.take(r + 1);
        let gain = lanes_mut::<1>(&mut column);
        filter.system.process.stationary_column(gain, filter.buffers);
        let variance = gain[0][0];
        first_gain(&filter.system.process, gain);
        filter.states[..HEAD].copy_from_slice(&[STARTING, variance, 1.0 / variance]);
        for first in [HEAD + lost + r, HEAD + lost + 2 * r] {
            filter.states[first..first + r].copy_from_slice(&column[..r]);
        }
        filter.buffers.give(column);
        settle_if_still(filter.states, HEAD + lost + r);
        filter
    }

    /// Gives the memory back.
    pub(super) fn give(self) {
        self.system.give(self.buffers);
        self.buffers.give(self.scratch);
    }

    /// One value, NaN if it is missing; `steps` came before it. Its error and the variance of that in units of the shocks,
    /// if the past says anything about it.
    pub(super) fn step(&mut self, v: f64, steps: u64) -> Option<(f64, f64)> {
        let v = v - self.system.origin;
        if self.states[0] == FULL {
            return self.full_step(v);
        }
        let (lost, r) = (self.system.lost(), self.system.span());
        if v.is_nan() {
            if lost + r > FULL_MAX {
                self.assume(steps);
                return None;
            }
            self.unfold(steps as usize);
            return self.full_step(v);
        }
        let (history, state) = self.states[HEAD..HEAD + lost + r].split_at_mut(lost);
        if steps < lost as u64 {
            remember(history, v);
            return None;
        }
        let past: f64 = self.system.weights().map(|(j, p)| p * history[j]).sum();
        let w = v - past - self.system.mean;
        remember(history, v);
        let e = w - state[0];
        let variance = self.states[1];
        if self.states[0] == STARTING {
            self.starting_step(e)
        } else {
            self.settled_step(w, e)
        }
        Some((e, variance))
    }

    fn starting_step(&mut self, e: f64) {
        let (lost, r) = (self.system.lost(), self.system.span());
        let (head, rest) = self.states.split_at_mut(HEAD + lost);
        let (state, rest) = rest.split_at_mut(r);
        let (gain, change) = rest.split_at_mut(r);
        let mut moving = Moving { variance: head[1], weight: head[2], gain, change };
        let by_variance = e / moving.variance;
        self.system.shift(state, 0.0);
        state.iter_mut().zip(moving.gain.iter()).for_each(|(x, g)| *x += g * by_variance);
        moving.step(&self.system.process);
        (head[1], head[2]) = (moving.variance, moving.weight);
        settle_if_still(self.states, HEAD + lost + r);
    }

    fn settled_step(&mut self, w: f64, e: f64) {
        let state = &mut self.states[HEAD + self.system.lost()..];
        let before = state[0];
        self.system.shift(state, w - before);
        for &lag in self.system.process.ma_lags.get() {
            state[lag - 1] += self.system.process.ma()[lag][0] * e;
        }
    }

    /// A missing value of a state too large for its covariance: as if its forecast had come.
    fn assume(&mut self, steps: u64) {
        let (lost, r) = (self.system.lost(), self.system.span());
        let (history, state) = self.states[HEAD..HEAD + lost + r].split_at_mut(lost);
        if steps < lost as u64 {
            remember(history, history[0]);
            return;
        }
        let past: f64 = self.system.weights().map(|(j, p)| p * history[j]).sum();
        remember(history, past + self.system.mean + state[0]);
        self.system.shift(state, 0.0);
    }

    /// Into the form that carries the covariance.
    fn unfold(&mut self, steps: usize) {
        let (lost, r) = (self.system.lost(), self.system.span());
        let dim = lost + r;
        let seen = steps.min(lost);
        let mut matrix = self.buffers.take(r * r);
        if self.states[0] == SETTLED && steps >= lost {
            settled(&self.system.process, &mut matrix);
        } else {
            after_updates(&self.system.process, steps - seen, &mut matrix, self.buffers);
        }
        self.states.truncate(HEAD + dim);
        self.states.resize(HEAD + dim + dim * dim, 0.0);
        self.states[0] = FULL;
        let covariance = &mut self.states[HEAD + dim..];
        for (row, from) in covariance.chunks_exact_mut(dim).zip(matrix.chunks_exact(r)) {
            row[..r].copy_from_slice(from);
        }
        self.buffers.give(matrix);
        if steps < lost {
            // What came so far has to come again, now that the covariance is there to learn from it.
            (r..dim).for_each(|i| covariance[i * dim + i] = DIFFUSE);
            let mut first = self.buffers.take(seen);
            first.copy_from_slice(&self.states[HEAD..HEAD + seen]);
            self.states[HEAD..HEAD + lost].fill(0.0);
            for &v in first.iter().rev() {
                self.full_step(v);
            }
            self.buffers.give(first);
        }
    }

    fn full_step(&mut self, v: f64) -> Option<(f64, f64)> {
        let (lost, r) = (self.system.lost(), self.system.span());
        let dim = lost + r;
        let (head, covariance) = self.states.split_at_mut(HEAD + dim);
        let (history, state) = head[HEAD..].split_at_mut(lost);
        let past: f64 = self.system.weights().map(|(j, p)| p * history[j]).sum();
        let expected = past + self.system.mean + state[0];
        self.scratch.resize(2 * dim, 0.0);
        let (gain, row) = self.scratch.split_at_mut(dim);
        gain.iter_mut().zip(covariance.chunks_exact(dim)).for_each(|(g, row)| *g = self.system.observed(row));
        let variance = self.system.observed(gain).max(0.0);
        // A variance of zero: the value was known before it came.
        let learns = !v.is_nan() && variance > 0.0;
        let error = v - expected;
        if learns {
            let by_variance = error / variance;
            state.iter_mut().zip(&gain[..r]).for_each(|(x, g)| *x += g * by_variance);
            history.iter_mut().zip(&gain[r..]).for_each(|(x, g)| *x += g * by_variance);
            for (row, g) in covariance.chunks_exact_mut(dim).zip(gain.iter()) {
                let share = g / variance;
                row.iter_mut().zip(gain.iter()).for_each(|(c, g)| *c -= share * g);
            }
        }
        self.system.shift(state, 0.0);
        remember(history, if v.is_nan() { expected } else { v });
        predict(&self.system, covariance, row);
        if learns && variance - 1.0 <= NEAR {
            self.fold_if_still();
        }
        (learns && (lost == 0 || variance < UNKNOWN)).then_some((error, variance))
    }

    /// Back to the settled form, if the covariance is that of a settled filter.
    fn fold_if_still(&mut self) {
        let r = self.system.span();
        let dim = self.system.lost() + r;
        let ma = |i: usize| if i < r { self.system.process.ma()[i][0] } else { 0.0 };
        let mut rows = self.states[HEAD + dim..].chunks_exact(dim).enumerate();
        if rows.all(|(i, row)| row.iter().enumerate().all(|(j, c)| (c - ma(i) * ma(j)).abs() <= STILL)) {
            settle(self.states, HEAD + dim);
        }
    }
}

/// Into the settled form, `length` numbers.
fn settle(states: &mut Vec<f64>, length: usize) {
    states[..HEAD].copy_from_slice(&[SETTLED, 1.0, 0.0]);
    states.truncate(length);
}

fn settle_if_still(states: &mut Vec<f64>, length: usize) {
    if states[1] - 1.0 <= NEAR {
        settle(states, length);
    }
}

/// Brings the covariance one step on: the transition from both sides, and the shock; `row` is room for one row.
fn predict(system: &System, covariance: &mut [f64], row: &mut [f64]) {
    let (r, dim) = (system.span(), row.len());
    let ar = system.process.ar();
    if dim > r {
        row.copy_from_slice(&covariance[..dim]);
        for (j, p) in system.weights() {
            row.iter_mut().zip(&covariance[(r + j) * dim..]).for_each(|(to, c)| *to += p * c);
        }
        covariance.copy_within(r * dim..(dim - 1) * dim, (r + 1) * dim);
        covariance[r * dim..(r + 1) * dim].copy_from_slice(row);
    }
    row.copy_from_slice(&covariance[..dim]);
    covariance.copy_within(dim..r * dim, 0);
    covariance[(r - 1) * dim..r * dim].fill(0.0);
    for &lag in system.process.ar_lags.get() {
        let target = &mut covariance[(lag - 1) * dim..lag * dim];
        target.iter_mut().zip(row.iter()).for_each(|(to, c)| *to += ar[lag][0] * c);
    }
    for row in covariance.chunks_exact_mut(dim) {
        let value = system.observed(row);
        remember(&mut row[r..], value);
        system.shift(&mut row[..r], 0.0);
    }
    let ma = system.process.ma();
    for (row, own) in covariance.chunks_exact_mut(dim).zip(ma).filter(|(_, own)| own[0] != 0.0).take(r) {
        row[..r].iter_mut().zip(ma).for_each(|(c, other)| *c += own[0] * other[0]);
    }
}

/// Moves a state on by further values.
pub(super) fn update(y: &[f64], state: &mut State) {
    let parameters = Parameters::read(&state.parameters);
    let mut states = std::mem::take(&mut state.states);
    let mut buffers = Buffers::default();
    let mut filter = Filter::resume(&parameters, &mut states, &mut buffers);
    for &v in y {
        if let Some((e, variance)) = filter.step(v, state.steps) {
            state.count(if variance > 1.0 { e / variance.sqrt() } else { e });
        }
        state.steps += 1;
    }
    state.states = states;
}
