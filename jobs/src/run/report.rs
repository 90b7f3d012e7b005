//! What a run did, for people and schedulers. In: checkpoints and commits. Out: the JSON line of `lakecast run` and the
//! run record.

use super::prepare::{Planned, Prepared};
use crate::cli::JobArgs;
use crate::failure::Failure;
use crate::job::Job;
use crate::publish::{Commit, hex};
use crate::run_record::{InputFile, RunRecord, TableRecord};
use lakecast_engine::sink::Checkpoint;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// The outcome of a run, as its last stdout line.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Names the run; the same job, date, inputs and code give the same name.
    pub run_id: String,
    /// Name of the job.
    pub job: String,
    /// Business date.
    pub run_date: String,
    /// `published`, or `already published` where nothing was left to do.
    pub status: &'static str,
    /// Every output, in the order of the job file.
    pub tables: Vec<TableRecord>,
    /// Wall-clock seconds of this command.
    pub seconds: f64,
}

impl Report {
    pub(super) fn new(job: &Job, prepared: &Prepared<'_>, tables: Vec<TableRecord>, took: Duration) -> Self {
        let repeat = tables.iter().all(|t| t.already_published);
        Self {
            run_id: prepared.run_id.clone(),
            job: job.name.clone(),
            run_date: prepared.run_date.to_string(),
            status: if repeat { "already published" } else { "published" },
            tables,
            seconds: (took.as_secs_f64() * 1000.0).round() / 1000.0,
        }
    }

    /// Whether every table was published before.
    pub fn is_repeat(&self) -> bool {
        self.tables.iter().all(|t| t.already_published)
    }

    pub(super) fn record(&self, prepared: &Prepared<'_>, started_ms: i64, finished_ms: i64) -> RunRecord {
        let mut all = Sha256::new();
        prepared.outputs.iter().for_each(|o| all.update(o.fingerprint));
        let files = prepared.inputs.values().flat_map(|t| &t.files);
        RunRecord {
            run_id: self.run_id.clone(),
            job: self.job.clone(),
            run_date: self.run_date.clone(),
            code_version: env!("CARGO_PKG_VERSION").to_string(),
            fingerprint: hex(&all.finalize()),
            inputs: files
                .map(|f| InputFile { path: f.path.to_string(), size_bytes: f.size_bytes, etag: f.etag.clone() })
                .collect(),
            tables: self.tables.clone(),
            started_ms,
            finished_ms,
            seconds: self.seconds,
        }
    }
}

/// The outcome of a run that ended without publishing everything, as its last stdout line.
#[derive(Debug, Clone, Serialize)]
pub struct Unpublished {
    /// Path of the job file.
    pub job_file: String,
    /// Business date, where one was given.
    pub run_date: Option<String>,
    /// `failed`, always: what happened says `error`, what to do next says `exit_code`.
    pub status: &'static str,
    /// The exit code of the command.
    pub exit_code: u8,
    /// Whether the same command may succeed without anybody mending anything.
    pub retryable: bool,
    /// What a person does next.
    pub error: String,
}

impl Unpublished {
    /// The outcome of the run of `job` that ended with `failure`.
    pub fn new(job: &JobArgs, failure: &Failure) -> Self {
        Self {
            job_file: job.job.display().to_string(),
            run_date: job.run_date.map(|d| d.to_string()),
            status: "failed",
            exit_code: failure.exit.code(),
            retryable: failure.exit.is_retryable(),
            error: failure.message.clone(),
        }
    }
}

/// The line of a table that was published before, with what the run that did it counted.
pub(super) fn found(planned: &Planned<'_>) -> TableRecord {
    let found = planned.already_published.as_ref();
    // Counts of an older lakecast may lack a field, and a cleaned log has none: the rest is told.
    let counts = found.and_then(|f| serde_json::from_value(f.counts.clone()).ok()).unwrap_or_default();
    TableRecord {
        output: planned.output.name.clone(),
        location: planned.output.location.written().to_string(),
        version: found.map_or(0, |f| f.version),
        already_published: true,
        partitions_computed: 0,
        partitions_from_checkpoint: 0,
        ..counts
    }
}

/// What the log entry of a table keeps of its line.
pub(super) fn counts(table: &TableRecord) -> serde_json::Value {
    serde_json::to_value(table).unwrap_or_default()
}

/// The line of a table that was published by this commit.
pub(super) fn published(counted: TableRecord, commit: Commit) -> TableRecord {
    let already_published = matches!(commit, Commit::AlreadyDone { .. });
    TableRecord { version: commit.version(), already_published, ..counted }
}

/// The line of a table that this run computed, before its commit.
pub(super) fn counted(planned: &Planned<'_>, checkpoints: &[Checkpoint]) -> TableRecord {
    let sum = |of: fn(&Checkpoint) -> u64| checkpoints.iter().map(of).sum::<u64>();
    let mut rows_by_status = BTreeMap::new();
    for (status, rows) in checkpoints.iter().flat_map(|c| &c.rows_by_status) {
        *rows_by_status.entry(status.clone()).or_default() += rows;
    }
    TableRecord {
        rows: sum(|c| c.rows),
        files: sum(|c| u64::from(c.path.is_some())),
        bytes: sum(|c| c.bytes),
        rows_by_status,
        groups_in: sum(|c| c.groups),
        groups_ok: sum(|c| c.groups - c.groups_refused),
        groups_refused: sum(|c| c.groups_refused),
        partitions_computed: sum(|c| u64::from(!c.found)),
        partitions_from_checkpoint: sum(|c| u64::from(c.found)),
        output: planned.output.name.clone(),
        location: planned.output.location.written().to_string(),
        ..TableRecord::default()
    }
}
