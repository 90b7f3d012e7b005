//! What a model is: a row of the table, a kernel with its parameters fixed, and the state it moves through a series.
//!
//! In: the values of one series as a plain slice, NaN where an observation is missing. Out: a state, and from it a path.

use super::status::Refusal;
use crate::args::Args;
use crate::error::Result;
use crate::signature::Param;
use std::sync::Arc;

/// A forecasting model of a single series: one row of [`super::MODELS`].
pub trait Model: Sync {
    /// The name in SQL.
    fn name(&self) -> &'static str;

    /// One line for help.
    fn summary(&self) -> &'static str;

    /// Where the method stands in print, and what its golden values come from.
    fn source(&self) -> &'static str;

    /// Parameters in SQL, as in `model => 'tsb(alpha_d => 0.1)'`; checked like the arguments of a function.
    fn params(&self) -> &'static [Param] {
        &[]
    }

    /// Whether `season_length` must be at least 2.
    fn is_seasonal(&self) -> bool {
        false
    }

    /// Whether the deviations of its paths are exact for its assumptions. Those of other models are measured at rolling origins.
    fn has_exact_spread(&self) -> bool {
        false
    }

    /// The model that takes a series this one cannot take; it needs fewer observations. `None` at the foot of the ladder.
    fn simpler(&self) -> Option<&'static dyn Model>;

    /// Fixes parameters and season, and checks them against each other.
    ///
    /// `season_length` is at least 1, at least 2 for a seasonal model. Errors: `Argument`.
    fn bind(&self, args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>>;
}

/// A model with its parameters fixed: the mathematics.
///
/// This is a contract: what comes out depends on nothing but the arguments, so that the same series gives the same bits on
/// every host (no host-dependent function such as `f64::exp`: `libm` has them all), nothing is allocated for a candidate
/// of a search, and nothing panics on any finite input.
///
/// `estimate` chooses parameters and the states before the first value; `update` moves the states on, one value after the
/// other; `forecast` looks ahead from where they are. So fitting is estimate, then update with the whole series; the next
/// night is update with the new values; a rolling origin is a forecast on the way.
pub trait Kernel: Send + Sync {
    /// Fewest observations, missing ones not counted, from which it forecasts; at least 1.
    fn observations_min(&self) -> usize;

    /// Chooses parameters and start states from `y`, which is left empty of any forecast.
    ///
    /// `y`: finite values of moderate size, or NaN for a missing one; the first is not missing; at least
    /// [`Kernel::observations_min`] are not. `state` comes in cleared and leaves as it is before the first value.
    /// Errors: a [`Refusal`] if the model cannot take such a series (`unfit`): multiplicative forms and values <= 0.
    fn estimate(&self, y: &[f64], buffers: &mut Buffers, state: &mut State) -> Result<(), Refusal>;

    /// Moves the state on by further values; a NaN is a step without observation. O(values), the same bits in any pieces.
    fn update(&self, y: &[f64], state: &mut State);

    /// Forecasts `path.mean.len()` steps ahead of the state. All entries are overwritten.
    fn forecast(&self, state: &State, path: &mut Path) -> Spread;
}

/// Where a model stands in a series: what the next night needs of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// What `estimate` chose and `update` leaves alone.
    pub parameters: Vec<f64>,
    /// What `update` moves: levels, trends, seasons, last values.
    pub states: Vec<f64>,
    /// Steps so far, observed or missing.
    pub steps: u64,
    /// Observed steps whose one-step error counts in `sse`.
    pub errors: u64,
    /// Sum of squared one-step errors, in squared units of the series.
    pub sse: f64,
    /// Corrected Akaike criterion of the fit, comparable within a family only; NaN if there is none.
    pub aicc: f64,
}

impl State {
    /// Back to nothing; keeps the memory.
    pub fn clear(&mut self) {
        self.parameters.clear();
        self.states.clear();
        (self.steps, self.errors, self.sse, self.aicc) = (0, 0, 0.0, f64::NAN);
    }

    /// One more one-step error.
    #[inline]
    pub fn count(&mut self, error: f64) {
        self.errors += 1;
        self.sse += error * error;
    }
}

/// How many values are there: those that are not missing.
pub(super) fn observed_count(y: &[f64]) -> usize {
    y.iter().filter(|v| !v.is_nan()).count()
}

/// A forecast: one entry for each step of the horizon, in the unit of the series.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Path {
    /// Means.
    pub mean: Vec<f64>,
    /// Standard deviations of the forecast errors; zeros if the spread is unknown.
    pub deviation: Vec<f64>,
}

impl Path {
    /// Zeros for so many steps.
    pub fn reset(&mut self, horizon: usize) {
        for column in [&mut self.mean, &mut self.deviation] {
            column.clear();
            column.resize(horizon, 0.0);
        }
    }
}

/// Whether a series tells how far it strays from its forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// `Path::deviation` holds.
    Known,
    /// Too few observations, or a model without an error variance: no analytic prediction interval.
    Unknown,
}

/// Working memory of the kernels, kept from series to series: take a vector, give it back, and nothing is allocated once
/// all have grown.
#[derive(Debug, Default)]
pub struct Buffers {
    free: Vec<Vec<f64>>,
}

impl Buffers {
    /// A vector of `length` zeros.
    pub fn take(&mut self, length: usize) -> Vec<f64> {
        let mut vector = self.free.pop().unwrap_or_default();
        vector.clear();
        vector.resize(length, 0.0);
        vector
    }

    /// Gives a vector back for later use.
    pub fn give(&mut self, vector: Vec<f64>) {
        self.free.push(vector);
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        8 * self.free.iter().map(Vec::capacity).sum::<usize>()
    }
}
