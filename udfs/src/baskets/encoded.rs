//! All there is to know about one problem, and its form as few packed rows.  In: `Encoded`. Out: columns, and back.

use super::columns::list_of;
use super::encode::conflicts;
use super::merge::cut;
use super::mining::{Conflicts, Part, Task};
use super::transactions::{TransactionBuf, Transactions};
use crate::error::{Error, Result};
use crate::functions::GroupContext;
use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, StringArray, UInt32Array, new_empty_array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Int64Type, UInt32Type};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most ranks of a packed row.
const CHUNK: usize = 1 << 18;

/// Everything about one problem after filtering.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Frequent items in rank order: weight descending, then item ascending.
    pub items: ArrayRef,
    /// Weight of the baskets that hold each item, by rank.
    pub n_items: Vec<i64>,
    /// Baskets, merged and sorted.
    pub rows: TransactionBuf,
    /// Weight of all baskets, also of those without a frequent item.
    pub n_baskets: i64,
    /// Smallest weight of a frequent itemset.
    pub min_count: i64,
    /// Items and their categories, if there are any.
    pub conflicts: Option<Conflicts>,
    /// What was read and left out.
    pub report: EncodeReport,
}

/// What was read and left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodeReport {
    /// Rows read.
    pub rows: u64,
    /// Rows that repeat an item of their basket.
    pub duplicate_rows: u64,
    /// Distinct baskets.
    pub baskets: u64,
    /// Baskets without a frequent item.
    pub empty_baskets: u64,
    /// Baskets after merging equal ones.
    pub distinct_rows: u64,
    /// Baskets that were cut to `max_basket_items`.
    pub truncated_baskets: u64,
    /// Items that they lost.
    pub truncated_items: u64,
    /// Items that `exclude` names.
    pub excluded_items: u64,
    /// Names of `exclude` that no item has.
    pub exclude_unknown: Vec<String>,
    /// Items that are in too many baskets.
    pub ubiquitous_items: u64,
    /// The first of them by name.
    pub ubiquitous: Vec<String>,
}

impl Encoded {
    /// The same problem for a larger `min_count`: ranks stay, because they go by weight. `held`: bytes beside it.
    pub fn raised(mut self, min_count: i64, held: usize, context: &dyn GroupContext) -> Result<Self> {
        if min_count <= self.min_count {
            return Ok(self);
        }
        let n_items = self.n_items.partition_point(|&n| n >= min_count);
        self.rows = cut(self.rows, n_items, held, context)?;
        self.report.distinct_rows = self.rows.ends.len() as u64;
        self.items = self.items.slice(0, n_items);
        self.n_items.truncate(n_items);
        self.min_count = min_count;
        self.conflicts = self.conflicts.map(|old| {
            let pairs = pairs(&old).into_iter().filter(|&(a, b)| (a.max(b) as usize) < n_items);
            conflicts(pairs.collect(), n_items)
        });
        Ok(self)
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        let conflicts = self.conflicts.as_ref().map_or(0, |c| (c.with.capacity() + c.ends.capacity()) * 4);
        let n_items = self.n_items.capacity() * 8;
        self.items.get_array_memory_size() + n_items + self.rows.memory_bytes() + conflicts
    }

    /// As rows for the wire, `bins[t]` being the work of task `t` and `info` its JSON.
    pub(super) fn packed(self, bins: &[Vec<Task>], info: &Info) -> Result<Vec<ArrayRef>> {
        let info = serde_json::to_string(info).map_err(|e| Error::Bug(format!("info: {e}")))?;
        let cuts = chunks(&self.rows);
        let parts = cuts.len() + 1;
        let quadruples = bins.iter().enumerate().flat_map(|(bin, tasks)| {
            tasks.iter().flat_map(move |task| {
                let part = task.second.unwrap_or(Part { nth: 0, of: 1 });
                [bin as u32, task.item, part.nth, part.of]
            })
        });
        let tasks = UInt32Array::from_iter_values(quadruples);
        let conflicts = self.conflicts.as_ref().map(|c| {
            let pairs = pairs(c).into_iter().flat_map(|(a, b)| [a, b]);
            Arc::new(UInt32Array::from_iter_values(pairs)) as ArrayRef
        });
        let TransactionBuf { items: ranks, ends, weights, .. } = self.rows;
        let rank_cuts: Vec<usize> = cuts.iter().map(|&row| ends[row - 1] as usize).collect();
        let weights = Int64Array::new(ScalarBuffer::from(Buffer::from_vec(weights)), None);
        let of_rows = |values: ArrayRef, cuts: &[usize]| {
            list(values, std::iter::once(0).chain(cuts.iter().copied()).collect(), |part| part > 0)
        };
        let first = |values: ArrayRef| {
            let n = values.len();
            list(values, std::iter::repeat_n(n, parts).collect(), |part| part == 0)
        };
        let n_items = Arc::new(Int64Array::from(self.n_items));
        Ok(vec![
            Arc::new(Int64Array::from_iter_values(0..parts as i64)),
            Arc::new(std::iter::once(Some(info)).chain(std::iter::repeat_n(None, parts - 1)).collect::<StringArray>()),
            first(self.items)?,
            first(n_items)?,
            of_rows(Arc::new(UInt32Array::from(ranks)), &rank_cuts)?,
            of_rows(Arc::new(UInt32Array::from(ends)), &cuts)?,
            of_rows(Arc::new(weights), &cuts)?,
            first(Arc::new(tasks))?,
            match conflicts {
                Some(pairs) => first(pairs)?,
                None => list(new_empty_array(&DataType::UInt32), vec![0; parts], |_| false)?,
            },
        ])
    }
}

/// The columns of the packed rows of items of type `item`.
pub(super) fn packed_fields(item: &DataType) -> Vec<Field> {
    let list = |name: &str, kind: DataType| Field::new(name, list_of(kind), true);
    vec![
        Field::new("part", DataType::Int64, false),
        Field::new("info", DataType::Utf8, true),
        list("items", item.clone()),
        list("n_items", DataType::Int64),
        list("ranks", DataType::UInt32),
        list("ends", DataType::UInt32),
        list("weights", DataType::Int64),
        list("tasks", DataType::UInt32),
        list("conflicts", DataType::UInt32),
    ]
}

/// What travels beside the columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Info {
    /// As in [`Encoded`].
    pub(super) n_baskets: i64,
    /// As in [`Encoded`].
    pub(super) min_count: i64,
    /// Number of tasks.
    pub(super) bins: usize,
    /// Itemsets, as far as they are known before.
    pub(super) itemsets: f64,
    /// Whether they were counted.
    pub(super) exact: bool,
    /// As in [`Encoded`].
    pub(super) report: EncodeReport,
}

/// A problem as it came over the wire: its large columns are those of the table, not copies.
pub(super) struct Packed {
    pub(super) items: ArrayRef,
    pub(super) n_items: Vec<i64>,
    pub(super) conflicts: Option<Conflicts>,
    pub(super) info: Info,
    ranks: ScalarBuffer<u32>,
    ends: ScalarBuffer<u32>,
    weights: ScalarBuffer<u64>,
    tasks: Vec<(u32, Task)>,
}

impl Packed {
    /// From the rows of `encode_baskets`, ascending by `part`. Errors: `Data` if they are not all there or do not fit together.
    pub(super) fn read(function: &str, rows: &RecordBatch) -> Result<Self> {
        let broken = |what: &str| {
            Error::Data(format!(
                "{function}: the table encoded is not what encode_baskets gave: {what}: rows={}",
                rows.num_rows()
            ))
        };
        let column = |name: &str| rows.column_by_name(name).ok_or_else(|| broken(&format!("no column {name}")));
        let list = |name: &str| column(name)?.as_list_opt::<i32>().ok_or_else(|| broken(&format!("{name} is no list")));
        let first = |name: &str| -> Result<ArrayRef> {
            let lists = list(name)?;
            if lists.is_null(0) { Err(broken(&format!("no {name} in part 0"))) } else { Ok(lists.value(0)) }
        };
        let parts = column("part")?.as_primitive_opt::<Int64Type>().ok_or_else(|| broken("part is no BIGINT"))?;
        if rows.num_rows() == 0 || parts.values().iter().enumerate().any(|(at, &part)| at as i64 != part) {
            return Err(broken("parts must be 0, 1, 2 and so on"));
        }
        let info = column("info")?.as_string_opt::<i32>().ok_or_else(|| broken("info is no VARCHAR"))?;
        let info: Info = serde_json::from_str(info.value(0)).map_err(|e| broken(&e.to_string()))?;
        let n_items = numbers(&first("n_items")?).ok_or_else(|| broken("n_items are no numbers"))?;
        let conflict_pairs = list("conflicts")?;
        let with = match conflict_pairs.is_null(0) {
            true => None,
            false => Some(ranks(&conflict_pairs.value(0)).ok_or_else(|| broken("conflicts are no ranks"))?),
        };
        let of_rows = |name: &str| -> Result<ArrayRef> { Ok(inner(list(name)?)) };
        let weights = of_rows("weights")?;
        let weights = weights.as_primitive_opt::<Int64Type>().ok_or_else(|| broken("weights are no numbers"))?;
        let packed = Self {
            items: first("items")?,
            conflicts: with
                .map(|w| conflicts(w.as_chunks::<2>().0.iter().map(|p| (p[0], p[1])).collect(), n_items.len())),
            n_items,
            info,
            ranks: ranks(&of_rows("ranks")?).ok_or_else(|| broken("ranks are no ranks"))?,
            ends: ranks(&of_rows("ends")?).ok_or_else(|| broken("ends are no places"))?,
            weights: ScalarBuffer::new(weights.values().inner().clone(), 0, weights.len()),
            tasks: tasks(&ranks(&first("tasks")?).ok_or_else(|| broken("tasks are no numbers"))?),
        };
        let last = packed.ends.last().map_or(0, |&end| end as usize);
        let there = packed.info.report.distinct_rows == packed.ends.len() as u64;
        let fits =
            there && last == packed.ranks.len() && packed.ends.is_sorted() && packed.weights.len() == packed.ends.len();
        let known = packed.ranks.iter().all(|&rank| (rank as usize) < packed.n_items.len());
        if !fits || !known || packed.items.len() != packed.n_items.len() {
            return Err(broken("rows are missing, or of another table"));
        }
        Ok(packed)
    }

    /// The baskets.
    pub(super) fn rows(&self) -> Transactions<'_> {
        Transactions { items: &self.ranks, ends: &self.ends, weights: &self.weights, n_items: self.n_items.len() }
    }

    /// The work of one task.
    pub(super) fn tasks(&self, bin: u32) -> Vec<Task> {
        self.tasks.iter().filter(|(of, _)| *of == bin).map(|(_, task)| *task).collect()
    }

    /// Bytes held beside the table.
    pub(super) fn memory_bytes(&self) -> usize {
        let conflicts = self.conflicts.as_ref().map_or(0, |c| (c.with.capacity() + c.ends.capacity()) * 4);
        self.n_items.capacity() * 8 + conflicts + self.tasks.capacity() * size_of::<(u32, Task)>()
    }
}

/// Rows after which a part ends, so that each has at most [`CHUNK`] ranks or is a single row.
fn chunks(rows: &TransactionBuf) -> Vec<usize> {
    let (mut cuts, mut first) = (Vec::new(), 0);
    for (row, &end) in rows.ends.iter().enumerate() {
        let start = if row == 0 { 0 } else { rows.ends[row - 1] };
        if (end - first) as usize > CHUNK && start > first {
            cuts.push(row);
            first = start;
        }
    }
    if !rows.ends.is_empty() {
        cuts.push(rows.ends.len());
    }
    cuts
}

/// A list column over `values`; `ends` are the ends of the parts, and `there` says which are not null.
fn list(values: ArrayRef, ends: Vec<usize>, there: impl Fn(usize) -> bool) -> Result<ArrayRef> {
    let offsets: Option<Vec<i32>> =
        std::iter::once(Some(0)).chain(ends.iter().map(|&e| i32::try_from(e).ok())).collect();
    let offsets = offsets.ok_or_else(|| {
        Error::Limit(format!(
            "the baskets are too large to be sent to every executor: use plan => 'prefix', or cut the problem into \
             segments with `by`: ranks={}",
            values.len()
        ))
    })?;
    let nulls: NullBuffer = (0..ends.len()).map(there).collect();
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::new(offsets.into()), values, Some(nulls))?))
}

/// The elements of all lists, one after the other.
fn inner(lists: &ListArray) -> ArrayRef {
    let (first, last) = (lists.value_offsets()[0] as usize, lists.value_offsets()[lists.len()] as usize);
    lists.values().slice(first, last - first)
}

fn ranks(values: &ArrayRef) -> Option<ScalarBuffer<u32>> {
    values.as_primitive_opt::<UInt32Type>().filter(|v| v.null_count() == 0).map(|v| v.values().clone())
}

fn numbers(values: &ArrayRef) -> Option<Vec<i64>> {
    values.as_primitive_opt::<Int64Type>().filter(|v| v.null_count() == 0).map(|v| v.values().to_vec())
}

fn tasks(quadruples: &[u32]) -> Vec<(u32, Task)> {
    let quadruples = quadruples.as_chunks::<4>().0.iter();
    quadruples.map(|&[bin, item, nth, of]| (bin, Task { item, second: (of > 1).then_some(Part { nth, of }) })).collect()
}

pub(super) fn pairs(conflicts: &Conflicts) -> Vec<(u32, u32)> {
    let mut start = 0;
    let lists = conflicts.ends.iter().enumerate().flat_map(|(rank, &end)| {
        let with = &conflicts.with[start..end as usize];
        start = end as usize;
        with.iter().map(move |&other| (rank as u32, other))
    });
    lists.collect()
}
