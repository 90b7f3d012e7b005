//! Registry, golden values and properties of the models.

use super::exponential_smoothing::run;
use super::intervals::{class_1_deviations, half_width};
use super::*;
use proptest::prelude::*;

fn path(model: &'static dyn Model, y: &[f64], season_length: usize, horizon: usize) -> Result<(Spread, Path), Refusal> {
    let (mut path, mut state) = (Path::default(), State::default());
    let choice = Choice::plain(model, season_length).unwrap();
    let spread = forecast(&choice, y, horizon, &mut Buffers::default(), &mut state, &mut path)?;
    Ok((spread, path))
}

fn least(model: &'static dyn Model, season_length: usize) -> usize {
    Choice::plain(model, season_length).unwrap().kernel.observations_min()
}

/// Whether a model forecasts less than it saw: the correction of SBA is for intermittent demand, and a constant series gets
/// it too.
fn takes_off_a_share(model: &dyn Model) -> bool {
    model.name() == "sba"
}

/// Whether a model multiplies, so that it takes values above zero only and knows no upside down.
fn multiplies(model: &dyn Model) -> bool {
    ["holt_winters_multiplicative"].contains(&model.name())
}

/// The series, or one that a model which multiplies takes.
fn fit_for(model: &dyn Model, y: &[f64]) -> Vec<f64> {
    y.iter().map(|v| if multiplies(model) { v.abs() + 1.0 } else { *v }).collect()
}

fn season(model: &dyn Model) -> usize {
    if model.is_seasonal() { 7 } else { 1 }
}

#[test]
fn every_model_has_a_name_of_its_own_a_summary_and_a_source() {
    for (i, m) in MODELS.iter().enumerate() {
        assert!(!m.name().is_empty() && !m.summary().is_empty() && !m.source().is_empty(), "{}", m.name());
        assert!(m.name().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{}", m.name());
        assert!(MODELS[..i].iter().all(|other| other.name() != m.name()), "{}", m.name());
        assert!(model(m.name()).is_some_and(|found| found.name() == m.name()));
        let has_year = m.source().split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() == 4);
        assert!(m.source().contains("Hyndman") || has_year, "{}", m.source());
    }
}

#[test]
fn every_ladder_ends_at_a_model_that_takes_one_observation_by_needing_fewer_at_each_rung() {
    for m in MODELS {
        for season_length in [2, 7, 365] {
            let mut rung: &'static dyn Model = *m;
            while let Some(simpler) = rung.simpler() {
                assert!(least(simpler, season_length) < least(rung, season_length), "{}", rung.name());
                assert!(model(simpler.name()).is_some());
                rung = simpler;
            }
            assert_eq!(least(rung, season_length), 1);
        }
    }
}

#[test]
fn the_shortest_series_is_forecast_and_one_less_is_refused() {
    for m in MODELS {
        for season_length in if m.is_seasonal() { 2..30 } else { 1..2 } {
            let least = least(*m, season_length);
            let y = fit_for(*m, &(0..least).map(|t| (t * t % 11) as f64).collect::<Vec<_>>());
            let (_, found) = path(*m, &y, season_length, 40).unwrap();
            assert!(found.mean.iter().chain(&found.deviation).all(|v| v.is_finite()), "{}", m.name());
            assert_eq!(path(*m, &y[1..], season_length, 40).unwrap_err().status, Status::TooShort, "{}", m.name());
        }
    }
}

#[test]
fn empty_and_not_finite_series_are_refused_by_name() {
    for m in MODELS {
        assert_eq!(path(*m, &[], season(*m), 3).unwrap_err().status, Status::TooShort);
        for bad in [f64::INFINITY, f64::NEG_INFINITY] {
            let mut y = vec![1.0; 40];
            y[17] = bad;
            let refusal = path(*m, &y, season(*m), 3).unwrap_err();
            assert_eq!(refusal.status, Status::NotFinite);
            assert!(refusal.reason.contains("position=18"), "{}", refusal.reason);
        }
    }
}

#[test]
fn a_seasonal_model_without_season_is_refused() {
    for m in MODELS.iter().filter(|m| m.is_seasonal()) {
        for season_length in [0, 1] {
            let said = Choice::plain(*m, season_length).unwrap_err().to_string();
            assert!(said.contains("name=season_length"), "{said}");
        }
    }
}

#[test]
fn a_state_moved_on_in_pieces_forecasts_what_one_moved_at_once_does() {
    let y: Vec<f64> = (0..90).map(|t| if t % 17 == 5 { f64::NAN } else { f64::from(t * t % 23 + 1) }).collect();
    for m in MODELS {
        let kernel = Choice::plain(*m, season(*m)).unwrap().kernel;
        let (mut buffers, mut start) = (Buffers::default(), State::default());
        start.clear();
        kernel.estimate(&y, &mut buffers, &mut start).unwrap();
        let (mut at_once, mut pieces) = (start.clone(), start);
        kernel.update(&y, &mut at_once);
        y.chunks(7).for_each(|piece| kernel.update(piece, &mut pieces));
        let (mut a, mut b) = (Path::default(), Path::default());
        a.reset(19);
        b.reset(19);
        assert_eq!(kernel.forecast(&at_once, &mut a), kernel.forecast(&pieces, &mut b), "{}", m.name());
        let bits = |p: &Path| p.mean.iter().chain(&p.deviation).map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&a), bits(&b), "{}", m.name());
        assert!(a.mean.iter().all(|v| v.is_finite()), "{} {:?}", m.name(), a.mean);
    }
}

#[test]
fn a_constant_series_is_forecast_as_that_constant_with_zero_width() {
    for m in MODELS {
        for c in [0.0, 5.0, -3.25, 1e308, -1e308, 5e-324, 0.1] {
            if multiplies(*m) && c <= 0.0 {
                continue;
            }
            let (spread, found) = path(*m, &[c; 40], season(*m), 9).unwrap();
            assert_eq!(spread, Spread::Known);
            if takes_off_a_share(*m) {
                assert!(found.mean.iter().all(|v| v.abs() <= c.abs()), "{} c={c} {:?}", m.name(), found.mean);
                continue;
            }
            // 0.1 has no exact sum: the seasonal profile and the level may be off by units of rounding.
            let near = |v: &f64| (v - c).abs() <= 4.0 * f64::EPSILON * c.abs();
            assert!(found.mean.iter().all(near), "{} c={c} {:?}", m.name(), found.mean);
            assert!(found.deviation.iter().all(|d| *d <= 1e-15 * c.abs()), "{} c={c} {:?}", m.name(), found.deviation);
        }
    }
}

#[test]
fn huge_and_tiny_values_give_the_scaled_forecast_or_say_overflow() {
    for m in MODELS {
        let y = fit_for(*m, &(0..40).map(|t| ((t * 7) % 11) as f64).collect::<Vec<_>>());
        let (_, plain) = path(*m, &y, season(*m), 9).unwrap();
        for power in [1000, -1000] {
            let factor = f64::powi(2.0, power);
            let scaled: Vec<f64> = y.iter().map(|v| v * factor).collect();
            let (_, found) = path(*m, &scaled, season(*m), 9).unwrap();
            let back: Vec<f64> = found.mean.iter().map(|v| v / factor).collect();
            assert_eq!(back, plain.mean, "{}", m.name());
        }
        let wild: Vec<f64> = (0..40).map(|t| if t % 2 == 0 { 1.7e308 } else { -1.7e308 }).collect();
        match path(*m, &wild, season(*m), 9) {
            Ok((_, found)) => assert!(found.mean.iter().chain(&found.deviation).all(|v| v.is_finite())),
            Err(refusal) if multiplies(*m) => assert_eq!(refusal.status, Status::Unfit),
            Err(refusal) => assert_eq!(refusal.status, Status::Overflow),
        }
    }
}

/// A fit of statsforecast: parameters, start states, end level, sum of squares, variance, means, upper bounds at 95 %.
struct Golden {
    alpha: f64,
    gamma: f64,
    level: f64,
    season: &'static [f64],
    end: f64,
    sse: f64,
    variance: f64,
    mean: [f64; 16],
    upper_95: [f64; 16],
}

/// Golden: statsforecast 2.1.1, `ets.ets_f(WEEKS, m, "ANA" | "ANN")`: from its parameters and start states the recursion
/// must reach its end states, sum of squares and means, and from its variance its bounds. Bounds of step h are the last of
/// `ets.forecast_ets(r, h=h, level=[95])`, since statsforecast counts the seasons of the horizon for every step before it.
/// Relative tolerance 1e-8: both sides compute in f64, its recursion in another order.
#[test]
fn the_recursion_and_the_bounds_agree_with_statsforecast_for_its_parameters() {
    for (golden, m) in [(ANA, 7), (ANN, 1)] {
        let mut season = golden.season.to_vec();
        let fit = run(&WEEKS, golden.alpha, golden.gamma, golden.level, &mut season, false);
        close(fit.level, golden.end);
        close(fit.sse, golden.sse);
        let mut deviation = [0.0; 16];
        class_1_deviations(golden.variance, golden.alpha, golden.gamma, m, &mut deviation);
        for (t, d) in deviation.iter().enumerate() {
            let mean = fit.level + season.get((WEEKS.len() + t) % m).copied().unwrap_or(0.0);
            close(mean, golden.mean[t]);
            close(mean + half_width(95) * d, golden.upper_95[t]);
        }
    }
}

/// The own search must not end above statsforecast's Nelder-Mead over parameters and start states by more than the backcast
/// of the start states costs on so short a series.
#[test]
fn the_fit_is_about_as_good_as_that_of_statsforecast() {
    for (golden, m) in [(ANA, 7), (ANN, 1)] {
        let fit = exponential_smoothing::fit(&WEEKS, m, &mut Buffers::default(), &mut Vec::new());
        assert!(fit.sse < 1.15 * golden.sse, "m={m} own={} statsforecast={}", fit.sse, golden.sse);
    }
}

/// Golden: statsforecast 2.1.1, `Naive().forecast(y=WEEKS, h=10, level=[80, 95])` and `SeasonalNaive(season_length=7)`:
/// mean, lo-80, hi-80, lo-95, hi-95. Relative tolerance 1e-8, both sides compute in f64.
#[test]
fn naive_and_seasonal_naive_agree_with_statsforecast() {
    for (name, golden) in [("naive", NAIVE), ("seasonal_naive", SEASONAL_NAIVE)] {
        let m = model(name).unwrap();
        let (_, found) = path(m, &WEEKS, season(m), 10).unwrap();
        for (t, (mean, deviation)) in found.mean.iter().zip(&found.deviation).enumerate() {
            close(*mean, golden[0][t]);
            for (level, row) in [(80, 1), (95, 3)] {
                let reach = half_width(level) * deviation;
                close(mean - reach, golden[row][t]);
                close(mean + reach, golden[row + 1][t]);
            }
        }
    }
}

fn close(own: f64, golden: f64) {
    assert!((own - golden).abs() <= 1e-8 * golden.abs().max(1.0), "own={own} golden={golden}");
}

/// Four weeks of made-up daily sales.
const WEEKS: [f64; 28] = [
    31.0, 18.0, 22.0, 40.0, 27.0, 35.0, 52.0, 29.0, 21.0, 24.0, 37.0, 30.0, 33.0, 55.0, 34.0, 19.0, 25.0, 43.0, 29.0,
    38.0, 57.0, 30.0, 23.0, 28.0, 41.0, 33.0, 36.0, 60.0,
];

const NAIVE: [[f64; 10]; 5] = [
    [60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0],
    [
        41.49582070942579,
        33.8311386866866,
        27.94982131636165,
        22.991641418851586,
        18.623397238432233,
        14.67420262911758,
        11.042543381789045,
        7.6622773733732,
        4.487462128277386,
        1.4846472096668109,
    ],
    [
        78.5041792905742,
        86.1688613133134,
        92.05017868363835,
        97.00835858114841,
        101.37660276156777,
        105.32579737088241,
        108.95745661821095,
        112.3377226266268,
        115.51253787172261,
        118.5153527903332,
    ],
    [
        31.7002998957866,
        19.978180301530116,
        10.983481580540143,
        3.4005997915731996,
        -3.280053175879054,
        -9.319825129110754,
        -14.87396865345734,
        -20.043639396939767,
        -24.899100312640186,
        -29.49150942901879,
    ],
    [
        88.2997001042134,
        100.02181969846988,
        109.01651841945986,
        116.5994002084268,
        123.28005317587906,
        129.31982512911077,
        134.87396865345733,
        140.04363939693977,
        144.8991003126402,
        149.49150942901878,
    ],
];
const SEASONAL_NAIVE: [[f64; 10]; 5] = [
    [30.0, 23.0, 28.0, 41.0, 33.0, 36.0, 60.0, 30.0, 23.0, 28.0],
    [
        25.87090680713492,
        18.87090680713492,
        23.87090680713492,
        36.870906807134915,
        28.87090680713492,
        31.87090680713492,
        55.870906807134915,
        24.160580406347773,
        17.160580406347773,
        22.160580406347773,
    ],
    [
        34.129093192865085,
        27.12909319286508,
        32.129093192865085,
        45.129093192865085,
        37.129093192865085,
        40.129093192865085,
        64.12909319286508,
        35.839419593652224,
        28.839419593652227,
        33.839419593652224,
    ],
    [
        23.685096905651267,
        16.685096905651267,
        21.685096905651267,
        34.685096905651264,
        26.685096905651267,
        29.685096905651267,
        53.685096905651264,
        21.069378398900195,
        14.069378398900195,
        19.069378398900195,
    ],
    [
        36.314903094348736,
        29.314903094348733,
        34.314903094348736,
        47.314903094348736,
        39.314903094348736,
        42.314903094348736,
        66.31490309434874,
        38.9306216010998,
        31.930621601099805,
        36.9306216010998,
    ],
];
const ANA: Golden = Golden {
    alpha: 0.2464598236806308,
    gamma: 0.0001,
    level: 32.42256931412689,
    season: &[
        -2.5193895312946992,
        -13.408313262570577,
        -9.048685514369708,
        6.314243752908883,
        -4.309094235897229,
        1.2968099785907377,
        21.674428812632595,
    ],
    end: 36.169322120481056,
    sse: 97.62689734098767,
    variance: 5.742758667116922,
    mean: [
        33.650146468027756,
        22.761225655607234,
        27.120856142349254,
        42.48378606751329,
        31.860443187827396,
        37.46635192314289,
        57.843965627531716,
        33.650146468027756,
        22.761225655607234,
        27.120856142349254,
        42.48378606751329,
        31.860443187827396,
        37.46635192314289,
        57.843965627531716,
        33.650146468027756,
        22.761225655607234,
    ],
    upper_95: [
        38.347014673216606,
        27.598640662286968,
        32.094848196704255,
        47.590703921436834,
        37.09691365720459,
        42.8292462896763,
        63.33037146346221,
        39.257440792027424,
        28.4867616694574,
        32.9622408802202,
        48.43876622413581,
        37.92689203997347,
        43.64225790410153,
        64.1274222952885,
        40.03942877005541,
        29.25452538262894,
    ],
};
const ANN: Golden = Golden {
    alpha: 0.00010000000000000002,
    gamma: 0.0,
    level: 33.909297962188745,
    season: &[],
    end: 33.909359555568386,
    sse: 3440.2112837475393,
    variance: 143.34213682281413,
    mean: [
        33.909359555568386,
        33.909359555568386,
        33.909359555568386,
        33.909359555568386,
        33.909359555568386,
        33.909359555568386,
        33.909359555568386,
        33.909359555568386,
        33.909359555568386,
        33.909359555568386,
        33.909359555568386,
        33.909359555568386,
        33.909359555568386,
        33.909359555568386,
        33.909359555568386,
        33.909359555568386,
    ],
    upper_95: [
        57.375141363876914,
        57.37514148120582,
        57.37514159853474,
        57.37514171586364,
        57.375141833192544,
        57.37514195052145,
        57.37514206785036,
        57.375142185179264,
        57.375142302508166,
        57.37514241983707,
        57.37514253716597,
        57.37514265449488,
        57.37514277182378,
        57.375142889152684,
        57.375143006481586,
        57.37514312381049,
    ],
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_finite_series_gives_a_finite_forecast_or_a_refusal(
        y in prop::collection::vec(prop_oneof![any::<f64>(), -1e6..1e6, Just(0.0), Just(1e308), Just(-1e-308)], 0..60),
        season_length in 1usize..12,
        horizon in 1usize..30,
    ) {
        for m in MODELS {
            if m.is_seasonal() && season_length < 2 {
                continue;
            }
            match path(*m, &y, season_length, horizon) {
                Ok((_, found)) => {
                    prop_assert_eq!(found.mean.len(), horizon);
                    prop_assert!(found.mean.iter().chain(&found.deviation).all(|v| v.is_finite()));
                    prop_assert!(found.deviation.iter().all(|v| *v >= 0.0));
                }
                Err(refusal) => prop_assert!(
                    multiplies(*m) && refusal.status == Status::Unfit || matches!(refusal.status, Status::TooShort | Status::NotFinite | Status::Overflow),
                    "{:?}", refusal
                ),
            }
        }
    }

    #[test]
    fn a_series_with_gaps_is_forecast(
        mut y in prop::collection::vec(prop_oneof![Just(f64::NAN), Just(0.0), 0.0..1e3], 40..120),
        least in 20usize..40,
    ) {
        y[0] = 3.0;
        y[40 - least..40].iter_mut().filter(|v| v.is_nan()).for_each(|v| *v = 1.0);
        for m in MODELS {
            let (_, found) = path(*m, &y, season(*m), 9).unwrap();
            prop_assert!(found.mean.iter().chain(&found.deviation).all(|v| v.is_finite()), "{} {:?}", m.name(), found);
        }
    }

    #[test]
    fn scaling_by_a_power_of_two_scales_the_forecast_bit_for_bit(
        y in prop::collection::vec(-1e6..1e6, 20..80),
        power in -40i32..40,
    ) {
        let factor = f64::powi(2.0, power);
        for m in MODELS {
            let y = fit_for(*m, &y);
            let scaled: Vec<f64> = y.iter().map(|v| v * factor).collect();
            let (_, a) = path(*m, &y, season(*m), 9).unwrap();
            let (_, b) = path(*m, &scaled, season(*m), 9).unwrap();
            prop_assert_eq!(a.mean.iter().map(|v| v * factor).collect::<Vec<_>>(), b.mean);
            prop_assert!(a.deviation.iter().zip(&b.deviation).all(|(a, b)| (a * factor - b).abs() <= 1e-12 * b));
        }
    }

    #[test]
    fn turning_a_series_upside_down_turns_its_forecast(y in prop::collection::vec(-1e6..1e6, 20..80)) {
        let turned: Vec<f64> = y.iter().map(|v| -v).collect();
        for m in MODELS.iter().filter(|m| !multiplies(**m)) {
            let (_, a) = path(*m, &y, season(*m), 9).unwrap();
            let (_, b) = path(*m, &turned, season(*m), 9).unwrap();
            prop_assert_eq!(a.mean.iter().map(|v| -v).collect::<Vec<_>>(), b.mean);
            prop_assert_eq!(a.deviation, b.deviation);
        }
    }

    #[test]
    fn whole_numbers_shift_the_naive_forecasts_exactly(
        y in prop::collection::vec(-1000i32..1000, 20..80),
        shift in -1000i32..1000,
    ) {
        let plain: Vec<f64> = y.iter().map(|v| f64::from(*v)).collect();
        let moved: Vec<f64> = y.iter().map(|v| f64::from(v + shift)).collect();
        for name in ["naive", "seasonal_naive"] {
            let m = model(name).unwrap();
            let (_, a) = path(m, &plain, season(m), 9).unwrap();
            let (_, b) = path(m, &moved, season(m), 9).unwrap();
            prop_assert_eq!(a.mean.iter().map(|v| v + f64::from(shift)).collect::<Vec<_>>(), b.mean);
            prop_assert_eq!(a.deviation, b.deviation);
        }
    }

    /// The sum of squares that the search reaches does not depend on where zero lies; the parameters may, where the sum
    /// is flat, so they are not compared.
    #[test]
    fn a_shift_leaves_the_fit_as_good_as_it_was(y in prop::collection::vec(0.0..100.0, 20..80), shift in -1e4..1e4) {
        let moved: Vec<f64> = y.iter().map(|v| v + shift).collect();
        for m in [1, 7] {
            let a = exponential_smoothing::fit(&y, m, &mut Buffers::default(), &mut Vec::new());
            let b = exponential_smoothing::fit(&moved, m, &mut Buffers::default(), &mut Vec::new());
            prop_assert!((a.sse - b.sse).abs() <= 1e-6 * a.sse + 1e-9, "m={} {:?} {:?}", m, a, b);
        }
    }
}
