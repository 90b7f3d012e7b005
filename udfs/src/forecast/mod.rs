//! Forecasting: models over plain slices, and the `forecast` group function.
//!
//! In: the values of one series, evenly spaced, or its rows. Out: means and standard deviations per step, or rows.
//! Models know no timestamps, no arrow and no SQL; [`MODELS`] is the one table of them.

mod adida;
mod aggregation;
mod arima;
mod auto;
mod backtest;
mod calendar;
mod choice;
mod clean;
mod croston;
mod demand;
mod drift;
pub mod effects;
mod ets;
mod ets_ana;
mod ets_ann;
mod exponential_smoothing;
mod fit;
mod forecaster;
mod function;
mod gather;
mod harmonic;
mod imapa;
mod intervals;
mod least_squares;
mod measure;
mod memory;
mod model;
mod mstl;
mod naive;
mod naive2;
mod periodogram;
mod pool_effects;
mod pools;
mod portfolio;
mod predictive;
mod profile;
mod regressors;
mod rows;
mod seasonal_adjustment;
mod seasonal_naive;
mod series;
mod ses;
mod status;
mod stl;
mod theta;
mod theta_line;
mod tsb;
mod window_mean;
mod worker;

pub use backtest::{Backtest, METRICS, Metric, Sums};
pub use choice::{Choice, model_params};
pub use demand::{Class, Demand, classify};
pub use function::Forecast;
pub use intervals::normal_quantile;
pub use model::{Buffers, Kernel, Model, Path, Spread, State};
pub use pool_effects::{POOL_BY, POOLS, PoolEffects};
pub use pools::auto_choices;
pub use profile::ProfileSeries;
pub use status::{Refusal, Status};

/// Every model, in the order in which `lakecast functions` prints them.
// One a line, so that a model is a line.
#[rustfmt::skip]
pub const MODELS: &[&dyn Model] = &[
    &naive::Naive,
    &seasonal_naive::SeasonalNaive,
    &ets_ann::EtsAnn,
    &ets_ana::EtsAna,
    &naive2::Naive2,
    &drift::Drift,
    &window_mean::WindowMean,
    &window_mean::SeasonalWindowMean,
    &harmonic::LinearTrend,
    &harmonic::Harmonic,
    &theta::THETA,
    &theta::OPTIMIZED,
    &theta::DYNAMIC,
    &theta::DYNAMIC_OPTIMIZED,
    &theta::AUTO,
    &croston::Croston,
    &croston::CrostonOptimized,
    &croston::Sba,
    &tsb::Tsb,
    &tsb::TsbOptimized,
    &adida::Adida,
    &imapa::Imapa,
    &mstl::Mstl,
    &ses::Ses,
    &ets::Holt,
    &ets::DampedHolt,
    &ets::HoltWintersAdditive,
    &ets::HoltWintersMultiplicative,
    &ets::Ets,
    &ets::AutoEts,
    &arima::Arima,
    &arima::AutoArima,
];

/// The model of that name.
pub fn model(name: &str) -> Option<&'static dyn Model> {
    MODELS.iter().copied().find(|m| m.name() == name)
}

/// The names of all models.
pub fn model_names() -> Vec<&'static str> {
    MODELS.iter().map(|m| m.name()).collect()
}

/// Fits `choice` to `y` and forecasts `horizon` steps into `path`.
///
/// | argument | range | meaning |
/// |---|---|---|
/// | `y` | finite values or NaN for missing ones, at least [`Kernel::observations_min`] observed | one series, evenly spaced |
/// | `horizon` | any | steps after the last value |
///
/// Values too large or too small to be squared are scaled by a power of two on the way in and out, which changes no bit
/// of what can be represented; `state` then stays in the scaled unit. Errors: a [`Refusal`] `too_short`, `not_finite`
/// (names the position), `unfit` or `overflow`.
pub fn forecast(
    choice: &Choice,
    y: &[f64],
    horizon: usize,
    buffers: &mut Buffers,
    state: &mut State,
    path: &mut Path,
) -> Result<Spread, Refusal> {
    let least = choice.kernel.observations_min().max(1);
    path.reset(horizon);
    let (mut largest, mut observed) = (0.0_f64, 0);
    for (position, &v) in y.iter().enumerate() {
        if v.is_infinite() {
            return Err(Refusal::new(
                Status::NotFinite,
                format!("value is not finite: position={}, value={v}", position + 1),
            ));
        }
        observed += usize::from(!v.is_nan());
        largest = largest.max(v.abs());
    }
    if observed < least {
        return Err(Refusal::too_short(choice.model.name(), least, observed));
    }
    let y = &y[y.iter().position(|v| !v.is_nan()).unwrap_or(0)..];
    state.clear();
    let spread = match scale(largest) {
        None => fit(choice, y, buffers, state, path)?,
        Some((down, up)) => {
            let mut scaled = buffers.take(0);
            scaled.extend(y.iter().map(|v| v * down));
            let spread = fit(choice, &scaled, buffers, state, path);
            buffers.give(scaled);
            path.mean.iter_mut().chain(&mut path.deviation).for_each(|v| *v *= up);
            spread?
        }
    };
    match path.mean.iter().chain(&path.deviation).position(|v| !v.is_finite()) {
        None => Ok(spread),
        Some(at) => Err(Refusal::new(
            Status::Overflow,
            format!(
                "forecast exceeds the range of a 64-bit float: step={}, largest_value={largest:e}",
                at % horizon.max(1) + 1
            ),
        )),
    }
}

fn fit(
    choice: &Choice,
    y: &[f64],
    buffers: &mut Buffers,
    state: &mut State,
    path: &mut Path,
) -> Result<Spread, Refusal> {
    choice.kernel.estimate(y, buffers, state)?;
    choice.kernel.update(y, state);
    Ok(choice.kernel.forecast(state, path))
}

/// Powers of two that bring values of this size near 1 and back, if they need it. Squares of what is left alone, and
/// sums of them over any series that fits in memory, neither overflow nor vanish.
fn scale(largest: f64) -> Option<(f64, f64)> {
    const MODERATE: std::ops::Range<f64> = 1e-100..1e100;
    if largest == 0.0 || MODERATE.contains(&largest) {
        return None;
    }
    // 2^600 and back leaves 1e308 at about 1e127 and a subnormal at about 1e-143: both can be squared.
    let power = f64::from_bits((1023 + 600) << 52);
    Some(if largest > 1.0 { (1.0 / power, power) } else { (power, 1.0 / power) })
}

#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod state_tests;
#[cfg(test)]
mod test_series;
#[cfg(test)]
mod tests;
