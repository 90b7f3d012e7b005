//! Measures of a rule, one row each.  In: the four counts of a rule. Out: one number.

use super::fisher::upper_tail;
use crate::signature::Output;

/// The whole numbers from which every measure follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Baskets that hold the antecedent and the consequent.
    pub both: i64,
    /// Baskets that hold the antecedent.
    pub antecedent: i64,
    /// Baskets that hold the consequent.
    pub consequent: i64,
    /// Baskets in all.
    pub baskets: i64,
}

/// A measure of a rule: a column of `association_rules`.
#[derive(Debug)]
pub struct Metric {
    /// Column name.
    pub name: &'static str,
    /// Values that it can take.
    pub range: &'static str,
    /// What it says, for help.
    pub meaning: &'static str,
    /// Where it was defined.
    pub source: &'static str,
    /// The formula; each count is at least 1, and `both <= antecedent, consequent <= baskets`. Never NaN: what is said of a
    /// division by zero is the row's comment.
    pub of: fn(&Counts) -> f64,
    /// The formula over a column, so that it is compiled into the loop.
    pub column: fn(&[Counts]) -> Vec<f64>,
}

/// A row of the table: its formula, and the formula over a column.
macro_rules! metric {
    ($name:literal, $range:literal, $meaning:literal, $source:literal, $of:expr) => {
        Metric {
            name: $name,
            range: $range,
            meaning: $meaning,
            source: $source,
            of: $of,
            column: |rows| rows.iter().map($of).collect(),
        }
    };
}

/// Every measure, in the order of the output columns.
pub const METRICS: &[Metric] = &[
    metric!(
        "support",
        "(0, 1]",
        "share of baskets that hold both sides",
        "Agrawal, Imielinski, Swami 1993",
        |r: &Counts| r.both as f64 / r.baskets as f64
    ),
    metric!(
        "confidence",
        "(0, 1]",
        "share of the antecedent's baskets that hold the consequent",
        "Agrawal, Imielinski, Swami 1993",
        |r: &Counts| r.both as f64 / r.antecedent as f64
    ),
    metric!(
        "lift",
        "(0, inf)",
        "confidence over the consequent's share of all baskets; 1 if the sides are independent",
        "Brin, Motwani, Ullman, Tsur 1997 (as interest)",
        |r: &Counts| times(r.both, r.baskets) / times(r.antecedent, r.consequent)
    ),
    metric!(
        "leverage",
        "[-0.25, 0.25]",
        "support beyond what independent sides would have",
        "Piatetsky-Shapiro 1991",
        |r: &Counts| r.excess() / times(r.baskets, r.baskets)
    ),
    metric!(
        "conviction",
        "[0, inf]",
        "how much more often independent sides would break the rule; infinite at confidence 1",
        "Brin, Motwani, Ullman, Tsur 1997",
        |r: &Counts| {
            if r.both == r.antecedent {
                f64::INFINITY
            } else {
                times(r.antecedent, r.baskets - r.consequent) / times(r.baskets, r.antecedent - r.both)
            }
        }
    ),
    metric!(
        "zhang",
        "[-1, 1]",
        "leverage over the largest that these counts allow; 0 if the sides are independent",
        "Zhang 2000",
        // Only independent sides can have a largest of 0: the antecedent is in every basket.
        |r: &Counts| over(
            r.excess(),
            times(r.both, r.baskets - r.antecedent).max(times(r.antecedent, r.consequent - r.both)),
            0.0
        )
    ),
    metric!(
        "jaccard",
        "(0, 1]",
        "baskets that hold both sides over those that hold either",
        "Jaccard 1901",
        |r: &Counts| r.both as f64 / r.either()
    ),
    metric!(
        "cosine",
        "(0, 1]",
        "geometric mean of the confidences of both directions",
        "Tan, Kumar, Srivastava 2004",
        |r: &Counts| r.both as f64 / times(r.antecedent, r.consequent).sqrt()
    ),
    metric!(
        "kulczynski",
        "(0, 1]",
        "arithmetic mean of the confidences of both directions",
        "Kulczynski 1927; Wu, Chen, Han 2010",
        |r: &Counts| 0.5 * (r.both as f64 / r.antecedent as f64 + r.both as f64 / r.consequent as f64)
    ),
    metric!(
        "imbalance_ratio",
        "[0, 1)",
        "difference of the sides' counts over the baskets that hold either; 0 if they are as frequent",
        "Wu, Chen, Han 2010",
        |r: &Counts| r.antecedent.abs_diff(r.consequent) as f64 / r.either()
    ),
    metric!(
        "all_confidence",
        "(0, 1]",
        "the smaller of the confidences of both directions",
        "Omiecinski 2003",
        |r: &Counts| r.both as f64 / r.antecedent.max(r.consequent) as f64
    ),
    metric!(
        "max_confidence",
        "(0, 1]",
        "the larger of the confidences of both directions",
        "Wu, Chen, Han 2010",
        |r: &Counts| r.both as f64 / r.antecedent.min(r.consequent) as f64
    ),
    metric!(
        "added_value",
        "(-1, 1)",
        "confidence beyond the consequent's share of all baskets",
        "Sahar, Mansour 1999",
        |r: &Counts| r.excess() / times(r.antecedent, r.baskets)
    ),
    metric!(
        "certainty",
        "[-1, 1]",
        "added value over the largest, or, below 0, the smallest that the consequent allows; 0 if the sides are independent",
        "Shortliffe, Buchanan 1975; Berzal, Blanco, Sanchez, Vila 2002",
        // A consequent in every basket leaves nothing to add: the sides are independent.
        |r: &Counts| {
            let without = if r.excess() < 0.0 { r.consequent } else { r.baskets - r.consequent };
            over(r.excess(), times(r.antecedent, without), 0.0)
        }
    ),
    metric!(
        "odds_ratio",
        "[0, inf]",
        "odds of the consequent with the antecedent over those without it; infinite if a side never comes alone",
        "Cornfield 1951",
        // 0 / 0 only where a side is in every basket, and so independent of the other.
        |r: &Counts| {
            if r.antecedent == r.baskets || r.consequent == r.baskets {
                1.0
            } else {
                times(r.both, r.neither()) / times(r.antecedent - r.both, r.consequent - r.both)
            }
        }
    ),
    metric!(
        "phi",
        "[-1, 1]",
        "correlation of the sides; 0 if they are independent",
        "Yule 1912; Tan, Kumar, Srivastava 2004",
        // A side in every basket is independent of the other.
        |r: &Counts| over(r.excess(), r.spread().sqrt(), 0.0)
    ),
    metric!(
        "chi_squared",
        "[0, inf)",
        "Pearson's statistic of the two-by-two table, one degree of freedom, no continuity correction",
        "Pearson 1900; Brin, Motwani, Silverstein 1997",
        |r: &Counts| over(r.baskets as f64 * r.excess() * r.excess(), r.spread(), 0.0)
    ),
    metric!(
        "fisher_p",
        "[0, 1]",
        "chance of so many or more baskets with both sides if they are independent (Fisher's exact test, one-sided)",
        "Fisher 1922; Hahsler, Hornik 2007",
        // Below the smallest double it is 0.
        |r: &Counts| upper_tail(r)
    ),
];

impl Counts {
    /// `both * baskets - antecedent * consequent`, exact and rounded once: 0 if the sides are independent.
    #[inline]
    fn excess(&self) -> f64 {
        (product(self.both, self.baskets) - product(self.antecedent, self.consequent)) as f64
    }

    /// Baskets that hold one side at least.
    fn either(&self) -> f64 {
        (self.antecedent - self.both) as f64 + self.consequent as f64
    }

    /// Baskets that hold neither side.
    fn neither(&self) -> i64 {
        self.baskets - self.antecedent - (self.consequent - self.both)
    }

    /// The product of the counts of both sides and of the baskets without each.
    fn spread(&self) -> f64 {
        times(self.antecedent, self.baskets - self.antecedent) * times(self.consequent, self.baskets - self.consequent)
    }
}

/// An exact product, rounded once.
#[inline]
fn times(a: i64, b: i64) -> f64 {
    match a.checked_mul(b) {
        Some(product) => product as f64,
        None => product(a, b) as f64,
    }
}

#[inline]
fn product(a: i64, b: i64) -> i128 {
    i128::from(a) * i128::from(b)
}

/// A quotient, or `limit` if there is nothing to divide by.
#[inline]
fn over(part: f64, whole: f64, limit: f64) -> f64 {
    if whole == 0.0 { limit } else { part / whole }
}

/// The measures as output columns.
pub(super) const METRIC_OUTPUT: [Output; METRICS.len()] = {
    let mut out = [const { Output { name: "", kind: "DOUBLE", meaning: "" } }; METRICS.len()];
    let mut i = 0;
    while i < METRICS.len() {
        out[i] = Output { name: METRICS[i].name, kind: "DOUBLE", meaning: METRICS[i].meaning };
        i += 1;
    }
    out
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(name: &str, counts: Counts) -> f64 {
        (METRICS.iter().find(|m| m.name == name).unwrap().of)(&counts)
    }

    #[test]
    fn measures_equal_hand_calculation() {
        // 10 baskets, antecedent in 4, consequent in 5, both in 3.
        let counts = Counts { both: 3, antecedent: 4, consequent: 5, baskets: 10 };
        for (name, expected) in
            [("support", 0.3), ("confidence", 0.75), ("lift", 1.5), ("leverage", 0.1), ("conviction", 2.0)]
        {
            assert_eq!(of(name, counts), expected, "{name}");
        }
    }

    #[test]
    fn conviction_is_infinite_at_confidence_one_and_finite_below() {
        assert_eq!(of("conviction", Counts { both: 4, antecedent: 4, consequent: 10, baskets: 10 }), f64::INFINITY);
        assert_eq!(of("conviction", Counts { both: 3, antecedent: 4, consequent: 10, baskets: 10 }), 0.0);
    }

    /// The golden values come from mlxtend 0.25.0 and exact fractions, Fisher's p from 60 digits of mpmath, by
    /// `tests/peers/rule_measures.py`; relative tolerance 1e-14 for fractions rounded three times, 1e-10 for Fisher's p.
    #[test]
    fn measures_equal_golden_values() {
        let mut lines = include_str!("metrics_golden.csv").lines().filter(|line| !line.starts_with('#'));
        let names: Vec<&str> = lines.next().unwrap().split(',').collect();
        assert_eq!(names[4..], METRICS.iter().map(|m| m.name).collect::<Vec<_>>());
        let mut seen = 0;
        for line in lines {
            let fields: Vec<&str> = line.split(',').collect();
            let n: Vec<i64> = fields[..4].iter().map(|f| f.parse().unwrap()).collect();
            let counts = Counts { both: n[0], antecedent: n[1], consequent: n[2], baskets: n[3] };
            for (metric, field) in METRICS.iter().zip(&fields[4..]) {
                let (got, expected): (f64, f64) = ((metric.of)(&counts), field.parse().unwrap());
                let tolerance = if metric.name == "fisher_p" { 1e-10 } else { 1e-14 };
                let near = got == expected || (got - expected).abs() <= tolerance * expected.abs();
                assert!(near, "{} of {counts:?}: {got:e}, expected {expected:e}", metric.name);
                seen += 1;
            }
        }
        assert_eq!(seen, 25 * METRICS.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn no_measure_is_nan_and_columns_equal_rows(cells in prop::array::uniform4(0i64..6), scale in 1i64..1_000_000) {
            let [both, left, right, neither] = cells.map(|cell| cell * scale);
            let both = both.max(1);
            let counts = Counts {
                both, antecedent: both + left, consequent: both + right, baskets: both + left + right + neither,
            };
            for metric in METRICS {
                if metric.name == "fisher_p" && scale > 1000 {
                    continue;
                }
                let value = (metric.of)(&counts);
                prop_assert!(!value.is_nan(), "{} of {counts:?}", metric.name);
                prop_assert_eq!((metric.column)(&[counts])[0].to_bits(), value.to_bits());
            }
        }

        #[test]
        fn fisher_equals_the_sum_of_whole_numbers(cells in prop::array::uniform4(0u32..9)) {
            let [both, left, right, neither] = cells;
            let both = both.max(1);
            let (x, y, n) = (both + left, both + right, both + left + right + neither);
            let choose = |n: u32, k: u32| if k > n { 0 } else { (0..k).fold(1u128, |c, i| c * u128::from(n - i) / u128::from(i + 1)) };
            let ways: u128 = (both..=x.min(y)).map(|k| choose(y, k) * choose(n - y, x - k)).sum();
            let expected = ways as f64 / choose(n, x) as f64;
            let got = of("fisher_p", Counts { both: both.into(), antecedent: x.into(), consequent: y.into(), baskets: n.into() });
            prop_assert!((got - expected).abs() <= 1e-13 * expected, "{got:e} {expected:e}");
        }
    }

    #[test]
    fn every_measure_has_its_own_name_a_range_and_a_source() {
        for (i, metric) in METRICS.iter().enumerate() {
            assert!(METRICS[..i].iter().all(|other| other.name != metric.name), "{}", metric.name);
            assert!(!metric.range.is_empty() && !metric.source.is_empty() && !metric.meaning.is_empty());
        }
    }
}
