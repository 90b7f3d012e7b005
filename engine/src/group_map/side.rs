//! A table that every partition of an operator reads whole.
//!
//! In: a plan of one partition. Out: its rows as one batch, read once in a process however many partitions ask.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt, Shared};
use std::sync::{Arc, Mutex, PoisonError};

/// The rows to come. An error is shared by all that wait, and its cause stays what it was.
pub(super) type SideRows = Shared<BoxFuture<'static, Result<Arc<Held>, Arc<DataFusionError>>>>;

/// Rows, and the memory that the pool was told of.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) batch: RecordBatch,
    _reservation: MemoryReservation,
}

/// A side table of an operator.
pub(super) struct Side {
    pub(super) plan: Arc<dyn ExecutionPlan>,
    // A repartition below can be read once only, and reading the same table in each partition would be waste.
    read: Mutex<Option<SideRows>>,
}

impl Side {
    pub(super) fn new(plan: Arc<dyn ExecutionPlan>) -> Self {
        Self { plan, read: Mutex::new(None) }
    }

    /// The rows, read by whoever polls first.
    pub(super) fn rows(&self, context: &Arc<TaskContext>) -> SideRows {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.get_or_insert_with(|| {
            let (plan, context) = (Arc::clone(&self.plan), Arc::clone(context));
            async move { gather(&plan, &context).await.map(Arc::new).map_err(Arc::new) }.boxed().shared()
        })
        .clone()
    }
}

async fn gather(plan: &Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>) -> Result<Held> {
    let reservation = MemoryConsumer::new("GroupMapExec[side table]").register(context.memory_pool());
    let mut stream = plan.execute(0, Arc::clone(context))?;
    let mut batches = vec![];
    while let Some(batch) = stream.next().await.transpose()? {
        // Twice, because the batches live on while they are put together.
        reservation.try_grow(2 * batch.get_array_memory_size())?;
        batches.push(batch);
    }
    let batch = concat_batches(&plan.schema(), &batches)?;
    drop(batches);
    reservation.resize(batch.get_array_memory_size());
    Ok(Held { batch, _reservation: reservation })
}
