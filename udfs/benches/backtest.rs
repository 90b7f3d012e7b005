//! Time of `profile_series` and `backtest` per series, from arrow to arrow.
//!
//! `cargo bench -p lakecast-udfs --bench backtest`. Series are 447 days of synthetic retail demand, fixed seed.

use arrow::array::{ArrayRef, Date32Array, Float64Array, RecordBatch, StringArray};
use divan::Bencher;
use divan::counter::ItemsCount;
use lakecast_udfs::args::Args;
use lakecast_udfs::forecast::{Backtest, ProfileSeries};
use lakecast_udfs::functions::{GroupFunction, GroupSchema, Unlimited};
use serde_json::{Value, json};
use std::sync::Arc;

const DAYS: usize = 447;
const SERIES: usize = 256;

fn main() {
    divan::main();
}

/// Intermittent to smooth counts with a weekday profile: linear congruential noise, so that every run sees the same.
fn series() -> Vec<RecordBatch> {
    let mut state = 20_261_123_u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let weekday = [1.0, 0.8, 0.8, 0.9, 1.1, 1.4, 1.3];
    let of = |i: usize| {
        let level = 0.2 + (i % 32) as f64 / 4.0;
        let y = (0..DAYS).map(|t| (level * weekday[t % 7] * 2.0 * uniform() + 0.3).floor());
        let columns: [(&str, ArrayRef); 3] = [
            ("qty", Arc::new(Float64Array::from_iter_values(y))),
            ("ds", Arc::new(Date32Array::from_iter_values(0..DAYS as i32))),
            ("sku", Arc::new(StringArray::from(vec!["a"; DAYS]))),
        ];
        RecordBatch::try_from_iter(columns.into_iter().rev())
    };
    (0..SERIES).map(of).collect::<Result<_, _>>().unwrap_or_default()
}

#[divan::bench]
fn profile_series(bencher: Bencher) {
    run(bencher, &ProfileSeries, json!({"season_length": 7, "freq": "D"}));
}

#[divan::bench(args = ["naive", "ets_ana"])]
fn backtest(bencher: Bencher, models: &str) {
    let given = json!({"horizon": 28, "season_length": 7, "freq": "D", "level": [80, 95], "models": models});
    run(bencher, &Backtest, given);
}

fn run(bencher: Bencher, function: &dyn GroupFunction, given: Value) {
    let batches = series();
    let given = given.as_object().cloned().unwrap_or_default();
    let schema = GroupSchema::new(batches[0].schema(), 1, 1);
    let Ok(bound) = Args::check(function.signature(), given).and_then(|args| function.bind(&schema, &args)) else {
        return;
    };
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| {
        let mut worker = bound.worker();
        for batch in &batches {
            worker.push(batch).ok()?;
            worker.finish(&Unlimited).ok()?;
        }
        worker.take().ok()
    });
}
