//! Parquet and JSON files of the marketplace, the same bytes for the same rows.
//! In: a path and record batches. Out: one `WrittenFile` with rows and bytes.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::Serialize;

use super::{Error, Result};

/// Rows of a row group: what a writer holds in memory, encoded.
const ROW_GROUP_ROWS: usize = 1 << 18;

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// Path relative to the output directory, with `/`.
    pub path: String,
    /// Rows; 0 for files that are no table.
    pub rows: u64,
    /// Size in bytes.
    pub bytes: u64,
}

/// The output directory.
#[derive(Debug, Clone)]
pub(super) struct Output {
    root: PathBuf,
}

fn output_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Output { path, source }
}

/// A Parquet file being written.
pub(super) struct TableFile {
    path: String,
    full: PathBuf,
    writer: ArrowWriter<File>,
    rows: u64,
}

impl Output {
    /// Takes an output directory that is absent or empty: nothing is overwritten, and no old file mixes into a table.
    pub(super) fn create(root: &Path) -> Result<Self> {
        match std::fs::read_dir(root) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(Error::OutputNotEmpty { path: root.to_owned() });
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(output_error(root)(error)),
        }
        std::fs::create_dir_all(root).map_err(output_error(root))?;
        Ok(Self { root: root.to_owned() })
    }

    fn prepare(&self, path: &str) -> Result<PathBuf> {
        let full = self.root.join(path);
        if let Some(folder) = full.parent() {
            std::fs::create_dir_all(folder).map_err(output_error(folder))?;
        }
        Ok(full)
    }

    /// Opens a Parquet file below the output directory.
    pub(super) fn table(&self, path: &str, schema: SchemaRef) -> Result<TableFile> {
        let full = self.prepare(path)?;
        let file = File::create(&full).map_err(output_error(&full))?;
        let properties = WriterProperties::builder()
            .set_created_by("lakecast generate".to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(file, schema, Some(properties))?;
        Ok(TableFile { path: path.to_owned(), full, writer, rows: 0 })
    }

    /// Writes one batch as a Parquet file.
    pub(super) fn batch(&self, path: &str, batch: &RecordBatch) -> Result<WrittenFile> {
        let mut file = self.table(path, batch.schema())?;
        file.write(batch)?;
        file.finish()
    }

    /// Writes a value as indented JSON with a newline at the end.
    pub(super) fn json(&self, path: &str, value: &impl Serialize) -> Result<WrittenFile> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        self.bytes(path, &text)
    }

    /// Writes bytes as they are.
    pub(super) fn bytes(&self, path: &str, bytes: &[u8]) -> Result<WrittenFile> {
        let full = self.prepare(path)?;
        std::fs::write(&full, bytes).map_err(output_error(&full))?;
        Ok(WrittenFile { path: path.to_owned(), rows: 0, bytes: bytes.len() as u64 })
    }

    /// Reads a file back.
    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>> {
        let full = self.root.join(path);
        std::fs::read(&full).map_err(output_error(&full))
    }
}

impl TableFile {
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch)?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<WrittenFile> {
        self.writer.close()?;
        let bytes = std::fs::metadata(&self.full).map_err(output_error(&self.full))?.len();
        Ok(WrittenFile { path: self.path, rows: self.rows, bytes })
    }
}
