//! The group functions against counting every subset.  In: random small baskets. Out: equal itemsets and rules.

use super::plan::{Layout, bind, itemsets, mine, rules, shard_rows, shard_schema};
use super::{DeriveRules, MineShard};
use crate::functions::{FUNCTIONS, GroupContext, GroupFunction};
use crate::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, Schema};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

const ITEMS: usize = 8;

/// Baskets as sets of bits, each standing for some number of baskets.
pub(super) fn weighted_baskets() -> impl Strategy<Value = Vec<(u32, u64)>> {
    prop::collection::vec((1u32..1 << ITEMS, 1u64..4), 1..16)
}

/// Every frequent itemset with its count, sorted.
pub(super) fn frequent(baskets: &[(u32, u64)], min_count: u64, max_len: usize) -> Vec<(Vec<u32>, i64)> {
    let mut all = Vec::new();
    for set in 1u32..1 << ITEMS {
        let n: u64 = baskets.iter().filter(|(b, _)| b & set == set).map(|(_, w)| w).sum();
        if n >= min_count && set.count_ones() as usize <= max_len {
            all.push(((0..ITEMS as u32).filter(|i| set >> i & 1 == 1).collect(), n as i64));
        }
    }
    all.sort();
    all
}

/// One basket per unit of weight.
fn unfold(baskets: &[(u32, u64)]) -> Vec<Vec<u32>> {
    let items = |b: u32| (0..ITEMS as u32).filter(|i| b >> i & 1 == 1).collect::<Vec<_>>();
    baskets.iter().flat_map(|&(b, w)| std::iter::repeat_n(items(b), w as usize)).collect()
}

/// Items whose order is that of their positions: negative and positive numbers, or texts with bytes beyond ASCII.
fn dictionary(texts: bool) -> ArrayRef {
    if texts {
        let mut names = vec!["", "A", "B b", "a", "a,", "z", "\u{e4}", "\u{1f600}"];
        names.sort();
        Arc::new(StringArray::from(names))
    } else {
        Arc::new(Int32Array::from(vec![-700, -3, 0, 2, 10, 11, 100, 2_000_000_000]))
    }
}

fn lists(column: &ArrayRef, items: &ArrayRef) -> Vec<Vec<u32>> {
    let text = |a: &ArrayRef, i: usize| arrow::util::display::array_value_to_string(a, i).unwrap();
    let position: BTreeMap<String, u32> = (0..items.len()).map(|i| (text(items, i), i as u32)).collect();
    let list = column.as_list::<i32>();
    assert_eq!(list.values().data_type(), items.data_type());
    (0..list.len())
        .map(|i| {
            let values = list.value(i);
            (0..values.len()).map(|j| position[&text(&values, j)]).collect()
        })
        .collect()
}

fn int64(column: &ArrayRef) -> Vec<i64> {
    column.as_primitive::<Int64Type>().values().to_vec()
}

type Rule = (Vec<u32>, Vec<u32>, [i64; 4]);

/// Every rule, from every pair of disjoint sets.
fn all_rules(sets: &[(Vec<u32>, i64)], n: i64, confidence: (i64, i64), lift: (i64, i64), longest: usize) -> Vec<Rule> {
    let count: BTreeMap<&[u32], i64> = sets.iter().map(|(s, n)| (s.as_slice(), *n)).collect();
    let mut all = Vec::new();
    for (x, nx) in sets {
        for (y, ny) in sets {
            let mut z: Vec<u32> = x.iter().chain(y).copied().collect();
            z.sort();
            z.dedup();
            let Some(&nz) = count.get(z.as_slice()).filter(|_| z.len() == x.len() + y.len()) else { continue };
            if y.len() <= longest && nz * confidence.1 >= confidence.0 * nx && nz * n * lift.1 >= lift.0 * nx * ny {
                all.push((x.clone(), y.clone(), [nz, *nx, *ny, n]));
            }
        }
    }
    all.sort();
    all
}

proptest! {
    #[test]
    fn group_functions_find_what_counting_every_subset_finds(
        baskets in weighted_baskets(),
        shards in prop::sample::select(vec![1usize, 2, 7]),
        min_count in 1i64..6,
        max_len in prop::sample::select(vec![None, Some(1), Some(3)]),
        texts: bool,
        batch in 1usize..9,
        seed: u64,
        confidence in 0i64..=10,
        lift in 0i64..=15,
        longest in prop::sample::select(vec![1i64, 2, i64::MAX]),
    ) {
        let items = dictionary(texts);
        let expected = frequent(&baskets, min_count as u64, max_len.map_or(usize::MAX, |m| m as usize));
        let baskets = unfold(&baskets);
        let mined = itemsets(&baskets, &items, min_count, max_len, Layout { shards, batch, seed }).unwrap();
        let mut found: Vec<_> = lists(mined.column(0), &items).into_iter().zip(int64(mined.column(1))).collect();
        let lengths: Vec<_> = found.iter().map(|(s, _)| s.len() as i32).collect();
        prop_assert_eq!(mined.column(2).as_primitive::<Int32Type>().values().to_vec(), lengths);
        found.sort();
        prop_assert_eq!(&found, &expected);

        let args = json!({
            "min_confidence": confidence as f64 / 10.0, "min_lift": lift as f64 / 10.0, "max_consequent": longest
        });
        let n = baskets.len() as i64;
        let derived = rules(&mined, n, args, batch).unwrap();
        let (x, y) = (lists(derived.column(0), &items), lists(derived.column(1), &items));
        let last = derived.num_columns();
        let counts: Vec<_> = (last - 4..last).map(|i| int64(derived.column(i))).collect();
        let mut got: Vec<Rule> = (0..derived.num_rows())
            .map(|i| (x[i].clone(), y[i].clone(), [counts[0][i], counts[1][i], counts[2][i], counts[3][i]]))
            .collect();
        got.sort();
        prop_assert_eq!(got, all_rules(&expected, n, (confidence, 10), (lift, 10), longest as usize));
    }

    #[test]
    fn neither_row_order_nor_batches_leave_a_trace(baskets in weighted_baskets(), batch in 1usize..9, seed: u64) {
        let (items, baskets) = (dictionary(true), unfold(&baskets));
        let run = |layout| {
            let mined = itemsets(&baskets, &items, 2, None, layout).unwrap();
            let derived = rules(&mined, baskets.len() as i64, json!({"min_confidence": 0.3}), layout.batch).unwrap();
            // The seed moves itemsets between shards, and those follow one another.
            let mut sets: Vec<_> = lists(mined.column(0), &items).into_iter().zip(int64(mined.column(1))).collect();
            sets.sort();
            (sets, derived)
        };
        let plain = Layout { shards: 7, batch: 1000, seed: 0 };
        prop_assert_eq!(run(Layout { batch, seed, ..plain }), run(plain));
        prop_assert_eq!(run(Layout { shards: 1, ..plain }).1, run(plain).1);
    }
}

/// Baskets {0,1,2} x 2, {0,1}, {0}, {1,2}: counts 0:4 1:4 2:3 01:3 02:2 12:3 012:2 of 5.
fn hand() -> Vec<Vec<u32>> {
    vec![vec![0, 1, 2], vec![0, 1, 2], vec![0, 1], vec![0], vec![1, 2]]
}

const PLAIN: Layout = Layout { shards: 2, batch: 100, seed: 0 };

#[test]
fn a_basket_goes_once_to_each_shard_up_to_its_rarest_item_there() {
    let groups = shard_rows(&[vec![0, 1, 2, 3, 4]], &dictionary(false), 1, PLAIN).unwrap();
    let prefixes: Vec<String> = groups
        .iter()
        .map(|g| {
            let rows = g[0].column(8).as_list::<i32>();
            let shown: Vec<_> =
                (0..rows.len()).filter(|&i| rows.is_valid(i)).map(|i| format!("{:?}", rows.value(i))).collect();
            shown.concat().split_whitespace().collect::<String>()
        })
        .collect();
    // Ranks 1, 2 and 4 are cut in two: of those of rank 4 with an even second item shard 0 needs no rank 3.
    assert_eq!(prefixes, ["PrimitiveArray<UInt32>[0,1,2,4,]", "PrimitiveArray<UInt32>[0,1,2,3,4,]"]);
}

#[test]
fn rules_of_five_baskets_equal_hand_calculation() {
    let items = dictionary(true);
    let mined = itemsets(&hand(), &items, 2, None, PLAIN).unwrap();
    assert_eq!(mined.num_rows(), 7);
    let derived = rules(&mined, 5, json!({"min_confidence": 1, "max_consequent": 2}), 3).unwrap();
    // {2} => {1}: 3 of 3; {0,2} => {1}: 2 of 2. {2} => {0,1} holds for 2 of 3 only.
    assert_eq!(lists(derived.column(0), &items), [vec![0, 2], vec![2]]);
    assert_eq!(lists(derived.column(1), &items), [vec![1], vec![1]]);
    let number = |name: &str| derived.column_by_name(name).unwrap().as_primitive::<Float64Type>().values().to_vec();
    assert_eq!(number("support"), [0.4, 0.6]);
    assert_eq!(number("confidence"), [1.0, 1.0]);
    assert_eq!(number("lift"), [1.25, 1.25]);
    assert_eq!(number("leverage"), [2.0 / 25.0, 3.0 / 25.0]);
    assert_eq!(number("conviction"), [f64::INFINITY, f64::INFINITY]);
}

#[test]
fn a_hundred_thousand_items_in_equal_baskets_give_an_answer_or_a_limit() {
    let n = 100_000u32;
    let items: ArrayRef = Arc::new(Int64Array::from_iter_values(0..i64::from(n)));
    let baskets = vec![(0..n).collect::<Vec<_>>(); 3];
    let layout = Layout { shards: 4, batch: 8192, seed: 0 };
    assert_eq!(itemsets(&baskets, &items, 1, Some(1), layout).unwrap().num_rows(), n as usize);
    assert_eq!(itemsets(&baskets, &items, 4, None, layout).unwrap().num_rows(), 0);
    let refused = itemsets(&baskets, &items, 1, None, layout).unwrap_err();
    assert!(matches!(&refused, Error::Limit(m) if m.contains("raise min_support")), "{refused}");
    // Every item unique: one basket per item.
    let alone: Vec<Vec<u32>> = (0..n).map(|i| vec![i]).collect();
    assert_eq!(itemsets(&alone, &items, 1, None, layout).unwrap().num_rows(), n as usize);
}

/// A memory pool of so many bytes.
struct Pool(usize);

impl GroupContext for Pool {
    fn reserve(&self, bytes: usize) -> Result<()> {
        if bytes > self.0 { Err(Error::Limit(format!("pool exhausted: bytes={bytes}"))) } else { Ok(()) }
    }

    fn check_cancelled(&self) -> Result<()> {
        Ok(())
    }
}

/// A run that is being stopped.
struct Stopped;

impl GroupContext for Stopped {
    fn reserve(&self, _bytes: usize) -> Result<()> {
        Ok(())
    }

    fn check_cancelled(&self) -> Result<()> {
        Err(Error::Cancelled)
    }
}

fn dense() -> (Vec<Vec<RecordBatch>>, ArrayRef, Layout) {
    let items: ArrayRef = Arc::new(Int64Array::from_iter_values(0..26));
    let baskets: Vec<Vec<u32>> = (0..26).map(|out| (0..26).filter(|&i| i != out).collect()).collect();
    let layout = Layout { shards: 1, batch: 8192, seed: 0 };
    (shard_rows(&baskets, &items, 2, layout).unwrap(), items, layout)
}

#[test]
fn an_explosion_ends_within_its_memory_and_names_the_remedy() {
    let (groups, items, _) = dense();
    let bound = bind(&MineShard, &shard_schema(items.data_type()), json!({"shards": 1})).unwrap();
    let finish = |context: &dyn GroupContext| {
        let mut worker = bound.worker();
        groups[0].iter().for_each(|batch| worker.push(batch).unwrap());
        worker.finish(context).unwrap_err()
    };
    let refused = finish(&Pool(16 << 20));
    assert!(
        matches!(&refused, Error::Limit(m) if m.contains("raise min_support") && m.contains("pool exhausted")),
        "{refused}"
    );
    assert!(matches!(finish(&Stopped), Error::Cancelled));
}

#[test]
fn too_many_rules_end_with_a_limit_and_cancelling_works() {
    let (groups, items, layout) = dense();
    let mined = mine(groups, items.data_type(), Some(6), layout).unwrap();
    let schema = rule_schema(items.data_type());
    let key: ArrayRef = Arc::new(Int64Array::from(vec![0; mined.num_rows()]));
    let all: ArrayRef = Arc::new(Int64Array::from(vec![26; mined.num_rows()]));
    let columns = vec![key, Arc::clone(mined.column(0)), Arc::clone(mined.column(1)), all];
    let rows = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let bound = bind(&DeriveRules, &schema, json!({"min_confidence": 0.1, "max_consequent": 9})).unwrap();
    let finish = |context: &dyn GroupContext| {
        let mut worker = bound.worker();
        worker.push(&rows).unwrap();
        worker.finish(context).unwrap_err()
    };
    let refused = finish(&Pool(150 << 20));
    assert!(matches!(&refused, Error::Limit(m) if m.contains("raise min_confidence")), "{refused}");
    assert!(matches!(finish(&Stopped), Error::Cancelled));
}

fn rule_rows(sets: Vec<Option<Vec<Option<i32>>>>, n: Vec<Option<i64>>) -> RecordBatch {
    let rows = sets.len();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("itemset", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(sets))),
        ("n", Arc::new(Int64Array::from(n))),
        ("len", Arc::new(Int32Array::from(vec![1; rows]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn rows_that_cannot_be_are_refused_by_name() {
    let set = |items: &[i32]| Some(items.iter().map(|&i| Some(i)).collect::<Vec<_>>());
    let cases = [
        (vec![set(&[1]), set(&[1, 2])], vec![Some(3), Some(2)], "subset of an itemset is missing"),
        (vec![set(&[1]), set(&[1])], vec![Some(3), Some(3)], "given twice"),
        (vec![set(&[1, 1])], vec![Some(3)], "holds an item twice"),
        (vec![set(&[])], vec![Some(3)], "bad itemset"),
        (vec![None], vec![Some(3)], "null in column itemset"),
        (vec![Some(vec![None])], vec![Some(3)], "null in column itemset"),
        (vec![set(&[1])], vec![None], "null in column n"),
        (vec![set(&[1])], vec![Some(0)], "n must be from 1"),
        (vec![set(&[1])], vec![Some(11)], "n must be from 1"),
    ];
    for (sets, n, expected) in cases {
        let refused = rules(&rule_rows(sets, n), 10, json!({}), 100).unwrap_err();
        assert!(matches!(&refused, Error::Data(m) if m.contains(expected)), "{expected}: {refused}");
    }
}

#[test]
fn lost_or_repeated_prefixes_are_noticed() {
    let items = dictionary(false);
    let shard = |change: &dyn Fn(Vec<RecordBatch>) -> Vec<RecordBatch>| {
        let groups = shard_rows(&hand(), &items, 2, Layout { shards: 1, batch: 1, seed: 0 }).unwrap();
        mine(vec![change(groups[0].clone())], items.data_type(), None, Layout { shards: 1, batch: 1, seed: 0 })
    };
    assert_eq!(shard(&|rows| rows).unwrap().num_rows(), 7);
    let message = |change: &dyn Fn(Vec<RecordBatch>) -> Vec<RecordBatch>| shard(change).unwrap_err().to_string();
    let lost = message(&|mut rows| {
        rows.pop();
        rows
    });
    assert!(lost.contains("not hold an item as often as its n_item states"), "{lost}");
    let twice = message(&|rows| [&rows[..], &rows[rows.len() - 1..]].concat());
    assert!(twice.contains("not hold an item as often as its n_item states"), "{twice}");
    assert!(message(&|rows| rows[3..].to_vec()).contains("no items of kind 0"));
    assert!(message(&|rows| rows[1..].to_vec()).contains("ranks"));
    assert!(
        message(&|mut rows| {
            rows.reverse();
            rows
        })
        .contains("kind 0, then of kind 1")
    );
}

#[test]
fn column_types_and_arguments_are_checked_while_planning() {
    let schema = shard_schema(&DataType::Utf8);
    let wrong = |at: usize, kind: DataType| {
        let mut fields: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        fields[at] = Field::new(fields[at].name(), kind, true);
        bind(&MineShard, &Arc::new(Schema::new(fields)), json!({})).map(|_| ()).unwrap_err().to_string()
    };
    assert!(wrong(2, DataType::Utf8).contains("column=rank, type=Utf8, allowed=[integer]"));
    assert!(wrong(8, DataType::Int64).contains("column=prefix"));
    let misspelt = bind(&MineShard, &schema, json!({"max_lenn": 3})).map(|_| ()).unwrap_err().to_string();
    assert!(misspelt.contains("did you mean `max_len`"), "{misspelt}");
    assert!(bind(&MineShard, &schema, json!({"max_len": 0})).is_err());
}

#[test]
fn the_steps_are_listed_and_hidden() {
    for name in ["basket_prefixes", "mine_shard", "derive_rules"] {
        let function = FUNCTIONS.iter().find(|f| f.signature().name == name).unwrap();
        assert!(!function.is_public(), "{name}");
    }
}

#[test]
fn output_columns_of_a_bound_function_are_those_of_its_signature() {
    let schema = rule_schema(&DataType::Utf8);
    let bound = bind(&DeriveRules, &schema, json!({})).unwrap();
    let bound: Vec<String> = bound.output().iter().map(|f| f.name().clone()).collect();
    let listed: Vec<&str> = DeriveRules.signature().output.iter().map(|o| o.name).collect();
    assert_eq!(bound, listed);
    let public: Vec<&str> = super::signatures::ASSOCIATION_RULES.output.iter().map(|o| o.name).collect();
    assert_eq!(listed, public);
}

fn rule_schema(item: &DataType) -> Arc<Schema> {
    Arc::new(Schema::new(vec![
        Field::new("shard", DataType::Int64, false),
        Field::new("itemset", super::columns::list_of(item.clone()), true),
        Field::new("n", DataType::Int64, true),
        Field::new("n_baskets", DataType::Int64, false),
    ]))
}
