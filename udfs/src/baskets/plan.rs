//! The relational plan around the kernels, in plain Rust, for tests.  In: baskets. Out: itemsets and rules in Arrow.

use super::{BasketPrefixes, DeriveRules, MineShard};
use crate::args::Args;
use crate::functions::{BoundFunction, GroupFunction, GroupSchema, Unlimited};
use arrow::array::{Array, ArrayRef, AsArray, Int8Array, Int64Array, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// How a run is cut and shuffled; none of it may change the answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) shards: usize,
    pub(super) batch: usize,
    pub(super) seed: u64,
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

pub(super) fn bind(
    function: &dyn GroupFunction,
    schema: &Arc<Schema>,
    args: Value,
) -> crate::Result<Arc<dyn BoundFunction>> {
    let signature = function.signature();
    let args = Args::from_json(&Args::check(signature, object(args))?.to_json())?;
    let role = |r| signature.columns.iter().filter(|c| c.role == r).count();
    let (keys, order) = (role(crate::signature::Role::Key), role(crate::signature::Role::Order));
    function.bind(&GroupSchema::new(Arc::clone(schema), keys, order), &args)
}

/// Runs a bound function over groups, each a list of batches.
pub(super) fn run(
    bound: &dyn BoundFunction,
    groups: impl IntoIterator<Item = Vec<RecordBatch>>,
) -> crate::Result<RecordBatch> {
    let schema = Arc::new(Schema::new(bound.output()));
    let mut worker = bound.worker();
    let mut out = vec![RecordBatch::try_new(Arc::clone(&schema), worker.take()?)?];
    let mut rows = 0;
    for (number, group) in groups.into_iter().enumerate() {
        for batch in group.iter().filter(|b| b.num_rows() > 0) {
            worker.push(batch)?;
        }
        rows += worker.finish(&Unlimited)?.rows;
        if number % 3 == 2 {
            out.push(RecordBatch::try_new(Arc::clone(&schema), worker.take()?)?);
        }
    }
    out.push(RecordBatch::try_new(Arc::clone(&schema), worker.take()?)?);
    let out = concat_batches(&schema, &out)?;
    assert_eq!(out.num_rows(), rows, "rows that `finish` announced");
    Ok(out)
}

pub(super) fn slices(batch: &RecordBatch, rows: usize) -> Vec<RecordBatch> {
    (0..batch.num_rows()).step_by(rows).map(|at| batch.slice(at, rows.min(batch.num_rows() - at))).collect()
}

fn shuffle<T>(rows: &mut [T], seed: u64) {
    let mut state = seed;
    for i in (1..rows.len()).rev() {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        rows.swap(i, (state >> 33) as usize % (i + 1));
    }
}

pub(super) fn shard_schema(item: &DataType) -> Arc<Schema> {
    Arc::new(Schema::new(vec![
        Field::new("shard", DataType::Int64, false),
        Field::new("kind", DataType::Int8, false),
        Field::new("rank", DataType::Int64, true),
        Field::new("item", item.clone(), true),
        Field::new("n_item", DataType::Int64, true),
        Field::new("pieces", DataType::Int64, true),
        Field::new("min_count", DataType::Int64, true),
        Field::new("n_baskets", DataType::Int64, true),
        Field::new("prefix", super::columns::list_of(DataType::UInt32), true),
        Field::new("weight", DataType::Int64, true),
    ]))
}

/// Into how many pieces a rank is cut: some into none, some into several, up to one for each shard.
fn pieces(rank: i64, layout: Layout) -> i64 {
    match (rank + layout.seed as i64 % 3).rem_euclid(3) {
        0 => 1,
        1 => (layout.shards as i64).min(3),
        _ => layout.shards as i64,
    }
}

/// The rows that reach `mine_shard`, by shard. Baskets hold positions in `items`.
pub(super) fn shard_rows(
    baskets: &[Vec<u32>],
    items: &ArrayRef,
    min_count: i64,
    layout: Layout,
) -> crate::Result<Vec<Vec<RecordBatch>>> {
    let mut n = vec![0i64; items.len()];
    baskets.iter().flatten().for_each(|&i| n[i as usize] += 1);
    let mut f_list: Vec<u32> = (0..items.len() as u32).filter(|&i| n[i as usize] >= min_count).collect();
    f_list.sort_by_key(|&i| (-n[i as usize], i));
    let mut rank = vec![None; items.len()];
    f_list.iter().enumerate().for_each(|(r, &i)| rank[i as usize] = Some(r as i64));

    let ranked = Arc::new(Schema::new(vec![
        Field::new("basket", DataType::Int64, false),
        Field::new("rank", DataType::Int64, false),
        Field::new("pieces", DataType::Int64, false),
    ]));
    let mut order: Vec<usize> = (0..baskets.len()).collect();
    shuffle(&mut order, layout.seed);
    let groups = order.iter().filter_map(|&b| {
        let mut ranks: Vec<i64> = baskets[b].iter().filter_map(|&i| rank[i as usize]).collect();
        ranks.sort();
        let cut: Vec<i64> = ranks.iter().map(|&rank| pieces(rank, layout)).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![b as i64; ranks.len()])),
            Arc::new(Int64Array::from(ranks)),
            Arc::new(Int64Array::from(cut)),
        ];
        let rows = RecordBatch::try_new(Arc::clone(&ranked), columns).unwrap();
        (rows.num_rows() > 0).then(|| slices(&rows, layout.batch))
    });
    let bound = bind(&BasketPrefixes, &ranked, json!({"shards": layout.shards}))?;
    let prefixes = run(bound.as_ref(), groups)?;

    let schema = shard_schema(items.data_type());
    let mut rows_of = vec![Vec::new(); layout.shards];
    for (row, &shard) in prefixes.column(0).as_primitive::<Int64Type>().values().iter().enumerate() {
        rows_of[shard as usize].push(row as u32);
    }
    let all: Vec<u32> = f_list.clone();
    let shards = rows_of.into_iter().enumerate().map(|(shard, mut rows)| {
        let mut entries: Vec<usize> = (0..all.len()).collect();
        shuffle(&mut entries, layout.seed ^ 1);
        shuffle(&mut rows, layout.seed ^ 2);
        let numbers = |of: &dyn Fn(usize) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from(entries.iter().map(|&r| of(r)).collect::<Vec<_>>()))
        };
        let positions = UInt32Array::from(entries.iter().map(|&r| all[r]).collect::<Vec<_>>());
        let dictionary: Vec<ArrayRef> = vec![
            numbers(&|_| shard as i64),
            Arc::new(Int8Array::from(vec![0; all.len()])),
            numbers(&|r| r as i64),
            take(items, &positions, None)?,
            numbers(&|r| n[all[r] as usize]),
            numbers(&|r| pieces(r as i64, layout)),
            numbers(&|_| min_count),
            numbers(&|_| baskets.len() as i64),
            new_null_array(schema.field(8).data_type(), all.len()),
            new_null_array(schema.field(9).data_type(), all.len()),
        ];
        let picked = UInt32Array::from(rows.clone());
        let null = |at: usize| new_null_array(schema.field(at).data_type(), rows.len());
        let transactions: Vec<ArrayRef> = vec![
            take(prefixes.column(0), &picked, None)?,
            take(prefixes.column(1), &picked, None)?,
            null(2),
            null(3),
            null(4),
            null(5),
            null(6),
            null(7),
            take(prefixes.column(2), &picked, None)?,
            Arc::new(Int64Array::from(vec![1; rows.len()])),
        ];
        let parts = [
            RecordBatch::try_new(Arc::clone(&schema), dictionary)?,
            RecordBatch::try_new(Arc::clone(&schema), transactions)?,
        ];
        Ok(slices(&concat_batches(&schema, &parts)?, layout.batch))
    });
    shards.collect::<crate::Result<Vec<_>>>().map(|all| all.into_iter().filter(|g| !g.is_empty()).collect())
}

/// All frequent itemsets: itemset, n, len.
pub(super) fn itemsets(
    baskets: &[Vec<u32>],
    items: &ArrayRef,
    min_count: i64,
    max_len: Option<i64>,
    layout: Layout,
) -> crate::Result<RecordBatch> {
    let groups = shard_rows(baskets, items, min_count, layout)?;
    mine(groups, items.data_type(), max_len, layout)
}

pub(super) fn mine(
    groups: Vec<Vec<RecordBatch>>,
    item: &DataType,
    max_len: Option<i64>,
    layout: Layout,
) -> crate::Result<RecordBatch> {
    let args = json!({"shards": layout.shards, "max_len": max_len});
    Ok(run(bind(&MineShard, &shard_schema(item), args)?.as_ref(), groups)?.project(&[0, 3, 1])?)
}

/// All rules between the parts of itemsets.
pub(super) fn rules(itemsets: &RecordBatch, n_baskets: i64, args: Value, batch: usize) -> crate::Result<RecordBatch> {
    let rows = itemsets.num_rows();
    let schema = Arc::new(Schema::new(vec![
        Field::new("shard", DataType::Int64, false),
        Field::new("itemset", itemsets.column(0).data_type().clone(), true),
        Field::new("n", DataType::Int64, true),
        Field::new("n_baskets", DataType::Int64, false),
    ]));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![0; rows])),
        Arc::clone(itemsets.column(0)),
        Arc::clone(itemsets.column(1)),
        Arc::new(Int64Array::from(vec![n_baskets; rows])),
    ];
    let input = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let groups = if rows == 0 { vec![] } else { vec![slices(&input, batch)] };
    run(bind(&DeriveRules, &schema, args)?.as_ref(), groups)
}
