//! Golden values and properties of the models of intermittent demand: Croston, SBA, TSB, ADIDA, IMAPA.

use super::super::Choice;
use super::*;
use proptest::prelude::*;

/// Forecasts of statsforecast, and the smoothing parameters that its golden section finds.
struct Golden {
    y: &'static [f64],
    croston: f64,
    sba: f64,
    croston_optimized: f64,
    /// Of the sizes and of the intervals.
    croston_alphas: [f64; 2],
    tsb: f64,
    tsb_fast: f64,
    adida: f64,
    imapa: f64,
    /// Of the sums over buckets of 1, 2, .. periods.
    alphas: &'static [f64],
}

/// The forecast of one step; `alphas`, if not empty, take the place of those that were fitted.
fn one(model: &str, y: &[f64], alphas: &[f64]) -> f64 {
    let state = moved(model, y, alphas);
    let mut path = Path::default();
    path.reset(1);
    Choice::parse(model, 1).unwrap().kernel.forecast(&state, &mut path);
    path.mean[0]
}

/// The state after `y`.
fn moved(model: &str, y: &[f64], alphas: &[f64]) -> State {
    let choice = Choice::parse(model, 1).unwrap();
    let (mut buffers, mut state) = (Buffers::default(), State::default());
    state.clear();
    choice.kernel.estimate(y, &mut buffers, &mut state).unwrap();
    match model {
        "croston_optimized" if !alphas.is_empty() => state.parameters.copy_from_slice(alphas),
        _ => state.parameters.iter_mut().skip(1).step_by(2).zip(alphas).for_each(|(own, alpha)| *own = *alpha),
    }
    choice.kernel.update(y, &mut state);
    state
}

/// Golden: statsforecast 2.1.1, `CrostonClassic()`, `CrostonSBA()`, `CrostonOptimized()`, `TSB(0.1, 0.1)`, `TSB(0.3, 0.05)`,
/// `ADIDA()`, `IMAPA()`, each `.forecast(y=y, h=1)`; alphas by `_ses_lib.golden_section_ses(sums, 0.1, 0.3)`. Relative
/// tolerance 1e-9: both sides compute in f64, with the same parameters.
#[test]
fn the_intermittent_models_agree_with_statsforecast() {
    for g in GOLDEN {
        let longest = g.alphas.len() - 1;
        for (name, alphas, golden) in [
            ("croston", &[][..], g.croston),
            ("sba", &[], g.sba),
            ("croston_optimized", &g.croston_alphas, g.croston_optimized),
            ("tsb", &[], g.tsb),
            ("tsb(alpha_d => 0.3, alpha_p => 0.05)", &[], g.tsb_fast),
            ("adida", &g.alphas[longest..], g.adida),
            ("imapa", g.alphas, g.imapa),
        ] {
            let own = one(name, g.y, alphas);
            assert!((own - golden).abs() <= 1e-9 * golden, "{name}: own={own} golden={golden}");
        }
    }
}

/// With its own search the sum of squares is that of statsforecast's golden section or less, up to its rounding.
#[test]
fn the_search_is_as_good_as_the_golden_section_of_statsforecast() {
    for g in GOLDEN {
        for (k, &golden) in g.alphas.iter().enumerate() {
            let length = k + 1;
            let sums: Vec<f64> = g.y[g.y.len() % length..].chunks(length).map(|b| b.iter().sum()).collect();
            let own = bounded_alpha(&sums);
            let sse = |alpha: f64| smoothing_errors(sums[0], &sums[1..], &[alpha; LANES])[0];
            assert!(sse(own) <= sse(golden) * (1.0 + 1e-9), "length={length} own={own} golden={golden}");
        }
        for (name, golden) in [("adida", g.adida), ("imapa", g.imapa), ("croston_optimized", g.croston_optimized)] {
            let own = one(name, g.y, &[]);
            assert!((own - golden).abs() <= 1e-3 * golden, "{name}: own={own} golden={golden}");
        }
    }
}

#[test]
fn a_series_without_demand_is_forecast_as_zero_and_silence_lowers_tsb_alone() {
    let mut y = vec![0.0; 12];
    for name in NAMES {
        assert_eq!(one(name, &y, &[]), 0.0, "{name}");
    }
    y.extend([3.0, 0.0, 2.0, 0.0, 0.0, 4.0, 0.0, 1.0]);
    let silent: Vec<f64> = y.iter().copied().chain([0.0; 30]).collect();
    for name in NAMES {
        let (before, after) = (one(name, &y, &[]), one(name, &silent, &[]));
        match name {
            "tsb" | "tsb_optimized" | "adida" | "imapa" => assert!(after < before, "{name}"),
            "croston_optimized" => assert!((after - before).abs() < 1e-12),
            _ => assert_eq!(after, before, "{name}"),
        }
    }
}

#[test]
fn the_fitted_tsb_is_as_good_as_a_grid() {
    for g in GOLDEN {
        let fitted = moved("tsb_optimized", g.y, &[]).sse;
        let mut least = f64::INFINITY;
        for i in 1..50 {
            for j in 1..50 {
                let model = format!("tsb(alpha_d => {}, alpha_p => {})", f64::from(i) / 50.0, f64::from(j) / 50.0);
                least = least.min(moved(&model, g.y, &[]).sse);
            }
        }
        assert!(fitted <= least * 1.002, "fitted={fitted} grid={least}");
    }
}

#[test]
fn later_values_fill_buckets_of_the_length_that_was_fitted() {
    // Mean interval 3, 7 values: one before the first bucket, then two buckets of sums 6 and 3.
    let y = [0.0, 0.0, 6.0, 0.0, 0.0, 3.0, 0.0];
    let choice = Choice::parse("adida", 1).unwrap();
    let mut state = moved("adida", &y, &[]);
    let alpha = state.parameters[1];
    assert_eq!(state.parameters[0], 3.0);
    let level = 6.0 + alpha * (3.0 - 6.0);
    assert_eq!(state.states[..2], [level / 3.0, level]);
    choice.kernel.update(&[9.0, f64::NAN], &mut state);
    assert_eq!(state.states[..2], [level / 3.0, level]);
    choice.kernel.update(&[0.0], &mut state);
    // The missing one of three as the mean of the other two.
    assert_eq!(state.states[1], level + alpha * (9.0 * 1.5 - level));
    choice.kernel.update(&[f64::NAN; 3], &mut state);
    assert_eq!(state.states[1], level + alpha * (9.0 * 1.5 - level));
    assert_eq!((state.steps, state.errors), (13, 3 + 2));
}

#[test]
fn a_missing_value_is_no_period() {
    let dense = [0.0, 2.0, 0.0, 0.0, 5.0, 1.0, 0.0, 4.0];
    let gaps: Vec<f64> = dense.iter().flat_map(|v| [*v, f64::NAN]).collect();
    for name in ["croston", "croston_optimized", "sba", "tsb", "tsb_optimized"] {
        let (a, b) = (moved(name, &dense, &[]), moved(name, &gaps, &[]));
        assert_eq!((a.parameters, a.states, a.errors, a.sse), (b.parameters, b.states, b.errors, b.sse), "{name}");
    }
}

#[test]
fn one_demand_in_a_long_series_keeps_a_bounded_number_of_bucket_lengths() {
    let mut y = vec![0.0; 1000];
    y[999] = 1.0;
    let state = moved("imapa", &y, &[]);
    assert_eq!(state.parameters.len(), 2 * LENGTHS_MAX);
    let last = state.parameters[state.parameters.len() - 2];
    assert_eq!(last, 1000.0);
}

const NAMES: [&str; 7] = ["croston", "croston_optimized", "sba", "tsb", "tsb_optimized", "adida", "imapa"];

/// The ends of an item of m5 that sells every other day, of one that sells once a week, of a part of carparts and of a
/// count of hospital.
const GOLDEN: &[Golden] = &[
    Golden {
        y: &[
            0.0, 0.0, 0.0, 0.0, 2.0, 3.0, 4.0, 1.0, 1.0, 2.0, 2.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 2.0, 0.0,
            0.0, 0.0, 2.0, 0.0, 1.0, 3.0, 2.0, 3.0, 1.0, 0.0, 1.0, 2.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0,
            0.0, 1.0, 1.0, 3.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 2.0, 1.0,
        ],
        croston: 0.6671977643832897,
        sba: 0.6338378761641252,
        croston_optimized: 0.6248734254719484,
        croston_alphas: [0.10000000000032039, 0.27421437936410303],
        tsb: 0.7063459193810376,
        tsb_fast: 0.6627379150012445,
        adida: 0.7575796879876706,
        imapa: 0.8502615367907398,
        alphas: &[0.29999999999967963, 0.28506208604578787],
    },
    Golden {
        y: &[
            0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
            0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0,
            0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0,
        ],
        croston: 0.0619799679256145,
        sba: 0.05888096952933377,
        croston_optimized: 0.2389918787209663,
        croston_alphas: [0.2, 0.29999999999967963],
        tsb: 0.26785183377459265,
        tsb_fast: 0.2344659168798341,
        adida: 0.2579549999998716,
        imapa: 0.26522524918753987,
        alphas: &[
            0.10000000000032039,
            0.15158253298182675,
            0.2362358098809093,
            0.29999999999967963,
            0.29999999999967963,
            0.29999999999967963,
        ],
    },
    Golden {
        y: &[
            0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 5.0, 10.0, 0.0, 0.0, 5.0, 0.0, 0.0, 10.0, 5.0, 5.0, 0.0, 5.0, 5.0, 5.0,
            0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0,
            0.0, 0.0, 0.0,
        ],
        croston: 1.4669263097630696,
        sba: 1.393579994274916,
        croston_optimized: 1.4669263097627994,
        croston_alphas: [0.10000000000032039, 0.10000000000032039],
        tsb: 0.8826612806493354,
        tsb_fast: 1.0240479927465538,
        adida: 0.7806661619374209,
        imapa: 0.6952720175871122,
        alphas: &[0.1734186166738152, 0.2439879949411727, 0.29999999999967963],
    },
    Golden {
        y: &[
            25.0, 32.0, 31.0, 25.0, 39.0, 27.0, 21.0, 21.0, 27.0, 31.0, 22.0, 31.0, 19.0, 31.0, 31.0, 34.0, 30.0, 33.0,
            33.0, 21.0, 37.0, 39.0, 31.0, 31.0, 33.0, 38.0, 27.0, 33.0, 26.0, 25.0, 35.0, 21.0, 34.0, 25.0, 27.0, 37.0,
            32.0, 25.0, 39.0, 28.0,
        ],
        croston: 30.345697505887813,
        sba: 28.82841263059342,
        croston_optimized: 30.445290417835114,
        croston_alphas: [0.1177170847974954, 0.2],
        tsb: 30.345697505887813,
        tsb_fast: 30.906311090593135,
        adida: 30.445290417835114,
        imapa: 30.445290417835114,
        alphas: &[0.1177170847974954],
    },
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Demand that is never negative is never forecast as negative, nor above the largest one where sizes are averaged over
    /// periods; and the state does not depend on the pieces that it was moved in.
    #[test]
    fn forecasts_stay_within_the_demand_and_states_move_in_any_pieces(
        mut y in prop::collection::vec(prop_oneof![2 => Just(0.0), 1 => Just(f64::NAN), 1 => 0.0..1e3], 1..90),
        pieces in prop::collection::vec(1usize..20, 1..20),
    ) {
        y[0] = 0.0;
        let largest = y.iter().copied().fold(0.0, f64::max);
        for name in NAMES {
            let kernel = Choice::parse(name, 1).unwrap().kernel;
            let (mut at_once, mut state) = (State::default(), State::default());
            kernel.estimate(&y, &mut Buffers::default(), &mut at_once).unwrap();
            kernel.estimate(&y, &mut Buffers::default(), &mut state).unwrap();
            kernel.update(&y, &mut at_once);
            let mut rest = &y[..];
            for piece in pieces.iter().cycle() {
                let (now, later) = rest.split_at((*piece).min(rest.len()));
                kernel.update(now, &mut state);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            let bits = |s: &State| s.states.iter().chain([&s.sse]).map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&at_once), bits(&state), "{}", name);
            prop_assert_eq!((at_once.steps, at_once.errors), (state.steps, state.errors), "{}", name);
            let mut path = Path::default();
            path.reset(3);
            kernel.forecast(&state, &mut path);
            let reaches = largest * (1.0 + 1e-12);
            prop_assert!(path.mean.iter().all(|v| (0.0..=reaches).contains(v)), "{} {:?} of {}", name, path, largest);
        }
    }
}
