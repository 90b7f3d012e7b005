//! `mine_shard`: one independent mining task.  In: the frequent items and a shard's prefixes. Out: its itemsets.

use super::columns::{check_type, element_type, integers, list_of, lists, no_nulls};
use super::itemsets::Itemsets;
use super::mining::{Method, Search, Task, mine};
use super::prefixes::to_rank;
use super::signatures::{MAX_LEN, SHARDS};
use super::transactions::TransactionBuf;
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome};
use crate::signature::{Class, Column, Output, Role, Signature};
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, ListArray, RecordBatch, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat, sort_to_indices, take};
use arrow::datatypes::{DataType, Field, UInt32Type};
use std::sync::Arc;

/// Mines the itemsets whose rarest item belongs to the shard, so that each itemset comes out of exactly one shard.
///
/// In: rows of kind 0, one for each frequent item (`rank`, `item`, `n_item`, `min_count`), then rows of kind 1, one for
/// each basket that holds an item of the shard (`prefix`, from `basket_prefixes` with the same `shards`). Out: itemsets,
/// items ascending, in an order that depends on the set of rows only. Errors: `Data` if the rows do not fit together,
/// `Limit` if the itemsets explode. Cost and source: see [`super::mining`].
pub struct MineShard;

const fn column(name: &'static str, role: Role, class: Class, meaning: &'static str) -> Column {
    Column { name, role, class, many: false, required: true, meaning }
}

static SIGNATURE: Signature = Signature {
    name: "mine_shard",
    summary: "the frequent itemsets of one shard",
    columns: &[
        column("shard", Role::Key, Class::Exact, "number of the shard, 0 to shards - 1"),
        column("kind", Role::Order, Class::Exact, "0: a frequent item; 1: the prefix of a basket"),
        column("rank", Role::Value, Class::Exact, "kind 0: position of the item, 0 for the most frequent"),
        column("item", Role::Value, Class::Exact, "kind 0: the item"),
        column("n_item", Role::Value, Class::Exact, "kind 0: baskets that hold the item"),
        column(
            "min_count",
            Role::Value,
            Class::Exact,
            "kind 0: baskets that must hold an itemset, the same on all rows",
        ),
        column("prefix", Role::Value, Class::Any, "kind 1: ranks of a basket, ascending, the last of them the shard's"),
    ],
    tables: &[],
    params: &[MAX_LEN, SHARDS],
    output: &[
        Output { name: "itemset", kind: "list of the item's type", meaning: "items, ascending" },
        Output { name: "n", kind: "BIGINT", meaning: "baskets that hold all of them" },
        Output { name: "len", kind: "INTEGER", meaning: "number of items" },
    ],
};

impl GroupFunction for MineShard {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn is_public(&self) -> bool {
        false
    }

    fn bind(&self, input: &GroupSchema, args: &Args) -> Result<Arc<dyn BoundFunction>> {
        for at in [0, 1, 2, 4, 5] {
            let field = input.schema.field(at);
            check_type(SIGNATURE.name, field, field.data_type().is_integer(), "integer")?;
        }
        let prefix = element_type(SIGNATURE.name, input.schema.field(6), "list of integers")?;
        check_type(SIGNATURE.name, input.schema.field(6), prefix.is_integer(), "list of integers")?;
        let max_len = if args.is_null("max_len")? { usize::MAX } else { args.integer("max_len")? as usize };
        let item = input.schema.field(3).data_type().clone();
        Ok(Arc::new(Bound { item, max_len, shards: args.integer("shards")? as usize }))
    }
}

#[derive(Debug, Clone)]
struct Bound {
    item: DataType,
    max_len: usize,
    shards: usize,
}

impl BoundFunction for Bound {
    fn output(&self) -> Vec<Field> {
        vec![
            Field::new("itemset", list_of(self.item.clone()), false),
            Field::new("n", DataType::Int64, false),
            Field::new("len", DataType::Int32, false),
        ]
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        Box::new(Worker { bound: self.clone(), group: Group::default(), done: Vec::new() })
    }
}

struct Worker {
    bound: Bound,
    group: Group,
    /// Output of the groups since the last `take`.
    done: Vec<[ArrayRef; 3]>,
}

/// The rows of one shard.
#[derive(Default)]
struct Group {
    shard: Option<i64>,
    items: Vec<ArrayRef>,
    ranks: Vec<u32>,
    n_items: Vec<i64>,
    min_count: Option<i64>,
    /// All prefixes, one after the other.
    prefixes: Vec<u32>,
    /// Where each prefix ends.
    ends: Vec<u32>,
}

impl GroupWorker for Worker {
    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        let kinds = integers(SIGNATURE.name, "kind", rows.column(1))?;
        let items = kinds.values().iter().take_while(|&&k| k == 0).count();
        if kinds.values()[items..].iter().any(|&k| k != 1) || (items > 0 && !self.group.ends.is_empty()) {
            return Err(Error::Data(format!("{}: rows must be of kind 0, then of kind 1", SIGNATURE.name)));
        }
        self.group.shard = Some(integers(SIGNATURE.name, "shard", rows.column(0))?.value(0));
        self.group.push_items(&rows.slice(0, items))?;
        self.group.push_prefixes(&rows.column(6).slice(items, rows.num_rows() - items))
    }

    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome> {
        let group = std::mem::take(&mut self.group);
        let (dictionary, found) = group.mine(&self.bound, context)?;
        let rows = found.len();
        let bytes = found.codes.len() * (dictionary.get_array_memory_size() / dictionary.len().max(1) + 4);
        context.reserve(self.memory_bytes() + found.memory_bytes() + bytes + rows * 16)?;
        self.done.push(self.bound.columns(&dictionary, found)?);
        Ok(Outcome { rows, refused: false })
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        if self.done.is_empty() {
            self.done.push(self.bound.columns(&arrow::array::new_empty_array(&self.bound.item), Itemsets::new(1))?);
        }
        let done = std::mem::take(&mut self.done);
        let column = |i: usize| -> Result<ArrayRef> {
            match &done[..] {
                [one] => Ok(Arc::clone(&one[i])),
                all => Ok(concat(&all.iter().map(|columns| columns[i].as_ref()).collect::<Vec<_>>())?),
            }
        };
        Ok(vec![column(0)?, column(1)?, column(2)?])
    }

    fn memory_bytes(&self) -> usize {
        let done: usize = self.done.iter().flatten().map(|array| array.get_array_memory_size()).sum();
        self.group.memory_bytes() + done
    }
}

impl Group {
    fn memory_bytes(&self) -> usize {
        let items: usize = self.items.iter().map(|array| array.get_array_memory_size()).sum();
        let halves = self.ranks.capacity() + self.prefixes.capacity() + self.ends.capacity();
        items + self.n_items.capacity() * 8 + halves * 4
    }

    fn push_items(&mut self, rows: &RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        for &rank in integers(SIGNATURE.name, "rank", rows.column(2))?.values() {
            self.ranks.push(to_rank(rank)?);
        }
        no_nulls(SIGNATURE.name, "item", rows.column(3))?;
        self.items.push(Arc::clone(rows.column(3)));
        self.n_items.extend_from_slice(integers(SIGNATURE.name, "n_item", rows.column(4))?.values());
        for &min_count in integers(SIGNATURE.name, "min_count", rows.column(5))?.values() {
            if min_count < 1 || *self.min_count.get_or_insert(min_count) != min_count {
                return Err(Error::Data(format!(
                    "{}: min_count must be at least 1 and the same on all rows: min_count={min_count}",
                    SIGNATURE.name
                )));
            }
        }
        Ok(())
    }

    fn push_prefixes(&mut self, column: &ArrayRef) -> Result<()> {
        if column.is_empty() {
            return Ok(());
        }
        let prefixes = lists(SIGNATURE.name, "prefix", column, &DataType::UInt32)?;
        let ranks = prefixes.values().as_primitive::<UInt32Type>().values();
        let offsets = prefixes.value_offsets();
        let (first, last) = (offsets[0], offsets[prefixes.len()]);
        let base = self.prefixes.len();
        if base + (last - first) as usize > u32::MAX as usize {
            return Err(Error::Limit(format!(
                "{}: the prefixes of a shard do not fit: use more shards: ranks>{}",
                SIGNATURE.name,
                u32::MAX
            )));
        }
        self.prefixes.extend_from_slice(&ranks[first as usize..last as usize]);
        self.ends.extend(offsets[1..].iter().map(|&end| (base + (end - first) as usize) as u32));
        Ok(())
    }

    /// The dictionary, sorted by item, and the itemsets in codes of the dictionary.
    fn mine(self, bound: &Bound, context: &dyn GroupContext) -> Result<(ArrayRef, Itemsets)> {
        let (Some(shard), Some(min_count)) = (self.shard, self.min_count) else {
            return Err(Error::Data(format!("{}: a shard has prefixes but no items of kind 0", SIGNATURE.name)));
        };
        let shard = usize::try_from(shard).ok().filter(|&s| s < bound.shards).ok_or_else(|| {
            Error::Data(format!("{}: shard out of range: shard={shard}, shards={}", SIGNATURE.name, bound.shards))
        })?;
        let (dictionary, code_of_rank, n_of_rank) = self.dictionary()?;
        self.check_prefixes(shard, bound.shards)?;
        context.reserve(self.memory_bytes() * 3)?;
        let transactions = self.merged(code_of_rank.len());
        let mut found = Itemsets::new(bound.max_len);
        let mut tasks = Task::all(code_of_rank.len());
        tasks.retain(|task| task.item as usize % bound.shards == shard);
        let search =
            Search { min_count: min_count as u64, max_len: bound.max_len, method: Method::Auto, conflicts: None };
        mine(transactions.view(), &tasks, &search, &mut found, context)?;
        check_single_items(&found, &tasks, &n_of_rank)?;
        found.codes.iter_mut().for_each(|code| *code = code_of_rank[*code as usize]);
        found.offsets.windows(2).for_each(|w| found.codes[w[0] as usize..w[1] as usize].sort_unstable());
        Ok((dictionary, found))
    }

    /// Items in ascending order, and for each rank its item's place there and its number of baskets.
    fn dictionary(&self) -> Result<(ArrayRef, Vec<u32>, Vec<i64>)> {
        let items = concat(&self.items.iter().map(|a| a.as_ref()).collect::<Vec<_>>())?;
        let order = sort_to_indices(&items, None, None)?;
        let mut codes = vec![u32::MAX; items.len()];
        let mut counts = vec![0; items.len()];
        for (code, &row) in order.values().iter().enumerate() {
            let rank = self.ranks[row as usize] as usize;
            match codes.get_mut(rank) {
                Some(slot) if *slot == u32::MAX => *slot = code as u32,
                _ => {
                    return Err(Error::Data(format!(
                        "{}: ranks of the items must be 0, 1, 2 and so on, each once: rank={rank}, items={}",
                        SIGNATURE.name,
                        items.len()
                    )));
                }
            }
            counts[rank] = self.n_items[row as usize];
        }
        Ok((take(&items, &order, None)?, codes, counts))
    }

    fn check_prefixes(&self, shard: usize, shards: usize) -> Result<()> {
        let mut start = 0;
        for &end in &self.ends {
            let prefix = &self.prefixes[start..end as usize];
            let known = prefix.last().is_some_and(|&r| (r as usize) < self.ranks.len() && r as usize % shards == shard);
            if !known || prefix.windows(2).any(|w| w[0] >= w[1]) {
                return Err(Error::Data(format!(
                    "{}: a prefix must hold ranks of kind 0, ascending, the last of them the shard's: \
                     shard={shard}, shards={shards}, items={}",
                    SIGNATURE.name,
                    self.ranks.len()
                )));
            }
            start = end as usize;
        }
        Ok(())
    }

    /// Equal prefixes become one transaction with a weight; sorted, so that the order of rows leaves no trace.
    fn merged(&self, n_items: usize) -> TransactionBuf {
        let start = |i: usize| if i == 0 { 0 } else { self.ends[i - 1] as usize };
        let prefix = |i: u32| &self.prefixes[start(i as usize)..self.ends[i as usize] as usize];
        let mut order: Vec<u32> = (0..self.ends.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| prefix(a).cmp(prefix(b)));
        let mut merged = TransactionBuf { n_items, ..TransactionBuf::default() };
        for equal in order.chunk_by(|&a, &b| prefix(a) == prefix(b)) {
            merged.push(prefix(equal[0]), equal.len() as u64);
        }
        merged
    }
}

/// Each item of the shard must come out with the number of baskets that the dictionary states: nothing got lost.
fn check_single_items(found: &Itemsets, tasks: &[Task], n_of_rank: &[i64]) -> Result<()> {
    let mut mined = vec![0i64; n_of_rank.len()];
    for i in 0..found.len() {
        if let &[rank] = found.items(i) {
            mined[rank as usize] = found.counts[i];
        }
    }
    for rank in tasks.iter().map(|task| task.item as usize) {
        let (got, stated) = (mined[rank], n_of_rank[rank]);
        if got != stated {
            return Err(Error::Data(format!(
                "{}: the prefixes of a shard do not hold an item as often as its n_item states: rank={rank}, \
                 n_item={stated}, prefixes={got} (0 stands for fewer than min_count)",
                SIGNATURE.name
            )));
        }
    }
    Ok(())
}

impl Bound {
    /// Itemsets in codes of a dictionary as output columns.
    fn columns(&self, dictionary: &ArrayRef, found: Itemsets) -> Result<[ArrayRef; 3]> {
        let len: Int32Array = found.offsets.windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>().into();
        let n = Int64Array::from(found.counts);
        let itemset = decode(SIGNATURE.name, dictionary, found.codes, found.offsets)?;
        Ok([Arc::new(itemset), Arc::new(n), Arc::new(len)])
    }
}

/// Lists of codes as lists of the dictionary's items. Errors: `Limit` if the text of all items is too long for a column.
pub(super) fn decode(function: &str, dictionary: &ArrayRef, codes: Vec<u32>, offsets: Vec<i32>) -> Result<ListArray> {
    if let Some(texts) = dictionary.as_string_opt::<i32>() {
        let bytes: usize = codes.iter().map(|&c| texts.value_length(c as usize) as usize).sum();
        if bytes > i32::MAX as usize {
            return Err(Error::Limit(format!(
                "{function}: the items of the output are too long for one column: raise min_support, set a smaller \
                 max_len, or mine integer ids and join their names afterwards: bytes={bytes}"
            )));
        }
    }
    let values = take(dictionary, &UInt32Array::from(codes), None)?;
    let field = Arc::new(Field::new_list_field(dictionary.data_type().clone(), true));
    Ok(ListArray::try_new(field, OffsetBuffer::new(offsets.into()), values, None)?)
}
