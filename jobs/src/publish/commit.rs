//! The commit itself.  In: a checked publication. Out: one log entry written put-if-absent, its outcome known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use chrono::NaiveDate;
use deltalake_core::DeltaTable;
use deltalake_core::kernel::transaction::PROTOCOL;
use deltalake_core::kernel::{Action, Add, CommitInfo, EagerSnapshot, StructType, Transaction};
use deltalake_core::protocol::{DeltaOperation, SaveMode, checkpoints};
use object_store::{ObjectMeta, ObjectStore, PutMode, PutOptions};
use serde_json::{Value, json};

use super::error::{Kind, PublishError, refused_for_good};
use super::table::{self, Table};
use super::{Commit, Publication, RUN_DATE, TableTarget, check, schema};

/// Versions between two Delta checkpoints: the interval of the reference implementation.
const CHECKPOINT_EVERY: i64 = 10;

/// How long to go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Version numbers to try while other writers take them. Each loss means that somebody else's commit went through.
    pub(super) races: usize,
    /// PUTs of one log entry while the store gives no clear answer.
    pub(super) puts: u32,
    /// Pause before the second PUT; doubles with each further one.
    pub(super) pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        // 0.2 + 0.4 + .. + 12.8 s = 25 s on top of the store's own retries.
        Limits { races: 30, puts: 8, pause: Duration::from_millis(200) }
    }
}

/// The application id under which an output's publication for one date is known in a table's log.
pub(super) fn app_id(job: &str, output: &str, run_date: NaiveDate) -> String {
    format!("lakecast:{job}/{output}/{run_date}")
}

/// The first 63 bits of the fingerprint: what a `txn` version has room for.
pub(super) fn txn_version(fingerprint: [u8; 32]) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = fingerprint;
    // A logical shift leaves the sign bit clear, so the conversion cannot fail.
    i64::try_from(u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1).unwrap_or(i64::MAX)
}

pub(super) async fn publish(
    target: &TableTarget,
    p: &Publication,
    now_ms: i64,
    limits: Limits,
) -> Result<Commit, PublishError> {
    check::publication(p)?;
    let columns = schema::delta_schema(&p.schema)?;
    let table = Table::open(target)?;
    let entry = Entry {
        p,
        columns,
        app_id: app_id(&p.job, &p.output, p.run_date),
        txn: txn_version(p.fingerprint),
        token: uuid::Uuid::new_v4().to_string(),
        now_ms,
    };
    // What stood under our id when we began, and the data files as the store knows them.
    let mut began: Option<(Option<i64>, Vec<ObjectMeta>)> = None;
    for _ in 0..limits.races {
        let snapshot = table.load().await?;
        let mut stands = None;
        if let Some(snapshot) = &snapshot {
            if let Some(done) = table.published(snapshot, &entry.app_id, entry.txn, p.run_date).await? {
                return Ok(Commit::AlreadyDone { version: done.version });
            }
            check::table(&table, snapshot, &entry.columns)?;
            stands = table.txn(snapshot, &entry.app_id).await?;
        }
        let (before, metas) = match began.take() {
            Some(known) => known,
            None => {
                if snapshot.is_none() {
                    check::empty_location(&table).await?;
                }
                (stands, check::files(&table, &p.files).await?)
            }
        };
        if before != stands {
            return Err(overtaken(&table, p));
        }
        let (version, bytes) = entry.write(&table, snapshot.as_ref(), &metas)?;
        if put_entry(&table, version, bytes, &entry.token, limits).await? == Answer::Ours {
            checkpoint(&table, version).await;
            return Ok(Commit::Done { version });
        }
        began = Some((before, metas));
    }
    Err(PublishError::new(
        Kind::Unavailable,
        format!(
            "other writers took every version number; run again: tried={}, location={}",
            limits.races, table.location
        ),
    ))
}

fn overtaken(table: &Table, p: &Publication) -> PublishError {
    PublishError::new(
        Kind::Conflict,
        format!(
            "another run published this output and date while this one did; look at it, and run again if this one should \
             replace it: job={}, output={}, run_date={}, location={}",
            p.job, p.output, p.run_date, table.location
        ),
    )
}

/// Whose log entry stands at a version number.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Ours,
    Theirs,
}

/// Write one log entry and find out whose stands. Leaves the version number only when an entry was seen at it.
async fn put_entry(
    table: &Table,
    version: i64,
    bytes: Bytes,
    token: &str,
    limits: Limits,
) -> Result<Answer, PublishError> {
    let path = table::entry_path(version)?;
    let mut pause = limits.pause;
    let mut ambiguous: Option<String> = None;
    for put in 0..limits.puts {
        if put > 0 {
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let Err(refusal) = table.store.put_opts(&path, bytes.clone().into(), options).await else {
            return Ok(Answer::Ours);
        };
        match table.entry(version).await {
            Ok(Some(entry)) => return Ok(if holds(&entry, token) { Answer::Ours } else { Answer::Theirs }),
            // Refused, and no earlier PUT of ours can be under way: surely not published, whether or not it reads.
            _ if ambiguous.is_none() && refused_for_good(&refusal) => {
                return Err(PublishError::store("write the table's log entry", &table.location, refusal));
            }
            Ok(None) => ambiguous = Some(refusal.to_string()),
            Err(unread) => ambiguous = Some(format!("{refusal}; {unread}")),
        }
        tracing::warn!(location = %table.location, version, put, "no clear answer to the commit, asking again");
    }
    Err(PublishError::new(
        Kind::Unknown,
        format!(
            "the store did not say whether the commit landed; run the same command again, it will find out: \
             version={version}, token={token}, location={}, last answer={}",
            table.location,
            ambiguous.unwrap_or_default()
        ),
    ))
}

fn holds(entry: &[Value], token: &str) -> bool {
    entry.iter().any(|action| action["commitInfo"]["commitToken"].as_str() == Some(token))
}

/// A checkpoint every so often, so that a reader of the log opens a few files and not one per night since the start.
async fn checkpoint(table: &Table, version: i64) {
    if version == 0 || version % CHECKPOINT_EVERY != 0 {
        return;
    }
    let Ok(at) = u64::try_from(version) else { return };
    let mut opened = DeltaTable::new(table.log_store.clone());
    let written = match opened.load_version(at).await {
        Ok(()) => checkpoints::create_checkpoint(&opened, None).await,
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        // The publication stands without; the next checkpoint covers this one's share.
        tracing::warn!(location = %table.location, version, %error, "cannot write a Delta checkpoint");
    }
}

/// All that goes into the log entry, but the table's state.
struct Entry<'a> {
    p: &'a Publication,
    columns: StructType,
    app_id: String,
    txn: i64,
    token: String,
    now_ms: i64,
}

impl Entry<'_> {
    /// The version number to take and the bytes to write there, given the newest state of the table.
    fn write(
        &self,
        table: &Table,
        snapshot: Option<&EagerSnapshot>,
        metas: &[ObjectMeta],
    ) -> Result<(i64, Bytes), PublishError> {
        let mut changes = Vec::new();
        let (version, kept, removed) = match snapshot {
            Some(snapshot) => {
                let (kept, removed) = self.removes(table, snapshot, &mut changes)?;
                (table::version(snapshot)? + 1, kept, removed)
            }
            None => {
                changes.push(self.protocol()?);
                changes.push(self.metadata()?);
                (0, BTreeSet::new(), 0)
            }
        };
        let before_adds = changes.len();
        self.adds(metas, &kept, &mut changes)?;
        let added = changes.len() - before_adds;

        let mut actions = vec![self.commit_info(version, added, removed)];
        actions.append(&mut changes);
        actions.push(Action::Txn(Transaction::new_with_last_update(&self.app_id, self.txn, Some(self.now_ms))));
        if let Some(snapshot) = snapshot {
            PROTOCOL.can_commit(snapshot, &actions, &self.operation()).map_err(|error| {
                PublishError::caused(
                    Kind::Job,
                    format!("the table that stands there cannot be replaced: {error}, location={}", table.location),
                    error,
                )
            })?;
        }
        let lines =
            actions.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>().map_err(|error| {
                PublishError::caused(Kind::Bug, format!("an action cannot be written: {error}"), error)
            })?;
        Ok((version, Bytes::from(lines.join("\n") + "\n")))
    }

    /// Take out every file of the date but those that are to stay as they are (a log entry may not both remove and add
    /// one). Answers the paths that stay and the count that goes.
    fn removes(
        &self,
        table: &Table,
        snapshot: &EagerSnapshot,
        changes: &mut Vec<Action>,
    ) -> Result<(BTreeSet<String>, usize), PublishError> {
        let ours: BTreeSet<&str> = self.p.files.iter().map(|file| file.path.as_str()).collect();
        let mut kept = BTreeSet::new();
        let mut removed = 0;
        for file in table.active(snapshot, self.p.run_date)? {
            let mut remove = file.remove;
            if remove.deletion_vector.is_none() && ours.contains(remove.path.as_str()) {
                kept.insert(remove.path);
            } else {
                remove.deletion_timestamp = Some(self.now_ms);
                changes.push(Action::Remove(remove));
                removed += 1;
            }
        }
        Ok((kept, removed))
    }

    fn adds(
        &self,
        metas: &[ObjectMeta],
        kept: &BTreeSet<String>,
        changes: &mut Vec<Action>,
    ) -> Result<(), PublishError> {
        let by_path: BTreeMap<&str, _> =
            self.p.files.iter().zip(metas).map(|(file, meta)| (file.path.as_str(), (file, meta))).collect();
        for (path, (file, meta)) in by_path {
            if kept.contains(path) {
                continue;
            }
            let size = i64::try_from(file.size_bytes).map_err(|error| {
                PublishError::caused(Kind::Check, format!("a data file is too large: path={path}"), error)
            })?;
            changes.push(Action::Add(Add {
                path: path.to_string(),
                partition_values: HashMap::from([(RUN_DATE.to_string(), Some(self.p.run_date.to_string()))]),
                size,
                modification_time: meta.last_modified.timestamp_millis(),
                data_change: true,
                stats: Some(check::stats(file)?),
                tags: file.sha256.clone().map(|digest| HashMap::from([("lakecast.sha256".to_string(), Some(digest))])),
                ..Add::default()
            }));
        }
        Ok(())
    }

    /// The lowest protocol that the columns need, so that the most readers can follow.
    fn protocol(&self) -> Result<Action, PublishError> {
        from_json(if schema::needs_timestamp_ntz(&self.p.schema) {
            json!({"protocol": {
                "minReaderVersion": 3, "minWriterVersion": 7,
                "readerFeatures": ["timestampNtz"], "writerFeatures": ["timestampNtz"],
            }})
        } else {
            json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}})
        })
    }

    fn metadata(&self) -> Result<Action, PublishError> {
        let columns = serde_json::to_string(&self.columns).map_err(|error| {
            PublishError::caused(Kind::Bug, format!("the schema cannot be written: {error}"), error)
        })?;
        from_json(json!({"metaData": {
            "id": uuid::Uuid::new_v4().to_string(),
            "name": self.p.output,
            "description": format!("output {} of the lakecast job {}", self.p.output, self.p.job),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": columns,
            "partitionColumns": [RUN_DATE],
            "configuration": {},
            "createdTime": self.now_ms,
        }}))
    }

    fn commit_info(&self, version: i64, added: usize, removed: usize) -> Action {
        let p = self.p;
        let rows: u64 = p.files.iter().map(|file| file.rows).sum();
        let bytes: u64 = p.files.iter().map(|file| file.size_bytes).sum();
        let info = HashMap::from([
            ("commitToken".to_string(), json!(self.token)),
            ("lakecastRunId".to_string(), json!(p.run_id)),
            ("lakecastJob".to_string(), json!(p.job)),
            ("lakecastOutput".to_string(), json!(p.output)),
            ("lakecastFingerprint".to_string(), json!(hex(&p.fingerprint))),
            ("lakecastRows".to_string(), json!(rows)),
            ("lakecastCounts".to_string(), p.counts.clone()),
            // Delta keeps these as text.
            (
                "operationMetrics".to_string(),
                json!({
                    "numFiles": added.to_string(), "numRemovedFiles": removed.to_string(),
                    "numOutputRows": rows.to_string(), "numOutputBytes": bytes.to_string(),
                }),
            ),
        ]);
        Action::CommitInfo(CommitInfo {
            timestamp: Some(self.now_ms),
            read_version: u64::try_from(version - 1).ok(),
            is_blind_append: Some(false),
            engine_info: Some(concat!("lakecast/", env!("CARGO_PKG_VERSION")).to_string()),
            info,
            ..self.operation().get_commit_info()
        })
    }

    fn operation(&self) -> DeltaOperation {
        DeltaOperation::Write {
            mode: SaveMode::Overwrite,
            partition_by: Some(vec![RUN_DATE.to_string()]),
            predicate: Some(format!("{RUN_DATE} = '{}'", self.p.run_date)),
        }
    }
}

fn from_json(value: Value) -> Result<Action, PublishError> {
    serde_json::from_value(value)
        .map_err(|error| PublishError::caused(Kind::Bug, format!("a Delta action is not accepted: {error}"), error))
}

/// Lower-case hexadecimal, as fingerprints are shown.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
