//! Simple exponential smoothing by exact least squares.  In: a series. Out: its smoothed level, repeated.

use super::exponential_smoothing::{LANES, Smoothing};
use super::naive::Naive;
use super::{Buffers, Kernel, Model, Path, Refusal, Spread, State};
use crate::args::Args;
use crate::error::Result;
use crate::signature::{Kind, Param};
use std::sync::Arc;

/// Where `alpha` is searched: the bounds of R `forecast::ses`.
const RANGE: (f64, f64) = (1e-4, 0.9999);

/// Grid of the first round, in groups of lanes: fine enough to tell one minimum from the next.
const FIRST: usize = 3;

/// Rounds after the first; each narrows the interval to two ninths.
const ROUNDS: usize = 12;

/// Simple exponential smoothing: an exponentially weighted mean, repeated.
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `alpha` | fitted | 0 to 1 | weight of the newest error in the level |
///
/// In: `y`, n >= 4 observed. Out: `horizon` means in the unit of `y`; variance of step h is sigma^2 (1 + alpha^2 (h - 1)),
/// sigma^2 = SSE / (n - 2). `alpha` and the start level minimise the sum of squared one-step errors: for one `alpha` the
/// errors are linear in the start level, so that only `alpha` is searched. That is what R `forecast::ses` and the
/// organisers of M4 do, by another search; `ets_ann` is the faster one, whose start level is backcast.
/// O(n) time, no memory. Errors: none beyond those of [`super::forecast`].
/// Source: Hyndman, Koehler, Ord & Snyder (2008), Forecasting with Exponential Smoothing, ch. 2 and table 6.1; golden
/// values are the M4 organisers' published forecasts.
pub(super) struct Ses;

impl Model for Ses {
    fn name(&self) -> &'static str {
        "ses"
    }

    fn summary(&self) -> &'static str {
        "simple exponential smoothing, alpha fitted or given, by exact least squares"
    }

    fn source(&self) -> &'static str {
        "Hyndman, Koehler, Ord & Snyder (2008), Forecasting with Exponential Smoothing, ch. 2 and table 6.1"
    }

    fn params(&self) -> &'static [Param] {
        &[Param {
            name: "alpha",
            kind: Kind::Number { min: 0.0, max: 1.0 },
            default: Some("null"),
            meaning: "smoothing of the level; fitted if left out",
        }]
    }

    fn has_exact_spread(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&Naive)
    }

    fn bind(&self, args: &Args, _season_length: usize) -> Result<Arc<dyn Kernel>> {
        let alpha = if args.is_null("alpha")? { None } else { Some(args.number("alpha")?) };
        Ok(Arc::new(Exact { alpha, smoothing: Smoothing { season_length: 1 } }))
    }
}

/// Least squares in `alpha` and the start level; the recursion is that of ETS(A,N,N).
struct Exact {
    alpha: Option<f64>,
    smoothing: Smoothing,
}

impl Kernel for Exact {
    fn observations_min(&self) -> usize {
        self.smoothing.observations_min()
    }

    fn estimate(&self, y: &[f64], _buffers: &mut Buffers, state: &mut State) -> Result<(), Refusal> {
        let (alpha, level) = match self.alpha {
            Some(alpha) => (alpha, score(y, [alpha; LANES])[0].1),
            None => search(y),
        };
        state.parameters.extend([alpha, 0.0]);
        state.states.push(level);
        Ok(())
    }

    fn update(&self, y: &[f64], state: &mut State) {
        self.smoothing.update(y, state);
    }

    fn forecast(&self, state: &State, path: &mut Path) -> Spread {
        self.smoothing.forecast(state, path)
    }
}

/// Sum of squared errors and best start level for each `alpha`.
fn score(y: &[f64], alpha: [f64; LANES]) -> [(f64, f64); LANES] {
    // The error of step t is a_t - c_t l: `level` is what the level would be from a start of zero, `c` what is left of it.
    let (mut level, mut c) = ([0.0; LANES], [1.0; LANES]);
    let (mut aa, mut ac, mut cc) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for &v in y.iter().filter(|v| !v.is_nan()) {
        for k in 0..LANES {
            let a = v - level[k];
            aa[k] += a * a;
            ac[k] += a * c[k];
            cc[k] += c[k] * c[k];
            level[k] += alpha[k] * a;
            c[k] *= 1.0 - alpha[k];
        }
    }
    std::array::from_fn(|k| (aa[k] - ac[k] * ac[k] / cc[k], ac[k] / cc[k]))
}

/// The best `alpha` and its start level: a grid, then ever closer about the best point of it.
fn search(y: &[f64]) -> (f64, f64) {
    let (low, high) = RANGE;
    let width = (high - low) / (FIRST * LANES - 1) as f64;
    let mut best = (f64::INFINITY, low, 0.0);
    let mut better = |alpha: [f64; LANES]| {
        let scores = score(y, alpha);
        for (k, (sse, level)) in scores.into_iter().enumerate() {
            if sse < best.0 {
                best = (sse, alpha[k], level);
            }
        }
        best
    };
    let mut centre = low;
    for group in 0..FIRST {
        centre = better(std::array::from_fn(|k| (low + width * (group * LANES + k) as f64).min(high))).1;
    }
    let mut radius = width;
    for _ in 0..ROUNDS {
        let step = 2.0 * radius / (LANES + 1) as f64;
        let from = centre - radius;
        centre = better(std::array::from_fn(|k| (from + step * (k + 1) as f64).clamp(low, high))).1;
        radius = step;
    }
    (best.1, best.2)
}
