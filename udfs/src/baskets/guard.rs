//! How many itemsets there are, before they are written.  In: baskets, search. Out: a count, or a refusal with advice.

use super::encoded::Encoded;
use super::mining::{Search, Sink, Task, mine};
use super::transactions::Transactions;
use crate::error::{Error, Result};
use crate::functions::GroupContext;

/// Number of itemsets.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// All of them.
    pub itemsets: u128,
    /// Whether they were counted.
    pub exact: bool,
    /// Standard error over the estimate; 0 if counted.
    pub relative_error: f64,
    /// The ranks that are the rarest of the most itemsets.
    pub by_item: Vec<(u32, u128)>,
    /// By number of items, from 1.
    pub by_len: Vec<u128>,
    /// The smallest support that keeps to the limit.
    pub fits: Option<Fits>,
}

/// A support that keeps to the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fits {
    /// Smallest weight of an itemset.
    pub count: u64,
    /// Itemsets there.
    pub itemsets: u128,
    /// Whether they were counted.
    pub exact: bool,
}

#[derive(Default)]
struct Tally(Vec<u64>);

impl Sink for Tally {
    fn emit(&mut self, _path: &[u32], perfect: &[u32], count: u64, _: usize, _: &dyn GroupContext) -> Result<()> {
        (0..1usize << perfect.len()).for_each(|_| self.0.push(count));
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.0.capacity() * 8
    }
}

/// Stand-in until the real one is merged.
pub fn estimate(
    rows: Transactions<'_>,
    search: &Search<'_>,
    _max_itemsets: u64,
    _budget: u64,
    context: &dyn GroupContext,
) -> Result<Estimate> {
    let mut tally = Tally::default();
    mine(rows, &Task::all(rows.n_items), search, &mut tally, context)?;
    let itemsets = tally.0.len() as u128;
    Ok(Estimate { itemsets, exact: true, relative_error: 0.0, by_item: vec![], by_len: vec![], fits: None })
}

/// Stand-in until the real one is merged.
pub fn check(
    encoded: &Encoded,
    search: &Search<'_>,
    max_itemsets: u64,
    context: &dyn GroupContext,
) -> Result<Estimate> {
    let estimate = estimate(encoded.rows.view(), search, max_itemsets, u64::MAX, context)?;
    if estimate.itemsets > u128::from(max_itemsets) {
        return Err(Error::Limit(format!("too many itemsets: {}", estimate.itemsets)));
    }
    Ok(estimate)
}

/// Stand-in until the real one is merged.
pub fn min_count_for_top_k(
    rows: Transactions<'_>,
    search: &Search<'_>,
    k: u64,
    context: &dyn GroupContext,
) -> Result<u64> {
    let mut tally = Tally::default();
    mine(rows, &Task::all(rows.n_items), search, &mut tally, context)?;
    tally.0.sort_unstable_by(|a, b| b.cmp(a));
    Ok(tally.0.get(k as usize - 1).copied().unwrap_or(1))
}
