//! Tasks as this executor runs them. In: a stage's plan and the partitions of one task. Out: Ballista's execution of it,
//! with what it lacks: the sink learns the job's number of its partition, a task has a time limit, failures say whether
//! they may pass, and everything is counted and logged with job, stage, partition and attempt.

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::error::BallistaError;
use ballista_core::serde::protobuf::{RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport};
use ballista_executor::execution_engine::{DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::prelude::SessionConfig;
use lakecast_engine::fault::{Fault, causes, message, tell};
use lakecast_engine::service::{ExecutorMetrics, TaskOutcome};
use lakecast_engine::sink::{FleetTask, LakeSinkExec};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tracing::Instrument;

/// How often the memory that tasks hold is read.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);

/// Runs tasks by Ballista's engine, watched.
pub(crate) struct WatchedEngine {
    inner: DefaultExecutionEngine,
    executor_id: Arc<str>,
    time_limit: Duration,
    metrics: ExecutorMetrics,
    pools: Pools,
}

impl WatchedEngine {
    /// An engine for the executor of that name. `time_limit` is for one task. Call it inside a tokio runtime.
    pub(crate) fn new(
        inner: DefaultExecutionEngine,
        executor_id: &str,
        time_limit: Duration,
        metrics: ExecutorMetrics,
    ) -> Self {
        let pools = Pools::default();
        let (sampled, gauge) = (pools.clone(), metrics.memory_reserved_bytes.clone());
        tokio::spawn(async move {
            loop {
                gauge.set(i64::try_from(sampled.reserved_bytes()).unwrap_or(i64::MAX));
                tokio::time::sleep(SAMPLE_EVERY).await;
            }
        });
        Self { inner, executor_id: executor_id.into(), time_limit, metrics, pools }
    }
}

impl ExecutionEngine for WatchedEngine {
    fn create_query_stage_exec(
        &self,
        job_id: JobId,
        stage_id: usize,
        task_id: usize,
        global_output_partition_ids: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        let task =
            FleetTask { partitions: global_output_partition_ids.clone().into(), executor_id: self.executor_id.clone() };
        let plan = plan
            .transform_up(|node| match node.downcast_ref::<LakeSinkExec>() {
                Some(sink) => Ok(Transformed::yes(Arc::new(sink.in_task(task.clone())) as Arc<dyn ExecutionPlan>)),
                None => Ok(Transformed::no(node)),
            })?
            .data;
        let sorts = sorts(&plan);
        let span = tracing::info_span!(
            "task",
            job = job_id.as_str(),
            stage = stage_id,
            partition = ?global_output_partition_ids,
            attempt = task_id
        );
        let inner = self.inner.create_query_stage_exec(
            job_id,
            stage_id,
            task_id,
            global_output_partition_ids,
            plan,
            work_dir,
            config,
        )?;
        let (metrics, pools) = (self.metrics.clone(), self.pools.clone());
        Ok(Arc::new(WatchedTask { inner, span, sorts, time_limit: self.time_limit, metrics, pools }))
    }
}

struct WatchedTask {
    inner: Arc<dyn QueryStageExecutor>,
    span: tracing::Span,
    /// Sorts in the plan.
    sorts: usize,
    time_limit: Duration,
    metrics: ExecutorMetrics,
    pools: Pools,
}

impl fmt::Debug for WatchedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Display for WatchedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

#[async_trait]
impl QueryStageExecutor for WatchedTask {
    async fn execute_query_stage(
        &self,
        task_id: usize,
        context: Arc<TaskContext>,
    ) -> Result<Vec<ShuffleWritePartition>> {
        self.pools.add(context.memory_pool());
        let context = with_room_to_merge(context, self.sorts);
        let mut outcome = Outcome::begin(&self.metrics);
        let work = self.inner.execute_query_stage(task_id, context);
        let done = tokio::time::timeout(self.time_limit, work).instrument(self.span.clone()).await;
        let _entered = self.span.enter();
        let done = match done {
            Ok(Ok(written)) => {
                outcome.is(TaskOutcome::Ok);
                Ok(written)
            }
            Ok(Err(e)) => {
                outcome.is(TaskOutcome::Failed);
                Err(reported(e, &self.metrics))
            }
            Err(_) => {
                outcome.is(TaskOutcome::TimedOut);
                let limit = self.time_limit.as_secs();
                let text = format!("a task took longer than its limit: raise --task-timeout-seconds: limit={limit}s");
                Err(DataFusionError::Execution(tell(Fault::Lasting, &text)))
            }
        };
        self.count();
        done
    }

    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        self.inner.collect_plan_metrics()
    }

    fn collect_runtime_stats_reports(&self) -> Vec<RuntimeStatsReport> {
        self.inner.collect_runtime_stats_reports()
    }

    fn collect_window_state_reports(&self) -> Result<Vec<WindowStateReport>> {
        self.inner.collect_window_state_reports()
    }

    fn collect_column_stats(&self) -> Vec<TaskColumnStats> {
        self.inner.collect_column_stats()
    }
}

impl WatchedTask {
    /// Adds what the operators counted. Names of counters are those of our operators.
    fn count(&self) {
        let sum = |set: &MetricsSet, name: &str| set.sum_by_name(name).map_or(0, |v| v.as_usize() as u64);
        for set in &self.inner.collect_plan_metrics() {
            self.metrics.groups.inc_by(sum(set, "groups"));
            self.metrics.groups_refused.inc_by(sum(set, "groups_refused"));
            self.metrics.rows_written.inc_by(sum(set, "rows_written"));
            self.metrics.bytes_written.inc_by(sum(set, "bytes_written"));
            self.metrics.checkpoint_hits.inc_by(sum(set, "checkpoints_found"));
            self.metrics.spilled_bytes.inc_by(set.spilled_bytes().unwrap_or(0) as u64);
            if sum(set, "bytes_scanned") > 0 {
                self.metrics.rows_read.inc_by(set.output_rows().unwrap_or(0) as u64);
            }
        }
    }
}

fn sorts(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let below: usize = plan.children().into_iter().map(sorts).sum();
    below + usize::from(plan.is::<SortExec>())
}

/// The context with half of the task's memory set aside for merging what its sorts hold. With DataFusion's fixed 10 MiB a sort
/// fills all memory and then finds none to merge with: a partition that just fits fails, where a larger one spills.
fn with_room_to_merge(context: Arc<TaskContext>, sorts: usize) -> Arc<TaskContext> {
    let MemoryLimit::Finite(bytes) = context.memory_pool().memory_limit() else { return context };
    match Arc::try_unwrap(context) {
        Ok(own) => {
            let config = own.session_config().clone().with_sort_spill_reservation_bytes(bytes / (2 * sorts.max(1)));
            Arc::new(own.with_session_config(config))
        }
        // Whoever shares it keeps the default.
        Err(shared) => shared,
    }
}

/// A failure as the scheduler must see it: one that may pass is retried, one of a shuffle fetch is left to Ballista.
fn reported(error: DataFusionError, metrics: &ExecutorMetrics) -> DataFusionError {
    if is_ballistas(&error) {
        tracing::warn!("task failed: {error}");
        return error;
    }
    let message = message(&error);
    match Fault::of(&error) {
        Fault::Passing => {
            metrics.task_retries.inc();
            tracing::warn!("task failed, it may be tried again: {message}");
            DataFusionError::IoError(io::Error::other(tell(Fault::Passing, &message)))
        }
        Fault::Lasting => {
            tracing::error!("task failed: {message}");
            DataFusionError::Execution(tell(Fault::Lasting, &message))
        }
    }
}

/// Whether the failure is one of Ballista's own, and no more than its wrapper around another.
fn is_ballistas(error: &DataFusionError) -> bool {
    use BallistaError::{ArrowError, DataFusionError, IoError};
    let own = |e: &BallistaError| !matches!(e, DataFusionError(_) | ArrowError(_) | IoError(_));
    causes(error).any(|cause| cause.downcast_ref().is_some_and(own))
}

/// How a task ended; one that is dropped before anybody says so was cancelled.
struct Outcome {
    metrics: ExecutorMetrics,
    started: Instant,
    outcome: TaskOutcome,
}

impl Outcome {
    fn begin(metrics: &ExecutorMetrics) -> Self {
        metrics.tasks_running.inc();
        Self { metrics: metrics.clone(), started: Instant::now(), outcome: TaskOutcome::Cancelled }
    }

    fn is(&mut self, outcome: TaskOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.metrics.tasks_running.dec();
        self.metrics.task_ended(self.outcome, self.started.elapsed());
    }
}

/// The memory pools of the tasks under way.
#[derive(Clone, Default)]
struct Pools(Arc<Mutex<Vec<Weak<dyn MemoryPool>>>>);

impl Pools {
    fn add(&self, pool: &Arc<dyn MemoryPool>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(pool));
    }

    fn reserved_bytes(&self) -> usize {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.iter().filter_map(Weak::upgrade).map(|pool| pool.reserved()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapper_of_ballista_is_not_a_failure_of_ballista() {
        let fetch = || BallistaError::FetchFailed("lakecast-1".into(), 1, 2, "away".into()).into_datafusion();
        assert!(is_ballistas(&fetch()));
        assert!(is_ballistas(&BallistaError::DataFusionError(Box::new(fetch())).into_datafusion()));
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(!is_ballistas(&BallistaError::IoError(full).into_datafusion()));
        assert!(!is_ballistas(&DataFusionError::Execution("bad row".into())));
    }
}
