//! Publication: the checked data files of one run become one Delta commit per table, or nothing does.
//!
//! In: a [`TableTarget`] and a [`Publication`] (what the sink wrote). Out: a [`Commit`], or a [`PublishError`] whose kind
//! says what to do.
//!
//! **One commit.** Version 0 creates the table (protocol, metadata with partition column `run_date`, files, `txn`); every
//! later publication replaces the `run_date` partition: it removes each file active there and adds the new ones. The log
//! entry is written put-if-absent, so readers see all of it or none.
//!
//! **Again.** The entry carries `txn(appId = lakecast:<job>/<output>/<run_date>, version = first 63 bits of the
//! fingerprint)`. Where the table's latest `txn` for that id is ours and the partition still holds as many rows as were
//! published, the run is already done; after another content was published, or a `RESTORE`, it is published again.
//!
//! **Races.** A writer that took our version number (another date, another job, a compaction) sends us back to read the
//! table anew and try the next one. If it was another run of the same output and date we stop with [`Kind::Conflict`]:
//! which of the two should stand is not for a race to decide.
//!
//! **No clear answer.** A time-out, a 5xx, a 409, an "already exists" on our own PUT: the entry is read back and its
//! `commitToken` compared; an absent one is written again with the same bytes, so a first PUT that lands late does no
//! harm. The next version number is tried only after this one is seen taken by somebody else. [`Kind::Unknown`] remains
//! for a store that answers neither; the same command run again finds out.

mod check;
mod commit;
mod error;
mod probe;
mod schema;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use chrono::NaiveDate;
use object_store::ObjectStore;
use serde_json::Value;
use url::Url;

pub use error::{Kind, PublishError};
pub use probe::{Finding, Verdict, examine, require_atomic_create};
pub use schema::{Cast, RUN_DATE, Storable, delta_schema, storable};

pub(crate) use commit::hex;

use commit::Limits;
use table::Table;

/// Where a table stands.
#[derive(Debug, Clone)]
pub struct TableTarget {
    /// Root directory of the table, such as `s3://lake/forecast/`; the final slash may be left out. On an object store
    /// the path holds no character that a URL would escape.
    pub location_url: Url,
    /// The store of that location, rooted at scheme and authority as DataFusion registers it.
    pub store: Arc<dyn ObjectStore>,
}

/// One data file to publish, as its checkpoint recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Path below the table's root: `run_date=2026-11-22/part-00003-<attempt>.parquet`.
    pub path: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Rows in the file.
    pub rows: u64,
    /// Entity tag that the store answered when the file was written, if it gives one.
    pub etag: Option<String>,
    /// SHA-256 of the bytes, in hex; kept as a tag of the file in the table's log.
    pub sha256: Option<String>,
    /// Delta per-file statistics as JSON; must hold `numRecords` equal to `rows`. Without, the row count alone is kept.
    pub stats_json: Option<String>,
}

/// The outcome of one run for one table: everything that becomes visible together.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Name of the job.
    pub job: String,
    /// Name of the output in the job file.
    pub output: String,
    /// Business date: the partition that is replaced.
    pub run_date: NaiveDate,
    /// Digest of all that decides the content: job text, code version, inputs, arguments.
    pub fingerprint: [u8; 32],
    /// The run, for the log's reader; does not decide anything.
    pub run_id: String,
    /// What the run counted, for a later run that finds this one done; kept in the log entry. `Null` for nothing.
    pub counts: Value,
    /// Schema of the data files, as [`storable`] gave it, without `run_date`.
    pub schema: SchemaRef,
    /// Data files; none when the output has no rows, which empties the partition.
    pub files: Vec<DataFile>,
}

/// A publication that stands.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// This call committed it.
    Done {
        /// The table's version that it became.
        version: i64,
    },
    /// The same content was published before; nothing was written.
    AlreadyDone {
        /// A version that holds it: the one that committed it, or the newest when that log entry was cleaned away.
        version: i64,
    },
}

impl Commit {
    /// The table's version that holds the publication.
    pub fn version(self) -> i64 {
        match self {
            Commit::Done { version } | Commit::AlreadyDone { version } => version,
        }
    }
}

/// A publication that was found in a table's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// A version that holds it, as in [`Commit::AlreadyDone`].
    pub version: i64,
    /// [`Publication::counts`] of the run that committed it; `Null` when that log entry was cleaned away.
    pub counts: Value,
}

/// Ask, before any work, whether this content is already published. Reads the table's log only.
///
/// # Errors
/// [`Kind::Unavailable`], [`Kind::Job`] or [`Kind::Data`] when the log cannot be read.
pub async fn already_published(
    target: &TableTarget,
    job: &str,
    output: &str,
    run_date: NaiveDate,
    fingerprint: [u8; 32],
) -> Result<Option<Published>, PublishError> {
    let table = Table::open(target)?;
    match table.load().await? {
        Some(snapshot) => {
            let id = commit::app_id(job, output, run_date);
            table.published(&snapshot, &id, commit::txn_version(fingerprint), run_date).await
        }
        None => Ok(None),
    }
}

/// Refuse, before any work, a location that [`publish`] would refuse after it: foreign files, a table with other
/// columns, partitions or features. Answers the table's version, `None` where no table stands yet.
///
/// `schema` is the query's result after [`storable`], without `run_date`. Reads the log; lists the location if it holds
/// no table.
///
/// # Errors
/// [`Kind::Job`] for what must be changed, otherwise as [`already_published`].
pub async fn check_target(target: &TableTarget, schema: &Schema) -> Result<Option<i64>, PublishError> {
    let columns = delta_schema(schema)?;
    let table = Table::open(target)?;
    match table.load().await? {
        Some(snapshot) => {
            check::table(&table, &snapshot, &columns)?;
            table::version(&snapshot).map(Some)
        }
        None => check::empty_location(&table).await.map(|()| None),
    }
}

/// Check every data file and publish them as one commit.
///
/// `now_ms` (milliseconds since 1970, UTC) is noted as the time of the commit and decides nothing. Costs one HEAD per
/// data file, one read of the log, one PUT; every tenth version also writes a Delta checkpoint, so that reading the log
/// stays cheap, and only warns if that fails. Safe to repeat and to interrupt at any point.
///
/// # Errors
/// By [`Kind`]; except for [`Kind::Unknown`], nothing of this publication is visible after an error.
pub async fn publish(target: &TableTarget, p: &Publication, now_ms: i64) -> Result<Commit, PublishError> {
    commit::publish(target, p, now_ms, Limits::default()).await
}
