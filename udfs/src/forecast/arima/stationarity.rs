//! How often to difference: KPSS for the level, the strength of the season for the season.
//!
//! In: a series without gaps. Out: yes or no.

use super::super::Buffers;

/// 5 % critical value of the KPSS statistic for a level.
const KPSS_CRITICAL: f64 = 0.463;

/// A season stronger than this is differenced.
const STRENGTH: f64 = 0.64;

/// Window of the season's smoother, in seasons.
const SEASON_WINDOW: usize = 11;

/// Whether KPSS rejects at 5 % that the series strays around a fixed level.
///
/// Source: Kwiatkowski, Phillips, Schmidt & Shin (1992); window of the variance as in R's `forecast::ndiffs`.
pub(super) fn strays(values: &[f64]) -> bool {
    let n = values.len() as f64;
    let window = (3.0 * n.sqrt() / 13.0) as usize;
    let mean = values.iter().sum::<f64>() / n;
    let (mut partial, mut squares) = (0.0, 0.0);
    for v in values {
        partial += v - mean;
        squares += partial * partial;
    }
    let covariance = |lag: usize| {
        let later = values.get(lag..).unwrap_or_default();
        later.iter().zip(values).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>()
    };
    let weighted: f64 = (1..=window).map(|s| (1.0 - s as f64 / (window + 1) as f64) * covariance(s)).sum();
    let variance = (covariance(0) + 2.0 * weighted) / n;
    squares > KPSS_CRITICAL * n * n * variance
}

/// Whether the season is strong enough to be differenced: 1 - Var(remainder) / Var(season + remainder) of a decomposition
/// by loess. Needs two seasons of values.
///
/// Source: Wang, Smith & Hyndman (2006); threshold of R's `forecast::nsdiffs`; decomposition of Cleveland et al. (1990), STL.
pub(super) fn season_is_strong(values: &[f64], m: usize, buffers: &mut Buffers) -> bool {
    let n = values.len();
    if m < 2 || n < 2 * m {
        return false;
    }
    let (mut season, mut trend) = (buffers.take(n), buffers.take(n));
    decompose(values, m, &mut season, &mut trend, buffers);
    let detrended = variance(values.iter().zip(&trend).map(|(v, t)| v - t));
    let rest = variance(values.iter().zip(&trend).zip(&season).map(|((v, t), s)| v - t - s));
    buffers.give(season);
    buffers.give(trend);
    rest < (1.0 - STRENGTH) * detrended
}

fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / n;
    values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / n
}

/// STL with two inner loops and no robustness weights.
fn decompose(values: &[f64], m: usize, season: &mut [f64], trend: &mut [f64], buffers: &mut Buffers) {
    let n = values.len();
    let odd = |w: usize| w + 1 - w % 2;
    let trend_window = odd((1.5 * m as f64 / (1.0 - 1.5 / SEASON_WINDOW as f64)).ceil() as usize);
    let (mut cycle, mut means) = (buffers.take(n + 2 * m), buffers.take(n + 2 * m));
    let (mut detrended, mut phase, mut smooth) = (buffers.take(n), buffers.take(n / m + 1), buffers.take(n / m + 3));
    let mut kernel = buffers.take(0);
    for _ in 0..2 {
        detrended.iter_mut().zip(values.iter().zip(trend.iter())).for_each(|(d, (v, t))| *d = v - t);
        for first in 0..m {
            phase.clear();
            phase.extend(detrended[first..].iter().step_by(m));
            let count = phase.len() + 2;
            smooth.resize(count, 0.0);
            loess::<false>(&phase, SEASON_WINDOW, -1, &mut smooth, &mut kernel);
            smooth.iter().enumerate().for_each(|(i, s)| cycle[first + i * m] = *s);
        }
        // Three moving averages leave n of n + 2 m values.
        means.copy_from_slice(&cycle);
        for width in [m, m, 3] {
            moving_average(&mut means, width);
        }
        loess::<true>(&means, odd(m), 0, season, &mut kernel);
        season.iter_mut().zip(&cycle[m..]).for_each(|(s, c)| *s = c - *s);
        means.resize(n + 2 * m, 0.0);
        detrended.iter_mut().zip(values.iter().zip(season.iter())).for_each(|(d, (v, s))| *d = v - s);
        loess::<true>(&detrended, trend_window, 0, trend, &mut kernel);
    }
    for vector in [cycle, means, detrended, phase, smooth, kernel] {
        buffers.give(vector);
    }
}

/// Means of `width` neighbours, in place; shorter by `width - 1`.
fn moving_average(values: &mut Vec<f64>, width: usize) {
    let n = values.len() + 1 - width;
    for t in 0..n {
        values[t] = values[t..t + width].iter().sum::<f64>() / width as f64;
    }
    values.truncate(n);
}

/// Tricube-weighted means, or lines, of the `window` nearest values, at positions `from`, `from + 1`, ..
fn loess<const LINE: bool>(values: &[f64], window: usize, from: isize, out: &mut [f64], kernel: &mut Vec<f64>) {
    let n = values.len();
    let taken = window.min(n);
    let half = taken / 2;
    let mut before = (usize::MAX, 0);
    for (i, to) in out.iter_mut().enumerate() {
        let at = i as isize + from;
        let left = (at - half as isize).clamp(0, (n - taken) as isize) as usize;
        let offset = at - left as isize;
        // Inside, the weights are those of the position before.
        if before != (left.min(1), offset) || left == 0 || left == n - taken {
            let reach = offset.max(taken as isize - 1 - offset) as f64 + (window - taken) as f64 / 2.0;
            weights::<LINE>(taken, offset as f64, reach.max(1.0), kernel);
        }
        before = (left.min(1), offset);
        *to = kernel.iter().zip(&values[left..]).map(|(w, v)| w * v).sum();
    }
}

/// Weights of `taken` values in the estimate at `at`; they sum to 1.
fn weights<const LINE: bool>(taken: usize, at: f64, reach: f64, kernel: &mut Vec<f64>) {
    kernel.clear();
    kernel.extend((0..taken).map(|j| {
        let r = (j as f64 - at).abs() / reach;
        let inside = (1.0 - r * r * r).max(0.0);
        inside * inside * inside
    }));
    let sum: f64 = kernel.iter().sum();
    kernel.iter_mut().for_each(|w| *w /= sum);
    if LINE {
        let mean: f64 = kernel.iter().enumerate().map(|(j, w)| w * j as f64).sum();
        let spread: f64 = kernel.iter().enumerate().map(|(j, w)| w * (j as f64 - mean) * (j as f64 - mean)).sum();
        if spread > 1e-6 * (taken * taken) as f64 {
            let slope = (at - mean) / spread;
            kernel.iter_mut().enumerate().for_each(|(j, w)| *w *= 1.0 + slope * (j as f64 - mean));
        }
    }
}
