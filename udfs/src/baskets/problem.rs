//! One problem from its rows to its search.  In: rows of a group. Out: baskets whose itemsets are known to be few enough.

use super::categories::Categories;
use super::collect::Collector;
use super::columns::check_type;
use super::encode::encode;
use super::encoded::Encoded;
use super::guard::{self, Estimate};
use super::mining::Search;
use super::options::{MiningOptions, Support};
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{GroupContext, GroupSchema};
use crate::signature::{Class, Signature};
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;

/// The table argument of `encode_baskets` and `mine_segment`.
const CATEGORIES: &str = "categories";

/// Where the columns of a problem are, and what is asked of it.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) function: &'static str,
    pub(super) options: MiningOptions,
    basket: usize,
    item: usize,
    weight: Option<usize>,
    basket_kind: DataType,
    pub(super) item_kind: DataType,
}

impl Plan {
    /// Finds the columns. Errors: `Argument` on types that do not fit.
    pub(super) fn bind(signature: &'static Signature, input: &GroupSchema, args: &Args) -> Result<Self> {
        let function = signature.name;
        let first = input.keys + input.order;
        let at = |name: &str, nth: usize| match input.values.is_empty() {
            true => Some(first + nth).filter(|_| nth < 2),
            false => input.positions(name).next(),
        };
        let missing = |name: &str| Error::Bug(format!("{function}: no column for {name}"));
        let basket = at("basket", 0).ok_or_else(|| missing("basket"))?;
        let item = at("item", 1).ok_or_else(|| missing("item"))?;
        let weight = at("weight", 2);
        for column in [basket, item] {
            let field = input.schema.field(column);
            check_type(function, field, Class::Exact.takes(field.data_type()), Class::Exact.words())?;
        }
        if let Some(weight) = weight {
            let field = input.schema.field(weight);
            let allowed = "integer; scale and cast a fraction: `CAST(round(w * 1000) AS BIGINT)`";
            check_type(function, field, field.data_type().is_integer(), allowed)?;
        }
        let kind = |column: usize| input.schema.field(column).data_type().clone();
        let options = MiningOptions::from_args(function, args)?;
        Ok(Self { function, options, basket, item, weight, basket_kind: kind(basket), item_kind: kind(item) })
    }

    /// What is searched in an encoded problem.
    pub(super) fn search<'a>(&self, encoded: &'a Encoded) -> Search<'a> {
        Search {
            min_count: encoded.min_count as u64,
            max_len: self.options.max_len,
            method: self.options.method,
            conflicts: encoded.conflicts.as_ref(),
        }
    }
}

/// Rows of the current group, and the categories of all groups.
pub(super) struct Rows {
    collector: Option<Collector>,
    categories: Option<Categories>,
}

impl Rows {
    pub(super) fn new() -> Self {
        Self { collector: None, categories: None }
    }

    /// Takes the table of categories. Errors: `Bug` on another table, `Data` on what is no table of categories.
    pub(super) fn side(&mut self, plan: &Plan, name: &str, rows: &RecordBatch) -> Result<()> {
        if name != CATEGORIES {
            return Err(Error::Bug(format!("no such table: name={name}")));
        }
        self.categories = Some(Categories::read(plan.function, rows, &plan.item_kind)?);
        Ok(())
    }

    /// Takes rows of the current group.
    pub(super) fn push(&mut self, plan: &Plan, rows: &RecordBatch) -> Result<()> {
        let collector = match &mut self.collector {
            Some(collector) => collector,
            none => {
                none.insert(Collector::new(plan.function, &plan.basket_kind, &plan.item_kind, plan.weight.is_some())?)
            }
        };
        collector.push(rows.column(plan.basket), rows.column(plan.item), plan.weight.map(|at| rows.column(at)))
    }

    /// Ends the group: its baskets with the support that is wanted. `held`: bytes of the caller beside these rows.
    pub(super) fn encode(&mut self, plan: &Plan, held: usize, context: &dyn GroupContext) -> Result<Encoded> {
        let collector = self.collector.take().ok_or_else(|| Error::Bug("a group without rows".into()))?;
        let held = held + self.memory_bytes();
        let encoded = encode(collector, &plan.options, self.categories.as_ref(), held, context)?;
        let Support::TopK(k) = plan.options.support else { return Ok(encoded) };
        let min_count = guard::min_count_for_top_k(encoded.rows.view(), &plan.search(&encoded), k, context)?;
        let min_count = i64::try_from(min_count).map_err(|_| Error::Bug("a count beyond 63 bits".into()))?;
        let bytes = held + encoded.memory_bytes();
        encoded.raised(min_count, bytes, context)
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        let categories = self.categories.as_ref().map_or(0, Categories::memory_bytes);
        categories + self.collector.as_ref().map_or(0, Collector::memory_bytes)
    }
}

/// Refuses a problem of more than `max_itemsets`, else says how many there are. Errors: `Limit`.
pub(super) fn checked(plan: &Plan, encoded: &Encoded, context: &dyn GroupContext) -> Result<Estimate> {
    guard::check(encoded, &plan.search(encoded), plan.options.max_itemsets, context)
}

/// Refuses what was found to be more than the guard expected. Errors: `Limit`.
pub(super) fn check_found(found: usize, max_itemsets: u64) -> Result<()> {
    if found as u64 <= max_itemsets {
        return Ok(());
    }
    Err(Error::Limit(format!(
        "too many frequent itemsets: raise min_support or max_itemsets, or set a smaller max_len: itemsets={found}, \
         max_itemsets={max_itemsets}"
    )))
}
