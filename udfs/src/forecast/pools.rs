//! Which models `auto` tries for which series.  In: class, zeros and season. Out: names in the table of models.
//!
//! Chosen once on the shared sets (`cargo bench -p lakecast-udfs --bench field`), by season length alone: nothing is tuned to
//! a set. Sources for the choice of families: Petropoulos & Svetunkov (2020), A simple combination of univariate models, IJF
//! 36; Syntetos, Boylan & Croston (2005); Kourentzes, Petropoulos & Trapero (2014) on temporal aggregation.

use super::demand::{Class, Demand};
use super::predictive::Shape;

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

impl Family {
    /// Errors of such a pool on the shared sets, pooled, in units of those that its models expect: what a series with few
    /// errors of its own is taken to have. `growth`: of the expected deviation from the first step to the last.
    pub(super) fn shape(self, season_length: usize, observed: usize, growth: f64) -> Shape {
        // The fewer observations, the more their errors flatter the model; and what changes fast changes its ways, too.
        let short = (30.0 / observed.max(1) as f64).min(1.0);
        let moving = (growth - 1.0).clamp(0.0, 1.0);
        let (narrow, wide) = match self {
            Self::Whole if season_length == 1 => (0.88 + 0.85 * short, 1.0 + 2.0 * short),
            Self::Whole => (0.70 + 0.6 * moving, 1.05 + 0.65 * moving),
            Self::Level => return Shape { reach: [1.3, 2.2], variance: 1.04, tilt: 1.0 },
        };
        Shape { reach: [1.28 * narrow, 1.96 * wide], variance: narrow * narrow, tilt: 1.0 }
    }

    /// Errors of its own that weigh as much as the pooled ones.
    pub(super) fn prior(self) -> f64 {
        match self {
            Self::Whole => 20.0,
            Self::Level => 84.0,
        }
    }
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
        Class::Short => vec![level(season_length, false)],
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

/// What `auto` does with each class, for help: name, meaning, and the models that are judged and combined, for a series with a
/// season of seven steps that has shown it often enough.
pub fn auto_choices() -> impl Iterator<Item = [String; 3]> {
    Class::ALL.iter().map(|&class| {
        // With zeros enough that both families are judged.
        let sales = 360;
        let demand = Demand {
            class,
            observed: 400,
            sales,
            leading_zeros: 0,
            silence: 0,
            adi: 1.0,
            cv_squared: 0.0,
            sale_mean: 1.0,
        };
        let pools = pools(&demand, 7).into_iter().map(|pool| match pool.family {
            Family::Whole => pool.models.join(", "),
            Family::Level => format!("levels of {}, and the season of the seasonal one", pool.models.join(", ")),
        });
        let pools: Vec<_> = pools.collect();
        let models = if pools.is_empty() {
            "ets_ann, window_mean or naive, the first that takes it".into()
        } else {
            pools.join("; or ")
        };
        [class.name().into(), class.meaning().into(), models]
    })
}
