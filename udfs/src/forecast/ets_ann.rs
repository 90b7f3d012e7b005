//! ETS(A,N,N), simple exponential smoothing.  In: a series. Out: its smoothed level, repeated.

use super::exponential_smoothing::Smoothing;
use super::naive::Naive;
use super::{Kernel, Model};
use crate::args::Args;
use crate::error::Result;
use std::sync::Arc;

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

    fn has_exact_spread(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&Naive)
    }

    fn bind(&self, _args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>> {
        Ok(Arc::new(Smoothing { season_length: season_length.min(1) }))
    }
}
