//! What a run did, for people and schedulers. In: checkpoints and commits. Out: the JSON line of `lakecast run` and the
//! run record.

use super::prepare::{Planned, Prepared, hex};
use crate::job::Job;
use crate::publish::Commit;
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

/// The line of a table that was published before.
pub(super) fn found(planned: &Planned<'_>, version: i64) -> TableRecord {
    TableRecord {
        output: planned.output.name.clone(),
        location: planned.output.location.written().to_string(),
        version,
        already_published: true,
        ..TableRecord::default()
    }
}

/// The line of a table that this run published.
pub(super) fn published(planned: &Planned<'_>, checkpoints: &[Checkpoint], commit: Commit) -> TableRecord {
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
        already_published: matches!(commit, Commit::AlreadyDone { .. }),
        ..found(planned, commit.version())
    }
}
