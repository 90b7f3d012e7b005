//! The naive models: the last value or the last season, repeated.  In: a series. Out: its end.

use super::{Buffers, Kernel, Model, Path, Refusal, Spread, State};
use crate::args::Args;
use crate::error::Result;
use std::sync::Arc;

/// Naive: the last value, repeated; the forecast of a random walk.
///
/// In: `y`, n >= 1 values. Out: `horizon` means in the unit of `y`; the standard deviation of step h is
/// sigma sqrt(h) with sigma^2 = SSE / (n - 1) over the n - 1 one-step errors, unknown if n = 1. A missing value takes the
/// place of no other: the last observed one stands.
/// O(n + horizon) time, no memory. Errors: none beyond those of [`super::forecast`].
/// Source: Hyndman & Athanasopoulos, FPP3, 5.2 and 5.5.
pub(super) struct Naive;

impl Model for Naive {
    fn name(&self) -> &'static str {
        "naive"
    }

    fn summary(&self) -> &'static str {
        "the last value, repeated (random walk)"
    }

    fn source(&self) -> &'static str {
        "Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 5.2 and 5.5"
    }

    fn has_exact_spread(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        None
    }

    fn bind(&self, _args: &Args, _season_length: usize) -> Result<Arc<dyn Kernel>> {
        Ok(Arc::new(Repeat { season_length: 1 }))
    }
}

/// The last `season_length` values, repeated. States: the last value of each phase, NaN before the first.
pub(super) struct Repeat {
    pub(super) season_length: usize,
}

impl Kernel for Repeat {
    fn observations_min(&self) -> usize {
        self.season_length
    }

    fn estimate(&self, _y: &[f64], _buffers: &mut Buffers, state: &mut State) -> Result<(), Refusal> {
        state.states.resize(self.season_length, f64::NAN);
        Ok(())
    }

    fn update(&self, y: &[f64], state: &mut State) {
        for &v in y {
            let phase = (state.steps % self.season_length as u64) as usize;
            state.steps += 1;
            if v.is_nan() {
                continue;
            }
            let before = std::mem::replace(&mut state.states[phase], v);
            if !before.is_nan() {
                state.count(v - before);
            }
        }
    }

    fn forecast(&self, state: &State, path: &mut Path) -> Spread {
        let m = self.season_length;
        let variance = if state.errors > 0 { state.sse / state.errors as f64 } else { 0.0 };
        let first = (state.steps % m as u64) as usize;
        for (t, (mean, deviation)) in path.mean.iter_mut().zip(&mut path.deviation).enumerate() {
            *mean = self.last(state, first + t);
            *deviation = (variance * (t / m + 1) as f64).sqrt();
        }
        if state.errors > 0 { Spread::Known } else { Spread::Unknown }
    }
}

impl Repeat {
    /// The last value of a phase; if it was never observed, that of the nearest phase before it.
    fn last(&self, state: &State, phase: usize) -> f64 {
        let m = self.season_length;
        (0..m).map(|back| state.states[(phase + m - back) % m]).find(|v| !v.is_nan()).unwrap_or(0.0)
    }
}
