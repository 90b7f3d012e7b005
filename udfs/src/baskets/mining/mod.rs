//! Frequent itemset mining on rank-coded baskets.  In: [`Transactions`], tasks, thresholds. Out: itemsets, into a [`Sink`].

mod sink;

pub use sink::Sink;

use super::transactions::Transactions;
use crate::error::Result;
use crate::functions::GroupContext;

/// A piece of the search space: the itemsets whose rarest item (highest rank) is `item`.
///
/// With `second: Some(part)` only those whose second-rarest item (second-highest *rank*) `s` has `s % part.of == part.nth`;
/// the single itemset `{item}` belongs to `nth == 0`. The pieces of an item are disjoint and cover it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// Rank of the rarest item.
    pub item: u32,
    /// Which second items, all of them if `None`.
    pub second: Option<Part>,
}

/// A residue class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which class, below `of`.
    pub nth: u32,
    /// How many classes, at least 2.
    pub of: u32,
}

impl Task {
    /// The whole search space, the rarest item first.
    pub fn all(n_items: usize) -> Vec<Self> {
        (0..n_items as u32).rev().map(|item| Self { item, second: None }).collect()
    }
}

/// How itemsets are found; the answer is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// Chosen by measured density.
    #[default]
    Auto,
    /// Occurrence deliver on arrays (LCM) with a bit machine for the dense rest.
    Lcm,
    /// FP-growth on a prefix tree in plain arrays.
    FpGrowth,
    /// Level by level, for small problems and as an oracle.
    Apriori,
}

/// Items that may not stand together in an itemset: an item and its categories, both ways.
#[derive(Debug, Clone, Default)]
pub struct Conflicts {
    /// Ranks that conflict with each rank, one after the other, ascending.
    pub with: Vec<u32>,
    /// Where the conflicts of each rank end in `with`.
    pub ends: Vec<u32>,
}

/// What is searched.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// Smallest weight of an itemset, at least 1.
    pub min_count: u64,
    /// Most items of an itemset, at least 1.
    pub max_len: usize,
    /// How.
    pub method: Method,
    /// Items that exclude each other, if there are any.
    pub conflicts: Option<&'a Conflicts>,
}

/// Mines the itemsets of `tasks` into `sink`, each once.
///
/// Errors: what the sink says (`Limit`), `Cancelled`.
pub fn mine<S: Sink>(
    rows: Transactions<'_>,
    tasks: &[Task],
    search: &Search<'_>,
    sink: &mut S,
    context: &dyn GroupContext,
) -> Result<()> {
    // Stand-in until the real one is merged: plain growth over projected rows.
    for task in tasks {
        let all: Vec<(Vec<u32>, u64)> = (0..rows.len())
            .filter_map(|i| {
                let at = rows.row(i).binary_search(&task.item).ok()?;
                Some((rows.row(i)[..at].to_vec(), rows.weights[i]))
            })
            .collect();
        let of = |s: u32| task.second.is_none_or(|part| s % part.of == part.nth);
        grow(&all, &mut vec![task.item], &of, task.second.is_none_or(|p| p.nth == 0), search, sink, context)?;
    }
    Ok(())
}

fn grow<S: Sink>(
    rows: &[(Vec<u32>, u64)],
    path: &mut Vec<u32>,
    of: &dyn Fn(u32) -> bool,
    emit: bool,
    search: &Search<'_>,
    sink: &mut S,
    context: &dyn GroupContext,
) -> Result<()> {
    let count: u64 = rows.iter().map(|r| r.1).sum();
    if count < search.min_count {
        return Ok(());
    }
    if emit {
        sink.emit(path, &[], count, 0, context)?;
    }
    if path.len() >= search.max_len {
        return Ok(());
    }
    let mut items = std::collections::BTreeMap::<u32, u64>::new();
    for (row, weight) in rows {
        row.iter().for_each(|&i| *items.entry(i).or_default() += weight);
    }
    for (&item, &n) in items.iter().filter(|(i, _)| of(**i)) {
        let clash = search.conflicts.is_some_and(|c| {
            let start = if item == 0 { 0 } else { c.ends[item as usize - 1] as usize };
            path.iter().any(|p| c.with[start..c.ends[item as usize] as usize].contains(p))
        });
        if n < search.min_count || clash {
            continue;
        }
        let below: Vec<(Vec<u32>, u64)> =
            rows.iter().filter_map(|(r, w)| r.binary_search(&item).ok().map(|at| (r[..at].to_vec(), *w))).collect();
        path.push(item);
        grow(&below, path, &|_| true, true, search, sink, context)?;
        path.pop();
    }
    Ok(())
}
