//! Hive partitions: columns that stand in folder names as `name=value`.
//!
//! In: paths below the table's root. Out: typed partition columns and one value per file and column.
//! Types follow from the values of all files (dates, whole numbers, else text) unless declared; `__HIVE_DEFAULT_PARTITION__`
//! is null; `%3A` and the like are decoded, as Hive and Spark write them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::error::{InputError, nearest};
use super::listing::relative;
use super::spec::{ColumnSpec, fields};

const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// The partition columns of a table and, per file, their values as text (`None` is null).
#[derive(Debug, Default)]
pub(super) struct Partitions {
    pub(super) columns: Vec<FieldRef>,
    pub(super) values: Vec<Vec<Option<String>>>,
}

/// Reads the partition columns off the paths. Every file must have the same columns in the same order.
pub(super) fn partitions(
    files: &[ObjectMeta],
    root: &Path,
    declared: Option<&[ColumnSpec]>,
) -> Result<Partitions, InputError> {
    if declared.is_some_and(<[ColumnSpec]>::is_empty) {
        return Ok(Partitions { columns: Vec::new(), values: vec![Vec::new(); files.len()] });
    }
    let parsed: Vec<Vec<(String, Option<String>)>> =
        files.iter().map(|file| key_values(&relative(&file.location, root))).collect();
    let names = same_names(files, &parsed)?;
    let values: Vec<Vec<Option<String>>> =
        parsed.into_iter().map(|pairs| pairs.into_iter().map(|(_, value)| value).collect()).collect();
    let columns = match declared {
        Some(declared) => declared_columns(declared, &names)?,
        None => names.iter().enumerate().map(|(at, name)| inferred_column(name, &values, at)).collect(),
    };
    let partitions = Partitions { columns, values };
    partitions.check(files)?;
    Ok(partitions)
}

impl Partitions {
    /// Takes the types of declared columns that stand in the folders' names.
    pub(super) fn declare(&mut self, declared: &[FieldRef], files: &[ObjectMeta]) -> Result<(), InputError> {
        for column in &mut self.columns {
            if let Some(declared) = declared.iter().find(|declared| declared.name() == column.name()) {
                *column = Arc::clone(declared);
            }
        }
        self.check(files)
    }

    /// Every value must be of its column's type, and null only where the column may be.
    fn check(&self, files: &[ObjectMeta]) -> Result<(), InputError> {
        for (file, values) in files.iter().zip(&self.values) {
            for (column, value) in self.columns.iter().zip(values) {
                if value.is_none() && !column.is_nullable() {
                    return Err(InputError::data(format!(
                        "partition column is declared as never null, but a folder has no value: column={}, file={}",
                        column.name(),
                        file.location
                    )));
                }
                scalar(value.as_deref(), column.data_type())
                    .map_err(|detail| bad_value(column, value.as_deref(), &file.location, &detail))?;
            }
        }
        Ok(())
    }
}

/// The value of a partition column as the plan carries it.
pub(super) fn scalar(value: Option<&str>, data_type: &DataType) -> Result<ScalarValue, String> {
    match value {
        None => ScalarValue::try_from(data_type).map_err(|error| error.strip_backtrace()),
        Some(text) => match ScalarValue::try_from_string(text.to_owned(), data_type) {
            Ok(value) if !value.is_null() => Ok(value),
            Ok(_) => Err("not a value of the type".into()),
            Err(error) => Err(error.strip_backtrace()),
        },
    }
}

fn bad_value(column: &Field, value: Option<&str>, file: &Path, detail: &str) -> InputError {
    InputError::data(format!(
        "a folder's value is not of the partition column's type; declare another type under partitions: column={}, \
         value={}, type={}, file={file}, detail={detail}",
        column.name(),
        value.unwrap_or("null"),
        column.data_type()
    ))
}

/// `name=value` of every folder on the way to the file.
fn key_values(path: &str) -> Vec<(String, Option<String>)> {
    let folders = path.rsplit_once('/').map(|(folders, _)| folders).unwrap_or_default();
    folders
        .split('/')
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (decoded(name), Some(decoded(value)).filter(|value| value != NULL_PARTITION)))
        .collect()
}

/// The text with `%XX` decoded; a text that does not decode stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

fn same_names(files: &[ObjectMeta], parsed: &[Vec<(String, Option<String>)>]) -> Result<Vec<String>, InputError> {
    let names = |pairs: &[(String, Option<String>)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let first = parsed.first().map(|pairs| names(pairs)).unwrap_or_default();
    if let Some(at) = parsed.iter().position(|pairs| names(pairs) != first) {
        return Err(InputError::data(format!(
            "files lie in folders of different partition columns; move them or give a narrower location: \
             file={}, columns=[{}], file={}, columns=[{}]",
            files[0].location,
            first.join(", "),
            files[at].location,
            names(&parsed[at]).join(", ")
        )));
    }
    if let Some(twice) = first.iter().enumerate().find(|(at, name)| first[..*at].contains(name)) {
        return Err(InputError::data(format!(
            "a partition column stands twice in the path: column={}, file={}",
            twice.1, files[0].location
        )));
    }
    Ok(first)
}

fn declared_columns(declared: &[ColumnSpec], found: &[String]) -> Result<Vec<FieldRef>, InputError> {
    let names: Vec<&str> = declared.iter().map(|column| column.name.as_str()).collect();
    if names != found.iter().map(String::as_str).collect::<Vec<_>>() {
        let hint = names
            .iter()
            .find(|name| !found.iter().any(|found| found == *name))
            .map(|name| nearest(name, found.iter().map(String::as_str)))
            .unwrap_or_default();
        return Err(InputError::job(format!(
            "declared partitions are not those of the folders; declare all of them, outermost first: \
             declared=[{}], found=[{}]{hint}",
            names.join(", "),
            found.join(", ")
        )));
    }
    fields(declared)
}

fn inferred_column(name: &str, values: &[Vec<Option<String>>], at: usize) -> FieldRef {
    let known = || values.iter().filter_map(|values| values[at].as_deref());
    let data_type = if known().next().is_none() {
        DataType::Utf8
    } else if known().all(is_date) {
        DataType::Date32
    } else if known().all(|value| value.parse::<i64>().is_ok() && !value.starts_with('+')) {
        DataType::Int64
    } else {
        DataType::Utf8
    };
    let nullable = values.iter().any(|values| values[at].is_none());
    Arc::new(Field::new(name, data_type, nullable))
}

/// Whether the text is a day of the calendar as YYYY-MM-DD.
pub(super) fn is_date(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
        && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}
