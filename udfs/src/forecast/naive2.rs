//! Naive 2, the yardstick of the M competitions.  In: a series. Out: its last value without season, with the season
//! again.

use super::seasonal_adjustment::{Form, decompose, is_seasonal};
use super::{Buffers, Kernel, Model, Path, Refusal, Spread, State};
use crate::args::Args;
use crate::error::Result;
use std::sync::Arc;

/// Naive 2: the last value of the seasonally adjusted series, repeated and with its season given back.
///
/// As the organisers of M4 define it: a season is adjusted for if the series has at least three of them and its
/// autocorrelation at one season differs from zero at 90 %; the adjustment is the classical multiplicative
/// decomposition. A series with values <= 0, for which there is none, is taken as it is.
///
/// In: `y`, n >= 1 values; `season_length`, without which it is the naive model. Out: `horizon` means in the unit of
/// `y`; the standard deviation of step h is sigma sqrt(h) times the factor of its phase, sigma^2 the mean squared
/// change of the adjusted series, unknown if n = 1. A missing value takes the place of no other: the last observed one
/// stands.
/// O(n season_length) time, O(season_length) memory. Errors: none beyond those of [`super::forecast`].
/// Source: Makridakis, Spiliotis & Assimakopoulos (2020), The M4 Competition, IJF 36, and its benchmark code.
pub(super) struct Naive2;

/// Seasons without which none is looked for.
const SEASONS_MIN: usize = 3;

impl Model for Naive2 {
    fn name(&self) -> &'static str {
        "naive2"
    }

    fn summary(&self) -> &'static str {
        "the last value, repeated, seasonally adjusted if the season is significant (benchmark of M4)"
    }

    fn source(&self) -> &'static str {
        "Makridakis, Spiliotis & Assimakopoulos (2020), The M4 Competition, IJF 36; Hyndman & Athanasopoulos, FPP3, 3.4"
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        None
    }

    fn bind(&self, _args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>> {
        Ok(Arc::new(Adjusted { season_length }))
    }
}

/// Parameters: the factor of each phase, none without season. States: the last adjusted value, the sum of squared
/// changes of the adjusted series.
struct Adjusted {
    season_length: usize,
}

impl Kernel for Adjusted {
    fn observations_min(&self) -> usize {
        1
    }

    fn estimate(&self, y: &[f64], buffers: &mut Buffers, state: &mut State) -> std::result::Result<(), Refusal> {
        let m = self.season_length;
        state.states.extend([f64::NAN, 0.0]);
        let is_long = m > 1 && y.len() >= SEASONS_MIN * m;
        if is_long && !y.iter().any(|v| *v <= 0.0) && is_seasonal(y, m, buffers) {
            decompose(y, m, Form::Multiplicative, &mut state.parameters, buffers);
        }
        Ok(())
    }

    fn update(&self, y: &[f64], state: &mut State) {
        for &v in y {
            let factor = factor(state, state.steps);
            state.steps += 1;
            if v.is_nan() {
                continue;
            }
            let z = v / factor;
            let before = std::mem::replace(&mut state.states[0], z);
            if !before.is_nan() {
                state.states[1] += (z - before) * (z - before);
                state.count(v - before * factor);
            }
        }
    }

    fn forecast(&self, state: &State, path: &mut Path) -> Spread {
        let variance = if state.errors > 0 { state.states[1] / state.errors as f64 } else { 0.0 };
        let last = if state.states[0].is_nan() { 0.0 } else { state.states[0] };
        for (t, (mean, deviation)) in path.mean.iter_mut().zip(&mut path.deviation).enumerate() {
            let factor = factor(state, state.steps + t as u64);
            *mean = last * factor;
            *deviation = (variance * (t + 1) as f64).sqrt() * factor;
        }
        if state.errors > 0 { Spread::Known } else { Spread::Unknown }
    }
}

/// The factor of the phase of a step.
fn factor(state: &State, step: u64) -> f64 {
    match state.parameters.len() as u64 {
        0 => 1.0,
        m => state.parameters[(step % m) as usize],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::test_series::AIR;
    use crate::forecast::{Choice, forecast};

    /// Golden: R 4, `n2(ts(AirPassengers, frequency = 12 | 4))` with the organisers' `SeasonalityTest` and Naive 2 of
    /// Mcompetitions/M4-methods, "Benchmarks and Evaluation.R". Relative tolerance 1e-12, both sides compute in f64.
    #[test]
    fn naive2_agrees_with_the_organisers_of_m4() {
        for (m, golden) in [(12, &MONTHS[..]), (4, &QUARTERS[..])] {
            let choice = Choice::parse("naive2", m).unwrap();
            let (mut path, mut state) = (Path::default(), State::default());
            forecast(&choice, &AIR, golden.len(), &mut Buffers::default(), &mut state, &mut path).unwrap();
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * b;
            assert!(path.mean.iter().zip(golden).all(near), "m={m} {:?}", path.mean);
        }
    }

    #[test]
    fn without_a_season_or_with_a_zero_it_is_the_naive_model() {
        let mut y = AIR;
        y[50] = 0.0;
        for (m, y) in [(1, &AIR), (12, &y)] {
            let paths = ["naive", "naive2"].map(|name| {
                let (mut path, mut state) = (Path::default(), State::default());
                let choice = Choice::parse(name, m).unwrap();
                forecast(&choice, y, 20, &mut Buffers::default(), &mut state, &mut path).unwrap();
                path
            });
            assert_eq!(paths[0], paths[1]);
        }
    }

    const MONTHS: [f64; 14] = [
        437.4820299562054,
        424.6949045812341,
        484.168254771089,
        469.0475714955848,
        471.6775741754913,
        534.8310109091079,
        589.5167069900218,
        586.3231401734639,
        509.7019173134201,
        443.0221657246921,
        385.0684688344879,
        432.0,
        437.4820299562054,
        424.6949045812341,
    ];
    const QUARTERS: [f64; 6] =
        [412.13874078440654, 406.90687766376834, 423.6618611366801, 432.0, 412.13874078440654, 406.90687766376834];
}
