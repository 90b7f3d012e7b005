//! Logs on stderr.  In: filter and format. Out: `tracing` events as text, or as one JSON object per line.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

/// Starts logging for the whole process; a service calls it once, first thing after its settings.
///
/// `filter` is as in [`parse_filter`]. JSON lines hold the event's fields at the top and those of the current span (job,
/// stage, partition, attempt) under `span`. Errors: a wrong filter, or logging that is already started.
pub fn start_logs(filter: &str, format: LogFormat) -> Result<(), String> {
    let filter = parse_filter(filter)?;
    match format {
        LogFormat::Text => {
            let ansi = io::stderr().is_terminal();
            let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(ansi);
            builder.compact().finish().try_init()
        }
        LogFormat::Json => json(filter, io::stderr).try_init(),
    }
    .map_err(|e| format!("cannot start logging: {e}"))
}

fn json<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    builder.json().flatten_event(true).with_current_span(true).with_span_list(false).finish()
}

/// A filter from its text: a level (`info`) or directives (`warn,lakecast_jobs=debug`).
///
/// `lakecast` stands for all crates of ours, whose targets start with it. Errors: says what is allowed.
pub fn parse_filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(text).map_err(|e| {
        format!("bad log filter: {e}, given={text}, allowed=[error, warn, info, debug, trace, off, or target=level,..]")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn filters_are_levels_or_directives() {
        for good in ["info", "warn,lakecast=info", "lakecast_jobs=debug", "off"] {
            assert!(parse_filter(good).is_ok(), "{good}");
        }
        let error = parse_filter("lakecast=loud").unwrap_err();
        assert!(error.starts_with("bad log filter: ") && error.contains("given=lakecast=loud"), "{error}");
    }

    #[test]
    fn a_directive_for_lakecast_covers_every_crate_and_a_line_holds_its_span() {
        let filter = parse_filter("warn,lakecast=info").unwrap();
        let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let sink = lines.clone();
        let make = move || Shared(sink.clone());
        tracing::subscriber::with_default(json(filter, make), || {
            let span = tracing::info_span!(target: "lakecast_executor", "task", job = "j1", stage = 2, partition = 3, attempt = 0);
            let _entered = span.entered();
            tracing::info!(target: "lakecast_engine::sink", rows = 7, "ours");
            tracing::info!(target: "datafusion", "theirs");
            tracing::warn!(target: "datafusion", "loud");
        });
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        assert!(text.contains("ours") && text.contains("loud") && !text.contains("theirs"), "{text}");
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!((&first["message"], &first["rows"]), (&"ours".into(), &7.into()));
        let span = serde_json::json!({ "name": "task", "job": "j1", "stage": 2, "partition": 3, "attempt": 0 });
        assert_eq!(first["span"], span);
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
