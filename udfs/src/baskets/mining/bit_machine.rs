//! Pattern growth over at most 64 items, a row a word.  In: words with weights. Out: frequent itemsets.
//!
//! With few items left the weights of all their subsets are summed at once in a table; above that, an item at a time.
//! Source of the idea: Borgelt, Keeping Things Simple: Finding Frequent Item Sets by Recursive Elimination (2005), and the
//! 16-items machine of his FP-growth.

use super::Sink;
use super::lcm::Growth;
use crate::error::Result;

/// Items that fit into a word.
pub(super) const WORD: usize = 64;

/// Most items whose subsets are summed in a table, whatever the number of rows.
const TABLE_ITEMS_FREE: u32 = 5;

/// Most items whose subsets are summed in a table.
const TABLE_ITEMS_MAX: u32 = 11;

/// A row over at most 64 items, and the baskets that it stands for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BitRow {
    pub(super) items: u64,
    pub(super) weight: u64,
}

impl<S: Sink> Growth<'_, S> {
    /// Grows the path by each subset of `candidates` that is frequent, over the words `self.bits[from..to]`, which may hold
    /// other items too. `counts` are the candidates' weights, `labels` their names, ascending.
    pub(super) fn grow_words(
        &mut self,
        from: usize,
        to: usize,
        candidates: u64,
        counts: &[u64; WORD],
        labels: &[u32; WORD],
    ) -> Result<()> {
        let k = candidates.count_ones();
        // A table costs about k * 2^(k-1) additions, a level of recursion as much as its rows for each item.
        if k <= TABLE_ITEMS_FREE || (k <= TABLE_ITEMS_MAX && 1 << k <= 4 * (to - from)) {
            return self.tabulate(from, to, candidates, counts, labels);
        }
        let to = self.keep_words(from, to, candidates);
        let mark = self.bits.len();
        let starts = self.deliver_words(from, to)?;
        let mut left = candidates;
        while left != 0 {
            let item = 63 - left.leading_zeros() as usize;
            left ^= 1 << item;
            self.push(labels[item])?;
            let extended = self.perfect.len();
            self.project_words(starts[item] as usize, starts[item + 1] as usize, counts[item], labels)?;
            self.perfect.truncate(extended);
            self.pop();
        }
        self.bits.truncate(mark);
        Ok(())
    }

    /// Writes the path with its perfect extensions and goes on with the words `self.bits[from..to]` that hold it.
    fn project_words(&mut self, from: usize, to: usize, total: u64, labels: &[u32; WORD]) -> Result<()> {
        if from == to || self.room() == 0 {
            return self.emit_path(total);
        }
        let mut counts = [0u64; WORD];
        let mut seen = 0;
        for row in &self.bits[from..to] {
            seen |= row.items;
            for item in ones(row.items) {
                counts[item] += row.weight;
            }
        }
        let mut candidates = 0u64;
        for item in ones(seen) {
            if counts[item] == total {
                self.perfect.push(labels[item]);
            } else if counts[item] >= self.min_count {
                candidates |= 1 << item;
            }
        }
        self.emit_path(total)?;
        if candidates.count_ones() == 1 || self.room() == 1 {
            for item in ones(candidates) {
                self.emit_with(labels[item], counts[item])?;
            }
        } else if candidates != 0 {
            self.grow_words(from, to, candidates, &counts, labels)?;
        }
        Ok(())
    }

    /// Reduces the words to the candidates, in place, and adds up equal ones; returns where they end.
    fn keep_words(&mut self, from: usize, to: usize, candidates: u64) -> usize {
        let mut end = from;
        for at in from..to {
            let BitRow { items, weight } = self.bits[at];
            if items & candidates != 0 {
                self.bits[end] = BitRow { items: items & candidates, weight };
                end += 1;
            }
        }
        from + merge(&mut self.bits[from..end])
    }

    /// Occurrence deliver: behind the arena's end, per item the words that hold it, cut below it, empty ones left out.
    fn deliver_words(&mut self, from: usize, to: usize) -> Result<[u32; WORD + 1]> {
        let mut sizes = [0u32; WORD];
        for row in &self.bits[from..to] {
            for item in ones(row.items & row.items.wrapping_sub(1)) {
                sizes[item] += 1;
            }
        }
        let mut starts = [0u32; WORD + 1];
        let mut end = self.bits.len() as u32;
        for item in 0..WORD {
            starts[item] = end;
            end += sizes[item];
        }
        starts[WORD] = end;
        self.spend(end as usize - self.bits.len())?;
        self.bits.resize(end as usize, BitRow::default());
        let mut next = starts;
        for at in from..to {
            let BitRow { items, weight } = self.bits[at];
            for item in ones(items & items.wrapping_sub(1)) {
                self.bits[next[item] as usize] = BitRow { items: items & ((1 << item) - 1), weight };
                next[item] += 1;
            }
        }
        Ok(starts)
    }

    /// Writes every frequent subset of at most eleven candidates, from a table of the weights of all subsets.
    fn tabulate(
        &mut self,
        from: usize,
        to: usize,
        candidates: u64,
        counts: &[u64; WORD],
        labels: &[u32; WORD],
    ) -> Result<()> {
        let k = candidates.count_ones() as usize;
        let (mut names, mut place) = ([0u32; WORD], [0u8; WORD]);
        for (nth, item) in ones(candidates).enumerate() {
            names[nth] = labels[item];
            place[item] = nth as u8;
        }
        let mut table = std::mem::take(&mut self.table);
        table.clear();
        table.resize(1 << k, 0);
        let dense = candidates == u64::MAX >> (WORD - k);
        for row in &self.bits[from..to] {
            let items = row.items & candidates;
            let mask = if dense { items as usize } else { ones(items).map(|item| 1usize << place[item]).sum() };
            table[mask] += row.weight;
        }
        for bit in 0..k {
            for pair in table.chunks_exact_mut(2 << bit) {
                let (without, with) = pair.split_at_mut(1 << bit);
                without.iter_mut().zip(with).for_each(|(without, with)| *without += *with);
            }
        }
        // A row of a single candidate may have been left out above, so that these weights come from the caller.
        for (nth, item) in ones(candidates).enumerate() {
            table[1 << nth] = counts[item];
        }
        self.spend((to - from) + (k << k))?;
        let (min_count, room) = (self.min_count, self.room() as u32);
        for (mask, &count) in table.iter().enumerate().skip(1) {
            if count >= min_count && mask.count_ones() <= room {
                self.emit_mask(mask, &names, count)?;
            }
        }
        self.table = table;
        Ok(())
    }
}

/// Sorts words and adds up equal ones; returns how many are left.
fn merge(rows: &mut [BitRow]) -> usize {
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
