//! The physical operator. In: one partition ordered by `[keys.., order..]`, and side tables that every partition reads
//! whole. Out: the function's rows, ordered by key.

use super::groups::Groups;
use super::node::GroupCall;
use super::side::{Side, SideRows};
use crate::cancel::Cancel;
use crate::functions::Functions;
use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::arrow::compute::{SortOptions, take_record_batch};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    EquivalenceProperties, LexRequirement, OrderingRequirements, PhysicalExpr, PhysicalSortExpr,
    PhysicalSortRequirement,
};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    Partitioning, PlanProperties,
};
use futures::StreamExt;
use lakecast_udfs::functions::BoundFunction;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// Bytes of a row on average from which on rows leave one by one: a sort can spill a batch, but not a part of one.
const WIDE_ROW_BYTES: usize = 1 << 18;

/// Applies a group function to every group of its input.
pub struct GroupMapExec {
    call: GroupCall,
    bound: Arc<dyn BoundFunction>,
    input: Arc<dyn ExecutionPlan>,
    sides: Vec<Side>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// Groups that went in and how many of them were refused, of one partition or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupAccount {
    /// Groups read.
    pub groups: u64,
    /// Groups whose rows say only why they could not be computed.
    pub refused: u64,
}

impl GroupMapExec {
    /// The operator for `call` over `input` and one plan per side table. Errors: unknown function, or arguments that do not
    /// fit the columns.
    pub fn try_new(
        functions: &Functions,
        call: GroupCall,
        input: Arc<dyn ExecutionPlan>,
        sides: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Self> {
        call.check_sides(sides.len())?;
        let bound = call.bind(functions, input.schema())?;
        let schema = Arc::new(Schema::new(call.output(&input.schema(), bound.as_ref())));
        Ok(Self::assemble(call, bound, input, sides, schema))
    }

    fn assemble(
        call: GroupCall,
        bound: Arc<dyn BoundFunction>,
        input: Arc<dyn ExecutionPlan>,
        sides: Vec<Arc<dyn ExecutionPlan>>,
        schema: SchemaRef,
    ) -> Self {
        let properties = Arc::new(properties(&call, &input, &schema));
        let sides = sides.into_iter().map(Side::new).collect();
        Self { call, bound, input, sides, schema, properties, metrics: ExecutionPlanMetricsSet::new() }
    }

    /// What is called, for the codec.
    pub fn call(&self) -> &GroupCall {
        &self.call
    }

    /// Groups counted so far in `partition`.
    pub fn account(&self, partition: usize) -> GroupAccount {
        let of = |name: &str| {
            let metrics = self.metrics.clone_inner();
            metrics
                .iter()
                .filter(|m| m.partition() == Some(partition) && m.value().name() == name)
                .map(|m| m.value().as_usize() as u64)
                .sum()
        };
        GroupAccount { groups: of("groups"), refused: of("groups_refused") }
    }
}

fn column(schema: &Schema, index: usize) -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new(schema.field(index).name(), index))
}

// Hash partitions stay what they are, and keys leave in order, so that a GROUP BY the same key above costs no shuffle.
fn properties(call: &GroupCall, input: &Arc<dyn ExecutionPlan>, schema: &SchemaRef) -> PlanProperties {
    let ordering = (0..call.keys).map(|i| PhysicalSortExpr::new(column(schema, i), SortOptions::default()));
    let equivalences = EquivalenceProperties::new_with_orderings(Arc::clone(schema), [ordering.collect::<Vec<_>>()]);
    let is_key = |e: &Arc<dyn PhysicalExpr>| e.downcast_ref::<Column>().is_some_and(|c| c.index() < call.keys);
    let partitioning = match input.output_partitioning() {
        Partitioning::Hash(exprs, n) if exprs.iter().all(is_key) => Partitioning::Hash(exprs.clone(), *n),
        other => Partitioning::UnknownPartitioning(other.partition_count()),
    };
    PlanProperties::new(equivalences, partitioning, EmissionType::Incremental, Boundedness::Bounded)
}

impl fmt::Debug for GroupMapExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}

impl DisplayAs for GroupMapExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.schema.fields().iter().take(self.call.keys).map(|c| c.name().as_str()).collect();
        write!(f, "GroupMapExec: {}, keys=[{}], args={}", self.call.function, names.join(", "), self.call.args)?;
        self.call.fmt_rest(f)
    }
}

impl ExecutionPlan for GroupMapExec {
    fn name(&self) -> &'static str {
        "GroupMapExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        std::iter::once(&self.input).chain(self.sides.iter().map(|side| &side.plan)).collect()
    }

    // Ballista gives a task all of an input whose one partition is asked for, and its own partitions of any other.
    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let schema = self.input.schema();
        let keys = (0..self.call.keys).map(|i| column(&schema, i)).collect();
        let mut each = vec![Distribution::KeyPartitioned(keys)];
        each.resize(1 + self.sides.len(), Distribution::SinglePartition);
        InputDistributionRequirements::new(each)
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let ascending = |plan: &Arc<dyn ExecutionPlan>, columns: usize| {
            let schema = plan.schema();
            let sorted = (0..columns).filter(|i| !schema.field(*i).data_type().is_nested());
            let each = sorted.map(|i| PhysicalSortRequirement::new(column(&schema, i), Some(SortOptions::default())));
            LexRequirement::new(each).map(OrderingRequirements::new)
        };
        // A side table by all its columns, so that its rows come in one order whoever read them. Lists are left out, because
        // comparing them costs what they hold: where a table has some, a column that is no list tells its rows apart.
        let sides = self.sides.iter().map(|side| ascending(&side.plan, side.plan.schema().fields().len()));
        std::iter::once(ascending(&self.input, self.call.keys + self.call.order)).chain(sides).collect()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut children = children.into_iter();
        let Some(input) = children.next() else { return internal_err!("GroupMapExec without input") };
        let sides: Vec<_> = children.collect();
        self.call.check_sides(sides.len())?;
        let (bound, schema) = (Arc::clone(&self.bound), Arc::clone(&self.schema));
        Ok(Arc::new(Self::assemble(self.call.clone(), bound, input, sides, schema)))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let reservation =
            MemoryConsumer::new(format!("GroupMapExec[{}]", self.call.function)).register(context.memory_pool());
        let groups = Groups::new(
            &self.call.function,
            self.bound.worker(),
            Arc::clone(&self.schema),
            self.call.keys,
            reservation,
            context.memory_pool().memory_limit(),
            Cancel::of(&context),
        )?;
        let names = self.call.sides.iter().cloned();
        let run = Run {
            groups,
            sides: names.zip(self.sides.iter().map(|side| side.rows(&context))).collect(),
            input: Some(self.input.execute(partition, Arc::clone(&context))?),
            ready: VecDeque::new(),
            batch_size: context.session_config().batch_size(),
            baseline: BaselineMetrics::new(&self.metrics, partition),
            counted: MetricBuilder::new(&self.metrics).counter("groups", partition),
            refused: MetricBuilder::new(&self.metrics).counter("groups_refused", partition),
        };
        let stream =
            futures::stream::try_unfold(run, |mut run| async move { Ok(run.next().await?.map(|batch| (batch, run))) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// One partition under way.
struct Run {
    groups: Groups,
    /// Side tables that the worker has not been given yet.
    sides: Vec<(String, SideRows)>,
    input: Option<SendableRecordBatchStream>,
    ready: VecDeque<RecordBatch>,
    batch_size: usize,
    baseline: BaselineMetrics,
    counted: Count,
    refused: Count,
}

impl Run {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        for (name, rows) in std::mem::take(&mut self.sides) {
            let rows = rows.await.map_err(DataFusionError::Shared)?;
            self.groups.side(&name, &rows.batch)?;
        }
        loop {
            if let Some(batch) = self.ready.pop_front() {
                self.baseline.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            let Some(input) = &mut self.input else {
                self.baseline.done();
                return Ok(None);
            };
            match input.next().await.transpose()? {
                Some(batch) => self.compute(Some(&batch))?,
                None => {
                    self.input = None;
                    self.compute(None)?;
                }
            }
            // Groups are computed without an await in between; without this a cancelled task would run to its end.
            tokio::task::yield_now().await;
        }
    }

    fn compute(&mut self, batch: Option<&RecordBatch>) -> Result<()> {
        let _timer = self.baseline.elapsed_compute().clone();
        let _timer = _timer.timer();
        let before = self.groups.tally;
        match batch {
            Some(batch) => self.groups.push(batch)?,
            None => self.groups.end()?,
        }
        self.counted.add(self.groups.tally.groups - before.groups);
        self.refused.add(self.groups.tally.refused - before.refused);
        if (batch.is_none() || self.groups.rows_finished() >= self.batch_size || !self.groups.fits())
            && let Some(rows) = self.groups.take()?
        {
            self.ready.extend(pieces(&rows, self.batch_size)?);
        }
        Ok(())
    }
}

/// Rows as batches of at most `batch_size`; wide ones each by itself.
fn pieces(rows: &RecordBatch, batch_size: usize) -> Result<Vec<RecordBatch>> {
    let n = rows.num_rows();
    if n > 1 && rows.get_array_memory_size() / n >= WIDE_ROW_BYTES {
        // Copied, because a slice counts as all that it was cut from.
        let row = |at| Ok(take_record_batch(rows, &UInt32Array::from(vec![at]))?);
        return (0..n as u32).map(row).collect();
    }
    Ok((0..n).step_by(batch_size.max(1)).map(|at| rows.slice(at, batch_size.min(n - at))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{ArrayRef, Int64Array, ListArray};
    use datafusion::arrow::compute::concat_batches;
    use datafusion::arrow::datatypes::Int64Type;

    fn lists(rows: usize, long: i64) -> RecordBatch {
        let row = |at: usize| Some((0..long).map(|i| Some(i + at as i64)).collect::<Vec<_>>());
        let column: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>((0..rows).map(row)));
        let number: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
        RecordBatch::try_from_iter([("number", number), ("list", column)]).unwrap()
    }

    #[test]
    fn wide_rows_leave_one_by_one_without_the_memory_of_the_others() {
        for (rows, long, batches) in [(5, 3, 2), (5, 100_000, 5), (1, 100_000, 1), (0, 1, 0)] {
            let all = lists(rows, long);
            let cut = pieces(&all, 4).unwrap();
            assert_eq!(cut.len(), batches);
            assert_eq!(concat_batches(&all.schema(), &cut).unwrap(), all);
            let memory: usize = cut.iter().map(RecordBatch::get_array_memory_size).sum();
            assert!(long < 1000 || memory < 2 * all.get_array_memory_size(), "{memory}");
        }
    }
}
