//! Computes one output in this process into checkpointed files. In: [`Planned`]. Out: one [`Checkpoint`] a partition.

use super::Means;
use super::prepare::Planned;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fleet::checkpoint_key;
use crate::progress::Counters;
use crate::publish::{RUN_DATE, hex};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, execute_stream_partitioned};
use futures::StreamExt;
use lakecast_engine::group_map::{GroupMapExec, GroupMapNode};
use lakecast_engine::sink::{Checkpoint, LakeSinkExec, LakeSinkNode, SinkSpec, checkpoint_dir};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Partitions under way for each core: one computes while another waits for the store.
const TURNS_PER_CORE: usize = 2;

/// How often progress is read from the running plan.
const TICK: Duration = Duration::from_millis(200);

/// Computes what no checkpoint holds yet. Out: all checkpoints, ascending, and how many partitions there must be.
pub(super) async fn stage(planned: &Planned<'_>, means: &Means) -> Result<(usize, Vec<Checkpoint>), Failure> {
    let place = format!("output {}", planned.output.name);
    let physical = physical(planned).await.map_err(|e| Failure::planning(&place, &e))?;
    let before = Progress::of(&means.counters);
    let partitions = physical.output_partitioning().partition_count();
    let checkpoints = tokio::select! {
        done = compute(Arc::clone(&physical), planned) => done.map_err(|e| {
            // An operator may notice the stop first.
            if means.cancel.is_cancelled() { stopped() } else { Failure::running(&place, &e) }
        })?,
        () = watch(&physical, means, before) => return Err(stopped()),
    };
    before.show(&physical, means);
    Ok((partitions, checkpoints))
}

fn stopped() -> Failure {
    Failure::new(Exit::Interrupted, "stopped: run the same command to continue")
}

fn spec(planned: &Planned<'_>) -> SinkSpec {
    SinkSpec {
        table_url: planned.target.location_url.to_string(),
        partition_dir: planned.partition_dir(),
        checkpoint_key: hex(&planned.fingerprint),
        attempt: String::new(),
    }
}

/// The physical plan of an output, sink at its root.
pub async fn physical(planned: &Planned<'_>) -> Result<Arc<dyn ExecutionPlan>> {
    let sink = LakeSinkNode::try_new(spec(planned), planned.plan.clone())?;
    let plan = LogicalPlan::Extension(Extension { node: Arc::new(sink) });
    planned.context.state().create_physical_plan(&planned.context.state().optimize(&plan)?).await
}

async fn compute(plan: Arc<dyn ExecutionPlan>, planned: &Planned<'_>) -> Result<Vec<Checkpoint>> {
    let mut tasks = JoinSet::new();
    // Sorting takes several times the memory of what it sorts, so only a few partitions sort at a time; what the shuffle
    // has for the others waits in its own buffers, which the memory limit spills. No operator may wait for another
    // partition then; the dynamic filters of joins would, and the session has them off.
    let turns = Arc::new(Semaphore::new(TURNS_PER_CORE * available_parallelism().map_or(1, NonZeroUsize::get)));
    for mut stream in execute_stream_partitioned(plan, planned.context.task_ctx())? {
        let turns = Arc::clone(&turns);
        tasks.spawn(async move {
            let _turn = turns.acquire().await.map_err(|e| DataFusionError::External(Box::new(e)))?;
            let mut rows = vec![];
            while let Some(batch) = stream.next().await.transpose()? {
                rows.extend(Checkpoint::from_batch(&batch)?);
            }
            Ok::<_, DataFusionError>(rows)
        });
    }
    let mut checkpoints = vec![];
    while let Some(done) = tasks.join_next().await {
        checkpoints.extend(done.map_err(|e| DataFusionError::ExecutionJoin(Box::new(e)))??);
    }
    checkpoints.sort_by_key(|c| c.partition);
    Ok(checkpoints)
}

/// Reports progress until the run is cancelled.
async fn watch(plan: &Arc<dyn ExecutionPlan>, means: &Means, before: Progress) {
    while !means.cancel.is_cancelled() {
        tokio::time::sleep(TICK).await;
        before.show(plan, means);
    }
}

/// The counters as they stood before this output, to which the running plan's metrics are added.
#[derive(Clone, Copy)]
struct Progress {
    groups: u64,
    refused: u64,
    rows_read: u64,
    rows: u64,
    bytes: u64,
    partitions: u64,
    resumed: u64,
}

impl Progress {
    fn of(counters: &Counters) -> Self {
        let get = |c: &AtomicU64| c.load(Ordering::Relaxed);
        Self {
            groups: get(&counters.groups),
            refused: get(&counters.refused),
            rows_read: get(&counters.rows_read),
            rows: get(&counters.rows),
            bytes: get(&counters.bytes),
            partitions: get(&counters.partitions_done),
            resumed: get(&counters.partitions_resumed),
        }
    }

    fn show(mut self, plan: &Arc<dyn ExecutionPlan>, means: &Means) {
        let _ = plan.apply(|node| {
            let metrics = node.metrics();
            let sum =
                |name: &str| metrics.as_ref().and_then(|m| m.sum_by_name(name)).map_or(0, |v| v.as_usize() as u64);
            let rows = metrics.as_ref().and_then(MetricsSet::output_rows).map_or(0, |n| n as u64);
            if node.is::<GroupMapExec>() {
                self.groups += sum("groups");
                self.refused += sum("groups_refused");
            }
            if node.children().is_empty() {
                self.rows_read += rows;
            }
            if node.is::<LakeSinkExec>() {
                self.rows += rows;
                self.bytes += sum("bytes_written");
                self.partitions += sum("partitions_done");
                self.resumed += sum("checkpoints_found");
            }
            Ok(TreeNodeRecursion::Continue)
        });
        let set = |c: &AtomicU64, n: u64| c.store(n, Ordering::Relaxed);
        set(&means.counters.groups, self.groups);
        set(&means.counters.refused, self.refused);
        set(&means.counters.rows_read, self.rows_read);
        set(&means.counters.rows, self.rows);
        set(&means.counters.bytes, self.bytes);
        set(&means.counters.partitions_done, self.partitions);
        set(&means.counters.partitions_resumed, self.resumed);
    }
}

impl Planned<'_> {
    /// Folder of the data files below the table.
    pub(crate) fn partition_dir(&self) -> String {
        format!("{RUN_DATE}={}", self.run_date)
    }
}

/// Removes the checkpoints of a published output, of this process and of a fleet. Best effort: what is left is a few small
/// objects that nobody reads.
pub(super) async fn forget(planned: &Planned<'_>) {
    let Ok(table) = Path::from_url_path(planned.target.location_url.path()) else { return };
    let store: &dyn ObjectStore = planned.target.store.as_ref();
    for key in [hex(&planned.fingerprint), checkpoint_key(planned)] {
        let mut found = store.list(Some(&checkpoint_dir(&table, &key)));
        while let Some(Ok(object)) = found.next().await {
            let _ = store.delete(&object.location).await;
        }
    }
}

/// How many groups each group function of the output's query would read, by its key columns. Reads the keys only.
pub async fn groups(planned: &Planned<'_>) -> Result<Vec<(String, u64)>> {
    let mut maps = vec![];
    planned.plan.apply(|plan| {
        if let LogicalPlan::Extension(extension) = plan
            && let Some(map) = extension.node.as_any().downcast_ref::<GroupMapNode>()
        {
            maps.push(map.clone());
            // Groups below another group function are its own steps.
            return Ok(TreeNodeRecursion::Jump);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut out = vec![];
    for map in maps {
        let keys: Vec<_> = map.input.schema().columns().into_iter().take(map.call.keys).collect();
        let names = keys.iter().map(|c| c.name.clone()).collect::<Vec<_>>().join(", ");
        let plan =
            LogicalPlanBuilder::from(map.input).project(keys.into_iter().map(Expr::Column))?.distinct()?.build()?;
        let groups = planned.context.execute_logical_plan(plan).await?.count().await?;
        out.push((names, groups as u64));
    }
    Ok(out)
}
