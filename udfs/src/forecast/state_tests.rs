//! `forecast` from night to night: what goes on from a state, what is fitted anew, and what no input may break.
//!
//! The number of cases of the property tests is `LAKECAST_CASES`, for a soak by hand:
//! `LAKECAST_CASES=1000000 cargo test -p lakecast-udfs --lib -- forecast::state_tests::whatever`.

use super::calendar::Clock;
use super::function::Forecast;
use super::memory::{Choices, Memory};
use super::model::{Buffers, Path};
use super::{Status, model_names};
use crate::args::Args;
use crate::functions::{BoundFunction, GroupFunction, GroupSchema, GroupWorker, Unlimited};
use crate::signature::KIND;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Date32Array, Float64Array, Int8Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use arrow::util::display::array_value_to_string;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

fn cases() -> u32 {
    std::env::var("LAKECAST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(256)
}

/// A call with a state table, on times of that type.
struct Call {
    bound: Arc<dyn BoundFunction>,
    schema: Arc<Schema>,
}

/// What came out of one series.
struct Told(RecordBatch);

impl Call {
    fn new(time: &DataType, given: &Value) -> Self {
        let kinds = [DataType::Utf8, time.clone(), DataType::Float64, DataType::Binary, DataType::Int8];
        let fields = ["sku", "ds", "qty", "state", KIND].into_iter().zip(kinds);
        let schema = Arc::new(Schema::new(fields.map(|(n, k)| Field::new(n, k, true)).collect::<Vec<_>>()));
        let values = ["value", "state", KIND].map(String::from).to_vec();
        let mut all = json!({"horizon": 5, "season_length": 7, "level": [80, 95], "quantiles": [0.1, 0.5, 0.9], "fitted": true,
            "refit_every": 10_000});
        all.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        let Value::Object(all) = all else { unreachable!() };
        let args = Args::check(Forecast.signature(), all).unwrap();
        let input = GroupSchema { values, ..GroupSchema::new(Arc::clone(&schema), 1, 1) };
        Self { bound: Forecast.bind(&input, &args).unwrap(), schema }
    }

    fn days(given: &Value) -> Self {
        Self::new(&DataType::Date32, given)
    }

    /// The rows of one id as the engine gives them: the state first, whose time is null.
    fn rows(&self, times: &ArrayRef, values: &[Option<f64>], state: Option<&[u8]>) -> RecordBatch {
        let one = |state: &[u8]| {
            let columns: Vec<ArrayRef> = vec![
                Arc::new(StringArray::from(vec!["a"])),
                arrow::array::new_null_array(times.data_type(), 1),
                Arc::new(Float64Array::from(vec![None])),
                Arc::new(BinaryArray::from(vec![Some(state)])),
                Arc::new(Int8Array::from(vec![2])),
            ];
            RecordBatch::try_new(Arc::clone(&self.schema), columns).unwrap()
        };
        let n = values.len();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec!["a"; n])),
            Arc::clone(times),
            Arc::new(Float64Array::from(values.to_vec())),
            Arc::new(BinaryArray::from(vec![None; n])),
            Arc::new(Int8Array::from(vec![0; n])),
        ];
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns).unwrap();
        let all: Vec<_> = state.map(one).into_iter().chain([rows]).collect();
        concat_batches(&self.schema, &all).unwrap()
    }

    fn tell(&self, worker: &mut dyn GroupWorker, rows: &RecordBatch) -> Told {
        worker.push(rows).unwrap();
        worker.finish(&Unlimited).unwrap();
        Told(RecordBatch::try_new(Arc::new(Schema::new(self.bound.output())), worker.take().unwrap()).unwrap())
    }

    fn run(&self, times: &ArrayRef, values: &[Option<f64>], state: Option<&[u8]>) -> Told {
        self.tell(self.bound.worker().as_mut(), &self.rows(times, values, state))
    }

    /// Days from the `first` on.
    fn on_days(&self, first: i32, values: &[f64], state: Option<&[u8]>) -> Told {
        let times: ArrayRef =
            Arc::new(Date32Array::from_iter_values((0..values.len() as i32).map(|t| 20_000 + first + t)));
        self.run(&times, &values.iter().map(|v| Some(*v)).collect::<Vec<_>>(), state)
    }
}

impl Told {
    fn text(&self, column: &str) -> String {
        array_value_to_string(self.0.column_by_name(column).unwrap(), 0).unwrap()
    }

    fn numbers(&self, column: &str) -> Vec<f64> {
        self.0.column_by_name(column).unwrap().as_primitive::<Float64Type>().values().to_vec()
    }

    fn state(&self) -> Vec<u8> {
        self.0.column_by_name("fitted").unwrap().as_binary::<i32>().value(0).to_vec()
    }

    fn times(&self) -> Vec<String> {
        let column = self.0.column_by_name("ds").unwrap();
        (0..column.len()).map(|row| array_value_to_string(column, row).unwrap()).collect()
    }

    /// All but what tells how it came about.
    fn forecast(&self) -> RecordBatch {
        let names =
            ["ds", "step", "yhat", "yhat_lower_80", "yhat_upper_80", "yhat_lower_95", "yhat_upper_95", "yhat_q10"];
        let at = names.map(|n| self.0.schema().index_of(n).unwrap());
        self.0.project(&at).unwrap()
    }

    /// Checks what holds of any series: `horizon` rows in full, or one that says why not.
    fn check(&self, horizon: usize) -> std::result::Result<bool, TestCaseError> {
        let column = |name: &str| self.0.column_by_name(name).unwrap();
        let status = self.text("status");
        let known = Status::ALL.iter().find(|s| s.name() == status).unwrap();
        prop_assert!(*known != Status::Bug, "{}", self.text("reason"));
        if !known.is_forecast() {
            prop_assert_eq!(self.0.num_rows(), 1);
            prop_assert!(column("yhat").is_null(0) && column("fitted").is_null(0) && !column("reason").is_null(0));
            return Ok(false);
        }
        prop_assert_eq!(self.0.num_rows(), horizon);
        for field in self.0.schema().fields() {
            let Some(numbers) = column(field.name()).as_primitive_opt::<Float64Type>() else { continue };
            prop_assert!(
                numbers.iter().flatten().all(f64::is_finite),
                "{} of {}: {:?}",
                field.name(),
                self.text("model"),
                numbers
            );
        }
        prop_assert_eq!(column("yhat").null_count(), 0);
        let at = |name: &str, row: usize| column(name).as_primitive::<Float64Type>().value(row);
        for row in (0..horizon).filter(|row| !column("yhat_q50").is_null(*row)) {
            let [l95, l80, u80, u95] =
                ["yhat_lower_95", "yhat_lower_80", "yhat_upper_80", "yhat_upper_95"].map(|n| at(n, row));
            prop_assert!(l95 <= l80 && l80 <= u80 && u80 <= u95, "{} {} {} {}", l95, l80, u80, u95);
            prop_assert!(at("yhat_q10", row) <= at("yhat_q50", row) && at("yhat_q50", row) <= at("yhat_q90", row));
        }
        Ok(true)
    }
}

/// A series of one kind.
fn series(kind: &str, n: usize) -> Vec<f64> {
    let noise = |t: usize| ((t as u64 + 7).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / (1_u64 << 24) as f64;
    let sells = |t: usize, share: f64| f64::from(noise(t) > 1.0 - share);
    let of = |t: usize| match kind {
        "smooth" => 50.0 + 0.1 * t as f64 + [9.0, 1.0, 4.0, 0.0, 2.0, 7.0, 3.0][t % 7] + 4.0 * noise(t),
        "erratic" => 1.0 + (5.0 * noise(t + 99)).floor() + sells(t, 0.2) * (40.0 + (30.0 * noise(t + 999)).floor()),
        "intermittent" => sells(t, 0.4) * (1.0 + (2.0 * noise(t + 99)).floor()),
        "lumpy" => sells(t, 0.3) * (1.0 + (2.0 / (0.02 + noise(t + 99))).floor()),
        "dead" => sells(t, 0.5) * f64::from(t < n / 2),
        _ => 0.0,
    };
    (0..n).map(of).collect()
}

const KINDS: [&str; 6] = ["smooth", "erratic", "intermittent", "lumpy", "dead", "zero"];

fn names() -> Vec<&'static str> {
    model_names().into_iter().chain(["auto"]).collect()
}

/// The memory that a state of daily data with that call holds.
fn memory(state: &[u8]) -> Memory {
    let arguments = u64::from_le_bytes(state[1..9].try_into().unwrap());
    let mut memory = Memory::default();
    let clock = Clock::new(&DataType::Date32).unwrap();
    memory.read(state, arguments, &clock, 7, &mut Choices::default()).unwrap();
    memory
}

#[test]
fn update_then_forecast_is_fit_with_those_parameters_then_forecast() {
    for (model, kind) in names().into_iter().flat_map(|m| ["smooth", "intermittent"].map(|k| (m, k))) {
        let call = Call::days(&json!({"model": model}));
        let y = series(kind, 120);
        let night_1 = call.on_days(0, &y[..117], None);
        let state = night_1.state();
        let only_new = call.on_days(117, &y[117..], Some(&state));
        assert!(only_new.text("fit").starts_with("updated"), "{model}: {}", only_new.text("fit"));
        // By hand: the kernels of the first night, moved on by the new values one after the other.
        let mut hand = memory(&state);
        let (mut path, mut scratch) = (Path::default(), Path::default());
        hand.portfolio.update(&y[117..], &mut Buffers::default());
        path.reset(5);
        hand.portfolio.forecast(&mut path, &mut scratch);
        let yhat = only_new.numbers("yhat");
        assert!(
            yhat.iter().zip(&path.mean).all(|(a, b)| a.to_bits() == b.max(0.0).to_bits()),
            "{model}: {yhat:?} {:?}",
            path.mean
        );
        let after = memory(&only_new.state());
        for (told, moved) in after.portfolio.members.iter().zip(&hand.portfolio.members) {
            let bits = |of: [&Vec<f64>; 2]| of.map(|v| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
            let of = |state: &super::State| bits([&state.parameters, &state.states]);
            assert_eq!(of(&told.state), of(&moved.state), "{model}");
            assert_eq!((told.state.steps, told.state.sse.to_bits()), (moved.state.steps, moved.state.sse.to_bits()));
        }
        // The history beside the new rows changes nothing, nor do nights of one row each.
        let whole = call.on_days(0, &y, Some(&state));
        if whole.text("fit") == "updated" {
            assert_eq!((whole.state(), whole.forecast()), (only_new.state(), only_new.forecast()), "{model}");
        }
        let mut state = state;
        for t in 117..120 {
            state = call.on_days(t as i32, &y[t..=t], Some(&state)).state();
        }
        assert_eq!(state, only_new.state(), "{model}");
    }
}

#[test]
fn a_state_without_new_rows_forecasts_as_it_did() {
    for model in names() {
        let call = Call::days(&json!({"model": model}));
        let y = series("intermittent", 120);
        let night_1 = call.on_days(0, &y, None);
        for again in [call.on_days(0, &y, Some(&night_1.state())), call.on_days(0, &[], Some(&night_1.state()))] {
            assert_eq!(
                (again.text("fit"), again.text("status")),
                ("updated".into(), night_1.text("status")),
                "{model}"
            );
            assert_eq!((again.forecast(), again.state()), (night_1.forecast(), night_1.state()), "{model}");
            assert_eq!((again.text("cutoff"), again.text("model")), (night_1.text("cutoff"), night_1.text("model")));
        }
    }
}

#[test]
fn a_gap_between_the_state_and_the_new_rows_is_filled_as_asked() {
    let y = series("intermittent", 100);
    let new = [3.0, 1.0];
    for (fill, blank) in [("zero", Some(0.0)), ("previous", Some(y[99])), ("null", None)] {
        let call = Call::days(&json!({"model": "ets_ana", "fill": fill}));
        let state = call.on_days(0, &y, None).state();
        let gap = call.on_days(103, &new, Some(&state));
        let values: Vec<_> = [blank; 3].into_iter().chain(new.map(Some)).collect();
        let times: ArrayRef = Arc::new(Date32Array::from_iter_values(20_100..20_105));
        let filled = call.run(&times, &values, Some(&state));
        assert_eq!((gap.forecast(), gap.state()), (filled.forecast(), filled.state()), "{fill}");
        assert_eq!((gap.text("n_filled"), gap.text("n_observed")), ("3".into(), "2".into()));
    }
    let call = Call::days(&json!({"model": "ets_ana"}));
    let state = call.on_days(0, &y, None).state();
    let refused = call.on_days(103, &new, Some(&state));
    assert_eq!(refused.text("status"), "gap");
    assert!(refused.text("reason").contains("first_missing=2025-01-12, missing=3"), "{}", refused.text("reason"));
}

#[test]
fn the_calendar_of_the_history_goes_on_whatever_its_last_two_times_are() {
    let dates =
        |texts: &[&str]| cast(&(Arc::new(StringArray::from(texts.to_vec())) as ArrayRef), &DataType::Date32).unwrap();
    let call = Call::days(&json!({"model": "naive", "horizon": 2}));
    for (history, next) in [
        (&["2023-12-31", "2024-03-31", "2024-06-30", "2024-09-30"][..], ["2024-12-31", "2025-03-31"]),
        (&["2023-12-30", "2024-01-30", "2024-02-29"], ["2024-03-30", "2024-04-30"]),
        (&["2020-02-29", "2021-02-28", "2022-02-28", "2023-02-28"], ["2024-02-29", "2025-02-28"]),
    ] {
        let values = vec![Some(1.0); history.len()];
        let night_1 = call.run(&dates(history), &values, None);
        assert_eq!(night_1.times(), next);
        let state = night_1.state();
        let night_2 = call.run(&dates(&next[..1]), &[Some(2.0)], Some(&state));
        assert_eq!(
            (night_2.text("status"), night_2.times()[0].as_str()),
            ("ok".into(), next[1]),
            "{}",
            night_2.text("reason")
        );
        let off = call.run(&dates(&["2025-07-17"]), &[Some(2.0)], Some(&state));
        assert_eq!(off.text("status"), "mixed_frequency");
    }
    let hours = |range: std::ops::Range<i64>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(range.map(|h| h * 3_600_000_000)))
    };
    let call = Call::new(hours(0..1).data_type(), &json!({"model": "naive", "horizon": 1}));
    let state = call.run(&hours(0..9), &[Some(1.0); 9], None).state();
    assert_eq!(call.run(&hours(9..10), &[Some(2.0)], Some(&state)).times(), ["1970-01-01T10:00:00"]);
    // A state of times of another type is of no use.
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..9));
    let call = Call::new(&DataType::Int64, &json!({"model": "naive", "horizon": 1}));
    let told = call.run(&numbers, &[Some(1.0); 9], Some(&state));
    assert_eq!((told.text("status"), told.text("fit")), ("ok".into(), "refitted: state of other arguments".into()));
}

#[test]
fn what_is_no_state_of_these_arguments_is_fitted_anew_or_refused() {
    let y = series("smooth", 60);
    let call = Call::days(&json!({"model": "ets_ana"}));
    let state = call.on_days(0, &y, None).state();
    let other = Call::days(&json!({"model": "ses"})).on_days(0, &y, None).state();
    let mut version = state.clone();
    version[0] = 77;
    for (bytes, fit) in [
        (&other[..], "refitted: state of other arguments"),
        (&state[..state.len() - 1], "refitted: unreadable state"),
        (&version, "refitted: unreadable state"),
        (b"", "refitted: unreadable state"),
        (b"hello, this is no state", "refitted: unreadable state"),
    ] {
        let anew = call.on_days(0, &y, Some(bytes));
        assert_eq!((anew.text("fit"), anew.text("status")), (fit.into(), "ok".into()));
        assert_eq!(anew.forecast(), call.on_days(0, &y, None).forecast());
        let alone = call.on_days(0, &[], Some(bytes));
        assert_eq!((alone.text("status"), alone.0.num_rows()), ("bad_state".into(), 1));
        assert!(alone.text("reason").contains("add the history"), "{}", alone.text("reason"));
    }
}

#[test]
fn errors_to_one_side_lead_to_a_new_fit_where_the_history_is_there() {
    let call = Call::days(&json!({"model": "ses"}));
    let mut y = series("smooth", 100);
    let state = call.on_days(0, &y, None).state();
    y.extend((0..12).map(|t| 400.0 + 30.0 * f64::from(t)));
    let whole = call.on_days(0, &y, Some(&state));
    assert_eq!(whole.text("fit"), "refitted: tracking signal");
    assert_eq!(whole.forecast(), call.on_days(0, &y, None).forecast());
    for first in [100, 90] {
        let part = call.on_days(first, &y[first as usize..], Some(&state));
        assert_eq!(
            (part.text("fit"), part.text("status")),
            ("updated: new fit due, add the history to the input".into(), "ok".into())
        );
    }
}

#[test]
fn series_are_fitted_anew_in_turn() {
    let call = Call::days(&json!({"model": "ses", "refit_every": 7, "level": []}));
    let mut nights = [0; 7];
    for k in 0..40 {
        let y: Vec<f64> =
            series("smooth", 60).iter().enumerate().map(|(t, v)| v + ((t * (k + 3)) % 11) as f64).collect();
        let state = call.on_days(0, &y[..50], None).state();
        let told: Vec<_> = (0..7).map(|night| call.on_days(0, &y[..=50 + night], Some(&state)).text("fit")).collect();
        let due = told.iter().position(|t| t.starts_with("refitted")).unwrap();
        nights[due] += 1;
    }
    assert!(nights.iter().all(|n| *n < 20), "{nights:?}");
}

#[test]
fn a_new_value_of_another_kind_changes_what_is_cut_and_what_is_counted() {
    let y = series("intermittent", 90);
    let call = Call::days(&json!({"model": "naive"}));
    let state = call.on_days(0, &y, None).state();
    assert_eq!(call.on_days(90, &[-3.0], Some(&state)).numbers("yhat")[0], -3.0);
    let call = Call::days(&json!({"model": "sba"}));
    let state = call.on_days(0, &y, None).state();
    let whole = |told: &Told| told.numbers("yhat_upper_95").iter().all(|v| v.fract() == 0.0);
    assert!(whole(&call.on_days(90, &[1.0], Some(&state))) && !whole(&call.on_days(90, &[1.5], Some(&state))));
}

#[test]
fn values_beyond_the_state_are_fitted_anew_or_refused() {
    let y = series("smooth", 60);
    for model in ["ets_ana", "ses", "auto"] {
        let call = Call::days(&json!({"model": model}));
        let state = call.on_days(0, &y, None).state();
        let mut huge = y.clone();
        huge.push(1e200);
        let whole = call.on_days(0, &huge, Some(&state));
        assert_eq!(
            whole.text("status"),
            call.on_days(0, &huge, None).text("status"),
            "{model}: {}",
            whole.text("reason")
        );
        let part = call.on_days(60, &[1e200], Some(&state));
        assert!(["overflow", "ok"].contains(&part.text("status").as_str()), "{model}: {}", part.text("status"));
        // Huge from the start: the state keeps the unit.
        let scaled: Vec<f64> = y.iter().map(|v| v * f64::from_bits((1023 + 700) << 52)).collect();
        let state = call.on_days(0, &scaled[..59], None).state();
        let told = call.on_days(59, &scaled[59..], Some(&state));
        assert_eq!(told.text("status"), "ok", "{model}: {}", told.text("reason"));
        assert!(told.numbers("yhat")[0] / scaled[59] > 0.5);
    }
}

#[test]
fn a_state_is_small() {
    let (mut said, mut large) = (String::new(), vec![]);
    for model in names() {
        let call = Call::days(&json!({"model": model}));
        let sizes: Vec<usize> =
            KINDS.iter().map(|kind| call.on_days(0, &series(kind, 400), None).state().len()).collect();
        said += &format!("{model}: {sizes:?}\n");
        // A window holds its values, a seasonal adjustment its factors, a filter its covariance, `auto` several models.
        let wide = ["auto", "mstl", "harmonic"].contains(&model)
            || ["window", "theta", "multiplicative", "auto_"].iter().any(|part| model.contains(part));
        if !(wide || sizes.iter().all(|n| (40..=200).contains(n))) {
            large.push(model);
        }
    }
    println!("{said}");
    assert!(large.is_empty(), "{large:?}");
}

#[test]
fn the_class_the_models_and_their_weights_are_told() {
    for (kind, class) in KINDS.iter().zip(["smooth", "erratic", "intermittent", "lumpy", "dead", "new"]) {
        let told = Call::days(&json!({})).on_days(0, &series(kind, 400), None);
        assert_eq!(told.text("class"), class);
        let model = told.text("model");
        let weights: f64 = model.split(" + ").filter_map(|m| m.split_once(' ')?.0.parse::<f64>().ok()).sum();
        assert!(!model.contains('+') || (weights - 1.0).abs() < 0.03, "{model}");
        if ["intermittent", "lumpy"].contains(&class) {
            let bounds = ["yhat_lower_80", "yhat_upper_80", "yhat_lower_95", "yhat_upper_95", "yhat_q90"];
            assert!(bounds.iter().all(|b| told.numbers(b).iter().all(|v| v.fract() == 0.0 && *v >= 0.0)), "{kind}");
        }
        told.check(5).unwrap();
    }
}

#[test]
fn regressors_and_holidays_have_no_state() {
    let kinds =
        [DataType::Utf8, DataType::Date32, DataType::Float64, DataType::Float64, DataType::Binary, DataType::Int8];
    let fields = ["sku", "ds", "qty", "promo", "state", KIND].into_iter().zip(kinds);
    let schema = Arc::new(Schema::new(fields.map(|(n, k)| Field::new(n, k, true)).collect::<Vec<_>>()));
    let bind = |values: &[&str], sides: &[&str], given: Value| {
        let Value::Object(given) = given else { unreachable!() };
        let names = |of: &[&str]| of.iter().map(ToString::to_string).collect();
        let input =
            GroupSchema { values: names(values), sides: names(sides), ..GroupSchema::new(Arc::clone(&schema), 1, 1) };
        Forecast.bind(&input, &Args::check(Forecast.signature(), given).unwrap()).err().map(|e| e.to_string())
    };
    let all = ["value", "regressors", "state", KIND];
    assert!(bind(&all, &[], json!({"horizon": 1})).unwrap().contains("leave out state"));
    let plain = ["value", "available", "state", KIND];
    assert!(bind(&plain, &["holidays"], json!({"horizon": 1})).unwrap().contains("leave out state"));
    let known = ["value", "regressors", "available", KIND];
    assert!(bind(&known, &[], json!({"horizon": 1, "fitted": true})).unwrap().contains("leave out fitted"));
}

#[test]
fn order_of_series_and_pieces_change_no_bit_and_one_series_stops_no_other() {
    let call = Call::days(&json!({}));
    let all: Vec<(Vec<f64>, bool)> =
        KINDS.iter().flat_map(|k| [0, 1, 3, 9, 40, 150].map(|n| (series(k, n), n > 3 && n % 2 == 0))).collect();
    let days = |n: usize| -> ArrayRef { Arc::new(Date32Array::from_iter_values((0..n as i32).map(|t| 20_000 + t))) };
    let rows: Vec<RecordBatch> = all
        .iter()
        .filter(|(y, _)| !y.is_empty())
        .map(|(y, broken)| {
            let mut y: Vec<_> = y.iter().map(|v| Some(*v)).collect();
            if *broken {
                y[2] = Some(f64::NAN);
            }
            call.rows(&days(y.len()), &y, (y.len() == 9).then_some(b"nonsense"))
        })
        .collect();
    let alone: Vec<_> = rows.iter().map(|r| call.tell(call.bound.worker().as_mut(), r).0).collect();
    let mut worker = call.bound.worker();
    for at in (0..rows.len()).rev() {
        for row in 0..rows[at].num_rows() - 1 {
            worker.push(&rows[at].slice(row, 1)).unwrap();
        }
        let told = call.tell(worker.as_mut(), &rows[at].slice(rows[at].num_rows() - 1, 1));
        assert_eq!(told.0, alone[at], "series={at}");
    }
    // One without memory leaves the others as they are.
    worker.push(&rows[3]).unwrap();
    assert!(worker.shed());
    worker.finish(&Unlimited).unwrap();
    worker.take().unwrap();
    assert_eq!(call.tell(worker.as_mut(), &rows[4]).0, alone[4]);
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (0..6_i32).prop_map(f64::from),
        3 => Just(0.0),
        2 => -100.0..100.0_f64,
        1 => prop_oneof![Just(1e-300), Just(-1e300), Just(1e300), Just(f64::MAX), Just(f64::MIN_POSITIVE), Just(5e-324), Just(1e15)],
        1 => any::<f64>().prop_map(|v| if v.is_finite() { v } else { 1.0 }),
    ]
}

/// Values of one sort, or of all.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let length = prop_oneof![0..6_usize, 0..60_usize, 60..200_usize];
    length.prop_flat_map(|n| {
        prop_oneof![
            4 => prop::collection::vec(prop_oneof![Just(0.0), Just(0.0), (0..9_i32).prop_map(f64::from)], n),
            2 => prop::collection::vec(-5.0..1000.0_f64, n),
            1 => value().prop_map(move |v| vec![v; n]),
            2 => prop::collection::vec(value(), n),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_series_holds_it_has_its_rows_tonight_and_tomorrow(
        y in values(),
        new in prop::collection::vec(value(), 0..4),
        gaps in prop::collection::vec(0..30_i32, 0..3),
        at in any::<prop::sample::Index>(),
        other in any::<bool>(),
        fill in prop_oneof![Just("null"), Just("zero"), Just("previous"), Just("error")],
        season in prop_oneof![Just(7), Just(1), Just(12)],
    ) {
        // `auto` is every other case.
        let model = if other { "auto" } else { names()[at.index(names().len())] };
        let model = if season == 1 && super::model(model).is_some_and(|m| m.is_seasonal()) { "naive" } else { model };
        let call = Call::days(&json!({"model": model, "fill": fill, "season_length": season, "refit_every": 3, "freq": "D"}));
        let mut day = 20_000;
        let mut next = |k: usize| { day += 1 + gaps.get(k % 9).copied().unwrap_or(0); day };
        let times: Vec<i32> = (0..y.len() + new.len()).map(&mut next).collect();
        let column = |times: &[i32]| -> ArrayRef { Arc::new(Date32Array::from(times.to_vec())) };
        let some = |y: &[f64]| y.iter().map(|v| Some(*v)).collect::<Vec<_>>();
        if y.is_empty() {
            return Ok(());
        }
        let night_1 = call.run(&column(&times[..y.len()]), &some(&y), None);
        if night_1.check(5)? {
            let state = night_1.state();
            let tomorrow = &times[y.len()..];
            call.run(&column(tomorrow), &some(&new), Some(&state)).check(5)?;
            let all: Vec<f64> = y.iter().chain(&new).copied().collect();
            call.run(&column(&times), &some(&all), Some(&state)).check(5)?;
        }
    }

    #[test]
    fn whatever_bytes_a_state_is_of_no_series_is_lost(
        junk in prop::collection::vec(any::<u8>(), 0..300),
        cut in any::<prop::sample::Index>(),
        flip in any::<prop::sample::Index>(),
        model in any::<prop::sample::Index>(),
        mask in 1..=255_u8,
    ) {
        let call = Call::days(&json!({"model": names()[model.index(names().len())]}));
        let y = series("intermittent", 60);
        let state = call.on_days(0, &y, None).state();
        let mut flipped = state.clone();
        flipped[flip.index(state.len())] ^= mask;
        for bytes in [&junk[..], &state[..cut.index(state.len())], &flipped] {
            let whole = call.on_days(0, &y, Some(bytes));
            prop_assert!(whole.check(5)? && whole.text("fit").starts_with("refitted"), "{}", whole.text("fit"));
            prop_assert!(!call.on_days(0, &[], Some(bytes)).check(5)?);
            call.on_days(60, &[1.0], Some(bytes)).check(5)?;
        }
    }
}
