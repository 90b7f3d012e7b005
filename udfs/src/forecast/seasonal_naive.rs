//! The seasonal naive model.  In: a series. Out: its last full season, repeated.

use super::naive::{Naive, Repeat};
use super::{Kernel, Model};
use crate::args::Args;
use crate::error::Result;
use std::sync::Arc;

/// Seasonal naive: the last full season, repeated.
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `season_length` | none | at least 2 | observations per season |
///
/// In: `y`, n >= season_length values. Out: `horizon` means in the unit of `y`; the standard deviation of step h is
/// sigma sqrt(k + 1), k the full seasons before h, sigma^2 = SSE / (n - season_length), unknown if n = season_length. A phase
/// whose last value is missing takes the one before.
/// O(n + horizon) time, O(season_length) memory. Errors: none beyond those of [`super::forecast`].
/// Source: Hyndman & Athanasopoulos, FPP3, 5.2 and 5.5.
pub(super) struct SeasonalNaive;

impl Model for SeasonalNaive {
    fn name(&self) -> &'static str {
        "seasonal_naive"
    }

    fn summary(&self) -> &'static str {
        "the last full season, repeated"
    }

    fn source(&self) -> &'static str {
        "Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 5.2 and 5.5"
    }

    fn is_seasonal(&self) -> bool {
        true
    }

    fn has_exact_spread(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&Naive)
    }

    fn bind(&self, _args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>> {
        Ok(Arc::new(Repeat { season_length }))
    }
}
