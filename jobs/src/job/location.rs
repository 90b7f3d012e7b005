//! Where a table lies, in one comparable form.  In: a path or URL as written. Out: a normal form; no I/O.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// A location in its normal form: an absolute local path, or `scheme://authority/path`, with `.`, `..`, repeated and
/// trailing slashes resolved by name alone. Symbolic links are not followed: two names of one place are not recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    written: String,
    root: String,
    parts: Vec<String>,
    slash: bool,
}

/// How two locations lie to each other when they share a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// Both are the same place.
    Equals,
    /// The first contains the second.
    Contains,
    /// The first lies within the second.
    LiesWithin,
}

impl Display for Overlap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equals => "equals",
            Self::Contains => "contains",
            Self::LiesWithin => "lies within",
        })
    }
}

impl Location {
    /// From text after substitution; a relative path is taken from `base`, which is absolute.
    ///
    /// Errors: a message without a place, if the text is empty, is no URL, carries credentials, or leaves its bucket.
    pub fn parse(written: &str, base: &Path) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("bad location: {why}, given={written:?}"));
        if written.trim().is_empty() {
            return refuse("it is empty");
        }
        if written.trim() != written || written.chars().any(char::is_control) {
            return refuse("remove white space and control characters around it");
        }
        let slash = written.ends_with('/');
        let Some((scheme, rest)) = written.split_once("://") else {
            if written == "~" || written.starts_with("~/") {
                return refuse("`~` is not expanded, write the absolute path");
            }
            let path = base.join(written);
            let Some(path) = path.to_str() else { return refuse("the working directory is not UTF-8") };
            return Ok(Self { written: written.into(), root: "/".into(), parts: resolve(path).0, slash });
        };
        let scheme = scheme.to_ascii_lowercase();
        if scheme == "file" {
            let path = url::Url::parse(written).ok().and_then(|u| u.to_file_path().ok());
            let Some(path) = path.as_deref().and_then(Path::to_str) else {
                return refuse("a file URL has three slashes and an absolute path");
            };
            return Ok(Self { written: written.into(), root: "/".into(), parts: resolve(path).0, slash });
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if scheme.is_empty() || authority.is_empty() {
            return refuse("allowed=[a path, file:///path, s3://bucket/path]");
        }
        if authority.contains('@') {
            // The text itself is left out of the message: it holds a secret.
            return Err("bad location: credentials do not belong in a job file, they come from the environment".into());
        }
        let (parts, escaped) = resolve(path);
        if escaped {
            return refuse("`..` leads out of the bucket");
        }
        // s3a is Hadoop's name for the same store.
        let scheme = if scheme == "s3a" { "s3".to_string() } else { scheme };
        Ok(Self { written: written.into(), root: format!("{scheme}://{authority}/"), parts, slash })
    }

    /// The text after substitution, as the user wrote it.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The normal form without a trailing slash: `/data/sales`, `s3://bucket/sales`.
    pub fn normal(&self) -> String {
        format!("{}{}", self.root, self.parts.join("/"))
    }

    /// The normal form, with a trailing slash if one was written: stores take that as a directory.
    pub fn normal_as_written(&self) -> String {
        let slash = if self.slash && !self.parts.is_empty() { "/" } else { "" };
        format!("{}{slash}", self.normal())
    }

    /// Whether it is a path of this machine.
    pub fn is_local(&self) -> bool {
        self.root == "/"
    }

    /// Whether a part of it is a pattern (`*`, `?` or `[`).
    pub fn has_wildcard(&self) -> bool {
        self.parts.iter().any(|p| p.contains(['*', '?', '[']))
    }

    /// Whether writing to one could touch the other. A pattern stands for the whole directory above it.
    pub fn overlap(&self, other: &Self) -> Option<Overlap> {
        if self.root != other.root {
            return None;
        }
        let (a, b) = (self.fixed(), other.fixed());
        match (b.starts_with(a), a.starts_with(b)) {
            (true, true) => Some(Overlap::Equals),
            (true, false) => Some(Overlap::Contains),
            (false, true) => Some(Overlap::LiesWithin),
            (false, false) => None,
        }
    }

    fn fixed(&self) -> &[String] {
        let end = self.parts.iter().position(|p| p.contains(['*', '?', '['])).unwrap_or(self.parts.len());
        &self.parts[..end]
    }
}

/// The parts of a path with `.` and `..` resolved, and whether a `..` led above the root.
fn resolve(path: &str) -> (Vec<String>, bool) {
    let mut parts: Vec<String> = Vec::new();
    let mut escaped = false;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => escaped |= parts.pop().is_none(),
            name => parts.push(name.to_string()),
        }
    }
    (parts, escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Location {
        Location::parse(text, Path::new("/work/job")).unwrap()
    }

    #[test]
    fn every_spelling_of_a_place_has_one_normal_form() {
        for text in
            ["/data/a", "/data/a/", "/data//a/.", "/data/b/../a", "file:///data/a", "FILE:///data/a/", "../../data/a"]
        {
            assert_eq!(at(text).normal(), "/data/a", "{text}");
        }
        assert_eq!(at("file:///data/with%20space").normal(), "/data/with space");
        for text in ["s3://b/x/y", "s3a://b/x/y/", "S3://b/x/./z/../y"] {
            assert_eq!(at(text).normal(), "s3://b/x/y", "{text}");
        }
        assert_eq!(at("data/sales/").normal_as_written(), "/work/job/data/sales/");
        assert_eq!(at("data/a.csv").normal_as_written(), "/work/job/data/a.csv");
    }

    #[test]
    fn overlap_knows_same_around_within_and_patterns() {
        let overlap = |a: &str, b: &str| at(a).overlap(&at(b));
        assert_eq!(overlap("/d/a", "file:///d/a/"), Some(Overlap::Equals));
        assert_eq!(overlap("/d", "/d/a"), Some(Overlap::Contains));
        assert_eq!(overlap("/d/a/out", "/d/a/"), Some(Overlap::LiesWithin));
        assert_eq!(overlap("/d/a/out", "/d/a/*.parquet"), Some(Overlap::LiesWithin));
        assert_eq!(overlap("/d/ab", "/d/a"), None);
        assert_eq!(overlap("s3://b/d", "s3://c/d"), None);
        assert_eq!(overlap("s3://b/d", "/b/d"), None);
        assert_eq!(overlap("s3://b/d/x", "s3a://b/d"), Some(Overlap::LiesWithin));
    }

    #[test]
    fn what_is_no_location_is_refused() {
        let refused = |text: &str| Location::parse(text, Path::new("/w")).unwrap_err();
        assert_eq!(refused(""), "bad location: it is empty, given=\"\"");
        assert!(refused("~/x").contains("`~` is not expanded"));
        assert!(refused(" /x").contains("white space"));
        assert!(refused("s3:///x").contains("allowed=[a path, file:///path, s3://bucket/path]"));
        assert!(refused("s3://b/../x").contains("out of the bucket"));
        assert!(refused("file://host/x").contains("three slashes"));
        let secret = refused("s3://key:hunter2@bucket/x");
        assert!(secret.contains("credentials") && !secret.contains("hunter2"), "{secret}");
    }
}
