//! Settings of a service.  In: flags, `LAKECAST_*` variables, one YAML file. Out: a checked struct, or what is wrong.
//!
//! A flag wins over the environment, the environment over the file, the file over the default. The file is flat, and its
//! keys are the long names of the flags (`executor-timeout-seconds: 45`). Secrets belong in the environment, not in it.

mod file;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::BoolishValueParser;
use clap::error::ErrorKind;
use clap::{ArgAction, Args, Command, Parser};

use super::logs::{LogFormat, parse_filter};
use crate::store::{StoreError, StorePolicy, Stores};
use file::{Entry, Flag};

/// Settings that every service has; flatten it into the service's own.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// File of settings: flat YAML whose keys are the names of flags, as in `log-level: info`; default: no file
    ///
    /// Flags and environment variables win over the file. Keep secrets out of it: stores take them from the environment.
    #[arg(long, value_name = "FILE", env = "LAKECAST_CONFIG")]
    pub config: Option<PathBuf>,
    /// How logs are written to stderr
    #[arg(long, value_enum, default_value_t = LogFormat::Json, env = "LAKECAST_LOG_FORMAT")]
    #[arg(help_heading = "Logging")]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a filter such as `warn,lakecast_engine=debug`
    #[arg(long, value_name = "FILTER", default_value = "warn,lakecast=info", env = "LAKECAST_LOG")]
    #[arg(value_parser = filter)]
    #[arg(help_heading = "Logging")]
    pub log_level: String,
    /// The only folders and buckets that may be read and written, as s3://lake/; may be repeated; default: every bucket
    #[arg(long = "allow", value_name = "LOCATION", env = "LAKECAST_ALLOW", value_delimiter = ',')]
    #[arg(value_parser = location)]
    #[arg(help_heading = "Object stores")]
    pub allow: Vec<String>,
    /// Allow every local path; default: none but those that --allow lists, since a fleet's machines share no disk
    #[arg(long, env = "LAKECAST_ALLOW_LOCAL", value_parser = BoolishValueParser::new())]
    #[arg(help_heading = "Object stores")]
    pub allow_local: bool,
}

fn filter(text: &str) -> Result<String, String> {
    parse_filter(text).map(|_| text.to_string())
}

fn location(text: &str) -> Result<String, String> {
    StorePolicy::parse(&[text], false).map(|_| text.to_string()).map_err(|e| e.to_string())
}

impl Common {
    /// The object stores that these settings allow; none is opened. Errors: an entry of `allow` is not a location.
    pub fn stores(&self) -> Result<Arc<Stores>, StoreError> {
        Ok(Arc::new(Stores::new(StorePolicy::parse(&self.allow, self.allow_local)?)))
    }
}

/// The settings of this process. `args` starts with the program's name, as `std::env::args_os()` does.
///
/// Ends the process as clap does: help and version with exit code 0, wrong usage or a wrong file with 2.
pub fn parse<C: Parser>(args: impl IntoIterator<Item = OsString>) -> C {
    try_parse(args).unwrap_or_else(|error| error.exit())
}

/// As [`parse`], for callers that want the error: wrong usage, or a file that is unreadable, not flat YAML, or has an
/// unknown key or a bad value, with its line. `C` may lack `--config`; then there is no file.
pub fn try_parse<C: Parser>(args: impl IntoIterator<Item = OsString>) -> Result<C, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    // What is required may stand in the file, which is not known yet. All other wrong usage is wrong with it, too.
    let found = C::command().mut_args(|arg| arg.required(false)).try_get_matches_from(&args).ok();
    let path = found.and_then(|matches| matches.try_get_one::<PathBuf>("config").ok().flatten().cloned());
    let Some(path) = path else { return C::try_parse_from(args) };
    let command =
        with_file(C::command(), &path).map_err(|message| C::command().error(ErrorKind::ValueValidation, message))?;
    C::from_arg_matches(&command.try_get_matches_from(args)?).map_err(|e| e.format(&mut C::command()))
}

/// The command with the values of the file in the place of its defaults.
fn with_file(command: Command, path: &Path) -> Result<Command, String> {
    let flags: Vec<Flag> = command.get_arguments().filter_map(Flag::of).collect();
    let text = std::fs::read_to_string(path)
        .map_err(|e| format!("cannot read the settings: file={}, detail={e}", path.display()))?;
    let at = |line: u64, message: String| match line {
        0 => format!("{}: {message}", path.display()),
        _ => format!("{}:{line}: {message}", path.display()),
    };
    let entries = file::read(&text, &flags).map_err(|problem| at(problem.line, problem.message))?;
    entries.into_iter().try_fold(command, |command, Entry { id, key, line, values }| {
        check(&command, &id, &key, &values).map_err(|message| at(line, message))?;
        Ok(command.mut_arg(id, |arg| arg.required(false).default_values(values)))
    })
}

/// Whether the flag takes these values. clap takes wrong defaults for a bug of the program, so it must be asked as if
/// they stood on the command line.
fn check(command: &Command, id: &str, key: &str, values: &[String]) -> Result<(), String> {
    let alone = command.clone().mut_args(|arg| arg.required(false).env(None::<&'static str>)).mut_arg(id, |arg| {
        match arg.get_action() {
            // A switch takes no value on the command line, but it does in the environment and here.
            ArgAction::SetTrue | ArgAction::SetFalse => arg.action(ArgAction::Set).num_args(1),
            _ => arg,
        }
    });
    let program = std::iter::once("settings".to_string());
    let args = program.chain(values.iter().map(|value| format!("--{key}={value}")));
    match alone.try_get_matches_from(args) {
        Err(e) if matches!(e.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation) => {
            let text = e.to_string();
            let detail: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
            let detail = detail.join(" ");
            let detail = detail.strip_prefix("error: ").unwrap_or(&detail);
            Err(format!("bad value: key={key}, detail={detail}"))
        }
        // Other complaints are about flags that are missing here, and are made where all are there.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
