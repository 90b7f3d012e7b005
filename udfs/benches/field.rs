//! Speed and accuracy of `forecast` on the shared sets: record batches in memory in, record batches out, one thread.
//!
//!   cargo bench -p lakecast-udfs --bench field -- --set m5,m3_monthly --model "auto;ets_ana" [--limit 500] [--season 52]
//!
//! `--ids FILE` takes the series named in it, one a line; `--args JSON` gives more arguments of `forecast`, such as
//! `{"level": []}`; `--rounds N` times the best of so many rounds; `--json` prints a line of JSON per set and model; `--save
//! FOLDER` writes the forecasts. CPU seconds are those of the thread that forecasts, as the kernel counts them; reading and
//! scoring are not in them. Peak memory is that of the process while it forecasts, its input in memory included. Accuracy is
//! computed as `tests/peers/forecast.py` does, which runs this beside statsforecast. With `BY_STEP` in the environment the
//! coverage of each third of the horizon is printed.

mod field {
    pub(crate) mod score;
    pub(crate) mod sets;
}

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Schema};
use field::score::{Found, coverage, score};
use field::sets::{SETS, Series, Set, read};
use lakecast_udfs::args::Args;
use lakecast_udfs::forecast::Forecast;
use lakecast_udfs::functions::{GroupFunction, GroupSchema, Unlimited};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Prediction intervals, in percent, unless `--args` says other ones.
const LEVELS: [i32; 2] = [80, 95];

struct Options {
    sets: Vec<String>,
    models: Vec<String>,
    limit: usize,
    season: Option<usize>,
    given: Map<String, Value>,
    ids: Option<PathBuf>,
    rounds: usize,
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
        ids: None,
        rounds: 1,
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
            "--ids" => out.ids = Some(value()?.into()),
            "--rounds" => out.rounds = value()?.parse::<usize>()?.max(1),
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
        let mut series = read(&shared.join("data"), set, options.limit)?;
        if let Some(path) = &options.ids {
            let ids = std::fs::read_to_string(path)?;
            let ids: HashSet<_> = ids.lines().collect();
            series.retain(|s| ids.contains(s.id.as_str()));
            if series.len() < ids.len() {
                return Err(format!("{name}: {} of the {} ids were found", series.len(), ids.len()).into());
            }
        }
        for model in &options.models {
            run(set, &series, model, &options)?;
        }
    }
    Ok(())
}

/// Nanoseconds that this thread has spent on a CPU.
fn cpu_nanoseconds() -> Result<f64> {
    // The kernel counts at its ticks, which are milliseconds apart, and whenever a thread gives way.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_whitespace().next().ok_or("schedstat is empty")?.parse()?)
}

/// Most memory that this process has held since the last call of [`forget_peak`], in MiB.
fn peak_mib() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

/// Where the kernel does not allow it, the peak of reading counts, too.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// What a run gave: rows of output, how many of them each series has, and CPU seconds.
struct Forecasts {
    rows: RecordBatch,
    counts: Vec<usize>,
    seconds: f64,
}

fn forecast(series: &[Series], args: &Args) -> Result<Forecasts> {
    let schema = GroupSchema { schema: series[0].rows.schema(), keys: 1, order: 1, values: vec![], sides: vec![] };
    let bound = Forecast.bind(&schema, args)?;
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
    Ok(Forecasts { rows: arrow::compute::concat_batches(&schema, &batches)?, counts, seconds })
}

fn run(set: &Set, series: &[Series], model: &str, options: &Options) -> Result<()> {
    let season = options.season.unwrap_or(set.season_length);
    let mut given =
        json!({"horizon": set.horizon, "season_length": season, "model": model, "level": LEVELS, "fill": "zero"});
    let given = given.as_object_mut().ok_or("no object")?;
    given.extend(options.given.clone());
    let args = Args::check(Forecast.signature(), std::mem::take(given))?;
    forget_peak();
    let mut forecasts = forecast(series, &args)?;
    let peak_mib = peak_mib()?;
    for _ in 1..options.rounds {
        forecasts.seconds = forecasts.seconds.min(forecast(series, &args)?.seconds);
    }
    let (found, said) = found(set, &forecasts.rows, &forecasts.counts)?;
    let without = found.iter().filter(|f| f.mean.iter().any(|v| v.is_nan())).count();
    let mut figures: BTreeMap<String, f64> =
        score(set, series, &found).into_iter().map(|(k, v)| (k.to_string(), v)).collect();
    for (k, level) in LEVELS.iter().enumerate() {
        let (within, known) = coverage(series, &found, k);
        figures.insert(format!("coverage_{level}"), within);
        figures.insert(format!("known_{level}"), known);
    }
    if std::env::var_os("BY_STEP").is_some() {
        print_by_step(set.horizon, series, &found);
    }
    let (seconds, rate) = (forecasts.seconds, series.len() as f64 / forecasts.seconds);
    if options.json {
        let line = json!({"set": set.name, "model": model, "season_length": season, "series": series.len(), "cpu_seconds": seconds,
            "series_per_cpu_second": rate, "peak_mib": peak_mib, "without_forecast": without, "figures": figures});
        println!("{line}");
    } else {
        let figures: Vec<_> = figures.iter().map(|(k, v)| format!("{k} {v:.4}")).collect();
        println!(
            "{:18} {model:24} n {:6}  cpu {seconds:8.3} s  {rate:10.0}/s  without {without}  {}",
            set.name,
            series.len(),
            figures.join("  ")
        );
        let said: Vec<_> = said.iter().map(|(k, n)| format!("{k}: {n}")).collect();
        println!("    {}", said.join(", "));
    }
    options.save.as_ref().map_or(Ok(()), |folder| save(folder, set, model, series, &found))
}

fn print_by_step(horizon: usize, series: &[Series], found: &[Found]) {
    for part in 0..3 {
        let (a, b) = (part * horizon / 3, (part + 1) * horizon / 3);
        let mut line = format!("steps {}..{b}", a + 1);
        for level in 0..LEVELS.len() {
            let (mut within, mut n) = (0.0, 0.0);
            for (s, f) in series.iter().zip(found) {
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

fn save(folder: &Path, set: &Set, model: &str, series: &[Series], found: &[Found]) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut text = String::new();
    for (s, f) in series.iter().zip(found) {
        let path: Vec<_> = f.mean.iter().map(ToString::to_string).collect();
        text.push_str(&format!("{},{}\n", s.id, path.join(",")));
    }
    Ok(std::fs::write(folder.join(format!("{}.{model}.csv", set.name)), text)?)
}

/// Forecasts by series, and how often each status and model occurs.
fn found(set: &Set, rows: &RecordBatch, counts: &[usize]) -> Result<(Vec<Found>, BTreeMap<String, usize>)> {
    let column = |name: &str| rows.column_by_name(name).ok_or(format!("no column {name}"));
    let (step, yhat) = (column("step")?.as_primitive::<Int32Type>(), column("yhat")?.as_primitive::<Float64Type>());
    let (status, reason) = (column("status")?.as_string::<i32>(), column("reason")?.as_string::<i32>());
    let mut bounds = vec![];
    for level in LEVELS {
        let of = |side| rows.column_by_name(&format!("yhat_{side}_{level}")).map(|c| c.as_primitive::<Float64Type>());
        bounds.push(of("lower").zip(of("upper")));
    }
    let (mut out, mut said, mut at) = (vec![], BTreeMap::new(), 0);
    for count in counts {
        let mut one = Found { mean: vec![f64::NAN; set.horizon], bounds: vec![vec![None; set.horizon]; LEVELS.len()] };
        for row in (at..at + count).filter(|row| step.is_valid(*row)) {
            let h = step.value(row) as usize - 1;
            one.mean[h] = yhat.value(row);
            for (level, (lower, upper)) in bounds.iter().enumerate().filter_map(|(k, b)| b.map(|b| (k, b))) {
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
