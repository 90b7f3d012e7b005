//! The logical node. In: a function's name, arguments and input. Out: a schema, for the planner and the optimizer.
//!
//! The node holds no expressions: a projection below it has put the input into `[keys.., order.., values..]` already, so
//! that name, JSON and two counts rebuild it on any process.

use crate::functions::{Functions, to_datafusion};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::common::{DFSchema, DFSchemaRef, Result, internal_err, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use lakecast_udfs::args::Args;
use lakecast_udfs::functions::{BoundFunction, GroupSchema};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What travels: everything needed to rebuild a [`GroupMapNode`] or its operator beside the input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct GroupCall {
    /// Name in the table of functions.
    pub function: String,
    /// Checked arguments as JSON text.
    pub args: String,
    /// How many leading input columns are keys.
    pub keys: usize,
    /// How many columns after the keys are order columns.
    pub order: usize,
    /// The argument that each value column belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Arguments that are tables which every worker reads whole, in the order of the inputs after the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sides: Vec<String>,
    /// Why the planner made this call of what the user wrote, for EXPLAIN; changes nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl GroupCall {
    /// Binds the call to its input. Errors: unknown function or arguments that do not fit the columns.
    pub fn bind(&self, functions: &Functions, input: Arc<Schema>) -> Result<Arc<dyn BoundFunction>> {
        if self.keys == 0 || self.keys + self.order > input.fields().len() {
            return plan_err!(
                "{}: needs at least one key column: keys={}, columns={}",
                self.function,
                self.keys,
                input.fields().len()
            );
        }
        let args = Args::from_json(&self.args).map_err(to_datafusion)?;
        let (values, sides) = (self.values.clone(), self.sides.clone());
        let schema = GroupSchema { schema: input, keys: self.keys, order: self.order, values, sides };
        functions.get(&self.function)?.bind(&schema, &args).map_err(to_datafusion)
    }

    /// What an operator's line in a drawn plan says last.
    pub(super) fn fmt_rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.sides.is_empty() {
            write!(f, ", sides=[{}]", self.sides.join(", "))?;
        }
        if self.why.is_empty() { Ok(()) } else { write!(f, ", why=[{}]", self.why) }
    }

    /// Errors: a plan with more or fewer side tables than the call names.
    pub(super) fn check_sides(&self, inputs: usize) -> Result<()> {
        if inputs == self.sides.len() {
            return Ok(());
        }
        internal_err!("{}: {inputs} side tables for [{}]", self.function, self.sides.join(", "))
    }

    /// The output columns: the keys, then the function's own.
    pub fn output(&self, input: &Schema, bound: &dyn BoundFunction) -> Vec<Field> {
        let keys = input.fields().iter().take(self.keys).map(|f| f.as_ref().clone());
        keys.chain(bound.output()).collect()
    }
}

/// `GroupMap` in a logical plan.
#[derive(Clone)]
pub struct GroupMapNode {
    /// What is called.
    pub call: GroupCall,
    /// Rows, in columns `[keys.., order.., values..]`.
    pub input: LogicalPlan,
    /// Tables that every worker reads whole, one for each of the call's `sides`.
    pub sides: Vec<LogicalPlan>,
    schema: DFSchemaRef,
}

impl GroupMapNode {
    /// Checks the call against the input's columns and fixes the output schema.
    pub fn try_new(
        functions: &Functions,
        call: GroupCall,
        input: LogicalPlan,
        sides: Vec<LogicalPlan>,
    ) -> Result<Self> {
        call.check_sides(sides.len())?;
        let arrow = Arc::new(input.schema().as_arrow().clone());
        let bound = call.bind(functions, Arc::clone(&arrow))?;
        let mut seen = HashSet::new();
        let fields = call.output(&arrow, bound.as_ref());
        if let Some(twice) = fields.iter().find(|f| !seen.insert(f.name().clone())) {
            return plan_err!(
                "{}: column name is taken by the function's output: name={}, rename it in a subquery, `SELECT {} AS other`",
                call.function,
                twice.name(),
                twice.name()
            );
        }
        let schema = DFSchema::from_unqualified_fields(fields.into(), HashMap::new())?;
        Ok(Self { call, input, sides, schema: Arc::new(schema) })
    }

    fn identity(&self) -> (&GroupCall, &LogicalPlan, &[LogicalPlan]) {
        (&self.call, &self.input, &self.sides)
    }
}

impl fmt::Debug for GroupMapNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_for_explain(f)
    }
}

impl PartialEq for GroupMapNode {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for GroupMapNode {}

impl Hash for GroupMapNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl PartialOrd for GroupMapNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.identity().partial_cmp(&other.identity())
    }
}

impl UserDefinedLogicalNodeCore for GroupMapNode {
    fn name(&self) -> &str {
        "GroupMap"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        std::iter::once(&self.input).chain(&self.sides).collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    // A predicate on a key keeps or drops whole groups, so it may go down to the scan; any other must stay above. With
    // tables that have no keys none may go, because the optimizer would put it on every input.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let kept = if self.sides.is_empty() { self.call.keys } else { 0 };
        self.schema.fields().iter().skip(kept).map(|f| f.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "GroupMap: {}, keys={}, order={}, args={}",
            self.call.function, self.call.keys, self.call.order, self.call.args
        )?;
        self.call.fmt_rest(f)
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        if inputs.is_empty() {
            return internal_err!("GroupMap takes an input");
        }
        let sides = inputs.split_off(1);
        self.call.check_sides(sides.len())?;
        match inputs.pop() {
            Some(input) => Ok(Self { call: self.call.clone(), input, sides, schema: Arc::clone(&self.schema) }),
            None => internal_err!("GroupMap takes an input"),
        }
    }
}
