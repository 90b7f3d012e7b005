//! `lakecast-executor`: Ballista's executor with lakecast's session. In: tasks. Out: shuffle files, and Parquet by the sink.

use axum::http::StatusCode;
use axum::{Router, routing::get};
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use clap::Parser;
use lakecast_engine::fleet::{fleet_runtime, fleet_state, new_fleet_config};
use lakecast_engine::functions::Functions;
use lakecast_engine::group_map::{LogicalCodec, PhysicalCodec};
use lakecast_engine::store::Stores;
use std::net::SocketAddr;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Deep plans recurse; Rust's default of 2 MiB is too little for them.
const THREAD_STACK_BYTES: usize = 32 << 20;

/// Runs tasks of lakecast jobs.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Host of the scheduler.
    #[arg(long, env = "LAKECAST_SCHEDULER_HOST", default_value = "127.0.0.1")]
    scheduler_host: String,
    /// Port of the scheduler.
    #[arg(long, env = "LAKECAST_SCHEDULER_PORT", default_value_t = 50050)]
    scheduler_port: u16,
    /// Host that other executors and clients reach this one by, and that it binds.
    #[arg(long, env = "LAKECAST_EXECUTOR_HOST", default_value = "127.0.0.1")]
    host: String,
    /// Port for shuffle data (Arrow Flight).
    #[arg(long, env = "LAKECAST_EXECUTOR_PORT", default_value_t = 50051)]
    port: u16,
    /// Port for tasks (gRPC).
    #[arg(long, env = "LAKECAST_EXECUTOR_GRPC_PORT", default_value_t = 50052)]
    grpc_port: u16,
    /// Address of the probes: `/healthz` answers while the process runs, `/readyz` while the scheduler knows it.
    #[arg(long, env = "LAKECAST_EXECUTOR_HEALTH", default_value = "127.0.0.1:50081")]
    health: SocketAddr,
    /// Tasks at a time.
    #[arg(long, env = "LAKECAST_EXECUTOR_VCORES", default_value_t = 2)]
    vcores: usize,
    /// Folder for shuffle files and spills.
    #[arg(long, env = "LAKECAST_EXECUTOR_WORK_DIR")]
    work_dir: String,
    /// Memory that operators may reserve, in bytes.
    #[arg(long, env = "LAKECAST_EXECUTOR_MEMORY_BYTES", default_value_t = 2 << 30)]
    memory_bytes: u64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(THREAD_STACK_BYTES).build()?;
    runtime.block_on(serve(Cli::parse()))
}

async fn serve(cli: Cli) -> Result<(), Box<dyn std::error::Error>> {
    let (functions, stores) = (Functions::default(), Arc::new(Stores::default()));
    let state = fleet_state(new_fleet_config(), &functions, &stores)?;
    let config = ExecutorProcessConfig {
        bind_host: cli.host.clone(),
        external_host: Some(cli.host),
        port: cli.port,
        grpc_port: cli.grpc_port,
        scheduler_host: cli.scheduler_host,
        scheduler_port: cli.scheduler_port,
        scheduler_connect_timeout_seconds: 60,
        vcores: cli.vcores,
        task_scheduling_policy: TaskSchedulingPolicy::PushStaged,
        work_dir: Some(cli.work_dir),
        memory_pool_size: Some(cli.memory_bytes),
        executor_heartbeat_interval_seconds: 10,
        override_function_registry: Some(Arc::new(BallistaFunctionRegistry::from(&state))),
        override_runtime_producer: Some(Arc::new(move |_| fleet_runtime(&stores))),
        override_config_producer: Some(Arc::new(new_fleet_config)),
        override_logical_codec: Some(Arc::new(LogicalCodec::new(functions.clone()))),
        override_physical_codec: Some(Arc::new(PhysicalCodec::new(functions))),
        ..ExecutorProcessConfig::default()
    };
    let ready = config.health.clone();
    let probe = tokio::net::TcpListener::bind(cli.health).await?;
    tokio::spawn(async move {
        let readyz =
            move || async move { if ready.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE } };
        let router = Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(readyz));
        if let Err(e) = axum::serve(probe, router).await {
            tracing::error!("health probe ended: {e}");
        }
    });
    Ok(start_executor_process(Arc::new(config)).await?)
}
