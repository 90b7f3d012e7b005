//! Cleaning of one series before any model sees it, on plain slices; each action is counted.
//!
//! In: values on a calendar, NaN where missing. Out: the same, mended as the call asks, and what was done.

use crate::forecast::model::observed_count;
use std::ops::Range;

/// What to do with a time of the calendar that has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// Refuse the series.
    Error,
    /// A missing observation, which models step over; so is a row whose value is null.
    Null,
    /// Take zero.
    Zero,
    /// Take the value before.
    Previous,
}

/// What to do with several rows of one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duplicates {
    /// Refuse the series.
    Error,
    /// Add the values.
    Sum,
    /// Take the row with the largest version.
    Last,
}

/// What was done to a series, and what was seen in it: the count columns of its rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Times with a value of their own, from the first that the model was given.
    pub(super) observed: usize,
    /// Times without a row, or with a null, given what `fill` says.
    pub(super) filled: usize,
    /// Rows that were merged into another of their time.
    pub(super) duplicates: usize,
    /// Zeros dropped before the first other value.
    pub(super) leading_zeros: usize,
    /// Rows taken as missing because `available` said so.
    pub(super) closed: usize,
    /// Values capped; `None` if nobody looked.
    pub(super) spikes: Option<usize>,
    /// Level shifts seen.
    pub(super) level_shifts: usize,
    /// Position of the last of them in the values that the model was given.
    pub(super) level_shift: Option<usize>,
}

/// Merges rows of one time, which stand side by side, in the times and in the columns beside them; gives how many went
/// into another. `merge(columns, run)` leaves in row `run.start` what becomes of the rows `run`.
pub(super) fn merge_runs(
    times: &mut Vec<i64>,
    columns: &mut [&mut Vec<f64>],
    mut merge: impl FnMut(&mut [&mut Vec<f64>], Range<usize>),
) -> usize {
    let (mut to, mut from) = (0, 0);
    while from < times.len() {
        let end = from + times[from..].iter().take_while(|&&t| t == times[from]).count();
        if end - from > 1 {
            merge(columns, from..end);
        }
        times[to] = times[from];
        columns.iter_mut().for_each(|column| column[to] = column[from]);
        (to, from) = (to + 1, end);
    }
    let merged = times.len() - to;
    times.truncate(to);
    columns.iter_mut().for_each(|column| column.truncate(to));
    merged
}

/// The sum of the values that are not missing, smallest first, so that it does not depend on the order of the rows; NaN if
/// all are missing.
pub(super) fn sum(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let known = values.iter().copied().filter(|v| !v.is_nan());
    known.fold(f64::NAN, |sum, v| if sum.is_nan() { v } else { sum + v })
}

/// Where the series begins and how many zeros lie before: at the first value that is not missing, and with `drop_zeros` at
/// the first that is not zero either, if there is one. `None` if all are missing.
pub(super) fn leading(y: &[f64], drop_zeros: bool) -> Option<(usize, usize)> {
    let first = y.iter().position(|v| !v.is_nan())?;
    let sale = y.iter().position(|v| !v.is_nan() && *v != 0.0).filter(|_| drop_zeros);
    let start = sale.unwrap_or(first);
    Some((start, observed_count(&y[..start])))
}

/// Half the window of [`cap_spikes`], in observations of one season phase.
const SPIKE_REACH: usize = 6;
/// Scaled median absolute deviations beyond which a value is a spike.
const SPIKE_DEVIATIONS: f64 = 5.0;
/// Fewest values from which a window judges.
const SPIKE_VALUES_MIN: usize = 7;
/// From median absolute deviation to the standard deviation of a normal distribution.
const MAD_SCALE: f64 = 1.482_602_218_505_602;

/// Caps values that lie more than five scaled median absolute deviations from the median of their window; gives how many.
///
/// The window is the value and the six observations before and after it in the same phase of the season (every one with
/// `season_length` 1); it judges from seven values on. A window half of which is equal has no scale and judges nothing, so
/// that the rare sales of an intermittent series are none. All windows are of the values before any was capped.
/// Source: Hampel (1974), The influence curve and its role in robust estimation; Pearson (2002), Outliers in process
/// modeling and identification.
pub(super) fn cap_spikes(y: &mut [f64], season_length: usize, scratch: &mut Vec<f64>) -> usize {
    let season = season_length.max(1);
    let mut caps: Vec<(usize, f64)> = Vec::new();
    for phase in 0..season.min(y.len()) {
        let places: Vec<usize> = (phase..y.len()).step_by(season).filter(|&at| !y[at].is_nan()).collect();
        for (rank, &at) in places.iter().enumerate() {
            let window = &places[rank.saturating_sub(SPIKE_REACH)..(rank + SPIKE_REACH + 1).min(places.len())];
            if window.len() < SPIKE_VALUES_MIN {
                continue;
            }
            scratch.clear();
            scratch.extend(window.iter().map(|&i| y[i]));
            let centre = median(scratch);
            scratch.iter_mut().for_each(|v| *v = (*v - centre).abs());
            let reach = SPIKE_DEVIATIONS * MAD_SCALE * median(scratch);
            if reach > 0.0 && (y[at] - centre).abs() > reach {
                caps.push((at, if y[at] > centre { centre + reach } else { centre - reach }));
            }
        }
    }
    for &(at, cap) in &caps {
        y[at] = cap;
    }
    caps.len()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() % 2 {
        _ if values.is_empty() => f64::NAN,
        1 => values[half],
        _ => 0.5 * values[half - 1] + 0.5 * values[half],
    }
}

/// Observations of a block of [`level_shifts`] for a series without a season.
const SHIFT_BLOCK: usize = 7;
/// Standard deviations within by which the means before and after must differ.
const SHIFT_DEVIATIONS: f64 = 6.0;

/// Level shifts: how many, and where the last begins (to the block).
///
/// The series is cut into blocks of a season (seven values without one). Where the means of the two blocks before and the
/// two after a block differ by more than six standard deviations within them, the level moved in that block; neighbours
/// count once, at the largest difference. Windows of whole seasons make a season no shift, and six deviations a straight
/// trend none. O(n), one pass. Source: the two-window test of Basseville & Nikiforov (1993), Detection of Abrupt Changes,
/// 2.1, on block means.
pub(super) fn level_shifts(y: &[f64], season_length: usize) -> (usize, Option<usize>) {
    let size = if season_length > 1 { season_length } else { SHIFT_BLOCK };
    // Differences from one value, so that sums of squares keep their digits far from zero.
    let Some(base) = y.iter().copied().find(|v| !v.is_nan()) else { return (0, None) };
    // Without branches, so that blocks overlap in the processor.
    let moments = |block: &[f64]| {
        block.iter().fold((0.0, 0.0, 0.0), |(n, sum, squares), v| {
            let seen = if v.is_nan() { 0.0 } else { 1.0 };
            let d = if v.is_nan() { 0.0 } else { v - base };
            (n + seen, sum + d, squares + d * d)
        })
    };
    let mut w = [(0.0, 0.0, 0.0); 5];
    let (mut shifts, mut last) = (0, None);
    let mut best: Option<(usize, f64)> = None;
    for (at, block) in y.chunks_exact(size).enumerate() {
        w.rotate_left(1);
        w[4] = moments(block);
        if at < 4 {
            continue;
        }
        let found = ratio(&w, size).filter(|r| *r > SHIFT_DEVIATIONS * SHIFT_DEVIATIONS);
        let middle = at - 2;
        match (found, best) {
            (Some(r), Some((_, most))) if r <= most => {}
            (Some(r), _) => best = Some((middle, r)),
            (None, Some((block, _))) => {
                (shifts, last, best) = (shifts + 1, Some(block * size), None);
            }
            (None, None) => {}
        }
    }
    if let Some((block, _)) = best {
        (shifts, last) = (shifts + 1, Some(block * size));
    }
    (shifts, last)
}

/// Difference of the means before and after the middle of five blocks, in variances within: squared, as a root costs.
fn ratio(w: &[(f64, f64, f64)], size: usize) -> Option<f64> {
    let [a, b, _, c, d] = w else { return None };
    let join = |x: &(f64, f64, f64), y: &(f64, f64, f64)| (x.0 + y.0, x.1 + y.1, x.2 + y.2);
    let (before, after) = (join(a, b), join(c, d));
    if before.0 < size as f64 || after.0 < size as f64 {
        return None;
    }
    let difference = after.1 / after.0 - before.1 / before.0;
    let within = |m: (f64, f64, f64)| (m.2 - m.1 * m.1 / m.0).max(0.0);
    let squared = difference * difference * (before.0 + after.0);
    (squared > 0.0).then(|| squared / (within(before) + within(after)))
}

#[cfg(test)]
mod tests;
