//! Bad input of every kind, and what must become of it.
//! In: the first day. Out: `sales_dirty/`, `order_lines_dirty/`, tables below `dirty/`, and `truth/dirty.json`.
//!
//! `sales_dirty/` (sku, ds, qty as double, all nullable) and `order_lines_dirty/` (order_id, sku) are readable tables with
//! bad rows, one file per kind. Each folder below `dirty/` is a little table of its own that fails as a whole. Statuses
//! hold for `forecast(.., horizon => 28, season_length => 7)` without `freq`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::calendar::date32;
use super::files::{Output, WrittenFile};
use super::{Error, Result};

/// Days of an ordinary dirty series.
const DAYS: i32 = 84;
/// Items of the large basket.
const LARGE_BASKET_ITEMS: usize = 100_000;

/// One kind of dirt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirtyEntry {
    /// Name of the kind, unique.
    pub kind: String,
    /// The file, or the folder when it is a table of its own, relative to the output directory.
    pub path: String,
    /// The series in `sales_dirty`; absent for other tables, and for the series whose id is null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// Rows of this kind, as far as they can be read.
    pub rows: u64,
    /// What must become of it.
    pub expected: Expected,
}

/// What must become of bad input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case", deny_unknown_fields)]
pub enum Expected {
    /// The series gets one of these statuses from `forecast`. More than one where the choice belongs to the model.
    Status {
        /// Allowed statuses.
        any_of: Vec<String>,
    },
    /// The whole query fails, and the message mentions all of these.
    Error {
        /// Parts of the message.
        mentions: Vec<String>,
    },
    /// The query succeeds without rows.
    NoRows,
    /// The table `order_lines_dirty` as a whole gives these itemset counts.
    Itemsets {
        /// Baskets in the table.
        baskets: u64,
        /// Itemsets and in how many baskets they are.
        counts: Vec<ItemsetCount>,
    },
}

/// An itemset and the number of baskets that hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemsetCount {
    /// The items, sorted.
    pub items: Vec<String>,
    /// Baskets.
    pub count: u64,
}

/// A row of `sales_dirty`: day and quantity.
type Row = (Option<i32>, Option<f64>);

/// A kind of bad series.
struct BadSeries {
    kind: &'static str,
    rows: Vec<Row>,
    any_of: &'static [&'static str],
}

/// Writes all dirt and its truth file.
pub(super) fn write(output: &Output, start: NaiveDate) -> Result<Vec<WrittenFile>> {
    let mut files = Vec::new();
    let mut entries = Vec::new();
    write_sales(output, date32(start), &mut files, &mut entries)?;
    write_order_lines(output, &mut files, &mut entries)?;
    write_broken_tables(output, date32(start), &mut files, &mut entries)?;
    files.push(output.json("truth/dirty.json", &entries)?);
    Ok(files)
}

/// An ordinary series, of which every bad one is a variation.
fn clean(start: i32) -> Vec<Row> {
    (0..DAYS).map(|day| (Some(start + day), Some(f64::from(10 + day % 7 + day % 3)))).collect()
}

/// An ordinary series with another value at some days.
fn with_value(start: i32, value: impl Fn(i32) -> Option<f64>) -> Vec<Row> {
    (0..DAYS).map(|day| (Some(start + day), value(day))).collect()
}

/// An ordinary series with one value replaced in the middle.
fn with_one(start: i32, value: Option<f64>) -> Vec<Row> {
    let mut rows = clean(start);
    rows[DAYS as usize / 2].1 = value;
    rows
}

/// Series with bad values.
fn bad_values(start: i32) -> Vec<BadSeries> {
    let series = |kind, rows, any_of| BadSeries { kind, rows, any_of };
    let huge = |day| Some(if day % 2 == 0 { 1e308 } else { -1e308 });
    vec![
        series("control", clean(start), &["ok"]),
        series("one_observation", clean(start)[..1].to_vec(), &["no_frequency"]),
        series("all_zeros", with_value(start, |_| Some(0.0)), &["ok", "fallback"]),
        series("constant", with_value(start, |_| Some(5.0)), &["ok", "fallback"]),
        series("nan", with_one(start, Some(f64::NAN)), &["not_finite"]),
        series("infinity", with_one(start, Some(f64::INFINITY)), &["not_finite"]),
        series("negative_infinity", with_one(start, Some(f64::NEG_INFINITY)), &["not_finite"]),
        series("negative", with_value(start, |day| Some(f64::from(day % 7 - 3))), &["ok"]),
        // The mean of such values is a number; what lies around it, an interval, is not.
        series("huge", with_value(start, huge), &["ok", "overflow"]),
        series("null_value", with_one(start, None), &["null_value"]),
        series("all_values_null", with_value(start, |_| None), &["null_value"]),
        series("null_id", clean(start), &["null_id"]),
    ]
}

/// Series with bad times.
fn bad_times(start: i32) -> Result<Vec<BadSeries>> {
    let series = |kind, rows, any_of| BadSeries { kind, rows, any_of };
    let mut null_time = clean(start);
    null_time[DAYS as usize / 2].0 = None;
    let mut duplicate = clean(start);
    duplicate.insert(40, (Some(start + 39), Some(99.0)));
    let mut gap = clean(start);
    gap.drain(30..35);
    // 37 and 84 have no common factor, so this visits every day once, out of order.
    let unsorted = (0..DAYS).map(|day| clean(start)[(day * 37 % DAYS) as usize]).collect();
    // Weeks, then every ten days: neither step is a multiple of the other.
    let weeks = (0..20).map(|week| start + 7 * week);
    let mixed = weeks.chain((1..=20).map(|step| start + 133 + 10 * step));
    let first = day_number(1, 1, 1)?;
    let last = day_number(9999, 12, 31)?;
    let (year_1, year_9999) = (first..first + DAYS, last - DAYS + 1..last + 1);
    Ok(vec![
        series("null_time", null_time, &["null_time"]),
        series("duplicate_time", duplicate, &["duplicate_time"]),
        series("unsorted", unsorted, &["ok"]),
        series("gap", gap, &["gap"]),
        series("mixed_frequency", on_days(mixed), &["mixed_frequency", "gap"]),
        series("year_1", on_days(year_1.clone()), &["ok", "out_of_range"]),
        // The horizon would leave the calendar.
        series("year_9999", on_days(year_9999.clone()), &["out_of_range"]),
        // Filling the gap would take ten thousand years of days.
        series("years_1_and_9999", on_days(year_1.chain(year_9999)), &["gap", "mixed_frequency", "out_of_range"]),
    ])
}

/// A weekly pattern on the given days.
fn on_days(days: impl Iterator<Item = i32>) -> Vec<Row> {
    days.enumerate().map(|(index, day)| (Some(day), Some(10.0 + (index % 7) as f64))).collect()
}

fn day_number(year: i32, month: u32, day: u32) -> Result<i32> {
    NaiveDate::from_ymd_opt(year, month, day)
        .map(date32)
        .ok_or_else(|| Error::Options(format!("bug in lakecast, please report it: no such date, year={year}")))
}

fn write_sales(output: &Output, start: i32, files: &mut Vec<WrittenFile>, entries: &mut Vec<DirtyEntry>) -> Result<()> {
    for BadSeries { kind, rows, any_of } in bad_values(start).into_iter().chain(bad_times(start)?) {
        let sku = (kind != "null_id").then(|| format!("DIRTY-{kind}"));
        let path = format!("sales_dirty/{kind}.parquet");
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter(rows.iter().map(|_| sku.as_deref()))),
            Arc::new(Date32Array::from_iter(rows.iter().map(|row| row.0))),
            Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.1))),
        ];
        let batch = nullable([("sku", DataType::Utf8), ("ds", DataType::Date32), ("qty", DataType::Float64)], columns)?;
        files.push(output.batch(&path, &batch)?);
        let expected = Expected::Status { any_of: any_of.iter().map(|status| (*status).to_owned()).collect() };
        entries.push(DirtyEntry { kind: kind.to_owned(), path, sku, rows: rows.len() as u64, expected });
    }
    Ok(())
}

/// A batch whose columns may all be null.
fn nullable<const N: usize>(fields: [(&str, DataType); N], columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    let fields: Vec<Field> = fields.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// Lines of baskets: order id and item.
fn lines(rows: &[(Option<i64>, Option<&str>)]) -> Result<RecordBatch> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.0))),
        Arc::new(StringArray::from_iter(rows.iter().map(|row| row.1))),
    ];
    nullable([("order_id", DataType::Int64), ("sku", DataType::Utf8)], columns)
}

/// Orders 1..=20 of bread and butter and 21..=30 of bread, then one bad basket per file.
fn write_order_lines(output: &Output, files: &mut Vec<WrittenFile>, entries: &mut Vec<DirtyEntry>) -> Result<()> {
    let pairs = (1..=20).flat_map(|order| [(Some(order), Some("bread")), (Some(order), Some("butter"))]);
    let ordinary: Vec<_> = pairs.chain((21..=30).map(|order| (Some(order), Some("bread")))).collect();
    let duplicates =
        [(Some(32), Some("bread")), (Some(32), Some("butter")), (Some(32), Some("bread")), (Some(32), Some("bread"))];
    let bulk: Vec<String> = (1..LARGE_BASKET_ITEMS).map(|item| format!("BULK-{item:06}")).collect();
    let large: Vec<_> = bulk.iter().map(String::as_str).chain(["bread"]).map(|item| (Some(33), Some(item))).collect();
    let count =
        |items: &[&str], count| ItemsetCount { items: items.iter().map(|item| (*item).to_owned()).collect(), count };
    let counts =
        vec![count(&["bread"], 32), count(&["butter"], 21), count(&["bread", "butter"], 21), count(&["milk"], 1)];
    for (kind, rows) in [
        ("ordinary_baskets", &ordinary[..]),
        ("basket_of_one_item", &[(Some(31), Some("milk"))]),
        ("duplicate_items", &duplicates),
        ("basket_of_100000_items", &large),
    ] {
        let path = format!("order_lines_dirty/{kind}.parquet");
        files.push(output.batch(&path, &lines(rows)?)?);
        let expected = Expected::Itemsets { baskets: 33, counts: counts.clone() };
        entries.push(DirtyEntry { kind: kind.to_owned(), path, sku: None, rows: rows.len() as u64, expected });
    }
    Ok(())
}

/// An ordinary sales table with a quantity column of choice.
fn sales_with(start: i32, quantity: Option<(&str, ArrayRef)>) -> Result<RecordBatch> {
    let sku: ArrayRef = Arc::new(StringArray::from_iter_values((0..DAYS).map(|_| "SKU-0000001")));
    let ds: ArrayRef = Arc::new(Date32Array::from_iter_values((0..DAYS).map(|day| start + day)));
    match quantity {
        None => nullable([("sku", DataType::Utf8), ("ds", DataType::Date32)], vec![sku, ds]),
        Some((name, values)) => {
            let kind = values.data_type().clone();
            nullable([("sku", DataType::Utf8), ("ds", DataType::Date32), (name, kind)], vec![sku, ds, values])
        }
    }
}

/// Tables that cannot be used as a whole.
fn write_broken_tables(
    output: &Output,
    start: i32,
    files: &mut Vec<WrittenFile>,
    entries: &mut Vec<DirtyEntry>,
) -> Result<()> {
    let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values((0..DAYS).map(|day| 10 + day % 7)));
    let words: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..DAYS).map(|day| format!("about {}", 10 + day % 7))));
    let good = sales_with(start, Some(("qty", Arc::clone(&numbers))))?;
    let text = sales_with(start, Some(("qty", words)))?;
    let null_item = lines(&[(Some(1), Some("bread")), (Some(1), None), (Some(2), Some("bread"))])?;
    let null_basket = lines(&[(Some(1), Some("bread")), (None, Some("bread")), (Some(2), Some("bread"))])?;
    let error =
        |mentions: &[&str]| Expected::Error { mentions: mentions.iter().map(|part| (*part).to_owned()).collect() };
    for (kind, batches, expected) in [
        ("different_schemas", vec![good.clone(), text.clone()], error(&["qty"])),
        ("empty_table", vec![good.slice(0, 0)], Expected::NoRows),
        ("misspelt_column", vec![sales_with(start, Some(("qyt", numbers)))?], error(&["qty", "qyt"])),
        ("missing_column", vec![sales_with(start, None)?], error(&["qty"])),
        ("wrong_type", vec![text], error(&["qty"])),
        ("null_item", vec![null_item], error(&["null", "sku"])),
        ("null_basket", vec![null_basket], error(&["null", "order_id"])),
    ] {
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        for (index, batch) in batches.iter().enumerate() {
            files.push(output.batch(&format!("dirty/{kind}/part-{index}.parquet"), batch)?);
        }
        entries.push(DirtyEntry { kind: kind.to_owned(), path: format!("dirty/{kind}"), sku: None, rows, expected });
    }
    let whole = output.batch("dirty/truncated_file/part-0.parquet", &good)?;
    let bytes = output.read(&whole.path)?;
    files.push(output.bytes("dirty/truncated_file/part-1.parquet", &bytes[..bytes.len() / 2])?);
    entries.push(DirtyEntry {
        kind: "truncated_file".to_owned(),
        path: "dirty/truncated_file".to_owned(),
        sku: None,
        rows: whole.rows,
        expected: error(&["part-1.parquet"]),
    });
    files.push(whole);
    Ok(())
}
