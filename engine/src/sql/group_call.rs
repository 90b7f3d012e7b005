//! A call of a group function as a plan. In: the call. Out: `GroupMap` over a projection `[keys.., order.., values..]`, to
//! which the rows of side tables are added as further value columns tell, and beside it the tables that are read whole.

use super::call::{Call, Resolved};
use super::{pool_pass, side_table};
use crate::functions::Functions;
use crate::group_map::{GroupCall, GroupMapNode};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Extension, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::prelude::Expr;
use datafusion::scalar::ScalarValue;
use lakecast_udfs::forecast::{POOL_BY, POOLS};
use lakecast_udfs::signature::{KIND, Reach, Role};
use std::collections::HashSet;
use std::sync::Arc;

/// A column of the operator's input.
pub(super) struct Slot {
    /// The argument that it belongs to.
    pub(super) argument: &'static str,
    pub(super) name: String,
    pub(super) kind: DataType,
    /// What the rows of the input have in it.
    pub(super) main: Expr,
}

impl From<Resolved> for Slot {
    fn from(column: Resolved) -> Self {
        let Resolved { argument, name, expr, kind } = column;
        Self { argument: argument.name, name, kind, main: expr }
    }
}

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
    let (n_keys, n_order) = (keys.len(), order.len());
    let mut slots: Vec<Slot> = keys.into_iter().chain(order).chain(values).map(Slot::from).collect();
    // A pool column may be an id or a regressor too.
    let pools = slots.iter_mut().filter(|s| s.argument == POOL_BY);
    pools.enumerate().for_each(|(at, slot)| slot.name = format!("lc_{POOL_BY}_{at}"));
    slots.extend(of_tables(call)?);
    let mut seen = HashSet::new();
    if let Some(twice) = slots.iter().find(|slot| !seen.insert(slot.name.as_str())) {
        return plan_err!("{}: the same column serves two arguments: column={}", call.signature.name, twice.name);
    }
    let mut rows =
        LogicalPlanBuilder::from(input.clone()).project(slots.iter().map(|s| s.main.clone().alias(&s.name)))?;
    let mut wire = GroupCall {
        function: call.signature.name.to_string(),
        args: call.args.to_json(),
        keys: n_keys,
        order: n_order,
        values: slots.iter().skip(n_keys + n_order).map(|s| s.argument.to_string()).collect(),
        sides: vec![],
        why: String::new(),
    };
    let mut sides = vec![];
    for (table, query) in &call.tables {
        match table.reach {
            Reach::Group(kind) => {
                rows = rows.union(side_table::of_group(call, table, query, kind, &slots, context)?)?
            }
            Reach::Whole => {
                wire.sides.push(table.name.to_string());
                sides.push(side_table::whole(call, table, query, &slots, n_keys, context)?);
            }
            Reach::Input => {
                return internal_err!("{}: a group function has one input: {}", call.signature.name, table.name);
            }
        }
    }
    if let Some(pools) = pool_pass::plan(functions, call, &input, &slots, (n_keys, n_order), (&wire.sides, &sides))? {
        wire.sides.push(POOLS.to_string());
        sides.push(pools);
    }
    let node = GroupMapNode::try_new(functions, wire, rows.build()?, sides)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// The value columns that side tables bring: where a row comes from, and what only the tables have.
fn of_tables(call: &Call) -> Result<Vec<Slot>> {
    let tables: Vec<_> = call.tables.iter().map(|(t, _)| *t).filter(|t| matches!(t.reach, Reach::Group(_))).collect();
    let mut slots = vec![];
    if !tables.is_empty() {
        slots.push(Slot { argument: KIND, name: KIND.into(), kind: DataType::Int8, main: lit(0_i8) });
    }
    for table in tables {
        for own in table.own {
            let kind = own.class.carried().unwrap_or(DataType::Utf8);
            let main = lit(ScalarValue::try_from(&kind)?);
            slots.push(Slot { argument: table.name, name: side_table::own_name(own), kind, main });
        }
    }
    Ok(slots)
}
