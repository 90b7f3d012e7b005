//! A Delta table through our own object store.  In: a location. Out: its newest state, its log entries, its partition.

use std::sync::Arc;

use chrono::NaiveDate;
use deltalake_core::DeltaTableError;
use deltalake_core::kernel::{EagerSnapshot, Remove};
use deltalake_core::logstore::{LogStoreRef, StorageConfig, commit_uri_from_version, default_logstore};
use futures::StreamExt;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::Value;

use super::error::{Kind, PublishError};
use super::{Published, RUN_DATE, TableTarget};

/// An opened location, whether or not a table stands there.
pub(super) struct Table {
    /// As the user knows it, for messages.
    pub(super) location: String,
    /// The store, rooted at the table.
    pub(super) store: Arc<dyn ObjectStore>,
    /// delta-rs' view of the same store.
    pub(super) log_store: LogStoreRef,
}

/// A file that the table's newest version holds in the partition of the run date.
pub(super) struct ActiveFile {
    /// The action that takes it out of the table.
    pub(super) remove: Remove,
    /// Rows by its statistics, `None` where unknown or where a deletion vector hides some.
    pub(super) rows: Option<u64>,
}

impl Table {
    pub(super) fn open(target: &TableTarget) -> Result<Self, PublishError> {
        let mut url = target.location_url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let location = url.to_string();
        if url.scheme() != "file" && url.path().contains('%') {
            // The kernel under delta-rs lists and reads such a path under two different names.
            return Err(PublishError::new(
                Kind::Job,
                format!(
                    "the path of an output on an object store may hold letters, digits and -_.=/ only, no character that \
                     a URL escapes: location={location}"
                ),
            ));
        }
        let root = Path::from_url_path(url.path()).map_err(|error| {
            PublishError::caused(Kind::Job, format!("not a usable location: {error}, location={location}"), error)
        })?;
        let store: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(&target.store), root));
        let log_store =
            default_logstore(Arc::clone(&store), Arc::clone(&target.store), &url, &StorageConfig::default());
        Ok(Table { location, store, log_store })
    }

    /// Whether anything lies where the log would be. The kernel takes a local folder that is not there for an error.
    async fn has_log(&self) -> Result<bool, PublishError> {
        match self.store.list(Some(&Path::from("_delta_log"))).next().await {
            None | Some(Err(object_store::Error::NotFound { .. })) => Ok(false),
            Some(Ok(_)) => Ok(true),
            Some(Err(error)) => Err(PublishError::store("look for the table's log", &self.location, error)),
        }
    }

    /// The newest version, or `None` where there is no log.
    pub(super) async fn load(&self) -> Result<Option<EagerSnapshot>, PublishError> {
        if !self.has_log().await? {
            return Ok(None);
        }
        match EagerSnapshot::try_new(self.log_store.as_ref(), None).await {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(DeltaTableError::NotATable(_)) => Ok(None),
            Err(error) => Err(match self.store.head(&Path::from("_delta_log/_last_checkpoint")).await {
                // The kernel hides what kind of error the store gave; asked directly, the store says it again.
                Err(plain) if !matches!(plain, object_store::Error::NotFound { .. }) => {
                    PublishError::store("read the table's log", &self.location, plain)
                }
                _ => PublishError::delta("read the table's log", &self.location, error),
            }),
        }
    }

    /// The latest `txn` version of an application id.
    pub(super) async fn txn(&self, snapshot: &EagerSnapshot, app_id: &str) -> Result<Option<i64>, PublishError> {
        snapshot
            .transaction_version(self.log_store.as_ref(), app_id)
            .await
            .map_err(|error| PublishError::delta("read the table's transactions", &self.location, error))
    }

    /// The files of one run date, by path.
    pub(super) fn active(
        &self,
        snapshot: &EagerSnapshot,
        run_date: NaiveDate,
    ) -> Result<Vec<ActiveFile>, PublishError> {
        let wanted = run_date.to_string();
        let files = snapshot
            .try_log_data()
            .map_err(|error| PublishError::delta("read the table's files", &self.location, error))?;
        let mut active: Vec<ActiveFile> = files
            .iter()
            .filter(|file| {
                file.partition_values_map().get(RUN_DATE).and_then(|value| value.as_deref()) == Some(wanted.as_str())
            })
            .map(|file| {
                let remove = file.remove_action(true);
                let rows = match remove.deletion_vector {
                    Some(_) => None,
                    None => file.num_records().and_then(|rows| u64::try_from(rows).ok()),
                };
                ActiveFile { remove, rows }
            })
            .collect();
        active.sort_by(|a, b| a.remove.path.cmp(&b.remove.path));
        Ok(active)
    }

    /// The publication `txn` of `app_id`, if it is the latest of that id and the partition still has the rows it had then.
    pub(super) async fn published(
        &self,
        snapshot: &EagerSnapshot,
        app_id: &str,
        txn: i64,
        run_date: NaiveDate,
    ) -> Result<Option<Published>, PublishError> {
        if self.txn(snapshot, app_id).await? != Some(txn) {
            return Ok(None);
        }
        let newest = version(snapshot)?;
        let Some((version, info)) = self.find_commit(newest, app_id).await? else {
            return Ok(Some(Published { version: newest, counts: Value::Null }));
        };
        let rows = info["lakecastRows"].as_u64();
        // A RESTORE or DELETE takes the rows away and leaves the `txn`: then this is not published, whatever it says.
        let held = self.active(snapshot, run_date)?.iter().map(|file| file.rows).sum::<Option<u64>>();
        let stands = rows.is_none() || rows == held;
        Ok(stands.then(|| Published { version, counts: info["lakecastCounts"].clone() }))
    }

    /// The newest log entry that carries a `txn` of `app_id`, and its `commitInfo`. `None` where the log was cleaned away
    /// before one was found. Costs one GET per version since.
    async fn find_commit(&self, newest: i64, app_id: &str) -> Result<Option<(i64, Value)>, PublishError> {
        for version in (0..=newest).rev() {
            let Some(entry) = self.entry(version).await? else {
                return Ok(None);
            };
            if entry.iter().any(|action| action["txn"]["appId"].as_str() == Some(app_id)) {
                let info = entry.into_iter().find_map(|mut action| action.get_mut("commitInfo").map(Value::take));
                return Ok(Some((version, info.unwrap_or_default())));
            }
        }
        Ok(None)
    }

    /// The actions of one log entry, `None` if there is no such entry.
    pub(super) async fn entry(&self, version: i64) -> Result<Option<Vec<Value>>, PublishError> {
        let path = entry_path(version)?;
        let bytes = match self.store.get(&path).await {
            Ok(found) => found.bytes().await,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => Err(error),
        }
        .map_err(|error| PublishError::store("read a log entry", &self.location, error))?;
        serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>().collect::<Result<_, _>>().map(Some).map_err(
            |error| {
                let message = format!("a log entry is not JSON: {error}, entry={path}, location={}", self.location);
                PublishError::caused(Kind::Data, message, error)
            },
        )
    }
}

/// The version of a snapshot as the rest of lakecast counts it.
pub(super) fn version(snapshot: &EagerSnapshot) -> Result<i64, PublishError> {
    i64::try_from(snapshot.version())
        .map_err(|error| PublishError::caused(Kind::Data, "the table's version is out of range", error))
}

/// Path of a log entry below the table's root.
pub(super) fn entry_path(version: i64) -> Result<Path, PublishError> {
    u64::try_from(version)
        .map(|version| commit_uri_from_version(Some(version)))
        .map_err(|error| PublishError::caused(Kind::Bug, format!("not a table version: version={version}"), error))
}
