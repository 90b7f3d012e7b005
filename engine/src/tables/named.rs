//! Errors of a text scan name the file.
//!
//! In: DataFusion's CSV or JSON source. Out: the same source; what fails while a file is read says which file it was.
//! On the wire it is the inner source, so the plan of an executor lacks the name and nothing else.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::ConfigOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileOpenFuture, FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::proto::ExecutionPlanEncodeCtx;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures::{FutureExt, StreamExt};
use object_store::ObjectStore;

use super::error::{InputError, root, store_error};

/// The scan with file names in its errors.
pub(super) fn named(scan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let config = scan
        .downcast_ref::<DataSourceExec>()
        .and_then(|exec| exec.data_source().downcast_ref::<FileScanConfig>())
        .ok_or_else(|| InputError::Bug("a scan of text files is no scan of files".into()))?;
    let source = Named { inner: Arc::clone(config.file_source()) };
    let config = FileScanConfigBuilder::from(config.clone()).with_source(Arc::new(source)).build();
    Ok(DataSourceExec::from_data_source(config))
}

struct Named {
    inner: Arc<dyn FileSource>,
}

impl FileSource for Named {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        base_config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let inner = self.inner.create_file_opener(object_store, base_config, partition)?;
        let root = root(&base_config.object_store_url).to_owned();
        Ok(Arc::new(NamedOpener { inner, kind: self.inner.file_type().to_owned(), root }))
    }

    fn table_schema(&self) -> &TableSchema {
        self.inner.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { inner: self.inner.with_batch_size(batch_size) })
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.inner.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.inner.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.inner.metrics()
    }

    fn file_type(&self) -> &str {
        self.inner.file_type()
    }

    fn fmt_extra(&self, kind: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        self.inner.fmt_extra(kind, f)
    }

    fn supports_repartitioning(&self) -> bool {
        self.inner.supports_repartitioning()
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let FilterPushdownPropagation { filters, updated_node } = self.inner.try_pushdown_filters(filters, config)?;
        let updated_node = updated_node.map(|inner| Arc::new(Self { inner }) as Arc<dyn FileSource>);
        Ok(FilterPushdownPropagation { filters, updated_node })
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        let inner = self.inner.try_pushdown_projection(projection)?;
        Ok(inner.map(|inner| Arc::new(Self { inner }) as Arc<dyn FileSource>))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.inner.apply_expressions(f)
    }

    fn try_to_proto(
        &self,
        base: &FileScanConfig,
        ctx: &ExecutionPlanEncodeCtx<'_>,
    ) -> Result<Option<PhysicalPlanNode>> {
        self.inner.try_to_proto(base, ctx)
    }
}

struct NamedOpener {
    inner: Arc<dyn FileOpener>,
    kind: String,
    root: String,
}

impl FileOpener for NamedOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let (kind, path) = (self.kind.clone(), format!("{}{}", self.root, file.object_meta.location));
        let opening = self.inner.open(file)?;
        Ok(async move {
            let rows = opening.await.map_err(|error| name(&kind, &path, error))?;
            Ok(rows.map(move |batch| batch.map_err(|error| name(&kind, &path, error))).boxed())
        }
        .boxed())
    }
}

fn name(kind: &str, path: &str, error: DataFusionError) -> DataFusionError {
    match store_error(&error) {
        Some(error) => InputError::store(path, error).into(),
        // Where a value does not parse, the reader counts the records after the header, not the lines.
        None => InputError::data(format!(
            "not readable as {kind}; mend the line, or declare the column's type under schema: file={path}, detail={}",
            error.strip_backtrace().replace(" at line ", " at record ")
        ))
        .into(),
    }
}
