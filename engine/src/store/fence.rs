//! The fence around one object store: no path outside the allow-list, no secret in Debug output, refusals told as such.
//!
//! In: any store and the path prefixes it may touch. Out: the same store, refusing every other path.
//! DataFusion asks its registry for a bucket only, so the path can be checked nowhere else.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// One store behind the allow-list.
pub(super) struct Fence {
    inner: Arc<dyn ObjectStore>,
    name: String,
    /// `None` allows every path of the store.
    prefixes: Option<Arc<[Path]>>,
}

impl Fence {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, name: String, prefixes: Option<Vec<Path>>) -> Self {
        Self { inner, name, prefixes: prefixes.map(Arc::from) }
    }

    fn check(&self, path: &Path) -> Result<()> {
        check(self.prefixes.as_deref(), &self.name, path)
    }

    fn check_prefix(&self, prefix: Option<&Path>) -> Result<()> {
        self.check(prefix.unwrap_or(&Path::default()))
    }

    fn told_each(&self, listing: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
        let name = self.name.clone();
        listing.map(move |found| found.map_err(|e| told(e, &name))).boxed()
    }
}

/// A refused listing as what it is. The clients name the kind of a failed read or write, but call a failed listing generic
/// and keep the status code in the text, where nobody can tell a wrong key from a store that is down.
fn told(error: Error, name: &str) -> Error {
    match told_rights(error, name) {
        error if status_code(&error) == Some(404) => {
            Error::NotFound { path: name.to_string(), source: error.to_string().into() }
        }
        other => other,
    }
}

/// Missing credentials and missing rights as what they are. A client that finds no keys asks the machine for its role, and
/// calls it generic when nobody answers or somebody refuses: waiting does not help.
fn told_rights(error: Error, name: &str) -> Error {
    let Error::Generic { source, .. } = &error else { return error };
    let (path, text) = (name.to_string(), source.to_string());
    let of_a_role = ROLES.iter().any(|part| text.contains(part));
    match status_code(&error) {
        // The machine has a role, which is only out of reach.
        Some(500.. | 429) if of_a_role => error,
        _ if of_a_role => Error::Unauthenticated {
            path,
            source: format!(
                "no credentials in the environment, and no role of this machine: store={name}, detail={text}"
            )
            .into(),
        },
        Some(401) => Error::Unauthenticated { path, source: text.into() },
        Some(403) => Error::PermissionDenied { path, source: text.into() },
        _ => error,
    }
}

/// Parts of the addresses where AWS, Azure and Google tell a machine its role.
const ROLES: [&str; 4] = ["/latest/api/token", "/latest/meta-data/", "/metadata/identity/", "/computeMetadata/"];

/// The status of the answer that a generic failure speaks of.
pub(super) fn status_code(error: &Error) -> Option<u16> {
    let Error::Generic { source, .. } = error else { return None };
    let text = source.to_string();
    let (_, rest) = text.split_once("non-2xx status code: ")?;
    rest.get(..3)?.parse().ok()
}

fn check(prefixes: Option<&[Path]>, name: &str, path: &Path) -> Result<()> {
    let Some(prefixes) = prefixes else { return Ok(()) };
    if prefixes.iter().any(|prefix| path.prefix_matches(prefix)) {
        return Ok(());
    }
    let allowed: Vec<&str> = prefixes.iter().map(AsRef::as_ref).collect();
    Err(Error::PermissionDenied {
        path: path.to_string(),
        source: format!(
            "path is outside the allow-list of stores: store={name}, path={path}, allowed=[{}]",
            allowed.join(", ")
        )
        .into(),
    })
}

// The inner store's own Debug prints its builder's settings, which hold credentials.
impl std::fmt::Debug for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fence").field("store", &self.name).field("allowed", &self.prefixes).finish()
    }
}

impl std::fmt::Display for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

#[async_trait]
impl ObjectStore for Fence {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.check(location)?;
        self.inner.put_opts(location, payload, opts).await.map_err(|e| told_rights(e, &self.name))
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.check(location)?;
        self.inner.put_multipart_opts(location, opts).await.map_err(|e| told_rights(e, &self.name))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check(location)?;
        self.inner.get_opts(location, options).await.map_err(|e| told_rights(e, &self.name))
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.check(location)?;
        self.inner.get_ranges(location, ranges).await.map_err(|e| told_rights(e, &self.name))
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (prefixes, name) = (self.prefixes.clone(), self.name.clone());
        let checked =
            locations.map(move |path| path.and_then(|path| check(prefixes.as_deref(), &name, &path).map(|()| path)));
        let name = self.name.clone();
        self.inner.delete_stream(checked.boxed()).map(move |gone| gone.map_err(|e| told_rights(e, &name))).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check_prefix(prefix) {
            Ok(()) => self.told_each(self.inner.list(prefix)),
            Err(error) => futures::stream::once(std::future::ready(Err(error))).boxed(),
        }
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check_prefix(prefix) {
            Ok(()) => self.told_each(self.inner.list_with_offset(prefix, offset)),
            Err(error) => futures::stream::once(std::future::ready(Err(error))).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.check_prefix(prefix)?;
        self.inner.list_with_delimiter(prefix).await.map_err(|e| told(e, &self.name))
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.check(from)?;
        self.check(to)?;
        self.inner.copy_opts(from, to, options).await.map_err(|e| told_rights(e, &self.name))
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.check(from)?;
        self.check(to)?;
        self.inner.rename_opts(from, to, options).await.map_err(|e| told_rights(e, &self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_keys_and_role_lacks_rights_and_a_busy_role_passes() {
        let generic = |text: &str| told_rights(Error::Generic { store: "S3", source: text.into() }, "s3://lake");
        let role = "Error performing PUT http://169.254.169.254/latest/api/token in 3 s, after 10 retries";
        let missing = generic(&format!("{role} - HTTP error: error sending request"));
        assert!(
            matches!(&missing, Error::Unauthenticated { .. }) && missing.to_string().contains("no credentials"),
            "{missing}"
        );
        let refused = generic(&format!("{role} - Server returned non-2xx status code: 403 Forbidden"));
        assert!(matches!(refused, Error::Unauthenticated { .. }), "{refused}");
        for code in ["503", "429"] {
            let busy = generic(&format!("{role} - Server returned non-2xx status code: {code} "));
            assert!(matches!(busy, Error::Generic { .. }), "{busy}");
        }
        assert!(matches!(
            generic("GET /a - Server returned non-2xx status code: 403 F"),
            Error::PermissionDenied { .. }
        ));
        assert!(matches!(generic("GET /a - Server returned non-2xx status code: 503 S"), Error::Generic { .. }));
        assert!(matches!(generic("GET /a - Server returned non-2xx status code: 404 N"), Error::Generic { .. }));
    }
}
