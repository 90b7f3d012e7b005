//! From mean and deviation to quantiles: the distribution of what will be observed at one step.
//!
//! In: mean, deviation, and what kind of number the series holds. Out: bounds of levels and quantiles that never cross.

use super::intervals::normal_quantile;

/// Mean above which a count is as good as continuous: its distribution is taken as normal.
const COUNT_MEAN_MAX: f64 = 20.0;

/// Probability left in the tail where a count distribution is cut.
const COUNT_TAIL: f64 = 1e-7;

/// What is asked of each step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Asked {
    /// Levels in percent, ascending.
    pub(super) levels: Vec<i64>,
    /// Probabilities in (0, 1), ascending.
    pub(super) quantiles: Vec<f64>,
}

impl Asked {
    /// Columns that it makes: two a level, one a quantile.
    pub(super) fn columns(&self) -> usize {
        2 * self.levels.len() + self.quantiles.len()
    }
}

/// What kind of number a series holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Support {
    /// Any number.
    #[default]
    Real,
    /// Numbers of at least zero.
    NonNegative,
    /// Whole numbers of at least zero.
    Count,
}

impl Support {
    /// Every kind.
    pub(super) const ALL: [Self; 3] = [Self::Real, Self::NonNegative, Self::Count];
}

/// Shape of the errors: how many expected deviations from the mean the levels reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    /// Reach of the 80 % and the 95 % interval of a continuous series.
    pub(super) reach: [f64; 2],
    /// Ratio of the variance of the errors to the expected one, for the distribution of a count.
    pub(super) variance: f64,
    /// Size of the errors in the second half of the horizon to that in the first, where 1 is as expected.
    pub(super) tilt: f64,
}

/// An error that was seen: its size in expected deviations, and where in the horizon, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    pub(super) ratio: f64,
    pub(super) place: f64,
}

/// Errors beyond so many expected deviations tell nothing of the size of others: the models expected none at all.
pub(super) const RATIO_MAX: f64 = 1e100;

/// Errors as expected beside those seen, for the tilt.
const TILT_PRIOR: f64 = 20.0;

/// Levels at which the reach of a shape is known.
const KNOWN: [f64; 2] = [0.8, 0.95];

/// Half widths of those levels under normal errors.
const NORMAL: [f64; 2] = [1.281_551_565_544_600_4, 1.959_963_984_540_054];

impl Default for Shape {
    fn default() -> Self {
        Self::NORMAL
    }
}

impl Shape {
    /// Normal errors of the expected size.
    pub(super) const NORMAL: Self = Self { reach: NORMAL, variance: 1.0, tilt: 1.0 };

    /// Split conformal: the quantiles of errors that were seen, in units of the expected ones, drawn towards `expected` as
    /// if so many `prior` errors had been of that shape. `seen` is reordered.
    ///
    /// Source: Lei, G'Sell, Rinaldo, Tibshirani & Wasserman (2018), Distribution-free predictive inference for regression.
    pub(super) fn conformal(seen: &mut [Seen], expected: Self, prior: f64) -> Self {
        let n = seen.len() as f64;
        if seen.is_empty() {
            return expected;
        }
        let mut shape = Self { tilt: tilt(seen), ..expected };
        seen.iter_mut().for_each(|s| s.ratio /= shape.slope(s.place));
        let squares = seen.iter().map(|s| s.ratio * s.ratio).sum::<f64>() / n;
        let mut own = |level: f64| {
            let position = (n - 1.0) * level;
            let (below, share) = (position as usize, position.fract());
            // Sizes are not negative, and of such numbers the bits rise as they do.
            let (_, at, above) = seen.select_nth_unstable_by_key(below, |s| s.ratio.to_bits());
            let next = above.iter().map(|s| s.ratio).fold(f64::INFINITY, f64::min);
            at.ratio + share * (if above.is_empty() { at.ratio } else { next } - at.ratio)
        };
        let mix = |own: f64, expected: f64| (n * own + prior * expected) / (n + prior);
        let narrow = mix(own(KNOWN[0]), expected.reach[0]);
        let wide = mix(own(KNOWN[1]), expected.reach[1]).max(narrow);
        (shape.reach, shape.variance) = ([narrow, wide], mix(squares, expected.variance));
        shape
    }

    /// How the expected deviation bends at a place of the horizon: a line of mean 1 whose halves have the ratio `tilt`.
    pub(super) fn slope(&self, place: f64) -> f64 {
        (3.0 - self.tilt + 4.0 * (self.tilt - 1.0) * place) / (1.0 + self.tilt)
    }

    /// Expected deviations from the mean where normal errors reach `z`: bent so that it meets the known levels.
    fn bend(&self, z: f64) -> f64 {
        if self.reach == NORMAL {
            return z;
        }
        let (size, [narrow, wide]) = (z.abs(), self.reach);
        let bent = if size <= NORMAL[0] {
            narrow * size / NORMAL[0]
        } else {
            narrow + (wide - narrow) * (size - NORMAL[0]) / (NORMAL[1] - NORMAL[0])
        };
        bent.copysign(z)
    }
}

fn tilt(seen: &[Seen]) -> f64 {
    let (mut sums, mut counts) = ([TILT_PRIOR / 2.0; 2], [TILT_PRIOR / 2.0; 2]);
    let all = seen.iter().map(|s| s.ratio).sum::<f64>() / seen.len() as f64;
    if all <= 0.0 {
        return 1.0;
    }
    for s in seen {
        let half = usize::from(s.place > 0.5);
        sums[half] += s.ratio / all;
        counts[half] += 1.0;
    }
    (sums[1] / counts[1] * counts[0] / sums[0]).clamp(0.5, 2.0)
}

/// Quantiles of one step after the other; keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Predictive {
    /// What was asked last, and its normal quantiles: of the upper end of each level, then of each quantile.
    asked: Asked,
    normal: Vec<f64>,
    /// The same, bent to a shape.
    shape: Shape,
    reach: Vec<f64>,
    /// The largest probability asked of a count.
    most: f64,
    /// Mean and variance of the count distribution before, and what came out.
    counted: Option<(f64, f64)>,
    counts: Vec<f64>,
    /// Mean, variance and probability of zero of the steps to come.
    zeros: Vec<(f64, f64, f64)>,
    at: usize,
    /// Distribution function of a count: P(y <= k) for k = 0, 1, ..
    below: Vec<f64>,
}

impl Predictive {
    /// Works out what all steps share: nothing if it is what was asked before.
    fn prepare(&mut self, shape: Shape, asked: &Asked) {
        let fresh = self.asked != *asked || self.normal.len() != asked.levels.len() + asked.quantiles.len();
        if fresh {
            self.asked.clone_from(asked);
            let upper = asked.levels.iter().map(|level| 0.5 + *level as f64 / 200.0);
            self.normal.clear();
            self.normal.extend(upper.chain(asked.quantiles.iter().copied()).map(normal_quantile));
            let widest = asked.levels.iter().map(|level| 0.5 + *level as f64 / 200.0);
            self.most = widest.chain(asked.quantiles.iter().copied()).fold(0.0, f64::max);
            self.counted = None;
        }
        if fresh || self.shape != shape || self.reach.len() != self.normal.len() {
            self.shape = shape;
            self.reach.clear();
            self.reach.extend(self.normal.iter().map(|z| shape.bend(*z)));
        }
    }

    /// Prepares [`Predictive::step`] for the steps of a series. The largest reach asked for, in expected deviations.
    pub(super) fn reach(&mut self, shape: Shape, asked: &Asked) -> f64 {
        self.prepare(shape, asked);
        self.reach.iter().fold(0.0, |most, reach| most.max(reach.abs()))
    }

    /// Works the probabilities of zero of all steps out in one go: one after the other they would wait for each other.
    /// `steps`: mean and deviation as [`Predictive::step`] takes them. Nothing but speed depends on it.
    pub(super) fn expect(&mut self, steps: impl Iterator<Item = (f64, f64)>) {
        self.at = 0;
        self.zeros.clear();
        if self.normal.is_empty() {
            return;
        }
        let mut before = (f64::NAN, f64::NAN, f64::NAN);
        for (mean, deviation) in steps {
            let (mean, variance) = (mean.max(0.0), deviation * deviation * self.shape.variance);
            if (mean, variance) != (before.0, before.1) {
                let zero = if mean <= COUNT_MEAN_MAX { zero(mean, variance) } else { f64::NAN };
                before = (mean, variance, zero);
            }
            self.zeros.push(before);
        }
    }

    /// The probability of zero, from [`Predictive::expect`] if it foresaw the step.
    fn zero(&mut self, mean: f64, variance: f64) -> f64 {
        let foreseen = self.zeros.get(self.at).filter(|z| z.0 == mean && z.1 == variance);
        foreseen.map_or_else(|| zero(mean, variance), |z| z.2)
    }

    /// Bounds of each level, as lower and upper, then quantiles, for one step into `out`.
    ///
    /// Levels are nested and quantiles rise. A count has the interval of whole numbers whose probability is nearest to the
    /// level: no interval of whole numbers has exactly that of the level.
    pub(super) fn step(&mut self, mean: f64, deviation: f64, support: Support, out: &mut Vec<f64>) {
        out.clear();
        if self.normal.is_empty() {
            return;
        }
        if support == Support::Count && mean <= COUNT_MEAN_MAX {
            self.count(mean.max(0.0), deviation * deviation * self.shape.variance, out);
            self.at += 1;
            return;
        }
        self.at += 1;
        let floor = if support == Support::Real { f64::NEG_INFINITY } else { 0.0 };
        let (levels, quantiles) = self.reach.split_at(self.asked.levels.len());
        for reach in levels {
            let reach = reach * deviation;
            out.push((mean - reach).max(floor));
            out.push((mean + reach).max(floor));
        }
        out.extend(quantiles.iter().map(|reach| (mean + reach * deviation).max(floor)));
    }

    fn count(&mut self, mean: f64, variance: f64, out: &mut Vec<f64>) {
        if self.counted == Some((mean, variance)) {
            return out.extend_from_slice(&self.counts);
        }
        // No probability beyond the largest one asked is looked at; the margin is far more than rounding.
        self.distribution(mean, variance, self.most + 1e-9);
        let (mut lower_before, mut upper_before) = (usize::MAX, 0);
        for level in &self.asked.levels {
            let share = *level as f64 / 100.0;
            let lower = self.quantile((1.0 - share) / 2.0).min(lower_before);
            let missed = if lower > 0 { self.below[lower - 1] } else { 0.0 };
            let upper = self.nearest(share + missed).max(lower).max(upper_before);
            (lower_before, upper_before) = (lower, upper);
            out.extend([lower as f64, upper as f64]);
        }
        for p in &self.asked.quantiles {
            out.push(self.quantile(*p) as f64);
        }
        self.counted = Some((mean, variance));
        self.counts.clone_from(out);
    }

    /// The smallest count that is not exceeded with probability `p`.
    fn quantile(&self, p: f64) -> usize {
        let below = self.below.as_slice();
        // Of a short list all are compared: a search would wait for each of its steps.
        let place = match below.len() {
            0..=16 => below.iter().map(|f| usize::from(*f < p)).sum(),
            _ => below.partition_point(|f| *f < p),
        };
        place.min(below.len().saturating_sub(1))
    }

    /// The count at which the distribution function is nearest to `p`.
    fn nearest(&self, p: f64) -> usize {
        let above = self.quantile(p);
        if above == 0 || self.below[above] - p <= p - self.below[above - 1] { above } else { above - 1 }
    }

    /// Negative binomial with that mean and variance, as far as probability `most`; Poisson if the variance is no larger
    /// than the mean.
    fn distribution(&mut self, mean: f64, variance: f64, most: f64) {
        self.below.clear();
        if mean <= 0.0 {
            self.below.push(1.0);
            return;
        }
        let mut chance = self.zero(mean, variance);
        // The ratio of neighbouring probabilities is (a + b k) / (k + 1).
        let (a, b) = size_and_fail(mean, variance).map_or((mean, 0.0), |(size, fail)| (size * fail, fail));
        let (mut sum, mut k) = (0.0, 0.0);
        let end = most.min(1.0 - COUNT_TAIL);
        while sum < end && self.below.len() < 100_000 {
            sum += chance;
            self.below.push(sum);
            chance *= (a + b * k) / (k + 1.0);
            k += 1.0;
            if chance < 1e-300 && k > mean {
                break;
            }
        }
    }
}

/// Parameters of the negative binomial of that mean and variance; `None` for a Poisson.
fn size_and_fail(mean: f64, variance: f64) -> Option<(f64, f64)> {
    let over = variance - mean;
    (over > 1e-9 * mean).then(|| (mean * mean / over, over / variance))
}

/// The probability of zero of that distribution.
fn zero(mean: f64, variance: f64) -> f64 {
    match size_and_fail(mean, variance) {
        Some((size, fail)) => libm::exp(size * libm::log1p(-fail)),
        None => libm::exp(-mean),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked() -> Asked {
        Asked { levels: vec![50, 80, 95], quantiles: vec![0.025, 0.1, 0.5, 0.9, 0.975] }
    }

    /// Golden: scipy 1.17.1, `nbinom.cdf(range(6), r, p)` with r = m^2 / (v - m), p = m / v, m = 1.3, v = 2.6; and
    /// `poisson.cdf(range(6), 1.3)`. Tolerance 1e-12.
    #[test]
    fn the_distribution_functions_agree_with_scipy() {
        let mut p = Predictive::default();
        for (variance, golden) in [
            (
                2.6,
                [
                    0.40612619817811774,
                    0.6701082269938943,
                    0.8218978935629655,
                    0.9053822101759551,
                    0.9502550303554367,
                    0.974037625050562,
                ],
            ),
            (
                1.3,
                [
                    0.27253179303401265,
                    0.626823123978229,
                    0.8571124890919697,
                    0.956904547307924,
                    0.9893369662281091,
                    0.9977693951473572,
                ],
            ),
        ] {
            p.distribution(1.3, variance, 1.0);
            for (own, golden) in p.below.iter().zip(golden) {
                assert!((own - golden).abs() < 1e-12, "variance={variance} own={own} golden={golden}");
            }
        }
    }

    #[test]
    fn conformal_reaches_are_quantiles_of_the_errors_drawn_to_the_expected_ones() {
        let mut ratios: Vec<Seen> =
            (0..=100).rev().map(|k| Seen { ratio: f64::from(k), place: f64::from(k % 2) }).collect();
        let own = Shape::conformal(&mut ratios, Shape::NORMAL, 0.0);
        assert!((own.reach[0] - 80.0).abs() < 1e-9 && (own.reach[1] - 95.0).abs() < 1e-9, "{own:?}");
        let half = Shape::conformal(&mut ratios, Shape::NORMAL, 101.0);
        assert!((half.reach[0] - (80.0 + NORMAL[0]) / 2.0).abs() < 1e-12);
        assert_eq!(Shape::conformal(&mut [], own, 10.0), own);
        let at = |p: f64| own.bend(normal_quantile(p));
        assert!((at(0.9) - 80.0).abs() < 1e-9 && (at(0.025) + 95.0).abs() < 1e-9);
        assert_eq!(at(0.5), 0.0);
    }

    #[test]
    fn a_rare_count_has_the_nearest_interval_of_whole_numbers() {
        let (mut p, mut out) = (Predictive::default(), vec![]);
        // P(0) = 0.81: nearer to 80 % than P(0..1).
        p.reach(Shape::NORMAL, &Asked { levels: vec![80], quantiles: vec![0.9] });
        p.step(0.2107, 0.459, Support::Count, &mut out);
        assert_eq!(out, [0.0, 0.0, 1.0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn bounds_are_nested_finite_and_never_cross(
            mean in prop_oneof![0.0..1e-9, 0.0..5.0, -50.0..1000.0, 0.0..1e12],
            deviation in prop_oneof![Just(0.0), 0.0..3.0, 0.0..1e4],
            kind in 0..3,
        ) {
            let support = [Support::Real, Support::NonNegative, Support::Count][kind as usize];
            let mut out = vec![];
            for shape in [Shape::NORMAL, Shape { reach: [0.5, 4.0], variance: 2.5, tilt: 1.0 }] {
                let mut p = Predictive::default();
                p.reach(shape, &asked());
                p.step(mean, deviation, support, &mut out);
                prop_assert!(out.iter().all(|v| v.is_finite()));
                prop_assert!(out[4] <= out[2] && out[2] <= out[0] && out[0] <= out[1] && out[1] <= out[3] && out[3] <= out[5], "{:?}", out);
                prop_assert!(out[6..].windows(2).all(|w| w[0] <= w[1]), "{:?}", out);
                prop_assert!(support == Support::Real || out.iter().all(|v| *v >= 0.0));
            }
        }
    }
}
