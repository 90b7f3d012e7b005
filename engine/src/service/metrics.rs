//! Metrics of the services.  In: what tasks, jobs and executors do. Out: Prometheus metrics, whose names end in their unit.
//!
//! One struct per process. Every outcome is there from the start with 0, so that a rate has something to start from.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector, default_registry,
};

/// Buckets of a task, in seconds: from a small partition to a whole night's.
const TASK_SECONDS: &[f64] =
    &[0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0];
/// Buckets of a job, in seconds.
const JOB_SECONDS: &[f64] = &[
    1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 43_200.0,
];
/// Buckets of the planning of a job, in seconds: it lists tables, so that many files take a while.
const PLANNING_SECONDS: &[f64] = &[0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskOutcome {
    /// It did all its work.
    Ok,
    /// It reported an error.
    Failed,
    /// Its job was cancelled.
    Cancelled,
    /// It took longer than it may.
    TimedOut,
}

impl TaskOutcome {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Ok, Self::Failed, Self::Cancelled, Self::TimedOut];

    /// The value of the label `outcome`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOutcome {
    /// It arrived; it is counted a second time when it ends.
    Submitted,
    /// It ended well.
    Completed,
    /// It ended with an error.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl JobOutcome {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Submitted, Self::Completed, Self::Failed, Self::Cancelled];

    /// The value of the label `outcome`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Metrics of an executor. Clones count together.
#[derive(Debug, Clone)]
pub struct ExecutorMetrics {
    /// `lakecast_tasks_total`, by `outcome`; see [`ExecutorMetrics::task_ended`].
    pub tasks: IntCounterVec,
    /// `lakecast_task_seconds`.
    pub task_seconds: Histogram,
    /// `lakecast_tasks_running`.
    pub tasks_running: IntGauge,
    /// `lakecast_task_retries_total`.
    pub task_retries: IntCounter,
    /// `lakecast_rows_read_total`.
    pub rows_read: IntCounter,
    /// `lakecast_rows_written_total`.
    pub rows_written: IntCounter,
    /// `lakecast_bytes_written_total`.
    pub bytes_written: IntCounter,
    /// `lakecast_groups_total`.
    pub groups: IntCounter,
    /// `lakecast_groups_refused_total`.
    pub groups_refused: IntCounter,
    /// `lakecast_checkpoint_hits_total`.
    pub checkpoint_hits: IntCounter,
    /// `lakecast_memory_reserved_bytes`.
    pub memory_reserved_bytes: IntGauge,
    /// `lakecast_memory_limit_bytes`.
    pub memory_limit_bytes: IntGauge,
    /// `lakecast_spilled_bytes_total`.
    pub spilled_bytes: IntCounter,
}

impl ExecutorMetrics {
    /// Registers them in prometheus' default registry. Errors: they are registered already.
    pub fn register() -> Result<Self, prometheus::Error> {
        Self::register_in(default_registry())
    }

    /// Registers them in `registry`. Errors: it has one of these names already.
    pub fn register_in(registry: &Registry) -> Result<Self, prometheus::Error> {
        let r = registry;
        let outcomes = TaskOutcome::ALL.iter().map(|o| o.name());
        Ok(Self {
            tasks: by_outcome(r, "lakecast_tasks_total", "Tasks that ended, by outcome", outcomes)?,
            task_seconds: seconds(
                r,
                "lakecast_task_seconds",
                "Duration of tasks that ended, in seconds",
                TASK_SECONDS,
            )?,
            tasks_running: gauge(r, "lakecast_tasks_running", "Tasks that run now")?,
            task_retries: counter(r, "lakecast_task_retries_total", "Tasks that failed in a way worth a retry")?,
            rows_read: counter(r, "lakecast_rows_read_total", "Rows read from tables")?,
            rows_written: counter(r, "lakecast_rows_written_total", "Rows staged for tables")?,
            bytes_written: counter(r, "lakecast_bytes_written_total", "Bytes of Parquet staged for tables")?,
            groups: counter(r, "lakecast_groups_total", "Groups (series, shards) that group functions were given")?,
            groups_refused: counter(
                r,
                "lakecast_groups_refused_total",
                "Groups that a function refused and reported by their status",
            )?,
            checkpoint_hits: counter(
                r,
                "lakecast_checkpoint_hits_total",
                "Partitions that were staged by an earlier attempt and not computed again",
            )?,
            memory_reserved_bytes: gauge(r, "lakecast_memory_reserved_bytes", "Memory that operators hold, in bytes")?,
            memory_limit_bytes: gauge(r, "lakecast_memory_limit_bytes", "Memory that operators may hold, in bytes")?,
            spilled_bytes: counter(
                r,
                "lakecast_spilled_bytes_total",
                "Bytes spilled to the work folder by sorts and joins",
            )?,
        })
    }

    /// Counts a task that ended and how long it took.
    pub fn task_ended(&self, outcome: TaskOutcome, took: Duration) {
        self.tasks.with_label_values(&[outcome.name()]).inc();
        self.task_seconds.observe(took.as_secs_f64());
    }
}

/// Metrics of a scheduler. Clones count together.
#[derive(Debug, Clone)]
pub struct SchedulerMetrics {
    /// `lakecast_jobs_total`, by `outcome`; see [`SchedulerMetrics::job_submitted`] and [`SchedulerMetrics::job_ended`].
    pub jobs: IntCounterVec,
    /// `lakecast_job_seconds`.
    pub job_seconds: Histogram,
    /// `lakecast_job_planning_seconds`.
    pub job_planning_seconds: Histogram,
    /// `lakecast_jobs_running`.
    pub jobs_running: IntGauge,
    /// `lakecast_tasks_pending`.
    pub tasks_pending: IntGauge,
    /// `lakecast_stages_total`.
    pub stages: IntCounter,
    /// `lakecast_executors`.
    pub executors: IntGauge,
    /// `lakecast_executors_lost_total`.
    pub executors_lost: IntCounter,
    /// `lakecast_vcores_healed_total`.
    pub vcores_healed: IntCounter,
}

impl SchedulerMetrics {
    /// Registers them in prometheus' default registry. Errors: they are registered already.
    pub fn register() -> Result<Self, prometheus::Error> {
        Self::register_in(default_registry())
    }

    /// Registers them in `registry`. Errors: it has one of these names already.
    pub fn register_in(registry: &Registry) -> Result<Self, prometheus::Error> {
        let r = registry;
        let outcomes = JobOutcome::ALL.iter().map(|o| o.name());
        Ok(Self {
            jobs: by_outcome(r, "lakecast_jobs_total", "Jobs that arrived and that ended, by outcome", outcomes)?,
            job_seconds: seconds(
                r,
                "lakecast_job_seconds",
                "Duration of jobs from arrival to end, in seconds",
                JOB_SECONDS,
            )?,
            job_planning_seconds: seconds(
                r,
                "lakecast_job_planning_seconds",
                "Duration from the arrival of a job to its first stage, in seconds",
                PLANNING_SECONDS,
            )?,
            jobs_running: gauge(r, "lakecast_jobs_running", "Jobs that arrived and have not ended")?,
            tasks_pending: gauge(r, "lakecast_tasks_pending", "Tasks that wait for a free vcore")?,
            stages: counter(r, "lakecast_stages_total", "Stages that were started")?,
            executors: gauge(r, "lakecast_executors", "Executors that are known and alive")?,
            executors_lost: counter(r, "lakecast_executors_lost_total", "Executors that stopped answering")?,
            vcores_healed: counter(
                r,
                "lakecast_vcores_healed_total",
                "Vcores that were counted as busy without a task and given back",
            )?,
        })
    }

    /// Counts a job that arrived.
    pub fn job_submitted(&self) {
        self.jobs.with_label_values(&[JobOutcome::Submitted.name()]).inc();
    }

    /// Counts a job that ended and how long it took since it arrived.
    pub fn job_ended(&self, outcome: JobOutcome, took: Duration) {
        self.jobs.with_label_values(&[outcome.name()]).inc();
        self.job_seconds.observe(took.as_secs_f64());
    }
}

fn kept<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    kept(registry, IntCounter::new(name, help)?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    kept(registry, IntGauge::new(name, help)?)
}

fn seconds(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
    kept(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
}

fn by_outcome(
    registry: &Registry,
    name: &str,
    help: &str,
    outcomes: impl Iterator<Item = &'static str>,
) -> Result<IntCounterVec, prometheus::Error> {
    let metric = kept(registry, IntCounterVec::new(Opts::new(name, help), &["outcome"])?)?;
    for outcome in outcomes {
        metric.get_metric_with_label_values(&[outcome])?;
    }
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(registry: &Registry) -> String {
        prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    #[test]
    fn an_executor_shows_every_metric_from_the_start() {
        let registry = Registry::new();
        let metrics = ExecutorMetrics::register_in(&registry).unwrap();
        metrics.clone().task_ended(TaskOutcome::TimedOut, Duration::from_secs(9_000));
        metrics.memory_limit_bytes.set(2 << 30);
        let text = text(&registry);
        for line in [
            "lakecast_tasks_total{outcome=\"ok\"} 0",
            "lakecast_tasks_total{outcome=\"failed\"} 0",
            "lakecast_tasks_total{outcome=\"cancelled\"} 0",
            "lakecast_tasks_total{outcome=\"timed_out\"} 1",
            "lakecast_task_seconds_bucket{le=\"0.1\"} 0",
            "lakecast_task_seconds_bucket{le=\"7200\"} 0",
            "lakecast_task_seconds_bucket{le=\"14400\"} 1",
            "lakecast_task_seconds_sum 9000",
            "lakecast_tasks_running 0",
            "lakecast_task_retries_total 0",
            "lakecast_rows_read_total 0",
            "lakecast_rows_written_total 0",
            "lakecast_bytes_written_total 0",
            "lakecast_groups_total 0",
            "lakecast_groups_refused_total 0",
            "lakecast_checkpoint_hits_total 0",
            "lakecast_memory_reserved_bytes 0",
            "lakecast_memory_limit_bytes 2147483648",
            "lakecast_spilled_bytes_total 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_scheduler_shows_every_metric_from_the_start() {
        let registry = Registry::new();
        let metrics = SchedulerMetrics::register_in(&registry).unwrap();
        metrics.job_submitted();
        metrics.job_ended(JobOutcome::Completed, Duration::from_secs(40_000));
        let text = text(&registry);
        for line in [
            "lakecast_jobs_total{outcome=\"submitted\"} 1",
            "lakecast_jobs_total{outcome=\"completed\"} 1",
            "lakecast_jobs_total{outcome=\"failed\"} 0",
            "lakecast_jobs_total{outcome=\"cancelled\"} 0",
            "lakecast_job_seconds_bucket{le=\"1\"} 0",
            "lakecast_job_seconds_bucket{le=\"43200\"} 1",
            "lakecast_job_planning_seconds_count 0",
            "lakecast_jobs_running 0",
            "lakecast_tasks_pending 0",
            "lakecast_stages_total 0",
            "lakecast_executors 0",
            "lakecast_executors_lost_total 0",
            "lakecast_vcores_healed_total 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_name_is_registered_once() {
        let registry = Registry::new();
        ExecutorMetrics::register_in(&registry).unwrap();
        SchedulerMetrics::register_in(&registry).unwrap();
        assert!(matches!(ExecutorMetrics::register_in(&registry), Err(prometheus::Error::AlreadyReg)));
    }
}
