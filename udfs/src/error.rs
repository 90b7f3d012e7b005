//! Errors of the functions, by what the caller does next.

use arrow::error::ArrowError;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by what to do next. None of these is worth a retry: the same rows give the same error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument of the SQL call is wrong: fix the SQL. Raised while planning.
    #[error("{0}")]
    Argument(String),
    /// The input breaks the function's contract: fix the data or filter it.
    #[error("{0}")]
    Data(String),
    /// A memory, size or time limit was reached: the message names the remedy.
    #[error("{0}")]
    Limit(String),
    /// The run was cancelled while the group was being computed.
    #[error("cancelled")]
    Cancelled,
    /// A fault of lakecast itself: report it.
    #[error("bug in lakecast, please report it: {0}")]
    Bug(String),
    /// Arrow refused an operation on the columns.
    #[error("arrow: {0}")]
    Arrow(#[from] ArrowError),
}
