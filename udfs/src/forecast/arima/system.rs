//! A model with its coefficients, as a state keeps it and as the filter uses it.
//!
//! In: [`State::parameters`]. Out: polynomials, the weights of past values, and one step of the ARMA state.
//!
//! [`State::parameters`]: super::super::State::parameters

use super::super::Buffers;
use super::order::{COEFFICIENTS_MAX, Coefficients, Order};
use super::process::Process;

/// Numbers before the coefficients: the order, the origin, how many coefficients the series chose.
const HEAD: usize = 10;

/// What a model is to a state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters {
    pub(super) order: Order,
    pub(super) coefficients: Coefficients,
    /// Subtracted from every value, so that a diffuse prior has its centre near them.
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
        coefficients.iter_mut().zip(from.iter().skip(HEAD)).for_each(|(to, c)| *to = *c);
        Self { order, coefficients, origin: at(HEAD - 2), estimated: at(HEAD - 1) as usize }
    }

    /// The mean of the differenced series.
    pub(super) fn mean(&self) -> f64 {
        if self.order.constant { self.coefficients[self.order.arma()] } else { 0.0 }
    }
}

/// The same, ready to filter.
#[derive(Debug)]
pub(super) struct System {
    pub(super) process: Process<1>,
    /// The mean of the differenced series.
    pub(super) mean: f64,
    pub(super) origin: f64,
    /// Weights of the last values in the next one, from the differences.
    pub(super) past: Vec<f64>,
}

impl System {
    /// The system of a model.
    pub(super) fn new(parameters: &Parameters, buffers: &mut Buffers) -> Self {
        let order = parameters.order;
        let process = Process::new(&order, &[parameters.coefficients], buffers);
        let mut past = buffers.take(order.lost());
        order.integration(&mut past);
        Self { process, mean: parameters.mean(), origin: parameters.origin, past }
    }

    /// Gives the memory back.
    pub(super) fn give(self, buffers: &mut Buffers) {
        self.process.give(buffers);
        buffers.give(self.past);
    }

    /// Values that the differences look back on.
    pub(super) fn lost(&self) -> usize {
        self.past.len()
    }

    /// Entries of the ARMA state.
    pub(super) fn span(&self) -> usize {
        self.process.span
    }

    /// The past values that count, by index, and their weights.
    pub(super) fn weights(&self) -> impl Iterator<Item = (usize, f64)> {
        self.past.iter().copied().enumerate().filter(|(_, p)| *p != 0.0)
    }

    /// What the value is made of, applied to a row that holds the ARMA state and then the past values.
    pub(super) fn observed(&self, row: &[f64]) -> f64 {
        row[0] + self.weights().map(|(j, p)| p * row[self.span() + j]).sum::<f64>()
    }

    /// One step of the ARMA state without its shock; `extra` is added to what the autoregression sees.
    pub(super) fn shift(&self, state: &mut [f64], extra: f64) {
        let seen = state[0] + extra;
        let r = state.len();
        state.copy_within(1..r, 0);
        state[r - 1] = 0.0;
        for &lag in self.process.ar_lags.get() {
            state[lag - 1] += self.process.ar()[lag][0] * seen;
        }
    }
}

/// Puts a value before the past ones; the oldest goes.
pub(super) fn remember(history: &mut [f64], v: f64) {
    let n = history.len();
    if n > 0 {
        history.copy_within(0..n - 1, 1);
        history[0] = v;
    }
}
