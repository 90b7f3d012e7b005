//! Computes one output on a fleet. In: [`Planned`]. Out: one [`Checkpoint`] a partition, after as many submissions as it takes.

use super::Fleet;
use super::follow::{Base, Ended, follow};
use super::killers;
use super::scheduler::Trouble;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::publish::hex;
use crate::run::{Means, Planned, physical};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion::physical_plan::ExecutionPlanProperties;
use lakecast_engine::fault::Fault;
use lakecast_engine::fleet::plan_bytes;
use lakecast_engine::functions::Functions;
use lakecast_engine::sink::{Checkpoint, LakeSinkNode, SinkSpec, bury};
use object_store::ObjectStore;
use object_store::path::Path;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Pause after the first failure; it doubles with every further one.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// Submissions in a row that finish no partition, after which a run gives up. A scheduler that is away does not count.
const FRUITLESS_MAX: u32 = 10;

/// Computes what no checkpoint holds yet. Out: all checkpoints, ascending, and how many partitions there must be.
pub(crate) async fn stage(
    planned: &Planned<'_>,
    fleet: &Fleet,
    means: &Means,
) -> Result<(usize, Vec<Checkpoint>), Failure> {
    let place = format!("output {}", planned.output.name);
    let run = Run::new(planned, &place, fleet, means).await?;
    let before: BTreeSet<u64> = run.finished().await?.iter().map(|c| c.partition).collect();
    means.counters.partitions_resumed.fetch_add(before.len() as u64, Relaxed);
    let mut checkpoints = run.until_done().await?;
    means.counters.partitions_done.store(run.base.partitions + u64::from(planned.partitions), Relaxed);
    for c in &mut checkpoints {
        c.found = before.contains(&c.partition);
    }
    Ok((run.partitions, checkpoints))
}

/// One output under way.
struct Run<'a> {
    planned: &'a Planned<'a>,
    place: &'a str,
    fleet: &'a Fleet,
    means: &'a Means,
    /// Partitions that the plan has, on the fleet as here.
    partitions: usize,
    table: Path,
    key: String,
    late_at: Instant,
    base: Base,
}

impl<'a> Run<'a> {
    async fn new(
        planned: &'a Planned<'a>,
        place: &'a str,
        fleet: &'a Fleet,
        means: &'a Means,
    ) -> Result<Self, Failure> {
        let failed = |e: DataFusionError| Failure::planning(place, &e);
        let partitions = physical(planned).await.map_err(failed)?.output_partitioning().partition_count();
        let table = Path::from_url_path(planned.target.location_url.path())
            .map_err(|e| Failure::new(Exit::Usage, format!("{place}: {e}")))?;
        Ok(Self {
            planned,
            place,
            fleet,
            means,
            partitions,
            table,
            key: checkpoint_key(planned),
            late_at: Instant::now() + fleet.deadline,
            base: Base::of(&means.counters),
        })
    }

    fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.planned.target.store
    }

    async fn finished(&self) -> Result<Vec<Checkpoint>, Failure> {
        Checkpoint::all(self.store(), &self.table, &self.key).await.map_err(|e| Failure::running(self.place, &e))
    }

    /// Submits until every partition has its checkpoint.
    async fn until_done(&self) -> Result<Vec<Checkpoint>, Failure> {
        let (mut known, mut fruitless, mut pause) = (0, 0, PAUSE_FIRST);
        loop {
            let why = match self.look(known).await? {
                Look::Done(all) => return Ok(all),
                Look::Missing { finished } => {
                    if finished > known {
                        (known, fruitless, pause) = (finished, 0, PAUSE_FIRST);
                    }
                    let attempt = Uuid::new_v4().simple().to_string();
                    match self.attempt(&attempt).await? {
                        None => match self.look(known).await? {
                            Look::Done(all) => return Ok(all),
                            Look::Missing { finished } => {
                                fruitless += 1;
                                let of = self.partitions;
                                format!("the job ended well, but partitions are missing: finished={finished}, of={of}")
                            }
                            Look::Away(why) => why,
                        },
                        Some(Away::Lost(why)) => {
                            fruitless += 1;
                            self.give_up(&attempt).await;
                            killers::check(self.planned, self.place, self.fleet, &self.table, &self.key).await?;
                            why
                        }
                        Some(Away::Scheduler(why)) => why,
                    }
                }
                Look::Away(why) => why,
            };
            if fruitless >= FRUITLESS_MAX {
                let text = format!("{}: given up after {fruitless} submissions without progress: {why}", self.place);
                return Err(Failure::new(Exit::Transient, text));
            }
            tracing::warn!(
                output = self.planned.output.name,
                "submitting again in {:.1} s: {why}",
                pause.as_secs_f64()
            );
            self.wait(pause, &why).await?;
            pause = (2 * pause).min(PAUSE_MAX);
        }
    }

    /// What is finished. A store that does not answer is asked again, within the deadline.
    async fn look(&self, known: usize) -> Result<Look, Failure> {
        match Checkpoint::all(self.store(), &self.table, &self.key).await {
            Ok(all) if all.len() >= self.partitions => Ok(Look::Done(all)),
            Ok(all) => Ok(Look::Missing { finished: all.len().max(known) }),
            Err(e) if Fault::of(&e) == Fault::Passing => Ok(Look::Away(e.strip_backtrace())),
            Err(e) => Err(Failure::running(self.place, &e)),
        }
    }

    /// One submission, to its end. `None`: it ended well.
    async fn attempt(&self, attempt: &str) -> Result<Option<Away>, Failure> {
        let plan = self.plan(attempt).map_err(|e| Failure::planning(self.place, &e))?;
        let options = self.planned.context.state().config().options().execution.clone();
        let settings = [
            ("datafusion.execution.target_partitions", options.target_partitions.to_string()),
            ("datafusion.execution.batch_size", options.batch_size.to_string()),
            ("ballista.job.name", self.planned.output.name.clone()),
        ];
        let submitted = tokio::select! {
            biased;
            () = self.means.cancel.cancelled() => return Err(stopped()),
            submitted = self.fleet.scheduler.submit(plan, &settings) => submitted,
            () = tokio::time::sleep_until(self.late_at.into()) => {
                return Err(self.late("the scheduler does not answer a submission"));
            }
        };
        let job_id = match submitted {
            Ok(job_id) => job_id,
            Err(Trouble::Refused(why)) => return Err(Failure::new(Exit::Failed, format!("{}: {why}", self.place))),
            Err(Trouble::Away(why)) => return Ok(Some(Away::Scheduler(format!("the scheduler is away: {why}")))),
        };
        tracing::debug!(job = job_id, attempt, output = self.planned.output.name, "submitted");
        match follow(self.fleet, &job_id, self.late_at, self.base, self.means).await {
            Ended::Well => Ok(None),
            Ended::Lost(why) => Ok(Some(Away::Lost(why))),
            Ended::Gone(why) => {
                self.give_up(attempt).await;
                Ok(Some(Away::Scheduler(why)))
            }
            Ended::Failed(why) => Err(Failure::new(Exit::Failed, format!("{}: {why}", self.place))),
            Ended::Stopped => {
                self.give_up(attempt).await;
                Err(stopped())
            }
            Ended::Late(why) => {
                self.give_up(attempt).await;
                Err(self.late(&why))
            }
        }
    }

    fn plan(&self, attempt: &str) -> datafusion::common::Result<Vec<u8>> {
        let spec = SinkSpec {
            table_url: self.planned.target.location_url.to_string(),
            partition_dir: self.planned.partition_dir(),
            checkpoint_key: self.key.clone(),
            attempt: attempt.to_string(),
        };
        let sink = LakeSinkNode::try_new(spec, self.planned.plan.clone())?;
        plan_bytes(&LogicalPlan::Extension(Extension { node: Arc::new(sink) }), &Functions::default())
    }

    /// Tells whatever of an attempt still runs somewhere that nobody waits for it. Best effort: names differ by attempt, and
    /// of two finishers the store lets one win.
    async fn give_up(&self, attempt: &str) {
        if let Err(e) = bury(self.store().as_ref(), &self.table, &self.key, attempt).await {
            tracing::warn!(attempt, "not noted as given up: {e}");
        }
    }

    async fn wait(&self, pause: Duration, why: &str) -> Result<(), Failure> {
        let until = Instant::now() + pause;
        while Instant::now() < until {
            if self.means.cancel.is_cancelled() {
                return Err(stopped());
            }
            if Instant::now() >= self.late_at {
                return Err(self.late(why));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn late(&self, why: &str) -> Failure {
        let text = format!(
            "{}: not done within --deadline-seconds, finished partitions are kept, run the same command to continue: \
             deadline={}s, last={why}",
            self.place,
            self.fleet.deadline.as_secs()
        );
        Failure::new(Exit::Transient, text)
    }
}

fn stopped() -> Failure {
    Failure::new(Exit::Interrupted, "stopped: run the same command to continue")
}

enum Look {
    Done(Vec<Checkpoint>),
    Missing { finished: usize },
    Away(String),
}

enum Away {
    /// The submission was lost.
    Lost(String),
    /// There was none.
    Scheduler(String),
}

/// The key of an output's checkpoints on a fleet. Another one than in one process: the plans differ, and with them which
/// rows a partition holds.
pub(crate) fn checkpoint_key(planned: &Planned<'_>) -> String {
    format!("{}-fleet", hex(&planned.fingerprint))
}
