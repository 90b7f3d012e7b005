//! `run`, `plan` and `check`. In: a job file. Out: published tables, a plan, or what is wrong with the file.

use super::{Process, fleet, print};
use crate::cli::{JobArgs, Patience, PlanArgs, Resources, RunArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fleet::{DEADLINE_SECONDS_DEFAULT, STALL_SECONDS_DEFAULT};
use crate::job::{Inputs, Job};
use crate::problem::Source;
use crate::progress::Reporter;
use crate::run::{self, Means, Report, Unpublished};
use crate::signals::Cancellation;
use datafusion::physical_plan::{ExecutionPlanProperties, displayable};
use lakecast_engine::fleet::FORCED;
use lakecast_engine::functions::Functions;
use lakecast_engine::sql;
use std::path::Path;
use std::sync::Arc;

/// Reads and checks the job file. No I/O but for the file itself.
pub(super) fn read(args: &JobArgs, resources: &Resources, publishes: bool) -> Result<Job, Failure> {
    let name = args.job.display().to_string();
    let text = std::fs::read_to_string(&args.job)
        .map_err(|e| Failure::new(Exit::Usage, format!("cannot read the job file: {e}: file={name}")))?;
    let source = Source::new(name, text);
    let here = std::env::current_dir().map_err(|e| Failure::new(Exit::Usage, format!("no current folder: {e}")))?;
    let base = here.join(args.job.parent().unwrap_or(Path::new("")));
    let inputs = Inputs {
        run_date: args.run_date,
        publishes,
        set: &args.set,
        partitions: resources.partitions,
        memory_bytes: resources.memory,
        base: &base,
    };
    Ok(Job::read(&source, &inputs)?)
}

pub(super) async fn run(args: RunArgs, process: &Process) -> Result<(), Failure> {
    let ready = fleet(&args.place, &args.patience).and_then(|f| Ok((f, read(&args.job, &args.resources, true)?)));
    let done = match ready {
        Ok((fleet, job)) => execute(&job, &process.means(fleet), args.quiet).await,
        Err(wrong) => Err(wrong),
    };
    let line = match &done {
        Ok(report) => serde_json::to_string(report),
        Err(failure) => serde_json::to_string(&Unpublished::new(&args.job, failure)),
    };
    let line = line.map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
    let kept = args.result_file.as_ref().map_or(Ok(()), |file| {
        let outcome = if done.is_ok() { "published" } else { "not published" };
        let why = |e| format!("{outcome}, but cannot write the result file: {e}: file={}", file.display());
        std::fs::write(file, format!("{line}\n")).map_err(|e| Failure::new(Exit::Failed, why(e)))
    });
    print(&line)?;
    done.and(kept)
}

/// Runs a job with progress on stderr; a signal stops it cleanly.
pub(super) async fn execute(job: &Job, means: &Means, quiet: bool) -> Result<Report, Failure> {
    let label = format!("{} {}", job.name, job.run_date.map(|d| d.to_string()).unwrap_or_default());
    let reporter = if quiet {
        Reporter::silent()
    } else {
        Reporter::start(&label, Arc::clone(&means.counters))
            .map_err(|e| Failure::new(Exit::Transient, format!("the system refuses threads: {e}")))?
    };
    let stop = Cancellation::listen()
        .map_err(|e| Failure::new(Exit::Transient, format!("the system refuses signal handlers: {e}")))?;
    let (waiting, cancel) = (stop.clone(), means.cancel.clone());
    let waiter = tokio::spawn(async move {
        waiting.cancelled().await;
        cancel.cancel();
    });
    let done = run::run(job, means).await;
    waiter.abort();
    drop(reporter);
    match (done, stop.stopped()) {
        (Err(_), Some(why)) => Err(Failure::new(why.exit(), "stopped: run the same command to continue")),
        (done, _) => {
            if let Ok(report) = &done {
                tell(report);
            }
            done
        }
    }
}

fn tell(report: &Report) {
    for table in &report.tables {
        if table.already_published {
            tracing::info!("{}: already published as version {} of {}", table.output, table.version, table.location);
        } else {
            tracing::info!(
                "{}: published {} rows as version {} of {}: {} partitions computed, {} found finished",
                table.output,
                table.rows,
                table.version,
                table.location,
                table.partitions_computed,
                table.partitions_from_checkpoint
            );
        }
    }
}

pub(super) fn check(args: &JobArgs) -> Result<(), Failure> {
    let job = read(args, &Resources { partitions: None, memory: None }, false)?;
    let views = job.views.iter().map(|v| (format!("view {}", v.name), &v.sql));
    let outputs = job.outputs.iter().map(|o| (format!("output {}", o.name), &o.sql));
    for (place, text) in views.chain(outputs) {
        sql::check_calls(&Functions::default(), text).map_err(|e| Failure::planning(&place, &e))?;
    }
    for name in job.unused() {
        tracing::warn!("nothing is computed from it: table={name}");
    }
    let names = |n: Vec<&str>| n.join(", ");
    print(&format!(
        "{}: good: job={}, tables=[{}], outputs=[{}]",
        args.job.display(),
        job.name,
        names(job.tables.iter().map(|t| t.name.as_str()).collect()),
        names(job.outputs.iter().map(|o| o.name.as_str()).collect()),
    ))
}

/// Prints what a run would read and do. Nothing is written.
pub(super) async fn plan(args: PlanArgs, process: &Process) -> Result<(), Failure> {
    let job = read(&args.job, &args.resources, true)?;
    let patience = Patience { deadline_seconds: DEADLINE_SECONDS_DEFAULT, stall_seconds: STALL_SECONDS_DEFAULT };
    let fleet = fleet(&args.place, &patience)?;
    if let Some(fleet) = &fleet {
        print(&format!("on the fleet of {}, under this policy:", fleet.scheduler.url()))?;
        for forced in FORCED {
            print(&format!("  {}={}: {}", forced.key, forced.value, forced.why))?;
        }
    }
    let prepared = run::prepare(&job, &process.means(fleet)).await?;
    print(&format!("job {} for {}, run {}", job.name, prepared.run_date, prepared.run_id))?;
    for (name, table) in &prepared.inputs {
        let bytes: u64 = table.files.iter().map(|f| f.size_bytes).sum();
        let rows = table.rows.map_or("not known before reading".to_string(), |n| n.to_string());
        print(&format!("\ntable {name}: files={}, bytes={bytes}, rows={rows}", table.files.len()))?;
    }
    for planned in &prepared.outputs {
        let place = format!("output {}", planned.output.name);
        let physical = run::physical(planned).await.map_err(|e| Failure::planning(&place, &e))?;
        let partitions = physical.output_partitioning().partition_count();
        let state = match &planned.already_published {
            Some(found) => format!("already published as version {}, nothing would be computed", found.version),
            None => "to be computed".to_string(),
        };
        print(&format!("\n{place} -> {}: partitions={partitions}, {state}", planned.output.location.written()))?;
        for (keys, groups) in run::groups(planned).await.map_err(|e| Failure::running(&place, &e))? {
            print(&format!("groups by [{keys}]: {groups}"))?;
        }
        print(displayable(physical.as_ref()).indent(false).to_string().trim_end())?;
    }
    Ok(())
}
