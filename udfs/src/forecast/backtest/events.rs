//! A forecast as yes or no: does it sell, does the stock run out, where does it go.
//!
//! In: the values before an origin, those after it, and their forecast. Out: what was said and what happened.

/// Which events are asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wanted {
    /// Chance of a sale from which on a sale is forecast.
    pub(super) probability: f64,
    /// Share of the base by which a mean must differ from it to be up or down.
    pub(super) band: f64,
    /// Values before the origin that make the base of the trend.
    pub(super) base: usize,
}

/// The events of one origin; `None` where nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Events {
    /// Whether the actual values of the horizon sum to more than zero.
    pub(super) sells_actual: Option<bool>,
    /// 1 - exp(-sum of the forecast): the chance of at least one sale if sales come at random (Poisson).
    pub(super) sells_probability: Option<f64>,
    pub(super) sells_forecast: Option<bool>,
    /// Whether the horizon's demand exceeds the stock at the origin.
    pub(super) stockout_actual: Option<bool>,
    pub(super) stockout_forecast: Option<bool>,
    /// The horizon's mean against that of the last season: up, flat or down.
    pub(super) trend_actual: Option<&'static str>,
    pub(super) trend_forecast: Option<&'static str>,
}

impl Events {
    /// `before`: values up to the origin; `actual`: those after it, NaN where missing; `forecast`: one for each of them.
    pub(super) fn of(before: &[f64], actual: &[f64], forecast: &[f64], stock: Option<f64>, wanted: Wanted) -> Self {
        let pairs = || actual.iter().zip(forecast).filter(|(a, _)| !a.is_nan());
        let n = pairs().count();
        if n == 0 {
            return Self::default();
        }
        // Steps without an actual value are left out on both sides.
        let sold: f64 = pairs().map(|(a, _)| a).sum();
        let said: f64 = pairs().map(|(_, f)| f).sum();
        let probability = -libm::expm1(-said.max(0.0));
        let stock = stock.filter(|s| !s.is_nan());
        let last = || before.iter().rev().filter(|v| !v.is_nan()).take(wanted.base);
        let base = last().sum::<f64>() / last().count() as f64;
        let trend = |mean: f64| {
            let beyond = mean - base;
            match wanted.band * base.abs() {
                band if beyond > band => Some("up"),
                band if beyond < -band => Some("down"),
                band if band.is_nan() => None,
                _ => Some("flat"),
            }
        };
        Self {
            sells_actual: Some(sold > 0.0),
            sells_probability: Some(probability),
            sells_forecast: Some(probability >= wanted.probability),
            stockout_actual: stock.map(|s| sold > s),
            stockout_forecast: stock.map(|s| said > s),
            trend_actual: trend(sold / n as f64),
            trend_forecast: trend(said / n as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted { probability: 0.5, band: 0.1, base: 2 };

    #[test]
    fn events_follow_from_sums_and_means() {
        let e = Events::of(&[9.0, 2.0, 2.0], &[0.0, 3.0], &[0.2, 0.4], Some(1.0), WANTED);
        assert_eq!((e.sells_actual, e.sells_forecast), (Some(true), Some(false)));
        assert!((e.sells_probability.unwrap() - 0.451_188_363_905_973_6).abs() < 1e-15);
        assert_eq!((e.stockout_actual, e.stockout_forecast), (Some(true), Some(false)));
        assert_eq!((e.trend_actual, e.trend_forecast), (Some("down"), Some("down")));
        let e = Events::of(&[2.0, 2.0], &[2.1, 2.1], &[2.3, 2.3], None, WANTED);
        assert_eq!((e.trend_actual, e.trend_forecast, e.stockout_actual), (Some("flat"), Some("up"), None));
    }

    #[test]
    fn missing_actual_values_are_left_out_on_both_sides() {
        let e = Events::of(&[1.0], &[f64::NAN, 0.0], &[50.0, 0.1], Some(f64::NAN), WANTED);
        assert_eq!((e.sells_actual, e.sells_forecast, e.stockout_forecast), (Some(false), Some(false), None));
        assert_eq!(Events::of(&[1.0], &[f64::NAN], &[5.0], None, WANTED), Events::default());
        let e = Events::of(&[0.0, 0.0], &[0.0], &[0.0], None, WANTED);
        assert_eq!((e.trend_actual, e.trend_forecast, e.sells_forecast), (Some("flat"), Some("flat"), Some(false)));
    }
}
