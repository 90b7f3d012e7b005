//! IMAPA: demand aggregated over several bucket lengths and averaged.  In: a series. Out: the demand per period.

use super::aggregation::{Aggregation, Lengths};
use super::{Kernel, Model};
use crate::args::Args;
use crate::error::Result;
use std::sync::Arc;

/// IMAPA (intermittent multiple aggregation prediction algorithm): the mean of the forecasts of [`super::adida::Adida`]
/// for every bucket length from 1 to the mean interval between demands; of more than 64 lengths, 64 evenly spread.
///
/// In, out and missing values as [`super::adida::Adida`]; each length has its own `alpha` in 0.1 to 0.3 and its own
/// buckets, which end with the series fitted. statsforecast takes all lengths.
/// O(k n + horizon) time to fit and O(k) for a new value, k <= 64 the number of lengths; O(n) memory to fit, 6 k numbers
/// of state. Errors: none beyond those of [`super::forecast`].
/// Source: Petropoulos & Kourentzes (2015), Forecast combinations for intermittent demand, Journal of the Operational
/// Research Society 66(6).
pub(super) struct Imapa;

impl Model for Imapa {
    fn name(&self) -> &'static str {
        "imapa"
    }

    fn summary(&self) -> &'static str {
        "IMAPA: the mean of ADIDA over every bucket length up to the mean interval between demands"
    }

    fn source(&self) -> &'static str {
        "Petropoulos & Kourentzes (2015), Journal of the Operational Research Society 66(6)"
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        None
    }

    fn bind(&self, _args: &Args, _season_length: usize) -> Result<Arc<dyn Kernel>> {
        Ok(Arc::new(Aggregation { lengths: Lengths::All }))
    }
}
