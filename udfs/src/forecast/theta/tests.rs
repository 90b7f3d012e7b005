//! Golden values and properties of the Theta models, with a season above all: the registry tests give them none.

use super::*;
use crate::forecast::test_series::{AIR, SLOW};
use crate::forecast::{Choice, MODELS, forecast, model};
use proptest::prelude::*;

const NAMES: [&str; 4] = ["theta", "optimized_theta", "dynamic_theta", "dynamic_optimized_theta"];

fn all() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().chain(["auto_theta"])
}

fn fit(text: &str, y: &[f64], season_length: usize, horizon: usize) -> (Spread, Path, State) {
    let (mut path, mut state) = (Path::default(), State::default());
    let choice = Choice::parse(text, season_length).unwrap();
    let spread = forecast(&choice, y, horizon, &mut Buffers::default(), &mut state, &mut path).unwrap();
    (spread, path, state)
}

/// A fit of statsforecast: its parameters, the squared errors of the adjusted series from the fourth on, its means.
struct Golden {
    level: f64,
    alpha: f64,
    theta: f64,
    sse: f64,
    mean: [f64; 15],
}

/// Golden: statsforecast 2.1.1, `r = theta.auto_theta(y, m, model="STM" | "OTM" | "DSTM" | "DOTM")` and
/// `theta.forecast_theta(r, 15)`. From its parameters and its start level, with our own season, the recursion must
/// reach its errors and its means. Relative tolerance 1e-9: its line moves on by another formula.
#[test]
fn the_recursion_agrees_with_statsforecast_for_its_parameters() {
    for (y, m, goldens) in [(&AIR[..], 12, &AIR_GOLDEN), (&SLOW[..], 7, &SLOW_GOLDEN)] {
        for (name, golden) in NAMES.into_iter().zip(goldens) {
            let kernel = Choice::parse(name, m).unwrap().kernel;
            let (mut state, mut path) = (State::default(), Path::default());
            kernel.estimate(y, &mut Buffers::default(), &mut state).unwrap();
            let zero = state.parameters[3];
            let chosen = [golden.alpha, 1.0 - 1.0 / golden.theta, golden.level - zero / golden.theta];
            state.parameters[..3].copy_from_slice(&chosen);
            kernel.update(y, &mut state);
            path.reset(golden.mean.len());
            kernel.forecast(&state, &mut path);
            close(Standing::read(&state.states).sse, golden.sse, name);
            path.mean.iter().zip(&golden.mean).for_each(|(own, golden)| close(*own, *golden, name));
        }
    }
}

fn close(own: f64, golden: f64, name: &str) {
    assert!((own - golden).abs() <= 1e-9 * golden.abs().max(1.0), "{name}: own={own} golden={golden}");
}

/// Without the prior, which statsforecast does not have, the search minimises the same sum.
#[test]
fn the_search_ends_no_higher_than_statsforecast() {
    for (y, m, goldens) in [(&AIR[..], 12, &AIR_GOLDEN), (&SLOW[..], 7, &SLOW_GOLDEN)] {
        for (name, golden) in NAMES.into_iter().zip(goldens) {
            let (_, _, state) = fit(name, y, m, 1);
            let x = Fitted::read(&state.parameters);
            let z = y.iter().enumerate().map(|(t, v)| x.form.remove(*v, x.factor(t as u64)) - x.zero).collect();
            let (is_dynamic, is_fixed) = (name.starts_with("dynamic"), !name.contains("optimized"));
            let lines = Lines::new(z, is_dynamic, &mut Buffers::default());
            let found = lines.search(None, is_fixed.then_some(CLASSIC), false);
            assert!(found.sse <= golden.sse, "{name} m={m} own={found:?} statsforecast={}", golden.sse);
        }
    }
}

#[test]
fn the_search_finds_what_a_dense_grid_finds() {
    for is_dynamic in [false, true] {
        for y in [&AIR[..], &SLOW[..], &AIR[20..40]] {
            let z = y.iter().map(|v| v - y[0]).collect();
            let lines = Lines::new(z, is_dynamic, &mut Buffers::default());
            let found = lines.search(None, None, true);
            let grid = (100..=989).map(|i| lines.search(Some(f64::from(i) / 1000.0), None, true).score);
            let least = grid.fold(f64::INFINITY, f64::min);
            assert!(found.score <= least * (1.0 + 1e-5), "found={found:?} grid={least}");
        }
    }
}

#[test]
fn given_parameters_are_kept_and_a_season_can_be_forced_or_forbidden() {
    let (.., state) = fit("dynamic_optimized_theta(alpha => 0.3, theta => 4, season => add)", &AIR, 12, 1);
    let x = Fitted::read(&state.parameters);
    assert_eq!((x.alpha, x.w, x.form, x.factors.len()), (0.3, 0.75, Form::Additive, 12));
    let (.., state) = fit("theta(season => none)", &AIR, 12, 1);
    assert_eq!(Fitted::read(&state.parameters).form, Form::None);
    let choice = Choice::parse("theta(season => mul)", 7).unwrap();
    let mut state = State::default();
    let refusal = choice.kernel.estimate(&SLOW, &mut Buffers::default(), &mut state).unwrap_err();
    assert_eq!(refusal.status, Status::Unfit);
    for bad in ["theta(alpha => 1.5)", "theta(theta => 0.5)", "theta(season => multiplicative)"] {
        assert!(Choice::parse(bad, 7).is_err(), "{bad}");
    }
}

#[test]
fn a_line_is_forecast_as_that_line_where_its_weight_is_fitted() {
    let y: Vec<f64> = (0..40).map(|t| 5.0 + 2.0 * f64::from(t)).collect();
    for name in ["optimized_theta", "dynamic_optimized_theta"] {
        let (_, path, _) = fit(name, &y, 1, 10);
        // The prior keeps it from being exact.
        let worst = path.mean.iter().enumerate().map(|(t, v)| (v - (85.0 + 2.0 * t as f64)).abs()).fold(0.0, f64::max);
        assert!(worst < 0.5, "{name} {:?}", path.mean);
    }
}

#[test]
fn a_gap_of_the_adjusted_series_is_a_step_of_time_alone() {
    // On a line everything is known after a gap that was known before it.
    let mut y: Vec<f64> = (0..60).map(|t| 5.0 + 2.0 * f64::from(t)).collect();
    let (_, whole, _) = fit("dynamic_optimized_theta", &y, 1, 5);
    (20..25).chain([40, 58, 59]).for_each(|t| y[t] = f64::NAN);
    let (_, gaps, _) = fit("dynamic_optimized_theta", &y, 1, 5);
    assert!(whole.mean.iter().zip(&gaps.mean).all(|(a, b)| (a - b).abs() < 0.5), "{whole:?} {gaps:?}");
}

#[test]
fn the_family_is_in_the_table() {
    assert!(
        all().all(|name| model(name).is_some()) && MODELS.iter().filter(|m| m.name().contains("theta")).count() == 5
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn with_a_season_too_forecasts_are_finite_scale_in_bits_and_move_on_in_pieces(
        noise in prop::collection::vec(prop_oneof![0.0..1.0, Just(f64::NAN)], 30..120),
        swing in 0.0..50.0,
        level in 0.0..60.0,
        power in -40i32..40,
        m in 2usize..13,
    ) {
        let season = |t: usize| swing * ((t % m) as f64 / m as f64 - 0.5);
        let mut y: Vec<f64> = noise.iter().enumerate().map(|(t, v)| level + season(t) + 10.0 * v).collect();
        y.iter_mut().take(4).filter(|v| v.is_nan()).for_each(|v| *v = 1.0);
        let factor = f64::powi(2.0, power);
        let scaled: Vec<f64> = y.iter().map(|v| v * factor).collect();
        for name in all() {
            let (_, a, state) = fit(name, &y, m, 15);
            let (_, b, _) = fit(name, &scaled, m, 15);
            prop_assert!(a.mean.iter().chain(&a.deviation).all(|v| v.is_finite()), "{} {:?}", name, a);
            prop_assert!(a.deviation.iter().all(|v| *v >= 0.0));
            prop_assert_eq!(a.mean.iter().map(|v| v * factor).collect::<Vec<_>>(), b.mean);
            let kernel = Choice::parse(name, m).unwrap().kernel;
            let mut pieces = State::default();
            kernel.estimate(&y, &mut Buffers::default(), &mut pieces).unwrap();
            y.chunks(7).for_each(|piece| kernel.update(piece, &mut pieces));
            prop_assert_eq!(pieces.states.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
                            state.states.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_additive_season_turns_upside_down_with_the_series(y in prop::collection::vec(-1e3..1e3, 30..80), m in 2usize..13) {
        let turned: Vec<f64> = y.iter().map(|v| -v).collect();
        for name in all() {
            let text = format!("{name}(season => add)");
            let (a, b) = (fit(&text, &y, m, 9).1, fit(&text, &turned, m, 9).1);
            prop_assert_eq!(a.mean.iter().map(|v| -v).collect::<Vec<_>>(), b.mean);
            prop_assert_eq!(a.deviation, b.deviation);
        }
    }
}

const AIR_GOLDEN: [Golden; 4] = [
    // theta
    Golden {
        level: 27.31880537208198,
        alpha: 0.7539672851562504,
        theta: 2.0,
        sse: 15254.202871923666,
        mean: [
            440.9691954465519,
            429.24924183047403,
            490.6931872374859,
            476.659920461905,
            480.63103790430773,
            546.4555437873537,
            603.9526499020457,
            602.2949069451829,
            524.9895842448658,
            457.5294326787455,
            398.73799016189434,
            448.52474804899015,
            455.42077329795933,
            443.27841573109373,
            506.68697611997993,
        ],
    },
    // optimized_theta
    Golden {
        level: -215.29400465748614,
        alpha: 0.7156664372398441,
        theta: 22.70488382725331,
        sse: 14869.51975962199,
        mean: [
            442.9425320173624,
            432.2310156806311,
            495.3079345080739,
            482.308002840026,
            487.49484653994676,
            555.5809469314979,
            615.4909818464221,
            615.2425854216095,
            537.5247584295773,
            469.5368648002287,
            410.14131790332834,
            462.40234901816297,
            470.57269482918844,
            459.05357879278256,
            525.886670985506,
        ],
    },
    // dynamic_theta
    Golden {
        level: -254.68762894800898,
        alpha: 0.7715576171875065,
        theta: 2.0,
        sse: 15485.52185693472,
        mean: [
            440.7741137934413,
            429.06186083833643,
            490.4832682968708,
            476.4612905032603,
            480.4369841371783,
            546.2427750322195,
            603.7267841901603,
            602.0792844999822,
            524.8101403645509,
            457.38039602808954,
            398.61432320507834,
            448.3922865664325,
            455.2925370465968,
            443.15909803576045,
            506.55606654896735,
        ],
    },
    // dynamic_optimized_theta
    Golden {
        level: -363.30166262178375,
        alpha: 0.7247594168741598,
        theta: 90.89199991973408,
        sse: 15035.044679242888,
        mean: [
            442.92719487073305,
            432.29840081923726,
            495.4824543813888,
            482.5753412885674,
            487.8659933180933,
            556.1215862773978,
            616.2229552743743,
            616.1097305371586,
            538.4027224758595,
            470.4105248743755,
            410.9989936501689,
            463.4772224021543,
            471.77761748894545,
            460.3384454700431,
            527.4851163647088,
        ],
    },
];

const SLOW_GOLDEN: [Golden; 4] = [
    // theta
    Golden {
        level: 1.2809419840487424,
        alpha: 0.10000000000000005,
        theta: 2.0,
        sse: 135.48702497833014,
        mean: [
            -0.5591797710483819,
            -0.051356874288857934,
            1.3748333694094421,
            0.9795950416791699,
            1.370070999663184,
            5.3676898147900545,
            5.793880058488354,
            -0.5758480651602853,
            -0.06802516840076134,
            1.3581650752975383,
            0.962926747567266,
            1.35340270555128,
            5.351021520678151,
            5.77721176437645,
            -0.5925163592721892,
        ],
    },
    // optimized_theta
    Golden {
        level: 0.026949125127689565,
        alpha: 0.10000000000000063,
        theta: 106.96034556917905,
        sse: 135.34649725120158,
        mean: [
            -0.5824293240205964,
            -0.07694308750480783,
            1.3469104959497564,
            0.9493355079757488,
            1.3374748057160266,
            5.332756960599162,
            5.756610544053726,
            -0.6154542398386489,
            -0.10996800332286094,
            1.313885580131703,
            0.9163105921576957,
            1.304449889897974,
            5.299732044781109,
            5.723585628235673,
            -0.6484791556567013,
        ],
    },
    // dynamic_theta
    Golden {
        level: 1.7704114830528752,
        alpha: 0.10000000000000003,
        theta: 2.0,
        sse: 146.83590082212098,
        mean: [
            -0.5578391496016453,
            -0.0525457594352825,
            1.3711147648751922,
            0.9733471292760301,
            1.3612949511820265,
            5.35638765966819,
            5.780054749852049,
            -0.5921926097824528,
            -0.08688404672690053,
            1.3367977543980902,
            0.9390578553063531,
            1.327040074390097,
            5.322173917736411,
            5.745888858977288,
            -0.6263040323682232,
        ],
    },
    // dynamic_optimized_theta
    Golden {
        level: 2.5467650247785216,
        alpha: 0.10000000000000095,
        theta: 1.0,
        sse: 135.66902507307262,
        mean: [
            -0.5355202457107175,
            -0.025316164078064585,
            1.403255264493364,
            1.0103981216362212,
            1.4032552644933642,
            5.403255264493364,
            5.831826693064793,
            -0.5355202457107175,
            -0.025316164078064585,
            1.403255264493364,
            1.0103981216362212,
            1.4032552644933642,
            5.403255264493364,
            5.831826693064793,
            -0.5355202457107175,
        ],
    },
];
