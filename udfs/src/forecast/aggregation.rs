//! Exponential smoothing of sums over buckets of several periods: what ADIDA and IMAPA share.
//!
//! In: a series of mostly zeros. Out: the demand per period, from one or from several bucket lengths.

use super::croston::constant_level;
use super::exponential_smoothing::LANES;
use super::{Buffers, Kernel, Path, Refusal, Spread, State};

/// Between these a smoothing parameter is searched, as statsforecast does.
const ALPHA: (f64, f64) = (0.1, 0.3);

/// Longest bucket of all that IMAPA averages over. Without a limit a series with one demand would get as many bucket
/// lengths as it has periods; so far apart, the buckets say the same thing.
const LEVELS_MAX: usize = 64;

/// Fields of a bucket length in the states: level of the sums (NaN before the first full bucket), sum of the bucket in
/// progress, its periods observed, its periods (negative while the series is before its first bucket).
const FIELDS: usize = 4;

/// Which lengths of buckets are smoothed; the mean interval between demands, rounded, is the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lengths {
    /// That one alone.
    Longest,
    /// Every one from 1 up to it.
    All,
}

/// Parameters: length and alpha of each bucket length. States: the forecast (NaN before the first full bucket), then the
/// fields of each length.
pub(super) struct Aggregation {
    pub(super) lengths: Lengths,
}

impl Kernel for Aggregation {
    fn observations_min(&self) -> usize {
        1
    }

    fn estimate(&self, y: &[f64], buffers: &mut Buffers, state: &mut State) -> Result<(), Refusal> {
        let longest = mean_interval(y);
        let lengths = match self.lengths {
            Lengths::Longest => longest..=longest,
            Lengths::All => 1..=longest.min(LEVELS_MAX),
        };
        let mut sums = buffers.take(0);
        state.states.push(f64::NAN);
        for length in lengths {
            let before = y.len() % length;
            sums.clear();
            sums.extend(y[before..].chunks(length).map(|bucket| bucket_sum(bucket, length)).filter(|s| !s.is_nan()));
            state.parameters.extend([length as f64, bounded_alpha(&sums)]);
            state.states.extend([f64::NAN, 0.0, 0.0, -(before as f64)]);
        }
        buffers.give(sums);
        Ok(())
    }

    fn update(&self, y: &[f64], state: &mut State) {
        for &v in y {
            state.steps += 1;
            if !v.is_nan() && !state.states[0].is_nan() {
                state.count(v - state.states[0]);
            }
            let Some((forecast, fields)) = state.states.split_first_mut() else { return };
            let lengths = state.parameters.as_chunks::<2>().0;
            let mut is_full = false;
            for (bucket, [length, alpha]) in fields.as_chunks_mut::<FIELDS>().0.iter_mut().zip(lengths) {
                is_full |= put(bucket, v, *length, *alpha);
            }
            if is_full {
                *forecast = per_period(fields.as_chunks::<FIELDS>().0, lengths);
            }
        }
    }

    fn forecast(&self, state: &State, path: &mut Path) -> Spread {
        let level = state.states[0];
        constant_level(state, if level.is_nan() { 0.0 } else { level }, path)
    }
}

/// One more period into the bucket in progress; true if it made the bucket full and moved the level.
#[inline]
fn put(bucket: &mut [f64; FIELDS], v: f64, length: f64, alpha: f64) -> bool {
    let [level, sum, observed, periods] = bucket;
    *periods += 1.0;
    if *periods <= 0.0 {
        return false;
    }
    if !v.is_nan() {
        *sum += v;
        *observed += 1.0;
    }
    if *periods < length {
        return false;
    }
    let seen = *observed > 0.0;
    if seen {
        let whole = *sum * (length / *observed);
        *level = if level.is_nan() { whole } else { *level + alpha * (whole - *level) };
    }
    (*sum, *observed, *periods) = (0.0, 0.0, 0.0);
    seen
}

/// Mean over the bucket lengths that have a level.
fn per_period(fields: &[[f64; FIELDS]], lengths: &[[f64; 2]]) -> f64 {
    let (mut sum, mut n) = (0.0, 0.0);
    for (bucket, [length, _]) in fields.iter().zip(lengths).filter(|(b, _)| !b[0].is_nan()) {
        sum += bucket[0] / length;
        n += 1.0;
    }
    sum / n
}

/// Mean interval between demands, the first counted from the start of the series, to the nearest whole period (halves to
/// even, as Python rounds); 1 without a demand. Missing values are no periods.
fn mean_interval(y: &[f64]) -> usize {
    let (mut periods, mut demands, mut last) = (0_u64, 0_u64, 0_u64);
    for v in y.iter().filter(|v| !v.is_nan()) {
        periods += 1;
        let occurs = *v != 0.0;
        demands += u64::from(occurs);
        last = if occurs { periods } else { last };
    }
    if demands == 0 { 1 } else { (last as f64 / demands as f64).round_ties_even() as usize }
}

/// Sum of a full bucket, what is missing taken as the mean of the rest; NaN if all is missing.
fn bucket_sum(bucket: &[f64], length: usize) -> f64 {
    let plain: f64 = bucket.iter().sum();
    if !plain.is_nan() {
        return plain;
    }
    let (sum, n) = bucket.iter().filter(|v| !v.is_nan()).fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
    if n > 0.0 { sum * (length as f64 / n) } else { f64::NAN }
}

/// The smoothing parameter from 0.1 to 0.3 with the least sum of squared one-step errors from the first value on.
///
/// Two rounds of eight candidates side by side, then the vertex of the parabola through the best and its neighbours. O(n)
/// time, no memory; exact in bits for values scaled by a power of two.
pub(super) fn bounded_alpha(x: &[f64]) -> f64 {
    let (mut low, mut high) = ALPHA;
    let Some((first, rest)) = x.split_first().filter(|(_, rest)| !rest.is_empty()) else { return low };
    let mut found = low;
    for round in 0..2 {
        let step = (high - low) / (LANES - 1) as f64;
        let alpha: [f64; LANES] = std::array::from_fn(|k| low + step * k as f64);
        let sse = smoothing_errors(*first, rest, &alpha);
        let k = (0..LANES).fold(0, |best, k| if sse[k] < sse[best] { k } else { best });
        found = alpha[k];
        if round == 0 {
            (low, high) = (alpha[k.saturating_sub(1)], alpha[(k + 1).min(LANES - 1)]);
        } else if k > 0 && k + 1 < LANES {
            let bend = (sse[k - 1] - sse[k]) + (sse[k + 1] - sse[k]);
            if bend > 0.0 {
                found += 0.5 * step * (sse[k - 1] - sse[k + 1]) / bend;
            }
        }
    }
    found
}

/// Sums of squared one-step errors of exponential smoothing from `first` on.
fn smoothing_errors(first: f64, rest: &[f64], alpha: &[f64; LANES]) -> [f64; LANES] {
    let keep = alpha.map(|a| 1.0 - a);
    let (mut level, mut sse) = ([first; LANES], [0.0; LANES]);
    for &v in rest {
        for k in 0..LANES {
            let e = v - level[k];
            sse[k] += e * e;
            // As a weighted mean rather than level + alpha e: shorter from one level to the next.
            level[k] = keep[k] * level[k] + alpha[k] * v;
        }
    }
    sse
}
