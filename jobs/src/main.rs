//! The `lakecast` command. In: arguments, environment, signals. Out: data on stdout, progress and logs on stderr, an exit
//! code. Only this file reads the clock and exits.

use clap::Parser;
use lakecast_jobs::cli::Cli;
use lakecast_jobs::{commands, logging};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

// The system's allocator on purpose: mimalloc held 150 MiB more on M5 at the same processor time.

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log_format = cli.global.log_format;
    if let Err(e) = logging::start(&cli.global.log_level, log_format) {
        eprintln!("lakecast: {e}");
        return lakecast_jobs::exit::Exit::Usage.into();
    }
    // Delta's engine and the object stores share rustls; it wants its one provider named before first use.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match lakecast_engine::service::runtime() {
        Ok(runtime) => runtime.block_on(commands::execute(cli, now_ms)),
        Err(e) => Err(lakecast_jobs::failure::Failure::new(
            lakecast_jobs::exit::Exit::Transient,
            format!("the system refuses threads: {e}"),
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let line = logging::failure_line(&failure, log_format, now_ms());
            lakecast_jobs::progress::beside_the_bar(|| eprintln!("{line}"));
            failure.exit.into()
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock, for commit times and records")]
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
