//! Publication under faults.  In: tables in memory and on disk, a store that lies. Out: one version per content, always.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use deltalake_core::DeltaTableBuilder;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use serde_json::Value;

use super::commit::{self, Limits};
use super::*;

const NOW: i64 = 1_795_000_000_000;

// ---- a store that lies ------------------------------------------------------------------------------------------

/// What happens to the next put-if-absent of a log entry.
enum Fault {
    /// It works.
    Pass,
    /// Applied, the answer is lost: a time-out, or a 500 after the write.
    LoseAnswer,
    /// Applied, then answered 412 because the client's own retry met its first write.
    AlreadyExists,
    /// Not applied, answered 409: "try again".
    Conflict409,
    /// Not applied, answered 503.
    Refuse,
    /// Not applied, answered 403.
    Deny,
    /// Not applied, answered with a time-out; lands just before the next PUT of an entry.
    LandLate,
    /// Somebody else writes first, then it is tried.
    Sneak(BoxFuture<'static, ()>),
    /// Applied, the answer lost, and so many reads of entries fail after it.
    LoseAnswerAndReads(usize),
    /// Not applied, and the process is killed there (the request never answers).
    Hang,
    /// Applied, and the process is killed before the answer.
    ApplyAndHang,
}

struct LyingStore {
    inner: Arc<dyn ObjectStore>,
    faults: Mutex<VecDeque<Fault>>,
    late: Mutex<Vec<(Path, PutPayload)>>,
    dead_reads: Mutex<usize>,
    puts: Mutex<Vec<String>>,
}

impl LyingStore {
    fn over(inner: Arc<dyn ObjectStore>, faults: impl IntoIterator<Item = Fault>) -> Arc<Self> {
        Arc::new(LyingStore {
            inner,
            faults: Mutex::new(faults.into_iter().collect()),
            late: Mutex::default(),
            dead_reads: Mutex::default(),
            puts: Mutex::default(),
        })
    }

    /// A fault that never fired proves nothing.
    fn all_fired(&self) -> bool {
        self.faults.lock().unwrap().is_empty()
    }
}

fn generic(text: &str) -> object_store::Error {
    object_store::Error::Generic { store: "lying", source: text.into() }
}

fn create() -> PutOptions {
    PutOptions { mode: PutMode::Create, ..PutOptions::default() }
}

impl fmt::Display for LyingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LyingStore({})", self.inner)
    }
}

impl fmt::Debug for LyingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[async_trait::async_trait]
impl ObjectStore for LyingStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        let entry = location.as_ref().contains("_delta_log/") && matches!(opts.mode, PutMode::Create);
        if !entry {
            return self.inner.put_opts(location, payload, opts).await;
        }
        self.puts.lock().unwrap().push(location.to_string());
        let late: Vec<_> = self.late.lock().unwrap().drain(..).collect();
        for (path, bytes) in late {
            let _ = self.inner.put_opts(&path, bytes, create()).await;
        }
        let fault = self.faults.lock().unwrap().pop_front().unwrap_or(Fault::Pass);
        match fault {
            Fault::Pass => self.inner.put_opts(location, payload, opts).await,
            Fault::LoseAnswer => {
                let _ = self.inner.put_opts(location, payload, opts).await;
                Err(generic("500 after the write"))
            }
            Fault::AlreadyExists => {
                let _ = self.inner.put_opts(location, payload, opts).await;
                Err(object_store::Error::AlreadyExists { path: location.to_string(), source: "412".into() })
            }
            Fault::Conflict409 => {
                Err(object_store::Error::AlreadyExists { path: location.to_string(), source: "409".into() })
            }
            Fault::Refuse => Err(generic("503")),
            Fault::Deny => {
                Err(object_store::Error::PermissionDenied { path: location.to_string(), source: "403".into() })
            }
            Fault::LandLate => {
                self.late.lock().unwrap().push((location.clone(), payload));
                Err(generic("timed out"))
            }
            Fault::Sneak(other) => {
                other.await;
                self.inner.put_opts(location, payload, opts).await
            }
            Fault::LoseAnswerAndReads(reads) => {
                let _ = self.inner.put_opts(location, payload, opts).await;
                *self.dead_reads.lock().unwrap() = reads;
                Err(generic("connection reset"))
            }
            Fault::Hang => futures::future::pending().await,
            Fault::ApplyAndHang => {
                self.inner.put_opts(location, payload, opts).await?;
                futures::future::pending().await
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        if location.as_ref().contains("_delta_log/") {
            let mut dead = self.dead_reads.lock().unwrap();
            if *dead > 0 {
                *dead -= 1;
                return Err(generic("connection refused"));
            }
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

// ---- a table and its publications -------------------------------------------------------------------------------

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

fn target(store: &Arc<dyn ObjectStore>) -> TableTarget {
    TableTarget { location_url: Url::parse("memory:///lake/forecast").unwrap(), store: Arc::clone(store) }
}

fn columns() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("sku", DataType::Utf8, true), Field::new("yhat", DataType::Float64, true)]))
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
}

/// A publication of `files` files for a date, its data files put in the store, every content (fingerprint) on its own.
async fn given(target: &TableTarget, date: NaiveDate, content: u8, files: u32) -> Publication {
    let mut listed = Vec::new();
    for number in 0..files {
        let path = format!("run_date={date}/part-{number:05}-{content}.parquet");
        let body = vec![content; 10 + number as usize];
        let full = Path::from_url_path(format!("{}/{path}", target.location_url.path().trim_end_matches('/'))).unwrap();
        let size_bytes = body.len() as u64;
        let put = target.store.put(&full, Bytes::from(body).into()).await.unwrap();
        let rows = u64::from(content) * 100 + u64::from(number);
        listed.push(DataFile { path, size_bytes, rows, etag: put.e_tag, sha256: Some("ab".into()), stats_json: None });
    }
    Publication {
        job: "nightly".into(),
        output: "forecast".into(),
        run_date: date,
        fingerprint: [content; 32],
        run_id: format!("run-{content}"),
        counts: serde_json::json!({ "content": content }),
        schema: columns(),
        files: listed,
    }
}

fn quick() -> Limits {
    Limits { races: 30, puts: 4, pause: Duration::from_millis(1) }
}

async fn go(target: &TableTarget, p: &Publication) -> Result<Commit, PublishError> {
    commit::publish(target, p, NOW, quick()).await
}

/// The active files and the version, as delta-rs by itself sees them.
async fn seen(target: &TableTarget) -> (i64, Vec<String>) {
    let mut url = target.location_url.clone();
    url.set_path(&format!("{}/", url.path().trim_end_matches('/')));
    let table = DeltaTableBuilder::from_url(url.clone())
        .unwrap()
        .with_storage_backend(Arc::clone(&target.store), url)
        .load()
        .await
        .unwrap();
    let mut files: Vec<String> =
        table.snapshot().unwrap().log_data().iter().map(|file| file.path().into_owned()).collect();
    files.sort();
    (table.version().unwrap() as i64, files)
}

fn paths(publications: &[&Publication]) -> Vec<String> {
    let mut paths: Vec<String> = publications.iter().flat_map(|p| p.files.iter().map(|f| f.path.clone())).collect();
    paths.sort();
    paths
}

async fn asked(target: &TableTarget, p: &Publication) -> Option<i64> {
    let found = already_published(target, &p.job, &p.output, p.run_date, p.fingerprint).await.unwrap();
    // What the run counted comes back with it, unless the log that held it was cleaned away.
    found.iter().for_each(|found| assert!(found.counts.is_null() || found.counts == p.counts, "{found:?}"));
    found.map(|found| found.version)
}

async fn entry(target: &TableTarget, version: i64) -> Vec<Value> {
    Table::open(target).unwrap().entry(version).await.unwrap().unwrap()
}

async fn append(target: &TableTarget, version: i64, text: &str) {
    let path = Path::from_url_path(format!("{}/_delta_log/{version:020}.json", target.location_url.path())).unwrap();
    target.store.put_opts(&path, Bytes::from(text.to_string()).into(), create()).await.unwrap();
}

// ---- what a publication does ------------------------------------------------------------------------------------

#[tokio::test]
async fn creates_the_table_then_replaces_one_date_at_a_time() {
    let target = target(&memory());
    let (a, b) = (given(&target, day(22), 1, 3).await, given(&target, day(23), 2, 2).await);
    assert_eq!(check_target(&target, &columns()).await.unwrap(), None);
    assert_eq!(asked(&target, &a).await, None);
    assert_eq!(go(&target, &a).await.unwrap(), Commit::Done { version: 0 });
    assert_eq!(go(&target, &b).await.unwrap(), Commit::Done { version: 1 });
    assert_eq!(seen(&target).await, (1, paths(&[&a, &b])));

    let c = given(&target, day(22), 3, 1).await;
    assert_eq!(go(&target, &c).await.unwrap(), Commit::Done { version: 2 });
    assert_eq!(seen(&target).await, (2, paths(&[&b, &c])));
    assert_eq!(check_target(&target, &columns()).await.unwrap(), Some(2));

    let info = &entry(&target, 2).await[0]["commitInfo"];
    assert_eq!(info["timestamp"], NOW);
    assert_eq!(info["operation"], "WRITE");
    assert_eq!(info["readVersion"], 1);
    assert_eq!(info["lakecastRunId"], "run-3");
    assert_eq!(info["operationMetrics"]["numRemovedFiles"], "3");
    let created = entry(&target, 0).await;
    let protocol = created.iter().find_map(|action| action.get("protocol")).unwrap();
    assert_eq!((protocol["minReaderVersion"].as_i64(), protocol["minWriterVersion"].as_i64()), (Some(1), Some(2)));
    let add = created.iter().find_map(|action| action.get("add")).unwrap();
    assert_eq!(add["partitionValues"]["run_date"], "2026-11-22");
    assert_eq!(add["stats"], r#"{"numRecords":100}"#);
}

#[tokio::test]
async fn the_same_content_again_is_recognised_and_another_content_in_between_is_not() {
    let target = target(&memory());
    let (a, b) = (given(&target, day(22), 1, 2).await, given(&target, day(22), 2, 2).await);
    assert_eq!(go(&target, &a).await.unwrap(), Commit::Done { version: 0 });
    assert_eq!(go(&target, &a).await.unwrap(), Commit::AlreadyDone { version: 0 });
    assert_eq!(go(&target, &b).await.unwrap(), Commit::Done { version: 1 });
    assert_eq!(asked(&target, &a).await, None);
    assert_eq!(go(&target, &a).await.unwrap(), Commit::Done { version: 2 });
    assert_eq!(seen(&target).await, (2, paths(&[&a])));
    // Commits of other dates after it do not hide it, and its own version is the one that is named.
    let other = given(&target, day(23), 3, 1).await;
    assert_eq!(go(&target, &other).await.unwrap(), Commit::Done { version: 3 });
    assert_eq!(asked(&target, &a).await, Some(2));
    assert_eq!(go(&target, &a).await.unwrap(), Commit::AlreadyDone { version: 2 });
}

#[tokio::test]
async fn no_rows_are_published_too() {
    let target = target(&memory());
    let none = given(&target, day(22), 1, 0).await;
    assert_eq!(go(&target, &none).await.unwrap(), Commit::Done { version: 0 });
    assert_eq!(go(&target, &none).await.unwrap(), Commit::AlreadyDone { version: 0 });
    let some = given(&target, day(22), 2, 2).await;
    assert_eq!(go(&target, &some).await.unwrap(), Commit::Done { version: 1 });
    assert_eq!(go(&target, &none).await.unwrap(), Commit::Done { version: 2 });
    assert_eq!(seen(&target).await, (2, vec![]));
    assert_eq!(go(&target, &none).await.unwrap(), Commit::AlreadyDone { version: 2 });
}

#[tokio::test]
async fn rows_taken_away_by_others_are_published_again() {
    let target = target(&memory());
    let a = given(&target, day(22), 1, 2).await;
    assert_eq!(go(&target, &a).await.unwrap(), Commit::Done { version: 0 });
    let gone = &a.files[1].path;
    append(&target, 1, &format!(r#"{{"remove":{{"path":"{gone}","dataChange":true,"deletionTimestamp":1}}}}"#)).await;
    assert_eq!(asked(&target, &a).await, None);
    assert_eq!(go(&target, &a).await.unwrap(), Commit::Done { version: 2 });
    assert_eq!(seen(&target).await, (2, paths(&[&a])));
    // The file that had stayed is neither removed nor added: a log entry may not do both.
    let kept = &a.files[0].path;
    let touched = entry(&target, 2).await;
    assert!(touched.iter().all(|a| a["add"]["path"] != **kept && a["remove"]["path"] != **kept));
    assert_eq!(go(&target, &a).await.unwrap(), Commit::AlreadyDone { version: 2 });
}

#[tokio::test]
async fn a_checkpoint_is_written_and_read() {
    let store = memory();
    let target = target(&store);
    let first = given(&target, day(1), 1, 1).await;
    for n in 0..12 {
        let p = given(&target, day(n + 1), n as u8 + 1, 1).await;
        assert_eq!(go(&target, &p).await.unwrap(), Commit::Done { version: i64::from(n) });
    }
    let hint = store.get(&Path::from("lake/forecast/_delta_log/_last_checkpoint")).await.unwrap();
    let hint: Value = serde_json::from_slice(&hint.bytes().await.unwrap()).unwrap();
    assert_eq!(hint["version"], 10);
    // The log before the checkpoint may be cleaned away; what was published is still known.
    for version in 0..10 {
        store.delete(&Path::from(format!("lake/forecast/_delta_log/{version:020}.json"))).await.unwrap();
    }
    assert_eq!(go(&target, &first).await.unwrap(), Commit::AlreadyDone { version: 11 });
    assert_eq!(seen(&target).await.1.len(), 12);
}

// ---- faults -----------------------------------------------------------------------------------------------------

/// Publish through a lying store on top of one earlier commit; answers the outcome and the store.
async fn under(faults: Vec<Fault>) -> (TableTarget, Publication, Result<Commit, PublishError>, Arc<LyingStore>) {
    let store = memory();
    let honest = target(&store);
    let before = given(&honest, day(21), 9, 1).await;
    assert_eq!(go(&honest, &before).await.unwrap(), Commit::Done { version: 0 });
    let p = given(&honest, day(22), 1, 2).await;
    let lying = LyingStore::over(store, faults);
    let through = TableTarget { store: Arc::clone(&lying) as Arc<dyn ObjectStore>, ..honest.clone() };
    let outcome = go(&through, &p).await;
    assert!(lying.all_fired());
    (honest, p, outcome, lying)
}

#[tokio::test]
async fn an_unclear_answer_is_resolved_by_reading_the_log() {
    for faults in [
        vec![Fault::LoseAnswer],
        vec![Fault::AlreadyExists],
        vec![Fault::Conflict409, Fault::Pass],
        vec![Fault::Refuse, Fault::Refuse, Fault::Pass],
        vec![Fault::Refuse, Fault::LoseAnswer],
        vec![Fault::LandLate, Fault::Pass],
        vec![Fault::LandLate, Fault::Refuse],
        vec![Fault::LoseAnswerAndReads(1)],
        vec![Fault::Conflict409, Fault::LandLate, Fault::AlreadyExists],
    ] {
        let (target, p, outcome, _) = under(faults).await;
        assert_eq!(outcome.unwrap(), Commit::Done { version: 1 });
        assert_eq!(seen(&target).await.0, 1);
        assert_eq!(go(&target, &p).await.unwrap(), Commit::AlreadyDone { version: 1 });
    }
}

#[tokio::test]
async fn a_clear_refusal_is_not_called_unknown() {
    let (target, p, outcome, lying) = under(vec![Fault::Deny]).await;
    assert_eq!(outcome.unwrap_err().kind(), Kind::Job);
    assert_eq!(lying.puts.lock().unwrap().len(), 1);
    assert_eq!(go(&target, &p).await.unwrap(), Commit::Done { version: 1 });
    // After an ambiguous answer, a refusal no longer proves anything: the first PUT may still land.
    let (_, _, outcome, _) = under(vec![Fault::Refuse, Fault::Deny, Fault::Deny, Fault::Deny]).await;
    assert_eq!(outcome.unwrap_err().kind(), Kind::Unknown);
}

#[tokio::test]
async fn what_cannot_be_resolved_is_called_unknown_and_found_out_by_the_next_run() {
    let (target, p, outcome, _) = under(vec![Fault::Refuse, Fault::Refuse, Fault::Refuse, Fault::Refuse]).await;
    assert_eq!(outcome.unwrap_err().kind(), Kind::Unknown);
    assert_eq!(go(&target, &p).await.unwrap(), Commit::Done { version: 1 });

    let (target, p, outcome, _) = under(vec![Fault::LoseAnswerAndReads(1000)]).await;
    let error = outcome.unwrap_err();
    assert_eq!((error.kind(), error.kind().exit_code()), (Kind::Unknown, 5));
    assert!(error.to_string().contains("run the same command again"), "{error}");
    assert_eq!(go(&target, &p).await.unwrap(), Commit::AlreadyDone { version: 1 });
}

/// Publish `p` while `other` is committed just before our first PUT.
async fn raced(target: &TableTarget, p: &Publication, other: Publication) -> Result<Commit, PublishError> {
    let honest = target.clone();
    let sneak = Box::pin(async move {
        let _ = go(&honest, &other).await.unwrap();
    });
    let lying = LyingStore::over(Arc::clone(&target.store), [Fault::Sneak(sneak)]);
    let outcome = go(&TableTarget { store: Arc::clone(&lying) as _, ..target.clone() }, p).await;
    assert!(lying.all_fired());
    outcome
}

#[tokio::test]
async fn another_date_in_between_sends_us_to_the_next_version() {
    // Both when the table exists and when it is being created.
    for exists in [true, false] {
        let target = target(&memory());
        let before = given(&target, day(20), 9, 1).await;
        if exists {
            let _ = go(&target, &before).await.unwrap();
        }
        let (p, other) = (given(&target, day(22), 1, 2).await, given(&target, day(23), 2, 1).await);
        let base = i64::from(exists);
        assert_eq!(raced(&target, &p, other.clone()).await.unwrap(), Commit::Done { version: base + 1 });
        let mut expected = vec![&p, &other];
        expected.extend(exists.then_some(&before));
        assert_eq!(seen(&target).await, (base + 1, paths(&expected)));
    }
}

#[tokio::test]
async fn a_twin_in_between_is_recognised_and_a_rival_stops_us() {
    let target = target(&memory());
    let p = given(&target, day(22), 1, 2).await;
    assert_eq!(raced(&target, &p, p.clone()).await.unwrap(), Commit::AlreadyDone { version: 0 });

    let (mine, rival) = (given(&target, day(22), 3, 2).await, given(&target, day(22), 4, 1).await);
    let error = raced(&target, &mine, rival.clone()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(seen(&target).await, (1, paths(&[&rival])));
    // Run again on purpose, it replaces the rival.
    assert_eq!(go(&target, &mine).await.unwrap(), Commit::Done { version: 2 });
    assert_eq!(seen(&target).await, (2, paths(&[&mine])));
}

#[tokio::test]
async fn a_compaction_in_between_leaves_no_row_twice() {
    let target = target(&memory());
    let old = given(&target, day(22), 1, 1).await;
    assert_eq!(go(&target, &old).await.unwrap(), Commit::Done { version: 0 });
    let p = given(&target, day(22), 2, 1).await;
    let honest = target.clone();
    let was = old.files[0].path.clone();
    let sneak = Box::pin(async move {
        let text = format!(
            "{{\"remove\":{{\"path\":\"{was}\",\"dataChange\":false,\"deletionTimestamp\":1}}}}\n\
             {{\"add\":{{\"path\":\"run_date=2026-11-22/compacted.parquet\",\"partitionValues\":{{\"run_date\":\"2026-11-22\"}},\
             \"size\":1,\"modificationTime\":1,\"dataChange\":false,\"stats\":\"{{\\\"numRecords\\\":100}}\"}}}}"
        );
        append(&honest, 1, &text).await;
        // A compaction keeps the rows, so the old content still counts as published.
        assert_eq!(asked(&honest, &old).await, Some(0));
    });
    let lying = LyingStore::over(Arc::clone(&target.store), [Fault::Sneak(sneak)]);
    let outcome = go(&TableTarget { store: Arc::clone(&lying) as _, ..target.clone() }, &p).await;
    assert_eq!(outcome.unwrap(), Commit::Done { version: 2 });
    assert!(lying.all_fired());
    assert_eq!(seen(&target).await, (2, paths(&[&p])));
}

#[tokio::test]
async fn other_writers_that_always_win_end_in_an_error() {
    let target = target(&memory());
    let p = given(&target, day(30), 1, 1).await;
    let mut faults = Vec::new();
    for n in 0..3 {
        let (honest, other) = (target.clone(), given(&target, day(n + 1), n as u8 + 2, 1).await);
        faults.push(Fault::Sneak(Box::pin(async move {
            let _ = go(&honest, &other).await.unwrap();
        })));
    }
    let lying = LyingStore::over(Arc::clone(&target.store), faults);
    let through = TableTarget { store: Arc::clone(&lying) as _, ..target.clone() };
    let error = commit::publish(&through, &p, NOW, Limits { races: 3, ..quick() }).await.unwrap_err();
    assert_eq!((error.kind(), error.kind().exit_code()), (Kind::Unavailable, 75));
    assert_eq!(seen(&target).await.0, 2);
}

#[tokio::test]
async fn a_killed_run_is_finished_by_the_next() {
    for (fault, expected) in
        [(Fault::Hang, Commit::Done { version: 0 }), (Fault::ApplyAndHang, Commit::AlreadyDone { version: 0 })]
    {
        let target = target(&memory());
        let p = given(&target, day(22), 1, 2).await;
        let lying = LyingStore::over(Arc::clone(&target.store), [fault]);
        let through = TableTarget { store: Arc::clone(&lying) as _, ..target.clone() };
        let killed = tokio::time::timeout(Duration::from_millis(300), go(&through, &p)).await;
        assert!(killed.is_err());
        assert!(lying.all_fired());
        assert_eq!(go(&target, &p).await.unwrap(), expected);
        assert_eq!(seen(&target).await, (0, paths(&[&p])));
    }
}

/// Three writers, each with its own date and its own share of faults, at once, each run again until it is done.
#[tokio::test]
async fn random_faults_never_lose_or_repeat_a_publication() {
    for seed in 0..60_u64 {
        let store = memory();
        let honest = target(&store);
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut writers = Vec::new();
        for writer in 0..3 {
            let p = given(&honest, day(10 + writer), writer as u8 + 1, 2).await;
            let faults: Vec<Fault> = (0..next(7))
                .map(|_| match next(7) {
                    0 => Fault::LoseAnswer,
                    1 => Fault::AlreadyExists,
                    2 => Fault::Conflict409,
                    3 => Fault::Refuse,
                    4 => Fault::LandLate,
                    5 => Fault::LoseAnswerAndReads(next(6) as usize),
                    _ => Fault::Pass,
                })
                .collect();
            let lying = LyingStore::over(Arc::clone(&store), faults);
            writers.push((p, TableTarget { store: lying, ..honest.clone() }));
        }
        let limits = Limits { races: 10, puts: 2, pause: Duration::from_micros(50) };
        let runs = writers.iter().map(|(p, through)| async move {
            for _ in 0..40 {
                match commit::publish(through, p, NOW, limits).await {
                    Ok(commit) => return commit.version(),
                    Err(error) => {
                        assert!(matches!(error.kind(), Kind::Unknown | Kind::Unavailable), "seed={seed}: {error}");
                    }
                }
            }
            panic!("seed={seed}: never done");
        });
        let versions = futures::future::join_all(runs).await;
        let mut sorted = versions.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2], "seed={seed}");
        let expected = paths(&writers.iter().map(|(p, _)| p).collect::<Vec<_>>());
        assert_eq!(seen(&honest).await, (2, expected), "seed={seed}");
        for ((p, _), version) in writers.iter().zip(versions) {
            assert_eq!(asked(&honest, p).await, Some(version), "seed={seed}");
        }
    }
}

// ---- refusals ---------------------------------------------------------------------------------------------------

#[tokio::test]
async fn data_files_that_are_not_as_recorded_are_refused_and_nothing_is_visible() {
    let target = target(&memory());
    let good = given(&target, day(22), 1, 2).await;
    let with = |change: &dyn Fn(&mut Publication)| {
        let mut p = good.clone();
        change(&mut p);
        p
    };
    for (bad, word) in [
        (with(&|p| p.files[1].size_bytes += 1), "size"),
        (with(&|p| p.files[1].etag = Some("other".into())), "overwritten"),
        (with(&|p| p.files[1].path = p.files[1].path.replace("-1.parquet", "-gone.parquet")), "gone"),
        (with(&|p| p.files.push(p.files[0].clone())), "twice"),
        (with(&|p| p.files[1].path = p.files[0].path.replace("-1.parquet", "-2.parquet")), "claim one partition"),
        (with(&|p| p.files[1].path = "run_date=2026-11-22/data.parquet".into()), "must be called"),
        (with(&|p| p.files[1].path = p.files[1].path.replace("11-22", "11-23")), "another date"),
        (with(&|p| p.files[1].stats_json = Some("{".into())), "not JSON"),
        (with(&|p| p.files[1].stats_json = Some(r#"{"numRecords":7}"#.into())), "disagree"),
    ] {
        let error = go(&target, &bad).await.unwrap_err();
        assert_eq!((error.kind(), error.kind().exit_code()), (Kind::Check, 4), "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(Table::open(&target).unwrap().load().await.unwrap().is_none());
    }
    assert_eq!(go(&target, &good).await.unwrap(), Commit::Done { version: 0 });
}

#[tokio::test]
async fn other_columns_are_refused_before_and_at_publication() {
    let target = target(&memory());
    let p = given(&target, day(22), 1, 1).await;
    assert_eq!(go(&target, &p).await.unwrap(), Commit::Done { version: 0 });
    let mut next = given(&target, day(23), 2, 1).await;
    next.schema = Arc::new(Schema::new(vec![
        Field::new("sku", DataType::Int64, true),
        Field::new("level", DataType::Float64, true),
    ]));
    for error in [go(&target, &next).await.unwrap_err(), check_target(&target, &next.schema).await.unwrap_err()] {
        assert_eq!(error.kind(), Kind::Job);
        for part in
            ["sku (table string, output long)", "level (new, double)", "yhat (missing, double)", "delete the table"]
        {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    // Order and a column that is now known to hold no null are no difference.
    next.schema = Arc::new(Schema::new(vec![
        Field::new("yhat", DataType::Float64, false),
        Field::new("sku", DataType::Utf8, false),
    ]));
    assert_eq!(go(&target, &next).await.unwrap(), Commit::Done { version: 1 });
}

#[tokio::test]
async fn foreign_files_foreign_tables_and_broken_logs_are_refused() {
    let store = memory();
    let target_ = target(&store);
    let p = given(&target_, day(22), 1, 1).await;
    // Left by dead runs of ours, or by the file system: no hindrance.
    let _ = given(&target_, day(22), 7, 2).await;
    for own in ["_lakecast/checkpoints/x", "_SUCCESS", ".DS_Store", "run_date=2026-11-22/.part.crc"] {
        store.put(&Path::from(format!("lake/forecast/{own}")), Bytes::from_static(b"x").into()).await.unwrap();
    }
    let foreign = Path::from("lake/forecast/sales/2026.parquet");
    store.put(&foreign, Bytes::from_static(b"PAR1").into()).await.unwrap();
    for error in [go(&target_, &p).await.unwrap_err(), check_target(&target_, &columns()).await.unwrap_err()] {
        assert_eq!(error.kind(), Kind::Job);
        assert!(error.to_string().contains("sales/2026.parquet"), "{error}");
    }
    store.delete(&foreign).await.unwrap();
    assert_eq!(go(&target_, &p).await.unwrap(), Commit::Done { version: 0 });

    let table = |protocol: &str, partitions: &str, configuration: &str| {
        format!(
            "{{\"protocol\":{protocol}}}\n{{\"metaData\":{{\"id\":\"x\",\"format\":{{\"provider\":\"parquet\",\"options\":{{}}}},\
             \"schemaString\":\"{{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[\
             {{\\\"name\\\":\\\"sku\\\",\\\"type\\\":\\\"string\\\",\\\"nullable\\\":true,\\\"metadata\\\":{{}}}},\
             {{\\\"name\\\":\\\"yhat\\\",\\\"type\\\":\\\"double\\\",\\\"nullable\\\":true,\\\"metadata\\\":{{}}}},\
             {{\\\"name\\\":\\\"run_date\\\",\\\"type\\\":\\\"date\\\",\\\"nullable\\\":true,\\\"metadata\\\":{{}}}}]}}\",\
             \"partitionColumns\":{partitions},\"configuration\":{configuration}}}}}"
        )
    };
    let plain = r#"{"minReaderVersion":1,"minWriterVersion":2}"#;
    let constrained = r#"{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["checkConstraints"]}"#;
    for (text, word) in [
        (table(plain, r#"["sku"]"#, "{}"), "partition_columns=[sku]"),
        (table(plain, "[]", "{}"), "partition_columns=[]"),
        (table(constrained, r#"["run_date"]"#, "{}"), "checkConstraints"),
    ] {
        let target = target(&memory());
        let p = given(&target, day(22), 1, 1).await;
        append(&target, 0, &text).await;
        let error = go(&target, &p).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Job, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }

    let append_only = target(&memory());
    let (a, b) = (given(&append_only, day(22), 1, 1).await, given(&append_only, day(22), 2, 1).await);
    append(&append_only, 0, &table(plain, r#"["run_date"]"#, r#"{"delta.appendOnly":"true"}"#)).await;
    assert_eq!(go(&append_only, &a).await.unwrap(), Commit::Done { version: 1 });
    assert_eq!(go(&append_only, &b).await.unwrap_err().kind(), Kind::Job);

    let broken = target(&memory());
    let p = given(&broken, day(22), 1, 1).await;
    append(&broken, 0, "not json").await;
    assert_eq!(go(&broken, &p).await.unwrap_err().kind(), Kind::Data);
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_unavailable() {
    let store = memory();
    let honest = target(&store);
    let p = given(&honest, day(22), 1, 1).await;
    assert_eq!(go(&honest, &p).await.unwrap(), Commit::Done { version: 0 });
    let lying = LyingStore::over(store, []);
    *lying.dead_reads.lock().unwrap() = 1000;
    let through = TableTarget { store: lying, ..honest };
    let error = go(&through, &p).await.unwrap_err();
    assert_eq!((error.kind(), error.kind().exit_code()), (Kind::Unavailable, 75), "{error}");
}

#[tokio::test]
async fn locations_that_the_log_reader_would_misread_are_refused() {
    let store = memory();
    let location_url = Url::parse("memory:///lake/my forecast/").unwrap();
    let error = check_target(&TableTarget { location_url, store }, &columns()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Job);
}

#[test]
fn a_txn_version_is_63_bits_of_the_fingerprint() {
    assert_eq!(commit::txn_version([0xff; 32]), i64::MAX);
    assert_eq!(commit::txn_version([0; 32]), 0);
    let mut fingerprint = [0; 32];
    fingerprint[7] = 3;
    assert_eq!(commit::txn_version(fingerprint), 1);
}

// ---- on disk, with real Parquet ---------------------------------------------------------------------------------

/// Real rows with a list, a date-time without zone and nulls, on a file system; with `LAKECAST_TABLE_DIR` set the table
/// stays there for other readers to look at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_on_disk_is_read_back() {
    let temporary = tempfile::tempdir().unwrap();
    let root = match std::env::var_os("LAKECAST_TABLE_DIR") {
        Some(kept) => std::path::PathBuf::from(kept),
        None => temporary.path().join("my tables").join("rules"),
    };
    std::fs::create_dir_all(&root).unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
    let target = TableTarget { location_url: Url::from_directory_path(&root).unwrap(), store };
    let batch = batch();
    let wanted = storable(&batch.schema()).unwrap();
    assert!(wanted.casts.iter().any(|cast| cast.column == "items"));
    let cast: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .zip(wanted.schema.fields())
        .map(|(array, field)| arrow::compute::cast(array, field.data_type()).unwrap())
        .collect();
    let batch = RecordBatch::try_new(Arc::clone(&wanted.schema), cast).unwrap();

    for (version, (date, files)) in [(day(22), 2), (day(23), 1), (day(22), 1), (day(24), 0)].into_iter().enumerate() {
        let mut p = given(&target, date, version as u8 + 1, 0).await;
        p.schema = Arc::clone(&wanted.schema);
        for number in 0..files {
            let path = format!("run_date={date}/part-{number:05}-v{version}.parquet");
            let mut bytes = Vec::new();
            let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            std::fs::create_dir_all(root.join(format!("run_date={date}"))).unwrap();
            std::fs::write(root.join(&path), &bytes).unwrap();
            p.files.push(DataFile {
                path,
                size_bytes: bytes.len() as u64,
                rows: batch.num_rows() as u64,
                etag: None,
                sha256: None,
                stats_json: None,
            });
        }
        if version == 1 {
            // A process that died between writing and linking an entry leaves its draft; nobody may trip over it.
            std::fs::write(root.join("_delta_log/00000000000000000001.json#1"), b"{\"half").unwrap();
        }
        assert_eq!(publish(&target, &p, NOW).await.unwrap(), Commit::Done { version: version as i64 });
        assert_eq!(publish(&target, &p, NOW).await.unwrap(), Commit::AlreadyDone { version: version as i64 });
    }
    let (version, files) = seen(&target).await;
    assert_eq!(version, 3);
    assert_eq!(files, ["run_date=2026-11-22/part-00000-v2.parquet", "run_date=2026-11-23/part-00000-v1.parquet"]);
    let created = entry(&target, 0).await;
    let protocol = created.iter().find_map(|action| action.get("protocol")).unwrap();
    assert_eq!(protocol["writerFeatures"][0], "timestampNtz");
    let listed: Vec<_> = target.store.list(None).take(1).collect().await;
    assert!(!listed.is_empty());
}

fn batch() -> RecordBatch {
    let items = ListArray::from_iter_primitive::<Float64Type, _, _>([
        Some(vec![Some(1.5), None]),
        None,
        Some(vec![]),
        Some(vec![Some(-2.0)]),
    ]);
    let times = TimestampMicrosecondArray::from(vec![Some(1), None, Some(1_795_000_000_000_000), Some(-5)]);
    assert_eq!(times.data_type(), &DataType::Timestamp(TimeUnit::Microsecond, None));
    RecordBatch::try_from_iter([
        ("sku", Arc::new(StringArray::from(vec![Some("a"), None, Some("größe"), Some("")])) as ArrayRef),
        ("n", Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(-1), None, Some(0)]))),
        ("items", Arc::new(items)),
        ("ds", Arc::new(times)),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![7_i64, 8, 9, 10]).with_timezone("+02:00"))),
    ])
    .unwrap()
}

/// A location that cannot be written says so, and not that the outcome is unknown.
#[cfg(unix)]
#[tokio::test]
async fn a_read_only_disk_is_a_clear_refusal() {
    let refusal = object_store::Error::Generic {
        store: "LocalFileSystem",
        source: Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull)),
    };
    assert!(error::refused_for_good(&refusal));
    assert_eq!(error::store_kind(&refusal), Kind::Unavailable);
    let refusal = object_store::Error::Generic {
        store: "LocalFileSystem",
        source: Box::new(std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem)),
    };
    assert!(error::refused_for_good(&refusal));
    assert_eq!(error::store_kind(&refusal), Kind::Job);
    // A directory that is a file: the real error of the real store.
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("table");
    std::fs::create_dir_all(&root).unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
    let target = TableTarget { location_url: Url::from_directory_path(&root).unwrap(), store };
    let p = given(&target, day(22), 1, 1).await;
    std::fs::write(root.join("_delta_log"), b"in the way").unwrap();
    let error = go(&target, &p).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Job | Kind::Data), "{:?} {error}", error.kind());
}
