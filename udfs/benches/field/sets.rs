//! The shared sets: training rows as record batches, and what came after.  In: a folder. Out: series.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, RecordBatch, StringArray};
use arrow::compute::{SortColumn, cast, concat_batches, lexsort_to_indices, take};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How a set is used: name, horizon, season of the models, season of MASE, whether RMSSE is its measure.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    folder: &'static str,
    /// Monday from which days are summed to whole weeks, a week without a row being zero; days since 1970.
    weeks_from: Option<i32>,
    pub(crate) horizon: usize,
    pub(crate) season_length: usize,
    pub(crate) mase_season: usize,
    pub(crate) is_demand: bool,
}

const fn set(name: &'static str, horizon: usize, season_length: usize, mase_season: usize, is_demand: bool) -> Set {
    Set { name, folder: name, weeks_from: None, horizon, season_length, mase_season, is_demand }
}

/// As in the peers' script.
pub(crate) const SETS: &[Set] = &[
    set("m5", 28, 7, 7, true),
    set("m3_monthly", 18, 12, 12, false),
    set("m3_yearly", 6, 1, 1, false),
    set("m4_yearly", 6, 1, 1, false),
    set("m4_weekly", 13, 1, 1, false),
    set("tourism_quarterly", 8, 4, 4, false),
    set("carparts", 6, 12, 12, true),
    set("hospital", 12, 12, 12, false),
    set("rossmann_top100", 42, 7, 7, false),
    set("nn5_daily", 56, 7, 7, false),
    set("oj_weekly", 8, 1, 1, true),
    set("pbs_monthly", 12, 12, 12, false),
    // Its days without a row are no observations but zeros. From 29 November 2010.
    Set { folder: "online_retail_daily", weeks_from: Some(14_942), ..set("online_retail_weekly", 8, 1, 1, true) },
];

/// One series of a set.
pub(crate) struct Series {
    pub(crate) id: String,
    pub(crate) rows: RecordBatch,
    pub(crate) train: Vec<f64>,
    pub(crate) actual: Vec<f64>,
    /// The organisers' Naive2 forecast, if they published one.
    pub(crate) naive2: Option<Vec<f64>>,
    pub(crate) weight: Option<f64>,
}

/// Reads a set; at most `limit` series, evenly spread over the ids.
pub(crate) fn read(data: &Path, set: &Set, limit: usize) -> Result<Vec<Series>> {
    let folder = data.join(set.folder);
    let (train, test) = if folder.join("train.parquet").exists() {
        (table(&folder.join("train.parquet"))?, Some(table(&folder.join("test.parquet"))?))
    } else {
        let days = table(&folder.join("data.parquet"))?;
        (set.weeks_from.map_or(Ok(days.clone()), |monday| weeks(&days, monday))?, None)
    };
    let naive2 = lookup(&folder.join("published_forecasts.parquet"), &["Naive2", "NAIVE2"])?;
    let weights = lookup(&folder.join("weights.parquet"), &["weight"])?;
    let test = test.map(|t| groups(&t)).transpose()?.unwrap_or_default();
    let mut out = vec![];
    for (i, (id, rows)) in groups(&train)?.into_iter().enumerate() {
        let y = rows.column(2).as_primitive::<Float64Type>().values().to_vec();
        let (rows, train, actual) = match test.get(i) {
            Some((other, after)) if *other == id => {
                let after = after.column(2).as_primitive::<Float64Type>().values();
                (rows, y, after[..set.horizon.min(after.len())].to_vec())
            }
            Some(_) => return Err(format!("{}: train and test hold different series", set.name).into()),
            None => {
                let least = 2 * set.season_length + set.horizon + 3;
                if y.len() < least {
                    continue;
                }
                let cut = y.len() - set.horizon;
                (rows.slice(0, cut), y[..cut].to_vec(), y[cut..].to_vec())
            }
        };
        let find = |of: &[(String, Vec<f64>)]| {
            of.binary_search_by(|(other, _)| other.cmp(&id)).ok().map(|at| of[at].1.clone())
        };
        let naive2 = find(&naive2).map(|mut path| {
            path.truncate(set.horizon);
            path
        });
        let weight = find(&weights).map(|w| w[0]);
        out.push(Series { id, rows, train, actual, naive2, weight });
    }
    if limit > 0 && limit < out.len() {
        let every = out.len() as f64 / limit as f64;
        let chosen: std::collections::HashSet<_> = (0..limit).map(|k| (k as f64 * every) as usize).collect();
        let mut i = 0;
        out.retain(|_| {
            i += 1;
            chosen.contains(&(i - 1))
        });
    }
    Ok(out)
}

/// Id, time and value of a file, sorted.
fn table(path: &Path) -> Result<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()?;
    let batches = reader.collect::<std::result::Result<Vec<_>, _>>()?;
    let all = concat_batches(&batches[0].schema(), &batches)?;
    let column = |name: &str| all.column_by_name(name).cloned().ok_or(format!("no column {name}"));
    let id = cast(&column("unique_id")?, &DataType::Utf8)?;
    let (ds, y) = (column("ds")?, cast(&column("y")?, &DataType::Float64)?);
    let sort = |values: &ArrayRef| SortColumn { values: Arc::clone(values), options: None };
    let order = lexsort_to_indices(&[sort(&id), sort(&ds)], None)?;
    let columns = [id, ds, y].map(|c| take(&c, &order, None));
    let columns = columns.into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
    let fields = ["unique_id", "ds", "y"].iter().zip(&columns);
    let fields = fields.map(|(name, c)| Field::new(*name, c.data_type().clone(), true)).collect::<Vec<_>>();
    // Times without rows and rows without value are cleaned by the engine; here they are just left out.
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    let y = rows.column(2).as_primitive::<Float64Type>();
    let keep = (0..rows.num_rows()).map(|i| Some(y.is_valid(i) && y.value(i).is_finite())).collect();
    Ok(arrow::compute::filter_record_batch(&rows, &keep)?)
}

/// Sums of whole weeks from `monday` on, from the first week of each series with a row to the last week that all have.
fn weeks(days: &RecordBatch, monday: i32) -> Result<RecordBatch> {
    let week = cast(days.column(1), &DataType::Int32)?;
    let week: Vec<i32> = week.as_primitive::<Int32Type>().values().iter().map(|d| (d - monday).div_euclid(7)).collect();
    let y = days.column(2).as_primitive::<Float64Type>().values();
    // The last week is cut short.
    let end = week.iter().copied().max().unwrap_or(0);
    let (mut ids, mut steps, mut sums) = (vec![], vec![], vec![]);
    for range in arrow::compute::partition(&days.columns()[..1])?.ranges() {
        let first = week[range.start];
        let mut sum = vec![0.0; usize::try_from(end - first)?];
        for row in range.clone().filter(|row| week[*row] < end) {
            sum[usize::try_from(week[row] - first)?] += y[row];
        }
        ids.extend(std::iter::repeat_n(days.column(0).as_string::<i32>().value(range.start), sum.len()));
        steps.extend(first..end);
        sums.extend(sum);
    }
    let columns: [(_, ArrayRef, _); 3] = [
        ("unique_id", Arc::new(StringArray::from(ids)), true),
        ("ds", Arc::new(Int32Array::from(steps)), true),
        ("y", Arc::new(Float64Array::from(sums)), true),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

fn groups(rows: &RecordBatch) -> Result<Vec<(String, RecordBatch)>> {
    let ranges = arrow::compute::partition(&rows.columns()[..1])?.ranges();
    let ids = rows.column(0).as_string::<i32>();
    Ok(ranges.into_iter().map(|r| (ids.value(r.start).to_string(), rows.slice(r.start, r.len()))).collect())
}

/// One value column by id, in the order of the rows; empty if there is no such file.
fn lookup(path: &Path, names: &[&str]) -> Result<Vec<(String, Vec<f64>)>> {
    if !path.exists() {
        return Ok(vec![]);
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()?;
    let mut by_id = std::collections::BTreeMap::<String, Vec<(i64, f64)>>::new();
    for batch in reader {
        let batch = batch?;
        let ids = cast(batch.column_by_name("unique_id").ok_or("no unique_id")?, &DataType::Utf8)?;
        let ids: &StringArray = ids.as_string();
        let value = names.iter().find_map(|n| batch.column_by_name(n)).ok_or("no value column")?;
        let value = cast(value, &DataType::Float64)?;
        let value: &Float64Array = value.as_primitive();
        let step = batch.column_by_name("h").map(|h| cast(h, &DataType::Int64)).transpose()?;
        for row in 0..batch.num_rows() {
            let h = step.as_ref().map_or(0, |h| h.as_primitive::<arrow::datatypes::Int64Type>().value(row));
            by_id.entry(ids.value(row).into()).or_default().push((h, value.value(row)));
        }
    }
    Ok(by_id
        .into_iter()
        .map(|(id, mut v)| {
            v.sort_by_key(|(h, _)| *h);
            (id, v.into_iter().map(|(_, x)| x).collect())
        })
        .collect())
}
