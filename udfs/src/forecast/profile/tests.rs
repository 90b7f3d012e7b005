//! `profile_series` over record batches: what it counts, and what no input can break.

use super::*;
use crate::functions::FUNCTIONS;
use crate::one_group::{Rows, batch, run};
use arrow::array::{Array, Date32Array, Float64Array, Int64Array, StringArray};
use proptest::prelude::*;
use serde_json::{Value, json};

fn rows(id: Option<&str>, time: ArrayRef, value: Vec<Option<f64>>) -> RecordBatch {
    let ids: ArrayRef = Arc::new(StringArray::from(vec![id; value.len()]));
    batch(vec![("sku", ids), ("ds", time), ("qty", Arc::new(Float64Array::from(value)))])
}

fn days(days: impl IntoIterator<Item = i32>) -> ArrayRef {
    Arc::new(days.into_iter().map(|d| Some(20_000 + d)).collect::<Date32Array>())
}

fn profile(time: ArrayRef, value: Vec<Option<f64>>, given: Value) -> Rows {
    run(&ProfileSeries, &rows(Some("a"), time, value), given).unwrap()
}

#[test]
fn it_is_in_the_table_of_functions_and_every_column_has_its_help() {
    assert!(FUNCTIONS.iter().any(|f| f.signature().name == "profile_series"));
    let out = profile(days(0..3), vec![Some(1.0); 3], json!({}));
    let names: Vec<_> = out.0.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, SIGNATURE.output.iter().skip(1).map(|o| o.name).collect::<Vec<_>>());
    assert!(SIGNATURE.output.iter().all(|o| !o.meaning.is_empty()));
}

#[test]
fn a_dirty_series_is_counted_not_refused() {
    // Day 3 twice, days 5 and 6 without a row, a null, an infinity, a negative, zeros in front.
    let time = days([0, 1, 2, 3, 3, 4, 7, 8, 9]);
    let value =
        [Some(0.0), Some(0.0), Some(4.0), Some(1.0), Some(2.0), None, Some(f64::INFINITY), Some(-2.0), Some(0.0)];
    let out = profile(time, value.to_vec(), json!({}));
    assert!(!out.1.refused);
    let counts = |names: &[&str]| names.iter().map(|n| out.count(n, 0)).collect::<Vec<_>>();
    assert_eq!(counts(&["n", "steps", "gaps", "duplicates", "nulls", "not_finite"]), [9, 10, 2, 1, 1, 1]);
    assert_eq!(counts(&["zeros", "negatives", "leading_zeros", "silence", "observed", "sales"]), [3, 1, 2, 1, 6, 3]);
    assert_eq!((out.text("first_time", 0), out.text("last_time", 0)), ("2024-10-04".into(), "2024-10-13".into()));
    assert_eq!((out.text("frequency", 0), out.text("status", 0)), ("1 day".into(), "ok".into()));
    assert!(out.column("reason").is_null(0));
    // 0, 0, 4, 1 + 2, -2, 0.
    assert_eq!(
        (out.real("sum", 0), out.real("mean", 0), out.real("min", 0), out.real("max", 0)),
        (5.0, 5.0 / 6.0, -2.0, 4.0)
    );
    assert_eq!(out.real("adi", 0), 4.0 / 3.0);
}

#[test]
fn fill_and_duplicates_decide_what_gaps_and_repeated_times_mean() {
    let series =
        |given| profile(days([0, 3, 3, 6, 9]), vec![Some(2.0), Some(3.0), Some(3.0), Some(2.0), Some(4.0)], given);
    let out = series(json!({"freq": "D", "fill": "zero"}));
    assert_eq!((out.count("steps", 0), out.count("observed", 0), out.count("gaps", 0)), (10, 10, 6));
    assert_eq!((out.real("sum", 0), out.real("adi", 0)), (14.0, 2.5));
    assert_eq!(series(json!({"freq": "D"})).real("adi", 0), 1.0);
    assert_eq!(series(json!({"freq": "D", "duplicates": "max"})).real("sum", 0), 11.0);
}

#[test]
fn each_class_of_demand_has_its_name() {
    let class = |n: usize, of: fn(usize) -> f64| {
        profile(days(0..n as i32), (0..n).map(|t| Some(of(t))).collect(), json!({"season_length": 7})).text("class", 0)
    };
    assert_eq!(class(1, |_| 5.0), "new");
    assert_eq!(class(10, |_| 5.0), "short");
    assert_eq!(class(90, |t| 5.0 + (t % 7) as f64), "smooth");
    assert_eq!(class(90, |t| if t % 5 == 0 { 50.0 } else { 3.0 }), "erratic");
    assert_eq!(class(90, |t| if t % 3 == 0 { 2.0 } else { 0.0 }), "intermittent");
    assert_eq!(class(90, |t| [2.0, 0.0, 0.0, 40.0, 0.0, 0.0, 1.0, 0.0][t % 8]), "lumpy");
    assert_eq!(class(90, |t| if t < 60 && t % 3 == 0 { 2.0 } else { 0.0 }), "dead");
}

#[test]
fn season_changes_and_spikes_are_seen_together() {
    let week = [3.0, -1.0, -2.0, 4.0, 0.0, -1.0, -3.0];
    let value = |t: usize| {
        let level = if t < 100 { 20.0 } else { 35.0 };
        let bulk = if t == 50 { 400.0 } else { 0.0 };
        Some(level + week[t % 7] + (t * 5 % 3) as f64 * 0.1 + bulk)
    };
    let out = profile(days(0..200), (0..200).map(value).collect(), json!({"season_length": 7, "freq": "D"}));
    assert_eq!((out.count("changes", 0), out.text("last_change", 0)), (1, "2025-01-12".into()));
    // The bulk order; the steps either side of the change lie outside their windows.
    assert!((1..=8).contains(&out.count("spikes", 0)), "{}", out.count("spikes", 0));
    let clean = |t: usize| Some(20.0 + week[t % 7] + (t * 5 % 3) as f64 * 0.1);
    let out = profile(days(0..200), (0..200).map(clean).collect(), json!({"season_length": 7, "freq": "D"}));
    assert_eq!((out.count("changes", 0), out.count("spikes", 0)), (0, 0));
    assert!(out.real("seasonal_strength", 0) > 0.99 && out.real("trend_strength", 0) < 0.5);
}

#[test]
fn unusable_ids_and_times_say_so_and_keep_what_can_be_counted() {
    let nulls: ArrayRef = Arc::new(Date32Array::from(vec![None, Some(20_000)]));
    let null_id = run(&ProfileSeries, &rows(None, days(0..4), vec![Some(1.0); 4]), json!({})).unwrap();
    let null_time = profile(nulls, vec![Some(1.0); 2], json!({}));
    for (out, status) in [(null_id, "null_id"), (null_time, "null_time")] {
        assert!(out.1.refused);
        assert_eq!(out.text("status", 0), status);
        assert!(!out.column("reason").is_null(0) && out.column("zeros").is_null(0) && out.column("class").is_null(0));
    }
    let mixed: ArrayRef = Arc::new(Int64Array::from(vec![1, 3, 6]));
    let out = profile(mixed, vec![Some(0.0), None, Some(2.0)], json!({}));
    assert_eq!((out.text("status", 0), out.count("zeros", 0), out.count("nulls", 0)), ("mixed_frequency".into(), 1, 1));
    let far: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 1_000_000_000_000]));
    let out = profile(far, vec![Some(0.0), None, Some(2.0)], json!({}));
    assert_eq!((out.text("status", 0), out.count("steps", 0)), ("gap".into(), 1_000_000_000_000));
    assert!(out.column("class").is_null(0));
}

#[test]
fn a_series_without_memory_for_its_rows_is_counted() {
    let rows = rows(Some("a"), days(0..9), vec![Some(1.0); 9]);
    let schema = GroupSchema::new(rows.schema(), 1, 1);
    let bound = ProfileSeries.bind(&schema, &Args::check(&SIGNATURE, serde_json::Map::new()).unwrap()).unwrap();
    let mut worker = bound.worker();
    worker.push(&rows).unwrap();
    assert!(worker.shed());
    worker.push(&rows).unwrap();
    assert!(worker.finish(&crate::functions::Unlimited).unwrap().refused);
    worker.push(&rows).unwrap();
    assert!(!worker.finish(&crate::functions::Unlimited).unwrap().refused);
    let columns = worker.take().unwrap();
    let out = Rows(
        RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(bound.output())), columns).unwrap(),
        Outcome { rows: 2, refused: false },
    );
    assert_eq!((out.text("status", 0), out.count("n", 0)), ("too_large".into(), 18));
    assert_eq!((out.text("status", 1), out.count("n", 1)), ("ok".into(), 9));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_rows_at_all_give_one_row(
        value in prop::collection::vec(
            prop::option::of(prop_oneof![any::<f64>(), -1e6..1e6, Just(0.0), Just(1e308), Just(-1e-308)]), 1..120),
        steps in prop::collection::vec(0i32..3, 120),
        season_length in 1usize..15,
        fill in prop_oneof![Just("null"), Just("zero")],
    ) {
        let mut day = 0;
        let time = days(steps.iter().take(value.len()).map(|s| { day += s; day }).collect::<Vec<_>>());
        let out = profile(time, value, json!({"season_length": season_length, "fill": fill}));
        prop_assert_eq!(out.0.num_rows(), 1);
        prop_assert_eq!(out.text("status", 0), "ok");
        for name in ["seasonal_strength", "trend_strength"] {
            let strength = out.real(name, 0);
            prop_assert!(strength.is_nan() || (0.0..=1.0).contains(&strength));
        }
        prop_assert!(out.count("observed", 0) <= out.count("steps", 0));
    }

    #[test]
    fn the_order_of_rows_of_one_time_changes_no_bit(value in prop::collection::vec(-1e6..1e6, 40), turn in 1usize..3) {
        let time: Vec<i32> = (0..40).map(|t| t / 4).collect();
        let turned: Vec<f64> = value.chunks(4).flat_map(|c| (0..4).map(|i| c[(i + turn) % 4]).collect::<Vec<_>>()).collect();
        let of = |v: &[f64]| profile(days(time.iter().copied()), v.iter().map(|v| Some(*v)).collect(), json!({})).0;
        prop_assert_eq!(of(&value), of(&turned));
    }

    #[test]
    fn a_power_of_two_scales_the_range_and_nothing_else(value in prop::collection::vec(-1e3..1e3, 20..90), power in -900i32..900) {
        let factor = f64::powi(2.0, power);
        let work = &mut Work::default();
        let (a, b) = (shape(&value, 7, work), shape(&value.iter().map(|v| v * factor).collect::<Vec<_>>(), 7, work));
        prop_assert_eq!((a.strength, a.changes, a.last_change, a.spikes), (b.strength, b.changes, b.last_change, b.spikes));
        prop_assert_eq!((a.mean * factor, a.min * factor, a.deviation * factor), (b.mean, b.min, b.deviation));
        prop_assert_eq!(a.demand.class, b.demand.class);
    }
}
