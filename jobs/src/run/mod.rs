//! The run controller: from a checked job to published tables.
//!
//! In: a [`Job`]. Out: a [`Report`]. The order is the protocol: plan everything, try the stores, stage everything, check every sum, and only
//! then commit, so that a fault before the first commit leaves every table as it was. What was staged stays under its
//! checkpoints, so that the same command continues where this one died.

mod check;
mod prepare;
mod report;
mod stage;

pub use prepare::{MEMORY_BYTES_DEFAULT, Planned, Prepared, prepare};
pub use report::{Report, Unpublished};
pub use stage::{groups, physical};

use crate::exit::Exit;
use crate::failure::{Failure, of_input};
use crate::fleet::{self, Fleet};
use crate::job::Job;
use crate::progress::Counters;
use crate::publish::{self, DataFile, Publication};
use crate::run_record::{self, TableRecord};
use lakecast_engine::cancel::Cancel;
use lakecast_engine::sink::Checkpoint;
use lakecast_engine::store::Stores;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// What a run is given besides the job.
pub struct Means {
    /// Stores of inputs and outputs.
    pub stores: Arc<Stores>,
    /// The stop flag.
    pub cancel: Cancel,
    /// Where progress is counted.
    pub counters: Arc<Counters>,
    /// Milliseconds since 1970 for commit and record; decides nothing.
    pub now_ms: fn() -> i64,
    /// The fleet that computes; `None`: this process.
    pub fleet: Option<Fleet>,
}

/// Runs the job to its published tables, or finds them published.
///
/// Errors: see [`Exit`]. After any of them no table is half visible, and the same command may be run again.
pub async fn run(job: &Job, means: &Means) -> Result<Report, Failure> {
    let started = Instant::now();
    let started_ms = (means.now_ms)();
    let prepared = prepare(job, means).await?;
    let to_compute = prepared.outputs.iter().filter(|o| o.already_published.is_none());
    prepare::require_atomic_create(&prepared).await?;
    let total = to_compute.map(|o| u64::from(o.partitions)).sum();
    means.counters.partitions_total.store(total, Ordering::Relaxed);
    let mut staged = vec![];
    for planned in &prepared.outputs {
        let checkpoints = match &planned.already_published {
            Some(_) => None,
            None => Some(compute(planned, means).await?),
        };
        staged.push(checkpoints);
    }
    for (name, table) in &prepared.inputs {
        table.verify(&means.stores).await.map_err(|e| of_input(name, &e))?;
    }
    let mut tables = vec![];
    for (planned, checkpoints) in prepared.outputs.iter().zip(&staged) {
        tables.push(commit(job, &prepared, planned, checkpoints.as_deref(), means).await?);
    }
    let report = Report::new(job, &prepared, tables, started.elapsed());
    record(&prepared, &report, started_ms, means).await;
    for planned in &prepared.outputs {
        // Also of an output found done: the run that committed it may have died right after.
        stage::forget(planned).await;
    }
    Ok(report)
}

/// Computes one output, here or on the fleet, and checks its sums.
async fn compute(planned: &Planned<'_>, means: &Means) -> Result<Vec<Checkpoint>, Failure> {
    let (partitions, checkpoints) = match &means.fleet {
        Some(fleet) => fleet::stage(planned, fleet, means).await?,
        None => stage::stage(planned, means).await?,
    };
    check::check(planned, partitions, &checkpoints)?;
    Ok(checkpoints)
}

async fn commit(
    job: &Job,
    prepared: &Prepared<'_>,
    planned: &Planned<'_>,
    checkpoints: Option<&[Checkpoint]>,
    means: &Means,
) -> Result<TableRecord, Failure> {
    let Some(checkpoints) = checkpoints else { return Ok(report::found(planned)) };
    if means.cancel.is_cancelled() {
        return Err(Failure::new(Exit::Interrupted, "stopped before the commit: run the same command to continue"));
    }
    let files = checkpoints.iter().filter_map(|c| {
        Some(DataFile {
            path: c.path.clone()?,
            size_bytes: c.bytes,
            rows: c.rows,
            etag: c.etag.clone(),
            sha256: None,
            stats_json: None,
        })
    });
    let counted = report::counted(planned, checkpoints);
    let publication = Publication {
        job: job.name.clone(),
        output: planned.output.name.clone(),
        run_date: prepared.run_date,
        fingerprint: planned.fingerprint,
        run_id: prepared.run_id.clone(),
        counts: report::counts(&counted),
        schema: Arc::clone(&planned.schema),
        files: files.collect(),
    };
    let commit = publish::publish(&planned.target, &publication, (means.now_ms)()).await?;
    Ok(report::published(counted, commit))
}

/// Writes the run record beside every table. The tables are published by then, so a failure here is told but costs nothing.
async fn record(prepared: &Prepared<'_>, report: &Report, started_ms: i64, means: &Means) {
    let record = report.record(prepared, started_ms, (means.now_ms)());
    for planned in &prepared.outputs {
        if let Err(e) = run_record::write_run_record(&planned.target, &record).await {
            tracing::warn!(output = planned.output.name, "published, but the run record was not written: {e}");
        }
    }
}
