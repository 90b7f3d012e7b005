//! Nodes and operators as bytes. In: a node. Out: a magic prefix and JSON; the wire names functions, never models.

use super::GroupMapExec;
use super::node::{GroupCall, GroupMapNode};
use crate::functions::Functions;
use crate::sink::{LakeSinkExec, LakeSinkNode, SinkSpec};
use crate::tables::FilesTable;
use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::{Result, TableReference, internal_datafusion_err, not_impl_err};
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{AggregateUDF, Extension, LogicalPlan, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Tells lakecast's bytes from those of other codecs, and its versions apart: processes of two versions never share a job.
const MAGIC: &[u8] = concat!("lakecast/", env!("CARGO_PKG_VERSION"), " ").as_bytes();
/// The same for its tables.
const TABLE_MAGIC: &[u8] = b"lakecast-table/1 ";

#[derive(Serialize, Deserialize)]
enum Wire {
    GroupMap(GroupCall),
    LakeSink(SinkSpec),
}

fn encode(wire: &Wire, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(MAGIC);
    serde_json::to_writer(out, wire).map_err(|e| internal_datafusion_err!("encode: {e}"))
}

fn decode(bytes: &[u8]) -> Result<Option<Wire>> {
    let Some(json) = bytes.strip_prefix(MAGIC) else {
        return match bytes.starts_with(b"lakecast/") {
            true => Err(internal_datafusion_err!(
                "client, scheduler and executors must be of the same lakecast version: here={}, there={}",
                env!("CARGO_PKG_VERSION"),
                String::from_utf8_lossy(&bytes[b"lakecast/".len()..]).split(' ').next().unwrap_or_default()
            )),
            false => Ok(None),
        };
    };
    serde_json::from_slice(json).map(Some).map_err(|e| {
        internal_datafusion_err!("decode: {e}: client, scheduler and executors must be of the same lakecast version")
    })
}

/// Logical nodes of lakecast, all else by Ballista's codec.
#[derive(Debug, Default)]
pub struct LogicalCodec {
    /// The functions of the session.
    pub functions: Functions,
    inner: BallistaLogicalExtensionCodec,
}

impl LogicalCodec {
    /// A codec for the given functions.
    pub fn new(functions: Functions) -> Self {
        Self { functions, inner: BallistaLogicalExtensionCodec::default() }
    }
}

impl LogicalExtensionCodec for LogicalCodec {
    fn try_decode(&self, buf: &[u8], inputs: &[LogicalPlan], ctx: &TaskContext) -> Result<Extension> {
        let input = || inputs.first().cloned().ok_or_else(|| internal_datafusion_err!("a lakecast node without input"));
        match decode(buf)? {
            Some(Wire::GroupMap(call)) => {
                let sides = inputs.iter().skip(1).cloned().collect();
                Ok(Extension { node: Arc::new(GroupMapNode::try_new(&self.functions, call, input()?, sides)?) })
            }
            Some(Wire::LakeSink(spec)) => Ok(Extension { node: Arc::new(LakeSinkNode::try_new(spec, input()?)?) }),
            None => self.inner.try_decode(buf, inputs, ctx),
        }
    }

    fn try_encode(&self, node: &Extension, buf: &mut Vec<u8>) -> Result<()> {
        if let Some(map) = node.node.as_any().downcast_ref::<GroupMapNode>() {
            return encode(&Wire::GroupMap(map.call.clone()), buf);
        }
        if let Some(sink) = node.node.as_any().downcast_ref::<LakeSinkNode>() {
            return encode(&Wire::LakeSink(sink.spec.clone()), buf);
        }
        self.inner.try_encode(node, buf)
    }

    fn try_decode_table_provider(
        &self,
        buf: &[u8],
        table_ref: &TableReference,
        schema: SchemaRef,
        ctx: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        match buf.strip_prefix(TABLE_MAGIC) {
            Some(bytes) => Ok(Arc::new(FilesTable::from_bytes(bytes)?)),
            None => self.inner.try_decode_table_provider(buf, table_ref, schema, ctx),
        }
    }

    fn try_encode_table_provider(
        &self,
        table_ref: &TableReference,
        node: Arc<dyn TableProvider>,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        if let Some(files) = node.downcast_ref::<FilesTable>() {
            buf.extend_from_slice(TABLE_MAGIC);
            buf.extend(files.to_bytes()?);
            return Ok(());
        }
        self.inner.try_encode_table_provider(table_ref, node, buf)
    }

    fn try_decode_file_format(&self, buf: &[u8], ctx: &TaskContext) -> Result<Arc<dyn FileFormatFactory>> {
        self.inner.try_decode_file_format(buf, ctx)
    }

    fn try_encode_file_format(&self, buf: &mut Vec<u8>, node: Arc<dyn FileFormatFactory>) -> Result<()> {
        self.inner.try_encode_file_format(buf, node)
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        self.inner.try_decode_udf(name, buf)
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.inner.try_encode_udf(node, buf)
    }

    fn try_decode_udaf(&self, name: &str, buf: &[u8]) -> Result<Arc<AggregateUDF>> {
        self.inner.try_decode_udaf(name, buf)
    }

    fn try_encode_udaf(&self, node: &AggregateUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.inner.try_encode_udaf(node, buf)
    }
}

/// Operators of lakecast, all else by Ballista's codec.
#[derive(Debug, Default)]
pub struct PhysicalCodec {
    /// The functions of the session.
    pub functions: Functions,
    inner: BallistaPhysicalExtensionCodec,
}

impl PhysicalCodec {
    /// A codec for the given functions.
    pub fn new(functions: Functions) -> Self {
        Self { functions, inner: BallistaPhysicalExtensionCodec::default() }
    }
}

impl PhysicalExtensionCodec for PhysicalCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input =
            || inputs.first().cloned().ok_or_else(|| internal_datafusion_err!("a lakecast operator without input"));
        match decode(buf)? {
            Some(Wire::GroupMap(call)) => {
                let sides = inputs.iter().skip(1).cloned().collect();
                Ok(Arc::new(GroupMapExec::try_new(&self.functions, call, input()?, sides)?))
            }
            Some(Wire::LakeSink(spec)) => Ok(Arc::new(LakeSinkExec::new(spec, input()?))),
            None => self.inner.try_decode(buf, inputs, ctx, converter),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        if let Some(map) = node.downcast_ref::<GroupMapExec>() {
            return encode(&Wire::GroupMap(map.call().clone()), buf);
        }
        if let Some(sink) = node.downcast_ref::<LakeSinkExec>() {
            return encode(&Wire::LakeSink(sink.spec().clone()), buf);
        }
        self.inner.try_encode(node, buf, converter)
    }

    fn try_decode_udf(&self, name: &str, _buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        match crate::sql::scalar_function(name) {
            Some(udf) => Ok(udf),
            None => not_impl_err!("unknown scalar function: name={name}"),
        }
    }

    fn try_encode_udf(&self, _node: &ScalarUDF, _buf: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}
