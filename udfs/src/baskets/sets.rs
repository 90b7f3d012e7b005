//! Itemsets in one place, for the rules and kinds that follow from them.  In: itemsets in ranks. Out: the same, by their items.

use super::itemset_index::{ItemsetIndex, item_hash};
use super::itemset_rows::ascending;
use super::rules::LENGTH_MAX;
use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef};

/// Itemsets one after the other, laid out like an Arrow list array.
#[derive(Debug, Default)]
pub(super) struct Sets {
    pub(super) codes: Vec<u32>,
    /// Where each ends in `codes`.
    pub(super) ends: Vec<usize>,
    pub(super) counts: Vec<i64>,
}

impl Sets {
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    pub(super) fn items(&self, i: usize) -> &[u32] {
        let from = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.codes[from..self.ends[i]]
    }

    pub(super) fn push(&mut self, items: &[u32], count: i64) {
        self.codes.extend_from_slice(items);
        self.ends.push(self.codes.len());
        self.counts.push(count);
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.codes.capacity() * 4 + (self.ends.capacity() + self.counts.capacity()) * 8
    }

    /// The same in lexicographic order.
    fn sorted(&self) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_unstable_by(|&a, &b| self.items(a).cmp(self.items(b)));
        let mut sorted = Self::default();
        order.into_iter().for_each(|i| sorted.push(self.items(i), self.counts[i]));
        sorted
    }
}

/// The itemsets of a problem, or those of one shard and those that visit it. Items are codes in ascending order of the items,
/// so that what comes out does not depend on how ties of rank were broken.
#[derive(Debug)]
pub(super) struct Place {
    /// By code, ascending.
    pub(super) items: ArrayRef,
    /// Weight of the baskets that hold an item, by code.
    pub(super) n_items: Vec<i64>,
    /// Rank by code: the greatest is the rarest.
    rank: Vec<u32>,
    pub(super) n_baskets: i64,
    pub(super) own: ItemsetIndex,
    pub(super) visitors: Sets,
    whole: bool,
}

impl Place {
    /// Indexes itemsets in ranks. Errors: `Data` on what cannot be itemsets of these items.
    pub(super) fn new(
        items: &ArrayRef,
        n_items: &[i64],
        n_baskets: i64,
        mut own: Sets,
        mut visitors: Sets,
    ) -> Result<Self> {
        let (items, code) = ascending(items)?;
        let (mut rank, mut by_code) = (vec![0; code.len()], vec![0; code.len()]);
        for (r, &c) in code.iter().enumerate() {
            rank[c as usize] = r as u32;
            by_code[c as usize] = n_items[r];
        }
        for sets in [&mut own, &mut visitors] {
            recode(sets, &code)?;
        }
        let starts: Vec<usize> = std::iter::once(0).chain(own.ends.iter().copied()).collect();
        let singles = starts.windows(2).filter(|w| w[1] - w[0] == 1).count();
        let index = ItemsetIndex::new(&own.codes, &starts, &own.counts).map_err(|repeated| {
            Error::Data(format!("an itemset is given twice: items={:?}", own.items(repeated.0).len()))
        })?;
        Ok(Self {
            whole: singles == items.len(),
            items,
            n_items: by_code,
            rank,
            n_baskets,
            own: index,
            visitors: visitors.sorted(),
        })
    }

    /// Whether all itemsets of the problem are here: the single items are all its own.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Position of the rarest of `items`.
    pub(super) fn rarest(&self, items: &[u32]) -> usize {
        let mut at = 0;
        for i in 1..items.len() {
            if self.rank[items[i] as usize] > self.rank[items[at] as usize] {
                at = i;
            }
        }
        at
    }

    /// Bytes that a place of these itemsets needs, its building included.
    pub(super) fn bytes(own: &Sets, visitors: &Sets) -> usize {
        ItemsetIndex::bytes(own.len(), own.codes.len()) + own.len() * 8 + 2 * visitors.memory_bytes()
    }
}

/// Ranks to codes, ascending within each itemset.
fn recode(sets: &mut Sets, code: &[u32]) -> Result<()> {
    let mut from = 0;
    for &to in &sets.ends {
        let set = &mut sets.codes[from..to];
        if set.is_empty() || set.len() > LENGTH_MAX {
            return Err(Error::Data(format!("bad itemset: items={}, allowed=1..={LENGTH_MAX}", set.len())));
        }
        for item in set.iter_mut() {
            let place = code.get(*item as usize);
            *item = *place.ok_or_else(|| {
                Error::Data(format!("an itemset holds an unknown item: rank={item}, items={}", code.len()))
            })?;
        }
        set.sort_unstable();
        if set.windows(2).any(|w| w[0] == w[1]) {
            return Err(Error::Data("an itemset holds an item twice".into()));
        }
        from = to;
    }
    Ok(())
}

/// The hash of each item, and their sum.
pub(super) fn item_hashes(items: &[u32]) -> ([u64; LENGTH_MAX + 1], u64) {
    let (mut hashes, mut sum) = ([0; LENGTH_MAX + 1], 0u64);
    for (hash, &code) in hashes.iter_mut().zip(items) {
        *hash = item_hash(code);
        sum = sum.wrapping_add(*hash);
    }
    (hashes, sum)
}
