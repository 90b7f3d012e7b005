//! The naive model.  In: a series. Out: its last value, repeated.

use super::{Buffers, Model, Path, Spread};

/// Naive: the last value, repeated; the forecast of a random walk.
///
/// In: `y`, n >= 1 finite values. Out: `horizon` means in the unit of `y`; the standard deviation of step h is
/// sigma sqrt(h) with sigma^2 = SSE / (n - 1) over the n - 1 one-step errors, unknown if n = 1.
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

    fn is_seasonal(&self) -> bool {
        false
    }

    fn observations_min(&self, _season_length: usize) -> usize {
        1
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        None
    }

    fn fit(&self, y: &[f64], _season_length: usize, _buffers: &mut Buffers, path: &mut Path) -> Spread {
        repeat(y, 1, path)
    }
}

/// The last `m` values, repeated, and the spread of their errors at lag `m`.
pub(super) fn repeat(y: &[f64], m: usize, path: &mut Path) -> Spread {
    let last = &y[y.len() - m..];
    let errors = y.len() - m;
    let sse: f64 = y.iter().zip(&y[m..]).map(|(a, b)| (b - a) * (b - a)).sum();
    let variance = if errors > 0 { sse / errors as f64 } else { 0.0 };
    for (t, (mean, deviation)) in path.mean.iter_mut().zip(&mut path.deviation).enumerate() {
        *mean = last[t % m];
        *deviation = (variance * (t / m + 1) as f64).sqrt();
    }
    if errors > 0 { Spread::Known } else { Spread::Unknown }
}
