//! A problem in one task and in many, in plain Rust.  In: rows. Out: the same itemsets, whoever mines them.

use super::encode_tests::{Row, any_rows, any_tree};
use super::itemset_rows::{DICTIONARY, DictionaryInfo, OWN, VISITORS};
use super::{EncodeBaskets, MineSegment, MineTasks};
use crate::args::Args;
use crate::error::Result;
use crate::functions::{BoundFunction, GroupFunction, GroupSchema, GroupWorker, Unlimited};
use crate::one_group::batch;
use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float64Type, Int8Type, Int32Type, Int64Type, Schema, UInt32Type};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Items with the weight of the baskets that hold them.
type Counted = BTreeMap<Vec<i64>, i64>;

pub(super) fn bind(
    function: &dyn GroupFunction,
    rows: &RecordBatch,
    sides: &[&str],
    given: &Value,
) -> Result<Arc<dyn BoundFunction>> {
    let given = given.as_object().unwrap();
    let params = function.signature().params;
    let given = given.iter().filter(|(name, _)| params.iter().any(|p| p.name == name.as_str()));
    let args = Args::check(function.signature(), given.map(|(k, v)| (k.clone(), v.clone())).collect())?;
    let mut schema = GroupSchema::new(rows.schema(), 1, 0);
    schema.values = rows.schema().fields()[1..].iter().map(|field| field.name().clone()).collect();
    schema.sides = sides.iter().map(|name| name.to_string()).collect();
    function.bind(&schema, &Args::from_json(&args.to_json())?)
}

/// One group in batches of `size` rows.
pub(super) fn group(worker: &mut dyn GroupWorker, rows: &RecordBatch, size: usize) -> Result<usize> {
    for at in (0..rows.num_rows()).step_by(size) {
        worker.push(&rows.slice(at, size.min(rows.num_rows() - at)))?;
    }
    Ok(worker.finish(&Unlimited)?.rows)
}

pub(super) fn taken(bound: &dyn BoundFunction, worker: &mut dyn GroupWorker) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(Arc::new(Schema::new(bound.output())), worker.take()?)?)
}

pub(super) fn problem(rows: &[Row], weighted: bool) -> RecordBatch {
    let column = |of: fn(&Row) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) };
    let mut columns = vec![("key", column(|_| 0)), ("basket", column(|r| r.0)), ("item", column(|r| r.1))];
    if weighted {
        columns.push(("weight", column(|r| r.2)));
    }
    batch(columns)
}

fn table(tree: &[(i64, i64)]) -> RecordBatch {
    // As the SQL face sends it.
    let column = |of: fn(&(i64, i64)) -> i64| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(tree.iter().map(|row| of(row).to_string())))
    };
    batch(vec![("item", column(|r| r.0)), ("category", column(|r| r.1))])
}

/// Plan (a).
pub(super) fn segment(
    rows: &RecordBatch,
    tree: Option<&[(i64, i64)]>,
    size: usize,
    given: &Value,
) -> Result<RecordBatch> {
    let sides: &[&str] = if tree.is_some() { &["categories"] } else { &[] };
    let bound = bind(&MineSegment, rows, sides, given)?;
    let mut worker = bound.worker();
    if let Some(tree) = tree {
        worker.side("categories", &table(tree))?;
    }
    let announced = group(worker.as_mut(), rows, size)?;
    let out = taken(bound.as_ref(), worker.as_mut())?;
    assert_eq!(out.num_rows(), announced);
    Ok(out)
}

/// The first half of plan (b).
pub(super) fn encoded(
    rows: &RecordBatch,
    tree: Option<&[(i64, i64)]>,
    size: usize,
    given: &Value,
) -> Result<RecordBatch> {
    let sides: &[&str] = if tree.is_some() { &["categories"] } else { &[] };
    let bound = bind(&EncodeBaskets, rows, sides, given)?;
    let mut worker = bound.worker();
    if let Some(tree) = tree {
        worker.side("categories", &table(tree))?;
    }
    let announced = group(worker.as_mut(), rows, size)?;
    let out = taken(bound.as_ref(), worker.as_mut())?;
    assert_eq!(out.num_rows(), announced);
    Ok(out)
}

/// The second half of plan (b), with two workers that share the tasks.
pub(super) fn tasks(packed: &RecordBatch, item: &DataType, given: &Value) -> Result<RecordBatch> {
    let shards = given["shards"].as_i64().unwrap();
    let row = |task: i64| {
        batch(vec![("task", Arc::new(Int64Array::from(vec![task])) as ArrayRef), ("item", new_null_array(item, 1))])
    };
    let bound = bind(&MineTasks, &row(0), &["encoded"], given)?;
    let mut out = vec![];
    for first in [0, 1] {
        let mut worker = bound.worker();
        worker.side("encoded", packed)?;
        for task in (first..shards).step_by(2) {
            group(worker.as_mut(), &row(task), 1)?;
            if task % 3 == 0 {
                out.push(taken(bound.as_ref(), worker.as_mut())?);
            }
        }
        out.push(taken(bound.as_ref(), worker.as_mut())?);
    }
    Ok(concat_batches(&Arc::new(Schema::new(bound.output())), &out)?)
}

fn counted(rows: &RecordBatch) -> Counted {
    let (sets, n) = (rows.column(0).as_list::<i32>(), rows.column(3).as_primitive::<Int64Type>());
    let (len, support) = (rows.column(1).as_primitive::<Int32Type>(), rows.column(2).as_primitive::<Float64Type>());
    let total = rows.column(4).as_primitive::<Int64Type>();
    let mut all = Counted::new();
    for i in 0..rows.num_rows() {
        let set = sets.value(i).as_primitive::<Int64Type>().values().to_vec();
        assert!(set.is_sorted_by(|a, b| a < b) && len.value(i) as usize == set.len());
        assert_eq!(support.value(i), n.value(i) as f64 / total.value(i) as f64);
        assert!(all.insert(set, n.value(i)).is_none(), "twice");
    }
    all
}

fn up(tree: &[(i64, i64)], item: i64) -> BTreeSet<i64> {
    let mut all: BTreeSet<i64> = tree.iter().filter(|e| e.0 == item).map(|e| e.1).collect();
    all.clone().into_iter().for_each(|parent| all.extend(up(tree, parent)));
    all
}

/// Every itemset, by trying all subsets of every basket.
fn brute(rows: &[Row], tree: &[(i64, i64)], min_count: i64, max_len: usize) -> Counted {
    let mut baskets: BTreeMap<i64, (i64, BTreeSet<i64>)> = BTreeMap::new();
    for &(basket, item, weight) in rows {
        let (_, items) = baskets.entry(basket).or_insert((weight, BTreeSet::new()));
        items.insert(item);
        items.extend(up(tree, item));
    }
    let mut all = Counted::new();
    for (weight, items) in baskets.into_values() {
        let items: Vec<i64> = items.into_iter().collect();
        for mask in 1u32..1 << items.len() {
            let set: Vec<i64> = (0..items.len()).filter(|i| mask >> i & 1 == 1).map(|i| items[i]).collect();
            let kin = set.iter().any(|&a| up(tree, a).iter().any(|b| set.contains(b)));
            if set.len() <= max_len && !kin {
                *all.entry(set).or_default() += weight;
            }
        }
    }
    all.retain(|_, n| *n >= min_count);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn one_task_and_many_tasks_find_what_is_there(
        rows in any_rows(),
        tree in any_tree(),
        min_count in 1..6i64,
        max_len in prop::option::of(1..4usize),
        shards in 1..7i64,
        size in 1usize..20,
    ) {
        let given = json!({"min_support": min_count, "max_len": max_len, "shards": shards});
        let expected = brute(&rows, tree.as_deref().unwrap_or_default(), min_count, max_len.unwrap_or(usize::MAX));
        let input = problem(&rows, true);
        let one = segment(&input, tree.as_deref(), size, &given).unwrap();
        prop_assert_eq!(&counted(&one), &expected);
        let packed = encoded(&input, tree.as_deref(), size, &given).unwrap();
        let many = tasks(&packed, &DataType::Int64, &given).unwrap();
        prop_assert_eq!(&counted(&many), &expected);
    }

    #[test]
    fn packed_rows_hold_every_itemset_at_home_and_as_a_visitor(rows in any_rows(), min_count in 1..6i64, shards in 1..7i64) {
        let given = json!({"min_support": min_count, "shards": shards, "result": "packed"});
        let input = problem(&rows, true);
        let packed = tasks(&encoded(&input, None, 9, &given).unwrap(), &DataType::Int64, &given).unwrap();
        let (mut own, mut visitors) = (Counted::new(), Counted::new());
        let kinds = packed.column_by_name("kind").unwrap().as_primitive::<Int8Type>().clone();
        let dictionary: Vec<usize> = (0..packed.num_rows()).filter(|&row| kinds.value(row) == DICTIONARY).collect();
        prop_assert_eq!(dictionary.len() as i64, shards);
        let list = |name: &str, row: usize| packed.column_by_name(name).unwrap().as_list::<i32>().value(row);
        let items = list("items", dictionary[0]).as_primitive::<Int64Type>().values().to_vec();
        let info = packed.column_by_name("info").unwrap().as_string::<i32>().value(dictionary[0]).to_string();
        let total: BTreeMap<i64, i64> = rows.iter().map(|r| (r.0, r.2)).collect();
        let info: DictionaryInfo = serde_json::from_str(&info).unwrap();
        prop_assert_eq!((info.n_baskets, info.min_count), (total.values().sum(), min_count));
        for row in (0..packed.num_rows()).filter(|row| !dictionary.contains(row)) {
            let shard = packed.column(0).as_primitive::<Int64Type>().value(row);
            let codes = list("codes", row).as_primitive::<UInt32Type>().values().to_vec();
            let (ends, counts) = (list("ends", row), list("counts", row));
            let mut start = 0;
            for (&end, &n) in ends.as_primitive::<UInt32Type>().values().iter().zip(counts.as_primitive::<Int64Type>().values()) {
                let ranks = &codes[start..end as usize];
                start = end as usize;
                prop_assert!(ranks.is_sorted_by(|a, b| a < b));
                let (at, into) = match kinds.value(row) {
                    OWN => (ranks.len() - 1, &mut own),
                    VISITORS => (ranks.len() - 2, &mut visitors),
                    other => panic!("kind {other}"),
                };
                prop_assert_eq!(i64::from(ranks[at]) % shards, shard);
                let mut set: Vec<i64> = ranks.iter().map(|&rank| items[rank as usize]).collect();
                set.sort();
                prop_assert!(into.insert(set, n).is_none());
            }
        }
        let expected = brute(&rows, &[], min_count, usize::MAX);
        let longer = expected.iter().filter(|(set, _)| set.len() > 1).map(|(set, n)| (set.clone(), *n)).collect::<Counted>();
        prop_assert_eq!((own, visitors), (expected, longer));
    }

    #[test]
    fn top_k_takes_all_of_equal_support(rows in any_rows(), k in 1..30usize) {
        let all = brute(&rows, &[], 1, usize::MAX);
        let mut counts: Vec<i64> = all.values().copied().collect();
        counts.sort_by(|a, b| b.cmp(a));
        let least = counts.get(k - 1).copied().unwrap_or(1);
        let input = problem(&rows, true);
        let given = json!({"top_k": k, "shards": 2});
        let expected: Counted = all.into_iter().filter(|&(_, n)| n >= least).collect();
        prop_assert_eq!(&counted(&segment(&input, None, 7, &given).unwrap()), &expected);
        let packed = encoded(&input, None, 7, &given).unwrap();
        prop_assert_eq!(&counted(&tasks(&packed, &DataType::Int64, &given).unwrap()), &expected);
    }
}

#[test]
fn a_worker_keeps_nothing_from_group_to_group() {
    let one: Vec<Row> = (0..40).map(|i| (i % 9, i % 5, 1)).collect();
    let two: Vec<Row> = (0..60).map(|i| (i % 7, i % 4 + 100, 2)).collect();
    let given = json!({"min_support": 0.2});
    let alone: Vec<RecordBatch> =
        [&one, &two].map(|rows| segment(&problem(rows, true), None, 8, &given).unwrap()).to_vec();
    let bound = bind(&MineSegment, &problem(&one, true), &[], &given).unwrap();
    let mut worker = bound.worker();
    let rows: usize =
        [&one, &two, &one].map(|rows| group(worker.as_mut(), &problem(rows, true), 5).unwrap()).iter().sum();
    let all = taken(bound.as_ref(), worker.as_mut()).unwrap();
    assert!(alone.iter().all(|rows| rows.num_rows() > 4));
    assert_eq!(rows, all.num_rows());
    let [a, b] = [alone[0].num_rows(), alone[1].num_rows()];
    assert_eq!(
        (all.slice(0, a), all.slice(a, b), all.slice(a + b, a)),
        (alone[0].clone(), alone[1].clone(), alone[0].clone())
    );
}

#[test]
fn a_segment_without_a_frequent_item_has_no_rows_and_no_error() {
    let rows: Vec<Row> = vec![(1, 1, 1), (2, 2, 1)];
    let (input, given) = (problem(&rows, false), json!({"min_support": 2, "shards": 3}));
    assert_eq!(segment(&input, None, 9, &given).unwrap().num_rows(), 0);
    let packed = encoded(&input, None, 9, &given).unwrap();
    assert_eq!(packed.num_rows(), 1);
    assert_eq!(tasks(&packed, &DataType::Int64, &given).unwrap().num_rows(), 0);
    let given = json!({"min_support": 2, "result": "estimate"});
    let estimate = segment(&input, None, 9, &given).unwrap();
    assert_eq!(estimate.column(0).as_primitive::<Int64Type>().value(0), 0);
    assert_eq!(estimate.column(3).as_primitive::<Int64Type>().value(0), 2);
}

#[test]
fn what_cannot_be_mined_says_why() {
    let rows: Vec<Row> = (0..60).map(|i| (i / 10, i % 10, 1)).collect();
    let input = problem(&rows, false);
    let fails = |input: &RecordBatch, given: Value, words: &[&str]| {
        for run in [segment, encoded] {
            let error = run(input, None, 9, &given).unwrap_err().to_string();
            words.iter().for_each(|word| assert!(error.contains(word), "{error}"));
        }
    };
    fails(&input, json!({"min_support": 2, "max_itemsets": 1022}), &["1023"]);
    fails(&input, json!({"min_support": 2, "max_basket_items": 9}), &["items=10", "max_basket_items=9"]);
    fails(&input, json!({}), &["min_support or top_k"]);
    let mut columns = vec![("key", Arc::clone(input.column(0))), ("basket", Arc::clone(input.column(1)))];
    columns.extend([
        ("item", Arc::clone(input.column(2))),
        ("weight", Arc::new(Float64Array::from(vec![0.5; 60])) as ArrayRef),
    ]);
    fails(&batch(columns), json!({"min_support": 2}), &["column=weight", "CAST(round(w * 1000) AS BIGINT)"]);
    let packed = encoded(&input, None, 9, &json!({"min_support": 2, "shards": 2})).unwrap();
    let error = tasks(&packed, &DataType::Utf8, &json!({"shards": 2})).unwrap_err().to_string();
    assert!(error.contains("type of the encoded items"), "{error}");
    let error = tasks(&packed, &DataType::Int64, &json!({"shards": 3})).unwrap_err().to_string();
    assert!(error.contains("task=2, tasks=2"), "{error}");
}
