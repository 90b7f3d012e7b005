//! Golden values and properties of the ETS family.

use super::form::{Error, FORMS, Form, Season, Trend};
use super::lanes::{Lanes, Series};
use super::search::{Task, search};
use super::variance::{Now, deviations};
use crate::forecast::{Buffers, Choice, Path, Refusal, Spread, State, Status, forecast};
use proptest::prelude::*;

const WORDS: [[&str; 3]; 3] = [["add", "mul", ""], ["none", "add", "damped"], ["none", "add", "mul"]];

/// The form as written in SQL, with more parameters after it.
fn written(form: Form, more: &str) -> String {
    let [error, trend, season] = [form.error as usize, form.trend as usize, form.season as usize];
    format!("ets(error => {}, trend => {}, season => {}{more})", WORDS[0][error], WORDS[1][trend], WORDS[2][season])
}

fn fit(text: &str, y: &[f64], season_length: usize, horizon: usize) -> Result<(State, Path, Spread), Refusal> {
    let choice = Choice::parse(text, season_length).unwrap();
    let (mut state, mut path) = (State::default(), Path::default());
    let spread = forecast(&choice, y, horizon, &mut Buffers::default(), &mut state, &mut path)?;
    Ok((state, path, spread))
}

fn close(own: f64, golden: f64, what: &str) {
    assert!((own - golden).abs() <= 1e-8 * golden.abs().max(1.0), "{what}: own={own} golden={golden}");
}

fn series(y: &[f64]) -> (Vec<f64>, f64) {
    (y.iter().map(|v| 1.0 / v).collect(), y.iter().filter(|v| !v.is_nan()).map(|v| v.ln()).sum())
}

/// Golden: R forecast 8.20, `ets(ts(WEEKS, frequency=7), model, damped, alpha=0.3, beta=0.1, gamma=0.2, phi=0.9)`, as far as
/// the form has them: from its start states the recursion must reach its end states, sum of squares (of relative errors
/// under a multiplicative error), -2 log likelihood, means and standard deviations at steps 1, 2, 7, 8 and 15.
///
/// Deviations are those of R's `class1`, `class2` and `class3`. Without a trend but with an additive season R 8.20 puts gamma
/// at the wrong state, so they were called with a zero trend; under a damped trend its `class3` damps the slope one step
/// late, so it was called with phi b for b and phi beta for beta. All others equal `forecast(ets)$upper`.
///
/// statsforecast 2.1.1: `ets.ets_f(WEEKS, m=7, model)` and, for each h, the last of `ets.forecast_ets(r, h=h, level=[95])`;
/// no damped trend, of which its forecasts (but not its fit) count the first damping twice, and no deviations under a
/// multiplicative error, where they are not those of the book (its mean does not move along the horizon).
/// Relative tolerance 1e-8: all compute in f64, in another order.
#[test]
fn every_form_agrees_with_r_and_statsforecast_from_their_parameters_and_start_states() {
    for g in GOLDEN.iter().chain(&PEER) {
        let smooth = g.smooth;
        let place = |row: &[&str; 3], word: &str| row.iter().position(|w| *w == word).unwrap();
        let code = place(&WORDS[0], g.form.0) + 2 * place(&WORDS[1], g.form.1) + 6 * place(&WORDS[2], g.form.2);
        let form = Form::from_code(code as f64);
        let what = format!("{form:?}");
        let choice = Choice::parse(&written(form, ""), 7).unwrap();
        let mut state = State::default();
        state.parameters.push(form.code());
        state.parameters.extend(smooth);
        state.states.extend([g.start.0, g.start.1, 0.0]);
        state.states.extend(g.start.2);
        choice.kernel.update(&WEEKS, &mut state);
        close(state.states[0], g.end.0, &what);
        close(state.states[1], g.end.1, &what);
        state.states[3..].iter().zip(g.end.2).for_each(|(own, golden)| close(*own, *golden, &what));
        close(if form.error == Error::Mul { state.states[2] } else { state.sse }, g.sum, &what);

        let mut path = Path::default();
        path.reset(15);
        choice.kernel.forecast(&state, &mut path);
        let now = Now { level: g.end.0, trend: g.end.1, seasons: g.end.2, first: 0 };
        deviations(form, smooth, now, g.variance, &mut path);
        for (i, h) in [1, 2, 7, 8, 15].into_iter().enumerate() {
            close(path.mean[h - 1], g.mean[i], &what);
            if !g.deviation[i].is_nan() {
                close(path.deviation[h - 1], g.deviation[i], &what);
            }
        }

        let (inverse, logs) = series(&WEEKS);
        let series = Series { y: &WEEKS, inverse: &inverse, observed: 28, scale: 1.0, logs };
        let mut lanes = Lanes::new(&[smooth; 8]);
        (lanes.level, lanes.trend) = ([g.start.0; 8], [g.start.1; 8]);
        let mut seasons: Vec<_> = g.start.2.iter().map(|s| [*s; 8]).collect();
        lanes.forward(form, series, &mut seasons);
        let score = lanes.scores(form.error, 28)[5];
        close(if form.error == Error::Mul { 28.0 * score + 2.0 * logs } else { 28.0 * score.ln() }, g.lik, &what);
    }
}

#[test]
fn what_makes_no_model_is_refused_by_name() {
    for (text, season_length, part) in [
        ("ets(error => add, season => mul)", 7, "error => mul"),
        ("ets(season => add)", 1, "season_length"),
        ("ets(beta => 0.1)", 7, "name=beta"),
        ("ets(trend => add, phi => 0.9)", 7, "name=phi"),
        ("ets(trend => mul)", 7, "none, add, damped"),
        ("ets(alpha => 1.5)", 7, "number from 0 to 1"),
        ("ses(beta => 0.5)", 7, "known=[alpha]"),
        ("holt_winters_multiplicative", 1, "season_length"),
    ] {
        let said = Choice::parse(text, season_length).unwrap_err().to_string();
        assert!(said.contains(part), "{text}: {said}");
    }
    let y: Vec<f64> = (0..60).map(|t| f64::from(t % 7)).collect();
    for form in FORMS.into_iter().filter(|f| f.needs_positive()) {
        assert_eq!(fit(&written(form, ""), &y, 7, 5).unwrap_err().status, Status::Unfit, "{form:?}");
    }
}

#[test]
fn given_parameters_are_kept_and_the_others_fitted() {
    let y = sales(90);
    let (state, ..) =
        fit("ets(error => mul, trend => damped, season => mul, beta => 0.05, phi => 0.9)", &y, 7, 5).unwrap();
    assert_eq!((state.parameters[2], state.parameters[4]), (0.05, 0.9));
    assert!(state.parameters[1] > 0.0 && state.parameters[3] > 0.0);
    let (state, ..) = fit("holt(alpha => 0.5, beta => 0.5)", &y, 7, 5).unwrap();
    assert_eq!(state.parameters[1..3], [0.5, 0.5]);
    let (state, ..) = fit("ses(alpha => 0.25)", &y, 7, 5).unwrap();
    assert_eq!(state.parameters[0], 0.25);
}

#[test]
fn forms_with_a_name_of_their_own_are_those_of_the_family() {
    let y = sales(90);
    for (name, text) in [
        ("ets_ann", "ets"),
        ("ets_ana", "ets(season => add)"),
        ("holt", "ets(trend => add)"),
        ("damped_holt", "ets(trend => damped)"),
        ("holt_winters_additive", "ets(trend => add, season => add)"),
        ("holt_winters_multiplicative", "ets(error => mul, trend => add, season => mul)"),
    ] {
        let ((_, a, _), (_, b, _)) = (fit(name, &y, 7, 9).unwrap(), fit(text, &y, 7, 9).unwrap());
        assert_eq!(a.mean, b.mean, "{name}");
        // The closed form of the variance and the sum of its weights round differently.
        a.deviation.iter().zip(&b.deviation).for_each(|(a, b)| close(*a, *b, name));
    }
}

/// The search must come within half a unit of deviance (y has 120 values) of a dense grid over the same region with the
/// same backcast: several hollows of a flat likelihood are no difference to a forecast.
#[test]
fn the_search_finds_what_a_dense_grid_finds() {
    let y = sales(120);
    let (inverse, logs) = series(&y);
    let series = Series { y: &y, inverse: &inverse, observed: y.len(), scale: 64.0, logs };
    for form in FORMS {
        let [_, beta, gamma, phi] = form.uses();
        let none = [None; 4];
        let task = Task { form, season_length: 7, fixed: &none, near: None, hopeless: f64::INFINITY };
        let found = search(&task, series, &mut Buffers::default(), &mut Vec::new()).unwrap();
        let mut least = f64::INFINITY;
        let steps = |used: bool| if used { 0..12 } else { 0..1 };
        for (a, b) in (0..12).flat_map(|a| steps(beta).map(move |b| (a, b))) {
            for (c, p) in steps(gamma).flat_map(|c| steps(phi).map(move |p| (c, p))) {
                let at = |i: i32| 0.002 + f64::from(i * i) / 121.0 * 0.99;
                let alpha = at(a);
                let fixed = [
                    Some(alpha),
                    beta.then_some(alpha.min(0.2) * at(b)),
                    gamma.then_some((1.0 - alpha) * at(c)),
                    phi.then_some(0.8 + 0.015 * f64::from(p)),
                ];
                let task = Task { fixed: &fixed, ..task };
                if let Some(fit) = search(&task, series, &mut Buffers::default(), &mut Vec::new()) {
                    least = least.min(fit.score);
                }
            }
        }
        let gap = if form.error == Error::Mul { found.score - least } else { (found.score / least).ln() };
        assert!(120.0 * gap < 0.5, "{form:?} found={found:?} grid={least}");
    }
}

#[test]
fn holt_continues_a_line_and_holt_winters_a_season_that_grows_with_it() {
    let line: Vec<f64> = (0..40).map(|t| 5.0 + 2.0 * f64::from(t)).collect();
    let (_, path, _) = fit("holt", &line, 1, 10).unwrap();
    path.mean.iter().zip(40..).for_each(|(own, t)| close(*own, 5.0 + 2.0 * f64::from(t), "line"));
    let grown = |t: u16| (50.0 + f64::from(t)) * [1.2, 0.7, 1.1][usize::from(t) % 3];
    let y: Vec<f64> = (0..90).map(grown).collect();
    let (_, path, _) = fit("holt_winters_multiplicative", &y, 3, 9).unwrap();
    for (own, t) in path.mean.iter().zip(90..) {
        assert!((own / grown(t) - 1.0).abs() < 1e-3, "t={t} own={own} truth={}", grown(t));
    }
}

/// A missing observation is a step of time: after h of them the forecast is what was forecast h steps later before.
#[test]
fn missing_steps_move_the_state_along_its_own_forecast() {
    let y = sales(90);
    for form in FORMS {
        let choice = Choice::parse(&written(form, ""), 7).unwrap();
        let (mut state, mut before, _) = fit(&written(form, ""), &y, 7, 30).unwrap();
        choice.kernel.update(&[f64::NAN; 10], &mut state);
        let mut after = Path::default();
        after.reset(20);
        choice.kernel.forecast(&state, &mut after);
        before.mean.drain(..10);
        before.mean.iter().zip(&after.mean).for_each(|(a, b)| close(*b, *a, &format!("{form:?}")));
    }
}

#[test]
fn gaps_cost_a_fit_little() {
    let y = sales(180);
    let holes: Vec<f64> = y.iter().enumerate().map(|(t, v)| if t % 11 == 3 { f64::NAN } else { *v }).collect();
    for form in FORMS {
        let ((_, a, _), (_, b, _)) =
            (fit(&written(form, ""), &y, 7, 7).unwrap(), fit(&written(form, ""), &holes, 7, 7).unwrap());
        let off = a.mean.iter().zip(&b.mean).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
        assert!(off < 0.1, "{form:?} {a:?} {b:?}");
    }
}

#[test]
fn the_pool_keeps_its_choice_in_the_state_and_takes_no_product_of_zeros() {
    let grown: Vec<f64> =
        (0..96).map(|t| (100.0 + 3.0 * f64::from(t)) * [1.5, 0.5, 1.1, 0.9][t as usize % 4]).collect();
    let noisy: Vec<f64> = grown.iter().zip(sales(96)).map(|(g, s)| g * (1.0 + s / 2000.0)).collect();
    let (state, ..) = fit("auto_ets", &noisy, 4, 8).unwrap();
    assert_eq!(Form::from_code(state.parameters[0]).season, Season::Mul);
    assert!(state.aicc.is_finite());
    let zeros: Vec<f64> = noisy.iter().enumerate().map(|(t, v)| if t == 50 { 0.0 } else { *v }).collect();
    let (state, path, spread) = fit("auto_ets", &zeros, 4, 8).unwrap();
    assert!(!Form::from_code(state.parameters[0]).needs_positive() && spread == Spread::Known);
    assert!(path.mean.iter().all(|v| v.is_finite()));
    let flat: Vec<f64> = sales(40);
    let (state, ..) = fit("auto_ets", &flat, 1, 8).unwrap();
    assert_eq!(Form::from_code(state.parameters[0]).season, Season::None);
}

/// A backcast through such a jump leaves every mean at or below zero; the search then begins at a flat start.
#[test]
fn a_wild_series_above_zero_is_forecast_by_every_form() {
    let mut y = vec![0.1; 25];
    y.extend([8000.0, 0.1, 9000.0]);
    for form in FORMS {
        let (_, path, _) = fit(&written(form, ""), &y, 7, 9).unwrap();
        assert!(path.mean.iter().all(|v| v.is_finite()), "{form:?}");
    }
}

#[test]
fn a_form_survives_its_code() {
    for form in FORMS {
        assert!(form.is_admissible());
        assert_eq!(Form::from_code(form.code()), form);
    }
    assert!(!Form::new(Error::Add, Trend::None, Season::Mul).is_admissible());
}

/// Deterministic sales above zero: a week, a slow drift and noise.
fn sales(days: u64) -> Vec<f64> {
    (0..days)
        .map(|t| {
            let x = (t + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let noise = ((x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / (1u64 << 20) as f64;
            30.0 + t as f64 / 10.0 + noise + [9.0, 1.0, 4.0, 0.0, 2.0, 7.0, 13.0][t as usize % 7]
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_form_scales_with_a_power_of_two_bit_for_bit(
        y in prop::collection::vec(0.1..1e4, 25..60), power in -40i32..40,
    ) {
        let factor = f64::powi(2.0, power);
        let scaled: Vec<f64> = y.iter().map(|v| v * factor).collect();
        for text in FORMS.map(|f| written(f, "")).iter().chain(&["auto_ets".to_string()]) {
            let ((_, a, _), (_, b, _)) = (fit(text, &y, 7, 9).unwrap(), fit(text, &scaled, 7, 9).unwrap());
            prop_assert_eq!(a.mean.iter().map(|v| v * factor).collect::<Vec<_>>(), b.mean, "{}", text);
        }
    }

    /// Additive forms do not know where zero lies; the parameters may differ where the likelihood is flat.
    #[test]
    fn a_shift_leaves_additive_forms_as_good_as_they_were(
        y in prop::collection::vec(0.0..100.0, 30..80), shift in -1e3..1e3,
    ) {
        let moved: Vec<f64> = y.iter().map(|v| v + shift).collect();
        for form in FORMS.into_iter().filter(|f| !f.needs_positive()) {
            let ((a, ..), (b, ..)) = (fit(&written(form, ""), &y, 7, 1).unwrap(), fit(&written(form, ""), &moved, 7, 1).unwrap());
            prop_assert!((a.sse - b.sse).abs() <= 1e-3 * a.sse + 1e-9, "{:?} {} {}", form, a.sse, b.sse);
        }
    }

    #[test]
    fn every_form_gives_a_finite_forecast_or_a_refusal(
        y in prop::collection::vec(
            prop_oneof![any::<f64>(), 1e-6..1e6, Just(f64::NAN), Just(1e308), Just(1e-308), Just(1.0)], 25..60),
        positive in any::<bool>(),
        season_length in 2usize..9,
    ) {
        let y: Vec<f64> = y.iter().map(|v| if positive { v.abs().max(1e-300) } else { *v }).collect();
        for text in FORMS.map(|f| written(f, "")).iter().chain(&["auto_ets".to_string()]) {
            if let Ok((_, path, _)) = fit(text, &y, season_length, 25) {
                prop_assert!(path.mean.iter().all(|v| v.is_finite()), "{}", text);
                prop_assert!(path.deviation.iter().all(|v| v.is_finite() && *v >= 0.0), "{}", text);
            }
        }
    }

    #[test]
    fn a_constant_is_continued_by_every_form(c in 1e-3..1e6) {
        for form in FORMS {
            let (_, path, _) = fit(&written(form, ""), &[c; 40], 7, 12).unwrap();
            prop_assert!(path.mean.iter().all(|v| *v == c) && path.deviation.iter().all(|d| *d == 0.0), "{:?}", form);
        }
    }
}

/// Four weeks of made-up daily sales.
const WEEKS: [f64; 28] = [
    31.0, 18.0, 22.0, 40.0, 27.0, 35.0, 52.0, 29.0, 21.0, 24.0, 37.0, 30.0, 33.0, 55.0, 34.0, 19.0, 25.0, 43.0, 29.0,
    38.0, 57.0, 30.0, 23.0, 28.0, 41.0, 33.0, 36.0, 60.0,
];

/// Level, trend and the season of each phase.
type States = (f64, f64, &'static [f64]);

/// A fit of R or statsforecast.
struct Golden {
    smooth: [f64; 4],
    form: (&'static str, &'static str, &'static str),
    start: States,
    end: States,
    sum: f64,
    lik: f64,
    variance: f64,
    mean: [f64; 5],
    deviation: [f64; 5],
}

const GOLDEN: [Golden; 15] = [
    Golden {
        smooth: [0.3, 0.0, 0.0, 1.0],
        form: ("add", "none", "none"),
        start: (28.334921875, 0.0, &[]),
        end: (42.23332902241588, 0.0, &[]),
        sum: 4065.008271262356,
        lik: 232.68478958846038,
        variance: 156.3464719716291,
        mean: [42.23332902241588, 42.23332902241588, 42.23332902241588, 42.23332902241588, 42.23332902241588],
        deviation: [12.503858283411128, 13.054411302279231, 15.516880061285155, 15.963857595009904, 18.79742074476926],
    },
    Golden {
        smooth: [0.3, 0.0, 0.2, 1.0],
        form: ("add", "none", "add"),
        start: (
            32.400197100628795,
            0.0,
            &[
                -2.3909924737346464,
                -13.32344100018161,
                -9.135604814198208,
                6.377647889777946,
                -4.375816537086824,
                1.4199340849477067,
                21.428272850475636,
            ],
        ),
        end: (
            36.22713518035225,
            0.0,
            &[
                -2.3362463391297164,
                -12.931411978368121,
                -8.580855203808385,
                6.587710440039143,
                -3.914348100879201,
                1.5699652727304911,
                22.156477962564775,
            ],
        ),
        sum: 119.8772318330122,
        lik: 134.02110822890933,
        variance: 6.309327991211169,
        mean: [33.890888841222534, 23.295723201984128, 58.38361314291703, 33.890888841222534, 33.890888841222534],
        deviation: [2.5118375726171407, 2.622435415872081, 3.1171084527916575, 3.3606096328297332, 4.034608558128634],
    },
    Golden {
        smooth: [0.3, 0.1, 0.0, 1.0],
        form: ("add", "add", "none"),
        start: (25.67403318090365, 1.367243956983314, &[]),
        end: (41.862388592254305, 2.501932981167682, &[]),
        sum: 4682.936435612714,
        lik: 236.6470577984325,
        variance: 195.1223514838631,
        mean: [44.36432157342199, 46.86625455458967, 59.37591946042809, 61.87785244159578, 79.39138330976957],
        deviation: [13.968620242667603, 15.044664427008042, 26.905462716800322, 30.315446153553395, 60.421347190070826],
    },
    Golden {
        smooth: [0.3, 0.1, 0.2, 1.0],
        form: ("add", "add", "add"),
        start: (
            32.41573834310704,
            0.005864590355473161,
            &[
                -2.6435616364750016,
                -13.20003683839929,
                -8.947232459568191,
                6.446913395742836,
                -4.467791456154755,
                1.4698471709167356,
                21.341861823937666,
            ],
        ),
        end: (
            36.74794861040438,
            0.32604707177557607,
            &[
                -2.691197547566195,
                -13.14866488714317,
                -8.756683353956657,
                6.353491913651243,
                -4.216349079233171,
                1.2797808431490292,
                21.819987073939135,
            ],
        ),
        sum: 124.120084541916,
        lik: 134.99498657989216,
        variance: 7.301181443642117,
        mean: [34.38279813461376, 24.251377866812362, 60.850265186772546, 36.665127637042794, 38.94745713947183],
        deviation: [2.702069844330845, 2.910218286421975, 5.204554078488594, 6.131972311969201, 12.044686599707314],
    },
    Golden {
        smooth: [0.3, 0.1, 0.0, 0.9],
        form: ("add", "damped", "none"),
        start: (23.457109601962518, 2.275917875723363, &[]),
        end: (41.92037474671988, 2.583960837381974, &[]),
        sum: 4580.98530966611,
        lik: 236.0307428383882,
        variance: 199.17327433330914,
        mean: [44.245939500363654, 46.33894777864305, 54.05291815898683, 55.16522857140391, 60.38789068428633],
        deviation: [14.112876189257424, 15.148185678800132, 24.481252671742844, 26.782051907171674, 43.36050274800199],
    },
    Golden {
        smooth: [0.3, 0.1, 0.2, 0.9],
        form: ("add", "damped", "add"),
        start: (
            32.49994598138406,
            -0.1656751208239386,
            &[
                -2.365053110822326,
                -13.292771572207492,
                -9.119128996865037,
                6.392708438727427,
                -4.388348428769824,
                1.4102190237090833,
                21.36237464622817,
            ],
        ),
        end: (
            36.58593939327018,
            0.3125729382143073,
            &[
                -2.493551954090475,
                -13.047690641662122,
                -8.697233555979814,
                6.436160891542113,
                -4.088537867367906,
                1.3637836046089407,
                21.925440513487658,
            ],
        ),
        sum: 122.8679996633387,
        lik: 134.71109695793837,
        variance: 7.679249978958668,
        mean: [34.37370308357258, 24.072748475954526, 59.97901234434044, 35.69457227739692, 36.32633991810861],
        deviation: [2.771145968540573, 2.9744350557304626, 4.807037469638065, 5.506909917599039, 8.861231726409185],
    },
    Golden {
        smooth: [0.3, 0.0, 0.0, 1.0],
        form: ("mul", "none", "none"),
        start: (27.79765625, 0.0, &[]),
        end: (42.23330430892048, 0.0, &[]),
        sum: 3.9189675943710927,
        lik: 232.2972444692369,
        variance: 0.15072952286042665,
        mean: [42.23330430892048, 42.23330430892048, 42.23330430892048, 42.23330430892048, 42.23330430892048],
        deviation: [16.396615926199882, 17.224765269750296, 21.016170574336556, 21.722511559936468, 26.3622290088141],
    },
    Golden {
        smooth: [0.3, 0.0, 0.2, 1.0],
        form: ("mul", "none", "add"),
        start: (
            31.25256644819089,
            0.0,
            &[
                -1.970984686142708,
                -12.66995150331578,
                -8.831007517801126,
                6.337152293000254,
                -4.146593687717984,
                1.3545842498346814,
                19.926800852142662,
            ],
        ),
        end: (
            36.31382976979386,
            0.0,
            &[
                -2.146822666016769,
                -12.581407099639467,
                -8.297574697293255,
                6.744547420824136,
                -3.6806979114132035,
                1.686346675156115,
                21.64978382611775,
            ],
        ),
        sum: 0.12731990880411279,
        lik: 136.02201318632717,
        variance: 0.006701047831795409,
        mean: [34.167007103777095, 23.732422670154396, 57.96361359591161, 34.167007103777095, 34.167007103777095],
        deviation: [2.796908745587355, 2.1173043464858945, 5.1667976088162195, 3.912394381704338, 4.7782832655996925],
    },
    Golden {
        smooth: [0.3, 0.0, 0.2, 1.0],
        form: ("mul", "none", "mul"),
        start: (
            31.713917440603495,
            0.0,
            &[
                0.9385958745064862,
                0.6092704614279618,
                0.7263132602354532,
                1.1941323336359817,
                0.8698116458251922,
                1.0415982058693372,
                1.6202782184995876,
            ],
        ),
        end: (
            35.80884975394956,
            0.0,
            &[
                0.9384665219802045,
                0.6180222692747022,
                0.7442160264510337,
                1.1982952072020148,
                0.8849529933458913,
                1.0476962451191887,
                1.6484004815538604,
            ],
        ),
        sum: 0.13135102512344685,
        lik: 136.979438894945,
        variance: 0.006913211848602466,
        mean: [33.605406684700746, 22.130666585052765, 59.02732517830029, 33.605406684700746, 33.605406684700746],
        deviation: [2.794145955833282, 1.9216380641108401, 6.099555446493743, 3.747262292377102, 4.507898854317054],
    },
    Golden {
        smooth: [0.3, 0.1, 0.0, 1.0],
        form: ("mul", "add", "none"),
        start: (23.367104707068457, 1.5653434932768107, &[]),
        end: (41.87855003139533, 2.507528116779336, &[]),
        sum: 4.035811747501456,
        lik: 235.30835475267418,
        variance: 0.16815882281256067,
        mean: [44.38607814817466, 46.893606264953995, 59.43124684885066, 61.938774965629996, 79.49147178308537],
        deviation: [18.201475803663225, 20.777477571079327, 44.10562319153208, 50.89422891862532, 121.67478743999249],
    },
    Golden {
        smooth: [0.3, 0.1, 0.2, 1.0],
        form: ("mul", "add", "add"),
        start: (
            31.014761345265534,
            -0.12172572087109212,
            &[
                -1.8288510838529413,
                -12.839023780388395,
                -9.024611366983759,
                6.461906069864083,
                -4.265102348503406,
                1.2420410241691564,
                20.253641485695262,
            ],
        ),
        end: (
            36.854164308402666,
            0.38884167363190514,
            &[
                -2.408508513199446,
                -12.933587635522937,
                -8.670640581540948,
                6.450635432694965,
                -4.062730373692629,
                1.2625397315416822,
                21.383426728725304,
            ],
        ),
        sum: 0.1263250397131172,
        lik: 136.45914518419758,
        variance: 0.0074308846890068945,
        mean: [34.83449746883513, 24.69826002014354, 60.95948275255129, 37.55638918425844, 40.278280899681754],
        deviation: [3.0028235326623722, 2.446692100190769, 7.124977007727083, 7.047090639709184, 14.66312109971107],
    },
    Golden {
        smooth: [0.3, 0.1, 0.2, 1.0],
        form: ("mul", "add", "mul"),
        start: (
            31.03444760878384,
            0.16993872016745287,
            &[
                0.946880141651544,
                0.6105860362322066,
                0.725714087627509,
                1.1951485264925807,
                0.8668491990072716,
                1.0396627549949937,
                1.6151592539938942,
            ],
        ),
        end: (
            36.71150918427501,
            0.14601433135853278,
            &[
                0.9332907094711937,
                0.613310460457824,
                0.7369575990765114,
                1.185109664549027,
                0.872611414696774,
                1.0325027916624197,
                1.6229792214272571,
            ],
        ),
        sum: 0.13181085722303776,
        lik: 137.88956189861156,
        variance: 0.00775357983664928,
        mean: [34.39878427125684, 22.69465683550723, 61.24086417409274, 35.35270100360283, 36.30661773594882],
        deviation: [3.0289647936161312, 2.152277374578159, 10.301248121476357, 7.0001704657281785, 13.9460789939553],
    },
    Golden {
        smooth: [0.3, 0.1, 0.0, 0.9],
        form: ("mul", "damped", "none"),
        start: (22.212854053075, 2.46252325440172, &[]),
        end: (41.92262645999635, 2.5842401715380205, &[]),
        sum: 4.013393115329775,
        lik: 234.70178250738243,
        variance: 0.174495352840425,
        mean: [44.24844261438057, 46.341677153326366, 54.05648143771961, 55.1689120943315, 60.39213879313664],
        deviation: [18.483743040558064, 20.875106335631394, 38.972908524416994, 43.536170742560785, 82.35779788915052],
    },
    Golden {
        smooth: [0.3, 0.1, 0.2, 0.9],
        form: ("mul", "damped", "add"),
        start: (
            31.40125377326072,
            -0.3361477199235069,
            &[
                -1.9745718850702345,
                -12.789105718440894,
                -8.960322650093268,
                6.420222834871115,
                -4.15400689220807,
                1.3106244406956775,
                20.147159870245673,
            ],
        ),
        end: (
            36.640775075451856,
            0.37299182686285337,
            &[
                -2.3601553209957116,
                -12.813753540513943,
                -8.527914545184737,
                6.569032693408624,
                -3.883160144333098,
                1.446243429471797,
                21.506670298691798,
            ],
        ),
        sum: 0.12846662094972344,
        lik: 136.66658187286822,
        variance: 0.008029163809357715,
        mean: [34.616312398632715, 24.46483755887339, 59.898764305284786, 36.19249943665973, 36.94638481076824],
        deviation: [3.101815492101579, 2.5061574076670943, 6.881522486044435, 6.422725782953484, 10.904527150405741],
    },
    Golden {
        smooth: [0.3, 0.1, 0.2, 0.9],
        form: ("mul", "damped", "mul"),
        start: (
            30.99786810287975,
            0.2150349648401025,
            &[
                0.9465956824181898,
                0.6096207650180121,
                0.7253467112467642,
                1.1939894608661683,
                0.8671060269359925,
                1.0400545624352613,
                1.6172867910796114,
            ],
        ),
        end: (
            36.45425172332807,
            0.09334790781573767,
            &[
                0.9357956729384697,
                0.6148026328240125,
                0.7389142025819719,
                1.1880033108070651,
                0.8754471329853782,
                1.0360997237996044,
                1.629871612270623,
            ],
        ),
        sum: 0.13292602470604736,
        lik: 137.89982959568763,
        variance: 0.00830787654412796,
        mean: [34.1923501342908, 22.510307759665665, 60.13012118683924, 34.5614926414765, 34.738052358321646],
        deviation: [3.116549069738179, 2.2028778135771727, 9.505368608012564, 6.266862498895933, 10.186311486923817],
    },
];

/// Of statsforecast.
const PEER: [Golden; 3] = [
    Golden {
        smooth: [0.308586643637057, 0.09873509093689745, 0.21146283163598614, 1.0],
        form: ("add", "add", "add"),
        start: (
            32.19667734327185,
            0.06777048292347704,
            &[
                -2.298334846827075,
                -13.254976755459044,
                -9.107662756771408,
                6.391624505860732,
                -4.389378025835535,
                1.3709674131579448,
                21.28776046587438,
            ],
        ),
        end: (
            36.81425176274635,
            0.3360238918785732,
            &[
                -2.604580574958722,
                -13.131050747483094,
                -8.78510914293904,
                6.303307929888249,
                -4.202944432676659,
                1.2016012591053,
                21.793299162836902,
            ],
        ),
        sum: 126.25623023786062,
        lik: 135.47277562998408,
        variance: 8.417082015857375,
        mean: [34.5456950796662, 24.3552487990204, 60.95971816873327, 36.897862322816216, 39.25002956596622],
        deviation: [2.9012207802677437, 3.132661563582297, 5.609304939552954, 6.619071486528536, 12.927117732086868],
    },
    Golden {
        smooth: [0.5222824174351025, 0.22836963822678277, 0.15833261733095444, 1.0],
        form: ("mul", "add", "add"),
        start: (
            31.025974514001234,
            -0.1266271824403461,
            &[
                -1.8249892950695727,
                -12.840414492470702,
                -9.029118339133653,
                6.470986749246118,
                -4.265586025991458,
                1.2504477948807269,
                20.238673608538537,
            ],
        ),
        end: (
            37.57682010948097,
            0.81281395079305,
            &[
                -2.4544861857234186,
                -12.859926613113364,
                -8.683554407481688,
                6.423739912915655,
                -4.116651802604579,
                1.2160400600849166,
                21.126169810924587,
            ],
        ),
        sum: 0.19884882398469075,
        lik: 149.17993462043233,
        variance: 0.01325658826564605,
        mean: [35.9351478745506, 26.342521397953703, 64.3926875759569, 41.62484553010195, 47.3145431856533],
        deviation: [f64::NAN; 5],
    },
    Golden {
        smooth: [0.3094239750008119, 0.10338947968509503, 0.2054626318998129, 1.0],
        form: ("mul", "add", "mul"),
        start: (
            31.066503867387247,
            0.13695800342690032,
            &[
                0.9468780356716238,
                0.6104253008010093,
                0.7253343934824691,
                1.1956221665317108,
                0.8666085237580308,
                1.0396053375671448,
                1.6155262421880112,
            ],
        ),
        end: (
            36.686551948966546,
            0.14033988177174142,
            &[
                0.9329832366236435,
                0.6137405280019759,
                0.73732248161587,
                1.1849192224448801,
                0.8729197939473419,
                1.0323787945994158,
                1.6238510304218334,
            ],
        ),
        sum: 0.13457113834461074,
        lik: 138.45245297874416,
        variance: 0.008971409222974049,
        mean: [34.35887273503103, 22.68828831000729, 61.168732616323695, 35.275416034890476, 36.19195933474993],
        deviation: [f64::NAN; 5],
    },
];
