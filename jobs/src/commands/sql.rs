//! `lakecast sql`. In: statements and named tables. Out: rows, as a table, CSV, JSON lines or Parquet.

use super::{Process, print, scheduler};
use crate::cli::{SqlArgs, SqlFormat};
use crate::exit::Exit;
use crate::failure::{Failure, chain, of_input};
use crate::fleet::Scheduler;
use crate::run::MEMORY_BYTES_DEFAULT;
use crate::signals::Cancellation;
use ballista_core::execution_plans::DistributedQueryExec;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::{csv, json, util::pretty};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::dataframe::DataFrame;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, collect, execute_stream};
use datafusion_proto::protobuf::LogicalPlanNode;
use futures::StreamExt;
use lakecast_engine::fleet::remote_session;
use lakecast_engine::sql as engine_sql;
use lakecast_engine::tables::{TableSpec, register};
use lakecast_engine::{SessionOptions, session};
use parquet::arrow::ArrowWriter;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often it is asked whether the scheduler still knows a query.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long a stopped query is waited for to learn its name, and how often that is looked for.
const NAMED_WITHIN: Duration = Duration::from_secs(5);
const NAME_EVERY: Duration = Duration::from_millis(20);

pub(super) async fn sql(args: SqlArgs, process: &Process) -> Result<(), Failure> {
    let text = text(&args)?;
    let defaults = SessionOptions::default();
    let options = SessionOptions {
        partitions: args.resources.partitions.map_or(defaults.partitions, |n| n as usize),
        memory_bytes: args.resources.memory.unwrap_or(MEMORY_BYTES_DEFAULT) as usize,
        stores: Arc::clone(&process.stores),
        ..defaults
    };
    let remote = scheduler(&args.place)?;
    let context = match &remote {
        Some(scheduler) => remote_session(&options, scheduler.url()),
        None => session(&options),
    };
    let context = context.map_err(|e| Failure::running("session", &e))?;
    for (name, location) in &args.tables {
        register(&context, name, &TableSpec::new(location), &options.stores).await.map_err(|e| of_input(name, &e))?;
    }
    let statements = engine_sql::statements(&context, &text).map_err(|e| Failure::planning("sql", &e))?;
    let mut first = true;
    for statement in statements {
        let plan = engine_sql::plan_statement(&context, statement).await.map_err(|e| Failure::planning("sql", &e))?;
        let frame = context.execute_logical_plan(plan).await.map_err(|e| Failure::planning("sql", &e))?;
        answer(frame, &args, remote.as_ref(), first).await?;
        first = false;
    }
    Ok(())
}

fn text(args: &SqlArgs) -> Result<String, Failure> {
    let refuse = |what: String| Failure::new(Exit::Usage, what);
    match (&args.query, &args.file) {
        (Some(query), _) => Ok(query.clone()),
        (None, Some(file)) => std::fs::read_to_string(file)
            .map_err(|e| refuse(format!("cannot read the SQL file: {e}: file={}", file.display()))),
        (None, None) => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|e| refuse(format!("cannot read SQL from stdin: {e}")))?;
            if text.trim().is_empty() {
                return Err(refuse("no SQL: give -c SQL, -f FILE or a statement on stdin".into()));
            }
            Ok(text)
        }
    }
}

/// Answers one statement; statements without columns answer nothing. On a fleet Ctrl-C ends the query there too.
async fn answer(frame: DataFrame, args: &SqlArgs, remote: Option<&Scheduler>, first: bool) -> Result<(), Failure> {
    if frame.schema().fields().is_empty() {
        return Ok(());
    }
    let (task, failed) = (Arc::new(frame.task_ctx()), |e| Failure::running("sql", &e));
    let plan = frame.create_physical_plan().await.map_err(|e| Failure::planning("sql", &e))?;
    let Some(scheduler) = remote else { return write(plan, task, args, first).await };
    let stop = Cancellation::listen().map_err(|e| failed(e.into()))?;
    let mut written = std::pin::pin!(write(Arc::clone(&plan), task, args, first));
    tokio::select! {
        done = &mut written => done,
        why = stop.cancelled() => {
            // A query that was just sent has no name yet, and gets one only while somebody waits for its rows.
            let job_id = tokio::select! {
                job_id = tokio::time::timeout(NAMED_WITHIN, named(&plan)) => job_id.ok(),
                _ = &mut written => None,
            };
            if let Some(job_id) = job_id {
                scheduler.cancel(&job_id).await;
            }
            Err(Failure::new(why.exit(), "stopped"))
        }
        () = forgotten(scheduler, &plan) => {
            Err(Failure::new(Exit::Transient, "the scheduler was started anew, and the query with it is gone: ask again"))
        }
    }
}

/// Resolves when the query has a name.
async fn named(plan: &Arc<dyn ExecutionPlan>) -> String {
    loop {
        match job_of(plan) {
            Some(job_id) => return job_id,
            None => tokio::time::sleep(NAME_EVERY).await,
        }
    }
}

/// Resolves when the scheduler does not know the query any more. Ballista's client would ask it for ever.
async fn forgotten(scheduler: &Scheduler, plan: &Arc<dyn ExecutionPlan>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some(job_id) = job_of(plan)
            && scheduler.has_forgotten(&job_id).await
        {
            return;
        }
    }
}

/// The scheduler's name of the job that the plan runs on a fleet, once it has one.
fn job_of(plan: &Arc<dyn ExecutionPlan>) -> Option<String> {
    let mut job_id = None;
    let _ = plan.apply(|node| {
        if let Some(query) = node.downcast_ref::<DistributedQueryExec<LogicalPlanNode>>() {
            job_id = query.job_id().map(|id| id.as_str().to_string());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    job_id
}

/// Runs the plan and writes its rows.
async fn write(
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    args: &SqlArgs,
    first: bool,
) -> Result<(), Failure> {
    let failed =
        |e: &dyn std::error::Error| Failure::new(Exit::Failed, format!("cannot write the answer: {}", chain(e)));
    let schema = plan.schema();
    if args.format == SqlFormat::Table && args.output.is_none() {
        let batches = collect(plan, task).await.map_err(|e| Failure::running("sql", &e))?;
        let shown = if batches.is_empty() { vec![RecordBatch::new_empty(schema)] } else { batches };
        return print(&pretty::pretty_format_batches(&shown).map_err(|e| failed(&e))?.to_string());
    }
    let mut out = Answer::open(args, schema, first).map_err(|e| failed(e.as_ref()))?;
    let mut stream = execute_stream(plan, task).map_err(|e| Failure::running("sql", &e))?;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(|e| Failure::running("sql", &e))?;
        match out.write(&batch) {
            Err(e) if is_closed_pipe(e.as_ref()) => return Ok(()),
            done => done.map_err(|e| failed(e.as_ref()))?,
        }
    }
    out.finish().map_err(|e| failed(e.as_ref()))
}

type Written<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn is_closed_pipe(e: &(dyn std::error::Error + 'static)) -> bool {
    let text = chain(e);
    text.contains("Broken pipe")
}

/// Where rows go, a batch at a time.
enum Answer {
    Table(Box<dyn Write>, Vec<RecordBatch>),
    Csv(Box<csv::Writer<Box<dyn Write>>>),
    Json(json::LineDelimitedWriter<Box<dyn Write>>),
    Parquet(Box<ArrowWriter<File>>),
}

impl Answer {
    fn open(args: &SqlArgs, schema: datafusion::arrow::datatypes::SchemaRef, first: bool) -> Written<Self> {
        let sink = |path: Option<&Path>| -> Written<Box<dyn Write>> {
            Ok(match path {
                Some(path) if first => Box::new(BufWriter::new(File::create(path)?)),
                Some(path) => Box::new(BufWriter::new(File::options().append(true).open(path)?)),
                None => Box::new(BufWriter::new(std::io::stdout())),
            })
        };
        let path = args.output.as_deref();
        Ok(match args.format {
            SqlFormat::Table => Self::Table(sink(path)?, vec![]),
            SqlFormat::Csv => {
                let mut writer = csv::WriterBuilder::new().with_header(true).build(sink(path)?);
                writer.write(&RecordBatch::new_empty(schema))?;
                Self::Csv(Box::new(writer))
            }
            SqlFormat::Json => Self::Json(json::LineDelimitedWriter::new(sink(path)?)),
            SqlFormat::Parquet => {
                let path = path.ok_or("Parquet goes to a file: add --output FILE")?;
                Self::Parquet(Box::new(ArrowWriter::try_new(File::create(path)?, schema, None)?))
            }
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Written {
        match self {
            Self::Table(_, rows) => rows.push(batch.clone()),
            Self::Csv(writer) => writer.write(batch)?,
            Self::Json(writer) => writer.write(batch)?,
            Self::Parquet(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    fn finish(self) -> Written {
        match self {
            Self::Table(mut out, rows) => {
                writeln!(out, "{}", pretty::pretty_format_batches(&rows)?)?;
                out.flush()?;
            }
            Self::Csv(writer) => writer.into_inner().flush()?,
            Self::Json(mut writer) => {
                writer.finish()?;
                writer.into_inner().flush()?;
            }
            Self::Parquet(writer) => {
                writer.close()?;
            }
        }
        Ok(())
    }
}
