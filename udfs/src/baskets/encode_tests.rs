//! Encoding against its definition in plain maps, on random rows.  In: rows, options. Out: the same `Encoded`.

use super::categories::Categories;
use super::collect::Collector;
use super::encode::encode;
use super::encoded::{Encoded, Info, Packed, packed_fields};
use super::mining::{Part, Task};
use super::options::{LongBaskets, MiningOptions};
use super::signatures::FREQUENT_ITEMSETS;
use crate::args::Args;
use crate::error::Result;
use crate::functions::Unlimited;
use crate::one_group::batch;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema, TimeUnit};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A row: basket, item, weight.
pub(super) type Row = (i64, i64, i64);

pub(super) fn options(given: Value) -> MiningOptions {
    let Value::Object(given) = given else { panic!("no object") };
    MiningOptions::from_args("f", &Args::check(&FREQUENT_ITEMSETS, given).unwrap()).unwrap()
}

fn numbers(rows: &[Row], of: fn(&Row) -> i64, kind: &DataType) -> ArrayRef {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(of)));
    match kind {
        DataType::Date32 => cast(&cast(&numbers, &DataType::Int32).unwrap(), kind).unwrap(),
        _ => cast(&numbers, kind).unwrap(),
    }
}

struct Input<'a> {
    rows: &'a [Row],
    weighted: bool,
    batch: usize,
    categories: Option<&'a [(i64, i64)]>,
    /// Types of baskets and items.
    kinds: [DataType; 2],
}

impl<'a> Input<'a> {
    fn of(rows: &'a [Row]) -> Self {
        Self { rows, weighted: true, batch: 1000, categories: None, kinds: [DataType::Int64, DataType::Int64] }
    }

    fn encode(&self, options: &MiningOptions) -> Result<Encoded> {
        let [basket, item] = &self.kinds;
        let mut collector = Collector::new("f", basket, item, self.weighted)?;
        for rows in self.rows.chunks(self.batch) {
            let weights = numbers(rows, |r| r.2, &DataType::Int64);
            collector.push(
                &numbers(rows, |r| r.0, basket),
                &numbers(rows, |r| r.1, item),
                self.weighted.then_some(&weights),
            )?;
        }
        let tree = self.categories.map(|tree| {
            let column = |of: fn(&(i64, i64)) -> i64| -> ArrayRef {
                Arc::new(Int64Array::from_iter_values(tree.iter().map(of)))
            };
            let rows = batch(vec![("item", column(|r| r.0)), ("category", column(|r| r.1))]);
            Categories::read("f", &rows, item)
        });
        encode(collector, options, tree.transpose()?.as_ref(), 0, &Unlimited)
    }
}

/// What must come out: items with weights in rank order, rows with weights, total weight, smallest weight.
#[derive(Debug, PartialEq)]
struct Plain {
    items: Vec<(i64, i64)>,
    rows: Vec<(Vec<u32>, u64)>,
    n_baskets: i64,
    min_count: i64,
    conflicts: Vec<(u32, u32)>,
}

fn plain(encoded: &Encoded) -> Plain {
    let items = cast(&encoded.items, &DataType::Int64).unwrap();
    let view = encoded.rows.view();
    let mut conflicts = vec![];
    if let Some(c) = &encoded.conflicts {
        let mut start = 0;
        for (rank, &end) in c.ends.iter().enumerate() {
            conflicts.extend(c.with[start..end as usize].iter().map(|&other| (rank as u32, other)));
            start = end as usize;
        }
        assert_eq!(c.ends.len(), encoded.n_items.len());
    }
    assert_eq!(view.n_items, encoded.n_items.len());
    Plain {
        items: items
            .as_primitive::<Int64Type>()
            .values()
            .iter()
            .copied()
            .zip(encoded.n_items.iter().copied())
            .collect(),
        rows: (0..view.len()).map(|i| (view.row(i).to_vec(), view.weights[i])).collect(),
        n_baskets: encoded.n_baskets,
        min_count: encoded.min_count,
        conflicts,
    }
}

fn ancestors(tree: &[(i64, i64)], item: i64) -> BTreeSet<i64> {
    let mut all = BTreeSet::new();
    let mut open = vec![item];
    while let Some(node) = open.pop() {
        for &(_, up) in tree.iter().filter(|&&(child, _)| child == node) {
            if all.insert(up) {
                open.push(up);
            }
        }
    }
    all
}

/// The definition, step by step.
fn expected(rows: &[Row], tree: &[(i64, i64)], options: &MiningOptions) -> Plain {
    let name = |item: &i64| options.exclude.contains(&item.to_string());
    let mut baskets: BTreeMap<i64, (i64, BTreeSet<i64>)> = BTreeMap::new();
    for &(basket, item, weight) in rows {
        let entry = baskets.entry(basket).or_insert((weight, BTreeSet::new()));
        if !name(&item) {
            entry.1.insert(item);
        }
    }
    let with_ancestors = |own: &BTreeSet<i64>| -> BTreeSet<i64> {
        let up = own.iter().flat_map(|&item| ancestors(tree, item)).filter(|a| !name(a));
        own.iter().copied().chain(up.collect::<Vec<_>>()).collect()
    };
    let count = |baskets: &BTreeMap<i64, (i64, BTreeSet<i64>)>| {
        let mut n: BTreeMap<i64, i64> = BTreeMap::new();
        for (weight, own) in baskets.values() {
            with_ancestors(own).into_iter().for_each(|item| *n.entry(item).or_default() += weight);
        }
        n
    };
    let n_baskets: i64 = baskets.values().map(|(weight, _)| weight).sum();
    let mut support = count(&baskets);
    let everywhere: BTreeSet<i64> = support
        .iter()
        .filter(|&(_, &n)| options.ubiquitous.is_some_and(|share| share.is_below(n, n_baskets)))
        .map(|(&item, _)| item)
        .collect();
    if let Some(max) = options.max_basket_items {
        for (_, own) in baskets.values_mut() {
            let (out, mut kept): (Vec<i64>, Vec<i64>) = own.iter().partition(|item| everywhere.contains(item));
            kept.sort_by_key(|item| (-support[item], *item));
            kept.truncate(max);
            *own = out.into_iter().chain(kept).collect();
        }
        support = count(&baskets);
    }
    let min_count = options.support.min_count(n_baskets);
    let mut items: Vec<(i64, i64)> =
        support.into_iter().filter(|&(item, n)| n >= min_count && !everywhere.contains(&item)).collect();
    items.sort_by_key(|&(item, n)| (-n, item));
    let rank = |item: i64| items.iter().position(|&(other, _)| other == item).map(|r| r as u32);
    let mut merged: BTreeMap<Vec<u32>, u64> = BTreeMap::new();
    for (weight, own) in baskets.values() {
        let mut row: Vec<u32> = with_ancestors(own).into_iter().filter_map(rank).collect();
        row.sort();
        if !row.is_empty() {
            *merged.entry(row).or_default() += *weight as u64;
        }
    }
    let mut conflicts = BTreeSet::new();
    for &(item, _) in &items {
        for (a, b) in ancestors(tree, item).into_iter().filter_map(|up| Some((rank(item)?, rank(up)?))) {
            conflicts.extend([(a, b), (b, a)]);
        }
    }
    let (rows, conflicts) = (merged.into_iter().collect(), conflicts.into_iter().collect());
    Plain { items, rows, n_baskets, min_count, conflicts }
}

pub(super) fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0..12i64, 0..9i64), 1..60).prop_flat_map(|rows| {
        prop::collection::vec(1..4i64, 12).prop_map(move |weights| {
            rows.iter().map(|&(basket, item)| (basket, item, weights[basket as usize])).collect()
        })
    })
}

/// Edges from smaller to larger numbers, so that there is no cycle; some items are categories too.
pub(super) fn any_tree() -> impl Strategy<Value = Option<Vec<(i64, i64)>>> {
    let edge = (0..11i64, 1..4i64).prop_map(|(child, step)| (child, child + step));
    prop::option::of(prop::collection::vec(edge, 0..10))
}

fn any_options() -> impl Strategy<Value = Value> {
    let support = prop_oneof![(1..8i64).prop_map(|n| json!(n)), (1..100i64).prop_map(|p| json!(p as f64 / 100.0))];
    let exclude = prop::collection::vec(0..11i64, 0..3);
    let ubiquitous = prop::option::of((1..=10i64).prop_map(|p| p as f64 / 10.0));
    (support, exclude, ubiquitous, prop::option::of(1..6i64)).prop_map(|(support, exclude, ubiquitous, max)| {
        json!({"min_support": support, "exclude": exclude, "ubiquitous": ubiquitous, "max_basket_items": max,
               "long_baskets": "truncate"})
    })
}

fn packed(encoded: &Encoded, bins: &[Vec<Task>]) -> RecordBatch {
    let info = Info {
        n_baskets: encoded.n_baskets,
        min_count: encoded.min_count,
        bins: bins.len(),
        itemsets: 0.0,
        exact: true,
        report: encoded.report.clone(),
    };
    let schema = Arc::new(Schema::new(packed_fields(encoded.items.data_type())));
    RecordBatch::try_new(schema, encoded.clone().packed(bins, &info).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn encoding_is_its_definition(rows in any_rows(), tree in any_tree(), given in any_options(), batch in 1usize..20) {
        let options = options(given);
        let input = Input { batch, categories: tree.as_deref(), ..Input::of(&rows) };
        let encoded = input.encode(&options).unwrap();
        prop_assert_eq!(plain(&encoded), expected(&rows, tree.as_deref().unwrap_or_default(), &options));
    }

    #[test]
    fn order_batches_and_doubled_lines_leave_no_trace(
        (rows, shuffled) in any_rows().prop_flat_map(|rows| {
            let twice: Vec<Row> = rows.iter().chain(rows.iter().step_by(2)).copied().collect();
            (Just(rows), Just(twice).prop_shuffle())
        }),
        tree in any_tree(),
        given in any_options(),
        batch in 1usize..20,
    ) {
        let options = options(given);
        let mut one = Input { categories: tree.as_deref(), ..Input::of(&rows) }.encode(&options).unwrap();
        let two = Input { batch, categories: tree.as_deref(), ..Input::of(&shuffled) }.encode(&options).unwrap();
        prop_assert_eq!(one.report.rows - one.report.duplicate_rows, two.report.rows - two.report.duplicate_rows);
        (one.report.rows, one.report.duplicate_rows) = (two.report.rows, two.report.duplicate_rows);
        let tasks = [Task::all(one.n_items.len())];
        prop_assert_eq!(packed(&one, &tasks), packed(&two, &tasks));
    }

    #[test]
    fn doubled_weights_double_every_count(rows in any_rows(), min_count in 1..5i64) {
        let one = Input::of(&rows).encode(&options(json!({"min_support": min_count}))).unwrap();
        let twice: Vec<Row> = rows.iter().map(|&(b, i, w)| (b, i, 2 * w)).collect();
        let two = Input::of(&twice).encode(&options(json!({"min_support": 2 * min_count}))).unwrap();
        let (one, two) = (plain(&one), plain(&two));
        prop_assert_eq!(one.items.iter().map(|&(i, n)| (i, 2 * n)).collect::<Vec<_>>(), two.items);
        prop_assert_eq!(one.rows.into_iter().map(|(r, w)| (r, 2 * w)).collect::<Vec<_>>(), two.rows);
        prop_assert_eq!(2 * one.n_baskets, two.n_baskets);
    }

    #[test]
    fn a_larger_count_later_is_as_good_as_at_once(rows in any_rows(), tree in any_tree(), low in 1..4i64, more in 0..4i64) {
        let at = |count: i64| {
            Input { categories: tree.as_deref(), ..Input::of(&rows) }.encode(&options(json!({"min_support": count}))).unwrap()
        };
        prop_assert_eq!(plain(&at(low).raised(low + more, 0, &Unlimited).unwrap()), plain(&at(low + more)));
    }

    #[test]
    fn the_wire_brings_back_what_was_sent(rows in any_rows(), tree in any_tree(), of in 1u32..4) {
        let input = Input { categories: tree.as_deref(), ..Input::of(&rows) };
        let encoded = input.encode(&options(json!({"min_support": 2}))).unwrap();
        let split = |task: Task| -> Vec<Task> {
            if of == 1 { return vec![task]; }
            (0..of).map(|nth| Task { item: task.item, second: Some(Part { nth, of }) }).collect()
        };
        let tasks: Vec<Task> = Task::all(encoded.n_items.len()).into_iter().flat_map(split).collect();
        let bins: Vec<Vec<Task>> = (0..3).map(|bin| tasks.iter().skip(bin).step_by(3).copied().collect()).collect();
        let rows = packed(&encoded, &bins);
        let back = Packed::read("f", &rows).unwrap();
        prop_assert_eq!((back.rows().items, back.rows().ends), (encoded.rows.view().items, encoded.rows.view().ends));
        prop_assert_eq!((back.rows().weights, back.rows().n_items), (encoded.rows.view().weights, encoded.n_items.len()));
        prop_assert_eq!((&back.items, &back.n_items), (&encoded.items, &encoded.n_items));
        prop_assert_eq!(back.conflicts.as_ref().map(|c| (&c.with, &c.ends)),
                        encoded.conflicts.as_ref().map(|c| (&c.with, &c.ends)));
        prop_assert_eq!(&back.info.report, &encoded.report);
        for (bin, tasks) in bins.iter().enumerate() {
            prop_assert_eq!(&back.tasks(bin as u32), tasks);
        }
    }
}

#[test]
fn every_exact_type_is_encoded_alike() {
    let rows: Vec<Row> = (0..200).map(|i| (i % 23, (i * 7) % 10 + i % 2 * 90, 1)).collect();
    let options = options(json!({"min_support": 3, "exclude": []}));
    let numbers = plain(&Input::of(&rows).encode(&options).unwrap());
    assert!(numbers.items.len() > 5 && numbers.rows.len() > 5);
    let kinds = [
        DataType::Int8,
        DataType::UInt8,
        DataType::Int32,
        DataType::UInt64,
        DataType::Date32,
        DataType::Date64,
        DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Berlin".into())),
        DataType::Decimal128(12, 0),
        DataType::Decimal256(50, 0),
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
    ];
    for kind in kinds {
        let millis = kind == DataType::Date64;
        let scaled: Vec<Row> = match millis {
            true => rows.iter().map(|&(b, i, w)| (b * 86_400_000, i * 86_400_000, w)).collect(),
            false => rows.clone(),
        };
        let input = Input { kinds: [kind.clone(), kind.clone()], batch: 7, ..Input::of(&scaled) };
        let encoded = input.encode(&options).unwrap();
        assert_eq!(encoded.items.data_type(), &kind);
        let encoded = match kind {
            // Names sort otherwise than numbers, so that ranks of equal weight differ.
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                let names = cast(&encoded.items, &DataType::Utf8).unwrap();
                let names: Vec<&str> = names.as_string::<i32>().iter().flatten().collect();
                let keys: Vec<(i64, &str)> = encoded.n_items.iter().map(|n| -n).zip(names).collect();
                assert!(keys.is_sorted());
                let mut items: Vec<i64> = keys.iter().map(|(_, name)| name.parse().unwrap()).collect();
                items.sort();
                let mut others: Vec<i64> = numbers.items.iter().map(|&(item, _)| item).collect();
                others.sort();
                assert_eq!(items, others);
                continue;
            }
            DataType::Date32 => Encoded { items: cast(&encoded.items, &DataType::Int32).unwrap(), ..encoded },
            _ => encoded,
        };
        let mut got = plain(&encoded);
        got.items.iter_mut().filter(|_| millis).for_each(|(item, _)| *item /= 86_400_000);
        assert_eq!(got, numbers, "{kind}");
    }
}

#[test]
fn booleans_are_items() {
    let rows: Vec<Row> = vec![(1, 1, 1), (1, 0, 1), (0, 1, 1)];
    let input = Input { kinds: [DataType::Int64, DataType::Boolean], ..Input::of(&rows) };
    let encoded = input.encode(&options(json!({"min_support": 1}))).unwrap();
    let items: Vec<_> = encoded.items.as_boolean().iter().collect();
    assert_eq!((items, encoded.n_items), (vec![Some(true), Some(false)], vec![2, 1]));
}

#[test]
fn what_is_left_out_is_reported() {
    let rows: Vec<Row> = vec![(1, 7, 1), (1, 7, 1), (1, 8, 1), (2, 7, 1), (2, 9, 1), (3, 5, 1), (4, 7, 1), (4, 1, 1)];
    let given = json!({"min_support": 1, "exclude": ["5", 6], "ubiquitous": 0.5, "max_basket_items": 1});
    let report = Input::of(&rows).encode(&options(given)).unwrap().report;
    assert_eq!((report.rows, report.duplicate_rows, report.baskets), (8, 1, 4));
    assert_eq!((report.excluded_items, report.exclude_unknown.as_slice()), (1, &["6".to_string()][..]));
    assert_eq!((report.ubiquitous_items, report.ubiquitous.as_slice()), (1, &["7".to_string()][..]));
    assert_eq!((report.empty_baskets, report.distinct_rows), (1, 3));
    // 7 is in three of four baskets, which is not more than three quarters.
    let given = json!({"min_support": 1, "ubiquitous": 0.75});
    assert_eq!(Input::of(&rows).encode(&options(given)).unwrap().report.ubiquitous_items, 0);
}

#[test]
fn long_baskets_are_refused_by_name_or_cut() {
    let rows: Vec<Row> = vec![(3, 1, 1), (3, 2, 1), (3, 4, 1), (5, 2, 1), (5, 4, 1), (5, 9, 1), (6, 4, 1)];
    let given = |policy: &str| options(json!({"min_support": 1, "max_basket_items": 2, "long_baskets": policy}));
    let error = Input::of(&rows).encode(&given("refuse")).unwrap_err().to_string();
    for words in ["basket=3, items=3, max_basket_items=2, long_baskets=2", "long_baskets => 'truncate'"] {
        assert!(error.contains(words), "{error}");
    }
    let cut = Input::of(&rows).encode(&given("truncate")).unwrap();
    assert_eq!((cut.report.truncated_baskets, cut.report.truncated_items), (2, 2));
    assert_eq!(plain(&cut).items, [(4, 3), (2, 2)]);
    assert_eq!(options(json!({"min_support": 1})).long_baskets, LongBaskets::Refuse);
}

#[test]
fn bad_rows_name_what_is_wrong_and_what_to_do() {
    let fails = |rows: &[Row], words: &[&str]| {
        let error = Input::of(rows).encode(&options(json!({"min_support": 1}))).unwrap_err().to_string();
        words.iter().for_each(|word| assert!(error.contains(word), "{error}"));
    };
    fails(&[(1, 1, 1), (44, 1, 0)], &["at least 1", "basket=44, weight=0"]);
    fails(&[(44, 1, 5), (1, 1, 1), (44, 2, 3)], &["same weight", "basket=44, weights=[3, 5]"]);
    fails(&[(1, 1, i64::MAX), (2, 1, i64::MAX)], &["add up beyond 63 bits: scale them down"]);
    let mut collector = Collector::new("f", &DataType::Int64, &DataType::Int64, false).unwrap();
    let (nulls, ok): (ArrayRef, ArrayRef) =
        (Arc::new(Int64Array::from(vec![None])), Arc::new(Int64Array::from(vec![1])));
    let error = collector.push(&nulls, &ok, None).unwrap_err().to_string();
    assert!(error.contains("null in column basket"), "{error}");
    let error = collector.push(&ok, &nulls, None).unwrap_err().to_string();
    assert!(error.contains("null in column item"), "{error}");
}

#[test]
fn a_broken_table_is_no_problem_of_ours() {
    let rows: Vec<Row> = vec![(1, 1, 1), (1, 2, 1), (2, 1, 1)];
    let encoded = Input::of(&rows).encode(&options(json!({"min_support": 1}))).unwrap();
    let whole = packed(&encoded, &[]);
    for part in [whole.slice(1, 1), whole.slice(0, 0), whole.slice(0, 1)] {
        let error = Packed::read("f", &part).err().unwrap().to_string();
        assert!(error.contains("not what encode_baskets gave"), "{error}");
    }
}
