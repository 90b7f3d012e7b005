//! Seasonal adjustment: the autocorrelation test for a season and the classical decomposition.
//!
//! In: one series as a plain slice, NaN where an observation is missing. Out: whether it has a season, a factor per
//! phase.

use super::Buffers;

/// The 95 % point of the standard normal distribution: the test is two-sided at 90 %.
const CRITICAL: f64 = 1.645;

/// Lags whose products are summed side by side.
const LANES: usize = 8;

/// How the season joins the rest of the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// No season.
    None,
    /// Added to it.
    Additive,
    /// Multiplied with it.
    Multiplicative,
}

impl Form {
    /// As a number among the parameters of a state.
    pub(super) fn code(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Additive => 1.0,
            Self::Multiplicative => 2.0,
        }
    }

    /// Back from [`Form::code`].
    pub(super) fn from_code(code: f64) -> Self {
        if code == 1.0 {
            Self::Additive
        } else if code == 2.0 {
            Self::Multiplicative
        } else {
            Self::None
        }
    }

    /// The value without its season.
    #[inline]
    pub(super) fn remove(self, value: f64, factor: f64) -> f64 {
        match self {
            Self::None => value,
            Self::Additive => value - factor,
            Self::Multiplicative => value / factor,
        }
    }

    /// The value with its season.
    #[inline]
    pub(super) fn restore(self, value: f64, factor: f64) -> f64 {
        match self {
            Self::None => value,
            Self::Additive => value + factor,
            Self::Multiplicative => value * factor,
        }
    }

    /// What a deviation of the adjusted series is in the unit of the series.
    #[inline]
    pub(super) fn stretch(self, factor: f64) -> f64 {
        if self == Self::Multiplicative { factor } else { 1.0 }
    }
}

/// Whether the autocorrelation at lag `m` differs from zero at 90 %, given those at the lags before it.
///
/// |r_m| > 1.645 sqrt((1 + 2 (r_1^2 + .. + r_{m-1}^2)) / n). Missing values take no part, n counts the observed ones.
/// O(n m) time. Source: Makridakis, Spiliotis & Assimakopoulos (2020), and their benchmark code for M4.
pub(super) fn is_seasonal(y: &[f64], m: usize, buffers: &mut Buffers) -> bool {
    if m < 2 || y.len() <= m {
        return false;
    }
    // About the first value, so that the mean of a constant is that constant and not a neighbour of it.
    let zero = y.iter().copied().find(|v| !v.is_nan()).unwrap_or(0.0);
    let (sum, n) = y.iter().filter(|v| !v.is_nan()).fold((0.0, 0.0), |(sum, n), v| (sum + (v - zero), n + 1.0));
    let mean = zero + sum / n;
    let mut x = buffers.take(0);
    x.extend(y.iter().map(|v| if v.is_nan() { 0.0 } else { v - mean }));
    let variance: f64 = x.iter().map(|v| v * v).sum();
    let (mut squares, mut last) = (0.0, 0.0);
    for first in (1..=m).step_by(LANES) {
        for (k, r) in autocovariances(&x, first).into_iter().enumerate().take(m + 1 - first) {
            let r = r / variance;
            if first + k == m { last = r } else { squares += r * r }
        }
    }
    buffers.give(x);
    // A constant series divides zero by zero, and NaN is not above anything.
    last.abs() > CRITICAL * ((1.0 + 2.0 * squares) / n).sqrt()
}

/// Sums of products at the lags from `first` on.
fn autocovariances(x: &[f64], first: usize) -> [f64; LANES] {
    let mut sums = [0.0; LANES];
    let far = x.get(first..).unwrap_or_default();
    let whole = far.len().saturating_sub(LANES - 1);
    for (v, ahead) in x.iter().zip(far.windows(LANES)) {
        for (sum, w) in sums.iter_mut().zip(ahead) {
            *sum += v * w;
        }
    }
    for (at, v) in x.iter().enumerate().take(far.len()).skip(whole) {
        for (sum, w) in sums.iter_mut().zip(&far[at..]) {
            *sum += v * w;
        }
    }
    sums
}

/// The classical decomposition: for each phase the mean of what is left of the series beside its centred moving average
/// over one season, brought to mean one (multiplicative) or zero.
///
/// `y`: at least two seasons. A window takes the mean of what is observed in it; a phase that is never observed inside
/// a window gets the neutral factor. O(n) time. Source: R `stats::decompose`; Hyndman & Athanasopoulos, FPP3, 3.4.
pub(super) fn decompose(y: &[f64], m: usize, form: Form, factors: &mut Vec<f64>, buffers: &mut Buffers) {
    let neutral = if form == Form::Multiplicative { 1.0 } else { 0.0 };
    factors.clear();
    factors.resize(m, 0.0);
    let mut counts = buffers.take(m);
    let even = m.is_multiple_of(2);
    let observed = |v: f64| if v.is_nan() { (0.0, 0.0) } else { (v, 1.0) };
    let plus = |a: (f64, f64), b: (f64, f64)| (a.0 + b.0, a.1 + b.1);
    let (mut window, mut before) = ((0.0, 0.0), (0.0, 0.0));
    for first in 0..(y.len() + 1).saturating_sub(m) {
        // Sliding sums gather rounding errors: take each season's first one afresh.
        window = if first % m == 0 {
            y[first..first + m].iter().fold((0.0, 0.0), |sum, &v| plus(sum, observed(v)))
        } else {
            let (old, new) = (observed(y[first - 1]), observed(y[first + m - 1]));
            (window.0 + (new.0 - old.0), window.1 + (new.1 - old.1))
        };
        // A window over an even season has no middle, so the mean of two neighbouring windows stands for it.
        let total = if even { plus(before, window) } else { window };
        let middle = first + m / 2 - usize::from(even);
        before = window;
        if (even && first == 0) || y[middle].is_nan() {
            continue;
        }
        factors[middle % m] += form.remove(y[middle], total.0 / total.1);
        counts[middle % m] += 1.0;
    }
    let (mut sum, mut phases) = (0.0, 0.0);
    for (factor, &n) in factors.iter_mut().zip(&counts).filter(|(_, n)| **n > 0.0) {
        *factor /= n;
        sum += *factor;
        phases += 1.0;
    }
    for (factor, &n) in factors.iter_mut().zip(&counts) {
        *factor = if n > 0.0 { form.remove(*factor, sum / phases) } else { neutral };
    }
    buffers.give(counts);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pure_season_is_found_and_taken_apart_exactly() {
        for (form, season) in [
            (Form::Additive, vec![3.0, -1.0, -2.0, 0.0]),
            (Form::Additive, vec![5.0, -2.0, 1.0, 0.0, -4.0]),
            (Form::Multiplicative, vec![1.5, 0.5, 1.25, 0.75]),
            (Form::Multiplicative, vec![1.5, 0.5, 1.0]),
        ] {
            let m = season.len();
            for n in 2 * m..4 * m + 2 {
                let y: Vec<f64> = (0..n).map(|t| form.restore(8.0, season[t % m])).collect();
                let mut factors = Vec::new();
                decompose(&y, m, form, &mut factors, &mut Buffers::default());
                let worst = factors.iter().zip(&season).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst < 1e-14, "{form:?} m={m} n={n} {factors:?}");
            }
        }
    }

    #[test]
    fn a_season_is_found_at_its_length_alone() {
        let y: Vec<f64> = (0..48).map(|t| [3.0, -1.0, -2.0, 0.0][t % 4] + (t * t % 5) as f64 / 10.0).collect();
        assert!(is_seasonal(&y, 4, &mut Buffers::default()) && !is_seasonal(&y, 3, &mut Buffers::default()));
    }

    #[test]
    fn gaps_leave_the_factors_where_they_were() {
        let season = [3.0, -1.0, -2.0, 0.0];
        // The line makes a window with a gap stray by at most its slope times half a season.
        let mut y: Vec<f64> = (0..40).map(|t| 10.0 + 0.001 * f64::from(t) + season[t as usize % 4]).collect();
        let mut factors = Vec::new();
        (0..40).step_by(4).for_each(|t| y[t] = f64::NAN);
        decompose(&y, 4, Form::Additive, &mut factors, &mut Buffers::default());
        // The first phase is never observed; the others keep their distances.
        assert_eq!(factors[0], 0.0);
        assert!((factors[1] - factors[2] - 1.0).abs() < 0.01 && (factors[3] - factors[1] - 1.0).abs() < 0.01);
    }

    #[test]
    fn noise_and_constants_have_no_season() {
        assert!(!is_seasonal(&[4.0; 50], 12, &mut Buffers::default()));
        assert!(!is_seasonal(&[0.1; 50], 12, &mut Buffers::default()));
        let y: Vec<f64> = (0..60_u64).map(|t| ((t + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 50) as f64).collect();
        assert!(!is_seasonal(&y, 7, &mut Buffers::default()));
        assert!(!is_seasonal(&[1.0, 2.0], 7, &mut Buffers::default()));
    }
}
