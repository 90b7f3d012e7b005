//! `lakecast-executor`: Ballista's executor with lakecast's session. In: tasks. Out: shuffle files, and Parquet by the sink.

mod connections;
mod drain;
mod flight;
mod settings;
mod tasks;
mod work_dir;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::extension::SessionConfigExt;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_executor::execution_engine::DefaultExecutionEngine;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionConfig;
use drain::Drain;
use lakecast_engine::cancel::Cancel;
use lakecast_engine::fleet;
use lakecast_engine::functions::Functions;
use lakecast_engine::group_map::{LogicalCodec, PhysicalCodec};
use lakecast_engine::service::{self, ExecutorMetrics};
use settings::Settings;
use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;
use tasks::WatchedEngine;
use tokio::sync::watch;
use work_dir::WorkDir;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Ballista makes threads of its own for tasks, whose stacks only this variable sizes.
const STACK: (&str, &str) = ("RUST_MIN_STACK", "33554432");
/// Pause before coming back to a scheduler that was lost or that gave this executor up.
const COME_BACK_AFTER: Duration = Duration::from_secs(1);
/// How long one try to reach the scheduler lasts.
const CONNECT_SECONDS: u16 = 60;

type Failed = Box<dyn Error>;

fn main() -> ExitCode {
    if std::env::var_os(STACK.0).is_none() {
        return start_again();
    }
    let settings: Settings = service::parse(std::env::args_os());
    let ended = service::start_logs(&settings.common.log_level, settings.common.log_format)
        .map_err(Failed::from)
        .and_then(|()| Ok(service::runtime()?))
        .and_then(|runtime| runtime.block_on(serve(settings)));
    match ended {
        Ok(Ended::Drained) => ExitCode::SUCCESS,
        Ok(Ended::GivenUp) => {
            std::thread::sleep(COME_BACK_AFTER);
            start_again()
        }
        Err(e) => {
            eprintln!("lakecast-executor: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Replaces the process by a fresh one of the same arguments. Ballista keeps in a static that it ends, so that a process
/// cannot begin twice.
fn start_again() -> ExitCode {
    let Ok(program) = std::env::current_exe() else { return ExitCode::FAILURE };
    let failed = Command::new(program).args(std::env::args_os().skip(1)).env(STACK.0, STACK.1).exec();
    eprintln!("lakecast-executor: cannot start again: {failed}");
    ExitCode::FAILURE
}

enum Ended {
    /// A signal asked for it.
    Drained,
    /// The scheduler is gone, or gave this executor up.
    GivenUp,
}

async fn serve(settings: Settings) -> Result<Ended, Failed> {
    let (scheduler_host, scheduler_port) = settings.scheduler.clone();
    let scheduler = format!("{scheduler_host}:{scheduler_port}");
    let dir = WorkDir::take(&settings.work_dir)?;
    // Ballista binds these late and ends without saying so: a port that is taken is told before anything begins.
    for (flag, port) in [("--port", settings.port), ("--grpc-port", settings.grpc_port)] {
        drop(service::bind(flag, (settings.bind, port).into()).await?);
    }
    let cancel = Cancel::default();
    let drain = Drain::watch(Duration::from_secs(settings.grace_seconds), cancel.clone());
    tokio::spawn(WorkDir::keep_tidy(dir.text()?.into(), Duration::from_secs(settings.shuffle_ttl_seconds)));
    tokio::spawn(WorkDir::drop_failed(dir.text()?.into(), scheduler.clone()));
    let (over, until_over) = watch::channel(false);
    let config = config(&settings, &dir, cancel, until_over, scheduler_host, scheduler_port)?;
    let health = config.health.clone();
    let id = config.executor_id.clone();
    let probes = service::bind("--health", settings.health).await?;
    let (ready, known) = (health.clone(), health);
    tokio::spawn(service::serve(probes, Arc::new(move || ready.is_ready())));
    tracing::info!(executor = id, scheduler, "starting, version={}", fleet::VERSION);
    let ended = tokio::select! {
        ended = start_executor_process(Arc::new(config)) => ended,
        () = drain.asked_while(|| !known.is_ready()) => return Ok(Ended::Drained),
    };
    match ended {
        Ok(()) => {}
        // The scheduler is away or refuses: it is waited for, unless the end was asked for meanwhile.
        Err(e) if !drain.asked() => tracing::warn!("no work: {e}"),
        Err(e) => tracing::info!("ended while draining: {e}"),
    }
    if !drain.asked() {
        return Ok(Ended::GivenUp);
    }
    drain.linger(&dir, &scheduler).await;
    let _ = over.send(true);
    Ok(Ended::Drained)
}

fn config(
    settings: &Settings,
    dir: &WorkDir,
    cancel: Cancel,
    until_over: watch::Receiver<bool>,
    scheduler_host: String,
    scheduler_port: u16,
) -> Result<ExecutorProcessConfig, Failed> {
    let (functions, stores) = (Functions::default(), settings.common.stores()?);
    let state = fleet::fleet_state(fleet::new_fleet_config(), &functions, &stores)?;
    let runtime: Arc<RuntimeEnv> = fleet::fleet_runtime(&stores, Some((dir.spill(), settings.spill_limit)))?;
    let metrics = ExecutorMetrics::register()?;
    metrics.memory_limit_bytes.set(i64::try_from(settings.memory).unwrap_or(i64::MAX));
    let executor_id = fleet::new_executor_id();
    let inner = DefaultExecutionEngine::with_client_pool(Arc::new(connections::Connections::default()));
    let limit = Duration::from_secs(settings.task_timeout_seconds);
    let engine = WatchedEngine::new(inner, &executor_id, limit, metrics);
    Ok(ExecutorProcessConfig {
        executor_id,
        bind_host: settings.bind.to_string(),
        external_host: settings.host.clone(),
        port: settings.port,
        grpc_port: settings.grpc_port,
        scheduler_host,
        scheduler_port,
        scheduler_connect_timeout_seconds: CONNECT_SECONDS,
        vcores: settings.vcores,
        task_scheduling_policy: TaskSchedulingPolicy::PushStaged,
        work_dir: Some(dir.text()?),
        memory_pool_size: Some(settings.memory),
        executor_heartbeat_interval_seconds: settings.heartbeat_seconds,
        grpc_max_decoding_message_size: fleet::MESSAGE_BYTES_MAX,
        grpc_max_encoding_message_size: fleet::MESSAGE_BYTES_MAX,
        override_execution_engine: Some(Arc::new(engine)),
        override_function_registry: Some(Arc::new(BallistaFunctionRegistry::from(&state))),
        override_runtime_producer: Some(Arc::new(move |_| Ok(Arc::clone(&runtime)))),
        override_config_producer: Some(Arc::new(move || session_config(&cancel))),
        override_logical_codec: Some(Arc::new(LogicalCodec::new(functions.clone()))),
        override_physical_codec: Some(Arc::new(PhysicalCodec::new(functions))),
        override_create_grpc_client_endpoint: Some(fleet::reports()),
        override_arrow_flight_service: Some(Arc::new(move |dir, address, shutdown, config| {
            let mut over = until_over.clone();
            let until = async move {
                let _ = over.wait_for(|over| *over).await;
            };
            flight::serve(dir, address, shutdown, config, until)
        })),
        ..ExecutorProcessConfig::default()
    })
}

/// Every task's settings: the policy, time limits of connections, and the stop flag of this process.
fn session_config(cancel: &Cancel) -> SessionConfig {
    fleet::new_fleet_config()
        .with_ballista_override_create_grpc_client_endpoint(fleet::connections())
        .with_extension(Arc::new(cancel.clone()))
}
