//! Means of the last values, of all phases or of the same phase.  In: a series. Out: the mean of its end, repeated.

use super::naive::Naive;
use super::{Buffers, Kernel, Model, Path, Refusal, Spread, State};
use crate::args::Args;
use crate::error::Result;
use crate::signature::{Kind, Param};
use std::sync::Arc;

/// Steps that the default window comes close to, in whole seasons: four weeks of days, the habit of retail.
const DEFAULT_STEPS: usize = 28;

/// Seasons of the default seasonal window.
const DEFAULT_SEASONS: &str = "4";

/// Longest windows, in steps and in seasons: the state of every series holds one.
const STEPS_MAX: i64 = 10_000;
const SEASONS_MAX: i64 = 100;

/// Window mean: the mean of the last values, repeated.
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `window` | the whole seasons within 28 steps, at least one | 1 to 10000 | steps the mean is taken of |
///
/// In: `y`, n >= 1 values. Out: `horizon` times the mean of what is observed among the last `window` steps, of all steps if
/// there are fewer, of the last observed window if all of it is missing; the standard deviation of every step is the root
/// of the mean squared one-step error, unknown if n = 1 (a window mean has no model of errors that grow).
/// O(n + horizon) time, O(window) memory. Errors: none beyond those of [`super::forecast`].
/// Source: Hyndman & Athanasopoulos, FPP3, 5.2 (mean method); golden values from statsforecast `WindowAverage`.
pub(super) struct WindowMean;

/// Seasonal window mean: for each phase the mean of its last values.
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `season_length` | none | at least 2 | observations per season |
/// | `window` | 4 | 1 to 100 | seasons the mean is taken of |
///
/// In: `y`, n >= season_length values. Out: per phase the mean of what is observed in the last `window` seasons, of all if
/// there are fewer; a phase never observed takes that of the nearest phase before it. Standard deviations as [`WindowMean`],
/// unknown if n = season_length.
/// O(n + horizon) time, O(window season_length) memory. Errors: none beyond those of [`super::forecast`].
/// Source: Hyndman & Athanasopoulos, FPP3, 5.2; golden values from statsforecast `SeasonalWindowAverage`.
pub(super) struct SeasonalWindowMean;

impl Model for WindowMean {
    fn name(&self) -> &'static str {
        "window_mean"
    }

    fn summary(&self) -> &'static str {
        "the mean of the last steps, repeated"
    }

    fn source(&self) -> &'static str {
        "Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 5.2 (mean method, of a window)"
    }

    fn params(&self) -> &'static [Param] {
        const {
            &[Param {
                name: "window",
                kind: Kind::Integer { min: 1, max: STEPS_MAX },
                default: Some("null"),
                meaning: "steps the mean is taken of; left out it is the whole seasons within 28 steps, at least one",
            }]
        }
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        None
    }

    fn bind(&self, args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>> {
        let window = match args.is_null("window")? {
            true => (DEFAULT_STEPS / season_length).max(1) * season_length,
            false => args.integer("window")?.unsigned_abs() as usize,
        };
        Ok(Arc::new(Ring { phases: 1, window }))
    }
}

impl Model for SeasonalWindowMean {
    fn name(&self) -> &'static str {
        "seasonal_window_mean"
    }

    fn summary(&self) -> &'static str {
        "the mean of the last seasons, phase by phase"
    }

    fn source(&self) -> &'static str {
        "Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 5.2 (mean method, of each phase)"
    }

    fn params(&self) -> &'static [Param] {
        const {
            &[Param {
                name: "window",
                kind: Kind::Integer { min: 1, max: SEASONS_MAX },
                default: Some(DEFAULT_SEASONS),
                meaning: "seasons the mean is taken of",
            }]
        }
    }

    fn is_seasonal(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&Naive)
    }

    fn bind(&self, args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>> {
        Ok(Arc::new(Ring { phases: season_length, window: args.integer("window")?.unsigned_abs() as usize }))
    }
}

/// The last values of each phase, as distances from the first value of all, so that a constant series stays exact.
///
/// Parameter: the first value. States: per phase the mean (NaN before its first value), then the sums, then the counts of
/// what is observed in the window, then the rings.
struct Ring {
    phases: usize,
    window: usize,
}

impl Kernel for Ring {
    fn observations_min(&self) -> usize {
        self.phases
    }

    fn estimate(&self, y: &[f64], _buffers: &mut Buffers, state: &mut State) -> std::result::Result<(), Refusal> {
        let Self { phases, window } = *self;
        state.parameters.push(y.iter().copied().find(|v| !v.is_nan()).unwrap_or(0.0));
        state.states.resize(phases, f64::NAN);
        state.states.resize(3 * phases, 0.0);
        state.states.resize(3 * phases + phases * window, f64::NAN);
        Ok(())
    }

    fn update(&self, y: &[f64], state: &mut State) {
        let Self { phases, window } = *self;
        let zero = state.parameters[0];
        for &v in y {
            let (phase, turn) = ((state.steps % phases as u64) as usize, state.steps / phases as u64);
            state.steps += 1;
            let z = v - zero;
            let mean = state.states[phase];
            if !z.is_nan() && !mean.is_nan() {
                state.count(z - mean);
            }
            let slot = (turn % window as u64) as usize;
            let (sums, rings) = state.states.split_at_mut(3 * phases);
            let ring = &mut rings[phase * window..][..window];
            let old = std::mem::replace(&mut ring[slot], z);
            let (left, came) = (observed(old), observed(z));
            sums[2 * phases + phase] += came.1 - left.1;
            // Sliding sums gather rounding errors: take each turn's first one afresh.
            sums[phases + phase] = match slot {
                0 => ring.iter().map(|v| observed(*v).0).sum(),
                _ => sums[phases + phase] + (came.0 - left.0),
            };
            if sums[2 * phases + phase] > 0.0 {
                sums[phase] = sums[phases + phase] / sums[2 * phases + phase];
            }
        }
    }

    fn forecast(&self, state: &State, path: &mut Path) -> Spread {
        let deviation = if state.errors > 0 { (state.sse / state.errors as f64).sqrt() } else { 0.0 };
        let m = self.phases as u64;
        for (t, mean) in path.mean.iter_mut().enumerate() {
            let phase = state.steps + t as u64;
            // A phase never observed takes the nearest one before it.
            let mut back = (0..m).map(|back| state.states[((phase + m - back) % m) as usize]);
            *mean = state.parameters[0] + back.find(|v| !v.is_nan()).unwrap_or(0.0);
        }
        path.deviation.fill(deviation);
        if state.errors > 0 { Spread::Known } else { Spread::Unknown }
    }
}

/// A value and that it counts, or nothing.
fn observed(v: f64) -> (f64, f64) {
    if v.is_nan() { (0.0, 0.0) } else { (v, 1.0) }
}
