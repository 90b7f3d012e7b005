//! What each command does. In: checked arguments. Out: data on stdout, or a [`Failure`].

mod demo;
mod doctor;
mod functions;
mod generate;
mod job;
mod runs;
mod sql;

use crate::cli::{self, Cli, Command, Patience, Where};
use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::fleet::{Fleet, Scheduler};
use crate::run::Means;
use crate::spec;
use lakecast_engine::cancel::Cancel;
use lakecast_engine::store::{StorePolicy, Stores};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// What the process gives every command.
pub(super) struct Process {
    /// Stores of all tables, behind the allow-list.
    stores: Arc<Stores>,
    /// Milliseconds since 1970, for commit times and records.
    now_ms: fn() -> i64,
}

/// Executes one command. `now_ms` gives milliseconds since 1970 for commit times and records.
pub async fn execute(cli: Cli, now_ms: fn() -> i64) -> Result<(), Failure> {
    let everything = cli.global.allow.is_empty();
    let policy = StorePolicy::parse(&cli.global.allow, everything)
        .map_err(|e| Failure::new(Exit::Usage, format!("--allow: {}", chain(&e))))?;
    let process = Process { stores: Arc::new(Stores::new(policy)), now_ms };
    match cli.command {
        Command::Run(args) => job::run(args, &process).await,
        Command::Plan(args) => job::plan(args, &process).await,
        Command::Check(args) => job::check(&args),
        Command::Sql(args) => sql::sql(args, &process).await,
        Command::Functions(args) => functions::functions(&args),
        Command::Schema => print(&spec::json_schema()),
        Command::Doctor(args) => doctor::doctor(&args, &process).await,
        Command::Runs(args) => runs::runs(&args, &process).await,
        Command::Generate(args) => generate::generate(args),
        Command::Demo(args) => demo::demo(args, &process).await,
        Command::Completions(args) => {
            // The generator panics where it cannot write, so it writes to memory first.
            let mut script = Vec::new();
            cli::completions(args.shell, &mut script);
            print(String::from_utf8_lossy(&script).trim_end())
        }
    }
}

/// The fleet that the command line names, if it names one.
fn fleet(place: &Where, patience: &Patience) -> Result<Option<Fleet>, Failure> {
    Ok(scheduler(place)?.map(|scheduler| Fleet {
        scheduler,
        deadline: Duration::from_secs(patience.deadline_seconds),
        stall: Duration::from_secs(patience.stall_seconds),
    }))
}

/// The scheduler that the command line names, if it names one.
fn scheduler(place: &Where) -> Result<Option<Scheduler>, Failure> {
    let refuse = |e| Failure::new(Exit::Usage, format!("--scheduler: {e}"));
    place.scheduler.as_ref().map(|url| Scheduler::new(url).map_err(refuse)).transpose()
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

impl Process {
    /// What a run is given, its stop flag not set. `fleet`: where it is computed instead of in this process.
    fn means(&self, fleet: Option<Fleet>) -> Means {
        Means {
            stores: Arc::clone(&self.stores),
            cancel: Cancel::default(),
            counters: Arc::default(),
            now_ms: self.now_ms,
            fleet,
        }
    }
}
