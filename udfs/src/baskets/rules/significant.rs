//! Rules that are no play of chance.  In: rules and their number before any filter. Out: which of them stay.

use super::Rules;
use super::options::{Correction, Significance};
use crate::baskets::fisher::upper_tail;
use crate::baskets::sets::Place;
use crate::error::Result;
use crate::functions::GroupContext;

/// Tests between two questions to the context.
const TESTS_BETWEEN_CHECKS: usize = 1 << 14;

/// How many rules all itemsets have with up to `max_consequent` items on the right: the tests to be allowed for. The filters
/// look at the same counts as the test, so that what they leave out was tested too.
pub(super) fn tests(place: &Place, max_consequent: usize) -> f64 {
    (0..place.own.len()).map(|i| splits(place.own.items(i).len(), max_consequent)).sum::<u128>() as f64
}

/// Ways to split `n` items into two sides with up to `most` on the right.
fn splits(n: usize, most: usize) -> u128 {
    let (mut ways, mut sum) = (1u128, 0);
    for k in 1..=most.min(n.saturating_sub(1)) {
        ways = ways * (n - k + 1) as u128 / k as u128;
        sum += ways;
    }
    sum
}

/// Which rules stay. Holm's procedure takes the rules that filters left out for tests that fail, which keeps its promise.
///
/// Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979; the idea is Webb's, Discovering Significant
/// Patterns, 2007. Errors: `Cancelled`.
pub(super) fn keep(rules: &Rules, wanted: Significance, tests: f64, context: &dyn GroupContext) -> Result<Vec<bool>> {
    let mut chances = Vec::with_capacity(rules.len());
    for (i, counts) in rules.counts.iter().enumerate() {
        if i.is_multiple_of(TESTS_BETWEEN_CHECKS) {
            context.check_cancelled()?;
        }
        chances.push(upper_tail(counts));
    }
    let bound = match wanted.correction {
        Correction::Bonferroni => wanted.alpha / tests,
        Correction::Holm => {
            let mut ascending = chances.clone();
            ascending.sort_unstable_by(f64::total_cmp);
            let passed = ascending.iter().enumerate().take_while(|(i, p)| **p <= wanted.alpha / (tests - *i as f64));
            // Equal chances pass together: the bounds only grow.
            passed.last().map_or(-1.0, |(_, p)| *p)
        }
    };
    Ok(chances.into_iter().map(|p| p <= bound).collect())
}
