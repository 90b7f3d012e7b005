//! The sink operator. In: the partitions of an output. Out: per partition one [`Checkpoint`] row.
//!
//! Checkpoint first: a partition that some attempt has finished is answered from the lake, and its input is never polled.

use super::checkpoint::Checkpoint;
use super::ledger::{self, Underway};
use super::node::SinkSpec;
use super::writer::FileWriter;
use crate::cancel::Cancel;
use crate::group_map::{GroupAccount, GroupMapExec};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, exec_datafusion_err};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    Partitioning, PlanProperties,
};
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::fmt;
use std::sync::Arc;
use url::Url;
use uuid::Uuid;

/// What a task of a fleet knows beyond its plan.
#[derive(Debug, Clone)]
pub struct FleetTask {
    /// The job's number of each partition of the task's plan, in the plan's order.
    pub partitions: Arc<[usize]>,
    /// The process that runs the task.
    pub executor_id: Arc<str>,
}

/// Writes every partition of its input to at most one file.
pub struct LakeSinkExec {
    spec: SinkSpec,
    task: Option<FleetTask>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl LakeSinkExec {
    /// A sink over `input`, one file a partition.
    pub fn new(spec: SinkSpec, input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Checkpoint::schema()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { spec, task: None, input, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }

    /// The same sink in a task of a fleet, whose plan holds some partitions of the job only and numbers them from 0.
    pub fn in_task(&self, task: FleetTask) -> Self {
        Self { task: Some(task), ..Self::new(self.spec.clone(), Arc::clone(&self.input)) }
    }

    /// Where and under which key, for the codec.
    pub fn spec(&self) -> &SinkSpec {
        &self.spec
    }
}

impl fmt::Debug for LakeSinkExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}

impl DisplayAs for LakeSinkExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LakeSinkExec: {}{}", self.spec.table_url, self.spec.partition_dir)
    }
}

impl ExecutionPlan for LakeSinkExec {
    fn name(&self) -> &'static str {
        "LakeSinkExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::UnspecifiedDistribution])
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
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
        let [input] = <[_; 1]>::try_from(children).map_err(|c| {
            datafusion::common::internal_datafusion_err!("LakeSinkExec takes one child, got {}", c.len())
        })?;
        Ok(Arc::new(Self { task: self.task.clone(), ..Self::new(self.spec.clone(), input) }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let url = Url::parse(&self.spec.table_url).map_err(|e| DataFusionError::External(Box::new(e)))?;
        let store_url = ObjectStoreUrl::parse(&url[..url::Position::BeforePath])?;
        let number = match &self.task {
            None => partition,
            Some(task) => *task.partitions.get(partition).ok_or_else(|| {
                datafusion::common::internal_datafusion_err!("the task has no partition {partition}: {task:?}")
            })?,
        };
        let task = Task {
            store: context.runtime_env().object_store(&store_url)?,
            table: Path::from_url_path(url.path()).map_err(object_store::Error::from)?,
            spec: self.spec.clone(),
            fleet: self.task.clone(),
            partition,
            number,
            input: Arc::clone(&self.input),
            context,
            baseline: BaselineMetrics::new(&self.metrics, partition),
        };
        let found = MetricBuilder::new(&self.metrics).counter("checkpoints_found", partition);
        let done = MetricBuilder::new(&self.metrics).counter("partitions_done", partition);
        let rows = MetricBuilder::new(&self.metrics).counter("rows_written", partition);
        let bytes = MetricBuilder::new(&self.metrics).counter("bytes_written", partition);
        let stream = futures::stream::once(async move {
            let checkpoint = task.run().await?;
            found.add(usize::from(checkpoint.found));
            done.add(1);
            rows.add(checkpoint.rows as usize);
            bytes.add(checkpoint.bytes as usize);
            checkpoint.to_batch()
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Checkpoint::schema(), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// One partition under way.
struct Task {
    store: Arc<dyn ObjectStore>,
    table: Path,
    spec: SinkSpec,
    fleet: Option<FleetTask>,
    /// The partition of the plan.
    partition: usize,
    /// The same partition in the whole job; the two differ on a fleet.
    number: usize,
    input: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    baseline: BaselineMetrics,
}

impl Task {
    async fn run(&self) -> Result<Checkpoint> {
        let (table, key) = (&self.table, &self.spec.checkpoint_key);
        // Together, for every wait on the store is felt in each partition.
        let enter = async {
            match &self.fleet {
                Some(task) => {
                    let entered = Underway::enter(Arc::clone(&self.store), table, key, self.number, &task.executor_id);
                    entered.await.map(Some)
                }
                None => Ok(None),
            }
        };
        let find = Checkpoint::find(&self.store, table, key, self.number as u64);
        let (found, _underway) = tokio::try_join!(find, enter)?;
        if let Some(found) = found {
            self.decline()?;
            return Ok(found);
        }
        self.compute().await
    }

    async fn compute(&self) -> Result<Checkpoint> {
        // The attempt is part of the name: whoever else writes this partition can never touch this file.
        let name = format!("part-{:05}-{}.parquet", self.number, Uuid::new_v4().simple());
        let relative = format!("{}/{name}", self.spec.partition_dir);
        let path = Path::parse(format!("{}/{relative}", self.table)).map_err(object_store::Error::from)?;
        let mut writer = FileWriter::new(Arc::clone(&self.store), path.clone(), self.input.schema());
        let cancel = Cancel::of(&self.context);
        let filled = tokio::select! {
            filled = self.fill(&mut writer) => filled,
            () = cancel.cancelled() => Err(Cancel::stopped()),
        };
        let written = match filled {
            Ok(written) => written,
            Err(e) => {
                writer.abort().await;
                // Best effort: a file that no commit names is invisible, and VACUUM removes it.
                let _ = self.store.delete(&path).await;
                return Err(e);
            }
        };
        let groups = self.account();
        let (bytes, etag) = written.clone().unwrap_or_default();
        let mine = Checkpoint {
            partition: self.number as u64,
            path: written.is_some().then_some(relative),
            rows: writer.rows,
            bytes,
            etag,
            groups: groups.groups,
            groups_refused: groups.refused,
            rows_by_status: std::mem::take(&mut writer.rows_by_status),
            found: false,
        };
        self.register(mine, &path).await
    }

    /// Lets the store decide which attempt wins, and removes the file of one that does not.
    async fn register(&self, mine: Checkpoint, path: &Path) -> Result<Checkpoint> {
        match mine.register(&self.store, &self.table, &self.spec.checkpoint_key).await? {
            None => Ok(mine),
            Some(winner) if winner.path == mine.path => Ok(mine),
            Some(winner) => {
                // Best effort: a file that no commit names is invisible, and VACUUM removes it.
                let _ = self.store.delete(path).await;
                Ok(winner)
            }
        }
    }

    /// Tells the shuffle below that nobody wants this partition, so that it drops the rows instead of keeping them.
    ///
    /// A shuffle learns of its readers by their first poll. On a fleet every task has a plan of its own, and polling it
    /// would fetch for nothing.
    fn decline(&self) -> Result<()> {
        if self.fleet.is_none() {
            let mut unwanted = self.input.execute(self.partition, Arc::clone(&self.context))?;
            let _ = unwanted.next().now_or_never();
        }
        Ok(())
    }

    async fn fill(&self, writer: &mut FileWriter) -> Result<Option<(u64, Option<String>)>> {
        let mut input: SendableRecordBatchStream = self.input.execute(self.partition, Arc::clone(&self.context))?;
        while let Some(batch) = input.next().await.transpose()? {
            self.baseline.record_output(batch.num_rows());
            writer.write(&batch).await?;
        }
        let told = |e| match e {
            DataFusionError::External(cause) => exec_datafusion_err!("cannot write {}: {cause}", self.spec.table_url),
            other => other,
        };
        writer.close().await.map_err(told)?;
        let buried = ledger::is_buried(&self.store, &self.table, &self.spec);
        let (written, buried) = tokio::try_join!(writer.written(), buried)?;
        match buried {
            true => Err(exec_datafusion_err!("the attempt was given up: attempt={}", self.spec.attempt)),
            false => Ok(written),
        }
    }

    /// Groups counted by the group functions that run in this partition, down to the next shuffle.
    fn account(&self) -> GroupAccount {
        let mut sum = GroupAccount::default();
        let _ = self.input.apply(|plan| {
            if let Some(map) = plan.downcast_ref::<GroupMapExec>() {
                let one = map.account(self.partition);
                sum.groups += one.groups;
                sum.refused += one.refused;
                return Ok(TreeNodeRecursion::Jump);
            }
            // Below a shuffle the partition numbers are other ones.
            let same_partitions = plan.name() != "RepartitionExec"
                && plan.children().len() == 1
                && plan.children()[0].output_partitioning().partition_count()
                    == plan.output_partitioning().partition_count();
            Ok(if same_partitions { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Jump })
        });
        sum
    }
}
