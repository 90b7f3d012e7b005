//! The pass before a forecast that learns the effects of groups: `pool_by => [dept, store]`.
//!
//! In: the columns of the call over its input. Out: a plan of a row per pool, which every worker of the call reads whole.

use super::call::Call;
use super::group_call::Slot;
use crate::functions::{Functions, to_datafusion};
use crate::group_map::{GroupCall, GroupMapNode};
use datafusion::common::Result;
use datafusion::logical_expr::{Extension, LogicalPlan, LogicalPlanBuilder};
use lakecast_udfs::args::Args;
use lakecast_udfs::forecast::{POOL_BY, PoolEffects};
use lakecast_udfs::functions::GroupFunction;
use lakecast_udfs::signature::Role;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Plans the pass; `None` for a call without `pool_by`. `slots`: keys, order, values; `sides`: tables read whole, by name.
pub(super) fn plan(
    functions: &Functions,
    call: &Call,
    input: &LogicalPlan,
    slots: &[Slot],
    (keys, order): (usize, usize),
    sides: (&[String], &[LogicalPlan]),
) -> Result<Option<LogicalPlan>> {
    let pools: Vec<&Slot> = slots.iter().filter(|s| s.argument == POOL_BY).collect();
    let Some((first, further)) = pools.split_first() else { return Ok(None) };
    let signature = PoolEffects.signature();
    let is_value = |slot: &&Slot| signature.columns.iter().any(|c| c.role == Role::Value && c.name == slot.argument);
    let values: Vec<&Slot> = slots[keys + order..].iter().filter(is_value).collect();
    let columns = std::iter::once(first).chain(further).copied().chain(&slots[..keys + order]);
    let rows = columns.chain(values.iter().copied()).map(|s| s.main.clone().alias(&s.name));
    let taken = sides.0.iter().zip(sides.1).filter(|(name, _)| signature.tables.iter().any(|t| t.name == *name));
    let (names, plans): (Vec<String>, Vec<LogicalPlan>) = taken.map(|(n, p)| (n.clone(), p.clone())).unzip();
    let wire = GroupCall {
        function: signature.name.to_string(),
        args: args(call, further.len() + keys, further.len())?.to_json(),
        keys: 1,
        order: further.len() + keys + order,
        values: values.iter().map(|s| s.argument.to_string()).collect(),
        sides: names,
        why: String::new(),
    };
    let rows = LogicalPlanBuilder::from(input.clone()).project(rows)?.build()?;
    let node = GroupMapNode::try_new(functions, wire, rows, plans)?;
    Ok(Some(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
}

/// What the call says that the pass must know too.
fn args(call: &Call, series: usize, pools: usize) -> Result<Args> {
    let signature = PoolEffects.signature();
    let mut given = Map::new();
    for param in signature.params.iter().filter(|p| call.signature.params.iter().any(|own| own.name == p.name)) {
        given.insert(param.name.to_string(), call.args.value(param.name).map_err(to_datafusion)?.clone());
    }
    given.insert("series_columns".to_string(), Value::from(series));
    given.insert("pool_columns".to_string(), Value::from(pools));
    Args::check(signature, given).map_err(to_datafusion)
}
