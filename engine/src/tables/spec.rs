//! A table as the job file declares it.
//!
//! In: the YAML or JSON of one table. Out: location, format, columns, options; no I/O.

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::error::{InputError, nearest};

/// One input table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// A file or a folder: a local path, `s3://bucket/prefix/`, `gs://..`, `az://..` or `abfss://..`.
    pub location: String,
    /// How the files are written. Default: `delta` when the folder has a Delta log, else by the files' extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The columns to read, with their types. Default: every column, as the files declare it (Parquet, Delta) or as the
    /// first megabyte of every file shows it (CSV, JSON lines).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Vec<ColumnSpec>>,
    /// How CSV files are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<CsvOptions>,
    /// The version of a Delta table to read, at least 0. Default: the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub version: Option<i64>,
    /// The columns that stand in folder names as `name=value`, outermost first. Default: found by name, their types by
    /// their values (all dates, all whole numbers, else text). An empty list reads folder names as mere folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<Vec<ColumnSpec>>,
}

impl TableSpec {
    /// The table at `location` with every other key at its default.
    pub fn new(location: impl Into<String>) -> Self {
        Self { location: location.into(), format: None, schema: None, csv: None, version: None, partitions: None }
    }
}

/// How the files of a table are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Text with a delimiter, one record per line; quoted values may hold line breaks.
    Csv,
    /// One JSON object per line.
    Json,
    /// Delta Lake.
    Delta,
}

impl Format {
    /// Every format, in the order messages list them.
    pub const ALL: &[Format] = &[Format::Parquet, Format::Csv, Format::Json, Format::Delta];

    /// As a job file writes it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Delta => "delta",
        }
    }

    /// The format of that name; the error lists what is allowed.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let names: Vec<&str> = Self::ALL.iter().map(|format| format.name()).collect();
        Self::ALL.iter().copied().find(|format| format.name() == text.to_ascii_lowercase()).ok_or_else(|| {
            InputError::job(format!(
                "unknown format of a table: format={text}, allowed=[{}]{}",
                names.join(", "),
                nearest(text, names.iter().copied())
            ))
        })
    }

    /// File name extensions that say this format.
    pub(super) fn extensions(self) -> &'static [&'static str] {
        match self {
            Format::Parquet => &["parquet", "parq", "pq"],
            Format::Csv => &["csv", "tsv"],
            Format::Json => &["json", "jsonl", "ndjson"],
            Format::Delta => &[],
        }
    }
}

/// One declared column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// Its name, exactly as the files spell it.
    pub name: String,
    /// Its SQL type, as `BIGINT`, `DOUBLE`, `VARCHAR`, `DATE`, `TIMESTAMP` or `DECIMAL(18, 2)`.
    #[serde(rename = "type")]
    pub sql_type: String,
    /// Whether it may be null. A nullable column that only some files have is null where it lacks.
    #[serde(default = "yes")]
    pub nullable: bool,
}

impl ColumnSpec {
    /// A nullable column.
    pub fn new(name: impl Into<String>, sql_type: impl Into<String>) -> Self {
        Self { name: name.into(), sql_type: sql_type.into(), nullable: true }
    }

    /// The same column, never null.
    pub fn not_null(mut self) -> Self {
        self.nullable = false;
        self
    }

    pub(super) fn field(&self) -> Result<FieldRef, InputError> {
        let data_type = sql_type(&self.sql_type).ok_or_else(|| {
            InputError::job(format!(
                "unknown type of a column: column={}, type={}, allowed=[{}]{}",
                self.name,
                self.sql_type,
                SQL_TYPES
                    .iter()
                    .map(|(name, _)| *name)
                    .chain(["DECIMAL(precision, scale)"])
                    .collect::<Vec<_>>()
                    .join(", "),
                nearest(&self.sql_type.to_ascii_uppercase(), SQL_TYPES.iter().map(|(name, _)| *name))
            ))
        })?;
        Ok(Arc::new(Field::new(&self.name, data_type, self.nullable)))
    }
}

/// The fields of declared columns; a repeated name is an error.
pub(super) fn fields(columns: &[ColumnSpec]) -> Result<Vec<FieldRef>, InputError> {
    for (index, column) in columns.iter().enumerate() {
        if columns[..index].iter().any(|earlier| earlier.name == column.name) {
            return Err(InputError::job(format!("a column is declared twice: column={}", column.name)));
        }
    }
    columns.iter().map(ColumnSpec::field).collect()
}

/// How CSV files are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvOptions {
    /// Whether the first line holds the column names. Without it the columns are `column_1`, `column_2` and so on, or
    /// the declared ones in order.
    #[serde(default = "yes")]
    pub header: bool,
    /// One ASCII character between values. Default: a comma, and a tab in files named `.tsv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Text that means null, beside the empty text, as `NA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null: Option<String>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { header: true, delimiter: None, null: None }
    }
}

fn yes() -> bool {
    true
}

/// Type names of SQL and what they are in Arrow. Timestamps count microseconds: nanoseconds end in the year 2262.
const SQL_TYPES: &[(&str, DataType)] = &[
    ("BOOLEAN", DataType::Boolean),
    ("TINYINT", DataType::Int8),
    ("SMALLINT", DataType::Int16),
    ("INT", DataType::Int32),
    ("INTEGER", DataType::Int32),
    ("BIGINT", DataType::Int64),
    ("FLOAT", DataType::Float32),
    ("REAL", DataType::Float32),
    ("DOUBLE", DataType::Float64),
    ("VARCHAR", DataType::Utf8),
    ("TEXT", DataType::Utf8),
    ("STRING", DataType::Utf8),
    ("BINARY", DataType::Binary),
    ("DATE", DataType::Date32),
    ("TIMESTAMP", DataType::Timestamp(TimeUnit::Microsecond, None)),
];

fn sql_type(text: &str) -> Option<DataType> {
    let upper = text.trim().to_ascii_uppercase();
    if upper == "TIMESTAMP WITH TIME ZONE" || upper == "TIMESTAMPTZ" {
        return Some(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    }
    if let Some(arguments) = upper.strip_prefix("DECIMAL").map(str::trim) {
        let (precision, scale) = arguments.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
        let (precision, scale) = (precision.trim().parse::<u8>().ok()?, scale.trim().parse::<i8>().ok()?);
        let allowed = (1..=38).contains(&precision) && (0..=precision.cast_signed()).contains(&scale);
        return allowed.then_some(DataType::Decimal128(precision, scale));
    }
    SQL_TYPES.iter().find(|(name, _)| *name == upper).map(|(_, data_type)| data_type.clone())
}
