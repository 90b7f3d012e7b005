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
/// In: `y`, n >= 1 values. Out: `horizon` times the mean of what is observed among the last `window` steps, of all
/// steps if there are fewer, of the last observed window if all of it is missing; the standard deviation of every step
/// is the root of the mean squared one-step error, unknown if n = 1 (a window mean has no model of errors that grow).
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
/// In: `y`, n >= season_length values. Out: per phase the mean of what is observed in the last `window` seasons, of all
/// if there are fewer; a phase never observed takes that of the nearest phase before it. Standard deviations as
/// [`WindowMean`], unknown if n = season_length.
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
/// Parameter: the first value. States: per phase the mean (NaN before its first value), then the sums, then the counts
/// of what is observed in the window, then the rings.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::test_series::{AIR, SLOW};
    use crate::forecast::{Choice, forecast};

    fn fit(text: &str, y: &[f64], season_length: usize, horizon: usize) -> (Spread, Path) {
        let (mut path, mut state) = (Path::default(), State::default());
        let choice = Choice::parse(text, season_length).unwrap();
        let spread = forecast(&choice, y, horizon, &mut Buffers::default(), &mut state, &mut path).unwrap();
        (spread, path)
    }

    /// Golden: statsforecast 2.1.1, `WindowAverage(10)`, `SeasonalWindowAverage(season_length=12 | 7, window_size=3)`.
    /// Relative tolerance 1e-14: means of whole numbers, taken about the first of them.
    #[test]
    fn window_means_agree_with_statsforecast() {
        for (text, y, m, golden) in [
            ("window_mean(window => 10)", &AIR[..], 1, &[490.6; 2][..]),
            ("window_mean(window => 10)", &SLOW[..], 1, &[2.6; 2][..]),
            ("seasonal_window_mean(window => 3)", &AIR[..], 12, &MONTHS[..]),
            ("seasonal_window_mean(window => 3)", &SLOW[..], 7, &DAYS[..]),
        ] {
            let (_, path) = fit(text, y, m, golden.len());
            assert!(path.mean.iter().zip(golden).all(|(a, b)| (a - b).abs() <= 1e-14 * b.max(1.0)), "{text} {path:?}");
        }
    }

    #[test]
    fn the_default_window_holds_whole_seasons() {
        let y: Vec<f64> = (0..200).map(f64::from).collect();
        for (season_length, window) in [(1, 28), (4, 28), (7, 28), (12, 24), (24, 24), (52, 52)] {
            let (_, path) = fit("window_mean", &y, season_length, 1);
            assert_eq!(path.mean, [199.0 - f64::from(window - 1) / 2.0], "season_length={season_length}");
        }
    }

    #[test]
    fn missing_values_are_left_out_and_a_window_without_any_keeps_its_mean() {
        let y = [f64::NAN, 4.0, 8.0, f64::NAN, 6.0];
        assert_eq!(fit("window_mean(window => 3)", &y, 1, 2).1.mean, [7.0, 7.0]);
        let y = [4.0, 8.0, f64::NAN, f64::NAN, f64::NAN];
        assert_eq!(fit("window_mean(window => 2)", &y, 1, 2).1.mean, [8.0, 8.0]);
        // The second phase was never observed: the first stands for it.
        let y = [4.0, f64::NAN, 3.0, 5.0, f64::NAN, 3.0];
        let (spread, path) = fit("seasonal_window_mean", &y, 3, 3);
        assert_eq!((spread, path.mean), (Spread::Known, vec![4.5, 4.5, 3.0]));
    }

    #[test]
    fn a_spike_leaves_no_trace_once_its_window_is_over() {
        let y: Vec<f64> = (0..60).map(|t| if t == 20 { 1e15 } else { 0.1 }).collect();
        let (_, path) = fit("window_mean(window => 10)", &y, 1, 1);
        assert!((path.mean[0] - 0.1).abs() < 1e-15, "{:?}", path.mean);
    }

    const MONTHS: [f64; 12] = [
        372.3333333333333,
        350.3333333333333,
        395.6666666666667,
        401.6666666666667,
        418.3333333333333,
        480.6666666666667,
        553.6666666666666,
        556.6666666666666,
        458.3333333333333,
        409.0,
        354.0,
        391.3333333333333,
    ];
    const DAYS: [f64; 7] =
        [0.0, 1.3333333333333333, 1.3333333333333333, 2.3333333333333335, 0.6666666666666666, 4.666666666666667, 7.0];
}
