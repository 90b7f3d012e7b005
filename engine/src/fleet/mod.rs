//! What scheduler, executors and their clients agree on: session, policy, names and connections.
//!
//! In: the session settings that a client sent. Out: the same session as in-process, with the keys forced that a client
//! must not switch (DESIGN.md, 7).

mod client;
mod policy;
mod progress;

pub use client::{plan_bytes, planning_session, remote_session};
pub use policy::{FORCED, Forced, MESSAGE_BYTES_MAX, assert_forced, fleet_config, new_fleet_config};
pub use progress::{ExecutorGone, JobProgress, StageProgress};

use crate::functions::Functions;
use crate::group_map::LakecastQueryPlanner;
use crate::sql::{Once, Present};
use crate::store::Stores;
use ballista_core::extension::EndpointOverrideFn;
use ballista_core::utils::default_session_builder;
use datafusion::common::Result;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionConfig;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The version that scheduler, executors and clients must share: partitions of two versions never mix in one table.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the head of an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a connection is asked whether its other end still lives, and how long the answer may take.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a report to the scheduler may take until it counts as lost.
const REPORT_TIMEOUT: Duration = Duration::from_secs(60);

/// A new name for an executor. It carries the version, by which the scheduler refuses others, and is never used twice, so
/// that a restarted process is another executor.
pub fn new_executor_id() -> String {
    format!("lakecast-{VERSION}-{}", Uuid::new_v4().simple())
}

/// Whether an executor of that name is of this version.
pub fn is_of_this_version(executor_id: &str) -> bool {
    executor_id.strip_prefix("lakecast-").and_then(|rest| rest.rsplit_once('-')).is_some_and(|(v, _)| v == VERSION)
}

/// Time limits of every connection between processes. Without them a peer that vanished is waited for without end.
pub fn connections() -> EndpointOverrideFn {
    Arc::new(|endpoint| {
        Ok(endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(PING_EVERY))
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true))
    })
}

/// Time limits of the connections by which executors report to the scheduler. Ballista sends the end of a task once, and must
/// not send it twice. So a report outlasts a scheduler's usual patience with a silent executor (--executor-timeout-seconds):
/// when the network is back in time it arrives, else the executor is given up and its jobs are submitted again.
pub fn reports() -> EndpointOverrideFn {
    let connections = connections();
    Arc::new(move |endpoint| {
        let endpoint = connections(endpoint)?;
        Ok(endpoint.timeout(REPORT_TIMEOUT).keep_alive_timeout(REPORT_TIMEOUT - PING_EVERY))
    })
}

/// A runtime that reads and writes through `stores`, and spills to `spill` (a folder and its limit in bytes) or to the
/// system's temporary folder. The memory pool is each task's own.
pub fn fleet_runtime(stores: &Arc<Stores>, spill: Option<(PathBuf, u64)>) -> Result<Arc<RuntimeEnv>> {
    let builder = RuntimeEnvBuilder::new().with_object_store_registry(Arc::clone(stores) as _);
    match spill {
        Some((dir, limit_bytes)) => builder
            .with_disk_manager_builder(
                DiskManagerBuilder::default()
                    .with_mode(DiskManagerMode::Directories(vec![dir]))
                    .with_max_temp_directory_size(limit_bytes),
            )
            .build_arc(),
        None => builder.build_arc(),
    }
}

/// The session state for `config`. Executors derive their function registry from it, so that both agree.
pub fn fleet_state(config: SessionConfig, functions: &Functions, stores: &Arc<Stores>) -> Result<SessionState> {
    let config = fleet_config(config);
    assert_forced(&config)?;
    let state = default_session_builder(config)?;
    let mut state = SessionStateBuilder::new_from_existing(state)
        .with_runtime_env(fleet_runtime(stores, None)?)
        .with_query_planner(Arc::new(LakecastQueryPlanner { functions: functions.clone() }))
        .build();
    state.register_udf(Arc::new(ScalarUDF::from(Present::default())))?;
    state.register_udf(Arc::new(ScalarUDF::from(Once::default())))?;
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executor_says_its_version_by_its_name() {
        assert!(is_of_this_version(&new_executor_id()));
        for other in ["lakecast-0.0.9-5d7f", "ballista-1", "", "lakecast-"] {
            assert!(!is_of_this_version(other), "{other}");
        }
    }
}
