//! The one function by which every process learns functions, planners, stores and policy.
//!
//! In: options. Out: a DataFusion session. Settings that decide which row lands in which partition are fixed here, so that
//! a partition holds the same groups wherever it runs.

use crate::cancel::Cancel;
use crate::functions::Functions;
use crate::group_map::LakecastQueryPlanner;
use crate::sql::{CallPlanner, Once, Present};
use crate::store::Stores;
use datafusion::common::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

/// What a sort sets aside for merging what it spilled; DataFusion's default, and more than it needs for small batches.
const SORT_RESERVATION_BYTES_MAX: usize = 10 << 20;
/// How many sorts must be able to set that aside at once without taking all memory.
const SORTS_AT_A_TIME: usize = 128;

/// What a process may choose about its session.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Partitions of a shuffle, and so of the output. Belongs to the job, never to the machine. Default 16.
    pub partitions: usize,
    /// Rows of a batch. Default 8192; changes memory and speed, never rows.
    pub batch_size_rows: usize,
    /// Memory that operators may reserve, in bytes; above it sorts and aggregates spill. Default 2 GiB.
    pub memory_bytes: usize,
    /// Where to spill. Default: the system's folder for temporary files.
    pub spill_dir: Option<PathBuf>,
    /// The group functions. Default: the table in `lakecast-udfs`.
    pub functions: Functions,
    /// Where tables may be read and written.
    pub stores: Arc<Stores>,
    /// The stop flag that operators obey.
    pub cancel: Cancel,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            partitions: 16,
            batch_size_rows: 8192,
            memory_bytes: 2 << 30,
            spill_dir: None,
            functions: Functions::default(),
            stores: Arc::new(Stores::default()),
            cancel: Cancel::default(),
        }
    }
}

/// Builds the session. Errors: the spill folder cannot be made.
pub fn session(options: &SessionOptions) -> Result<SessionContext> {
    let config = fixed_config(SessionConfig::new())
        .with_target_partitions(options.partitions)
        .with_batch_size(options.batch_size_rows)
        .with_sort_spill_reservation_bytes(SORT_RESERVATION_BYTES_MAX.min(options.memory_bytes / SORTS_AT_A_TIME))
        .with_extension(Arc::new(options.cancel.clone()));
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime_env(options)?)
        .with_default_features()
        .with_query_planner(Arc::new(LakecastQueryPlanner { functions: options.functions.clone() }))
        .build();
    let context = SessionContext::new_with_state(state);
    context.register_udf(ScalarUDF::from(Present::default()));
    context.register_udf(ScalarUDF::from(Once::default()));
    context.register_relation_planner(Arc::new(CallPlanner {
        functions: options.functions.clone(),
        memory_bytes: options.memory_bytes,
    }))?;
    Ok(context)
}

/// Memory, spills and stores of a process.
pub(crate) fn runtime_env(options: &SessionOptions) -> Result<Arc<RuntimeEnv>> {
    let spill = match &options.spill_dir {
        Some(dir) => DiskManagerMode::Directories(vec![dir.clone()]),
        None => DiskManagerMode::OsTmpDirectory,
    };
    let named = NonZeroUsize::MIN.saturating_add(4);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(FairSpillPool::new(options.memory_bytes), named)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(spill))
        .with_object_store_registry(Arc::clone(&options.stores) as _)
        .build_arc()
}

/// Settings on which the content of partitions and the types of columns depend; the same on every process.
pub fn fixed_config(mut config: SessionConfig) -> SessionConfig {
    let options = config.options_mut();
    // The same key must hash to the same partition everywhere, and views hash otherwise than strings.
    options.execution.parquet.schema_force_view_types = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    // Batches must not wander between partitions by timing: a partition's checkpoint stands for its content.
    options.optimizer.enable_round_robin_repartition = false;
    options.execution.enable_file_stream_work_stealing = false;
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    config.with_information_schema(true)
}
