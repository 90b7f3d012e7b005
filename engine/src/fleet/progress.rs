//! How far a job of a fleet is, as the scheduler tells it and the controller reads it.

use serde::{Deserialize, Serialize};

/// A job under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobProgress {
    /// Ballista's name of the job.
    pub job_id: String,
    /// Its stages, ascending by number.
    pub stages: Vec<StageProgress>,
    /// Executors that the scheduler gave up while they had a part in this job.
    pub gone: Vec<ExecutorGone>,
    /// Executors that the scheduler knows now.
    pub executors: Vec<String>,
}

/// A stage of a job: the same plan over some partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageProgress {
    /// Number in the job.
    pub stage: usize,
    /// Partitions in all.
    pub partitions: usize,
    /// Partitions whose task ended well.
    pub done: usize,
    /// Tasks that some executor runs now.
    pub running: usize,
    /// Tasks that failed and were started again.
    pub retries: usize,
    /// Rows that its finished tasks read from tables.
    pub rows_read: u64,
    /// Groups that its finished tasks computed.
    pub groups: u64,
    /// Groups among them that were refused.
    pub groups_refused: u64,
    /// Rows that its finished tasks wrote to the lake.
    pub rows_written: u64,
    /// Bytes that its finished tasks wrote to the lake.
    pub bytes_written: u64,
    /// Partitions that its finished tasks found finished in the lake.
    pub checkpoints_found: u64,
    /// Whether the stage writes to the lake.
    pub is_sink: bool,
}

/// An executor that was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorGone {
    /// The executor.
    pub executor_id: String,
    /// Why the scheduler gave it up.
    pub reason: String,
}

impl JobProgress {
    /// A number that grows whenever anything of the job moves: a task begins or ends.
    pub fn ticks(&self) -> usize {
        self.stages.iter().map(|s| 2 * s.done + s.running + s.retries).sum()
    }
}
