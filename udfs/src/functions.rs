//! The contract of a group function and the one table of all of them.
//!
//! In: the rows of one group, ordered. Out: rows. The wire carries a function's name and its arguments as JSON, so that
//! a new function is one file and one line in [`FUNCTIONS`].

use crate::args::Args;
use crate::baskets;
use crate::classification;
use crate::error::{Error, Result};
use crate::forecast;
use crate::signature::Signature;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use std::sync::Arc;

/// Every group function, in the order in which `lakecast functions` prints them.
// One a line, so that a function is a line.
#[rustfmt::skip]
pub const FUNCTIONS: &[&dyn GroupFunction] = &[
    &forecast::Forecast,
    &forecast::PoolEffects,
    &forecast::Backtest,
    &forecast::ProfileSeries,
    &classification::ClassificationReport,
    &baskets::EncodeBaskets,
    &baskets::MineTasks,
    &baskets::MineSegment,
    &baskets::BasketPrefixes,
    &baskets::MineShard,
    &baskets::DerivePacked,
    &baskets::DeriveRules,
    &baskets::RecommendForBasket,
];

/// A function from the rows of one group to rows.
///
/// This is a contract, and implementations hold all of it: the output depends on nothing but the group's rows, their
/// order and the arguments (no clock, no random seed, no thread timing, no state from earlier groups), so that the same
/// input gives the same bits wherever a group is computed.
pub trait GroupFunction: Send + Sync + 'static {
    /// Name, arguments and output as SQL sees them.
    fn signature(&self) -> &'static Signature;

    /// Whether users call it by name. Steps of a larger plan answer `false`: they can be called, but help hides them.
    fn is_public(&self) -> bool {
        true
    }

    /// Checks types and arguments against each other and fixes the output columns; runs at planning time and again on
    /// every process that executes. Errors: `Argument`.
    fn bind(&self, input: &GroupSchema, args: &Args) -> Result<Arc<dyn BoundFunction>>;
}

/// The columns that reach a function: keys first, then order columns, then values.
#[derive(Debug, Clone)]
pub struct GroupSchema {
    /// All columns, `[keys.., order.., values..]`, named as in the user's table.
    pub schema: Arc<Schema>,
    /// How many leading columns are keys.
    pub keys: usize,
    /// How many columns after the keys are order columns.
    pub order: usize,
    /// The argument that each value column belongs to: `value`, `regressors`, .., and [`crate::signature::KIND`]. Empty
    /// for a caller that gives one column per required argument.
    pub values: Vec<String>,
    /// Arguments of the call that are tables which reach the worker whole.
    pub sides: Vec<String>,
}

impl GroupSchema {
    /// Columns without any side table, one value column per required argument.
    pub fn new(schema: Arc<Schema>, keys: usize, order: usize) -> Self {
        Self { schema, keys, order, values: vec![], sides: vec![] }
    }

    /// Positions of the columns of a value argument.
    pub fn positions(&self, argument: &str) -> impl Iterator<Item = usize> {
        let first = self.keys + self.order;
        self.values.iter().enumerate().filter(move |(_, name)| *name == argument).map(move |(at, _)| first + at)
    }
}

/// A function with its arguments checked.
pub trait BoundFunction: Send + Sync {
    /// Output columns. The operator puts the key columns before them.
    fn output(&self) -> Vec<Field>;

    /// A worker for one partition; keeps its buffers from group to group.
    fn worker(&self) -> Box<dyn GroupWorker>;
}

/// Computes the groups of one partition, one after the other: `push` once or more, `finish` once, and so on.
pub trait GroupWorker: Send {
    /// Takes further rows of the current group, in order. Columns as in [`GroupSchema`]; never empty.
    fn push(&mut self, rows: &RecordBatch) -> Result<()>;

    /// Takes a whole table of [`GroupSchema::sides`], once, before the first group; its columns are those of the signature,
    /// under their first names, rows ascending by all of them that are no lists. Errors: `Bug` unless the function has such tables.
    fn side(&mut self, name: &str, rows: &RecordBatch) -> Result<()> {
        Err(Error::Bug(format!("no such table: name={name}, rows={}", rows.num_rows())))
    }

    /// Ends the group, appends its rows to the worker's output builders and says how many.
    ///
    /// A group that cannot be computed gives one row with its status, and `refused: true`. An error ends the job: only
    /// for what no status row can carry. Long computations call `context.check_cancelled` now and then, and
    /// `context.reserve` before memory grows beyond what `memory_bytes` last said.
    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome>;

    /// Takes the rows built since the last call, one array per column of [`BoundFunction::output`], equal lengths.
    fn take(&mut self) -> Result<Vec<ArrayRef>>;

    /// Bytes held for the current group and the output not yet taken, for the memory pool.
    fn memory_bytes(&self) -> usize;

    /// Lets go of the rows of the current group, for which there is no memory: further ones are counted and not held, and
    /// `finish` refuses the group with a status row. `false`, the default: rows cannot be done without, the job fails.
    fn shed(&mut self) -> bool {
        false
    }
}

/// What became of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Output rows of this group.
    pub rows: usize,
    /// Whether the rows say only why the group could not be computed.
    pub refused: bool,
}

/// What a worker may ask of the process that runs it.
pub trait GroupContext {
    /// Asks for `bytes` in all for this worker. Errors: `Limit`, with the remedy, if the pool is exhausted.
    fn reserve(&self, bytes: usize) -> Result<()>;

    /// Errors: `Cancelled` if the run is being stopped.
    fn check_cancelled(&self) -> Result<()>;
}

/// A context without limits, for tests and benches of functions by themselves.
#[derive(Debug, Default)]
pub struct Unlimited;

impl GroupContext for Unlimited {
    fn reserve(&self, _bytes: usize) -> Result<()> {
        Ok(())
    }

    fn check_cancelled(&self) -> Result<()> {
        Ok(())
    }
}
