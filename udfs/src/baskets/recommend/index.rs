//! Rules, found by what a basket holds.  In: a table of rules. Out: antecedents filed under one of their items, with offers.

use super::super::columns::{element_type, list_of, lists, no_nulls};
use super::{RULES, SIGNATURE, too_many};
use crate::error::{Error, Result};
use crate::signature::Class;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, RecordBatch};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Float64Type};
use arrow::row::{RowConverter, SortField};
use std::cmp::Ordering;
use std::collections::HashMap;

/// An item that a rule leads to. Items are codes in the order of the dictionary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Offer {
    pub(super) score: f64,
    pub(super) lift: f64,
    pub(super) item: u32,
    /// Number of the antecedent: antecedents ascend in lexicographic order.
    pub(super) antecedent: u32,
    /// Items in the antecedent.
    size: u32,
}

impl Offer {
    /// The order in which offers are recommended; among offers of one item the first is the one that counts.
    pub(super) fn ranking(&self, other: &Self) -> Ordering {
        let measures = other.score.total_cmp(&self.score).then(other.lift.total_cmp(&self.lift));
        let antecedents = measures.then(other.size.cmp(&self.size));
        antecedents.then(self.item.cmp(&other.item)).then(self.antecedent.cmp(&other.antecedent))
    }
}

/// What an antecedent leads to.
#[derive(Debug, Clone, Copy)]
struct Lead {
    score: f64,
    lift: f64,
    item: u32,
}

/// All rules, each antecedent once.
pub(super) struct RuleIndex {
    items: Items,
    /// Items of all antecedents, ascending within each, one antecedent after the other.
    antecedents: Vec<u32>,
    /// Where each antecedent ends in `antecedents`, and its leads in `leads`.
    ends: Vec<(u32, u32)>,
    /// What the antecedents lead to: each item once, by its best rule; the best first within an antecedent.
    leads: Vec<Lead>,
    /// Numbers of the antecedents filed under each item, one item after the other.
    filed: Vec<u32>,
    /// Where those of each item end in `filed`.
    filed_ends: Vec<u32>,
}

impl RuleIndex {
    /// Errors: `Data` on what the table must not hold, `Limit` on more items than 32 bits number.
    pub(super) fn new(rows: &RecordBatch, item: &DataType) -> Result<Self> {
        let table = RuleTable::read(rows, item)?;
        let (items, mut antecedents, consequents) = Items::number(&table.antecedents, &table.consequents, item)?;
        let starts = table.antecedents.value_offsets();
        let mut sets: Vec<&[u32]> = Vec::with_capacity(rows.num_rows());
        let mut rest = antecedents.as_mut_slice();
        for range in starts.windows(2) {
            let (set, others) = std::mem::take(&mut rest).split_at_mut((range[1] - range[0]) as usize);
            sets.push(sorted_once(set));
            rest = others;
        }
        let mut index =
            Self { items, antecedents: vec![], ends: vec![], leads: vec![], filed: vec![], filed_ends: vec![] };
        let mut order: Vec<u32> = (0..sets.len() as u32).collect();
        order.sort_unstable_by_key(|&rule| sets[rule as usize]);
        for alike in order.chunk_by(|&a, &b| sets[a as usize] == sets[b as usize]) {
            index.add(sets[alike[0] as usize], table.leads(alike, &consequents))?;
        }
        index.antecedents.shrink_to_fit();
        index.leads.shrink_to_fit();
        index.file();
        Ok(index)
    }

    /// Adds an antecedent with all that it leads to, of each item the best only.
    fn add(&mut self, antecedent: &[u32], mut leads: Vec<Lead>) -> Result<()> {
        leads.sort_unstable_by(|a, b| {
            a.item.cmp(&b.item).then(b.score.total_cmp(&a.score)).then(b.lift.total_cmp(&a.lift))
        });
        leads.dedup_by_key(|lead| lead.item);
        leads.sort_unstable_by(|a, b| {
            b.score.total_cmp(&a.score).then(b.lift.total_cmp(&a.lift)).then(a.item.cmp(&b.item))
        });
        self.antecedents.extend_from_slice(antecedent);
        self.leads.append(&mut leads);
        let end = |length: usize| u32::try_from(length).map_err(|_| too_many("table of rules", self.ends.len()));
        self.ends.push((end(self.antecedents.len())?, end(self.leads.len())?));
        Ok(())
    }

    /// Files each antecedent under that of its items which the fewest antecedents hold.
    fn file(&mut self) {
        let mut held_by = vec![0u32; self.n_items()];
        for &item in &self.antecedents {
            held_by[item as usize] += 1;
        }
        let rarest = |set: &[u32]| set.iter().copied().min_by_key(|&item| (held_by[item as usize], item));
        let numbers = 0..self.ends.len() as u32;
        let mut filed: Vec<(u32, u32)> =
            numbers.filter_map(|number| Some((rarest(self.antecedent(number))?, number))).collect();
        filed.sort_unstable();
        self.filed_ends = vec![0; self.n_items()];
        for &(item, _) in &filed {
            self.filed_ends[item as usize] += 1;
        }
        let mut end = 0;
        for place in &mut self.filed_ends {
            end += *place;
            *place = end;
        }
        self.filed = filed.into_iter().map(|(_, number)| number).collect();
    }

    /// How many items the rules name.
    pub(super) fn n_items(&self) -> usize {
        self.items.dictionary.len()
    }

    /// The items that the rules name, ascending.
    pub(super) fn dictionary(&self) -> &ArrayRef {
        &self.items.dictionary
    }

    /// The number of the antecedent without items, to which every basket answers, if there is one.
    pub(super) fn empty_antecedent(&self) -> Option<u32> {
        self.ends.first().filter(|(end, _)| *end == 0).map(|_| 0)
    }

    /// Numbers of the antecedents filed under an item.
    pub(super) fn filed_under(&self, item: u32) -> &[u32] {
        let start = if item == 0 { 0 } else { self.filed_ends[item as usize - 1] };
        &self.filed[start as usize..self.filed_ends[item as usize] as usize]
    }

    fn starts(&self, antecedent: u32) -> (u32, u32) {
        if antecedent == 0 { (0, 0) } else { self.ends[antecedent as usize - 1] }
    }

    /// Items of an antecedent, ascending.
    pub(super) fn antecedent(&self, antecedent: u32) -> &[u32] {
        &self.antecedents[self.starts(antecedent).0 as usize..self.ends[antecedent as usize].0 as usize]
    }

    /// What an antecedent leads to, the best first.
    pub(super) fn offers(&self, antecedent: u32) -> impl Iterator<Item = Offer> + '_ {
        let size = self.antecedent(antecedent).len() as u32;
        let leads = &self.leads[self.starts(antecedent).1 as usize..self.ends[antecedent as usize].1 as usize];
        leads.iter().map(move |&Lead { score, lift, item }| Offer { score, lift, item, antecedent, size })
    }

    /// Calls `each` with the code of every value of `column` that some rule names. Errors: `Data` on nulls.
    pub(super) fn known_items(&self, column: &ArrayRef, mut each: impl FnMut(u32)) -> Result<()> {
        no_nulls(SIGNATURE.name, "item", column)?;
        for row in &self.items.converter.convert_columns(std::slice::from_ref(column))? {
            if let Some(&code) = self.items.code_of.get(row.as_ref()) {
                each(code);
            }
        }
        Ok(())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let words = self.antecedents.capacity() + 2 * self.ends.capacity() + self.filed.capacity();
        let leads = self.leads.capacity() * size_of::<Lead>();
        4 * (words + self.filed_ends.capacity()) + leads + self.items.memory_bytes()
    }
}

/// Sorts `set` and moves what is in it twice behind the part that comes back.
fn sorted_once(set: &mut [u32]) -> &[u32] {
    set.sort_unstable();
    let mut kept = 0;
    for at in 0..set.len() {
        if at == 0 || set[at] != set[kept - 1] {
            set[kept] = set[at];
            kept += 1;
        }
    }
    &set[..kept]
}

/// The columns of the table, checked.
struct RuleTable {
    antecedents: ListArray,
    consequents: ListArray,
    confidence: Float64Array,
    lift: Float64Array,
}

impl RuleTable {
    fn read(rows: &RecordBatch, item: &DataType) -> Result<Self> {
        let table = Self {
            antecedents: item_lists(rows, "antecedent", item)?,
            consequents: item_lists(rows, "consequent", item)?,
            confidence: measure(rows, "confidence")?,
            lift: measure(rows, "lift")?,
        };
        match table.consequents.value_offsets().windows(2).position(|range| range[0] == range[1]) {
            None => Ok(table),
            Some(row) => Err(Error::Data(format!(
                "{}: a rule without consequent recommends nothing: filter it from the rules: row={row}",
                SIGNATURE.name
            ))),
        }
    }

    /// What the rules `alike`, which share their antecedent, lead to.
    fn leads(&self, alike: &[u32], consequents: &[u32]) -> Vec<Lead> {
        let starts = self.consequents.value_offsets();
        let mut leads = Vec::with_capacity(alike.len());
        for &rule in alike {
            let rule = rule as usize;
            // Zero has two signs, which are one score.
            let (score, lift) = (self.confidence.value(rule) + 0.0, self.lift.value(rule) + 0.0);
            let items = &consequents[starts[rule] as usize..starts[rule + 1] as usize];
            leads.extend(items.iter().map(|&item| Lead { score, lift, item }));
        }
        leads
    }
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    rows.column_by_name(name)
        .ok_or_else(|| Error::Bug(format!("{}: no such column: table={RULES}, name={name}", SIGNATURE.name)))
}

/// A column of lists as lists of the baskets' item type, offsets from 0.
fn item_lists(rows: &RecordBatch, name: &str, item: &DataType) -> Result<ListArray> {
    let column = column(rows, name)?;
    let given = element_type(SIGNATURE.name, rows.schema_ref().field_with_name(name)?, "list of items")?;
    let both = |class: Class| class.takes(&given) && class.takes(item);
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let same = given == *item || both(Class::Integer) || both(Class::Text);
    let cast = same.then(|| cast_with_options(column, &list_of(item.clone()), &strict)).transpose();
    let Ok(Some(cast)) = cast else {
        let why = cast.err().map_or_else(String::new, |e| format!(", {e}"));
        return Err(Error::Data(format!(
            "{}: items of rules are not of the type of the baskets' items: CAST one side to the other's type: column={name}, \
             rules={given}, baskets={item}{why}",
            SIGNATURE.name
        )));
    };
    let lists = lists(SIGNATURE.name, name, &cast, item)?;
    let (first, last) = (lists.value_offsets()[0], lists.value_offsets()[lists.len()]);
    if first == 0 && last as usize == lists.values().len() {
        return Ok(lists);
    }
    let (_, offsets, values, _) = lists.into_parts();
    let (field, offsets) = (item_field(item), offsets.iter().map(|end| end - first).collect::<Vec<_>>());
    let values = values.slice(first as usize, (last - first) as usize);
    Ok(ListArray::try_new(field, arrow::buffer::OffsetBuffer::new(offsets.into()), values, None)?)
}

fn item_field(item: &DataType) -> arrow::datatypes::FieldRef {
    std::sync::Arc::new(arrow::datatypes::Field::new_list_field(item.clone(), true))
}

/// A column of numbers. Errors: `Data` on nulls and on what is no number.
fn measure(rows: &RecordBatch, name: &str) -> Result<Float64Array> {
    let column = column(rows, name)?;
    no_nulls(SIGNATURE.name, name, column)?;
    let numbers = cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().clone();
    match numbers.values().iter().position(|x| x.is_nan()) {
        None => Ok(numbers),
        Some(row) => Err(Error::Data(format!(
            "{}: a rule cannot be ranked by NaN: filter it from the rules: column={name}, row={row}",
            SIGNATURE.name
        ))),
    }
}

/// The items that rules name, as codes in ascending order.
struct Items {
    converter: RowConverter,
    code_of: HashMap<Box<[u8]>, u32>,
    dictionary: ArrayRef,
    bytes: usize,
}

/// Rough size of an entry of the table of codes besides its text.
const ENTRY_BYTES: usize = 48;

impl Items {
    /// The items of both columns, and both columns' values as codes.
    fn number(antecedents: &ListArray, consequents: &ListArray, item: &DataType) -> Result<(Self, Vec<u32>, Vec<u32>)> {
        let converter = RowConverter::new(vec![SortField::new(item.clone())])?;
        let mut code_of: HashMap<Box<[u8]>, u32> = HashMap::new();
        let mut arrivals = |lists: &ListArray| -> Result<Vec<u32>> {
            let mut codes = Vec::with_capacity(lists.values().len());
            for row in &converter.convert_columns(std::slice::from_ref(lists.values()))? {
                let next = code_of.len() as u32;
                codes.push(match code_of.get(row.as_ref()) {
                    Some(&code) => code,
                    None => *code_of.entry(row.as_ref().into()).or_insert(next),
                });
            }
            Ok(codes)
        };
        let (mut left, mut right) = (arrivals(antecedents)?, arrivals(consequents)?);
        let mut ascending: Vec<(&[u8], u32)> = code_of.iter().map(|(text, &code)| (text.as_ref(), code)).collect();
        ascending.sort_unstable();
        let mut renumbered = vec![0; ascending.len()];
        for (code, &(_, arrival)) in (0..).zip(&ascending) {
            renumbered[arrival as usize] = code;
        }
        let parser = converter.parser();
        let dictionary = converter.convert_rows(ascending.iter().map(|&(text, _)| parser.parse(text)))?.pop();
        let dictionary = dictionary.ok_or_else(|| Error::Bug(format!("{}: no dictionary", SIGNATURE.name)))?;
        left.iter_mut().chain(&mut right).chain(code_of.values_mut()).for_each(|c| *c = renumbered[*c as usize]);
        let texts: usize = code_of.keys().map(|text| text.len() + ENTRY_BYTES).sum();
        let bytes = texts + dictionary.get_array_memory_size();
        Ok((Self { converter, code_of, dictionary, bytes }, left, right))
    }

    fn memory_bytes(&self) -> usize {
        self.bytes
    }
}
