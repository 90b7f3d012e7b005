//! Pools of effects: learnt over record batches, given to forecast.

use super::*;
use crate::forecast::Forecast;
use arrow::array::{Date32Array, Float64Array, Int32Array, StringArray};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Float64Type, Schema};
use serde_json::{Value, json};

/// One day of one series: dept, store, sku, day, quantity.
type Row = (Option<&'static str>, i32, &'static str, i32, f64);

/// Factor of a fair day.
const LIFT: f64 = 2.5;
/// Days of the fair; the last lies behind the history.
const FAIR: [i32; 4] = [20, 47, 75, 103];
/// Days of history.
const DAYS: i32 = 100;

/// A daily series with the fair in it, around `level`, with a week and a little noise.
fn series(
    dept: Option<&'static str>,
    store: i32,
    sku: &'static str,
    days: std::ops::Range<i32>,
    level: f64,
) -> Vec<Row> {
    let seed = sku.bytes().map(i32::from).sum::<i32>();
    let value = |day: i32| {
        let noise = f64::from((day * 7 + seed * 13) % 11 - 5) / 40.0;
        let lift = if FAIR.contains(&day) { LIFT } else { 1.0 };
        level * (1.0 + 0.1 * f64::from(day % 7)) * (1.0 + noise) * lift
    };
    days.map(|day| (dept, store, sku, day, value(day))).collect()
}

fn columns(rows: &[Row]) -> [ArrayRef; 5] {
    [
        Arc::new(StringArray::from_iter(rows.iter().map(|r| r.0))),
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|r| r.1))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.2))),
        Arc::new(Date32Array::from_iter_values(rows.iter().map(|r| 20_000 + r.3))),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.4))),
    ]
}

fn batch(names: &[&str], columns: Vec<ArrayRef>) -> RecordBatch {
    let fields = names.iter().zip(&columns).map(|(name, c)| Field::new(*name, c.data_type().clone(), true));
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap()
}

fn holidays() -> RecordBatch {
    let none = || -> ArrayRef { Arc::new(arrow::array::Int64Array::new_null(FAIR.len())) };
    let days = Arc::new(Date32Array::from_iter_values(FAIR.iter().map(|day| 20_000 + day)));
    let names = Arc::new(StringArray::from(vec!["fair"; FAIR.len()]));
    batch(&["ds", "name", "lower_window", "upper_window"], vec![days, names, none(), none()])
}

fn schema(rows: &RecordBatch, keys: usize, order: usize, values: &[&str], sides: &[&str]) -> GroupSchema {
    let names = |of: &[&str]| of.iter().map(ToString::to_string).collect();
    GroupSchema { values: names(values), sides: names(sides), ..GroupSchema::new(rows.schema(), keys, order) }
}

fn args(function: &dyn GroupFunction, given: Value) -> Args {
    let Value::Object(given) = given else { panic!("{given}") };
    Args::check(function.signature(), given).unwrap()
}

/// The pools by dept and store of rows in the order in which they come, pushed so many at a time.
fn pools_in(rows: &[Row], piece: usize) -> RecordBatch {
    let all = batch(&["dept", "store", "sku", "ds", "qty"], columns(rows).to_vec());
    let given = json!({"series_columns": 2, "pool_columns": 1, "season_length": 7});
    let bound = PoolEffects.bind(&schema(&all, 1, 3, &["value"], &["holidays"]), &args(&PoolEffects, given)).unwrap();
    let mut worker = bound.worker();
    worker.side("holidays", &holidays()).unwrap();
    let mut found = vec![];
    let mut begin = 0;
    while begin < rows.len() {
        let end = begin + rows[begin..].iter().take_while(|r| r.0 == rows[begin].0).count();
        let mut at = begin;
        while at < end {
            worker.push(&all.slice(at, piece.min(end - at))).unwrap();
            at += piece;
        }
        let outcome = worker.finish(&Unlimited).unwrap();
        let dept = StringArray::from(vec![rows[begin].0; outcome.rows]);
        let mut columns: Vec<ArrayRef> = vec![Arc::new(dept)];
        columns.extend(worker.take().unwrap());
        found.push(batch(&["dept", "store", "effects"], columns));
        begin = end;
    }
    concat_batches(&found[0].schema(), &found).unwrap()
}

fn pools(rows: &[Row]) -> RecordBatch {
    pools_in(rows, 1_000)
}

fn pool(found: &RecordBatch, row: usize) -> Pool {
    Pool::from_text(found.column(2).as_string::<i32>().value(row)).unwrap()
}

/// The forecast of one series: its first four days, and what is said of its effects.
fn forecast(rows: &[Row], pools: Option<&RecordBatch>) -> (Vec<f64>, String) {
    let [dept, store, sku, ds, qty] = columns(rows);
    let all = batch(&["sku", "ds", "qty", "pool0", "pool1"], vec![sku, ds, qty, dept, store]);
    let sides: &[&str] = if pools.is_some() { &["holidays", POOLS] } else { &["holidays"] };
    let values = ["value", POOL_BY, POOL_BY];
    let given = json!({"horizon": 4, "season_length": 7, "model": "naive", "fill": "null"});
    let bound = Forecast.bind(&schema(&all, 1, 1, &values, sides), &args(&Forecast, given)).unwrap();
    let mut worker = bound.worker();
    worker.side("holidays", &holidays()).unwrap();
    if let Some(pools) = pools {
        worker.side(POOLS, pools).unwrap();
    }
    worker.push(&all).unwrap();
    worker.finish(&Unlimited).unwrap();
    let out = RecordBatch::try_new(Arc::new(Schema::new(bound.output())), worker.take().unwrap()).unwrap();
    let effects = out.column_by_name("effects").unwrap().as_string::<i32>();
    assert!((1..effects.len()).all(|row| effects.is_null(row)), "effects stand on the first row alone");
    let yhat = out.column_by_name("yhat").unwrap().as_primitive::<Float64Type>().values().to_vec();
    (yhat, if effects.is_valid(0) { effects.value(0).to_string() } else { String::new() })
}

const SKUS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn dept(name: Option<&'static str>, store: i32) -> Vec<Row> {
    (0..).zip(SKUS).flat_map(|(k, sku)| series(name, store, sku, 0..DAYS, 10.0 + f64::from(k))).collect()
}

#[test]
fn a_short_series_has_the_effect_of_its_group() {
    let mut rows = dept(Some("food"), 1);
    // Of the days on sale none was a fair.
    let short = series(Some("food"), 1, "z", 80..DAYS, 30.0);
    rows.extend(short.clone());
    let found = pools(&rows);
    assert_eq!(found.num_rows(), 1);
    let fair = pool(&found, 0).effect("fair").unwrap().value;
    assert!((fair - LIFT.ln()).abs() < 0.1, "{fair}");
    let (alone, said) = forecast(&short, None);
    assert_eq!(said, "");
    let (drawn, said) = forecast(&short, Some(&found));
    assert!(said.starts_with("fair=0.") && said.ends_with(" pool"), "{said}");
    assert_eq!(drawn[..3], alone[..3]);
    assert!((drawn[3] / alone[3] / LIFT - 1.0).abs() < 0.1, "{drawn:?} {alone:?}");
    let (_, said) = forecast(&series(Some("food"), 1, "a", 0..DAYS, 10.0), Some(&found));
    assert!(said.ends_with(" shrunk"), "{said}");
    let (_, said) = forecast(&series(Some("food"), 1, "a", 0..DAYS, 10.0), None);
    assert!(said.ends_with(" own"), "{said}");
}

#[test]
fn null_is_a_pool_of_its_own_and_an_unknown_one_none() {
    let mut rows = series(None, 1, "z", 80..DAYS, 30.0);
    rows.extend(dept(Some("food"), 1));
    let found = pools(&rows);
    assert_eq!((found.num_rows(), found.column(0).null_count()), (2, 1));
    assert!(pool(&found, 0).effect("fair").is_none_or(|e| e.value == 0.0) && pool(&found, 1).effect("fair").is_some());
    assert_eq!(forecast(&series(None, 1, "z", 80..DAYS, 30.0), Some(&found)).1, "");
    assert_eq!(forecast(&series(Some("toys"), 1, "z", 80..DAYS, 30.0), Some(&found)).1, "");
    let fair: Vec<Row> = dept(None, 1).into_iter().chain(dept(Some("food"), 1)).collect();
    let said = forecast(&series(None, 1, "z", 80..DAYS, 30.0), Some(&pools(&fair))).1;
    assert!(said.ends_with(" pool"), "{said}");
}

#[test]
fn a_pool_of_all_columns_is_drawn_to_that_of_the_first() {
    let mut rows = dept(Some("food"), 1);
    let short = series(Some("food"), 2, "z", 80..DAYS, 30.0);
    rows.extend(short.clone());
    let found = pools(&rows);
    assert_eq!(found.column(1).as_primitive::<arrow::datatypes::Int32Type>().values(), &[1, 2]);
    // Store 2 has seen no fair, so what it has of one is the department's.
    let said = forecast(&short, Some(&found)).1;
    match pool(&found, 1).effect("fair") {
        // Three days, and a new series that lifts the sum: the department's own effect is drawn to zero by a third.
        Some(of_store) => assert!((0.6..1.0).contains(&of_store.value), "{of_store:?}"),
        None => panic!("the store knows of no fair: {said}"),
    }
    assert!(said.ends_with(" pool"), "{said}");
}

#[test]
fn series_that_cannot_be_used_change_no_pool() {
    let rows = dept(Some("food"), 1);
    let expected = pools(&rows);
    let mut gap = series(Some("food"), 1, "x", 0..DAYS, 50.0);
    gap.remove(40);
    let mut weekly = series(Some("food"), 1, "y", 0..DAYS, 50.0);
    weekly.retain(|r| r.3 % 7 == 0);
    let broken: Vec<Row> = series(Some("food"), 1, "z", 0..DAYS, f64::NAN);
    let more = [gap, weekly, broken].concat();
    assert_eq!(pools(&[rows.clone(), more].concat()), expected);
    // Long before the others: another stretch of the calendar, and no memory for what lies between.
    let ancient = series(Some("food"), 1, "x", -700_000..-699_900, 50.0);
    assert!(pool(&pools(&[rows.clone(), ancient].concat()), 0).effect("fair").is_some());
}

#[test]
fn pieces_change_no_bit() {
    let rows: Vec<Row> = [dept(None, 1), dept(Some("food"), 1), dept(Some("food"), 2), dept(Some("toys"), 1)].concat();
    let whole = pools(&rows);
    assert_eq!(whole.num_rows(), 4);
    for piece in [1, 7, 99, 100, 333] {
        assert_eq!(pools_in(&rows, piece), whole);
    }
}

#[test]
fn of_a_series_in_several_groups_the_first_observed_row_counts() {
    let found = pools(&[dept(Some("food"), 1), series(Some("toys"), 1, "t", 80..DAYS, 10.0)].concat());
    let mut moved = series(Some("food"), 1, "z", 80..DAYS, 30.0);
    moved.iter_mut().skip(1).for_each(|r| r.0 = Some("toys"));
    assert!(forecast(&moved, Some(&found)).1.ends_with(" pool"));
    moved.iter_mut().for_each(|r| r.0 = if r.0 == Some("food") { Some("toys") } else { Some("food") });
    assert_eq!(forecast(&moved, Some(&found)).1, "");
}

#[test]
fn pools_are_found_by_their_values_whatever_the_type_of_their_strings() {
    let rows = dept(Some("food"), 1);
    let found = pools(&rows);
    let mut columns = found.columns().to_vec();
    columns[0] = cast(&columns[0], &DataType::Utf8View).unwrap();
    let viewed = batch(&["dept", "store", "effects"], columns);
    let short = series(Some("food"), 1, "z", 80..DAYS, 30.0);
    assert_eq!(forecast(&short, Some(&viewed)), forecast(&short, Some(&found)));
    let order = UInt32Array::from(vec![0]);
    assert_eq!(forecast(&short, Some(&take_record_batch(&found, &order).unwrap())), forecast(&short, Some(&found)));
}
