//! What each command does. In: checked arguments. Out: data on stdout, or a [`Failure`].

mod demo;
mod functions;
mod generate;
mod job;
mod runs;
mod sql;

use crate::cli::{self, Command};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::spec;
use lakecast_engine::cancel::Cancel;
use lakecast_engine::store::Stores;
use std::io::Write;
use std::sync::Arc;

/// Executes one command. `now_ms` gives milliseconds since 1970 for commit times and records.
pub async fn execute(command: Command, now_ms: fn() -> i64) -> Result<(), Failure> {
    match command {
        Command::Run(args) => job::run(args, now_ms).await,
        Command::Plan(args) => job::plan(args, now_ms).await,
        Command::Check(args) => job::check(&args),
        Command::Sql(args) => sql::sql(args).await,
        Command::Functions(args) => functions::functions(&args),
        Command::Schema => print(&spec::json_schema()),
        Command::Runs(args) => runs::runs(&args).await,
        Command::Generate(args) => generate::generate(args),
        Command::Demo(args) => demo::demo(args, now_ms).await,
        Command::Completions(args) => {
            // The generator panics where it cannot write, so it writes to memory first.
            let mut script = Vec::new();
            cli::completions(args.shell, &mut script);
            print(String::from_utf8_lossy(&script).trim_end())
        }
    }
}

/// Writes a text and a line end to stdout. A reader that went away (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Failed, format!("cannot write to stdout: {e}")))
        }
        _ => Ok(()),
    }
}

/// The stores of this process, and its stop flag, which signals set.
fn means(now_ms: fn() -> i64) -> crate::run::Means {
    crate::run::Means {
        stores: Arc::new(Stores::default()),
        cancel: Cancel::default(),
        counters: Arc::default(),
        now_ms,
    }
}
