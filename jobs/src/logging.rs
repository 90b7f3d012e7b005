//! Logs on stderr.  In: filter and format from the command line. Out: `tracing` events as text or JSON lines.

use crate::failure::Failure;
use crate::progress;
use chrono::{DateTime, SecondsFormat};
use std::io::{self, Write};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

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

/// A filter from its text. `lakecast` stands for all crates of ours, whose targets start with it.
fn parse_filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(text).map_err(|e| {
        format!("bad log filter: {e}, given={text}, allowed=[error, warn, info, debug, trace, off, or target=level,..]")
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_or_directives() {
        for good in ["info", "warn,lakecast=info", "lakecast_jobs=debug", "off"] {
            assert!(parse_filter(good).is_ok(), "{good}");
        }
        let error = parse_filter("lakecast=loud").unwrap_err();
        assert!(error.starts_with("bad log filter: ") && error.contains("given=lakecast=loud"), "{error}");
    }

    #[test]
    fn a_directive_for_lakecast_covers_every_crate() {
        let filter = parse_filter("warn,lakecast=info").unwrap();
        let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let sink = lines.clone();
        let make = move || Shared(sink.clone());
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(make).json().finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "lakecast_engine::sink", rows = 7, "ours");
            tracing::info!(target: "datafusion", "theirs");
            tracing::warn!(target: "datafusion", "loud");
        });
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        assert!(text.contains("ours") && text.contains("loud") && !text.contains("theirs"), "{text}");
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(first["fields"]["rows"], 7);
    }

    struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
