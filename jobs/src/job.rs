//! The job file after checks.  In: [`Spec`], run date, `--set`. Out: [`Job`], or everything that is wrong and where.
//!
//! No I/O: whether tables and columns exist is found out when the job is planned.

mod check;
pub mod location;
pub mod sql;
pub mod variables;

use crate::problem::{JobError, Place, Source};
use crate::spec::{self, Format};
use chrono::NaiveDate;
use location::Location;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

/// The fewest output partitions of a job that does not say a number.
pub const PARTITIONS_SIZED_MIN: u32 = 16;
/// The most output partitions of a job that does not say a number. In one process the shuffle keeps a channel for every
/// pair of partitions, outside the memory limit, and shares that limit among all sorts: of the default memory so many
/// partitions leave each sort a few batches, more would not.
pub const PARTITIONS_SIZED_MAX: u32 = 256;
/// Bytes of input files, compressed as they lie in the store, for which one output partition is made.
pub const PARTITION_INPUT_BYTES: u64 = 64 << 20;
/// The most output partitions of one table.
pub const PARTITIONS_MAX: u32 = 65_536;
/// Rows per batch of a job that does not say otherwise.
pub const BATCH_SIZE_ROWS_DEFAULT: u32 = 8_192;
/// The most rows per batch.
pub const BATCH_SIZE_ROWS_MAX: u32 = 1 << 20;

/// What the command line adds to a job file.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// The business date, `${run_date}`.
    pub run_date: Option<NaiveDate>,
    /// Whether the command publishes: then the run date must be given even if no SQL text names it.
    pub publishes: bool,
    /// `--set name=value`, in order.
    pub set: &'a [(String, String)],
    /// `--partitions`: replaces what the file says, for every output.
    pub partitions: Option<u32>,
    /// `--memory` in bytes: replaces what the file says.
    pub memory_bytes: Option<u64>,
    /// Absolute directory from which relative locations are taken.
    pub base: &'a Path,
}

/// A job whose names, ranges, variables, locations and SQL syntax are good.
#[derive(Debug, Clone)]
pub struct Job {
    /// Name of the job.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The business date; `None` only if the command does not publish and nothing names it.
    pub run_date: Option<NaiveDate>,
    /// The values of all variables, by name, `run_date` not among them.
    pub variables: Vec<(String, String)>,
    /// Tables that are read, in the order written.
    pub tables: Vec<Table>,
    /// Named queries, in the order written.
    pub views: Vec<View>,
    /// Tables that are published, in the order written; never empty.
    pub outputs: Vec<Output>,
    /// How the job is executed.
    pub settings: Settings,
    /// The text that all places refer to, for problems found later.
    pub source: Arc<Source>,
}

/// A table that is read.
#[derive(Debug, Clone)]
pub struct Table {
    /// Name in SQL.
    pub name: String,
    /// Where it lies.
    pub location: Location,
    /// `None`: found out from what lies there.
    pub format: Option<Format>,
    /// Declared columns; `None`: inferred.
    pub columns: Option<Vec<Column>>,
    /// Whether the first line of a CSV file names the columns; `None`: the default, true.
    pub csv_header: Option<bool>,
    /// One ASCII character; `None`: the default, a comma.
    pub csv_delimiter: Option<u8>,
    /// The text that stands for null in CSV; `None`: an empty field.
    pub csv_null: Option<String>,
    /// Version of a Delta table; `None`: the newest when the run starts.
    pub delta_version: Option<u64>,
    /// Where the job file names it.
    pub place: Option<Place>,
}

/// A declared column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name as in the file.
    pub name: String,
    /// SQL type as written.
    pub kind: String,
    /// Where the type is written.
    pub place: Option<Place>,
}

/// A named query.
#[derive(Debug, Clone)]
pub struct View {
    /// Name in SQL.
    pub name: String,
    /// Exactly one query, variables replaced.
    pub sql: String,
    /// Where the query is written.
    pub place: Option<Place>,
}

/// A table that is published.
#[derive(Debug, Clone)]
pub struct Output {
    /// Name of the table in reports and run records.
    pub name: String,
    /// Directory of its Delta table.
    pub location: Location,
    /// Exactly one query, variables replaced.
    pub sql: String,
    /// Output partitions, at least 1; `None`: sized by [`partitions_for`] when the inputs are known.
    pub partitions: Option<u32>,
    /// Largest allowed share of refused groups, 0 to 1; `None`: any.
    pub max_refused_share: Option<f64>,
    /// Fewest allowed rows; `None`: an empty table is allowed.
    pub min_rows: Option<u64>,
    /// Where the query is written.
    pub place: Option<Place>,
}

/// How the job is executed. Results do not depend on it, but for series too large for the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Memory for sorts, joins and groups; `None`: the run decides.
    pub memory_bytes: Option<u64>,
    /// Rows per batch between operators.
    pub batch_size_rows: u32,
}

/// What one output is computed from.
#[derive(Debug)]
pub struct Reads<'a> {
    /// Tables that its SQL, or a view that it uses, may name.
    pub tables: Vec<&'a Table>,
    /// Views that its SQL, or a view that it uses, may name, in the order written.
    pub views: Vec<&'a View>,
}

impl Job {
    /// Reads and checks a job file.
    ///
    /// Errors: what is wrong with the YAML (the first thing), or with the job (all of it).
    pub fn read(source: &Arc<Source>, inputs: &Inputs<'_>) -> Result<Self, JobError> {
        check::check(&spec::parse(source)?, source, inputs)
    }

    /// What `output` is computed from. Names are compared as words of the SQL text, so that a column named like a table
    /// counts as a use of it: more may come out than is read, never less.
    pub fn reads(&self, output: &Output) -> Reads<'_> {
        let mut names = sql::names(&output.sql);
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        // Views may use views: go on until nothing is added. There are few, so the quadratic walk costs nothing.
        while let Some(view) = self.views.iter().find(|v| names.contains(&v.name) && !seen.contains(v.name.as_str())) {
            seen.insert(&view.name);
            names.extend(sql::names(&view.sql));
        }
        Reads {
            tables: self.tables.iter().filter(|t| names.contains(&t.name)).collect(),
            views: self.views.iter().filter(|v| names.contains(&v.name)).collect(),
        }
    }

    /// Names of tables and views from which no output is computed, in the order written.
    pub fn unused(&self) -> Vec<&str> {
        let reads: Vec<_> = self.outputs.iter().map(|o| self.reads(o)).collect();
        let table = |name: &str| reads.iter().any(|r| r.tables.iter().any(|t| t.name == name));
        let view = |name: &str| reads.iter().any(|r| r.views.iter().any(|v| v.name == name));
        let tables = self.tables.iter().map(|t| t.name.as_str()).filter(|n| !table(n));
        tables.chain(self.views.iter().map(|v| v.name.as_str()).filter(|n| !view(n))).collect()
    }

    /// Everything in the job file and the command line on which the files of `output` depend, as text for a
    /// fingerprint: equal text, equal files (from equal inputs, by the same code).
    ///
    /// `partitions` is what the output is computed with, said or sized. Memory is part of it, for a series may be refused
    /// for want of it, and more memory must not find that published. Left out is what changes no file: other outputs,
    /// unused tables, descriptions, checks and batch size, and where the output lies.
    pub fn canonical(&self, output: &Output, partitions: u32) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut out = String::from("lakecast-job 1\n");
        let date = self.run_date.map(|d| d.to_string()).unwrap_or_default();
        let _ = writeln!(out, "job {}\nrun_date {date}\noutput {}", quoted(&self.name), quoted(&output.name));
        let _ = writeln!(out, "partitions {partitions}\nsql {}", quoted(output.sql.trim()));
        let _ = writeln!(out, "memory {:?}", self.settings.memory_bytes);
        let reads = self.reads(output);
        for view in reads.views {
            let _ = writeln!(out, "view {} {}", view.name, quoted(view.sql.trim()));
        }
        for t in reads.tables {
            let _ = write!(out, "table {} {}", t.name, quoted(&t.location.normal()));
            let _ = write!(out, " format={}", t.format.map_or("-", Format::name));
            let _ = write!(out, " header={:?} delimiter={:?}", t.csv_header, t.csv_delimiter);
            let _ = write!(out, " null={}", t.csv_null.as_deref().map_or("-".to_string(), quoted));
            let _ = writeln!(out, " version={:?}", t.delta_version);
            for c in t.columns.iter().flatten() {
                let _ = writeln!(out, "column {} {}", quoted(&c.name), quoted(&c.kind));
            }
        }
        out
    }
}

/// Output partitions for so many bytes of input files: one for each [`PARTITION_INPUT_BYTES`], within
/// [`PARTITIONS_SIZED_MIN`] and [`PARTITIONS_SIZED_MAX`].
///
/// A function of the input alone, never of cores or executors: a partition must hold the same groups wherever it runs, and
/// a run that is continued elsewhere must find its checkpoints.
pub fn partitions_for(input_bytes: u64) -> u32 {
    let wanted = input_bytes.div_ceil(PARTITION_INPUT_BYTES);
    u32::try_from(wanted).unwrap_or(u32::MAX).clamp(PARTITIONS_SIZED_MIN, PARTITIONS_SIZED_MAX)
}

/// Reads a business date. Errors: says what is allowed, for `--run-date`.
pub fn parse_run_date(text: &str) -> Result<NaiveDate, String> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    // The parser of dates takes `2026-1-2` and `+2026-01-02` too; one day has one spelling here.
    date.filter(|d| d.to_string() == text)
        .ok_or_else(|| format!("bad date: given={text}, allowed=[YYYY-MM-DD, a day of the calendar]"))
}

#[cfg(test)]
#[path = "job/tests.rs"]
mod tests;
