//! `encode_baskets`: one problem for every executor.  In: all rows of a problem. Out: few packed rows and the tasks.

use super::encoded::{Info, packed_fields};
use super::finished::Finished;
use super::problem::{Plan, Rows, checked};
use super::step_signatures::ENCODE_BASKETS;
use super::task_bins;
use crate::args::Args;
use crate::error::Result;
use crate::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome};
use crate::signature::Signature;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Field;
use std::sync::Arc;

/// Filters, ranks and merges the baskets of one problem, counts its itemsets and cuts the work into tasks.
///
/// In: rows of `basket`, `item` and perhaps `weight`, in any order. Out: see [`super::encoded`]; the number of rows depends on
/// the size of the problem only. The tables of `mine_tasks` are these rows. Errors: `Data` on nulls and on weights that do not
/// fit, `Limit` beyond `max_itemsets`, on long baskets and for want of memory. Cost: see `encode`, and the guard's count.
pub struct EncodeBaskets;

impl GroupFunction for EncodeBaskets {
    fn signature(&self) -> &'static Signature {
        &ENCODE_BASKETS
    }

    fn is_public(&self) -> bool {
        false
    }

    fn bind(&self, input: &GroupSchema, args: &Args) -> Result<Arc<dyn BoundFunction>> {
        Ok(Arc::new(Bound(Arc::new(Plan::bind(&ENCODE_BASKETS, input, args)?))))
    }
}

struct Bound(Arc<Plan>);

impl BoundFunction for Bound {
    fn output(&self) -> Vec<Field> {
        packed_fields(&self.0.item_kind)
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        Box::new(Worker { plan: Arc::clone(&self.0), rows: Rows::new(), done: Finished::default() })
    }
}

struct Worker {
    plan: Arc<Plan>,
    rows: Rows,
    done: Finished,
}

impl GroupWorker for Worker {
    fn side(&mut self, name: &str, rows: &RecordBatch) -> Result<()> {
        self.rows.side(&self.plan, name, rows)
    }

    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        self.rows.push(&self.plan, rows)
    }

    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome> {
        let held = self.done.memory_bytes();
        let encoded = self.rows.encode(&self.plan, held, context)?;
        let search = self.plan.search(&encoded);
        let estimate = checked(&self.plan, &encoded, context)?;
        let bins = task_bins::bins(encoded.rows.view(), &search, &estimate, self.plan.options.shards, context)?;
        context.reserve(self.memory_bytes() + encoded.memory_bytes())?;
        let info = Info {
            n_baskets: encoded.n_baskets,
            min_count: encoded.min_count,
            bins: bins.len(),
            itemsets: estimate.itemsets as f64,
            exact: estimate.exact,
            report: encoded.report.clone(),
        };
        let columns = encoded.packed(&bins, &info)?;
        Ok(Outcome { rows: self.done.push(columns), refused: false })
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        self.done.take(&packed_fields(&self.plan.item_kind))
    }

    fn memory_bytes(&self) -> usize {
        self.rows.memory_bytes() + self.done.memory_bytes()
    }
}
