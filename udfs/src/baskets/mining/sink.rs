//! Where found itemsets go.  In: a path, its perfect extensions, a weight. Out: whatever the sink makes of them.

use crate::error::Result;
use crate::functions::GroupContext;

/// Takes itemsets as a miner finds them.
pub trait Sink {
    /// Takes `path` joined with every subset of `perfect`, as far as `max_len` allows: all of them have weight `count`.
    ///
    /// Ranks come in any order; `path` is never empty. `held` are the bytes that the miner holds beside the sink, for the
    /// reservation. Errors: `Limit` if there are too many.
    fn emit(
        &mut self,
        path: &[u32],
        perfect: &[u32],
        count: u64,
        held: usize,
        context: &dyn GroupContext,
    ) -> Result<()>;

    /// Hears what finding the itemsets of a rarest item cost, and of a second-rarest one with it, in items looked at: for those
    /// who deal work out. Not every miner says it.
    fn spent(&mut self, _rarest: u32, _second: Option<u32>, _items: u64) {}

    /// Bytes that the sink holds.
    fn memory_bytes(&self) -> usize;
}
