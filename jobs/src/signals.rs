//! Ctrl-C and SIGTERM.  In: signals of the process. Out: a cancellation that every part of a run can await.

use crate::exit::Exit;
use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Which signal stopped the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Stop {
    /// The exit code of a process that it stopped.
    pub fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
        }
    }
}

/// Whether the run is being stopped. Cheap to clone and to ask.
#[derive(Debug, Clone)]
pub struct Cancellation(watch::Receiver<Option<Stop>>);

/// Stops what holds the [`Cancellation`]; for tests and for callers that stop a run themselves.
#[derive(Debug)]
pub struct Canceller(watch::Sender<Option<Stop>>);

impl Canceller {
    /// Stops it; the first reason counts.
    pub fn stop(&self, why: Stop) {
        self.0.send_if_modified(|state| {
            let first = state.is_none();
            state.get_or_insert(why);
            first
        });
    }
}

impl Cancellation {
    /// A pair that no signal moves.
    pub fn manual() -> (Canceller, Self) {
        let (sender, receiver) = watch::channel(None);
        (Canceller(sender), Self(receiver))
    }

    /// Watches SIGINT and SIGTERM from now on. The first one cancels, so that the run stops cleanly and can be
    /// continued; the second one ends the process at once.
    ///
    /// Errors: the system refuses the handlers. Call it inside a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        let (canceller, cancellation) = Self::manual();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            let mut stopping = false;
            loop {
                let why = tokio::select! {
                    Some(()) = interrupt.recv() => Stop::Interrupt,
                    Some(()) = terminate.recv() => Stop::Terminate,
                    else => return,
                };
                if stopping {
                    // Publication survives a kill at any moment, so that nothing need be waited for.
                    std::process::exit(i32::from(why.exit().code()));
                }
                stopping = true;
                tracing::warn!(signal = ?why, "stopping, finished partitions are kept; again to stop at once");
                canceller.stop(why);
            }
        });
        Ok(cancellation)
    }

    /// Why the run is being stopped, if it is.
    pub fn stopped(&self) -> Option<Stop> {
        *self.0.borrow()
    }

    /// Waits until the run is stopped; for ever if nothing stops it.
    pub async fn cancelled(&self) -> Stop {
        let mut receiver = self.0.clone();
        let stopped = receiver.wait_for(Option::is_some).await.ok().and_then(|state| *state);
        match stopped {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }

    /// Runs `work` until it ends or the run is stopped; what is stopped is dropped at its next `await`.
    pub async fn or_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            why = self.cancelled() => Err(why),
            done = work => Ok(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    #[tokio::test]
    async fn work_ends_or_is_stopped_and_the_first_reason_counts() {
        let (canceller, cancellation) = Cancellation::manual();
        assert_eq!(cancellation.or_stopped(async { 7 }).await, Ok(7));
        assert_eq!(cancellation.stopped(), None);
        canceller.stop(Stop::Terminate);
        canceller.stop(Stop::Interrupt);
        assert_eq!(cancellation.or_stopped(std::future::pending::<()>()).await, Err(Stop::Terminate));
        assert_eq!(cancellation.stopped(), Some(Stop::Terminate));
        assert_eq!(Stop::Terminate.exit().code(), 143);
        assert_eq!(Stop::Interrupt.exit().code(), 130);
    }

    #[tokio::test]
    async fn without_a_canceller_nothing_is_stopped() {
        let (canceller, cancellation) = Cancellation::manual();
        drop(canceller);
        let waited = tokio::time::timeout(Duration::from_millis(20), cancellation.cancelled()).await;
        assert!(waited.is_err());
    }

    /// The process that the tests below send signals to: it says when it listens and when it is stopped, and then hangs
    /// like a run that does not get to its next `await`, unless it was told to end.
    #[test]
    #[ignore = "started by the tests below, as a process of its own"]
    fn child() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let cancellation = Cancellation::listen().unwrap();
            eprintln!("listening");
            let why = cancellation.cancelled().await;
            eprintln!("stopped");
            if std::env::var_os("LAKECAST_TEST_HANG").is_some() {
                std::future::pending::<()>().await;
            }
            std::io::stderr().flush().unwrap();
            std::process::exit(i32::from(why.exit().code()));
        });
    }

    fn start(hang: bool) -> (Child, BufReader<std::process::ChildStderr>) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["signals::tests::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        if hang {
            command.env("LAKECAST_TEST_HANG", "1");
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        (child, stderr)
    }

    fn wait_for(word: &str, stderr: &mut impl BufRead) {
        let mut line = String::new();
        while stderr.read_line(&mut line).unwrap() > 0 {
            if line.trim() == word {
                return;
            }
            line.clear();
        }
        panic!("the child never said {word}");
    }

    fn send(signal: &str, child: &Child) {
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    }

    #[test]
    fn one_signal_stops_cleanly_with_its_exit_code() {
        for (name, code) in [("-INT", 130), ("-TERM", 143)] {
            let (mut child, mut stderr) = start(false);
            wait_for("listening", &mut stderr);
            send(name, &child);
            assert_eq!(child.wait().unwrap().code(), Some(code), "{name}");
        }
    }

    #[test]
    fn a_second_signal_ends_a_hanging_process_at_once() {
        let (mut child, mut stderr) = start(true);
        wait_for("listening", &mut stderr);
        send("-TERM", &child);
        wait_for("stopped", &mut stderr);
        assert!(child.try_wait().unwrap().is_none(), "the first signal only asks");
        send("-INT", &child);
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
}
