//! `derive_packed`: one rule shard.  In: its packed itemsets and visitors. Out: its rules, or its itemsets of a kind.

use super::columns::{check_type, element_type, integers};
use super::finished::Finished;
use super::itemset_rows::{DICTIONARY, DictionaryInfo, OWN, VISITORS, itemset_columns, itemset_fields};
use super::kinds::{Kind, keep_kind};
use super::rules::columns::column_bytes;
use super::rules::options::RuleOptions;
use super::rules::{derive_all, rule_columns, rule_fields};
use super::sets::{Place, Sets};
use super::step_signatures::{DERIVE_PACKED, DERIVED};
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome};
use crate::signature::Signature;
use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Int64Type, UInt32Type};
use std::sync::Arc;

/// Derives the rules whose antecedent's rarest item belongs to the shard, or its itemsets of a kind.
///
/// In: the packed rows of `mine_tasks` for a shard, in any order: the dictionary once, itemsets and visitors. Out: the columns
/// of `association_rules` or `frequent_itemsets`. Rules that look beyond a shard need `shards => 1` there. Errors: `Data` on
/// rows that do not belong together, `Limit` on too many rules or for want of memory. Cost and source: see [`super::rules`] and
/// [`super::kinds`].
pub struct DerivePacked;

impl GroupFunction for DerivePacked {
    fn signature(&self) -> &'static Signature {
        &DERIVE_PACKED
    }

    fn is_public(&self) -> bool {
        false
    }

    fn bind(&self, input: &GroupSchema, args: &Args) -> Result<Arc<dyn BoundFunction>> {
        let function = DERIVE_PACKED.name;
        let at = input.keys + input.order;
        let field = |nth: usize| input.schema.field(at + nth);
        check_type(function, field(0), field(0).data_type() == &DataType::Int8, "tinyint")?;
        for (nth, kind, name) in [
            (1, DataType::UInt32, "list of unsigned integers"),
            (2, DataType::UInt32, "list of unsigned integers"),
            (3, DataType::Int64, "list of bigints"),
            (5, DataType::Int64, "list of bigints"),
        ] {
            let ok = matches!(field(nth).data_type(), DataType::List(item) if item.data_type() == &kind);
            check_type(function, field(nth), ok, name)?;
        }
        let item = element_type(function, field(4), "list of items")?;
        let result = match args.text("result")? == DERIVED[0] {
            true => Wanted::Rules(Box::new(RuleOptions::from_args(function, args)?)),
            false => Wanted::Itemsets(Kind::from_name(args.text("itemsets")?)?),
        };
        Ok(Arc::new(Bound(Arc::new(Plan { first: at, item, result }))))
    }
}

enum Wanted {
    Rules(Box<RuleOptions>),
    Itemsets(Kind),
}

struct Plan {
    /// Where the packed columns start.
    first: usize,
    item: DataType,
    result: Wanted,
}

impl Plan {
    fn fields(&self) -> Vec<Field> {
        match self.result {
            Wanted::Rules(_) => rule_fields(&self.item),
            Wanted::Itemsets(_) => itemset_fields(&self.item),
        }
    }
}

struct Bound(Arc<Plan>);

impl BoundFunction for Bound {
    fn output(&self) -> Vec<Field> {
        self.0.fields()
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        Box::new(Worker { plan: Arc::clone(&self.0), shard: Shard::default(), done: Finished::default() })
    }
}

/// What came of the current shard.
#[derive(Default)]
struct Shard {
    dictionary: Option<(ArrayRef, Vec<i64>, DictionaryInfo)>,
    own: Sets,
    visitors: Sets,
}

impl Shard {
    fn push(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let [kinds, codes, ends, counts, items, n_items, info, ..] = columns else {
            return Err(Error::Bug("derive_packed: columns are missing".into()));
        };
        let kinds = integers(DERIVE_PACKED.name, "kind", kinds)?;
        for row in 0..kinds.len() {
            let sets = match kinds.value(row) as i8 {
                DICTIONARY => {
                    self.dictionary(items.as_list::<i32>(), n_items.as_list::<i32>(), info, row)?;
                    continue;
                }
                OWN => &mut self.own,
                VISITORS => &mut self.visitors,
                other => return Err(bad(&format!("kind={other}, allowed=0..=2"))),
            };
            let codes = numbers::<UInt32Type>(codes.as_list(), row)?;
            let ends = numbers::<UInt32Type>(ends.as_list(), row)?;
            let counts = numbers::<Int64Type>(counts.as_list(), row)?;
            if ends.len() != counts.len()
                || !ends.is_sorted()
                || ends.last().is_some_and(|&end| end as usize != codes.len())
            {
                return Err(bad(&format!("codes={}, ends={}, counts={}", codes.len(), ends.len(), counts.len())));
            }
            let base = sets.codes.len();
            sets.codes.extend_from_slice(&codes);
            sets.ends.extend(ends.iter().map(|&end| base + end as usize));
            sets.counts.extend_from_slice(&counts);
        }
        Ok(())
    }

    fn dictionary(&mut self, items: &ListArray, n_items: &ListArray, info: &ArrayRef, row: usize) -> Result<()> {
        let (items, n_items) = (items.value(row), numbers::<Int64Type>(n_items, row)?);
        let info = arrow::compute::cast(info, &DataType::Utf8)?;
        let info = serde_json::from_str(info.as_string::<i32>().value(row)).map_err(|e| bad(&format!("info: {e}")))?;
        if items.len() != n_items.len() || items.null_count() > 0 || self.dictionary.is_some() {
            return Err(bad(&format!("a dictionary must come once: items={}, n_items={}", items.len(), n_items.len())));
        }
        self.dictionary = Some((items, n_items, info));
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        let dictionary =
            self.dictionary.as_ref().map_or(0, |(items, n, _)| items.get_array_memory_size() + n.len() * 8);
        dictionary + self.own.memory_bytes() + self.visitors.memory_bytes()
    }
}

fn bad(why: &str) -> Error {
    Error::Data(format!("{}: not what mine_tasks gave: {why}", DERIVE_PACKED.name))
}

/// The numbers of one list. Errors: `Data` if it is null.
fn numbers<T: ArrowPrimitiveType>(lists: &ListArray, row: usize) -> Result<Vec<T::Native>> {
    if lists.is_null(row) {
        return Err(bad(&format!("a list is null: row={row}")));
    }
    let values = lists.value(row);
    if values.null_count() > 0 {
        return Err(bad(&format!("a number is null: row={row}")));
    }
    Ok(values.as_primitive::<T>().values().to_vec())
}

struct Worker {
    plan: Arc<Plan>,
    shard: Shard,
    done: Finished,
}

impl GroupWorker for Worker {
    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        self.shard.push(&rows.columns()[self.plan.first..])
    }

    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome> {
        let Shard { dictionary, own, visitors } = std::mem::take(&mut self.shard);
        let (items, n_items, info) = dictionary.ok_or_else(|| bad("the shard has no dictionary"))?;
        let sets = own.memory_bytes() + visitors.memory_bytes();
        let place_bytes = Place::bytes(&own, &visitors);
        context.reserve(self.done.memory_bytes() + sets + place_bytes)?;
        let place = Place::new(&items, &n_items, info.n_baskets, own, visitors)?;
        let held = self.done.memory_bytes() + place_bytes;
        let columns = derived(&place, &self.plan.result, held, context)?;
        Ok(Outcome { rows: self.done.push(columns), refused: false })
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        self.done.take(&self.plan.fields())
    }

    fn memory_bytes(&self) -> usize {
        self.shard.memory_bytes() + self.done.memory_bytes()
    }
}

fn derived(place: &Place, wanted: &Wanted, held: usize, context: &dyn GroupContext) -> Result<Vec<ArrayRef>> {
    match wanted {
        Wanted::Rules(options) => rules_of(DERIVE_PACKED.name, place, options, held, context),
        Wanted::Itemsets(kind) => itemsets_of(DERIVE_PACKED.name, place, *kind, held, context),
    }
}

/// The rules of a place as columns. `held`: bytes of the caller.
pub(super) fn rules_of(
    function: &str,
    place: &Place,
    options: &RuleOptions,
    held: usize,
    context: &dyn GroupContext,
) -> Result<Vec<ArrayRef>> {
    let rules = derive_all(place, options, held, context)?;
    let width = place.items.get_array_memory_size() / place.items.len().max(1);
    context.reserve(held + rules.memory_bytes() + column_bytes(&rules, width))?;
    rule_columns(function, &place.items, rules)
}

/// The itemsets of a place of a kind as columns. `held`: bytes of the caller.
pub(super) fn itemsets_of(
    function: &str,
    place: &Place,
    kind: Kind,
    held: usize,
    context: &dyn GroupContext,
) -> Result<Vec<ArrayRef>> {
    let found = keep_kind(place, kind, context)?;
    let width = place.items.get_array_memory_size() / place.items.len().max(1) + 4;
    context.reserve(held + found.memory_bytes() + found.codes.len() * width)?;
    itemset_columns(function, &place.items, found, place.n_baskets)
}
