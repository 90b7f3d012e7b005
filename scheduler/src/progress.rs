//! `GET /lakecast/job/{id}`: how far a job is. In: the scheduler's graph of the job. Out: [`JobProgress`] as JSON.

use crate::cluster::{FailFast, Server};
use ballista_core::JobId;
use ballista_core::serde::protobuf::task_status::Status;
use ballista_scheduler::cluster::{ClusterState, JobState};
use ballista_scheduler::state::execution_graph::ExecutionGraph;
use ballista_scheduler::state::execution_stage::ExecutionStage;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use lakecast_engine::fleet::{JobProgress, StageProgress};
use lakecast_engine::group_map::GroupMapExec;
use lakecast_engine::sink::LakeSinkExec;
use std::sync::Arc;

/// Where the numbers come from.
#[derive(Clone)]
pub(crate) struct Progress {
    pub(crate) server: Server,
    pub(crate) jobs: Arc<dyn JobState>,
    pub(crate) cluster: Arc<FailFast>,
}

impl Progress {
    /// How far `job` is; without stages while it is planned or if nobody knows it.
    pub(crate) async fn of(&self, job: &str) -> JobProgress {
        let id = JobId::new(job);
        let mut progress = JobProgress {
            job_id: job.to_string(),
            gone: self.cluster.gone(&id),
            executors: self.cluster.executor_heartbeats().into_keys().collect(),
            ..JobProgress::default()
        };
        progress.executors.sort();
        if let Some(info) = self.server.state.task_manager.get_running_job_cache().get(&id) {
            progress.stages = stages(info.execution_graph.read().await.as_ref());
        } else if let Ok(Some(graph)) = self.jobs.get_execution_graph(&id).await {
            progress.stages = stages(graph.as_ref());
        }
        progress
    }
}

fn stages(graph: &dyn ExecutionGraph) -> Vec<StageProgress> {
    let mut all: Vec<_> = graph.stages().iter().map(|(number, stage)| progress_of(*number, stage)).collect();
    all.sort_by_key(|s| s.stage);
    all
}

fn progress_of(number: usize, stage: &ExecutionStage) -> StageProgress {
    let mut progress = StageProgress { stage: number, ..StageProgress::default() };
    let (partitions, metrics): (usize, &[MetricsSet]) = match stage {
        ExecutionStage::Running(s) => (s.partitions, s.stage_metrics.as_deref().unwrap_or_default()),
        ExecutionStage::Successful(s) => (s.partitions, &s.stage_metrics),
        ExecutionStage::Failed(s) => (s.partitions, s.stage_metrics.as_deref().unwrap_or_default()),
        ExecutionStage::Resolved(s) => (s.partitions, &[]),
        ExecutionStage::UnResolved(s) => (s.plan.properties().output_partitioning().partition_count(), &[]),
    };
    progress.partitions = partitions;
    for task in stage.task_infos().unwrap_or_default() {
        match task.task_status {
            Status::Running(_) => progress.running += 1,
            Status::Successful(_) => progress.done += task.global_input_partition_ids.len(),
            Status::Failed(_) => progress.retries += 1,
        }
    }
    let mut at = 0;
    add(&mut progress, stage.plan(), metrics, &mut at);
    progress
}

/// Adds the counts of `plan` and what is below it. Ballista keeps metrics as a list, in the order of this walk.
fn add(progress: &mut StageProgress, plan: &dyn ExecutionPlan, metrics: &[MetricsSet], at: &mut usize) {
    progress.is_sink |= plan.is::<LakeSinkExec>();
    if plan.metrics().is_some() {
        if let Some(of_plan) = metrics.get(*at) {
            let sum = |name: &str| of_plan.sum_by_name(name).map_or(0, |v| v.as_usize() as u64);
            if plan.is::<GroupMapExec>() {
                progress.groups += sum("groups");
                progress.groups_refused += sum("groups_refused");
            }
            if plan.is::<LakeSinkExec>() {
                progress.rows_written += sum("rows_written");
                progress.bytes_written += sum("bytes_written");
                progress.checkpoints_found += sum("checkpoints_found");
            }
            if plan.name() == "DataSourceExec" {
                progress.rows_read += of_plan.output_rows().unwrap_or(0) as u64;
            }
        }
        *at += 1;
    }
    for child in plan.children() {
        add(progress, child.as_ref(), metrics, at);
    }
}
