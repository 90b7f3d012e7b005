//! A series made ready for the search: centred, scaled, gaps bridged, differenced.
//!
//! In: values, NaN where one is missing. Out: values of size 1, and their differences.

use super::super::Buffers;
use crate::forecast::model::observed_count;

/// A series in units of its own size, from its own origin.
#[derive(Debug)]
pub(super) struct Ready {
    /// The first value; it becomes 0.
    pub(super) origin: f64,
    /// A power of two that brings the largest value to between 1 and 2; 0 if all values are the same.
    pub(super) scale: f64,
    /// Observed values.
    pub(super) observed: usize,
    /// Values, NaN where missing.
    pub(super) values: Vec<f64>,
    /// The same with gaps bridged; empty if there are none.
    bridged: Vec<f64>,
}

impl Ready {
    /// From a series whose first value is not missing; gaps are bridged by the season before, or by a line.
    pub(super) fn new(y: &[f64], season_length: usize, buffers: &mut Buffers) -> Self {
        let origin = y.first().copied().unwrap_or(0.0);
        let mut values = buffers.take(0);
        values.extend(y.iter().map(|v| v - origin));
        let largest = values.iter().filter(|v| !v.is_nan()).fold(0.0_f64, |top, v| top.max(v.abs()));
        // The exponent alone: dividing by it rounds nothing.
        let scale = if largest > 0.0 { f64::from_bits(largest.to_bits() & (0x7ff << 52)) } else { 0.0 };
        if scale > 0.0 {
            values.iter_mut().for_each(|v| *v /= scale);
        }
        let observed = observed_count(&values);
        let mut bridged = buffers.take(0);
        if observed < values.len() {
            bridged.extend(&values);
            bridge(&mut bridged, season_length);
        }
        Self { origin, scale, observed, values, bridged }
    }

    /// Whether values are missing.
    pub(super) fn has_gaps(&self) -> bool {
        self.observed < self.values.len()
    }

    /// Without gaps.
    pub(super) fn complete(&self) -> &[f64] {
        if self.has_gaps() { &self.bridged } else { &self.values }
    }

    /// Gives the memory back.
    pub(super) fn give(self, buffers: &mut Buffers) {
        buffers.give(self.values);
        buffers.give(self.bridged);
    }
}

/// Lays a line over each gap, and on it what the season before strayed from such a line.
fn bridge(values: &mut [f64], m: usize) {
    let mut last = 0;
    for t in 1..=values.len() {
        if t < values.len() && values[t].is_nan() {
            continue;
        }
        let right = values.get(t).copied().unwrap_or(values[last]);
        let width = (t - last) as f64;
        for gap in last + 1..t {
            let share = (gap - last) as f64 / width;
            let line = |left: f64, right: f64| left + share * (right - left);
            let mut value = line(values[last], right);
            if m > 1 && last >= m {
                let before = values.get(t - m).copied().filter(|_| t - m < gap).unwrap_or(values[last - m]);
                value += values[gap - m] - line(values[last - m], before);
            }
            values[gap] = value;
        }
        last = t;
    }
}

/// `values` less those `lag` steps before, in place; shorter by `lag`.
pub(super) fn difference(values: &mut Vec<f64>, lag: usize) {
    for t in (lag..values.len()).rev() {
        values[t] -= values[t - lag];
    }
    values.drain(..lag.min(values.len()));
}

/// Whether all values are the same, up to the rounding of values of size 1.
pub(super) fn is_constant(values: &[f64]) -> bool {
    let (low, high) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
    high - low <= 1e-13 || values.len() < 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_bridged_by_a_line_or_by_the_season_before() {
        let nan = f64::NAN;
        let mut line = [0.0, nan, nan, 3.0, nan];
        bridge(&mut line, 1);
        assert_eq!(line, [0.0, 1.0, 2.0, 3.0, 3.0]);
        let mut season = [0.0, 5.0, 1.0, 0.0, nan, 1.0];
        bridge(&mut season, 3);
        assert_eq!(season, [0.0, 5.0, 1.0, 0.0, 5.0, 1.0]);
    }

    #[test]
    fn differences_are_taken_in_place() {
        let mut values = vec![1.0, 4.0, 9.0, 16.0, 25.0];
        difference(&mut values, 2);
        assert_eq!(values, [8.0, 12.0, 16.0]);
    }
}
