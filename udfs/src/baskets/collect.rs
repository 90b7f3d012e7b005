//! The rows of one problem, held small.  In: columns of baskets, items and weights, in any order. Out: codes in chunks.

use super::columns::{integers, no_nulls};
use super::dictionary::Dictionary;
use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;

/// Rows of a chunk, so that what grows by doubling stays small.
const CHUNK: usize = 1 << 18;

/// Collects rows as pairs of codes.
pub(super) struct Collector {
    function: &'static str,
    pub(super) baskets: Dictionary,
    pub(super) items: Dictionary,
    /// Of each basket, if there is such a column.
    pub(super) weights: Option<Vec<i64>>,
    sealed: Vec<Chunk>,
    open: Chunk,
    rows: usize,
}

/// Rows in the order in which they came.
#[derive(Default)]
pub(super) struct Chunk {
    /// Basket of each row, or of each run of rows.
    baskets: Vec<u32>,
    /// Where each run ends; none if `baskets` has one for each row.
    ends: Option<Vec<u32>>,
    items: Vec<u32>,
}

impl Chunk {
    /// Rows of one basket that came one after the other: the basket and the items.
    pub(super) fn runs(&self) -> impl Iterator<Item = (u32, &[u32])> {
        let mut start = 0;
        self.baskets.iter().enumerate().map(move |(at, &basket)| {
            let end = self.ends.as_ref().map_or(at + 1, |ends| ends[at] as usize);
            let run = &self.items[start..end];
            start = end;
            (basket, run)
        })
    }

    /// Runs in place of rows if that is shorter.
    fn sealed(mut self) -> Self {
        let runs = self.baskets.chunk_by(|a, b| a == b).count();
        if runs * 2 < self.baskets.len() {
            let (mut baskets, mut ends, mut end) = (Vec::with_capacity(runs), Vec::with_capacity(runs), 0);
            for run in self.baskets.chunk_by(|a, b| a == b) {
                end += run.len() as u32;
                baskets.push(run[0]);
                ends.push(end);
            }
            (self.baskets, self.ends) = (baskets, Some(ends));
        }
        self.baskets.shrink_to_fit();
        self.items.shrink_to_fit();
        self
    }

    fn memory_bytes(&self) -> usize {
        (self.baskets.capacity() + self.ends.as_ref().map_or(0, Vec::capacity) + self.items.capacity()) * 4
    }
}

impl Collector {
    /// No rows yet; `function` is named in errors. Errors: `Arrow` if values of such types cannot be compared.
    pub(super) fn new(function: &'static str, basket: &DataType, item: &DataType, weighted: bool) -> Result<Self> {
        Ok(Self {
            function,
            baskets: Dictionary::new(basket)?,
            items: Dictionary::new(item)?,
            weights: weighted.then(Vec::new),
            sealed: Vec::new(),
            open: Chunk::default(),
            rows: 0,
        })
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Takes rows. Errors: `Data` on nulls, on weights below 1 and on baskets of several weights, `Limit` on too many rows.
    pub(super) fn push(&mut self, baskets: &ArrayRef, items: &ArrayRef, weights: Option<&ArrayRef>) -> Result<()> {
        no_nulls(self.function, "basket", baskets)?;
        no_nulls(self.function, "item", items)?;
        self.rows += baskets.len();
        if self.rows >= u32::MAX as usize {
            return Err(Error::Limit(format!(
                "{}: too many rows for one task: cut the problem into segments with `by`, or use plan => 'prefix': rows>{}",
                self.function,
                u32::MAX
            )));
        }
        let first = self.open.baskets.len();
        self.baskets.codes(baskets, &mut self.open.baskets)?;
        self.items.codes(items, &mut self.open.items)?;
        if let Some(weights) = weights {
            self.weigh(first, baskets, weights)?;
        }
        if self.open.items.len() >= CHUNK {
            self.sealed.push(std::mem::take(&mut self.open).sealed());
        }
        Ok(())
    }

    /// Keeps the weights of baskets whose codes stand from `first` on in the open chunk.
    fn weigh(&mut self, first: usize, baskets: &ArrayRef, column: &ArrayRef) -> Result<()> {
        let Some(known) = &mut self.weights else { return Ok(()) };
        let name = |row: usize| array_value_to_string(baskets, row).unwrap_or_default();
        let numbers = integers(self.function, "weight", column)?;
        for (row, (&basket, &weight)) in self.open.baskets[first..].iter().zip(numbers.values()).enumerate() {
            if weight < 1 {
                return Err(Error::Data(format!(
                    "{}: the weight of a basket must be at least 1: filter such baskets: basket={}, weight={weight}",
                    self.function,
                    name(row)
                )));
            }
            match known.get(basket as usize) {
                None => known.push(weight),
                Some(&other) if other == weight => {}
                Some(&other) => {
                    let (low, high) = (weight.min(other), weight.max(other));
                    return Err(Error::Data(format!(
                        "{}: a basket must have the same weight on all of its rows: take one a basket, such as \
                         `max(weight) OVER (PARTITION BY basket)`: basket={}, weights=[{low}, {high}]",
                        self.function,
                        name(row)
                    )));
                }
            }
        }
        Ok(())
    }

    /// The rows, chunk by chunk; none are left.
    pub(super) fn take_chunks(&mut self) -> Vec<Chunk> {
        let mut chunks = std::mem::take(&mut self.sealed);
        chunks.push(std::mem::take(&mut self.open));
        chunks
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        let chunks: usize = self.sealed.iter().map(Chunk::memory_bytes).sum();
        let weights = self.weights.as_ref().map_or(0, |weights| weights.capacity() * 8);
        chunks + self.open.memory_bytes() + self.baskets.memory_bytes() + self.items.memory_bytes() + weights
    }
}
