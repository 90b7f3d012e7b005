//! Which failures may pass by themselves. In: an error with its causes. Out: whether the same work is worth another try.
//!
//! One place decides, for the command that exits, the executor that reports a task, and the controller that submits again.

use datafusion::common::DataFusionError;
use std::error::Error;
use std::io::ErrorKind;

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
        let mut cause = Some(error);
        while let Some(e) = cause {
            if let Some(io) = e.downcast_ref::<std::io::Error>() {
                return if is_passing(io.kind()) { Self::Passing } else { Self::Lasting };
            }
            if let Some(store) = e.downcast_ref::<object_store::Error>()
                && let object_store::Error::Generic { store: name, source } = store
                && *name != "LocalFileSystem"
                && source.downcast_ref::<std::io::Error>().is_none()
            {
                return Self::Passing;
            }
            // An `Arc` or a shared error hides what it holds from `source` of the outer one.
            cause = match e.downcast_ref::<DataFusionError>() {
                Some(DataFusionError::Shared(inner)) => Some(inner.as_ref()),
                _ => e.source(),
            };
        }
        Self::Lasting
    }
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
    fn what_an_executor_told_survives_quotation() {
        let text = tell(Fault::Lasting, "mine_shard: no memory for \"a\"\nraise it");
        let quoted = format!("Job 1 failed: DataFusionError(Execution({text:?})) at stage 2");
        assert_eq!(told(&quoted), Some((Fault::Lasting, "mine_shard: no memory for \"a\" raise it".to_string())));
        assert_eq!(told(&tell(Fault::Passing, "503")).unwrap().0, Fault::Passing);
        assert_eq!(told("Cancelled"), None);
    }
}
