//! The checks of a job.  In: the file as written, run date, `--set`. Out: [`Job`], or all problems with their places.

use super::location::Location;
use super::variables::{self, Substituted};
use super::{
    BATCH_SIZE_ROWS_DEFAULT, BATCH_SIZE_ROWS_MAX, Column, Inputs, Job, Output, PARTITIONS_MAX, Settings, Table, View,
    sql,
};
use crate::problem::{JobError, Place, Problem, Source};
use crate::spec::{self, Format, Spanned, Spec};
use lakecast_engine::memory_size::parse_memory;
use lakecast_udfs::signature::did_you_mean;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The variable that `--run-date` sets.
const RUN_DATE: &str = "run_date";
const RUN_DATE_MISSING: &str = "run date is missing: add --run-date YYYY-MM-DD";

/// Checks everything, and reports everything that is wrong.
pub(super) fn check(spec: &Spec, source: &Arc<Source>, inputs: &Inputs<'_>) -> Result<Job, JobError> {
    let mut c = Checker { source, inputs, values: Vec::new(), used: BTreeSet::new(), problems: Vec::new() };
    if inputs.publishes && inputs.run_date.is_none() {
        c.problem(None, RUN_DATE_MISSING);
    }
    c.job_name(&spec.name);
    let undeclared = c.variables(spec);
    let settings = c.settings(&spec.settings);
    let mut names = Vec::new();
    let tables: Vec<_> = spec.tables.iter().filter_map(|(name, t)| c.table(name, t, &mut names)).collect();
    let views: Vec<_> = spec.views.iter().filter_map(|(name, s)| c.view(name, s, &mut names)).collect();
    if spec.outputs.is_empty() {
        c.problem(None, "a job publishes at least one table: add one under `outputs`");
    }
    let partitions = c.partitions(spec.settings.partitions.as_ref(), None);
    let outputs: Vec<_> = spec.outputs.iter().filter_map(|(name, o)| c.output(name, o, partitions)).collect();
    c.overlaps(spec, &tables, &outputs);
    c.unused_set(&undeclared);
    if !c.problems.is_empty() {
        return Err(JobError::new(source, c.problems));
    }
    Ok(Job {
        name: spec.name.value.clone(),
        description: spec.description.clone(),
        run_date: inputs.run_date,
        variables: c.values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        tables,
        views,
        outputs,
        settings,
        source: source.clone(),
    })
}

struct Checker<'a> {
    source: &'a Source,
    inputs: &'a Inputs<'a>,
    values: Vec<(String, Option<String>)>,
    used: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn problem(&mut self, place: Option<Place>, message: impl Into<String>) {
        let problem = Problem { message: message.into(), place };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn place<T>(&self, value: &Spanned<T>) -> Option<Place> {
        Place::of(value.referenced, self.source)
    }

    fn job_name(&mut self, name: &Spanned<String>) {
        let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let text = &name.value;
        if text.len() > 64 || !text.chars().all(good) || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            let allowed = "letters, digits, `_`, `-` and `.`, a letter or digit first, at most 64";
            self.problem(self.place(name), format!("bad job name: name={text:?}, allowed=[{allowed}]"));
        }
    }

    /// The name of a table, view or output, which SQL must take without quotes.
    fn sql_name(&mut self, what: &str, name: &Spanned<String>) {
        let text = &name.value;
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if text.len() > 63 || !text.chars().all(good) || !text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        {
            let hint =
                if variables::is_name(text) { format!(", write `{}`", text.to_lowercase()) } else { String::new() };
            let allowed = "lower case letters, digits and `_`, no digit first, at most 63";
            self.problem(self.place(name), format!("bad {what} name: name={text:?}, allowed=[{allowed}]{hint}"));
        }
    }

    /// Fills in the values; returns the `--set` names that the file does not declare.
    fn variables(&mut self, spec: &Spec) -> Vec<String> {
        for (name, value) in spec.variables.iter() {
            if name.value == RUN_DATE {
                self.problem(self.place(name), "`run_date` is set by --run-date: remove it from `variables`");
            } else if !variables::is_name(&name.value) {
                let allowed = "letters, digits and `_`, no digit first";
                self.problem(
                    self.place(name),
                    format!("bad variable name: name={:?}, allowed=[{allowed}]", name.value),
                );
            } else {
                self.values.push((name.value.clone(), value.as_ref().map(|v| v.value.clone())));
            }
        }
        let (mut seen, mut undeclared) = (BTreeSet::new(), Vec::new());
        for (name, value) in self.inputs.set {
            if name == RUN_DATE {
                self.problem(None, "`run_date` is not set by --set: use --run-date YYYY-MM-DD");
            } else if !seen.insert(name) {
                self.problem(None, format!("variable is set twice: name={name}, remove one --set"));
            } else if let Some((_, slot)) = self.values.iter_mut().find(|(known, _)| known == name) {
                *slot = Some(value.clone());
            } else {
                self.values.push((name.clone(), Some(value.clone())));
                undeclared.push(name.clone());
            }
        }
        undeclared
    }

    /// A `--set` that neither the file declares nor any text uses is a slip of the pen.
    fn unused_set(&mut self, undeclared: &[String]) {
        let unused: Vec<_> = undeclared.iter().filter(|n| !self.used.contains(*n)).collect();
        for name in unused {
            let known: Vec<_> =
                self.values.iter().map(|(n, _)| n.clone()).filter(|n| !undeclared.contains(n)).collect();
            let hint = did_you_mean(name, known.iter().map(String::as_str));
            let known = known.join(", ");
            self.problem(None, format!("unknown variable: --set {name}=.., known=[{known}]{hint}"));
        }
    }

    /// Replaces the variables of a text. `None`: problems were noted.
    fn substitute(&mut self, text: &Spanned<String>) -> Option<Substituted> {
        let (values, run_date, used) = (&self.values, self.inputs.run_date, &mut self.used);
        let result = variables::substitute(&text.value, |name| {
            used.insert(name.to_string());
            if name == RUN_DATE {
                return run_date.map(|d| d.to_string()).ok_or_else(|| RUN_DATE_MISSING.to_string());
            }
            match values.iter().find(|(known, _)| known == name) {
                Some((_, Some(value))) => Ok(value.clone()),
                Some((_, None)) => Err(format!("variable has no value: name={name}, add --set {name}=VALUE")),
                None => {
                    let known: Vec<_> =
                        std::iter::once(RUN_DATE).chain(values.iter().map(|(n, _)| n.as_str())).collect();
                    let hint = did_you_mean(name, known.iter().copied());
                    Err(format!("unknown variable: name={name}, known=[{}]{hint}", known.join(", ")))
                }
            }
        });
        match result {
            Ok(substituted) => Some(substituted),
            Err(wrong) => {
                for w in wrong {
                    let (place, note) = within(self.source, text, w.offset, w.bytes);
                    self.problem(place, format!("{}{note}", w.message));
                }
                None
            }
        }
    }

    fn location(&mut self, text: &Spanned<String>) -> Option<Location> {
        let substituted = self.substitute(text)?;
        match Location::parse(&substituted.text, self.inputs.base) {
            Ok(location) => Some(location),
            Err(message) => {
                self.problem(self.place(text), message);
                None
            }
        }
    }

    fn query(&mut self, text: &Spanned<String>) -> Option<String> {
        let substituted = self.substitute(text)?;
        let Err(error) = sql::check_one_query(&substituted.text) else { return Some(substituted.text) };
        let at = error.at.and_then(|(line, column)| offset_of(&substituted.text, line, column));
        let written = substituted.origin(at.unwrap_or(substituted.text.trim_end().len()));
        let (place, note) = within(self.source, text, written, usize::from(at.is_some()));
        self.problem(place, format!("{}{note}", error.message));
        None
    }

    fn in_range<T: PartialOrd + Display + Copy>(
        &mut self,
        key: &str,
        value: &Spanned<T>,
        range: RangeInclusive<T>,
    ) -> T {
        if !range.contains(&value.value) {
            let (low, high) = (range.start(), range.end());
            self.problem(
                self.place(value),
                format!("out of range: key={key}, given={}, allowed=[{low} to {high}]", value.value),
            );
        }
        value.value
    }

    fn partitions(&mut self, value: Option<&Spanned<u32>>, default: Option<u32>) -> Option<u32> {
        let written = value.map(|v| self.in_range("partitions", v, 1..=PARTITIONS_MAX)).or(default);
        match self.inputs.partitions {
            Some(given) if !(1..=PARTITIONS_MAX).contains(&given) => {
                self.problem(None, format!("out of range: --partitions {given}, allowed=[1 to {PARTITIONS_MAX}]"));
                written
            }
            given => given.or(written),
        }
    }

    fn settings(&mut self, s: &spec::Settings) -> Settings {
        let mut memory_bytes = None;
        if let Some(text) = &s.memory {
            match parse_memory(&text.value) {
                Ok(bytes) => memory_bytes = Some(bytes),
                Err(message) => self.problem(self.place(text), message),
            }
        }
        let batch_size_rows = match &s.batch_size_rows {
            Some(rows) => self.in_range("batch_size_rows", rows, 1..=BATCH_SIZE_ROWS_MAX),
            None => BATCH_SIZE_ROWS_DEFAULT,
        };
        Settings { memory_bytes: self.inputs.memory_bytes.or(memory_bytes), batch_size_rows }
    }

    /// Tables and views share one space of names.
    fn new_name(&mut self, what: &str, name: &Spanned<String>, names: &mut Vec<String>) {
        self.sql_name(what, name);
        if names.contains(&name.value) {
            self.problem(self.place(name), format!("a table and a view have the same name: name={}", name.value));
        }
        names.push(name.value.clone());
    }

    fn table(&mut self, name: &Spanned<String>, t: &spec::Table, names: &mut Vec<String>) -> Option<Table> {
        self.new_name("table", name, names);
        let format = t.format.as_ref().map(|f| f.value);
        if let Some(options) = t.options.as_ref().filter(|_| format.is_some_and(|f| f != Format::Csv)) {
            self.problem(
                self.place(options),
                format!("`options` are for CSV files, remove them: table={}", name.value),
            );
        }
        if let Some(version) = t.version.as_ref().filter(|_| format.is_some_and(|f| f != Format::Delta)) {
            self.problem(
                self.place(version),
                format!("`version` is for Delta tables, remove it: table={}", name.value),
            );
        }
        let declared = t.schema.as_deref().and_then(|columns| columns.first());
        if let Some(first) = declared.filter(|_| matches!(format, Some(Format::Parquet | Format::Delta))) {
            let why = "`schema` is for CSV and JSON files, this format knows its own";
            self.problem(self.place(&first.name), format!("{why}: table={}", name.value));
        }
        let csv = t.options.as_ref().map(|o| o.value.clone()).unwrap_or_default();
        let csv_delimiter = csv.delimiter.as_ref().and_then(|d| self.delimiter(d));
        let columns = t.schema.as_ref().map(|columns| self.columns(name, columns));
        Some(Table {
            location: self.location(&t.location)?,
            name: name.value.clone(),
            format,
            columns,
            csv_header: csv.header,
            csv_delimiter,
            csv_null: csv.null_text,
            delta_version: t.version.as_ref().map(|v| v.value),
            place: self.place(name),
        })
    }

    fn delimiter(&mut self, text: &Spanned<String>) -> Option<u8> {
        match text.value.as_bytes() {
            [one] if one.is_ascii() && !matches!(one, b'\n' | b'\r' | b'"') => Some(*one),
            _ => {
                let allowed = "one ASCII character, not a quote or line feed, for example ';' or \"\\t\"";
                self.problem(self.place(text), format!("bad delimiter: given={:?}, allowed=[{allowed}]", text.value));
                None
            }
        }
    }

    fn columns(&mut self, table: &Spanned<String>, columns: &[spec::Column]) -> Vec<Column> {
        if columns.is_empty() {
            let message = format!("`schema` names no column, remove it or add one: table={}", table.value);
            self.problem(self.place(table), message);
        }
        let mut seen = BTreeSet::new();
        for column in columns {
            if column.name.value.is_empty() || !seen.insert(&column.name.value) {
                let message = format!("column names are not empty and differ: column={:?}", column.name.value);
                self.problem(self.place(&column.name), message);
            }
        }
        let checked = columns.iter().map(|c| {
            let place = Place::of(c.kind.referenced, self.source);
            Column { name: c.name.value.clone(), kind: c.kind.value.clone(), place }
        });
        checked.collect()
    }

    fn view(&mut self, name: &Spanned<String>, text: &Spanned<String>, names: &mut Vec<String>) -> Option<View> {
        self.new_name("view", name, names);
        Some(View { name: name.value.clone(), sql: self.query(text)?, place: self.place(text) })
    }

    fn output(&mut self, name: &Spanned<String>, o: &spec::Output, partitions: Option<u32>) -> Option<Output> {
        self.sql_name("output", name);
        let location = self.location(&o.location);
        if location.as_ref().is_some_and(Location::has_wildcard) {
            self.problem(
                self.place(&o.location),
                format!("an output location has no wildcards: output={}", name.value),
            );
        }
        let share = o.checks.max_refused_share.as_ref().map(|s| self.in_range("max_refused_share", s, 0.0..=1.0));
        let partitions = self.partitions(o.partitions.as_ref(), partitions);
        let sql = self.query(&o.sql);
        Some(Output {
            name: name.value.clone(),
            location: location?,
            sql: sql?,
            partitions,
            max_refused_share: share,
            min_rows: o.checks.min_rows.as_ref().map(|r| r.value),
            place: self.place(&o.sql),
        })
    }

    /// Publication replaces what lies at an output: nothing else may lie there.
    fn overlaps(&mut self, spec: &Spec, tables: &[Table], outputs: &[Output]) {
        for (i, output) in outputs.iter().enumerate() {
            let written = spec.outputs.iter().find(|(name, _)| name.value == output.name);
            let place = written.and_then(|(_, o)| Place::of(o.location.referenced, self.source));
            let inputs = tables.iter().map(|t| ("table", &t.name, &t.location));
            let others = outputs[..i].iter().map(|o| ("output", &o.name, &o.location));
            let overlaps: Vec<_> = inputs
                .chain(others)
                .filter_map(|(kind, name, location)| {
                    let how = output.location.overlap(location)?;
                    let (own, other) = (output.location.normal(), location.normal());
                    Some(format!(
                        "an output location {how} that of another table, choose a place of its own: \
                         output={} ({own}), {kind}={name} ({other})",
                        output.name
                    ))
                })
                .collect();
            for message in overlaps {
                self.problem(place, message);
            }
        }
    }
}

/// The byte offset of a line and column, both from 1; `None` beyond the text.
fn offset_of(text: &str, line: usize, column: usize) -> Option<usize> {
    let before: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let rest = text.get(before..)?;
    rest.char_indices().nth(column.checked_sub(1)?).map(|(i, _)| before + i)
}

/// The place in the file of byte `offset` of a YAML text, and a note if only the whole text's place is known.
///
/// A literal block (`|`) and a text on one line keep their lines and columns; what YAML folds or unescapes does not, and
/// whether it did is seen by comparing with the file.
fn within(source: &Source, text: &Spanned<String>, offset: usize, bytes: usize) -> (Option<Place>, String) {
    let Some(node) = Place::of(text.defined, source) else { return (None, String::new()) };
    let before = text.value.get(..offset).unwrap_or(&text.value);
    let index = before.matches('\n').count();
    let in_line = before.rsplit('\n').next().unwrap_or_default();
    let quote = usize::from(source.text()[node.offset.min(source.text().len())..].starts_with(['"', '\'']));
    let line = node.line + index;
    let column = node.column + quote;
    if let Some((_, file_line)) = source.line(line) {
        let from: String = file_line.chars().skip(column - 1).collect();
        if (quote == 0 || index == 0) && from.starts_with(in_line) {
            let place = Place::at(source, line, column + in_line.chars().count());
            return (Some(Place { bytes, ..place }), String::new());
        }
    }
    (Some(node), format!(", at line {} column {} of this text", index + 1, in_line.chars().count() + 1))
}
