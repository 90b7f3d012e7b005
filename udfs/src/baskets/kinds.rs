//! Closed and maximal itemsets.  In: itemsets of a problem or of a shard. Out: those of its own that are of a kind.
//!
//! An itemset is closed if no superset has its count and maximal if no superset is frequent; supersets by one item decide. They
//! are in the same shard, but for those by an item rarer than all of its own: these visit it (see [`super::rules`]). What is
//! frequent means what was mined: with `max_len`, the longest itemsets have no superset.

use super::itemsets::Itemsets;
use super::sets::{Place, Sets, item_hashes};
use crate::error::{Error, Result};
use crate::functions::GroupContext;

/// Itemsets between two questions to the context.
const SETS_BETWEEN_CHECKS: usize = 1 << 16;

/// Which itemsets come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Every one.
    All,
    /// Those without a superset of the same count.
    Closed,
    /// Those without a superset.
    Maximal,
}

impl Kind {
    /// The kind of a name. Errors: `Bug` if the signature allows what is not here.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "all" => Ok(Self::All),
            "closed" => Ok(Self::Closed),
            "maximal" => Ok(Self::Maximal),
            _ => Err(Error::Bug(format!("no such kind of itemsets: {name}"))),
        }
    }
}

/// The own itemsets of `place` that are of a kind, in codes, in lexicographic order. Cost: a look-up for each item of each
/// itemset. Errors: `Data` if a subset of an itemset is missing, `Limit` if they do not fit in a column, `Cancelled`.
pub(super) fn keep_kind(place: &Place, kind: Kind, context: &dyn GroupContext) -> Result<Itemsets> {
    let own = &place.own;
    let mut keep = vec![true; own.len()];
    if kind != Kind::All {
        for i in 0..own.len() {
            check(i, context)?;
            let items = own.items(i);
            let elsewhere = if place.is_whole() { usize::MAX } else { place.rarest(items) };
            for at in (0..items.len()).filter(|&at| at != elsewhere && items.len() > 1) {
                beat(place, &mut keep, items, own.count(i), at, kind)?;
            }
        }
        for i in (0..place.visitors.len()).filter(|_| !place.is_whole()) {
            check(i, context)?;
            let items = place.visitors.items(i);
            beat(place, &mut keep, items, place.visitors.counts[i], place.rarest(items), kind)?;
        }
    }
    let mut found = Itemsets::new(usize::MAX);
    for i in (0..own.len()).filter(|&i| keep[i]) {
        found.codes.extend_from_slice(own.items(i));
        let end = i32::try_from(found.codes.len())
            .map_err(|_| Error::Limit(format!("the itemsets do not fit in a column: use more shards: itemsets={i}")))?;
        found.offsets.push(end);
        found.counts.push(own.count(i));
    }
    Ok(found)
}

/// Strikes the itemset that lacks the item at `at` out, if its superset `items` does so.
fn beat(place: &Place, keep: &mut [bool], items: &[u32], count: i64, at: usize, kind: Kind) -> Result<()> {
    let (hashes, sum) = item_hashes(items);
    let chosen = (u64::MAX >> (64 - items.len())) & !(1 << at);
    let subset = place.own.find(items, chosen, sum.wrapping_sub(hashes[at])).ok_or_else(|| {
        Error::Data(format!("a subset of an itemset is missing: is every shard's row here? items={}", items.len()))
    })?;
    if kind == Kind::Maximal || place.own.count(subset) == count {
        keep[subset] = false;
    }
    Ok(())
}

fn check(i: usize, context: &dyn GroupContext) -> Result<()> {
    if i.is_multiple_of(SETS_BETWEEN_CHECKS) { context.check_cancelled() } else { Ok(()) }
}

impl From<Itemsets> for Sets {
    fn from(found: Itemsets) -> Self {
        Self {
            codes: found.codes,
            ends: found.offsets[1..].iter().map(|&end| end as usize).collect(),
            counts: found.counts,
        }
    }
}
