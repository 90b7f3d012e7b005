//! SQL with table functions over groups.
//!
//! In: SQL text. Out: a logical plan. `TABLE(x)` and a bare `x` as the first argument become subqueries before DataFusion
//! resolves tables, because it looks for tables in FROM clauses only and would never load `x`.

mod baskets;
mod call;
mod group_call;
mod literal;
mod once;
mod pool_pass;
mod present;
mod rewrite;
mod side_table;

pub use baskets::PIPELINES;
pub use call::CallPlanner;
pub use once::Once;
pub use present::Present;

use crate::functions::Functions;
use datafusion::common::{DataFusionError, Result, plan_datafusion_err};
use datafusion::config::Dialect;
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::{LogicalPlan, ScalarUDF};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{TableFactor, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use lakecast_udfs::signature::{Signature, did_you_mean};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Plans and, for statements that change the session (`CREATE VIEW`), runs `text`. Errors: as [`plan`].
pub async fn sql(context: &SessionContext, text: &str) -> Result<DataFrame> {
    let plan = plan(context, text).await?;
    context.execute_logical_plan(plan).await
}

/// The logical plan of one statement. Errors: syntax, unknown names, and arguments that do not fit, each saying what is
/// allowed.
pub async fn plan(context: &SessionContext, text: &str) -> Result<LogicalPlan> {
    let statement = context.state().sql_to_statement(text, &Dialect::Generic)?;
    plan_statement(context, statement).await
}

/// Checks what can be checked of the table function calls in `text` without any table: names of functions and arguments,
/// literals and their ranges. Errors: as [`plan`], for the first call that is wrong.
pub fn check_calls(functions: &Functions, text: &str) -> Result<()> {
    let planner = CallPlanner { functions: functions.clone(), memory_bytes: usize::MAX };
    for mut statement in Parser::parse_sql(&GenericDialect {}, text).map_err(|e| plan_datafusion_err!("{e}"))? {
        rewrite::in_tree(&mut statement);
        if let ControlFlow::Break(wrong) = statement.visit(&mut CallChecker(&planner)) {
            return Err(wrong);
        }
    }
    Ok(())
}

struct CallChecker<'a>(&'a CallPlanner);

impl Visitor for CallChecker<'_> {
    type Break = DataFusionError;

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<DataFusionError> {
        match factor {
            TableFactor::Table { name, args: Some(args), .. } => match self.0.call(name, args) {
                Err(wrong) => ControlFlow::Break(wrong),
                Ok(_) => ControlFlow::Continue(()),
            },
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The table functions that a user calls, in the order of their tables: functions over groups, then plans around them.
pub fn table_functions(functions: &Functions) -> Vec<&'static Signature> {
    let groups = functions.names().filter_map(|n| functions.find(n)).filter(|f| f.is_public()).map(|f| f.signature());
    groups.chain(PIPELINES.iter().map(|p| p.signature)).collect()
}

/// The scalar function of lakecast called `name`, for codecs.
pub fn scalar_function(name: &str) -> Option<Arc<ScalarUDF>> {
    match name {
        present::NAME => Some(Arc::new(ScalarUDF::from(Present::default()))),
        once::NAME => Some(Arc::new(ScalarUDF::from(Once::default()))),
        _ => None,
    }
}

/// The statements of `text`, separated by `;`. Errors: syntax, with line and column.
pub fn statements(context: &SessionContext, text: &str) -> Result<Vec<Statement>> {
    let options = context.state().config().options().sql_parser.clone();
    let dialect = GenericDialect {};
    let parser = DFParserBuilder::new(text)
        .with_dialect(&dialect)
        .with_recursion_limit(options.recursion_limit.into())
        .build()?
        .parse_statements()?;
    Ok(parser.into())
}

/// The logical plan of one parsed statement. Errors: as [`plan`].
pub async fn plan_statement(context: &SessionContext, mut statement: Statement) -> Result<LogicalPlan> {
    rewrite::tables_to_subqueries(&mut statement);
    context.state().statement_to_plan(statement).await.map_err(|e| with_known_tables(context, e))
}

/// DataFusion names a table that it does not find by catalog and schema, and does not say which tables there are.
fn with_known_tables(context: &SessionContext, error: DataFusionError) -> DataFusionError {
    let DataFusionError::Plan(message) = error.find_root() else { return error };
    let Some((name, _)) = message.strip_prefix("table '").and_then(|rest| rest.split_once("' not found")) else {
        return error;
    };
    let defaults = context.state().config_options().catalog.clone();
    let own = format!("{}.{}.", defaults.default_catalog, defaults.default_schema);
    let Some(name) = name.strip_prefix(&own) else { return error };
    let schema = context.catalog(&defaults.default_catalog).and_then(|c| c.schema(&defaults.default_schema));
    let mut known = schema.map(|s| s.table_names()).unwrap_or_default();
    known.sort();
    let hint = did_you_mean(name, known.iter().map(String::as_str));
    plan_datafusion_err!("unknown table: name={name}, known=[{}]{hint}", known.join(", "))
}
