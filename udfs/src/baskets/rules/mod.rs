//! Rules from itemsets.  In: frequent itemsets of a problem or of a shard of it. Out: both sides and their counts, flat.
//!
//! The rarest item r of an itemset Z names its shard. For any other y, Z\{y} holds r too and is in the same shard; only Z\{r}
//! is elsewhere, so that Z visits the shard of the rarest item of Z\{r}. Every rule with one item on the right so comes out
//! of exactly one shard, that of the rarest item of its antecedent.
//!
//! Larger consequents grow item by item from those that passed: a larger consequent leaves a smaller antecedent, which more
//! baskets hold, so that confidence can only fall. Source: Agrawal, Srikant, Fast Algorithms for Mining Association Rules,
//! VLDB 1994, section 3 (ap-genrules).

mod best;
pub mod columns;
mod derive;
mod filters;
pub mod options;
mod redundant;
mod significant;

#[cfg(test)]
mod tests;

use super::metrics::Counts;
use crate::error::{Error, Result};

pub(super) use columns::{rule_columns, rule_fields};
pub(super) use derive::derive_all;

/// The longest itemset: a set of this many items has more subsets than any table.
pub(super) const LENGTH_MAX: usize = 63;

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

    /// Rules held.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    /// Items on the left of rule `i`.
    fn antecedent(&self, i: usize) -> &[u32] {
        &self.antecedents[self.antecedent_offsets[i] as usize..self.antecedent_offsets[i + 1] as usize]
    }

    /// Items on the right of rule `i`.
    fn consequent(&self, i: usize) -> &[u32] {
        &self.consequents[self.consequent_offsets[i] as usize..self.consequent_offsets[i + 1] as usize]
    }

    /// Adds the rule between the items of `of` at the positions not in `consequent`, a mask, and those in it.
    fn push(&mut self, of: &[u32], consequent: u64, counts: Counts) -> Result<()> {
        if consequent.is_power_of_two() {
            let at = consequent.trailing_zeros() as usize;
            self.antecedents.extend_from_slice(&of[..at]);
            self.antecedents.extend_from_slice(&of[at + 1..]);
            self.consequents.push(of[at]);
        } else {
            for (at, &code) in of.iter().enumerate() {
                if consequent >> at & 1 == 1 { self.consequents.push(code) } else { self.antecedents.push(code) }
            }
        }
        self.close(counts)
    }

    fn close(&mut self, counts: Counts) -> Result<()> {
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

    /// The rules of which `keep` is true, in their order.
    fn kept(&self, keep: &[bool]) -> Result<Self> {
        let mut out = Self::default();
        for i in (0..self.len()).filter(|&i| keep[i]) {
            out.antecedents.extend_from_slice(self.antecedent(i));
            out.consequents.extend_from_slice(self.consequent(i));
            out.close(self.counts[i])?;
        }
        Ok(out)
    }
}

/// The error for an explosion of rules, with its remedy.
fn too_many(rules: usize, why: &str) -> Error {
    Error::Limit(format!(
        "too many rules: raise min_confidence, min_lift or min_support, or set a smaller max_consequent or max_len: \
         {why}: rules>={rules}"
    ))
}
