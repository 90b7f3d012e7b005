//! Where a backcast begins: level, trend and seasons at the end of a series.
//!
//! In: the series. Out: rough states, which the way back to the first value refines.

use super::form::{Form, Season};
use crate::forecast::exponential_smoothing::{end_level, phase_means, profile};

/// Level and trend one step after the last value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::forecast) struct End {
    pub(in crate::forecast) level: f64,
    pub(in crate::forecast) trend: f64,
}

/// Values that the trend at the end is drawn from, where there is no season.
const TAIL: usize = 10;

/// Steps, rounded up to whole seasons, that it is drawn from where there is one: neighbouring seasons tell a slow trend badly.
const SPAN: usize = 56;

/// What a multiplicative season is at least, so that it can be divided by.
const LEAST: f64 = 1e-3;

/// The end of `y` for a form; `seasons` is filled by [`seasons`].
pub(in crate::forecast) fn end(y: &[f64], form: Form, m: usize) -> End {
    let m = if form.has_season() { m } else { 0 };
    if !form.has_trend() {
        return End { level: end_level(y, m), trend: 0.0 };
    }
    if m > 0 { last_seasons(y, m) } else { last_values(y) }
}

/// The least-squares line through the last values.
fn last_values(y: &[f64]) -> End {
    let tail = || y.iter().rev().enumerate().filter(|(_, v)| !v.is_nan()).take(TAIL);
    let (mut n, mut st, mut sy) = (0.0, 0.0, 0.0);
    tail().for_each(|(t, v)| (n, st, sy) = (n + 1.0, st + t as f64, sy + v));
    let (mt, my) = (st / n, sy / n);
    let (mut stt, mut sty) = (0.0, 0.0);
    tail().for_each(|(t, v)| {
        let d = t as f64 - mt;
        (stt, sty) = (stt + d * d, sty + d * (v - my));
    });
    let back = if stt > 0.0 { sty / stt } else { 0.0 };
    End { level: my - back * (mt + 1.0), trend: -back }
}

/// The line through the means of the last season and of one some seasons before it.
fn last_seasons(y: &[f64], m: usize) -> End {
    let n = y.len();
    let mean = |from: usize, to: usize| {
        let (sum, k) = y[from..to].iter().filter(|v| !v.is_nan()).fold((0.0, 0.0), |(sum, k), v| (sum + v, k + 1.0));
        if k > 0.0 { Some(sum / k) } else { None }
    };
    let seasons = SPAN.div_ceil(m).min((n / m).saturating_sub(1)).max(1);
    let last = mean(n.saturating_sub(m), n);
    let before = mean(n.saturating_sub((seasons + 1) * m), n.saturating_sub(seasons * m));
    match (last, before) {
        (Some(a), Some(b)) => {
            let trend = (a - b) / (seasons * m) as f64;
            End { level: a + trend * 0.5 * (m as f64 + 1.0), trend }
        }
        _ => End { level: end_level(y, m), trend: 0.0 },
    }
}

/// The season of each phase: deviations from a moving average, or ratios to it.
pub(in crate::forecast) fn seasons(y: &[f64], season: Season, m: usize, out: &mut Vec<f64>) {
    match season {
        Season::None => out.clear(),
        Season::Add => profile(y, m, out),
        Season::Mul => ratios(y, m, out),
    }
}

/// Mean ratio of each phase to the centred moving average over one season, brought to mean one.
fn ratios(y: &[f64], m: usize, out: &mut Vec<f64>) {
    out.clear();
    out.resize(m, 0.0);
    if y.iter().any(|v| v.is_nan()) {
        // Missing values leave no moving average.
        phase_means(y, out);
        let all = end_level(y, y.len());
        out.iter_mut().for_each(|s| *s = (1.0 + *s / all).max(LEAST));
        return;
    }
    let half = m / 2;
    let even = m.is_multiple_of(2);
    for (phase, s) in out.iter_mut().enumerate() {
        let (mut sum, mut count) = (0.0, 0.0);
        for t in (phase..y.len()).step_by(m) {
            if t < half || t + half >= y.len() {
                continue;
            }
            let window = &y[t - half..=t + half];
            let ends = if even { 0.5 * (window[0] + window[2 * half]) } else { window[0] + window[2 * half] };
            let middle = (window[1..2 * half].iter().sum::<f64>() + ends) / m as f64;
            if middle > 0.0 {
                (sum, count) = (sum + y[t] / middle, count + 1.0);
            }
        }
        *s = if count > 0.0 { sum / count } else { 1.0 };
    }
    let mean = out.iter().sum::<f64>() / m as f64;
    out.iter_mut().for_each(|s| *s = (*s / mean).max(LEAST));
}
