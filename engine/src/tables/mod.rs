//! Input tables: from a location to a table that reads exactly the files it found.
//!
//! In: a table as the job declares it, the stores. Out: a provider for DataFusion, and the list of files with size and etag
//! that identifies what a run read.

mod delta;
mod error;
mod listing;
mod named;
mod parquet;
mod partitions;
mod provider;
mod schema;
mod spec;
mod text;

use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};
use chrono::SubsecRound;
use datafusion::catalog::{Session, TableProvider};
use datafusion::prelude::SessionContext;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

pub use error::InputError;
pub use provider::FilesTable;
pub use spec::{ColumnSpec, CsvOptions, Format, TableSpec};

use crate::store::{Location, Stores};
use listing::Listing;
use provider::{Reader, TableFile};
use schema::FileColumns;

/// One file that a table is made of.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InputFile {
    /// Path inside the store.
    pub path: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// The store's tag of these very bytes, where it has one.
    pub etag: Option<String>,
    /// Last change, milliseconds since 1970.
    pub modified_ms: i64,
    /// Rows, where footer or log says so.
    pub rows: Option<u64>,
}

/// A table ready to be planned.
#[derive(Debug, Clone)]
pub struct InputTable {
    /// Reads exactly `files`.
    pub provider: Arc<dyn TableProvider>,
    /// Where it lies.
    pub location: Location,
    /// How its files are written.
    pub format: Format,
    /// Sorted by path. This list is the snapshot: put it into the identity of the run.
    pub files: Vec<InputFile>,
    /// Columns, partition columns included. Texts are `Utf8`.
    pub schema: SchemaRef,
    /// Size of all files.
    pub bytes: u64,
    /// Rows of all files, where every footer or log entry says so.
    pub rows: Option<u64>,
    /// The version of a Delta table.
    pub version: Option<u64>,
    /// Visible files that are passed over because they are not of the format; worth a line to the user.
    pub ignored: Vec<String>,
}

impl InputTable {
    /// Checks that the files are still those of the snapshot; call it before results become visible.
    ///
    /// One listing, or one request for a single file. A Delta table's files never change. Errors: `Data` names the file.
    pub async fn verify(&self, stores: &Stores) -> Result<(), InputError> {
        if self.format == Format::Delta {
            return Ok(());
        }
        let store = stores.open(&self.location)?;
        let found = match self.files.as_slice() {
            [file] => {
                let path =
                    object_store::path::Path::parse(&file.path).map_err(|error| InputError::Bug(error.to_string()))?;
                match store.head(&path).await {
                    Ok(found) => vec![found],
                    Err(object_store::Error::NotFound { .. }) => Vec::new(),
                    Err(error) => return Err(InputError::store(&file.path, &error)),
                }
            }
            _ => listing::list_all(&self.location, &store).await?,
        };
        for file in &self.files {
            let at = found.binary_search_by(|meta| meta.location.as_ref().cmp(&file.path));
            let same = at.is_ok_and(|at| {
                let now = &found[at];
                now.size == file.size_bytes
                    && now.e_tag == file.etag
                    && (file.etag.is_some() || now.last_modified.timestamp_millis() == file.modified_ms)
            });
            if !same {
                return Err(InputError::data(format!(
                    "a file changed or vanished while it was being read; run again: location={}, file={}",
                    self.location, file.path
                ))
                .with_whole_paths(&self.location));
            }
        }
        Ok(())
    }
}

/// Lists the files of a table, settles its columns and makes its provider.
///
/// `state` is the session that will plan it: its metadata cache keeps the Parquet footers for the scan. Its object store
/// registry must be `stores`, or one with the same stores.
///
/// Cost: one listing; per Parquet file one footer, per CSV or JSON file its first megabyte, many at a time; for Delta its log.
/// Errors: [`InputError`]; each says what to change.
pub async fn open(spec: &TableSpec, state: &dyn Session, stores: &Stores) -> Result<InputTable, InputError> {
    let location = Location::parse(&spec.location)?;
    let store = stores.open(&location)?;
    open_at(spec, location.clone(), &store, state).await.map_err(|error| error.with_whole_paths(&location))
}

async fn open_at(
    spec: &TableSpec,
    location: Location,
    store: &Arc<dyn ObjectStore>,
    state: &dyn Session,
) -> Result<InputTable, InputError> {
    let listing = listing::list(spec, &location, store).await?;
    check_options(spec, listing.format)?;
    if !listing.ignored.is_empty() {
        tracing::warn!(location = %location, files = ?listing.ignored, "files passed over, they are not of the format");
    }
    match listing.format {
        Format::Delta => open_delta(spec, location, store).await,
        _ => open_files(spec, location, store, state, listing).await,
    }
}

/// Opens the table and registers it under `name`, where SQL finds it.
///
/// Errors: those of [`open`]; the name is taken.
pub async fn register(
    ctx: &SessionContext,
    name: &str,
    spec: &TableSpec,
    stores: &Stores,
) -> Result<InputTable, InputError> {
    let table = open(spec, &ctx.state(), stores).await?;
    let reference = datafusion::common::TableReference::bare(name);
    if ctx.table_exist(reference.clone()).unwrap_or(false) {
        return Err(InputError::job(format!("a table has this name already: table={name}")));
    }
    ctx.register_table(reference, Arc::clone(&table.provider))
        .map_err(|error| InputError::Bug(error.strip_backtrace()))?;
    Ok(table)
}

fn check_options(spec: &TableSpec, format: Format) -> Result<(), InputError> {
    let refuse = |key: &str, of: &str| {
        Err(InputError::job(format!(
            "{key} belongs to {of} tables only; remove it: location={}, format={}",
            spec.location,
            format.name()
        )))
    };
    match format {
        _ if spec.version.is_some() && format != Format::Delta => refuse("version", "delta"),
        _ if spec.csv.is_some() && format != Format::Csv => refuse("csv", "csv"),
        Format::Delta if spec.schema.is_some() => refuse("schema", "parquet, csv and json"),
        Format::Delta if spec.partitions.is_some() => refuse("partitions", "parquet, csv and json"),
        _ => Ok(()),
    }
}

async fn open_delta(
    spec: &TableSpec,
    location: Location,
    store: &Arc<dyn ObjectStore>,
) -> Result<InputTable, InputError> {
    let delta = delta::version(&location, store, spec.version).await?;
    let of_partition =
        |column: &FieldRef| delta.partition_columns.iter().any(|partition| partition.name() == column.name());
    let inside: Vec<FieldRef> = delta.columns.iter().filter(|column| !of_partition(column)).cloned().collect();
    let url = location.store().clone();
    let provider =
        FilesTable::new(url, Reader::Parquet, &inside, delta.partition_columns, &delta.columns, delta.files.clone())?;
    let mut table = input_table(location, Format::Delta, provider, delta.files, Vec::new());
    table.version = Some(delta.version);
    Ok(table)
}

async fn open_files(
    spec: &TableSpec,
    location: Location,
    store: &Arc<dyn ObjectStore>,
    state: &dyn Session,
    listing: Listing,
) -> Result<InputTable, InputError> {
    let Listing { format, root, mut files, ignored } = listing;
    // The snapshot keeps milliseconds; the metadata cache compares times exactly, so the footers must be read under the
    // same ones to be found again by the scan.
    for file in &mut files {
        file.last_modified = file.last_modified.trunc_subsecs(3);
    }
    let declared = spec.schema.as_deref().map(spec::fields).transpose()?;
    let mut partitions = partitions::partitions(&files, &root, spec.partitions.as_deref())?;
    if let Some(declared) = &declared {
        partitions.declare(declared, &files)?;
    }
    // Declared columns that stand in folder names are not looked for in the files.
    let in_folders = |column: &FieldRef| partitions.columns.iter().any(|folder| folder.name() == column.name());
    let wanted: Option<Vec<FieldRef>> =
        declared.as_ref().map(|declared| declared.iter().filter(|column| !in_folders(column)).cloned().collect());
    let read = read_columns(spec, format, &files, store, state, wanted.as_deref()).await?;
    if format == Format::Csv && read.file.iter().any(in_folders) {
        return Err(InputError::data(format!(
            "a column stands both in the CSV header and in folder names; write partitions: [] to read the header's, or \
             rename one: location={location}"
        )));
    }
    let columns: Vec<FieldRef> = match &declared {
        // In the declared order; folders' columns that are not declared follow.
        Some(declared) => {
            let more =
                partitions.columns.iter().filter(|folder| declared.iter().all(|column| column.name() != folder.name()));
            declared.iter().chain(more).cloned().collect()
        }
        None => {
            let inside = read.table.iter().filter(|column| !in_folders(column));
            inside.chain(&partitions.columns).cloned().collect()
        }
    };
    let inside: Vec<FieldRef> = read.file.iter().filter(|column| !in_folders(column)).cloned().collect();
    let table_files = table_files(&files, read.rows, partitions.values);
    let url = location.store().clone();
    let provider = FilesTable::new(url, read.reader, &inside, partitions.columns, &columns, table_files.clone())?;
    Ok(input_table(location, format, provider, table_files, ignored))
}

/// The columns of the files and how to read them.
struct Columns {
    reader: Reader,
    /// As the reader must be told.
    file: Vec<FieldRef>,
    /// As the table has them.
    table: Vec<FieldRef>,
    rows: Vec<Option<u64>>,
}

async fn read_columns(
    spec: &TableSpec,
    format: Format,
    files: &[ObjectMeta],
    store: &Arc<dyn ObjectStore>,
    state: &dyn Session,
    wanted: Option<&[FieldRef]>,
) -> Result<Columns, InputError> {
    let unknown = vec![None; files.len()];
    match format {
        Format::Csv => {
            let options = spec.csv.clone().unwrap_or_default();
            let columns = text::csv_columns(files, store.as_ref(), &options, wanted).await?;
            let delimiter = text::delimiter(&options, files)?;
            let null = options.null.filter(|null| !null.is_empty());
            let reader = Reader::Csv { header: options.header, delimiter, null };
            Ok(Columns { reader, file: columns.file, table: columns.table, rows: unknown })
        }
        Format::Json => {
            let columns = text::json_columns(files, store.as_ref(), wanted).await?;
            Ok(Columns { reader: Reader::Json, file: columns.clone(), table: columns, rows: unknown })
        }
        Format::Parquet | Format::Delta => {
            let footers = parquet::footers(files, state, store.as_ref()).await?;
            let columns: Vec<FileColumns<'_>> = files
                .iter()
                .zip(&footers)
                .map(|(file, footer)| FileColumns { file: &file.location, fields: &footer.fields })
                .collect();
            let schema = match wanted {
                Some(wanted) => schema::declared(wanted, &columns)?,
                None => schema::inferred(&columns)?,
            };
            let fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
            let rows = footers.iter().map(|footer| Some(footer.rows)).collect();
            Ok(Columns { reader: Reader::Parquet, file: fields.clone(), table: fields, rows })
        }
    }
}

fn table_files(files: &[ObjectMeta], rows: Vec<Option<u64>>, values: Vec<Vec<Option<String>>>) -> Vec<TableFile> {
    let described = files.iter().zip(rows).zip(values);
    described
        .map(|((file, rows), partition)| TableFile {
            path: file.location.to_string(),
            size_bytes: file.size,
            modified_ms: file.last_modified.timestamp_millis(),
            etag: file.e_tag.clone(),
            rows,
            partition,
        })
        .collect()
}

fn input_table(
    location: Location,
    format: Format,
    provider: FilesTable,
    files: Vec<TableFile>,
    ignored: Vec<String>,
) -> InputTable {
    let bytes = files.iter().map(|file| file.size_bytes).sum();
    let rows = files.iter().map(|file| file.rows).sum();
    let files = files.into_iter().map(|file| InputFile {
        path: file.path,
        size_bytes: file.size_bytes,
        etag: file.etag,
        modified_ms: file.modified_ms,
        rows: file.rows,
    });
    let files = files.collect();
    let schema = provider.schema();
    InputTable { provider: Arc::new(provider), location, format, files, schema, bytes, rows, version: None, ignored }
}

#[cfg(test)]
mod tests;
