//! Tables beside the input of a call: `future => TABLE(promo)`.
//!
//! In: the query of such a table and the columns of the call. Out: its rows in the columns of the call, or in its own.

use super::call::{Call, plan_query};
use super::group_call::Slot;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::prelude::Column;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::Query;
use lakecast_udfs::signature::{Class, Own, Table, did_you_mean};

/// The name of a column of its own among the columns of the call.
pub(super) fn own_name(own: &Own) -> String {
    format!("lc_{}", own.names.first().copied().unwrap_or_default())
}

/// The rows of a table that belong to groups: its shared columns cast to the types of the input's, its own, the rest null.
pub(super) fn of_group(
    call: &Call,
    table: &Table,
    query: &Query,
    kind: i8,
    slots: &[Slot],
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let plan = plan_query(query, context)?;
    let shared = |slot: &Slot| table.shared.contains(&slot.argument);
    let wanted: Vec<_> = slots.iter().filter(|s| shared(s)).map(|s| s.name.as_str()).collect();
    let missing: Vec<_> = wanted.iter().copied().filter(|name| find(&plan, name).is_none()).collect();
    if !missing.is_empty() {
        return Err(lacks(call, table, &missing.join(", "), &plan));
    }
    let mut exprs = vec![];
    for slot in slots {
        let own = table.own.iter().find(|own| slot.argument == table.name && own_name(own) == slot.name);
        let expr = if slot.argument == lakecast_udfs::signature::KIND {
            lit(kind)
        } else if let Some(own) = own {
            own_column(call, table, own, &slot.kind, &plan)?
        } else if let (true, Some(column)) = (shared(slot), find(&plan, &slot.name)) {
            let class = call.signature.columns.iter().find(|c| c.name == slot.argument).map_or(Class::Any, |c| c.class);
            carry(call, table, column, class, &slot.kind, &plan)?
        } else {
            lit(ScalarValue::try_from(&slot.kind)?)
        };
        exprs.push(expr.alias(&slot.name));
    }
    LogicalPlanBuilder::from(plan).project(exprs)?.build()
}

/// The rows of a table that every worker reads whole, in its own columns under their first names.
pub(super) fn whole(
    call: &Call,
    table: &Table,
    query: &Query,
    slots: &[Slot],
    keys: usize,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let plan = plan_query(query, context)?;
    let mut exprs = vec![];
    for own in table.own {
        // A time is compared with the times of the input.
        let time = slots.get(keys).map(|s| s.kind.clone()).filter(|_| own.class == Class::Time);
        // What has no type of its own stays as it is.
        let found = || Some(own.names.iter().find_map(|name| find(&plan, name))?.name);
        let own_type = || plan.schema().field_with_unqualified_name(&found()?).ok().map(|f| f.data_type().clone());
        let kind = time.or_else(|| own.class.carried()).or_else(own_type).unwrap_or(DataType::Utf8);
        exprs.push(own_column(call, table, own, &kind, &plan)?.alias(own.names.first().copied().unwrap_or_default()));
    }
    LogicalPlanBuilder::from(plan).project(exprs)?.build()
}

fn own_column(call: &Call, table: &Table, own: &Own, kind: &DataType, plan: &LogicalPlan) -> Result<Expr> {
    match own.names.iter().find_map(|name| find(plan, name)) {
        Some(column) => carry(call, table, column, own.class, kind, plan),
        None if own.required => Err(lacks(call, table, &own.names.join("|"), plan)),
        None => Ok(lit(ScalarValue::try_from(kind)?)),
    }
}

/// The column as `kind`. Errors: a type that its class does not take, or that cannot become `kind`.
fn carry(
    call: &Call,
    table: &Table,
    column: Column,
    class: Class,
    kind: &DataType,
    plan: &LogicalPlan,
) -> Result<Expr> {
    let (f, argument) = (call.signature.name, table.name);
    let (name, expr) = (column.name.clone(), Expr::Column(column));
    let given = expr.get_type(plan.schema())?;
    // Dates and step numbers are both times, and yet one is never the other.
    let alike = class != Class::Time || given.is_integer() == kind.is_integer();
    if !class.takes(&given) || !alike {
        let allowed = if alike { class.words().to_string() } else { format!("what casts to {kind}, as in the input") };
        return plan_err!(
            "{f}: wrong column type: argument={argument}, column={name}, type={given}, allowed=[{allowed}]"
        );
    }
    expr.cast_to(kind, plan.schema()).map_err(|e| e.context(format!("{f}: argument {argument}, column {name}")))
}

fn find(plan: &LogicalPlan, name: &str) -> Option<Column> {
    plan.schema().columns().into_iter().find(|c| c.name == name)
}

fn lacks(call: &Call, table: &Table, missing: &str, plan: &LogicalPlan) -> datafusion::common::DataFusionError {
    let known: Vec<_> = plan.schema().columns().into_iter().map(|c| c.name).collect();
    let hint = did_you_mean(missing, known.iter().map(String::as_str));
    datafusion::common::plan_datafusion_err!(
        "{}: table lacks columns: argument={}, missing=[{missing}], known=[{}]{hint}; it needs {}",
        call.signature.name,
        table.name,
        known.join(", "),
        table.words()
    )
}
