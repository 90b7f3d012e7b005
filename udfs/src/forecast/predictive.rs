//! From mean and deviation to quantiles: the distribution of what will be observed at one step.
//!
//! In: mean, deviation, and what kind of number the series holds. Out: bounds of levels and quantiles that never cross.

use super::intervals::normal_quantile;

/// Mean above which a count is as good as continuous: its distribution is taken as normal.
const COUNT_MEAN_MAX: f64 = 400.0;

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

/// Shape of the errors of a continuous series: how many deviations from the mean a level in percent reaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// Normal errors.
    Normal,
    /// Student errors with so many degrees of freedom, scaled to the same variance.
    Student(f64),
}

impl Shape {
    /// Deviations from the mean at probability `p`.
    pub(super) fn quantile(self, p: f64) -> f64 {
        let z = normal_quantile(p);
        match self {
            Self::Normal => z,
            Self::Student(nu) => student(z, nu) * ((nu - 2.0) / nu).sqrt(),
        }
    }
}

/// Student quantile from the normal one. Source: Abramowitz & Stegun 26.7.5, four terms; good to 1e-3 from five degrees of
/// freedom on and between the 1 % and 99 % quantiles.
fn student(z: f64, nu: f64) -> f64 {
    let z2 = z * z;
    let g1 = (z2 + 1.0) * z / 4.0;
    let g2 = ((5.0 * z2 + 16.0) * z2 + 3.0) * z / 96.0;
    let g3 = (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) * z / 384.0;
    z + g1 / nu + g2 / (nu * nu) + g3 / (nu * nu * nu)
}

/// Quantiles of one step after the other; keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Predictive {
    /// Distribution function of a count: P(y <= k) for k = 0, 1, ..
    below: Vec<f64>,
}

impl Predictive {
    /// Bounds of each level, as lower and upper, then quantiles, for one step into `out`.
    ///
    /// Levels are nested and quantiles rise. A count has the interval of whole numbers whose probability is nearest to the
    /// level: no interval of whole numbers has exactly that of the level.
    pub(super) fn step(
        &mut self,
        mean: f64,
        deviation: f64,
        support: Support,
        shape: Shape,
        asked: &Asked,
        out: &mut Vec<f64>,
    ) {
        out.clear();
        if support == Support::Count && mean <= COUNT_MEAN_MAX {
            return self.count(mean.max(0.0), deviation, asked, out);
        }
        let floor = if support == Support::Real { f64::NEG_INFINITY } else { 0.0 };
        for level in &asked.levels {
            let reach = shape.quantile(0.5 + *level as f64 / 200.0) * deviation;
            out.push((mean - reach).max(floor));
            out.push((mean + reach).max(floor));
        }
        out.extend(asked.quantiles.iter().map(|p| (mean + shape.quantile(*p) * deviation).max(floor)));
    }

    fn count(&mut self, mean: f64, deviation: f64, asked: &Asked, out: &mut Vec<f64>) {
        self.distribution(mean, deviation * deviation);
        let (mut lower_before, mut upper_before) = (usize::MAX, 0);
        for level in &asked.levels {
            let share = *level as f64 / 100.0;
            let lower = self.quantile((1.0 - share) / 2.0).min(lower_before);
            let missed = if lower > 0 { self.below[lower - 1] } else { 0.0 };
            let upper = self.nearest(share + missed).max(lower).max(upper_before);
            (lower_before, upper_before) = (lower, upper);
            out.extend([lower as f64, upper as f64]);
        }
        for p in &asked.quantiles {
            out.push(self.quantile(*p) as f64);
        }
    }

    /// The smallest count that is not exceeded with probability `p`.
    fn quantile(&self, p: f64) -> usize {
        self.below.partition_point(|f| *f < p).min(self.below.len().saturating_sub(1))
    }

    /// The count at which the distribution function is nearest to `p`.
    fn nearest(&self, p: f64) -> usize {
        let above = self.quantile(p);
        if above == 0 || self.below[above] - p <= p - self.below[above - 1] { above } else { above - 1 }
    }

    /// Negative binomial with that mean and variance; Poisson if the variance is no larger than the mean.
    fn distribution(&mut self, mean: f64, variance: f64) {
        self.below.clear();
        if mean <= 0.0 {
            self.below.push(1.0);
            return;
        }
        let over = variance - mean;
        // The ratio of neighbouring probabilities is (a + b k) / (k + 1).
        let (mut chance, a, b) = if over > 1e-9 * mean {
            let (size, fail) = (mean * mean / over, over / variance);
            (libm::exp(size * libm::log1p(-fail)), size * fail, fail)
        } else {
            (libm::exp(-mean), mean, 0.0)
        };
        let (mut sum, mut k) = (0.0, 0.0);
        while sum < 1.0 - COUNT_TAIL && self.below.len() < 100_000 {
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
            (2.6, [0.40612619817811774, 0.6701082269938943, 0.8218978935629655, 0.9053822101759551, 0.9502550303554367, 0.974037625050562]),
            (1.3, [0.27253179303401265, 0.626823123978229, 0.8571124890919697, 0.956904547307924, 0.9893369662281091, 0.9977693951473572]),
        ] {
            p.distribution(1.3, variance);
            for (own, golden) in p.below.iter().zip(golden) {
                assert!((own - golden).abs() < 1e-12, "variance={variance} own={own} golden={golden}");
            }
        }
    }

    /// Golden: scipy 1.17.1, `t.ppf(p, nu)`.
    #[test]
    fn student_quantiles_agree_with_scipy() {
        for (p, nu, golden) in [(0.975, 8.0, 2.306004135204166), (0.9, 8.0, 1.3968153097438645), (0.975, 5.0, 2.5705818356363146)] {
            assert!((student(normal_quantile(p), nu) - golden).abs() < 2e-3, "{p} {nu}");
        }
    }

    #[test]
    fn a_rare_count_has_the_nearest_interval_of_whole_numbers() {
        let (mut p, mut out) = (Predictive::default(), vec![]);
        // P(0) = 0.81: nearer to 80 % than P(0..1).
        p.step(0.2107, 0.459, Support::Count, Shape::Normal, &Asked { levels: vec![80], quantiles: vec![0.9] }, &mut out);
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
            for shape in [Shape::Normal, Shape::Student(6.0)] {
                Predictive::default().step(mean, deviation, support, shape, &asked(), &mut out);
                prop_assert!(out.iter().all(|v| v.is_finite()));
                prop_assert!(out[4] <= out[2] && out[2] <= out[0] && out[0] <= out[1] && out[1] <= out[3] && out[3] <= out[5], "{:?}", out);
                prop_assert!(out[6..].windows(2).all(|w| w[0] <= w[1]), "{:?}", out);
                prop_assert!(support == Support::Real || out.iter().all(|v| *v >= 0.0));
            }
        }
    }
}
