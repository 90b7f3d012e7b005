//! CSV and JSON lines: the columns of a file from its first megabyte, or the declared ones checked against it.
//!
//! In: the files and the declared columns. Out: the columns the reader must be told, in the files' order.
//! Types are guessed only where no guess can change a value: `007` stays text, as does a number too long for 64 bits.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format as CsvFormat;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::error::{InputError, nearest};
use super::parquet::CONCURRENT_READS;
use super::partitions::is_date;
use super::schema::normal_fields;
use super::spec::CsvOptions;

/// Bytes at the start of every file that its columns are learnt from.
const SAMPLE_BYTES: u64 = 1 << 20;

/// The whole lines at the start of a file.
struct Sample<'a> {
    file: &'a Path,
    bytes: Bytes,
    /// Whether the file goes on after the sample.
    cut: bool,
}

/// The samples in the order of the files; few are in memory at once.
fn samples<'a>(
    files: &'a [ObjectMeta],
    store: &'a dyn ObjectStore,
) -> impl Stream<Item = Result<Sample<'a>, InputError>> + 'a {
    futures::stream::iter(files.iter().map(move |file| sample(file, store))).buffered(CONCURRENT_READS)
}

async fn sample<'a>(file: &'a ObjectMeta, store: &dyn ObjectStore) -> Result<Sample<'a>, InputError> {
    if file.size == 0 {
        return Err(InputError::data(format!("file is empty, 0 bytes; remove or rewrite it: file={}", file.location)));
    }
    let cut = file.size > SAMPLE_BYTES;
    let bytes = store
        .get_range(&file.location, 0..file.size.min(SAMPLE_BYTES))
        .await
        .map_err(|error| InputError::store(file.location.as_ref(), &error))?;
    let end = match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(end) if cut => end + 1,
        None if cut => {
            return Err(InputError::data(format!(
                "file has no line end in its first megabyte, it is not lines of text: file={}",
                file.location
            )));
        }
        _ => bytes.len(),
    };
    Ok(Sample { file: &file.location, bytes: bytes.slice(..end), cut })
}

/// What the CSV reader must be told: every column of the files by position, and which of them are declared.
pub(super) struct CsvColumns {
    /// The columns as they stand in the files.
    pub(super) file: Vec<FieldRef>,
    /// The table's columns with their types.
    pub(super) table: Vec<FieldRef>,
}

/// The delimiter of the files: the declared one, else by extension.
pub(super) fn delimiter(options: &CsvOptions, files: &[ObjectMeta]) -> Result<u8, InputError> {
    match options.delimiter {
        Some(char) if char.is_ascii() && !['"', '\n', '\r'].contains(&char) => Ok(char as u8),
        Some(char) => Err(InputError::job(format!(
            "the delimiter must be one ASCII character, no quote and no line end: delimiter={char:?}"
        ))),
        None => {
            let tabs = files.iter().filter(|file| file.location.extension() == Some("tsv")).count();
            match tabs {
                0 => Ok(b','),
                all if all == files.len() => Ok(b'\t'),
                _ => Err(InputError::job("location mixes .csv and .tsv files; name the delimiter under csv")),
            }
        }
    }
}

/// The columns of CSV files. All files must have the same header in the same order, because values go by position.
pub(super) async fn csv_columns(
    files: &[ObjectMeta],
    store: &dyn ObjectStore,
    options: &CsvOptions,
    declared: Option<&[FieldRef]>,
) -> Result<CsvColumns, InputError> {
    let delimiter = delimiter(options, files)?;
    let mut samples = std::pin::pin!(samples(files, store));
    let mut first: Option<(&Path, Vec<String>)> = None;
    let mut guesses = Vec::new();
    while let Some(sample) = samples.try_next().await? {
        let names = csv_names(&sample, options, delimiter, declared)?;
        let (file, known) = first.get_or_insert_with(|| (sample.file, names.clone()));
        if *known != names {
            return Err(different_headers(file, known, sample.file, &names));
        }
        guesses.resize(names.len(), Guess::default());
        guess_csv(&sample, &names, options, delimiter, &mut guesses)?;
    }
    let names = first.map(|(_, names)| names).unwrap_or_default();
    let guessed = names.iter().zip(&guesses).map(|(name, guess)| Arc::new(Field::new(name, guess.data_type(), true)));
    let guessed: Vec<FieldRef> = guessed.collect();
    let Some(declared) = declared else { return Ok(CsvColumns { file: guessed.clone(), table: guessed }) };
    for column in declared {
        if !names.contains(column.name()) {
            return Err(InputError::job(format!(
                "a declared column is not in the header: column={}, file={}, columns=[{}]{}",
                column.name(),
                files.first().map(|file| file.location.to_string()).unwrap_or_default(),
                names.join(", "),
                nearest(column.name(), names.iter().map(String::as_str))
            )));
        }
    }
    // Columns that are not declared are never parsed, so any text in them will do.
    let file = names.iter().map(|name| match declared.iter().find(|column| column.name() == name) {
        Some(column) => Arc::clone(column),
        None => Arc::new(Field::new(name, DataType::Utf8, true)),
    });
    Ok(CsvColumns { file: file.collect(), table: declared.to_vec() })
}

fn different_headers(file: &Path, columns: &[String], other: &Path, others: &[String]) -> InputError {
    InputError::data(format!(
        "CSV files have different headers; give them the same columns in the same order: file={file}, columns=[{}], \
         file={other}, columns=[{}]",
        columns.join(", "),
        others.join(", ")
    ))
}

fn csv_names(
    sample: &Sample<'_>,
    options: &CsvOptions,
    delimiter: u8,
    declared: Option<&[FieldRef]>,
) -> Result<Vec<String>, InputError> {
    let records = if options.header { 0 } else { 1 };
    let (schema, _) = CsvFormat::default()
        .with_header(options.header)
        .with_delimiter(delimiter)
        .infer_schema(Cursor::new(&sample.bytes), Some(records))
        .map_err(|error| unreadable("CSV", sample.file, &error.to_string()))?;
    normal_fields(&schema, sample.file)?;
    let columns = schema.fields().len();
    match declared {
        Some(declared) if !options.header && declared.len() != columns => Err(InputError::job(format!(
            "without a header every column must be declared, in order: declared={}, columns={columns}, file={}",
            declared.len(),
            sample.file
        ))),
        Some(declared) if !options.header => Ok(declared.iter().map(|column| column.name().clone()).collect()),
        _ => Ok(schema.fields().iter().map(|field| field.name().clone()).collect()),
    }
}

fn guess_csv(
    sample: &Sample<'_>,
    names: &[String],
    options: &CsvOptions,
    delimiter: u8,
    guesses: &mut [Guess],
) -> Result<(), InputError> {
    let fields: Fields = names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    let reader = ReaderBuilder::new(Arc::new(Schema::new(fields)))
        .with_header(options.header)
        .with_delimiter(delimiter)
        .build(Cursor::new(&sample.bytes))
        .map_err(|error| unreadable("CSV", sample.file, &error.to_string()))?;
    for batch in reader {
        let batch = match batch {
            Ok(batch) => batch,
            // The cut may lie inside a quoted value; a line that is truly broken is found again by the scan.
            Err(_) if sample.cut => break,
            Err(error) => return Err(unreadable("CSV", sample.file, &error.to_string())),
        };
        for (column, guess) in batch.columns().iter().zip(&mut *guesses) {
            let values = column.as_string::<i32>().iter().flatten();
            values.filter(|value| options.null.as_deref() != Some(*value)).for_each(|value| guess.see(value));
        }
    }
    Ok(())
}

fn unreadable(kind: &str, file: &Path, detail: &str) -> InputError {
    InputError::data(format!("not readable as {kind}; mend the line or the csv options: file={file}, detail={detail}"))
}

/// Which types the values seen so far allow.
#[derive(Debug, Clone)]
struct Guess {
    any: bool,
    boolean: bool,
    integer: bool,
    number: bool,
    date: bool,
    timestamp: bool,
}

impl Default for Guess {
    fn default() -> Self {
        Self { any: false, boolean: true, integer: true, number: true, date: true, timestamp: true }
    }
}

impl Guess {
    fn see(&mut self, value: &str) {
        self.any = true;
        self.boolean = self.boolean && (value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"));
        self.integer = self.integer && is_plain_number(value) && value.parse::<i64>().is_ok();
        self.number = self.number && (is_plain_number(value) || value == "NaN") && !too_long(value);
        self.date = self.date && is_date(value);
        self.timestamp = self.timestamp && is_timestamp(value);
    }

    fn data_type(&self) -> DataType {
        match self {
            Guess { any: false, .. } => DataType::Utf8,
            Guess { boolean: true, .. } => DataType::Boolean,
            Guess { integer: true, .. } => DataType::Int64,
            Guess { number: true, .. } => DataType::Float64,
            Guess { date: true, .. } => DataType::Date32,
            Guess { timestamp: true, .. } => DataType::Timestamp(TimeUnit::Microsecond, None),
            _ => DataType::Utf8,
        }
    }
}

/// A number as machines write it: `-12`, `0.5`, `1e-3`; no leading zero, plus sign or space, which would be lost.
fn is_plain_number(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let leading = digits.as_bytes();
    let zero_led = leading.first() == Some(&b'0') && leading.get(1).is_some_and(u8::is_ascii_digit);
    !zero_led
        && leading.first().is_some_and(|byte| byte.is_ascii_digit())
        && leading.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'-' | b'+'))
        && value.parse::<f64>().is_ok()
}

/// A whole number of more digits than a double keeps is an identifier.
fn too_long(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && value.parse::<i64>().is_err()
}

/// `YYYY-MM-DD HH:MM:SS` with at most six decimals, `T` or a space between; no time zone.
fn is_timestamp(value: &str) -> bool {
    let Some((date, time)) = value.split_at_checked(10) else { return false };
    let Some(time) = time.strip_prefix([' ', 'T']) else { return false };
    let decimals = time.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    is_date(date) && decimals <= 6 && chrono::NaiveTime::parse_from_str(time, "%H:%M:%S%.f").is_ok()
}

/// The columns of JSON lines, sorted by name unless declared. A key may be missing from any record: it is null there.
pub(super) async fn json_columns(
    files: &[ObjectMeta],
    store: &dyn ObjectStore,
    declared: Option<&[FieldRef]>,
) -> Result<Vec<FieldRef>, InputError> {
    let mut merged: Vec<(FieldRef, Path)> = Vec::new();
    let mut samples = std::pin::pin!(samples(files, store));
    while let Some(sample) = samples.try_next().await? {
        let (schema, _) = arrow::json::reader::infer_json_schema(Cursor::new(&sample.bytes), None)
            .map_err(|error| unreadable("JSON lines", sample.file, &error.to_string()))?;
        for field in normal_fields(&schema, sample.file)?.iter() {
            merge_json(&mut merged, field, sample.file, declared.is_some())?;
        }
    }
    merged.sort_by(|(a, _), (b, _)| a.name().cmp(b.name()));
    let names = || merged.iter().map(|(field, _)| field.name().as_str());
    let Some(declared) = declared else {
        return Ok(merged.iter().map(|(field, _)| known_type(field)).collect());
    };
    for column in declared {
        if !names().any(|name| name == column.name()) {
            return Err(InputError::job(format!(
                "a declared column is in no record at the start of the files: column={}, columns=[{}]{}",
                column.name(),
                names().collect::<Vec<_>>().join(", "),
                nearest(column.name(), names())
            )));
        }
    }
    Ok(declared.to_vec())
}

/// A column that is null in every sampled record is text.
fn known_type(field: &FieldRef) -> FieldRef {
    match field.data_type() {
        DataType::Null => Arc::new(Field::new(field.name(), DataType::Utf8, true)),
        _ => Arc::clone(field),
    }
}

fn merge_json(
    merged: &mut Vec<(FieldRef, Path)>,
    field: &FieldRef,
    file: &Path,
    types_declared: bool,
) -> Result<(), InputError> {
    let Some((known, first)) = merged.iter_mut().find(|(known, _)| known.name() == field.name()) else {
        merged.push((Arc::clone(field), file.clone()));
        return Ok(());
    };
    match (known.data_type(), field.data_type()) {
        (a, b) if a == b || *b == DataType::Null || types_declared => {}
        (DataType::Null, _) | (DataType::Int64, DataType::Float64) => {
            *known = Arc::clone(field);
            *first = file.clone();
        }
        (DataType::Float64, DataType::Int64) => {}
        (a, b) => {
            return Err(InputError::data(format!(
                "files disagree on the type of a column; declare it under schema, or rewrite one file: column={}, \
                 file={first}, type={a}, file={file}, type={b}",
                field.name()
            )));
        }
    }
    Ok(())
}
