//! Pieces of SQL text.  In: a call. Out: names, literals and arguments as SQL writes them.

use crate::functions::{Functions, to_datafusion};
use crate::sql::call::Call;
use datafusion::common::{Result, plan_err};
use serde_json::Value;
use std::fmt::Write;

/// A name in quotes, taken as it is.
pub(super) fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A text in quotes.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The column that an argument names, as written.
pub(super) fn column(call: &Call, argument: &str) -> Result<String> {
    match call.columns.get(argument).map(Vec::as_slice) {
        Some([one]) => Ok(one.to_string()),
        _ => plan_err!("{}: argument takes one column: name={argument}", call.signature.name),
    }
}

/// The column, or an error of the run where it is null.
pub(super) fn present(call: &Call, argument: &str) -> Result<String> {
    let column = column(call, argument)?;
    Ok(format!("lakecast_present({column}, {})", literal(&column)))
}

/// Whether the call gives the argument, be it a column, a table or a literal without a default.
pub(super) fn is_given(call: &Call, argument: &str) -> bool {
    let literal = || call.args.has(argument) && call.args.is_null(argument).is_ok_and(|null| !null);
    call.columns.contains_key(argument) || call.tables.iter().any(|(t, _)| t.name == argument) || literal()
}

/// `, name => literal` for every argument of the call that the function has too.
pub(super) fn forwarded(call: &Call, functions: &Functions, function: &str) -> Result<String> {
    forwarded_but(call, functions, function, "")
}

/// [`forwarded`] without one argument.
pub(super) fn forwarded_but(call: &Call, functions: &Functions, function: &str, but: &str) -> Result<String> {
    let mut out = String::new();
    for param in functions.get(function)?.signature().params {
        if param.name != but && is_given(call, param.name) {
            let value = call.args.value(param.name).map_err(to_datafusion)?;
            let _ = write!(out, ", {} => {}", param.name, json(value));
        }
    }
    Ok(out)
}

/// A JSON value as a SQL literal.
fn json(value: &Value) -> String {
    match value {
        Value::String(text) => literal(text),
        Value::Array(list) => format!("[{}]", list.iter().map(json).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// `(first), .., (end - 1)`.
pub(super) fn numbered_rows(first: i64, end: i64) -> String {
    let mut out = String::new();
    for row in first..end {
        let _ = write!(out, "{}({row})", if row == first { "" } else { ", " });
    }
    out
}
