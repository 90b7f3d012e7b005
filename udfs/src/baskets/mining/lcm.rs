//! Pattern growth by occurrence deliver (LCM).  In: transactions, tasks. Out: every frequent itemset of the tasks, once.
//!
//! An itemset grows from its rarest item towards more frequent ones. Each level holds the transactions that contain the
//! path so far, cut below its last item and reduced to the items that are still frequent, in their old order, so that a
//! path is ascending as it stands and equal rows mostly follow one another. Items in all rows (perfect extensions) are set
//! aside and come back as subsets when an itemset is written. As soon as a word can hold a row, `bit_machine` takes over.
//!
//! Occurrences of an item with one prefix in neighbouring rows are one occurrence with their weight, as in a prefix tree.
//! Recursion goes one level down per item of the path, and a path beyond [`PATH_MAX`] items is refused, as its subsets are
//! more than any table holds: the depth does not follow the length of a basket.
//!
//! Sources: Uno, Kiyomi, Arimura, LCM ver. 2 (FIMI'04), for occurrence deliver and database reduction.

use super::bit_machine::{BitRow, WORD};
use super::{Search, Sink, Task};
use crate::baskets::itemsets::too_many;
use crate::baskets::transactions::Transactions;
use crate::error::Result;
use crate::functions::GroupContext;

/// Work between two questions to the context.
const WORK_BETWEEN_CHECKS: usize = 1 << 20;

/// The longest path: an itemset of so many items has more subsets than can be written.
pub(super) const PATH_MAX: usize = 62;

/// Occurrences of first items that are held at a time.
const OCCURRENCES_MAX: usize = 1 << 21;

const DROPPED: u32 = u32::MAX;

/// Mines `tasks`: see [`super::mine`].
pub(super) fn mine_lcm<S: Sink>(
    rows: Transactions<'_>,
    tasks: &[Task],
    search: &Search<'_>,
    sink: &mut S,
    context: &dyn GroupContext,
) -> Result<()> {
    let mut growth = Growth {
        min_count: search.min_count.max(1),
        max_len: search.max_len,
        sink,
        context,
        held: 0,
        work: 0,
        spent: 0,
        path: [0; PATH_MAX + WORD],
        top: PATH_MAX + WORD,
        perfect: Vec::new(),
        levels: Vec::new(),
        bits: Vec::new(),
        table: Vec::new(),
    };
    growth.first_level(rows, tasks)
}

/// The state of one mining run.
pub(super) struct Growth<'a, S> {
    pub(super) min_count: u64,
    max_len: usize,
    pub(super) sink: &'a mut S,
    context: &'a dyn GroupContext,
    /// Bytes of the levels in use, without `bits`, `table` and the sink.
    held: usize,
    /// Work since the context was last asked.
    work: usize,
    /// Work so far.
    spent: u64,
    /// The path stands at the end, ascending; room before it is scratch.
    path: [u32; PATH_MAX + WORD],
    top: usize,
    pub(super) perfect: Vec<u32>,
    levels: Vec<Level>,
    pub(super) bits: Vec<BitRow>,
    /// Sums of weights over supersets, for `bit_machine`.
    pub(super) table: Vec<u64>,
}

/// Rows that hold a path, over items `0..labels.len()`.
#[derive(Debug, Default)]
struct Reduced {
    items: Vec<u32>,
    ends: Vec<u32>,
    /// Items that a row shares with the one before it.
    shared: Vec<u32>,
    weights: Vec<u64>,
    labels: Vec<u32>,
}

/// Rows of any level.
#[derive(Clone, Copy)]
struct Rows<'a> {
    items: &'a [u32],
    ends: &'a [u32],
    shared: &'a [u32],
    weights: &'a [u64],
    labels: &'a [u32],
}

/// An item in rows of one prefix: the prefix is `items[start..end]`.
#[derive(Debug, Clone, Copy, Default)]
struct Occurrence {
    start: u32,
    end: u32,
    weight: u64,
}

/// Buffers of one level, kept from item to item.
#[derive(Debug, Default)]
struct Level {
    /// Per item: weight beside the path, zero between items.
    counts: Vec<u64>,
    /// Per item: its code on the level below, `DROPPED` if it has none.
    codes: Vec<u32>,
    /// Items with a non-zero count.
    touched: Vec<u32>,
    /// Items that are still frequent beside the path, ascending, with their weights.
    kept: Vec<(u32, u64)>,
    /// Where the occurrences of each slot start.
    starts: Vec<u32>,
    occurrences: Vec<Occurrence>,
    /// The conditional rows.
    below: Reduced,
}

impl<S: Sink> Growth<'_, S> {
    /// Delivers the occurrences of as many tasks as there is room for, and grows each.
    fn first_level(&mut self, rows: Transactions<'_>, tasks: &[Task]) -> Result<()> {
        let shared = shared_with_previous(rows);
        let labels: Vec<u32> = (0..rows.n_items as u32).collect();
        let all = Rows { items: rows.items, ends: rows.ends, shared: &shared, weights: rows.weights, labels: &labels };
        let mut sizes = vec![0usize; rows.n_items];
        for_each(all, |item, at, start, shared, _| sizes[item as usize] += usize::from(at - start >= shared));
        let mut slots = vec![DROPPED; rows.n_items];
        let mut level = Level::default();
        level.fit(rows.n_items);
        self.spend(rows.items.len())?;
        let mut left = tasks;
        while !left.is_empty() {
            let mut distinct = Vec::new();
            let (mut taken, mut size) = (0, 0);
            for task in left {
                let slot = &mut slots[task.item as usize];
                if *slot == DROPPED {
                    let more = sizes[task.item as usize];
                    if taken > 0 && size + more > OCCURRENCES_MAX {
                        break;
                    }
                    size += more;
                    *slot = distinct.len() as u32;
                    distinct.push(task.item);
                }
                taken += 1;
            }
            let (now, later) = left.split_at(taken);
            self.spend(rows.items.len())?;
            deliver(all, &slots, distinct.len(), &mut level.starts, &mut level.occurrences);
            let bytes = level.memory_bytes() + (shared.capacity() + labels.capacity() + slots.capacity() * 3) * 4;
            self.held += bytes;
            for task in now {
                let (slot, before) = (slots[task.item as usize] as usize, self.spent);
                self.grow(all, &mut level, slot, task.item, task.second, 0)?;
                self.sink.spent(task.item, None, self.spent - before);
            }
            self.held -= bytes;
            distinct.iter().for_each(|&item| slots[item as usize] = DROPPED);
            left = later;
        }
        Ok(())
    }

    /// Grows the path by each item of a level, the rarest first: it has the most candidates, so that an explosion shows.
    fn next_level(&mut self, below: &Reduced, part: Option<super::Part>, depth: usize) -> Result<()> {
        if self.levels.len() <= depth {
            self.levels.resize_with(depth + 1, Level::default);
        }
        let mut level = std::mem::take(&mut self.levels[depth]);
        let n = below.labels.len();
        level.fit(n);
        let rows = below.view();
        self.spend(rows.items.len())?;
        deliver_all(rows, n, &mut level.starts, &mut level.occurrences);
        let bytes = level.memory_bytes();
        self.held += bytes;
        for item in (0..n).rev() {
            if part.is_none_or(|part| rows.labels[item] % part.of == part.nth) {
                let before = self.spent;
                self.grow(rows, &mut level, item, item as u32, None, depth)?;
                if depth == 1 {
                    self.sink.spent(self.path[self.top], Some(rows.labels[item]), self.spent - before);
                }
            }
        }
        self.held -= bytes;
        self.levels[depth] = level;
        Ok(())
    }

    /// Grows the path by `item`, whose occurrences stand in `slot`.
    fn grow(
        &mut self,
        rows: Rows<'_>,
        level: &mut Level,
        slot: usize,
        item: u32,
        part: Option<super::Part>,
        depth: usize,
    ) -> Result<()> {
        let range = level.starts[slot] as usize..level.starts[slot + 1] as usize;
        let total = level.occurrences[range.clone()].iter().map(|o| o.weight).sum::<u64>();
        if total < self.min_count {
            return Ok(());
        }
        self.push(rows.labels[item as usize])?;
        let mark = self.perfect.len();
        self.project(rows, level, range, item, total, part, depth)?;
        self.perfect.truncate(mark);
        self.top += 1;
        Ok(())
    }

    /// Writes the path with its perfect extensions and goes on with the rows that hold it.
    fn project(
        &mut self,
        rows: Rows<'_>,
        level: &mut Level,
        range: std::ops::Range<usize>,
        item: u32,
        total: u64,
        part: Option<super::Part>,
        depth: usize,
    ) -> Result<()> {
        if self.room() == 0 {
            return self.emit(total, part);
        }
        self.count(rows, level, range.clone(), item)?;
        let (min_count, split) = (self.min_count, part.is_some());
        let Level { counts, touched, kept, .. } = level;
        kept.clear();
        for item in touched.drain(..) {
            let count = std::mem::take(&mut counts[item as usize]);
            // Between the parts of an item the second item decides, so that none may stand aside.
            if count == total && !split {
                self.perfect.push(rows.labels[item as usize]);
            } else if count >= min_count {
                kept.push((item, count));
            }
        }
        self.emit(total, part)?;
        if kept.is_empty() {
            return Ok(());
        }
        if self.room() == 1 || kept.len() == 1 {
            for &(item, count) in &level.kept {
                let label = rows.labels[item as usize];
                if part.is_none_or(|part| label % part.of == part.nth) {
                    self.emit_with(label, count)?;
                }
            }
            return Ok(());
        }
        kept.sort_unstable_by_key(|&(item, _)| item);
        for (code, &(item, _)) in level.kept.iter().enumerate() {
            level.codes[item as usize] = code as u32;
        }
        let occurrences = &level.occurrences[range];
        if level.kept.len() <= WORD && !split {
            self.fill_words(rows, occurrences, &level.kept, &level.codes)?;
        } else {
            reduce(rows, occurrences, &level.kept, &level.codes, &mut level.below);
            self.next_level(&level.below, part, depth + 1)?;
        }
        level.kept.iter().for_each(|&(item, _)| level.codes[item as usize] = DROPPED);
        Ok(())
    }

    /// Adds up the weight of each item beside the path; fills `touched` with those that have one.
    fn count(&mut self, rows: Rows<'_>, level: &mut Level, range: std::ops::Range<usize>, item: u32) -> Result<()> {
        let Level { counts, touched, occurrences, .. } = level;
        let occurrences = &occurrences[range];
        let scanned: usize = occurrences.iter().map(|o| (o.end - o.start) as usize).sum();
        self.spend(2 * scanned)?;
        if scanned > item as usize {
            // Cheaper to look at every item once than to ask at every occurrence whether it is the first.
            for o in occurrences {
                for &item in &rows.items[o.start as usize..o.end as usize] {
                    counts[item as usize] += o.weight;
                }
            }
            touched.extend((0..item).filter(|&item| counts[item as usize] > 0));
        } else {
            for o in occurrences {
                for &item in &rows.items[o.start as usize..o.end as usize] {
                    let count = &mut counts[item as usize];
                    if *count == 0 {
                        touched.push(item);
                    }
                    *count += o.weight;
                }
            }
        }
        Ok(())
    }

    /// Packs the rows that hold the path into words.
    fn fill_words(
        &mut self,
        rows: Rows<'_>,
        occurrences: &[Occurrence],
        kept: &[(u32, u64)],
        codes: &[u32],
    ) -> Result<()> {
        let mut labels = [0; WORD];
        let mut counts = [0; WORD];
        for (code, &(item, count)) in kept.iter().enumerate() {
            labels[code] = rows.labels[item as usize];
            counts[code] = count;
        }
        let words = occurrences.iter().map(|o| {
            let mut items = 0u64;
            for &item in &rows.items[o.start as usize..o.end as usize] {
                let code = codes[item as usize];
                // `DROPPED` shifts by 63 and is masked away.
                items |= u64::from(code != DROPPED) << (code & 63);
            }
            BitRow { items, weight: o.weight }
        });
        self.bits.clear();
        self.bits.extend(words.filter(|row| row.items & row.items.wrapping_sub(1) != 0));
        self.grow_words(0, self.bits.len(), u64::MAX >> (WORD - kept.len()), &counts, &labels)
    }

    /// Items by which an itemset may still grow.
    pub(super) fn room(&self) -> usize {
        self.max_len - (PATH_MAX + WORD - self.top)
    }

    pub(super) fn push(&mut self, label: u32) -> Result<()> {
        if self.top == WORD {
            return Err(too_many(&format!("one of them has {PATH_MAX} items, and all its subsets are frequent too")));
        }
        self.top -= 1;
        self.path[self.top] = label;
        Ok(())
    }

    pub(super) fn pop(&mut self) {
        self.top += 1;
    }

    /// Writes the path, with every subset of its perfect extensions.
    fn emit(&mut self, count: u64, part: Option<super::Part>) -> Result<()> {
        if part.is_some_and(|part| part.nth > 0) {
            return Ok(());
        }
        self.emit_path(count)
    }

    pub(super) fn emit_path(&mut self, count: u64) -> Result<()> {
        let held = self.held + self.bits.capacity() * 16;
        self.sink.emit(&self.path[self.top..], &self.perfect, count, held, self.context)
    }

    /// Writes the path and `label`, which is more frequent than all of it, with every subset of the perfect extensions.
    pub(super) fn emit_with(&mut self, label: u32, count: u64) -> Result<()> {
        let held = self.held + self.bits.capacity() * 16;
        self.path[self.top - 1] = label;
        self.sink.emit(&self.path[self.top - 1..], &self.perfect, count, held, self.context)
    }

    /// Writes the path and the items of `mask`, all more frequent than it, with every subset of the perfect extensions.
    pub(super) fn emit_mask(&mut self, mut mask: usize, labels: &[u32], count: u64) -> Result<()> {
        let first = self.top - mask.count_ones() as usize;
        let mut at = first;
        while mask != 0 {
            self.path[at] = labels[mask.trailing_zeros() as usize];
            at += 1;
            mask &= mask - 1;
        }
        let held = self.held + self.bits.capacity() * 16;
        self.sink.emit(&self.path[first..], &self.perfect, count, held, self.context)
    }

    /// Counts work and asks now and then whether the run is being stopped.
    pub(super) fn spend(&mut self, work: usize) -> Result<()> {
        self.work += work + 1;
        self.spent += work as u64 + 1;
        if self.work >= WORK_BETWEEN_CHECKS {
            self.work = 0;
            self.context.check_cancelled()?;
            self.context.reserve(self.held + self.bits.capacity() * 16 + self.sink.memory_bytes())?;
        }
        Ok(())
    }
}

impl Level {
    fn fit(&mut self, items: usize) {
        self.counts.resize(items.max(self.counts.len()), 0);
        self.codes.resize(items.max(self.codes.len()), DROPPED);
    }

    fn memory_bytes(&self) -> usize {
        let below = &self.below;
        let words = self.counts.capacity() + self.kept.capacity() * 2 + self.occurrences.capacity() * 2;
        let halves = self.codes.capacity() + self.touched.capacity() + self.starts.capacity();
        let rows = below.items.capacity() + (below.ends.capacity() + below.labels.capacity()) * 2;
        words * 8 + (halves + rows) * 4 + below.weights.capacity() * 8
    }
}

impl Reduced {
    fn view(&self) -> Rows<'_> {
        let Self { items, ends, shared, weights, labels } = self;
        Rows { items, ends, shared, weights, labels }
    }
}

/// Items that each row shares with the one before it, from the first on.
fn shared_with_previous(rows: Transactions<'_>) -> Vec<u32> {
    let mut before: &[u32] = &[];
    let with_previous = |at| common(std::mem::replace(&mut before, rows.row(at)), rows.row(at)) as u32;
    (0..rows.len()).map(with_previous).collect()
}

fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Calls `f(item, position, start of the row, items shared with the row before, row)` for every item of every row.
fn for_each(rows: Rows<'_>, mut f: impl FnMut(u32, u32, u32, u32, usize)) {
    let mut start = 0;
    for (row, (&end, &shared)) in rows.ends.iter().zip(rows.shared).enumerate() {
        for at in start..end {
            f(rows.items[at as usize], at, start, shared, row);
        }
        start = end;
    }
}

/// Occurrence deliver: where the items that have a slot stand, all in one pass.
fn deliver(rows: Rows<'_>, slots: &[u32], n: usize, starts: &mut Vec<u32>, occurrences: &mut Vec<Occurrence>) {
    starts.clear();
    starts.resize(n + 2, 0);
    for_each(rows, |item, at, start, shared, _| {
        let slot = slots[item as usize];
        if slot != DROPPED && at - start >= shared {
            starts[slot as usize + 2] += 1;
        }
    });
    for slot in 2..starts.len() {
        starts[slot] += starts[slot - 1];
    }
    occurrences.clear();
    occurrences.resize(starts[n + 1] as usize, Occurrence::default());
    for_each(rows, |item, at, start, shared, row| {
        let slot = slots[item as usize];
        if slot != DROPPED {
            let next = &mut starts[slot as usize + 1];
            if at - start < shared {
                // The row before has the same prefix, so that the item's last occurrence is this one.
                occurrences[*next as usize - 1].weight += rows.weights[row];
            } else {
                occurrences[*next as usize] = Occurrence { start, end: at, weight: rows.weights[row] };
                *next += 1;
            }
        }
    });
}

/// [`deliver`] for a level whose items all have their own slot.
fn deliver_all(rows: Rows<'_>, n: usize, starts: &mut Vec<u32>, occurrences: &mut Vec<Occurrence>) {
    starts.clear();
    starts.resize(n + 2, 0);
    for_each(rows, |item, at, start, shared, _| {
        starts[item as usize + 2] += u32::from(at - start >= shared);
    });
    for slot in 2..starts.len() {
        starts[slot] += starts[slot - 1];
    }
    occurrences.clear();
    occurrences.resize(starts[n + 1] as usize, Occurrence::default());
    for_each(rows, |item, at, start, shared, row| {
        let next = &mut starts[item as usize + 1];
        if at - start < shared {
            occurrences[*next as usize - 1].weight += rows.weights[row];
        } else {
            occurrences[*next as usize] = Occurrence { start, end: at, weight: rows.weights[row] };
            *next += 1;
        }
    });
}

/// Database reduction: the rows of the occurrences over the kept items, recoded; equal neighbours become one row.
fn reduce(rows: Rows<'_>, occurrences: &[Occurrence], kept: &[(u32, u64)], codes: &[u32], below: &mut Reduced) {
    let Reduced { items, ends, shared, weights, labels } = below;
    items.clear();
    ends.clear();
    shared.clear();
    weights.clear();
    labels.clear();
    labels.extend(kept.iter().map(|&(item, _)| rows.labels[item as usize]));
    let mut previous = 0;
    for o in occurrences {
        let from = items.len();
        for &item in &rows.items[o.start as usize..o.end as usize] {
            let code = codes[item as usize];
            if code != DROPPED {
                items.push(code);
            }
        }
        if items.len() == from {
            continue;
        }
        let same = common(&items[previous..from], &items[from..]);
        if same == items.len() - from
            && same == from - previous
            && let Some(weight) = weights.last_mut()
        {
            items.truncate(from);
            *weight += o.weight;
            continue;
        }
        ends.push(items.len() as u32);
        shared.push(same as u32);
        weights.push(o.weight);
        previous = from;
    }
}
