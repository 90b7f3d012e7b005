//! `derive_rules`: association rules.  In: all frequent itemsets as one group. Out: rules with every measure of `METRICS`.

use super::columns::{check_type, element_type, integers, list_of, lists};
use super::itemset_index::{ByteHash, ItemsetIndex};
use super::metrics::{Counts, METRICS};
use super::rule_signatures::{RULE_OUTPUT, RULES};
use super::rules::{LENGTH_MAX, Rules, Wanted, derive};
use super::shard::decode;
use super::threshold::Threshold;
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome};
use crate::signature::{Class, Column, Role, Signature};
use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch, new_empty_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field};
use arrow::row::{RowConverter, SortField};
use std::collections::HashMap;
use std::sync::Arc;

/// Derives rules antecedent => consequent whose items together are one of the itemsets.
///
/// In: one group with every frequent itemset, each once, in any order. Out: one row for each rule that reaches
/// `min_confidence` and `min_lift`, itemsets in lexicographic order. Cost: one look-up for each rule tried. Errors:
/// `Data` on an itemset given twice, on a missing subset, on counts that cannot be; `Limit` on too many rules.
/// Sources: see [`super::rules`] and the rows of [`METRICS`].
pub struct DeriveRules;

const fn column(name: &'static str, role: Role, class: Class, meaning: &'static str) -> Column {
    Column { name, role, class, many: false, required: true, meaning }
}

static SIGNATURE: Signature = Signature {
    name: "derive_rules",
    summary: "association rules from all frequent itemsets",
    columns: &[
        column("shard", Role::Key, Class::Exact, "the same for all itemsets that belong together"),
        column("itemset", Role::Value, Class::Any, "a list of distinct items"),
        column("n", Role::Value, Class::Exact, "baskets that hold all of them"),
        column("n_baskets", Role::Value, Class::Exact, "baskets in all, the same on all rows"),
    ],
    tables: &[],
    params: &RULES,
    output: &RULE_OUTPUT,
};

impl GroupFunction for DeriveRules {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn is_public(&self) -> bool {
        false
    }

    fn bind(&self, input: &GroupSchema, args: &Args) -> Result<Arc<dyn BoundFunction>> {
        for at in [2, 3] {
            let field = input.schema.field(at);
            check_type(SIGNATURE.name, field, field.data_type().is_integer(), "integer")?;
        }
        let item = element_type(SIGNATURE.name, input.schema.field(1), "list of items")?;
        let ok = Class::Exact.takes(&item);
        check_type(
            SIGNATURE.name,
            input.schema.field(1),
            ok,
            "list of integers, booleans, strings, dates or decimals",
        )?;
        let wanted = Wanted {
            min_confidence: Threshold::new(args.number("min_confidence")?),
            min_lift: Threshold::new(args.number("min_lift")?),
            max_consequent: args.integer("max_consequent")? as usize,
        };
        Ok(Arc::new(Bound { item, wanted }))
    }
}

#[derive(Debug, Clone)]
struct Bound {
    item: DataType,
    wanted: Wanted,
}

impl BoundFunction for Bound {
    fn output(&self) -> Vec<Field> {
        let side = |name| Field::new(name, list_of(self.item.clone()), false);
        let mut fields = vec![side("antecedent"), side("consequent")];
        fields.extend(METRICS.iter().map(|m| Field::new(m.name, DataType::Float64, false)));
        fields.extend(COUNTS.iter().map(|(name, _)| Field::new(*name, DataType::Int64, false)));
        fields
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        Box::new(Worker { bound: self.clone(), group: None, done: Vec::new() })
    }
}

/// A whole number as an output column: its name, and where it stands.
type CountColumn = (&'static str, fn(&Counts) -> i64);

/// The whole numbers behind the measures.
const COUNTS: [CountColumn; 4] = [
    ("n_both", |c| c.both),
    ("n_antecedent", |c| c.antecedent),
    ("n_consequent", |c| c.consequent),
    ("n_baskets", |c| c.baskets),
];

struct Worker {
    bound: Bound,
    group: Option<Group>,
    /// Output of the groups since the last `take`.
    done: Vec<Vec<ArrayRef>>,
}

impl GroupWorker for Worker {
    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        if self.group.is_none() {
            self.group = Some(Group::new(&self.bound.item)?);
        }
        match &mut self.group {
            Some(group) => group.push(rows),
            None => Ok(()),
        }
    }

    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome> {
        let Some(group) = self.group.take() else {
            return Err(Error::Bug("derive_rules: a group without rows".into()));
        };
        let (dictionary, rules) = group.derive(self.bound.wanted, context)?;
        let rows = rules.counts.len();
        let items = rules.antecedents.len() + rules.consequents.len();
        let bytes = items * (dictionary.get_array_memory_size() / dictionary.len().max(1) + 4);
        let numbers = rows * 8 * (METRICS.len() + COUNTS.len());
        context.reserve(self.memory_bytes() + rules.memory_bytes() + bytes + numbers)?;
        self.done.push(columns(&dictionary, rules)?);
        Ok(Outcome { rows, refused: false })
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        if self.done.is_empty() {
            self.done.push(columns(&new_empty_array(&self.bound.item), Rules::default())?);
        }
        let done = std::mem::take(&mut self.done);
        if let [one] = &done[..] {
            return Ok(one.clone());
        }
        let column = |i: usize| Ok(concat(&done.iter().map(|columns| columns[i].as_ref()).collect::<Vec<_>>())?);
        (0..done[0].len()).map(column).collect()
    }

    fn memory_bytes(&self) -> usize {
        let done: usize = self.done.iter().flatten().map(|array| array.get_array_memory_size()).sum();
        self.group.as_ref().map_or(0, Group::memory_bytes) + done
    }
}

fn columns(dictionary: &ArrayRef, rules: Rules) -> Result<Vec<ArrayRef>> {
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(decode(SIGNATURE.name, dictionary, rules.antecedents, rules.antecedent_offsets)?),
        Arc::new(decode(SIGNATURE.name, dictionary, rules.consequents, rules.consequent_offsets)?),
    ];
    for metric in METRICS {
        columns.push(Arc::new(Float64Array::from_iter_values(rules.counts.iter().map(metric.of))));
    }
    for (_, of) in COUNTS {
        columns.push(Arc::new(Int64Array::from_iter_values(rules.counts.iter().map(of))));
    }
    Ok(columns)
}

/// The itemsets of one group, items as codes in order of arrival.
struct Group {
    converter: RowConverter,
    code_of: HashMap<Box<[u8]>, u32, ByteHash>,
    code_bytes: usize,
    codes: Vec<u32>,
    starts: Vec<usize>,
    counts: Vec<i64>,
    baskets: Option<i64>,
}

impl Group {
    fn new(item: &DataType) -> Result<Self> {
        Ok(Self {
            converter: RowConverter::new(vec![SortField::new(item.clone())])?,
            code_of: HashMap::default(),
            code_bytes: 0,
            codes: Vec::new(),
            starts: vec![0],
            counts: Vec::new(),
            baskets: None,
        })
    }

    fn memory_bytes(&self) -> usize {
        self.codes.capacity() * 4 + (self.starts.capacity() + self.counts.capacity()) * 8 + self.code_bytes
    }

    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        let itemsets = lists(SIGNATURE.name, "itemset", rows.column(1), &self.item(rows)?)?;
        self.push_codes(&itemsets)?;
        let baskets = integers(SIGNATURE.name, "n_baskets", rows.column(3))?;
        for (&n, &baskets) in integers(SIGNATURE.name, "n", rows.column(2))?.values().iter().zip(baskets.values()) {
            if n < 1 || n > baskets || *self.baskets.get_or_insert(baskets) != baskets {
                return Err(Error::Data(format!(
                    "{}: n must be from 1 to n_baskets, and n_baskets the same on all rows: n={n}, n_baskets={baskets}",
                    SIGNATURE.name
                )));
            }
            self.counts.push(n);
        }
        if self.counts.len() >= u32::MAX as usize {
            return Err(Error::Limit(format!(
                "{}: too many itemsets: raise min_support or set a smaller max_len: itemsets={}",
                SIGNATURE.name,
                self.counts.len()
            )));
        }
        Ok(())
    }

    fn item(&self, rows: &RecordBatch) -> Result<DataType> {
        element_type(SIGNATURE.name, rows.schema_ref().field(1), "list of items")
    }

    fn push_codes(&mut self, itemsets: &ListArray) -> Result<()> {
        let offsets = itemsets.value_offsets();
        let (first, last) = (offsets[0] as usize, offsets[itemsets.len()] as usize);
        let values = itemsets.values().slice(first, last - first);
        let base = self.codes.len();
        for row in &self.converter.convert_columns(&[values])? {
            let next = self.code_of.len() as u32;
            let bytes: &[u8] = row.as_ref();
            let code = match self.code_of.get(bytes) {
                Some(&code) => code,
                None => {
                    self.code_of.insert(bytes.into(), next);
                    self.code_bytes += bytes.len() + 48;
                    next
                }
            };
            self.codes.push(code);
        }
        for window in offsets.windows(2) {
            let length = (window[1] - window[0]) as usize;
            if length == 0 || length > LENGTH_MAX {
                return Err(Error::Data(format!(
                    "{}: bad itemset: items={length}, allowed=1..={LENGTH_MAX}",
                    SIGNATURE.name
                )));
            }
            self.starts.push(base + window[1] as usize - first);
        }
        Ok(())
    }

    /// The dictionary in ascending order, and the rules in codes of it.
    fn derive(mut self, wanted: Wanted, context: &dyn GroupContext) -> Result<(ArrayRef, Rules)> {
        let held = self.memory_bytes() + ItemsetIndex::bytes(self.counts.len(), self.codes.len());
        context.reserve(held)?;
        let dictionary = self.renumber()?;
        for window in self.starts.windows(2) {
            let itemset = &mut self.codes[window[0]..window[1]];
            itemset.sort_unstable();
            if itemset.windows(2).any(|w| w[0] == w[1]) {
                return Err(Error::Data(format!("{}: an itemset holds an item twice", SIGNATURE.name)));
            }
        }
        let index = ItemsetIndex::new(&self.codes, &self.starts, &self.counts).map_err(|repeated| {
            let i = repeated.0;
            Error::Data(format!(
                "{}: an itemset is given twice: items={}, n={}",
                SIGNATURE.name,
                self.starts[i + 1] - self.starts[i],
                self.counts[i]
            ))
        })?;
        let rules = derive(&index, self.baskets.unwrap_or(0), wanted, held, context)?;
        Ok((dictionary, rules))
    }

    /// Numbers the items in ascending order instead of order of arrival, and returns them in that order.
    fn renumber(&mut self) -> Result<ArrayRef> {
        let mut items: Vec<(&[u8], u32)> = self.code_of.iter().map(|(bytes, &code)| (bytes.as_ref(), code)).collect();
        items.sort_unstable();
        let mut renumbered = vec![0; items.len()];
        for (new, &(_, old)) in items.iter().enumerate() {
            renumbered[old as usize] = new as u32;
        }
        for code in &mut self.codes {
            *code = renumbered[*code as usize];
        }
        let parser = self.converter.parser();
        let mut columns = self.converter.convert_rows(items.iter().map(|&(bytes, _)| parser.parse(bytes)))?;
        columns.pop().ok_or_else(|| Error::Bug("derive_rules: no dictionary".into()))
    }
}
