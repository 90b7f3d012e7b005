//! The command line of `lakecast`.  In: arguments and `LAKECAST_*` variables. Out: one [`Command`] with checked values.
//!
//! Wrong usage ends with exit code 2, which clap does.

use crate::exit::Exit;
use crate::fleet::{DEADLINE_SECONDS_DEFAULT, STALL_SECONDS_DEFAULT};
use crate::job::{PARTITIONS_MAX, parse_run_date, variables};
use crate::logging::LogFormat;
use chrono::NaiveDate;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use lakecast_engine::memory_size::parse_memory;
use std::path::PathBuf;

/// Batch forecasting and frequent itemsets, in SQL, over a lake of Parquet.
///
/// A job file says what to read, what to compute in SQL and what to publish; `lakecast run` does it, and each table
/// becomes visible whole or not at all. Data goes to stdout, progress and logs go to stderr.
#[derive(Debug, Parser)]
#[command(name = "lakecast", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  lakecast demo                                      see it work on generated data
  lakecast check nightly.yaml                        is the job file good?
  lakecast run nightly.yaml --run-date 2026-11-22    compute and publish
  lakecast sql -c \"SELECT 1\"                         ask anything")]
pub struct Cli {
    /// What all commands take.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of all commands.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// How logs are written to stderr
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "LAKECAST_LOG_FORMAT")]
    #[arg(help_heading = "Logging")]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a filter such as `warn,lakecast_jobs=debug`
    #[arg(long, global = true, value_name = "FILTER", default_value = "warn,ballista_core=off,lakecast=info")]
    #[arg(env = "LAKECAST_LOG")]
    #[arg(help_heading = "Logging")]
    pub log_level: String,
    /// The only folders and buckets that may be read and written, as s3://lake/ or data/; default: every one
    #[arg(long = "allow", global = true, value_name = "LOCATION", env = "LAKECAST_ALLOW", value_delimiter = ',')]
    #[arg(help_heading = "Object stores")]
    pub allow: Vec<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compute a job and publish its tables
    ///
    /// The same command again is safe: what is published is recognised, what died is continued. The last line on stdout
    /// is one JSON object: run id, tables with version and rows, counts by status, seconds.
    #[command(after_help = run_help())]
    Run(RunArgs),
    /// Show what a run would do: tables, files, bytes, stages; nothing is written
    #[command(after_help = "Example:\n  lakecast plan nightly.yaml --run-date 2026-11-22")]
    Plan(PlanArgs),
    /// Check a job file without reading any data
    #[command(after_help = "Example:\n  lakecast check nightly.yaml --set lake=s3://lake")]
    Check(JobArgs),
    /// Run one SQL query and print or write its rows
    #[command(after_help = "Examples:
  lakecast sql -c \"SELECT * FROM s LIMIT 5\" --table s=data/sales/
  lakecast sql -f query.sql --table s=s3://lake/sales/ --format csv --output out.csv
  echo 'SELECT 1' | lakecast sql --format json")]
    Sql(SqlArgs),
    /// List the table functions, or explain one: columns, parameters, defaults, ranges, output
    #[command(after_help = "Examples:\n  lakecast functions\n  lakecast functions forecast")]
    Functions(FunctionsArgs),
    /// Print the JSON schema of the job file, for editors
    #[command(after_help = "Example:\n  lakecast schema > lakecast.schema.json")]
    Schema,
    /// List the runs recorded at the location of a published table
    #[command(after_help = "Example:\n  lakecast runs s3://lake/forecast/")]
    Runs(RunsArgs),
    /// Check that tables can be published at a location: rights, latency, clock, atomic creation
    ///
    /// Writes small objects below LOCATION/_lakecast/probe/ and deletes them. Prints a line for every check. Exit code 0 if
    /// all is good, 1 if something must be mended, 75 if the store cannot be reached.
    #[command(after_help = "Examples:\n  lakecast doctor s3://lake/\n  lakecast doctor data/lake/")]
    Doctor(DoctorArgs),
    /// Generate a marketplace: sales and baskets with known truth. Same seed, same bytes
    #[command(
        after_help = "Example:\n  lakecast generate --skus 1000 --days 365 --baskets 50000 --seed 7 --out market/"
    )]
    Generate(GenerateArgs),
    /// Generate a small marketplace, run the nightly job on it and show the result
    #[command(after_help = "Example:\n  lakecast demo --dir /tmp/lakecast-demo")]
    Demo(DemoArgs),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  lakecast completions bash > ~/.local/share/bash-completion/completions/lakecast"
    )]
    Completions(CompletionsArgs),
}

fn run_help() -> String {
    format!(
        "Examples:
  lakecast run nightly.yaml --run-date 2026-11-22
  lakecast run nightly.yaml --run-date 2026-11-22 --set lake=s3://lake --memory 4GiB
  lakecast run nightly.yaml --run-date 2026-11-22 --scheduler http://scheduler:50050

Exit codes:
{}",
        Exit::table()
    )
}

/// The job file and what it is read with.
#[derive(Debug, Clone, Args)]
pub struct JobArgs {
    /// The job file (YAML); `lakecast schema` describes it
    #[arg(value_hint = ValueHint::FilePath)]
    pub job: PathBuf,
    /// The business date, `${run_date}` in the job; nothing reads the clock instead
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_run_date, env = "LAKECAST_RUN_DATE")]
    pub run_date: Option<NaiveDate>,
    /// Set a variable of the job, `${NAME}`; may be given more than once
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_set)]
    pub set: Vec<(String, String)>,
}

/// How much of the machine a command may use.
#[derive(Debug, Clone, Args)]
pub struct Resources {
    /// Output partitions of every table, instead of what the job or the size of its input says; rows do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(PARTITIONS_MAX)))]
    pub partitions: Option<u32>,
    /// Memory for sorts, joins and groups, for example 4GiB, instead of what the job says; beyond it sorts spill, and a
    /// series that is too large for it is refused
    #[arg(long, value_name = "SIZE", value_parser = parse_memory, env = "LAKECAST_MEMORY")]
    pub memory: Option<u64>,
}

/// Where a command computes.
#[derive(Debug, Clone, Args)]
pub struct Where {
    /// Compute on the fleet of this scheduler, http://host:port; default: in this process
    #[arg(long, value_name = "URL", env = "LAKECAST_SCHEDULER", help_heading = "Fleet")]
    pub scheduler: Option<String>,
}

/// How patient a run on a fleet is.
#[derive(Debug, Clone, Args)]
pub struct Patience {
    /// On a fleet: the longest that one output may take, with everything that is submitted again
    #[arg(long, value_name = "SECONDS", default_value_t = DEADLINE_SECONDS_DEFAULT, env = "LAKECAST_DEADLINE_SECONDS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=604_800), help_heading = "Fleet")]
    pub deadline_seconds: u64,
    /// On a fleet: submit again when no task began or ended for so long; more than the longest partition takes
    #[arg(long, value_name = "SECONDS", default_value_t = STALL_SECONDS_DEFAULT, env = "LAKECAST_STALL_SECONDS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=604_800), help_heading = "Fleet")]
    pub stall_seconds: u64,
}

/// Arguments of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Which job.
    #[command(flatten)]
    pub job: JobArgs,
    /// How much of the machine.
    #[command(flatten)]
    pub resources: Resources,
    /// Where it is computed.
    #[command(flatten)]
    pub place: Where,
    /// How patiently.
    #[command(flatten)]
    pub patience: Patience,
    /// Write the JSON result to this file too, when the run ends, whatever its outcome
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "LAKECAST_RESULT_FILE")]
    pub result_file: Option<PathBuf>,
    /// No progress on stderr; logs stay
    #[arg(long, short)]
    pub quiet: bool,
}

/// Arguments of `plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// Which job.
    #[command(flatten)]
    pub job: JobArgs,
    /// How much of the machine.
    #[command(flatten)]
    pub resources: Resources,
    /// Where it would be computed.
    #[command(flatten)]
    pub place: Where,
}

/// How `sql` writes rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SqlFormat {
    /// Aligned columns, for reading
    Table,
    /// CSV with a header line
    Csv,
    /// One JSON object per line
    Json,
    /// A Parquet file; needs --output
    Parquet,
}

/// Arguments of `sql`. Without `-c` and `-f` the query is read from stdin.
#[derive(Debug, Clone, Args)]
pub struct SqlArgs {
    /// The query
    #[arg(short = 'c', long = "command", value_name = "SQL", conflicts_with = "file", allow_hyphen_values = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub query: Option<String>,
    /// Read the query from a file
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// A table for the query: Parquet, CSV, JSON lines or Delta, a path or s3://..; may be given more than once
    #[arg(long = "table", value_name = "NAME=LOCATION", value_parser = parse_table)]
    pub tables: Vec<(String, String)>,
    /// How rows are written
    #[arg(long, value_enum, default_value_t = SqlFormat::Table, requires_if("parquet", "output"))]
    pub format: SqlFormat,
    /// Write rows to this file instead of stdout
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Where it is computed.
    #[command(flatten)]
    pub place: Where,
    /// How much of the machine.
    #[command(flatten)]
    pub resources: Resources,
}

/// How `functions` writes help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HelpFormat {
    /// For a terminal
    Text,
    /// For a README
    Markdown,
}

/// Arguments of `functions`.
#[derive(Debug, Clone, Args)]
pub struct FunctionsArgs {
    /// Explain this function
    pub name: Option<String>,
    /// How help is written
    #[arg(long, value_enum, default_value_t = HelpFormat::Text)]
    pub format: HelpFormat,
}

/// Arguments of `runs`.
#[derive(Debug, Clone, Args)]
pub struct RunsArgs {
    /// The location of a published table: a path or s3://..
    #[arg(value_hint = ValueHint::DirPath, value_parser = NonEmptyStringValueParser::new())]
    pub location: String,
}

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Where tables are to be published: a folder, or s3://.., gs://.., az://.., abfss://..
    #[arg(value_hint = ValueHint::DirPath, value_parser = NonEmptyStringValueParser::new())]
    pub location: String,
}

/// Arguments of `generate`.
#[derive(Debug, Clone, Args)]
pub struct GenerateArgs {
    /// How many SKUs
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub skus: u64,
    /// How many days
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: u32,
    /// How many baskets
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(0..=10_000_000_000))]
    pub baskets: u64,
    /// Seed: the same seed gives the same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The first day [default: such that the history ends on 2026-11-22]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_run_date)]
    pub start_date: Option<NaiveDate>,
    /// Plant every kind of bad input, and write what was planted
    #[arg(long)]
    pub dirty: bool,
    /// Directory to write to; must be empty or absent
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
}

/// Arguments of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Directory for data, job file and tables
    #[arg(long, default_value = "lakecast-demo", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// How many SKUs
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub skus: u64,
    /// How many days
    #[arg(long, default_value_t = 730, value_parser = clap::value_parser!(u32).range(60..=36_500))]
    pub days: u32,
    /// How many baskets
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub baskets: u64,
    /// Seed: the same seed gives the same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Arguments of `completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Writes the completion script of `shell` to `out`.
pub fn completions(shell: Shell, out: &mut dyn std::io::Write) {
    clap_complete::generate(shell, &mut Cli::command(), "lakecast", out);
}

fn parse_set(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if !variables::is_name(name) {
        return Err(format!("bad variable name: name={name:?}, allowed=[letters, digits and `_`, no digit first]"));
    }
    Ok((name.to_string(), value.to_string()))
}

fn parse_table(text: &str) -> Result<(String, String), String> {
    let (name, location) = text.split_once('=').ok_or("write NAME=LOCATION")?;
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !variables::is_name(name) || !name.chars().all(good) {
        return Err(format!("bad table name: name={name:?}, allowed=[lower case letters, digits and `_`]"));
    }
    if location.is_empty() {
        return Err(format!("location is empty: table={name}"));
    }
    Ok((name.to_string(), location.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(|c| c.command)
    }

    fn wrong(line: &str) -> (i32, String) {
        let e = parse(line).unwrap_err();
        (e.exit_code(), e.to_string())
    }

    #[test]
    fn definitions_are_consistent_and_every_argument_has_help() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
        }
    }

    #[test]
    fn run_takes_everything_that_a_night_needs() {
        let line = "lakecast run n.yaml --run-date 2026-11-22 --set a=b=c --set d= --partitions 4 --memory 4GiB \
                    --result-file r.json --log-format json --quiet";
        let Ok(Command::Run(run)) = parse(line) else { panic!("{line}") };
        assert_eq!(run.job.run_date, NaiveDate::from_ymd_opt(2026, 11, 22));
        assert_eq!(run.job.set, [("a".into(), "b=c".into()), ("d".into(), String::new())]);
        assert_eq!((run.resources.partitions, run.resources.memory), (Some(4), Some(4 << 30)));
        assert!(run.quiet && run.result_file == Some("r.json".into()));
        let cli = Cli::try_parse_from(["lakecast", "--log-format", "json", "schema"]).unwrap();
        assert_eq!(cli.global.log_format, LogFormat::Json);
    }

    #[test]
    fn wrong_usage_ends_with_2_and_says_what_is_allowed() {
        for (line, says) in [
            ("lakecast run", "<JOB>"),
            ("lakecast run j --run-date 2026-13-01", "bad date: given=2026-13-01, allowed=[YYYY-MM-DD"),
            ("lakecast run j --partitions 0", "0 is not in 1..=65536"),
            ("lakecast run j --memory 4", "write a number and a unit"),
            ("lakecast run j --set x", "write NAME=VALUE"),
            ("lakecast run j --set 1x=2", "bad variable name"),
            ("lakecast sql --table S=x", "bad table name: name=\"S\""),
            ("lakecast sql -c x -f y", "cannot be used with"),
            ("lakecast sql -c x --format parquet", "--output"),
            ("lakecast sql -c x --format cvs", "csv"),
            ("lakecast generate", "--out"),
            ("lakecast rnu j", "run"),
            ("lakecast check j --log-format xml", "text, json"),
        ] {
            let (code, text) = wrong(line);
            assert_eq!(code, i32::from(Exit::Usage.code()), "{line}");
            assert!(text.contains(says), "{line} says {text}");
        }
    }

    #[test]
    fn run_help_lists_every_exit_code() {
        let help = Cli::command().find_subcommand_mut("run").unwrap().render_long_help().to_string();
        for exit in Exit::ALL {
            assert!(help.contains(exit.meaning()), "{help}");
        }
    }

    #[test]
    fn completions_know_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut out = Vec::new();
            completions(shell, &mut out);
            let text = String::from_utf8(out).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(text.contains(command.get_name()), "{shell} {}", command.get_name());
            }
        }
    }
}
