//! `f(TABLE(x), ..)` and `f(x, ..)` to `f((SELECT * FROM x), ..)`, and the same for further arguments that are tables.
//!
//! In: a parsed statement. Out: the same, rewritten.

use super::baskets::{PIPELINES, Pipeline};
use datafusion::sql::parser::{CopyToSource, Statement};
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, SetExpr,
    Statement as SqlStatement, TableFactor, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use lakecast_udfs::functions::FUNCTIONS;
use lakecast_udfs::signature::Reach;
use std::ops::ControlFlow;

/// Rewrites every table function call of the statement.
pub(super) fn tables_to_subqueries(statement: &mut Statement) {
    match statement {
        Statement::Statement(inner) => in_tree(inner.as_mut()),
        Statement::Explain(explain) => tables_to_subqueries(&mut explain.statement),
        Statement::CopyTo(copy) => {
            if let CopyToSource::Query(query) = &mut copy.source {
                in_tree(query.as_mut());
            }
        }
        Statement::CreateExternalTable(_) | Statement::Reset(_) => {}
    }
}

/// Rewrites every table function call below `node`.
pub(super) fn in_tree(node: &mut impl VisitMut) {
    let _ = node.visit(&mut Rewriter);
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name: function, args: Some(args), .. } = factor {
            // A call with named arguments is one of ours; `generate_series(1, n)` and the like take none.
            let ours = args.args.iter().any(|a| !matches!(a, FunctionArg::Unnamed(_)));
            let ours = ours || pipeline_of_tables(&function.to_string());
            for arg in &mut args.args {
                match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(table)) if ours => {
                        if let Some(query) = as_query(table) {
                            *table = Expr::Subquery(query);
                        }
                    }
                    other => side_table(&function.to_string(), other),
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// `name => TABLE(x)` wherever it stands, and `name => x` where the function takes a table of that name.
fn side_table(function: &str, arg: &mut FunctionArg) {
    let (name, FunctionArgExpr::Expr(written)) = (match arg {
        FunctionArg::Named { name, arg, .. } => (name.value.clone(), arg),
        FunctionArg::ExprNamed { name, arg, .. } => (name.to_string(), arg),
        FunctionArg::Unnamed(_) => return,
    }) else {
        return;
    };
    let groups = FUNCTIONS.iter().map(|f| f.signature());
    let mut signatures = groups.chain(PIPELINES.iter().map(|p| p.signature));
    let signature = signatures.find(|s| s.name.eq_ignore_ascii_case(function));
    let known = signature.is_some_and(|s| s.tables.iter().any(|t| t.name.eq_ignore_ascii_case(&name)));
    if (known || matches!(written, Expr::Function(_)))
        && let Some(query) = as_query(written)
    {
        *written = Expr::Subquery(query);
    }
}

/// Whether a call of `function` may be made of tables alone, none of them named.
fn pipeline_of_tables(function: &str) -> bool {
    let named = |p: &&Pipeline| p.signature.name.eq_ignore_ascii_case(function);
    PIPELINES.iter().find(named).is_some_and(|p| p.signature.tables.iter().any(|t| t.reach == Reach::Input))
}

fn as_query(first: &Expr) -> Option<Box<Query>> {
    match first {
        Expr::Identifier(name) => select_all(vec![name.clone()]),
        Expr::CompoundIdentifier(names) => select_all(names.clone()),
        Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) if is_table(name) => {
            match list.args.as_slice() {
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))] => match inner {
                    Expr::Subquery(query) => Some(query.clone()),
                    other => as_query(other),
                },
                _ => None,
            }
        }
        Expr::Function(Function { name, args: FunctionArguments::Subquery(query), .. }) if is_table(name) => {
            Some(query.clone())
        }
        _ => None,
    }
}

fn is_table(name: &ObjectName) -> bool {
    matches!(name.0.as_slice(), [ObjectNamePart::Identifier(i)] if i.value.eq_ignore_ascii_case("table"))
}

fn select_all(names: Vec<Ident>) -> Option<Box<Query>> {
    let text = format!("SELECT * FROM {}", ObjectName::from(names));
    match Parser::parse_sql(&GenericDialect {}, &text).ok()?.pop()? {
        SqlStatement::Query(query) if matches!(*query.body, SetExpr::Select(_)) => Some(query),
        _ => None,
    }
}
