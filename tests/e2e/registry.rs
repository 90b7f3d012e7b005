//! One table of functions, models and metrics, from which everything follows; a toy function is added by one line.

use crate::support::{lakecast, ok, try_query};
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Builder, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type};
use lakecast_engine::SessionOptions;
use lakecast_engine::functions::Functions;
use lakecast_engine::sql::table_functions;
use lakecast_udfs::args::Args;
use lakecast_udfs::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome};
use lakecast_udfs::signature::{Class, Column, Kind, Output, Param, Role, Signature};
use std::collections::HashSet;
use std::sync::Arc;

/// Counts the rows of each group, plus `offset`.
struct Size;

static SIZE: Signature = Signature {
    name: "size_of_group",
    summary: "rows of each group",
    columns: &[
        Column { name: "id", role: Role::Key, class: Class::Exact, many: true, required: true, meaning: "the group" },
        Column { name: "at", role: Role::Order, class: Class::Time, many: false, required: true, meaning: "the order" },
    ],
    tables: &[],
    params: &[Param { name: "offset", kind: Kind::Integer { min: 0, max: 9 }, default: Some("0"), meaning: "added" }],
    output: &[Output { name: "rows", kind: "bigint", meaning: "rows of the group" }],
};

impl GroupFunction for Size {
    fn signature(&self) -> &'static Signature {
        &SIZE
    }

    fn bind(&self, _input: &GroupSchema, args: &Args) -> lakecast_udfs::Result<Arc<dyn BoundFunction>> {
        Ok(Arc::new(Bound { offset: args.integer("offset")? }))
    }
}

struct Bound {
    offset: i64,
}

impl BoundFunction for Bound {
    fn output(&self) -> Vec<Field> {
        vec![Field::new("rows", DataType::Int64, false)]
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        Box::new(Worker { offset: self.offset, rows: 0, out: Int64Builder::new() })
    }
}

struct Worker {
    offset: i64,
    rows: i64,
    out: Int64Builder,
}

impl GroupWorker for Worker {
    fn push(&mut self, rows: &RecordBatch) -> lakecast_udfs::Result<()> {
        self.rows += rows.num_rows() as i64;
        Ok(())
    }

    fn finish(&mut self, _context: &dyn GroupContext) -> lakecast_udfs::Result<Outcome> {
        self.out.append_value(std::mem::take(&mut self.rows) + self.offset);
        Ok(Outcome { rows: 1, refused: false })
    }

    fn take(&mut self) -> lakecast_udfs::Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(self.out.finish())])
    }

    fn memory_bytes(&self) -> usize {
        0
    }
}

#[test]
fn a_toy_function_is_one_type_and_one_line() {
    let options =
        SessionOptions { functions: Functions::with(&[&Size]), batch_size_rows: 2, ..SessionOptions::default() };
    let sql = "SELECT id, rows FROM size_of_group((SELECT * FROM (VALUES ('a', 1), ('b', 1), ('a', 2), ('a', 3), (NULL, 1)) AS v(id, at)), id => id, at => at, offset => 1) ORDER BY id";
    let rows = try_query(&options, &[], sql).unwrap();
    let rows = datafusion::arrow::compute::concat_batches(&rows[0].schema(), &rows).unwrap();
    assert_eq!(rows.column(0).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a"), Some("b"), None]);
    assert_eq!(rows.column(1).as_primitive::<Int64Type>().values(), &[4, 2, 2]);
    let error = try_query(&SessionOptions::default(), &[], sql).unwrap_err();
    assert!(error.contains("size_of_group"), "{error}");
}

#[test]
fn every_function_is_documented_and_named_once() {
    let mut names = HashSet::new();
    for signature in table_functions(&Functions::default()) {
        assert!(names.insert(signature.name), "{} twice", signature.name);
        assert!(!signature.summary.is_empty() && !signature.output.is_empty(), "{}", signature.name);
        for param in signature.params {
            assert!(!param.meaning.is_empty(), "{}: {}", signature.name, param.name);
            if let Some(default) = param.default {
                assert!(
                    serde_json::from_str::<serde_json::Value>(default).is_ok(),
                    "{}: default of {}",
                    signature.name,
                    param.name
                );
            }
        }
        let help = ok(&mut lakecast(["functions", signature.name])).stdout;
        for table in signature.tables {
            assert!(help.contains(table.name) && !table.meaning.is_empty(), "{}: {}", signature.name, table.name);
        }
        for param in signature.params {
            assert!(help.contains(param.name), "{}: no help for {}", signature.name, param.name);
        }
    }
    assert!(names.contains("forecast") && names.contains("frequent_itemsets") && names.contains("association_rules"));
}

#[test]
fn help_lists_every_model_and_status() {
    let help = ok(&mut lakecast(["functions", "forecast"])).stdout;
    for model in lakecast_udfs::forecast::MODELS {
        assert!(help.contains(model.name()), "{}", model.name());
    }
    for status in lakecast_udfs::forecast::Status::ALL {
        assert!(help.contains(status.name()) && help.contains(status.meaning()), "{}", status.name());
    }
}
