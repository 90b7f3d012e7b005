//! `backtest` over record batches: golden measures, honest origins, events, and what no input can break.

use super::*;
use crate::forecast::Forecast;
use crate::functions::FUNCTIONS;
use crate::one_group::{Rows, batch, run};
use arrow::array::{Array, AsArray, Date32Array, Float64Array, Int64Array, StringArray};
use proptest::prelude::*;
use serde_json::{Value, json};

fn rows(id: Option<&str>, value: &[Option<f64>]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(StringArray::from(vec![id; value.len()]));
    let time: ArrayRef = Arc::new((0..value.len() as i32).map(|d| Some(20_000 + d)).collect::<Date32Array>());
    batch(vec![("sku", ids), ("ds", time), ("qty", Arc::new(Float64Array::from(value.to_vec())))])
}

fn test(y: &[f64], given: Value) -> Rows {
    run(&Backtest, &rows(Some("a"), &y.iter().map(|v| Some(*v)).collect::<Vec<_>>()), given).unwrap()
}

/// Forty made-up values with a week and zeros.
fn forty() -> Vec<f64> {
    (0..40).map(|t| if t % 9 == 0 { 0.0 } else { (t * t * 7 % 23 + t % 7 * 2) as f64 }).collect()
}

/// Golden: statsforecast 2.1.1, `cross_validation(h=5, step_size=4, n_windows=3, level=[80, 95])` of `Naive` and
/// `SeasonalNaive(7)` over [`forty`] less 4.5 (with negative values, so that no interval is that of a count), measured with utilsforecast 0.2.17: mae, bias, smape (times 200) and mase as
/// the mean of its cutoffs, rmse and rmsse as roots of such means of mse and msse, wape and rmae without cutoffs. Relative
/// tolerance 1e-12, sums in another order.
#[test]
fn measures_agree_with_utilsforecast_on_the_cross_validation_of_statsforecast() {
    let given =
        json!({"horizon": 5, "season_length": 7, "step": 4, "models": "naive, seasonal_naive", "level": [80, 95]});
    let y: Vec<f64> = forty().iter().map(|v| v - 4.5).collect();
    let out = test(&y, given);
    assert_eq!(
        (out.0.num_rows(), out.text("model", 0), out.text("model", 1)),
        (2, "naive".into(), "seasonal_naive".into())
    );
    assert_eq!((out.count("origins", 0), out.count("n", 1)), (3, 15));
    for (name, golden) in GOLDEN {
        for (row, golden) in golden.iter().enumerate() {
            let own = out.real(name, row);
            assert!((own - golden).abs() <= 1e-12 * golden.abs(), "{name} own={own} golden={golden}");
        }
    }
    let m5 = json!({"horizon": 5, "season_length": 7, "step": 4, "scale_length": 1, "models": "naive"});
    let own = test(&y, m5).real("rmsse", 0);
    assert!((own - 1.058421750473323).abs() <= 1e-12, "{own}");
}

const GOLDEN: [(&str, [f64; 2]); 9] = [
    ("mae", [10.2, 11.733333333333334]),
    ("rmse", [13.228756555322953, 15.11731898629295]),
    ("bias", [9.4, -2.9333333333333336]),
    ("wape", [0.6815144766146993, 0.7839643652561247]),
    ("smape", [60.335249499321044, 95.84217865939614]),
    ("mase", [0.9200415055878292, 1.0741812616674553]),
    ("rmsse", [0.9550055947088125, 1.1105955457592103]),
    ("relative_mae", [0.8693181818181818, 1.0]),
    ("relative_rmse", [0.875072925782516, 1.0]),
];

#[test]
fn cleaning_is_that_of_forecast_and_spikes_are_capped_for_fits_alone() {
    let mut y = vec![0.0; 10];
    y.extend((0..50).map(|t| 10.0 + (t * 7 % 5) as f64));
    let given = |more: Value| {
        let mut all = json!({"horizon": 5, "models": "window_mean(window => 50)", "per": "origin", "origins": 2});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let kept = test(&y, given(json!({})));
    let dropped = test(&y, given(json!({"leading_zeros": "drop"})));
    assert_eq!(kept.text("cutoff", 0), dropped.text("cutoff", 0));
    assert!(kept.real("bias", 0) < dropped.real("bias", 0) - 1.0);
    let mut wild = y[10..].to_vec();
    (wild[20], wild[47]) = (5000.0, 900.0);
    let capped = test(&wild, given(json!({"spikes": "cap"})));
    let plain = test(&wild, given(json!({})));
    assert!(capped.real("mae", 0) < 4.0 && plain.real("mae", 0) > 50.0);
    assert!(capped.real("mae", 1) > 100.0, "the actual value is not capped");
    let null = rows(Some("a"), &[Some(1.0), None, Some(2.0), Some(1.0), None, Some(3.0), Some(2.0), None]);
    let out = run(&Backtest, &null, json!({"horizon": 2, "models": "naive", "origins": 2, "fill": "null"})).unwrap();
    assert_eq!((out.text("status", 0), out.count("n", 0), out.count("origins", 0)), ("ok".into(), 2, 2));
    let days: ArrayRef = Arc::new((0..12).map(|d| Some(20_000 + d / 2)).collect::<Date32Array>());
    let value: ArrayRef = Arc::new(Float64Array::from(vec![2.0; 12]));
    let twice =
        batch(vec![("sku", Arc::new(StringArray::from(vec!["a"; 12])) as ArrayRef), ("ds", days), ("qty", value)]);
    let out = run(&Backtest, &twice, json!({"horizon": 2, "models": "naive", "duplicates": "sum"})).unwrap();
    assert_eq!((out.real("sum_actual", 0), out.real("mae", 0)), (16.0, 0.0));
    let last = run(&Backtest, &twice, json!({"horizon": 2, "duplicates": "last"})).err().unwrap().to_string();
    assert!(last.starts_with("backtest: ") && last.contains("version => column"), "{last}");
}

#[test]
fn every_origin_scores_what_forecast_says_of_the_rows_before_it() {
    let y: Vec<f64> = (0..80).map(|t| (t * t * 7 % 23 + t % 7 * 4) as f64 + 3.0).collect();
    let arguments = |more: Value| {
        let mut all = json!({"horizon": 5, "season_length": 7, "level": [80, 95]});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    for model in ["auto", "naive", "ets_ana", "theta", "croston"] {
        let out = test(&y, arguments(json!({"models": model, "per": "origin", "step": 3})));
        for (row, cutoff) in [69, 72, 75].into_iter().enumerate() {
            let before: Vec<_> = y[..cutoff].iter().map(|v| Some(*v)).collect();
            let said = run(&Forecast, &rows(Some("a"), &before), arguments(json!({"model": model}))).unwrap();
            assert_eq!(out.text("cutoff", row), said.text("cutoff", 0));
            assert_eq!((out.text("model", row), out.text("chosen", row)), (model.into(), said.text("model", 0)));
            let actual = || y[cutoff..cutoff + 5].iter().enumerate();
            let absolute: f64 = actual().map(|(t, a)| (said.real("yhat", t) - a).abs()).sum();
            assert_eq!(out.real("sum_absolute", row), absolute, "{model}");
            for level in [80, 95] {
                let bound = |side: &str, t: usize| said.real(&format!("yhat_{side}_{level}"), t);
                let within = actual().filter(|(t, a)| bound("lower", *t) <= **a && **a <= bound("upper", *t)).count();
                let width: f64 = (0..5).map(|t| bound("upper", t) - bound("lower", t)).sum();
                assert_eq!(out.count(&format!("covered_{level}"), row), within as i64, "{model}");
                assert_eq!(out.real(&format!("coverage_{level}"), row), within as f64 / 5.0, "{model}");
                assert_eq!(out.real(&format!("sum_width_{level}"), row), width, "{model}");
                assert_eq!(out.real(&format!("width_{level}"), row), width / 5.0, "{model}");
            }
        }
    }
}

#[test]
fn it_is_in_the_table_of_functions_and_every_column_has_its_help() {
    assert!(FUNCTIONS.iter().any(|f| f.signature().name == "backtest"));
    let with_stock = with_stock(&forty(), &[3.0; 40], json!({"horizon": 5, "level": [80], "per": "origin"}));
    let names: Vec<_> = with_stock.0.schema().fields().iter().map(|f| f.name().clone()).collect();
    let documented: Vec<_> = SIGNATURE.output.iter().skip(1).map(|o| o.name.replace("<level>", "80")).collect();
    assert_eq!(names, documented);
    for (i, metric) in METRICS.iter().enumerate() {
        assert!(METRICS[..i].iter().all(|other| other.name != metric.name));
        assert!(!metric.meaning.is_empty() && !metric.source.is_empty(), "{}", metric.name);
    }
    let plain = test(&forty(), json!({"horizon": 5}));
    assert!(plain.0.column_by_name("sells_actual").is_none());
    assert_eq!((plain.text("model", 0), plain.text("model", 1)), ("auto".into(), "naive".into()));
}

fn with_stock(y: &[f64], stock: &[f64], given: Value) -> Rows {
    let plain = rows(Some("a"), &y.iter().map(|v| Some(*v)).collect::<Vec<_>>());
    let mut columns: Vec<(&str, ArrayRef)> = ["sku", "ds", "qty"].into_iter().zip(plain.columns().to_vec()).collect();
    let stock: Vec<_> = stock.iter().map(|v| Some(*v).filter(|v| !v.is_nan())).collect();
    columns.push(("on_hand", Arc::new(Float64Array::from(stock))));
    run(&Backtest, &batch(columns), given).unwrap()
}

#[test]
fn the_fits_see_nothing_after_their_cutoff() {
    let given = json!({"horizon": 4, "season_length": 7, "per": "origin", "models": "ets_ana, ets_ann, naive"});
    let y = forty();
    let mut other = y.clone();
    other[36..].iter_mut().for_each(|v| *v += 1000.0);
    let (a, b) = (test(&y, given.clone()), test(&other, given));
    for model in 0..3 {
        for origin in 0..2 {
            let row = 3 * model + origin;
            assert_eq!(a.real("mae", row), b.real("mae", row));
        }
        let last = 3 * model + 2;
        let of = |out: &Rows| out.real("sum_actual", last) + out.real("sum_error", last);
        assert!((of(&a) - of(&b)).abs() < 1e-9, "the forecast changed");
        assert!(b.real("mae", last) > 900.0);
    }
    assert_eq!((a.text("cutoff", 0), a.text("cutoff", 2)), ("2024-10-31".into(), "2024-11-08".into()));
}

#[test]
fn rows_of_origins_sum_to_the_row_of_the_series() {
    let given = |per: &str| json!({"horizon": 4, "season_length": 7, "per": per, "level": [80], "models": "ets_ana"});
    let (whole, parts) = (test(&forty(), given("series")), test(&forty(), given("origin")));
    assert_eq!((whole.0.num_rows(), parts.0.num_rows()), (1, 3));
    for name in whole.0.schema().fields().iter().map(|f| f.name()).filter(|n| n.starts_with("sum_")) {
        let sum: f64 = (0..3).map(|row| parts.real(name, row)).sum();
        assert!((sum - whole.real(name, 0)).abs() <= 1e-12 * sum.abs(), "{name}");
    }
    for name in ["n", "n_scaled", "n_interval", "covered_80", "origins"] {
        assert_eq!((0..3).map(|row| parts.count(name, row)).sum::<i64>(), whole.count(name, 0), "{name}");
    }
}

#[test]
fn what_cannot_be_tested_says_so_for_every_model() {
    let given = json!({"horizon": 4, "models": "ets_ann, naive"});
    let value = |v: Option<f64>| {
        let mut values = vec![Some(1.0); 20];
        values[7] = v;
        rows(Some("a"), &values)
    };
    let gap: ArrayRef = Arc::new(Int64Array::from_iter_values((0..20).map(|t| if t < 9 { t } else { t + 2 })));
    let plain = value(Some(1.0));
    let gap = batch(vec![("sku", Arc::clone(plain.column(0))), ("ds", gap), ("qty", Arc::clone(plain.column(2)))]);
    for (rows, status, part) in [
        (rows(None, &[Some(1.0); 20]), "null_id", "column=sku"),
        (value(None), "null_value", "time=2024-10-11"),
        (value(Some(f64::NAN)), "not_finite", "value=NaN"),
        (rows(Some("a"), &[Some(1.0); 4]), "too_short", "one origin needs n>=5, has n=4"),
        (gap, "gap", "first_missing=9, missing=2, step=1"),
    ] {
        let out = run(&Backtest, &rows, given.clone()).unwrap();
        assert_eq!((out.0.num_rows(), out.1.refused), (2, true), "{status}");
        for row in 0..2 {
            assert_eq!(out.text("status", row), status);
            assert!(out.text("reason", row).contains(part), "{}", out.text("reason", row));
            assert_eq!((out.count("origins", row), out.count("n", row)), (0, 0));
            assert!(out.real("mae", row).is_nan() && out.real("sum_absolute", row).is_nan());
        }
    }
}

#[test]
fn short_series_take_fewer_origins_and_simpler_models_and_say_so() {
    let y: Vec<f64> = (0..14).map(|t| (t % 5) as f64).collect();
    let out = test(&y, json!({"horizon": 4, "season_length": 3, "models": "ets_ana"}));
    assert_eq!((out.count("origins", 0), out.text("status", 0)), (3, "fallback".into()));
    assert!(out.text("reason", 0).starts_with("ets_ana needs n>=9, has n=2"));
    let out = test(&y, json!({"horizon": 4, "season_length": 3, "models": "ets_ana", "fallback": "no"}));
    assert_eq!((out.count("origins", 0), out.text("status", 0)), (1, "ok".into()));
    assert_eq!(out.text("reason", 0), "too short for all origins: asked=3, used=1; ets_ana needs n>=9, has n=6");
    let out = test(&y[..7], json!({"horizon": 4, "models": "ets_ann", "level": [80]}));
    assert_eq!((out.count("origins", 0), out.count("n_interval", 0), out.text("status", 0)), (1, 4, "fallback".into()));
    let out = test(&y[..8], json!({"horizon": 4, "season_length": 3, "models": "ets_ana", "fallback": "no"}));
    assert_eq!((out.text("status", 0), out.1.refused), ("too_short".into(), true));
}

#[test]
fn a_perfect_forecast_has_no_error_and_a_constant_no_scale() {
    let week: Vec<f64> = (0..70).map(|t| [3.0, 0.0, 1.0, 4.0, 1.0, 5.0, 9.0][t % 7]).collect();
    let out = test(&week, json!({"horizon": 7, "season_length": 7, "models": "seasonal_naive", "level": [80]}));
    for name in ["mae", "rmse", "bias", "wape", "smape", "sum_absolute", "width_80"] {
        assert_eq!(out.real(name, 0), 0.0, "{name}");
    }
    assert_eq!(out.real("coverage_80", 0), 1.0);
    // The season repeats itself, so that it has no differences to scale by.
    assert!(out.real("mase", 0).is_nan() && out.real("relative_mae", 0).is_nan() && out.count("n_scaled", 0) == 0);
    let zeros = test(&[0.0; 30], json!({"horizon": 7}));
    assert!(zeros.real("wape", 0).is_nan() && zeros.real("mae", 0) == 0.0);
}

#[test]
fn events_of_each_origin_are_columns() {
    // Five weeks that sell, five that do not.
    let y: Vec<f64> = (0..70).map(|t| if t < 35 { 4.0 } else { 0.0 }).collect();
    let given = json!({"horizon": 7, "origins": 6, "per": "origin", "models": "naive", "season_length": 7});
    let out = with_stock(&y, &[30.0; 70], given.clone());
    let flag = |name: &str| out.column(name).as_boolean().iter().collect::<Vec<_>>();
    let text = |name: &str| (0..6).map(|row| out.text(name, row)).collect::<Vec<_>>();
    assert_eq!(flag("sells_actual"), [Some(true), Some(false), Some(false), Some(false), Some(false), Some(false)][..]);
    assert_eq!(
        flag("sells_forecast"),
        [Some(true), Some(true), Some(false), Some(false), Some(false), Some(false)][..]
    );
    assert_eq!(flag("stockout_forecast"), [Some(false); 6][..]);
    assert_eq!(text("trend_actual"), ["flat", "down", "flat", "flat", "flat", "flat"]);
    assert_eq!(text("trend_forecast"), ["flat"; 6]);
    // 7 days of 4 exceed 20; a stock that is not known at a time is that of the time before.
    let mut stock = vec![f64::NAN; 70];
    stock[0] = 20.0;
    let out = with_stock(&y, &stock, given);
    assert_eq!(
        out.column("stockout_actual").as_boolean().iter().take(2).collect::<Vec<_>>(),
        [Some(true), Some(false)]
    );
}

#[test]
fn bad_arguments_say_what_is_allowed_in_the_name_of_backtest() {
    let said = |given: Value| {
        run(&Backtest, &rows(Some("a"), &[Some(1.0); 9]), given).err().map(|e| e.to_string()).unwrap_or_default()
    };
    for (given, part) in [
        (json!({"horizon": 2, "models": "naive, nave"}), "unknown model: name=nave"),
        (json!({"horizon": 2, "models": "naive, naive"}), "given twice: model=naive"),
        (json!({"horizon": 2, "models": " , "}), "at least one model"),
        (json!({"horizon": 2, "models": "seasonal_naive"}), "name=season_length"),
        (json!({"horizon": 2, "freq": "x"}), "name=freq"),
        (json!({"horizon": 2, "origins": 0}), "name=origins"),
        (json!({}), "missing argument: name=horizon"),
    ] {
        let error = said(given);
        assert!(error.starts_with("backtest: ") && error.contains(part), "{error}");
    }
}

#[test]
fn missing_values_are_stepped_over_in_fits_scales_and_errors() {
    let mut y = forty();
    (y[0], y[20], y[38]) = (f64::NAN, f64::NAN, f64::NAN);
    let rolling = Rolling {
        horizon: 5,
        origins: 3,
        step: 5,
        scale_length: 1,
        levels: vec![80],
        cap_spikes: false,
        season_length: 1,
        events: Wanted { probability: 0.5, band: 0.1, base: 7 },
    };
    let asked = Asked { levels: vec![80], quantiles: vec![] };
    let (_, asking) = asking("ets_ann", 1, true).unwrap();
    let terms = Arc::new(Terms { asking, season_length: 1, horizon: 5, asked, non_negative: None });
    let mut bench = Bench::new(&[Arc::clone(&terms)], &terms);
    bench.compare_with(&y, &rolling);
    let cutoffs: Vec<_> = rolling.cutoffs(40).enumerate().collect();
    let mut total = Score::default();
    for at in cutoffs {
        total.add(bench.score(0, &y, at, None, &rolling).unwrap());
    }
    assert_eq!((total.sums.n, total.sums.n_scaled, total.n_interval, total.origins), (14, 14, 14, 3));
    assert_eq!((total.sums.absolute, total.sums.squared), (total.sums.naive_absolute, total.sums.naive_squared));
    assert!(total.sums.absolute.is_finite() && total.sums.squared_scaled.is_finite());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_finite_series_gives_one_row_per_model(
        y in prop::collection::vec(prop_oneof![any::<f64>(), -1e6..1e6, Just(0.0), Just(1e308), Just(-1e-308)], 1..60),
        season_length in 2usize..9,
        horizon in 1usize..9,
        step in 1usize..9,
    ) {
        let given = json!({"horizon": horizon, "season_length": season_length, "step": step, "freq": "D", "level": [50],
                           "models": "ets_ana, seasonal_naive, ets_ann"});
        let out = test(&y, given);
        prop_assert_eq!(out.0.num_rows(), 3);
        for row in 0..3 {
            let refused = out.count("origins", row) == 0;
            prop_assert_eq!(refused, !["ok", "fallback", "no_interval"].contains(&out.text("status", row).as_str()));
            let coverage = out.real("coverage_50", row);
            prop_assert!(coverage.is_nan() || (0.0..=1.0).contains(&coverage));
            let smape = out.real("smape", row);
            prop_assert!(smape.is_nan() || (0.0..200.0 + 1e-9).contains(&smape));
        }
    }

    #[test]
    fn a_series_has_the_same_scores_after_any_other(y in prop::collection::vec(0.0..100.0, 12..50), other in prop::collection::vec(0.0..1e9, 1..80)) {
        let given = json!({"horizon": 3, "season_length": 4, "freq": "D", "models": "ets_ana, naive", "level": [80]});
        let alone = test(&y, given.clone());
        let batches = [other, y.clone()].map(|v| rows(Some("a"), &v.into_iter().map(Some).collect::<Vec<_>>()));
        let schema = GroupSchema::new(batches[0].schema(), 1, 1);
        let Value::Object(given) = given else { return Ok(()) };
        let bound = Backtest.bind(&schema, &Args::check(&SIGNATURE, given).unwrap()).unwrap();
        let mut worker = bound.worker();
        for rows in &batches {
            worker.push(rows).unwrap();
            worker.finish(&crate::functions::Unlimited).unwrap();
        }
        let both = worker.take().unwrap();
        for (one, two) in alone.0.columns().iter().zip(&both) {
            prop_assert_eq!(one, &two.slice(2, 2));
        }
    }
}
