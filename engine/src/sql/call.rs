//! One call of a table function: what was written, and the planner that answers it.
//!
//! In: a table factor of the parsed SQL. Out: a logical plan; the function's own columns and arguments are checked here.

use super::baskets::PIPELINES;
use super::{group_call, literal};
use crate::functions::{Functions, to_datafusion};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, plan_datafusion_err, plan_err};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, ObjectName, Query, TableFactor, TableFunctionArgs,
};
use lakecast_udfs::args::{Args, unknown};
use lakecast_udfs::signature::{Column, Reach, Role, Signature, Table, did_you_mean};
use serde_json::Map;
use std::collections::BTreeMap;

/// Answers calls of lakecast's table functions; everything else is DataFusion's.
#[derive(Debug)]
pub struct CallPlanner {
    /// The functions of the session.
    pub functions: Functions,
    /// Memory that the operators of a process may reserve, in bytes, by which plans are chosen.
    pub memory_bytes: usize,
}

impl RelationPlanner for CallPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let call = match &relation {
            TableFactor::Table { name, args: Some(args), .. } => self.call(name, args)?,
            _ => None,
        };
        let plan = match &call {
            None => return Ok(RelationPlanning::Original(Box::new(relation))),
            // By identity: a group function of a pipeline's name wins over it.
            Some(call) => match PIPELINES.iter().find(|p| std::ptr::eq(p.signature, call.signature)) {
                Some(pipeline) => pipeline.plan(&self.functions, self.memory_bytes, call, context)?,
                None => group_call::plan(&self.functions, call, context)?,
            },
        };
        let alias = match relation {
            TableFactor::Table { alias, .. } => alias,
            _ => None,
        };
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

impl CallPlanner {
    /// The call of one of our functions; `None` if it is DataFusion's. Errors: an unknown function, and whatever is wrong
    /// with the arguments that does not depend on the input's columns.
    pub(super) fn call(&self, name: &ObjectName, args: &TableFunctionArgs) -> Result<Option<Call>> {
        let called = name.to_string().to_lowercase();
        let group = self.functions.find(&called).map(|f| f.signature());
        let pipeline = || PIPELINES.iter().find(|p| p.signature.name == called).map(|p| p.signature);
        if let Some(signature) = group.or_else(pipeline) {
            return Call::read(signature, args).map(Some);
        }
        if args.args.iter().all(|a| matches!(a, FunctionArg::Unnamed(_))) {
            // `generate_series(1, n)` and the like.
            return Ok(None);
        }
        let known: Vec<_> = super::table_functions(&self.functions).iter().map(|s| s.name).collect();
        let hint = did_you_mean(&called, known.iter().copied());
        plan_err!("unknown table function: name={called}, known=[{}]{hint}", known.join(", "))
    }
}

/// A call as written, with its literals checked.
pub(super) struct Call {
    pub(super) signature: &'static Signature,
    pub(super) input: Box<Query>,
    /// Expressions of the column arguments, by argument name.
    pub(super) columns: BTreeMap<&'static str, Vec<SqlExpr>>,
    /// Queries of the table arguments that are given, in the order of the signature.
    pub(super) tables: Vec<(&'static Table, Box<Query>)>,
    pub(super) args: Args,
}

/// A column of the input that an argument names.
pub(super) struct Resolved {
    pub(super) argument: &'static Column,
    pub(super) name: String,
    pub(super) expr: Expr,
    pub(super) kind: DataType,
}

impl Call {
    fn read(signature: &'static Signature, args: &TableFunctionArgs) -> Result<Self> {
        let f = signature.name;
        let mut rest = args.args.iter();
        let input = match rest.next() {
            Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(SqlExpr::Subquery(query)))) => query.clone(),
            other => {
                let given = other.map(ToString::to_string).unwrap_or_else(|| "nothing".into());
                return plan_err!(
                    "{f}: the first argument is the input: given={given}, allowed=[TABLE(name), name, (SELECT ..)]"
                );
            }
        };
        let (mut columns, mut tables, mut literals) = (BTreeMap::new(), BTreeMap::new(), Map::new());
        let mut inputs = signature.tables.iter().filter(|t| t.reach == Reach::Input);
        for arg in rest {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) = arg
                && columns.is_empty()
                && literals.is_empty()
                && let Some(table) = inputs.next()
            {
                tables.insert(table.name, query(f, table, value)?);
                continue;
            }
            let (name, value) = named(f, arg)?;
            let table = signature.tables.iter().find(|t| t.name == name);
            let twice = match signature.columns.iter().find(|c| c.name == name) {
                Some(column) => columns.insert(column.name, expressions(f, column, value)?).is_some(),
                None if let Some(table) = table => tables.insert(table.name, query(f, table, value)?).is_some(),
                None if signature.params.iter().any(|p| p.name == name) => {
                    let json = literal::to_json(value).ok_or_else(|| {
                        plan_datafusion_err!("{f}: argument takes a literal: name={name}, given={value}")
                    })?;
                    literals.insert(name.clone(), json).is_some()
                }
                None => return Err(to_datafusion(unknown(signature, &name))),
            };
            if twice {
                return plan_err!("{f}: argument is given twice: name={name}");
            }
        }
        if let Some(missing) = signature.columns.iter().find(|c| c.required && !columns.contains_key(c.name)) {
            return plan_err!(
                "{f}: missing argument: name={}, allowed=[a column of the input: {}], add `{} => ..`",
                missing.name,
                missing.class.words(),
                missing.name
            );
        }
        let mut inputs = signature.tables.iter().filter(|t| t.reach == Reach::Input);
        if let Some(missing) = inputs.find(|t| !tables.contains_key(t.name)) {
            return plan_err!(
                "{f}: missing table: name={}, allowed=[a table with columns {}], add `{} => TABLE(..)`",
                missing.name,
                missing.words(),
                missing.name
            );
        }
        let args = Args::check(signature, literals).map_err(to_datafusion)?;
        let tables = signature.tables.iter().filter_map(|t| Some((t, tables.remove(t.name)?))).collect();
        Ok(Self { signature, input, columns, tables, args })
    }

    /// The input's plan.
    pub(super) fn plan_input(&self, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        plan_query(&self.input, context)
    }

    /// Column expressions of `role` over `input`, with their output names; types checked.
    pub(super) fn resolve(
        &self,
        role: Role,
        input: &LogicalPlan,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<Vec<Resolved>> {
        let f = self.signature.name;
        let mut out = vec![];
        for column in self.signature.columns.iter().filter(|c| c.role == role) {
            for written in self.columns.get(column.name).into_iter().flatten() {
                let expr = context.sql_to_expr(written.clone(), input.schema()).map_err(|e| {
                    let known: Vec<_> = input.schema().fields().iter().map(|f| f.name().as_str()).collect();
                    let hint = did_you_mean(&written.to_string(), known.iter().copied());
                    match e.find_root() {
                        DataFusionError::SchemaError(..) => plan_datafusion_err!(
                            "{f}: no such column: argument={}, given={written}, known=[{}]{hint}",
                            column.name,
                            known.join(", ")
                        ),
                        _ => e.context(format!("{f}: argument {}", column.name)),
                    }
                })?;
                let kind = expr.get_type(input.schema())?;
                if !column.class.takes(&kind) {
                    return plan_err!(
                        "{f}: wrong column type: argument={}, given={written}, type={kind}, allowed=[{}]",
                        column.name,
                        column.class.words()
                    );
                }
                let name = match written {
                    SqlExpr::Identifier(i) => context.normalize_ident(i.clone()),
                    SqlExpr::CompoundIdentifier(parts) => {
                        parts.last().map(|i| context.normalize_ident(i.clone())).unwrap_or_default()
                    }
                    _ => column.name.to_string(),
                };
                out.push(Resolved { argument: column, name, expr, kind });
            }
        }
        Ok(out)
    }
}

/// The plan of a query that stands where a table does.
pub(super) fn plan_query(query: &Query, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let subquery = Box::new(query.clone());
    context.plan(TableFactor::Derived { lateral: false, subquery, alias: None, sample: None })
}

fn named<'a>(f: &str, arg: &'a FunctionArg) -> Result<(String, &'a SqlExpr)> {
    match arg {
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(e), .. } => Ok((name.value.to_lowercase(), e)),
        FunctionArg::ExprNamed { name, arg: FunctionArgExpr::Expr(e), .. } => Ok((name.to_string().to_lowercase(), e)),
        other => plan_err!("{f}: arguments after the input are named: given={other}, write `name => value`"),
    }
}

/// The query of a table argument.
fn query(f: &str, table: &Table, value: &SqlExpr) -> Result<Box<Query>> {
    match value {
        SqlExpr::Subquery(query) => Ok(query.clone()),
        other => plan_err!(
            "{f}: argument is a table: name={}, given={other}, allowed=[TABLE(name), name, (SELECT ..)]",
            table.name
        ),
    }
}

fn expressions(f: &str, column: &Column, value: &SqlExpr) -> Result<Vec<SqlExpr>> {
    match value {
        SqlExpr::Array(list) if column.many && !list.elem.is_empty() => Ok(list.elem.clone()),
        SqlExpr::Array(_) => plan_err!("{f}: argument takes one column: name={}, given={value}", column.name),
        SqlExpr::Value(_) => plan_err!(
            "{f}: argument names a column: name={}, given={value}, write the column's name without quotes",
            column.name
        ),
        one => Ok(vec![one.clone()]),
    }
}
