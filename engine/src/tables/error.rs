//! Errors of input tables, by what to do next.
//!
//! In: what a store, a file or a declaration did wrong. Out: a message that says what to change.

use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;

use crate::store::{Location, StoreError};

/// Why a table cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The declaration of the table is wrong: fix the job, never retry.
    #[error("{0}")]
    Job(String),
    /// The files break the contract: fix the data, never retry.
    #[error("{0}")]
    Data(String),
    /// Credentials or rights do not suffice: mend them, never retry.
    #[error("{0}")]
    Denied(String),
    /// The store did not answer: retry.
    #[error("{0}")]
    Unavailable(String),
    /// The location or the settings of its store are wrong: fix the job or the environment.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault of lakecast itself: report it.
    #[error("bug in lakecast, please report it: {0}")]
    Bug(String),
}

impl InputError {
    pub(super) fn job(message: impl Into<String>) -> Self {
        InputError::Job(message.into())
    }

    pub(super) fn data(message: impl Into<String>) -> Self {
        InputError::Data(message.into())
    }

    /// The same error with files named as the user can open them: stores know paths below their root only.
    pub(super) fn with_whole_paths(self, location: &Location) -> Self {
        let path = location.path().as_ref();
        let whole = |message: String| match path.is_empty() {
            true => message,
            false => ["file=", "missing_in=", "present_in="].iter().fold(message, |message, key| {
                message.replace(&format!("{key}{path}"), &format!("{key}{}{path}", root(location.store())))
            }),
        };
        match self {
            InputError::Job(message) => InputError::Job(whole(message)),
            InputError::Data(message) => InputError::Data(whole(message)),
            InputError::Unavailable(message) => InputError::Unavailable(whole(message)),
            other => other,
        }
    }

    /// The failed request for `what`, sorted by what to do next.
    pub(super) fn store(what: &str, error: &object_store::Error) -> Self {
        use object_store::Error as E;
        match error {
            E::NotFound { .. } => {
                InputError::Data(format!("file vanished while it was being read; run again: file={what}"))
            }
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => InputError::Denied(format!(
                "access is refused; check the credentials in the environment and the rights on the path: \
                 location={what}, detail={error}"
            )),
            _ => InputError::Unavailable(format!(
                "the object store failed; try again, or check endpoint and credentials in the environment: \
                 location={what}, detail={error}"
            )),
        }
    }
}

impl From<InputError> for DataFusionError {
    fn from(error: InputError) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

/// What stands before a path of the store: `/` on the local disk, `s3://bucket/` in a bucket.
pub(super) fn root(store: &ObjectStoreUrl) -> &str {
    store.as_str().strip_prefix("file://").unwrap_or(store.as_str())
}

/// `, nearest=name` for the known name most like `given`, or nothing when none is alike.
pub(super) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> String {
    let lower = given.to_lowercase();
    known
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len().min(given.len()) / 3)
        .min()
        .map(|(_, name)| format!(", nearest={name}"))
        .unwrap_or_default()
}

/// The store's own error inside another one, if that is the cause.
pub(super) fn store_error(error: &DataFusionError) -> Option<&object_store::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<object_store::Error>() {
            return Some(found);
        }
        if let Some(DataFusionError::ObjectStore(found)) = error.downcast_ref::<DataFusionError>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
