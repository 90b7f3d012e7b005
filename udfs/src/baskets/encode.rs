//! From rows to rank-coded baskets.  In: collected rows and options. Out: `Encoded`, the same for rows in any order.
//!
//! The passes: rows to their baskets, each item once; count; leave out; cut long baskets; rank; sort and merge.

use super::categories::{Categories, Lists};
use super::collect::{Chunk, Collector};
use super::dictionary::{Dictionary, NONE};
use super::encoded::{EncodeReport, Encoded};
use super::long_baskets::cut_long;
use super::merge::Ranked;
use super::mining::Conflicts;
use super::options::MiningOptions;
use crate::error::{Error, Result};
use crate::functions::GroupContext;
use arrow::array::{Array, ArrayRef};
use arrow::compute::sort_to_indices;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::collections::BTreeMap;

/// Baskets between two looks at whether the run is being stopped.
const STRIDE: usize = 1 << 16;

/// Most names that a report lists.
const NAMES_MAX: usize = 20;

/// Encodes the rows of `collected`. `held`: bytes of the caller beside them.
///
/// - `n_baskets` is the weight of all baskets, also of those that lose all items.
/// - `exclude` leaves out items before their categories are added, and categories; `ubiquitous` leaves out what more than
///   that share of all baskets hold, and keeps its categories.
/// - `max_basket_items` counts a basket's own items, not their categories, after `exclude` and `ubiquitous`; see
///   [`super::long_baskets`].
///
/// O(rows + baskets log baskets) time; 8 bytes a row beside the rows. Errors: `Limit` on long baskets and for want of memory,
/// `Data` on weights that add up beyond 63 bits, `Cancelled`.
pub(super) fn encode(
    mut collected: Collector,
    options: &MiningOptions,
    categories: Option<&Categories>,
    held: usize,
    context: &dyn GroupContext,
) -> Result<Encoded> {
    let mut report = EncodeReport { rows: collected.rows() as u64, ..EncodeReport::default() };
    report.baskets = collected.baskets.len() as u64;
    let ancestors = categories.map(|c| c.of_items(&mut collected.items)).transpose()?;
    let excluded = excluded(&collected.items, &options.exclude, &mut report)?;
    let (own, ends) = gather(&mut collected, &excluded, &mut report, held, context)?;
    let Collector { baskets, items, weights, .. } = collected;
    let mut problem = Problem { own, ends, weights, ancestors, out: excluded, items };
    let n_baskets = problem.total_weight()?;
    let mut support = problem.support(context)?;
    if let Some(share) = options.ubiquitous {
        let everywhere = problem.those(|i| share.is_below(support[i], n_baskets));
        everywhere.iter().for_each(|&i| problem.out[i as usize] = true);
        report.ubiquitous_items = everywhere.len() as u64;
        report.ubiquitous = names(&problem.items, &everywhere)?;
    }
    if let Some(max) = options.max_basket_items
        && cut_long(&mut problem, &baskets, &support, max, options.long_baskets, &mut report, context)?
    {
        support = problem.support(context)?;
    }
    drop(baskets);
    let min_count = options.support.min_count(n_baskets);
    let frequent = problem.those(|i| support[i] >= min_count);
    let (codes, items) = by_rank(&problem.items, frequent, &support)?;
    let conflicts = problem.conflicts(&codes);
    let n_items = codes.iter().map(|&code| support[code as usize]).collect();
    let ranked = problem.ranked(&codes, context)?;
    report.empty_baskets = ranked.empty();
    let held = held + items.get_array_memory_size();
    let rows = ranked.merged(codes.len(), held, context)?;
    report.distinct_rows = rows.ends.len() as u64;
    Ok(Encoded { items, n_items, rows, n_baskets, min_count, conflicts, report })
}

/// Baskets in codes of items.
pub(super) struct Problem {
    /// Items of all baskets, each once within a basket.
    pub(super) own: Vec<u32>,
    /// Where each basket ends.
    pub(super) ends: Vec<u32>,
    weights: Option<Vec<i64>>,
    /// Ancestors of each item, if there are categories.
    ancestors: Option<Lists>,
    /// Which items are left out.
    pub(super) out: Vec<bool>,
    /// Items and their ancestors.
    pub(super) items: Dictionary,
}

impl Problem {
    fn weight(&self, basket: usize) -> i64 {
        self.weights.as_ref().map_or(1, |weights| weights[basket])
    }

    fn total_weight(&self) -> Result<i64> {
        let Some(weights) = &self.weights else { return Ok(self.ends.len() as i64) };
        let sum: i128 = weights.iter().map(|&weight| i128::from(weight)).sum();
        i64::try_from(sum).map_err(|_| {
            Error::Data(format!("the weights of all baskets add up beyond 63 bits: scale them down: sum={sum}"))
        })
    }

    /// Items that are not left out and for which `wanted` holds.
    fn those(&self, wanted: impl Fn(usize) -> bool) -> Vec<u32> {
        (0..self.out.len()).filter(|&i| !self.out[i] && wanted(i)).map(|i| i as u32).collect()
    }

    /// Calls `visit` with every basket's number and its items, with their ancestors, each once.
    fn each(&self, context: &dyn GroupContext, mut visit: impl FnMut(usize, &[u32])) -> Result<()> {
        let mut seen = vec![NONE; if self.ancestors.is_some() { self.out.len() } else { 0 }];
        let (mut all, mut start) = (Vec::new(), 0);
        for (basket, &end) in self.ends.iter().enumerate() {
            if basket.is_multiple_of(STRIDE) {
                context.check_cancelled()?;
            }
            let own = &self.own[start..end as usize];
            start = end as usize;
            let Some(ancestors) = &self.ancestors else {
                visit(basket, own);
                continue;
            };
            all.clear();
            for &item in own.iter().flat_map(|item| std::iter::once(item).chain(ancestors.of(*item))) {
                if seen[item as usize] != basket as u32 {
                    seen[item as usize] = basket as u32;
                    all.push(item);
                }
            }
            visit(basket, &all);
        }
        Ok(())
    }

    /// The weight of the baskets that hold each item.
    fn support(&self, context: &dyn GroupContext) -> Result<Vec<i64>> {
        let mut support = vec![0; self.out.len()];
        self.each(context, |basket, items| {
            let weight = self.weight(basket);
            items.iter().for_each(|&item| support[item as usize] += weight);
        })?;
        Ok(support)
    }

    /// The items of `codes` that exclude each other, as ranks, both ways.
    fn conflicts(&self, codes: &[u32]) -> Option<Conflicts> {
        let ancestors = self.ancestors.as_ref()?;
        let ranks = ranks(codes, self.out.len());
        let mut pairs = Vec::new();
        for (rank, &code) in codes.iter().enumerate() {
            for other in ancestors.of(code).iter().map(|&a| ranks[a as usize]).filter(|&other| other != NONE) {
                pairs.extend([(rank as u32, other), (other, rank as u32)]);
            }
        }
        Some(conflicts(pairs, codes.len()))
    }

    /// The baskets in ranks of `codes`, ascending.
    fn ranked(mut self, codes: &[u32], context: &dyn GroupContext) -> Result<Ranked> {
        let ranks = ranks(codes, self.out.len());
        if self.ancestors.is_some() {
            let (mut items, mut ends) = (Vec::with_capacity(self.own.len()), Vec::with_capacity(self.ends.len()));
            self.each(context, |_, all| {
                let start = items.len();
                items.extend(all.iter().map(|&item| ranks[item as usize]).filter(|&rank| rank != NONE));
                items[start..].sort_unstable();
                ends.push(items.len() as u32);
            })?;
            return Ok(Ranked { items, ends, weights: self.weights });
        }
        // In place: nobody needs the codes any more, and there are as many ranks at most.
        let (mut start, mut to) = (0, 0);
        for (basket, end) in self.ends.iter_mut().enumerate() {
            if basket.is_multiple_of(STRIDE) {
                context.check_cancelled()?;
            }
            let from = to;
            for at in start..*end as usize {
                let rank = ranks[self.own[at] as usize];
                self.own[to] = rank;
                to += usize::from(rank != NONE);
            }
            start = *end as usize;
            self.own[from..to].sort_unstable();
            *end = to as u32;
        }
        self.own.truncate(to);
        Ok(Ranked { items: self.own, ends: self.ends, weights: self.weights })
    }
}

/// Conflicts from pairs of ranks, given both ways.
pub(super) fn conflicts(mut pairs: Vec<(u32, u32)>, n_items: usize) -> Conflicts {
    pairs.sort_unstable();
    pairs.dedup();
    let mut ends = vec![0; n_items];
    pairs.iter().for_each(|&(rank, _)| ends[rank as usize] += 1);
    let mut sum = 0;
    ends.iter_mut().for_each(|end| {
        sum += *end;
        *end = sum;
    });
    Conflicts { with: pairs.into_iter().map(|(_, other)| other).collect(), ends }
}

/// The rank of each code, [`NONE`] if it has none.
fn ranks(codes: &[u32], n_items: usize) -> Vec<u32> {
    let mut ranks = vec![NONE; n_items];
    codes.iter().enumerate().for_each(|(rank, &code)| ranks[code as usize] = rank as u32);
    ranks
}

/// Codes by weight, the heaviest first, then by item, and their items.
fn by_rank(items: &Dictionary, codes: Vec<u32>, support: &[i64]) -> Result<(Vec<u32>, ArrayRef)> {
    let order = sort_to_indices(&items.values(&codes)?, None, None)?;
    let mut codes: Vec<u32> = order.values().iter().map(|&at| codes[at as usize]).collect();
    codes.sort_by_key(|&code| std::cmp::Reverse(support[code as usize]));
    let items = items.values(&codes)?;
    Ok((codes, items))
}

/// Which items have a name in `exclude`; names that no item has are reported.
fn excluded(items: &Dictionary, exclude: &[String], report: &mut EncodeReport) -> Result<Vec<bool>> {
    let mut out = vec![false; items.len()];
    if exclude.is_empty() {
        return Ok(out);
    }
    let mut met: BTreeMap<&str, bool> = exclude.iter().map(|name| (name.as_str(), false)).collect();
    let all: Vec<u32> = (0..items.len() as u32).collect();
    for (item, text) in texts(&items.values(&all)?)?.iter().enumerate() {
        if let Some(met) = met.get_mut(text.as_str()) {
            (*met, out[item]) = (true, true);
            report.excluded_items += 1;
        }
    }
    report.exclude_unknown = met.into_iter().filter(|(_, met)| !met).map(|(name, _)| name.to_string()).collect();
    Ok(out)
}

/// Names of a few of `codes`, ascending.
fn names(items: &Dictionary, codes: &[u32]) -> Result<Vec<String>> {
    let values = items.values(codes)?;
    let order = sort_to_indices(&values, None, Some(NAMES_MAX))?;
    texts(&arrow::compute::take(&values, &order, None)?)
}

fn texts(values: &ArrayRef) -> Result<Vec<String>> {
    let format = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(values, &format)?;
    (0..values.len()).map(|i| Ok(formatter.value(i).try_to_string()?)).collect()
}

/// The items of each basket, without the excluded ones, each once: rows go to their basket's place, chunk by chunk.
fn gather(
    collected: &mut Collector,
    excluded: &[bool],
    report: &mut EncodeReport,
    held: usize,
    context: &dyn GroupContext,
) -> Result<(Vec<u32>, Vec<u32>)> {
    let (n_baskets, rows) = (collected.baskets.len(), collected.rows());
    context.reserve(held + collected.memory_bytes() + rows * 4 + n_baskets * 4 + excluded.len() * 4)?;
    let chunks = collected.take_chunks();
    // First the length of each basket, then where it begins, and at last where it ends.
    let mut ends = vec![0u32; n_baskets];
    for (basket, items) in chunks.iter().flat_map(Chunk::runs) {
        ends[basket as usize] += items.len() as u32;
    }
    let mut sum = 0;
    ends.iter_mut().for_each(|end| {
        let length = *end;
        *end = sum;
        sum += length;
    });
    let mut own = vec![0u32; rows];
    for chunk in chunks {
        context.check_cancelled()?;
        for (basket, items) in chunk.runs() {
            let end = &mut ends[basket as usize];
            own[*end as usize..*end as usize + items.len()].copy_from_slice(items);
            *end += items.len() as u32;
        }
    }
    let mut seen = vec![NONE; excluded.len()];
    let (mut start, mut to) = (0, 0);
    for (basket, end) in ends.iter_mut().enumerate() {
        for at in start..*end as usize {
            let item = own[at];
            let twice = seen[item as usize] == basket as u32;
            seen[item as usize] = basket as u32;
            report.duplicate_rows += u64::from(twice);
            own[to] = item;
            to += usize::from(!twice && !excluded[item as usize]);
        }
        start = *end as usize;
        *end = to as u32;
    }
    own.truncate(to);
    Ok((own, ends))
}
