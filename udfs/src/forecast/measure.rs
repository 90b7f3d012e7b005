//! Output columns as rows of a table: name, meaning, and what of a result they hold.
//!
//! In: the results of many series. Out: one arrow array per column, so that a new column is a new row of a table.

use super::calendar::Clock;
use crate::error::{Error, Result};
use crate::signature::Output;
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field};
use std::sync::Arc;

/// One output column of results of type `T`.
pub(super) struct Measure<T: 'static> {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) of: Of<T>,
}

/// What of a result a column holds, by type.
pub(super) enum Of<T: 'static> {
    /// A whole number.
    Count(fn(&T) -> Option<i64>),
    /// A number; what is not finite comes out as null.
    Real(fn(&T) -> Option<f64>),
    /// Yes or no.
    Flag(fn(&T) -> Option<bool>),
    /// A time, in the type of the input's.
    Time(fn(&T) -> Option<i64>),
    /// A text.
    Text(fn(&T) -> Option<&str>),
}

impl<T> Measure<T> {
    pub(super) fn field(&self, clock: &Clock) -> Field {
        let kind = match self.of {
            Of::Count(_) => DataType::Int64,
            Of::Real(_) => DataType::Float64,
            Of::Flag(_) => DataType::Boolean,
            Of::Time(_) => clock.kind().clone(),
            Of::Text(_) => DataType::Utf8,
        };
        Field::new(self.name, kind, true)
    }

    pub(super) fn column(&self, rows: &[T], clock: &Clock) -> Result<ArrayRef> {
        Ok(match self.of {
            Of::Count(of) => Arc::new(rows.iter().map(of).collect::<Int64Array>()),
            Of::Real(of) => reals(rows.iter().map(of)),
            Of::Flag(of) => Arc::new(rows.iter().map(of).collect::<BooleanArray>()),
            Of::Time(of) => clock.column(rows.iter().map(of).collect())?,
            Of::Text(of) => Arc::new(rows.iter().map(of).collect::<StringArray>()),
        })
    }

    /// The column for help.
    pub(super) const fn output(&self) -> Output {
        let kind = match self.of {
            Of::Count(_) => "bigint",
            Of::Real(_) => "double",
            Of::Flag(_) => "boolean",
            Of::Time(_) => "as the time",
            Of::Text(_) => "string",
        };
        Output { name: self.name, kind, meaning: self.meaning }
    }
}

/// Numbers as a column; what is not finite is null.
pub(super) fn reals(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.map(|v| v.filter(|v| v.is_finite())).collect::<Float64Array>())
}

/// Checks that no id column has the name of an output column. Errors: `Argument`.
pub(super) fn unlike<'a>(function: &str, ids: impl Iterator<Item = &'a Arc<Field>>, output: &[Field]) -> Result<()> {
    let mut names: Vec<_> = ids.map(|f| f.name().as_str()).chain(output.iter().map(|f| f.name().as_str())).collect();
    names.sort_unstable();
    match names.windows(2).find(|w| w[0] == w[1]) {
        None => Ok(()),
        Some(twice) => Err(Error::Argument(format!(
            "{function}: an input column has the name of an output column, rename it in a subquery: name={}",
            twice[0]
        ))),
    }
}

/// An error of a part that `forecast` owns, said in the name of `function`.
pub(super) fn owned_by(function: &str, error: Error) -> Error {
    match error {
        Error::Argument(text) => {
            Error::Argument(format!("{function}: {}", text.strip_prefix("forecast: ").unwrap_or(&text)))
        }
        other => other,
    }
}
