//! `mine_shard`: one independent mining task.  In: the frequent items and a shard's prefixes. Out: its itemsets.

use super::columns::{check_type, element_type, integers, lists, no_nulls};
use super::finished::Finished;
use super::itemset_rows::{
    DictionaryInfo, dictionary_rows, itemset_columns, itemset_fields, packed_fields, packed_rows,
};
use super::itemsets::Itemsets;
use super::mining::{Method, Part, Search, Task, mine};
use super::options::method;
use super::prefixes::{shard_of, to_pieces, to_rank};
use super::problem::check_found;
use super::signatures::{MAX_ITEMSETS, MAX_LEN, METHOD, SHARDS};
use super::step_signatures::{MINED, RESULT_OF_TASK};
use super::transactions::TransactionBuf;
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome};
use crate::signature::{Class, Column, Output, Role, Signature};
use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, UInt32Type};
use std::sync::Arc;

/// Mines the itemsets of the shard's pieces, so that each itemset comes out of exactly one shard.
///
/// In: rows of kind 0, one for each frequent item (`rank`, `item`, `n_item`, `pieces`, `min_count`, `n_baskets`), then rows of
/// kind 1, each a transaction of `basket_prefixes` with the same `shards` and the number of baskets that share it
/// (`prefix`, `weight`), in any order, equal ones apart or together. Out: with `result => 'itemsets'` the itemsets as
/// `frequent_itemsets` gives them, with `'packed'` rows for `derive_rules`, of which shard 0 sends the dictionary. Errors:
/// `Data` if the rows do not fit together, `Limit` if the itemsets explode. Cost and source: see [`super::mining`].
pub struct MineShard;

const fn column(name: &'static str, role: Role, class: Class, meaning: &'static str) -> Column {
    Column { name, role, class, many: false, required: true, meaning }
}

static SIGNATURE: Signature = Signature {
    name: "mine_shard",
    summary: "the frequent itemsets of one shard",
    columns: &[
        column("shard", Role::Key, Class::Exact, "number of the shard, 0 to shards - 1"),
        column("kind", Role::Order, Class::Exact, "0: a frequent item; 1: the prefix of baskets"),
        column("rank", Role::Value, Class::Exact, "kind 0: position of the item, 0 for the most frequent"),
        column("item", Role::Value, Class::Exact, "kind 0: the item"),
        column("n_item", Role::Value, Class::Exact, "kind 0: baskets that hold the item"),
        column("pieces", Role::Value, Class::Exact, "kind 0: into how many pieces its itemsets are cut, 1 to shards"),
        column("min_count", Role::Value, Class::Exact, "kind 0: baskets that must hold an itemset, one for all rows"),
        column("n_baskets", Role::Value, Class::Exact, "kind 0: baskets in all, one for all rows"),
        column("prefix", Role::Value, Class::Any, "kind 1: ranks that baskets hold, ascending"),
        column("weight", Role::Value, Class::Exact, "kind 1: how many baskets"),
    ],
    tables: &[],
    params: &[MAX_LEN, MAX_ITEMSETS, METHOD, SHARDS, RESULT_OF_TASK],
    output: &[Output { name: "<result>", kind: "as the result has them", meaning: "columns as those of mine_tasks" }],
};

impl GroupFunction for MineShard {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn is_public(&self) -> bool {
        false
    }

    fn bind(&self, input: &GroupSchema, args: &Args) -> Result<Arc<dyn BoundFunction>> {
        for at in [0, 1, 2, 4, 5, 6, 7, 9] {
            let field = input.schema.field(at);
            check_type(SIGNATURE.name, field, field.data_type().is_integer(), "integer")?;
        }
        let prefix = element_type(SIGNATURE.name, input.schema.field(8), "list of integers")?;
        check_type(SIGNATURE.name, input.schema.field(8), prefix.is_integer(), "list of integers")?;
        Ok(Arc::new(Bound(Arc::new(Plan {
            item: input.schema.field(3).data_type().clone(),
            max_len: if args.is_null("max_len")? { usize::MAX } else { args.integer("max_len")? as usize },
            max_itemsets: args.integer("max_itemsets")? as u64,
            method: method(args.text("method")?)?,
            shards: args.integer("shards")? as usize,
            packed: args.text("result")? == MINED[1],
        }))))
    }
}

struct Plan {
    item: DataType,
    max_len: usize,
    max_itemsets: u64,
    method: Method,
    shards: usize,
    packed: bool,
}

impl Plan {
    fn fields(&self) -> Vec<Field> {
        if self.packed { packed_fields(&self.item) } else { itemset_fields(&self.item) }
    }
}

struct Bound(Arc<Plan>);

impl BoundFunction for Bound {
    fn output(&self) -> Vec<Field> {
        self.0.fields()
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        Box::new(Worker { plan: Arc::clone(&self.0), group: Group::default(), done: Finished::default() })
    }
}

struct Worker {
    plan: Arc<Plan>,
    group: Group,
    done: Finished,
}

/// The rows of one shard.
#[derive(Default)]
struct Group {
    shard: Option<i64>,
    items: Vec<ArrayRef>,
    ranks: Vec<u32>,
    n_items: Vec<i64>,
    pieces: Vec<u32>,
    /// `min_count` and `n_baskets`.
    totals: Option<(i64, i64)>,
    /// All prefixes, one after the other.
    prefixes: Vec<u32>,
    /// Where each prefix ends.
    ends: Vec<u32>,
    weights: Vec<i64>,
}

impl GroupWorker for Worker {
    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        let kinds = integers(SIGNATURE.name, "kind", rows.column(1))?;
        let items = kinds.values().iter().take_while(|&&k| k == 0).count();
        if kinds.values()[items..].iter().any(|&k| k != 1) || (items > 0 && !self.group.ends.is_empty()) {
            return Err(Error::Data(format!("{}: rows must be of kind 0, then of kind 1", SIGNATURE.name)));
        }
        self.group.shard = Some(integers(SIGNATURE.name, "shard", rows.column(0))?.value(0));
        self.group.push_items(&rows.slice(0, items), self.plan.shards)?;
        self.group.push_prefixes(&rows.slice(items, rows.num_rows() - items))
    }

    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome> {
        let group = std::mem::take(&mut self.group);
        let plan = Arc::clone(&self.plan);
        let dictionary = group.dictionary()?;
        let shard = group.shard(&plan)?;
        let (min_count, n_baskets) = group.totals()?;
        let found = group.mine(shard, min_count, &dictionary, &plan, self.done.memory_bytes(), context)?;
        check_found(found.len(), plan.max_itemsets)?;
        let width = dictionary.items.get_array_memory_size() / dictionary.items.len().max(1) + 4;
        // Packed, each itemset is written twice, and again where rows are put together.
        let out = if plan.packed { 4 * found.memory_bytes() } else { found.codes.len() * width };
        context.reserve(self.memory_bytes() + found.memory_bytes() + out)?;
        let mut rows = 0;
        if plan.packed {
            if shard == 0 {
                let info = DictionaryInfo { n_baskets, min_count };
                rows += self.done.push(dictionary_rows(&dictionary.items, &dictionary.n_items, info, plan.shards)?);
            }
            rows += self.done.push(packed_rows(&found, plan.shards, &plan.item)?);
        } else {
            rows += self.done.push(itemset_columns(SIGNATURE.name, &dictionary.items, found, n_baskets)?);
        }
        Ok(Outcome { rows, refused: false })
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        self.done.take(&self.plan.fields())
    }

    fn memory_bytes(&self) -> usize {
        self.group.memory_bytes() + self.done.memory_bytes()
    }
}

/// The frequent items by rank.
struct Dictionary {
    items: ArrayRef,
    n_items: Vec<i64>,
    pieces: Vec<u32>,
}

impl Dictionary {
    /// The tasks of a shard, the rarest item first.
    fn tasks(&self, shard: usize, shards: usize) -> Vec<Task> {
        let of_rank = |rank: u32| {
            let of = self.pieces[rank as usize];
            let mine = (0..of).filter(move |&nth| shard_of(rank, nth, shards) == shard);
            mine.map(move |nth| Task { item: rank, second: (of > 1).then_some(Part { nth, of }) })
        };
        (0..self.pieces.len() as u32).rev().flat_map(of_rank).collect()
    }

    /// Each item that is the shard's alone must come out with the number of baskets that the dictionary states: nothing got
    /// lost.
    fn check(&self, found: &Itemsets, tasks: &[Task]) -> Result<()> {
        let mut mined = vec![0i64; self.n_items.len()];
        for i in 0..found.len() {
            if let &[rank] = found.items(i) {
                mined[rank as usize] = found.counts[i];
            }
        }
        for task in tasks.iter().filter(|task| task.second.is_none_or(|part| part.nth == 0)) {
            let (got, stated) = (mined[task.item as usize], self.n_items[task.item as usize]);
            if got != stated {
                return Err(Error::Data(format!(
                    "{}: the prefixes of a shard do not hold an item as often as its n_item states: rank={}, \
                     n_item={stated}, prefixes={got} (0 stands for fewer than min_count)",
                    SIGNATURE.name, task.item
                )));
            }
        }
        Ok(())
    }
}

impl Group {
    fn memory_bytes(&self) -> usize {
        let items: usize = self.items.iter().map(|array| array.get_array_memory_size()).sum();
        let halves = self.ranks.capacity() + self.pieces.capacity() + self.prefixes.capacity() + self.ends.capacity();
        items + (self.n_items.capacity() + self.weights.capacity()) * 8 + halves * 4
    }

    fn push_items(&mut self, rows: &RecordBatch, shards: usize) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let numbers = |name: &str, at: usize| integers(SIGNATURE.name, name, rows.column(at));
        for &rank in numbers("rank", 2)?.values() {
            self.ranks.push(to_rank(rank)?);
        }
        no_nulls(SIGNATURE.name, "item", rows.column(3))?;
        self.items.push(Arc::clone(rows.column(3)));
        self.n_items.extend_from_slice(numbers("n_item", 4)?.values());
        for &pieces in numbers("pieces", 5)?.values() {
            self.pieces.push(to_pieces(pieces, shards)?);
        }
        let (min_counts, n_baskets) = (numbers("min_count", 6)?, numbers("n_baskets", 7)?);
        for totals in min_counts.values().iter().copied().zip(n_baskets.values().iter().copied()) {
            if totals.0 < 1 || *self.totals.get_or_insert(totals) != totals {
                return Err(Error::Data(format!(
                    "{}: min_count must be at least 1, and n_baskets and it the same on all rows: min_count={}, \
                     n_baskets={}",
                    SIGNATURE.name, totals.0, totals.1
                )));
            }
        }
        Ok(())
    }

    fn push_prefixes(&mut self, rows: &RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let prefixes = lists(SIGNATURE.name, "prefix", rows.column(8), &DataType::UInt32)?;
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
        let weights = integers(SIGNATURE.name, "weight", rows.column(9))?;
        if let Some(weight) = weights.values().iter().find(|&&weight| weight < 1) {
            return Err(Error::Data(format!("{}: a weight must be at least 1: weight={weight}", SIGNATURE.name)));
        }
        self.weights.extend_from_slice(weights.values());
        Ok(())
    }

    fn totals(&self) -> Result<(i64, i64)> {
        self.totals
            .ok_or_else(|| Error::Data(format!("{}: a shard has prefixes but no items of kind 0", SIGNATURE.name)))
    }

    fn shard(&self, plan: &Plan) -> Result<usize> {
        let shard = self.shard.unwrap_or(-1);
        usize::try_from(shard).ok().filter(|&s| s < plan.shards).ok_or_else(|| {
            Error::Data(format!("{}: shard out of range: shard={shard}, shards={}", SIGNATURE.name, plan.shards))
        })
    }

    /// The itemsets of the shard in ranks. `held`: bytes of the caller.
    fn mine(
        self,
        shard: usize,
        min_count: i64,
        dictionary: &Dictionary,
        plan: &Plan,
        held: usize,
        context: &dyn GroupContext,
    ) -> Result<Itemsets> {
        self.check_prefixes(shard, plan.shards, &dictionary.pieces)?;
        context.reserve(held + self.memory_bytes() * 3)?;
        let rows = self.merged(dictionary.pieces.len());
        drop(self);
        let tasks = dictionary.tasks(shard, plan.shards);
        let search =
            Search { min_count: min_count as u64, max_len: plan.max_len, method: plan.method, conflicts: None };
        let mut found = Itemsets::new(plan.max_len);
        mine(rows.view(), &tasks, &search, &mut found, context)?;
        dictionary.check(&found, &tasks)?;
        Ok(found)
    }

    /// The items in order of rank.
    fn dictionary(&self) -> Result<Dictionary> {
        self.totals()?;
        let items = concat(&self.items.iter().map(|a| a.as_ref()).collect::<Vec<_>>())?;
        let mut row_of = vec![u32::MAX; items.len()];
        for (row, &rank) in self.ranks.iter().enumerate() {
            match row_of.get_mut(rank as usize) {
                Some(slot) if *slot == u32::MAX => *slot = row as u32,
                _ => {
                    return Err(Error::Data(format!(
                        "{}: ranks of the items must be 0, 1, 2 and so on, each once: rank={rank}, items={}",
                        SIGNATURE.name,
                        items.len()
                    )));
                }
            }
        }
        Ok(Dictionary {
            n_items: row_of.iter().map(|&row| self.n_items[row as usize]).collect(),
            pieces: row_of.iter().map(|&row| self.pieces[row as usize]).collect(),
            items: take(&items, &UInt32Array::from(row_of), None)?,
        })
    }

    fn check_prefixes(&self, shard: usize, shards: usize, pieces: &[u32]) -> Result<()> {
        let mut start = 0;
        for &end in &self.ends {
            let prefix = &self.prefixes[start..end as usize];
            let of_shard = |&rank: &u32| {
                let pieces = pieces.get(rank as usize).copied().unwrap_or(0);
                // The pieces of a rank lie side by side from the shard of its first one.
                (shard + shards - rank as usize % shards) % shards < pieces as usize
            };
            if !prefix.last().is_some_and(of_shard) || prefix.windows(2).any(|w| w[0] >= w[1]) {
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

    /// Equal prefixes become one transaction; sorted, so that the order of rows leaves no trace.
    fn merged(&self, n_items: usize) -> TransactionBuf {
        let start = |i: usize| if i == 0 { 0 } else { self.ends[i - 1] as usize };
        let prefix = |i: u32| &self.prefixes[start(i as usize)..self.ends[i as usize] as usize];
        let mut order: Vec<u32> = (0..self.ends.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| prefix(a).cmp(prefix(b)));
        let mut merged = TransactionBuf { n_items, ..TransactionBuf::default() };
        for equal in order.chunk_by(|&a, &b| prefix(a) == prefix(b)) {
            merged.push(prefix(equal[0]), equal.iter().map(|&i| self.weights[i as usize] as u64).sum());
        }
        merged
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
