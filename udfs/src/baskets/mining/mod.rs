//! Frequent itemset mining on rank-coded baskets.  In: [`Transactions`], tasks, thresholds. Out: itemsets, into a [`Sink`].

mod apriori;
mod bit_machine;
mod constrained;
mod density;
mod fp_growth;
mod lcm;
mod prefix_tree;
mod sink;
mod tally;

#[cfg(test)]
mod agreement_tests;

pub use sink::Sink;
pub use tally::Tally;

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
    /// FP-growth for short baskets over few items with high support, which share most prefixes; LCM for all others.
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
    let method = match search.method {
        Method::Auto if search.conflicts.is_none() => density::choose(rows, search),
        given => given,
    };
    match method {
        Method::Apriori => apriori::mine_apriori(rows, tasks, search, sink, context),
        _ if search.conflicts.is_some() => constrained::mine_constrained(rows, tasks, search, sink, context),
        Method::FpGrowth => fp_growth::mine_fp_growth(rows, tasks, search, sink, context),
        Method::Auto | Method::Lcm => lcm::mine_lcm(rows, tasks, search, sink, context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baskets::brute_force_tests::{frequent, weighted_baskets};
    use crate::baskets::itemsets::Itemsets;
    use crate::baskets::transactions::TransactionBuf;
    use crate::functions::Unlimited;
    use proptest::prelude::*;

    fn rows(baskets: &[(u32, u64)]) -> TransactionBuf {
        let items = |b: u32| (0..32).filter(|i| b >> i & 1 == 1).collect::<Vec<u32>>();
        let mut all: Vec<_> = baskets.iter().map(|&(b, w)| (items(b), w)).collect();
        all.sort();
        let mut rows = TransactionBuf { n_items: 32, ..TransactionBuf::default() };
        for equal in all.chunk_by(|a, b| a.0 == b.0) {
            rows.push(&equal[0].0, equal.iter().map(|(_, weight)| weight).sum());
        }
        rows
    }

    fn mined(rows: &TransactionBuf, tasks: &[Vec<Task>], min_count: u64, max_len: usize) -> Vec<(Vec<u32>, i64)> {
        let search = Search { min_count, max_len, method: Method::Lcm, conflicts: None };
        let mut all = Vec::new();
        for tasks in tasks {
            let mut found = Itemsets::new(max_len);
            mine(rows.view(), tasks, &search, &mut found, &Unlimited).unwrap();
            all.extend((0..found.len()).map(|i| (found.items(i).to_vec(), found.counts[i])));
        }
        all.sort();
        all
    }

    proptest! {
        #[test]
        fn every_cut_finds_what_counting_every_subset_finds(
            baskets in weighted_baskets(),
            bins in prop::sample::select(vec![1usize, 2, 7]),
            of in prop::sample::select(vec![1u32, 2, 3]),
            min_count in 1u64..6,
            max_len in prop::sample::select(vec![1usize, 2, 3, usize::MAX]),
        ) {
            let mut tasks = vec![Vec::new(); bins];
            for task in Task::all(32) {
                for nth in 0..of {
                    let second = (of > 1).then_some(Part { nth, of });
                    tasks[(task.item + nth) as usize % bins].push(Task { second, ..task });
                }
            }
            prop_assert_eq!(mined(&rows(&baskets), &tasks, min_count, max_len), frequent(&baskets, min_count, max_len));
        }
    }

    #[test]
    fn a_long_staircase_of_baskets_ends_with_a_limit_and_not_with_an_overflow() {
        let n = 400u32;
        let mut rows = TransactionBuf { n_items: n as usize, ..TransactionBuf::default() };
        for left_out in (0..n).rev() {
            rows.push(&(0..n).filter(|&i| i != left_out).collect::<Vec<_>>(), 1);
        }
        let search = |max_len| Search { min_count: 1, max_len, method: Method::Lcm, conflicts: None };
        let all = Task::all(n as usize);
        let mut found = Itemsets::new(usize::MAX);
        let refused = mine(rows.view(), &all, &search(usize::MAX), &mut found, &Unlimited).unwrap_err();
        assert!(matches!(refused, crate::Error::Limit(_)), "{refused}");
        let mut single = Itemsets::new(1);
        mine(rows.view(), &all, &search(1), &mut single, &Unlimited).unwrap();
        assert_eq!(single.len(), 400);
    }
}
