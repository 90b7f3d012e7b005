//! Why a publication failed, sorted by what to do next.  In: store, delta and own errors. Out: [`PublishError`].

use std::error::Error as StdError;
use std::io;

use deltalake_core::DeltaTableError;

/// What to do about a failed publication. One kind, one reaction; the message says the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The job file or the output location is wrong: mend it, never retry. Exit code 1.
    Job,
    /// What lies at the location breaks its contract, such as an unreadable Delta log: mend it, never retry. Exit code 1.
    Data,
    /// Storage or network failed, or other writers kept winning; nothing was published: run again later. Exit code 75.
    Unavailable,
    /// Another run of the same output and date published while this one did: look at it, then decide. Exit code 1.
    Conflict,
    /// The data files are not what the run recorded; nothing became visible. Exit code 4.
    Check,
    /// The store never said whether the commit landed: run the same command again, it will find out. Exit code 5.
    Unknown,
    /// A fault of lakecast: report it. Exit code 1.
    Bug,
}

impl Kind {
    /// The exit code of `lakecast run` for this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Unavailable => 75,
            Kind::Check => 4,
            Kind::Unknown => 5,
            Kind::Job | Kind::Data | Kind::Conflict | Kind::Bug => 1,
        }
    }
}

/// A failed publication: what to do ([`PublishError::kind`]), what happened (the message), why (`source()`).
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PublishError {
    kind: Kind,
    message: String,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync + 'static>>,
}

impl PublishError {
    /// What to do next.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        PublishError { kind, message: message.into(), source: None }
    }

    pub(crate) fn caused(
        kind: Kind,
        message: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        PublishError { kind, message: message.into(), source: Some(Box::new(source)) }
    }

    /// A failed request to the store; `doing` is what was attempted, such as "check a data file".
    pub(crate) fn store(doing: &str, location: &str, error: object_store::Error) -> Self {
        Self::caused(store_kind(&error), format!("cannot {doing}: {error}, location={location}"), error)
    }

    /// A failed read of a Delta log.
    pub(crate) fn delta(doing: &str, location: &str, error: DeltaTableError) -> Self {
        Self::caused(delta_kind(&error), format!("cannot {doing}: {error}, location={location}"), error)
    }
}

/// Whether a failed request to the store may be repeated with hope.
pub(crate) fn store_kind(error: &object_store::Error) -> Kind {
    use object_store::Error as E;
    match error {
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => Kind::Job,
        E::InvalidPath { .. } | E::NotSupported { .. } | E::NotImplemented { .. } => Kind::Job,
        E::UnknownConfigurationKey { .. } => Kind::Job,
        other => match io_kind(other) {
            Some(
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotADirectory,
            ) => Kind::Job,
            _ => Kind::Unavailable,
        },
    }
}

/// Whether the answer to a PUT proves that it was not applied and never will be. Everything else is ambiguous: a
/// time-out or a 5xx may be applied already or land later, and S3 says 409 for "try again".
pub(crate) fn refused_for_good(error: &object_store::Error) -> bool {
    use io::ErrorKind as K;
    use object_store::Error as E;
    match error {
        E::PermissionDenied { .. } | E::Unauthenticated { .. } | E::NotFound { .. } => true,
        E::InvalidPath { .. } | E::NotSupported { .. } | E::NotImplemented { .. } => true,
        E::UnknownConfigurationKey { .. } => true,
        // Only a local file system reports these; over HTTP an I/O error is a broken connection.
        other => matches!(
            io_kind(other),
            Some(
                K::PermissionDenied
                    | K::ReadOnlyFilesystem
                    | K::StorageFull
                    | K::QuotaExceeded
                    | K::NotADirectory
                    | K::Unsupported
            )
        ),
    }
}

fn io_kind(error: &object_store::Error) -> Option<io::ErrorKind> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<io::Error>() {
            return Some(found.kind());
        }
        next = current.source();
    }
    None
}

/// The kernel under delta-rs keeps no source for its store errors and its error type cannot be named from here, so
/// where the chain ends its own words decide; what they do not name is taken for a broken log.
fn delta_kind(error: &DeltaTableError) -> Kind {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<object_store::Error>() {
            return store_kind(found);
        }
        next = current.source();
    }
    let text = error.to_string();
    if text.contains("lacked the necessary privileges") || text.contains("lacked valid authentication") {
        Kind::Job
    } else if ["interacting with object store", "Reqwest Error", "File not found", "Join failure"]
        .iter()
        .any(|words| text.contains(words))
    {
        Kind::Unavailable
    } else {
        Kind::Data
    }
}
