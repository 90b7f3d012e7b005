//! `pool_effects`: the pass before a forecast with `pool_by` that learns the effects of each group, and its look-up.
//!
//! In: the rows of the series of a group, ordered by the further pool columns, ids and time. Out: a row per pool, whose text
//! the workers of `forecast` are given whole.

use super::calendar::{Clock, Frequency};
use super::effects::{Options, Pool, Pooling, Scale};
use super::forecaster::Terms;
use super::function::{DUPLICATES, FILL, FREQ, HOLIDAYS, LEADING_ZEROS, SEASON_LENGTH, SPIKES};
use super::function::{cleaning, ladder};
use super::predictive::Asked;
use super::series::Layout;
use super::worker::{Plan, Worker};
use super::{Buffers, forecaster::Asking};
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome, Unlimited};
use crate::signature::{Class, Column, Kind, Output, Param, Role, Signature};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringBuilder, UInt32Array};
use arrow::compute::{cast, partition, take};
use arrow::datatypes::{DataType, Field, Int8Type};
use arrow::row::{OwnedRow, RowConverter, SortField};
use std::collections::HashMap;
use std::sync::Arc;

/// The argument of `forecast` that names the pool columns.
pub const POOL_BY: &str = "pool_by";
/// The table, read whole, in which `forecast` gets what `pool_effects` found: the pool columns, then the text.
pub const POOLS: &str = "pools";

/// Longest stretch of calendar that one pool covers, in steps; a series beyond it does not join.
const STRETCH_MAX: i64 = 1 << 20;
/// Calendars that are told apart in one group.
const CALENDARS_MAX: usize = 8;

/// `pool_effects`: effects of regressors and holidays over the series of each group. A step of `forecast`.
///
/// The first pool column is the key; a pool of all columns is drawn to the one of the first. Series on the calendar (pace and
/// stretch) that most of the group are on count; one that cannot be forecast does not, and has its status row in `forecast`.
/// Memory: one series, and for each pool of a group its stretch of calendar times the columns.
pub struct PoolEffects;

static SIGNATURE: Signature = Signature {
    name: "pool_effects",
    summary: "effects of regressors and holidays over the series of each group, to which forecast draws those of a series",
    columns: &[
        Column {
            name: "pool",
            role: Role::Key,
            class: Class::Exact,
            many: false,
            required: true,
            meaning: "the first pool column",
        },
        Column {
            name: "series",
            role: Role::Order,
            class: Class::Exact,
            many: true,
            required: true,
            meaning: "further pool columns, then the columns that tell series apart",
        },
        Column {
            name: "time",
            role: Role::Order,
            class: Class::Time,
            many: false,
            required: true,
            meaning: "as in forecast",
        },
        Column {
            name: "version",
            role: Role::Order,
            class: Class::Time,
            many: false,
            required: false,
            meaning: "as in forecast",
        },
        Column {
            name: "value",
            role: Role::Value,
            class: Class::Number,
            many: false,
            required: true,
            meaning: "as in forecast",
        },
        Column {
            name: "available",
            role: Role::Value,
            class: Class::Flag,
            many: false,
            required: false,
            meaning: "as in forecast",
        },
        Column {
            name: "regressors",
            role: Role::Value,
            class: Class::Measure,
            many: true,
            required: false,
            meaning: "as in forecast",
        },
    ],
    tables: &[HOLIDAYS],
    params: &[
        Param {
            name: "series_columns",
            kind: Kind::Integer { min: 1, max: 1_000 },
            default: Some("1"),
            meaning: "how many columns series has",
        },
        Param {
            name: "pool_columns",
            kind: Kind::Integer { min: 0, max: 999 },
            default: Some("0"),
            meaning: "how many of them are pool columns",
        },
        SEASON_LENGTH,
        FREQ,
        FILL,
        DUPLICATES,
        LEADING_ZEROS,
        SPIKES,
    ],
    output: &[
        Output { name: "<pool>", kind: "as the input", meaning: "the pool columns" },
        Output { name: "effects", kind: "string", meaning: "the effects of the group as JSON" },
    ],
};

/// Name of the output column with the text of a pool.
const TEXT: &str = "effects";

impl GroupFunction for PoolEffects {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn is_public(&self) -> bool {
        false
    }

    fn bind(&self, input: &GroupSchema, args: &Args) -> Result<Arc<dyn BoundFunction>> {
        let fields = input.schema.fields();
        let (series, pools) = (args.integer("series_columns")? as usize, args.integer("pool_columns")? as usize);
        let time = input.keys + series;
        let order = (series + 1..=series + 2).contains(&input.order);
        if !order || pools >= series || fields.len() != input.keys + input.order + input.values.len() {
            return Err(Error::Bug(format!(
                "pool_effects takes pools, ids, times and values: columns={}",
                fields.len()
            )));
        }
        let version = (input.order > series + 1).then_some(time + 1);
        let layout = Layout { keys: 0, time, version, ..Layout::of(input) };
        let clock = Clock::new(fields[time].data_type())?;
        // No model is asked for: the worker's checks, cleaning and calendar are all that is wanted of it.
        let terms = Terms {
            asking: Asking::Ladder(ladder("naive", false, 1)?),
            season_length: args.integer("season_length")? as usize,
            horizon: 0,
            asked: Asked::default(),
            non_negative: None,
        };
        let plan = Plan {
            frequency: Frequency::parse(args.text("freq")?, &clock)?,
            clock,
            terms: Arc::new(terms),
            cleaning: cleaning(args)?,
            refit_every: 1,
            arguments: 0,
            fitted: false,
            regressors: layout.regressors.iter().map(|&at| fields[at].name().clone()).collect(),
            holidays: input.sides.iter().any(|side| side == "holidays"),
            layout,
        };
        if !plan.has_effects() {
            return Err(Error::Argument(
                "forecast: pool_by needs `regressors => [..]` or `holidays => TABLE(..)`, whose effects it pools"
                    .into(),
            ));
        }
        let columns = fields.iter().skip(input.keys).take(series).map(|f| f.as_ref().clone()).collect();
        Ok(Arc::new(Bound { plan: Arc::new(plan), columns, keys: input.keys, pools }))
    }
}

#[derive(Clone)]
struct Bound {
    plan: Arc<Plan>,
    /// The further pool columns, then the ids.
    columns: Vec<Field>,
    keys: usize,
    pools: usize,
}

impl BoundFunction for Bound {
    fn output(&self) -> Vec<Field> {
        let pools = self.columns.iter().take(self.pools).cloned();
        pools.chain([Field::new(TEXT, DataType::Utf8, false)]).collect()
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        let converter = |n: usize| {
            RowConverter::new(self.columns.iter().take(n).map(|f| SortField::new(f.data_type().clone())).collect()).ok()
        };
        Box::new(PoolWorker {
            bound: self.clone(),
            worker: Worker::new(Arc::clone(&self.plan)),
            series: converter(self.columns.len()),
            pools: if self.pools > 0 { converter(self.pools) } else { None },
            id: None,
            pool: None,
            group: Gathering::default(),
            whole: Gathering::default(),
            ended: vec![],
            rows: vec![],
            texts: StringBuilder::new(),
            buffers: Buffers::default(),
        })
    }
}

/// Series on one calendar.
#[derive(Debug)]
struct Calendared {
    pace: (u8, i64),
    first: i64,
    end: i64,
    series: usize,
    pooling: Pooling,
}

/// The series of a group, by calendar.
#[derive(Debug, Default)]
struct Gathering(Vec<Calendared>);

impl Gathering {
    /// The part that a stretch of calendar belongs to; counts `series` more in it. `None`: there is no room for it.
    fn part(&mut self, pace: (u8, i64), stretch: (i64, i64), series: usize, options: Options) -> Option<&mut Pooling> {
        let (first, end) = stretch;
        let fits = |first: i64, end: i64| end.checked_sub(first).is_some_and(|steps| steps <= STRETCH_MAX);
        let near = |c: &Calendared| c.pace == pace && fits(c.first.min(first), c.end.max(end));
        let at = match self.0.iter().position(near) {
            Some(at) => at,
            None if self.0.len() < CALENDARS_MAX && fits(first, end) => {
                self.0.push(Calendared { pace, first, end, series: 0, pooling: Pooling::new(options) });
                self.0.len() - 1
            }
            None => return None,
        };
        let part = &mut self.0[at];
        (part.first, part.end, part.series) = (part.first.min(first), part.end.max(end), part.series + series);
        Some(&mut part.pooling)
    }

    /// The part with the most series, the first of equals.
    fn largest(&mut self) -> Option<Calendared> {
        let at = (0..self.0.len()).rev().max_by_key(|&at| self.0[at].series)?;
        let largest = self.0.swap_remove(at);
        self.0.clear();
        Some(largest)
    }

    fn memory_bytes(&self) -> usize {
        self.0.iter().map(|c| c.pooling.memory_bytes()).sum()
    }
}

struct PoolWorker {
    bound: Bound,
    /// Checks, cleans and lays out one series after the other.
    worker: Worker,
    series: Option<RowConverter>,
    pools: Option<RowConverter>,
    /// The series at hand, and its further pool columns.
    id: Option<OwnedRow>,
    pool: Option<OwnedRow>,
    /// The series of the pool at hand, and those of the key.
    group: Gathering,
    whole: Gathering,
    /// The pools of the key that are complete.
    ended: Vec<(Option<OwnedRow>, Option<Calendared>)>,
    rows: Vec<OwnedRow>,
    texts: StringBuilder,
    buffers: Buffers,
}

impl PoolWorker {
    fn options(&self) -> Options {
        let season_length = self.bound.plan.terms.season_length;
        Options { scale: Scale::Auto, season_length, lambda: Options::LAMBDA_POOL }
    }

    /// Adds the series at hand to its pool, if it can be used.
    fn end_series(&mut self) -> Result<()> {
        if self.id.take().is_none() {
            return Ok(());
        }
        let options = self.options();
        let group = &mut self.group;
        // What a series takes is told by `memory_bytes` after each batch, as no context is at hand here.
        let result = self.worker.pool(&Unlimited, |pace, first, steps| {
            group.part(pace, (first, first.saturating_add(steps as i64)), 1, options)
        });
        self.worker.clear();
        // What is wrong with a series is said by forecast.
        result.map(|_| ())
    }

    /// Ends the pool at hand.
    fn end_pool(&mut self) {
        let options = self.options();
        let found = self.group.largest();
        if let (Some(part), Some(_)) = (&found, &self.pools)
            && let Some(whole) = self.whole.part(part.pace, (part.first, part.end), part.series, options)
        {
            whole.merge(&part.pooling);
        }
        self.ended.push((self.pool.take(), found));
    }

    /// A series begins whose first row is `row`.
    fn begin(&mut self, rows: &RecordBatch, row: usize) -> Result<()> {
        let columns = rows.columns().iter().skip(self.bound.keys);
        if let Some(converter) = &self.pools {
            let of: Vec<ArrayRef> = columns.clone().take(self.bound.pools).map(|c| c.slice(row, 1)).collect();
            let pool = converter.convert_columns(&of)?.row(0).owned();
            if self.pool.as_ref().is_some_and(|p| *p != pool) {
                self.end_pool();
            }
            self.pool = Some(pool);
        }
        let mut ids = columns.zip(&self.bound.columns).skip(self.bound.pools);
        if let Some((_, field)) = ids.find(|(c, _)| c.is_null(row)) {
            self.worker.null_id(field.name());
        }
        Ok(())
    }
}

impl GroupWorker for PoolWorker {
    fn side(&mut self, name: &str, rows: &RecordBatch) -> Result<()> {
        self.worker.side(name, rows)
    }

    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        let first = self.bound.keys;
        let columns = &rows.columns()[first..first + self.bound.columns.len()];
        let ranges = partition(columns)?.ranges();
        let starts = UInt32Array::from_iter_values(ranges.iter().map(|r| r.start as u32));
        let heads = columns.iter().map(|c| take(c, &starts, None)).collect::<Result<Vec<_>, _>>()?;
        let Some(converter) = &self.series else { return Err(Error::Bug("ids cannot be compared".into())) };
        let heads = converter.convert_columns(&heads)?;
        for (range, head) in ranges.iter().zip(heads.iter()) {
            if self.id.as_ref().is_none_or(|id| id.row() != head) {
                self.end_series()?;
                self.id = Some(head.owned());
                self.begin(rows, range.start)?;
            }
            self.worker.push(&rows.slice(range.start, range.len()))?;
        }
        Ok(())
    }

    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome> {
        context.check_cancelled()?;
        self.end_series()?;
        self.end_pool();
        let whole = self.whole.largest();
        let parent = whole.as_ref().map(|w| w.pooling.finish(None, &mut self.buffers));
        let ended = std::mem::take(&mut self.ended);
        let outcome = Outcome { rows: ended.len(), refused: false };
        for (row, part) in ended {
            let like = whole.as_ref().is_none_or(|w| part.as_ref().is_none_or(|p| p.pace == w.pace));
            let parent = parent.as_ref().filter(|_| like);
            let pool = match part {
                Some(part) => part.pooling.finish(parent, &mut self.buffers),
                None => parent.cloned().unwrap_or_default(),
            };
            self.texts.append_value(pool.to_text());
            self.rows.extend(row);
        }
        Ok(outcome)
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        let mut columns = match &self.pools {
            Some(converter) => converter.convert_rows(self.rows.iter().map(|r| r.row()))?,
            None => vec![],
        };
        self.rows.clear();
        columns.push(Arc::new(self.texts.finish()));
        Ok(columns)
    }

    fn memory_bytes(&self) -> usize {
        let pools = self.ended.iter().filter_map(|(_, part)| part.as_ref()).map(|p| p.pooling.memory_bytes());
        let gathered = self.group.memory_bytes() + self.whole.memory_bytes() + pools.sum::<usize>();
        let rows = self.rows.iter().map(|r| r.as_ref().len() + size_of::<OwnedRow>()).sum::<usize>();
        self.worker.memory_bytes() + gathered + rows + 2 * self.texts.values_slice().len() + self.buffers.memory_bytes()
    }

    fn shed(&mut self) -> bool {
        // The series at hand does not join; the pools themselves stay.
        self.worker.shed()
    }
}

/// What `pool_effects` found, by the values of the pool columns, and which of them the series at hand has.
#[derive(Debug, Default)]
pub(super) struct Pools {
    converter: Option<RowConverter>,
    known: HashMap<Box<[u8]>, Pool>,
    bytes: usize,
    /// The first time of the series, and its pool columns there.
    first: Option<(i64, Box<[u8]>)>,
}

impl Pools {
    /// Reads the table: the pool columns, then the text.
    pub(super) fn read(rows: &RecordBatch) -> Result<Self> {
        let (texts, columns) = match rows.columns().split_last() {
            Some((texts, columns)) => (cast(texts, &DataType::Utf8)?, comparable(columns)?),
            None => return Err(Error::Bug("pools lack columns".into())),
        };
        let converter = RowConverter::new(columns.iter().map(|c| SortField::new(c.data_type().clone())).collect())?;
        let mut pools = Self::default();
        for (row, text) in converter.convert_columns(&columns)?.iter().zip(texts.as_string::<i32>()) {
            let text = text.unwrap_or_default();
            let pool = Pool::from_text(text).ok_or_else(|| Error::Bug(format!("no pool of effects: {text}")))?;
            // Names and numbers take about as much as their text.
            pools.bytes += 2 * text.len() + row.as_ref().len();
            pools.known.insert(row.as_ref().into(), pool);
        }
        pools.converter = Some(converter);
        Ok(pools)
    }

    /// Notes the pool columns of the series' first observed row; of several at its time, the least.
    pub(super) fn see(&mut self, rows: &RecordBatch, layout: &Layout, clock: &Clock) -> Result<()> {
        let Some(converter) = self.converter.as_ref().filter(|_| !layout.pools.is_empty() && rows.num_rows() > 0)
        else {
            return Ok(());
        };
        let times = rows.column(layout.time);
        let head = clock.integers(&times.slice(0, 1))?;
        if self.first.as_ref().is_some_and(|(first, _)| head.is_valid(0) && head.value(0) > *first) {
            return Ok(());
        }
        let times = clock.integers(times)?;
        let kinds = layout.kind.map(|at| rows.column(at).as_primitive::<Int8Type>());
        for row in (0..times.len()).filter(|&row| kinds.is_none_or(|k| k.value(row) == 0)) {
            let time = if times.is_valid(row) { times.value(row) } else { i64::MIN };
            if self.first.as_ref().is_some_and(|(first, _)| time > *first) {
                break;
            }
            let columns: Vec<_> = layout.pools.iter().map(|&at| rows.column(at).slice(row, 1)).collect();
            let key: Box<[u8]> = converter.convert_columns(&comparable(&columns)?)?.row(0).as_ref().into();
            if self.first.as_ref().is_none_or(|(_, least)| key < *least) {
                self.first = Some((time, key));
            }
        }
        Ok(())
    }

    /// The pool of the series at hand.
    pub(super) fn current(&self) -> Option<&Pool> {
        self.first.as_ref().and_then(|(_, key)| self.known.get(key))
    }

    /// Forgets the series.
    pub(super) fn clear(&mut self) {
        self.first = None;
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes
    }
}

/// Strings of one type, whatever the reader made of them.
fn comparable(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let one = |column: &ArrayRef| match column.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 => cast(column, &DataType::Utf8),
        _ => Ok(Arc::clone(column)),
    };
    Ok(columns.iter().map(one).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
