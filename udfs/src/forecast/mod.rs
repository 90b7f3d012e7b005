//! Forecasting: models over plain slices, and the `forecast` group function.
//!
//! In: the values of one series, evenly spaced, or its rows. Out: means and standard deviations per step, or rows.
//! Models know no timestamps, no arrow and no SQL; [`MODELS`] is the one table of them.

mod calendar;
mod ets_ana;
mod ets_ann;
mod exponential_smoothing;
mod function;
mod intervals;
mod naive;
mod rows;
mod seasonal_naive;
mod status;
mod worker;

pub use function::Forecast;
pub use intervals::normal_quantile;
pub use status::{Refusal, Status};

/// Every model, in the order in which `lakecast functions` prints them.
pub const MODELS: &[&dyn Model] = &[&naive::Naive, &seasonal_naive::SeasonalNaive, &ets_ann::EtsAnn, &ets_ana::EtsAna];

/// A forecasting model of a single series.
///
/// This is a contract: the forecast depends on nothing but the arguments, so that the same series gives the same bits on
/// every host, and nothing is allocated once the buffers have grown.
pub trait Model: Sync {
    /// The name in SQL.
    fn name(&self) -> &'static str;

    /// One line for help.
    fn summary(&self) -> &'static str;

    /// Where the method stands in print, and what its golden values come from.
    fn source(&self) -> &'static str;

    /// Whether `season_length` must be at least 2.
    fn is_seasonal(&self) -> bool;

    /// Fewest observations from which it forecasts.
    fn observations_min(&self, season_length: usize) -> usize;

    /// The model that takes a series too short for this one.
    fn simpler(&self) -> Option<&'static dyn Model>;

    /// Forecasts `path.mean.len()` steps after the last value of `y`.
    ///
    /// Called by [`forecast`] alone, which sees to it that `y` is finite, long enough and of moderate size, and that
    /// `season_length` is at least 2 for a seasonal model.
    fn fit(&self, y: &[f64], season_length: usize, buffers: &mut Buffers, path: &mut Path) -> Spread;
}

/// A forecast: one entry for each step of the horizon, in the unit of the series.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Path {
    /// Means.
    pub mean: Vec<f64>,
    /// Standard deviations of the forecast errors; zeros if the spread is unknown.
    pub deviation: Vec<f64>,
}

/// Whether a series tells how far it strays from its forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// `Path::deviation` holds.
    Known,
    /// Too few observations: no prediction interval.
    Unknown,
}

/// Working memory of the models, kept from series to series.
#[derive(Debug, Default)]
pub struct Buffers {
    scaled: Vec<f64>,
    profile: Vec<f64>,
    season: Vec<f64>,
    lanes: Vec<[f64; exponential_smoothing::LANES]>,
}

impl Buffers {
    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        8 * (self.scaled.capacity() + self.profile.capacity() + self.season.capacity())
            + size_of::<[f64; exponential_smoothing::LANES]>() * self.lanes.capacity()
    }
}

/// The model of that name.
pub fn model(name: &str) -> Option<&'static dyn Model> {
    MODELS.iter().copied().find(|m| m.name() == name)
}

/// Forecasts `horizon` steps of `y` into `path`.
///
/// | argument | range | meaning |
/// |---|---|---|
/// | `y` | finite values, at least [`Model::observations_min`] of them | one series, evenly spaced |
/// | `season_length` | at least 1; at least 2 for a seasonal model | observations per season |
/// | `horizon` | any | steps after the last value |
///
/// Values too large or too small to be squared are scaled by a power of two on the way in and out, which changes no bit
/// of what can be represented. Errors: a [`Refusal`] `too_short`, `not_finite` (names the position) or `overflow`.
pub fn forecast(
    model: &dyn Model,
    y: &[f64],
    season_length: usize,
    horizon: usize,
    buffers: &mut Buffers,
    path: &mut Path,
) -> Result<Spread, Refusal> {
    let least = model.observations_min(season_length).max(1);
    if y.len() < least || (model.is_seasonal() && season_length < 2) {
        return Err(Refusal::too_short(model.name(), least, y.len()));
    }
    path.mean.clear();
    path.mean.resize(horizon, 0.0);
    path.deviation.clear();
    path.deviation.resize(horizon, 0.0);
    let mut largest = 0.0_f64;
    for (position, &v) in y.iter().enumerate() {
        if !v.is_finite() {
            return Err(Refusal::new(
                Status::NotFinite,
                format!("value is not finite: position={}, value={v}", position + 1),
            ));
        }
        largest = largest.max(v.abs());
    }
    let spread = match scale(largest) {
        None => model.fit(y, season_length, buffers, path),
        Some((down, up)) => {
            let mut scaled = std::mem::take(&mut buffers.scaled);
            scaled.clear();
            scaled.extend(y.iter().map(|v| v * down));
            let spread = model.fit(&scaled, season_length, buffers, path);
            buffers.scaled = scaled;
            path.mean.iter_mut().chain(&mut path.deviation).for_each(|v| *v *= up);
            spread
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
mod tests;
