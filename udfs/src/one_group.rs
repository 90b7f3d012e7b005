//! A group function over one group, for tests.  In: its rows and literal arguments. Out: the rows it gives, by column name.

use crate::args::Args;
use crate::error::Result;
use crate::functions::{GroupFunction, GroupSchema, Outcome, Unlimited};
use crate::signature::Role;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Field, Float64Type, Int64Type, Schema};
use arrow::util::display::array_value_to_string;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What came out of one group.
pub(crate) struct Rows(pub(crate) RecordBatch, pub(crate) Outcome);

/// Columns `[key, order.., values..]` by name.
pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<_> = columns.iter().map(|(name, c)| Field::new(*name, c.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, c)| c).collect()).unwrap()
}

/// Runs `function` over one group with one key column, no order column but the required ones and the first of its value
/// columns, in two pushes, as a group that crosses a batch boundary arrives.
pub(crate) fn run(function: &dyn GroupFunction, rows: &RecordBatch, given: Value) -> Result<Rows> {
    let Value::Object(given) = given else { return run(function, rows, Value::Object(Map::new())) };
    let signature = function.signature();
    let of = |role: Role| signature.columns.iter().filter(move |c| c.role == role);
    let order = of(Role::Order).filter(|c| c.required).count();
    let mut schema = GroupSchema::new(rows.schema(), 1, order);
    schema.values = of(Role::Value).take(rows.num_columns() - 1 - order).map(|c| c.name.to_string()).collect();
    let bound = function.bind(&schema, &Args::check(signature, given)?)?;
    let mut worker = bound.worker();
    let half = rows.num_rows() / 2;
    if half > 0 {
        worker.push(&rows.slice(0, half))?;
    }
    worker.push(&rows.slice(half, rows.num_rows() - half))?;
    let outcome = worker.finish(&Unlimited)?;
    let columns = worker.take()?;
    let batch = RecordBatch::try_new(Arc::new(Schema::new(bound.output())), columns)?;
    assert_eq!(outcome.rows, batch.num_rows());
    Ok(Rows(batch, outcome))
}

impl Rows {
    /// A cell as text; empty if null.
    pub(crate) fn text(&self, column: &str, row: usize) -> String {
        array_value_to_string(self.column(column), row).unwrap()
    }

    /// A cell as a number; NaN if null.
    pub(crate) fn real(&self, column: &str, row: usize) -> f64 {
        let column = self.column(column).as_primitive::<Float64Type>();
        if column.is_null(row) { f64::NAN } else { column.value(row) }
    }

    /// A cell as a whole number; -1 if null.
    pub(crate) fn count(&self, column: &str, row: usize) -> i64 {
        let column = self.column(column).as_primitive::<Int64Type>();
        if column.is_null(row) { -1 } else { column.value(row) }
    }

    pub(crate) fn column(&self, name: &str) -> &ArrayRef {
        self.0.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"))
    }
}
