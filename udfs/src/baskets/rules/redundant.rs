//! Rules that a more general one makes needless.  In: rules, all itemsets. Out: which of them stay.

use super::derive::missing;
use super::{LENGTH_MAX, Rules};
use crate::baskets::sets::{Place, item_hashes};
use crate::error::Result;
use crate::functions::GroupContext;

/// Subsets tried between two questions to the context.
const TRIES_BETWEEN_CHECKS: usize = 1 << 20;

/// Which rules stay: those with more confidence than every rule with the same consequent and a part of the antecedent.
///
/// The empty part counts, its confidence is the consequent's share of all baskets, as with the rules that `apriori` of R arules
/// gives `is.redundant`: a rule of lift 1 or less is redundant. A more general rule of at least the same confidence has at
/// least the same lift, so that it matters only to the lists of items whether it comes out itself. Source: Bayardo, Agrawal,
/// Gunopulos, Constraint-based rule mining in large, dense databases, 2000 (improvement above 0). Errors: `Cancelled`.
pub(super) fn keep(place: &Place, rules: &Rules, context: &dyn GroupContext) -> Result<Vec<bool>> {
    let mut search = Search { place, context, tries: 0, items: Vec::new() };
    (0..rules.len()).map(|i| search.stays(rules, i)).collect()
}

struct Search<'a> {
    place: &'a Place,
    context: &'a dyn GroupContext,
    tries: usize,
    /// Both sides of a rule, ascending.
    items: Vec<u32>,
}

impl Search<'_> {
    fn stays(&mut self, rules: &Rules, i: usize) -> Result<bool> {
        let counts = rules.counts[i];
        let product = |a: i64, b: i64| a as u128 * b as u128;
        if product(counts.consequent, counts.antecedent) >= product(counts.both, counts.baskets) {
            return Ok(false);
        }
        self.items.clear();
        self.items.extend_from_slice(rules.antecedent(i));
        self.items.extend_from_slice(rules.consequent(i));
        self.items.sort_unstable();
        let of = |code: &u32| rules.antecedent(i).binary_search(code).is_ok();
        let left = self.items.iter().enumerate().fold(0u64, |mask, (at, code)| mask | u64::from(of(code)) << at);
        let right = (u64::MAX >> (64 - self.items.len())) & !left;
        let (hashes, _) = item_hashes(&self.items);
        let mut part = (left - 1) & left;
        while part != 0 {
            self.tries += 1;
            if self.tries.is_multiple_of(TRIES_BETWEEN_CHECKS) {
                self.context.check_cancelled()?;
            }
            let (both, antecedent) = (self.count(part | right, &hashes)?, self.count(part, &hashes)?);
            if product(both, counts.antecedent) >= product(counts.both, antecedent) {
                return Ok(false);
            }
            part = (part - 1) & left;
        }
        Ok(true)
    }

    fn count(&self, chosen: u64, hashes: &[u64; LENGTH_MAX + 1]) -> Result<i64> {
        let (mut hash, mut rest) = (0u64, chosen);
        while rest != 0 {
            hash = hash.wrapping_add(hashes[rest.trailing_zeros() as usize]);
            rest &= rest - 1;
        }
        let found = self.place.own.find(&self.items, chosen, hash);
        found.map(|i| self.place.own.count(i)).ok_or_else(|| missing(self.items.len(), chosen))
    }
}
