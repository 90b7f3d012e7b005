//! The rules of one place.  In: its itemsets. Out: those rules that are wanted.

use super::filters::Filters;
use super::options::RuleOptions;
use super::{LENGTH_MAX, Rules, best, redundant, significant, too_many};
use crate::baskets::metrics::Counts;
use crate::baskets::sets::{Place, item_hashes};
use crate::error::{Error, Result};
use crate::functions::GroupContext;

/// Rules tried between two questions to the context.
const TRIES_BETWEEN_CHECKS: usize = 1 << 18;

/// Derives every wanted rule: own itemsets in lexicographic order of their items, then visitors, within an itemset consequents
/// by size and then by their items' positions.
///
/// `held` are the caller's bytes. Cost: a look-up for each rule tried; `prune_redundant` two for each subset of each rule's
/// antecedent. Errors: `Data` if a subset of an itemset is missing, or if `options` need the whole problem and it is not here,
/// `Limit`, `Cancelled`.
pub(in crate::baskets) fn derive_all(
    place: &Place,
    options: &RuleOptions,
    held: usize,
    context: &dyn GroupContext,
) -> Result<Rules> {
    if options.needs_one_shard() && !place.is_whole() {
        return Err(Error::Data(format!(
            "these rules need all itemsets of a problem in one place: use `shards => 1` for max_consequent above 1, \
             top_k_by consequent, prune_redundant and significance: itemsets={}, items={}",
            place.own.len(),
            place.items.len()
        )));
    }
    let filters = Filters::new(&place.items, options)?;
    let mut derivation = Derivation {
        place,
        options,
        filters: &filters,
        rules: Rules::default(),
        tries: 0,
        held,
        context,
        frontier: Vec::new(),
    };
    derivation.run()?;
    let mut rules = derivation.rules;
    if let Some(significance) = options.significance {
        let tests = significant::tests(place, options.max_consequent);
        rules = rules.kept(&significant::keep(&rules, significance, tests, context)?)?;
    }
    if options.prune_redundant {
        rules = rules.kept(&redundant::keep(place, &rules, context)?)?;
    }
    if let Some(top) = options.top {
        rules = rules.kept(&best::keep(&rules, top))?;
    }
    Ok(rules)
}

struct Derivation<'a> {
    place: &'a Place,
    options: &'a RuleOptions,
    filters: &'a Filters,
    rules: Rules,
    tries: usize,
    held: usize,
    context: &'a dyn GroupContext,
    /// Consequents of the size at hand that passed: positions in the itemset, and their hash.
    frontier: Vec<(u64, u64)>,
}

/// An itemset to be split.
struct Whole<'a> {
    items: &'a [u32],
    count: i64,
    hashes: [u64; LENGTH_MAX + 1],
    /// Their sum.
    hash: u64,
}

impl<'a> Whole<'a> {
    fn new(items: &'a [u32], count: i64) -> Self {
        let (hashes, hash) = item_hashes(items);
        Self { items, count, hashes, hash }
    }
}

impl Derivation<'_> {
    fn run(&mut self) -> Result<()> {
        let (place, whole) = (self.place, self.place.is_whole());
        for i in 0..place.own.len() {
            let items = place.own.items(i);
            if items.len() < 2 {
                continue;
            }
            let set = Whole::new(items, place.own.count(i));
            // The rarest item's rule belongs to the shard that the itemset visits.
            let elsewhere = if whole { usize::MAX } else { place.rarest(items) };
            self.split(&set, elsewhere)?;
        }
        if !whole {
            for i in 0..place.visitors.len() {
                let items = place.visitors.items(i);
                let at = place.rarest(items);
                let set = Whole::new(items, place.visitors.counts[i]);
                self.rule(&set, 1 << at, set.hashes[at])?;
            }
        }
        Ok(())
    }

    /// All rules whose two sides make up an itemset, but that with the item at `elsewhere` alone on the right.
    fn split(&mut self, set: &Whole<'_>, elsewhere: usize) -> Result<()> {
        let n = set.items.len();
        self.frontier.clear();
        let mut single = 0u64;
        for at in (0..n).filter(|&at| at != elsewhere) {
            if self.rule(set, 1 << at, set.hashes[at])? {
                single |= 1 << at;
                self.frontier.push((1 << at, set.hashes[at]));
            }
        }
        for _ in 2..=self.options.max_consequent.min(n - 1) {
            let smaller = std::mem::take(&mut self.frontier);
            for &(consequent, hash) in &smaller {
                let mut above = single & !(u64::MAX >> consequent.leading_zeros());
                while above != 0 {
                    let at = above.trailing_zeros() as usize;
                    above &= above - 1;
                    let (grown, hash) = (consequent | 1 << at, hash.wrapping_add(set.hashes[at]));
                    if self.rule(set, grown, hash)? {
                        self.frontier.push((grown, hash));
                    }
                }
            }
            if self.frontier.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Tries one rule; says whether it reaches the confidence, and keeps it if it passes all else too.
    fn rule(&mut self, set: &Whole<'_>, consequent: u64, hash: u64) -> Result<bool> {
        self.tries += 1;
        if self.tries.is_multiple_of(TRIES_BETWEEN_CHECKS) {
            self.check()?;
        }
        let all = u64::MAX >> (64 - set.items.len());
        let antecedent = self.find(set, all & !consequent, set.hash.wrapping_sub(hash))?;
        if !self.options.min_confidence.reached(set.count as u128, antecedent as u128) {
            return Ok(false);
        }
        let right = if consequent.is_power_of_two() {
            self.place.n_items[set.items[consequent.trailing_zeros() as usize] as usize]
        } else {
            self.find(set, consequent, hash)?
        };
        let counts = Counts { both: set.count, antecedent, consequent: right, baskets: self.place.n_baskets };
        let product = |a: i64, b: i64| a as u128 * b as u128;
        let lift = (product(counts.both, counts.baskets), product(counts.antecedent, counts.consequent));
        if self.options.min_lift.reached(lift.0, lift.1) && self.filters.take(set.items, consequent) {
            self.rules.push(set.items, consequent, counts)?;
        }
        Ok(true)
    }

    fn find(&self, set: &Whole<'_>, chosen: u64, hash: u64) -> Result<i64> {
        let found = self.place.own.find(set.items, chosen, hash);
        found.map(|i| self.place.own.count(i)).ok_or_else(|| missing(set.items.len(), chosen))
    }

    fn check(&self) -> Result<()> {
        self.context.check_cancelled()?;
        // Vectors double: the next growth may need as much again.
        self.context.reserve(self.held + self.rules.memory_bytes() * 2).map_err(|e| match e {
            Error::Limit(m) => too_many(self.rules.len(), &m),
            other => other,
        })
    }
}

/// The error for itemsets that do not belong together.
pub(super) fn missing(items: usize, chosen: u64) -> Error {
    Error::Data(format!(
        "derive_rules: a subset of an itemset is missing: the input must hold every subset of every itemset: items={items}, \
         subset={}",
        chosen.count_ones()
    ))
}
