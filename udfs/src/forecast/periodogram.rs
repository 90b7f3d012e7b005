//! The period of a series.  In: its values. Out: the period whose wave takes the most of it beside a straight line.

use super::Buffers;
use super::theta_line::Line;

/// Frequencies at a time.
const LANES: usize = 8;

/// Rounds that narrow the peak down; each leaves two ninths of the width.
const ROUNDS: usize = 3;

/// The period in steps, between 2 and half the series; not necessarily whole.
///
/// `y`: at least four steps, NaN where an observation is missing. O(n^2) time.
/// Source: Brockwell & Davis (1991), Time Series: Theory and Methods, 10.1; Goertzel (1958).
pub(super) fn period(y: &[f64], buffers: &mut Buffers) -> f64 {
    let mut line = Line::default();
    let zero = y[0];
    for (t, v) in y.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
        line.push((t + 1) as f64, v - zero);
    }
    let (a, b) = line.coefficients();
    let mut x = buffers.take(0);
    x.extend(y.iter().enumerate().map(|(t, v)| if v.is_nan() { 0.0 } else { (v - zero) - (a + b * (t + 1) as f64) }));
    let n = x.len() as f64;
    let (first, last) = (2, x.len() / 2);
    let mut best = (f64::NEG_INFINITY, 2.0);
    for low in (first..=last).step_by(LANES) {
        let cycles = std::array::from_fn(|k| (low + k).min(last) as f64);
        best = strongest(&x, &cycles, best);
    }
    let (mut low, mut high) = ((best.1 - 1.0_f64).max(first as f64), (best.1 + 1.0).min(n / 2.0));
    for _ in 0..ROUNDS {
        let step = (high - low) / (LANES + 1) as f64;
        best = strongest(&x, &std::array::from_fn(|k| low + (k + 1) as f64 * step), best);
        (low, high) = (low.max(best.1 - step), high.min(best.1 + step));
    }
    buffers.give(x);
    n / best.1
}

/// The better of `best`, a power and its cycles per series, and the strongest of eight more.
fn strongest(x: &[f64], cycles: &[f64; LANES], best: (f64, f64)) -> (f64, f64) {
    let twice = cycles.map(|c| 2.0 * libm::cos(std::f64::consts::TAU * (c / x.len() as f64)));
    let (mut one, mut two) = ([0.0; LANES], [0.0; LANES]);
    for v in x {
        for k in 0..LANES {
            let next = v + twice[k] * one[k] - two[k];
            two[k] = one[k];
            one[k] = next;
        }
    }
    (0..LANES).fold(best, |best, k| {
        let power = one[k] * one[k] + two[k] * two[k] - twice[k] * one[k] * two[k];
        if power > best.0 { (power, cycles[k]) } else { best }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_period_of_a_wave_on_a_line_is_found_to_a_hundredth_of_a_cycle() {
        for truth in [2.5, 7.0, 12.0, 30.4, 52.18] {
            let wave = |t: usize| libm::sin(0.3 + std::f64::consts::TAU * t as f64 / truth);
            let mut y: Vec<f64> = (0..365).map(|t| 20.0 + 0.05 * t as f64 + 3.0 * wave(t)).collect();
            let found = period(&y, &mut Buffers::default());
            // The wave leaks into the line and its neighbours by about 1 / (pi cycles) of a cycle of the series.
            assert!((365.0 / found - 365.0 / truth).abs() < 0.1, "truth={truth} found={found}");
            y.iter_mut().skip(3).step_by(9).for_each(|v| *v = f64::NAN);
            let found = period(&y, &mut Buffers::default());
            assert!((365.0 / found - 365.0 / truth).abs() < 0.2, "truth={truth} found with gaps={found}");
        }
    }
}
