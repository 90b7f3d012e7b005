//! Found itemsets as columns.  In: itemsets in ranks, the items of the ranks. Out: the columns of `frequent_itemsets`, or
//! packed rows for the rule shards.

use super::columns::list_of;
use super::itemsets::Itemsets;
use super::shard::decode;
use crate::error::{Error, Result};
use arrow::array::{
    Array, ArrayRef, Float64Array, Int8Array, Int32Array, Int64Array, ListArray, StringArray, UInt32Array,
    new_empty_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{concat, sort_to_indices, take};
use arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Kind of a packed row: the dictionary of items.
pub(super) const DICTIONARY: i8 = 0;

/// Kind of a packed row: itemsets whose rarest item belongs to the shard.
pub(super) const OWN: i8 = 1;

/// Kind of a packed row: itemsets whose second-rarest item belongs to the shard, the rarest last.
pub(super) const VISITORS: i8 = 2;

/// The columns of `frequent_itemsets` over items of type `item`, without the segment.
pub(super) fn itemset_fields(item: &DataType) -> Vec<Field> {
    vec![
        Field::new("itemset", list_of(item.clone()), false),
        Field::new("len", DataType::Int32, false),
        Field::new("support", DataType::Float64, false),
        Field::new("n", DataType::Int64, false),
        Field::new("n_baskets", DataType::Int64, false),
    ]
}

/// Itemsets in the columns of [`itemset_fields`], items ascending within each. `items`: by rank.
pub(super) fn itemset_columns(
    function: &str,
    items: &ArrayRef,
    found: Itemsets,
    n_baskets: i64,
) -> Result<Vec<ArrayRef>> {
    let (sorted, place) = ascending(items)?;
    let Itemsets { mut codes, offsets, counts, .. } = found;
    let len = Int32Array::from_iter_values(offsets.windows(2).map(|w| w[1] - w[0]));
    codes.iter_mut().for_each(|code| *code = place[*code as usize]);
    offsets.windows(2).for_each(|w| codes[w[0] as usize..w[1] as usize].sort_unstable());
    let support = Float64Array::from_iter_values(counts.iter().map(|&n| n as f64 / n_baskets as f64));
    let total = Int64Array::from_value(n_baskets, counts.len());
    let itemset = decode(function, &sorted, codes, offsets)?;
    Ok(vec![Arc::new(itemset), Arc::new(len), Arc::new(support), Arc::new(Int64Array::from(counts)), Arc::new(total)])
}

/// Items in ascending order, and the place of each rank there.
pub(super) fn ascending(items: &ArrayRef) -> Result<(ArrayRef, Vec<u32>)> {
    let order = sort_to_indices(items, None, None)?;
    let mut place = vec![0; items.len()];
    order.values().iter().enumerate().for_each(|(at, &rank)| place[rank as usize] = at as u32);
    Ok((take(items, &order, None)?, place))
}

/// What a dictionary row carries beside the items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DictionaryInfo {
    /// Weight of all baskets.
    pub(super) n_baskets: i64,
    /// Smallest weight of a frequent itemset.
    pub(super) min_count: i64,
}

/// The columns of the packed rows over items of type `item`.
pub(super) fn packed_fields(item: &DataType) -> Vec<Field> {
    let list = |name: &str, kind: DataType| Field::new(name, list_of(kind), true);
    vec![
        Field::new("shard", DataType::Int64, false),
        Field::new("kind", DataType::Int8, false),
        list("codes", DataType::UInt32),
        list("ends", DataType::UInt32),
        list("counts", DataType::Int64),
        list("items", item.clone()),
        list("n_items", DataType::Int64),
        Field::new("info", DataType::Utf8, true),
    ]
}

/// The dictionary for every one of `shards`.
pub(super) fn dictionary_rows(
    items: &ArrayRef,
    n_items: &[i64],
    info: DictionaryInfo,
    shards: usize,
) -> Result<Vec<ArrayRef>> {
    let info = serde_json::to_string(&info).map_err(|e| Error::Bug(format!("info: {e}")))?;
    let n_items: ArrayRef = Arc::new(Int64Array::from(n_items.to_vec()));
    let none = |kind: DataType| lists(new_empty_array(&kind), &vec![0; shards], false);
    let each = |values: &ArrayRef| -> Result<ArrayRef> {
        let all = vec![values.as_ref(); shards];
        lists(concat(&all)?, &vec![values.len(); shards], true)
    };
    Ok(vec![
        Arc::new(Int64Array::from_iter_values(0..shards as i64)),
        Arc::new(Int8Array::from_value(DICTIONARY, shards)),
        none(DataType::UInt32)?,
        none(DataType::UInt32)?,
        none(DataType::Int64)?,
        each(items)?,
        each(&n_items)?,
        Arc::new(StringArray::from(vec![info; shards])),
    ])
}

/// Itemsets for the shards of their rarest item, and, as visitors, for those of their second-rarest: the rules, closed and
/// maximal itemsets that an itemset has a say in are settled in these two places. `item`: type of the items.
pub(super) fn packed_rows(found: &Itemsets, shards: usize, item: &DataType) -> Result<Vec<ArrayRef>> {
    let mut rows: Vec<Row> = (0..2 * shards).map(|_| Row::default()).collect();
    for i in 0..found.len() {
        let ranks = found.items(i);
        let [.., second, rarest] = ranks else {
            if let [rarest] = ranks {
                rows[*rarest as usize % shards * 2].push(ranks, found.counts[i]);
            }
            continue;
        };
        rows[*rarest as usize % shards * 2].push(ranks, found.counts[i]);
        rows[*second as usize % shards * 2 + 1].push(ranks, found.counts[i]);
    }
    let of = |at: usize| (at as i64 / 2, if at.is_multiple_of(2) { OWN } else { VISITORS });
    let numbered = rows.into_iter().enumerate().filter(|(_, row)| !row.ends.is_empty());
    let (numbers, rows): (Vec<(i64, i8)>, Vec<Row>) = numbered.map(|(at, row)| (of(at), row)).unzip();
    let n = rows.len();
    let itemsets: Vec<usize> = rows.iter().map(|row| row.ends.len()).collect();
    let ranks: Vec<usize> = rows.iter().map(|row| row.codes.len()).collect();
    let ends = UInt32Array::from_iter_values(rows.iter().flat_map(|row| row.ends.iter().copied()));
    let counts = Int64Array::from_iter_values(rows.iter().flat_map(|row| row.counts.iter().copied()));
    let codes = UInt32Array::from_iter_values(rows.iter().flat_map(|row| row.codes.iter().copied()));
    let none = |kind: &DataType| lists(new_empty_array(kind), &vec![0; n], false);
    Ok(vec![
        Arc::new(Int64Array::from_iter_values(numbers.iter().map(|(shard, _)| *shard))),
        Arc::new(Int8Array::from_iter_values(numbers.iter().map(|(_, kind)| *kind))),
        lists(Arc::new(codes), &ranks, true)?,
        lists(Arc::new(ends), &itemsets, true)?,
        lists(Arc::new(counts), &itemsets, true)?,
        none(item)?,
        none(&DataType::Int64)?,
        Arc::new(StringArray::new_null(n)),
    ])
}

/// Itemsets of one packed row.
#[derive(Default)]
struct Row {
    codes: Vec<u32>,
    ends: Vec<u32>,
    counts: Vec<i64>,
}

impl Row {
    fn push(&mut self, ranks: &[u32], count: i64) {
        self.codes.extend_from_slice(ranks);
        self.ends.push(self.codes.len() as u32);
        self.counts.push(count);
    }
}

/// Lists of these lengths over `values`, all null or none.
fn lists(values: ArrayRef, lengths: &[usize], there: bool) -> Result<ArrayRef> {
    if lengths.iter().sum::<usize>() > i32::MAX as usize {
        return Err(Error::Limit(format!(
            "the itemsets of a task do not fit in a column: use more shards: items={}",
            values.len()
        )));
    }
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    let nulls = if there { None } else { Some(NullBuffer::new_null(lengths.len())) };
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    Ok(Arc::new(ListArray::try_new(field, offsets, values, nulls)?))
}
