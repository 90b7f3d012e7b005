//! Croston's method and its kin: size and interval of demand, smoothed apart.
//!
//! In: a series of mostly zeros. Out: the demand per period, a smoothed size over a smoothed interval.

use super::aggregation::bounded_alpha;
use super::{Buffers, Kernel, Model, Path, Refusal, Spread, State};
use crate::args::Args;
use crate::error::Result;
use crate::signature::{Kind, Param};
use std::sync::Arc;

/// Croston: exponential smoothing of the sizes of demand and of the intervals between demands; the forecast is size over
/// interval, in every step.
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `alpha` | 0.1 | 0 to 1 | smoothing of sizes and of intervals |
///
/// In: `y`, n >= 1 values. A demand is any value but zero; a negative one, a return, is a demand of that size, so that the
/// forecast is the net demand (statsforecast leaves its size out and counts its interval). A missing value is no period: it
/// lengthens no interval. Start: first size and first interval, counted from the first value. Without any demand the
/// forecast is zero.
/// Out: `horizon` equal means in the unit of `y` per period; the standard deviation is that of the one-step errors since
/// the first demand, the same for every step: the level is taken as constant over the horizon, which Croston's method,
/// having no model behind it, does not contradict. Unknown until one step after the first demand.
/// O(n + horizon) time, no memory. Errors: none beyond those of [`super::forecast`].
/// Source: Croston (1972), Forecasting and stock control for intermittent demands, Operational Research Quarterly 23(3).
pub(super) struct Croston;

/// Croston with both smoothing parameters fitted: least squares of the one-step errors of sizes and of intervals, each in
/// 0.1 to 0.3, as statsforecast's CrostonOptimized. Else as [`Croston`]; O(n) time and memory to fit.
pub(super) struct CrostonOptimized;

/// Croston times 1 - alpha / 2, which takes away the bias of a ratio of two smoothed values (Syntetos and Boylan).
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `alpha` | 0.1 | 0 to 1 | smoothing of sizes and of intervals |
///
/// Else as [`Croston`]. The correction is for intermittent demand; a series without zeros it forecasts too low.
/// Source: Syntetos & Boylan (2005), The accuracy of intermittent demand estimates, Int. Journal of Forecasting 21(2).
pub(super) struct Sba;

const ALPHA: &[Param] = &[Param {
    name: "alpha",
    kind: Kind::Number { min: 0.0, max: 1.0 },
    default: Some("0.1"),
    meaning: "smoothing of the sizes of demand and of the intervals between demands",
}];

impl Model for Croston {
    fn name(&self) -> &'static str {
        "croston"
    }

    fn summary(&self) -> &'static str {
        "Croston: smoothed size of demand over smoothed interval between demands"
    }

    fn source(&self) -> &'static str {
        "Croston (1972), Operational Research Quarterly 23(3); Hyndman & Athanasopoulos, FPP3, 13.2"
    }

    fn params(&self) -> &'static [Param] {
        ALPHA
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        None
    }

    fn bind(&self, args: &Args, _season_length: usize) -> Result<Arc<dyn Kernel>> {
        Ok(Arc::new(Ratio { alpha: Some(args.number("alpha")?), is_corrected: false }))
    }
}

impl Model for CrostonOptimized {
    fn name(&self) -> &'static str {
        "croston_optimized"
    }

    fn summary(&self) -> &'static str {
        "Croston with the smoothing of size and of interval fitted, each from 0.1 to 0.3"
    }

    fn source(&self) -> &'static str {
        "Croston (1972), Operational Research Quarterly 23(3); Hyndman & Athanasopoulos, FPP3, 13.2"
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        None
    }

    fn bind(&self, _args: &Args, _season_length: usize) -> Result<Arc<dyn Kernel>> {
        Ok(Arc::new(Ratio { alpha: None, is_corrected: false }))
    }
}

impl Model for Sba {
    fn name(&self) -> &'static str {
        "sba"
    }

    fn summary(&self) -> &'static str {
        "Croston without its bias (Syntetos-Boylan approximation)"
    }

    fn source(&self) -> &'static str {
        "Syntetos & Boylan (2005), International Journal of Forecasting 21(2); Hyndman & Athanasopoulos, FPP3, 13.2"
    }

    fn params(&self) -> &'static [Param] {
        ALPHA
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        None
    }

    fn bind(&self, args: &Args, _season_length: usize) -> Result<Arc<dyn Kernel>> {
        Ok(Arc::new(Ratio { alpha: Some(args.number("alpha")?), is_corrected: true }))
    }
}

/// Size over interval. Parameters: alpha of the size, alpha of the interval. States: size, interval (zero before the first
/// demand), periods since the last demand, forecast.
struct Ratio {
    /// `None` to fit one for the sizes and one for the intervals.
    alpha: Option<f64>,
    is_corrected: bool,
}

impl Kernel for Ratio {
    fn observations_min(&self) -> usize {
        1
    }

    fn estimate(&self, y: &[f64], buffers: &mut Buffers, state: &mut State) -> Result<(), Refusal> {
        let (size, interval) = match self.alpha {
            Some(alpha) => (alpha, alpha),
            None => fit(y, buffers),
        };
        state.parameters.extend([size, interval]);
        state.states.resize(4, 0.0);
        Ok(())
    }

    fn update(&self, y: &[f64], state: &mut State) {
        let (alpha_size, alpha_interval) = (state.parameters[0], state.parameters[1]);
        let factor = if self.is_corrected { 1.0 - 0.5 * alpha_size } else { 1.0 };
        let [mut size, mut interval, mut gap, mut rate] = [0, 1, 2, 3].map(|i| state.states[i]);
        let (mut errors, mut sse) = (state.errors, state.sse);
        for &v in y.iter().filter(|v| !v.is_nan()) {
            gap += 1.0;
            let e = v - rate;
            errors += 1;
            sse += e * e;
            if v == 0.0 {
                continue;
            }
            if interval > 0.0 {
                size += alpha_size * (v - size);
                interval += alpha_interval * (gap - interval);
            } else {
                (size, interval) = (v, gap);
                // What was forecast before the first demand, zero, tells nothing of the errors after it.
                (errors, sse) = (0, 0.0);
            }
            gap = 0.0;
            rate = factor * (size / interval);
        }
        (state.errors, state.sse) = (errors, sse);
        state.steps += y.len() as u64;
        state.states.copy_from_slice(&[size, interval, gap, rate]);
    }

    fn forecast(&self, state: &State, path: &mut Path) -> Spread {
        constant_level(state, state.states[3], path)
    }
}

/// One level for the whole horizon, with the standard deviation of the one-step errors.
pub(super) fn constant_level(state: &State, level: f64, path: &mut Path) -> Spread {
    let variance = if state.errors > 0 { state.sse / state.errors as f64 } else { 0.0 };
    path.mean.fill(level);
    path.deviation.fill(variance.sqrt());
    if state.errors > 0 { Spread::Known } else { Spread::Unknown }
}

/// The smoothing of the sizes and of the intervals.
fn fit(y: &[f64], buffers: &mut Buffers) -> (f64, f64) {
    let (mut sizes, mut intervals) = (buffers.take(0), buffers.take(0));
    let mut gap = 0.0;
    for &v in y.iter().filter(|v| !v.is_nan()) {
        gap += 1.0;
        if v != 0.0 {
            sizes.push(v);
            intervals.push(gap);
            gap = 0.0;
        }
    }
    let found = (bounded_alpha(&sizes), bounded_alpha(&intervals));
    buffers.give(sizes);
    buffers.give(intervals);
    found
}
