//! Exponential smoothing of sums over buckets of several periods: what ADIDA and IMAPA share.
//!
//! In: a series of mostly zeros. Out: the demand per period, from one or from several bucket lengths.

use super::croston::constant_level;
use super::exponential_smoothing::LANES;
use super::{Buffers, Kernel, Path, Refusal, Spread, State};

/// Between these a smoothing parameter is searched, as statsforecast does.
const ALPHA: (f64, f64) = (0.1, 0.3);

/// Search rounds at most; the second is the last unless the best of it lies at its end.
const ROUNDS: usize = 3;

/// How near the vertex of the first round's parabola the second round looks, in steps of the first.
const NEAR: f64 = 0.15;

/// Most bucket lengths that IMAPA averages over; more are thinned out evenly. Without a limit a series with one demand
/// would get as many as it has periods.
const LENGTHS_MAX: usize = 64;

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
        let count = if self.lengths == Lengths::All { longest.min(LENGTHS_MAX) } else { 1 };
        let mut sums = buffers.take(0);
        state.states.push(f64::NAN);
        let has_gaps = y.iter().any(|v| v.is_nan());
        for length in (1..=count).map(|k| longest * k / count) {
            let before = y.len() % length;
            sums.clear();
            let buckets = y[before..].chunks_exact(length);
            let alpha = if has_gaps {
                sums.extend(buckets.map(bucket_sum).filter(|s| !s.is_nan()));
                bounded_alpha(&sums)
            } else if length == 1 {
                bounded_alpha(y)
            } else {
                sums.extend(buckets.map(|bucket| bucket.iter().fold(0.0, |sum, v| sum + v)));
                bounded_alpha(&sums)
            };
            state.parameters.extend([length as f64, alpha]);
            state.states.extend([f64::NAN, 0.0, 0.0, -(before as f64)]);
        }
        buffers.give(sums);
        Ok(())
    }

    fn update(&self, y: &[f64], state: &mut State) {
        let State { parameters, states, steps, errors, sse, .. } = state;
        let Some((forecast, fields)) = states.split_first_mut() else { return };
        let (buckets, lengths) = (fields.as_chunks_mut::<FIELDS>().0, parameters.as_chunks::<2>().0);
        let (mut count, mut sum, mut rest) = (0, *sse, y);
        while !rest.is_empty() {
            // Up to the next end of a bucket nothing changes but the sums; of several lengths one may end anywhere.
            let until = if let ([bucket], [[length, _]]) = (&*buckets, lengths) { left(bucket, *length) } else { 1 };
            let (values, after) = rest.split_at(until.clamp(1, rest.len()));
            rest = after;
            if !forecast.is_nan() {
                for v in values.iter().filter(|v| !v.is_nan()) {
                    let e = v - *forecast;
                    sum += e * e;
                    count += 1;
                }
            }
            let mut is_full = false;
            for (bucket, [length, alpha]) in buckets.iter_mut().zip(lengths) {
                is_full |= put(bucket, values, *length, *alpha);
            }
            if is_full {
                *forecast = per_period(buckets, lengths);
            }
        }
        *steps += y.len() as u64;
        *errors += count;
        *sse = sum;
    }

    fn forecast(&self, state: &State, path: &mut Path) -> Spread {
        let level = state.states[0];
        constant_level(state, if level.is_nan() { 0.0 } else { level }, path)
    }
}

/// Periods to the end of the bucket in progress, or to the start of the first one.
#[inline]
fn left(bucket: &[f64; FIELDS], length: f64) -> usize {
    let periods = bucket[3];
    (if periods < 0.0 { -periods } else { length - periods }) as usize
}

/// Further periods into the bucket in progress, at most to its end; true if it is full and moved the level.
#[inline]
fn put(bucket: &mut [f64; FIELDS], values: &[f64], length: f64, alpha: f64) -> bool {
    let [level, sum, observed, periods] = bucket;
    let is_before = *periods < 0.0;
    *periods += values.len() as f64;
    if is_before {
        return false;
    }
    for v in values.iter().filter(|v| !v.is_nan()) {
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
    let occurs = |v: &f64| *v != 0.0 && !v.is_nan();
    let Some(last) = y.iter().rposition(occurs) else { return 1 };
    let count = |is: &dyn Fn(&f64) -> bool| y[..=last].iter().filter(|v| is(v)).count();
    let (periods, demands) = (count(&|v| !v.is_nan()), count(&occurs));
    (periods as f64 / demands as f64).round_ties_even() as usize
}

/// Sum of a full bucket, what is missing taken as the mean of the rest; NaN if all is missing.
fn bucket_sum(bucket: &[f64]) -> f64 {
    let (sum, n) = bucket.iter().filter(|v| !v.is_nan()).fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
    if n > 0.0 { sum * (bucket.len() as f64 / n) } else { f64::NAN }
}

/// The smoothing parameter from 0.1 to 0.3 with the least sum of squared one-step errors from the first value on; where it
/// makes no difference, the middle.
///
/// Rounds of eight candidates side by side; the vertex of the parabola through the best and its neighbours is the middle
/// of the next round and at last the answer. O(n) time, no memory; exact in bits for values scaled by a power of two.
pub(super) fn bounded_alpha(x: &[f64]) -> f64 {
    let (mut low, mut high) = ALPHA;
    let middle = 0.5 * (low + high);
    let Some((first, rest)) = x.split_first().filter(|(_, rest)| rest.len() > 1) else { return middle };
    let mut found = middle;
    for round in 0..ROUNDS {
        let step = (high - low) / (LANES - 1) as f64;
        let alpha: [f64; LANES] = std::array::from_fn(|k| low + step * k as f64);
        let sse = smoothing_errors(*first, rest, &alpha);
        let k = (0..LANES).fold(0, |best, k| if sse[k] < sse[best] { k } else { best });
        if round == 0 && sse.iter().all(|s| *s == sse[0]) {
            break;
        }
        found = alpha[k];
        if k == 0 || k + 1 == LANES {
            // At an end of the range the next round looks beside it, else it looks about it.
            (low, high) = ((found - step).max(ALPHA.0), (found + step).min(ALPHA.1));
            continue;
        }
        let bend = (sse[k - 1] - sse[k]) + (sse[k + 1] - sse[k]);
        found += if bend > 0.0 { 0.5 * step * (sse[k - 1] - sse[k + 1]) / bend } else { 0.0 };
        if round > 0 {
            break;
        }
        (low, high) = ((found - NEAR * step).max(ALPHA.0), (found + NEAR * step).min(ALPHA.1));
    }
    found.clamp(ALPHA.0, ALPHA.1)
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

#[cfg(test)]
mod tests;
