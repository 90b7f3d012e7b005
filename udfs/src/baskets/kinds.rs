//! Closed and maximal itemsets.  In: all frequent itemsets of a problem. Out: those of the kind that is wanted.

use super::itemsets::Itemsets;
use crate::error::Result;
use crate::functions::GroupContext;
use std::collections::HashMap;

/// Which itemsets are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All of them.
    All,
    /// Those without a superset of equal support.
    Closed,
    /// Those without a frequent superset.
    Maximal,
}

/// Keeps the itemsets of a kind, in their order. Stand-in until the real one is merged.
pub fn keep_kind(found: Itemsets, kind: Kind, context: &dyn GroupContext) -> Result<Itemsets> {
    if kind == Kind::All {
        return Ok(found);
    }
    context.reserve(found.memory_bytes() * 4)?;
    let index: HashMap<&[u32], usize> = (0..found.len()).map(|i| (found.items(i), i)).collect();
    let mut keep = vec![true; found.len()];
    let mut smaller = Vec::new();
    for i in 0..found.len() {
        let items = found.items(i);
        for without in 0..items.len() {
            smaller.clear();
            smaller.extend(items.iter().enumerate().filter(|&(at, _)| at != without).map(|(_, &item)| item));
            if let Some(&j) = index.get(smaller.as_slice())
                && (kind == Kind::Maximal || found.counts[i] == found.counts[j])
            {
                keep[j] = false;
            }
        }
    }
    let mut kept = Itemsets::new(found.max_len());
    for i in (0..found.len()).filter(|&i| keep[i]) {
        kept.codes.extend_from_slice(found.items(i));
        kept.offsets.push(kept.codes.len() as i32);
        kept.counts.push(found.counts[i]);
    }
    Ok(kept)
}
