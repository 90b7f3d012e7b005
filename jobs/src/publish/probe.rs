//! Whether a store keeps what publication builds on: objects are listed, written, read and deleted, clocks agree, and of
//! many writers that create one object exactly one wins.
//!
//! In: a [`TableTarget`]. Out: one [`Finding`] a check, or a [`PublishError`] that says what to do. The objects lie below
//! `_lakecast/probe/<uuid>/` of the location, which every reader of a lake passes over, and are deleted at the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::TableTarget;
use super::error::{Kind, PublishError, refused_for_good, store_kind};
use super::table::Table;

const PROBE_DIR: &str = "_lakecast/probe";
/// Writers of a race. Stores whose check and write are two steps let several of so many win.
const WRITERS: usize = 16;
/// Races of [`examine`]; a run that publishes makes one.
const ROUNDS: usize = 4;
/// Races that may stay unclear, because an answer was lost, before the store is called unreachable.
const UNCLEAR_MAX: usize = 3;
const ROUND_TRIPS: usize = 16;
const BODY_BYTES: usize = 4096;
/// Stores tell the time of a write in whole seconds, so less says nothing.
const CLOCK_WARNING_MS: i64 = 5_000;
/// S3 and Azure refuse a signature that is older or younger.
const CLOCK_BAD_MS: i64 = 15 * 60_000;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it must be.
    Good,
    /// Publication works, somebody should look.
    Warning,
    /// Publication would fail or not be safe.
    Bad,
}

impl Verdict {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the check.
    pub check: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// Figures, or what is wrong and what to do.
    pub detail: String,
}

/// Makes every check and tells each finding as it comes.
///
/// `now_ms` gives milliseconds since 1970, to compare with the store's clock. Costs some hundred small requests.
///
/// # Errors
/// The first bad finding: [`Kind::Unavailable`] if the store cannot be reached, which ends the checks, else [`Kind::Job`].
pub async fn examine(
    target: &TableTarget,
    now_ms: fn() -> i64,
    tell: &mut dyn FnMut(&Finding),
) -> Result<(), PublishError> {
    let mut probe = Probe::open(target)?;
    let mut told = Told { tell, bad: None };
    let asked = probe.ask(now_ms, &mut told).await;
    let count = probe.made.len();
    let removed = probe.remove().await;
    asked?;
    if count > 0 {
        told.take("delete", removed)?;
    }
    told.bad.map_or(Ok(()), Err)
}

/// Refuses, before any work, a store that does not make create-if-absent atomic: two runs could both publish there.
///
/// # Errors
/// [`Kind::Job`] for such a store and for what the credentials may not do, [`Kind::Unavailable`] if it cannot be reached.
pub async fn require_atomic_create(target: &TableTarget) -> Result<(), PublishError> {
    let mut probe = Probe::open(target)?;
    let raced = probe.race_round(0).await;
    if let Err(e) = probe.remove().await {
        tracing::warn!("the objects of a probe are left: {e}");
    }
    raced
}

/// A verdict with its figures.
type Checked = Result<(Verdict, String), PublishError>;

/// Passes findings on and keeps the first bad one.
struct Told<'a> {
    tell: &'a mut dyn FnMut(&Finding),
    bad: Option<PublishError>,
}

impl Told<'_> {
    /// Whether the check went well enough for those that build on it. Errors: the store cannot be reached.
    fn take(&mut self, check: &'static str, checked: Checked) -> Result<bool, PublishError> {
        let (verdict, detail, error) = match checked {
            Ok((verdict, detail)) => (verdict, detail, None),
            Err(e) => (Verdict::Bad, e.to_string(), Some(e)),
        };
        (self.tell)(&Finding { check, verdict, detail: detail.clone() });
        match (verdict, error) {
            (Verdict::Bad, Some(e)) if e.kind() == Kind::Unavailable => return Err(e),
            (Verdict::Bad, e) => {
                let error = e.unwrap_or_else(|| PublishError::new(Kind::Job, detail));
                self.bad.get_or_insert(error);
            }
            _ => {}
        }
        Ok(verdict != Verdict::Bad)
    }
}

/// The objects of one probe.
struct Probe {
    store: Arc<dyn ObjectStore>,
    location: String,
    dir: Path,
    /// Objects that were written, or tried.
    made: Vec<Path>,
    /// Folders on the local disk that were not there before, deepest first.
    new_folders: Vec<PathBuf>,
}

impl Probe {
    fn open(target: &TableTarget) -> Result<Self, PublishError> {
        let Table { store, location, .. } = Table::open(target)?;
        let dir = Path::from(format!("{PROBE_DIR}/{}", Uuid::new_v4().simple()));
        let folder = (target.location_url.scheme() == "file").then(|| target.location_url.to_file_path().ok());
        let new_folders = folder.flatten().map_or(vec![], |folder| {
            let deepest = folder.join(dir.as_ref());
            deepest.ancestors().take_while(|f| !f.exists()).map(std::path::Path::to_path_buf).collect()
        });
        Ok(Self { store, location, dir, made: vec![], new_folders })
    }

    fn object(&mut self, name: &str) -> Path {
        let path = self.dir.clone().join(name);
        self.made.push(path.clone());
        path
    }

    fn failed(&self, doing: &str, error: Error) -> PublishError {
        let (kind, next) = advice(&error);
        PublishError::caused(kind, format!("cannot {doing}, {next}: {error}, location={}", self.location), error)
    }

    async fn ask(&mut self, now_ms: fn() -> i64, told: &mut Told<'_>) -> Result<(), PublishError> {
        told.take("list", self.list().await)?;
        let small = self.object("small");
        let before = now_ms();
        let put = self.store.put(&small, body(0).into()).await;
        let after = now_ms();
        let written = match put {
            Ok(_) => self.read_back(&small).await,
            Err(error) => {
                let refused = self.failed("write an object", error);
                if refused.kind() == Kind::Job {
                    self.made.clear();
                }
                Err(refused)
            }
        };
        if !told.take("write", written)? {
            return Ok(());
        }
        told.take("latency", self.latency(&small).await)?;
        told.take("clock", self.clock(&small, before, after).await)?;
        told.take("create", self.create().await)?;
        Ok(())
    }

    async fn list(&self) -> Checked {
        let started = Instant::now();
        let found = match self.store.list(None).next().await {
            None | Some(Ok(_)) => Ok(()),
            // A folder on the local disk is made when it is written to; a bucket is not.
            Some(Err(Error::NotFound { .. })) if self.location.starts_with("file:") => Ok(()),
            Some(Err(error)) => Err(error),
        };
        found.map_err(|e| self.failed("list objects", e))?;
        Ok((Verdict::Good, format!("objects can be listed, ms={}", ms(started.elapsed()))))
    }

    async fn read_back(&self, path: &Path) -> Checked {
        let read = self.read(path).await.map_err(|e| self.failed("read an object back", e))?;
        if read != body(0) {
            let what = "the store gives other bytes than were written just before, no table can be kept there";
            return Ok((Verdict::Bad, format!("{what}: location={}", self.location)));
        }
        Ok((Verdict::Good, format!("an object was written and read back, bytes={BODY_BYTES}")))
    }

    async fn read(&self, path: &Path) -> object_store::Result<Bytes> {
        self.store.get(path).await?.bytes().await
    }

    async fn latency(&self, path: &Path) -> Checked {
        let mut took = vec![];
        for _ in 0..ROUND_TRIPS {
            let started = Instant::now();
            self.read(path).await.map_err(|e| self.failed("read an object", e))?;
            took.push(started.elapsed());
        }
        took.sort_unstable();
        let at = |i: usize| ms(took.get(i).copied().unwrap_or_default());
        let (median, max) = (at(ROUND_TRIPS / 2), at(ROUND_TRIPS - 1));
        Ok((Verdict::Good, format!("round trips={ROUND_TRIPS}, median_ms={median}, max_ms={max}")))
    }

    async fn clock(&self, path: &Path, before: i64, after: i64) -> Checked {
        let object = self.store.head(path).await.map_err(|e| self.failed("read an object's time", e))?;
        let modified = object.last_modified.timestamp_millis();
        if modified <= 0 {
            return Ok((Verdict::Warning, "the store tells no time of its objects".into()));
        }
        let ahead = ahead_ms(before, after, modified);
        let seconds = format!("store_ahead_s={:.1}", (ahead / 100) as f64 / 10.0);
        Ok(match ahead.abs() {
            CLOCK_BAD_MS.. => {
                let what = "the clocks of this machine and of the store differ so much that signatures are refused, set \
                            the wrong one";
                (Verdict::Bad, format!("{what}: {seconds}, location={}", self.location))
            }
            CLOCK_WARNING_MS.. => (Verdict::Warning, format!("clocks differ, set the wrong one: {seconds}")),
            _ => (Verdict::Good, format!("clocks agree, {seconds}")),
        })
    }

    async fn create(&mut self) -> Checked {
        for round in 0..ROUNDS {
            self.race_round(round).await?;
        }
        Ok((Verdict::Good, format!("of many writers of one object one wins, writers={WRITERS}, rounds={ROUNDS}")))
    }

    /// One race with a clear end.
    async fn race_round(&mut self, round: usize) -> Result<(), PublishError> {
        for attempt in 0..UNCLEAR_MAX {
            let path = self.object(&format!("race-{round}-{attempt}"));
            match race(&self.store, &path, WRITERS).await.map_err(|e| self.failed("create an object if absent", e))? {
                Race::Atomic => return Ok(()),
                Race::Unclear => {}
                Race::Broken(how) => {
                    let what = "the store does not make create-if-absent atomic, two runs could both publish, use a \
                                store that does (`lakecast doctor LOCATION` tries it again)";
                    return Err(PublishError::new(Kind::Job, format!("{what}: {how}, location={}", self.location)));
                }
            }
        }
        let what =
            "cannot find out whether create-if-absent is atomic, answers of the store were lost, run again later";
        Err(PublishError::new(Kind::Unavailable, format!("{what}: location={}", self.location)))
    }

    /// Deletes everything made. What cannot be deleted is a warning, for publication does not need it.
    async fn remove(&mut self) -> Checked {
        let mut failed = None;
        let count = self.made.len();
        for path in self.made.drain(..) {
            match self.store.delete(&path).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => failed = Some(error),
            }
        }
        for folder in &self.new_folders {
            let _ = std::fs::remove_dir(folder);
        }
        Ok(match failed {
            None => (Verdict::Good, format!("objects of the checks were deleted, objects={count}")),
            Some(error) => {
                let what = "objects of the checks are left, delete them and give the credentials that right";
                (Verdict::Warning, format!("{what}: {error}, folder={}{}", self.location, self.dir))
            }
        })
    }
}

/// What became of one object that many writers tried to create at the same moment.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Race {
    /// One writer won, others were refused, and the object holds what the winner wrote.
    Atomic,
    /// All were refused: the winner's answer was lost, and its own retry met its first write.
    Unclear,
    /// Not atomic; how that was seen.
    Broken(String),
}

/// Lets `writers` create the object at `path`, which must not exist.
async fn race(store: &Arc<dyn ObjectStore>, path: &Path, writers: usize) -> object_store::Result<Race> {
    let start = Arc::new(Barrier::new(writers));
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let (store, path, start) = (Arc::clone(store), path.clone(), Arc::clone(&start));
        tasks.spawn(async move {
            // Opens a connection, so that the writes meet instead of waiting for handshakes.
            let _ = store.head(&path).await;
            start.wait().await;
            (writer, store.put_opts(&path, body(writer).into(), PutMode::Create.into()).await)
        });
    }
    let (mut winners, mut refused, mut failed) = (vec![], 0, None);
    while let Some(done) = tasks.join_next().await {
        match done? {
            (writer, Ok(_)) => winners.push(writer),
            (_, Err(Error::AlreadyExists { .. } | Error::Precondition { .. })) => refused += 1,
            (_, Err(error)) => failed = Some(error),
        }
    }
    match (winners[..].len(), winners.first()) {
        (1, Some(winner)) => {
            let held = store.get(path).await?.bytes().await?;
            match failed {
                _ if held != body(*winner) => Ok(Race::Broken("the object is not what its one winner wrote".into())),
                Some(error) if refused == 0 => Err(error),
                _ => Ok(Race::Atomic),
            }
        }
        (0, _) => failed.map_or(Ok(Race::Unclear), Err),
        (n, _) => Ok(Race::Broken(format!("{n} of {writers} writers were told that they created the same object"))),
    }
}

/// What one writer writes: full of its number, so that no mixture of two looks like either.
fn body(writer: usize) -> Bytes {
    let number = format!("{writer:015}\n");
    Bytes::from(number.repeat(BODY_BYTES / number.len()))
}

fn ms(took: Duration) -> String {
    format!("{:.1}", took.as_secs_f64() * 1000.0)
}

/// How far the store's clock is ahead of ours, 0 if its time of a write lies between our times before and after it.
fn ahead_ms(before: i64, after: i64, modified: i64) -> i64 {
    let before = before - before.rem_euclid(1000);
    (modified - after).max(0) + (modified - before).min(0)
}

/// What stores and clients say, and what to do about it. None of it is mended by waiting.
const WORDS: &[(&str, &str)] = &[
    ("RequestTimeTooSkewed", "set the clock of this machine, it differs from the store's"),
    (
        "169.254.169.254",
        "no credentials are set, put AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AZURE_*) in the environment",
    ),
    ("metadata.google.internal", "no credentials are set, put GOOGLE_SERVICE_ACCOUNT in the environment"),
    ("InvalidAccessKeyId", "the store does not know the key, check AWS_ACCESS_KEY_ID"),
    ("SignatureDoesNotMatch", "the secret does not fit the key, check AWS_SECRET_ACCESS_KEY"),
    ("ExpiredToken", "the credentials are too old, get new ones"),
    ("NoSuchBucket", "the bucket does not exist, create it or mend the location"),
    ("ContainerNotFound", "the container does not exist, create it or mend the location"),
    ("incorrectly configured region", "the bucket lies in another region, set AWS_REGION"),
    ("scheme is not allowed", "the endpoint is http, set AWS_ALLOW_HTTP=true if that is meant"),
];

fn advice(error: &Error) -> (Kind, &'static str) {
    let text = crate::failure::chain(error);
    if let Some((_, next)) = WORDS.iter().find(|(words, _)| text.contains(words)) {
        return (Kind::Job, next);
    }
    match error {
        Error::Unauthenticated { .. } => (Kind::Job, "check the credentials in the environment"),
        Error::PermissionDenied { .. } => {
            (Kind::Job, "give the credentials the right to list, read, write and delete there")
        }
        Error::NotFound { .. } => (Kind::Job, "create the bucket or mend the location"),
        Error::NotImplemented { .. } | Error::NotSupported { .. } => (Kind::Job, "use a store that can"),
        other if refused_for_good(other) => (Kind::Job, "make the location writable"),
        other => match store_kind(other) {
            Kind::Unavailable => (Kind::Unavailable, "check endpoint and network, then run again"),
            kind => (kind, "mend the location"),
        },
    }
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
