//! The run controller on a fleet. In: a planned output. Out: its checkpoints, whatever died meanwhile.
//!
//! Ballista never repairs a job here: the scheduler ends a job that lost an executor, and this controller submits it again.
//! What is finished stands in the lake, so that every submission computes only what is missing, and nothing that Ballista
//! answers is needed but whether it still works on it.

mod follow;
mod killers;
mod scheduler;
mod stage;

pub use scheduler::Scheduler;
pub(crate) use stage::{checkpoint_key, stage};

use std::time::Duration;

/// Seconds of a run on a fleet where the command line says nothing.
pub const DEADLINE_SECONDS_DEFAULT: u64 = 6 * 3_600;
/// Seconds without a task that begins or ends where the command line says nothing.
pub const STALL_SECONDS_DEFAULT: u64 = 900;

/// Where and how patiently a run is computed on a fleet.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The scheduler.
    pub scheduler: Scheduler,
    /// The longest that one output may take, attempts and pauses included.
    pub deadline: Duration,
    /// Without a task that begins or ends for so long, an attempt is given up and submitted again. Ballista loses messages:
    /// a job can wait for a task that nobody runs. Must be longer than the longest partition takes.
    pub stall: Duration,
}
