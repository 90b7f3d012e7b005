//! Which way to mine suits the rows.  In: rows, what is searched. Out: LCM or FP-growth, the same on every executor.
//!
//! LCM reads the prefix of every occurrence of an item, in a row and fast; FP-growth meets each node above them once, however
//! many baskets share it, but goes from node to node. Short baskets over few items share so much that the tree is faster,
//! unless the search goes so deep that the output costs more than the rows: `cargo bench -p lakecast-udfs --bench mining --
//! --cpu` has both sides of each threshold.

use super::{Method, Search};
use crate::baskets::transactions::Transactions;

/// Fewest rows that pass a node of the prefix tree, on average. The class `few_items` of the bench is above it,
/// `more_items`, where both are even, below.
const ROWS_PER_NODE_MIN: usize = 3;

/// Most nodes above a node, on average. `few_items_long` is below it; the records of `very_dense`, where LCM wins though
/// they share as much, are above.
const DEPTH_MAX: usize = 12;

/// The least support, as a part of all baskets. `few_items` is above it, `few_items_deep` below.
const SUPPORT_PARTS: u64 = 512;

/// LCM or FP-growth, by what one pass over the rows finds; the tasks have no say.
pub(super) fn choose(rows: Transactions<'_>, search: &Search<'_>) -> Method {
    let baskets: u64 = rows.weights.iter().sum();
    if rows.is_empty() || search.min_count < baskets / SUPPORT_PARTS {
        return Method::Lcm;
    }
    // Each row adds the nodes below the prefix that it shares with the row before.
    let (mut nodes, mut depths) = (0, 0);
    let mut before: &[u32] = &[];
    for i in 0..rows.len() {
        let row = rows.row(i);
        let shared = before.iter().zip(row).take_while(|(a, b)| a == b).count();
        nodes += row.len() - shared;
        depths += (shared..row.len()).sum::<usize>();
        before = row;
    }
    let shallow = depths <= DEPTH_MAX * nodes;
    if shallow && rows.items.len() >= ROWS_PER_NODE_MIN * nodes { Method::FpGrowth } else { Method::Lcm }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baskets::transactions::TransactionBuf;

    fn chosen(rows: &TransactionBuf, min_count: u64) -> Method {
        choose(rows.view(), &Search { min_count, max_len: usize::MAX, method: Method::Auto, conflicts: None })
    }

    /// `below` and one more item: rows share all but their last node.
    fn fan(below: u32, items: u32) -> TransactionBuf {
        let mut rows = TransactionBuf { n_items: (below + items) as usize, ..TransactionBuf::default() };
        for item in below..below + items {
            rows.push(&(0..below).chain([item]).collect::<Vec<_>>(), 1);
        }
        rows
    }

    #[test]
    fn short_baskets_with_shared_prefixes_go_to_the_tree_and_others_to_lcm() {
        assert_eq!(chosen(&fan(6, 40), 2), Method::FpGrowth);
        // Long rows.
        assert_eq!(chosen(&fan(60, 40), 2), Method::Lcm);
        // Nothing shared.
        let mut apart = TransactionBuf { n_items: 40, ..TransactionBuf::default() };
        (0..20).for_each(|i| apart.push(&[2 * i, 2 * i + 1], 1));
        assert_eq!(chosen(&apart, 2), Method::Lcm);
        assert_eq!(chosen(&TransactionBuf::default(), 1), Method::Lcm);
    }

    #[test]
    fn a_deep_search_goes_to_lcm() {
        let mut rows = fan(6, 40);
        rows.weights[0] = 100_000;
        assert_eq!(chosen(&rows, 2), Method::Lcm);
        assert_eq!(chosen(&rows, 200), Method::FpGrowth);
    }
}
