//! The session of scheduler and executors: Ballista's, with lakecast's functions, planner, stores and policy.
//!
//! In: the session settings that a client sent. Out: the same session as in-process, with the keys forced that a client
//! must not switch (DESIGN.md, 7).

use crate::functions::Functions;
use crate::group_map::LakecastQueryPlanner;
use crate::session::fixed_config;
use crate::sql::Present;
use crate::store::Stores;
use ballista_core::extension::SessionConfigExt;
use ballista_core::utils::default_session_builder;
use datafusion::common::Result;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionConfig;
use std::sync::Arc;

/// Settings that every job of a fleet runs under, whatever its client asked for.
const FORCED: &[(&str, &str)] =
    &[("ballista.planner.adaptive.enabled", "false"), ("ballista.scheduler.max_partitions_per_task", "1")];

/// Ballista's settings with lakecast's policy forced.
pub fn fleet_config(config: SessionConfig) -> SessionConfig {
    FORCED.iter().fold(fixed_config(config), |config, (key, value)| config.set_str(key, value))
}

/// The settings of a new session. Clients start from the same.
pub fn new_fleet_config() -> SessionConfig {
    fleet_config(SessionConfig::new_with_ballista())
}

/// A runtime that reads and writes through `stores`.
pub fn fleet_runtime(stores: &Arc<Stores>) -> Result<Arc<RuntimeEnv>> {
    RuntimeEnvBuilder::new().with_object_store_registry(Arc::clone(stores) as _).build_arc()
}

/// The session state for `config`. Executors derive their function registry from it, so that both agree.
pub fn fleet_state(config: SessionConfig, functions: &Functions, stores: &Arc<Stores>) -> Result<SessionState> {
    let state = default_session_builder(fleet_config(config))?;
    let mut state = SessionStateBuilder::new_from_existing(state)
        .with_runtime_env(fleet_runtime(stores)?)
        .with_query_planner(Arc::new(LakecastQueryPlanner { functions: functions.clone() }))
        .build();
    state.register_udf(Arc::new(ScalarUDF::from(Present::default())))?;
    Ok(state)
}
