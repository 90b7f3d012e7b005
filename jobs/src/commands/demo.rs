//! `lakecast demo`. In: a folder. Out: a generated marketplace, its nightly job run, and what a buyer would look at.

use super::{Process, job, print};
use crate::cli::{DemoArgs, JobArgs, Resources};
use crate::demo::{FoundRule, plot, rules_table, status_table};
use crate::exit::Exit;
use crate::failure::{Failure, chain, of_input};
use crate::generate::{GenerateOptions, LAST_DATE, PlantedRule, generate};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Float64Type;
use datafusion::prelude::SessionContext;
use lakecast_engine::sql;
use lakecast_engine::tables::{TableSpec, register};
use lakecast_engine::{SessionOptions, session};
use std::path::Path;
use std::sync::Arc;

/// The job that the demo runs; the same file as in the examples.
const JOB: &str = include_str!("../../examples/nightly.yaml");
/// Forecasts that are drawn.
const PLOTS: usize = 3;
/// Rules that are shown.
const RULES: usize = 12;

pub(super) async fn demo(args: DemoArgs, process: &Process) -> Result<(), Failure> {
    let failed = |e: &dyn std::error::Error| Failure::new(Exit::Failed, chain(e));
    let dir = args.dir.display();
    let market = args.dir.join("market");
    let job_file = args.dir.join("nightly.yaml");
    let mut options = GenerateOptions::new(&market, args.days).map_err(|e| failed(&e))?;
    (options.skus, options.baskets, options.seed) = (args.skus, args.baskets, args.seed);
    print(&format!(
        "$ lakecast generate --skus {} --days {} --baskets {} --seed {} --out {dir}/market",
        args.skus, args.days, args.baskets, args.seed
    ))?;
    let planted = if market.exists() {
        print(&format!("{dir}/market is there already and is used as it is"))?;
        crate::generate::read_planted_rules(&market).map_err(|e| failed(&e))?
    } else {
        let made = generate(&options, &mut |_| ()).map_err(|e| failed(&e))?;
        print(&format!("{} rows in {} files, {} bytes", made.rows, made.files.len(), made.bytes))?;
        made.rules
    };
    std::fs::write(&job_file, JOB).map_err(|e| failed(&e))?;
    print(&format!("\n$ lakecast run {dir}/nightly.yaml --run-date {LAST_DATE}"))?;
    let job_args = JobArgs { job: job_file, run_date: Some(LAST_DATE), set: vec![] };
    let job = job::read(&job_args, &Resources { partitions: None, memory: None }, true)?;
    let report = job::execute(&job, &process.means(None), false).await?;
    print(&serde_json::to_string(&report).map_err(|e| failed(&e))?)?;
    let view = View::open(&args.dir, process).await?;
    show_forecasts(&view).await?;
    show_rules(&view, &planted).await?;
    show_statuses(&view).await?;
    print("\nThe tables are Delta Lake tables that any reader of it opens. Ask them something:")?;
    for (table, question) in [
        (
            "forecast",
            "SELECT sku, sum(yhat) AS units FROM forecast WHERE step <= 7 GROUP BY sku ORDER BY units DESC LIMIT 5",
        ),
        ("rules", "SELECT antecedent, consequent, confidence, lift FROM rules ORDER BY lift DESC LIMIT 5"),
    ] {
        print(&format!("$ lakecast sql --table {table}={dir}/lake/{table}/ -c '{question}'"))?;
    }
    Ok(())
}

/// The published tables and their inputs, as a reader sees them.
struct View {
    context: SessionContext,
}

impl View {
    async fn open(dir: &Path, process: &Process) -> Result<Self, Failure> {
        let options = SessionOptions { stores: Arc::clone(&process.stores), ..SessionOptions::default() };
        let context = session(&options).map_err(|e| Failure::running("session", &e))?;
        for (name, below) in [("sales", "market/sales"), ("forecast", "lake/forecast"), ("rules", "lake/rules")] {
            register(&context, name, &TableSpec::new(dir.join(below).display().to_string()), &options.stores)
                .await
                .map_err(|e| of_input(name, &e))?;
        }
        Ok(Self { context })
    }

    async fn rows(&self, text: &str) -> Result<RecordBatch, Failure> {
        let failed = |e: datafusion::common::DataFusionError| Failure::running("demo", &e);
        let frame = sql::sql(&self.context, text).await.map_err(failed)?;
        let schema = frame.schema().as_arrow().clone();
        let batches = frame.collect().await.map_err(failed)?;
        datafusion::arrow::compute::concat_batches(&schema.into(), &batches).map_err(|e| failed(e.into()))
    }
}

fn numbers(rows: &RecordBatch, column: usize) -> Vec<f64> {
    rows.column(column).as_primitive::<Float64Type>().iter().map(|v| v.unwrap_or(f64::NAN)).collect()
}

async fn show_forecasts(view: &View) -> Result<(), Failure> {
    let top = view
        .rows(&format!(
            "SELECT sku FROM sales WHERE sku IN (SELECT sku FROM forecast WHERE status = 'ok')
             GROUP BY sku ORDER BY sum(qty) DESC, sku LIMIT {PLOTS}"
        ))
        .await?;
    for sku in top.column(0).as_string::<i32>().iter().flatten() {
        let history =
            view.rows(&format!("SELECT CAST(qty AS DOUBLE) FROM sales WHERE sku = '{sku}' ORDER BY ds")).await?;
        let ahead = view
            .rows(&format!(
                "SELECT yhat, yhat_lower_80, yhat_upper_80, model FROM forecast WHERE sku = '{sku}' ORDER BY step"
            ))
            .await?;
        let history = numbers(&history, 0);
        let recent = &history[history.len().saturating_sub(42)..];
        let model = ahead.column(3).as_string::<i32>().value(0);
        print(&format!(
            "\n{sku}: the last {} days sold and {} days ahead, 80 % interval, {model}",
            recent.len(),
            ahead.num_rows()
        ))?;
        print(plot(recent, &numbers(&ahead, 0), &numbers(&ahead, 1), &numbers(&ahead, 2), 80, 8).trim_end())?;
    }
    Ok(())
}

async fn show_rules(view: &View, planted: &[PlantedRule]) -> Result<(), Failure> {
    let rows = view
        .rows("SELECT antecedent, consequent, support, confidence, lift FROM rules ORDER BY lift DESC, confidence DESC, antecedent, consequent")
        .await?;
    let items = |column: usize, row: usize| -> Vec<String> {
        let list = rows.column(column).as_list::<i32>().value(row);
        list.as_string::<i32>().iter().flatten().map(str::to_string).collect()
    };
    let (support, confidence, lift) = (numbers(&rows, 2), numbers(&rows, 3), numbers(&rows, 4));
    let found: Vec<_> = (0..rows.num_rows())
        .map(|row| FoundRule {
            antecedent: items(0, row),
            consequent: items(1, row),
            support: support[row],
            confidence: confidence[row],
            lift: lift[row],
        })
        .collect();
    print("\nThe strongest rules, and the planted ones among them:")?;
    print(rules_table(&found, planted, RULES).trim_end())
}

async fn show_statuses(view: &View) -> Result<(), Failure> {
    let rows = view
        .rows("SELECT status, CAST(count(DISTINCT sku) AS DOUBLE) FROM forecast GROUP BY status ORDER BY status")
        .await?;
    let statuses = rows.column(0).as_string::<i32>();
    let counts: Vec<_> =
        (0..rows.num_rows()).map(|i| (statuses.value(i).to_string(), numbers(&rows, 1)[i] as u64)).collect();
    print("\nEvery SKU has a status:")?;
    print(status_table(&counts).trim_end())
}
