//! Follows one submission to its end. In: a job's name. Out: how it ended, while progress is shown.

use super::Fleet;
use super::scheduler::{State, Trouble};
use crate::progress::Counters;
use crate::run::Means;
use lakecast_engine::fault::{Fault, told};
use lakecast_engine::fleet::JobProgress;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How often the state of a job is asked: at first, and later.
const ASK_FIRST: Duration = Duration::from_millis(40);
const ASK_LATER: Duration = Duration::from_millis(400);
/// How often progress is asked.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// How long a scheduler may be away before the job counts as lost: a restarted one has forgotten it.
const AWAY_MAX: Duration = Duration::from_secs(20);

/// How one submission ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// All its tasks ended well.
    Well,
    /// Another submission may do better; why this one ended.
    Lost(String),
    /// The scheduler is gone, and the submission with it.
    Gone(String),
    /// Another submission ends the same way.
    Failed(String),
    /// The user stopped it.
    Stopped,
    /// The time is up.
    Late,
}

/// What stood on the counters before this output, which the job's own numbers are added to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base {
    pub(super) partitions: u64,
    pub(super) groups: u64,
    pub(super) refused: u64,
    pub(super) rows_read: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Base {
    pub(super) fn of(counters: &Counters) -> Self {
        Self {
            partitions: counters.partitions_done.load(Relaxed),
            groups: counters.groups.load(Relaxed),
            refused: counters.refused.load(Relaxed),
            rows_read: counters.rows_read.load(Relaxed),
            rows: counters.rows.load(Relaxed),
            bytes: counters.bytes.load(Relaxed),
        }
    }

    fn show(&self, progress: &JobProgress, counters: &Counters) {
        let sum = |of: fn(&lakecast_engine::fleet::StageProgress) -> u64| progress.stages.iter().map(of).sum::<u64>();
        let sink = progress.stages.iter().filter(|s| s.is_sink).map(|s| s.done as u64).sum::<u64>();
        counters.partitions_done.store(self.partitions + sink, Relaxed);
        counters.groups.store(self.groups + sum(|s| s.groups), Relaxed);
        counters.refused.store(self.refused + sum(|s| s.groups_refused), Relaxed);
        counters.rows_read.store(self.rows_read + sum(|s| s.rows_read), Relaxed);
        counters.rows.store(self.rows + sum(|s| s.rows_written), Relaxed);
        counters.bytes.store(self.bytes + sum(|s| s.bytes_written), Relaxed);
        counters.tasks_done.store(sum(|s| s.done as u64), Relaxed);
        counters.tasks_total.store(sum(|s| s.partitions as u64), Relaxed);
        counters.executors.store(progress.executors.len() as u64, Relaxed);
    }
}

/// Follows `job_id` until it ends, is stopped, stalls or is late. A job that is left before its end is cancelled.
pub(super) async fn follow(fleet: &Fleet, job_id: &str, late_at: Instant, base: Base, means: &Means) -> Ended {
    let mut watch = Watch { ticks: 0, moved: Instant::now(), asked: None, away: None };
    let started = Instant::now();
    let ended = loop {
        if means.cancel.is_cancelled() {
            break Ended::Stopped;
        }
        if Instant::now() >= late_at {
            break Ended::Late;
        }
        let state = fleet.scheduler.state(job_id).await;
        if let Some(ended) = watch.ended(state) {
            if ended == Ended::Well {
                watch.progress(fleet, job_id, base, means).await;
            }
            return ended;
        }
        if watch.asked.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY) {
            watch.progress(fleet, job_id, base, means).await;
        }
        if watch.moved.elapsed() >= fleet.stall {
            break Ended::Lost(format!("no task began or ended for {} s", fleet.stall.as_secs()));
        }
        tokio::time::sleep(if started.elapsed() < Duration::from_secs(2) { ASK_FIRST } else { ASK_LATER }).await;
    };
    fleet.scheduler.cancel(job_id).await;
    ended
}

struct Watch {
    ticks: usize,
    /// When something last moved.
    moved: Instant,
    /// When progress was last asked.
    asked: Option<Instant>,
    /// Since when the scheduler is away.
    away: Option<Instant>,
}

impl Watch {
    fn ended(&mut self, state: Result<State, Trouble>) -> Option<Ended> {
        match state {
            Ok(State::Running) => {
                self.away = None;
                None
            }
            Ok(State::Done) => Some(Ended::Well),
            Ok(State::Failed(text)) => Some(of_failure(&text)),
            Ok(State::Forgotten) => Some(Ended::Gone("the scheduler was started anew".into())),
            Err(Trouble::Refused(why)) => Some(Ended::Failed(why)),
            Err(Trouble::Away(why)) => {
                let since = *self.away.get_or_insert_with(Instant::now);
                (since.elapsed() >= AWAY_MAX).then(|| Ended::Gone(format!("the scheduler is away: {why}")))
            }
        }
    }

    async fn progress(&mut self, fleet: &Fleet, job_id: &str, base: Base, means: &Means) {
        self.asked = Some(Instant::now());
        let Ok(progress) = fleet.scheduler.progress(job_id).await else { return };
        if progress.ticks() != self.ticks {
            (self.ticks, self.moved) = (progress.ticks(), Instant::now());
        }
        base.show(&progress, &means.counters);
    }
}

/// What a failed job says about another submission.
fn of_failure(text: &str) -> Ended {
    match told(text) {
        Some((Fault::Lasting, why)) => Ended::Failed(why),
        Some((Fault::Passing, why)) => Ended::Lost(why),
        None if text == "Cancelled" => Ended::Lost("an executor was lost".into()),
        None if text.starts_with("Error planning") => Ended::Failed(text.to_string()),
        None => Ended::Lost(text.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lakecast_engine::fault::tell;

    #[test]
    fn only_what_may_change_is_submitted_again() {
        let lasting = format!("Job failed: {}", tell(Fault::Lasting, "bad row"));
        assert_eq!(of_failure(&lasting), Ended::Failed("bad row".into()));
        assert_eq!(of_failure(&tell(Fault::Passing, "503")), Ended::Lost("503".into()));
        assert!(matches!(of_failure("Cancelled"), Ended::Lost(_)));
        assert!(matches!(of_failure("Fetch failed"), Ended::Lost(_)));
    }
}
