//! What the processes have in common.  In: arguments, environment, one file. Out: settings, logs, probes, metrics.
//!
//! The scheduler and the executor are built from these parts, so that both are configured, observed and stopped alike.

mod logs;
mod metrics;
mod probes;
mod settings;

use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

pub use logs::{LogFormat, parse_filter, start_logs};
pub use metrics::{ExecutorMetrics, JobOutcome, SchedulerMetrics, TaskOutcome};
pub use probes::{Ready, bind, serve};
pub use settings::{Common, parse, try_parse};

/// Stack of every thread of the runtime, in bytes. Deep plans recurse; Rust's default of 2 MiB is too little for them.
pub const THREAD_STACK_BYTES: usize = 32 << 20;

/// The runtime of a process: as many threads as cores, with stacks of [`THREAD_STACK_BYTES`].
///
/// Errors: the system refuses threads or timers.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().thread_stack_size(THREAD_STACK_BYTES).build()
}

/// Resolves when the process is told to stop, with the name of the signal: `SIGTERM` or `SIGINT`.
///
/// Signals are watched from the first poll on, and later ones no longer end the process by themselves: whoever awaits
/// this must bound the time that stopping takes. If the system refuses the handlers, that is logged, a signal ends the
/// process at once as it does by default, and this never resolves.
pub async fn terminated() -> &'static str {
    let watched = signal(SignalKind::terminate()).and_then(|t| Ok((t, signal(SignalKind::interrupt())?)));
    match watched {
        Ok((mut terminate, mut interrupt)) => tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        },
        Err(error) => {
            tracing::error!(%error, "the system refuses to report signals, the process will not stop cleanly");
            std::future::pending().await
        }
    }
}
