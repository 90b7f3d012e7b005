//! Jobs as Prometheus sees them. In: Ballista's notes of what became of a job. Out: counters and times.

use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_scheduler::metrics::SchedulerMetricsCollector;
use lakecast_engine::service::SchedulerMetrics;

/// Hands Ballista's notes to our metrics, whose buckets reach to the length of a night.
pub(crate) struct Counting(pub(crate) SchedulerMetrics);

fn seconds(from_ms: u64, to_ms: u64) -> f64 {
    to_ms.saturating_sub(from_ms) as f64 / 1000.0
}

impl SchedulerMetricsCollector for Counting {
    fn record_submitted(&self, _job: &JobId, queued_at: u64, submitted_at: u64) {
        self.0.jobs.with_label_values(&["submitted"]).inc();
        self.0.job_planning_seconds.observe(seconds(queued_at, submitted_at));
    }

    fn record_completed(&self, _job: &JobId, queued_at: u64, completed_at: u64) {
        self.0.jobs.with_label_values(&["completed"]).inc();
        self.0.job_seconds.observe(seconds(queued_at, completed_at));
    }

    fn record_failed(&self, _job: &JobId, _queued_at: u64, _failed_at: u64) {
        self.0.jobs.with_label_values(&["failed"]).inc();
    }

    fn record_cancelled(&self, _job: &JobId) {
        self.0.jobs.with_label_values(&["cancelled"]).inc();
    }

    fn set_pending_tasks_queue_size(&self, value: u64) {
        self.0.tasks_pending.set(i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn gather_metrics(&self) -> Result<Option<(Vec<u8>, String)>> {
        // Served on the port of the probes, not here.
        Ok(None)
    }
}
