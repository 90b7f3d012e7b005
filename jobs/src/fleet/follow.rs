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

/// How one submission ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// All its tasks ended well.
    Well,
    /// Another submission may do better; why this one ended.
    Lost(String),
    /// The scheduler was started anew, and the submission is gone with the old one.
    Gone(String),
    /// Another submission ends the same way.
    Failed(String),
    /// The user stopped it.
    Stopped,
    /// The time is up; what was last known.
    Late(String),
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
///
/// A scheduler that does not answer is asked until it does: a job goes on without being asked for, and one that was started
/// anew says that it does not know it.
pub(super) async fn follow(fleet: &Fleet, job_id: &str, late_at: Instant, base: Base, means: &Means) -> Ended {
    let mut watch = Watch { ticks: 0, moved: Instant::now(), asked: None, away: None };
    let ended = tokio::select! {
        biased;
        () = means.cancel.cancelled() => Ended::Stopped,
        ended = watch.until_ended(fleet, job_id, base, means) => return ended,
        () = tokio::time::sleep_until(late_at.into()) => {
            Ended::Late(watch.away.take().unwrap_or_else(|| "the job was still running".into()))
        }
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
    /// Why the scheduler does not answer, if it does not.
    away: Option<String>,
}

impl Watch {
    async fn until_ended(&mut self, fleet: &Fleet, job_id: &str, base: Base, means: &Means) -> Ended {
        let started = Instant::now();
        loop {
            let state = fleet.scheduler.state(job_id).await;
            if let Some(ended) = self.ended(state) {
                if ended == Ended::Well {
                    self.progress(fleet, job_id, base, means).await;
                }
                return ended;
            }
            if self.away.is_none() && self.asked.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY) {
                self.progress(fleet, job_id, base, means).await;
            }
            if self.moved.elapsed() >= fleet.stall {
                fleet.scheduler.cancel(job_id).await;
                return Ended::Lost(format!("no task began or ended for {} s", fleet.stall.as_secs()));
            }
            tokio::time::sleep(if started.elapsed() < Duration::from_secs(2) { ASK_FIRST } else { ASK_LATER }).await;
        }
    }

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
                let why = format!("the scheduler is away: {why}");
                if self.away.is_none() {
                    tracing::warn!("asking again, the job may go on meanwhile: {why}");
                }
                // Nobody knows whether something moves.
                (self.away, self.moved) = (Some(why), Instant::now());
                None
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
    fn a_scheduler_that_is_away_is_asked_again_and_does_not_count_as_a_stall() {
        let long_ago = Instant::now() - Duration::from_secs(3_600);
        let mut watch = Watch { ticks: 0, moved: long_ago, asked: None, away: None };
        assert_eq!(watch.ended(Err(Trouble::Away("no route".into()))), None);
        assert_eq!(watch.away.as_deref(), Some("the scheduler is away: no route"));
        assert!(watch.moved.elapsed() < Duration::from_secs(60));
        assert_eq!(watch.ended(Ok(State::Running)), None);
        assert_eq!(watch.away, None);
        assert!(matches!(watch.ended(Ok(State::Forgotten)), Some(Ended::Gone(_))));
    }

    #[test]
    fn only_what_may_change_is_submitted_again() {
        let lasting = format!("Job failed: {}", tell(Fault::Lasting, "bad row"));
        assert_eq!(of_failure(&lasting), Ended::Failed("bad row".into()));
        assert_eq!(of_failure(&tell(Fault::Passing, "503")), Ended::Lost("503".into()));
        assert!(matches!(of_failure("Cancelled"), Ended::Lost(_)));
        assert!(matches!(of_failure("Fetch failed"), Ended::Lost(_)));
    }
}
