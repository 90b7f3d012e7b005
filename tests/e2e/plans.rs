//! The plans that SQL becomes: one shuffle, one sort, keys down to the scan, order reused above.

use crate::support::{query, try_query};
use datafusion::arrow::array::AsArray;
use lakecast_engine::SessionOptions;
use std::path::Path;

fn sales(dir: &Path) -> std::path::PathBuf {
    let file = dir.join("sales.csv");
    let mut text = "sku,ds,qty\n".to_string();
    for sku in ["a", "b", "c"] {
        for day in 1..=28 {
            text.push_str(&format!("{sku},2026-01-{day:02},{}\n", day % 7));
        }
    }
    std::fs::write(&file, text).unwrap();
    file
}

fn explain(sql: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = sales(dir.path());
    let rows = query(&[("sales", &file)], &format!("EXPLAIN {sql}"));
    rows.iter()
        .flat_map(|b| b.column(1).as_string::<i32>().iter().flatten().map(str::to_string).collect::<Vec<_>>())
        .collect()
}

const FORECAST: &str = "forecast(TABLE(sales), id => sku, time => ds, value => qty, horizon => 7, season_length => 7)";

#[test]
fn a_forecast_costs_one_shuffle_and_one_sort() {
    let plan = explain(&format!("SELECT * FROM {FORECAST}"));
    let (_, physical) = plan.split_once("GroupMapExec").unwrap();
    assert_eq!(physical.matches("RepartitionExec").count(), 1, "{plan}");
    assert_eq!(physical.matches("SortExec").count(), 1, "{plan}");
    assert!(physical.contains("Hash([sku@0]"), "{plan}");
}

#[test]
fn a_group_by_the_same_key_above_costs_no_second_shuffle() {
    let plan = explain(&format!("SELECT sku, sum(yhat) FROM {FORECAST} GROUP BY sku"));
    assert_eq!(plan.matches("RepartitionExec: partitioning=Hash").count(), 1, "{plan}");
    assert!(plan.contains("mode=SinglePartitioned"), "{plan}");
}

#[test]
fn a_predicate_on_the_key_goes_below_the_group_and_one_on_the_forecast_stays_above() {
    let plan = explain(&format!("SELECT * FROM {FORECAST} WHERE sku = 'a' AND yhat > 1"));
    let (above, below) = plan.split_once("GroupMap:").unwrap();
    assert!(above.contains("yhat") && above.contains("Filter"), "{plan}");
    assert!(below.split("GroupMapExec").next().unwrap().contains("sku = Utf8(\"a\")"), "{plan}");
}

#[test]
fn table_functions_compose_with_everything_sql_has() {
    let dir = tempfile::tempdir().unwrap();
    let file = sales(dir.path());
    let forms = [
        "SELECT count(*) FROM forecast(TABLE(sales), id => sku, time => ds, value => qty, horizon => 7)",
        "SELECT count(*) FROM forecast(sales, id => sku, time => ds, value => qty, horizon => 7)",
        "SELECT count(*) FROM forecast((SELECT sku, ds, qty FROM sales), id => sku, time => ds, value => qty, horizon => 7) AS f",
        "WITH s AS (SELECT sku, ds, qty FROM sales) SELECT count(*) FROM forecast(TABLE(s), id => sku, time => ds, value => qty, horizon => 7)",
        "SELECT count(*) FROM forecast(TABLE(sales), id => [sku], time => ds, value => qty * 2, horizon => 7) f JOIN (SELECT DISTINCT sku FROM sales) s ON s.sku = f.sku",
    ];
    for sql in forms {
        let rows = query(&[("sales", &file)], sql);
        let count = rows[0].column(0).as_primitive::<datafusion::arrow::datatypes::Int64Type>().value(0);
        assert_eq!(count, 21, "{sql}");
    }
}

#[test]
fn wrong_arguments_are_named_with_what_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let file = sales(dir.path());
    let cases: &[(&str, &[&str])] = &[
        (
            "forecast(TABLE(sales), id => sku, time => ds, value => qty, horizn => 7)",
            &["horizn", "did you mean `horizon`"],
        ),
        ("forecast(TABLE(sales), id => sku, time => ds, value => qty)", &["missing argument", "horizon"]),
        ("forecast(TABLE(sales), id => sku, time => ds, horizon => 7)", &["missing argument", "value"]),
        ("forecast(TABLE(sales), id => skuu, time => ds, value => qty, horizon => 7)", &["skuu", "did you mean `sku`"]),
        (
            "forecast(TABLE(sales), id => sku, time => ds, value => sku, horizon => 7)",
            &["wrong column type", "value", "integer, float or decimal"],
        ),
        (
            "forecast(TABLE(sales), id => sku, time => ds, value => qty, horizon => 0)",
            &["horizon", "given=0", "from 1 to"],
        ),
        (
            "forecast(TABLE(sales), id => sku, time => ds, value => qty, horizon => 7, model => 'ets_aana')",
            &["ets_aana", "did you mean `ets_ana`"],
        ),
        (
            "forecast(TABLE(sales), id => 'sku', time => ds, value => qty, horizon => 7)",
            &["names a column", "without quotes"],
        ),
        (
            "forcast(TABLE(sales), id => sku, time => ds, value => qty, horizon => 7)",
            &["unknown table function", "did you mean `forecast`"],
        ),
        (
            "frequent_itemsets(TABLE(sales), basket => ds, item => sku, min_support => 0)",
            &["min_support", "given=0", "count"],
        ),
        (
            "frequent_itemsets(TABLE(sales), basket => ds, item => sku, min_support => 0.0)",
            &["min_support", "given=0.0"],
        ),
        (
            "association_rules(TABLE(sales), basket => ds, item => sku, min_support => 2, min_confidence => 2)",
            &["min_confidence", "given=2"],
        ),
    ];
    for (call, parts) in cases {
        let error =
            try_query(&SessionOptions::default(), &[("sales", &file)], &format!("SELECT * FROM {call}")).unwrap_err();
        for part in *parts {
            assert!(error.contains(part), "{call}: expected {part:?} in: {error}");
        }
    }
}
