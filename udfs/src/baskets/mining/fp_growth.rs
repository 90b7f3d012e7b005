//! FP-growth on prefix trees in plain arrays.  In: baskets of ranks, tasks. Out: every frequent itemset, into a sink.
//!
//! An itemset grows from its rarest item towards more frequent ones, each step through the conditional tree of the item
//! added. Items in all conditional baskets (perfect extensions) are set aside and come back as subsets when an itemset is
//! written; a tree that is a single path is written at once. Trees of the levels are reused, and the stack is explicit: the
//! depth is that of the longest itemset, never that of the longest basket.
//!
//! Sources: Han, Pei, Yin (SIGMOD 2000); Racz, nonordfp (FIMI'04) for trees in arrays; Borgelt (OSDM 2005) for handing
//! weights up the header lists.

use super::constrained::Exclusion;
use super::prefix_tree::Tree;
use super::{Part, Search, Sink, Task};
use crate::baskets::transactions::Transactions;
use crate::error::{Error, Result};
use crate::functions::GroupContext;

/// Nodes met between two questions to the context.
const WORK_BETWEEN_CHECKS: usize = 1 << 20;

/// Mines `tasks` by FP-growth, see [`mine`](super::mine).
///
/// Cost: time about the nodes above each item's in each conditional tree, plus the output; memory about 44 bytes for each
/// node of the tree of all baskets and a few times that of the largest conditional tree. Errors: `Limit` of the sink or of
/// the memory, `Cancelled`.
pub(super) fn mine_fp_growth<S: Sink>(
    rows: Transactions<'_>,
    tasks: &[Task],
    search: &Search<'_>,
    sink: &mut S,
    context: &dyn GroupContext,
) -> Result<()> {
    let nodes = Tree::nodes_of(rows);
    if nodes >= u32::MAX as usize {
        return Err(Error::Limit(format!(
            "too many prefixes for one tree: mine with method => 'lcm' or raise min_support: prefixes={nodes}"
        )));
    }
    context.reserve(Tree::bytes(nodes, rows.n_items) + sink.memory_bytes())?;
    let whole = Tree::new(rows);
    let mut growth = Growth {
        search,
        exclusion: search.conflicts.map(Exclusion::new),
        sink,
        context,
        held: whole.memory_bytes(),
        levels: vec![whole],
        steps: Vec::new(),
        part: None,
        path: Vec::new(),
        perfect: Vec::new(),
        keep: Vec::new(),
        work: 0,
    };
    tasks.iter().try_for_each(|task| growth.run(task))
}

/// Where the search stands in the conditional tree of a level.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// Items at or above it are done.
    next: usize,
    /// Perfect extensions that belong to the levels above.
    perfect_above: usize,
}

struct Growth<'a, S> {
    search: &'a Search<'a>,
    exclusion: Option<Exclusion<'a>>,
    sink: &'a mut S,
    context: &'a dyn GroupContext,
    /// Bytes of all trees.
    held: usize,
    /// The tree of all baskets, and below it the conditional tree of each prefix of `path`. Kept for reuse.
    levels: Vec<Tree>,
    /// One for each conditional tree in use.
    steps: Vec<Step>,
    /// Which second items the task at hand has.
    part: Option<Part>,
    path: Vec<u32>,
    perfect: Vec<u32>,
    /// Items that a conditional tree keeps.
    keep: Vec<u32>,
    work: usize,
}

impl<S: Sink> Growth<'_, S> {
    fn run(&mut self, task: &Task) -> Result<()> {
        let item = task.item as usize;
        let Some(&weight) = self.levels[0].weights.get(item) else {
            return Err(Error::Bug(format!(
                "task beyond the items: item={item}, items={}",
                self.levels[0].labels.len()
            )));
        };
        self.part = task.second;
        if weight >= self.search.min_count {
            self.extend(item)?;
        }
        while let Some(step) = self.steps.last_mut() {
            if step.next > 0 {
                step.next -= 1;
                let item = step.next;
                if self.wanted(item) {
                    self.extend(item)?;
                }
            } else {
                self.perfect.truncate(step.perfect_above);
                self.path.pop();
                self.steps.pop();
            }
        }
        Ok(())
    }

    /// Whether the task holds the itemsets that continue with `item` of the tree at hand.
    fn wanted(&self, item: usize) -> bool {
        let label = self.levels[self.steps.len()].labels[item];
        self.steps.len() != 1 || self.part.is_none_or(|part| label % part.of == part.nth)
    }

    /// Writes the path with `item`, and goes down to its conditional tree if there is something left to find there.
    fn extend(&mut self, item: usize) -> Result<()> {
        let depth = self.steps.len();
        let perfect_above = self.perfect.len();
        let (label, weight) = (self.levels[depth].labels[item], self.levels[depth].weights[item]);
        self.path.push(label);
        let longest = self.path.len() >= self.search.max_len;
        self.keep.clear();
        if !longest {
            self.project(item)?;
        }
        if depth > 0 || self.part.is_none_or(|part| part.nth == 0) {
            self.emit(weight)?;
        }
        if !longest {
            let flat = self.keep.len() < 2 || self.path.len() + 1 >= self.search.max_len;
            if flat {
                self.emit_each()?;
            } else {
                self.descend(perfect_above);
            }
            self.levels[depth].release();
            if !flat && !self.emit_single_path()? {
                return Ok(());
            }
        }
        self.steps.truncate(depth);
        self.perfect.truncate(perfect_above);
        self.path.pop();
        Ok(())
    }

    /// Finds what stands with `item`: perfect extensions go to `perfect`, other frequent items to `keep`.
    fn project(&mut self, item: usize) -> Result<()> {
        let depth = self.steps.len();
        let tree = &mut self.levels[depth];
        self.work += tree.project(item);
        let (label, weight) = (tree.labels[item], tree.weights[item]);
        let frequent = tree.reached().filter(|&(_, n)| n >= self.search.min_count).map(|(i, _)| i);
        self.keep.extend(frequent);
        let labels = &tree.labels;
        if let Some(exclusion) = &self.exclusion {
            self.keep.retain(|&i| !exclusion.between(label, labels[i as usize]));
        }
        // The second item of an itemset that is split by it must stay on the path.
        if depth > 0 || self.part.is_none() {
            let safe: Vec<u32> = match &self.exclusion {
                Some(exclusion) => {
                    let all = |i: u32| tree.weight_reached(i) == weight;
                    exclusion.free_of(&self.keep, labels, all)
                }
                None => Vec::new(),
            };
            let (perfect, free) = (&mut self.perfect, self.exclusion.is_none());
            self.keep.retain(|&i| {
                let set_aside = tree.weight_reached(i) == weight && (free || safe.binary_search(&i).is_ok());
                if set_aside {
                    perfect.push(labels[i as usize]);
                }
                !set_aside
            });
        }
        if self.work >= WORK_BETWEEN_CHECKS {
            self.work = 0;
            self.context.check_cancelled()?;
            self.context.reserve(self.held + self.sink.memory_bytes())?;
        }
        Ok(())
    }

    fn emit(&mut self, weight: u64) -> Result<()> {
        self.sink.emit(&self.path, &self.perfect, weight, self.held, self.context)
    }

    /// Writes the path with each of `keep`, where nothing follows them.
    fn emit_each(&mut self) -> Result<()> {
        let depth = self.steps.len();
        for at in 0..self.keep.len() {
            let item = self.keep[at];
            let (label, weight) = (self.levels[depth].labels[item as usize], self.levels[depth].weight_reached(item));
            if depth == 0 && self.part.is_some_and(|part| label % part.of != part.nth) {
                continue;
            }
            self.path.push(label);
            self.emit(weight)?;
            self.path.pop();
        }
        Ok(())
    }

    /// Builds the conditional tree of the projection at hand, over `keep`.
    fn descend(&mut self, perfect_above: usize) {
        let depth = self.steps.len();
        if self.levels.len() == depth + 1 {
            self.levels.push(Tree::default());
        }
        let (above, below) = self.levels.split_at_mut(depth + 1);
        let into = &mut below[0];
        let before = into.memory_bytes();
        above[depth].condition(&self.keep, into);
        self.held = self.held + into.memory_bytes() - before;
        self.steps.push(Step { next: self.keep.len(), perfect_above });
    }

    /// Writes all of the conditional tree at hand if it is a single path: there, all items above an item are perfect
    /// extensions of it. Items that exclude each other do not combine so freely.
    fn emit_single_path(&mut self) -> Result<bool> {
        let depth = self.steps.len();
        if self.exclusion.is_some() || !self.levels[depth].is_path() {
            return Ok(false);
        }
        let shared = self.perfect.len();
        for item in 0..self.levels[depth].labels.len() {
            let (label, weight) = (self.levels[depth].labels[item], self.levels[depth].weights[item]);
            if self.wanted(item) {
                self.path.push(label);
                self.emit(weight)?;
                self.path.pop();
            }
            self.perfect.push(label);
        }
        self.perfect.truncate(shared);
        Ok(true)
    }
}
