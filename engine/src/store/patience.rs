//! Patience with one remote store: what its client gives up, though nothing is wrong, is asked again.
//!
//! In: a store whose client repeats a request until the head of an answer has come. Out: the same store, which also repeats
//! what broke later or might have been applied: a listing or an error answer cut in its body, a create-if-absent without an
//! answer. The body of a read that is under way is resumed by the client itself, and so are the parts of an upload.
//!
//! A create that is repeated may meet what its own first try made: `AlreadyExists` means "somebody, perhaps myself", and
//! whoever creates compares what lies there. The end of an upload is not repeated, for nothing could be compared.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use super::fence::status_code;
use crate::fault::Fault;

const TRIES_MAX: u32 = 5;
/// No try begins later than this after the first one: one request may run into its time-out and be repeated, but what the
/// client has tried for minutes is not tried for as long again.
const WITHIN: Duration = Duration::from_secs(45);
/// Before the second try; doubles with each further one.
const PAUSE: Duration = Duration::from_millis(200);
const DELETES_AT_A_TIME: usize = 10;

/// One store that is asked again.
#[derive(Clone)]
pub(super) struct Patience {
    inner: Arc<dyn ObjectStore>,
    pause: Duration,
}

impl Patience {
    pub(super) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, pause: PAUSE }
    }

    fn tries(&self) -> Tries {
        Tries { pause: self.pause, begun: Instant::now(), failed: 0 }
    }

    async fn again<T, F: Future<Output = Result<T>>>(&self, doing: &str, mut work: impl FnMut() -> F) -> Result<T> {
        let mut tries = self.tries();
        loop {
            match work().await {
                Err(error) if tries.another(doing, &error).await => {}
                done => return done,
            }
        }
    }

    async fn delete_one(&self, location: Path) -> Result<Path> {
        let mut tries = self.tries();
        loop {
            match self.inner.delete(&location).await {
                Ok(()) => return Ok(location),
                // An earlier try has deleted it, and only its answer was lost.
                Err(Error::NotFound { .. }) if tries.failed > 0 => return Ok(location),
                Err(error) if tries.another("delete", &error).await => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A listing that starts over where it breaks and passes over what it has told already: not every store lists in an
    /// order that an offset could go by.
    fn listing(&self, open: impl Fn() -> BoxStream<'static, Result<ObjectMeta>> + Send + 'static) -> Listed {
        let (this, first) = (self.clone(), open());
        let state = Some((first, HashSet::new()));
        let listed = futures::stream::unfold((state, open), move |(state, open)| {
            let mut tries = this.tries();
            async move {
                let (mut stream, mut told) = state?;
                loop {
                    match stream.next().await? {
                        Ok(object) if told.contains(&object.location) => {}
                        Ok(object) => {
                            told.insert(object.location.clone());
                            return Some((Ok(object), (Some((stream, told)), open)));
                        }
                        Err(error) if tries.another("list", &error).await => stream = open(),
                        Err(error) => return Some((Err(error), (None, open))),
                    }
                }
            }
        });
        listed.boxed()
    }
}

type Listed = BoxStream<'static, Result<ObjectMeta>>;

/// The tries of one request.
struct Tries {
    pause: Duration,
    begun: Instant,
    failed: u32,
}

impl Tries {
    /// Whether to try again after `error`; waits before it says yes.
    async fn another(&mut self, doing: &str, error: &Error) -> bool {
        self.failed += 1;
        if self.failed >= TRIES_MAX || self.begun.elapsed() >= WITHIN || !may_pass(error) {
            return false;
        }
        // Many requests that broke together must not come back together.
        let dice = RandomState::new().hash_one(self.failed) as f64 / u64::MAX as f64;
        let pause = (self.pause * 2_u32.pow(self.failed - 1)).mul_f64(0.5 + dice / 2.0);
        tracing::info!(doing, failed = self.failed, ?pause, "the store gave no whole answer, asking again: {error}");
        tokio::time::sleep(pause).await;
        true
    }
}

fn may_pass(error: &Error) -> bool {
    let refused = matches!(status_code(error), Some(400..=407 | 409..=428 | 430..=499));
    !refused && Fault::of(error) == Fault::Passing
}

impl std::fmt::Debug for Patience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Patience").field(&self.inner).finish()
    }
}

impl std::fmt::Display for Patience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.inner, f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Patience {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if matches!(opts.mode, PutMode::Update(_)) {
            // The second try of an update that was applied would call it lost.
            return self.inner.put_opts(location, payload, opts).await;
        }
        self.again("put", || self.inner.put_opts(location, payload.clone(), opts.clone())).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.again("begin an upload", || self.inner.put_multipart_opts(location, opts.clone())).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.again("get", || self.inner.get_opts(location, options.clone())).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.again("get ranges", || self.inner.get_ranges(location, ranges)).await
    }

    /// One by one: a failed request for many does not say which are left.
    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let deleted = locations.map(move |location| {
            let this = this.clone();
            async move { this.delete_one(location?).await }
        });
        deleted.buffered(DELETES_AT_A_TIME).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, prefix) = (Arc::clone(&self.inner), prefix.cloned());
        self.listing(move || inner.list(prefix.as_ref()))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, prefix, offset) = (Arc::clone(&self.inner), prefix.cloned(), offset.clone());
        self.listing(move || inner.list_with_offset(prefix.as_ref(), &offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.again("list", || self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.again("copy", || self.inner.copy_opts(from, to, options.clone())).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
#[path = "patience_tests.rs"]
mod tests;
