//! Fail-fast cluster state: a lost executor ends the jobs that it had a part in, and no vcore is ever lost.
//!
//! In: registrations, losses and bindings from Ballista's scheduler. Out: the same by its in-memory state, with three
//! differences. Ballista's own way, to roll stages back, duplicates rows or hangs; so the jobs are cancelled before it
//! begins, and their controllers submit them again, with finished partitions found in the lake. Vcores that Ballista
//! forgets to return are returned. Executors of another lakecast version are refused.

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::error::{BallistaError, Result};
use ballista_core::serde::protobuf::task_status::Status;
use ballista_core::serde::protobuf::{ExecutorHeartbeat, RunningTask, SuccessfulTask};
use ballista_core::serde::scheduler::{ExecutorData, ExecutorMetadata};
use ballista_scheduler::cluster::memory::InMemoryClusterState;
use ballista_scheduler::cluster::{BoundTask, ClusterState, ClusterStateEventStream, ExecutorSlot};
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::scheduler_server::SchedulerServer;
use ballista_scheduler::state::execution_graph::ExecutionGraph;
use ballista_scheduler::state::task_manager::JobInfoCache;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use lakecast_engine::fleet::{ExecutorGone, VERSION, is_of_this_version};
use lakecast_engine::service::SchedulerMetrics;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Ballista's scheduler for DataFusion's plans.
pub(crate) type Server = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

/// Jobs whose losses are remembered; older ones are forgotten.
const JOBS_REMEMBERED: usize = 1024;

/// Ballista's in-memory cluster state, failing fast.
pub(crate) struct FailFast {
    inner: InMemoryClusterState,
    /// The scheduler that owns this state; set once, right after it is made.
    server: OnceLock<Server>,
    /// Vcores that are bound on each executor, as far as this state was told.
    bound: Mutex<HashMap<String, u32>>,
    /// The last jobs that lost an executor, oldest first.
    gone: Mutex<Vec<(JobId, ExecutorGone)>>,
    metrics: SchedulerMetrics,
}

impl FailFast {
    pub(crate) fn new(metrics: SchedulerMetrics) -> Self {
        Self {
            inner: InMemoryClusterState::default(),
            server: OnceLock::new(),
            bound: Mutex::default(),
            gone: Mutex::default(),
            metrics,
        }
    }

    /// Names the scheduler whose jobs are cancelled.
    pub(crate) fn serve(&self, server: Server) {
        // Set twice only by a second call, which there is none of.
        let _ = self.server.set(server);
    }

    /// The executors that `job` lost.
    pub(crate) fn gone(&self, job: &JobId) -> Vec<ExecutorGone> {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.iter().filter(|(of, _)| of == job).map(|(_, gone)| gone.clone()).collect()
    }

    /// Cancels every job that has or had a task on the executor: its shuffle files went with it.
    async fn cancel_jobs_of(&self, executor_id: &str) {
        let Some(server) = self.server.get() else { return };
        for (job, info) in server.state.task_manager.get_running_job_cache().iter() {
            if !uses(info.execution_graph.read().await.as_ref(), executor_id) {
                continue;
            }
            tracing::warn!(job = job.as_str(), executor = executor_id, "executor lost, its job is given back");
            let reason = "no heartbeat in time, stopped, or not reachable".to_string();
            let gone = ExecutorGone { executor_id: executor_id.to_string(), reason };
            {
                let mut all = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
                all.push((job.clone(), gone));
                let surplus = all.len().saturating_sub(JOBS_REMEMBERED);
                all.drain(..surplus);
            }
            if let Err(e) = server.cancel_job(job.clone()).await {
                tracing::error!(job = job.as_str(), "cannot cancel the job of a lost executor: {e}");
            }
        }
    }

    /// Returns what is bound here but runs nowhere. Called before every binding, by the scheduler's one event loop.
    async fn heal(&self, active: &HashMap<JobId, JobInfoCache>) -> Result<()> {
        let mut running: HashMap<String, u32> = HashMap::new();
        for info in active.values() {
            let graph = info.execution_graph.read().await;
            for task in graph.running_tasks() {
                *running.entry(task.executor_id).or_default() +=
                    graph.task_vcores(task.stage_id, task.task_id).unwrap_or(0);
            }
        }
        let lost = {
            let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
            lost_vcores(&mut bound, &running)
        };
        if lost.is_empty() {
            return Ok(());
        }
        let sum: u32 = lost.iter().map(|(_, n)| n).sum();
        tracing::warn!("returned vcores that no task holds: {lost:?}");
        self.metrics.vcores_healed.inc_by(u64::from(sum));
        self.inner.unbind_tasks(lost).await
    }
}

/// Whether a task of the job runs or ran on the executor.
fn uses(graph: &dyn ExecutionGraph, executor_id: &str) -> bool {
    let on_it = |status: &Status| match status {
        Status::Running(RunningTask { executor_id: on }) => on == executor_id,
        Status::Successful(SuccessfulTask { executor_id: on, .. }) => on == executor_id,
        Status::Failed(_) => false,
    };
    graph.stages().values().filter_map(|s| s.task_infos()).flatten().any(|task| on_it(&task.task_status))
}

/// What is bound beyond what runs, by executor; `bound` is set to what runs.
fn lost_vcores(bound: &mut HashMap<String, u32>, running: &HashMap<String, u32>) -> Vec<ExecutorSlot> {
    let mut lost = vec![];
    for (executor, n) in bound.iter_mut() {
        let runs = running.get(executor).copied().unwrap_or(0);
        if *n > runs {
            lost.push((executor.clone(), *n - runs));
            *n = runs;
        }
    }
    lost
}

/// Takes `slots` off what is bound; what was not bound is not returned twice.
fn clamp(bound: &mut HashMap<String, u32>, slots: Vec<ExecutorSlot>) -> Vec<ExecutorSlot> {
    let take = |(executor, n): ExecutorSlot| {
        let held = bound.get_mut(&executor)?;
        let n = n.min(*held);
        *held -= n;
        Some((executor, n))
    };
    slots.into_iter().filter_map(take).collect()
}

#[async_trait]
impl ClusterState for FailFast {
    async fn init(&self) -> Result<()> {
        self.inner.init().await
    }

    async fn bind_schedulable_tasks(
        &self,
        distribution: TaskDistributionPolicy,
        active_jobs: Arc<HashMap<JobId, JobInfoCache>>,
        executors: Option<HashSet<String>>,
    ) -> Result<Vec<BoundTask>> {
        self.heal(&active_jobs).await?;
        let tasks = self.inner.bind_schedulable_tasks(distribution, active_jobs, executors).await?;
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        for (executor, task) in &tasks {
            // A stage begins with its first task.
            self.metrics.stages.inc_by(u64::from(task.key.task_id == 0));
            *bound.entry(executor.clone()).or_default() += task.vcores_consumed;
        }
        Ok(tasks)
    }

    async fn unbind_tasks(&self, slots: Vec<ExecutorSlot>) -> Result<()> {
        let slots = clamp(&mut self.bound.lock().unwrap_or_else(PoisonError::into_inner), slots);
        self.inner.unbind_tasks(slots).await
    }

    async fn register_executor(&self, metadata: ExecutorMetadata, spec: ExecutorData) -> Result<()> {
        if !is_of_this_version(&metadata.id) {
            tracing::warn!(executor = metadata.id, "refused an executor of another version: here={VERSION}");
            return Err(BallistaError::Configuration(format!(
                "scheduler and executors must be of the same lakecast version: scheduler={VERSION}, executor={}",
                metadata.id
            )));
        }
        let id = metadata.id.clone();
        self.inner.register_executor(metadata, spec).await?;
        self.bound.lock().unwrap_or_else(PoisonError::into_inner).insert(id, 0);
        self.metrics.executors.inc();
        Ok(())
    }

    async fn save_executor_metadata(&self, metadata: ExecutorMetadata) -> Result<()> {
        self.inner.save_executor_metadata(metadata).await
    }

    async fn get_executor_metadata(&self, executor_id: &str) -> Result<ExecutorMetadata> {
        self.inner.get_executor_metadata(executor_id).await
    }

    async fn registered_executor_metadata(&self) -> Vec<ExecutorMetadata> {
        self.inner.registered_executor_metadata().await
    }

    async fn save_executor_heartbeat(&self, heartbeat: ExecutorHeartbeat) -> Result<()> {
        self.inner.save_executor_heartbeat(heartbeat).await
    }

    async fn remove_executor(&self, executor_id: &str) -> Result<()> {
        // First of all it is unknown, so that no cancellation waits for its answer.
        self.inner.remove_executor(executor_id).await?;
        if self.bound.lock().unwrap_or_else(PoisonError::into_inner).remove(executor_id).is_some() {
            self.metrics.executors.dec();
            self.metrics.executors_lost.inc();
        }
        // Before this returns and the loss is posted: the event queue keeps the order, so the cancellation comes first.
        self.cancel_jobs_of(executor_id).await;
        Ok(())
    }

    fn executor_heartbeats(&self) -> HashMap<String, ExecutorHeartbeat> {
        self.inner.executor_heartbeats()
    }

    fn get_executor_heartbeat(&self, executor_id: &str) -> Option<ExecutorHeartbeat> {
        self.inner.get_executor_heartbeat(executor_id)
    }

    async fn cluster_state_events(&self) -> Result<ClusterStateEventStream> {
        self.inner.cluster_state_events().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(of: &[(&str, u32)]) -> HashMap<String, u32> {
        of.iter().map(|(e, n)| (e.to_string(), *n)).collect()
    }

    #[test]
    fn vcores_that_no_task_holds_are_returned_once() {
        let mut bound = map(&[("a", 4), ("b", 2), ("c", 0)]);
        let running = map(&[("a", 1), ("b", 2)]);
        assert_eq!(lost_vcores(&mut bound, &running), [("a".to_string(), 3)]);
        assert_eq!(bound, map(&[("a", 1), ("b", 2), ("c", 0)]));
        assert!(lost_vcores(&mut bound, &running).is_empty());
    }

    #[test]
    fn what_was_not_bound_is_not_returned() {
        let mut bound = map(&[("a", 2)]);
        let slots = vec![("a".to_string(), 3), ("gone".to_string(), 1)];
        assert_eq!(clamp(&mut bound, slots), [("a".to_string(), 2)]);
        assert_eq!(bound, map(&[("a", 0)]));
    }
}
