//! Speed and accuracy of `forecast` on the shared sets: record batches in memory in, record batches out, one thread.
//!
//!   cargo bench -p lakecast-udfs --bench field -- --set m5,m3_monthly --model auto,ets_ana [--limit 500] [--season 52]
//!
//! CPU seconds are those of the thread that forecasts, as the kernel counts them; reading and scoring are not in them.
//! Accuracy and coverage are computed as `tests/peers/forecast.py` computes them for statsforecast.

mod field {
    pub(crate) mod digest;
    pub(crate) mod score;
    pub(crate) mod sets;
}

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Schema};
use field::digest::digest;
use field::score::{Found, coverage, score};
use field::sets::{SETS, Series, Set, read};
use lakecast_udfs::args::Args;
use lakecast_udfs::forecast::Forecast;
use lakecast_udfs::functions::{GroupFunction, GroupSchema, Unlimited};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Options {
    sets: Vec<String>,
    models: Vec<String>,
    limit: usize,
    season: Option<usize>,
    given: Map<String, Value>,
    save: Option<PathBuf>,
    json: bool,
}

fn options() -> Result<Options> {
    let mut out = Options {
        sets: vec![],
        models: vec!["auto".into()],
        limit: 0,
        season: None,
        given: Map::new(),
        save: None,
        json: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} takes a value"));
        match word.as_str() {
            "--set" => out.sets = value()?.split(',').map(Into::into).collect(),
            // A model's parameters hold commas, so models are parted by semicolons.
            "--model" => out.models = value()?.split(';').map(Into::into).collect(),
            "--limit" => out.limit = value()?.parse()?,
            "--season" => out.season = Some(value()?.parse()?),
            "--args" => out.given = serde_json::from_str(&value()?)?,
            "--save" => out.save = Some(value()?.into()),
            "--json" => out.json = true,
            "--bench" => {}
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    Ok(out)
}

fn main() -> Result<()> {
    let options = options()?;
    if options.sets.is_empty() {
        println!("SKIPPED: no set was named; known: {}", SETS.iter().map(|s| s.name).collect::<Vec<_>>().join(", "));
        return Ok(());
    }
    let shared = std::env::var_os("LAKECAST_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    for name in &options.sets {
        let set = SETS.iter().find(|s| s.name == name).ok_or(format!("unknown set {name}"))?;
        let series = read(&shared.join("data"), set, options.limit)?;
        for model in &options.models {
            run(set, &series, model, &options)?;
        }
    }
    Ok(())
}

/// Nanoseconds that this thread has spent on a CPU.
fn cpu_nanoseconds() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_whitespace().next().ok_or("schedstat is empty")?.parse()?)
}

fn run(set: &Set, series: &[Series], model: &str, options: &Options) -> Result<()> {
    let season = options.season.unwrap_or(set.season_length);
    let mut given =
        json!({"horizon": set.horizon, "season_length": season, "model": model, "level": [80, 95], "fill": "zero"});
    let given = given.as_object_mut().ok_or("no object")?;
    given.extend(options.given.clone());
    let args = Args::check(Forecast.signature(), std::mem::take(given))?;
    let schema = GroupSchema { schema: series[0].rows.schema(), keys: 1, order: 1, values: vec![], sides: vec![] };
    let bound = Forecast.bind(&schema, &args)?;
    let mut worker = bound.worker();
    let mut counts = Vec::with_capacity(series.len());
    let mut batches = vec![];
    let before = cpu_nanoseconds()?;
    for (i, s) in series.iter().enumerate() {
        worker.push(&s.rows)?;
        counts.push(worker.finish(&Unlimited)?.rows);
        if i % 256 == 255 || i + 1 == series.len() {
            batches.push(worker.take()?);
        }
    }
    let seconds = (cpu_nanoseconds()? - before) / 1e9;
    let schema = Arc::new(Schema::new(bound.output()));
    let batches: Vec<_> = batches
        .into_iter()
        .map(|c| RecordBatch::try_new(Arc::clone(&schema), c))
        .collect::<std::result::Result<_, _>>()?;
    let hash = batches.iter().try_fold(0xcbf2_9ce4_8422_2325, |hash, b| digest(b.columns(), hash))?;
    let rows = arrow::compute::concat_batches(&schema, &batches)?;
    let (found, said) = found(set, &rows, &counts)?;
    let without = found.iter().filter(|f| f.mean.iter().any(|v| v.is_nan())).count();
    let mut figures: BTreeMap<String, f64> =
        score(set, series, &found).into_iter().map(|(k, v)| (k.to_string(), v)).collect();
    for (k, level) in [80, 95].iter().enumerate() {
        let (within, known) = coverage(series, &found, k);
        figures.insert(format!("coverage_{level}"), within);
        figures.insert(format!("known_{level}"), known);
    }
    if std::env::var_os("BY_STEP").is_some() {
        let h = set.horizon;
        for part in 0..3 {
            let (a, b) = (part * h / 3, (part + 1) * h / 3);
            let mut line = format!("steps {}..{b}", a + 1);
            for level in 0..2 {
                let (mut within, mut n) = (0.0, 0.0);
                for (s, f) in series.iter().zip(&found) {
                    for t in a..b {
                        if let Some((lower, upper)) = f.bounds[level][t] {
                            n += 1.0;
                            within += f64::from(lower <= s.actual[t] && s.actual[t] <= upper);
                        }
                    }
                }
                line += &format!("  {:.1}", 100.0 * within / n);
            }
            println!("    {line}");
        }
    }
    if options.json {
        let rate = series.len() as f64 / seconds;
        let line = json!({"set": set.name, "model": model, "season_length": season, "series": series.len(), "cpu_seconds": seconds,
            "series_per_cpu_second": rate, "without_forecast": without, "digest": format!("{hash:016x}"), "figures": figures});
        println!("{line}");
    } else {
        let rate = series.len() as f64 / seconds;
        let figures: Vec<_> = figures.iter().map(|(k, v)| format!("{k} {v:.4}")).collect();
        println!(
            "{:18} {model:24} n {:6}  cpu {seconds:8.3} s  {rate:10.0}/s  without {without}  digest {hash:016x}  {}",
            set.name,
            series.len(),
            figures.join("  ")
        );
        let said: Vec<_> = said.iter().map(|(k, n)| format!("{k}: {n}")).collect();
        println!("    {}", said.join(", "));
    }
    if let Some(folder) = &options.save {
        std::fs::create_dir_all(folder)?;
        let mut text = String::new();
        for (s, f) in series.iter().zip(&found) {
            let path: Vec<_> = f.mean.iter().map(ToString::to_string).collect();
            text.push_str(&format!("{},{}\n", s.id, path.join(",")));
        }
        std::fs::write(folder.join(format!("{}.{model}.csv", set.name)), text)?;
    }
    Ok(())
}

/// Forecasts by series, and how often each status and model occurs.
fn found(set: &Set, rows: &RecordBatch, counts: &[usize]) -> Result<(Vec<Found>, BTreeMap<String, usize>)> {
    let column = |name: &str| rows.column_by_name(name).ok_or(format!("no column {name}"));
    let (step, yhat) = (column("step")?.as_primitive::<Int32Type>(), column("yhat")?.as_primitive::<Float64Type>());
    let (status, reason) = (column("status")?.as_string::<i32>(), column("reason")?.as_string::<i32>());
    let mut bounds = vec![];
    for level in [80, 95] {
        let of = |side: &str| Ok::<_, String>(column(&format!("yhat_{side}_{level}"))?.as_primitive::<Float64Type>());
        bounds.push((of("lower")?, of("upper")?));
    }
    let (mut out, mut said, mut at) = (vec![], BTreeMap::new(), 0);
    for count in counts {
        let mut one = Found { mean: vec![f64::NAN; set.horizon], bounds: vec![vec![None; set.horizon]; 2] };
        for row in (at..at + count).filter(|row| step.is_valid(*row)) {
            let h = step.value(row) as usize - 1;
            one.mean[h] = yhat.value(row);
            for (level, (lower, upper)) in bounds.iter().enumerate() {
                one.bounds[level][h] = lower.is_valid(row).then(|| (lower.value(row), upper.value(row)));
            }
        }
        let mut key = status.value(at).to_string();
        if let Some(class) = rows.column_by_name("class") {
            key = format!("{key} {}", class.as_string::<i32>().value(at));
        }
        if status.value(at) == "bug" {
            eprintln!("bug: {}", reason.value(at));
        }
        *said.entry(key).or_default() += 1;
        at += count;
        out.push(one);
    }
    Ok((out, said))
}
