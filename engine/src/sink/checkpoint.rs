//! What is known of a finished partition, as an object in the lake and as a row of the sink's answer.
//!
//! In: a partition's file and counts. Out: an object made by create-if-absent, so that of several attempts the store lets
//! one win, and everybody reads the same winner.

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use datafusion::common::{Result, exec_datafusion_err, internal_datafusion_err};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Small reads under way at a time.
const READS_AT_A_TIME: usize = 16;
/// Tries to create a checkpoint of which the store says that it exists, though nobody can read it.
const CREATES_MAX: u32 = 5;
const CREATE_PAUSE: Duration = Duration::from_millis(200);

/// A finished partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Partition number.
    pub partition: u64,
    /// File below the table's folder; `None` if the partition has no rows.
    pub path: Option<String>,
    /// Rows in the file.
    pub rows: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// The store's tag of the file, where it gives one.
    pub etag: Option<String>,
    /// Groups that the group functions of this partition read.
    pub groups: u64,
    /// Groups that they refused with a status row.
    pub groups_refused: u64,
    /// Rows by value of the column `status`, where the table has one.
    pub rows_by_status: BTreeMap<String, u64>,
    /// Whether the answer was found in the lake instead of being computed. Not part of the stored object.
    #[serde(skip)]
    pub found: bool,
}

/// Folder of the checkpoints under `key`, and of what a fleet notes beside them.
pub fn checkpoint_dir(table: &Path, key: &str) -> Path {
    table.clone().join("_lakecast").join("checkpoints").join(key)
}

fn checkpoint_path(table: &Path, key: &str, partition: u64) -> Path {
    checkpoint_dir(table, key).join(format!("{partition:05}.json"))
}

impl Checkpoint {
    /// All checkpoints under `key`, ascending by partition: what is finished, whoever finished it.
    ///
    /// Costs one listing and one small read a partition. Errors: the store, or a damaged object.
    pub async fn all(store: &Arc<dyn ObjectStore>, table: &Path, key: &str) -> Result<Vec<Self>> {
        let listed = store.list_with_delimiter(Some(&checkpoint_dir(table, key))).await?;
        let numbers = listed.objects.iter().filter_map(|o| o.location.filename()?.strip_suffix(".json")?.parse().ok());
        let reads = numbers.map(|number: u64| async move { Self::find(store, table, key, number).await });
        let found: Vec<_> = futures::stream::iter(reads).buffer_unordered(READS_AT_A_TIME).try_collect().await?;
        let mut all: Vec<_> = found.into_iter().flatten().collect();
        all.sort_by_key(|c| c.partition);
        Ok(all)
    }

    /// The checkpoint of `partition` under `key`, if some attempt has finished it. Errors: the store, or a damaged object.
    pub(super) async fn find(store: &dyn ObjectStore, table: &Path, key: &str, partition: u64) -> Result<Option<Self>> {
        let path = checkpoint_path(table, key, partition);
        let bytes = match store.get(&path).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let mut checkpoint: Self = serde_json::from_slice(&bytes)
            .map_err(|e| exec_datafusion_err!("damaged checkpoint: delete it and run again: path={path}, cause={e}"))?;
        checkpoint.found = true;
        Ok(Some(checkpoint))
    }

    /// Registers this attempt. `Ok(None)` if it won; the winner if another attempt was first.
    pub(super) async fn register(&self, store: &dyn ObjectStore, table: &Path, key: &str) -> Result<Option<Self>> {
        let json = serde_json::to_vec(self).map_err(|e| internal_datafusion_err!("checkpoint: {e}"))?;
        let (path, payload) = (checkpoint_path(table, key, self.partition), PutPayload::from(json));
        for _ in 0..CREATES_MAX {
            match store.put_opts(&path, payload.clone(), PutMode::Create.into()).await {
                Ok(_) => return Ok(None),
                // Also said when our own request was applied and then repeated: the winner may be ourselves.
                Err(object_store::Error::AlreadyExists { .. }) => {}
                Err(e) => return Err(e.into()),
            }
            if let Some(winner) = Self::find(store, table, key, self.partition).await? {
                return Ok(Some(winner));
            }
            // S3 says so, too, of a create that is under way and not yet won.
            tokio::time::sleep(CREATE_PAUSE).await;
        }
        let why = format!("the store says that a checkpoint exists, and then that it does not: path={path}");
        Err(std::io::Error::new(std::io::ErrorKind::Interrupted, why).into())
    }

    /// The columns of the sink's answer.
    pub fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("partition", DataType::UInt64, false),
            Field::new("path", DataType::Utf8, true),
            Field::new("rows", DataType::UInt64, false),
            Field::new("bytes", DataType::UInt64, false),
            Field::new("etag", DataType::Utf8, true),
            Field::new("groups", DataType::UInt64, false),
            Field::new("groups_refused", DataType::UInt64, false),
            Field::new("rows_by_status", DataType::Utf8, false),
            Field::new("found", DataType::Boolean, false),
        ]))
    }

    pub(super) fn to_batch(&self) -> Result<RecordBatch> {
        let number = |n: u64| Arc::new(UInt64Array::from(vec![n])) as ArrayRef;
        let text = |s: Option<&str>| Arc::new(StringArray::from(vec![s])) as ArrayRef;
        let by_status = serde_json::to_string(&self.rows_by_status).map_err(|e| internal_datafusion_err!("{e}"))?;
        let columns = vec![
            number(self.partition),
            text(self.path.as_deref()),
            number(self.rows),
            number(self.bytes),
            text(self.etag.as_deref()),
            number(self.groups),
            number(self.groups_refused),
            text(Some(&by_status)),
            Arc::new(BooleanArray::from(vec![self.found])),
        ];
        Ok(RecordBatch::try_new(Self::schema(), columns)?)
    }

    /// The rows of a sink's answer. Errors: `Internal` if the batch is not one of a sink.
    pub fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>> {
        if batch.schema().fields() != Self::schema().fields() {
            return Err(internal_datafusion_err!("not the answer of a sink: {}", batch.schema()));
        }
        let number = |c: usize, row: usize| batch.column(c).as_primitive::<UInt64Type>().value(row);
        let text = |c: usize, row: usize| {
            let column = batch.column(c).as_string::<i32>();
            column.iter().nth(row).flatten().map(str::to_string)
        };
        (0..batch.num_rows())
            .map(|row| {
                Ok(Self {
                    partition: number(0, row),
                    path: text(1, row),
                    rows: number(2, row),
                    bytes: number(3, row),
                    etag: text(4, row),
                    groups: number(5, row),
                    groups_refused: number(6, row),
                    rows_by_status: serde_json::from_str(&text(7, row).unwrap_or_default())
                        .map_err(|e| internal_datafusion_err!("rows by status: {e}"))?,
                    found: batch.column(8).as_boolean().value(row),
                })
            })
            .collect()
    }
}
