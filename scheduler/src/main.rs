//! `lakecast-scheduler`: Ballista's scheduler with lakecast's session. In: jobs from clients. Out: tasks for executors.

use axum::{Router, routing::get};
use ballista_core::config::TaskSchedulingPolicy;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::start_server;
use clap::Parser;
use lakecast_engine::fleet::{fleet_state, new_fleet_config};
use lakecast_engine::functions::Functions;
use lakecast_engine::group_map::{LogicalCodec, PhysicalCodec};
use lakecast_engine::store::Stores;
use std::net::SocketAddr;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Deep plans recurse; Rust's default of 2 MiB is too little for them.
const THREAD_STACK_BYTES: usize = 32 << 20;

/// Plans lakecast jobs and hands their tasks to executors.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Address for clients and executors (gRPC).
    #[arg(long, env = "LAKECAST_SCHEDULER_BIND", default_value = "127.0.0.1:50050")]
    bind: SocketAddr,
    /// Address of the health probe: `GET /healthz` answers 200 while the process runs.
    #[arg(long, env = "LAKECAST_SCHEDULER_HEALTH", default_value = "127.0.0.1:50080")]
    health: SocketAddr,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(THREAD_STACK_BYTES).build()?;
    runtime.block_on(serve(Cli::parse()))
}

async fn serve(cli: Cli) -> Result<(), Box<dyn std::error::Error>> {
    let (functions, stores) = (Functions::default(), Arc::new(Stores::default()));
    let for_sessions = functions.clone();
    let config = SchedulerConfig {
        bind_host: cli.bind.ip().to_string(),
        bind_port: cli.bind.port(),
        external_host: cli.bind.ip().to_string(),
        scheduling_policy: TaskSchedulingPolicy::PushStaged,
        // Ballista's roll-back of a stage duplicates rows: a failed fetch fails the job, and the client runs it again.
        stage_max_failures: 1,
        override_config_producer: Some(Arc::new(new_fleet_config)),
        override_session_builder: Some(Arc::new(move |c| fleet_state(c, &for_sessions, &stores))),
        override_logical_codec: Some(Arc::new(LogicalCodec::new(functions.clone()))),
        override_physical_codec: Some(Arc::new(PhysicalCodec::new(functions))),
        ..SchedulerConfig::default()
    };
    let cluster = BallistaCluster::new_from_config(&config).await?;
    let probe = tokio::net::TcpListener::bind(cli.health).await?;
    tokio::spawn(async move {
        let router = Router::new().route("/healthz", get(|| async { "ok" }));
        if let Err(e) = axum::serve(probe, router).await {
            tracing::error!("health probe ended: {e}");
        }
    });
    Ok(start_server(cluster, cli.bind, Arc::new(config)).await?)
}
