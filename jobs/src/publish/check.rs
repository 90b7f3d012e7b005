//! What must hold before a commit.  In: a publication, its files in the store, the table there. Out: nothing, or why not.

use std::collections::{BTreeMap, BTreeSet};

use deltalake_core::kernel::{EagerSnapshot, StructType};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use serde_json::Value;

use super::error::{Kind, PublishError};
use super::table::Table;
use super::{DataFile, Publication, RUN_DATE, schema};

/// Table features that change nothing for whole-file adds and removes of plain columns.
const FEATURES: &[&str] = &["timestampNtz", "appendOnly", "invariants", "deletionVectors", "v2Checkpoint"];

/// HEAD requests in flight.
const HEADS: usize = 32;

/// Check the publication itself, without any request.
pub(super) fn publication(p: &Publication) -> Result<(), PublishError> {
    for (what, name) in [("job", &p.job), ("output", &p.output), ("run_id", &p.run_id)] {
        if name.is_empty() || name.contains(['/', '\n']) {
            return Err(PublishError::new(
                Kind::Job,
                format!("a name may not be empty or hold a slash: {what}={}", name.escape_debug()),
            ));
        }
    }
    let mut paths = BTreeSet::new();
    let mut partitions: BTreeMap<&str, &str> = BTreeMap::new();
    for file in &p.files {
        let path = file.path.as_str();
        let Some((date, number)) = own_path(path) else {
            return Err(refuse(format!(
                "a data file must be called {RUN_DATE}=<date>/part-<five digits>-<attempt>.parquet: path={path}"
            )));
        };
        if date != p.run_date.to_string() {
            return Err(refuse(format!("a data file stands under another date: path={path}, run_date={}", p.run_date)));
        }
        if !paths.insert(path) {
            return Err(refuse(format!("a data file is listed twice: path={path}")));
        }
        if let Some(other) = partitions.insert(number, path) {
            return Err(refuse(format!(
                "two data files claim one partition, its rows would stand twice: paths={other}, {path}"
            )));
        }
        stats(file)?;
    }
    Ok(())
}

/// The Delta statistics of a file: the sink's after a check, or the row count alone.
pub(super) fn stats(file: &DataFile) -> Result<String, PublishError> {
    let Some(text) = &file.stats_json else {
        return Ok(serde_json::json!({"numRecords": file.rows}).to_string());
    };
    let value: Value = serde_json::from_str(text).map_err(|error| {
        PublishError::caused(Kind::Check, format!("file statistics are not JSON: {error}, path={}", file.path), error)
    })?;
    match value["numRecords"].as_u64() {
        Some(rows) if rows == file.rows => Ok(text.clone()),
        found => Err(refuse(format!(
            "file statistics and checkpoint disagree on rows: path={}, statistics={found:?}, checkpoint={}",
            file.path, file.rows
        ))),
    }
}

/// HEAD every data file: there, as large as recorded, the same object. Answers what the store says, in order.
pub(super) async fn files(table: &Table, files: &[DataFile]) -> Result<Vec<ObjectMeta>, PublishError> {
    // Answers come in order, so that of several faults the same one is reported each time. The files are cloned because
    // a stream of futures that borrow its items cannot be shown to be `Send`.
    let heads = files.iter().cloned().map(|file| head(table, file));
    futures::stream::iter(heads).buffered(HEADS).try_collect().await
}

async fn head(table: &Table, file: DataFile) -> Result<ObjectMeta, PublishError> {
    let path = Path::parse(&file.path).map_err(|error| {
        PublishError::caused(Kind::Check, format!("not a path: {error}, path={}", file.path), error)
    })?;
    let found = match table.store.head(&path).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => {
            return Err(refuse(format!(
                "a data file is gone; remove the run's checkpoints and run again: path={}, location={}",
                file.path, table.location
            )));
        }
        Err(error) => return Err(PublishError::store("check a data file", &table.location, error)),
    };
    if found.size != file.size_bytes {
        return Err(refuse(format!(
            "a data file has another size than its checkpoint: path={}, found={}, recorded={}, location={}",
            file.path, found.size, file.size_bytes, table.location
        )));
    }
    match (&file.etag, &found.e_tag) {
        (Some(recorded), Some(now)) if recorded != now => Err(refuse(format!(
            "a data file was overwritten after its checkpoint: path={}, etag={now}, recorded={recorded}, location={}",
            file.path, table.location
        ))),
        _ => Ok(found),
    }
}

/// Whether the table that stands there can take the publication.
pub(super) fn table(table: &Table, snapshot: &EagerSnapshot, columns: &StructType) -> Result<(), PublishError> {
    let location = &table.location;
    let job = |message: String| Err(PublishError::new(Kind::Job, message));
    let partitions = snapshot.metadata().partition_columns();
    if partitions.len() != 1 || partitions.first().map(String::as_str) != Some(RUN_DATE) {
        return job(format!(
            "the table that stands there is not partitioned by {RUN_DATE} alone; give the output a new location, or \
             delete the table: partition_columns=[{}], location={location}",
            partitions.join(", ")
        ));
    }
    let protocol = snapshot.protocol();
    let features: Vec<String> = [protocol.reader_features(), protocol.writer_features()]
        .into_iter()
        .flatten()
        .flatten()
        .map(ToString::to_string)
        .filter(|feature| !FEATURES.contains(&feature.as_str()))
        .collect();
    if !features.is_empty() || !matches!(protocol.min_writer_version(), 1 | 2 | 7) {
        return job(format!(
            "the table that stands there uses Delta features that lakecast does not write; give the output a new \
             location, or drop them: features=[{}], allowed=[{}], writer_version={}, location={location}",
            features.join(", "),
            FEATURES.join(", "),
            protocol.min_writer_version()
        ));
    }
    let theirs = snapshot.schema();
    if let Some(bound) = theirs.fields().find(|field| field.metadata.keys().any(|key| key.starts_with("delta."))) {
        return job(format!(
            "a column of the table that stands there carries a Delta rule that lakecast does not enforce: column={}, \
             location={location}",
            bound.name()
        ));
    }
    schema::check_same(columns, &theirs, location)
}

/// Where no table stands yet, nothing but what dead runs of ours left may lie there: a new table among foreign files
/// would hide them from their owner, and a reader that lists instead of reading the log would mix them.
pub(super) async fn empty_location(table: &Table) -> Result<(), PublishError> {
    let mut objects = table.store.list(None);
    while let Some(object) = objects.next().await {
        let object = match object {
            Ok(object) => object,
            Err(object_store::Error::NotFound { .. }) => break,
            Err(error) => return Err(PublishError::store("list the output's location", &table.location, error)),
        };
        let path = object.location.as_ref();
        // Every reader of a lake passes over names that begin so; `_lakecast` and `_delta_log` are among them.
        let hidden = path.split('/').any(|part| part.starts_with(['_', '.']));
        // Some consoles create an empty object to show a directory.
        let directory = object.size == 0 && !path.ends_with(".parquet");
        if !hidden && !directory && own_path(path).is_none() {
            return Err(PublishError::new(
                Kind::Job,
                format!(
                    "the output's location holds files that lakecast did not write; give the output a location of its \
                     own: path={path}, location={}",
                    table.location
                ),
            ));
        }
    }
    Ok(())
}

/// The date and the partition number of a path of ours, `None` for any other path.
fn own_path(path: &str) -> Option<(&str, &str)> {
    let (directory, name) = path.split_once('/')?;
    let date = directory.strip_prefix(RUN_DATE)?.strip_prefix('=')?;
    date.parse::<chrono::NaiveDate>().ok()?;
    let (number, attempt) = name.strip_prefix("part-")?.strip_suffix(".parquet")?.split_once('-')?;
    let digits = number.len() == 5 && number.bytes().all(|b| b.is_ascii_digit());
    let plain = !attempt.is_empty() && attempt.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    (digits && plain).then_some((date, number))
}

fn refuse(message: String) -> PublishError {
    PublishError::new(Kind::Check, message)
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn own_paths_are_told_from_others() {
        assert_eq!(own_path("run_date=2026-11-22/part-00003-a1.parquet"), Some(("2026-11-22", "00003")));
        for other in [
            "part-00003-a.parquet",
            "run_date=2026-11-22/part-3-a.parquet",
            "run_date=2026-11-22/part-00003.parquet",
            "run_date=2026-13-22/part-00003-a.parquet",
            "run_date=2026-11-22/x/part-00003-a.parquet",
            "run_date=2026-11-22/part-00003-a b.parquet",
            "date=2026-11-22/part-00003-a.parquet",
            "run_date=2026-11-22/part-00003-.parquet",
        ] {
            assert_eq!(own_path(other), None, "{other}");
        }
    }
}
