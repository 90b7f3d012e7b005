//! Streams one partition to one Parquet file. In: batches. Out: the file's size and counts; on a failure no file.

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Result;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

/// Rows of a row group: large enough to compress, small enough that a reader's row group fits a small machine.
const ROW_GROUP_ROWS: usize = 512 * 1024;

pub(super) struct FileWriter {
    store: Arc<dyn ObjectStore>,
    path: Path,
    schema: SchemaRef,
    writer: Option<AsyncArrowWriter<BufWriter>>,
    closed: bool,
    status_column: Option<usize>,
    pub(super) rows: u64,
    pub(super) rows_by_status: BTreeMap<String, u64>,
}

impl FileWriter {
    pub(super) fn new(store: Arc<dyn ObjectStore>, path: Path, schema: SchemaRef) -> Self {
        let status_column =
            schema.fields().iter().position(|f| f.name() == "status" && *f.data_type() == DataType::Utf8);
        Self {
            store,
            path,
            schema,
            writer: None,
            closed: false,
            status_column,
            rows: 0,
            rows_by_status: BTreeMap::new(),
        }
    }

    /// Takes one batch. The file is opened by the first row, so that an empty partition leaves none.
    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if let Some(column) = self.status_column {
            self.count_statuses(batch, column);
        }
        if self.writer.is_none() {
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
                .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
                .set_created_by(concat!("lakecast ", env!("CARGO_PKG_VERSION")).to_string())
                .build();
            let out = BufWriter::new(Arc::clone(&self.store), self.path.clone());
            self.writer = Some(AsyncArrowWriter::try_new(out, Arc::clone(&self.schema), Some(properties))?);
        }
        if let Some(writer) = &mut self.writer {
            writer.write(batch).await?;
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn count_statuses(&mut self, batch: &RecordBatch, column: usize) {
        let column = batch.column(column).as_string::<i32>();
        let mut run: Option<(&str, u64)> = None;
        for value in column.iter().map(|v| v.unwrap_or("null")) {
            match &mut run {
                Some((same, n)) if *same == value => *n += 1,
                _ => {
                    if let Some((done, n)) = run.replace((value, 1)) {
                        *self.rows_by_status.entry(done.to_string()).or_default() += n;
                    }
                }
            }
        }
        if let Some((done, n)) = run {
            *self.rows_by_status.entry(done.to_string()).or_default() += n;
        }
    }

    /// Completes the file, if a row came. Errors: the store; the file is then not there.
    pub(super) async fn close(&mut self) -> Result<()> {
        if let Some(mut writer) = self.writer.take() {
            writer.finish().await?;
            self.closed = true;
        }
        Ok(())
    }

    /// Size in bytes and tag of the completed file; `None` if no row came. Errors: the store.
    pub(super) async fn written(&mut self) -> Result<Option<(u64, Option<String>)>> {
        if !self.closed {
            return Ok(None);
        }
        let head = self.store.head(&self.path).await?;
        Ok(Some((head.size, head.e_tag)))
    }

    /// Gives up: what was uploaded so far is dropped, as far as the store still answers.
    pub(super) async fn abort(&mut self) {
        if let Some(writer) = self.writer.take() {
            let mut out = writer.into_inner();
            if out.abort().await.is_err() {
                // Never started or already gone; a lifecycle rule of the bucket removes what is left.
                let _ = out.shutdown().await;
            }
        }
    }
}
