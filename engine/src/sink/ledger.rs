//! What a fleet notes beside the checkpoints: which partitions are under way, and which attempts were given up.
//!
//! In: the start and the end of a sink's partition; the controller's decision to give an attempt up. Out: small objects
//! from which the controller learns what a dead executor was computing, and by which a task learns that nobody waits for it.
//! An entry left behind means that its process died: every other end of a task removes it.

use super::checkpoint::checkpoint_dir;
use super::node::SinkSpec;
use datafusion::common::Result;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use std::sync::Arc;

/// A partition that some process began and did not end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leftover {
    /// Number of the partition in the job.
    pub partition: usize,
    /// The process that computes it, or died over it.
    pub executor_id: String,
}

fn underway_dir(table: &Path, key: &str) -> Path {
    checkpoint_dir(table, key).join("underway")
}

fn underway_path(table: &Path, key: &str, partition: usize, executor_id: &str) -> Path {
    underway_dir(table, key).join(format!("{partition:05}-{executor_id}"))
}

fn buried_path(table: &Path, key: &str, attempt: &str) -> Path {
    checkpoint_dir(table, key).join("given-up").join(attempt)
}

/// The entry of a partition under way; removed when it is dropped, however the task ends.
pub(super) struct Underway {
    entry: Option<(Arc<dyn ObjectStore>, Path)>,
}

impl Underway {
    /// Notes that `executor_id` begins `partition`. Errors: the store.
    pub(super) async fn enter(
        store: Arc<dyn ObjectStore>,
        table: &Path,
        key: &str,
        partition: usize,
        executor_id: &str,
    ) -> Result<Self> {
        let path = underway_path(table, key, partition, executor_id);
        store.put(&path, PutPayload::new()).await?;
        Ok(Self { entry: Some((store, path)) })
    }
}

impl Drop for Underway {
    /// In the background: a task that is cancelled is dropped between two polls, and one that is done need not wait. Best
    /// effort; an entry of a finished partition says nothing.
    fn drop(&mut self) {
        if let (Some((store, path)), Ok(runtime)) = (self.entry.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                let _ = store.delete(&path).await;
            });
        }
    }
}

/// Every partition that was begun and not ended, by processes alive or dead. Errors: the store.
pub async fn leftovers(store: &dyn ObjectStore, table: &Path, key: &str) -> Result<Vec<Leftover>> {
    let dir = underway_dir(table, key);
    let mut listed = store.list(Some(&dir));
    let mut all = vec![];
    while let Some(object) = listed.next().await {
        let object = object?;
        let entry = object.location.filename().and_then(|name| name.split_once('-'));
        if let Some((Ok(partition), executor_id)) = entry.map(|(number, id)| (number.parse(), id)) {
            all.push(Leftover { partition, executor_id: executor_id.to_string() });
        }
    }
    all.sort();
    Ok(all)
}

/// Removes what a dead executor left of a partition. Best effort: an entry that stays counts against the partition.
pub async fn forget(store: &dyn ObjectStore, table: &Path, key: &str, partition: usize, executor_id: &str) {
    let _ = store.delete(&underway_path(table, key, partition, executor_id)).await;
}

/// Gives an attempt up: whatever of it still runs somewhere registers nothing any more. Errors: the store.
pub async fn bury(store: &dyn ObjectStore, table: &Path, key: &str, attempt: &str) -> Result<()> {
    store.put(&buried_path(table, key, attempt), PutPayload::new()).await?;
    Ok(())
}

/// Whether the attempt that a sink belongs to was given up.
pub(super) async fn is_buried(store: &dyn ObjectStore, table: &Path, spec: &SinkSpec) -> Result<bool> {
    if spec.attempt.is_empty() {
        return Ok(false);
    }
    match store.head(&buried_path(table, &spec.checkpoint_key, &spec.attempt)).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    fn spec(attempt: &str) -> SinkSpec {
        SinkSpec {
            table_url: "memory:///t/".into(),
            partition_dir: "p".into(),
            checkpoint_key: "k".into(),
            attempt: attempt.into(),
        }
    }

    #[tokio::test]
    async fn an_entry_stays_only_when_its_process_dies() {
        let (store, table): (Arc<dyn ObjectStore>, _) = (Arc::new(InMemory::new()), Path::from("t"));
        let enter = |partition| Underway::enter(Arc::clone(&store), &table, "k", partition, "lakecast-1-e");
        drop(enter(4).await.unwrap());
        std::mem::forget(enter(5).await.unwrap());
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        let left = leftovers(store.as_ref(), &table, "k").await.unwrap();
        assert_eq!(left, [Leftover { partition: 5, executor_id: "lakecast-1-e".into() }]);
    }

    #[tokio::test]
    async fn a_given_up_attempt_is_known_as_such_and_no_other_is() {
        let (store, table) = (InMemory::new(), Path::from("t"));
        bury(&store, &table, "k", "a").await.unwrap();
        for (attempt, buried) in [("a", true), ("b", false), ("", false)] {
            assert_eq!(is_buried(&store, &table, &spec(attempt)).await.unwrap(), buried, "{attempt}");
        }
    }
}
