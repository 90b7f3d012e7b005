//! How well yes-or-no and other class forecasts hold: the `classification_report` group function.
//!
//! In: rows of what happened and what was said. Out: precision, recall, F1 and support of each class, and their averages.

mod report;

use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome};
use crate::signature::{Class, Column, Output, Role, Signature};
use arrow::array::{Array, ArrayRef, Float64Builder, Int64Builder, RecordBatch, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::array_value_to_string;
use report::{Line, Measures};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most classes of a group: more are no classes but values.
const CLASSES_MAX: usize = 10_000;

/// `classification_report`: one group of rows in, one row for each class out, then one for each average.
///
/// As scikit-learn's function of that name with every class as label: precision is the share of a class's predictions
/// that came true, recall the share of its cases that were predicted, f1 their harmonic mean, support its cases; 0 where
/// that divides by zero. `micro` counts all rows alike (one class a row, so that it is the accuracy), `macro` all classes,
/// `weighted` all classes by support. Rows whose actual or predicted value is null are left out and counted.
///
/// The events of a forecast are columns of `backtest(.., per => 'origin')`:
///
/// ```sql
/// SELECT * FROM classification_report(
///   (SELECT model, trend_actual, trend_forecast FROM backtest(.., per => 'origin')),
///   by => model, actual => trend_actual, predicted => trend_forecast)
/// ```
///
/// O(rows log classes) time, O(classes) memory. Errors: `Data` beyond ten thousand classes.
pub struct ClassificationReport;

static SIGNATURE: Signature = Signature {
    name: "classification_report",
    summary: "precision, recall, F1 and support of each class, with micro, macro and weighted averages",
    columns: &[
        Column {
            name: "by",
            role: Role::Key,
            class: Class::Exact,
            many: true,
            required: true,
            meaning: "column or columns with one report each, such as model or [model, department]",
        },
        Column {
            name: "actual",
            role: Role::Value,
            class: Class::Exact,
            many: false,
            required: true,
            meaning: "the class that came true",
        },
        Column {
            name: "predicted",
            role: Role::Value,
            class: Class::Exact,
            many: false,
            required: true,
            meaning: "the class that was said; the same kind of type as actual",
        },
    ],
    tables: &[],
    params: &[],
    output: &[
        Output { name: "<by>", kind: "as the input", meaning: "the by columns, unchanged" },
        Output { name: "kind", kind: "string", meaning: "class, or which average: micro, macro, weighted" },
        Output { name: "class", kind: "string", meaning: "the class as text; null for an average" },
        Output { name: "precision", kind: "double", meaning: "true positives over predicted; 0 if never predicted" },
        Output { name: "recall", kind: "double", meaning: "true positives over support; 0 without support" },
        Output { name: "f1", kind: "double", meaning: "harmonic mean of precision and recall; 0 if both are" },
        Output {
            name: "support",
            kind: "bigint",
            meaning: "rows whose actual value is the class; all rows for an average",
        },
        Output { name: "predicted", kind: "bigint", meaning: "rows whose predicted value is the class" },
        Output { name: "true_positives", kind: "bigint", meaning: "rows where both are the class" },
        Output { name: "left_out", kind: "bigint", meaning: "rows of the group where either is null" },
    ],
};

impl GroupFunction for ClassificationReport {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn bind(&self, input: &GroupSchema, _args: &Args) -> Result<Arc<dyn BoundFunction>> {
        let fields = input.schema.fields();
        let [actual, predicted] = fields.get(input.keys..).unwrap_or_default() else {
            return Err(Error::Bug(format!(
                "classification_report takes actual and predicted: columns={}",
                fields.len()
            )));
        };
        let bound = Bound { keys: input.keys, kind: common(actual.data_type(), predicted.data_type())? };
        let output = bound.output();
        match fields.iter().take(input.keys).find(|f| output.iter().any(|o| o.name() == f.name())) {
            None => Ok(Arc::new(bound)),
            Some(twice) => Err(Error::Argument(format!(
                "{}: an input column has the name of an output column, rename it in a subquery: name={}",
                SIGNATURE.name,
                twice.name()
            ))),
        }
    }
}

/// The type in which both sides are compared. Errors: `Argument`.
fn common(actual: &DataType, predicted: &DataType) -> Result<DataType> {
    let is_text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match (actual, predicted) {
        (a, p) if a == p => Ok(a.clone()),
        (a, p) if is_text(a) && is_text(p) => Ok(DataType::Utf8),
        // Every whole number of 64 bits, with and without sign.
        (a, p) if a.is_integer() && p.is_integer() => Ok(DataType::Decimal128(20, 0)),
        _ => Err(Error::Argument(format!(
            "{}: actual and predicted have different types, cast one of them: actual={actual}, predicted={predicted}",
            SIGNATURE.name
        ))),
    }
}

#[derive(Clone)]
struct Bound {
    keys: usize,
    kind: DataType,
}

impl BoundFunction for Bound {
    fn output(&self) -> Vec<Field> {
        let real = |name| Field::new(name, DataType::Float64, false);
        let count = |name| Field::new(name, DataType::Int64, false);
        vec![
            Field::new("kind", DataType::Utf8, false),
            Field::new("class", DataType::Utf8, true),
            real("precision"),
            real("recall"),
            real("f1"),
            count("support"),
            count("predicted"),
            count("true_positives"),
            count("left_out"),
        ]
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        Box::new(Worker {
            bound: self.clone(),
            converter: None,
            classes: BTreeMap::new(),
            bytes: 0,
            left_out: 0,
            done: Rows::default(),
        })
    }
}

/// A class of the group at hand.
struct Counted {
    label: String,
    line: Line,
}

struct Worker {
    bound: Bound,
    converter: Option<RowConverter>,
    /// By the bytes that sort as the values do.
    classes: BTreeMap<Vec<u8>, Counted>,
    /// Bytes of keys and labels.
    bytes: usize,
    left_out: i64,
    done: Rows,
}

impl Worker {
    /// The counts of the class at `row` of a column, which is made if it is new.
    fn class(&mut self, key: &[u8], column: &ArrayRef, row: usize) -> Result<&mut Line> {
        if !self.classes.contains_key(key) {
            if self.classes.len() == CLASSES_MAX {
                return Err(Error::Data(format!(
                    "{}: too many classes, round or group the values: allowed=[at most {CLASSES_MAX}]",
                    SIGNATURE.name
                )));
            }
            let label = array_value_to_string(column, row)?;
            self.bytes += key.len() + label.len() + size_of::<Counted>() + size_of::<Vec<u8>>();
            self.classes.insert(key.to_vec(), Counted { label, line: Line::default() });
        }
        let missing = || Error::Bug("a class that was put is not there".into());
        self.classes.get_mut(key).map(|c| &mut c.line).ok_or_else(missing)
    }
}

impl GroupWorker for Worker {
    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        let column = |i: usize| Ok::<_, Error>(cast(rows.column(self.bound.keys + i), &self.bound.kind)?);
        let (actual, predicted) = (column(0)?, column(1)?);
        let converter = match self.converter.take() {
            Some(converter) => converter,
            None => RowConverter::new(vec![SortField::new(self.bound.kind.clone())])?,
        };
        let (a, p) = (
            converter.convert_columns(std::slice::from_ref(&actual))?,
            converter.convert_columns(std::slice::from_ref(&predicted))?,
        );
        self.converter = Some(converter);
        for row in 0..rows.num_rows() {
            if actual.is_null(row) || predicted.is_null(row) {
                self.left_out += 1;
                continue;
            }
            let (a, p) = (a.row(row), p.row(row));
            let line = self.class(a.as_ref(), &actual, row)?;
            line.support += 1;
            line.true_positives += i64::from(a == p);
            self.class(p.as_ref(), &predicted, row)?.predicted += 1;
        }
        Ok(())
    }

    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome> {
        context.check_cancelled()?;
        let classes = std::mem::take(&mut self.classes);
        for counted in classes.values() {
            self.done.push("class", Some(&counted.label), &counted.line, counted.line.measures(), self.left_out);
        }
        let lines = || classes.values().map(|c| &c.line);
        let whole = report::sum(lines());
        for (kind, measures) in report::averages(lines()) {
            self.done.push(kind, None, &whole, measures, self.left_out);
        }
        (self.left_out, self.bytes) = (0, 0);
        Ok(Outcome { rows: classes.len() + report::AVERAGES, refused: false })
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        Ok(self.done.take())
    }

    fn memory_bytes(&self) -> usize {
        self.bytes + self.done.memory_bytes()
    }
}

/// Builders of the output columns.
#[derive(Default)]
struct Rows {
    kind: StringBuilder,
    class: StringBuilder,
    measures: [Float64Builder; 3],
    counts: [Int64Builder; 4],
}

impl Rows {
    fn push(&mut self, kind: &str, class: Option<&str>, line: &Line, measures: Measures, left_out: i64) {
        self.kind.append_value(kind);
        self.class.append_option(class);
        for (builder, v) in self.measures.iter_mut().zip([measures.precision, measures.recall, measures.f1]) {
            builder.append_value(v);
        }
        let counts = [line.support, line.predicted, line.true_positives, left_out];
        for (builder, v) in self.counts.iter_mut().zip(counts) {
            builder.append_value(v);
        }
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.kind.finish()), Arc::new(self.class.finish())];
        columns.extend(self.measures.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        columns.extend(self.counts.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        columns
    }

    fn memory_bytes(&self) -> usize {
        let rows = self.measures[0].values_slice().len();
        // Builders double as they grow.
        2 * (rows * 8 * 8 + self.kind.values_slice().len() + self.class.values_slice().len())
    }
}

#[cfg(test)]
mod tests;
