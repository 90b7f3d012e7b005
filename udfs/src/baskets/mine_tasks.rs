//! `mine_tasks`: one task over baskets that every worker holds.  In: a task number. Out: its itemsets.

use super::columns::integers;
use super::encoded::Packed;
use super::finished::Finished;
use super::itemset_rows::{
    DictionaryInfo, dictionary_rows, itemset_columns, itemset_fields, packed_fields, packed_rows,
};
use super::itemsets::Itemsets;
use super::mining::{Method, Search, mine};
use super::options::method;
use super::problem::check_found;
use super::step_signatures::{ENCODED, MINE_TASKS, MINED};
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome};
use crate::signature::Signature;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field};
use std::sync::Arc;

/// Mines the task of a number: `encode_baskets` said which itemsets it finds, so that each comes out of exactly one task.
///
/// In: one row a task; the table `encoded` whole. Out: with `result => 'itemsets'` the itemsets as `frequent_itemsets` gives
/// them, with `'packed'` rows for `derive_rules`, of which task 0 sends the dictionary. Errors: `Data` if the table is not
/// what `encode_baskets` gave, `Limit` on more itemsets than a task can hold. Cost and source: see [`super::mining`].
pub struct MineTasks;

impl GroupFunction for MineTasks {
    fn signature(&self) -> &'static Signature {
        &MINE_TASKS
    }

    fn is_public(&self) -> bool {
        false
    }

    fn bind(&self, input: &GroupSchema, args: &Args) -> Result<Arc<dyn BoundFunction>> {
        if input.sides != [ENCODED.name] {
            return Err(Error::Argument(format!(
                "{}: missing argument: name={}, allowed=[a table: {}], add `{} => ..`",
                MINE_TASKS.name, ENCODED.name, ENCODED.meaning, ENCODED.name
            )));
        }
        Ok(Arc::new(Bound(Arc::new(Plan {
            item: input.schema.field(input.keys + input.order).data_type().clone(),
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
    /// Of the rules.
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
        Box::new(Worker { plan: Arc::clone(&self.0), problem: None, task: None, done: Finished::default() })
    }
}

struct Worker {
    plan: Arc<Plan>,
    problem: Option<Packed>,
    task: Option<i64>,
    done: Finished,
}

impl GroupWorker for Worker {
    fn side(&mut self, name: &str, rows: &RecordBatch) -> Result<()> {
        if name != ENCODED.name {
            return Err(Error::Bug(format!("no such table: name={name}")));
        }
        let problem = Packed::read(MINE_TASKS.name, rows)?;
        if problem.items.data_type() != &self.plan.item {
            return Err(Error::Data(format!(
                "{}: the column item must have the type of the encoded items: type={}, items={}",
                MINE_TASKS.name,
                self.plan.item,
                problem.items.data_type()
            )));
        }
        self.problem = Some(problem);
        Ok(())
    }

    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        let task = integers(MINE_TASKS.name, "task", rows.column(0))?;
        if rows.num_rows() != 1 || self.task.is_some() {
            return Err(Error::Data(format!("{}: a task must come once: task={}", MINE_TASKS.name, task.value(0))));
        }
        self.task = Some(task.value(0));
        Ok(())
    }

    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome> {
        let (Some(task), Some(problem)) = (self.task.take(), &self.problem) else {
            return Err(Error::Bug("a task without a number or without baskets".into()));
        };
        let bin = u32::try_from(task)
            .ok()
            .filter(|&bin| (bin as usize) < problem.info.bins)
            .ok_or_else(|| Error::Data(format!("task out of range: task={task}, tasks={}", problem.info.bins)))?;
        let search = Search {
            min_count: problem.info.min_count as u64,
            max_len: self.plan.max_len,
            method: self.plan.method,
            conflicts: problem.conflicts.as_ref(),
        };
        let mut found = Itemsets::new(self.plan.max_len);
        mine(problem.rows(), &problem.tasks(bin), &search, &mut found, context)?;
        check_found(found.len(), self.plan.max_itemsets)?;
        let width = problem.items.get_array_memory_size() / problem.items.len().max(1) + 4;
        // Packed, each itemset is written twice, and again where rows are put together.
        let out = if self.plan.packed { 4 * found.memory_bytes() } else { found.codes.len() * width };
        context.reserve(self.memory_bytes() + found.memory_bytes() + out)?;
        let mut rows = 0;
        if self.plan.packed {
            if bin == 0 {
                let info = DictionaryInfo { n_baskets: problem.info.n_baskets, min_count: problem.info.min_count };
                rows += self.done.push(dictionary_rows(&problem.items, &problem.n_items, info, self.plan.shards)?);
            }
            rows += self.done.push(packed_rows(&found, self.plan.shards, &self.plan.item)?);
        } else {
            rows += self.done.push(itemset_columns(MINE_TASKS.name, &problem.items, found, problem.info.n_baskets)?);
        }
        Ok(Outcome { rows, refused: false })
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        self.done.take(&self.plan.fields())
    }

    fn memory_bytes(&self) -> usize {
        self.problem.as_ref().map_or(0, Packed::memory_bytes) + self.done.memory_bytes()
    }
}
