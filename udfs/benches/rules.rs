//! Rules a second, itemsets in memory to Arrow columns, one thread.  In: all subsets of 17 items. Out: time, rules.
//!
//! `cargo bench -p lakecast-udfs --bench rules`. 131,071 itemsets, 1,114,095 rules with one item on the right, all measures.
//! The counts fall with the size as in dense data, so that Fisher's p sums few terms; `near_independence` has rules whose p
//! sums many.

#![expect(clippy::unwrap_used, reason = "what is measured is built here and known to fit")]

use arrow::array::{ArrayRef, Int8Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Field, Schema};
use divan::counter::ItemsCount;
use lakecast_udfs::args::Args;
use lakecast_udfs::baskets::DerivePacked;
use lakecast_udfs::functions::{BoundFunction, GroupFunction, GroupSchema, Unlimited};
use serde_json::json;
use std::sync::Arc;

const ITEMS: u32 = 17;
const RULES: usize = (ITEMS as usize) * (1 << (ITEMS - 1)) - ITEMS as usize;
const BASKETS: i64 = 100_000;

fn main() {
    divan::main();
}

fn lists(values: ArrayRef, lengths: [usize; 2]) -> ArrayRef {
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(lengths), values, None))
}

/// The dictionary and one row of all itemsets, of which `share` of those of a size hold another item.
fn rows(share: f64) -> RecordBatch {
    let (mut codes, mut ends, mut counts) = (vec![], vec![], vec![]);
    for mask in 1u32..1 << ITEMS {
        codes.extend((0..ITEMS).filter(|i| mask >> i & 1 == 1));
        ends.push(codes.len() as u32);
        counts.push((BASKETS as f64 * 0.8 * share.powi(mask.count_ones() as i32 - 1)) as i64);
    }
    let n = [0, ends.len()];
    let n_codes = [0, codes.len()];
    let dictionary = [ITEMS as usize, 0];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("shard", Arc::new(Int64Array::from(vec![0, 0]))),
        ("kind", Arc::new(Int8Array::from(vec![0, 1]))),
        ("codes", lists(Arc::new(UInt32Array::from(codes)), n_codes)),
        ("ends", lists(Arc::new(UInt32Array::from(ends)), n)),
        ("counts", lists(Arc::new(Int64Array::from(counts)), n)),
        ("items", lists(Arc::new(Int32Array::from_iter_values(0..ITEMS as i32)), dictionary)),
        ("n_items", lists(Arc::new(Int64Array::from(vec![BASKETS * 8 / 10; ITEMS as usize])), dictionary)),
        ("info", Arc::new(StringArray::from(vec![Some(r#"{"n_baskets":100000,"min_count":1}"#), None]))),
    ];
    let fields: Vec<Field> = columns.iter().map(|(name, c)| Field::new(*name, c.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, c)| c).collect()).unwrap()
}

fn bound(rows: &RecordBatch) -> Arc<dyn BoundFunction> {
    let args =
        Args::check(DerivePacked.signature(), json!({"min_confidence": 0}).as_object().unwrap().clone()).unwrap();
    DerivePacked.bind(&GroupSchema::new(rows.schema(), 1, 0), &args).unwrap()
}

fn derive(bencher: divan::Bencher<'_, '_>, share: f64) {
    let rows = rows(share);
    let bound = bound(&rows);
    bencher.counter(ItemsCount::new(RULES)).bench_local(|| {
        let mut worker = bound.worker();
        worker.push(&rows).unwrap();
        assert_eq!(worker.finish(&Unlimited).unwrap().rows, RULES);
        worker.take().unwrap()
    });
}

/// Sides that come together far more often than by chance.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn far_from_independence(bencher: divan::Bencher<'_, '_>) {
    derive(bencher, 0.95);
}

/// Sides that come together as often as by chance.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn near_independence(bencher: divan::Bencher<'_, '_>) {
    derive(bencher, 0.8);
}
