//! Pattern growth over at most 64 items, a transaction a word.  In: merged words with weights. Out: frequent itemsets.

use super::pattern_growth::{BitRow, Growth};
use crate::error::Result;

impl Growth<'_> {
    /// Grows the path by each candidate in turn, the rarest first, over the merged words `self.bits[from..to]`.
    ///
    /// `candidates` are the items that are frequent beside the path, `counts` their weights, `labels` their names; the
    /// words hold candidates only. An item's conditional words are cut below it, so that each itemset is met once.
    pub(super) fn grow_bits(
        &mut self,
        from: usize,
        to: usize,
        candidates: u64,
        counts: &[u64; 64],
        labels: &[u32; 64],
    ) -> Result<()> {
        let mark = self.bits.len();
        let starts = self.deliver_bits(from, to)?;
        let mut left = candidates;
        while left != 0 {
            let item = 63 - left.leading_zeros() as usize;
            left ^= 1 << item;
            let total = counts[item];
            let (first, end) = (starts[item] as usize, starts[item + 1] as usize);
            self.path.push(labels[item]);
            if first == end || self.path.len() == self.max_len {
                self.emit(total)?;
            } else {
                self.project_bits(first, end, total, labels)?;
            }
            self.path.pop();
        }
        self.bits.truncate(mark);
        Ok(())
    }

    /// Writes the path with its perfect extensions and goes on with the conditional words `self.bits[from..to]`.
    fn project_bits(&mut self, from: usize, to: usize, total: u64, labels: &[u32; 64]) -> Result<()> {
        let mut counts = [0u64; 64];
        let mut seen = 0;
        for row in &self.bits[from..to] {
            seen |= row.items;
            for item in ones(row.items) {
                counts[item] += row.weight;
            }
        }
        let mark = self.perfect.len();
        let mut candidates = 0u64;
        for item in ones(seen) {
            if counts[item] == total {
                self.perfect.push(labels[item]);
            } else if counts[item] >= self.min_count {
                candidates |= 1 << item;
            }
        }
        self.emit(total)?;
        if candidates.count_ones() == 1 || self.path.len() + 1 == self.max_len {
            for item in ones(candidates) {
                self.emit_with(labels[item], counts[item])?;
            }
        } else if candidates != 0 {
            let mut end = from;
            for at in from..to {
                let BitRow { items, weight } = self.bits[at];
                if items & candidates != 0 {
                    self.bits[end] = BitRow { items: items & candidates, weight };
                    end += 1;
                }
            }
            let end = from + merge(&mut self.bits[from..end]);
            self.grow_bits(from, end, candidates, &counts, labels)?;
        }
        self.perfect.truncate(mark);
        Ok(())
    }

    /// Occurrence deliver: behind the arena's end, per item the words that hold it, cut below it, empty ones left out.
    fn deliver_bits(&mut self, from: usize, to: usize) -> Result<[u32; 65]> {
        let mut sizes = [0u32; 64];
        for row in &self.bits[from..to] {
            let mut items = row.items & row.items.wrapping_sub(1);
            while items != 0 {
                sizes[items.trailing_zeros() as usize] += 1;
                items &= items - 1;
            }
        }
        let mut starts = [0u32; 65];
        let mut end = self.bits.len() as u32;
        for item in 0..64 {
            starts[item] = end;
            end += sizes[item];
        }
        starts[64] = end;
        self.spend(end as usize - self.bits.len())?;
        self.bits.resize(end as usize, BitRow::default());
        let mut next = starts;
        for at in from..to {
            let BitRow { items, weight } = self.bits[at];
            let mut above = items & items.wrapping_sub(1);
            while above != 0 {
                let item = above.trailing_zeros() as usize;
                self.bits[next[item] as usize] = BitRow { items: items & ((1 << item) - 1), weight };
                next[item] += 1;
                above &= above - 1;
            }
        }
        Ok(starts)
    }
}

/// Sorts words and adds up equal ones; returns how many are left.
pub(super) fn merge(rows: &mut [BitRow]) -> usize {
    if rows.len() < 2 {
        return rows.len();
    }
    rows.sort_unstable_by_key(|row| row.items);
    let mut last = 0;
    for at in 1..rows.len() {
        if rows[at].items == rows[last].items {
            rows[last].weight += rows[at].weight;
        } else {
            last += 1;
            rows[last] = rows[at];
        }
    }
    last + 1
}

/// Positions of the bits that are set, ascending.
fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (word != 0).then(|| {
            let at = word.trailing_zeros() as usize;
            word &= word - 1;
            at
        })
    })
}
