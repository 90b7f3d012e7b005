//! Sessions of those who send jobs to a fleet. In: options of the process, the scheduler's address. Out: a session that
//! plans as the scheduler does, and one whose queries run on the fleet.

use super::{fleet_config, fleet_state};
use crate::functions::Functions;
use crate::group_map::LogicalCodec;
use crate::session::{SessionOptions, runtime_env};
use crate::sql::CallPlanner;
use ballista_core::extension::SessionConfigExt;
use ballista_core::planner::BallistaQueryPlanner;
use datafusion::common::Result;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::logical_plan::AsLogicalPlan;
use datafusion_proto::protobuf::LogicalPlanNode;
use std::sync::Arc;

fn config(options: &SessionOptions) -> SessionConfig {
    let config = fleet_config(SessionConfig::new_with_ballista())
        .with_target_partitions(options.partitions)
        .with_batch_size(options.batch_size_rows)
        .with_ballista_override_create_grpc_client_endpoint(super::connections())
        .with_extension(Arc::new(options.cancel.clone()));
    config.with_ballista_logical_extension_codec(Arc::new(LogicalCodec::new(options.functions.clone())))
}

fn state(options: &SessionOptions) -> Result<SessionState> {
    let state = fleet_state(config(options), &options.functions, &options.stores)?;
    Ok(SessionStateBuilder::new_from_existing(state).with_runtime_env(runtime_env(options)?).build())
}

fn context(state: SessionState, options: &SessionOptions) -> Result<SessionContext> {
    let context = SessionContext::new_with_state(state);
    context.register_relation_planner(Arc::new(CallPlanner {
        functions: options.functions.clone(),
        memory_bytes: options.memory_bytes,
    }))?;
    Ok(context)
}

/// A session that plans exactly as the scheduler will, so that numbers and contents of partitions are known beforehand.
pub fn planning_session(options: &SessionOptions) -> Result<SessionContext> {
    context(state(options)?, options)
}

/// A session whose queries run on the fleet of the scheduler at `url` (`http://host:port`); their rows stream back.
pub fn remote_session(options: &SessionOptions, url: &str) -> Result<SessionContext> {
    // Polled for its end, a query tells its job's name at once, so that it can be cancelled.
    let config = config(options).set_bool("ballista.client.pull", true);
    let state = SessionStateBuilder::new_from_existing(state(options)?).with_config(config).build();
    let codec = state.config().ballista_logical_extension_codec();
    let planner = BallistaQueryPlanner::<LogicalPlanNode>::with_extension(
        url.to_string(),
        state.config().ballista_config(),
        codec,
    );
    context(SessionStateBuilder::new_from_existing(state).with_query_planner(Arc::new(planner)).build(), options)
}

/// A plan as it is sent to a scheduler. Errors: something in it cannot travel.
pub fn plan_bytes(plan: &LogicalPlan, functions: &Functions) -> Result<Vec<u8>> {
    let codec = LogicalCodec::new(functions.clone());
    let mut bytes = vec![];
    LogicalPlanNode::try_from_logical_plan(plan, &codec)?.try_encode(&mut bytes)?;
    Ok(bytes)
}
