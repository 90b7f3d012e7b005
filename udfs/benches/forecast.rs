//! Time of a forecast per series: each model by itself, and the `forecast` function from arrow to arrow.
//!
//! `cargo bench -p lakecast-udfs --bench forecast`. Series are 447 days of synthetic retail demand, fixed seed.

use arrow::array::{ArrayRef, Date32Array, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use divan::Bencher;
use divan::counter::ItemsCount;
use lakecast_udfs::args::Args;
use lakecast_udfs::forecast::{Buffers, Choice, Forecast, MODELS, Path, State, forecast};
use lakecast_udfs::functions::{BoundFunction, GroupFunction, GroupSchema, Unlimited};
use std::sync::Arc;

const DAYS: usize = 447;
const SERIES: usize = 256;
const HORIZON: usize = 28;

fn main() {
    divan::main();
}

/// Intermittent to smooth counts with a weekday profile: linear congruential noise, so that every run sees the same.
fn series() -> Vec<Vec<f64>> {
    let mut state = 20_261_123_u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let weekday = [1.0, 0.8, 0.8, 0.9, 1.1, 1.4, 1.3];
    (0..SERIES)
        .map(|i| {
            let level = 0.2 + (i % 32) as f64 / 4.0;
            (0..DAYS).map(|t| (level * weekday[t % 7] * 2.0 * uniform() + 0.3).floor()).collect()
        })
        .collect()
}

#[divan::bench(args = MODELS.iter().map(|m| m.name()))]
fn model(bencher: Bencher, name: &str) {
    let Ok(choice) = Choice::parse(name, 7) else { return };
    let (series, mut buffers, mut state, mut path) = (series(), Buffers::default(), State::default(), Path::default());
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| {
        for y in &series {
            let _ = divan::black_box(forecast(&choice, y, HORIZON, &mut buffers, &mut state, &mut path));
        }
    });
}

#[divan::bench(args = MODELS.iter().map(|m| m.name()))]
fn function(bencher: Bencher, name: &str) {
    let batches: Vec<_> = series().into_iter().map(batch).collect();
    let bound = bind(&batches[0], name);
    bencher.counter(ItemsCount::new(SERIES)).bench_local(|| {
        let mut worker = bound.as_ref().ok()?.worker();
        for batch in &batches {
            worker.push(batch).ok()?;
            worker.finish(&Unlimited).ok()?;
        }
        worker.take().ok()
    });
}

fn batch(y: Vec<f64>) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("sku", Arc::new(StringArray::from(vec!["a"; y.len()]))),
        ("ds", Arc::new(Date32Array::from((0..y.len() as i32).collect::<Vec<_>>()))),
        ("qty", Arc::new(Float64Array::from(y))),
    ];
    let fields: Vec<_> = columns.iter().map(|(name, c)| Field::new(*name, c.data_type().clone(), true)).collect();
    debug_assert_eq!(fields[1].data_type(), &DataType::Date32);
    let columns = columns.into_iter().map(|(_, c)| c).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .unwrap_or_else(|_| RecordBatch::new_empty(Arc::new(Schema::empty())))
}

fn bind(batch: &RecordBatch, model: &str) -> lakecast_udfs::Result<Arc<dyn BoundFunction>> {
    let given =
        [("horizon", 28.into()), ("season_length", 7.into()), ("model", model.into()), ("level", vec![80, 95].into())];
    let given = given.into_iter().map(|(k, v): (_, serde_json::Value)| (k.to_string(), v)).collect();
    let args = Args::check(Forecast.signature(), given)?;
    Forecast.bind(&GroupSchema::new(batch.schema(), 1, 1), &args)
}
