//! The job file as written.  In: YAML text. Out: [`Spec`] with the place of every name, or what is wrong and where.
//!
//! No I/O and no meaning: names, ranges and SQL are checked by [`crate::job`].

use crate::problem::{JobError, Place, Source};
use lakecast_udfs::signature::did_you_mean;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error as YamlError, MergeKeyPolicy, NonFiniteFloatPolicy};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Formatter};
use std::marker::PhantomData;

pub use serde_saphyr::Spanned;

/// A longer job file is refused unread: it is not a job file.
pub const JOB_FILE_BYTES_MAX: usize = 1 << 20;

/// A lakecast job: tables that are read, SQL over them, and tables that are published.
///
/// `${run_date}` and `${variable}` in any location or SQL text stand for values; `$${` is a literal `${`.
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "lakecast job")]
pub struct Spec {
    /// Name of the job: letters, digits, `_`, `-` and `.`. It names the runs and must stay the same from night to night.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// What the job is for. Shown by `lakecast plan`; has no effect.
    #[serde(default)]
    pub description: Option<String>,
    /// Defaults of the variables that `--set name=value` may override. A variable without a value must be set.
    #[serde(default)]
    #[schemars(with = "Entries<Option<Scalar>>")]
    pub variables: Entries<Option<Spanned<String>>>,
    /// Tables that are read, by the name that SQL uses.
    pub tables: Entries<Table>,
    /// Named queries, in order; each sees the tables and the views before it, outputs see all of them.
    #[serde(default)]
    #[schemars(with = "Entries<String>")]
    pub views: Entries<Spanned<String>>,
    /// Tables that are published, each by one atomic commit, in this order.
    pub outputs: Entries<Output>,
    /// How the job is executed; the defaults suit most jobs.
    #[serde(default)]
    pub settings: Settings,
}

/// A table that is read.
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// File, directory (hive partitions are recognised) or Delta table: a path, or `s3://bucket/path`.
    #[schemars(with = "String")]
    pub location: Spanned<String>,
    /// Default: found out from what lies there.
    #[serde(default)]
    #[schemars(with = "Option<Format>")]
    pub format: Option<Spanned<Format>>,
    /// Columns of CSV or JSON files. Default: inferred from the files.
    #[serde(default)]
    pub schema: Option<Vec<Column>>,
    /// How CSV files are written.
    #[serde(default)]
    #[schemars(with = "Option<CsvOptions>")]
    pub options: Option<Spanned<CsvOptions>>,
    /// Version of a Delta table. Default: the newest when the run starts; the run records which one that was.
    #[serde(default)]
    #[schemars(with = "Option<u64>")]
    pub version: Option<Spanned<u64>>,
}

/// Formats that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Parquet files.
    Parquet,
    /// CSV files.
    Csv,
    /// One JSON object per line.
    Json,
    /// A Delta Lake table.
    Delta,
}

impl Format {
    /// The name as written in a job file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Delta => "delta",
        }
    }
}

/// A declared column.
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Column name as in the file.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// SQL type, for example `bigint`, `double`, `varchar`, `date`, `timestamp`, `decimal(10, 2)`.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub kind: Spanned<String>,
}

/// How CSV files are written.
#[derive(Debug, Clone, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvOptions {
    /// Whether the first line names the columns. Default: true.
    #[serde(default)]
    pub header: Option<bool>,
    /// The character between fields. Default: a comma.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub delimiter: Option<Spanned<String>>,
    /// The text that stands for null. Default: an empty field. (A key `null` would be YAML's null.)
    #[serde(default)]
    pub null_text: Option<String>,
}

/// A table that is published.
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Where the Delta table lies: a directory path, or `s3://bucket/path`. Never inside, around or at an input.
    #[schemars(with = "String")]
    pub location: Spanned<String>,
    /// Exactly one query. Its columns are the table's, beside the `run_date` that partitions it.
    #[schemars(with = "String")]
    pub sql: Spanned<String>,
    /// Output partitions of this table. Default: `settings.partitions`.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 1, max = 65536))]
    pub partitions: Option<Spanned<u32>>,
    /// What must hold before the table becomes visible.
    #[serde(default)]
    pub checks: Checks,
}

/// What must hold before a table becomes visible. That no input group is lost is always checked.
#[derive(Debug, Clone, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checks {
    /// The largest allowed share of groups that could not be computed, 0 to 1. Default: null, any share is allowed.
    #[serde(default)]
    #[schemars(with = "Option<f64>", range(min = 0.0, max = 1.0))]
    pub max_refused_share: Option<Spanned<f64>>,
    /// The fewest rows allowed. Default: null, an empty table is allowed.
    #[serde(default)]
    #[schemars(with = "Option<u64>")]
    pub min_rows: Option<Spanned<u64>>,
}

/// How the job is executed.
#[derive(Debug, Clone, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Output partitions of every table that does not say otherwise. Belongs to the job, not to the machine, so that a
    /// partition holds the same groups wherever it runs. Default: one for each 64 MiB of the input files that the table
    /// is computed from, at least 16 and at most 256.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 1, max = 65536))]
    pub partitions: Option<Spanned<u32>>,
    /// Memory for sorts, joins and groups, as a number with a unit, for example `4GiB`. Beyond it sorts and joins spill
    /// to disk, and a series that is too large for it is refused. Default: decided when the run starts.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub memory: Option<Spanned<String>>,
    /// Rows per batch between operators; results do not depend on it. Default: 8192.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 1, max = 1048576))]
    pub batch_size_rows: Option<Spanned<u32>>,
}

/// A value as YAML writes it, for the schema only: SQL receives its text.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the schema of variable values")]
enum Scalar {
    Text(String),
    Number(f64),
    Bool(bool),
}

/// A YAML mapping in the order written. The reader refuses duplicate keys.
#[derive(Debug, Clone)]
pub struct Entries<T>(Vec<(Spanned<String>, T)>);

impl<T> Entries<T> {
    /// The entries in the order written.
    pub fn iter(&self) -> std::slice::Iter<'_, (Spanned<String>, T)> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Entries<T>;
            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn schema_name() -> Cow<'static, str> {
        BTreeMap::<String, T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }

    fn inline_schema() -> bool {
        true
    }
}

/// The JSON schema of the job file, as `lakecast schema` prints it: draft 2020-12, pretty, ends with a line feed.
pub fn json_schema() -> String {
    format!("{:#}\n", schemars::schema_for!(Spec).as_value())
}

/// Reads the YAML text. Errors: the first thing that is wrong, with its place.
pub fn parse(source: &Source) -> Result<Spec, JobError> {
    if source.text().len() > JOB_FILE_BYTES_MAX {
        let message =
            format!("job file is too large: bytes={}, allowed=[at most {JOB_FILE_BYTES_MAX}]", source.text().len());
        return Err(JobError::one(source, None, message));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_events: 100_000, max_aliases: 1_000, max_anchors: 1_000, max_depth: 32 },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(source.text(), options).map_err(|error| {
        let error = error.without_snippet();
        let place = error.location().and_then(|l| Place::of(l, source));
        JobError::one(source, place, in_our_words(error, source, place))
    })
}

fn in_our_words(error: &YamlError, source: &Source, place: Option<Place>) -> String {
    let given = || {
        let text = place.map(|p| source.at(p)).unwrap_or_default();
        text.lines().next().unwrap_or_default().chars().take(60).collect::<String>()
    };
    match error {
        YamlError::SerdeUnknownField { field, expected, .. } => {
            let hint = did_you_mean(field, expected.iter().copied());
            format!("unknown key: key={field}, allowed=[{}]{hint}", expected.join(", "))
        }
        YamlError::SerdeUnknownVariant { variant, expected, .. } => {
            let hint = did_you_mean(variant, expected.iter().copied());
            format!("unknown value: given={variant}, allowed=[{}]{hint}", expected.join(", "))
        }
        YamlError::SerdeMissingField { field, .. } => format!("missing key in this mapping: key={field}"),
        YamlError::DuplicateMappingKey { key, .. } => {
            format!("key is written twice, remove one: key={}", key.clone().unwrap_or_else(given))
        }
        YamlError::Unexpected { expected, .. } => {
            format!("wrong type: given={}, expected={}", given(), plain(expected))
        }
        YamlError::InvalidScalar { ty, .. } => format!("wrong type: given={}, expected={}", given(), plain(ty)),
        YamlError::SerdeInvalidType { unexpected, expected, .. }
        | YamlError::SerdeInvalidValue { unexpected, expected, .. } => {
            format!("wrong type: given={unexpected}, expected={expected}")
        }
        YamlError::InvalidBooleanStrict { .. } => {
            format!("wrong type: given={}, expected=true or false", given())
        }
        YamlError::NullIntoString { .. } => "missing value: given=null, expected=text".into(),
        YamlError::MergeKeyNotAllowed { .. } => "merge keys (`<<`) are not allowed, write the keys out".into(),
        YamlError::MultipleDocuments { .. } => "more than one YAML document, a job file holds exactly one".into(),
        YamlError::Eof { .. } => "the job file ends too early, it needs `name`, `tables` and `outputs`".into(),
        other => {
            // Everything else is broken YAML; the reader's own words, without the place, which we show ourselves.
            let text = other.render_with_formatter(&serde_saphyr::UserMessageFormatter);
            let text = text.split(" at line ").next().unwrap_or(&text);
            format!("not valid YAML: {}", text.replace('\n', ", "))
        }
    }
}

/// The reader's names of types, as users know them.
fn plain(expected: &str) -> &str {
    match expected {
        "mapping start" => "mapping",
        "sequence start" => "list",
        "string scalar" | "string" => "text",
        "u8" | "u16" | "u32" | "u64" | "usize" => "whole number, not negative",
        "f32" | "f64" | "floating point" => "number",
        "bool" | "boolean" => "true or false",
        other => other,
    }
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
