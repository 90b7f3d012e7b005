//! Recommendations against trying every rule on every basket.  In: random small rules and baskets. Out: equal rows.

use super::RecommendForBasket;
use super::index::RuleIndex;
use crate::args::Args;
use crate::baskets::columns::list_of;
use crate::functions::{FUNCTIONS, GroupFunction, GroupSchema, GroupWorker, Outcome, Unlimited};
use crate::{Error, Result};
use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, UInt32Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Schema};
use arrow::util::display::array_value_to_string;
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

/// A rule: antecedent, consequent, confidence, lift.
type Rule = (Vec<u32>, Vec<u32>, f64, f64);
/// A recommendation: rank, item, score, lift, antecedent.
type Row = (i32, String, f64, f64, Vec<String>);

const ITEMS: u32 = 6;

/// Every rule tried, in the words of the contract.
fn by_hand(rules: &[Rule], basket: &[u32], k: usize) -> Vec<(u32, f64, f64, Vec<u32>)> {
    let mut best = Vec::new();
    for item in (0..ITEMS).filter(|item| !basket.contains(item)) {
        let mut speaking: Vec<_> = rules
            .iter()
            .filter(|(antecedent, consequent, ..)| {
                antecedent.iter().all(|i| basket.contains(i)) && consequent.contains(&item)
            })
            .map(|(antecedent, _, confidence, lift)| {
                let mut antecedent = antecedent.clone();
                antecedent.sort();
                antecedent.dedup();
                (item, *confidence, *lift, antecedent)
            })
            .collect();
        speaking.sort_by(|a, b| {
            b.1.partial_cmp(&a.1)
                .unwrap()
                .then(b.2.partial_cmp(&a.2).unwrap())
                .then(b.3.len().cmp(&a.3.len()).then(a.3.cmp(&b.3)))
        });
        best.extend(speaking.into_iter().next());
    }
    best.sort_by(|a, b| {
        b.1.partial_cmp(&a.1)
            .unwrap()
            .then(b.2.partial_cmp(&a.2).unwrap())
            .then(b.3.len().cmp(&a.3.len()).then(a.0.cmp(&b.0)))
    });
    best.truncate(k);
    best
}

/// Items whose order is that of their positions.
fn dictionary(texts: bool) -> ArrayRef {
    if texts {
        Arc::new(StringArray::from(vec!["", "A", "a", "a,", "z", "\u{1f600}"]))
    } else {
        Arc::new(Int32Array::from(vec![-700, -3, 0, 2, 10, 2_000_000_000]))
    }
}

fn pick(items: &ArrayRef, codes: Vec<u32>) -> ArrayRef {
    take(items, &UInt32Array::from(codes), None).unwrap()
}

fn lists<'a>(items: &ArrayRef, sets: impl Iterator<Item = &'a [u32]> + Clone) -> ArrayRef {
    let offsets = OffsetBuffer::from_lengths(sets.clone().map(<[u32]>::len));
    let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
    Arc::new(ListArray::new(field, offsets, pick(items, sets.flatten().copied().collect()), None))
}

fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<_> = columns.iter().map(|(name, c)| Field::new(*name, c.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, c)| c).collect()).unwrap()
}

fn rule_table(items: &ArrayRef, rules: &[Rule]) -> RecordBatch {
    let numbers = |of: fn(&Rule) -> f64| Arc::new(Float64Array::from_iter_values(rules.iter().map(of))) as ArrayRef;
    table(vec![
        ("antecedent", lists(items, rules.iter().map(|r| r.0.as_slice()))),
        ("consequent", lists(items, rules.iter().map(|r| r.1.as_slice()))),
        ("confidence", numbers(|r| r.2)),
        ("lift", numbers(|r| r.3)),
    ])
}

fn basket_rows(items: &ArrayRef, basket: &[u32]) -> RecordBatch {
    let key = Int64Array::from(vec![7; basket.len()]);
    table(vec![("basket", Arc::new(key)), ("item", pick(items, basket.to_vec()))])
}

fn worker(items: &DataType, rules: &RecordBatch, k: usize) -> Result<Box<dyn GroupWorker>> {
    let fields = vec![Field::new("basket", DataType::Int64, true), Field::new("item", items.clone(), true)];
    let mut schema = GroupSchema::new(Arc::new(Schema::new(fields)), 1, 0);
    schema.sides = vec!["rules".into()];
    let serde_json::Value::Object(given) = json!({ "k": k }) else { panic!() };
    let bound = RecommendForBasket.bind(&schema, &Args::check(RecommendForBasket.signature(), given)?)?;
    let mut worker = bound.worker();
    worker.side("rules", rules)?;
    Ok(worker)
}

fn rows(columns: &[ArrayRef]) -> Vec<Row> {
    let text = |a: &ArrayRef, i: usize| array_value_to_string(a, i).unwrap();
    let real = |at: usize, i: usize| columns[at].as_primitive::<Float64Type>().value(i);
    (0..columns[0].len())
        .map(|i| {
            let list = columns[4].as_list::<i32>().value(i);
            let antecedent = (0..list.len()).map(|j| text(&list, j)).collect();
            let rank = columns[0].as_primitive::<Int32Type>().value(i);
            (rank, text(&columns[1], i), real(2, i), real(3, i), antecedent)
        })
        .collect()
}

/// All baskets through one worker, each in two pushes.
fn recommend(items: &ArrayRef, rules: &[Rule], baskets: &[Vec<u32>], k: usize) -> Vec<Row> {
    let mut worker = worker(items.data_type(), &rule_table(items, rules), k).unwrap();
    let mut found = 0;
    for basket in baskets {
        let (first, second) = basket.split_at(basket.len() / 2);
        for part in [first, second] {
            worker.push(&basket_rows(items, part)).unwrap();
        }
        let outcome = worker.finish(&Unlimited).unwrap();
        assert!(!outcome.refused);
        found += outcome.rows;
    }
    let rows = rows(&worker.take().unwrap());
    assert_eq!(rows.len(), found);
    rows
}

fn expected(items: &ArrayRef, rules: &[Rule], baskets: &[Vec<u32>], k: usize) -> Vec<Row> {
    let text = |code: u32| array_value_to_string(items, code as usize).unwrap();
    let of = |basket: &Vec<u32>| {
        let found = by_hand(rules, basket, k).into_iter().zip(1..);
        found
            .map(|((item, score, lift, from), rank)| {
                (rank, text(item), score, lift, from.into_iter().map(text).collect())
            })
            .collect::<Vec<_>>()
    };
    baskets.iter().flat_map(of).collect()
}

fn some_items(least: usize) -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0..ITEMS, least..4)
}

/// Few values, so that most comparisons are ties.
fn some_rules() -> impl Strategy<Value = Vec<Rule>> {
    let measure = || prop::sample::select(vec![-0.0, 0.0, 0.5, 1.0]);
    prop::collection::vec((some_items(0), some_items(1), measure(), measure()), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_basket_gets_the_best_rule_of_each_item_in_ranked_order(
        rules in some_rules(),
        baskets in prop::collection::vec(prop::collection::vec(0..ITEMS, 1..8), 1..5),
        k in 1usize..5,
        texts in any::<bool>(),
    ) {
        let items = dictionary(texts);
        let found = recommend(&items, &rules, &baskets, k);
        prop_assert_eq!(&found, &expected(&items, &rules, &baskets, k));
        let reversed: Vec<Rule> = rules.into_iter().rev().collect();
        prop_assert_eq!(&found, &recommend(&items, &reversed, &baskets, k));
    }
}

#[test]
fn ties_are_settled_by_lift_then_longer_antecedent_then_item_order() {
    let items = dictionary(true);
    let rules = vec![
        (vec![0], vec![5], 0.5, 1.0),
        (vec![0, 1], vec![5], 0.5, 1.0),
        (vec![1], vec![4], 0.5, 1.0),
        (vec![0], vec![4], 0.5, 1.0),
        (vec![1], vec![3], 0.5, 2.0),
        (vec![0], vec![3], 0.4, 9.0),
        (vec![1], vec![2, 0], 0.5, 1.0),
        (vec![2], vec![2, 3], 1.0, 9.0),
    ];
    let row = |rank, item: &str, lift, antecedent: &[&str]| {
        (rank, item.to_string(), 0.5, lift, antecedent.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let all = vec![
        row(1, "a,", 2.0, &["A"]),
        row(2, "\u{1f600}", 1.0, &["", "A"]),
        row(3, "a", 1.0, &["A"]),
        row(4, "z", 1.0, &[""]),
    ];
    assert_eq!(recommend(&items, &rules, &[vec![1, 0, 0]], 10), all);
    assert_eq!(recommend(&items, &rules, &[vec![1, 0]], 2), all[..2]);
}

#[test]
fn a_basket_without_a_rule_gives_no_row_and_leaves_nothing_for_the_next() {
    let items = dictionary(false);
    let rules = vec![(vec![0, 1], vec![2], 0.9, 3.0)];
    let found = recommend(&items, &rules, &[vec![0], vec![1], vec![5], vec![0, 1, 2], vec![1, 0]], 10);
    assert_eq!(found, [(1, "0".to_string(), 0.9, 3.0, vec!["-700".to_string(), "-3".to_string()])]);
    assert!(recommend(&items, &[], &[vec![0, 1]], 10).is_empty());
}

#[test]
fn a_long_basket_and_unknown_items_take_no_further_memory() {
    let items: ArrayRef = Arc::new(Int32Array::from_iter_values(0..200_000));
    let mut worker = worker(&DataType::Int32, &rule_table(&items, &[(vec![1], vec![2], 0.5, 1.0)]), 10).unwrap();
    worker.push(&basket_rows(&items, &[1])).unwrap();
    let before = worker.memory_bytes();
    worker.push(&basket_rows(&items, &(0..200_000).filter(|&i| i != 2).collect::<Vec<_>>())).unwrap();
    assert_eq!(worker.finish(&Unlimited).unwrap(), Outcome { rows: 1, refused: false });
    assert!(worker.memory_bytes() < before + 1000, "{} {before}", worker.memory_bytes());
}

#[test]
fn memory_grows_with_the_rules() {
    let items: ArrayRef = Arc::new(Int32Array::from_iter_values(0..1000));
    let rules = |n: u32| (0..n).map(|i| (vec![i], vec![(i + 1) % n], 0.5, 1.0)).collect::<Vec<_>>();
    let bytes = |n| worker(&DataType::Int32, &rule_table(&items, &rules(n)), 10).unwrap().memory_bytes();
    assert!(bytes(1000) > bytes(10) + 990 * 28, "{} {}", bytes(1000), bytes(10));
}

#[test]
fn rules_of_a_wider_type_become_the_baskets_type_or_say_what_to_cast() {
    let items = dictionary(false);
    let rules = rule_table(&items, &[(vec![0], vec![5], 0.5, 1.0)]);
    let with = |kind: DataType, rules: &RecordBatch| {
        let schema = rules.schema();
        let columns = schema.fields().iter().zip(rules.columns()).map(|(f, c)| {
            let lists = matches!(f.data_type(), DataType::List(_));
            (f.name().clone(), if lists { cast(c, &kind).unwrap() } else { Arc::clone(c) })
        });
        let columns: Vec<_> = columns.collect();
        table(columns.iter().map(|(name, c)| (name.as_str(), Arc::clone(c))).collect())
    };
    let large = |item| DataType::LargeList(Arc::new(Field::new("element", item, true)));
    for kind in [list_of(DataType::Int64), large(DataType::Int32)] {
        let mut worker = worker(&DataType::Int32, &with(kind, &rules), 10).unwrap();
        worker.push(&basket_rows(&items, &[0])).unwrap();
        worker.finish(&Unlimited).unwrap();
        assert_eq!(rows(&worker.take().unwrap()).len(), 1);
    }
    let refused = |baskets: &DataType, rules: &RecordBatch| match worker(baskets, rules, 10).map(|_| ()) {
        Err(Error::Data(message)) => message,
        other => panic!("{other:?}"),
    };
    assert!(refused(&DataType::Utf8, &rules).contains("CAST one side"));
    assert!(refused(&DataType::Int8, &rules).contains("rules=Int32, baskets=Int8"));
}

#[test]
fn rules_that_cannot_be_ranked_or_read_are_refused() {
    let items = dictionary(false);
    let good = rule_table(&items, &[(vec![0], vec![1], 0.5, 1.0)]);
    let refused = |rules: RecordBatch| match worker(&DataType::Int32, &rules, 10).map(|_| ()) {
        Err(Error::Data(message)) => message,
        other => panic!("{other:?}"),
    };
    let with = |name: &str, column: ArrayRef| {
        let schema = good.schema();
        let columns = schema.fields().iter().zip(good.columns());
        table(
            columns.map(|(f, c)| (f.name().as_str(), Arc::clone(if f.name() == name { &column } else { c }))).collect(),
        )
    };
    for name in ["confidence", "lift"] {
        let nan = refused(with(name, Arc::new(Float64Array::from(vec![f64::NAN]))));
        assert!(nan.contains(&format!("column={name}, row=0")), "{nan}");
        assert!(refused(with(name, Arc::new(Float64Array::from(vec![None])))).contains(&format!("{name} IS NOT NULL")));
    }
    let null = arrow::array::new_null_array(&list_of(DataType::Int32), 1);
    assert!(refused(with("antecedent", null)).contains("antecedent IS NOT NULL"));
    assert!(refused(rule_table(&items, &[(vec![0], vec![], 0.5, 1.0)])).contains("without consequent"));
    let mut worker = worker(&DataType::Int32, &good, 10).unwrap();
    let nothing =
        table(vec![("basket", Arc::new(Int64Array::from(vec![1]))), ("item", Arc::new(Int32Array::from(vec![None])))]);
    assert!(matches!(worker.push(&nothing), Err(Error::Data(m)) if m.contains("item IS NOT NULL")));
    assert!(matches!(worker.side("other", &good), Err(Error::Bug(_))));
}

#[test]
fn the_step_is_listed_and_hidden_and_asks_for_its_table() {
    let listed = FUNCTIONS.iter().find(|f| f.signature().name == "recommend_for_basket").unwrap();
    assert!(!listed.is_public());
    let schema = Arc::new(Schema::new(vec![
        Field::new("basket", DataType::Int64, true),
        Field::new("item", DataType::Utf8, true),
    ]));
    let args = Args::check(listed.signature(), serde_json::Map::new()).unwrap();
    let mut given = GroupSchema::new(schema, 1, 0);
    let refused = listed.bind(&given, &args).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("`rules => TABLE(..)`"), "{refused}");
    given.sides = vec!["rules".into()];
    let bound = listed.bind(&given, &args).unwrap();
    let names: Vec<_> = bound.output().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, listed.signature().output.iter().map(|o| o.name).collect::<Vec<_>>());
}

#[test]
fn a_rule_is_filed_under_the_item_of_its_antecedent_that_the_fewest_antecedents_hold() {
    let items = dictionary(false);
    let rules: Vec<Rule> =
        [vec![0], vec![0, 1], vec![0, 1, 2], vec![0, 3], vec![]].map(|left| (left, vec![5], 0.5, 1.0)).into();
    let index = RuleIndex::new(&rule_table(&items, &rules), &DataType::Int32).unwrap();
    let filed = |item: i32| {
        let mut code = None;
        index.known_items(&(Arc::new(Int32Array::from(vec![item])) as ArrayRef), |known| code = Some(known)).unwrap();
        let numbers = index.filed_under(code.unwrap()).iter();
        numbers.map(|&number| index.antecedent(number).len()).collect::<Vec<_>>()
    };
    assert_eq!([-700, -3, 0, 2, 2_000_000_000].map(filed), [vec![1], vec![2], vec![3], vec![2], vec![]]);
    assert_eq!(index.empty_antecedent().map(|number| index.offers(number).count()), Some(1));
}
