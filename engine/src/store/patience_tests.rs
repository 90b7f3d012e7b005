//! The claims of `patience`, on a store in memory that fails by a script.

use super::*;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use std::sync::Mutex;

/// What the store does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Fails, as a connection that was reset.
    Lose,
    /// Does it, and then fails.
    DoAndLose,
    /// Lists so many objects, and then fails.
    Cut(usize),
    /// Answers with this status, which the client takes for a failure of its own.
    Status(u16),
    /// Refuses for good.
    Deny,
}

/// Takes an act from the script for every request, and works as it should when none is left.
#[derive(Debug)]
struct Scripted {
    inner: InMemory,
    script: Mutex<Vec<Act>>,
    requests: Mutex<u32>,
}

fn reset() -> Error {
    Error::Generic { store: "S3", source: "error sending request".into() }
}

impl Scripted {
    fn next(&self) -> Option<Act> {
        *self.requests.lock().unwrap() += 1;
        let mut script = self.script.lock().unwrap();
        if script.is_empty() { None } else { Some(script.remove(0)) }
    }

    async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match self.next() {
            None => work.await,
            Some(Act::Lose | Act::Cut(_)) => Err(reset()),
            Some(Act::DoAndLose) => {
                work.await?;
                Err(reset())
            }
            Some(Act::Status(code)) => {
                let source = format!("Server returned non-2xx status code: {code} Some Words: <Error/>").into();
                Err(Error::Generic { store: "S3", source })
            }
            Some(Act::Deny) => Err(Error::PermissionDenied { path: "p".into(), source: "403".into() }),
        }
    }

    fn cut(&self, listing: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
        let failed = futures::stream::once(std::future::ready(Err(reset())));
        match self.next() {
            None => listing,
            Some(Act::Cut(n)) => listing.take(n).chain(failed).boxed(),
            Some(_) => failed.boxed(),
        }
    }
}

impl std::fmt::Display for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

#[async_trait]
impl ObjectStore for Scripted {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.run(self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.run(self.inner.put_multipart_opts(location, opts)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.run(self.inner.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.run(self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let act = self.next();
        let inner = self.inner.clone();
        let deleted = locations.then(move |location| {
            let inner = inner.clone();
            async move {
                let location = location?;
                if act == Some(Act::Lose) {
                    return Err(reset());
                }
                // As stores that say when there is nothing to delete.
                inner.head(&location).await?;
                inner.delete(&location).await?;
                if act.is_some() { Err(reset()) } else { Ok(location) }
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.cut(self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.cut(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.run(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.run(self.inner.copy_opts(from, to, options)).await
    }
}

const OBJECTS: usize = 7;

fn object(n: usize) -> Path {
    Path::from(format!("t/{n}"))
}

/// A patient store over some objects that goes by `script`, and the store below.
async fn scripted(script: &[Act]) -> (Patience, Arc<Scripted>) {
    let inner = InMemory::new();
    for n in 0..OBJECTS {
        inner.put(&object(n), format!("body {n}").into()).await.unwrap();
    }
    let below = Arc::new(Scripted { inner, script: Mutex::new(script.to_vec()), requests: Mutex::new(0) });
    (Patience { inner: Arc::clone(&below) as _, pause: Duration::from_micros(10) }, below)
}

async fn listed(stream: BoxStream<'static, Result<ObjectMeta>>) -> Result<Vec<Path>> {
    stream.map_ok(|object| object.location).try_collect().await
}

#[tokio::test]
async fn every_request_is_repeated_until_it_is_answered() {
    let lost = [Act::Lose, Act::DoAndLose, Act::Status(503), Act::Status(429)];
    let body = async |path| scripted(&[]).await.0.get(path).await.unwrap().bytes().await.unwrap();
    assert_eq!(body(&object(3)).await, "body 3");
    let (store, below) = scripted(&lost).await;
    assert_eq!(store.get(&object(3)).await.unwrap().bytes().await.unwrap(), "body 3");
    assert_eq!(*below.requests.lock().unwrap(), 5);
    let (store, _) = scripted(&lost).await;
    assert_eq!(store.head(&object(3)).await.unwrap().size, 6);
    let (store, _) = scripted(&lost).await;
    assert_eq!(store.get_ranges(&object(3), &[0..1, 5..6]).await.unwrap(), ["b", "3"]);
    let (store, _) = scripted(&lost).await;
    assert_eq!(store.list_with_delimiter(Some(&Path::from("t"))).await.unwrap().objects.len(), OBJECTS);
    let (store, below) = scripted(&lost).await;
    store.put(&object(3), "new".into()).await.unwrap();
    assert_eq!(below.get(&object(3)).await.unwrap().bytes().await.unwrap(), "new");
    let (store, _) = scripted(&lost).await;
    store.copy(&object(3), &object(100)).await.unwrap();
    let (store, below) = scripted(&lost).await;
    let mut upload = store.put_multipart(&object(200)).await.unwrap();
    upload.put_part("part".into()).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(below.head(&object(200)).await.unwrap().size, 4);
}

#[tokio::test]
async fn patience_ends_and_the_last_error_is_told() {
    let (store, below) = scripted(&[Act::Lose; 9]).await;
    assert!(matches!(store.get(&object(0)).await, Err(Error::Generic { .. })));
    assert_eq!(*below.requests.lock().unwrap(), TRIES_MAX);
    let (store, below) = scripted(&[Act::Lose; 9]).await;
    let mut listing = store.list(None);
    assert!(listing.next().await.unwrap().is_err() && listing.next().await.is_none());
    assert_eq!(*below.requests.lock().unwrap(), TRIES_MAX);
}

#[tokio::test]
async fn what_cannot_pass_is_told_at_once() {
    for act in [Act::Deny, Act::Status(400)] {
        let (store, below) = scripted(&[act]).await;
        assert!(store.get(&object(0)).await.is_err());
        assert_eq!(*below.requests.lock().unwrap(), 1, "{act:?}");
    }
    let (store, below) = scripted(&[]).await;
    assert!(matches!(store.get(&object(999)).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.delete(&object(999)).await, Err(Error::NotFound { .. })));
    assert_eq!(*below.requests.lock().unwrap(), 2);
}

#[tokio::test]
async fn a_listing_that_breaks_tells_every_object_once() {
    let expected: Vec<Path> = (0..OBJECTS).map(object).collect();
    // More breaks than tries: a listing that gets on may go on.
    let breaks: Vec<Act> = [Act::Cut(0), Act::Cut(3), Act::Cut(1), Act::Lose]
        .into_iter()
        .chain((4..OBJECTS).flat_map(|n| [Act::Cut(n), Act::Lose]))
        .collect();
    let (store, below) = scripted(&breaks).await;
    assert_eq!(listed(store.list(Some(&Path::from("t")))).await.unwrap(), expected);
    assert_eq!(*below.requests.lock().unwrap() as usize, breaks.len() + 1);
    let (store, _) = scripted(&[Act::Cut(2), Act::Cut(1)]).await;
    assert_eq!(listed(store.list_with_offset(None, &object(1))).await.unwrap(), expected[2..]);
    // Objects that came and went in between.
    let (store, below) = scripted(&[Act::Cut(3)]).await;
    let mut listing = store.list(None);
    let first: Vec<Path> = listing.by_ref().take(3).map_ok(|o| o.location).try_collect().await.unwrap();
    below.inner.delete(&object(0)).await.unwrap();
    below.inner.put(&Path::from("t/00"), "".into()).await.unwrap();
    let rest = listed(listing).await.unwrap();
    assert_eq!(first, expected[..3]);
    assert_eq!(rest, [&[Path::from("t/00")], &expected[3..]].concat());
}

#[tokio::test]
async fn a_create_that_was_applied_without_an_answer_says_that_the_object_exists() {
    let create = || PutOptions::from(PutMode::Create);
    let (store, below) = scripted(&[Act::DoAndLose]).await;
    let error = store.put_opts(&object(50), "mine".into(), create()).await.unwrap_err();
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    assert_eq!(below.get(&object(50)).await.unwrap().bytes().await.unwrap(), "mine");
    let (store, below) = scripted(&[Act::Lose]).await;
    store.put_opts(&object(50), "mine".into(), create()).await.unwrap();
    assert_eq!(below.get(&object(50)).await.unwrap().bytes().await.unwrap(), "mine");
}

#[tokio::test]
async fn a_delete_that_was_applied_without_an_answer_is_done() {
    for script in [&[Act::DoAndLose][..], &[Act::Lose], &[Act::Lose, Act::DoAndLose, Act::Lose]] {
        let (store, below) = scripted(script).await;
        store.delete(&object(2)).await.unwrap();
        assert!(matches!(below.inner.head(&object(2)).await, Err(Error::NotFound { .. })));
    }
    let (store, below) = scripted(&[Act::Lose, Act::DoAndLose]).await;
    let all = futures::stream::iter((0..OBJECTS).map(|n| Ok(object(n)))).boxed();
    let deleted: Vec<Path> = store.delete_stream(all).try_collect().await.unwrap();
    assert_eq!(deleted, (0..OBJECTS).map(object).collect::<Vec<_>>());
    assert!(below.inner.list(None).next().await.is_none());
}
