//! ADIDA: demand aggregated over its mean interval, smoothed, and spread again.  In: a series. Out: the demand per period.

use super::aggregation::{Aggregation, Lengths};
use super::{Kernel, Model};
use crate::args::Args;
use crate::error::Result;
use std::sync::Arc;

/// ADIDA (aggregate-disaggregate intermittent demand approach): sums over buckets as long as the mean interval between
/// demands, exponential smoothing of the sums, the forecast of a bucket spread evenly over its periods.
///
/// In: `y`, n >= 1 values. A demand is any value but zero. The buckets end with the series; the first n modulo length
/// values fall before them. Values that come later fill further buckets of that length, and the forecast moves when one is
/// full. What is missing in a bucket is taken as the mean of the rest; a bucket all missing is no step. Without any demand
/// the forecast is zero. `alpha` in 0.1 to 0.3 by least squares of the one-step errors of the sums.
/// Out: `horizon` equal means in the unit of `y` per period; the standard deviation is that of the one-step errors of the
/// periods after the first bucket, the same for every step, as if the level stayed. Unknown until there is such a step.
/// O(n + horizon) time, O(n) memory to fit. Errors: none beyond those of [`super::forecast`].
/// Source: Nikolopoulos, Syntetos, Boylan, Petropoulos & Assimakopoulos (2011), An aggregate-disaggregate intermittent
/// demand approach (ADIDA) to forecasting, Journal of the Operational Research Society 62(3).
pub(super) struct Adida;

impl Model for Adida {
    fn name(&self) -> &'static str {
        "adida"
    }

    fn summary(&self) -> &'static str {
        "ADIDA: sums over the mean interval between demands, smoothed, spread over its periods"
    }

    fn source(&self) -> &'static str {
        "Nikolopoulos, Syntetos, Boylan, Petropoulos & Assimakopoulos (2011), Journal of the Operational Research Society 62(3)"
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        None
    }

    fn bind(&self, _args: &Args, _season_length: usize) -> Result<Arc<dyn Kernel>> {
        Ok(Arc::new(Aggregation { lengths: Lengths::Longest }))
    }
}
