//! Where items stand.  In: baskets. Out: for each item the parts of its baskets below it.

use super::transactions::Transactions;
use crate::error::Result;
use crate::functions::GroupContext;

/// The places of every item. Memory: 8 bytes an occurrence and 8 an item.
pub(super) struct Occurrences<'a> {
    rows: Transactions<'a>,
    starts: Vec<usize>,
    /// Row, and position in it.
    places: Vec<(u32, u32)>,
}

impl<'a> Occurrences<'a> {
    /// Errors: `Limit` for want of memory.
    pub(super) fn new(rows: Transactions<'a>, context: &dyn GroupContext) -> Result<Self> {
        context.reserve((rows.items.len() + rows.n_items * 4) * 8)?;
        let mut starts = vec![0usize; rows.n_items + 2];
        rows.items.iter().for_each(|&item| starts[item as usize + 2] += 1);
        for item in 2..starts.len() {
            starts[item] += starts[item - 1];
        }
        let mut places = vec![(0, 0); rows.items.len()];
        for row in 0..rows.len() {
            for (nth, &item) in rows.row(row).iter().enumerate() {
                let next = &mut starts[item as usize + 1];
                places[*next] = (row as u32, nth as u32);
                *next += 1;
            }
        }
        Ok(Self { rows, starts, places })
    }

    fn of(&self, item: usize) -> &[(u32, u32)] {
        &self.places[self.starts[item]..self.starts[item + 1]]
    }

    /// The more frequent items in each basket of an item, with the basket's weight.
    pub(super) fn below(&self, item: usize) -> impl ExactSizeIterator<Item = (&'a [u32], u64)> {
        let rows = self.rows;
        let below =
            move |&(row, nth): &(u32, u32)| (&rows.row(row as usize)[..nth as usize], rows.weights[row as usize]);
        self.of(item).iter().map(below)
    }

    /// The weight of an item.
    pub(super) fn weight(&self, item: usize) -> u64 {
        self.of(item).iter().map(|&(row, _)| self.rows.weights[row as usize]).sum()
    }

    /// Occurrences below an item: what looking for its pairs costs.
    pub(super) fn scan(&self, item: usize) -> u64 {
        self.of(item).iter().map(|&(_, nth)| u64::from(nth)).sum()
    }

    /// How many more frequent items an item is frequent with. `counts`: a zero for each item, and zeros again afterwards.
    pub(super) fn pairs(&self, item: usize, min_count: u64, counts: &mut [u64]) -> u32 {
        for (items, weight) in self.below(item) {
            items.iter().for_each(|&other| counts[other as usize] += weight);
        }
        let mut pairs = 0;
        for (items, _) in self.below(item) {
            for &other in items {
                pairs += u32::from(std::mem::take(&mut counts[other as usize]) >= min_count);
            }
        }
        pairs
    }
}
