//! Rules of a problem in one place.  In: all its itemsets. Out: the columns of `association_rules`, without the segment.

use super::derive_rules::columns;
use super::encoded::Encoded;
use super::itemset_index::ItemsetIndex;
use super::itemset_rows::ascending;
use super::itemsets::Itemsets;
use super::rules::{LENGTH_MAX, Wanted, derive};
use super::threshold::Threshold;
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::GroupContext;
use arrow::array::ArrayRef;

/// What the rules must reach.
pub(super) fn wanted(args: &Args) -> Result<Wanted> {
    Ok(Wanted {
        min_confidence: Threshold::new(args.number("min_confidence")?),
        min_lift: Threshold::new(args.number("min_lift")?),
        max_consequent: args.integer("max_consequent")? as usize,
    })
}

/// Derives the rules of `found`. `held`: bytes of the caller.
pub(super) fn rule_columns(
    encoded: &Encoded,
    found: Itemsets,
    wanted: Wanted,
    held: usize,
    context: &dyn GroupContext,
) -> Result<Vec<ArrayRef>> {
    let (items, place) = ascending(&encoded.items)?;
    let Itemsets { mut codes, offsets, counts, .. } = found;
    let held = held + codes.len() * 4 + counts.len() * 20 + ItemsetIndex::bytes(counts.len(), codes.len());
    context.reserve(held)?;
    codes.iter_mut().for_each(|code| *code = place[*code as usize]);
    offsets.windows(2).for_each(|w| codes[w[0] as usize..w[1] as usize].sort_unstable());
    if let Some(length) = offsets.windows(2).map(|w| (w[1] - w[0]) as usize).find(|&length| length > LENGTH_MAX) {
        return Err(Error::Bug(format!("an itemset of {length} items has more subsets than there are itemsets")));
    }
    let starts: Vec<usize> = offsets.iter().map(|&at| at as usize).collect();
    let index =
        ItemsetIndex::new(&codes, &starts, &counts).map_err(|_| Error::Bug("an itemset was found twice".into()))?;
    drop((codes, starts, counts));
    let rules = derive(&index, encoded.n_baskets, wanted, held, context)?;
    columns(&items, rules)
}
