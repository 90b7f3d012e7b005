//! Functions over baskets that users call: relational plans around the group functions.
//!
//! In: a call as written. Out: SQL text around group functions, and the logical plan that it becomes.

mod choice;
mod mining;
mod prefix;
mod rule_tables;
mod size;
mod text;

use super::call::Call;
use super::rewrite;
use crate::functions::Functions;
use crate::group_map::GroupMapNode;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion::sql::sqlparser::ast::{Query, Statement, TableFactor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use lakecast_udfs::baskets::rule_table_signatures::{RECOMMEND, RULES_DIFF};
use lakecast_udfs::baskets::signatures::{ASSOCIATION_RULES, ESTIMATE_ITEMSETS, FREQUENT_ITEMSETS};
use lakecast_udfs::signature::Signature;
use std::sync::Arc;

/// A table function that is a plan around group functions.
pub struct Pipeline {
    /// Name, arguments and output as SQL sees them.
    pub signature: &'static Signature,
    text: fn(&Call, &mut Scope) -> Result<Text>,
}

/// Every pipeline, in the order in which `lakecast functions` prints them.
pub const PIPELINES: &[Pipeline] = &[
    Pipeline { signature: &FREQUENT_ITEMSETS, text: mining::itemsets },
    Pipeline { signature: &ASSOCIATION_RULES, text: mining::rules },
    Pipeline { signature: &ESTIMATE_ITEMSETS, text: mining::estimate },
    Pipeline { signature: &RECOMMEND, text: rule_tables::recommend },
    Pipeline { signature: &RULES_DIFF, text: rule_tables::diff },
];

/// What a pipeline knows beside its call.
struct Scope<'a> {
    functions: &'a Functions,
    /// Memory that the operators of a process may reserve.
    memory_bytes: usize,
    context: &'a mut dyn RelationPlannerContext,
}

/// What a call becomes.
struct Text {
    /// One query.
    sql: String,
    /// A function inside it, and why the planner chose the plan that has it.
    why: Option<(&'static str, String)>,
}

impl Pipeline {
    pub(super) fn plan(
        &self,
        functions: &Functions,
        memory_bytes: usize,
        call: &Call,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<LogicalPlan> {
        let Text { sql, why } = (self.text)(call, &mut Scope { functions, memory_bytes, context })?;
        let subquery = parse(&sql)?;
        let plan = context.plan(TableFactor::Derived { lateral: false, subquery, alias: None, sample: None })?;
        match why {
            Some((function, why)) => explained(plan, function, &why),
            None => Ok(plan),
        }
    }
}

fn parse(text: &str) -> Result<Box<Query>> {
    let statement =
        Parser::parse_sql(&GenericDialect {}, text).map_err(|e| internal_datafusion_err!("{e} in {text}"))?.pop();
    match statement {
        Some(Statement::Query(mut query)) => {
            rewrite::in_tree(query.as_mut());
            Ok(query)
        }
        _ => Err(internal_datafusion_err!("no query: {text}")),
    }
}

/// The plan with the reason on the calls of `function`; those of an inner pipeline have theirs already.
fn explained(plan: LogicalPlan, function: &str, why: &str) -> Result<LogicalPlan> {
    let said = plan.transform_up(|node| {
        let LogicalPlan::Extension(extension) = &node else { return Ok(Transformed::no(node)) };
        match extension.node.as_any().downcast_ref::<GroupMapNode>() {
            Some(map) if map.call.function == function && map.call.why.is_empty() => {
                let mut map = map.clone();
                map.call.why = why.to_string();
                Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(map) })))
            }
            _ => Ok(Transformed::no(node)),
        }
    });
    said.map(|said| said.data)
}
