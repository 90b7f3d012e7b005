//! The random walk with drift.  In: a series. Out: the straight line through its first and its last value.

use super::naive::Naive;
use super::{Buffers, Kernel, Model, Path, Refusal, Spread, State};
use crate::args::Args;
use crate::error::Result;
use std::sync::Arc;

/// Random walk with drift: the straight line through the first and the last value.
///
/// In: `y`, n >= 2 values. Out: `horizon` means in the unit of `y`; with T the steps from the first to the last
/// observed value, the standard deviation of step h is sigma sqrt(h (1 + h / T)), where sigma^2 is the variance of the
/// changes about the drift with n - 2 degrees of freedom, unknown if n = 2. A missing value makes one change of the
/// steps around it, whose variance counts per step.
/// O(n + horizon) time, no memory. Errors: none beyond those of [`super::forecast`].
/// Source: Hyndman & Athanasopoulos, FPP3, 5.2 and 5.5; golden values from statsforecast and R `forecast::rwf`.
pub(super) struct Drift;

impl Model for Drift {
    fn name(&self) -> &'static str {
        "drift"
    }

    fn summary(&self) -> &'static str {
        "the line through the first and the last value (random walk with drift)"
    }

    fn source(&self) -> &'static str {
        "Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 5.2 and 5.5"
    }

    fn has_exact_spread(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&Naive)
    }

    fn bind(&self, _args: &Args, _season_length: usize) -> Result<Arc<dyn Kernel>> {
        Ok(Arc::new(Walk))
    }
}

/// States: last value, steps since it, drift, steps the drift spans, sum of squares about the drift, changes.
struct Walk;

impl Kernel for Walk {
    fn observations_min(&self) -> usize {
        2
    }

    fn estimate(&self, _y: &[f64], _buffers: &mut Buffers, state: &mut State) -> std::result::Result<(), Refusal> {
        state.states.extend([f64::NAN, 0.0, 0.0, 0.0, 0.0, 0.0]);
        Ok(())
    }

    fn update(&self, y: &[f64], state: &mut State) {
        for &v in y {
            state.steps += 1;
            let [last, since, drift, span, squares, changes] = states(state);
            let since = since + 1.0;
            if v.is_nan() {
                state.states[1] = since;
                continue;
            }
            let next = if last.is_nan() {
                [v, 0.0, drift, span, squares, changes]
            } else {
                if changes > 0.0 {
                    state.count(v - (last + since * drift));
                }
                // The running mean and sum of squares of changes per step, each weighted by its steps (West 1979).
                let change = (v - last) / since;
                let about = change - drift;
                let mean = drift + about * (since / (span + since));
                [v, 0.0, mean, span + since, squares + since * about * (change - mean), changes + 1.0]
            };
            state.states.copy_from_slice(&next);
        }
    }

    fn forecast(&self, state: &State, path: &mut Path) -> Spread {
        let [last, since, drift, span, squares, changes] = states(state);
        let variance = squares / (changes - 1.0).max(1.0);
        for (t, (mean, deviation)) in path.mean.iter_mut().zip(&mut path.deviation).enumerate() {
            let h = since + (t + 1) as f64;
            *mean = if last.is_nan() { 0.0 } else { last + h * drift };
            *deviation = (variance * (h * (1.0 + h / span.max(1.0)))).sqrt();
        }
        if changes > 1.0 { Spread::Known } else { Spread::Unknown }
    }
}

fn states(state: &State) -> [f64; 6] {
    std::array::from_fn(|i| state.states.get(i).copied().unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::intervals::half_width;
    use crate::forecast::test_series::AIR;
    use crate::forecast::{Choice, forecast};

    fn fit(y: &[f64]) -> Path {
        let (mut path, mut state) = (Path::default(), State::default());
        let choice = Choice::parse("drift", 1).unwrap();
        forecast(&choice, y, 6, &mut Buffers::default(), &mut state, &mut path).unwrap();
        path
    }

    /// Golden: R package forecast, `rwf(AirPassengers, drift = TRUE, h = 6, level = 95)`: mean and upper. Relative
    /// tolerance 1e-12, both sides compute in f64. (statsforecast divides by one degree of freedom more.)
    #[test]
    fn drift_agrees_with_r() {
        let path = fit(&AIR);
        for (t, (mean, deviation)) in path.mean.iter().zip(&path.deviation).enumerate() {
            assert!((mean - MEAN[t]).abs() < 1e-12 * MEAN[t], "{mean}");
            let upper = mean + half_width(95) * deviation;
            assert!((upper - UPPER_95[t]).abs() < 1e-12 * UPPER_95[t], "{upper}");
        }
    }

    #[test]
    fn missing_values_on_a_line_change_nothing() {
        let mut y: Vec<f64> = (0..20).map(|t| 3.0 + 2.0 * f64::from(t)).collect();
        [5, 6, 12, 18, 19].into_iter().for_each(|t| y[t] = f64::NAN);
        let path = fit(&y);
        assert_eq!(path.mean, [43.0, 45.0, 47.0, 49.0, 51.0, 53.0]);
        assert_eq!(path.deviation, [0.0; 6]);
    }

    const MEAN: [f64; 6] = [
        434.23776223776224,
        436.4755244755245,
        438.7132867132867,
        440.95104895104896,
        443.1888111888112,
        445.42657342657344,
    ];
    const UPPER_95: [f64; 6] = [
        500.62585416581624,
        530.6878967704804,
        554.4966060247787,
        575.1031885608155,
        593.6847569372519,
        610.8426440040864,
    ];
}
