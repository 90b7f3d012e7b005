//! The claims of `probe`.  In: stores in memory and on disk, and stores that break their promise. Out: each is told.

use super::*;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use url::Url;

/// How a store breaks its promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// `PutMode::Create` writes whatever lies there.
    IgnoresCreate,
    /// Looks first, and writes in a second step.
    LooksThenWrites,
    /// Refuses all but the first, and keeps what the last of them wrote.
    KeepsTheLoser,
    /// Says of the first races that the object exists, to everybody.
    LosesAnswers(usize),
    /// Does not know conditions.
    CannotCreate,
    /// Lets nobody delete.
    KeepsAll,
    /// Is not there.
    Down,
    /// Lets nobody write.
    ReadOnly,
}

#[derive(Debug)]
struct Faulty {
    inner: InMemory,
    fault: Fault,
    puts: AtomicUsize,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({:?})", self.fault)
    }
}

impl Faulty {
    fn made(fault: Fault) -> Arc<dyn ObjectStore> {
        Arc::new(Self { inner: InMemory::new(), fault, puts: AtomicUsize::new(0) })
    }

    fn down(&self) -> Result<()> {
        let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into();
        if self.fault == Fault::Down { Err(Error::Generic { store: "S3", source }) } else { Ok(()) }
    }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let exists = |source: &'static str| Error::AlreadyExists { path: location.to_string(), source: source.into() };
        let create = opts.mode == PutMode::Create;
        let overwrite = PutOptions::default();
        match self.fault {
            Fault::ReadOnly => {
                let source = "403 Forbidden: <Code>AccessDenied</Code>".into();
                Err(Error::PermissionDenied { path: location.to_string(), source })
            }
            Fault::CannotCreate if create => {
                Err(Error::NotImplemented { operation: "create".into(), implementer: "Faulty".into() })
            }
            Fault::IgnoresCreate if create => self.inner.put_opts(location, payload, overwrite).await,
            Fault::LooksThenWrites if create => {
                if self.inner.head(location).await.is_ok() {
                    return Err(exists("412"));
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
                self.inner.put_opts(location, payload, overwrite).await
            }
            Fault::KeepsTheLoser if create => {
                let first = self.inner.head(location).await.is_err();
                let put = self.inner.put_opts(location, payload, overwrite).await?;
                if first { Ok(put) } else { Err(exists("412")) }
            }
            Fault::LosesAnswers(races) if create => {
                let put = self.puts.fetch_add(1, Ordering::SeqCst);
                let done = self.inner.put_opts(location, payload, opts).await;
                if put < races * WRITERS { Err(exists("own retry")) } else { done }
            }
            _ => self.inner.put_opts(location, payload, opts).await,
        }
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.down()?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        if self.fault != Fault::KeepsAll {
            return self.inner.delete_stream(locations);
        }
        let denied = |path: Path| Error::PermissionDenied { path: path.to_string(), source: "403".into() };
        locations.map(move |path| path.and_then(|path| Err(denied(path)))).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.down() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures::stream::once(std::future::ready(Err(error))).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn target(store: &Arc<dyn ObjectStore>) -> TableTarget {
    TableTarget { location_url: Url::parse("memory:///lake/forecast/").unwrap(), store: Arc::clone(store) }
}

#[expect(clippy::disallowed_methods, reason = "compared with the times of a real store")]
fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

async fn examined(target: &TableTarget, now_ms: fn() -> i64) -> (Vec<(&'static str, Verdict)>, Option<PublishError>) {
    let mut findings = vec![];
    let done = examine(target, now_ms, &mut |f| findings.push((f.check, f.verdict))).await;
    (findings, done.err())
}

const ALL_GOOD: [(&str, Verdict); 6] = [
    ("list", Verdict::Good),
    ("write", Verdict::Good),
    ("latency", Verdict::Good),
    ("clock", Verdict::Good),
    ("create", Verdict::Good),
    ("delete", Verdict::Good),
];

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_a_local_disk_are_good_and_nothing_is_left() {
    let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (findings, error) = examined(&target(&memory), now_ms).await;
    assert_eq!((&findings[..], error.map(|e| e.to_string())), (&ALL_GOOD[..], None));
    require_atomic_create(&target(&memory)).await.unwrap();
    assert!(memory.list(None).next().await.is_none());

    let dir = tempfile::tempdir().unwrap();
    let location_url = Url::from_directory_path(dir.path().join("not/there/yet")).unwrap();
    let disk = TableTarget { location_url, store: Arc::new(LocalFileSystem::new()) };
    let (findings, error) = examined(&disk, now_ms).await;
    assert_eq!((&findings[..], error.map(|e| e.to_string())), (&ALL_GOOD[..], None));
    require_atomic_create(&disk).await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lets_two_create_is_found_out_and_refused() {
    for fault in [Fault::IgnoresCreate, Fault::LooksThenWrites, Fault::KeepsTheLoser] {
        let store = Faulty::made(fault);
        let error = require_atomic_create(&target(&store)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Job, "{fault:?}");
        let text = error.to_string();
        assert!(text.contains("create-if-absent atomic") && text.contains("lakecast doctor"), "{text}");
        let (findings, error) = examined(&target(&store), now_ms).await;
        assert_eq!(findings[4], ("create", Verdict::Bad), "{fault:?}");
        assert!(error.is_some_and(|e| e.to_string().contains("create-if-absent atomic")), "{fault:?}");
        assert!(store.list(None).next().await.is_none(), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_raced_again_and_many_are_a_store_that_cannot_be_reached() {
    require_atomic_create(&target(&Faulty::made(Fault::LosesAnswers(UNCLEAR_MAX - 1)))).await.unwrap();
    let error = require_atomic_create(&target(&Faulty::made(Fault::LosesAnswers(UNCLEAR_MAX)))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_says_what_to_do() {
    let of = async |fault| examined(&target(&Faulty::made(fault)), now_ms).await;
    let (findings, error) = of(Fault::ReadOnly).await;
    assert_eq!(findings.iter().map(|f| f.0).collect::<Vec<_>>(), ["list", "write"]);
    let error = error.unwrap();
    assert_eq!(error.kind(), Kind::Job);
    assert!(error.to_string().contains("cannot write an object, give the credentials the right"), "{error}");

    let (findings, error) = of(Fault::Down).await;
    assert_eq!((findings, error.unwrap().kind()), (vec![("list", Verdict::Bad)], Kind::Unavailable));

    let (findings, error) = of(Fault::CannotCreate).await;
    assert_eq!(findings[4], ("create", Verdict::Bad));
    assert!(error.unwrap().to_string().contains("cannot create an object if absent, use a store that can"));

    let (findings, error) = of(Fault::KeepsAll).await;
    assert!(error.is_none());
    assert_eq!(findings[5], ("delete", Verdict::Warning));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_told_and_refused_where_signatures_would_be() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (findings, error) = examined(&target(&store), || now_ms() + 60_000).await;
    assert_eq!((findings[3], error.is_none()), (("clock", Verdict::Warning), true));
    let (findings, error) = examined(&target(&store), || now_ms() - 16 * 60_000).await;
    assert_eq!(findings[3], ("clock", Verdict::Bad));
    assert!(error.unwrap().to_string().contains("store_ahead_s=9"), "960 s, less what the test took");
    assert_eq!(ahead_ms(1_999, 2_100, 1_000), 0, "stores tell whole seconds");
    assert_eq!(ahead_ms(1_999, 2_100, 999), -1);
    assert_eq!(ahead_ms(1_999, 2_100, 2_101), 1);
}

#[test]
fn the_words_of_stores_are_known() {
    let of = |text: &str| advice(&Error::Generic { store: "S3", source: text.into() });
    assert_eq!(of("403 Forbidden: <Code>SignatureDoesNotMatch</Code>").0, Kind::Job);
    assert!(of("Error performing PUT http://169.254.169.254/latest/api/token").1.contains("AWS_ACCESS_KEY_ID"));
    assert!(of("404 Not Found: <Code>NoSuchBucket</Code>").1.contains("create it"));
    assert_eq!(of("connection closed before message completed").0, Kind::Unavailable);
}
