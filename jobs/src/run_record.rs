//! The record of a run beside each table it published.  In: what the controller counted. Out: `_lakecast/runs/<id>.json`.
//!
//! The record is for people and tools: the table's own log decides what is published. Readers of Delta tables pass over
//! `_lakecast/` because its name begins with an underscore.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::{Deserialize, Serialize};

use crate::publish::{Kind, PublishError, TableTarget};

/// Directory of the run records below a table's root.
pub const RUNS: &str = "_lakecast/runs";

/// Requests in flight while records are read.
const READS: usize = 16;

/// One run, as written beside each table it published. Unknown fields are passed over, so that an older lakecast reads
/// the records of a newer one; only `run_id` must be there.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run, unique; letters, digits and `-_.` only, for it names the record.
    pub run_id: String,
    /// Name of the job.
    #[serde(default)]
    pub job: String,
    /// Business date, `YYYY-MM-DD`.
    #[serde(default)]
    pub run_date: String,
    /// Version of lakecast that computed it.
    #[serde(default)]
    pub code_version: String,
    /// Digest of job text, code version, inputs and arguments, in hex.
    #[serde(default)]
    pub fingerprint: String,
    /// Every input file read, by path.
    #[serde(default)]
    pub inputs: Vec<InputFile>,
    /// Every table published, in the order of the job file.
    #[serde(default)]
    pub tables: Vec<TableRecord>,
    /// Start of the run, milliseconds since 1970, UTC.
    #[serde(default)]
    pub started_ms: i64,
    /// End of the run, milliseconds since 1970, UTC.
    #[serde(default)]
    pub finished_ms: i64,
    /// Wall-clock seconds by a monotonic clock.
    #[serde(default)]
    pub seconds: f64,
}

/// An input file as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InputFile {
    /// Location.
    pub path: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Entity tag, if the store gives one.
    pub etag: Option<String>,
}

/// One published table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TableRecord {
    /// Name of the output in the job file.
    pub output: String,
    /// Root of the table.
    pub location: String,
    /// Version of the table that holds this run's rows.
    pub version: i64,
    /// True if an earlier run had published the same content.
    pub already_published: bool,
    /// Rows published.
    pub rows: u64,
    /// Data files published.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Rows by the value of the output's `status` column, if it has one.
    pub rows_by_status: BTreeMap<String, u64>,
    /// Groups that went into the output's group function.
    pub groups_in: u64,
    /// Groups with a result.
    pub groups_ok: u64,
    /// Groups refused, each with a row that says why.
    pub groups_refused: u64,
    /// Partitions computed by this run.
    pub partitions_computed: u64,
    /// Partitions taken over from the checkpoint of an earlier run.
    pub partitions_from_checkpoint: u64,
}

/// A record as found: read, or named with the reason why it cannot be.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedRun {
    /// Path below the table's root.
    pub path: String,
    /// When the record was written, milliseconds since 1970, UTC, by the store.
    pub modified_ms: i64,
    /// The record, or what is wrong with it.
    pub record: Result<RunRecord, String>,
}

impl ListedRun {
    fn when_ms(&self) -> i64 {
        match &self.record {
            Ok(record) if record.started_ms > 0 => record.started_ms,
            _ => self.modified_ms,
        }
    }
}

/// Write the record of a run beside a table, after the table's commit. `false` if the run already has one there, which
/// then stays as it is.
///
/// # Errors
/// [`Kind::Job`] for a run id that cannot name a file or a location that refuses writing, [`Kind::Unavailable`] for a
/// store that fails. The publication stands in either case.
pub async fn write_run_record(target: &TableTarget, record: &RunRecord) -> Result<bool, PublishError> {
    let id = record.run_id.as_str();
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) && !id.starts_with('.');
    if id.is_empty() || !plain {
        return Err(PublishError::new(
            Kind::Job,
            format!("a run id holds letters, digits and -_. only: run_id={}", id.escape_debug()),
        ));
    }
    let text = serde_json::to_vec_pretty(record).map_err(|error| {
        PublishError::caused(Kind::Bug, format!("the run record cannot be written: {error}"), error)
    })?;
    let path = directory(target)?.join(format!("{id}.json"));
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    match target.store.put_opts(&path, Bytes::from(text).into(), options).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
        Err(error) => Err(PublishError::store("write the run record", target.location_url.as_str(), error)),
    }
}

/// Every run that published the table, newest first. A record that cannot be understood is listed with the reason.
///
/// # Errors
/// [`Kind::Unavailable`] or [`Kind::Job`] when the store does not let itself be read.
pub async fn list_runs(target: &TableTarget) -> Result<Vec<ListedRun>, PublishError> {
    let failed = |error| PublishError::store("read the run records", target.location_url.as_str(), error);
    let directory = directory(target)?;
    let mut found: Vec<ObjectMeta> = Vec::new();
    let mut objects = target.store.list(Some(&directory));
    while let Some(object) = objects.next().await {
        match object {
            Ok(object) if object.location.as_ref().ends_with(".json") => found.push(object),
            Ok(_) => {}
            Err(object_store::Error::NotFound { .. }) => break,
            Err(error) => return Err(failed(error)),
        }
    }
    let mut runs: Vec<ListedRun> = futures::stream::iter(found.into_iter().map(|meta| async move {
        let bytes = target.store.get(&meta.location).await.map_err(failed)?.bytes().await.map_err(failed)?;
        Ok::<_, PublishError>(ListedRun {
            path: format!("{RUNS}/{}", meta.location.filename().unwrap_or_default()),
            modified_ms: meta.last_modified.timestamp_millis(),
            record: serde_json::from_slice(&bytes).map_err(|error| format!("not a run record: {error}")),
        })
    }))
    .buffered(READS)
    .try_collect()
    .await?;
    runs.sort_by(|a, b| b.when_ms().cmp(&a.when_ms()).then_with(|| a.path.cmp(&b.path)));
    Ok(runs)
}

fn directory(target: &TableTarget) -> Result<Path, PublishError> {
    let root = Path::from_url_path(target.location_url.path()).map_err(|error| {
        PublishError::caused(
            Kind::Job,
            format!("not a usable location: {error}, location={}", target.location_url),
            error,
        )
    })?;
    Ok(RUNS.split('/').fold(root, |path, part| path.join(part)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::local::LocalFileSystem;
    use object_store::memory::InMemory;
    use url::Url;

    use super::*;

    fn record(id: &str, started_ms: i64) -> RunRecord {
        RunRecord {
            run_id: id.into(),
            job: "nightly".into(),
            run_date: "2026-11-22".into(),
            started_ms,
            finished_ms: started_ms + 1500,
            seconds: 1.5,
            inputs: vec![InputFile { path: "sales/a.parquet".into(), size_bytes: 7, etag: Some("e".into()) }],
            tables: vec![TableRecord {
                output: "forecast".into(),
                version: 3,
                rows: 10,
                rows_by_status: BTreeMap::from([("ok".into(), 9), ("too_short".into(), 1)]),
                ..TableRecord::default()
            }],
            ..RunRecord::default()
        }
    }

    async fn round(target: TableTarget) {
        assert!(list_runs(&target).await.unwrap().is_empty());
        assert!(write_run_record(&target, &record("first", 1_000)).await.unwrap());
        assert!(write_run_record(&target, &record("third", 3_000)).await.unwrap());
        assert!(write_run_record(&target, &record("second", 2_000)).await.unwrap());
        // The record of a run is written once; a run that finds it leaves it alone.
        assert!(!write_run_record(&target, &record("third", 9_000)).await.unwrap());

        let root = Path::from_url_path(target.location_url.path()).unwrap();
        let at = |name: &str| root.clone().join("_lakecast").join("runs").join(name);
        target.store.put(&at("broken.json"), Bytes::from_static(b"{\"run_id\":").into()).await.unwrap();
        let newer = Bytes::from_static(br#"{"run_id":"newer","started_ms":4000,"not_known_yet":{"x":[1]}}"#);
        target.store.put(&at("newer.json"), newer.into()).await.unwrap();
        target.store.put(&at("notes.txt"), Bytes::from_static(b"hello").into()).await.unwrap();

        let runs = list_runs(&target).await.unwrap();
        let good: Vec<&str> = runs.iter().filter_map(|r| r.record.as_ref().ok()).map(|r| r.run_id.as_str()).collect();
        assert_eq!(good, ["newer", "third", "second", "first"]);
        let bad: Vec<&ListedRun> = runs.iter().filter(|r| r.record.is_err()).collect();
        assert_eq!(bad.len(), 1);
        assert_eq!(bad[0].path, "_lakecast/runs/broken.json");
        let third = runs.iter().find(|r| r.path.ends_with("third.json")).unwrap();
        assert_eq!(third.record.as_ref().unwrap(), &record("third", 3_000));

        for id in ["", "a/b", "../x", "a b", ".hidden"] {
            let error = write_run_record(&target, &record(id, 1)).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Job, "{id}");
        }
    }

    #[tokio::test]
    async fn records_are_written_once_and_listed_newest_first() {
        let location_url = Url::parse("memory:///lake/forecast/").unwrap();
        round(TableTarget { location_url, store: Arc::new(InMemory::new()) }).await;

        let directory = tempfile::tempdir().unwrap();
        let location_url = Url::from_directory_path(directory.path().join("my forecast")).unwrap();
        round(TableTarget { location_url, store: Arc::new(LocalFileSystem::new()) }).await;
    }
}
