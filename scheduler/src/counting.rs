//! Jobs as Prometheus sees them. In: Ballista's notes of what became of a job. Out: counters and times.

use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_scheduler::metrics::SchedulerMetricsCollector;
use lakecast_engine::service::{JobOutcome, SchedulerMetrics};
use std::time::Duration;

/// Hands Ballista's notes to our metrics, whose buckets reach to the length of a night.
pub(crate) struct Counting(pub(crate) SchedulerMetrics);

fn between(from_ms: u64, to_ms: u64) -> Duration {
    Duration::from_millis(to_ms.saturating_sub(from_ms))
}

impl SchedulerMetricsCollector for Counting {
    fn record_submitted(&self, _job: &JobId, queued_at: u64, submitted_at: u64) {
        self.0.job_submitted();
        self.0.job_planning_seconds.observe(between(queued_at, submitted_at).as_secs_f64());
    }

    fn record_completed(&self, _job: &JobId, queued_at: u64, completed_at: u64) {
        self.0.job_ended(JobOutcome::Completed, between(queued_at, completed_at));
    }

    fn record_failed(&self, _job: &JobId, queued_at: u64, failed_at: u64) {
        self.0.job_ended(JobOutcome::Failed, between(queued_at, failed_at));
    }

    fn record_cancelled(&self, _job: &JobId) {
        // Ballista does not say when a cancelled job began.
        self.0.jobs.with_label_values(&[JobOutcome::Cancelled.name()]).inc();
    }

    fn set_pending_tasks_queue_size(&self, value: u64) {
        self.0.tasks_pending.set(i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn gather_metrics(&self) -> Result<Option<(Vec<u8>, String)>> {
        // Served on the port of the probes, not here.
        Ok(None)
    }
}
