//! Everything before the first byte is written: inputs opened, SQL planned, targets checked, fingerprints taken.
//!
//! In: a [`Job`]. Out: [`Prepared`]: one plan per output with the key under which its partitions are checkpointed.

use super::Means;
use crate::exit::Exit;
use crate::failure::{Failure, chain, of_input};
use crate::job::{self, Job, Output};
use crate::publish::{self, Published, TableTarget, hex};
use chrono::NaiveDate;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::prelude::SessionContext;
use lakecast_engine::fleet::planning_session;
use lakecast_engine::functions::Functions;
use lakecast_engine::sql;
use lakecast_engine::store::Location;
use lakecast_engine::tables::{self, ColumnSpec, CsvOptions, Format, InputFile, InputTable, TableSpec};
use lakecast_engine::{SessionOptions, session};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Memory for operators where neither job file nor command line says otherwise.
pub const MEMORY_BYTES_DEFAULT: u64 = 2 << 30;

/// A job that is ready to be computed.
pub struct Prepared<'a> {
    /// Names the run in records, commits and reports; the same job, date, inputs and code give the same name.
    pub run_id: String,
    /// The business date.
    pub run_date: NaiveDate,
    /// Tables that are read, by name, with the files that count.
    pub inputs: BTreeMap<String, InputTable>,
    /// Outputs, in the order of the job file.
    pub outputs: Vec<Planned<'a>>,
}

/// An output that is ready to be computed.
pub struct Planned<'a> {
    /// As the job file has it.
    pub output: &'a Output,
    /// Output partitions, as the job says or as its input files ask for.
    pub partitions: u32,
    /// The business date.
    pub run_date: NaiveDate,
    /// The session that computes it.
    pub context: SessionContext,
    /// The query, cast to types that a lake table can hold.
    pub plan: LogicalPlan,
    /// Columns of the data files.
    pub schema: SchemaRef,
    /// Where the table stands.
    pub target: TableTarget,
    /// Hash of everything that decides the rows.
    pub fingerprint: [u8; 32],
    /// The version that already holds these rows, and what was counted for it.
    pub already_published: Option<Published>,
}

/// Opens inputs and plans outputs. Nothing is written.
///
/// Errors: wrong SQL, names or types (the job file's fault); inputs that cannot be read; a target that would refuse the
/// table.
pub async fn prepare<'a>(job: &'a Job, means: &Means) -> Result<Prepared<'a>, Failure> {
    let run_date =
        job.run_date.ok_or_else(|| Failure::new(Exit::Usage, "the business date is needed: --run-date YYYY-MM-DD"))?;
    let inputs = open_inputs(job, means).await?;
    let mut outputs = vec![];
    for output in &job.outputs {
        outputs.push(plan_output(job, output, run_date, &inputs, means).await?);
    }
    let mut all = Sha256::new();
    outputs.iter().for_each(|o| all.update(o.fingerprint));
    let run_id = format!("{}-{run_date}-{}", job.name, &hex(&all.finalize())[..12]);
    Ok(Prepared { run_id, run_date, inputs, outputs })
}

async fn open_inputs(job: &Job, means: &Means) -> Result<BTreeMap<String, InputTable>, Failure> {
    let options = SessionOptions { stores: means.stores.clone(), ..SessionOptions::default() };
    let context = session(&options).map_err(|e| Failure::running("session", &e))?;
    let mut inputs = BTreeMap::new();
    for table in &job.tables {
        let opened = tables::open(&spec_of(table), &context.state(), &means.stores)
            .await
            .map_err(|e| of_input(&table.name, &e))?;
        inputs.insert(table.name.clone(), opened);
    }
    Ok(inputs)
}

fn spec_of(table: &job::Table) -> TableSpec {
    let format = table.format.and_then(|f| Format::ALL.iter().copied().find(|e| e.name() == f.name()));
    let has_csv = table.csv_header.is_some() || table.csv_delimiter.is_some() || table.csv_null.is_some();
    TableSpec {
        format,
        schema: table.columns.as_ref().map(|c| c.iter().map(|c| ColumnSpec::new(&c.name, &c.kind)).collect()),
        csv: has_csv.then(|| CsvOptions {
            header: table.csv_header.unwrap_or(true),
            delimiter: table.csv_delimiter.map(char::from),
            null: table.csv_null.clone(),
        }),
        version: table.delta_version.and_then(|v| i64::try_from(v).ok()),
        ..TableSpec::new(table.location.normal())
    }
}

/// A session with the job's tables and views.
async fn session_for(
    job: &Job,
    partitions: u32,
    inputs: &BTreeMap<String, InputTable>,
    means: &Means,
) -> Result<SessionContext, Failure> {
    let options = SessionOptions {
        partitions: partitions as usize,
        batch_size_rows: job.settings.batch_size_rows as usize,
        memory_bytes: job.settings.memory_bytes.unwrap_or(MEMORY_BYTES_DEFAULT) as usize,
        spill_dir: None,
        functions: Functions::default(),
        stores: means.stores.clone(),
        cancel: means.cancel.clone(),
    };
    let context = match &means.fleet {
        Some(_) => planning_session(&options),
        None => session(&options),
    };
    let context = context.map_err(|e| Failure::running("session", &e))?;
    for (name, table) in inputs {
        context
            .register_table(name.as_str(), table.provider.clone())
            .map_err(|e| Failure::planning(&format!("table {name}"), &e))?;
    }
    for view in &job.views {
        let place = format!("view {}", view.name);
        let plan = sql::plan(&context, &view.sql).await.map_err(|e| Failure::planning(&place, &e))?;
        let table = datafusion::datasource::ViewTable::new(plan, Some(view.sql.clone()));
        context
            .register_table(view.name.as_str(), std::sync::Arc::new(table))
            .map_err(|e| Failure::planning(&place, &e))?;
    }
    Ok(context)
}

async fn plan_output<'a>(
    job: &'a Job,
    output: &'a Output,
    run_date: NaiveDate,
    inputs: &BTreeMap<String, InputTable>,
    means: &Means,
) -> Result<Planned<'a>, Failure> {
    let place = format!("output {}", output.name);
    let reads = job.reads(output).tables;
    let files: Vec<_> = reads.iter().filter_map(|t| Some((t.name.as_str(), inputs.get(&t.name)?))).collect();
    let bytes = files.iter().flat_map(|(_, table)| &table.files).map(|f| f.size_bytes).sum();
    let partitions = output.partitions.unwrap_or_else(|| job::partitions_for(bytes));
    let context = session_for(job, partitions, inputs, means).await?;
    let plan = sql::plan(&context, &output.sql).await.map_err(|e| Failure::planning(&place, &e))?;
    let storable = publish::storable(plan.schema().as_arrow())
        .map_err(|e| Failure::new(Exit::Usage, format!("{place}: {}", chain(&e))))?;
    let plan = cast_to(plan, &storable).map_err(|e| Failure::planning(&place, &e))?;
    let target = target(output, means)?;
    let fingerprint = fingerprint(&job.canonical(output, partitions), &files);
    publish::check_target(&target, &storable.schema).await?;
    let already_published = publish::already_published(&target, &job.name, &output.name, run_date, fingerprint).await?;
    let schema = storable.schema;
    Ok(Planned { output, partitions, run_date, context, plan, schema, target, fingerprint, already_published })
}

/// Refuses, before anything is computed, a store on which two runs could both publish. Tries each store once.
pub(super) async fn require_atomic_create(prepared: &Prepared<'_>) -> Result<(), Failure> {
    let mut tried = BTreeSet::new();
    for planned in prepared.outputs.iter().filter(|o| o.already_published.is_none()) {
        let url = &planned.target.location_url;
        // Two folders of one machine may lie on two file systems.
        let store = if url.scheme() == "file" { url.as_str() } else { &url[..url::Position::BeforePath] };
        if tried.insert(store) {
            publish::require_atomic_create(&planned.target).await?;
        }
    }
    Ok(())
}

fn cast_to(plan: LogicalPlan, storable: &publish::Storable) -> datafusion::common::Result<LogicalPlan> {
    // Always project: names lose their qualifiers here, and two columns of one name are an error before any work.
    let exprs: Vec<Expr> = plan
        .schema()
        .columns()
        .into_iter()
        .zip(storable.schema.fields())
        .map(|(column, field)| {
            let name = column.name.clone();
            match storable.casts.iter().find(|c| c.column == name) {
                Some(_) => cast(Expr::Column(column), field.data_type().clone()).alias(name),
                None => Expr::Column(column).alias(name),
            }
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(exprs)?.build()
}

fn target(output: &Output, means: &Means) -> Result<TableTarget, Failure> {
    let refuse = |e: &dyn std::error::Error| Failure::new(Exit::Usage, format!("output {}: {}", output.name, chain(e)));
    let location = Location::directory(&output.location.normal()).map_err(|e| refuse(&e))?;
    let store = means.stores.open(&location).map_err(|e| refuse(&e))?;
    Ok(TableTarget { location_url: location.url().clone(), store })
}

/// Hash of the job's text, the code's version and the inputs as they lie in the lake.
fn fingerprint(canonical: &str, inputs: &[(&str, &InputTable)]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(concat!("lakecast ", env!("CARGO_PKG_VERSION"), "\n"));
    hash.update(canonical);
    for (name, table) in inputs {
        hash.update(format!("input {name}\n"));
        for InputFile { path, size_bytes, etag, modified_ms, .. } in &table.files {
            // A tag stands for the content; the time of change is what is left where the store gives none.
            let version = etag.clone().unwrap_or_else(|| modified_ms.to_string());
            hash.update(format!("{path}\t{size_bytes}\t{version}\n"));
        }
    }
    hash.finalize().into()
}
