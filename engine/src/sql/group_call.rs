//! A call of a group function as a plan. In: the call. Out: `GroupMap` over a projection `[keys.., order.., values..]`.

use super::call::Call;
use crate::functions::Functions;
use crate::group_map::{GroupCall, GroupMapNode};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Extension, LogicalPlan, LogicalPlanBuilder};
use lakecast_udfs::signature::Role;
use std::collections::HashSet;
use std::sync::Arc;

/// Plans the call. Errors: column types and arguments that do not fit.
pub(super) fn plan(
    functions: &Functions,
    call: &Call,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let input = call.plan_input(context)?;
    let keys = call.resolve(Role::Key, &input, context)?;
    let order = call.resolve(Role::Order, &input, context)?;
    let values = call.resolve(Role::Value, &input, context)?;
    let wire = GroupCall {
        function: call.signature.name.to_string(),
        args: call.args.to_json(),
        keys: keys.len(),
        order: order.len(),
    };
    let mut seen = HashSet::new();
    let mut exprs = vec![];
    for (name, expr) in keys.into_iter().chain(order).chain(values) {
        if !seen.insert(name.clone()) {
            return plan_err!("{}: the same column serves two arguments: column={name}", call.signature.name);
        }
        exprs.push(expr.alias(name));
    }
    let input = LogicalPlanBuilder::from(input).project(exprs)?.build()?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(GroupMapNode::try_new(functions, wire, input)?) }))
}
