//! Which failures may pass by themselves. In: an error with its causes. Out: whether the same work is worth another try.
//!
//! One place decides, for the command that exits, the executor that reports a task, and the controller that submits again.

use ballista_core::error::BallistaError;
use datafusion::common::DataFusionError;
use std::error::Error;
use std::io::{self, ErrorKind};

/// What a failure says about another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Storage or network: the same work may succeed later.
    Passing,
    /// Bad data, wrong use, missing rights, a full disk, too little memory: the same work fails again.
    Lasting,
}

impl Fault {
    /// What `error` says, by its causes.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        for e in causes(error) {
            if let Some(io) = e.downcast_ref::<io::Error>() {
                return if is_passing(io.kind()) { Self::Passing } else { Self::Lasting };
            }
            if let Some(store) = e.downcast_ref::<object_store::Error>()
                && let object_store::Error::Generic { store: name, source } = store
                && *name != "LocalFileSystem"
                && source.downcast_ref::<io::Error>().is_none()
            {
                return Self::Passing;
            }
        }
        passing_by_text(&error.to_string())
    }
}

/// The same for readers that keep no more than the text of what they met.
fn passing_by_text(text: &str) -> Fault {
    let footer = text.contains("Failed to fetch metadata for file") && text.contains("Object Store error: Generic ");
    // Only shuffle files and spills are read as Arrow IPC: the executor that served one is gone, or its disk is.
    let shuffle = text.contains("Ipc error: ");
    if footer || shuffle { Fault::Passing } else { Fault::Lasting }
}

/// `error` and what caused it, outermost first, through the wrappers that hide what they hold from `source`.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |outer| cause_of(*outer))
}

fn cause_of<'a>(outer: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(DataFusionError::Shared(inner)) = outer.downcast_ref() {
        return Some(inner.as_ref());
    }
    match outer.downcast_ref() {
        Some(BallistaError::DataFusionError(inner)) => Some(inner.as_ref()),
        Some(BallistaError::ArrowError(inner)) => Some(inner.as_ref()),
        Some(BallistaError::IoError(inner)) => Some(inner),
        _ => outer.source(),
    }
}

/// How DataFusion's memory pool announces the list of who holds memory.
pub const CONSUMERS: &str = " with top memory consumers (across reservations) as:";

/// What an executor tells of a failure, in one line: what to do where that is known, then what happened.
pub fn message(error: &DataFusionError) -> String {
    let root = error.find_root().strip_backtrace();
    // What follows the first line of a lack of memory lists every consumer.
    let text = match root.split_once(CONSUMERS) {
        Some((first, _)) => first,
        None => root.trim_end(),
    };
    match causes(error).find_map(remedy).or_else(|| remedy_by_text(text)) {
        Some(remedy) if !text.contains("raise") => format!("{remedy}: {text}"),
        _ => text.to_string(),
    }
}

const SPILLS: &str = "spills need more than their limit, raise --spill-limit of the executors or use more partitions";
const MEMORY: &str = "not enough memory, raise --memory of the executors, lower their --vcores, or use more partitions";
const ACCESS: &str = "access is refused, check the credentials in the environment of the executors and their rights";
const DISK: &str = "a disk is full, give --work-dir of the executors more room or the job more executors";

fn remedy(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    use object_store::Error as Store;
    if let Some(DataFusionError::ResourcesExhausted(text)) = cause.downcast_ref() {
        return Some(if text.contains(SPILLED) { SPILLS } else { MEMORY });
    }
    if let Some(Store::PermissionDenied { source, .. } | Store::Unauthenticated { source, .. }) = cause.downcast_ref() {
        return (!says_what_to_do(&source.to_string())).then_some(ACCESS);
    }
    let io: &io::Error = cause.downcast_ref()?;
    (io.kind() == ErrorKind::StorageFull).then_some(DISK)
}

/// How DataFusion begins to say that its limit of spills is reached.
const SPILLED: &str = "used disk space during the spilling";

/// The same for readers and writers that keep no more than the text of a cause.
fn remedy_by_text(text: &str) -> Option<&'static str> {
    let denied = ["lacked the necessary privileges", "lacked valid authentication credentials"];
    match () {
        () if text.contains(SPILLED) => Some(SPILLS),
        () if denied.iter().any(|told| text.contains(told)) && !says_what_to_do(text) => Some(ACCESS),
        () => None,
    }
}

/// Whether the stores of this crate refused, who say it themselves.
fn says_what_to_do(text: &str) -> bool {
    ["allow-list", "no credentials"].iter().any(|told| text.contains(told))
}

fn is_passing(kind: ErrorKind) -> bool {
    use ErrorKind as K;
    matches!(
        kind,
        K::ConnectionRefused
            | K::ConnectionReset
            | K::ConnectionAborted
            | K::NotConnected
            | K::BrokenPipe
            | K::TimedOut
            | K::Interrupted
            | K::UnexpectedEof
            | K::HostUnreachable
            | K::NetworkUnreachable
            | K::NetworkDown
    )
}

/// Begins what an executor says of a failure, so that it survives being wrapped as text by every process in between.
const OPEN: &str = "<lakecast ";
/// Ends it.
const CLOSE: &str = "</lakecast>";

/// A failure as text that [`told`] reads back. The message is kept to one line.
pub fn tell(fault: Fault, message: &str) -> String {
    let kind = match fault {
        Fault::Passing => "passing",
        Fault::Lasting => "lasting",
    };
    format!("{OPEN}{kind}>{}{CLOSE}", message.replace(['\n', '\r'], " "))
}

/// What an executor said of a failure, found anywhere in a text that quotes it; `None` if no executor of ours spoke.
pub fn told(text: &str) -> Option<(Fault, String)> {
    let (_, rest) = text.split_once(OPEN)?;
    let (kind, rest) = rest.split_once('>')?;
    let (message, _) = rest.split_once(CLOSE)?;
    let fault = if kind == "passing" { Fault::Passing } else { Fault::Lasting };
    // Ballista quotes with `{:?}`.
    Some((fault, message.replace("\\\"", "\"").replace("\\'", "'").replace("\\\\", "\\")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_lost_connection_passes_and_a_full_disk_does_not() {
        let of = |kind| Fault::of(&DataFusionError::IoError(io::Error::from(kind)));
        assert_eq!(of(ErrorKind::ConnectionReset), Fault::Passing);
        assert_eq!(of(ErrorKind::StorageFull), Fault::Lasting);
        assert_eq!(of(ErrorKind::PermissionDenied), Fault::Lasting);
        let store = object_store::Error::Generic { store: "S3", source: "503 after 10 retries".into() };
        assert_eq!(Fault::of(&DataFusionError::ObjectStore(Box::new(store))), Fault::Passing);
        assert_eq!(Fault::of(&DataFusionError::Execution("bad row".into())), Fault::Lasting);
    }

    #[test]
    fn work_that_an_ending_executor_stopped_passes_through_every_wrapper() {
        let stopped = || crate::functions::to_datafusion(lakecast_udfs::Error::Cancelled);
        assert_eq!(Fault::of(&stopped()), Fault::Passing);
        let shuffle = BallistaError::DataFusionError(Box::new(stopped())).into_datafusion();
        assert_eq!(Fault::of(&shuffle), Fault::Passing);
        assert_eq!(Fault::of(&DataFusionError::External(Box::new(stopped()))), Fault::Passing);
    }

    #[test]
    fn a_footer_that_the_store_did_not_give_passes_unless_rights_are_missing() {
        let footer = |why: &str| {
            let text = format!("Parquet error: Failed to fetch metadata for file a.parquet: Object Store error: {why}");
            DataFusionError::External(text.into())
        };
        assert_eq!(Fault::of(&footer("Generic S3 error: 503 after 10 retries")), Fault::Passing);
        let denied = footer("The operation lacked the necessary privileges to complete for path a.parquet: 403");
        assert_eq!(Fault::of(&denied), Fault::Lasting);
        assert!(message(&denied).contains("check the credentials"), "{}", message(&denied));
    }

    #[test]
    fn a_shuffle_file_whose_executor_died_while_it_was_read_passes() {
        // As a reader told it when its peer was killed.
        let text = "Arrow error: Ipc error: Arrow error: Ipc error: code: 'Unknown error', message: \"h2 protocol error: \
                    error reading a body from connection\", source: hyper::Error(Body, Error { kind: Io(BrokenPipe) })";
        assert_eq!(Fault::of(&DataFusionError::External(text.into())), Fault::Passing);
    }

    #[test]
    fn a_failure_says_what_to_do_through_every_wrapper() {
        let full = || io::Error::from(ErrorKind::StorageFull);
        let shuffle = BallistaError::DataFusionError(Box::new(DataFusionError::IoError(full())));
        for error in [
            DataFusionError::IoError(full()),
            shuffle.into_datafusion(),
            BallistaError::IoError(full()).into_datafusion(),
        ] {
            assert!(message(&error).starts_with("a disk is full, give --work-dir"), "{}", message(&error));
            assert_eq!(Fault::of(&error), Fault::Lasting);
        }
        let spill = "The used disk space during the spilling process has exceeded the allowable limit";
        let spill = DataFusionError::ResourcesExhausted(spill.into()).context("sort");
        assert!(message(&spill).contains("raise --spill-limit"), "{}", message(&spill));
        let nested = BallistaError::General(format!("Io error: The {SPILLED} process ..")).into_datafusion();
        assert!(message(&nested).contains("raise --spill-limit"), "{}", message(&nested));
        let memory = format!("no memory{CONSUMERS}\n  a#1(can spill)");
        let memory = message(&DataFusionError::ResourcesExhausted(memory));
        assert!(memory.contains("raise --memory") && !memory.contains("can spill"), "{memory}");
        let denied = |source: &str| object_store::Error::PermissionDenied { path: "a".into(), source: source.into() };
        let message = |source: &str| message(&DataFusionError::ObjectStore(Box::new(denied(source))));
        assert!(message("403").starts_with("access is refused, check the credentials"), "{}", message("403"));
        assert!(!message("outside the allow-list").contains("credentials"));
    }

    #[test]
    fn what_an_executor_told_survives_quotation() {
        let text = tell(Fault::Lasting, "mine_shard: no memory for \"a\"\nraise it");
        let quoted = format!("Job 1 failed: DataFusionError(Execution({text:?})) at stage 2");
        assert_eq!(told(&quoted), Some((Fault::Lasting, "mine_shard: no memory for \"a\" raise it".to_string())));
        assert_eq!(told(&tell(Fault::Passing, "503")).unwrap().0, Fault::Passing);
        assert_eq!(told("Cancelled"), None);
    }
}
