//! Itemsets and rules equal the reference answers of the shared sets.
//!
//! Golden values: `reference.json` of each set, made by `shared/bench/fim_reference.py` with PyFIM 6.28 fpgrowth, checked
//! with eclat; counts and an order-free sum of SHA-256 over canonical lines. No tolerance: everything is a whole number.

use crate::support::{query, shared};
use datafusion::arrow::array::{Array, AsArray, ListArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::arrow::util::display::array_value_to_string;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Rules above this number are left to the full comparison that the miner's own tests make.
const RULES_MAX: u64 = 1_000_000;
const ITEMSETS_MAX: u64 = 600_000;
/// Rules up to this number are derived in every plan.
const RULES_IN_ALL_PLANS_MAX: u64 = 20_000;

fn lines_sum(lines: impl Iterator<Item = String>) -> (u64, String) {
    let (mut n, mut sum) = (0, 0_u64);
    for line in lines {
        let hash = Sha256::digest(line.as_bytes());
        sum = sum.wrapping_add(u64::from_le_bytes(hash[..8].try_into().unwrap()));
        n += 1;
    }
    (n, format!("{sum:016x}"))
}

/// `item,item` of one list, ascending: numbers by value, strings by bytes.
fn items(list: &ListArray, row: usize) -> String {
    let values = list.value(row);
    let words: Vec<_> = (0..values.len()).map(|i| array_value_to_string(&values, i).unwrap()).collect();
    if *values.data_type() == DataType::Utf8 {
        assert!(words.is_sorted(), "{words:?}");
    }
    words.join(",")
}

fn count(batch: &RecordBatch, column: &str, row: usize) -> i64 {
    batch.column_by_name(column).unwrap().as_primitive::<Int64Type>().value(row)
}

fn itemset_lines(batches: &[RecordBatch]) -> impl Iterator<Item = String> {
    batches.iter().flat_map(|b| {
        let sets = b.column_by_name("itemset").unwrap().as_list::<i32>();
        (0..b.num_rows()).map(move |row| format!("{}\t{}", items(sets, row), count(b, "n", row)))
    })
}

fn rule_lines(batches: &[RecordBatch]) -> impl Iterator<Item = String> {
    batches.iter().flat_map(|b| {
        let list = |name: &str| b.column_by_name(name).unwrap().as_list::<i32>();
        let (a, c) = (list("antecedent"), list("consequent"));
        (0..b.num_rows()).map(move |row| {
            format!(
                "{}=>{}\t{}\t{}\t{}",
                items(a, row),
                items(c, row),
                count(b, "n_both", row),
                count(b, "n_antecedent", row),
                count(b, "n_consequent", row)
            )
        })
    })
}

const PLANS: [&str; 3] = ["segment", "broadcast", "prefix"];

fn check(name: &str, input: &str) {
    let Some(dir) = shared(&format!("data/{name}")) else { return };
    let file = dir.join("transactions.parquet");
    let reference: Value = serde_json::from_slice(&std::fs::read(dir.join("reference.json")).unwrap()).unwrap();
    let mut compared = 0;
    for level in reference["levels"].as_array().unwrap() {
        let min_count = level["min_count"].as_u64().unwrap();
        let expected = level["itemsets"].as_u64().unwrap();
        let Some(sum) = level["sum64"].as_str().filter(|_| expected <= ITEMSETS_MAX) else { continue };
        let args = format!("{input}, basket => transaction_id, item => item, min_support => {min_count}");
        for plan in PLANS {
            let rows = ask(&file, &format!("SELECT * FROM frequent_itemsets({args}, plan => '{plan}')"));
            assert_eq!(lines_sum(itemset_lines(&rows)), (expected, sum.to_string()), "{name} at {min_count}, {plan}");
            compared += 1;
        }
        for kind in ["closed", "maximal"] {
            let Some(n) = level[kind].as_u64() else { continue };
            let sql = format!("SELECT count(*) FROM frequent_itemsets({args}, itemsets => '{kind}')");
            let found = ask(&file, &sql)[0].column(0).as_primitive::<Int64Type>().value(0);
            assert_eq!(found as u64, n, "{name} at {min_count}, {kind}");
            compared += 1;
        }
        for rules in level["rules"].as_array().into_iter().flatten() {
            let confidence = rules["min_confidence"].as_str().unwrap();
            for (kind, max_consequent) in [("single_consequent", 1), ("any_consequent", 100)] {
                let Some(n) = rules[kind]["rules"].as_u64().filter(|n| *n <= RULES_MAX) else { continue };
                let sum = rules[kind]["sum64"].as_str().unwrap().to_string();
                // All plans where it is cheap, else in turn.
                let plans =
                    PLANS.iter().enumerate().filter(|(at, _)| n <= RULES_IN_ALL_PLANS_MAX || compared % 3 == *at);
                for plan in plans.map(|(_, plan)| plan).collect::<Vec<_>>() {
                    let sql = format!(
                        "SELECT * FROM association_rules({args}, min_confidence => {confidence}, max_consequent => {max_consequent}, plan => '{plan}')"
                    );
                    let got = lines_sum(rule_lines(&ask(&file, &sql)));
                    assert_eq!(got, (n, sum.clone()), "{name} at {min_count}, {kind}, confidence {confidence}, {plan}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 0, "{name}: nothing was compared");
}

fn ask(file: &Path, sql: &str) -> Vec<RecordBatch> {
    query(&[("lines", file)], sql)
}

#[test]
fn groceries_equals_its_reference() {
    check("groceries", "TABLE(lines)");
}

#[test]
fn retail_equals_its_reference() {
    check("retail", "TABLE(lines)");
}

#[test]
fn t10i4d100k_equals_its_reference() {
    check("t10i4d100k", "TABLE(lines)");
}

#[test]
fn mushroom_equals_its_reference() {
    check("mushroom", "TABLE(lines)");
}

/// What `reference.json` of onlineretail counts.
pub(crate) const SOLD: &str =
    "(SELECT transaction_id, item FROM lines WHERE transaction_id NOT LIKE 'C%' AND quantity > 0 AND unit_price > 0)";

#[test]
fn onlineretail_equals_its_reference() {
    check("onlineretail", SOLD);
}

#[test]
fn completejourney_equals_its_reference() {
    check("completejourney", "(SELECT * FROM lines WHERE quantity > 0)");
}

#[test]
fn bms1_equals_its_reference() {
    check("bms1", "TABLE(lines)");
}

#[test]
fn epub_equals_its_reference() {
    check("epub", "TABLE(lines)");
}

#[test]
fn chess_equals_its_reference() {
    check("chess", "TABLE(lines)");
}

#[test]
fn connect10k_equals_its_reference() {
    check("connect10k", "TABLE(lines)");
}
