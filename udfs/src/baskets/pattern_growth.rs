//! Pattern growth by occurrence deliver (LCM).  In: weighted transactions of ranks. Out: every frequent itemset, once.
//!
//! An itemset grows from its rarest item towards more frequent ones. Each level holds the transactions that contain the
//! path so far, cut below its last item, reduced to the items that are still frequent and recoded by frequency. Items in
//! all of them (perfect extensions) are set aside and come back as subsets when an itemset is written. As soon as a word
//! can hold a transaction, `bit_rows` takes over.
//!
//! Recursion goes one level down per item of the path, and a path beyond some thirty items is refused, as its subsets
//! alone would overflow a shard: the depth does not follow the length of a basket.
//!
//! Sources: Uno, Kiyomi, Arimura, LCM ver. 2 (FIMI'04), for occurrence deliver and database reduction; Li et al., PFP
//! (RecSys 2008), for the shards.

use super::itemsets::Itemsets;
use crate::error::Result;
use crate::functions::GroupContext;

/// Items scanned between two questions to the context.
const WORK_BETWEEN_CHECKS: usize = 1 << 20;

/// Items that fit into a word.
const WORD: usize = 64;

/// Transactions over items `0..labels.len()`, each ascending, with how many baskets each stands for.
#[derive(Debug, Default)]
pub struct Transactions {
    /// Items of all transactions, one after the other.
    pub items: Vec<u32>,
    /// Where each transaction starts; one more entry than transactions.
    pub starts: Vec<u32>,
    /// Baskets per transaction.
    pub weights: Vec<u64>,
    /// What each item is called in the output.
    pub labels: Vec<u32>,
}

impl Transactions {
    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.items.capacity() * 4
            + self.starts.capacity() * 4
            + self.weights.capacity() * 8
            + self.labels.capacity() * 4
    }

    fn clear(&mut self) {
        self.items.clear();
        self.weights.clear();
        self.labels.clear();
        self.starts.clear();
        self.starts.push(0);
    }
}

/// Which items of the outermost level may be an itemset's rarest item: `first`, `first + step`, ..
#[derive(Debug, Clone, Copy)]
pub struct Shard {
    /// The first of them.
    pub first: usize,
    /// The distance to the next.
    pub step: usize,
}

const ALL: Shard = Shard { first: 0, step: 1 };

/// Mines one shard: writes every itemset of at most `found.max_len()` items whose highest item belongs to the shard and
/// that at least `min_count` baskets hold.
///
/// In: transactions in an order of the caller's choice, which fixes the order of the output. Cost: about the items that
/// the conditional transactions hold, plus the output. Errors: `Limit` when the itemsets explode, `Cancelled`.
pub fn mine(
    transactions: &Transactions,
    shard: Shard,
    min_count: u64,
    found: &mut Itemsets,
    context: &dyn GroupContext,
) -> Result<()> {
    mine_with(transactions, shard, min_count, found, context, WORD)
}

/// [`mine`], with transactions packed into words once no more than `word` items are left.
fn mine_with(
    transactions: &Transactions,
    shard: Shard,
    min_count: u64,
    found: &mut Itemsets,
    context: &dyn GroupContext,
    word: usize,
) -> Result<()> {
    let held = transactions.memory_bytes() * 2;
    let mut growth = Growth {
        min_count,
        max_len: found.max_len(),
        found,
        context,
        held,
        work: 0,
        word,
        path: Vec::new(),
        perfect: Vec::new(),
        levels: Vec::new(),
        bits: Vec::new(),
    };
    growth.grow(transactions, shard, 0)
}

/// The state of one mining run.
pub(super) struct Growth<'a> {
    pub(super) min_count: u64,
    pub(super) max_len: usize,
    pub(super) found: &'a mut Itemsets,
    context: &'a dyn GroupContext,
    /// Bytes of the input and of the levels in use, without `bits` and `found`.
    held: usize,
    /// Work since the context was last asked.
    work: usize,
    /// Most items that are packed into a word.
    word: usize,
    pub(super) path: Vec<u32>,
    pub(super) perfect: Vec<u32>,
    levels: Vec<Level>,
    pub(super) bits: Vec<BitRow>,
}

/// A transaction over at most 64 items, and the baskets that it stands for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BitRow {
    pub(super) items: u64,
    pub(super) weight: u64,
}

/// Buffers of one level, kept from item to item.
#[derive(Debug, Default)]
struct Level {
    /// The conditional transactions.
    rows: Transactions,
    /// Per item of the level above: weight in the conditional transactions, zero between items.
    counts: Vec<u64>,
    /// Per item of the level above: its code here, `DROPPED` if it has none.
    codes: Vec<u32>,
    /// Items with a non-zero count.
    touched: Vec<u32>,
    /// Items that are still frequent, with their counts.
    kept: Vec<(u64, u32)>,
    /// Where the occurrences of each item start.
    starts: Vec<u32>,
    /// Where an item of the shard stands: transaction and position in `items`.
    occurrences: Vec<(u32, u32)>,
}

const DROPPED: u32 = u32::MAX;

impl Growth<'_> {
    /// Grows the path by each item of the shard in turn.
    fn grow(&mut self, rows: &Transactions, shard: Shard, depth: usize) -> Result<()> {
        if self.levels.len() == depth {
            self.levels.push(Level::default());
        }
        let mut level = std::mem::take(&mut self.levels[depth]);
        level.counts.resize(rows.labels.len().max(level.counts.len()), 0);
        level.codes.resize(rows.labels.len().max(level.codes.len()), DROPPED);
        self.spend(rows.items.len())?;
        deliver(rows, shard, &mut level.starts, &mut level.occurrences);
        let bytes = level.memory_bytes();
        self.held += bytes;
        // The rarest first: it has the most candidates, so that an explosion shows at once.
        let slots = rows.labels.len().saturating_sub(shard.first).div_ceil(shard.step);
        for slot in (0..slots).rev() {
            let item = shard.first + slot * shard.step;
            let range = level.starts[slot] as usize..level.starts[slot + 1] as usize;
            let total = level.occurrences[range.clone()].iter().map(|&(row, _)| rows.weights[row as usize]).sum();
            if total >= self.min_count {
                self.path.push(rows.labels[item]);
                self.project(rows, &mut level, range, total, depth)?;
                self.path.pop();
            }
        }
        self.held -= bytes;
        self.levels[depth] = level;
        Ok(())
    }

    /// Builds the conditional transactions of the path, writes it with its perfect extensions and goes on from there.
    fn project(
        &mut self,
        rows: &Transactions,
        level: &mut Level,
        occurrences: std::ops::Range<usize>,
        total: u64,
        depth: usize,
    ) -> Result<()> {
        if self.path.len() == self.max_len {
            return self.emit(total);
        }
        let occurrences = &level.occurrences[occurrences];
        let mut scanned = 0;
        for &(row, end) in occurrences {
            let weight = rows.weights[row as usize];
            let below = &rows.items[rows.starts[row as usize] as usize..end as usize];
            scanned += below.len();
            for &item in below {
                let count = &mut level.counts[item as usize];
                if *count == 0 {
                    level.touched.push(item);
                }
                *count += weight;
            }
        }
        self.spend(2 * scanned)?;
        let mark = self.perfect.len();
        level.kept.clear();
        for item in level.touched.drain(..) {
            let count = std::mem::take(&mut level.counts[item as usize]);
            if count == total {
                self.perfect.push(rows.labels[item as usize]);
            } else if count >= self.min_count {
                level.kept.push((count, item));
            }
        }
        level.kept.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        self.emit(total)?;
        if self.path.len() + 1 == self.max_len {
            for &(count, item) in &level.kept {
                self.emit_with(rows.labels[item as usize], count)?;
            }
        } else if level.kept.len() == 1 {
            let (count, item) = level.kept[0];
            self.emit_with(rows.labels[item as usize], count)?;
        } else if !level.kept.is_empty() {
            for (code, &(_, item)) in level.kept.iter().enumerate() {
                level.codes[item as usize] = code as u32;
            }
            if level.kept.len() <= self.word {
                self.descend_to_bits(rows, occurrences, &level.kept, &level.codes)?;
            } else {
                reduce(rows, occurrences, &level.kept, &level.codes, &mut level.rows);
                self.grow(&level.rows, ALL, depth + 1)?;
            }
            for &(_, item) in &level.kept {
                level.codes[item as usize] = DROPPED;
            }
        }
        self.perfect.truncate(mark);
        Ok(())
    }

    /// Packs the conditional transactions into words.
    fn descend_to_bits(
        &mut self,
        rows: &Transactions,
        occurrences: &[(u32, u32)],
        kept: &[(u64, u32)],
        codes: &[u32],
    ) -> Result<()> {
        self.bits.clear();
        for &(row, end) in occurrences {
            let mut items = 0u64;
            for &item in &rows.items[rows.starts[row as usize] as usize..end as usize] {
                let code = codes[item as usize];
                if code != DROPPED {
                    items |= 1 << code;
                }
            }
            if items != 0 {
                self.bits.push(BitRow { items, weight: rows.weights[row as usize] });
            }
        }
        let (mut labels, mut counts) = ([0; 64], [0; 64]);
        for (code, &(count, item)) in kept.iter().enumerate() {
            labels[code] = rows.labels[item as usize];
            counts[code] = count;
        }
        let end = super::bit_rows::merge(&mut self.bits);
        self.bits.truncate(end);
        let candidates = u64::MAX >> (64 - kept.len());
        self.grow_bits(0, end, candidates, &counts, &labels)
    }

    /// Writes the path with every subset of its perfect extensions.
    pub(super) fn emit(&mut self, count: u64) -> Result<()> {
        let held = self.held + self.bits.capacity() * 16;
        self.found.emit(&self.path, &self.perfect, count, held, self.context)
    }

    /// Writes the path and `item`, with every subset of the path's perfect extensions.
    pub(super) fn emit_with(&mut self, item: u32, count: u64) -> Result<()> {
        self.path.push(item);
        let done = self.emit(count);
        self.path.pop();
        done
    }

    /// Counts work and asks now and then whether the run is being stopped.
    pub(super) fn spend(&mut self, work: usize) -> Result<()> {
        self.work += work + 1;
        if self.work >= WORK_BETWEEN_CHECKS {
            self.work = 0;
            self.context.check_cancelled()?;
            self.context.reserve(self.held + self.bits.capacity() * 16 + self.found.memory_bytes())?;
        }
        Ok(())
    }
}

impl Level {
    fn memory_bytes(&self) -> usize {
        let words = self.counts.capacity() * 2 + self.kept.capacity() * 4 + self.occurrences.capacity() * 2;
        let halves = self.codes.capacity() + self.touched.capacity() + self.starts.capacity();
        self.rows.memory_bytes() + words * 4 + halves * 4
    }
}

/// Occurrence deliver: where each item of the shard stands, all items in one pass.
fn deliver(rows: &Transactions, shard: Shard, starts: &mut Vec<u32>, occurrences: &mut Vec<(u32, u32)>) {
    let Shard { first, step } = shard;
    let slot = |item: u32| {
        let above = (item as usize).checked_sub(first)?;
        if step == 1 { Some(above) } else { (above % step == 0).then(|| above / step) }
    };
    let slots = rows.labels.len().saturating_sub(first).div_ceil(step);
    starts.clear();
    starts.resize(slots + 2, 0);
    for s in rows.items.iter().filter_map(|&item| slot(item)) {
        starts[s + 2] += 1;
    }
    for s in 2..starts.len() {
        starts[s] += starts[s - 1];
    }
    occurrences.clear();
    occurrences.resize(starts[slots + 1] as usize, (0, 0));
    for (row, bounds) in rows.starts.windows(2).enumerate() {
        for at in bounds[0]..bounds[1] {
            if let Some(s) = slot(rows.items[at as usize]) {
                occurrences[starts[s + 1] as usize] = (row as u32, at);
                starts[s + 1] += 1;
            }
        }
    }
}

/// Database reduction: the conditional transactions over the kept items, recoded, ascending.
fn reduce(
    rows: &Transactions,
    occurrences: &[(u32, u32)],
    kept: &[(u64, u32)],
    codes: &[u32],
    reduced: &mut Transactions,
) {
    reduced.clear();
    reduced.labels.extend(kept.iter().map(|&(_, item)| rows.labels[item as usize]));
    for &(row, end) in occurrences {
        let from = reduced.items.len();
        for &item in &rows.items[rows.starts[row as usize] as usize..end as usize] {
            let code = codes[item as usize];
            if code != DROPPED {
                reduced.items.push(code);
            }
        }
        if reduced.items.len() > from {
            reduced.items[from..].sort_unstable();
            reduced.starts.push(reduced.items.len() as u32);
            reduced.weights.push(rows.weights[row as usize]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baskets::brute_force_tests::{frequent, weighted_baskets};
    use crate::functions::Unlimited;
    use proptest::prelude::*;

    fn mined(
        baskets: &[(u32, u64)],
        shards: usize,
        min_count: u64,
        max_len: usize,
        word: usize,
    ) -> Vec<(Vec<u32>, i64)> {
        let mut all = Vec::new();
        for first in 0..shards {
            let mut rows = Transactions { starts: vec![0], labels: (0..32).collect(), ..Transactions::default() };
            for &(items, weight) in baskets {
                rows.items.extend((0..32).filter(|i| items >> i & 1 == 1));
                rows.starts.push(rows.items.len() as u32);
                rows.weights.push(weight);
            }
            let mut found = Itemsets::new(max_len);
            mine_with(&rows, Shard { first, step: shards }, min_count, &mut found, &Unlimited, word).unwrap();
            all.extend((0..found.len()).map(|i| (found.items(i).to_vec(), found.counts[i])));
        }
        all.sort();
        all
    }

    proptest! {
        #[test]
        fn sparse_levels_and_words_both_find_what_counting_every_subset_finds(
            baskets in weighted_baskets(),
            shards in prop::sample::select(vec![1usize, 2, 7]),
            min_count in 1u64..6,
            max_len in prop::sample::select(vec![1usize, 2, 3, usize::MAX]),
            word in prop::sample::select(vec![0usize, 3, 64]),
        ) {
            prop_assert_eq!(mined(&baskets, shards, min_count, max_len, word), frequent(&baskets, min_count, max_len));
        }
    }

    #[test]
    fn a_long_staircase_of_baskets_ends_with_a_limit_and_not_with_an_overflow() {
        let n = 400u32;
        let mut rows = Transactions { starts: vec![0], labels: (0..n).collect(), ..Transactions::default() };
        for left_out in 0..n {
            rows.items.extend((0..n).filter(|&i| i != left_out));
            rows.starts.push(rows.items.len() as u32);
            rows.weights.push(1);
        }
        let all = Shard { first: 0, step: 1 };
        let refused = mine(&rows, all, 1, &mut Itemsets::new(usize::MAX), &Unlimited).unwrap_err();
        assert!(matches!(refused, crate::Error::Limit(_)), "{refused}");
        let mut single = Itemsets::new(1);
        mine(&rows, all, 1, &mut single, &Unlimited).unwrap();
        assert_eq!(single.len(), 400);
    }
}
