//! The table that DataFusion plans: a fixed list of files, read exactly.
//!
//! In: files with sizes and partition values, the columns as the files have them and as the table has them.
//! Out: a scan over those files and no others, in bytes that another process can rebuild it from.
//! DataFusion's `ListingTable` is not used, because it lists again on every plan, silently skips a file that vanished or
//! became empty, and finds no partition values when it is given files instead of a folder.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::DateTime;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::listing::helpers::expr_applicable_for_cols;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchemaBuilder;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CaseExpr, CastExpr, Column, Literal, binary, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::ProjectionExec;
use object_store::ObjectMeta;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::error::InputError;
use super::named::named;
use super::partitions::scalar;

/// How the scan reads the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Reader {
    Parquet,
    Csv { header: bool, delimiter: u8, null: Option<String> },
    Json,
}

/// One file of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TableFile {
    pub(super) path: String,
    pub(super) size_bytes: u64,
    pub(super) modified_ms: i64,
    pub(super) etag: Option<String>,
    pub(super) rows: Option<u64>,
    /// Values of the partition columns, as the folders' names or the Delta log hold them.
    pub(super) partition: Vec<Option<String>>,
}

/// A fixed list of files as one table.
///
/// The list, not the folder, is the table: a file that came later is not read, one that vanished is an error. The rows of a
/// partition of the scan depend on the list and on `target_partitions` alone.
#[derive(Debug, Clone)]
pub struct FilesTable {
    store: ObjectStoreUrl,
    reader: Reader,
    /// The columns inside the files, as the reader must be told.
    file_schema: SchemaRef,
    partition_columns: Vec<FieldRef>,
    /// For every column of the table its place among the files' columns followed by the partition columns.
    places: Vec<usize>,
    schema: SchemaRef,
    files: Arc<[TableFile]>,
}

/// What [`FilesTable::to_bytes`] writes, beside the two schemas.
#[derive(Serialize, Deserialize)]
struct Wire {
    store: String,
    reader: Reader,
    file_schema: Vec<u8>,
    partition_schema: Vec<u8>,
    schema: Vec<u8>,
    places: Vec<usize>,
    files: Vec<TableFile>,
}

impl FilesTable {
    /// `columns` are the table's columns in its order, each one of the files' or of the partitions'. A name that is both is
    /// the partition's, as in Spark and DuckDB.
    pub(super) fn new(
        store: ObjectStoreUrl,
        reader: Reader,
        file_columns: &[FieldRef],
        partition_columns: Vec<FieldRef>,
        columns: &[FieldRef],
        files: Vec<TableFile>,
    ) -> std::result::Result<Self, InputError> {
        let place = |column: &FieldRef| {
            let among = |fields: &[FieldRef]| fields.iter().position(|field| field.name() == column.name());
            among(&partition_columns)
                .map(|at| file_columns.len() + at)
                .or_else(|| among(file_columns))
                .ok_or_else(|| InputError::Bug(format!("column is in no file: column={}", column.name())))
        };
        let places = columns.iter().map(place).collect::<std::result::Result<Vec<_>, _>>()?;
        let schema = Schema::new(columns.to_vec());
        let as_text = matches!(&reader, Reader::Csv { null: Some(_), .. });
        let file_fields: Fields = file_columns
            .iter()
            .map(|field| match as_text {
                // The reader knows the empty text as null and no other, so the text is compared before it is parsed.
                true => Arc::new(Field::new(field.name(), DataType::Utf8, field.is_nullable())),
                false => Arc::clone(field),
            })
            .collect();
        Ok(Self {
            store,
            reader,
            file_schema: Arc::new(Schema::new(file_fields)),
            partition_columns,
            places,
            schema: Arc::new(schema),
            files: files.into(),
        })
    }

    /// The table as bytes, for a logical plan that goes to another process. They hold no credential.
    ///
    /// About 150 bytes a file. Errors: none in practice; a schema that Arrow cannot write.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let wire = Wire {
            store: self.store.to_string(),
            reader: self.reader.clone(),
            file_schema: schema_bytes(&self.file_schema)?,
            partition_schema: schema_bytes(&Schema::new(self.partition_columns.clone()))?,
            schema: schema_bytes(&self.schema)?,
            places: self.places.clone(),
            files: self.files.to_vec(),
        };
        serde_json::to_vec(&wire).map_err(|error| DataFusionError::External(Box::new(error)))
    }

    /// The table that [`FilesTable::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(Self {
            store: ObjectStoreUrl::parse(&wire.store)?,
            reader: wire.reader,
            file_schema: schema_of_bytes(&wire.file_schema)?,
            partition_columns: schema_of_bytes(&wire.partition_schema)?.fields().iter().cloned().collect(),
            places: wire.places,
            schema: schema_of_bytes(&wire.schema)?,
            files: wire.files.into(),
        })
    }

    fn format(&self, state: &dyn Session) -> Arc<dyn FileFormat> {
        match &self.reader {
            Reader::Parquet => Arc::new(ParquetFormat::new().with_options(state.default_table_options().parquet)),
            // A quoted value may hold a line end, so a CSV file is never cut into ranges of bytes.
            Reader::Csv { header, delimiter, .. } => Arc::new(
                CsvFormat::default().with_has_header(*header).with_delimiter(*delimiter).with_newlines_in_values(true),
            ),
            Reader::Json => Arc::new(JsonFormat::default()),
        }
    }

    fn partitioned_file(&self, file: &TableFile) -> Result<PartitionedFile> {
        let values = file.partition.iter().zip(&self.partition_columns);
        let values: Vec<ScalarValue> = values
            .map(|(value, column)| scalar(value.as_deref(), column.data_type()).map_err(DataFusionError::Execution))
            .collect::<Result<_>>()?;
        let meta = ObjectMeta {
            location: Path::parse(&file.path).map_err(|error| DataFusionError::External(Box::new(error)))?,
            last_modified: DateTime::from_timestamp_millis(file.modified_ms).unwrap_or_default(),
            size: file.size_bytes,
            e_tag: file.etag.clone(),
            version: None,
        };
        Ok(PartitionedFile::new_from_meta(meta).with_partition_values(values))
    }

    /// The files whose partition values the filters let through.
    fn files_for(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&TableFile>> {
        let names: Vec<&str> = self.partition_columns.iter().map(|column| column.name().as_str()).collect();
        let usable =
            |filter: &&Expr| !names.is_empty() && expr_applicable_for_cols(&names, filter) && !has_subquery(filter);
        let applicable = filters.iter().filter(usable);
        let Some(filter) = conjunction(applicable.cloned()) else { return Ok(self.files.iter().collect()) };
        let schema = Arc::new(Schema::new(self.partition_columns.clone()));
        let predicate = state.create_physical_expr(filter, &DFSchema::try_from(Arc::clone(&schema))?)?;
        let rows = self.files.iter().map(|file| {
            let values = file.partition.iter().zip(&self.partition_columns).map(|(value, column)| {
                scalar(value.as_deref(), column.data_type()).map_err(DataFusionError::Execution)?.to_array()
            });
            Ok(RecordBatch::try_new(Arc::clone(&schema), values.collect::<Result<_>>()?)?)
        });
        let values = concat_batches(&schema, &rows.collect::<Result<Vec<_>>>()?)?;
        let kept = predicate.evaluate(&values)?.into_array(values.num_rows())?;
        let kept = kept.as_boolean();
        Ok(self.files.iter().zip(kept).filter(|(_, kept)| *kept == Some(true)).map(|(file, _)| file).collect())
    }

    fn counted(&self, files: &[&TableFile], columns: &Schema) -> Statistics {
        let rows: Option<u64> = files.iter().map(|file| file.rows).sum();
        let bytes = files.iter().map(|file| file.size_bytes).sum::<u64>();
        let mut statistics = Statistics::new_unknown(columns);
        statistics.num_rows =
            rows.and_then(|rows| usize::try_from(rows).ok()).map_or(Precision::Absent, Precision::Exact);
        statistics.total_byte_size = usize::try_from(bytes).map_or(Precision::Absent, Precision::Inexact);
        statistics
    }

    /// The scan's texts with the null text taken out and every column in its type.
    fn parsed(&self, scan: Arc<dyn ExecutionPlan>, columns: &[usize], null: &str) -> Result<Arc<dyn ExecutionPlan>> {
        let input = scan.schema();
        let mut parsed: Vec<(Arc<dyn PhysicalExpr>, String)> = Vec::with_capacity(columns.len());
        for (at, column) in columns.iter().enumerate() {
            let field = self.schema.field(*column);
            let text: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), at));
            let value = match self.places[*column] < self.file_schema.fields().len() {
                false => text,
                true if !field.is_nullable() => Arc::new(CastExpr::new(text, field.data_type().clone(), None)),
                true => {
                    let is_null = binary(Arc::clone(&text), Operator::Eq, lit(null), &input)?;
                    let nothing: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(ScalarValue::Utf8(None)));
                    let known = CaseExpr::try_new(None, vec![(is_null, nothing)], Some(text))?;
                    Arc::new(CastExpr::new(Arc::new(known), field.data_type().clone(), None))
                }
            };
            parsed.push((value, field.name().clone()));
        }
        Ok(Arc::new(ProjectionExec::try_new(parsed, scan)?))
    }
}

#[async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..self.places.len()).collect());
        let files = self.files_for(state, filters)?;
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(Arc::new(self.schema.project(&columns)?))));
        }
        let table_schema = TableSchemaBuilder::from(&self.file_schema)
            .with_table_partition_cols(self.partition_columns.clone())
            .build();
        let statistics = self.counted(&files, table_schema.table_schema());
        let group = files.iter().map(|file| self.partitioned_file(file)).collect::<Result<Vec<_>>>()?;
        let groups = FileGroup::new(group).split_files(state.config().target_partitions().max(1));
        let format = self.format(state);
        let places = columns.iter().map(|column| self.places[*column]).collect();
        let config = FileScanConfigBuilder::new(self.store.clone(), format.file_source(table_schema))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(Some(places))?
            .with_limit(limit)
            .build();
        let scan = format.create_physical_plan(state, config).await?;
        match &self.reader {
            Reader::Parquet => Ok(scan),
            Reader::Csv { null: Some(null), .. } => self.parsed(named(scan)?, &columns, null),
            Reader::Csv { .. } | Reader::Json => named(scan),
        }
    }

    /// Filters choose files and row groups only, so DataFusion applies every one of them again.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.counted(&self.files.iter().collect::<Vec<_>>(), &self.schema))
    }
}

/// Whether the filter holds a query of its own, whose answer is not known while planning.
fn has_subquery(filter: &Expr) -> bool {
    let query = |expr: &Expr| {
        matches!(expr, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_))
    };
    filter.exists(|expr| Ok(query(expr))).unwrap_or(true)
}

fn schema_bytes(schema: &Schema) -> Result<Vec<u8>> {
    let mut writer = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), schema)?;
    writer.finish()?;
    Ok(writer.into_inner()?)
}

fn schema_of_bytes(bytes: &[u8]) -> Result<SchemaRef> {
    Ok(arrow::ipc::reader::StreamReader::try_new(bytes, None)?.schema())
}
