//! `mine_segment`: a whole problem in one task.  In: the rows of a segment. Out: its itemsets, its rules or their number.

use super::columns::list_of;
use super::derive_packed::{itemsets_of, rules_of};
use super::encoded::Encoded;
use super::finished::Finished;
use super::guard::{self, Estimate};
use super::itemset_rows::{itemset_columns, itemset_fields};
use super::itemsets::Itemsets;
use super::kinds::Kind;
use super::mining::{Task, mine};
use super::problem::{Plan, Rows, check_found, checked};
use super::rules::options::RuleOptions;
use super::rules::rule_fields;
use super::sets::{Place, Sets};
use super::shard::decode;
use super::step_signatures::{MINE_SEGMENT, RESULTS};
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome};
use crate::signature::Signature;
use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use std::sync::Arc;

/// Work that an estimate may cost, in the units of the guard, before it stops counting and samples.
const ESTIMATE_BUDGET: u64 = guard::BUDGET;

/// Items that an estimate names.
const HEAVIEST: usize = 10;

/// Encodes, counts and mines one problem, and derives its rules.
///
/// In: rows of `basket`, `item` and perhaps `weight`, in any order. Out: by `result` the columns of `frequent_itemsets`,
/// `association_rules` or `estimate_itemsets`, without the segment. A segment without a frequent item has no itemset and no
/// rule. Errors: `Data` on nulls and on weights that do not fit, `Limit` beyond `max_itemsets`, on long baskets and for want
/// of memory; each ends the job. Cost and sources: see `encode`, [`super::guard`], [`super::mining`].
pub struct MineSegment;

impl GroupFunction for MineSegment {
    fn signature(&self) -> &'static Signature {
        &MINE_SEGMENT
    }

    fn is_public(&self) -> bool {
        false
    }

    fn bind(&self, input: &GroupSchema, args: &Args) -> Result<Arc<dyn BoundFunction>> {
        let plan = Plan::bind(&MINE_SEGMENT, input, args)?;
        let given = args.text("result")?;
        let result = match RESULTS.iter().position(|name| *name == given) {
            Some(0) => Wanted::Itemsets(Kind::from_name(args.text("itemsets")?)?),
            Some(1) => Wanted::Rules(Box::new(RuleOptions::from_args(MINE_SEGMENT.name, args)?)),
            Some(2) => Wanted::Estimate,
            _ => return Err(Error::Bug(format!("no such result: {given}"))),
        };
        Ok(Arc::new(Bound(Arc::new(Segment { plan, result }))))
    }
}

enum Wanted {
    Itemsets(Kind),
    Rules(Box<RuleOptions>),
    Estimate,
}

struct Segment {
    plan: Plan,
    result: Wanted,
}

impl Segment {
    fn fields(&self) -> Vec<Field> {
        match self.result {
            Wanted::Itemsets(_) => itemset_fields(&self.plan.item_kind),
            Wanted::Rules(_) => rule_fields(&self.plan.item_kind),
            Wanted::Estimate => estimate_fields(&self.plan.item_kind),
        }
    }

    /// All itemsets of the problem. `held`: bytes of the caller.
    fn mined(&self, encoded: &Encoded, context: &dyn GroupContext) -> Result<Itemsets> {
        checked(&self.plan, encoded, context)?;
        let mut found = Itemsets::new(self.plan.options.max_len);
        let search = self.plan.search(encoded);
        mine(encoded.rows.view(), &Task::all(encoded.n_items.len()), &search, &mut found, context)?;
        check_found(found.len(), self.plan.options.max_itemsets)?;
        Ok(found)
    }

    /// All itemsets of the problem, indexed, and the bytes held with them.
    fn place(&self, encoded: &Encoded, held: usize, context: &dyn GroupContext) -> Result<(Place, usize)> {
        let (own, none) = (Sets::from(self.mined(encoded, context)?), Sets::default());
        let bytes = Place::bytes(&own, &none);
        context.reserve(held + own.memory_bytes() + bytes)?;
        Ok((Place::new(&encoded.items, &encoded.n_items, encoded.n_baskets, own, none)?, held + bytes))
    }

    fn columns(&self, encoded: &Encoded, held: usize, context: &dyn GroupContext) -> Result<Vec<ArrayRef>> {
        match self.result {
            Wanted::Estimate => {
                let (search, max) = (self.plan.search(encoded), self.plan.options.max_itemsets);
                let estimate = guard::estimate(encoded.rows.view(), &search, max, ESTIMATE_BUDGET, context)?;
                estimate_columns(encoded, &estimate)
            }
            Wanted::Itemsets(Kind::All) => {
                let found = self.mined(encoded, context)?;
                let width = encoded.items.get_array_memory_size() / encoded.items.len().max(1) + 4;
                context.reserve(held + found.memory_bytes() + found.codes.len() * width)?;
                itemset_columns(MINE_SEGMENT.name, &encoded.items, found, encoded.n_baskets)
            }
            Wanted::Itemsets(kind) => {
                let (place, held) = self.place(encoded, held, context)?;
                itemsets_of(MINE_SEGMENT.name, &place, kind, held, context)
            }
            Wanted::Rules(ref options) => {
                let (place, held) = self.place(encoded, held, context)?;
                rules_of(MINE_SEGMENT.name, &place, options, held, context)
            }
        }
    }
}

fn estimate_fields(item: &DataType) -> Vec<Field> {
    vec![
        Field::new("itemsets", DataType::Int64, false),
        Field::new("exact", DataType::Boolean, false),
        Field::new("relative_error", DataType::Float64, false),
        Field::new("min_count", DataType::Int64, false),
        Field::new("n_baskets", DataType::Int64, false),
        Field::new("fits_min_count", DataType::Int64, true),
        Field::new("fits_itemsets", DataType::Int64, true),
        Field::new("heaviest_items", list_of(item.clone()), false),
        Field::new("duplicate_rows", DataType::Int64, false),
        Field::new("truncated_baskets", DataType::Int64, false),
        Field::new("truncated_items", DataType::Int64, false),
        Field::new("ubiquitous_items", list_of(DataType::Utf8), false),
        Field::new("exclude_unknown", list_of(DataType::Utf8), false),
    ]
}

/// One row; the largest number stands for more itemsets than it can say.
fn estimate_columns(encoded: &Encoded, estimate: &Estimate) -> Result<Vec<ArrayRef>> {
    let number = |n: u128| i64::try_from(n).unwrap_or(i64::MAX);
    let heaviest: Vec<u32> = estimate.by_item.iter().take(HEAVIEST).map(|(rank, _)| *rank).collect();
    let ends = vec![0, heaviest.len() as i32];
    let report = &encoded.report;
    let count = |n: u64| -> ArrayRef { Arc::new(Int64Array::from(vec![n as i64])) };
    Ok(vec![
        Arc::new(Int64Array::from(vec![number(estimate.itemsets)])),
        Arc::new(BooleanArray::from(vec![estimate.exact])),
        Arc::new(Float64Array::from(vec![estimate.relative_error])),
        Arc::new(Int64Array::from(vec![encoded.min_count])),
        Arc::new(Int64Array::from(vec![encoded.n_baskets])),
        Arc::new(Int64Array::from(vec![estimate.fits.as_ref().map(|fits| number(fits.count.into()))])),
        Arc::new(Int64Array::from(vec![estimate.fits.as_ref().map(|fits| number(fits.itemsets))])),
        Arc::new(decode(MINE_SEGMENT.name, &encoded.items, heaviest, ends)?),
        count(report.duplicate_rows),
        count(report.truncated_baskets),
        count(report.truncated_items),
        names(&report.ubiquitous)?,
        names(&report.exclude_unknown)?,
    ])
}

/// One list of names.
fn names(names: &[String]) -> Result<ArrayRef> {
    let values = Arc::new(StringArray::from_iter_values(names));
    let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
    Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths([names.len()]), values, None)?))
}

struct Bound(Arc<Segment>);

impl BoundFunction for Bound {
    fn output(&self) -> Vec<Field> {
        self.0.fields()
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        Box::new(Worker { segment: Arc::clone(&self.0), rows: Rows::new(), done: Finished::default() })
    }
}

struct Worker {
    segment: Arc<Segment>,
    rows: Rows,
    done: Finished,
}

impl GroupWorker for Worker {
    fn side(&mut self, name: &str, rows: &RecordBatch) -> Result<()> {
        self.rows.side(&self.segment.plan, name, rows)
    }

    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        self.rows.push(&self.segment.plan, rows)
    }

    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome> {
        let encoded = self.rows.encode(&self.segment.plan, self.done.memory_bytes(), context)?;
        let held = self.memory_bytes() + encoded.memory_bytes();
        let columns = self.segment.columns(&encoded, held, context)?;
        Ok(Outcome { rows: self.done.push(columns), refused: false })
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        self.done.take(&self.segment.fields())
    }

    fn memory_bytes(&self) -> usize {
        self.rows.memory_bytes() + self.done.memory_bytes()
    }
}
