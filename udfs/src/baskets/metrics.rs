//! Measures of a rule, one row each.  In: the four counts of a rule. Out: one number.

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
    /// The formula; each count is at least 1, and `both <= antecedent, consequent <= baskets`.
    pub of: fn(&Counts) -> f64,
}

/// Every measure, in the order of the output columns.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "support",
        range: "(0, 1]",
        meaning: "share of baskets that hold both sides",
        source: "Agrawal, Imielinski, Swami 1993",
        of: |r| r.both as f64 / r.baskets as f64,
    },
    Metric {
        name: "confidence",
        range: "(0, 1]",
        meaning: "share of the antecedent's baskets that hold the consequent",
        source: "Agrawal, Imielinski, Swami 1993",
        of: |r| r.both as f64 / r.antecedent as f64,
    },
    Metric {
        name: "lift",
        range: "(0, inf)",
        meaning: "confidence over the consequent's share of all baskets; 1 if the sides are independent",
        source: "Brin, Motwani, Ullman, Tsur 1997 (as interest)",
        of: |r| r.times(r.both, r.baskets) / r.times(r.antecedent, r.consequent),
    },
    Metric {
        name: "leverage",
        range: "[-0.25, 0.25]",
        meaning: "support beyond what independent sides would have",
        source: "Piatetsky-Shapiro 1991",
        of: |r| {
            let (observed, expected) = (product(r.both, r.baskets), product(r.antecedent, r.consequent));
            (observed - expected) as f64 / r.times(r.baskets, r.baskets)
        },
    },
    Metric {
        name: "conviction",
        range: "[0, inf]",
        meaning: "how much more often independent sides would break the rule; infinite at confidence 1",
        source: "Brin, Motwani, Ullman, Tsur 1997",
        of: |r| {
            if r.both == r.antecedent {
                f64::INFINITY
            } else {
                r.times(r.antecedent, r.baskets - r.consequent) / r.times(r.baskets, r.antecedent - r.both)
            }
        },
    },
];

impl Counts {
    /// An exact product, rounded once.
    fn times(&self, a: i64, b: i64) -> f64 {
        product(a, b) as f64
    }
}

fn product(a: i64, b: i64) -> i128 {
    i128::from(a) * i128::from(b)
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

    #[test]
    fn every_measure_has_its_own_name_a_range_and_a_source() {
        for (i, metric) in METRICS.iter().enumerate() {
            assert!(METRICS[..i].iter().all(|other| other.name != metric.name), "{}", metric.name);
            assert!(!metric.range.is_empty() && !metric.source.is_empty() && !metric.meaning.is_empty());
        }
    }
}
