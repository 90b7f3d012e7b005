//! Teunter, Syntetos and Babai's method: size and probability of demand, smoothed apart.
//!
//! In: a series of mostly zeros. Out: the demand per period, which falls while nothing sells.

use super::croston::constant_level;
use super::exponential_smoothing::{LANES, RING, edge, share};
use super::{Buffers, Kernel, Model, Path, Refusal, Spread, State};
use crate::args::Args;
use crate::error::Result;
use crate::signature::{Kind, Param};
use std::sync::Arc;

/// TSB: exponential smoothing of the sizes of demand and of the probability of a demand; the forecast is their product.
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `alpha_d` | 0.1 | 0 to 1 | smoothing of the sizes, at each demand |
/// | `alpha_p` | 0.1 | 0 to 1 | smoothing of the probability, in each period |
///
/// In: `y`, n >= 1 values. A demand is any value but zero; a negative one, a return, is a demand of that size. A missing
/// value is no period. Start: the first size, and 1 or 0 for whether the first value is a demand. Without any demand the
/// forecast is zero. Unlike Croston's it falls with every period without demand, so it suits what may be dying.
/// Out: `horizon` equal means in the unit of `y` per period; the standard deviation is that of the one-step errors since
/// the first demand, the same for every step, as if the level stayed. Unknown until one step after the first demand.
/// O(n + horizon) time, no memory. Errors: none beyond those of [`super::forecast`].
/// Source: Teunter, Syntetos & Babai (2011), Intermittent demand: linking forecasting to inventory obsolescence, European
/// Journal of Operational Research 214(3).
pub(super) struct Tsb;

/// TSB with both smoothing parameters fitted by least squares of the one-step errors of the forecast, each from about
/// 0.001 to 0.999. Else as [`Tsb`].
pub(super) struct TsbOptimized;

const SOURCE: &str = "Teunter, Syntetos & Babai (2011), European Journal of Operational Research 214(3)";

impl Model for Tsb {
    fn name(&self) -> &'static str {
        "tsb"
    }

    fn summary(&self) -> &'static str {
        "TSB: smoothed size of demand times smoothed probability of demand; falls while nothing sells"
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn params(&self) -> &'static [Param] {
        &[
            Param {
                name: "alpha_d",
                kind: Kind::Number { min: 0.0, max: 1.0 },
                default: Some("0.1"),
                meaning: "smoothing of the sizes, at each demand",
            },
            Param {
                name: "alpha_p",
                kind: Kind::Number { min: 0.0, max: 1.0 },
                default: Some("0.1"),
                meaning: "smoothing of the probability of a demand, in each period",
            },
        ]
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        None
    }

    fn bind(&self, args: &Args, _season_length: usize) -> Result<Arc<dyn Kernel>> {
        Ok(Arc::new(Product { alphas: Some((args.number("alpha_d")?, args.number("alpha_p")?)) }))
    }
}

impl Model for TsbOptimized {
    fn name(&self) -> &'static str {
        "tsb_optimized"
    }

    fn summary(&self) -> &'static str {
        "TSB with the smoothing of size and of probability fitted"
    }

    fn source(&self) -> &'static str {
        SOURCE
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        None
    }

    fn bind(&self, _args: &Args, _season_length: usize) -> Result<Arc<dyn Kernel>> {
        Ok(Arc::new(Product { alphas: None }))
    }
}

/// Size times probability. Parameters: alpha of the size, alpha of the probability. States: size (NaN before the first
/// demand), probability (NaN before the first value).
struct Product {
    /// `None` to fit both.
    alphas: Option<(f64, f64)>,
}

impl Kernel for Product {
    fn observations_min(&self) -> usize {
        1
    }

    fn estimate(&self, y: &[f64], _buffers: &mut Buffers, state: &mut State) -> Result<(), Refusal> {
        let (size, probability) = self.alphas.unwrap_or_else(|| fit(y));
        state.parameters.extend([size, probability]);
        state.states.extend([f64::NAN; 2]);
        Ok(())
    }

    fn update(&self, y: &[f64], state: &mut State) {
        let (alpha_d, alpha_p) = (state.parameters[0], state.parameters[1]);
        let [mut size, mut probability] = [0, 1].map(|i| state.states[i]);
        let (mut errors, mut sse) = (state.errors, state.sse);
        for &v in y.iter().filter(|v| !v.is_nan()) {
            let e = v - rate(size, probability);
            errors += 1;
            sse += e * e;
            let occurs = f64::from(v != 0.0);
            probability = if probability.is_nan() { occurs } else { probability + alpha_p * (occurs - probability) };
            if v == 0.0 {
                continue;
            }
            if size.is_nan() {
                size = v;
                // What was forecast before the first demand, zero, tells nothing of the errors after it.
                (errors, sse) = (0, 0.0);
            } else {
                size += alpha_d * (v - size);
            }
        }
        (state.errors, state.sse) = (errors, sse);
        state.steps += y.len() as u64;
        state.states.copy_from_slice(&[size, probability]);
    }

    fn forecast(&self, state: &State, path: &mut Path) -> Spread {
        constant_level(state, rate(state.states[0], state.states[1]), path)
    }
}

/// Demand per period; zero before the first demand.
fn rate(size: f64, probability: f64) -> f64 {
    if size.is_nan() { 0.0 } else { size * probability }
}

/// Where the search starts, as log odds of both alphas; denser at slow smoothing, where most series end up.
const START: [(f64, f64); LANES] =
    [(-4.5, -4.5), (-4.5, -2.2), (-2.2, -4.5), (-2.2, -3.2), (-2.2, -2.2), (-1.2, -1.2), (-2.8, 0.0), (0.0, -2.8)];

/// Search rounds after the first, and the radius of the first of them in log odds.
const ROUNDS: usize = 4;
const RADIUS: f64 = 1.2;

/// How far the radius shrinks after a round that found nothing better, and after one that did.
const SHRINK: (f64, f64) = (0.4, 0.8);

/// Both alphas by least squares of the one-step errors of the forecast after the first demand.
fn fit(y: &[f64]) -> (f64, f64) {
    let Some(at) = y.iter().position(|v| !v.is_nan() && *v != 0.0) else { return (0.1, 0.1) };
    let silent = y[..at].iter().any(|v| !v.is_nan());
    let (mut best, mut centre, mut radius) = ((f64::INFINITY, 0.1, 0.1), (0.0, 0.0), RADIUS);
    for round in 0..=ROUNDS {
        let points = match round {
            0 => START,
            _ => RING[round % 2].map(|(dx, dy)| (edge(centre.0 + radius * dx), edge(centre.1 + radius * dy))),
        };
        let (alpha_d, alpha_p) = (points.map(|p| share(p.0)), points.map(|p| share(p.1)));
        // A series that starts silent starts at probability zero, and its first demand lifts that to alpha.
        let probability = if silent { alpha_p } else { [1.0; LANES] };
        let sse = score(&y[at + 1..], y[at], probability, &alpha_d, &alpha_p);
        let k = (0..LANES).fold(0, |best, k| if sse[k] < sse[best] { k } else { best });
        let better = sse[k] < best.0;
        if better {
            best = (sse[k], alpha_d[k], alpha_p[k]);
            centre = points[k];
        }
        radius *= if round == 0 {
            1.0
        } else if better {
            SHRINK.1
        } else {
            SHRINK.0
        };
    }
    (best.1, best.2)
}

/// Sums of squared one-step errors after the first demand, for eight pairs of alphas at a time.
fn score(
    y: &[f64],
    first: f64,
    mut probability: [f64; LANES],
    alpha_d: &[f64; LANES],
    alpha_p: &[f64; LANES],
) -> [f64; LANES] {
    let (mut size, mut sse) = ([first; LANES], [0.0; LANES]);
    for &v in y.iter().filter(|v| !v.is_nan()) {
        let occurs = f64::from(v != 0.0);
        for k in 0..LANES {
            let e = v - size[k] * probability[k];
            sse[k] += e * e;
            probability[k] += alpha_p[k] * (occurs - probability[k]);
        }
        if v != 0.0 {
            for k in 0..LANES {
                size[k] += alpha_d[k] * (v - size[k]);
            }
        }
    }
    sse
}
