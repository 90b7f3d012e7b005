//! `forecast` over record batches: each status, each kind of time, each argument.

use super::*;
use crate::functions::{FUNCTIONS, Unlimited};
use crate::signature::KIND;
use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Float64Array, Int8Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{Float64Type, Int32Type, Schema, TimeUnit};
use arrow::util::display::array_value_to_string;
use serde_json::{Map, Value, json};

/// Arguments of a call, with the rest at their defaults.
fn args(given: Value) -> Result<Args> {
    let Value::Object(given) = given else { return Args::check(&SIGNATURE, Map::new()) };
    Args::check(&SIGNATURE, given)
}

fn batch(id: Option<&str>, time: ArrayRef, value: Vec<Option<f64>>) -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("sku", DataType::Utf8, true),
        Field::new("ds", time.data_type().clone(), true),
        Field::new("qty", DataType::Float64, true),
    ]);
    let ids: ArrayRef = Arc::new(StringArray::from(vec![id; value.len()]));
    RecordBatch::try_new(Arc::new(schema), vec![ids, time, Arc::new(Float64Array::from(value))]).unwrap()
}

fn bind(schema: Arc<Schema>, given: Value) -> Result<Arc<dyn BoundFunction>> {
    Forecast.bind(&GroupSchema::new(schema, 1, 1), &args(given)?)
}

/// A call with side tables: the argument of each value column, and the tables that are read whole.
fn bind_call(schema: Arc<Schema>, values: &[&str], sides: &[&str], given: Value) -> Result<Arc<dyn BoundFunction>> {
    let names = |of: &[&str]| of.iter().map(ToString::to_string).collect();
    let input = GroupSchema { values: names(values), sides: names(sides), ..GroupSchema::new(schema, 1, 1) };
    Forecast.bind(&input, &args(given)?)
}

/// `sku, ds, qty, promo, lc_kind`.
fn known_schema() -> Arc<Schema> {
    let kinds = [DataType::Utf8, DataType::Date32, DataType::Float64, DataType::Float64, DataType::Int8];
    let names = ["sku", "ds", "qty", "promo", KIND];
    let fields = names.into_iter().zip(kinds).map(|(name, kind)| Field::new(name, kind, true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// One row per `(day, value, promo, kind)`, ordered as the engine does.
fn known(rows: &[(i32, Option<f64>, Option<f64>, i8)]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["a"; rows.len()])),
        Arc::new(Date32Array::from_iter_values(rows.iter().map(|r| 20_000 + r.0))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|r| r.1))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|r| r.2))),
        Arc::new(Int8Array::from_iter_values(rows.iter().map(|r| r.3))),
    ];
    RecordBatch::try_new(known_schema(), columns).unwrap()
}

fn run_bound(bound: &dyn BoundFunction, sides: &[(&str, RecordBatch)], rows: &RecordBatch) -> Series {
    let mut worker = bound.worker();
    for (name, side) in sides {
        worker.side(name, side).unwrap();
    }
    for row in 0..rows.num_rows() {
        worker.push(&rows.slice(row, 1)).unwrap();
    }
    let outcome = worker.finish(&Unlimited).unwrap();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(bound.output())), worker.take().unwrap()).unwrap();
    Series(batch, outcome.refused)
}

/// Runs one series; gives the output columns by name.
struct Series(RecordBatch, bool);

fn run(rows: &RecordBatch, given: Value) -> Series {
    let bound = bind(rows.schema(), given).unwrap();
    let mut worker = bound.worker();
    // In two pushes, as a series that crosses a batch boundary arrives.
    let half = rows.num_rows() / 2;
    if half > 0 {
        worker.push(&rows.slice(0, half)).unwrap();
    }
    worker.push(&rows.slice(half, rows.num_rows() - half)).unwrap();
    let outcome = worker.finish(&Unlimited).unwrap();
    let columns = worker.take().unwrap();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(bound.output())), columns).unwrap();
    assert_eq!(outcome.rows, batch.num_rows());
    Series(batch, outcome.refused)
}

impl Series {
    fn text(&self, column: &str, row: usize) -> String {
        array_value_to_string(self.0.column_by_name(column).unwrap(), row).unwrap()
    }

    fn yhat(&self) -> Vec<f64> {
        self.0.column_by_name("yhat").unwrap().as_primitive::<Float64Type>().values().to_vec()
    }

    /// The status of a series without forecast, after checking that its one row says nothing else.
    fn refused(&self) -> (String, String) {
        assert!(self.1);
        assert_eq!(self.0.num_rows(), 1);
        for (field, column) in self.0.schema().fields().iter().zip(self.0.columns()) {
            let said = matches!(field.name().as_str(), "status" | "reason" | "cutoff");
            assert!(said || column.is_null(0), "{} is not null", field.name());
        }
        (self.text("status", 0), self.text("reason", 0))
    }

    fn times(&self) -> Vec<String> {
        (0..self.0.num_rows()).map(|row| self.text("ds", row)).collect()
    }
}

fn dates(texts: &[&str]) -> ArrayRef {
    cast(&(Arc::new(StringArray::from(texts.to_vec())) as ArrayRef), &DataType::Date32).unwrap()
}

fn days(n: i32) -> ArrayRef {
    Arc::new(Date32Array::from((20_000..20_000 + n).collect::<Vec<_>>()))
}

fn counting(n: usize) -> Vec<Option<f64>> {
    (0..n).map(|t| Some((t % 7) as f64)).collect()
}

#[test]
fn forecast_is_in_the_table_of_functions() {
    assert!(FUNCTIONS.iter().any(|f| f.signature().name == "forecast"));
}

#[test]
fn every_status_has_its_own_name_and_every_output_column_its_help() {
    let mut names: Vec<_> = super::super::Status::ALL.iter().map(|s| s.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), super::super::Status::ALL.len());
    let given = json!({"horizon": 1, "level": [80], "quantiles": [0.025]});
    let mut fields = bind_call(known_schema(), &["value", "regressors", KIND], &["holidays"], given).unwrap().output();
    // Effects have no state: the two last columns are those of a call without.
    let given = json!({"horizon": 1, "fitted": true});
    let mut plain = bind(batch(None, days(1), counting(1)).schema(), given).unwrap().output();
    fields.extend(plain.split_off(plain.len() - 2));
    let named = |o: &Output| o.name.replace("<time>", "ds").replace("<level>", "80").replace("<percent>", "2_5");
    let documented: Vec<_> = SIGNATURE.output.iter().map(named).skip(1).collect();
    assert_eq!(fields.iter().map(|f| f.name().clone()).collect::<Vec<_>>(), documented);
}

#[test]
fn a_daily_series_is_continued_day_by_day_with_bounds_about_its_mean() {
    let out =
        run(&batch(Some("a"), days(35), counting(35)), json!({"horizon": 14, "season_length": 7, "level": [80, 95]}));
    assert!(!out.1);
    assert_eq!(out.0.num_rows(), 14);
    assert_eq!(out.text("ds", 0), "2024-11-08");
    assert_eq!(out.text("cutoff", 13), "2024-11-07");
    assert_eq!((out.text("model", 0), out.text("status", 0)), ("ets_ana".into(), "ok".into()));
    assert!(out.0.column_by_name("reason").unwrap().is_null(0));
    assert_eq!(
        out.0.column_by_name("step").unwrap().as_primitive::<Int32Type>().values(),
        &(1..=14).collect::<Vec<i32>>()[..]
    );
    for (t, y) in out.yhat().iter().enumerate() {
        assert!((y - (t % 7) as f64).abs() < 1e-9, "step={t} yhat={y}");
        let bound = |name: &str| out.0.column_by_name(name).unwrap().as_primitive::<Float64Type>().value(t);
        assert!(bound("yhat_lower_95") <= bound("yhat_lower_80") && bound("yhat_lower_80") <= *y);
        assert!(bound("yhat_upper_95") >= bound("yhat_upper_80") && bound("yhat_upper_80") >= *y);
    }
}

#[test]
fn each_fault_of_a_series_has_its_status_and_says_where() {
    let value = |at: usize, v: Option<f64>| {
        let mut values = counting(20);
        values[at] = v;
        values
    };
    let mut early = vec![None];
    early.extend((20_000..20_019).map(Some));
    let null_time: ArrayRef = Arc::new(Date32Array::from(early));
    let twice = dates(&["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03"]);
    let gap = dates(&["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06"]);
    let cases: Vec<(RecordBatch, &str, &str)> = vec![
        (batch(None, days(20), counting(20)), "null_id", "column=sku"),
        (batch(Some("a"), null_time, counting(20)), "null_time", "position=1"),
        (batch(Some("a"), days(20), value(3, None)), "null_value", "time=2024-10-07"),
        (batch(Some("a"), days(20), value(15, Some(f64::NAN))), "not_finite", "time=2024-10-19, value=NaN"),
        (batch(Some("a"), days(20), value(0, Some(f64::INFINITY))), "not_finite", "value=inf"),
        (batch(Some("a"), twice, counting(4)), "duplicate_time", "time=2024-01-02"),
        (batch(Some("a"), gap, counting(4)), "gap", "first_missing=2024-01-03, missing=2, step=1 day"),
        (batch(Some("a"), dates(&["2024-01-01"]), counting(1)), "no_frequency", "set freq"),
        (batch(Some("a"), dates(&["9999-12-29", "9999-12-30"]), counting(2)), "out_of_range", "step=2"),
        (
            batch(Some("a"), Arc::new(Date32Array::from(vec![3_000_000, 3_000_001])), counting(2)),
            "out_of_range",
            "time=3000000",
        ),
        (batch(Some("a"), Arc::new(Int8Array::from(vec![125, 126])), counting(2)), "out_of_range", "step=2"),
        (batch(Some("a"), Arc::new(UInt64Array::from(vec![1, u64::MAX])), counting(2)), "out_of_range", "position="),
        (
            batch(Some("a"), Arc::new(Int64Array::from(vec![i64::MIN, 0, i64::MAX])), counting(3)),
            "mixed_frequency",
            "first=-9223372036854775808",
        ),
        (
            batch(Some("a"), Arc::new(Int64Array::from(vec![1, 3, 6])), counting(3)),
            "mixed_frequency",
            "time=6, first=1, step=2",
        ),
        (
            batch(Some("a"), dates(&["2024-01-01", "2024-02-01", "2024-03-01", "2024-03-15"]), counting(4)),
            "mixed_frequency",
            "step=14 day",
        ),
        (batch(Some("a"), days(3), vec![Some(-1.7e308), Some(1.7e308), Some(-1.7e308)]), "overflow", "step=1"),
    ];
    for (rows, status, part) in cases {
        let out = run(&rows, json!({"horizon": 3, "level": [99]}));
        let (found, reason) = out.refused();
        assert!(found == status && reason.contains(part), "expected {status} with {part}, found {found}: {reason}");
    }
}

#[test]
fn a_short_series_goes_down_the_ladder_or_is_refused() {
    let case = |n: i32, given: Value| run(&batch(Some("a"), days(n), counting(n as usize)), given);
    let asked = json!({"horizon": 2, "season_length": 7, "model": "ets_ana", "freq": "D", "level": [80]});
    for (n, model, reason) in [
        (16, "ets_ann", "ets_ana needs n>=17, has n=16"),
        (3, "naive", "ets_ana needs n>=17, has n=3; ets_ann needs n>=4, has n=3"),
    ] {
        let out = case(n, asked.clone());
        assert_eq!(
            (out.text("model", 0), out.text("status", 0), out.text("reason", 0)),
            (model.into(), "fallback".into(), reason.into())
        );
    }
    let out = case(1, asked);
    assert_eq!(
        out.text("reason", 0),
        "ets_ana needs n>=17, has n=1; ets_ann needs n>=4, has n=1; naive tells no spread from n=1"
    );
    assert!(out.0.column_by_name("yhat_lower_80").unwrap().is_null(0));
    let (status, reason) =
        case(16, json!({"horizon": 2, "season_length": 7, "model": "ets_ana", "fallback": "no"})).refused();
    assert_eq!((status.as_str(), reason.as_str()), ("too_short", "ets_ana needs n>=17, has n=16"));
    let out = case(7, json!({"horizon": 2, "season_length": 7, "model": "seasonal_naive", "level": [80]}));
    assert_eq!((out.text("model", 0), out.text("status", 0)), ("seasonal_naive".into(), "no_interval".into()));
    let out = case(1, json!({"horizon": 2, "model": "naive", "freq": "day"}));
    assert_eq!((out.text("status", 0), out.yhat()), ("ok".into(), vec![0.0, 0.0]));
}

#[test]
fn gaps_are_filled_as_asked() {
    let gap = dates(&["2024-01-01", "2024-01-02", "2024-01-05"]);
    let values = vec![Some(1.0), Some(2.0), Some(5.0)];
    for (fill, sse) in [("zero", [1.0, 4.0, 0.0, 25.0]), ("previous", [1.0, 0.0, 0.0, 9.0])] {
        let out = run(
            &batch(Some("a"), Arc::clone(&gap), values.clone()),
            json!({"horizon": 1, "model": "naive", "fill": fill, "level": [68]}),
        );
        let upper = out.0.column_by_name("yhat_upper_68").unwrap().as_primitive::<Float64Type>().value(0);
        let sigma = (sse.iter().sum::<f64>() / 4.0).sqrt();
        assert!((upper - (5.0 + crate::forecast::intervals::half_width(68) * sigma)).abs() < 1e-12, "{fill}");
        assert_eq!(out.times(), ["2024-01-06"]);
    }
    let far: ArrayRef = Arc::new(Int64Array::from(vec![0, 1, 1_000_000_000_000]));
    let (status, reason) = run(&batch(Some("a"), far, counting(3)), json!({"horizon": 1, "fill": "zero"})).refused();
    assert!(status == "gap" && reason.contains("too many"), "{status}: {reason}");
}

#[test]
fn the_calendar_goes_on_as_the_series_does() {
    let cases: &[(&[&str], &str, &[&str])] = &[
        (&["2023-11-01", "2023-12-01", "2024-01-01"], "auto", &["2024-02-01", "2024-03-01"]),
        (&["2023-11-30", "2023-12-31", "2024-01-31"], "auto", &["2024-02-29", "2024-03-31"]),
        (&["2023-12-30", "2024-01-30"], "auto", &["2024-02-29", "2024-03-30"]),
        (&["2023-06-30", "2023-09-30"], "auto", &["2023-12-31", "2024-03-31"]),
        (&["2022-02-28", "2023-02-28"], "auto", &["2024-02-28", "2025-02-28"]),
        (&["2023-01-01", "2024-01-01"], "auto", &["2025-01-01", "2026-01-01"]),
        (&["2024-01-01", "2024-01-08", "2024-01-15"], "auto", &["2024-01-22", "2024-01-29"]),
        (&["2024-01-01", "2024-01-29", "2024-02-26"], "auto", &["2024-03-25", "2024-04-22"]),
        (&["0001-01-01", "0001-01-02"], "auto", &["0001-01-03", "0001-01-04"]),
        (&["2024-01-15"], "month", &["2024-02-15", "2024-03-15"]),
        (&["2024-01-01"], "MS", &["2024-02-01", "2024-03-01"]),
        (&["2024-01-31"], "ME", &["2024-02-29", "2024-03-31"]),
        (&["2024-01-31"], "QE", &["2024-04-30", "2024-07-31"]),
        (&["2024-01-01"], "2YS", &["2026-01-01", "2028-01-01"]),
        (&["2024-01-01"], "week", &["2024-01-08", "2024-01-15"]),
    ];
    for (times, freq, next) in cases {
        let out = run(&batch(Some("a"), dates(times), counting(times.len())), json!({"horizon": 2, "freq": freq}));
        assert_eq!(out.times(), *next, "{times:?} {freq}");
    }
    let (status, reason) =
        run(&batch(Some("a"), dates(&["2024-01-02"]), counting(1)), json!({"horizon": 2, "freq": "MS"})).refused();
    assert!(status == "mixed_frequency" && reason.contains("time=2024-01-02"), "{status}: {reason}");
}

#[test]
fn timestamps_keep_their_type_and_zone_and_days_follow_the_local_clock() {
    let hours: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0, 3_600_000_000, 7_200_000_000]));
    let out = run(&batch(Some("a"), hours, counting(3)), json!({"horizon": 2}));
    assert_eq!(out.times(), ["1970-01-01T03:00:00", "1970-01-01T04:00:00"]);
    let zoned: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![0, 86_400_000_000_000]).with_timezone("+02:00"));
    let out = run(&batch(Some("a"), zoned, counting(2)), json!({"horizon": 1, "freq": "D"}));
    assert_eq!(out.0.column(0).data_type(), &DataType::Timestamp(TimeUnit::Nanosecond, Some("+02:00".into())));
    assert_eq!(out.times(), ["1970-01-03T02:00:00+02:00"]);
    let quarter: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0]));
    let out = run(&batch(Some("a"), quarter, counting(1)), json!({"horizon": 1, "freq": "15min"}));
    assert_eq!(out.times(), ["1970-01-01T00:15:00"]);
    let last: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![i64::MAX - 1, i64::MAX]));
    assert_eq!(run(&batch(Some("a"), last, counting(2)), json!({"horizon": 1})).refused().0, "out_of_range");
    // Named zones need arrow's `chrono-tz`, which the engine's build has and this crate's own does not.
    let berlin = DataType::Timestamp(TimeUnit::Second, Some("Europe/Berlin".into()));
    if Clock::new(&berlin).is_ok() {
        // Midnights about the change of 31 March 2024, which has 23 hours.
        let midnights: ArrayRef = Arc::new(Int64Array::from(vec![1_711_666_800, 1_711_753_200, 1_711_839_600]));
        let out = run(&batch(Some("a"), cast(&midnights, &berlin).unwrap(), counting(3)), json!({"horizon": 2}));
        assert_eq!(out.times(), ["2024-04-01T00:00:00+02:00", "2024-04-02T00:00:00+02:00"]);
    }
}

#[test]
fn wrong_arguments_are_refused_when_bound_and_say_what_is_allowed() {
    let daily = batch(Some("a"), days(3), counting(3)).schema();
    let steps = batch(Some("a"), Arc::new(Int64Array::from(vec![1])), counting(1)).schema();
    let cases = [
        (&daily, json!({}), "name=horizon"),
        (&daily, json!({"horizon": 0}), "whole number from 1 to 10000"),
        (&daily, json!({"horizon": 1, "modle": "naive"}), "did you mean `model`?"),
        (&daily, json!({"horizon": 1, "model": "ets_anna"}), "did you mean `ets_ann"),
        (&daily, json!({"horizon": 1, "model": "ets_ana"}), "at least 2 with model 'ets_ana'"),
        (&daily, json!({"horizon": 1, "level": [0]}), "1 to 99"),
        (&daily, json!({"horizon": 1, "fill": "none"}), "zero"),
        (&daily, json!({"horizon": 1, "freq": "dayz"}), "did you mean 'day'?"),
        (&daily, json!({"horizon": 1, "freq": ""}), "it is empty"),
        (&daily, json!({"horizon": 1, "freq": "0D"}), "at least 1"),
        (&daily, json!({"horizon": 1, "freq": "99999999999999999999D"}), "whole number"),
        (&daily, json!({"horizon": 1, "freq": "9999999D"}), "too large"),
        (&daily, json!({"horizon": 1, "freq": "7"}), "integer column"),
        (&daily, json!({"horizon": 1, "freq": "h"}), "a date has no time of day"),
        (&steps, json!({"horizon": 1, "freq": "D"}), "no calendar"),
    ];
    for (schema, given, part) in cases {
        let error =
            bind(Arc::clone(schema), given.clone()).err().map(|e| (matches!(e, Error::Argument(_)), e.to_string()));
        assert!(error.as_ref().is_some_and(|(argument, text)| *argument && text.contains(part)), "{given}: {error:?}");
    }
}

#[test]
fn an_id_named_like_an_output_column_is_refused() {
    let schema = Schema::new(vec![
        Field::new("model", DataType::Utf8, true),
        Field::new("ds", DataType::Int64, true),
        Field::new("qty", DataType::Float64, true),
    ]);
    let error = bind(Arc::new(schema), json!({"horizon": 1})).err().map(|e| e.to_string());
    assert!(error.as_ref().is_some_and(|e| e.contains("name=model")), "{error:?}");
}

#[test]
fn one_worker_gives_the_same_rows_for_a_series_whatever_came_before() {
    let good = batch(Some("a"), days(40), counting(40));
    let given = json!({"horizon": 5, "season_length": 7, "level": [80]});
    let alone = run(&good, given.clone()).0;
    let bound = bind(good.schema(), given).unwrap();
    let mut worker = bound.worker();
    for bad in [
        batch(None, days(9), counting(9)),
        batch(Some("b"), days(400), counting(400)),
        batch(Some("c"), days(3), vec![None; 3]),
    ] {
        worker.push(&bad).unwrap();
        worker.finish(&Unlimited).unwrap();
    }
    assert!(worker.memory_bytes() > 8 * 800);
    worker.take().unwrap();
    worker.push(&good).unwrap();
    worker.finish(&Unlimited).unwrap();
    let after = RecordBatch::try_new(Arc::new(Schema::new(bound.output())), worker.take().unwrap()).unwrap();
    assert_eq!(alone, after);
}

#[test]
fn a_panicking_model_costs_its_series_alone() {
    use crate::forecast::{Buffers, Kernel, Model, Path, Refusal, Spread, State};
    struct Broken;
    impl Model for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }
        fn summary(&self) -> &'static str {
            ""
        }
        fn source(&self) -> &'static str {
            ""
        }
        fn simpler(&self) -> Option<&'static dyn Model> {
            None
        }
        fn bind(&self, _: &Args, _: usize) -> Result<Arc<dyn Kernel>> {
            Ok(Arc::new(Broken))
        }
    }
    impl Kernel for Broken {
        fn observations_min(&self) -> usize {
            1
        }
        fn estimate(&self, _: &[f64], _: &mut Buffers, _: &mut State) -> Result<(), Refusal> {
            panic!("division by zero of 1")
        }
        fn update(&self, _: &[f64], _: &mut State) {}
        fn forecast(&self, _: &State, _: &mut Path) -> Spread {
            Spread::Unknown
        }
    }
    let rows = batch(Some("a"), days(9), counting(9));
    let plan = Plan {
        clock: Clock::new(&DataType::Date32).unwrap(),
        layout: Layout::of(&GroupSchema::new(rows.schema(), 1, 1)),
        frequency: Frequency::Auto,
        terms: Arc::new(Terms {
            asking: Asking::Ladder(vec![Arc::new(Choice::plain(&Broken, 1).unwrap())]),
            season_length: 1,
            horizon: 2,
            asked: Asked::default(),
            non_negative: None,
        }),
        cleaning: Cleaning {
            fill: Fill::Error,
            duplicates: Duplicates::Error,
            drop_leading_zeros: false,
            cap_spikes: false,
        },
        refit_every: 14,
        arguments: 0,
        fitted: false,
        regressors: vec![],
        holidays: false,
    };
    let mut worker = Worker::new(Arc::new(plan));
    for _ in 0..2 {
        worker.push(&rows).unwrap();
        assert!(worker.finish(&Unlimited).unwrap().refused);
    }
    let columns = worker.take().unwrap();
    assert_eq!(array_value_to_string(&columns[6], 1).unwrap(), "bug");
    assert!(array_value_to_string(&columns[7], 1).unwrap().contains("division by zero of 1"));
}

#[test]
fn rows_out_of_order_are_a_bug_of_ours_not_of_the_series() {
    let rows = batch(Some("a"), dates(&["2024-01-02", "2024-01-01"]), counting(2));
    let bound = bind(rows.schema(), json!({"horizon": 1})).unwrap();
    let mut worker = bound.worker();
    worker.push(&rows).unwrap();
    assert!(matches!(worker.finish(&Unlimited), Err(Error::Bug(_))));
}

/// A pool of so many bytes.
struct Pool(usize);

impl crate::functions::GroupContext for Pool {
    fn reserve(&self, bytes: usize) -> Result<()> {
        if bytes > self.0 { Err(Error::Limit("pool exhausted".into())) } else { Ok(()) }
    }

    fn check_cancelled(&self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_series_without_memory_is_refused_by_name_and_leaves_nothing() {
    let rows = batch(Some("a"), days(40), counting(40));
    let bound = bind(rows.schema(), json!({"horizon": 5, "season_length": 7})).unwrap();
    let told = |columns: &[ArrayRef], from: usize| -> Vec<String> {
        (from..columns.len()).map(|c| array_value_to_string(&columns[c], 0).unwrap()).collect()
    };
    let mut worker = bound.worker();
    // While it grows: what is held goes, what still comes is counted.
    worker.push(&rows.slice(0, 20)).unwrap();
    let held = worker.memory_bytes();
    assert!(worker.shed() && worker.shed());
    assert!(worker.memory_bytes() < held);
    let before = worker.memory_bytes();
    worker.push(&rows.slice(20, 20)).unwrap();
    assert_eq!(worker.memory_bytes(), before);
    assert_eq!(worker.finish(&Unlimited).unwrap(), crate::functions::Outcome { rows: 1, refused: true });
    let shed = told(&worker.take().unwrap(), 5);
    assert_eq!(shed[1], "too_large");
    assert!(shed[2].ends_with("rows=40, bytes=640"), "{shed:?}");
    // While it is computed: the same row.
    worker.push(&rows).unwrap();
    let held = worker.memory_bytes();
    assert!(worker.finish(&Pool(held)).unwrap().refused);
    assert_eq!(told(&worker.take().unwrap(), 5), shed);
    // What is graver than its size is told instead, and the next series is whole.
    worker.push(&batch(None, days(9), counting(9))).unwrap();
    worker.shed();
    worker.finish(&Unlimited).unwrap();
    assert_eq!(told(&worker.take().unwrap(), 5)[1], "null_id");
    worker.push(&rows).unwrap();
    assert_eq!(worker.finish(&Unlimited).unwrap(), crate::functions::Outcome { rows: 5, refused: false });
}

#[test]
fn buffers_of_one_long_series_are_not_kept() {
    let long: ArrayRef = Arc::new(Int64Array::from_iter_values(0..200_000));
    let rows = batch(Some("a"), long, counting(200_000));
    let mut worker = bind(rows.schema(), json!({"horizon": 5})).unwrap().worker();
    worker.push(&rows).unwrap();
    assert!(!worker.finish(&Unlimited).unwrap().refused);
    worker.take().unwrap();
    assert!(worker.memory_bytes() < 100_000, "{}", worker.memory_bytes());
}

fn count(out: &Series, column: &str) -> Option<i32> {
    let column = out.0.column_by_name(column).unwrap().as_primitive::<Int32Type>();
    (!column.is_null(0)).then(|| column.value(0))
}

/// Sixty days with a promotion every tenth, which lifts sales by half, and two in the horizon.
fn promoted() -> Vec<(i32, Option<f64>, Option<f64>, i8)> {
    let promo = |t: i32| f64::from(t % 10 == 3);
    let sales = |t: i32| 100.0 * (1.0 + 0.5 * promo(t)) + f64::from((t * 7) % 5);
    let mut rows: Vec<_> = (0..60).map(|t| (t, Some(sales(t)), Some(promo(t)), 0)).collect();
    rows.extend((60..75).map(|t| (t, None, Some(promo(t)), 1)));
    rows
}

#[test]
fn a_promotion_known_in_the_future_lifts_its_days() {
    let bound = bind_call(known_schema(), &["value", "regressors", KIND], &[], json!({"horizon": 14})).unwrap();
    let out = run_bound(bound.as_ref(), &[], &known(&promoted()));
    assert_eq!((out.text("status", 0), out.text("cutoff", 0)), ("ok".into(), "2024-12-02".into()));
    assert!(out.0.column_by_name("regressors_unused").unwrap().is_null(0), "{}", out.text("regressors_unused", 0));
    for (t, y) in out.yhat().iter().enumerate() {
        let expected = if t % 10 == 3 { 150.0..160.0 } else { 98.0..106.0 };
        assert!(expected.contains(y), "step={} yhat={y}", t + 1);
    }
    // Rows of the future within the history change nothing, and those of the history need not be there.
    let mut more = promoted();
    more.extend((0..60).map(|t| (t, None, Some(9.0), 1)));
    more.sort_by_key(|r| (r.0, r.3));
    assert_eq!(run_bound(bound.as_ref(), &[], &known(&more)).0, out.0);
}

#[test]
fn a_regressor_that_cannot_be_used_is_told() {
    let bound = bind_call(known_schema(), &["value", "regressors", KIND], &[], json!({"horizon": 14})).unwrap();
    let unused = |rows: &[_]| {
        let out = run_bound(bound.as_ref(), &[], &known(rows));
        assert_eq!(out.text("status", 0), "ok");
        out.text("regressors_unused", 0)
    };
    assert_eq!(unused(&promoted()[..60]), "promo: missing at a step of the horizon");
    assert_eq!(unused(&promoted()[..70]), "promo: missing at a step of the horizon");
    let mut constant = promoted();
    constant.iter_mut().for_each(|r| r.2 = Some(1.0));
    assert_eq!(unused(&constant), "promo: the same at each observed step");
}

#[test]
fn an_id_of_a_side_table_alone_is_a_row_that_says_so() {
    let bound = bind_call(known_schema(), &["value", "regressors", KIND], &[], json!({"horizon": 14})).unwrap();
    let (status, reason) = run_bound(bound.as_ref(), &[], &known(&promoted()[60..])).refused();
    assert!(status == "no_observation" && reason.contains("side table"), "{status}: {reason}");
}

#[test]
fn the_cutoff_of_a_series_without_memory_is_its_last_row_of_the_input() {
    let bound = bind_call(known_schema(), &["value", "regressors", KIND], &[], json!({"horizon": 14})).unwrap();
    let mut worker = bound.worker();
    let rows = known(&promoted());
    worker.push(&rows.slice(0, 20)).unwrap();
    worker.shed();
    worker.push(&rows.slice(20, rows.num_rows() - 20)).unwrap();
    assert!(worker.finish(&Unlimited).unwrap().refused);
    let out = RecordBatch::try_new(Arc::new(Schema::new(bound.output())), worker.take().unwrap()).unwrap();
    let out = Series(out, true);
    assert_eq!((out.refused().0, out.text("cutoff", 0)), ("too_large".into(), "2024-12-02".into()));
}

fn holidays(days: &[i32], window: Option<(i64, i64)>) -> RecordBatch {
    let fields = [
        ("ds", DataType::Date32),
        ("name", DataType::Utf8),
        ("lower_window", DataType::Int64),
        ("upper_window", DataType::Int64),
    ];
    let fields: Vec<_> = fields.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect();
    let column = |v: Option<i64>| -> ArrayRef { Arc::new(Int64Array::from(vec![v; days.len()])) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Date32Array::from_iter_values(days.iter().map(|d| 20_000 + d))),
        Arc::new(StringArray::from(vec!["fair"; days.len()])),
        column(window.map(|w| w.0)),
        column(window.map(|w| w.1)),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

#[test]
fn a_holiday_and_the_day_after_have_effects_of_their_own() {
    let fair = [5, 20, 33, 47, 55, 63];
    let sales = |t: i32| {
        let lift = if fair.contains(&t) {
            2.0
        } else if fair.contains(&(t - 1)) {
            0.5
        } else {
            1.0
        };
        Some(lift * (100.0 + f64::from((t * 7) % 5)))
    };
    let rows = batch(Some("a"), days(60), (0..60).map(sales).collect());
    let bound = bind_call(rows.schema(), &["value"], &["holidays"], json!({"horizon": 7})).unwrap();
    let out = run_bound(bound.as_ref(), &[("holidays", holidays(&fair, Some((0, 1))))], &rows);
    let yhat = out.yhat();
    assert!((1.6..2.2).contains(&(yhat[3] / yhat[0])) && (0.4..0.75).contains(&(yhat[4] / yhat[0])), "{yhat:?}");
    assert!(out.0.column_by_name("regressors_unused").unwrap().is_null(0));
    // A holiday that touches neither history nor horizon changes nothing.
    let far = run_bound(bound.as_ref(), &[("holidays", holidays(&[-900, 900], None))], &rows);
    assert_eq!(far.yhat(), run(&rows, json!({"horizon": 7})).yhat());
    let mut worker = bound.worker();
    let wrong = worker.side("holidays", &holidays(&fair, Some((2, 1)))).unwrap_err();
    assert!(matches!(wrong, Error::Data(_)) && wrong.to_string().contains("lower_window=2"), "{wrong}");
    assert!(matches!(worker.side("other", &rows), Err(Error::Bug(_))));
}

#[test]
fn a_missing_observation_is_stepped_over() {
    let gap = dates(&["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06"]);
    let rows = batch(Some("a"), gap, vec![Some(1.0), None, Some(5.0), Some(5.0)]);
    let out = run(&rows, json!({"horizon": 1, "model": "naive", "fill": "null"}));
    assert_eq!((out.text("status", 0), out.yhat()), ("ok".into(), vec![5.0]));
    assert_eq!((count(&out, "n_observed"), count(&out, "n_filled")), (Some(3), Some(3)));
    let none = batch(Some("a"), days(3), vec![None; 3]);
    assert_eq!(run(&none, json!({"horizon": 1, "fill": "null"})).refused().0, "no_observation");
    assert_eq!(run(&none, json!({"horizon": 1, "fill": "zero"})).refused().0, "null_value");
    let late = batch(Some("a"), days(4), vec![None, None, Some(2.0), None]);
    let out = run(&late, json!({"horizon": 1, "fill": "null"}));
    assert_eq!((out.text("cutoff", 0), out.yhat()), ("2024-10-07".into(), vec![2.0]));
}

#[test]
fn a_closed_day_is_no_zero() {
    let mut schema = batch(None, days(1), counting(1)).schema().fields().to_vec();
    schema.push(Arc::new(Field::new("open", DataType::Boolean, true)));
    let schema = Arc::new(Schema::new(schema));
    let sales: Vec<_> = (0..28).map(|t| Some(if t % 7 == 6 { 0.0 } else { 10.0 })).collect();
    let rows = batch(Some("a"), days(28), sales);
    let open: Vec<_> = (0..28).map(|t| if t == 0 { None } else { Some(t % 7 != 6) }).collect();
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(arrow::array::BooleanArray::from(open)));
    let rows = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let bound = bind_call(schema, &["value", "available"], &[], json!({"horizon": 2, "model": "ets_ann"})).unwrap();
    let out = run_bound(bound.as_ref(), &[], &rows);
    assert_eq!((count(&out, "n_closed"), count(&out, "n_observed")), (Some(4), Some(24)));
    assert!(out.yhat().iter().all(|y| (y - 10.0).abs() < 1e-9), "{:?}", out.yhat());
}

#[test]
fn rows_of_one_time_are_added_or_the_last_version_wins() {
    let twice = dates(&["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03", "2024-01-03"]);
    let rows = batch(Some("a"), twice, vec![Some(1.0), Some(2.0), Some(3.0), Some(7.0), Some(4.0)]);
    let out = run(&rows, json!({"horizon": 1, "model": "naive", "duplicates": "sum"}));
    assert_eq!((out.yhat(), count(&out, "n_duplicates"), count(&out, "n_observed")), (vec![11.0], Some(2), Some(3)));
    let error = bind(rows.schema(), json!({"horizon": 1, "duplicates": "last"})).err().map(|e| e.to_string());
    assert!(error.as_ref().is_some_and(|e| e.contains("version => column")), "{error:?}");
    let mut fields = rows.schema().fields().to_vec();
    fields.insert(2, Arc::new(Field::new("loaded", DataType::Int64, true)));
    let mut columns = rows.columns().to_vec();
    columns.insert(2, Arc::new(Int64Array::from(vec![1, 1, 2, 5, 6])));
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let input = GroupSchema::new(rows.schema(), 1, 2);
    let bound = Forecast.bind(&input, &args(json!({"horizon": 1, "model": "naive", "duplicates": "last"})).unwrap());
    assert_eq!(run_bound(bound.unwrap().as_ref(), &[], &rows).yhat(), [4.0]);
}

#[test]
fn leading_zeros_go_if_asked_and_spikes_are_capped_if_asked() {
    let mut values = vec![Some(0.0); 30];
    values.extend((0..60).map(|t| Some(if t == 40 { 5000.0 } else { 50.0 + f64::from((t * 7) % 11) })));
    let rows = batch(Some("a"), days(90), values);
    let kept = run(&rows, json!({"horizon": 1}));
    assert_eq!(
        (count(&kept, "n_leading_zeros"), count(&kept, "n_spikes"), count(&kept, "n_observed")),
        (Some(0), None, Some(90))
    );
    let out = run(&rows, json!({"horizon": 1, "leading_zeros": "drop", "spikes": "cap"}));
    assert_eq!(
        (count(&out, "n_leading_zeros"), count(&out, "n_spikes"), count(&out, "n_observed")),
        (Some(30), Some(1), Some(60))
    );
    assert!((50.0..62.0).contains(&out.yhat()[0]), "{:?}", out.yhat());
    let shift: Vec<_> = (0..70).map(|t| Some(if t < 35 { 10.0 } else { 90.0 } + f64::from((t * 7) % 5))).collect();
    let out = run(&batch(Some("a"), days(70), shift), json!({"horizon": 1, "season_length": 7}));
    assert_eq!((count(&out, "n_level_shifts"), out.text("level_shift", 0)), (Some(1), "2024-11-08".into()));
}

#[test]
fn nothing_is_told_below_zero_of_demand_and_quantiles_never_cross() {
    let demand: Vec<_> = (0..60).map(|t| Some(if t % 9 == 0 { 3.0 } else { 0.0 })).collect();
    let asked = |more: Value| {
        let mut given = json!({"horizon": 3, "level": [80, 95], "quantiles": [0.025, 0.1, 0.5, 0.9]});
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        run(&batch(Some("a"), days(60), demand.clone()), given)
    };
    let columns = [
        "yhat_lower_95",
        "yhat_lower_80",
        "yhat_q2_5",
        "yhat_q10",
        "yhat_q50",
        "yhat_q90",
        "yhat_upper_80",
        "yhat_upper_95",
    ];
    let row = |out: &Series| columns.map(|c| out.0.column_by_name(c).unwrap().as_primitive::<Float64Type>().value(0));
    let [l95, l80, q2, q10, q50, q90, u80, u95] = row(&asked(json!({})));
    assert_eq!((l95, l80, q2, q10), (0.0, 0.0, 0.0, 0.0));
    assert!(q50 <= q90 && u80 < u95 && u95 > 0.0, "{q50} {q90} {u80} {u95}");
    let [l95, l80, q2, q10, ..] = row(&asked(json!({"non_negative": false})));
    assert!(l95 < l80 && l80 < 0.0 && (q2 - l95).abs() < 1e-12 && (q10 - l80).abs() < 1e-12, "{l95} {l80} {q2} {q10}");
    let below: Vec<_> = (0..20).map(|t| Some(f64::from(t % 3) - 9.0)).collect();
    let below = batch(Some("a"), days(20), below);
    assert!(run(&below, json!({"horizon": 1})).yhat()[0] < 0.0);
    assert_eq!(run(&below, json!({"horizon": 1, "non_negative": true})).yhat(), [0.0]);
}

#[test]
fn quantile_columns_are_named_by_their_percent() {
    let names = [
        (0.1, "yhat_q10"),
        (0.5, "yhat_q50"),
        (0.025, "yhat_q2_5"),
        (0.07, "yhat_q7"),
        (0.995, "yhat_q99_5"),
        (0.0005, "yhat_q0_05"),
    ];
    for (q, name) in names {
        assert_eq!(quantile_name(q), name);
    }
}

#[test]
fn side_tables_and_regressors_need_each_other() {
    let refused = |values: &[&str]| {
        bind_call(known_schema(), values, &[], json!({"horizon": 1})).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert!(refused(&["value", "regressors", "regressors"]).contains("need `future => TABLE(..)`"));
    assert!(refused(&["value", "available", KIND]).contains("future needs `regressors => [..]`"));
}
