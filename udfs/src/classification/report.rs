//! Precision, recall and F1 from counts.  In: three whole numbers a class. Out: the measures of each class and of all.
//!
//! Source: scikit-learn, `precision_recall_fscore_support` with `zero_division=0`; van Rijsbergen (1979), Information
//! Retrieval, ch. 7.

/// The counts of a class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Rows whose actual value it is.
    pub(super) support: i64,
    /// Rows whose predicted value it is.
    pub(super) predicted: i64,
    /// Rows where both are.
    pub(super) true_positives: i64,
}

/// Each from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Measures {
    pub(super) precision: f64,
    pub(super) recall: f64,
    pub(super) f1: f64,
}

impl Line {
    /// The measures; 0 where they divide by zero.
    pub(super) fn measures(&self) -> Measures {
        let over = |part: i64, whole: i64| if whole > 0 { part as f64 / whole as f64 } else { 0.0 };
        Measures {
            precision: over(self.true_positives, self.predicted),
            recall: over(self.true_positives, self.support),
            f1: over(2 * self.true_positives, self.support + self.predicted),
        }
    }
}

/// How many averages there are.
pub(super) const AVERAGES: usize = 3;

/// The counts of all classes together.
pub(super) fn sum<'a>(lines: impl Iterator<Item = &'a Line>) -> Line {
    lines.fold(Line::default(), |all, l| Line {
        support: all.support + l.support,
        predicted: all.predicted + l.predicted,
        true_positives: all.true_positives + l.true_positives,
    })
}

/// The averages over the classes, by name: all rows alike, all classes alike, all classes by support.
pub(super) fn averages<'a>(lines: impl Iterator<Item = &'a Line> + Clone) -> [(&'static str, Measures); AVERAGES] {
    let mean = |weight: fn(&Line) -> f64| {
        let whole: f64 = lines.clone().map(weight).sum();
        let of = |part: fn(&Measures) -> f64| {
            let total: f64 = lines.clone().map(|l| weight(l) * part(&l.measures())).sum();
            if whole > 0.0 { total / whole } else { 0.0 }
        };
        Measures { precision: of(|m| m.precision), recall: of(|m| m.recall), f1: of(|m| m.f1) }
    };
    [("micro", sum(lines.clone()).measures()), ("macro", mean(|_| 1.0)), ("weighted", mean(|l| l.support as f64))]
}
