//! `lakecast-scheduler`: Ballista's scheduler with lakecast's session. In: jobs from clients. Out: tasks for executors.

mod cluster;
mod counting;
mod progress;
mod router;
mod settings;

use async_trait::async_trait;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::serde::BallistaCodec;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::cluster::memory::InMemoryJobState;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use ballista_scheduler::scheduler_server::{JobIdGenerator, SchedulerServer, SessionBuilder};
use cluster::{FailFast, Server};
use counting::Counting;
use lakecast_engine::fleet;
use lakecast_engine::functions::Functions;
use lakecast_engine::group_map::{LogicalCodec, PhysicalCodec};
use lakecast_engine::service::{self, SchedulerMetrics};
use progress::Progress;
use router::{Draining, router};
use settings::Settings;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often numbers that nobody reports are read.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// How often a stopping scheduler looks whether its jobs have ended.
const LOOK_EVERY: Duration = Duration::from_millis(200);

type Failed = Box<dyn Error>;

fn main() -> ExitCode {
    let settings: Settings = service::parse(std::env::args_os());
    let ended = service::start_logs(&settings.common.log_level, settings.common.log_format)
        .map_err(Failed::from)
        .and_then(|()| Ok(service::runtime()?))
        .and_then(|runtime| runtime.block_on(serve(&settings)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("lakecast-scheduler: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: &Settings) -> Result<(), Failed> {
    let metrics = SchedulerMetrics::register()?;
    let cluster = Arc::new(FailFast::new(metrics.clone()));
    let config = Arc::new(config(settings)?);
    let (server, jobs) = server(&config, &cluster, metrics.clone()).await?;
    cluster.serve(server.clone());
    let draining = Draining::default();
    let progress = Progress { server: server.clone(), jobs, cluster };
    let listener = service::bind("--bind", settings.bind).await?;
    let probes = service::bind("--health", settings.health).await?;
    let ready = server.clone();
    tokio::spawn(service::serve(probes, Arc::new(move || ready.is_ready())));
    tokio::spawn(sample(server.clone(), metrics));
    let app = router(server.clone(), progress, draining.clone()).into_make_service_with_connect_info::<SocketAddr>();
    tracing::info!("listening, version={}, address={}", fleet::VERSION, settings.bind);
    tokio::select! {
        served = axum::serve(listener, app) => Ok(served?),
        () = drained(&server, &draining, Duration::from_secs(settings.grace_seconds)) => Ok(()),
    }
}

fn config(settings: &Settings) -> Result<SchedulerConfig, Failed> {
    let (functions, stores) = (Functions::default(), settings.common.stores()?);
    // Asserted here, so that a Ballista which renamed a setting is noticed before any job.
    fleet::assert_forced(&fleet::new_fleet_config())?;
    let for_sessions = functions.clone();
    Ok(SchedulerConfig {
        bind_host: settings.bind.ip().to_string(),
        bind_port: settings.bind.port(),
        external_host: settings.reached_by()?,
        scheduling_policy: TaskSchedulingPolicy::PushStaged,
        // Tasks of one job go to all executors, so that a small job is not packed on the first.
        task_distribution: TaskDistributionPolicy::RoundRobin,
        // Ballista's roll-back of a stage duplicates rows: a failed fetch fails the job, and the controller submits it again.
        stage_max_failures: 1,
        task_max_failures: settings.task_attempts as usize,
        executor_timeout_seconds: settings.executor_timeout_seconds,
        expire_dead_executor_interval_seconds: settings.expire_seconds,
        executor_termination_grace_period: settings.termination_grace_seconds,
        no_executors_grace_period_seconds: settings.no_executors_seconds,
        finished_job_state_clean_up_interval_seconds: settings.job_ttl_seconds,
        grpc_server_max_decoding_message_size: fleet::MESSAGE_BYTES_MAX,
        grpc_server_max_encoding_message_size: fleet::MESSAGE_BYTES_MAX,
        grpc_client_max_message_size: fleet::MESSAGE_BYTES_MAX,
        min_ready_executors: settings.min_executors,
        // No page of another host may ask.
        cors_allowed_origins: "http://localhost".to_string(),
        override_config_producer: Some(Arc::new(fleet::new_fleet_config)),
        override_session_builder: Some(Arc::new(move |c| fleet::fleet_state(c, &for_sessions, &stores))),
        override_logical_codec: Some(Arc::new(LogicalCodec::new(functions.clone()))),
        override_physical_codec: Some(Arc::new(PhysicalCodec::new(functions))),
        override_create_grpc_client_endpoint: Some(fleet::connections()),
        job_id_generator: Some(Arc::new(RandomIds)),
        ..SchedulerConfig::default()
    })
}

/// Job ids of 128 random bits: who knows one may read the job's shuffle files.
struct RandomIds;

#[async_trait]
impl JobIdGenerator for RandomIds {
    async fn next_id(&self) -> String {
        // A version 4 UUID has six fixed bits; those of the second lie elsewhere after the rotation.
        let bits = Uuid::new_v4().as_u128() ^ Uuid::new_v4().as_u128().rotate_left(32);
        format!("{bits:032x}")
    }
}

async fn server(
    config: &Arc<SchedulerConfig>,
    cluster: &Arc<FailFast>,
    metrics: SchedulerMetrics,
) -> Result<(Server, Arc<InMemoryJobState>), Failed> {
    let missing = || Failed::from("the scheduler has no session builder");
    let builder: SessionBuilder = config.override_session_builder.clone().ok_or_else(missing)?;
    let producer = config.override_config_producer.clone().ok_or_else(missing)?;
    let jobs = Arc::new(InMemoryJobState::new(config.scheduler_id.clone(), builder, producer));
    let codec = BallistaCodec::new(
        config.override_logical_codec.clone().ok_or_else(missing)?,
        config.override_physical_codec.clone().ok_or_else(missing)?,
    );
    let cluster = BallistaCluster::new(Arc::clone(cluster) as _, Arc::clone(&jobs) as _);
    let mut server = SchedulerServer::new(
        config.scheduler_endpoint(),
        cluster,
        codec,
        Arc::clone(config),
        Arc::new(Counting(metrics)),
    );
    server.init().await?;
    Ok((server, jobs))
}

async fn sample(server: Server, metrics: SchedulerMetrics) {
    loop {
        metrics.jobs_running.set(i64::try_from(server.running_job_number()).unwrap_or(i64::MAX));
        tokio::time::sleep(SAMPLE_EVERY).await;
    }
}

/// Resolves when a signal came and no job runs any more, or the grace period is over.
async fn drained(server: &Server, draining: &Draining, grace: Duration) {
    let signal = service::terminated().await;
    draining.start();
    tracing::info!(signal, "stopping: no new job, jobs={}, grace={}s", server.running_job_number(), grace.as_secs());
    let ended = async {
        while server.running_job_number() + server.pending_job_number() > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    if tokio::time::timeout(grace, ended).await.is_err() {
        tracing::warn!("the grace period ends: controllers submit what is under way again");
    }
}
