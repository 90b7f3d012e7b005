//! How a command fails: a message that says what to do next, and the exit code that follows from it.
//!
//! In: errors of planning, reading, computing, writing and publishing. Out: [`Failure`]; one place decides what is worth a
//! retry.

use crate::exit::Exit;
use crate::problem::JobError;
use crate::publish::PublishError;
use datafusion::common::DataFusionError;
use lakecast_engine::fault::{CONSUMERS, Fault, told};
use lakecast_engine::tables::InputError;
use std::error::Error;
use std::fmt;

/// Why a command ended, and with which exit code.
#[derive(Debug)]
pub struct Failure {
    /// What a scheduler does next.
    pub exit: Exit,
    /// What a person does next.
    pub message: String,
    /// The lines of the job file that the message is about, marked, for people.
    pub excerpt: Option<String>,
}

impl Failure {
    /// A failure with its exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), excerpt: None }
    }

    /// An error while a plan is made: wrong SQL is the job file's fault, the store's silence is not.
    pub fn planning(place: &str, error: &DataFusionError) -> Self {
        let exit = match error.find_root() {
            DataFusionError::Plan(_)
            | DataFusionError::SQL(..)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Diagnostic(..) => Exit::Usage,
            _ => exit_of(error),
        };
        Self::new(exit, format!("{place}: {}", message_of(error)))
    }

    /// An error while a plan runs.
    pub fn running(place: &str, error: &DataFusionError) -> Self {
        Self::new(exit_of(error), format!("{place}: {}", message_of(error)))
    }
}

/// An input table that cannot be opened or has changed.
pub fn of_input(table: &str, error: &InputError) -> Failure {
    let exit = match error {
        InputError::Job(_) => Exit::Usage,
        InputError::Unavailable(_) => Exit::Transient,
        _ => Exit::Failed,
    };
    Failure::new(exit, format!("table {table}: {}", chain(error)))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

impl From<JobError> for Failure {
    fn from(e: JobError) -> Self {
        Self { excerpt: e.excerpt(), ..Self::new(Exit::Usage, e.to_string()) }
    }
}

impl From<PublishError> for Failure {
    fn from(e: PublishError) -> Self {
        let exit = Exit::ALL.iter().copied().find(|x| x.code() == e.kind().exit_code()).unwrap_or(Exit::Failed);
        Self::new(exit, chain(&e))
    }
}

/// The message without back traces and with a remedy where DataFusion gives none.
fn message_of(error: &DataFusionError) -> String {
    let root = error.find_root();
    if let Some((_, told)) = told(&root.to_string()) {
        return told;
    }
    let text = match root {
        DataFusionError::Plan(m) | DataFusionError::Execution(m) => m.clone(),
        DataFusionError::SQL(e, _) => e.to_string(),
        DataFusionError::ResourcesExhausted(m) => {
            // What follows the first line lists every consumer of memory: for a log, not for a message.
            tracing::debug!("{m}");
            let first = m.lines().next().unwrap_or_default().trim_end_matches(CONSUMERS).to_string();
            // The context around it names settings of DataFusion that our users do not have.
            // A sort that cannot hold one batch shares the memory with those of too many other partitions.
            let partitions = if first.contains("ExternalSorter") { "fewer" } else { "more" };
            return match first.contains("raise") {
                true => first,
                false => format!("not enough memory, raise --memory or use {partitions} partitions: {first}"),
            };
        }
        other => other.strip_backtrace(),
    };
    match context_of(error) {
        Some(context) if !text.contains(&context) => format!("{context}: {text}"),
        _ => text,
    }
}

fn context_of(error: &DataFusionError) -> Option<String> {
    match error {
        DataFusionError::Context(context, _) => Some(context.clone()),
        _ => None,
    }
}

/// An error and its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut out = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let text = e.to_string();
        if !out.contains(&text) {
            out = format!("{out}: {text}");
        }
        cause = e.source();
    }
    out
}

/// Whether the same command may succeed later. Storage and network are retried; a full disk, a missing right and bad data
/// are not mended by waiting.
fn exit_of(error: &DataFusionError) -> Exit {
    match Fault::of(error) {
        Fault::Passing => Exit::Transient,
        Fault::Lasting => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_sql_is_the_job_files_fault() {
        let failure = Failure::planning("output forecast", &DataFusionError::Plan("unknown argument".into()));
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.message, "output forecast: unknown argument");
    }
}
