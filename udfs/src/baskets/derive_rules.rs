//! `derive_rules`: association rules.  In: all frequent itemsets as one group. Out: rules with every measure of `METRICS`.

use super::columns::{check_type, element_type, integers, lists};
use super::derive_packed::rules_of;
use super::itemset_index::ByteHash;
use super::rule_signatures::{RULE_OUTPUT, RULES};
use super::rules::options::RuleOptions;
use super::rules::{LENGTH_MAX, Rules, rule_columns, rule_fields};
use super::sets::{Place, Sets};
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome};
use crate::signature::{Class, Column, Role, Signature};
use arrow::array::{Array, ArrayRef, ListArray, RecordBatch, new_empty_array};
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
/// Sources: see [`super::rules`] and the rows of [`super::metrics::METRICS`].
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
        Ok(Arc::new(Bound { item, wanted: Arc::new(RuleOptions::from_args(SIGNATURE.name, args)?) }))
    }
}

#[derive(Debug, Clone)]
struct Bound {
    item: DataType,
    wanted: Arc<RuleOptions>,
}

impl BoundFunction for Bound {
    fn output(&self) -> Vec<Field> {
        rule_fields(&self.item)
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        Box::new(Worker { bound: self.clone(), group: None, done: Vec::new() })
    }
}

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
        let columns = group.derive(&self.bound.wanted, self.memory_bytes(), context)?;
        let rows = columns.first().map_or(0, |column| column.len());
        self.done.push(columns);
        Ok(Outcome { rows, refused: false })
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        if self.done.is_empty() {
            self.done.push(rule_columns(SIGNATURE.name, &new_empty_array(&self.bound.item), Rules::default())?);
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

    /// The rules as columns. `done`: bytes of the caller.
    fn derive(mut self, wanted: &RuleOptions, done: usize, context: &dyn GroupContext) -> Result<Vec<ArrayRef>> {
        let items = self.renumber()?;
        let own = Sets { codes: self.codes, ends: self.starts.split_off(1), counts: self.counts };
        let held = done + self.code_bytes + Place::bytes(&own, &Sets::default());
        context.reserve(held + own.memory_bytes())?;
        let mut n_items = vec![0; items.len()];
        for i in 0..own.len() {
            if let [item] = own.items(i) {
                n_items[*item as usize] = own.counts[i];
            }
        }
        let place = Place::new(&items, &n_items, self.baskets.unwrap_or(0), own, Sets::default())?;
        if place.n_items.contains(&0) {
            return Err(Error::Data(format!(
                "{}: a subset of an itemset is missing: the input must hold every subset of every itemset: subset=1",
                SIGNATURE.name
            )));
        }
        rules_of(SIGNATURE.name, &place, wanted, held, context)
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
