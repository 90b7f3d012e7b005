//! Itemsets found by their items.  In: itemsets with counts. Out: the count of any itemset, subsets of a known one first.

use std::hash::{BuildHasherDefault, Hasher};

/// A fast hash of short byte strings for tables that are never iterated.
#[derive(Debug, Default)]
pub(super) struct ByteHasher(u64);

/// Builds [`ByteHasher`].
pub(super) type ByteHash = BuildHasherDefault<ByteHasher>;

impl Hasher for ByteHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = mix(self.0 ^ u64::from_le_bytes(word) ^ ((chunk.len() as u64) << 56).rotate_left(7));
        }
    }
}

/// The step of SplitMix64: `mix` of its multiples is the generator (Steele, Lea, Flood, OOPSLA 2014).
pub(super) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A bijection that spreads every bit (the finalizer of SplitMix64).
pub(super) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(STEP);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The hash of one item. That of an itemset is the sum over its items, so that a subset's follows by subtraction.
pub(super) fn item_hash(code: u32) -> u64 {
    mix(u64::from(code))
}

/// Itemsets in a flat arena, in lexicographic order, with an open-addressing index.
#[derive(Debug, Default)]
pub(super) struct ItemsetIndex {
    /// Items of all itemsets, ascending within an itemset.
    codes: Vec<u32>,
    /// Where each itemset starts in `codes`, and where the last ends.
    starts: Vec<usize>,
    /// Baskets that hold the itemset.
    counts: Vec<i64>,
    /// Number of the itemset plus one in the low half, upper half of its hash in the high half; 0 is free.
    slots: Vec<u64>,
}

/// A position in the index where an itemset is given twice.
pub(super) struct Repeated(pub(super) usize);

impl ItemsetIndex {
    /// Sorts and indexes the itemsets `codes[starts[i]..starts[i + 1]]`. Fails if one is given twice.
    pub(super) fn new(codes: &[u32], starts: &[usize], counts: &[i64]) -> Result<Self, Repeated> {
        let set = |i: u32| &codes[starts[i as usize]..starts[i as usize + 1]];
        let mut order: Vec<u32> = (0..counts.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| set(a).cmp(set(b)));
        if let Some(same) = order.windows(2).find(|w| set(w[0]) == set(w[1])) {
            return Err(Repeated(same[0] as usize));
        }
        let mut index = Self {
            codes: Vec::with_capacity(codes.len()),
            starts: vec![0],
            counts: order.iter().map(|&i| counts[i as usize]).collect(),
            slots: vec![0; Self::slots(counts.len())],
        };
        for (number, &i) in order.iter().enumerate() {
            index.codes.extend_from_slice(set(i));
            index.starts.push(index.codes.len());
            let hash = set(i).iter().fold(0u64, |sum, &code| sum.wrapping_add(item_hash(code)));
            index.insert(hash, number);
        }
        Ok(index)
    }

    /// Bytes that an index of `itemsets` with `codes` items needs, its sorting included.
    pub(super) fn bytes(itemsets: usize, codes: usize) -> usize {
        codes * 4 + itemsets * 20 + Self::slots(itemsets) * 8
    }

    fn slots(itemsets: usize) -> usize {
        (itemsets * 2).next_power_of_two()
    }

    fn insert(&mut self, hash: u64, number: usize) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = (hash & HIGH) | (number as u64 + 1);
    }

    /// Itemsets held.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    /// Items of itemset `i`.
    pub(super) fn items(&self, i: usize) -> &[u32] {
        &self.codes[self.starts[i]..self.starts[i + 1]]
    }

    /// Baskets that hold itemset `i`.
    pub(super) fn count(&self, i: usize) -> i64 {
        self.counts[i]
    }

    /// The itemset of the items of `of` at the positions set in `chosen`, whose hashes sum to `hash`.
    pub(super) fn find(&self, of: &[u32], chosen: u64, hash: u64) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if slot & HIGH == hash & HIGH {
                let i = (slot & !HIGH) as usize - 1;
                if is_choice(self.items(i), of, chosen) {
                    return Some(i);
                }
            }
            at = (at + 1) & mask;
        }
    }
}

const HIGH: u64 = !(u32::MAX as u64);

/// Whether `set` is what `chosen` picks from `of`.
fn is_choice(set: &[u32], of: &[u32], mut chosen: u64) -> bool {
    if set.len() != chosen.count_ones() as usize {
        return false;
    }
    for &code in set {
        if code != of[chosen.trailing_zeros() as usize] {
            return false;
        }
        chosen &= chosen - 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subsets_are_found_by_position_and_absent_ones_are_not() {
        let sets: [&[u32]; 5] = [&[2, 4], &[2], &[2, 4, 9], &[4], &[9]];
        let codes = sets.concat();
        let starts: Vec<usize> = (0..=5).map(|i| sets[..i].iter().map(|s| s.len()).sum()).collect();
        let index = ItemsetIndex::new(&codes, &starts, &[5, 7, 3, 6, 4]).ok().unwrap();
        let of = [2, 4, 9];
        let find = |chosen: u64| {
            let hash = (0..3).filter(|i| chosen >> i & 1 == 1).map(|i| item_hash(of[i])).fold(0, u64::wrapping_add);
            index.find(&of, chosen, hash).map(|i| index.count(i))
        };
        assert_eq!(
            [0b001, 0b010, 0b011, 0b100, 0b101, 0b111].map(find),
            [Some(7), Some(6), Some(5), Some(4), None, Some(3)]
        );
        assert_eq!((0..5).map(|i| index.items(i).to_vec()).collect::<Vec<_>>()[1], [2, 4]);
        assert!(ItemsetIndex::new(&[1, 1], &[0, 1, 2], &[5, 5]).is_err());
    }
}
