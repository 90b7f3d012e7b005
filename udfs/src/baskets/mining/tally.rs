//! Counts itemsets without writing them.  In: what a miner emits. Out: how many, by weight, length and item.

use super::Sink;
use crate::error::{Error, Result};
use crate::functions::GroupContext;
use std::collections::BTreeMap;

/// Weights above the smallest that have a place of their own in an array; rarer, larger ones are in a map.
const DENSE: u64 = 1 << 16;

/// Lengths that are told apart; nothing longer is ever counted one by one.
const LENGTHS: usize = 128;

/// An item whose work is at least this part of all gets it told apart by second items.
const HEAVY_PARTS: u64 = 256;

/// Work by rarest and second-rarest item, of rarest items with much of it.
#[derive(Debug, Default)]
struct Pairs {
    /// The rarest item that is at work now.
    rarest: Option<u32>,
    /// Its work by second item, and which of these are not zero.
    now: Vec<u64>,
    touched: Vec<u32>,
    kept: BTreeMap<u32, Vec<(u32, u64)>>,
}

impl Pairs {
    fn add(&mut self, rarest: u32, second: u32, work: u64, all: u64) {
        if self.rarest != Some(rarest) {
            self.flush(all);
            self.rarest = Some(rarest);
        }
        let of_second = &mut self.now[second as usize];
        if *of_second == 0 {
            self.touched.push(second);
        }
        *of_second += work;
    }

    fn flush(&mut self, all: u64) {
        let found: Vec<(u32, u64)> =
            self.touched.drain(..).map(|second| (second, std::mem::take(&mut self.now[second as usize]))).collect();
        let heavy = |pairs: &[(u32, u64)]| pairs.iter().map(|(_, work)| work).sum::<u64>() >= all / HEAVY_PARTS;
        if let Some(rarest) = self.rarest.take().filter(|_| heavy(&found)) {
            self.kept.entry(rarest).or_default().extend(found);
        }
        if self.kept.len() as u64 > 2 * HEAVY_PARTS {
            self.kept.retain(|_, pairs| heavy(pairs));
        }
    }
}

/// A sink that counts. Numbers saturate at the largest `u128`, far beyond what anyone could write.
///
/// An emission of q perfect extensions costs O(q) and is counted whole: `2^q` itemsets, or the binomial sums that `max_len`
/// leaves. Work is counted in operations, so that a budget stops at the same emission everywhere.
#[derive(Debug)]
pub struct Tally {
    min_count: u64,
    max_len: usize,
    itemsets: u128,
    /// Itemsets of weight `min_count + i`.
    dense: Vec<u128>,
    /// Itemsets of larger weights.
    sparse: BTreeMap<u64, u128>,
    by_len: Vec<u128>,
    with_item: Vec<u128>,
    work_of_rarest: Vec<u64>,
    pairs: Pairs,
    /// Items that the miner looked at.
    looked: u64,
    work: u64,
    work_max: u64,
    itemsets_max: u128,
    stopped: bool,
}

impl Tally {
    /// Counts itemsets of weight `min_count` and of at most `max_len` items, of ranks below `n_items`.
    pub fn new(min_count: u64, max_len: usize, n_items: usize) -> Self {
        Self {
            min_count,
            max_len,
            itemsets: 0,
            dense: Vec::new(),
            sparse: BTreeMap::new(),
            by_len: Vec::new(),
            with_item: vec![0; n_items],
            work_of_rarest: vec![0; n_items],
            pairs: Pairs { now: vec![0; n_items], ..Pairs::default() },
            looked: 0,
            work: 0,
            work_max: u64::MAX,
            itemsets_max: u128::MAX,
            stopped: false,
        }
    }

    /// Stops once there are more than `itemsets` of them, after `work` operations, or at the largest number.
    pub fn stopping_at(self, itemsets: u128, work: u64) -> Self {
        Self { itemsets_max: itemsets, work_max: work, ..self }
    }

    /// Itemsets so far.
    pub fn itemsets(&self) -> u128 {
        self.itemsets
    }

    /// By number of items, from 1; the last one holds everything longer.
    pub fn by_len(&self) -> &[u128] {
        &self.by_len
    }

    /// Itemsets that hold each item.
    pub fn with_item(&self) -> &[u128] {
        &self.with_item
    }

    /// Operations for the itemsets of which each item is the rarest, with what the miner said that finding them cost.
    pub fn work_of_rarest(&self) -> &[u64] {
        &self.work_of_rarest
    }

    /// Of rarest items with much work: operations by second-rarest item. Asked once, at the end.
    pub fn take_pairs(&mut self) -> BTreeMap<u32, Vec<(u32, u64)>> {
        self.pairs.flush(self.work + self.looked);
        std::mem::take(&mut self.pairs.kept)
    }

    /// Operations so far.
    pub fn work(&self) -> u64 {
        self.work
    }

    /// Items that the miner looked at.
    pub fn looked(&self) -> u64 {
        self.looked
    }

    /// Whether a limit of [`Self::stopping_at`] ended the count: the error that the miner gave is this and no other.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Weights and how many itemsets have them, the largest weight first.
    pub fn spectrum(&self) -> impl Iterator<Item = (u64, u128)> {
        let dense = self.dense.iter().enumerate().rev().filter(|(_, n)| **n > 0);
        let sparse = self.sparse.iter().rev().map(|(&count, &n)| (count, n));
        sparse.chain(dense.map(|(above, &n)| (self.min_count + above as u64, n)))
    }

    /// Itemsets of weight `min_count` or more.
    pub fn at(&self, min_count: u64) -> u128 {
        self.spectrum().take_while(|(count, _)| *count >= min_count).fold(0, |sum, (_, n)| sum.saturating_add(n))
    }

    /// The smallest weight at and above which there are at most `most` itemsets, and how many; `None` if even the largest
    /// weight has more, or nothing was counted.
    pub fn fitting(&self, most: u128) -> Option<(u64, u128)> {
        let (mut fits, mut sum) = (None, 0u128);
        for (count, n) in self.spectrum() {
            sum = sum.saturating_add(n);
            if sum > most {
                // The weight just above this one: nothing lies between it and the next that occurs.
                return fits.map(|n| (count + 1, n));
            }
            fits = Some(sum);
        }
        fits.map(|n| (self.min_count, n))
    }

    /// The weight of the `k`th itemset by weight, from 1.
    pub fn kth_weight(&self, k: u128) -> Option<u64> {
        let mut sum = 0u128;
        self.spectrum().find_map(|(count, n)| {
            sum = sum.saturating_add(n);
            (sum >= k).then_some(count)
        })
    }

    fn add_weight(&mut self, count: u64, n: u128) {
        let above = count - self.min_count;
        let of_weight = if above < DENSE {
            if self.dense.len() as u64 <= above {
                self.dense.resize(above as usize + 1, 0);
            }
            &mut self.dense[above as usize]
        } else {
            self.sparse.entry(count).or_default()
        };
        *of_weight = of_weight.saturating_add(n);
    }

    fn add_length(&mut self, length: usize, n: u128) {
        let length = length.min(LENGTHS);
        if self.by_len.len() < length {
            self.by_len.resize(length, 0);
        }
        self.by_len[length - 1] = self.by_len[length - 1].saturating_add(n);
    }
}

impl Sink for Tally {
    fn emit(
        &mut self,
        path: &[u32],
        perfect: &[u32],
        count: u64,
        _held: usize,
        _context: &dyn GroupContext,
    ) -> Result<()> {
        let room = self.max_len.saturating_sub(path.len());
        let (mut all, mut with_one) = (0u128, 0u128);
        if perfect.is_empty() {
            all = 1;
            self.add_length(path.len(), 1);
        } else {
            // With one given perfect extension in it: a subset of the others, one shorter.
            each_binomial(perfect.len(), room, |chosen, n| {
                all = all.saturating_add(n);
                self.add_length(path.len() + chosen, n);
            });
            if room > 0 {
                each_binomial(perfect.len() - 1, room - 1, |_, n| with_one = with_one.saturating_add(n));
            }
        }
        self.itemsets = self.itemsets.saturating_add(all);
        self.add_weight(count, all);
        for (items, n) in [(path, all), (perfect, with_one)] {
            for &item in items {
                let with = &mut self.with_item[item as usize];
                *with = with.saturating_add(n);
            }
        }
        let work = 4 + (path.len() + 4 * perfect.len()) as u64;
        self.work += work;
        let (mut rarest, mut second) = (None, None);
        for &item in path {
            (rarest, second) =
                if Some(item) > rarest { (Some(item), rarest) } else { (rarest, second.max(Some(item))) };
        }
        if let Some(rarest) = rarest {
            self.work_of_rarest[rarest as usize] += work;
            if let Some(second) = second.max(perfect.iter().copied().max()) {
                self.pairs.add(rarest, second, work, self.work + self.looked);
            }
        }
        if self.itemsets > self.itemsets_max || self.work > self.work_max || self.itemsets == u128::MAX {
            self.stopped = true;
            return Err(Error::Limit(format!("counted no further: itemsets={}, work={}", self.itemsets, self.work)));
        }
        Ok(())
    }

    fn spent(&mut self, rarest: u32, second: Option<u32>, items: u64) {
        match second {
            Some(second) => self.pairs.add(rarest, second, items, self.work + self.looked),
            None => {
                self.looked += items;
                self.work_of_rarest[rarest as usize] += items;
            }
        }
    }

    fn memory_bytes(&self) -> usize {
        let numbers = self.dense.capacity() + self.by_len.capacity() + self.with_item.capacity();
        numbers * size_of::<u128>()
            + (self.work_of_rarest.capacity() + self.pairs.now.len()) * 8
            + self.sparse.len() * 48
    }
}

/// Calls `visit` with every `k` from 0 to `most` and the number of subsets of `k` out of `n` items.
fn each_binomial(n: usize, most: usize, mut visit: impl FnMut(usize, u128)) {
    let mut subsets = Some(1u128);
    for k in 0..=n.min(most) {
        visit(k, subsets.unwrap_or(u128::MAX));
        if subsets.is_none() && k > 2 * LENGTHS {
            // The sum has reached the largest number, and all that follows counts as long.
            return;
        }
        subsets = subsets.and_then(|c| c.checked_mul((n - k) as u128)).map(|c| c / (k as u128 + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::Unlimited;
    use proptest::prelude::*;

    fn emitted(max_len: usize, emissions: &[(u32, u32, u64)]) -> Tally {
        let mut tally = Tally::new(1, max_len, 8);
        for &(path, perfect, count) in emissions {
            let items = |mask: u32| -> Vec<u32> { (0..8).filter(|i| mask >> i & 1 == 1).collect() };
            tally.emit(&items(path), &items(perfect), count, 0, &Unlimited).unwrap();
        }
        tally
    }

    proptest! {
        #[test]
        fn it_counts_what_writing_every_subset_counts(
            emissions in prop::collection::vec((1u32..256, 0u32..256, 1u64..80_000), 0..12),
            max_len in 1usize..10,
            most in 0u128..400,
        ) {
            let emissions: Vec<_> = emissions.into_iter().map(|(path, perfect, n)| (path, perfect & !path, n))
                .filter(|(path, _, _)| path.count_ones() as usize <= max_len).collect();
            let tally = emitted(max_len, &emissions);
            let mut all: Vec<(u64, u32)> = Vec::new();
            for &(path, perfect, count) in &emissions {
                let subsets = (0..256u32).filter(|s| s & !perfect == 0).map(|s| s | path);
                all.extend(subsets.filter(|z| z.count_ones() as usize <= max_len).map(|z| (count, z)));
            }
            all.sort_unstable_by(|a, b| b.cmp(a));
            prop_assert_eq!(tally.itemsets(), all.len() as u128);
            for item in 0..8 {
                prop_assert_eq!(tally.with_item()[item], all.iter().filter(|(_, z)| z >> item & 1 == 1).count() as u128);
            }
            for len in 1..=8usize {
                let n = all.iter().filter(|(_, z)| z.count_ones() as usize == len).count() as u128;
                prop_assert_eq!(tally.by_len().get(len - 1).copied().unwrap_or(0), n);
            }
            for k in 1..=all.len() {
                prop_assert_eq!(tally.kth_weight(k as u128), Some(all[k - 1].0));
            }
            let at = |c: u64| all.iter().filter(|(n, _)| *n >= c).count() as u128;
            match tally.fitting(most) {
                Some((count, n)) => {
                    prop_assert!(at(count) == n && n <= most && (count == 1 || at(count - 1) > most));
                }
                None => prop_assert!(all.first().is_none_or(|(n, _)| at(*n) > most)),
            }
        }
    }

    #[test]
    fn numbers_beyond_any_table_are_the_largest_and_short_ones_stay_exact() {
        let perfect: Vec<u32> = (1..100_000).collect();
        let mut tally = Tally::new(1, usize::MAX, 100_000);
        tally.emit(&[0], &perfect, 5, 0, &Unlimited).unwrap_err();
        assert_eq!((tally.itemsets(), tally.by_len()[1]), (u128::MAX, 99_999));
        let mut pairs = Tally::new(1, 3, 100_000);
        pairs.emit(&[0], &perfect, 5, 0, &Unlimited).unwrap();
        assert_eq!(pairs.itemsets(), 1 + 99_999 + 99_999 * 99_998 / 2);
    }

    #[test]
    fn limits_stop_the_count_after_the_emission_that_passes_them() {
        let mut few = Tally::new(1, 9, 8).stopping_at(4, u64::MAX);
        few.emit(&[1], &[2, 3], 1, 0, &Unlimited).unwrap();
        assert!(!few.stopped());
        let error = few.emit(&[2], &[], 1, 0, &Unlimited).unwrap_err();
        assert!(few.stopped() && error.to_string().contains("itemsets=5"), "{error}");
        let mut short = Tally::new(1, 9, 8).stopping_at(u128::MAX, 9);
        short.emit(&[1], &[], 1, 0, &Unlimited).unwrap();
        assert!(short.emit(&[1], &[], 1, 0, &Unlimited).is_err() && short.stopped());
    }
}
