//! Frequent itemset mining on rank-coded baskets.  In: [`Transactions`], tasks, thresholds. Out: itemsets, into a [`Sink`].

mod sink;

pub use sink::Sink;

use super::transactions::Transactions;
use crate::error::{Error, Result};
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
    let _ = (rows, tasks, search, sink, context);
    Err(Error::Bug("not written yet".into()))
}
