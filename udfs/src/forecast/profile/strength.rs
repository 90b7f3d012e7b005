//! A cheap classical decomposition: how strong trend and season are, and the season by itself.
//!
//! In: the values of one series, NaN where missing. Out: two strengths in 0..1, and the season of each phase.

/// Seasons below which there is no seasonal strength: the moving average loses one of them at the ends, and from a single
/// value of each phase every series looks seasonal.
const SEASONS_MIN: usize = 3;

/// Values below which there is no trend strength of a series without season.
const TREND_MIN: usize = 10;

/// The standard deviation of a normal distribution in median absolute deviations: 1 / z(0.75).
pub(super) const MEDIAN_DEVIATIONS: f64 = 1.482_602_218_505_602;

/// Variances below this share of the largest square are rounding, not movement.
const ROUNDING: f64 = 1e-24;

/// How much of the movement of a series is trend and season.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Strength {
    /// max(0, 1 - Var(R) / Var(S + R)); `None` without a season or with less than three of them.
    pub(super) seasonal: Option<f64>,
    /// max(0, 1 - Var(R) / Var(T + R)); `None` if the series is too short.
    pub(super) trend: Option<f64>,
}

/// Working memory of a decomposition; `season` is its result.
#[derive(Debug, Default)]
pub(super) struct Decomposition {
    /// The usual distance of each phase from the trend, as its median: what spikes and level shifts are looked for without.
    /// Empty if it is no clearer than noise: taking that out would only add some.
    pub(super) season: Vec<f64>,
    pub(super) trend: Vec<f64>,
    pub(super) phase: Vec<f64>,
}

/// Decomposes `y` into trend T, season S and remainder R.
///
/// T is the centred moving average over one season (the mean of two neighbouring windows if the season is even); without a
/// season over a tenth of the series, at least five values. S is the mean of y - T in each phase, shifted to sum zero. What
/// T does not reach at the ends is left out. A window with missing values is the mean of the others if at least half
/// of it is observed. O(n log n) time for the medians.
/// Source: Wang, Smith & Hyndman (2006), Characteristic-based clustering for time series data, and Hyndman &
/// Athanasopoulos, FPP3, 4.3, with the classical decomposition of FPP3, 3.4, in place of STL.
pub(super) fn strength(y: &[f64], season_length: usize, work: &mut Decomposition) -> Strength {
    let n = y.len();
    work.season.clear();
    let m = season_length.max(1);
    if m == 1 {
        if n < TREND_MIN {
            return Strength::default();
        }
        moving_average(y, ((n / 10) | 1).max(5), &mut work.trend);
        return Strength { seasonal: None, trend: share(y, &work.trend, &[0.0]).1 };
    }
    if n < SEASONS_MIN * m {
        return Strength::default();
    }
    moving_average(y, m, &mut work.trend);
    let mut means = std::mem::take(&mut work.season);
    phases(y, m, work, &mut means, |values| values.iter().sum::<f64>() / values.len() as f64);
    let (seasonal, trend) = share(y, &work.trend, &means);
    phases(y, m, work, &mut means, |values| {
        values.sort_unstable_by(f64::total_cmp);
        median_of_sorted(values)
    });
    work.season = means;
    if !is_clear(y, work) {
        work.season.clear();
    }
    Strength { seasonal, trend }
}

/// Whether the season of the phases' medians stands out: its mean distance from zero is half a standard deviation of the
/// remainder, and twice that of a phase's median. Medians throughout, so that no single spike decides.
fn is_clear(y: &[f64], work: &mut Decomposition) -> bool {
    let m = work.season.len();
    let parts = y.iter().zip(&work.trend).enumerate().map(|(t, (v, trend))| (v - trend - work.season[t % m]).abs());
    work.phase.clear();
    work.phase.extend(parts.filter(|rest| !rest.is_nan()));
    let values = work.phase.len();
    if values == 0 {
        return false;
    }
    let (_, median, _) = work.phase.select_nth_unstable_by(values / 2, f64::total_cmp);
    let of_phase = 2.0 / (values as f64 / m as f64).sqrt();
    let noise = MEDIAN_DEVIATIONS * *median;
    work.season.iter().map(|s| s.abs()).sum::<f64>() / m as f64 > noise * of_phase.max(0.5)
}

/// The centred moving average over `m` values; NaN where the window does not fit or less than half of it is observed.
fn moving_average(y: &[f64], m: usize, out: &mut Vec<f64>) {
    out.clear();
    out.resize(y.len(), f64::NAN);
    let even = m.is_multiple_of(2);
    let mut before = (0.0, 0.0);
    let mut window = (0.0, 0.0);
    for first in 0..(y.len() + 1).saturating_sub(m) {
        // Sliding sums gather rounding errors: each season's first one is taken afresh.
        if first % m == 0 {
            window = y[first..first + m].iter().fold((0.0, 0.0), |w, v| add(w, *v, 1.0));
        } else {
            window = add(add(window, y[first + m - 1], 1.0), y[first - 1], -1.0);
        }
        let (middle, (sum, count), full) = if even {
            ((first + m / 2).wrapping_sub(1), (before.0 + window.0, before.1 + window.1), 2 * m)
        } else {
            (first + m / 2, window, m)
        };
        before = window;
        if (!even || first > 0) && 2.0 * count >= full as f64 {
            out[middle] = sum / count;
        }
    }
}

fn add((sum, count): (f64, f64), v: f64, sign: f64) -> (f64, f64) {
    if v.is_nan() { (sum, count) } else { (sum + sign * v, count + sign) }
}

/// The centre of y - T in each phase, all of them shifted to sum zero.
fn phases(y: &[f64], m: usize, work: &mut Decomposition, out: &mut Vec<f64>, centre: impl Fn(&mut [f64]) -> f64) {
    out.clear();
    for phase in 0..m {
        let rest = y.iter().zip(&work.trend).skip(phase).step_by(m).map(|(v, t)| v - t).filter(|d| !d.is_nan());
        work.phase.clear();
        work.phase.extend(rest);
        out.push(if work.phase.is_empty() { 0.0 } else { centre(&mut work.phase) });
    }
    let shift = out.iter().sum::<f64>() / m as f64;
    out.iter_mut().for_each(|s| *s -= shift);
}

/// Seasonal and trend strength.
fn share(y: &[f64], trend: &[f64], season: &[f64]) -> (Option<f64>, Option<f64>) {
    let m = season.len();
    let parts = || {
        y.iter()
            .zip(trend)
            .enumerate()
            .filter(|(_, (v, t))| !(*v - *t).is_nan())
            .map(|(i, (v, t))| (*v, *t, season[i % m]))
    };
    let [rest, without_trend, without_season] = variances(parts().map(|(v, t, s)| [v - t - s, v - t, v - s]));
    let largest = parts().fold(0.0_f64, |a, (v, ..)| a.max(v * v));
    let of = |rest: Option<f64>, whole: Option<f64>| match (rest, whole) {
        (Some(_), Some(whole)) if whole <= ROUNDING * largest => Some(0.0),
        (Some(rest), Some(whole)) => Some((1.0 - rest / whole).max(0.0)),
        _ => None,
    };
    (of(rest, without_trend), of(rest, without_season))
}

/// Variances, in one pass by Welford's updates; `None` of fewer than two values.
fn variances<const K: usize>(values: impl Iterator<Item = [f64; K]>) -> [Option<f64>; K] {
    let (mut n, mut mean, mut squares) = (0.0, [0.0; K], [0.0; K]);
    for v in values {
        n += 1.0;
        let share = 1.0 / n;
        for k in 0..K {
            let before = v[k] - mean[k];
            mean[k] += before * share;
            squares[k] += before * (v[k] - mean[k]);
        }
    }
    squares.map(|s| (n > 1.0).then(|| s / (n - 1.0)))
}

/// The middle value, or the mean of the two; not of an empty slice.
pub(super) fn median_of_sorted(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    if n % 2 == 1 { sorted[n / 2] } else { 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(y: &[f64], m: usize) -> (Strength, Vec<f64>) {
        let mut work = Decomposition::default();
        let strength = strength(y, m, &mut work);
        (strength, work.season)
    }

    /// Deterministic noise with mean zero in [-1, 1).
    fn noise(t: usize) -> f64 {
        let x = (t as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / (1u64 << 23) as f64 - 1.0
    }

    #[test]
    fn a_pure_season_on_a_line_has_both_strengths_and_is_found() {
        for season in [vec![3.0, -1.0, -2.0], vec![4.0, 0.0, -1.0, -3.0]] {
            let m = season.len();
            let y: Vec<f64> = (0..10 * m).map(|t| 5.0 + 0.5 * t as f64 + season[t % m]).collect();
            let (found, of_phase) = of(&y, m);
            assert!(found.seasonal.unwrap() > 0.999_999 && found.trend.unwrap() > 0.999_999, "{found:?}");
            assert!(of_phase.len() == m && of_phase.iter().zip(&season).all(|(a, b)| (a - b).abs() < 1e-9));
        }
    }

    #[test]
    fn noise_has_hardly_any_strength() {
        let y: Vec<f64> = (0..700).map(noise).collect();
        let (found, season) = of(&y, 7);
        assert!(season.is_empty());
        assert!(found.seasonal.unwrap() < 0.1 && found.trend.unwrap() < 0.25, "{found:?}");
        assert!(of(&y, 1).0.trend.unwrap() < 0.1);
    }

    /// Golden: numpy 2.4.6 by hand: T = convolve(y, [.5, 1, 1, 1, .5] / 4), S = phase means of y - T minus
    /// their mean, strengths with ddof=1. Tolerance 1e-12: sums in another order.
    #[test]
    fn strengths_agree_with_numpy() {
        let y: Vec<f64> = (0..24).map(|t| [10.0, 3.0, 5.0, 9.0][t % 4] + 0.3 * t as f64 + (t * t % 7) as f64).collect();
        let (found, _) = of(&y, 4);
        assert!((found.seasonal.unwrap() - GOLDEN.0).abs() < 1e-12, "{found:?}");
        assert!((found.trend.unwrap() - GOLDEN.1).abs() < 1e-12, "{found:?}");
    }

    const GOLDEN: (f64, f64) = (0.8361324534071336, 0.571580364100021);

    #[test]
    fn a_constant_has_none_and_a_short_series_no_answer() {
        assert_eq!(of(&[0.1; 70], 7).0, Strength { seasonal: Some(0.0), trend: Some(0.0) });
        assert_eq!(of(&[1.0, 2.0, 3.0], 7).0, Strength::default());
        assert_eq!(of(&[], 1).0, Strength::default());
    }

    #[test]
    fn missing_values_leave_the_season_in_place() {
        let season = [3.0, -1.0, -2.0, 4.0, 0.0, -1.0, -3.0];
        let y: Vec<f64> = (0..140).map(|t| if t % 11 == 3 { f64::NAN } else { 20.0 + season[t % 7] }).collect();
        let (found, of_phase) = of(&y, 7);
        assert!(found.seasonal.unwrap() > 0.9, "{found:?}");
        assert!(of_phase.iter().zip(&season).all(|(a, b)| (a - b).abs() < 0.5), "{of_phase:?}");
    }
}
