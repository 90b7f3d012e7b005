//! Delta tables: the active files of one version, as the log says.
//!
//! In: location, our store, a version. Out: files with partition values, columns in the table's order, the version read.
//! A file's rows are all live only without deletion vectors, and its columns have their own names only without column
//! mapping. Tables that use either are refused with the command that rewrites them, because the plans that travel to
//! executors cannot carry them; reading such a file as it lies would bring deleted rows back.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use deltalake_core::kernel::{EagerSnapshot, LogicalFileView};
use deltalake_core::logstore::{StorageConfig, default_logstore};
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;

use super::error::InputError;
use super::provider::TableFile;
use super::schema::normal_field;
use crate::store::Location;

/// One version of a Delta table.
pub(super) struct DeltaVersion {
    pub(super) version: u64,
    /// Every column in the table's order, partition columns included.
    pub(super) columns: Vec<FieldRef>,
    pub(super) partition_columns: Vec<FieldRef>,
    pub(super) files: Vec<TableFile>,
}

/// Reads the log up to `version`, by default the newest. Requests: the last checkpoint and the commits after it.
pub(super) async fn version(
    location: &Location,
    store: &Arc<dyn ObjectStore>,
    version: Option<i64>,
) -> Result<DeltaVersion, InputError> {
    let folder = Location::directory(location.text())?;
    let below: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(store), folder.path().clone()));
    let log = default_logstore(below, Arc::clone(store), folder.url(), &StorageConfig::default());
    let mut table = DeltaTable::new(Arc::clone(&log));
    let loaded = match version.map(u64::try_from) {
        None => table.load().await,
        Some(Ok(version)) => table.load_version(version).await,
        Some(Err(_)) => {
            return Err(InputError::job(format!("the version of a Delta table is at least 0: version={version:?}")));
        }
    };
    loaded.map_err(|error| unreadable(location, version, &error))?;
    let snapshot = table.snapshot().map_err(|error| unreadable(location, version, &error))?.snapshot();
    refuse_column_mapping(location, snapshot)?;
    let columns: Vec<FieldRef> = snapshot.arrow_schema().fields().iter().map(normal_field).collect();
    let names = snapshot.metadata().partition_columns();
    let partition_columns = names.iter().map(|name| {
        let column = columns.iter().find(|column| column.name() == name).cloned();
        column.ok_or_else(|| InputError::data(format!("Delta log names no such partition column: column={name}")))
    });
    let partition_columns = partition_columns.collect::<Result<Vec<_>, _>>()?;
    let views = snapshot.file_views(log.as_ref(), None);
    let mut files: Vec<TableFile> = views
        .map_err(|error| unreadable(location, version, &error))
        .try_fold(Vec::new(), |mut files, view| {
            let file = table_file(&folder, names, &view);
            async move {
                files.push(file?);
                Ok(files)
            }
        })
        .await?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(DeltaVersion { version: snapshot.version(), columns, partition_columns, files })
}

fn table_file(
    folder: &Location,
    partition_columns: &[String],
    view: &LogicalFileView,
) -> Result<TableFile, InputError> {
    let path = view.object_store_path();
    if view.deletion_vector_descriptor().is_some() {
        return Err(InputError::data(format!(
            "Delta table has deletion vectors, which are not read; run REORG TABLE t APPLY (PURGE) in Spark or \
             Databricks, and set delta.enableDeletionVectors to false: location={folder}, file={path}"
        )));
    }
    if view.path().contains("://") || view.path().starts_with('/') {
        return Err(InputError::data(format!(
            "Delta table holds files outside its folder, as a shallow clone does; make it a deep clone: \
             location={folder}, file={}",
            view.path()
        )));
    }
    let values = view.partition_values_map();
    // The protocol writes null as an absent value or the empty text.
    let partition = partition_columns.iter().map(|name| {
        let value = values.get(name).ok_or_else(|| {
            InputError::data(format!(
                "Delta log lacks a partition value: location={folder}, file={path}, column={name}"
            ))
        })?;
        Ok(value.clone().filter(|value| !value.is_empty()))
    });
    let size = u64::try_from(view.size());
    Ok(TableFile {
        path: Path::from_iter(folder.path().parts().chain(path.parts())).to_string(),
        size_bytes: size.map_err(|_| InputError::data(format!("Delta log has a negative file size: file={path}")))?,
        modified_ms: view.modification_time(),
        etag: None,
        rows: view.num_records().map(|rows| rows as u64),
        partition: partition.collect::<Result<_, InputError>>()?,
    })
}

fn refuse_column_mapping(location: &Location, snapshot: &EagerSnapshot) -> Result<(), InputError> {
    let mode = snapshot.metadata().configuration().get("delta.columnMapping.mode").cloned();
    match mode.as_deref() {
        None | Some("none") => Ok(()),
        Some(mode) => Err(InputError::data(format!(
            "Delta table has column mapping, which is not read; write a copy without it, CREATE TABLE copy \
             TBLPROPERTIES ('delta.columnMapping.mode' = 'none') AS SELECT * FROM t in Spark or Databricks: \
             location={location}, mode={mode}"
        ))),
    }
}

fn unreadable(location: &Location, version: Option<i64>, error: &DeltaTableError) -> InputError {
    if let DeltaTableError::ObjectStore { source } = error
        && !matches!(source, object_store::Error::NotFound { .. })
    {
        return InputError::store(location.text(), source);
    }
    let asked = version.map(|version| format!(", version={version}")).unwrap_or_default();
    InputError::data(format!(
        "the log of the Delta table is not readable, or does not reach back to the version: \
         location={location}{asked}, detail={error}"
    ))
}
