//! The logical node at the root of an output's plan. In: where to write and under which key. Out: [`Checkpoint`] rows.

use super::checkpoint::Checkpoint;
use datafusion::common::{DFSchema, DFSchemaRef, Result, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What travels with a sink. No secret is ever part of it: stores take credentials from their process's environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SinkSpec {
    /// URL of the table's folder, ending in `/`.
    pub table_url: String,
    /// Folder of the data files below the table, for example `run_date=2026-11-22`.
    pub partition_dir: String,
    /// Hash of everything on which the rows of a partition depend: a checkpoint under it stands for those rows.
    pub checkpoint_key: String,
    /// Names one submission to a fleet, so that its tasks can be told that it was given up; empty in one process.
    #[serde(default)]
    pub attempt: String,
}

/// `LakeSink` in a logical plan.
#[derive(Clone)]
pub struct LakeSinkNode {
    /// Where and under which key.
    pub spec: SinkSpec,
    /// The rows to write.
    pub input: LogicalPlan,
    schema: DFSchemaRef,
}

impl LakeSinkNode {
    /// A sink over `input`.
    pub fn try_new(spec: SinkSpec, input: LogicalPlan) -> Result<Self> {
        let fields = Checkpoint::schema().fields().clone();
        let schema = Arc::new(DFSchema::from_unqualified_fields(fields, HashMap::new())?);
        Ok(Self { spec, input, schema })
    }

    fn identity(&self) -> (&SinkSpec, &LogicalPlan) {
        (&self.spec, &self.input)
    }
}

impl fmt::Debug for LakeSinkNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_for_explain(f)
    }
}

impl PartialEq for LakeSinkNode {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for LakeSinkNode {}

impl Hash for LakeSinkNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl PartialOrd for LakeSinkNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.identity().partial_cmp(&other.identity())
    }
}

impl UserDefinedLogicalNodeCore for LakeSinkNode {
    fn name(&self) -> &str {
        "LakeSink"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    // Every column of the input is written, whichever columns of the answer are read.
    fn necessary_children_exprs(&self, _output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![(0..self.input.schema().fields().len()).collect()])
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.schema.fields().iter().map(|f| f.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LakeSink: {}{}", self.spec.table_url, self.spec.partition_dir)
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.pop() {
            Some(input) if inputs.is_empty() => Self::try_new(self.spec.clone(), input),
            _ => plan_err!("LakeSink takes one input"),
        }
    }
}
