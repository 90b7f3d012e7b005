//! Equal baskets become one.  In: ranks of each basket. Out: distinct rows, sorted, with what they weigh in all.

use super::transactions::TransactionBuf;
use crate::error::Result;
use crate::functions::GroupContext;

/// Rows between two looks at whether the run is being stopped.
const STRIDE: usize = 1 << 16;

/// Baskets over ranks, one after the other, in any order.
#[derive(Default)]
pub(super) struct Ranked {
    /// Ranks, ascending and distinct within a basket.
    pub(super) items: Vec<u32>,
    /// Where each basket ends.
    pub(super) ends: Vec<u32>,
    /// Weight of each basket; 1 if there are none.
    pub(super) weights: Option<Vec<i64>>,
}

impl Ranked {
    fn row(&self, i: u32) -> &[u32] {
        let start = if i == 0 { 0 } else { self.ends[i as usize - 1] };
        &self.items[start as usize..self.ends[i as usize] as usize]
    }

    /// Baskets without an item.
    pub(super) fn empty(&self) -> u64 {
        (0..self.ends.len() as u32).filter(|&i| self.row(i).is_empty()).count() as u64
    }

    /// Sorts and merges the baskets; empty ones are left out. `held`: bytes beside these baskets.
    ///
    /// The first ranks of a row fill a number that sorts like them, so that few rows are compared item by item.
    pub(super) fn merged(self, n_items: usize, held: usize, context: &dyn GroupContext) -> Result<TransactionBuf> {
        let bits = (usize::BITS - n_items.leading_zeros()).max(1);
        let in_key = (u64::BITS / bits) as usize;
        let rows = self.ends.len();
        context.reserve(held + self.memory_bytes() + rows * size_of::<(u64, u32)>())?;
        let mut order: Vec<(u64, u32)> = Vec::with_capacity(rows);
        for i in 0..rows as u32 {
            let row = self.row(i);
            if !row.is_empty() {
                let mut shift = u64::BITS;
                let key = row.iter().take(in_key).fold(0, |key, &rank| {
                    shift -= bits;
                    key | (u64::from(rank) + 1) << shift
                });
                order.push((key, i));
            }
        }
        context.check_cancelled()?;
        order.sort_unstable();
        for (nth, equal) in order.chunk_by_mut(|a, b| a.0 == b.0).enumerate() {
            if nth.is_multiple_of(STRIDE) {
                context.check_cancelled()?;
            }
            if equal.len() > 1 && equal.iter().any(|&(_, i)| self.row(i).len() > in_key) {
                equal.sort_unstable_by(|a, b| self.row(a.1).cmp(self.row(b.1)));
            }
        }
        let same = |a: &(u64, u32), b: &(u64, u32)| a.0 == b.0 && self.row(a.1) == self.row(b.1);
        let (mut distinct, mut ranks) = (0, 0);
        for equal in order.chunk_by(same) {
            distinct += 1;
            ranks += self.row(equal[0].1).len();
        }
        context.reserve(held + self.memory_bytes() + order.capacity() * 16 + ranks * 4 + distinct * 12)?;
        let mut out = TransactionBuf {
            items: Vec::with_capacity(ranks),
            ends: Vec::with_capacity(distinct),
            weights: Vec::with_capacity(distinct),
            n_items,
        };
        for equal in order.chunk_by(same) {
            let weight = match &self.weights {
                None => equal.len() as u64,
                Some(weights) => equal.iter().map(|&(_, i)| weights[i as usize] as u64).sum(),
            };
            out.push(self.row(equal[0].1), weight);
        }
        Ok(out)
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        let weights = self.weights.as_ref().map_or(0, |weights| weights.capacity() * 8);
        (self.items.capacity() + self.ends.capacity()) * 4 + weights
    }
}

/// Without the ranks from `n_items` on: rows become shorter, some of them equal, and their order changes.
pub(super) fn cut(
    rows: TransactionBuf,
    n_items: usize,
    held: usize,
    context: &dyn GroupContext,
) -> Result<TransactionBuf> {
    let TransactionBuf { mut items, mut ends, weights, .. } = rows;
    let (mut start, mut to) = (0, 0);
    for end in &mut ends {
        for at in start..*end as usize {
            items[to] = items[at];
            to += usize::from((items[at] as usize) < n_items);
        }
        start = *end as usize;
        *end = to as u32;
    }
    items.truncate(to);
    let weights = weights.into_iter().map(|weight| weight as i64).collect();
    Ranked { items, ends, weights: Some(weights) }.merged(n_items, held, context)
}
