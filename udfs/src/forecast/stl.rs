//! STL: a series taken apart into season, trend and remainder by LOESS, and MSTL for several seasons.
//!
//! In: a series with or without gaps. Out: the seasonal components and the trend, defined at every step.
//!
//! Missing values have weight zero in every local regression. Where no value within the window has a weight, a straight line
//! joins the fitted values on either side. Sums run in the order of time and no function of the host is called, so the same series gives
//! the same bits on every host.

use super::Buffers;
use crate::forecast::model::observed_count;

/// Local regression over the `window` nearest values: `degree` 0 (a mean) or 1 (a line), at every `jump`-th step, with
/// straight lines between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loess {
    pub(super) window: usize,
    pub(super) degree: usize,
    pub(super) jump: usize,
}

impl Loess {
    /// With a jump of a tenth of the window, as in R.
    fn new(window: usize, degree: usize) -> Self {
        Self { window, degree, jump: window.div_ceil(10) }
    }

    /// Smooths `y` into `out`, both of one length; zero if no value has a weight. `weights`: one for each value, or empty if
    /// all count alike.
    fn smooth(&self, y: &[f64], weights: &[f64], out: &mut [f64], scratch: &mut Vec<f64>) {
        let n = y.len();
        if n < 2 {
            out.copy_from_slice(y);
            return;
        }
        let jump = self.jump.clamp(1, n - 1);
        let half = self.window / 2;
        let even = if weights.is_empty() && n > self.window { self.even_weights(scratch) } else { 0 };
        let mut at = 0;
        while at < n {
            let first = at.saturating_sub(half).min(n.saturating_sub(self.window));
            let range = first..(first + self.window).min(n);
            out[at] = if even > 0 && at >= half && at + half < n {
                // The middle of a full window: the slope has no part in it.
                y[range].iter().zip(&scratch[..even]).fold(0.0, |sum, (y, w)| sum + y * w)
            } else {
                self.at(y, weights, at as f64, range, scratch, even).unwrap_or(f64::NAN)
            };
            if at >= jump {
                straight(out, at - jump, at);
            }
            let next = at + jump;
            if next >= n && at < n - 1 {
                let range = n.saturating_sub(self.window)..n;
                out[n - 1] = self.at(y, weights, (n - 1) as f64, range, scratch, even).unwrap_or(f64::NAN);
                straight(out, at, n - 1);
            }
            at = next;
        }
        if !weights.is_empty() {
            bridge(out);
        }
    }

    /// The weights of a full window about its middle, which sum to 1, at the start of `scratch`; how many.
    fn even_weights(&self, scratch: &mut Vec<f64>) -> usize {
        let half = (self.window / 2) as f64;
        scratch.clear();
        scratch.extend((0..self.window).map(|j| tricube((j as f64 - half).abs(), half)));
        let sum: f64 = scratch.iter().sum();
        scratch.iter_mut().for_each(|w| *w /= sum);
        if self.window % 2 == 1 && sum > 0.0 { self.window } else { 0 }
    }

    /// The local regression at `x`, in steps from the first value, over the values in `range`; `None` if none has a weight.
    /// `scratch` keeps its first `kept` entries.
    fn at(
        &self,
        y: &[f64],
        weights: &[f64],
        x: f64,
        range: std::ops::Range<usize>,
        scratch: &mut Vec<f64>,
        kept: usize,
    ) -> Option<f64> {
        // The distance at which weights fall to zero; a window longer than the series reaches beyond it.
        let more = (self.window.saturating_sub(y.len()) / 2) as f64;
        let reach = (x - range.start as f64).max((range.end - 1) as f64 - x) + more;
        let place = |j: usize| (range.start + j) as f64;
        scratch.truncate(kept);
        scratch.extend((0..range.len()).map(|j| tricube((place(j) - x).abs(), reach)));
        let w = &mut scratch[kept..];
        if !weights.is_empty() {
            w.iter_mut().zip(&weights[range.clone()]).for_each(|(w, weight)| *w *= weight);
        }
        let sum = w.iter().fold(0.0, |sum, w| sum + w);
        if sum <= 0.0 {
            return None;
        }
        let (whole, y) = (y.len(), &y[range.clone()]);
        let mean = w.iter().zip(y).fold(0.0, |sum, (w, y)| sum + w * y) / sum;
        if self.degree == 0 || reach <= 0.0 {
            return Some(mean);
        }
        let middle = w.iter().enumerate().fold(0.0, |sum, (j, w)| sum + w * place(j)) / sum;
        let (mut spread, mut slope) = (0.0, 0.0);
        for (j, (w, y)) in w.iter().zip(y).enumerate() {
            let off = place(j) - middle;
            spread += w * off * off;
            slope += w * off * y;
        }
        // Values all but in one place tell no slope.
        let least = 0.001 * (whole as f64 - 1.0);
        Some(if (spread / sum).sqrt() > least { mean + (x - middle) * (slope / spread) } else { mean })
    }
}

/// (1 - (distance / reach)^3)^3, and 1 and 0 near its ends.
#[inline]
fn tricube(distance: f64, reach: f64) -> f64 {
    if distance > 0.999 * reach {
        return 0.0;
    }
    if distance <= 0.001 * reach {
        return 1.0;
    }
    let share = distance / reach;
    let rest = 1.0 - share * share * share;
    rest * rest * rest
}

/// Puts straight lines where entries are NaN, and the nearest entry beyond both ends.
fn bridge(out: &mut [f64]) {
    let Some(first) = out.iter().position(|v| !v.is_nan()) else { return out.fill(0.0) };
    let start = out[first];
    out[..first].fill(start);
    let mut last = first;
    for t in first + 1..out.len() {
        if !out[t].is_nan() {
            if t > last + 1 {
                straight(out, last, t);
            }
            last = t;
        }
    }
    let end = out[last];
    out[last..].fill(end);
}

/// A straight line between two entries.
fn straight(out: &mut [f64], from: usize, to: usize) {
    let (start, rise) = (out[from], (out[to] - out[from]) / (to - from) as f64);
    out[from..to].iter_mut().enumerate().skip(1).for_each(|(j, v)| *v = start + rise * j as f64);
}

/// STL of one season.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stl {
    pub(super) period: usize,
    pub(super) seasonal: Loess,
    pub(super) trend: Loess,
    pub(super) low_pass: Loess,
    /// Passes that refine season and trend with the weights at hand.
    pub(super) inner: usize,
    /// Passes that take weight from values far off the fit.
    pub(super) outer: usize,
}

impl Stl {
    /// R's defaults: local means for the season, lines for trend and low pass, windows from that of the season.
    pub(super) fn new(period: usize, seasonal_window: usize, robust: bool) -> Self {
        let trend = (1.5 * period as f64 / (1.0 - 1.5 / seasonal_window as f64)).ceil() as usize;
        let (inner, outer) = if robust { (1, 15) } else { (2, 0) };
        Self {
            period,
            seasonal: Loess::new(seasonal_window | 1, 0),
            trend: Loess::new(trend | 1, 1),
            low_pass: Loess::new(period | 1, 1),
            inner,
            outer,
        }
    }

    /// Takes `y` apart into `seasonal` and `trend`, all of one length above twice the period.
    ///
    /// `observed`: 1 for each value and 0 for each gap, whose entry in `y` is finite and otherwise ignored; empty if there
    /// is no gap. O(n window / jump) time for each pass.
    pub(super) fn decompose(
        &self,
        y: &[f64],
        observed: &[f64],
        buffers: &mut Buffers,
        seasonal: &mut [f64],
        trend: &mut [f64],
    ) {
        let n = y.len();
        let mut weights = buffers.take(0);
        weights.extend_from_slice(observed);
        trend.fill(0.0);
        for outer in 0..=self.outer {
            for _ in 0..self.inner {
                self.pass(y, &weights, buffers, seasonal, trend);
            }
            if outer < self.outer {
                weights.resize(n, 1.0);
                robust_weights(y, observed, seasonal, trend, buffers, &mut weights);
            }
        }
        buffers.give(weights);
    }

    /// Season from what the trend leaves, then trend from what the season leaves.
    fn pass(&self, y: &[f64], weights: &[f64], buffers: &mut Buffers, seasonal: &mut [f64], trend: &mut [f64]) {
        let (n, p) = (y.len(), self.period);
        let (mut rest, mut cycles, mut low) = (buffers.take(n), buffers.take(n + 2 * p), buffers.take(n + 2 * p));
        let mut scratch = buffers.take(0);
        rest.iter_mut().zip(y.iter().zip(trend.iter())).for_each(|(r, (y, t))| *r = y - t);
        self.cycles(&rest, weights, buffers, &mut cycles, &mut scratch);
        moving_average(&cycles, p, &mut low);
        moving_average_in_place(&mut low, p);
        moving_average_in_place(&mut low, 3);
        self.low_pass.smooth(&low, &[], &mut rest, &mut scratch);
        for (t, s) in seasonal.iter_mut().enumerate() {
            *s = cycles[p + t] - rest[t];
        }
        rest.iter_mut().zip(y.iter().zip(seasonal.iter())).for_each(|(r, (y, s))| *r = y - s);
        self.trend.smooth(&rest, weights, trend, &mut scratch);
        for vector in [rest, cycles, low, scratch] {
            buffers.give(vector);
        }
    }

    /// Smooths each phase of the season by itself and one season beyond both ends: `out` starts one season before `y`.
    fn cycles(&self, y: &[f64], weights: &[f64], buffers: &mut Buffers, out: &mut [f64], scratch: &mut Vec<f64>) {
        let (mut values, mut own, mut smooth) = (buffers.take(0), buffers.take(0), buffers.take(0));
        let p = self.period;
        for phase in 0..p {
            values.clear();
            values.extend(y[phase..].iter().step_by(p));
            own.clear();
            own.extend(weights.iter().skip(phase).step_by(p));
            let k = values.len();
            smooth.resize(k, 0.0);
            self.seasonal.smooth(&values, &own, &mut smooth, scratch);
            let window = self.seasonal.window.min(k);
            out[phase] = self.seasonal.at(&values, &own, -1.0, 0..window, scratch, 0).unwrap_or(smooth[0]);
            let beyond = self.seasonal.at(&values, &own, k as f64, k - window..k, scratch, 0);
            out[phase + (k + 1) * p] = beyond.unwrap_or(smooth[k - 1]);
            out[phase + p..].iter_mut().step_by(p).zip(&smooth).for_each(|(to, from)| *to = *from);
        }
        for vector in [values, own, smooth] {
            buffers.give(vector);
        }
    }
}

/// Moving average over `length`; `out` gets one entry for each full window and is cut to that.
fn moving_average(x: &[f64], length: usize, out: &mut Vec<f64>) {
    out.clear();
    out.extend_from_slice(x);
    moving_average_in_place(out, length);
}

fn moving_average_in_place(x: &mut Vec<f64>, length: usize) {
    let windows = x.len() + 1 - length;
    let mut sum: f64 = x[..length].iter().sum();
    for first in 0..windows {
        let leaving = x[first];
        x[first] = sum / length as f64;
        if let Some(entering) = x.get(first + length) {
            sum = (sum - leaving) + entering;
        }
    }
    x.truncate(windows);
}

/// Weights that fall from 1 to 0 over six times the median distance from the fit.
fn robust_weights(
    y: &[f64],
    observed: &[f64],
    seasonal: &[f64],
    trend: &[f64],
    buffers: &mut Buffers,
    weights: &mut [f64],
) {
    let mut far = buffers.take(0);
    let distance = |t: usize| (y[t] - trend[t] - seasonal[t]).abs();
    let is_gap = |t: usize| observed.get(t) == Some(&0.0);
    far.extend((0..y.len()).filter(|t| !is_gap(*t)).map(distance));
    far.sort_unstable_by(f64::total_cmp);
    let median_six = 3.0 * (far[far.len() / 2] + far[(far.len() - 1) / 2]);
    buffers.give(far);
    for (t, weight) in weights.iter_mut().enumerate() {
        let d = distance(t);
        *weight = if is_gap(t) || d > 0.999 * median_six {
            0.0
        } else if d <= 0.001 * median_six {
            1.0
        } else {
            let share = d / median_six;
            let rest = 1.0 - share * share;
            rest * rest
        };
    }
}

/// A series taken apart: `y` = trend + seasonal components + remainder.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// One after the other, each as long as the series.
    pub(super) seasonal: Vec<f64>,
    pub(super) trend: Vec<f64>,
}

/// MSTL: STL of each season in turn from what the others leave, twice over if there are several.
///
/// `y`: values, or NaN where missing, the first not; longer than twice the longest of `seasons`, which ascend from 2.
/// Windows of the seasons 11, 15, 19, .. as in R's `mstl`.
pub(super) fn mstl(y: &[f64], seasons: &[usize], robust: bool, buffers: &mut Buffers, parts: &mut Parts) {
    let n = y.len();
    let (mut rest, mut observed) = (buffers.take(0), buffers.take(0));
    // From the first value, so that a constant series leaves no rounding.
    let zero = y.first().copied().unwrap_or(0.0);
    rest.extend(y.iter().map(|v| if v.is_nan() { 0.0 } else { v - zero }));
    if y.iter().any(|v| v.is_nan()) {
        observed.extend(y.iter().map(|v| if v.is_nan() { 0.0 } else { 1.0 }));
    }
    parts.trend.clear();
    parts.trend.resize(n, 0.0);
    parts.seasonal.clear();
    parts.seasonal.resize(n * seasons.len(), 0.0);
    for _ in 0..if seasons.len() > 1 { 2 } else { 1 } {
        for (k, &period) in seasons.iter().enumerate() {
            let own = &mut parts.seasonal[k * n..(k + 1) * n];
            rest.iter_mut().zip(own.iter()).for_each(|(r, s)| *r += s);
            Stl::new(period, 11 + 4 * k, robust).decompose(&rest, &observed, buffers, own, &mut parts.trend);
            rest.iter_mut().zip(own.iter()).for_each(|(r, s)| *r -= s);
        }
    }
    parts.trend.iter_mut().for_each(|t| *t += zero);
    buffers.give(rest);
    buffers.give(observed);
}

/// How much of a series is trend and how much season, each from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Strengths {
    /// 1 - var(remainder) / var(trend + remainder), at least 0.
    pub(super) trend: f64,
    /// 1 - var(remainder) / var(season + remainder), at least 0, of each season asked for; 0 for one that the series does
    /// not hold twice.
    pub(super) seasons: Vec<f64>,
}

/// Strengths of trend and seasons by MSTL; without any season that fits twice the trend is a LOESS line over a third of the
/// series.
///
/// `y`: values, or NaN where missing, the first not. `seasons`: ascending; 1 and below is no season. `None` for fewer than
/// 4 values. A part that moves by less than 1e-5 of the standard deviation of the series has strength 0.
/// Source: Wang, Smith & Hyndman (2006), Characteristic-based clustering for time series data; FPP3, 4.3.
#[cfg_attr(not(test), expect(dead_code, reason = "for the profile of a series"))]
pub(super) fn strengths(y: &[f64], seasons: &[usize], buffers: &mut Buffers) -> Option<Strengths> {
    let n = y.len();
    if observed_count(y) < 4 {
        return None;
    }
    let fitting: Vec<usize> = seasons.iter().copied().filter(|m| *m > 1 && n > 2 * m).collect();
    let mut parts = Parts::default();
    if fitting.is_empty() {
        trend_alone(y, buffers, &mut parts);
    } else {
        mstl(y, &fitting, false, buffers, &mut parts);
    }
    let remainder: Vec<f64> = (0..n)
        .map(|t| parts.seasonal.iter().skip(t).step_by(n).fold(y[t] - parts.trend[t], |rest, s| rest - s))
        .collect();
    let (left, all) = (variance(remainder.iter().copied()), variance(y.iter().copied()));
    let strength = |part: &[f64]| {
        let with = variance(part.iter().zip(&remainder).map(|(p, r)| p + r));
        if with > 0.0 && variance(part.iter().copied()) > 1e-10 * all { (1.0 - left / with).max(0.0) } else { 0.0 }
    };
    let of = |m: &usize| fitting.iter().position(|f| f == m).map_or(0.0, |k| strength(&parts.seasonal[k * n..][..n]));
    Some(Strengths { trend: strength(&parts.trend), seasons: seasons.iter().map(of).collect() })
}

/// A trend without season.
fn trend_alone(y: &[f64], buffers: &mut Buffers, parts: &mut Parts) {
    let (mut values, mut observed, mut scratch) = (buffers.take(0), buffers.take(0), buffers.take(0));
    values.extend(y.iter().map(|v| if v.is_nan() { 0.0 } else { *v }));
    observed.extend(y.iter().map(|v| if v.is_nan() { 0.0 } else { 1.0 }));
    parts.trend.resize(y.len(), 0.0);
    Loess::new((y.len() / 3).max(7) | 1, 1).smooth(&values, &observed, &mut parts.trend, &mut scratch);
    for vector in [values, observed, scratch] {
        buffers.give(vector);
    }
}

/// Variance of the values that are not missing; without rounding if they are all alike.
fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let values = values.filter(|v| !v.is_nan());
    let zero = values.clone().next().unwrap_or(0.0);
    let mean = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, n) = values.fold((0.0, 0.0_f64), |(sum, n), v| (sum + v, n + 1.0));
        sum / n.max(1.0)
    };
    let middle = mean(&mut values.clone().map(|v| v - zero));
    mean(&mut values.map(|v| (v - zero - middle) * (v - zero - middle)))
}

#[cfg(test)]
pub(super) mod tests;
