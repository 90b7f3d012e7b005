//! How an executor ends. In: SIGTERM or SIGINT. Out: tasks end or are given back, and shuffle files are served until no job
//! needs them, all within the grace period.

use crate::work_dir::WorkDir;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{GetJobStatusParams, JobStatus};
use lakecast_engine::cancel::Cancel;
use lakecast_engine::fleet::connections;
use lakecast_engine::service::terminated;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tonic::transport::{Channel, Endpoint};

/// Time to give tasks back before the end.
const GIVE_BACK: Duration = Duration::from_secs(2);
/// How often the scheduler is asked whether jobs still need files from here.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Whether the process was asked to end, and when it must have ended.
#[derive(Clone)]
pub(crate) struct Drain {
    asked: Arc<AtomicBool>,
    grace: Duration,
}

impl Drain {
    /// Watches signals from now on. Tasks that outlast the grace period are stopped through `cancel`, so that they note
    /// their end, and then the process ends. Call it inside a tokio runtime.
    pub(crate) fn watch(grace: Duration, cancel: Cancel) -> Self {
        let drain = Self { asked: Arc::default(), grace };
        let watched = drain.clone();
        tokio::spawn(async move {
            let signal = terminated().await;
            watched.asked.store(true, Ordering::Relaxed);
            tracing::info!(signal, "draining: no new task, grace={}s", watched.grace.as_secs());
            tokio::time::sleep(watched.grace.saturating_sub(GIVE_BACK)).await;
            tracing::warn!("the grace period ends: what is under way is given back");
            cancel.cancel();
            tokio::time::sleep(GIVE_BACK).await;
            std::process::exit(0);
        });
        drain
    }

    /// Whether a signal came.
    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Waits until the end was asked for while the executor is idle in the given way, as one that no scheduler knows.
    pub(crate) async fn asked_while(&self, idle: impl Fn() -> bool) {
        while !(self.asked() && idle()) {
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Waits until no job needs the shuffle files of `dir`, at most for the grace period (the watcher ends the process).
    pub(crate) async fn linger(&self, dir: &WorkDir, scheduler: &str) {
        let started = Instant::now();
        while !dir.jobs().is_empty() && needed(dir, scheduler).await {
            tokio::time::sleep(ASK_EVERY).await;
        }
        tracing::info!("drained: no job needs files from here, waited={:.1}s", started.elapsed().as_secs_f64());
    }
}

/// Whether a job that has files here still runs. A scheduler that does not answer has forgotten all jobs.
async fn needed(dir: &WorkDir, scheduler: &str) -> bool {
    let Some(mut client) = client(scheduler).await else { return false };
    for job_id in dir.jobs() {
        if matches!(status(&mut client, job_id).await, Some(Status::Running(_) | Status::Queued(_))) {
            return true;
        }
    }
    false
}

/// What became of a job; `None` if the scheduler does not know it or does not answer.
pub(crate) async fn status(client: &mut SchedulerGrpcClient<Channel>, job_id: String) -> Option<Status> {
    let asked = client.get_job_status(GetJobStatusParams { job_id }).await;
    let status: Option<JobStatus> = asked.ok().and_then(|answer| answer.into_inner().status);
    status.and_then(|s| s.status)
}

/// A connection to the scheduler; `None` if it does not answer.
pub(crate) async fn client(scheduler: &str) -> Option<SchedulerGrpcClient<Channel>> {
    let endpoint = Endpoint::from_shared(format!("http://{scheduler}")).ok()?;
    let endpoint = connections()(endpoint).ok()?;
    Some(SchedulerGrpcClient::new(endpoint.connect().await.ok()?))
}
