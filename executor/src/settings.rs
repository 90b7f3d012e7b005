//! What an executor is told. In: flags, environment, settings file, in this order of precedence. Out: [`Settings`].

use clap::Parser;
use lakecast_engine::memory_size::parse_memory;
use lakecast_engine::service::Common;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Runs tasks of lakecast jobs: reads the lake, computes, and writes staged files to the lake.
///
/// It keeps nothing that cannot be computed again. It waits for its scheduler as long as it takes, and comes back as
/// another executor when the scheduler gave it up. SIGTERM: no new task; those under way end or are given back within
/// --grace-seconds, and shuffle files are served meanwhile.
#[derive(Debug, Parser)]
#[command(name = "lakecast-executor", version)]
#[command(after_help = "Example:
  lakecast-executor --scheduler scheduler:50050 --work-dir /work --memory 12GiB --vcores 4 --allow s3://lake/")]
pub(crate) struct Settings {
    /// The scheduler, host:port
    #[arg(long, value_name = "HOST:PORT", env = "LAKECAST_SCHEDULER", default_value = "127.0.0.1:50050")]
    #[arg(value_parser = host_and_port)]
    pub(crate) scheduler: (String, u16),
    /// Address that both ports listen on; 0.0.0.0 in a container
    #[arg(long, value_name = "IP", env = "LAKECAST_EXECUTOR_BIND", default_value = "127.0.0.1")]
    pub(crate) bind: IpAddr,
    /// Name or address by which scheduler, executors and clients reach this one [default: what the scheduler sees]
    #[arg(long, value_name = "HOST", env = "LAKECAST_EXECUTOR_HOST")]
    pub(crate) host: Option<String>,
    /// Port for shuffle files (Arrow Flight)
    #[arg(long, env = "LAKECAST_EXECUTOR_PORT", default_value_t = 50051)]
    pub(crate) port: u16,
    /// Port for tasks (gRPC)
    #[arg(long, env = "LAKECAST_EXECUTOR_GRPC_PORT", default_value_t = 50052)]
    pub(crate) grpc_port: u16,
    /// Address of /healthz, /readyz (200 while the scheduler knows it) and /metrics
    #[arg(long, value_name = "IP:PORT", env = "LAKECAST_EXECUTOR_HEALTH", default_value = "127.0.0.1:50081")]
    pub(crate) health: SocketAddr,
    /// Tasks at a time; 0 takes the number of cores
    #[arg(long, env = "LAKECAST_EXECUTOR_VCORES", default_value_t = 0)]
    pub(crate) vcores: usize,
    /// Memory for sorts, joins and groups of all tasks together; a task has its share of it, and sorts spill beyond
    #[arg(long, value_name = "SIZE", value_parser = parse_memory, env = "LAKECAST_EXECUTOR_MEMORY", default_value = "2GiB")]
    pub(crate) memory: u64,
    /// Folder for shuffle files and spills, of this executor alone; what an earlier one left there is removed
    #[arg(long, value_name = "DIR", env = "LAKECAST_EXECUTOR_WORK_DIR")]
    pub(crate) work_dir: PathBuf,
    /// The most that may be spilled at a time
    #[arg(long, value_name = "SIZE", value_parser = parse_memory, env = "LAKECAST_EXECUTOR_SPILL", default_value = "64GiB")]
    pub(crate) spill_limit: u64,
    /// Seconds between two signs of life; five that fail in a row end the connection
    #[arg(long, value_name = "SECONDS", env = "LAKECAST_EXECUTOR_HEARTBEAT_SECONDS", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) heartbeat_seconds: u64,
    /// Seconds from SIGTERM to the end at the latest; below the scheduler's --termination-grace-seconds and below
    /// Kubernetes' terminationGracePeriodSeconds
    #[arg(long, value_name = "SECONDS", env = "LAKECAST_EXECUTOR_GRACE_SECONDS", default_value_t = 55)]
    #[arg(value_parser = clap::value_parser!(u64).range(3..=86_400))]
    pub(crate) grace_seconds: u64,
    /// Seconds that one task may take
    #[arg(long, value_name = "SECONDS", env = "LAKECAST_EXECUTOR_TASK_TIMEOUT_SECONDS", default_value_t = 7_200)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub(crate) task_timeout_seconds: u64,
    /// Seconds after which shuffle files that nothing changed are removed
    #[arg(long, value_name = "SECONDS", env = "LAKECAST_EXECUTOR_SHUFFLE_TTL_SECONDS", default_value_t = 86_400)]
    #[arg(value_parser = clap::value_parser!(u64).range(60..=31_536_000))]
    pub(crate) shuffle_ttl_seconds: u64,
    /// What all services take.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Host and port, with or without `http://`. Errors: say what is allowed.
fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let bare = text.trim_start_matches("http://").trim_end_matches('/');
    let (host, port) = bare.rsplit_once(':').ok_or("write host:port, as in scheduler:50050")?;
    let port = port.parse().map_err(|e| format!("bad port: {e}, write host:port, as in scheduler:50050"))?;
    Ok((host.to_string(), port))
}
