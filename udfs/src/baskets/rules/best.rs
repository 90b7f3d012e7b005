//! The best rules of each antecedent or consequent.  In: rules, a measure. Out: which of them stay.

use super::Rules;
use super::options::{Side, Top};
use std::cmp::Ordering;

/// Measures of which the least is best.
const LEAST: [&str; 2] = ["fisher_p", "imbalance_ratio"];

/// Which rules stay: of each value of a side the best, ties by `n_both`, largest first, then the fewest items, then the items
/// of the antecedent and of the consequent in ascending order, so that no two rules are equal.
pub(super) fn keep(rules: &Rules, top: Top) -> Vec<bool> {
    let mut values = (top.order.column)(&rules.counts);
    if LEAST.contains(&top.order.name) {
        values.iter_mut().for_each(|value| *value = -*value);
    }
    let key = |i: usize| match top.by {
        Side::Antecedent => rules.antecedent(i),
        Side::Consequent => rules.consequent(i),
    };
    let items = |i: usize| rules.antecedent(i).len() + rules.consequent(i).len();
    let better = |&a: &usize, &b: &usize| -> Ordering {
        key(a)
            .cmp(key(b))
            .then_with(|| values[b].total_cmp(&values[a]))
            .then_with(|| rules.counts[b].both.cmp(&rules.counts[a].both))
            .then_with(|| items(a).cmp(&items(b)))
            .then_with(|| rules.antecedent(a).cmp(rules.antecedent(b)))
            .then_with(|| rules.consequent(a).cmp(rules.consequent(b)))
    };
    let mut order: Vec<usize> = (0..rules.len()).collect();
    order.sort_unstable_by(better);
    let mut keep = vec![false; rules.len()];
    for same in order.chunk_by(|&a, &b| key(a) == key(b)) {
        same.iter().take(top.rules).for_each(|&i| keep[i] = true);
    }
    keep
}
