//! Which columns a Delta table can hold.  In: an Arrow schema. Out: the schema to cast to, and the Delta schema.
//!
//! Source of the types: Delta protocol, "Schema Serialization Format" and "Timestamp without timezone".

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use deltalake_core::kernel::StructType;
use serde_json::{Value, json};

use super::error::{Kind, PublishError};

/// The partition column that publication adds to every table: the business date of the run.
pub const RUN_DATE: &str = "run_date";

/// Characters that Parquet and so Delta refuse in column names unless columns are mapped, which readers support unevenly.
const FORBIDDEN: &[char] = &[' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '='];

/// A column that must be cast before its data file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cast {
    /// Name of the top-level column.
    pub column: String,
    /// Its type in the query's result.
    pub from: DataType,
    /// The type to write.
    pub to: DataType,
    /// True where values finer than a microsecond lose digits (nanosecond timestamps); every other cast is exact or,
    /// cast with `safe: false`, an error.
    pub truncates: bool,
}

/// What [`storable`] answers.
#[derive(Debug, Clone)]
pub struct Storable {
    /// The columns as they must stand in the data files: same names and order, every field nullable.
    pub schema: SchemaRef,
    /// The columns whose type differs from the one asked about, in order.
    pub casts: Vec<Cast>,
}

/// The schema to which a query's result must be cast before it is written to a Delta table.
///
/// | from | to |
/// |---|---|
/// | `UInt8`, `UInt16`, `UInt32`, `UInt64` | `Int16`, `Int32`, `Int64`, `Decimal128(20, 0)` |
/// | `Float16` | `Float32` |
/// | `LargeUtf8`, `Utf8View` | `Utf8` |
/// | `LargeBinary`, `BinaryView`, `FixedSizeBinary` | `Binary` |
/// | `Date64` | `Date32` |
/// | `Timestamp(any, zone)` | `Timestamp(Microsecond, "UTC")`: Delta `timestamp` |
/// | `Timestamp(any, none)` | `Timestamp(Microsecond, none)`: Delta `timestamp_ntz` |
/// | `Decimal32`, `Decimal64`, `Decimal256` up to 38 digits | `Decimal128` |
/// | `Dictionary`, `RunEndEncoded` | their value type |
/// | `LargeList`, `FixedSizeList`, `ListView`, `LargeListView` | `List`, its item named `element` |
///
/// Booleans, signed integers, `Float32`, `Float64`, `Date32`, `Struct` and `Map` stay; nested types follow the same
/// table. Cast with `CastOptions { safe: false }` (SQL `CAST` does): an unfit value must be an error, never a null.
/// Every field becomes nullable, so that tonight's plan being sure of a column does not shut out tomorrow's.
///
/// # Errors
/// [`Kind::Job`], naming every column at fault: a type Delta has no room for, a name with a forbidden character, two
/// names that differ only in case, a column called [`RUN_DATE`], no columns at all.
pub fn storable(schema: &Schema) -> Result<Storable, PublishError> {
    check_names(schema)?;
    let mut unsupported = Vec::new();
    let mut fields = Vec::with_capacity(schema.fields().len());
    let mut casts = Vec::new();
    for field in schema.fields() {
        let from = field.data_type();
        match storable_type(from) {
            Ok(to) => {
                if &to != from {
                    casts.push(Cast {
                        column: field.name().clone(),
                        from: from.clone(),
                        truncates: has_nanoseconds(from),
                        to: to.clone(),
                    });
                }
                fields.push(Field::new(field.name(), to, true));
            }
            Err(why) => unsupported.push(format!("{} ({why})", field.name())),
        }
    }
    if unsupported.is_empty() {
        Ok(Storable { schema: Arc::new(Schema::new(fields)), casts })
    } else {
        Err(PublishError::new(
            Kind::Job,
            format!("a Delta table cannot hold these types, cast them in SQL: columns={}", unsupported.join(", ")),
        ))
    }
}

/// The Delta schema of a table whose data files have `schema`, with [`RUN_DATE`] as its last column.
///
/// # Errors
/// [`Kind::Job`] as [`storable`]; also when `schema` still holds a column that needs a cast.
pub fn delta_schema(schema: &Schema) -> Result<StructType, PublishError> {
    let storable = storable(schema)?;
    if let Some(cast) = storable.casts.first() {
        return Err(PublishError::new(
            Kind::Bug,
            format!(
                "data files must be written with the storable schema: column={}, type={}, storable={}",
                cast.column, cast.from, cast.to
            ),
        ));
    }
    let mut fields: Vec<Value> = schema.fields().iter().map(|field| delta_field(field)).collect();
    fields.push(json!({"name": RUN_DATE, "type": "date", "nullable": true, "metadata": {}}));
    serde_json::from_value(json!({"type": "struct", "fields": fields}))
        .map_err(|error| PublishError::caused(Kind::Bug, format!("the Delta schema is not accepted: {error}"), error))
}

/// Whether any column, at any depth, is a timestamp without time zone, for which Delta needs a table feature.
pub(super) fn needs_timestamp_ntz(schema: &Schema) -> bool {
    fn inside(of: &DataType) -> bool {
        match of {
            DataType::Timestamp(_, None) => true,
            DataType::List(item) => inside(item.data_type()),
            DataType::Map(entries, _) => inside(entries.data_type()),
            DataType::Struct(fields) => fields.iter().any(|field| inside(field.data_type())),
            _ => false,
        }
    }
    schema.fields().iter().any(|field| inside(field.data_type()))
}

/// Refuse a table whose columns are not the ones to publish. Order is free; ours may be written to a column of theirs
/// that allows null, never to one that does not, since all of ours do.
pub(super) fn check_same(ours: &StructType, theirs: &StructType, location: &str) -> Result<(), PublishError> {
    let mut differences = Vec::new();
    for field in ours.fields() {
        let (name, wanted) = (field.name(), type_json(field.data_type())?);
        match theirs.field(name) {
            None => differences.push(format!("{name} (new, {})", short(&wanted))),
            Some(found) => {
                let held = type_json(found.data_type())?;
                if !fits(&wanted, &held) {
                    differences.push(format!("{name} (table {}, output {})", short(&held), short(&wanted)));
                } else if field.is_nullable() && !found.is_nullable() {
                    differences.push(format!("{name} (table does not allow null)"));
                }
            }
        }
    }
    for field in theirs.fields().filter(|field| ours.field(field.name()).is_none()) {
        differences.push(format!("{} (missing, {})", field.name(), short(&type_json(field.data_type())?)));
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(PublishError::new(
        Kind::Job,
        format!(
            "the output's columns differ from those of the table that stands there; change the SQL, give the output a new \
             location, or delete the table: columns={}, location={location}",
            differences.join(", ")
        ),
    ))
}

fn check_names(schema: &Schema) -> Result<(), PublishError> {
    let job = |message: String| Err(PublishError::new(Kind::Job, message));
    if schema.fields().is_empty() {
        return job("an output needs at least one column".into());
    }
    let mut seen: Vec<(String, &str)> = Vec::new();
    for field in schema.fields() {
        let name = field.name().as_str();
        check_name(name, name)?;
        check_nested_names(name, field.data_type())?;
        let lower = name.to_lowercase();
        if lower == RUN_DATE {
            return job(format!(
                "publication adds the column {RUN_DATE} itself, from the date of the run; leave it out or name it otherwise with AS: column={name}"
            ));
        }
        if let Some((_, earlier)) = seen.iter().find(|(other, _)| *other == lower) {
            return job(format!(
                "two columns of a Delta table may not differ in case only; rename one with AS: columns={earlier}, {name}"
            ));
        }
        seen.push((lower, name));
    }
    Ok(())
}

fn check_name(name: &str, column: &str) -> Result<(), PublishError> {
    let shown = column.escape_debug();
    if name.is_empty() {
        return Err(PublishError::new(Kind::Job, format!("a column has no name; name it with AS: column={shown}")));
    }
    match name.chars().find(|c| FORBIDDEN.contains(c)) {
        None => Ok(()),
        Some(c) => Err(PublishError::new(
            Kind::Job,
            format!(
                "a column name in a Delta table may not hold the character {c:?}; rename it with AS: column={shown}"
            ),
        )),
    }
}

fn check_nested_names(path: &str, of: &DataType) -> Result<(), PublishError> {
    match of {
        DataType::Struct(fields) => {
            for (at, field) in fields.iter().enumerate() {
                let inner = format!("{path}.{}", field.name());
                check_name(field.name(), &inner)?;
                let lower = field.name().to_lowercase();
                if fields.iter().take(at).any(|other| other.name().to_lowercase() == lower) {
                    return Err(PublishError::new(
                        Kind::Job,
                        format!("two fields of a struct may not differ in case only; rename one: column={inner}"),
                    ));
                }
                check_nested_names(&inner, field.data_type())?;
            }
            Ok(())
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => check_nested_names(&format!("{path}.element"), item.data_type()),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields
                .iter()
                .try_for_each(|field| check_nested_names(&format!("{path}.{}", field.name()), field.data_type())),
            _ => Ok(()),
        },
        DataType::Dictionary(_, value) => check_nested_names(path, value),
        DataType::RunEndEncoded(_, value) => check_nested_names(path, value.data_type()),
        _ => Ok(()),
    }
}

/// The nearest type that a Delta table holds, or why there is none.
fn storable_type(from: &DataType) -> Result<DataType, String> {
    use DataType as D;
    Ok(match from {
        D::Boolean | D::Int8 | D::Int16 | D::Int32 | D::Int64 | D::Float32 | D::Float64 => from.clone(),
        D::Utf8 | D::Binary | D::Date32 => from.clone(),
        D::UInt8 => D::Int16,
        D::UInt16 => D::Int32,
        D::UInt32 => D::Int64,
        D::UInt64 => D::Decimal128(20, 0),
        D::Float16 => D::Float32,
        D::LargeUtf8 | D::Utf8View => D::Utf8,
        D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => D::Binary,
        D::Date64 => D::Date32,
        D::Timestamp(_, Some(_)) => D::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        D::Timestamp(_, None) => D::Timestamp(TimeUnit::Microsecond, None),
        D::Decimal32(p, s) | D::Decimal64(p, s) | D::Decimal128(p, s) | D::Decimal256(p, s) => match u8::try_from(*s) {
            Ok(scale) if *p <= 38 && scale <= *p => D::Decimal128(*p, *s),
            _ => return Err(format!("{from}: at most 38 digits and a scale from 0 to the digits are allowed")),
        },
        D::Dictionary(_, value) => storable_type(value)?,
        D::RunEndEncoded(_, value) => storable_type(value.data_type())?,
        D::List(item) | D::LargeList(item) | D::ListView(item) | D::LargeListView(item) | D::FixedSizeList(item, _) => {
            D::List(Arc::new(Field::new("element", storable_type(item.data_type())?, true)))
        }
        D::Struct(fields) if !fields.is_empty() => D::Struct(
            fields
                .iter()
                .map(|field| Ok(Field::new(field.name(), storable_type(field.data_type())?, true)))
                .collect::<Result<_, String>>()?,
        ),
        D::Map(entries, _) => storable_map(entries, from)?,
        other => return Err(format!("{other}")),
    })
}

fn storable_map(entries: &Field, from: &DataType) -> Result<DataType, String> {
    let DataType::Struct(pair) = entries.data_type() else {
        return Err(format!("{from}"));
    };
    let [key, value] = pair.as_ref() else {
        return Err(format!("{from}"));
    };
    let pair = vec![
        Field::new("key", storable_type(key.data_type())?, false),
        Field::new("value", storable_type(value.data_type())?, true),
    ];
    Ok(DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(pair.into()), false)), false))
}

fn has_nanoseconds(of: &DataType) -> bool {
    use DataType as D;
    match of {
        D::Timestamp(unit, _) => *unit == TimeUnit::Nanosecond,
        D::List(item) | D::LargeList(item) | D::ListView(item) | D::LargeListView(item) | D::FixedSizeList(item, _) => {
            has_nanoseconds(item.data_type())
        }
        D::Map(inner, _) | D::RunEndEncoded(_, inner) => has_nanoseconds(inner.data_type()),
        D::Dictionary(_, value) => has_nanoseconds(value),
        D::Struct(fields) => fields.iter().any(|field| has_nanoseconds(field.data_type())),
        _ => false,
    }
}

fn delta_field(field: &Field) -> Value {
    json!({"name": field.name(), "type": delta_type(field.data_type()), "nullable": true, "metadata": {}})
}

/// The Delta name of a storable type. Only called on types that [`storable_type`] maps to themselves.
fn delta_type(of: &DataType) -> Value {
    use DataType as D;
    match of {
        D::Boolean => json!("boolean"),
        D::Int8 => json!("byte"),
        D::Int16 => json!("short"),
        D::Int32 => json!("integer"),
        D::Int64 => json!("long"),
        D::Float32 => json!("float"),
        D::Float64 => json!("double"),
        D::Utf8 => json!("string"),
        D::Binary => json!("binary"),
        D::Date32 => json!("date"),
        D::Timestamp(_, Some(_)) => json!("timestamp"),
        D::Timestamp(_, None) => json!("timestamp_ntz"),
        D::Decimal128(precision, scale) => json!(format!("decimal({precision},{scale})")),
        D::List(item) => json!({"type": "array", "elementType": delta_type(item.data_type()), "containsNull": true}),
        D::Struct(fields) => {
            json!({"type": "struct", "fields": fields.iter().map(|field| delta_field(field)).collect::<Vec<_>>()})
        }
        D::Map(entries, _) => match entries.data_type() {
            D::Struct(pair) if pair.len() == 2 => json!({
                "type": "map", "keyType": delta_type(pair[0].data_type()),
                "valueType": delta_type(pair[1].data_type()), "valueContainsNull": true,
            }),
            other => json!(other.to_string()),
        },
        other => json!(other.to_string()),
    }
}

fn type_json(of: &deltalake_core::kernel::DataType) -> Result<Value, PublishError> {
    serde_json::to_value(of)
        .map_err(|error| PublishError::caused(Kind::Bug, format!("a Delta type cannot be written: {error}"), error))
}

/// Whether a value of type `ours` may be stored as `theirs`: the same, but for comments on nested fields.
fn fits(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys()).filter(|key| *key != "metadata");
            keys.into_iter().all(|key| match (a.get(key), b.get(key)) {
                (Some(x), Some(y)) => fits(x, y),
                _ => false,
            })
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(x, y)| fits(x, y)),
        _ => ours == theirs,
    }
}

fn short(of: &Value) -> String {
    match of {
        Value::String(name) => name.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(of: DataType) -> Result<Storable, PublishError> {
        storable(&Schema::new(vec![Field::new("x", of, false)]))
    }

    #[test]
    fn casts_are_the_documented_table() {
        use DataType as D;
        let us = TimeUnit::Microsecond;
        let item = |of| Arc::new(Field::new("item", of, false));
        let element = |of| Arc::new(Field::new("element", of, true));
        for (from, to) in [
            (D::UInt8, D::Int16),
            (D::UInt16, D::Int32),
            (D::UInt32, D::Int64),
            (D::UInt64, D::Decimal128(20, 0)),
            (D::Float16, D::Float32),
            (D::Utf8View, D::Utf8),
            (D::LargeUtf8, D::Utf8),
            (D::BinaryView, D::Binary),
            (D::FixedSizeBinary(4), D::Binary),
            (D::Date64, D::Date32),
            (D::Timestamp(TimeUnit::Second, Some("Europe/Paris".into())), D::Timestamp(us, Some("UTC".into()))),
            (D::Timestamp(TimeUnit::Nanosecond, None), D::Timestamp(us, None)),
            (D::Decimal256(38, 2), D::Decimal128(38, 2)),
            (D::Dictionary(Box::new(D::Int32), Box::new(D::Utf8View)), D::Utf8),
            (D::LargeList(item(D::Utf8View)), D::List(element(D::Utf8))),
            (D::List(item(D::Utf8)), D::List(element(D::Utf8))),
        ] {
            let got = one(from.clone()).unwrap();
            assert_eq!(got.schema.field(0).data_type(), &to, "{from}");
            assert!(got.schema.field(0).is_nullable());
            assert_eq!(got.casts.len(), 1, "{from}");
            assert_eq!(got.casts[0].truncates, matches!(from, D::Timestamp(TimeUnit::Nanosecond, _)));
            // What is asked for must itself need nothing more, and have a Delta type.
            assert!(storable(&got.schema).unwrap().casts.is_empty(), "{from}");
            delta_schema(&got.schema).unwrap();
        }
    }

    #[test]
    fn what_delta_cannot_hold_is_named() {
        use DataType as D;
        for bad in [D::Null, D::Time64(TimeUnit::Microsecond), D::Duration(TimeUnit::Second), D::Decimal256(76, 2)] {
            let error = one(bad.clone()).unwrap_err();
            assert_eq!(error.kind(), Kind::Job);
            assert!(error.to_string().contains("x ("), "{error}");
        }
        let error = one(D::Decimal128(10, -2)).unwrap_err();
        assert!(error.to_string().contains("scale"), "{error}");
    }

    #[test]
    fn names_delta_refuses_are_refused_with_the_remedy() {
        let with = |names: &[&str]| {
            storable(&Schema::new(names.iter().map(|n| Field::new(*n, DataType::Int64, true)).collect::<Vec<_>>()))
        };
        for bad in ["a b", "sum(x)", "a,b", "a;b", "{a", "a}", "a\nb", "a\tb", "a=b", ""] {
            let error = with(&[bad]).unwrap_err();
            assert_eq!(error.kind(), Kind::Job);
            assert!(error.to_string().contains("AS"), "{error}");
        }
        assert!(with(&["sku", "SKU"]).unwrap_err().to_string().contains("case"));
        assert!(with(&["Run_Date"]).unwrap_err().to_string().contains("run_date"));
        assert!(with(&[]).is_err());
        assert!(with(&["yhat_lower_80", "größe", "a.b", "a-b"]).is_ok());
        let nested = DataType::Struct(vec![Field::new("in ner", DataType::Int64, true)].into());
        assert!(one(nested).unwrap_err().to_string().contains("x.in ner"));
    }

    #[test]
    fn a_schema_that_still_needs_a_cast_is_a_bug_not_a_table() {
        let error = delta_schema(&Schema::new(vec![Field::new("x", DataType::UInt8, true)])).unwrap_err();
        assert_eq!(error.kind(), Kind::Bug);
    }

    #[test]
    fn schemas_compare_by_name_type_and_null() {
        let ours = delta_schema(&Schema::new(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("b", DataType::Utf8, true),
        ]))
        .unwrap();
        let theirs = |text: &str| serde_json::from_str::<StructType>(text).unwrap();
        let field = |name: &str, of: &str, null: bool| {
            format!(r#"{{"name":"{name}","type":{of},"nullable":{null},"metadata":{{"comment":"c"}}}}"#)
        };
        let date = field("run_date", "\"date\"", true);
        let wrap = |fields: &[&str]| theirs(&format!(r#"{{"type":"struct","fields":[{}]}}"#, fields.join(",")));
        let (a, b) = (field("a", "\"long\"", true), field("b", "\"string\"", true));
        check_same(&ours, &wrap(&[&b, &date, &a]), "l").unwrap();

        let message = |fields: &[&str]| check_same(&ours, &wrap(fields), "l").unwrap_err().to_string();
        let retyped = message(&[&field("a", "\"integer\"", true), &b, &date]);
        assert!(retyped.contains("a (table integer, output long)"), "{retyped}");
        assert!(message(&[&a, &date]).contains("b (new, string)"));
        assert!(message(&[&a, &b, &field("c", "\"long\"", true), &date]).contains("c (missing, long)"));
        assert!(message(&[&field("a", "\"long\"", false), &b, &date]).contains("a (table does not allow null)"));
        assert!(message(&[&a, &b, &date.replace("run_date", "day")]).contains("run_date (new, date)"));
    }
}
