//! ETS(A,N,N), simple exponential smoothing.  In: a series. Out: its smoothed level, repeated.

use super::exponential_smoothing::fit;
use super::naive::Naive;
use super::{Buffers, Model, Path, Spread, intervals};

/// Parameters counted against the observations: `alpha` and the start level.
const PARAMETERS: usize = 2;

/// ETS(A,N,N), simple exponential smoothing: an exponentially weighted mean, repeated.
///
/// In: `y`, n >= 4 finite values. Out: `horizon` means in the unit of `y`; variance of step h is
/// sigma^2 (1 + alpha^2 (h - 1)), sigma^2 = SSE / (n - 2) (`alpha` and the start level count).
/// `alpha` in (0.001, 0.999) by least squares of the one-step errors; the start level is backcast.
/// O(n) time, no memory. Errors: none beyond those of [`super::forecast`].
/// Source: Hyndman, Koehler, Ord & Snyder (2008), Forecasting with Exponential Smoothing, table 6.1, class 1.
pub(super) struct EtsAnn;

impl Model for EtsAnn {
    fn name(&self) -> &'static str {
        "ets_ann"
    }

    fn summary(&self) -> &'static str {
        "ETS(A,N,N): simple exponential smoothing, alpha fitted"
    }

    fn source(&self) -> &'static str {
        "Hyndman, Koehler, Ord & Snyder (2008), Forecasting with Exponential Smoothing, ch. 2 and table 6.1"
    }

    fn is_seasonal(&self) -> bool {
        false
    }

    fn observations_min(&self, _season_length: usize) -> usize {
        PARAMETERS + 2
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&Naive)
    }

    fn fit(&self, y: &[f64], _season_length: usize, buffers: &mut Buffers, path: &mut Path) -> Spread {
        let f = fit(y, 1, buffers);
        let variance = f.sse / (y.len() - PARAMETERS) as f64;
        path.mean.fill(f.level);
        intervals::class_1_deviations(variance, f.alpha, 0.0, 1, &mut path.deviation);
        Spread::Known
    }
}
