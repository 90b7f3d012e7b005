//! Search under conflicts: items that may not stand together.  In: pairs of ranks. Out: itemsets without such a pair.
//!
//! The search is FP-growth, whose conditional trees leave out what conflicts with the item added. An item that stands in
//! all conditional baskets is set aside only if it conflicts with nothing else there, as its subsets are then free; a single
//! path is not written at once.
//!
//! Source: Srikant, Agrawal (VLDB 1995), for itemsets without an item beside its own ancestor.

use super::fp_growth::mine_fp_growth;
use super::{Conflicts, Search, Sink, Task};
use crate::baskets::transactions::Transactions;
use crate::error::Result;
use crate::functions::GroupContext;

/// Mines `tasks` where `search.conflicts` holds pairs that may not stand together, see [`mine`](super::mine).
///
/// Cost and errors: those of FP-growth, whatever the method asked for.
pub(super) fn mine_constrained<S: Sink>(
    rows: Transactions<'_>,
    tasks: &[Task],
    search: &Search<'_>,
    sink: &mut S,
    context: &dyn GroupContext,
) -> Result<()> {
    mine_fp_growth(rows, tasks, search, sink, context)
}

/// Looks conflicts up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exclusion<'a> {
    conflicts: &'a Conflicts,
}

impl<'a> Exclusion<'a> {
    pub(super) fn new(conflicts: &'a Conflicts) -> Self {
        Self { conflicts }
    }

    /// Ranks that conflict with `rank`, ascending.
    fn of(self, rank: u32) -> &'a [u32] {
        let Conflicts { with, ends } = self.conflicts;
        let start = if rank == 0 { 0 } else { ends[rank as usize - 1] as usize };
        &with[start..ends[rank as usize] as usize]
    }

    /// Whether two ranks may not stand together.
    pub(super) fn between(self, a: u32, b: u32) -> bool {
        self.of(a).binary_search(&b).is_ok()
    }

    /// Those of `items` that `asked` holds for and that conflict with none of `items`, ascending; `labels` are the ranks.
    pub(super) fn free_of(self, items: &[u32], labels: &[u32], asked: impl Fn(u32) -> bool) -> Vec<u32> {
        let free = |&i: &u32| {
            let with = self.of(labels[i as usize]);
            with.is_empty() || !items.iter().any(|&j| with.binary_search(&labels[j as usize]).is_ok())
        };
        items.iter().copied().filter(|&i| asked(i)).filter(free).collect()
    }
}
