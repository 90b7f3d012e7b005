//! Prediction intervals of normal forecast errors.
//!
//! In: error variance and smoothing parameters, or a level in percent. Out: standard deviations per step, quantiles.

/// Standard deviations of the forecast errors of a linear homoscedastic ETS model without trend (class 1).
///
/// `deviation[h - 1]` becomes sigma sqrt(1 + alpha^2 (h - 1) + gamma k (2 alpha + gamma)), k = floor((h - 1) / m).
/// Source: Hyndman, Koehler, Ord & Snyder (2008), table 6.1.
pub(super) fn class_1_deviations(variance: f64, alpha: f64, gamma: f64, m: usize, deviation: &mut [f64]) {
    for (t, d) in deviation.iter_mut().enumerate() {
        let seasons = (t / m) as f64;
        *d = (variance * (1.0 + alpha * alpha * t as f64 + gamma * seasons * (2.0 * alpha + gamma))).sqrt();
    }
}

/// How many standard deviations either side of the mean hold `level` percent of a normal distribution; `level` in 1..=99.
#[cfg(test)]
pub(super) fn half_width(level: i64) -> f64 {
    normal_quantile(0.5 + level as f64 / 200.0)
}

/// The quantile of the standard normal distribution at `p`; infinite at 0 and 1, NaN outside.
///
/// Relative error about 1e-15, the same bits on every host. Source: Wichura (1988), Algorithm AS 241 (PPND16), Applied
/// Statistics 37.
pub fn normal_quantile(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * ratio(&CENTRE, r);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    if tail == 0.0 {
        return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let r = (-ln(tail)).sqrt();
    let z = if r <= 5.0 { ratio(&MIDDLE, r - 1.6) } else { ratio(&FAR, r - 5.0) };
    if q < 0.0 { -z } else { z }
}

/// Numerator and denominator, constant term first.
type Rational = ([f64; 8], [f64; 8]);

fn ratio((a, b): &Rational, r: f64) -> f64 {
    let horner = |c: &[f64; 8]| c.iter().rev().fold(0.0, |sum, &x| sum * r + x);
    horner(a) / horner(b)
}

/// The natural logarithm of a number in (0, 1), by arithmetic that rounds alike on every host (the C library's differs
/// between processors).
fn ln(x: f64) -> f64 {
    // x = f 2^e with f in about [0.7, 1.4]; ln f = 2 atanh((f - 1) / (f + 1)) converges fast there.
    let (mut f, mut e) = (x, 0.0);
    while f < std::f64::consts::FRAC_1_SQRT_2 {
        f *= 2.0;
        e -= 1.0;
    }
    let t = (f - 1.0) / (f + 1.0);
    let series = (0..12).rev().fold(0.0, |sum, k| sum * (t * t) + 1.0 / (2 * k + 1) as f64);
    2.0 * t * series + e * std::f64::consts::LN_2
}

const CENTRE: Rational = (
    [
        3.387_132_872_796_366_5,
        1.331_416_678_917_843_8e2,
        1.971_590_950_306_551_3e3,
        1.373_169_376_550_946e4,
        4.592_195_393_154_987e4,
        6.726_577_092_700_87e4,
        3.343_057_558_358_813e4,
        2.509_080_928_730_122_7e3,
    ],
    [
        1.0,
        4.231_333_070_160_091e1,
        6.871_870_074_920_579e2,
        5.394_196_021_424_751e3,
        2.121_379_430_158_659_7e4,
        3.930_789_580_009_271e4,
        2.872_908_573_572_194_3e4,
        5.226_495_278_852_854e3,
    ],
);
const MIDDLE: Rational = (
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        2.417_807_251_774_506e-1,
        2.272_384_498_926_918_4e-2,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        6.897_673_349_851e-1,
        1.481_039_764_274_800_8e-1,
        1.519_866_656_361_645_7e-2,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
);
const FAR: Rational = (
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        2.965_605_718_285_048_7e-1,
        2.653_218_952_657_612_4e-2,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        5.998_322_065_558_88e-1,
        1.369_298_809_227_358e-1,
        1.487_536_129_085_061_5e-2,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden: `scipy.stats.norm.ppf(p)`, scipy 1.17.1; relative tolerance 1e-14 (AS 241 promises 1e-16, four
    /// units of rounding come from the logarithm).
    #[test]
    fn the_normal_quantile_agrees_with_scipy() {
        for (p, z) in GOLDEN {
            let own = normal_quantile(p);
            assert!((own - z).abs() <= 1e-14 * z.abs().max(1e-300), "p={p} own={own} scipy={z}");
        }
    }

    const GOLDEN: [(f64, f64); 18] = [
        (1e-300, -37.0470962993612),
        (1e-20, -9.262340089798409),
        (1e-10, -6.361340902404056),
        (0.001, -3.090232306167813),
        (0.01, -2.3263478740408408),
        (0.025, -1.9599639845400545),
        (0.075, -1.4395314709384563),
        (0.1, -1.2815515655446004),
        (0.3, -0.5244005127080409),
        (0.505, 0.012533469508069276),
        (0.6, 0.2533471031357997),
        (0.75, 0.6744897501960817),
        (0.9, 1.2815515655446004),
        (0.925, 1.4395314709384563),
        (0.95, 1.6448536269514722),
        (0.975, 1.959963984540054),
        (0.995, 2.5758293035489004),
        (0.9999, 3.719016485455709),
    ];

    #[test]
    fn the_ends_of_the_normal_quantile_are_infinite_and_outside_is_nan() {
        assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
        assert_eq!(normal_quantile(0.5), 0.0);
        assert!(normal_quantile(1.5).is_nan() && normal_quantile(f64::NAN).is_nan());
    }
}
