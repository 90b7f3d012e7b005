//! Which models `auto` tries for which series.  In: class, zeros and season. Out: names in the table of models.
//!
//! Chosen once on the shared sets (`cargo bench -p lakecast-udfs --bench field`), by season length alone: nothing is tuned to
//! a set. Sources for the choice of families: Petropoulos & Svetunkov (2020), A simple combination of univariate models, IJF
//! 36; Syntetos, Boylan & Croston (2005); Kourentzes, Petropoulos & Trapero (2014) on temporal aggregation.

use super::demand::{Class, Demand};

/// Share of zeros from which a series is demand that comes and goes, rather than a quantity that rises and falls.
const ZEROS: f64 = 0.05;

/// Seasons that an intermittent series must show before its season is more than noise.
const INTERMITTENT_SEASONS: usize = 8;

/// How the models of a pool work together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Each forecasts level, trend and season by itself; absolute errors judge them.
    Whole,
    /// Each forecasts a level, to which the season of the seasonal one among them is added; squared errors judge them,
    /// because of demand the mean is wanted.
    Level,
}

/// Models that are judged and combined with each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pool {
    /// How they work together.
    pub(super) family: Family,
    /// As in SQL.
    pub(super) models: Vec<String>,
}

/// The pools for a series, to be judged against each other; empty for one that tells nothing yet.
pub(super) fn pools(demand: &Demand, season_length: usize) -> Vec<Pool> {
    let zeros = 1.0 - demand.sales as f64 / demand.observed.max(1) as f64;
    match demand.class {
        Class::New => vec![],
        Class::Intermittent | Class::Lumpy | Class::Dead => {
            let seasonal = season_length > 1 && demand.observed >= INTERMITTENT_SEASONS * season_length;
            vec![level(season_length, seasonal)]
        }
        _ if zeros < ZEROS => vec![whole(season_length)],
        _ => vec![level(season_length, season_length > 1), whole(season_length)],
    }
}

fn whole(season_length: usize) -> Pool {
    let models: &[&str] = if season_length > 1 {
        &["dynamic_optimized_theta", "auto_ets", "ets(season=>add,trend=>add)", "seasonal_naive"]
    } else {
        &["dynamic_optimized_theta", "auto_ets", "drift"]
    };
    Pool { family: Family::Whole, models: models.iter().map(ToString::to_string).collect() }
}

fn level(season_length: usize, seasonal: bool) -> Pool {
    let smoothing = if seasonal { "ets_ana" } else { "ets_ann" };
    let window = match season_length {
        1 => 12,
        // Eight weeks of days; of longer seasons two.
        2..=7 => 8 * season_length,
        _ => 2 * season_length,
    };
    let models = [smoothing, "sba", "imapa", "tsb_optimized"].map(String::from).into_iter();
    Pool { family: Family::Level, models: models.chain([format!("window_mean(window=>{window})")]).collect() }
}
