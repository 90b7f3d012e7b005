//! Rules from itemsets.  In: all frequent itemsets with counts. Out: antecedent, consequent and their counts, flat.
//!
//! For each itemset the consequents grow item by item from those that passed: a larger consequent leaves a smaller
//! antecedent, which more baskets hold, so that confidence can only fall. Source: Agrawal, Srikant, Fast Algorithms for
//! Mining Association Rules, VLDB 1994, section 3 (ap-genrules).

use crate::baskets::itemset_index::{ItemsetIndex, item_hash};
use crate::baskets::metrics::Counts;
use crate::baskets::threshold::Threshold;
pub mod options;

use crate::error::{Error, Result};
use crate::functions::GroupContext;

/// Rules tried between two questions to the context.
const TRIES_BETWEEN_CHECKS: usize = 1 << 18;

/// The longest itemset: a set of this many items has more subsets than any table.
pub(super) const LENGTH_MAX: usize = 63;

/// Which rules are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) min_confidence: Threshold,
    pub(super) min_lift: Threshold,
    pub(super) max_consequent: usize,
}

/// Rules in columns; sides are laid out like Arrow list arrays.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) antecedents: Vec<u32>,
    pub(super) antecedent_offsets: Vec<i32>,
    pub(super) consequents: Vec<u32>,
    pub(super) consequent_offsets: Vec<i32>,
    pub(super) counts: Vec<Counts>,
}

/// Bytes of a rule beside its items: two offsets and four counts.
const RULE_BYTES: usize = 2 * 4 + 4 * 8;

impl Default for Rules {
    fn default() -> Self {
        Self {
            antecedents: Vec::new(),
            antecedent_offsets: vec![0],
            consequents: Vec::new(),
            consequent_offsets: vec![0],
            counts: Vec::new(),
        }
    }
}

impl Rules {
    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        (self.antecedents.capacity() + self.consequents.capacity()) * 4 + self.counts.capacity() * RULE_BYTES
    }

    fn push(&mut self, of: &[u32], consequent: u64, counts: Counts) -> Result<()> {
        for (at, &code) in of.iter().enumerate() {
            if consequent >> at & 1 == 1 { self.consequents.push(code) } else { self.antecedents.push(code) }
        }
        let (Ok(antecedent), Ok(consequent)) =
            (i32::try_from(self.antecedents.len()), i32::try_from(self.consequents.len()))
        else {
            return Err(too_many(self.counts.len(), "more than one column can hold"));
        };
        self.antecedent_offsets.push(antecedent);
        self.consequent_offsets.push(consequent);
        self.counts.push(counts);
        Ok(())
    }
}

fn too_many(rules: usize, why: &str) -> Error {
    Error::Limit(format!(
        "too many rules: raise min_confidence, min_lift or min_support, or set a smaller max_consequent or max_len: \
         {why}: rules>={rules}"
    ))
}

/// Derives every wanted rule, itemsets in lexicographic order, consequents by size and then by their items' positions.
///
/// `held` are the caller's bytes. Errors: `Data` if a subset of an itemset is missing, `Limit`, `Cancelled`.
pub(super) fn derive(
    itemsets: &ItemsetIndex,
    baskets: i64,
    wanted: Wanted,
    held: usize,
    context: &dyn GroupContext,
) -> Result<Rules> {
    let mut derivation = Derivation {
        itemsets,
        baskets,
        wanted,
        rules: Rules::default(),
        tries: 0,
        held,
        context,
        frontier: Vec::new(),
    };
    for i in 0..itemsets.len() {
        if itemsets.items(i).len() > 1 {
            derivation.split(i)?;
        }
    }
    Ok(derivation.rules)
}

struct Derivation<'a> {
    itemsets: &'a ItemsetIndex,
    baskets: i64,
    wanted: Wanted,
    rules: Rules,
    tries: usize,
    held: usize,
    context: &'a dyn GroupContext,
    /// Consequents of the size at hand that passed: positions in the itemset, and their hash.
    frontier: Vec<(u64, u64)>,
}

impl Derivation<'_> {
    /// All rules whose two sides make up itemset `i`.
    fn split(&mut self, i: usize) -> Result<()> {
        let itemsets = self.itemsets;
        let items = itemsets.items(i);
        let hashes = items.iter().fold([0; LENGTH_MAX + 1], {
            let mut at = 0;
            move |mut all: [u64; LENGTH_MAX + 1], &code| {
                all[at] = item_hash(code);
                at += 1;
                all
            }
        });
        let whole = hashes.iter().fold(0u64, |sum, &h| sum.wrapping_add(h));
        self.frontier.clear();
        let mut single = 0u64;
        for (at, &hash) in hashes[..items.len()].iter().enumerate() {
            if self.rule(i, 1 << at, hash, whole)? {
                single |= 1 << at;
                self.frontier.push((1 << at, hash));
            }
        }
        for _ in 2..=self.wanted.max_consequent.min(items.len() - 1) {
            let smaller = std::mem::take(&mut self.frontier);
            for &(consequent, hash) in &smaller {
                let mut above = single & !(u64::MAX >> consequent.leading_zeros());
                while above != 0 {
                    let at = above.trailing_zeros() as usize;
                    above &= above - 1;
                    let (grown, hash) = (consequent | 1 << at, hash.wrapping_add(hashes[at]));
                    if self.rule(i, grown, hash, whole)? {
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

    /// Tries one rule; says whether it reaches the confidence, and keeps it if it reaches the lift too.
    fn rule(&mut self, i: usize, consequent: u64, hash: u64, whole: u64) -> Result<bool> {
        self.tries += 1;
        if self.tries.is_multiple_of(TRIES_BETWEEN_CHECKS) {
            self.context.check_cancelled()?;
            // Vectors double: the next growth may need as much again.
            self.context.reserve(self.held + self.rules.memory_bytes() * 2).map_err(|e| match e {
                Error::Limit(m) => too_many(self.rules.counts.len(), &m),
                other => other,
            })?;
        }
        let items = self.itemsets.items(i);
        let all = u64::MAX >> (64 - items.len());
        let find = |chosen, hash| {
            self.itemsets.find(items, chosen, hash).ok_or_else(|| {
                Error::Data(format!(
                    "derive_rules: a subset of an itemset is missing: the input must hold every subset of every \
                     itemset: items={}, subset={}",
                    items.len(),
                    u64::count_ones(chosen)
                ))
            })
        };
        let both = self.itemsets.count(i);
        let antecedent = find(all & !consequent, whole.wrapping_sub(hash))?;
        if !self.wanted.min_confidence.reached(both as u128, antecedent as u128) {
            return Ok(false);
        }
        let counts = Counts { both, antecedent, consequent: find(consequent, hash)?, baskets: self.baskets };
        let product = |a: i64, b: i64| a as u128 * b as u128;
        if self
            .wanted
            .min_lift
            .reached(product(counts.both, counts.baskets), product(counts.antecedent, counts.consequent))
        {
            self.rules.push(items, consequent, counts)?;
        }
        Ok(true)
    }
}
