//! Where a table lies, as the user wrote it and as the stores need it.
//!
//! In: a local path or a URL. Out: URL, store, path inside the store; the test whether two locations touch.
//! Keys of buckets are taken verbatim (`%` and spaces are part of the key), as the command-line tools of the clouds do.

use std::path::{Component, PathBuf};

use datafusion::execution::object_store::ObjectStoreUrl;
use object_store::path::Path;
use url::Url;

use super::{SCHEMES, StoreError, unknown_scheme};

/// A place in an object store or on the local disk.
///
/// Written as a relative or absolute path (`~` is not expanded), `file:///path`, `s3://bucket/prefix/`, `gs://..`,
/// `az://container/..` or `abfss://container@account.dfs.core.windows.net/..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    text: String,
    url: Url,
    store: ObjectStoreUrl,
    path: Path,
    directory: bool,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Location {
    /// Reads a location. It is a directory when it ends in `/` or is one on the local disk; a bucket's prefix without
    /// the slash stays open until it is listed. Errors: empty text, unknown scheme, credentials in the URL.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        Self::new(text, false)
    }

    /// Reads a location that is a directory whatever its text ends in, as every output is.
    pub fn directory(text: &str) -> Result<Self, StoreError> {
        Self::new(text, true)
    }

    fn new(text: &str, directory: bool) -> Result<Self, StoreError> {
        if text.trim().is_empty() {
            return Err(StoreError::Location("a location is empty; give a path or a URL".into()));
        }
        match text.split_once("://") {
            Some(("file", _)) => {
                let path = Url::parse(text).ok().and_then(|url| url.to_file_path().ok()).ok_or_else(|| {
                    StoreError::Location(format!("not a file URL; write file:///absolute/path: location={text}"))
                })?;
                Self::local(text, path, directory)
            }
            Some((scheme, rest)) => Self::remote(text, scheme, rest, directory),
            None => Self::local(text, PathBuf::from(text), directory),
        }
    }

    fn local(text: &str, path: PathBuf, directory: bool) -> Result<Self, StoreError> {
        let bad = |detail: String| StoreError::Location(format!("not a usable local path: location={text}, {detail}"));
        let absolute = std::path::absolute(&path).map_err(|error| bad(format!("detail={error}")))?;
        let absolute = without_dots(&absolute);
        let directory = directory || text.ends_with('/') || absolute.is_dir();
        let url = match directory {
            true => Url::from_directory_path(&absolute),
            false => Url::from_file_path(&absolute),
        }
        .map_err(|()| bad("detail=not an absolute path".into()))?;
        let path = Path::from_url_path(url.path()).map_err(|error| bad(format!("detail={error}")))?;
        Ok(Self { text: text.into(), url, store: ObjectStoreUrl::local_filesystem(), path, directory })
    }

    fn remote(text: &str, scheme: &str, rest: &str, directory: bool) -> Result<Self, StoreError> {
        let scheme = if scheme == "s3a" { "s3" } else { scheme };
        let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
        let user = authority.split_once('@').map(|(user, _)| user);
        // Credentials are never repeated, so this error must not quote the text.
        if user.is_some_and(|user| scheme != "abfss" || user.contains(':')) {
            return Err(StoreError::Location(format!(
                "a location must not hold credentials; set them in the environment: scheme={scheme}"
            )));
        }
        if !SCHEMES.contains(&scheme) {
            return Err(unknown_scheme(scheme, text));
        }
        let bad = |detail: String| StoreError::Location(format!("not a usable location: location={text}, {detail}"));
        if authority.is_empty() {
            return Err(bad("detail=the bucket is missing".into()));
        }
        let path = Path::parse(key).map_err(|error| bad(format!("detail={error}")))?;
        let directory = directory || key.is_empty() || key.ends_with('/');
        let root = format!("{scheme}://{authority}");
        let store = ObjectStoreUrl::parse(&root).map_err(|error| bad(format!("detail={}", error.strip_backtrace())))?;
        let mut url = Url::parse(&root).map_err(|error| bad(format!("detail={error}")))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path.parts().map(|part| part.as_ref().to_owned()));
            if directory {
                segments.push("");
            }
        }
        Ok(Self { text: text.into(), url, store, path, directory })
    }

    /// As the user wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The URL, absolute; it ends in `/` when the location is known to be a directory.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The URL of the store, as DataFusion's registry knows it.
    pub fn store(&self) -> &ObjectStoreUrl {
        &self.store
    }

    /// The path inside the store.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the location is known to be a directory.
    pub fn is_directory(&self) -> bool {
        self.directory
    }

    /// Whether the location lies on the local disk.
    pub fn is_local(&self) -> bool {
        self.url.scheme() == "file"
    }

    /// The path on the local disk, if it lies there.
    pub fn local_path(&self) -> Option<PathBuf> {
        self.is_local().then(|| self.url.to_file_path().ok()).flatten()
    }

    /// Whether one location equals the other, lies inside it or contains it. Links on the local disk are followed.
    pub fn overlaps(&self, other: &Location) -> bool {
        if self.store != other.store {
            return false;
        }
        let (mine, theirs) = (self.real_path(), other.real_path());
        mine.prefix_matches(&theirs) || theirs.prefix_matches(&mine)
    }

    /// The path with links resolved as far as it exists.
    fn real_path(&self) -> Path {
        let Some(local) = self.local_path() else { return self.path.clone() };
        let mut missing = Vec::new();
        let mut existing = local.as_path();
        let real = loop {
            match (existing.canonicalize(), existing.parent(), existing.file_name()) {
                (Ok(real), _, _) => break real,
                (Err(_), Some(parent), Some(name)) => {
                    missing.push(name.to_owned());
                    existing = parent;
                }
                _ => break existing.to_path_buf(),
            }
        };
        let real = missing.into_iter().rev().fold(real, |path, name| path.join(name));
        Path::from_absolute_path(&real).unwrap_or_else(|_| self.path.clone())
    }
}

/// The path without `.` and `..`, by its text: an output may not exist, so the disk cannot be asked.
fn without_dots(path: &std::path::Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}
