//! Lasting changes of the level, by binary segmentation.  In: the values of one series. Out: where a new level begins.

/// Observed values of the shortest level.
const LEVEL_MIN: usize = 7;

/// The price of a change, in logarithms of the number of values and variances of the noise.
const PRICE: f64 = 3.0;

/// Halvings beyond which no level is split further: it bounds the time of any input.
const DEPTH_MAX: u32 = 64;

/// Finds the first position of each new level of `y`, ascending, into `found`.
///
/// Splits the series where two means leave the least squares, and each part again, as long as a split saves more than
/// 3 sigma^2 ln n; then moves each border to its best place between its neighbours, once, and drops those no longer worth
/// their price. sigma^2 is half the mean square of the differences of neighbours, which a change of level hardly touches.
/// Every level holds at least seven observed values. A slope is cut into steps: a trend shows as several changes.
/// O(n log n) time, at worst O(64 n). Sources: Scott & Knott (1974), A cluster analysis method for grouping means,
/// Biometrics 30; Sen & Srivastava (1975), On tests for detecting change in mean, Annals of Statistics 3; the price is that
/// of Killick, Fearnhead & Eckley (2012), JASA 107, raised by half for noise that is not quite independent.
pub(super) fn changes(y: &[f64], work: &mut Vec<f64>, at: &mut Vec<usize>, found: &mut Vec<usize>) {
    found.clear();
    at.clear();
    at.extend((0..y.len()).filter(|&t| !y[t].is_nan()));
    work.clear();
    work.extend(at.iter().map(|&t| y[t]));
    let n = work.len();
    if n < 2 * LEVEL_MIN {
        return;
    }
    let noise = work.windows(2).map(|w| (w[1] - w[0]) * (w[1] - w[0])).sum::<f64>() / (2 * (n - 1)) as f64;
    let price = PRICE * libm::log(n as f64) * noise;
    let mut open = vec![(0, n, 0)];
    while let Some((from, to, depth)) = open.pop() {
        if let Some(border) = split(&work[from..to], price).filter(|_| depth < DEPTH_MAX) {
            found.push(from + border);
            open.extend([(from, from + border, depth + 1), (from + border, to, depth + 1)]);
        }
    }
    found.sort_unstable();
    let mut kept = 0;
    for i in 0..found.len() {
        let from = if kept > 0 { found[kept - 1] } else { 0 };
        let to = found.get(i + 1).copied().unwrap_or(n);
        if let Some(border) = split(&work[from..to], price) {
            found[kept] = from + border;
            kept += 1;
        }
    }
    found.truncate(kept);
    found.iter_mut().for_each(|i| *i = at[*i]);
}

/// Where two means save most, if that is more than the price.
fn split(x: &[f64], price: f64) -> Option<usize> {
    let n = x.len();
    if n < 2 * LEVEL_MIN {
        return None;
    }
    // Distances from the mean: the sums stay small, and so do their rounding errors.
    let mean = x.iter().sum::<f64>() / n as f64;
    let (mut sum, mut best, mut border) = (0.0, 0.0, 0);
    for (i, v) in x[..n - LEVEL_MIN].iter().enumerate() {
        sum += v - mean;
        let left = (i + 1) as f64;
        let saved = sum * sum * n as f64 / (left * (n as f64 - left));
        if i + 1 >= LEVEL_MIN && saved > best {
            (best, border) = (saved, i + 1);
        }
    }
    // What rounding leaves of a constant is no change.
    let rounding = 1e-24 * n as f64 * mean * mean;
    (best > price && best > rounding).then_some(border)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(y: &[f64]) -> Vec<usize> {
        let mut found = Vec::new();
        changes(y, &mut Vec::new(), &mut Vec::new(), &mut found);
        found
    }

    /// Deterministic noise with mean zero in [-1, 1).
    fn noise(t: usize) -> f64 {
        let x = (t as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / (1u64 << 23) as f64 - 1.0
    }

    #[test]
    fn planted_changes_are_found_where_they_are() {
        let level = |t: usize| {
            if t < 60 {
                10.0
            } else if t < 100 {
                16.0
            } else {
                4.0
            }
        };
        assert_eq!(of(&(0..200).map(level).collect::<Vec<_>>()), [60, 100]);
        let y: Vec<f64> = (0..200).map(|t| level(t) + noise(t)).collect();
        assert_eq!(of(&y), [60, 100]);
        let missing: Vec<f64> = y.iter().enumerate().map(|(t, v)| if t % 9 == 4 { f64::NAN } else { *v }).collect();
        assert_eq!(of(&missing), [60, 100]);
    }

    #[test]
    fn neither_noise_nor_a_constant_nor_a_short_series_changes() {
        assert!(of(&(0..2000).map(noise).collect::<Vec<_>>()).is_empty());
        assert!(of(&[0.1; 500]).is_empty() && of(&[]).is_empty() && of(&[1.0, 9.0]).is_empty());
    }

    /// The least sum of squares plus price over all ways to place at most two borders: no greedy choice there.
    #[test]
    fn two_changes_are_as_good_as_the_best_of_all_ways_to_place_them() {
        for seed in 0..20 {
            let y: Vec<f64> = (0..60)
                .map(|t| {
                    3.0 * noise(seed * 1000 + 7) * f64::from(u8::from(t >= 20))
                        + 0.5 * noise(t + 100 * seed)
                        + if t >= 41 { 2.5 } else { 0.0 }
                })
                .collect();
            let squares = |x: &[f64]| {
                let mean = x.iter().sum::<f64>() / x.len() as f64;
                x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>()
            };
            let noise = y.windows(2).map(|w| (w[1] - w[0]) * (w[1] - w[0])).sum::<f64>() / 118.0;
            let price = PRICE * libm::log(60.0) * noise;
            let cost = |borders: &[usize]| {
                let ends: Vec<usize> = [0].into_iter().chain(borders.iter().copied()).chain([60]).collect();
                ends.windows(2).map(|w| squares(&y[w[0]..w[1]])).sum::<f64>() + price * borders.len() as f64
            };
            let mut best = cost(&[]);
            for a in LEVEL_MIN..=60 - LEVEL_MIN {
                best = best.min(cost(&[a]));
                for b in a + LEVEL_MIN..=60 - LEVEL_MIN {
                    best = best.min(cost(&[a, b]));
                }
            }
            let own = cost(&of(&y));
            assert!(own <= best * 1.05 + 1e-9, "seed={seed} own={own} best={best} {:?}", of(&y));
        }
    }
}
