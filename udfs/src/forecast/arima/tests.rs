//! Golden values and properties of the ARIMA models.

use super::super::{Choice, forecast};
use super::filter::{Filter, Parameters};
use super::*;

/// Golden: R 4.x `arima(x, order, seasonal, include.mean, fixed, transform.pars = FALSE, method = "ML", kappa = 1e8)`, then
/// `predict(n.ahead = 15)`: log likelihood, forecasts and standard errors of the steps in `STEPS`. Relative tolerance 1e-6:
/// the diffuse prior of R's differences leaves about one in its kappa.
struct Golden {
    y: fn() -> Vec<f64>,
    gaps: &'static [usize],
    model: &'static str,
    season_length: usize,
    log_likelihood: f64,
    mean: [f64; 7],
    deviation: [f64; 7],
}

const STEPS: [usize; 7] = [1, 2, 3, 12, 13, 14, 15];

const GOLDEN: [Golden; 7] = [
    Golden {
        y: lynx,
        gaps: &[],
        model: "arima(order => [1, 0, 1], phi => [0.6], theta => [0.3], mean => 2.9)",
        season_length: 1,
        log_likelihood: -25.139321461209505,
        mean: [
            3.3480119316729127,
            3.1688071590037477,
            3.0612842954022486,
            2.901625374098638,
            2.9009752244591827,
            2.9005851346755098,
            2.9003510808053057,
        ],
        deviation: [
            0.30051996334500747,
            0.40430826054841024,
            0.43566067205113657,
            0.45234078221594665,
            0.45234184651317322,
            0.45234222965956172,
            0.45234236759218216,
        ],
    },
    Golden {
        y: accidents,
        gaps: &[],
        model: "arima(order => [0, 1, 1], seasonal_order => [0, 1, 1], theta => [-0.43], seasonal_theta => [-0.55])",
        season_length: 12,
        log_likelihood: -425.44121560846605,
        mean: [
            8336.1957643328569,
            7531.3184736981202,
            8314.4714187761347,
            9379.6263885097778,
            8525.0427237107651,
            7720.1654330760284,
            8503.3183781540429,
        ],
        deviation: [
            315.58385733234837,
            363.20576618279966,
            405.26989299075382,
            674.66362310264572,
            747.66750956675583,
            791.82451815744673,
            833.64586620891271,
        ],
    },
    Golden {
        y: accidents,
        gaps: &[],
        model: "arima(order => [2, 0, 1], seasonal_order => [1, 0, 1], phi => [0.5, 0.2], theta => [0.3], seasonal_phi => [0.6], seasonal_theta => [-0.2], mean => 8800)",
        season_length: 12,
        log_likelihood: -546.33186264970368,
        mean: [
            8683.4263433535816,
            8139.9938633255842,
            8504.3062566080189,
            8989.2389178426802,
            8670.2246574028213,
            8359.1285272592231,
            8588.1836288748818,
        ],
        deviation: [
            465.50184158602144,
            596.13322262072063,
            658.31901447519999,
            736.09118578749928,
            764.04980806803837,
            781.27201488445121,
            790.82180005040505,
        ],
    },
    Golden {
        y: accidents,
        gaps: &[5, 20, 21, 40, 41, 42, 60],
        model: "arima(order => [0, 1, 1], seasonal_order => [0, 1, 1], theta => [-0.43], seasonal_theta => [-0.55])",
        season_length: 12,
        log_likelihood: -378.98871702061297,
        mean: [
            8385.0585473653082,
            7580.1812567418619,
            8363.3342018209423,
            9381.440922464164,
            8595.9472435412954,
            7791.0699529178492,
            8574.2228979969295,
        ],
        deviation: [
            335.74245934704169,
            384.50363680568159,
            427.74185488600909,
            703.22973758978287,
            785.39921148151461,
            831.08884674652143,
            874.39431664161282,
        ],
    },
    Golden {
        y: accidents,
        gaps: &[5, 20, 21, 40, 41, 42, 60],
        model: "arima(order => [2, 0, 1], seasonal_order => [1, 0, 1], phi => [0.5, 0.2], theta => [0.3], seasonal_phi => [0.6], seasonal_theta => [-0.2], mean => 8800)",
        season_length: 12,
        log_likelihood: -497.49381181401816,
        mean: [
            8771.0154550154275,
            8205.6856227640328,
            8554.6699585262613,
            8971.7156027767778,
            8708.5947257335465,
            8387.9472205759193,
            8610.2669891193655,
        ],
        deviation: [
            496.77828719006277,
            624.84661441793673,
            686.601847507814,
            764.48155417032865,
            794.76171764021024,
            811.92138022354891,
            821.46339035663016,
        ],
    },
    Golden {
        y: lynx,
        gaps: &[3, 4, 50, 51, 52, 90],
        model: "arima(order => [1, 0, 1], phi => [0.6], theta => [0.3], mean => 2.9)",
        season_length: 1,
        log_likelihood: -27.0466098489659,
        mean: [
            3.348011931672902,
            3.168807159003741,
            3.0612842954022446,
            2.901625374098638,
            2.9009752244591827,
            2.9005851346755094,
            2.9003510808053057,
        ],
        deviation: [
            0.30634314924285821,
            0.4121425559310008,
            0.44410248421395743,
            0.4611058054600054,
            0.46110689038015673,
            0.46110728095078635,
            0.46110742155613199,
        ],
    },
    Golden {
        y: lynx,
        gaps: &[3, 4, 50, 51, 52, 90],
        model: "arima(order => [1, 1, 2], phi => [0.6], theta => [-0.3, -0.4])",
        season_length: 1,
        log_likelihood: -23.924584802124016,
        mean: [
            3.4866606493280199,
            3.4230303325939802,
            3.3848521425535565,
            3.3281619797825073,
            3.3279311308666726,
            3.327792621517172,
            3.3277095159074714,
        ],
        deviation: [
            0.29599913147366819,
            0.48547467275124517,
            0.58127477300823904,
            0.92260452462818665,
            0.9490760812310306,
            0.97477514734660897,
            0.99978235125385218,
        ],
    },
];

/// R's `log10(lynx)`: trappings of Canadian lynx a year.
fn lynx() -> Vec<f64> {
    LYNX.iter().map(|v| libm::log10(*v)).collect()
}

/// R's `USAccDeaths`: accidental deaths a month.
fn accidents() -> Vec<f64> {
    ACCIDENTS.to_vec()
}

/// R's `log(AirPassengers)`: thousands of passengers a month.
fn passengers() -> Vec<f64> {
    PASSENGERS.iter().map(|v| libm::log(*v)).collect()
}
const ACCIDENTS: [f64; 72] = [
    9007.0, 8106.0, 8928.0, 9137.0, 10017.0, 10826.0, 11317.0, 10744.0, 9713.0, 9938.0, 9161.0, 8927.0, 7750.0, 6981.0,
    8038.0, 8422.0, 8714.0, 9512.0, 10120.0, 9823.0, 8743.0, 9129.0, 8710.0, 8680.0, 8162.0, 7306.0, 8124.0, 7870.0,
    9387.0, 9556.0, 10093.0, 9620.0, 8285.0, 8466.0, 8160.0, 8034.0, 7717.0, 7461.0, 7767.0, 7925.0, 8623.0, 8945.0,
    10078.0, 9179.0, 8037.0, 8488.0, 7874.0, 8647.0, 7792.0, 6957.0, 7726.0, 8106.0, 8890.0, 9299.0, 10625.0, 9302.0,
    8314.0, 8850.0, 8265.0, 8796.0, 7836.0, 6892.0, 7791.0, 8192.0, 9115.0, 9434.0, 10484.0, 9827.0, 9110.0, 9070.0,
    8633.0, 9240.0,
];
const LYNX: [f64; 114] = [
    269.0, 321.0, 585.0, 871.0, 1475.0, 2821.0, 3928.0, 5943.0, 4950.0, 2577.0, 523.0, 98.0, 184.0, 279.0, 409.0,
    2285.0, 2685.0, 3409.0, 1824.0, 409.0, 151.0, 45.0, 68.0, 213.0, 546.0, 1033.0, 2129.0, 2536.0, 957.0, 361.0,
    377.0, 225.0, 360.0, 731.0, 1638.0, 2725.0, 2871.0, 2119.0, 684.0, 299.0, 236.0, 245.0, 552.0, 1623.0, 3311.0,
    6721.0, 4254.0, 687.0, 255.0, 473.0, 358.0, 784.0, 1594.0, 1676.0, 2251.0, 1426.0, 756.0, 299.0, 201.0, 229.0,
    469.0, 736.0, 2042.0, 2811.0, 4431.0, 2511.0, 389.0, 73.0, 39.0, 49.0, 59.0, 188.0, 377.0, 1292.0, 4031.0, 3495.0,
    587.0, 105.0, 153.0, 387.0, 758.0, 1307.0, 3465.0, 6991.0, 6313.0, 3794.0, 1836.0, 345.0, 382.0, 808.0, 1388.0,
    2713.0, 3800.0, 3091.0, 2985.0, 3790.0, 674.0, 81.0, 80.0, 108.0, 229.0, 399.0, 1132.0, 2432.0, 3574.0, 2935.0,
    1537.0, 529.0, 485.0, 662.0, 1000.0, 1590.0, 2657.0, 3396.0,
];
const PASSENGERS: [f64; 144] = [
    112.0, 118.0, 132.0, 129.0, 121.0, 135.0, 148.0, 148.0, 136.0, 119.0, 104.0, 118.0, 115.0, 126.0, 141.0, 135.0,
    125.0, 149.0, 170.0, 170.0, 158.0, 133.0, 114.0, 140.0, 145.0, 150.0, 178.0, 163.0, 172.0, 178.0, 199.0, 199.0,
    184.0, 162.0, 146.0, 166.0, 171.0, 180.0, 193.0, 181.0, 183.0, 218.0, 230.0, 242.0, 209.0, 191.0, 172.0, 194.0,
    196.0, 196.0, 236.0, 235.0, 229.0, 243.0, 264.0, 272.0, 237.0, 211.0, 180.0, 201.0, 204.0, 188.0, 235.0, 227.0,
    234.0, 264.0, 302.0, 293.0, 259.0, 229.0, 203.0, 229.0, 242.0, 233.0, 267.0, 269.0, 270.0, 315.0, 364.0, 347.0,
    312.0, 274.0, 237.0, 278.0, 284.0, 277.0, 317.0, 313.0, 318.0, 374.0, 413.0, 405.0, 355.0, 306.0, 271.0, 306.0,
    315.0, 301.0, 356.0, 348.0, 355.0, 422.0, 465.0, 467.0, 404.0, 347.0, 305.0, 336.0, 340.0, 318.0, 362.0, 348.0,
    363.0, 435.0, 491.0, 505.0, 404.0, 359.0, 310.0, 337.0, 360.0, 342.0, 406.0, 396.0, 420.0, 472.0, 548.0, 559.0,
    463.0, 407.0, 362.0, 405.0, 417.0, 391.0, 419.0, 461.0, 472.0, 535.0, 622.0, 606.0, 508.0, 461.0, 390.0, 432.0,
];

fn close(own: f64, golden: f64, what: &str) {
    assert!((own - golden).abs() <= 1e-6 * golden.abs().max(1e-3), "{what} own={own} golden={golden}");
}

fn with_gaps(mut y: Vec<f64>, gaps: &[usize]) -> Vec<f64> {
    gaps.iter().for_each(|g| y[g - 1] = f64::NAN);
    y
}

/// Log likelihood of fitted or given parameters, as the filter finds it.
fn log_likelihood(state: &State, y: &[f64]) -> f64 {
    let parameters = Parameters::read(&state.parameters);
    let mut states = Vec::new();
    let mut filter = Filter::start(&parameters, &mut states);
    let (mut squares, mut logs, mut n) = (0.0, 0.0, 0.0);
    for (t, v) in y.iter().enumerate() {
        if let Some((e, variance)) = filter.step(*v, t as u64) {
            squares += e * e / variance;
            logs += libm::log(variance);
            n += 1.0;
        }
    }
    -0.5 * (n * (libm::log(2.0 * std::f64::consts::PI * squares / n) + 1.0) + logs)
}

fn fitted(model: &str, season_length: usize, y: &[f64], horizon: usize) -> (State, Path) {
    let choice = Choice::parse(model, season_length).unwrap();
    let (mut state, mut path) = (State::default(), Path::default());
    forecast(&choice, y, horizon, &mut Buffers::default(), &mut state, &mut path).unwrap();
    (state, path)
}

#[test]
fn likelihood_forecasts_and_errors_of_given_coefficients_agree_with_r() {
    for golden in GOLDEN {
        let y = with_gaps((golden.y)(), golden.gaps);
        let (state, path) = fitted(golden.model, golden.season_length, &y, 15);
        let what = format!("{} gaps={:?}", golden.model, golden.gaps);
        close(log_likelihood(&state, &y), golden.log_likelihood, &what);
        for (i, step) in STEPS.into_iter().enumerate() {
            close(path.mean[step - 1], golden.mean[i], &what);
            close(path.deviation[step - 1], golden.deviation[i], &what);
        }
    }
}

/// Golden: the log likelihood that R 4.x `arima(.., method = "ML", kappa = 1e9)` reaches; the tolerance is for the edge of
/// the search, short of roots on the unit circle.
#[test]
fn the_fit_is_at_least_as_likely_as_that_of_r() {
    let gaps: [&[usize]; 3] = [&[], &[5, 20, 21, 40, 41, 42, 60], &[3, 4, 50, 51, 52, 90]];
    type Case = (&'static str, usize, fn() -> Vec<f64>, usize, f64);
    let cases: [Case; 10] = [
        ("arima(order => [0,1,1], seasonal_order => [0,1,1])", 12, accidents, 0, -425.44110135740192),
        ("arima(order => [1,1,1], seasonal_order => [1,1,1])", 12, accidents, 0, -424.99210407864786),
        ("arima(order => [2,0,0])", 1, lynx, 0, 6.5046595288203264),
        ("arima(order => [2,0,2])", 1, lynx, 0, 8.2086078823562048),
        ("arima(order => [4,0,1])", 1, lynx, 0, 10.751406436635421),
        ("arima(order => [0,1,1], seasonal_order => [0,1,1])", 12, passengers, 0, 244.69649004135397),
        ("arima(order => [2,1,1], seasonal_order => [0,1,2])", 12, passengers, 0, 246.21420757338899),
        ("arima(order => [2,0,0], seasonal_order => [1,1,0], constant => yes)", 12, passengers, 0, 241.61565282260958),
        ("arima(order => [2,0,1])", 1, lynx, 2, 4.2440576880471497),
        ("arima(order => [0,1,1], seasonal_order => [0,1,1])", 12, accidents, 1, -378.8551790402534),
    ];
    for (model, m, y, g, golden) in cases {
        let y = with_gaps(y(), gaps[g]);
        let (state, _) = fitted(model, m, &y, 3);
        let own = log_likelihood(&state, &y);
        println!("{model} own={own} R={golden} {:?}", &state.parameters[10..]);
        assert!(own >= golden - 2e-4, "{model} own={own} R={golden} {:?}", state.parameters);
    }
}
