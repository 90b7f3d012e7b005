//! Golden components from R and statsmodels, and what LOESS does with gaps.

use super::*;

fn close(own: &[f64], golden: &[f64]) {
    assert_eq!(own.len(), golden.len());
    for (t, (own, golden)) in own.iter().zip(golden).enumerate() {
        assert!((own - golden).abs() <= 1e-9 * golden.abs().max(1.0), "t={t} own={own} golden={golden}");
    }
}

fn stl(options: Stl) -> (Vec<f64>, Vec<f64>) {
    let (mut seasonal, mut trend) = (vec![0.0; WEEKS.len()], vec![0.0; WEEKS.len()]);
    options.decompose(&WEEKS, &[], &mut Buffers::default(), &mut seasonal, &mut trend);
    (seasonal, trend)
}

/// Values with seasons of 4 and 12 and a slow rise, as the R and Python scripts below make them.
pub(in crate::forecast) fn two_seasons() -> Vec<f64> {
    let twelve = [0, 3, 9, 2, 7, 1, 4, 8, 0, 5, 2, 6];
    (0..96)
        .map(|t| f64::from((7 * t * t) % 11 + 5 * i32::from(t % 4 == 1) + twelve[t as usize % 12] + t / 20))
        .collect()
}

/// The first six steps, six in the middle and the last six.
fn some(part: &[f64]) -> Vec<f64> {
    [&part[..6], &part[39..45], &part[90..]].concat()
}

/// Golden: R 4.2.2, `stl(ts(y, frequency = 7), s.window = 11)` and the same with `robust = TRUE, outer = 2`; relative
/// tolerance 1e-9, both sides compute in f64. In R's third robust pass the median of the remainders is not their median
/// (4.04 / 2 for 2.70 / 2: its partial sort is given positions that descend), so later passes are not compared.
#[test]
fn stl_agrees_with_r() {
    let (seasonal, trend) = stl(Stl::new(7, 11, false));
    close(&seasonal, &R_SEASONAL);
    close(&trend, &R_TREND);
    let (seasonal, trend) = stl(Stl { outer: 2, ..Stl::new(7, 11, true) });
    close(&seasonal, &R_ROBUST_SEASONAL);
    close(&trend, &R_ROBUST_TREND);
}

/// Golden: statsforecast 2.1.1 (statsmodels 0.15.0), `statsforecast.mstl.mstl(y, 7)`: no jumps, five passes, another window
/// of the low pass. Relative tolerance 1e-9.
#[test]
fn stl_with_the_options_of_statsmodels_agrees_with_statsforecast() {
    let plain = Stl::new(7, 11, false);
    let every = |loess: Loess| Loess { jump: 1, ..loess };
    let low_pass = Loess { window: 9, ..every(plain.low_pass) };
    let options = Stl { seasonal: every(plain.seasonal), trend: every(plain.trend), low_pass, inner: 5, ..plain };
    let (seasonal, trend) = stl(options);
    close(&seasonal, &STATSMODELS_SEASONAL);
    close(&trend, &STATSMODELS_TREND);
}

/// Golden: R package forecast 8.20, `mstl(msts(z, seasonal.periods = c(4, 12)))`; strengths from its
/// components by the formulas of FPP3, 4.3. Relative tolerance 1e-9.
#[test]
fn mstl_and_its_strengths_agree_with_r() {
    let (z, mut parts, mut buffers) = (two_seasons(), Parts::default(), Buffers::default());
    mstl(&z, &[4, 12], false, &mut buffers, &mut parts);
    close(&some(&parts.trend), &R_TREND_OF_TWO);
    close(&some(&parts.seasonal[..96]), &R_SEASON_4);
    close(&some(&parts.seasonal[96..]), &R_SEASON_12);
    let found = strengths(&z, &[4, 12, 50], &mut buffers).unwrap();
    close(&[found.trend, found.seasons[0], found.seasons[1]], &R_STRENGTHS);
    // The last does not fit twice.
    assert_eq!(found.seasons[2..], [0.0]);
}

#[test]
fn a_pure_season_is_found_whatever_is_missing() {
    let season = [3.0, -1.0, 4.0, 0.0, -6.0];
    let (mut parts, mut buffers) = (Parts::default(), Buffers::default());
    for missing in 2..12 {
        let mut y: Vec<f64> = (0..80).map(|t| 10.0 + season[t % 5]).collect();
        y.iter_mut().skip(1).step_by(missing).for_each(|v| *v = f64::NAN);
        y[30..52].fill(f64::NAN);
        mstl(&y, &[5], false, &mut buffers, &mut parts);
        // Every fifth missing: one phase is never seen, and what it would be is unknown.
        for t in (0..80).filter(|t| missing != 5 || t % 5 != 1) {
            let fitted = parts.trend[t] + parts.seasonal[t];
            if missing == 5 {
                assert!(y[t].is_nan() || (fitted - y[t]).abs() < 2.0, "t={t} {fitted}");
            } else {
                assert!((fitted - 10.0 - season[t % 5]).abs() < 1e-9, "missing={missing} t={t} {fitted}");
            }
        }
        assert!(parts.trend.iter().chain(&parts.seasonal).all(|v| v.is_finite()));
    }
}

/// A gap that no window spans is bridged by a straight line, in a time that does not grow with its square.
#[test]
fn a_long_gap_is_bridged() {
    let n = 400_000;
    let mut y: Vec<f64> = (0..n).map(|t| t as f64 + [1.0, -1.0][t % 2]).collect();
    y[1000..n - 1000].fill(f64::NAN);
    y[n - 100..].fill(f64::NAN);
    let (mut parts, mut buffers) = (Parts::default(), Buffers::default());
    for robust in [false, true] {
        mstl(&y[..if robust { 5000 } else { n }], &[2], robust, &mut buffers, &mut parts);
        assert!(parts.trend.iter().chain(&parts.seasonal).all(|v| v.is_finite()));
    }
    mstl(&y, &[2], false, &mut buffers, &mut parts);
    assert!((parts.trend[n / 2] - (n / 2) as f64).abs() < 1.0, "{}", parts.trend[n / 2]);
    assert!(parts.trend[n - 1] < (n - 90) as f64);
}

#[test]
fn strengths_tell_trend_from_season_from_noise() {
    let mut buffers = Buffers::default();
    let noise = |t: u32| f64::from(t.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
    let line: Vec<f64> = (0..100).map(|t| f64::from(t) + noise(t)).collect();
    let wave: Vec<f64> = (0..100).map(|t| f64::from(t % 7 * 3) + noise(t)).collect();
    let rough: Vec<f64> = (0..400).map(noise).collect();
    for (y, trend, season) in [(&line, 0.99..1.0, 0.0..0.5), (&wave, 0.0..0.5, 0.98..1.0), (&rough, 0.0..0.2, 0.0..0.3)]
    {
        let found = strengths(y, &[7], &mut buffers).unwrap();
        assert!(trend.contains(&found.trend) && season.contains(&found.seasons[0]), "{found:?}");
    }
    assert!(strengths(&line, &[], &mut buffers).unwrap().trend > 0.99);
    assert!(strengths(&line, &[1, 60], &mut buffers).unwrap().trend > 0.99);
    assert_eq!(strengths(&[1.0, f64::NAN, 2.0, 1.0], &[], &mut buffers), None);
    let flat = strengths(&[0.1; 30], &[7], &mut buffers).unwrap();
    assert_eq!(flat, Strengths { trend: 0.0, seasons: vec![0.0] });
}

/// Four weeks of made-up daily sales.
const WEEKS: [f64; 28] = [
    31.0, 18.0, 22.0, 40.0, 27.0, 35.0, 52.0, 29.0, 21.0, 24.0, 37.0, 30.0, 33.0, 55.0, 34.0, 19.0, 25.0, 43.0, 29.0,
    38.0, 57.0, 30.0, 23.0, 28.0, 41.0, 33.0, 36.0, 60.0,
];

const R_SEASONAL: [f64; 28] = [
    -2.2839813354108376,
    -13.37830519487868,
    -9.129963559785368,
    6.412732974659352,
    -4.368726396448704,
    1.383547882281518,
    21.42159479311204,
    -2.396696521625353,
    -13.351492144643329,
    -9.054925235818846,
    6.352515990642089,
    -4.326002156778257,
    1.2991124109951857,
    21.54162412933815,
    -2.51163570574849,
    -13.327236815440282,
    -8.98273069098881,
    6.2892128643731215,
    -4.286637392848221,
    1.2111111680675322,
    21.658104045639973,
    -2.5778161149582863,
    -13.325807036876773,
    -8.934513390371368,
    6.252317269183627,
    -4.270363782658148,
    1.1560562981124958,
    21.74906083777666,
];
const R_TREND: [f64; 28] = [
    32.22948597674755,
    32.22419301015977,
    32.218900043572,
    32.220572410352666,
    32.222244777133334,
    32.2721558516198,
    32.322066926106274,
    32.367264352031206,
    32.41246177795614,
    32.61009291993909,
    32.80772406192205,
    33.051655828535004,
    33.29558759514795,
    33.57686642635866,
    33.85814525756937,
    34.19562055635812,
    34.53309585514688,
    34.67581482651212,
    34.81853379787737,
    35.005805697463074,
    35.193077597048784,
    35.36807244361252,
    35.54306729017625,
    35.796879340961254,
    36.05069139174626,
    36.33004418555298,
    36.6093969793597,
    36.898211912655846,
];
const R_TREND_OF_TWO: [f64; 18] = [
    9.838505775089791,
    10.00507163874841,
    10.17163750240703,
    10.338203366065649,
    10.481427682266284,
    10.62465199846692,
    12.574220358253111,
    12.683932502440092,
    12.793644646627074,
    12.903356790814055,
    12.976548836720186,
    13.049740882626315,
    15.119678918360384,
    15.097522924695253,
    15.075366931030125,
    15.053210937364994,
    15.046704317719655,
    15.040197698074314,
];
const R_SEASON_4: [f64; 18] = [
    -2.4050146221466955,
    4.11458912503759,
    -0.6489961915650891,
    -1.0613914184355822,
    -2.3077706402343536,
    4.020917919283195,
    1.093049927969004,
    -3.738812026735953,
    1.9908701205637052,
    1.158019115178826,
    0.3223130974641826,
    -3.7703122934152433,
    0.3002463444529598,
    1.2738505471274801,
    -3.8372008027183617,
    2.2201578145432865,
    0.4271633560673217,
    1.2433206106953827,
];
const R_SEASON_12: [f64; 18] = [
    -3.1762112836418734,
    0.7258103902381049,
    5.156091455564656,
    -2.5722184054787647,
    4.3727786244746625,
    -1.2947799421090933,
    -2.78213822718401,
    4.228324986418951,
    -1.6563520249731691,
    -0.9836700435223187,
    1.87018084375724,
    -3.092598316309125,
    -1.2883070191039874,
    1.9195658163849816,
    -3.216899039356516,
    2.1880660831845082,
    -2.040144109005695,
    0.34650776456782056,
];
const STATSMODELS_SEASONAL: [f64; 28] = [
    -2.2337506899530037,
    -13.352861968347748,
    -9.097269848235378,
    6.402252980357765,
    -4.3976993306774,
    1.3584505066137698,
    21.372670675062853,
    -2.314428338268749,
    -13.347245889309006,
    -9.042850816064211,
    6.372547934309103,
    -4.372857869124587,
    1.3057043045665866,
    21.46567143367537,
    -2.461283669856509,
    -13.300248954705033,
    -8.947521477203276,
    6.280926037052579,
    -4.313007771208307,
    1.184891967578407,
    21.606050573975303,
    -2.5272048788746684,
    -13.298839355512053,
    -8.898928164351792,
    6.244077040234765,
    -4.296179834193736,
    1.129271086188888,
    21.695885467784844,
];
const STATSMODELS_TREND: [f64; 28] = [
    32.20375912640596,
    32.20273370388848,
    32.20380472719544,
    32.20567514703912,
    32.21490904009461,
    32.241162495907844,
    32.32160368381063,
    32.38056447244258,
    32.41116292777555,
    32.544542542826335,
    32.80768384502413,
    33.078392031710116,
    33.29648314372893,
    33.53877574707038,
    33.85826291718613,
    34.23702338812211,
    34.534383517425525,
    34.704500734503036,
    34.818466096361256,
    34.97752187912446,
    35.193033231018156,
    35.3643448019654,
    35.54642900378136,
    35.792185440949325,
    36.06200724935545,
    36.34247069306925,
    36.63091658700794,
    36.92618448017429,
];
const R_STRENGTHS: [f64; 3] = [0.22435251863054317, 0.45928489757758273, 0.5021905602390264];

const R_ROBUST_SEASONAL: [f64; 28] = [
    -2.2735960440343903,
    -13.378814285353409,
    -9.113306562430278,
    6.425553774082951,
    -4.381411299179045,
    1.3686086464174634,
    21.406047484797977,
    -2.3802113036533568,
    -13.347285531449208,
    -9.039293847488919,
    6.358968915654511,
    -4.33751798300238,
    1.2828567062104002,
    21.518465977832363,
    -2.487619262881528,
    -13.317090689867182,
    -8.967129971576764,
    6.290039202859918,
    -4.296466375939345,
    1.1938338743992452,
    21.627385208105334,
    -2.552754330130905,
    -13.308947430238256,
    -8.917299421994299,
    6.249494285188493,
    -4.277477534540289,
    1.1380084579295644,
    21.712644621018825,
];
const R_ROBUST_TREND: [f64; 28] = [
    32.21541590103442,
    32.212087979477346,
    32.20876005792028,
    32.212061728703766,
    32.21536339948725,
    32.26818429712716,
    32.32100519476707,
    32.37568496913481,
    32.43036474350255,
    32.616153045363546,
    32.801941347224535,
    33.0272697675217,
    33.252598187818876,
    33.517837461851826,
    33.783076735884784,
    34.11739002022395,
    34.45170330456312,
    34.63581756658317,
    34.81993182860323,
    35.036736344928215,
    35.25354086125319,
    35.43526364058262,
    35.61698641991204,
    35.869725976693225,
    36.12246553347441,
    36.39689152099854,
    36.67131750852266,
    36.95399660380904,
];
