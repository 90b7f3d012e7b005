//! The nightly update: last night's state and one new row per series in record batches in, forecasts and states in record
//! batches out, one thread, on M5.
//!
//!   cargo test -p lakecast-udfs --bench update -- [--model 'ets_ana;auto'] [--limit 500] [--args '{"horizon": 28}'] [--json]
//!
//! Night 1 fits all but the last day; night 2 moves on by that day. CPU seconds are those of the thread in night 2, slicing
//! of the batches into groups included. Needs the shared data; without it, it says so and ends.

mod field {
    pub(crate) mod digest;
    #[expect(dead_code, reason = "what scores are made of")]
    pub(crate) mod sets;
}

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Float64Array, Int8Array, RecordBatch, StringArray};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Schema};
use field::digest::digest;
use field::sets::{SETS, Series, Set, read};
use lakecast_udfs::args::Args;
use lakecast_udfs::forecast::Forecast;
use lakecast_udfs::functions::{BoundFunction, GroupFunction, GroupSchema, Unlimited};
use lakecast_udfs::signature::KIND;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Rows of an input batch, as the engine makes them.
const BATCH_ROWS: usize = 8192;

struct Options {
    models: Vec<String>,
    limit: usize,
    given: Map<String, Value>,
    repeat: usize,
    json: bool,
}

fn options() -> Result<Options> {
    let models = vec!["ets_ana".into(), "auto".into()];
    let mut out = Options { models, limit: 0, given: Map::new(), repeat: 3, json: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} takes a value"));
        match word.as_str() {
            "--model" => out.models = value()?.split(';').map(Into::into).collect(),
            "--limit" => out.limit = value()?.parse()?,
            "--args" => out.given = serde_json::from_str(&value()?)?,
            "--repeat" => out.repeat = value()?.parse()?,
            "--json" => out.json = true,
            "--bench" => {}
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    Ok(out)
}

fn main() -> Result<()> {
    let options = options()?;
    let shared = std::env::var_os("LAKECAST_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let set = SETS.iter().find(|s| s.name == "m5").ok_or("no set m5")?;
    if !shared.join("data").join(set.name).exists() {
        println!("SKIPPED: no shared data, set LAKECAST_SHARED: {}", shared.display());
        return Ok(());
    }
    let series = read(&shared.join("data"), set, options.limit)?;
    options.models.iter().try_for_each(|model| run(set, &series, model, &options))
}

/// Nanoseconds that this thread has spent on a CPU.
fn cpu_nanoseconds() -> Result<f64> {
    // The kernel's count is brought up to date when the thread gives way.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_whitespace().next().ok_or("schedstat is empty")?.parse()?)
}

fn bind(
    set: &Set,
    schema: Arc<Schema>,
    values: &[&str],
    model: &str,
    options: &Options,
) -> Result<Arc<dyn BoundFunction>> {
    let mut given = json!({"horizon": set.horizon, "season_length": set.season_length, "model": model, "level": [80, 95],
        "fill": "zero", "fitted": true, "refit_every": 10_000});
    let given = given.as_object_mut().ok_or("no object")?;
    given.extend(options.given.clone());
    let args = Args::check(Forecast.signature(), std::mem::take(given))?;
    let values = values.iter().map(ToString::to_string).collect();
    Ok(Forecast.bind(&GroupSchema { schema, keys: 1, order: 1, values, sides: vec![] }, &args)?)
}

/// The states of all series after all but their last row.
fn first_night(set: &Set, series: &[Series], model: &str, options: &Options) -> Result<Vec<Option<Vec<u8>>>> {
    let bound = bind(set, series[0].rows.schema(), &["value"], model, options)?;
    let at = bound.output().iter().position(|f| f.name() == "fitted").ok_or("no column fitted")?;
    let mut worker = bound.worker();
    series
        .iter()
        .map(|s| {
            worker.push(&s.rows.slice(0, s.rows.num_rows() - 1))?;
            worker.finish(&Unlimited)?;
            let column = Arc::clone(&worker.take()?[at]);
            let state = column.as_binary::<i32>();
            Ok(state.is_valid(0).then(|| state.value(0).to_vec()))
        })
        .collect()
}

/// For each series its state, then its last row, as the engine orders them.
fn rows(series: &[Series], states: &[Option<Vec<u8>>]) -> Result<Vec<RecordBatch>> {
    let time = series[0].rows.column(1).data_type().clone();
    let fields = [
        ("unique_id", DataType::Utf8),
        ("ds", time.clone()),
        ("y", DataType::Float64),
        ("state", DataType::Binary),
        (KIND, DataType::Int8),
    ];
    let schema = Arc::new(Schema::new(fields.map(|(name, kind)| Field::new(name, kind, true)).to_vec()));
    let null = arrow::array::new_null_array(&time, 1);
    let mut batches = vec![];
    for (series, states) in series.chunks(BATCH_ROWS / 2).zip(states.chunks(BATCH_ROWS / 2)) {
        let times: Vec<ArrayRef> =
            series.iter().flat_map(|s| [Arc::clone(&null), s.rows.column(1).slice(s.rows.num_rows() - 1, 1)]).collect();
        let times = concat(&times.iter().map(|t| t.as_ref()).collect::<Vec<_>>())?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(series.iter().flat_map(|s| [&s.id, &s.id]))),
            times,
            Arc::new(Float64Array::from_iter(series.iter().flat_map(|s| [None, s.train.last().copied()]))),
            Arc::new(BinaryArray::from_iter(states.iter().flat_map(|s| [s.as_deref(), None]))),
            Arc::new(Int8Array::from_iter_values(series.iter().flat_map(|_| [2, 0]))),
        ];
        batches.push(RecordBatch::try_new(Arc::clone(&schema), columns)?);
    }
    Ok(batches)
}

fn run(set: &Set, series: &[Series], model: &str, options: &Options) -> Result<()> {
    let states = first_night(set, series, model, options)?;
    let mut sizes: Vec<usize> = states.iter().flatten().map(Vec::len).collect();
    sizes.sort_unstable();
    let batches = rows(series, &states)?;
    let bound = bind(set, batches[0].schema(), &["value", "state", KIND], model, options)?;
    let mut worker = bound.worker();
    let (mut best, mut digests) = (f64::INFINITY, vec![]);
    let mut said = BTreeMap::<String, usize>::new();
    for repeat in 0..=options.repeat {
        // The first pass keeps what comes out, to look at it; the others hand each batch on, as the engine does.
        let mut out = vec![];
        let mut keep = |columns| {
            if repeat == 0 {
                out.push(columns);
            }
        };
        let before = cpu_nanoseconds()?;
        for batch in &batches {
            for group in 0..batch.num_rows() / 2 {
                worker.push(&batch.slice(2 * group, 2))?;
                worker.finish(&Unlimited)?;
                if group % 256 == 255 {
                    keep(worker.take()?);
                }
            }
            keep(worker.take()?);
        }
        if repeat > 0 {
            best = best.min((cpu_nanoseconds()? - before) / 1e9);
            continue;
        }
        let mut hash = 0xcbf2_9ce4_8422_2325;
        let names: Vec<_> = bound.output().iter().map(|f| f.name().clone()).collect();
        for columns in &out {
            // The layout of the state may change without any number in it.
            let at = |name: &str| names.iter().position(|n| n == name).ok_or(format!("no column {name}"));
            let mut shown = columns.clone();
            shown.remove(at("fitted")?);
            hash = digest(&shown, hash)?;
            let (step, status, fit) =
                (columns[at("step")?].clone(), columns[at("status")?].clone(), columns[at("fit")?].clone());
            let step = step.as_primitive::<arrow::datatypes::Int32Type>();
            for row in (0..step.len()).filter(|&row| step.is_null(row) || step.value(row) == 1) {
                let fit = if fit.is_valid(row) { fit.as_string::<i32>().value(row) } else { "" };
                *said.entry(format!("{} {fit}", status.as_string::<i32>().value(row))).or_default() += 1;
            }
        }
        digests.push(format!("{hash:016x}"));
    }
    let rate = series.len() as f64 / best;
    let size = |share: usize| sizes.get(sizes.len() * share / 100).copied().unwrap_or(0);
    let bytes = json!({"least": size(0), "median": size(50), "p95": size(95), "most": sizes.last()});
    if options.json {
        println!(
            "{}",
            json!({"set": set.name, "model": model, "series": series.len(), "cpu_seconds": best, "series_per_cpu_second": rate,
                "state_bytes": bytes, "digest": digests, "said": said})
        );
    } else {
        println!(
            "{model:12} n {:6}  cpu {best:7.3} s  {rate:9.0}/s  state {bytes}  digest {}",
            series.len(),
            digests.join(",")
        );
        println!("    {said:?}");
    }
    Ok(())
}
