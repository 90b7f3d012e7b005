//! Rank-coded baskets, flat.  In: frequent items as ranks, rarest last. Out: borrowed rows that every miner reads.

/// Baskets over ranks `0..n_items` (0 is the most frequent item), borrowed: each row ascending and never empty, rows in
/// ascending lexicographic order and distinct, with the weight (number of baskets) that each stands for.
#[derive(Debug, Clone, Copy)]
pub struct Transactions<'a> {
    /// Ranks of all rows, one after the other.
    pub items: &'a [u32],
    /// Where each row ends in `items`.
    pub ends: &'a [u32],
    /// Weight of each row, at least 1; the sum over all rows is below 2^63.
    pub weights: &'a [u64],
    /// Number of frequent items: ranks are below it.
    pub n_items: usize,
}

impl<'a> Transactions<'a> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Ranks of row `i`, ascending.
    pub fn row(&self, i: usize) -> &'a [u32] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.items[start..self.ends[i] as usize]
    }
}

/// Owned [`Transactions`].
#[derive(Debug, Clone, Default)]
pub struct TransactionBuf {
    /// Ranks of all rows, one after the other.
    pub items: Vec<u32>,
    /// Where each row ends in `items`.
    pub ends: Vec<u32>,
    /// Weight of each row.
    pub weights: Vec<u64>,
    /// Number of frequent items.
    pub n_items: usize,
}

impl TransactionBuf {
    /// The rows, borrowed.
    pub fn view(&self) -> Transactions<'_> {
        Transactions { items: &self.items, ends: &self.ends, weights: &self.weights, n_items: self.n_items }
    }

    /// Adds a row, which the caller keeps ascending, distinct and in order.
    pub fn push(&mut self, row: &[u32], weight: u64) {
        self.items.extend_from_slice(row);
        self.ends.push(self.items.len() as u32);
        self.weights.push(weight);
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        (self.items.capacity() + self.ends.capacity()) * 4 + self.weights.capacity() * 8
    }
}
