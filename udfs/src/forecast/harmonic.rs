//! Regressions on time: the straight line, and the line with sines and cosines.  In: a series. Out: the curve,
//! extended.

use super::drift::Drift;
use super::least_squares::{Regression, Solution, length};
use super::periodogram::period;
use super::{Buffers, Kernel, Model, Path, Refusal, Spread, State};
use crate::args::Args;
use crate::error::{Error, Result};
use crate::forecast::model::observed_count;
use crate::signature::{Kind, Param};
use std::sync::Arc;

/// Linear trend: the least squares line through all values.
///
/// In: `y`, n >= 3 values. Out: `horizon` means in the unit of `y`; the variance of a prediction at x = (1, t) is
/// sigma^2 (1 + x' (X'X)^-1 x), exact for normal errors, sigma^2 = RSS / (n - 2). Missing values are left out.
/// The line moves on with each value, so that a forecast on the way knows only what lies before it.
/// O(n + horizon) time, no memory. Errors: none beyond those of [`super::forecast`].
/// Source: Hyndman & Athanasopoulos, FPP3, 7.2 and 7.9; golden values from R `lm`.
pub(super) struct LinearTrend;

/// Harmonic regression: y = a0 + a1 t + the sum of a_k cos(2 pi k t / period) + b_k sin(2 pi k t / period).
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `period` | `season_length`, 0 if that is 1 | 0, or 2 to 1000000 | steps of one cycle, not necessarily whole; 0: estimated |
/// | `harmonics` | by AICc, 1 to 6 | 1 to 50 | waves within the period, at most half as many as it has steps |
/// | `trend` | yes | yes, no | whether there is the term a1 t |
///
/// In: `y`, n >= period + regressors values (8 + regressors if the period is estimated). Out: `horizon` means in the
/// unit of `y`; the variance of a prediction is sigma^2 (1 + x' (X'X)^-1 x), exact for normal errors and a given
/// period, sigma^2 = RSS / (n - regressors). Missing values are left out; a wave that the observed phases cannot tell
/// from others is left out too. An estimated period is the peak of the periodogram of what is left beside the line,
/// between 2 steps and half the series. Coefficients move on with each value.
/// O(n regressors^2) time (O(n^2) if the period is estimated), O(regressors^2) memory.
/// Errors: `Argument` if there are more harmonics than half the period has steps.
/// Source: Hyndman & Athanasopoulos, FPP3, 7.4; golden values from R `lm` and `forecast::fourier`.
pub(super) struct Harmonic;

/// Most harmonics that are tried where none are asked for: what R's users of `fourier` rarely exceed, cheap to have.
const HARMONICS_TRIED: usize = 6;

/// Most harmonics to ask for.
const HARMONICS_MAX: i64 = 50;

/// Longest period to ask for.
const PERIOD_MAX: f64 = 1e6;

/// Steps without which there is no looking for a period.
const STEPS_MIN: usize = 8;

/// Longest whole period whose angles are kept in a table.
const TABLE_MAX: f64 = 10_000.0;

impl Model for LinearTrend {
    fn name(&self) -> &'static str {
        "linear_trend"
    }

    fn summary(&self) -> &'static str {
        "the least squares line"
    }

    fn source(&self) -> &'static str {
        "Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 7.2 and 7.9"
    }

    fn has_exact_spread(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&Drift)
    }

    fn bind(&self, _args: &Args, _season_length: usize) -> Result<Arc<dyn Kernel>> {
        Ok(Arc::new(Curve { has_trend: true, period: 1.0, harmonics: Some(0), table: Vec::new() }))
    }
}

impl Model for Harmonic {
    fn name(&self) -> &'static str {
        "harmonic"
    }

    fn summary(&self) -> &'static str {
        "least squares of a line and waves of a given or estimated period"
    }

    fn source(&self) -> &'static str {
        "Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 7.4"
    }

    fn params(&self) -> &'static [Param] {
        const {
            &[
                Param {
                    name: "period",
                    kind: Kind::Number { min: 0.0, max: PERIOD_MAX },
                    default: Some("null"),
                    meaning: "steps of one cycle, at least 2, or 0 to estimate it; left out it is season_length",
                },
                Param {
                    name: "harmonics",
                    kind: Kind::Integer { min: 1, max: HARMONICS_MAX },
                    default: Some("null"),
                    meaning: "waves within the period; left out they are chosen by AICc",
                },
                Param {
                    name: "trend",
                    kind: Kind::Choice(|| vec!["yes", "no"]),
                    default: Some("\"yes\""),
                    meaning: "whether there is a linear trend",
                },
            ]
        }
    }

    fn has_exact_spread(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&LinearTrend)
    }

    fn bind(&self, args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>> {
        let period = match (args.is_null("period")?, season_length) {
            (true, 0 | 1) => 0.0,
            (true, m) => m as f64,
            (false, _) => args.number("period")?,
        };
        if period > 0.0 && period < 2.0 {
            return Err(Error::Argument(format!(
                "harmonic: bad argument: name=period, given={period}, allowed=[0, or at least 2]"
            )));
        }
        let harmonics = match args.is_null("harmonics")? {
            true => None,
            false => Some(args.integer("harmonics")?.unsigned_abs() as usize),
        };
        if period > 0.0 && harmonics.is_some_and(|k| 2.0 * k as f64 > period) {
            return Err(Error::Argument(format!(
                "harmonic: bad argument: name=harmonics, given={}, allowed=[at most half of period={period}]",
                harmonics.unwrap_or(0)
            )));
        }
        let is_whole = period > 0.0 && period <= TABLE_MAX && period.fract() == 0.0;
        let table = if is_whole { (0..period as u64).map(|t| angle(t, period)).collect() } else { Vec::new() };
        Ok(Arc::new(Curve { has_trend: args.text("trend")? == "yes", period, harmonics, table }))
    }
}

/// Cosine and sine of the first harmonic at a step.
fn angle(step: u64, period: f64) -> (f64, f64) {
    let turn = std::f64::consts::TAU * ((step as f64 % period) / period);
    (libm::cos(turn), libm::sin(turn))
}

/// Parameters: the first value, the period, the harmonics. States: observations, then the regression.
struct Curve {
    has_trend: bool,
    /// 0 where it is estimated.
    period: f64,
    /// `None` where they are chosen.
    harmonics: Option<usize>,
    /// Cosine and sine of each step of a whole period.
    table: Vec<(f64, f64)>,
}

/// Most regressors: constant, trend and two a harmonic.
const REGRESSORS_MAX: usize = 2 + 2 * HARMONICS_MAX as usize;

impl Curve {
    /// How many regressors there are with so many harmonics; at half the period the sine is zero everywhere.
    fn regressors(&self, period: f64, harmonics: usize) -> usize {
        let silent = harmonics > 0 && 2.0 * harmonics as f64 >= period;
        1 + usize::from(self.has_trend) + 2 * harmonics - usize::from(silent)
    }

    /// The regressors at a step.
    fn row(&self, step: u64, period: f64, x: &mut [f64]) {
        let waves = 1 + usize::from(self.has_trend);
        x[0] = 1.0;
        if self.has_trend {
            x[1] = (step + 1) as f64;
        }
        if x.len() == waves {
            return;
        }
        let (c, s) = match self.table.len() as u64 {
            0 => angle(step, period),
            m => self.table[(step % m) as usize],
        };
        let (mut cos, mut sin) = (c, s);
        for pair in x[waves..].chunks_mut(2) {
            pair[0] = cos;
            if let Some(second) = pair.get_mut(1) {
                *second = sin;
            }
            (cos, sin) = (cos * c - sin * s, sin * c + cos * s);
        }
    }

    /// Takes values into the regression of `p` regressors in `states`; calls `error` with each one-step error.
    fn push(
        &self,
        y: &[f64],
        first: u64,
        zero: f64,
        period: f64,
        p: usize,
        states: &mut [f64],
        mut error: impl FnMut(f64),
    ) {
        let mut row = [0.0; REGRESSORS_MAX];
        let Some((observed, rest)) = states.split_first_mut() else { return };
        let Some(mut regression) = Regression::of(rest, p) else { return };
        for (t, v) in y.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
            self.row(first + t as u64, period, &mut row[..p]);
            *observed += 1.0;
            if let Some(e) = regression.push(&mut row[..p], v - zero)
                && *observed > p as f64
            {
                error(e);
            }
        }
    }

    /// How many harmonics: as many as asked for and the period has, or those with the least AICc.
    fn choose(&self, y: &[f64], period: f64, buffers: &mut Buffers) -> usize {
        let most = (period / 2.0) as usize;
        if let Some(asked) = self.harmonics {
            return asked.min(most);
        }
        let n = observed_count(y);
        let most = (1..=most.min(HARMONICS_TRIED)).rev().find(|k| self.regressors(period, *k) + 3 < n).unwrap_or(1);
        let p = self.regressors(period, most);
        let mut states = buffers.take(1 + length(p));
        self.push(y, 0, y[0], period, p, &mut states, |_| {});
        let n = n as f64;
        let mut best = (f64::INFINITY, 1);
        if let Some(solution) = Solution::of(&states[1..], p) {
            for harmonics in 1..=most {
                let regressors = self.regressors(period, harmonics);
                let k = regressors as f64 + 1.0;
                let fit = n * libm::log((solution.rss(regressors) / n).max(f64::MIN_POSITIVE));
                let aicc = fit + 2.0 * k + 2.0 * k * (k + 1.0) / (n - k - 1.0).max(0.5);
                if aicc < best.0 {
                    best = (aicc, harmonics);
                }
            }
        }
        buffers.give(states);
        best.1
    }
}

impl Kernel for Curve {
    fn observations_min(&self) -> usize {
        let least = self.harmonics.unwrap_or(1);
        match self.period {
            0.0 => STEPS_MIN + 2 + 2 * least,
            period => period.ceil() as usize + self.regressors(period, least),
        }
    }

    fn estimate(&self, y: &[f64], buffers: &mut Buffers, state: &mut State) -> std::result::Result<(), Refusal> {
        let period = if self.period == 0.0 { period(y, buffers) } else { self.period };
        let harmonics = self.choose(y, period, buffers);
        state.parameters.extend([y[0], period, harmonics as f64]);
        state.states.resize(1 + length(self.regressors(period, harmonics)), 0.0);
        Ok(())
    }

    fn update(&self, y: &[f64], state: &mut State) {
        let (zero, period, harmonics) = parameters(state);
        let mut states = std::mem::take(&mut state.states);
        let p = self.regressors(period, harmonics);
        self.push(y, state.steps, zero, period, p, &mut states, |e| state.count(e));
        state.states = states;
        state.steps += y.len() as u64;
    }

    fn forecast(&self, state: &State, path: &mut Path) -> Spread {
        let (zero, period, harmonics) = parameters(state);
        let p = self.regressors(period, harmonics);
        let mut row = [0.0; REGRESSORS_MAX];
        let Some(solution) = state.states.get(1..).and_then(|s| Solution::of(s, p)) else { return Spread::Unknown };
        let left = state.states[0] - solution.rank() as f64;
        let variance = solution.rss(p) / left.max(1.0);
        for (t, (mean, deviation)) in path.mean.iter_mut().zip(&mut path.deviation).enumerate() {
            self.row(state.steps + t as u64, period, &mut row[..p]);
            let (distance, spread) = solution.predict(&mut row[..p]);
            *mean = zero + distance;
            *deviation = (variance * spread).sqrt();
        }
        if left > 0.0 { Spread::Known } else { Spread::Unknown }
    }
}

fn parameters(state: &State) -> (f64, f64, usize) {
    (state.parameters[0], state.parameters[1], state.parameters[2] as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::test_series::AIR;
    use crate::forecast::{Choice, forecast};

    fn fit(text: &str, y: &[f64], season_length: usize, horizon: usize) -> (Path, State) {
        let (mut path, mut state) = (Path::default(), State::default());
        let choice = Choice::parse(text, season_length).unwrap();
        forecast(&choice, y, horizon, &mut Buffers::default(), &mut state, &mut path).unwrap();
        (path, state)
    }

    /// Golden: R 4, `q = predict(lm(..), .., se.fit = TRUE)`: `q$fit` and `sqrt(q$se.fit^2 + q$residual.scale^2)`, of
    /// `lm(air ~ t)`, of `lm(air ~ t + fourier(air, K = 2 | 6))` and, with the values 5, 17, 18 and 40 missing, of two
    /// waves of period 30.4 without trend. Relative tolerance 1e-11: R solves by Householder reflections.
    #[test]
    fn regressions_agree_with_r() {
        let mut gaps = AIR;
        [4, 16, 17, 39].into_iter().for_each(|t| gaps[t] = f64::NAN);
        let free = "harmonic(period => 30.4, harmonics => 2, trend => no)";
        for (text, y, mean, deviation) in [
            ("linear_trend", &AIR, &LINE[..], &LINE_DEVIATION[..]),
            ("harmonic(harmonics => 2)", &AIR, &TWO[..], &TWO_DEVIATION[..]),
            ("harmonic(harmonics => 6)", &AIR, &SIX[..], &SIX_DEVIATION[..]),
            (free, &gaps, &GAPS[..], &GAPS_DEVIATION[..]),
        ] {
            let (path, _) = fit(text, y, 12, mean.len());
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-11 * b.abs();
            assert!(path.mean.iter().zip(mean).all(near), "{text} {:?}", path.mean);
            assert!(path.deviation.iter().zip(deviation).all(near), "{text} {:?}", path.deviation);
        }
    }

    #[test]
    fn left_to_itself_it_finds_the_period_and_the_waves() {
        let wave = |t: f64| libm::sin(std::f64::consts::TAU * t / 9.3);
        let noise = |t: u64| ((t + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / (1u64 << 24) as f64 - 0.5;
        let y: Vec<f64> = (0..200).map(|t| 10.0 + 0.1 * t as f64 + 4.0 * wave(t as f64) + noise(t)).collect();
        let (path, state) = fit("harmonic", &y, 1, 10);
        let (_, period, harmonics) = parameters(&state);
        assert!((period - 9.3).abs() < 0.05 && harmonics == 1, "period={period} harmonics={harmonics}");
        let truth = (200..210).map(|t| 10.0 + 0.1 * f64::from(t) + 4.0 * wave(f64::from(t)));
        assert!(path.mean.iter().zip(truth).all(|(own, truth)| (own - truth).abs() < 0.6), "{:?}", path.mean);
        // A season of a week with several waves takes more than one.
        let y: Vec<f64> = (0..140).map(|t| [9.0, 1.0, 4.0, 0.0, 2.0, 7.0, 3.0][t as usize % 7] + noise(t)).collect();
        assert_eq!(parameters(&fit("harmonic", &y, 7, 1).1).2, 3);
    }

    #[test]
    fn phases_that_are_never_observed_cost_waves_and_no_forecast() {
        // Only Mondays: every wave of the week looks like the constant.
        let y: Vec<f64> = (0..140).map(|t| if t % 7 == 0 { 5.0 + f64::from(t) } else { f64::NAN }).collect();
        let (path, _) = fit("harmonic", &y, 7, 8);
        assert!(path.mean.iter().enumerate().all(|(t, v)| (v - 145.0 - t as f64).abs() < 1e-6), "{:?}", path.mean);
    }

    #[test]
    fn wrong_parameters_are_refused() {
        for (bad, m) in [
            ("harmonic(period => 1.5)", 7),
            ("harmonic(period => -1)", 7),
            ("harmonic(harmonics => 4)", 7),
            ("harmonic(harmonics => 0)", 7),
            ("harmonic(trend => maybe)", 7),
        ] {
            assert!(matches!(Choice::parse(bad, m), Err(Error::Argument(_))), "{bad}");
        }
    }

    const LINE: [f64; 6] = [
        472.9444444444445,
        475.6016283524905,
        478.25881226053644,
        480.9159961685824,
        483.5731800766284,
        486.2303639846744,
    ];
    const LINE_DEVIATION: [f64; 6] = [
        46.69907288873326,
        46.71239771482393,
        46.725901194502676,
        46.73958317292567,
        46.75344349338474,
        46.767481997315976,
    ];
    const TWO: [f64; 14] = [
        447.35838565443663,
        463.1991718418465,
        465.0892280516463,
        467.4578287161194,
        487.78623484481085,
        524.5214135519775,
        554.3119597867083,
        552.4870649833811,
        517.0692309958032,
        472.48435130595607,
        448.7948340661532,
        456.2422134097358,
        479.32272647335,
        495.16351266075986,
    ];
    const TWO_DEVIATION: [f64; 14] = [
        28.21999472246732,
        28.250722494456777,
        28.25920518165623,
        28.250722494456774,
        28.24234504900771,
        28.244579451714554,
        28.25298510583762,
        28.255255271426886,
        28.246821415376274,
        28.238492844685727,
        28.246821415376274,
        28.278832985845582,
        28.324010016768693,
        28.359432849484513,
    ];
    const SIX: [f64; 14] = [
        449.25568181818176,
        442.50568181818176,
        477.67234848484867,
        474.58901515151524,
        479.3390151515152,
        519.1723484848487,
        558.8390151515151,
        558.5890151515152,
        509.9223484848485,
        474.0890151515157,
        440.33901515151496,
        469.33901515151535,
        481.1796328671328,
        474.4296328671331,
    ];
    const SIX_DEVIATION: [f64; 14] = [
        27.715074750416164,
        27.715074750416168,
        27.715074750416164,
        27.715074750416164,
        27.715074750416168,
        27.715074750416164,
        27.715074750416164,
        27.715074750416168,
        27.715074750416164,
        27.715074750416164,
        27.715074750416168,
        27.715074750416164,
        27.816928629983305,
        27.81692862998331,
    ];
    const GAPS: [f64; 6] = [
        289.36483923201484,
        280.32195339660433,
        272.2751636915561,
        265.9822150467485,
        261.912576581773,
        260.1934975872717,
    ];
    const GAPS_DEVIATION: [f64; 6] = [
        121.86656395679931,
        121.94476748464103,
        122.01038372050238,
        122.0450310438885,
        122.0406099482154,
        122.00108466432255,
    ];
}
