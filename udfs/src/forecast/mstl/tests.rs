//! Golden forecasts from R; the arguments, and the state on its way through and past the fitted series.

use super::super::stl::tests::two_seasons;
use super::super::{Choice, forecast};
use super::*;

fn path(model: &str, y: &[f64], horizon: usize) -> Path {
    let (mut state, mut path) = (State::default(), Path::default());
    let choice = Choice::parse(model, 12).unwrap();
    forecast(&choice, y, horizon, &mut Buffers::default(), &mut state, &mut path).unwrap();
    path
}

/// Golden: R 4.2.2, forecast 8.20, `forecast(mstl(msts(z, seasonal.periods = c(4, 12))), method = "naive", h = 14)`: means,
/// and standard deviations from its bounds. Relative tolerance 1e-9, both sides compute in f64.
#[test]
fn mstl_with_a_naive_remainder_agrees_with_r() {
    let found = path("mstl(seasons => [4, 12], remainder => naive)", &two_seasons(), 14);
    for (own, golden) in found.mean.iter().chain(&found.deviation).zip(R_MEAN.iter().chain(&R_DEVIATION)) {
        assert!((own - golden).abs() <= 1e-9 * golden, "own={own} golden={golden}");
    }
}

#[test]
fn the_remainder_is_any_model_without_season_with_its_parameters() {
    let z = two_seasons();
    let plain = path("mstl", &z, 5);
    assert_eq!(plain, path("mstl(seasons => [12], remainder => auto_ets, robust => no)", &z, 5));
    assert_ne!(plain, path("mstl(robust => yes)", &z, 5));
    let slow = path("mstl(remainder => croston(alpha => 0.01), seasons => [4, 12])", &z, 5);
    assert_ne!(slow, path("mstl(remainder => croston(alpha => 0.9), seasons => [4, 12])", &z, 5));
    for (text, part) in [
        ("mstl(remainder => ets_ana)", "name=season_length"),
        ("mstl(remainder => etsann)", "mstl: remainder: unknown model"),
        ("mstl(seasons => [12, 4])", "ascending"),
        ("mstl(seasons => [1])", "from 2"),
        ("mstl(robust => maybe)", "yes, no"),
    ] {
        let said = Choice::parse(text, 12).unwrap_err().to_string();
        assert!(said.contains(part), "{text}: {said}");
    }
}

#[test]
fn the_longest_season_decides_how_short_a_series_may_be() {
    for (text, least) in [("mstl", 28), ("mstl(seasons => [4, 7])", 18), ("mstl(seasons => [24, 168])", 340)] {
        assert_eq!(Choice::parse(text, 12).unwrap().kernel.observations_min(), least, "{text}");
    }
}

/// Past the fitted series new values are adjusted by the last season, in any pieces, and the state stays as small as it was.
#[test]
fn later_values_move_the_remainder_alone() {
    let mut z = two_seasons();
    z[17] = f64::NAN;
    let later: Vec<f64> = (0..150).map(|t| if t % 9 == 4 { f64::NAN } else { f64::from(t * t % 13) }).collect();
    let kernel = Choice::parse("mstl(seasons => [4, 12], remainder => ets_ann)", 12).unwrap().kernel;
    let (mut buffers, mut state) = (Buffers::default(), State::default());
    state.clear();
    kernel.estimate(&z, &mut buffers, &mut state).unwrap();
    let mut pieces = state.clone();
    kernel.update(&z, &mut state);
    assert_eq!((state.parameters.len(), state.states.len()), (2 + 4 + 12 + 1, 1));
    let season = state.parameters.clone();
    kernel.update(&later, &mut state);
    assert_eq!(state.parameters, season);
    let all = [z, later].concat();
    for piece in all.chunks(29) {
        kernel.update(piece, &mut pieces);
    }
    let bits =
        |s: &State| s.parameters.iter().chain(&s.states).chain([&s.sse]).map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&state), bits(&pieces));
    assert_eq!((state.steps, state.errors), (pieces.steps, pieces.errors));
}

/// The last season of the fitted series goes on: the forecast of a pure season is that season, from any end.
#[test]
fn the_season_goes_on_from_wherever_the_series_ends() {
    for n in 40..60 {
        let y: Vec<f64> =
            (0..n).map(|t| [5.0, 1.0, 2.0, 9.0][t % 4] + [0.0, 3.0, 0.0, -3.0, 1.0, -1.0][t % 6]).collect();
        let found = path("mstl(seasons => [12])", &y, 30);
        for (h, mean) in found.mean.iter().enumerate() {
            let t = n + h;
            let golden = [5.0, 1.0, 2.0, 9.0][t % 4] + [0.0, 3.0, 0.0, -3.0, 1.0, -1.0][t % 6];
            assert!((mean - golden).abs() < 1e-9, "n={n} h={h} {mean} {golden}");
        }
    }
}

const R_MEAN: [f64; 14] = [
    4.012458644107682,
    13.585987082221763,
    15.823699415204201,
    8.612864145227373,
    10.446843359313544,
    10.560492383141929,
    9.54902796170013,
    13.57305805181716,
    3.3560717826619175,
    14.818395522464591,
    8.797190871798422,
    11.999999999999998,
    4.012458644107682,
    13.585987082221763,
];
const R_DEVIATION: [f64; 14] = [
    4.685683930528718,
    6.6265577635473845,
    8.115842635884778,
    9.371367861057438,
    10.477507789740617,
    11.477534725754062,
    12.39715440243064,
    13.253115527094772,
    14.057051791586156,
    14.817433616120931,
    15.54065548376148,
    16.231685271769553,
    16.894473672138943,
    17.532223890750732,
];
