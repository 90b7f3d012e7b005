//! Spikes by the Hampel identifier.  In: the values of one series. Out: how many stick out, and the series without them.

use super::strength::{MEDIAN_DEVIATIONS, median_of_sorted};

/// Values either side of the one in question.
const REACH: usize = 7;

/// Values of a window.
const WIDTH: usize = 2 * REACH + 1;

/// Standard deviations beyond which a value is a spike.
const LIMIT: f64 = 3.0;

/// The standard deviation of a normal distribution in mean absolute deviations: sqrt(pi / 2).
const MEAN_DEVIATIONS: f64 = 1.253_314_137_315_500_3;

/// Counts the spikes of `y` and puts the medians of their windows in their place.
///
/// A value is a spike if it lies more than three standard deviations from the median of the window of fifteen
/// observed values about it; the standard deviation is 1.4826 median absolute deviations. Where more than half of the
/// window are equal, so that this is zero, it is 1.2533 mean absolute deviations, and a spike must also lie three times as
/// far from the median as the median from zero: small counts are mostly ones, and a three among them is no spike. If more
/// than half of the values are zeros, only the others are judged, among themselves: a sale is no spike of a series that
/// sells now and then. O(n) time with windows of fixed size.
/// Source: Hampel (1974), The influence curve and its role in robust estimation, JASA 69; Pearson (2002), Outliers in
/// process modeling and identification, IEEE Transactions on Control Systems Technology 10; for the mean deviation Iglewicz
/// & Hoaglin (1993), How to detect and handle outliers.
pub(super) fn spikes(y: &mut [f64], is_judged: impl Fn(usize) -> bool, at: &mut Vec<usize>, x: &mut Vec<f64>) -> usize {
    at.clear();
    at.extend((0..y.len()).filter(|&t| !y[t].is_nan() && is_judged(t)));
    x.clear();
    x.extend(at.iter().map(|&t| y[t]));
    let mut window = Window::of(&x[..x.len().min(WIDTH)]);
    let mut found = 0;
    for (i, &t) in at.iter().enumerate() {
        // At the ends the window leans inwards, so that it holds as many values as elsewhere.
        if i > REACH && i + REACH < x.len() {
            window.slide(x[i - REACH - 1], x[i + REACH]);
        }
        if let Some(median) = window.spike(x[i]) {
            y[t] = median;
            found += 1;
        }
    }
    found
}

/// The values about one, kept in order while it moves on.
struct Window {
    sorted: [f64; WIDTH],
    n: usize,
}

impl Window {
    fn of(values: &[f64]) -> Self {
        let (mut sorted, n) = ([0.0; WIDTH], values.len());
        sorted[..n].copy_from_slice(values);
        sorted[..n].sort_unstable_by(f64::total_cmp);
        Self { sorted, n }
    }

    /// Puts `new` in the place of `old`, one of its values.
    fn slide(&mut self, old: f64, new: f64) {
        let sorted = &mut self.sorted[..self.n];
        let mut at = sorted.iter().position(|v| *v == old).unwrap_or(0);
        while at + 1 < sorted.len() && sorted[at + 1] < new {
            sorted[at] = sorted[at + 1];
            at += 1;
        }
        while at > 0 && sorted[at - 1] > new {
            sorted[at] = sorted[at - 1];
            at -= 1;
        }
        sorted[at] = new;
    }

    /// The median if `v`, one of the values, sticks out.
    fn spike(&self, v: f64) -> Option<f64> {
        let sorted = &self.sorted[..self.n];
        let median = median_of_sorted(sorted);
        let far = (v - median).abs();
        let sticks_out = match MEDIAN_DEVIATIONS * median_distance(sorted, median) {
            0.0 => {
                let mean = sorted.iter().map(|x| (x - median).abs()).sum::<f64>() / sorted.len() as f64;
                median != 0.0 && far > LIMIT * MEAN_DEVIATIONS * mean && far > LIMIT * median.abs()
            }
            d => far > LIMIT * d,
        };
        sticks_out.then_some(median)
    }
}

/// The median distance of ascending values from their median: the nearest are taken from the middle outwards.
fn median_distance(sorted: &[f64], median: f64) -> f64 {
    let n = sorted.len();
    if let Ok(full) = <&[f64; WIDTH]>::try_from(sorted) {
        // The nearest half and one is a run of neighbours; of all such runs the one that reaches least far.
        let reach: [f64; REACH + 1] = std::array::from_fn(|k| (median - full[k]).max(full[k + REACH] - median));
        return reach.into_iter().fold(f64::INFINITY, f64::min);
    }
    let (mut left, mut right) = (n / 2, n / 2);
    let (mut before, mut last) = (0.0, 0.0);
    for _ in 0..n / 2 + 1 {
        let down = if left > 0 { median - sorted[left - 1] } else { f64::INFINITY };
        let up = if right < n { sorted[right] - median } else { f64::INFINITY };
        before = last;
        if down < up {
            left -= 1;
            last = down;
        } else {
            right += 1;
            last = up;
        }
    }
    if n % 2 == 1 { last } else { 0.5 * (before + last) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(y: &[f64]) -> usize {
        let zeros = y.iter().filter(|v| **v == 0.0).count();
        let sparse = 2 * zeros > y.len();
        let values = y.to_vec();
        spikes(&mut y.to_vec(), |t| !sparse || values[t] != 0.0, &mut Vec::new(), &mut Vec::new())
    }

    #[test]
    fn a_spike_on_a_constant_or_on_noise_is_one() {
        let mut y = vec![5.0; 40];
        y[17] = 1000.0;
        assert_eq!(count(&y), 1);
        let mut y: Vec<f64> = (0..60).map(|t| 20.0 + (t * 7 % 11) as f64).collect();
        assert_eq!(count(&y), 0);
        (y[0], y[30], y[59]) = (90.0, -70.0, 90.0);
        assert_eq!(count(&y), 3);
    }

    #[test]
    fn a_spike_is_replaced_by_the_median_about_it() {
        let mut y = vec![5.0; 40];
        y[17] = 1000.0;
        spikes(&mut y, |_| true, &mut Vec::new(), &mut Vec::new());
        assert_eq!(y, vec![5.0; 40]);
    }

    #[test]
    fn sales_of_a_series_that_sells_now_and_then_are_no_spikes_but_a_bulk_order_is() {
        let mut y: Vec<f64> = (0..90).map(|t| if t % 6 == 0 { 1.0 + (t % 4 / 2) as f64 } else { 0.0 }).collect();
        assert_eq!(count(&y), 0);
        y[48] = 80.0;
        assert_eq!(count(&y), 1);
    }

    #[test]
    fn the_moving_window_judges_as_one_sorted_afresh() {
        for n in [1, 2, 9, 14, 15, 16, 40, 200] {
            for seed in 0..20_usize {
                let y: Vec<f64> =
                    (0..n).map(|t| ((t * t * 7 + t * seed * 13 + seed * seed) % 23) as f64 - 4.0).collect();
                let plain = |t: usize| {
                    let first = t.saturating_sub(REACH).min(n.saturating_sub(WIDTH));
                    let mut window = y[first..n.min(first + WIDTH)].to_vec();
                    window.sort_unstable_by(f64::total_cmp);
                    let median = median_of_sorted(&window);
                    let mut distances: Vec<f64> = window.iter().map(|v| (v - median).abs()).collect();
                    distances.sort_unstable_by(f64::total_cmp);
                    assert_eq!(median_distance(&window, median), median_of_sorted(&distances));
                    Window::of(&window).spike(y[t]).unwrap_or(y[t])
                };
                let expected: Vec<f64> = (0..n).map(plain).collect();
                let mut own = y.clone();
                spikes(&mut own, |_| true, &mut Vec::new(), &mut Vec::new());
                assert_eq!(own, expected, "n={n} seed={seed}");
            }
        }
    }

    #[test]
    fn a_handful_of_values_is_judged_without_harm() {
        for n in 0..6 {
            assert_eq!(count(&vec![3.0; n]), 0);
        }
    }
}
