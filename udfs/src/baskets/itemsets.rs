//! Mined itemsets in one flat arena.  In: a path of items, its perfect extensions, a count. Out: list offsets and codes.

use super::mining::Sink;
use crate::error::{Error, Result};
use crate::functions::GroupContext;

/// Items that one Arrow list array can hold: its offsets are 32 bits wide.
const CAPACITY: usize = i32::MAX as usize;

/// Items whose subsets are written by the bits of a word.
const SUBSET_ITEMS_MAX: usize = 64;

/// Itemsets of one shard, in the order in which they were found, laid out like an Arrow list array.
#[derive(Debug)]
pub struct Itemsets {
    /// Items of all itemsets, one after the other, ascending within an itemset.
    pub codes: Vec<u32>,
    /// Where each itemset ends in `codes`; starts with 0, so that itemset `i` is `offsets[i]..offsets[i + 1]`.
    pub offsets: Vec<i32>,
    /// Baskets that hold the itemset.
    pub counts: Vec<i64>,
    max_len: usize,
}

impl Itemsets {
    /// An empty arena for itemsets of at most `max_len` items.
    pub fn new(max_len: usize) -> Self {
        Self { codes: Vec::new(), offsets: vec![0], counts: Vec::new(), max_len }
    }

    /// Itemsets held.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The most items that an itemset may have.
    pub fn max_len(&self) -> usize {
        self.max_len
    }

    /// Items of itemset `i`.
    pub fn items(&self, i: usize) -> &[u32] {
        &self.codes[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.codes.capacity() * 4 + self.offsets.capacity() * 4 + self.counts.capacity() * 8
    }

    /// Writes `path` with every subset of `perfect` that keeps to `max_len`. There is room for them.
    fn extend(&mut self, path: &[u32], perfect: &[u32], count: u64) -> Result<()> {
        let mut all = [(0, false); SUBSET_ITEMS_MAX];
        let all = &mut all[..path.len() + perfect.len()];
        let marked = path.iter().map(|&item| (item, true)).chain(perfect.iter().map(|&item| (item, false)));
        all.iter_mut().zip(marked).for_each(|(slot, item)| *slot = item);
        all.sort_unstable();
        let free = all.iter().rev().fold(0u64, |mask, (_, fixed)| mask << 1 | u64::from(!fixed));
        let most = self.max_len - path.len();
        // All subsets of the free places that are small enough, the empty one last. Those that are too large are many more
        // under a small `max_len`, so that they are leapt over: the next one keeps the highest places.
        let mut chosen = highest(free, most);
        loop {
            let mut places = chosen | !free & (u64::MAX >> (64 - all.len()));
            while places != 0 {
                self.codes.push(all[places.trailing_zeros() as usize].0);
                places &= places - 1;
            }
            self.close(count)?;
            if chosen == 0 {
                return Ok(());
            }
            chosen = highest((chosen - 1) & free, most);
        }
    }

    /// [`Self::extend`] for more items than a word has bits: only a small `max_len` leaves few enough subsets.
    fn extend_few(&mut self, path: &[u32], perfect: &[u32], count: u64) -> Result<()> {
        let first = self.counts.len();
        let start = self.codes.len();
        self.codes.extend_from_slice(path);
        self.codes[start..].sort_unstable();
        self.close(count)?;
        for &item in perfect {
            for i in first..self.counts.len() {
                let (from, to) = (self.offsets[i] as usize, self.offsets[i + 1] as usize);
                if to - from < self.max_len {
                    let at = from + self.codes[from..to].partition_point(|&c| c < item);
                    self.codes.extend_from_within(from..at);
                    self.codes.push(item);
                    self.codes.extend_from_within(at..to);
                    self.close(count)?;
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, count: u64) -> Result<()> {
        let end = i32::try_from(self.codes.len())
            .map_err(|_| too_many(&format!("{} itemsets were found before the end", self.counts.len())))?;
        self.offsets.push(end);
        self.counts.push(count as i64);
        Ok(())
    }

    /// Makes room, asking the pool before memory grows.
    fn room(&mut self, codes: usize, itemsets: usize, held: usize, context: &dyn GroupContext) -> Result<()> {
        let grow = |len: usize, capacity: usize, more: usize| {
            if len.saturating_add(more) <= capacity { capacity } else { (capacity * 2).max(len.saturating_add(more)) }
        };
        let codes = grow(self.codes.len(), self.codes.capacity(), codes.min(CAPACITY));
        let itemsets = grow(self.counts.len(), self.counts.capacity(), itemsets.min(CAPACITY));
        if codes > self.codes.capacity() || itemsets > self.counts.capacity() {
            let bytes = codes.saturating_mul(4).saturating_add(itemsets.saturating_mul(12));
            context.reserve(held.saturating_add(bytes)).map_err(|e| match e {
                Error::Limit(m) => too_many(&format!("{} itemsets were found before memory ran out: {m}", self.len())),
                other => other,
            })?;
            self.codes.reserve_exact(codes - self.codes.len());
            self.counts.reserve_exact(itemsets - self.counts.len());
            self.offsets.reserve_exact(itemsets + 1 - self.offsets.len());
        }
        Ok(())
    }
}

impl Sink for Itemsets {
    /// Errors: `Limit` before anything is written if there are more itemsets than a shard can hold, and if the memory pool
    /// is exhausted.
    #[inline]
    fn emit(
        &mut self,
        path: &[u32],
        perfect: &[u32],
        count: u64,
        held: usize,
        context: &dyn GroupContext,
    ) -> Result<()> {
        let (codes, itemsets) = if perfect.is_empty() {
            (path.len(), 1)
        } else {
            let length = path.len() + perfect.len();
            if length > 24 && implied(length, self.max_len) > CAPACITY as u128 {
                return Err(too_many(&format!("one of them has {length} items, and all its subsets are frequent too")));
            }
            let (subsets, codes) = subsets(perfect.len(), path.len(), self.max_len);
            (saturating(codes), saturating(subsets))
        };
        if codes > self.codes.capacity() - self.codes.len() || itemsets > self.counts.capacity() - self.counts.len() {
            self.room(codes, itemsets, held, context)?;
        }
        match perfect {
            [] => {
                let start = self.codes.len();
                self.codes.extend_from_slice(path);
                if !path.is_sorted() {
                    self.codes[start..].sort_unstable();
                }
                self.close(count)
            }
            _ if path.len() + perfect.len() > SUBSET_ITEMS_MAX => self.extend_few(path, perfect, count),
            _ => self.extend(path, perfect, count),
        }
    }

    fn memory_bytes(&self) -> usize {
        Itemsets::memory_bytes(self)
    }
}

/// The error for an explosion of itemsets, with its remedy.
pub fn too_many(why: &str) -> Error {
    Error::Limit(format!("too many frequent itemsets: raise min_support or set a smaller max_len: {why}"))
}

/// Items of all itemsets of one shard that a frequent itemset of `length` items implies: its subsets that keep its rarest
/// item, of at most `max_len` items; saturates.
fn implied(length: usize, max_len: usize) -> u128 {
    subsets(length - 1, 1, max_len).1
}

/// How many itemsets of at most `max_len` items `base` items make with the subsets of `n` others, and how many items
/// those itemsets have in all; saturates.
fn subsets(n: usize, base: usize, max_len: usize) -> (u128, u128) {
    let mut term = 1u128;
    let (mut sets, mut items) = (1u128, base as u128);
    for k in 1..=n.min(max_len - base) {
        term = match term.checked_mul((n - k + 1) as u128) {
            Some(product) => product / k as u128,
            None => return (u128::MAX, u128::MAX),
        };
        sets = sets.saturating_add(term);
        items = items.saturating_add(term.saturating_mul((base + k) as u128));
    }
    (sets, items)
}

/// The highest bits of a word, at most `most` of them.
#[inline]
fn highest(mut word: u64, most: usize) -> u64 {
    while word.count_ones() as usize > most {
        word &= word - 1;
    }
    word
}

fn saturating(n: u128) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baskets::mining::Sink;
    use crate::functions::Unlimited;

    fn listing(sets: &Itemsets) -> Vec<Vec<u32>> {
        let mut all: Vec<_> = (0..sets.len()).map(|i| sets.items(i).to_vec()).collect();
        all.sort();
        all
    }

    #[test]
    fn perfect_extensions_come_out_as_all_their_subsets_in_ascending_order() {
        let mut sets = Itemsets::new(usize::MAX);
        sets.emit(&[5, 2], &[9, 1, 3], 7, 0, &Unlimited).unwrap();
        let expected: Vec<&[u32]> = vec![
            &[1, 2, 3, 5],
            &[1, 2, 3, 5, 9],
            &[1, 2, 5],
            &[1, 2, 5, 9],
            &[2, 3, 5],
            &[2, 3, 5, 9],
            &[2, 5],
            &[2, 5, 9],
        ];
        assert_eq!(listing(&sets), expected);
        assert!(sets.counts.iter().all(|&n| n == 7));
    }

    #[test]
    fn max_len_cuts_the_subsets() {
        let mut sets = Itemsets::new(2);
        sets.emit(&[5], &[9, 1, 3], 7, 0, &Unlimited).unwrap();
        assert_eq!(listing(&sets), vec![vec![1, 5], vec![3, 5], vec![5], vec![5, 9]]);
    }

    #[test]
    fn a_small_max_len_costs_what_it_writes_and_not_all_subsets() {
        let perfect: Vec<u32> = (1..63).collect();
        let mut sets = Itemsets::new(3);
        sets.emit(&[0], &perfect, 7, 0, &Unlimited).unwrap();
        assert_eq!(sets.len(), 1 + 62 + 62 * 61 / 2);
        let mut all = listing(&sets);
        all.dedup();
        assert_eq!(all.len(), sets.len());
    }

    #[test]
    fn an_explosion_is_refused_before_it_is_written() {
        let many: Vec<u32> = (1..100_000).collect();
        let refused = Itemsets::new(usize::MAX).emit(&[0], &many, 1, 0, &Unlimited).unwrap_err().to_string();
        assert!(refused.contains("raise min_support") && refused.contains("100000 items"), "{refused}");
        assert!(Itemsets::new(3).emit(&[0], &many, 1, 0, &Unlimited).is_err());
        let mut pairs = Itemsets::new(2);
        pairs.emit(&[0], &many, 1, 0, &Unlimited).unwrap();
        assert_eq!(pairs.len(), 100_000);
    }

    #[test]
    fn sums_of_binomials_are_exact_and_saturate() {
        assert_eq!(subsets(5, 1, 3), (1 + 5 + 10, 1 + 2 * 5 + 3 * 10));
        assert_eq!(subsets(40, 0, usize::MAX), (1 << 40, 40 << 39));
        assert_eq!(subsets(100_000, 1, 50_000), (u128::MAX, u128::MAX));
    }
}
