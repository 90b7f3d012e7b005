//! A stop flag that reaches every operator of a session.
//!
//! In: a signal or a deadline sets it. Out: operators end after the group they are computing.

use datafusion::common::DataFusionError;
use datafusion::execution::TaskContext;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a waiting task looks at the flag.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Shared stop flag. Clones share the flag.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks all operators to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether a stop was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits until a stop is asked for.
    pub async fn cancelled(&self) {
        while !self.is_cancelled() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What an operator that stopped says. It is no fault of the work, which may succeed elsewhere: an executor that ends stops
    /// its tasks, and [`Fault`](crate::fault::Fault) must see that they may be tried again.
    pub fn stopped() -> DataFusionError {
        DataFusionError::IoError(io::Error::new(io::ErrorKind::Interrupted, "stopped before its end"))
    }

    /// The flag of the session that runs `context`; one that is never set where the session has none.
    pub fn of(context: &TaskContext) -> Self {
        context.session_config().get_extension::<Self>().map(|c| c.as_ref().clone()).unwrap_or_default()
    }
}
