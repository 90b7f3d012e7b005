//! Rules of found itemsets, all measures.  In: itemsets over ranks. Out: rules and the CPU seconds that they took.

use crate::rows::{Failure, cpu_seconds};
use arrow::array::{ArrayRef, Int8Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Field, Schema};
use lakecast_udfs::args::Args;
use lakecast_udfs::baskets::DerivePacked;
use lakecast_udfs::baskets::itemsets::Itemsets;
use lakecast_udfs::functions::{GroupFunction, GroupSchema, Unlimited};
use serde_json::json;
use std::sync::Arc;

/// Rules with one item on the right, of `n_items` items in `n_baskets` baskets; the best of `rounds`.
pub(crate) fn derive(
    found: &Itemsets,
    n_items: usize,
    n_baskets: usize,
    confidence: f64,
    rounds: usize,
) -> Result<(usize, f64), Failure> {
    let rows = packed(found, n_items, n_baskets)?;
    let args = json!({"min_confidence": confidence}).as_object().cloned().unwrap_or_default();
    let args = Args::check(DerivePacked.signature(), args)?;
    let bound = DerivePacked.bind(&GroupSchema::new(rows.schema(), 1, 0), &args)?;
    let (mut rules, mut best) = (0, f64::MAX);
    for _ in 0..rounds {
        let start = cpu_seconds()?;
        let mut worker = bound.worker();
        worker.push(&rows)?;
        rules = worker.finish(&Unlimited)?.rows;
        std::hint::black_box(worker.take()?);
        best = best.min(cpu_seconds()? - start);
    }
    Ok((rules, best))
}

/// What `mine_tasks` sends to one shard: the dictionary, and all itemsets in a row.
fn packed(found: &Itemsets, n_items: usize, n_baskets: usize) -> Result<RecordBatch, Failure> {
    let mut counts = vec![0i64; n_items];
    for at in 0..found.len() {
        if let [item] = found.items(at) {
            counts[*item as usize] = found.counts[at];
        }
    }
    let codes = UInt32Array::from_iter_values((0..found.len()).flat_map(|at| found.items(at).iter().copied()));
    let mut end = 0;
    let ends = UInt32Array::from_iter_values((0..found.len()).map(|at| {
        end += found.items(at).len() as u32;
        end
    }));
    let (all, ranks, dictionary) = ([0, found.len()], [0, codes.len()], [n_items, 0]);
    let info = json!({"n_baskets": n_baskets, "min_count": 1}).to_string();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("shard", Arc::new(Int64Array::from(vec![0, 0]))),
        ("kind", Arc::new(Int8Array::from(vec![0, 1]))),
        ("codes", lists(Arc::new(codes), ranks)),
        ("ends", lists(Arc::new(ends), all)),
        ("counts", lists(Arc::new(Int64Array::from_iter_values(found.counts.iter().copied())), all)),
        ("items", lists(Arc::new(Int32Array::from_iter_values(0..n_items as i32)), dictionary)),
        ("n_items", lists(Arc::new(Int64Array::from(counts)), dictionary)),
        ("info", Arc::new(StringArray::from(vec![Some(info), None]))),
    ];
    let fields: Vec<Field> = columns.iter().map(|(name, c)| Field::new(*name, c.data_type().clone(), true)).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, c)| c).collect())?)
}

fn lists(values: ArrayRef, lengths: [usize; 2]) -> ArrayRef {
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(lengths), values, None))
}
