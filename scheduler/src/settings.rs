//! What the scheduler is told. In: flags, environment, settings file, in this order of precedence. Out: [`Settings`].

use clap::Parser;
use lakecast_engine::service::Common;
use std::net::SocketAddr;

/// Plans lakecast jobs and hands their tasks to executors. It computes nothing and keeps nothing: a scheduler that restarts
/// costs time, and `lakecast run` submits again what was under way.
///
/// SIGTERM: no new job; those under way end within --grace-seconds.
#[derive(Debug, Parser)]
#[command(name = "lakecast-scheduler", version)]
#[command(after_help = "Example:
  lakecast-scheduler --bind 0.0.0.0:50050 --host scheduler --health 0.0.0.0:50080 --allow s3://lake/")]
pub(crate) struct Settings {
    /// Address for clients and executors (gRPC, and progress of jobs over HTTP)
    #[arg(long, value_name = "IP:PORT", env = "LAKECAST_SCHEDULER_BIND", default_value = "127.0.0.1:50050")]
    pub(crate) bind: SocketAddr,
    /// Name or address by which executors reach it; needed where --bind is 0.0.0.0 [default: the address that it binds]
    #[arg(long, value_name = "HOST", env = "LAKECAST_SCHEDULER_HOST")]
    pub(crate) host: Option<String>,
    /// Address of /healthz, /readyz (200 while enough executors are there) and /metrics
    #[arg(long, value_name = "IP:PORT", env = "LAKECAST_SCHEDULER_HEALTH", default_value = "127.0.0.1:50080")]
    pub(crate) health: SocketAddr,
    /// Seconds without a sign of life after which an executor is lost, and the jobs that used it are given back; above 50 a
    /// cut of the network can lose the end of a task, which only --stall-seconds of the run notices
    #[arg(long, value_name = "SECONDS", env = "LAKECAST_EXECUTOR_TIMEOUT_SECONDS", default_value_t = 45)]
    #[arg(value_parser = clap::value_parser!(u64).range(2..=3_600))]
    pub(crate) executor_timeout_seconds: u64,
    /// Seconds between two looks for lost executors
    #[arg(long, value_name = "SECONDS", env = "LAKECAST_EXPIRE_SECONDS", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) expire_seconds: u64,
    /// Seconds that an executor which is told to end may still work and serve its shuffle files
    #[arg(long, value_name = "SECONDS", env = "LAKECAST_TERMINATION_GRACE_SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) termination_grace_seconds: u64,
    /// Seconds without any executor after which jobs under way fail
    #[arg(long, value_name = "SECONDS", env = "LAKECAST_NO_EXECUTORS_SECONDS", default_value_t = 120)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) no_executors_seconds: u64,
    /// Seconds from SIGTERM to the end at the latest
    #[arg(long, value_name = "SECONDS", env = "LAKECAST_SCHEDULER_GRACE_SECONDS", default_value_t = 25)]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) grace_seconds: u64,
    /// Executors that must be there before /readyz says so
    #[arg(long, value_name = "N", env = "LAKECAST_MIN_EXECUTORS", default_value_t = 1)]
    pub(crate) min_executors: usize,
    /// How often a task is started again after a failure of storage or network
    #[arg(long, value_name = "N", env = "LAKECAST_TASK_ATTEMPTS", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) task_attempts: u32,
    /// Seconds for which a finished job is remembered
    #[arg(long, value_name = "SECONDS", env = "LAKECAST_JOB_TTL_SECONDS", default_value_t = 3_600)]
    #[arg(value_parser = clap::value_parser!(u64).range(60..=604_800))]
    pub(crate) job_ttl_seconds: u64,
    /// What all services take.
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Settings {
    /// The name that executors are told. Errors: there is none that they could reach.
    pub(crate) fn reached_by(&self) -> Result<String, String> {
        match &self.host {
            Some(host) => Ok(host.clone()),
            None if self.bind.ip().is_unspecified() => Err(format!(
                "--host is needed: executors report to the scheduler by its name, and --bind names no address of it: bind={}",
                self.bind
            )),
            None => Ok(self.bind.ip().to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executors_are_never_told_an_address_that_is_none() {
        let of = |args: &[&str]| Settings::parse_from(["s"].iter().chain(args)).reached_by();
        assert_eq!(of(&["--bind", "10.0.0.1:1"]).unwrap(), "10.0.0.1");
        assert_eq!(of(&["--bind", "0.0.0.0:1", "--host", "scheduler"]).unwrap(), "scheduler");
        assert!(of(&["--bind", "0.0.0.0:1"]).unwrap_err().contains("--host is needed"));
    }
}
