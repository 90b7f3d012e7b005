//! A problem in one task and in many on real baskets.  In: the sets of `shared/data`, every third row twice, in a mixed
//! order. Out: the counts and checksums of `reference.json`; source and tolerance as in `reference_tests`.

use super::one_problem_tests::{encoded, segment, tasks};
use super::reference_tests::{ITEMSETS_MAX, RULES_MAX, check_itemsets, check_rules, json_file, load, shared};
use crate::one_group::batch;
use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use serde_json::json;
use std::sync::Arc;

/// One row for one item of one basket.
fn rows(baskets: &[Vec<u32>], items: &ArrayRef) -> RecordBatch {
    let pair = |(basket, items): (usize, &Vec<u32>)| items.iter().map(move |&i| (basket as i64, i)).collect::<Vec<_>>();
    let mut pairs: Vec<(i64, u32)> = baskets.iter().enumerate().flat_map(pair).collect();
    let twice: Vec<(i64, u32)> = pairs.iter().step_by(3).copied().collect();
    pairs.extend(twice);
    // Odd multiples of a prime that does not divide the number of rows visit each of them once.
    let n = pairs.len();
    let step = [1_000_003, 999_983].into_iter().find(|p| !n.is_multiple_of(*p)).unwrap();
    let mixed: Vec<(i64, u32)> = (0..n).map(|i| pairs[i * step % n]).collect();
    let positions = UInt32Array::from_iter_values(mixed.iter().map(|(_, item)| *item));
    batch(vec![
        ("key", Arc::new(Int64Array::from_value(0, n)) as ArrayRef),
        ("basket", Arc::new(Int64Array::from_iter_values(mixed.iter().map(|(basket, _)| *basket)))),
        ("item", take(items, &positions, None).unwrap()),
    ])
}

fn check(set: &str, shards: i64) {
    let Some(shared) = shared() else { return };
    let directory = shared.join("data").join(set);
    let reference = json_file(&directory.join("reference.json")).unwrap();
    let (baskets, items) = load(&directory);
    let input = rows(&baskets, &items);
    for level in reference["levels"].as_array().unwrap() {
        let expected = level["itemsets"].as_u64().unwrap();
        if expected > ITEMSETS_MAX {
            continue;
        }
        let given = json!({"min_support": level["min_count"], "shards": shards, "max_itemsets": expected});
        let one = segment(&input, None, 8192, &given).unwrap();
        check_itemsets(set, level, &one.project(&[0, 3]).unwrap());
        let packed = encoded(&input, None, 8192, &given).unwrap();
        let many = tasks(&packed, items.data_type(), &given).unwrap();
        check_itemsets(set, level, &many.project(&[0, 3]).unwrap());
        for kind in ["closed", "maximal"].into_iter().filter(|kind| level[kind].is_u64() && expected <= RULES_MAX) {
            let mut given = given.clone();
            given["itemsets"] = json!(kind);
            let kept = segment(&input, None, 8192, &given).unwrap();
            assert_eq!(Some(kept.num_rows() as u64), level[kind].as_u64(), "{set} {} {kind}", level["min_count"]);
        }
        for row in level["rules"].as_array().map_or(&[][..], |rules| rules) {
            let confidence: f64 = row["min_confidence"].as_str().unwrap().parse().unwrap();
            let expected = &row["single_consequent"];
            if expected["rules"].as_u64().is_some_and(|n| n <= RULES_MAX) {
                let mut given = given.clone();
                (given["result"], given["min_confidence"]) = (json!("rules"), json!(confidence));
                let rules = segment(&input, None, 8192, &given).unwrap();
                check_rules(&format!("{set} at {}: {confidence}", level["min_count"]), expected, &rules);
            }
        }
    }
}

macro_rules! reference {
    ($($name:ident: $set:literal, $shards:literal;)*) => {$(
        #[test]
        fn $name() {
            check($set, $shards);
        }
    )*};
}

reference! {
    groceries_in_one_task_and_in_many: "groceries", 7;
    retail_in_one_task_and_in_many: "retail", 16;
    t10i4d100k_in_one_task_and_in_many: "t10i4d100k", 3;
    mushroom_in_one_task_and_in_many: "mushroom", 4;
    chess_in_one_task_and_in_many: "chess", 2;
    bms1_in_one_task_and_in_many: "bms1", 64;
    onlineretail_in_one_task_and_in_many: "onlineretail", 5;
    epub_in_one_task_and_in_many: "epub", 8;
    connect10k_in_one_task_and_in_many: "connect10k", 6;
    completejourney_in_one_task_and_in_many: "completejourney", 32;
}
