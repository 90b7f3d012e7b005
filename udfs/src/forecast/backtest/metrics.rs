//! Measures of forecast errors, one row each.  In: the sums over the errors of a series. Out: one number.

use crate::signature::Output;

/// Sums from which every measure follows, and which add up over series and origins.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    /// Errors: forecast steps whose actual value is known.
    pub n: u64,
    /// Of forecast - actual.
    pub error: f64,
    /// Of the absolute errors.
    pub absolute: f64,
    /// Of the squared errors.
    pub squared: f64,
    /// Of the actual values.
    pub actual: f64,
    /// Of the absolute actual values.
    pub absolute_actual: f64,
    /// Of 200 |error| / (|forecast| + |actual|), nothing where both are zero.
    pub symmetric: f64,
    /// Errors of origins that have a scale.
    pub n_scaled: u64,
    /// Of the absolute errors, each over the mean absolute difference at its origin.
    pub absolute_scaled: f64,
    /// Of the squared errors, each over the mean squared difference at its origin.
    pub squared_scaled: f64,
    /// Of the absolute errors of seasonal naive over the same steps.
    pub naive_absolute: f64,
    /// Of its squared errors.
    pub naive_squared: f64,
}

/// What errors of an origin are divided by: means over the differences at one season's distance before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub(super) absolute: f64,
    pub(super) squared: f64,
}

impl Scale {
    /// The scale of the values before an origin; `None` if no two are a season apart, or none differ.
    pub(super) fn of(y: &[f64], season_length: usize) -> Option<Self> {
        let (mut n, mut absolute, mut squared) = (0.0, 0.0, 0.0);
        for d in y.iter().zip(y.iter().skip(season_length)).map(|(a, b)| b - a).filter(|d| !d.is_nan()) {
            n += 1.0;
            absolute += d.abs();
            squared += d * d;
        }
        (absolute > 0.0 && squared > 0.0).then(|| Self { absolute: absolute / n, squared: squared / n })
    }
}

impl Sums {
    /// One more error.
    pub(super) fn count(&mut self, actual: f64, forecast: f64, scale: Option<Scale>) {
        let error = forecast - actual;
        self.n += 1;
        self.error += error;
        self.absolute += error.abs();
        self.squared += error * error;
        self.actual += actual;
        self.absolute_actual += actual.abs();
        if error != 0.0 {
            self.symmetric += 200.0 * (error.abs() / (actual.abs() + forecast.abs()));
        }
        if let Some(scale) = scale {
            self.n_scaled += 1;
            self.absolute_scaled += error.abs() / scale.absolute;
            self.squared_scaled += error * error / scale.squared;
        }
    }

    /// Those of a further origin.
    pub(super) fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.n_scaled += other.n_scaled;
        for (sum, more) in self.reals_mut().into_iter().zip(other.clone().reals_mut()) {
            *sum += *more;
        }
    }

    fn reals_mut(&mut self) -> [&mut f64; 10] {
        [
            &mut self.error,
            &mut self.absolute,
            &mut self.squared,
            &mut self.actual,
            &mut self.absolute_actual,
            &mut self.symmetric,
            &mut self.absolute_scaled,
            &mut self.squared_scaled,
            &mut self.naive_absolute,
            &mut self.naive_squared,
        ]
    }
}

/// A measure of forecast errors: a column of `backtest`.
pub struct Metric {
    /// Column name.
    pub name: &'static str,
    /// Formula and unit, for help.
    pub meaning: &'static str,
    /// Where it was defined.
    pub source: &'static str,
    /// The formula; `None` if it divides by zero.
    pub of: fn(&Sums) -> Option<f64>,
}

fn over(sum: f64, by: f64) -> Option<f64> {
    (by > 0.0).then(|| sum / by)
}

/// Every measure, in the order of the output columns.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "mae",
        meaning: "mean absolute error, in the unit of value",
        source: "utilsforecast mae",
        of: |s| over(s.absolute, s.n as f64),
    },
    Metric {
        name: "rmse",
        meaning: "root of the mean squared error, in the unit of value",
        source: "utilsforecast rmse",
        of: |s| over(s.squared, s.n as f64).map(f64::sqrt),
    },
    Metric {
        name: "bias",
        meaning: "mean of forecast - actual, in the unit of value; above zero: forecast too high",
        source: "utilsforecast bias",
        of: |s| over(s.error, s.n as f64),
    },
    Metric {
        name: "wape",
        meaning: "sum of absolute errors over sum of absolute actuals; null if nothing was sold",
        source: "utilsforecast wape; Kolassa & Schuetz 2007 (MAD/mean ratio)",
        of: |s| over(s.absolute, s.absolute_actual),
    },
    Metric {
        name: "smape",
        meaning: "mean of 200 |error| / (|forecast| + |actual|), 0 to 200 percent, 0 where both are zero",
        source: "Makridakis, Spiliotis & Assimakopoulos 2020 (M4); 200 times utilsforecast smape",
        of: |s| over(s.symmetric, s.n as f64),
    },
    Metric {
        name: "mase",
        meaning: "mean of |error| over the mean absolute difference at one scale_length before the origin; null if that is zero",
        source: "Hyndman & Koehler 2006; utilsforecast mase, mean over cutoffs",
        of: |s| over(s.absolute_scaled, s.n_scaled as f64),
    },
    Metric {
        name: "rmsse",
        meaning: "root of the mean of error^2 over the mean squared difference before the origin; null if that is zero",
        source: "Makridakis, Spiliotis & Assimakopoulos 2022 (M5, there scale_length 1); root of utilsforecast msse, mean over cutoffs",
        of: |s| over(s.squared_scaled, s.n_scaled as f64).map(f64::sqrt),
    },
    Metric {
        name: "relative_mae",
        meaning: "mae over that of seasonal naive at the same steps; below 1: better; null if that is zero",
        source: "utilsforecast rmae",
        of: |s| over(s.absolute, s.naive_absolute),
    },
    Metric {
        name: "relative_rmse",
        meaning: "rmse over that of seasonal naive at the same steps; below 1: better; null if that is zero",
        source: "Theil 1966 (U2), against seasonal naive",
        of: |s| over(s.squared, s.naive_squared).map(f64::sqrt),
    },
];

/// The measures as output columns.
pub(super) const METRIC_OUTPUT: [Output; METRICS.len()] = {
    let mut out = [const { Output { name: "", kind: "double", meaning: "" } }; METRICS.len()];
    let mut i = 0;
    while i < METRICS.len() {
        out[i] = Output { name: METRICS[i].name, kind: "double", meaning: METRICS[i].meaning };
        i += 1;
    }
    out
};
