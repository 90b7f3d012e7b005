//! ETS(A,N,A), exponential smoothing with an additive season.  In: a series. Out: its level plus its season.

use super::ets_ann::EtsAnn;
use super::exponential_smoothing::Smoothing;
use super::{Kernel, Model};
use crate::args::Args;
use crate::error::Result;
use std::sync::Arc;

/// ETS(A,N,A): a smoothed level plus a smoothed season, both additive, no trend.
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `season_length` | none | at least 2 | observations per season, m |
///
/// In: `y`, n >= 2 m + 3 finite values. Out: `horizon` means in the unit of `y`; variance of step h is
/// sigma^2 (1 + alpha^2 (h - 1) + gamma k (2 alpha + gamma)), k the full seasons before h, sigma^2 = SSE / (n - m - 2)
/// (`alpha`, `gamma`, the start level and m - 1 free start seasons count).
/// `alpha` in (0.001, 0.999) and `gamma` below 1 - alpha by least squares of the one-step errors; start states are
/// backcast. O(n) time, O(m) memory. Errors: none beyond those of [`super::forecast`].
/// Source: Hyndman, Koehler, Ord & Snyder (2008), Forecasting with Exponential Smoothing, table 6.1, class 1.
pub(super) struct EtsAna;

impl Model for EtsAna {
    fn name(&self) -> &'static str {
        "ets_ana"
    }

    fn summary(&self) -> &'static str {
        "ETS(A,N,A): exponential smoothing of level and additive season, alpha and gamma fitted"
    }

    fn source(&self) -> &'static str {
        "Hyndman, Koehler, Ord & Snyder (2008), Forecasting with Exponential Smoothing, ch. 2 and table 6.1"
    }

    fn is_seasonal(&self) -> bool {
        true
    }

    fn has_exact_spread(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&EtsAnn)
    }

    fn bind(&self, _args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>> {
        Ok(Arc::new(Smoothing { season_length }))
    }
}
