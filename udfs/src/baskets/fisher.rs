//! Fisher's exact test of one rule.  In: the four counts of a rule. Out: the chance of so many baskets with both sides.
//!
//! One-sided: the sum of the hypergeometric chances of `both` baskets or more, the sides independent with their counts fixed.
//! The first chance comes from the counts' distance from independence, which is exact in whole numbers, so that nothing
//! large cancels as it does among log-gammas (Loader, Fast and Accurate Computation of Binomial Probabilities, 2000). The
//! others follow by ratios of whole numbers; from below the mean it is the shorter side that is summed.

use super::metrics::Counts;

/// Terms below this share of the sum, all further ones together, are left out.
const NEGLIGIBLE: f64 = 1e-13;

/// P(X >= both), 0 to 1; 0 below the smallest double. Cost: as many terms as some standard deviations of X.
pub(super) fn upper_tail(r: &Counts) -> f64 {
    let table = Table::new(r);
    if r.both <= (r.antecedent + r.consequent).saturating_sub(r.baskets).max(0) {
        return 1.0;
    }
    if table.excess >= 0 {
        return (table.chance() * table.sum_up()).min(1.0);
    }
    // Below the mean: one minus the chance of fewer, which is half or less, so that little cancels.
    let fewer = Table::new(&Counts { both: r.both - 1, ..*r });
    (1.0 - fewer.chance() * fewer.sum_down()).clamp(0.0, 1.0)
}

/// The two-by-two table of a rule: both, antecedent alone, consequent alone, neither.
struct Table {
    cells: [i64; 4],
    /// Antecedent, the baskets without it, consequent, the baskets without it.
    margins: [i64; 4],
    baskets: i64,
    /// `both` less its mean, times `baskets`.
    excess: i128,
}

impl Table {
    fn new(r: &Counts) -> Self {
        let (x, y, n) = (r.antecedent, r.consequent, r.baskets);
        Self {
            cells: [r.both, x - r.both, y - r.both, n - x - y + r.both],
            margins: [x, n - x, y, n - y],
            baskets: n,
            excess: i128::from(r.both) * i128::from(n) - i128::from(x) * i128::from(y),
        }
    }

    /// The chance of just this table: `exp(-divergence)` times a factor of order one over the standard deviation.
    fn chance(&self) -> f64 {
        let n = self.baskets as f64;
        let distance = self.excess as f64 / n;
        let [x, not_x, y, not_y] = self.margins.map(|m| m as f64);
        let means = [x * y / n, x * not_y / n, not_x * y / n, not_x * not_y / n];
        let signs = [1.0, -1.0, -1.0, 1.0];
        let divergence: f64 = means.iter().zip(signs).map(|(&mean, sign)| mean * phi(sign * distance / mean)).sum();
        let spread = self.margins.map(root).iter().product::<f64>()
            / self.cells.map(root).iter().product::<f64>()
            / root(self.baskets);
        let rest = self.margins.map(stirling_rest).iter().sum::<f64>()
            - self.cells.map(stirling_rest).iter().sum::<f64>()
            - stirling_rest(self.baskets);
        spread.sqrt() * (rest - divergence).exp()
    }

    /// The chances of this table and of all with more baskets that hold both, over that of this table.
    fn sum_up(&self) -> f64 {
        let [both, left, right, neither] = self.cells.map(|cell| cell as f64);
        sum(left, right, both, neither)
    }

    /// The chances of this table and of all with fewer baskets that hold both, over that of this table.
    fn sum_down(&self) -> f64 {
        let [both, left, right, neither] = self.cells.map(|cell| cell as f64);
        sum(both, neither, left, right)
    }
}

/// 1 + a b / ((c + 1) (d + 1)) + .., `a` and `b` falling and `c` and `d` rising by one from term to term.
fn sum(mut a: f64, mut b: f64, mut c: f64, mut d: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    while a > 0.0 && b > 0.0 {
        c += 1.0;
        d += 1.0;
        let ratio = a * b / (c * d);
        term *= ratio;
        sum += term;
        // Ratios fall, so that the rest is less than a geometric series.
        if term * ratio < NEGLIGIBLE * sum * (1.0 - ratio) {
            break;
        }
        a -= 1.0;
        b -= 1.0;
    }
    sum
}

/// `(1 + t) ln(1 + t) - t` for `t >= -1`, by its series near 0 where the two would cancel; 0 for 0 / 0, an empty margin.
fn phi(t: f64) -> f64 {
    if t.is_nan() {
        return 0.0;
    }
    if t <= -1.0 {
        return 1.0;
    }
    if t.abs() > 0.1 {
        return (1.0 + t) * t.ln_1p() - t;
    }
    // Sum over k >= 2 of (-t)^k / (k (k - 1)): 16 terms reach 1e-17 of the first.
    let mut sum = 0.0;
    for k in (2..18).rev() {
        sum = sum * -t + 1.0 / f64::from(k * (k - 1));
    }
    sum * t * t
}

/// What stands under the root of Stirling's formula; 1 for 0, so that 0! comes out as 1.
fn root(n: i64) -> f64 {
    if n == 0 { 1.0 } else { n as f64 * std::f64::consts::TAU }
}

/// `ln n! - (n ln n - n + ln(2 pi n) / 2)`; 0 for 0 with what [`root`] makes of it.
fn stirling_rest(n: i64) -> f64 {
    /// Of 0 to 15, where the series is not exact enough (Loader 2000, `stirlerr`).
    const SMALL: [f64; 16] = [
        0.0,
        0.081_061_466_795_327_26,
        0.041_340_695_955_409_29,
        0.027_677_925_684_998_34,
        0.020_790_672_103_765_09,
        0.016_644_691_189_821_193,
        0.013_876_128_823_070_748,
        0.011_896_709_945_891_77,
        0.010_411_265_261_972_096,
        0.009_255_462_182_712_733,
        0.008_330_563_433_362_87,
        0.007_573_675_487_951_841,
        0.006_942_840_107_209_53,
        0.006_408_994_188_004_207,
        0.005_951_370_112_758_848,
        0.005_554_733_551_962_801,
    ];
    if let Some(&rest) = usize::try_from(n).ok().and_then(|n| SMALL.get(n)) {
        return rest;
    }
    let inverse = 1.0 / n as f64;
    let square = inverse * inverse;
    inverse
        * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0))))
}
