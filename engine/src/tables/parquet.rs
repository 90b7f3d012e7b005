//! Parquet: every footer read once, many at a time.
//!
//! In: the files. Out: their columns and row counts; an error that names the file when one is not Parquet or cut short.

use arrow::datatypes::Fields;
use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::DataFusionError;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::PageIndexPolicy;

use super::error::{InputError, store_error};
use super::schema::normal_fields;

/// Requests that may be under way at once while footers or samples are read.
pub(super) const CONCURRENT_READS: usize = 32;

/// What a footer says.
pub(super) struct Footer {
    pub(super) fields: Fields,
    pub(super) rows: u64,
}

/// The footers in the order of the files. One or two requests per file; the session's metadata cache keeps them for the scan.
pub(super) async fn footers(
    files: &[ObjectMeta],
    state: &dyn Session,
    store: &dyn ObjectStore,
) -> Result<Vec<Footer>, InputError> {
    futures::stream::iter(files.iter().map(|file| footer(file, state, store)))
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await
}

async fn footer(file: &ObjectMeta, state: &dyn Session, store: &dyn ObjectStore) -> Result<Footer, InputError> {
    if file.size == 0 {
        return Err(InputError::data(format!("file is empty, 0 bytes; remove or rewrite it: file={}", file.location)));
    }
    let metadata = DFParquetMetadata::new(store, file)
        .with_metadata_size_hint(state.config_options().execution.parquet.metadata_size_hint)
        .with_file_metadata_cache(Some(state.runtime_env().cache_manager.get_file_metadata_cache()))
        // The page index of every file would cost a request each and stay in memory; the scan loads what it needs.
        .with_page_index_policy(Some(PageIndexPolicy::Skip))
        .fetch_metadata()
        .await
        .map_err(|error| unreadable(file, &error))?;
    let footer = metadata.file_metadata();
    let schema = parquet_to_arrow_schema(footer.schema_descr(), footer.key_value_metadata())
        .map_err(|error| unreadable(file, &error.into()))?;
    let rows = u64::try_from(footer.num_rows())
        .map_err(|_| InputError::data(format!("Parquet footer has a negative row count: file={}", file.location)))?;
    Ok(Footer { fields: normal_fields(&schema, &file.location)?, rows })
}

fn unreadable(file: &ObjectMeta, error: &DataFusionError) -> InputError {
    match store_error(error) {
        Some(error) => InputError::store(file.location.as_ref(), error),
        None => InputError::data(format!(
            "not a whole Parquet file, it may be cut short; remove or rewrite it: file={}, size_bytes={}, detail={}",
            file.location,
            file.size,
            error.strip_backtrace()
        )),
    }
}
