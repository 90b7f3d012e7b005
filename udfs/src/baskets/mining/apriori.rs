//! Apriori, level by level.  In: baskets of ranks, tasks. Out: every frequent itemset, into a sink, shorter ones first.
//!
//! Candidates of one more item are joined from two frequent itemsets that differ in one, those with an infrequent part
//! leave, the rest are counted in one pass over the baskets. Itemsets are written from their rarest item on, so that a task
//! owns whole branches of the candidates' tree. For small problems and as an oracle of the other methods, with which it
//! shares nothing.
//!
//! Source: Agrawal, Srikant (VLDB 1994), 2.1; a prefix tree of candidates in place of the hash tree.

use super::constrained::Exclusion;
use super::{Part, Search, Sink, Task};
use crate::baskets::transactions::Transactions;
use crate::error::{Error, Result};
use crate::functions::GroupContext;

/// Candidates of one level that are counted at once; beyond it other methods are many times faster.
const CANDIDATES_MAX: usize = 1 << 22;

/// Steps between two questions to the context.
const WORK_BETWEEN_CHECKS: usize = 1 << 20;

/// Mines `tasks` level by level, see [`mine`](super::mine).
///
/// Cost: for each level one pass over the baskets, in which a basket meets the candidates that it holds; memory about 12
/// bytes an item of each candidate of one level. Errors: `Limit` if a level has more than about four million candidates,
/// with what to do, or as the sink says; `Cancelled`.
pub(super) fn mine_apriori<S: Sink>(
    rows: Transactions<'_>,
    tasks: &[Task],
    search: &Search<'_>,
    sink: &mut S,
    context: &dyn GroupContext,
) -> Result<()> {
    mine_within(rows, tasks, search, sink, context, CANDIDATES_MAX)
}

/// [`mine_apriori`], with at most so many candidates a level.
pub(super) fn mine_within<S: Sink>(
    rows: Transactions<'_>,
    tasks: &[Task],
    search: &Search<'_>,
    sink: &mut S,
    context: &dyn GroupContext,
    candidates_max: usize,
) -> Result<()> {
    let apriori = Apriori {
        rows,
        search,
        exclusion: search.conflicts.map(Exclusion::new),
        owned: Owned::new(tasks, rows.n_items)?,
        context,
        candidates_max,
    };
    let mut level = apriori.singles();
    apriori.emit(&level, sink)?;
    let mut candidates = apriori.pairs(&level)?;
    while candidates.len() > 0 && candidates.size <= search.max_len {
        level = apriori.count(candidates, sink.memory_bytes())?;
        apriori.emit(&level, sink)?;
        candidates = apriori.join(&level)?;
    }
    Ok(())
}

/// Itemsets of one size, each from its highest rank down, in lexicographic order.
#[derive(Debug)]
struct Level {
    size: usize,
    /// Ranks of all itemsets, one after the other.
    ranks: Vec<u32>,
    /// Weight of each itemset, empty before they are counted.
    weights: Vec<u64>,
}

impl Level {
    fn empty(size: usize) -> Self {
        Self { size, ranks: Vec::new(), weights: Vec::new() }
    }

    fn len(&self) -> usize {
        self.ranks.len() / self.size
    }

    fn set(&self, i: usize) -> &[u32] {
        &self.ranks[i * self.size..(i + 1) * self.size]
    }

    fn holds(&self, set: &[u32]) -> bool {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.set(middle).cmp(set) {
                std::cmp::Ordering::Equal => return true,
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        false
    }
}

/// Which itemsets the tasks hold.
struct Owned {
    /// Of each rank: all itemsets with it as the rarest item.
    whole: Vec<bool>,
    /// Of each rank: parts of them.
    parts: Vec<Vec<Part>>,
}

impl Owned {
    fn new(tasks: &[Task], n_items: usize) -> Result<Self> {
        let mut owned = Self { whole: vec![false; n_items], parts: vec![Vec::new(); n_items] };
        for task in tasks {
            let item = task.item as usize;
            if item >= n_items {
                return Err(Error::Bug(format!("task beyond the items: item={item}, items={n_items}")));
            }
            match task.second {
                Some(part) => owned.parts[item].push(part),
                None => owned.whole[item] = true,
            }
        }
        Ok(owned)
    }

    /// Whether some task starts at `item`.
    fn starts(&self, item: u32) -> bool {
        self.whole[item as usize] || !self.parts[item as usize].is_empty()
    }

    fn holds(&self, set: &[u32]) -> bool {
        let in_part = |part: &Part| set.get(1).map_or(0, |second| second % part.of) == part.nth;
        self.whole[set[0] as usize] || self.parts[set[0] as usize].iter().any(in_part)
    }

    /// Whether [`Level`] says if `set` is frequent: the first two levels are whole wherever a task starts.
    fn knows(&self, set: &[u32]) -> bool {
        if set.len() <= 2 { self.starts(set[0]) } else { self.holds(set) }
    }
}

struct Apriori<'a> {
    rows: Transactions<'a>,
    search: &'a Search<'a>,
    exclusion: Option<Exclusion<'a>>,
    owned: Owned,
    context: &'a dyn GroupContext,
    candidates_max: usize,
}

impl Apriori<'_> {
    fn singles(&self) -> Level {
        let mut weights = vec![0; self.rows.n_items];
        for i in 0..self.rows.len() {
            self.rows.row(i).iter().for_each(|&item| weights[item as usize] += self.rows.weights[i]);
        }
        let mut level = Level::empty(1);
        for (item, weight) in weights.into_iter().enumerate().filter(|&(_, n)| n >= self.search.min_count) {
            level.ranks.push(item as u32);
            level.weights.push(weight);
        }
        level
    }

    fn emit<S: Sink>(&self, level: &Level, sink: &mut S) -> Result<()> {
        let held = level.ranks.capacity() * 4 + level.weights.capacity() * 8;
        (0..level.len())
            .filter(|&i| self.owned.holds(level.set(i)))
            .try_for_each(|i| sink.emit(level.set(i), &[], level.weights[i], held, self.context))
    }

    fn allowed(&self, a: u32, b: u32) -> bool {
        self.exclusion.is_none_or(|exclusion| !exclusion.between(a, b))
    }

    fn too_many(&self, size: usize, candidates: usize) -> Error {
        Error::Limit(format!(
            "too many candidates for apriori: leave method at 'auto' or raise min_support: \
             itemset_size={size}, candidates={candidates} or more, max_candidates={}, min_count={}",
            self.candidates_max, self.search.min_count
        ))
    }

    /// Candidates of two items.
    fn pairs(&self, singles: &Level) -> Result<Level> {
        let items = &singles.ranks;
        let mut candidates = Level::empty(2);
        if self.search.max_len < 2 {
            return Ok(candidates);
        }
        let starts = |&(_, &item): &(usize, &u32)| self.owned.starts(item);
        let n: usize = items.iter().enumerate().filter(starts).map(|(below, _)| below).sum();
        if n > self.candidates_max {
            return Err(self.too_many(2, n));
        }
        self.context.reserve(n * 24)?;
        for (below, &high) in items.iter().enumerate().filter(starts) {
            for &low in items[..below].iter().filter(|&&low| self.allowed(high, low)) {
                candidates.ranks.extend([high, low]);
            }
        }
        Ok(candidates)
    }

    /// Candidates of one more item than `level`.
    fn join(&self, level: &Level) -> Result<Level> {
        let size = level.size + 1;
        let mut candidates = Level::empty(size);
        if size > self.search.max_len {
            return Ok(candidates);
        }
        let (mut first, mut part) = (0, Vec::with_capacity(size));
        for left in 0..level.len() {
            let (prefix, last) = level.set(left).split_at(size - 2);
            if level.set(first)[..size - 2] != *prefix {
                first = left;
                self.context.check_cancelled()?;
            }
            if !self.owned.holds(level.set(left)) {
                continue;
            }
            for right in first..left {
                let low = level.set(right)[size - 2];
                if self.allowed(last[0], low) && self.all_parts_are_frequent(level, level.set(left), low, &mut part) {
                    candidates.ranks.extend_from_slice(level.set(left));
                    candidates.ranks.push(low);
                }
            }
            if candidates.len() > self.candidates_max {
                return Err(self.too_many(size, candidates.len()));
            }
        }
        Ok(candidates)
    }

    /// Whether `level` holds every part of `high` with `low` that lacks one item, as far as the tasks say; the two parts
    /// that were joined are known.
    fn all_parts_are_frequent(&self, level: &Level, high: &[u32], low: u32, part: &mut Vec<u32>) -> bool {
        (0..high.len() - 1).all(|left_out| {
            part.clear();
            part.extend_from_slice(&high[..left_out]);
            part.extend_from_slice(&high[left_out + 1..]);
            part.push(low);
            !self.owned.knows(part) || level.holds(part)
        })
    }

    /// Counts the candidates and keeps the frequent ones.
    fn count(&self, candidates: Level, sink_bytes: usize) -> Result<Level> {
        let tree = CandidateTree::new(&candidates);
        let held = tree.memory_bytes() + candidates.ranks.capacity() * 4 + candidates.len() * 8;
        self.context.reserve(held + sink_bytes)?;
        let mut weights = vec![0; candidates.len()];
        let (mut work, mut stack) = (0, Vec::new());
        for i in 0..self.rows.len() {
            work += tree.count(self.rows.row(i), self.rows.weights[i], &mut weights, &mut stack);
            if work >= WORK_BETWEEN_CHECKS {
                work = 0;
                self.context.check_cancelled()?;
            }
        }
        let mut level = Level::empty(candidates.size);
        for (i, weight) in weights.into_iter().enumerate().filter(|&(_, n)| n >= self.search.min_count) {
            level.ranks.extend_from_slice(candidates.set(i));
            level.weights.push(weight);
        }
        Ok(level)
    }
}

/// Candidates as a prefix tree, one pair of arrays for each depth. The nodes of the last depth are the candidates.
struct CandidateTree {
    /// Rank of each node; the children of a node are ascending.
    ranks: Vec<Vec<u32>>,
    /// Where the children of each node end; one entry less than depths.
    ends: Vec<Vec<u32>>,
}

/// Nodes and items that are still to be compared.
#[derive(Clone, Copy)]
struct Pending {
    depth: usize,
    nodes: (usize, usize),
    /// Items of the basket that may follow: those before it.
    items: usize,
}

impl CandidateTree {
    fn new(candidates: &Level) -> Self {
        let size = candidates.size;
        let mut tree = Self { ranks: vec![Vec::new(); size], ends: vec![Vec::new(); size - 1] };
        let mut before: &[u32] = &[];
        for i in 0..candidates.len() {
            let set = candidates.set(i);
            let shared = set.iter().zip(before).take_while(|(a, b)| a == b).count();
            for (depth, &rank) in set.iter().enumerate().skip(shared) {
                tree.ranks[depth].push(rank);
                if let Some(ends) = tree.ends.get_mut(depth) {
                    ends.push(0);
                }
            }
            for depth in shared.saturating_sub(1)..size - 1 {
                let end = tree.ranks[depth + 1].len() as u32;
                if let Some(last) = tree.ends[depth].last_mut() {
                    *last = end;
                }
            }
            before = set;
        }
        tree
    }

    fn memory_bytes(&self) -> usize {
        self.ranks.iter().chain(&self.ends).map(|v| v.capacity() * 4).sum()
    }

    /// Adds `weight` to every candidate that `row` holds; the steps taken.
    fn count(&self, row: &[u32], weight: u64, weights: &mut [u64], stack: &mut Vec<Pending>) -> usize {
        let size = self.ranks.len();
        let mut steps = 0;
        stack.push(Pending { depth: 0, nodes: (0, self.ranks[0].len()), items: row.len() });
        while let Some(Pending { depth, nodes: (mut node, end), items }) = stack.pop() {
            let still = size - 1 - depth;
            for (at, &item) in row[..items].iter().enumerate().skip(still) {
                node += self.ranks[depth][node..end].partition_point(|&rank| rank < item);
                steps += 1;
                if node == end {
                    break;
                }
                if self.ranks[depth][node] != item {
                    continue;
                }
                if still == 0 {
                    weights[node] += weight;
                } else {
                    let ends = &self.ends[depth];
                    let first = if node == 0 { 0 } else { ends[node - 1] as usize };
                    stack.push(Pending { depth: depth + 1, nodes: (first, ends[node] as usize), items: at });
                }
            }
        }
        steps
    }
}
