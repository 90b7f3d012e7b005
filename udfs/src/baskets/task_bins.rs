//! The work in equal shares.  In: baskets, an estimate. Out: the tasks of each bin.

use super::guard::Estimate;
use super::mining::{Part, Search, Task};
use super::occurrences::Occurrences;
use super::transactions::Transactions;
use crate::error::{Error, Result};
use crate::functions::GroupContext;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Parts that a fair share of a heavy item is cut into where nothing is known of its second items: they differ much.
const PARTS_PER_SHARE: u128 = 8;

/// Parts of a fair share that a part may hold, where its second items were counted.
const PART_OF_SHARE: u128 = 4;

/// Most parts of an item: each scans the item's baskets again.
const PARTS_MAX: u128 = 512;

/// Operations of looking for frequent pairs, beyond which only lengths are looked at.
const PAIRS_MAX: u64 = 500_000_000;

/// Deals the search space out to `n_bins`: disjoint tasks that cover [`Task::all`], the heaviest first in each bin.
///
/// The load of an item is what its itemsets cost to emit, if they were counted, plus what its baskets cost to scan; if they
/// were not, the number of its frequent pairs times its occurrences, which follows the true number best (notes, 3.3). An item
/// above half a bin's fair share is split by its second item, into as few parts as let the heaviest stay below a quarter of
/// it; each part scans the item's baskets again. Longest first, into the lightest bin; ties by item and bin, so
/// that the same baskets always give the same bins. Errors: `Bug` without a bin, `Cancelled`.
pub fn bins(
    rows: Transactions<'_>,
    search: &Search<'_>,
    estimate: &Estimate,
    n_bins: usize,
    context: &dyn GroupContext,
) -> Result<Vec<Vec<Task>>> {
    if n_bins == 0 {
        return Err(Error::Bug("work for no bin".into()));
    }
    let scans = scans(rows);
    let loads = loads(rows, search, estimate, &scans, context)?;
    let fair = (loads.iter().sum::<u128>() / n_bins as u128).max(1);
    let mut tasks: Vec<(u128, Task)> = Vec::with_capacity(loads.len());
    for (item, load) in (0u32..).zip(loads) {
        if n_bins == 1 || 2 * load <= fair || item < 2 || search.max_len < 2 {
            tasks.push((load, Task { item, second: None }));
            continue;
        }
        let of_parts = match estimate.work_of_pairs.get(&item) {
            Some(pairs) => counted_parts(pairs, 2 * scans[item as usize], fair / PART_OF_SHARE, item),
            None => {
                let of = (load * PARTS_PER_SHARE).div_ceil(fair).min(PARTS_MAX).min(u128::from(item)).max(2);
                vec![load / of; of as usize]
            }
        };
        let of = of_parts.len() as u32;
        let part = |(nth, load)| (load, Task { item, second: Some(Part { nth, of }) });
        tasks.extend((0..of).zip(of_parts).map(part));
    }
    tasks.sort_by_key(|&(load, Task { item, second })| Reverse((load, item, second.map(|part| part.nth))));
    let mut lightest: BinaryHeap<Reverse<(u128, usize)>> = (0..n_bins).map(|bin| Reverse((0, bin))).collect();
    let mut bins = vec![Vec::new(); n_bins];
    for (load, task) in tasks {
        if let Some(mut top) = lightest.peek_mut() {
            let Reverse((sum, bin)) = &mut *top;
            *sum += load;
            bins[*bin].push(task);
        }
    }
    Ok(bins)
}

/// The loads of the parts of an item: as few parts as let none hold more than `most`, or the fewest with the least maximum.
fn counted_parts(pairs: &[(u32, u64)], scan: u128, most: u128, item: u32) -> Vec<u128> {
    let cut = |of: u32| {
        let mut loads = vec![scan; of as usize];
        pairs.iter().for_each(|&(second, work)| loads[(second % of) as usize] += 2 * u128::from(work));
        loads
    };
    let heaviest = |loads: &[u128]| loads.iter().copied().max().unwrap_or(0);
    let mut best = cut(2);
    let mut of = 3;
    while heaviest(&best) > most && of <= item && u128::from(of) <= PARTS_MAX {
        let loads = cut(of);
        // More parts only if they are lighter by more than a little: each scans again.
        if heaviest(&loads) * 10 < heaviest(&best) * 9 {
            best = loads;
        }
        of += of.div_ceil(8);
    }
    best
}

/// Items below each item in all baskets, and 1.
fn scans(rows: Transactions<'_>) -> Vec<u128> {
    let mut scans = vec![1u128; rows.n_items];
    for row in (0..rows.len()).map(|at| rows.row(at)) {
        row.iter().enumerate().for_each(|(nth, &item)| scans[item as usize] += nth as u128);
    }
    scans
}

/// The load of each item as the rarest one, in operations.
fn loads(
    rows: Transactions<'_>,
    search: &Search<'_>,
    estimate: &Estimate,
    scans: &[u128],
    context: &dyn GroupContext,
) -> Result<Vec<u128>> {
    if estimate.work_of_rarest.len() == rows.n_items {
        let emits = estimate.work_of_rarest.iter().map(|&work| u128::from(work));
        return Ok(scans.iter().zip(emits).map(|(scan, emit)| 2 * scan + 2 * emit).collect());
    }
    let lengths = (0..rows.len()).map(|at| rows.row(at).len() as u64);
    let pair_work = lengths.fold(0u64, |sum, len| sum.saturating_add(len.saturating_mul(len) / 2));
    if pair_work <= PAIRS_MAX {
        let pairs = pairs(rows, search.min_count, context)?;
        return Ok(scans.iter().zip(pairs).map(|(scan, pairs)| scan * (1 + u128::from(pairs))).collect());
    }
    Ok(scans.to_vec())
}

/// How many more frequent items each item is frequent with.
fn pairs(rows: Transactions<'_>, min_count: u64, context: &dyn GroupContext) -> Result<Vec<u32>> {
    let occurrences = Occurrences::new(rows, context)?;
    let mut counts = vec![0u64; rows.n_items];
    let of = |item| {
        context.check_cancelled()?;
        Ok(occurrences.pairs(item, min_count, &mut counts))
    };
    (0..rows.n_items).map(of).collect()
}
