//! One schema for many files: types normalised, differences named.
//!
//! In: the schema of every file and the declared columns. Out: the table's columns, or an error that names two files, the
//! column and both types. Texts become `Utf8`, never a view, a large or a dictionary type, because equal keys must hash to
//! the same partition whatever the file that holds them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use object_store::path::Path;

use super::error::{InputError, nearest};

/// The type that a column of this type has in a table.
pub(super) fn normal_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => normal_type(values),
        DataType::RunEndEncoded(_, values) => normal_type(values.data_type()),
        DataType::List(item) | DataType::ListView(item) => DataType::List(normal_field(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(normal_field(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(normal_field(item), *length),
        DataType::Struct(children) => DataType::Struct(children.iter().map(normal_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(normal_field(entries), *sorted),
        other => other.clone(),
    }
}

/// The field with its normal type and without metadata, which differs between writers.
pub(super) fn normal_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), normal_type(field.data_type()), field.is_nullable()))
}

/// The fields of a schema in their normal types. A name that stands twice is an error, because readers go by name.
pub(super) fn normal_fields(schema: &Schema, file: &Path) -> Result<Fields, InputError> {
    for (at, field) in schema.fields().iter().enumerate() {
        if schema.fields()[..at].iter().any(|earlier| earlier.name() == field.name()) {
            return Err(InputError::data(format!(
                "a column stands twice in the file; rename one: column={}, file={file}",
                field.name()
            )));
        }
    }
    Ok(schema.fields().iter().map(normal_field).collect())
}

/// The columns of one file.
pub(super) struct FileColumns<'a> {
    pub(super) file: &'a Path,
    pub(super) fields: &'a Fields,
}

/// The one schema of all files, in the first file's order: same names, same types.
///
/// O(files x columns). Errors name both files, the column and both types. Nothing is widened and no column is filled up
/// here: the declared schema says what a mixed table means.
pub(super) fn inferred(files: &[FileColumns<'_>]) -> Result<SchemaRef, InputError> {
    let Some(first) = files.first() else { return Ok(Arc::new(Schema::empty())) };
    let mut nullable: Vec<bool> = first.fields.iter().map(|field| field.is_nullable()).collect();
    for other in &files[1..] {
        same_columns(first, other)?;
        for (at, field) in first.fields.iter().enumerate() {
            nullable[at] |= other.fields.find(field.name()).is_none_or(|(_, field)| field.is_nullable());
        }
    }
    let fields = first
        .fields
        .iter()
        .zip(nullable)
        .map(|(field, nullable)| Arc::new(Field::new(field.name(), field.data_type().clone(), nullable)));
    Ok(Arc::new(Schema::new(fields.collect::<Fields>())))
}

fn same_columns(first: &FileColumns<'_>, other: &FileColumns<'_>) -> Result<(), InputError> {
    for field in first.fields.iter() {
        match other.fields.find(field.name()) {
            Some((_, found)) if found.data_type() == field.data_type() => {}
            Some((_, found)) => {
                return Err(InputError::data(format!(
                    "files disagree on the type of a column; declare it under schema, or rewrite one file: column={}, \
                     file={}, type={}, file={}, type={}",
                    field.name(),
                    first.file,
                    field.data_type(),
                    other.file,
                    found.data_type()
                )));
            }
            None => return Err(missing(field.name(), other, first)),
        }
    }
    match other.fields.iter().find(|field| first.fields.find(field.name()).is_none()) {
        Some(extra) => Err(missing(extra.name(), first, other)),
        None => Ok(()),
    }
}

fn missing(column: &str, lacks: &FileColumns<'_>, has: &FileColumns<'_>) -> InputError {
    InputError::data(format!(
        "a column is missing in some files; declare it as nullable under schema to read null there, or leave it out of \
         schema: column={column}, missing_in={}, present_in={}{}",
        lacks.file,
        has.file,
        nearest(column, lacks.fields.iter().map(|field| field.name().as_str()))
    ))
}

/// Checks the declared columns against every file. A nullable column may be missing in some files, never in all.
pub(super) fn declared(declared: &[FieldRef], files: &[FileColumns<'_>]) -> Result<SchemaRef, InputError> {
    for column in declared {
        let has = files.iter().find(|file| file.fields.find(column.name()).is_some());
        let Some(has) = has else {
            let Some(first) = files.first() else { continue };
            return Err(InputError::job(format!(
                "a declared column is in no file: column={}, file={}, columns=[{}]{}",
                column.name(),
                first.file,
                first.fields.iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", "),
                nearest(column.name(), first.fields.iter().map(|field| field.name().as_str()))
            )));
        };
        for file in files {
            match file.fields.find(column.name()) {
                Some((_, found)) if reads_as(found.data_type(), column.data_type()) => {}
                Some((_, found)) => {
                    return Err(InputError::data(format!(
                        "a column cannot be read as the declared type without loss; declare the file's type and use CAST \
                         in the SQL: column={}, declared={}, file={}, type={}",
                        column.name(),
                        column.data_type(),
                        file.file,
                        found.data_type()
                    )));
                }
                None if column.is_nullable() => {}
                None => return Err(missing(column.name(), file, has)),
            }
        }
    }
    Ok(Arc::new(Schema::new(declared.to_vec())))
}

/// Whether values of one type can be read as another without losing anything but exactness a double cannot hold.
/// A whole number that does not fit is an error while reading, never a wrong number.
fn reads_as(found: &DataType, declared: &DataType) -> bool {
    use DataType::{Date32, Date64, Decimal128, Float16, Float32, Float64, Null, Timestamp};
    match (found, declared) {
        (a, b) if a == b => true,
        (Null, _) => true,
        (a, b) if a.is_integer() && b.is_integer() => true,
        (a, Float64) if a.is_integer() => true,
        (Float16 | Float32, Float64) | (Float16, Float32) => true,
        (Decimal128(_, _), Float64) => true,
        (Decimal128(p, s), Decimal128(q, t)) => {
            t >= s && i16::from(*q) - i16::from(*t) >= i16::from(*p) - i16::from(*s)
        }
        (a, Decimal128(q, t)) if a.is_integer() => i16::from(*q) - i16::from(*t) >= 1,
        (Date32 | Date64, Timestamp(_, None)) => true,
        (Timestamp(a, zone), Timestamp(b, declared_zone)) => zone == declared_zone && finer(*b) >= finer(*a),
        // Old writers leave texts unmarked; bytes that are no text are an error while reading.
        (DataType::Binary, DataType::Utf8) => true,
        _ => false,
    }
}

fn finer(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}
