//! `lakecast generate`: a deterministic marketplace, as dbgen is for TPC-H.
//! In: `GenerateOptions`. Out: the tables sales, order_lines, items and calendar, and the truth behind them.
//!
//! | path | what it holds |
//! |---|---|
//! | `sales/` | sku, ds, qty, price, promo, in_stock: one row per SKU and day between its launch and its end, sorted |
//! | `order_lines/` | order_id, sku, quantity, ds: distinct items per order, sorted by order |
//! | `items/` | sku, name, department, category, base_price, launch_date, end_date, class |
//! | `calendar/` | ds, holiday, event, for the history and the days behind it |
//! | `truth/` | `planted_rules.json`, `classes.json`, `options.json`, and `dirty.json` when dirt was asked for |
//! | `sales_dirty/`, `order_lines_dirty/`, `dirty/` | only with `dirty`: see `dirty.rs` |
//!
//! Sales and orders are drawn independently: orders do not add up to sales and do not know stock-outs. They share the
//! items, their popularity, their launch and their end.
//!
//! Memory is bounded by the threads, not by the SKUs: a thread holds one batch and one row group. On top come 8 bytes per
//! SKU for the popularity law of the baskets.

mod baskets;
mod calendar;
mod catalog;
mod demand;
mod dirty;
mod files;
mod parallel;
mod random;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{Datelike, Days, NaiveDate};
use serde::{Deserialize, Serialize};

pub use baskets::PlantedRule;
pub use catalog::DemandClass;
pub use dirty::{DirtyEntry, Expected, ItemsetCount};
pub use files::WrittenFile;

use baskets::Baskets;
use calendar::Day;
use catalog::Catalog;
use demand::Sales;
use files::Output;

/// Result of everything in this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a marketplace was not generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option is out of its range: change it.
    #[error("{0}")]
    Options(String),
    /// The output directory holds files: nothing is overwritten.
    #[error("the output directory is not empty: remove it or name another, path={}", path.display())]
    OutputNotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot write the marketplace: free space or choose another output directory, path={}", path.display())]
    Output {
        /// File or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Parquet could not be written.
    #[error("cannot write Parquet: free space or choose another output directory, cause={0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Arrow refused a column.
    #[error("bug in lakecast, please report it: arrow refused a generated column, cause={0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A truth file could not be encoded.
    #[error("bug in lakecast, please report it: a truth file cannot be encoded, cause={0}")]
    Json(#[from] serde_json::Error),
}

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerateOptions {
    /// Number of SKUs; default 1,000, range 1..=99,999,999.
    pub skus: u64,
    /// Days of history; default 730, range 1..=36,525.
    pub days: u32,
    /// Number of baskets; default 20,000, range 0..=1,000,000,000,000.
    pub baskets: u64,
    /// Seed of everything random; default 1. The same seed and options give the same bytes.
    pub seed: u64,
    /// Also write bad input of every kind; default false.
    pub dirty: bool,
    /// First day of the history; by default such that the last day is [`LAST_DATE`]; range 1900-01-01..=2200-12-31.
    pub start_date: NaiveDate,
    /// Output directory, absent or empty.
    pub out: PathBuf,
}

/// Last day of a history whose start is not given: Sunday, 2026-11-22.
pub const LAST_DATE: NaiveDate = match NaiveDate::from_ymd_opt(2026, 11, 22) {
    Some(date) => date,
    None => NaiveDate::MAX,
};

const SKUS_MAX: u64 = 99_999_999;
const DAYS_MAX: u32 = 36_525;
const BASKETS_MAX: u64 = 1_000_000_000_000;
/// Rows at which a batch goes to the writer, and at most in a sales file.
const BATCH_ROWS: usize = 1 << 16;
const SALES_ROWS_PER_FILE: u64 = 2_000_000;
/// Baskets at most in a file and in a batch.
const BASKETS_PER_FILE: u64 = 200_000;
const BASKETS_PER_BATCH: u64 = 10_000;
/// Small tables too come in several files, as those of a lake do.
const FILES_WANTED: u64 = 8;

impl GenerateOptions {
    /// Options with defaults for everything but the output directory and the days of history.
    ///
    /// Errors: `Options` when `days` is out of range.
    pub fn new(out: impl Into<PathBuf>, days: u32) -> Result<Self> {
        let start_date = Self::start_date_for(days)?;
        Ok(Self { skus: 1_000, days, baskets: 20_000, seed: 1, dirty: false, start_date, out: out.into() })
    }

    /// The first day of a history of so many days that ends on [`LAST_DATE`].
    ///
    /// Errors: `Options` when `days` is out of range.
    pub fn start_date_for(days: u32) -> Result<NaiveDate> {
        in_range("days", u64::from(days), 1, u64::from(DAYS_MAX))?;
        LAST_DATE
            .checked_sub_days(Days::new(u64::from(days) - 1))
            .ok_or_else(|| Error::Options(format!("days out of range: days={days}, allowed=1..={DAYS_MAX}")))
    }

    fn check(&self) -> Result<()> {
        in_range("skus", self.skus, 1, SKUS_MAX)?;
        in_range("days", u64::from(self.days), 1, u64::from(DAYS_MAX))?;
        in_range("baskets", self.baskets, 0, BASKETS_MAX)?;
        if !(1900..=2200).contains(&self.start_date.year()) {
            let given = self.start_date;
            return Err(Error::Options(format!(
                "start_date out of range: start_date={given}, allowed=1900-01-01..=2200-12-31"
            )));
        }
        Ok(())
    }
}

fn in_range(name: &str, given: u64, low: u64, high: u64) -> Result<()> {
    if (low..=high).contains(&given) {
        return Ok(());
    }
    Err(Error::Options(format!("{name} out of range: {name}={given}, allowed={low}..={high}")))
}

/// How far a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The table being written: `sales`, `order_lines` or `items`.
    pub table: &'static str,
    /// SKUs (baskets for `order_lines`) done and in all.
    pub done: u64,
    /// SKUs (baskets for `order_lines`) in all.
    pub total: u64,
}

/// What was generated.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// Every file, sorted by path.
    pub files: Vec<WrittenFile>,
    /// Rows of all tables.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// The planted rules, as in `truth/planted_rules.json`.
    pub rules: Vec<PlantedRule>,
    /// The classes, as in `truth/classes.json`.
    pub classes: Classes,
}

impl Generated {
    /// Rows of one table, by its folder: `generated.table_rows("sales")`.
    pub fn table_rows(&self, table: &str) -> u64 {
        self.files.iter().filter(|file| file.path.split('/').next() == Some(table)).map(|file| file.rows).sum()
    }
}

/// Demand classes of all SKUs: what was planted, and what the drawn series turned out to be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    /// SKUs by the class they were given.
    pub planted: BTreeMap<DemandClass, u64>,
    /// SKUs by the class of their series, with cut-offs 1.32 for the interval and 0.49 for CV2.
    pub observed: BTreeMap<DemandClass, u64>,
}

impl Classes {
    fn add(&mut self, planted: DemandClass, observed: DemandClass) {
        *self.planted.entry(planted).or_default() += 1;
        *self.observed.entry(observed).or_default() += 1;
    }

    fn merge(&mut self, other: &Self) {
        for (class, count) in &other.planted {
            *self.planted.entry(*class).or_default() += count;
        }
        for (class, count) in &other.observed {
            *self.observed.entry(*class).or_default() += count;
        }
    }
}

/// The options as they stand in `truth/options.json`.
#[derive(Debug, Serialize)]
struct OptionsTruth {
    skus: u64,
    days: u32,
    baskets: u64,
    seed: u64,
    dirty: bool,
    start_date: String,
    last_date: String,
}

/// Generates a marketplace below `options.out`.
///
/// `progress` is called on the calling thread, in no particular rhythm. Uses one thread per processor; the bytes do not
/// depend on their number. Cost: see the module page for memory; time grows with skus x days and with baskets.
///
/// Errors: `Options`, `OutputNotEmpty`, `Output` and `Parquet` say what to change; files written so far stay.
pub fn generate(options: &GenerateOptions, progress: &mut dyn FnMut(Progress)) -> Result<Generated> {
    options.check()?;
    let history = calendar::days(options.start_date, options.days)?;
    let listed = calendar::days(options.start_date, options.days + calendar::DAYS_AFTER_HISTORY)?;
    let catalog = Catalog::new(options);
    let output = Output::create(&options.out)?;

    let mut files = vec![output.batch("calendar/part-00000.parquet", &calendar::table(&listed)?)?];
    files.push(write_items(&output, &catalog, options.start_date, progress)?);
    let (sales, classes) = write_sales(&output, &catalog, options.seed, &history, progress)?;
    files.extend(sales);
    let model = Baskets::new(options.seed, options.baskets, &catalog, &history);
    files.extend(write_order_lines(&output, &model, options.baskets, progress)?);
    let rules = model.planted_rules();
    if options.dirty {
        files.extend(dirty::write(&output, options.start_date)?);
    }
    files.push(output.json("truth/planted_rules.json", &rules)?);
    files.push(output.json("truth/classes.json", &classes)?);
    files.push(output.json("truth/options.json", &options_truth(options, &history))?);
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let (rows, bytes) = files.iter().fold((0, 0), |(rows, bytes), file| (rows + file.rows, bytes + file.bytes));
    Ok(Generated { files, rows, bytes, rules, classes })
}

/// Reads `truth/planted_rules.json` of a generated marketplace.
///
/// Errors: `Output` when the file cannot be read, `Json` when it is no such file.
pub fn read_planted_rules(out: &Path) -> Result<Vec<PlantedRule>> {
    let path = out.join("truth").join("planted_rules.json");
    let text = std::fs::read(&path).map_err(|source| Error::Output { path, source })?;
    Ok(serde_json::from_slice(&text)?)
}

fn options_truth(options: &GenerateOptions, history: &[Day]) -> OptionsTruth {
    OptionsTruth {
        skus: options.skus,
        days: options.days,
        baskets: options.baskets,
        seed: options.seed,
        dirty: options.dirty,
        start_date: options.start_date.to_string(),
        last_date: history.last().map_or(options.start_date, |day| day.date).to_string(),
    }
}

fn part(table: &str, index: u64) -> String {
    format!("{table}/part-{index:05}.parquet")
}

fn write_items(
    output: &Output,
    catalog: &Catalog,
    start: NaiveDate,
    progress: &mut dyn FnMut(Progress),
) -> Result<WrittenFile> {
    let total = catalog.len();
    let mut file = None;
    let mut first = 0;
    while first < total {
        let end = (first + BATCH_ROWS as u64).min(total);
        let batch = catalog.table(start, first..end)?;
        if file.is_none() {
            file = Some(output.table(&part("items", 0), batch.schema())?);
        }
        if let Some(file) = &mut file {
            file.write(&batch)?;
        }
        first = end;
        progress(Progress { table: "items", done: first, total });
    }
    match file {
        Some(file) => file.finish(),
        None => Err(Error::Options("no SKU to generate: ask for at least one, skus=0".to_owned())),
    }
}

fn write_sales(
    output: &Output,
    catalog: &Catalog,
    seed: u64,
    days: &[Day],
    progress: &mut dyn FnMut(Progress),
) -> Result<(Vec<WrittenFile>, Classes)> {
    let total = catalog.len();
    let per_file = total.div_ceil(FILES_WANTED).min((SALES_ROWS_PER_FILE / days.len() as u64).max(1));
    let mut done = 0;
    let write = |index: u64, advance: &dyn Fn(u64)| {
        let mut file = output.table(&part("sales", index), Sales::schema())?;
        let mut sales = Sales::with_capacity(BATCH_ROWS + days.len());
        let mut classes = Classes::default();
        for number in index * per_file..((index + 1) * per_file).min(total) {
            let item = catalog.item(number);
            let observed = demand::append(&mut sales, &item, &catalog.sku(number), total, seed, days);
            classes.add(item.class, observed);
            if sales.len() >= BATCH_ROWS {
                file.write(&sales.take()?)?;
            }
            advance(1);
        }
        file.write(&sales.take()?)?;
        Ok((file.finish()?, classes))
    };
    let parts = parallel::run(total.div_ceil(per_file), write, &mut |skus| {
        done += skus;
        progress(Progress { table: "sales", done, total });
    })?;
    let mut classes = Classes::default();
    parts.iter().for_each(|(_, part)| classes.merge(part));
    Ok((parts.into_iter().map(|(file, _)| file).collect(), classes))
}

fn write_order_lines(
    output: &Output,
    model: &Baskets<'_>,
    total: u64,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<WrittenFile>> {
    let per_file = total.div_ceil(FILES_WANTED).clamp(1, BASKETS_PER_FILE);
    let mut done = 0;
    let write = |index: u64, advance: &dyn Fn(u64)| {
        let mut file = output.table(&part("order_lines", index), Baskets::schema())?;
        let end = ((index + 1) * per_file).min(total);
        let mut first = index * per_file;
        while first < end {
            let next = (first + BASKETS_PER_BATCH).min(end);
            file.write(&model.lines(first..next)?)?;
            advance(next - first);
            first = next;
        }
        file.finish()
    };
    // Without baskets the table still has one file, so that it can be read.
    parallel::run(total.div_ceil(per_file).max(1), write, &mut |baskets| {
        done += baskets;
        progress(Progress { table: "order_lines", done, total });
    })
}

#[cfg(test)]
mod tests;
