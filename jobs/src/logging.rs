//! Logs on stderr.  In: filter and format from the command line. Out: `tracing` events as text or JSON lines.

use crate::failure::Failure;
use crate::progress;
use chrono::{DateTime, SecondsFormat};
use lakecast_engine::service::parse_filter;
use std::io::{self, Write};
use tracing_subscriber::fmt::MakeWriter;

pub use lakecast_engine::service::LogFormat;

/// Starts logging for the whole process; call it once, first thing in `main`.
///
/// `filter` is a level (`info`) or directives (`warn,lakecast_jobs=debug`); `lakecast=info` covers every crate of ours.
/// Errors: a wrong filter, or logging that is already started.
pub fn start(filter: &str, format: LogFormat) -> Result<(), String> {
    let filter = parse_filter(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Stderr);
    match format {
        LogFormat::Text => builder.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).compact().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    }
    .map_err(|e| format!("cannot start logging: {e}"))
}

/// How a command ended, as its last line on stderr; the log's filter does not reach it. `now_ms`: milliseconds since 1970.
pub fn failure_line(failure: &Failure, format: LogFormat, now_ms: i64) -> String {
    match format {
        LogFormat::Text => match &failure.excerpt {
            Some(excerpt) => format!("lakecast: {failure}\n{}", excerpt.trim_end()),
            None => format!("lakecast: {failure}"),
        },
        LogFormat::Json => serde_json::json!({
            "timestamp": DateTime::from_timestamp_millis(now_ms).map(|t| t.to_rfc3339_opts(SecondsFormat::Micros, true)),
            "level": "ERROR",
            "message": failure.message,
            "exit_code": failure.exit.code(),
            "target": "lakecast",
        })
        .to_string(),
    }
}

/// Writes whole events, and keeps them apart from a progress bar.
#[derive(Debug, Clone, Copy)]
struct Stderr;

/// One event on its way to stderr.
struct Event(Vec<u8>);

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Event;

    fn make_writer(&'a self) -> Event {
        Event(Vec::with_capacity(256))
    }
}

impl Write for Event {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.0);
        if bytes.is_empty() { Ok(()) } else { progress::beside_the_bar(|| io::stderr().lock().write_all(&bytes)) }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // There is nowhere left to report that stderr is closed.
        let _ = self.flush();
    }
}
