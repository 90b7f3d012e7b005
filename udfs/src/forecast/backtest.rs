//! The `backtest` group function: how well models would have forecast.
//!
//! In: the rows of each series and a list of models. Out: one row per series and model, or per origin of each.

mod events;
mod metrics;
mod origins;
mod output;
mod series;

pub use metrics::{METRICS, Metric, Sums};

use super::calendar::{Clock, Frequency};
use super::choice::pieces;
use super::clean::Duplicates;
use super::forecaster::{Asking, Terms};
use super::function::{self, AUTO};
use super::measure::{owned_by, unlike};
use super::predictive::Asked;
use super::series::{Layout, Series};
use super::status::{Refusal, Status};
use super::worker::Cleaning;
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome};
use crate::signature::{Class, Column, Kind, Param, Role, Signature};
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::Field;
use events::Wanted;
use origins::{Bench, Rolling, Score};
use output::Row;
use series::Steps;
use std::sync::Arc;

/// `backtest`: one series in, one row per model out, with the errors that it would have made.
///
/// Every model is fitted afresh at each of `origins` cutoffs, on the values before it and nothing else, and forecasts
/// `horizon` steps; the last cutoff is one horizon before the end of the series, the others `step` apart before it. Seasonal
/// naive (naive without a season) forecasts the same steps, for comparison. A series that is too short for all cutoffs takes
/// those it has: `origins` and `reason` say so.
///
/// The sums behind every measure are columns, so that SQL aggregates exactly, by any segment:
///
/// ```sql
/// SELECT department, model, sum(sum_absolute) / sum(sum_absolute_actual) AS wape,
///        sum(sum_absolute_scaled) / sum(n_scaled) AS mase, sum(covered_95) / sum(n_interval) AS coverage_95
/// FROM backtest(TABLE(sales), id => [department, sku], time => ds, value => qty, horizon => 28, season_length => 7,
///               models => 'ets_ana, naive', level => [80, 95])
/// GROUP BY department, model
/// ```
///
/// With `per => 'origin'` rows have a cutoff each, and the events of its horizon: whether it sells, whether demand exceeds
/// `stock`, where the mean goes. `classification_report` takes them:
///
/// ```sql
/// SELECT * FROM classification_report(
///   (SELECT model, sells_actual, sells_forecast
///    FROM backtest(TABLE(sales), id => sku, time => ds, value => qty, horizon => 7, per => 'origin')),
///   by => model, actual => sells_actual, predicted => sells_forecast)
/// ```
///
/// Time: that of `origins` forecasts for each model. Errors: none; what cannot be forecast is a row with a status.
pub struct Backtest;

static PARAMS: [Param; 17] = [
    as_in_forecast("horizon"),
    as_in_forecast("season_length"),
    as_in_forecast("freq"),
    Param {
        name: "models",
        kind: Kind::Text,
        default: Some("null"),
        meaning: "models with commas between, parameters in brackets: 'ets_ana, naive'; left out it is the default of \
                  forecast's model and seasonal_naive (naive without a season)",
    },
    as_in_forecast("level"),
    as_in_forecast("fill"),
    as_in_forecast("duplicates"),
    as_in_forecast("leading_zeros"),
    as_in_forecast("spikes"),
    as_in_forecast("non_negative"),
    as_in_forecast("fallback"),
    Param {
        name: "origins",
        kind: Kind::Integer { min: 1, max: 10_000 },
        default: Some("3"),
        meaning: "cutoffs at which every model is fitted afresh",
    },
    Param {
        name: "step",
        kind: Kind::Integer { min: 1, max: 10_000 },
        default: Some("null"),
        meaning: "steps between two cutoffs; left out it is the horizon, so that every step is forecast once",
    },
    Param {
        name: "scale_length",
        kind: Kind::Integer { min: 1, max: 10_000 },
        default: Some("null"),
        meaning: "distance of the values whose differences scale mase and rmsse; left out it is season_length; M5 takes 1",
    },
    Param {
        name: "per",
        kind: Kind::Choice(|| vec!["series", "origin"]),
        default: Some("\"series\""),
        meaning: "'series' one row per series and model; 'origin' one for each cutoff too, with its events",
    },
    Param {
        name: "probability",
        kind: Kind::Number { min: 0.0, max: 1.0 },
        default: Some("0.5"),
        meaning: "sells_forecast is true from this sells_probability on",
    },
    Param {
        name: "band",
        kind: Kind::Number { min: 0.0, max: 10.0 },
        default: Some("0.1"),
        meaning: "share of the last season's mean within which the horizon's mean counts as flat",
    },
];

static SIGNATURE: Signature = Signature {
    name: "backtest",
    summary: "how well models would have forecast: errors at rolling origins, per series and model",
    columns: &[
        column_of_forecast("id"),
        column_of_forecast("time"),
        column_of_forecast("value"),
        column_of_forecast("version"),
        Column {
            name: "stock",
            role: Role::Value,
            class: Class::Number,
            many: false,
            required: false,
            meaning: "units in stock after the time; the last known before a cutoff counts for the event stockout",
        },
        column_of_forecast("available"),
    ],
    tables: &[],
    params: &PARAMS,
    output: &output::OUTPUT,
};

/// The column argument of that name as `forecast` has it.
const fn column_of_forecast(name: &str) -> Column {
    let all = function::SIGNATURE.columns;
    let mut i = 0;
    while !same(all[i].name.as_bytes(), name.as_bytes()) {
        i += 1;
    }
    let Column { name, role, class, many, required, meaning } = all[i];
    Column { name, role, class, many, required, meaning }
}

/// The argument of that name as `forecast` has it.
const fn as_in_forecast(name: &str) -> Param {
    let all = function::SIGNATURE.params;
    let mut i = 0;
    while !same(all[i].name.as_bytes(), name.as_bytes()) {
        i += 1;
    }
    Param { name: all[i].name, kind: all[i].kind, default: all[i].default, meaning: all[i].meaning }
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

impl GroupFunction for Backtest {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn bind(&self, input: &GroupSchema, args: &Args) -> Result<Arc<dyn BoundFunction>> {
        let fields = input.schema.fields();
        let values = input.values.len().max(1);
        if !(1..=2).contains(&input.order) || fields.len() != input.keys + input.order + values {
            return Err(Error::Bug(format!("backtest takes keys, times and values: columns={}", fields.len())));
        }
        let plan = plan(input, args).map_err(|e| owned_by(SIGNATURE.name, e))?;
        unlike(SIGNATURE.name, fields.iter().take(input.keys), &plan.output())?;
        Ok(Arc::new(Bound(Arc::new(plan))))
    }
}

fn plan(input: &GroupSchema, args: &Args) -> Result<Plan> {
    let clock = Clock::new(input.schema.field(input.keys).data_type())?;
    let season_length = size(args, "season_length")?;
    let horizon = size(args, "horizon")?;
    let or = |name, default| if args.is_null(name)? { Ok(default) } else { size(args, name) };
    let fallback = args.text("fallback")? == "yes";
    let (levels, cleaning, non_negative) =
        (args.integers("level")?, function::cleaning(args)?, args.boolean("non_negative")?);
    // The stock travels as a column beside the values.
    let layout = Layout { regressors: input.positions("stock").collect(), ..Layout::of(input) };
    if cleaning.duplicates == Duplicates::Last && layout.version.is_none() {
        let next = "which tells which row of a time is the last";
        return Err(Error::Argument(format!("duplicates => 'last' needs `version => column`, {next}")));
    }
    let naive = if season_length > 1 { "seasonal_naive" } else { "naive" };
    let models = models(args, naive)?.iter().map(|m| asking(m, season_length, fallback)).collect::<Result<Vec<_>>>()?;
    if let Some(i) = (1..models.len()).find(|i| models[..*i].iter().any(|(name, _)| *name == models[*i].0)) {
        let name = &models[i].0;
        return Err(Error::Argument(format!("bad argument: name=models, a model is given twice: model={name}")));
    }
    let terms = |asking, levels| {
        let asked = Asked { levels, quantiles: vec![] };
        Arc::new(Terms { asking, season_length, horizon, asked, non_negative })
    };
    let base = if season_length > 1 { season_length } else { horizon };
    Ok(Plan {
        frequency: Frequency::parse(args.text("freq")?, &clock)?,
        clock,
        has_stock: !layout.regressors.is_empty(),
        layout,
        names: models.iter().map(|(name, _)| name.clone()).collect(),
        models: models.into_iter().map(|(_, asking)| terms(asking, levels.clone())).collect(),
        naive: terms(asking(naive, season_length, true)?.1, vec![]),
        cleaning,
        per_origin: args.text("per")? == "origin",
        rolling: Rolling {
            horizon,
            origins: size(args, "origins")?,
            step: or("step", horizon)?,
            scale_length: or("scale_length", season_length)?,
            levels,
            cap_spikes: cleaning.cap_spikes,
            season_length,
            events: Wanted { probability: args.number("probability")?, band: args.number("band")?, base },
        },
    })
}

fn size(args: &Args, name: &str) -> Result<usize> {
    usize::try_from(args.integer(name)?).map_err(|e| Error::Bug(format!("{e}: argument={name}")))
}

/// The models asked for, or the default ones. Errors: `Argument` if there is none.
fn models<'a>(args: &'a Args, naive: &'static str) -> Result<Vec<&'a str>> {
    if args.is_null("models")? {
        return Ok(vec![AUTO, naive]);
    }
    let given = args.text("models")?;
    let models: Vec<_> = pieces(given).map(str::trim).filter(|t| !t.is_empty()).collect();
    match models.is_empty() {
        false => Ok(models),
        true => {
            Err(Error::Argument(format!("bad argument: name=models, given='{given}', allowed=[at least one model]")))
        }
    }
}

/// A model as `forecast` asks for it, and its name.
fn asking(text: &str, season_length: usize, fallback: bool) -> Result<(String, Asking)> {
    if text == AUTO {
        return Ok((AUTO.into(), Asking::Auto));
    }
    let ladder = function::ladder(text, fallback, season_length)?;
    Ok((ladder[0].text.clone(), Asking::Ladder(ladder)))
}

/// The checked arguments of a call.
struct Plan {
    clock: Clock,
    layout: Layout,
    has_stock: bool,
    frequency: Frequency,
    names: Vec<String>,
    models: Vec<Arc<Terms>>,
    naive: Arc<Terms>,
    cleaning: Cleaning,
    per_origin: bool,
    rolling: Rolling,
}

impl Plan {
    fn output(&self) -> Vec<Field> {
        output::fields(&self.clock, &self.rolling.levels, self.per_origin, self.has_stock)
    }
}

struct Bound(Arc<Plan>);

impl BoundFunction for Bound {
    fn output(&self) -> Vec<Field> {
        self.0.output()
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        Box::new(Worker {
            plan: Arc::clone(&self.0),
            series: Series::default(),
            rows_in: 0,
            is_shed: false,
            steps: Steps::default(),
            bench: Bench::new(&self.0.models, &self.0.naive),
            done: Vec::new(),
        })
    }
}

struct Worker {
    plan: Arc<Plan>,
    series: Series,
    /// Rows of the series, held or not.
    rows_in: u64,
    /// Whether its rows are no longer held.
    is_shed: bool,
    steps: Steps,
    bench: Bench,
    done: Vec<Row>,
}

impl Worker {
    /// The rows of one series, or why there are none.
    fn rows(&mut self, context: &dyn GroupContext) -> Result<Result<Vec<Row>, Refusal>> {
        let plan = Arc::clone(&self.plan);
        if self.is_shed {
            return Ok(Err(self.series.take_grave().unwrap_or_else(|| self.too_large())));
        }
        if let Some(down) = self.series.times.windows(2).find(|w| w[1] < w[0]) {
            let (before, after) = (down[0], down[1]);
            return Err(Error::Bug(format!("rows of a group arrived out of order: before={before}, after={after}")));
        }
        // Positions, values and stock, and what a model makes of them.
        match context.reserve(self.memory_bytes() + 8 * 5 * self.series.times.len()) {
            Err(Error::Limit(_)) => return Ok(Err(self.too_large())),
            done => done?,
        }
        let calendar = match self.steps.lay_out(&mut self.series, &plan.clock, plan.frequency, plan.cleaning) {
            Ok(calendar) => calendar,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let n = self.steps.y.len();
        if n <= plan.rolling.horizon {
            let least = plan.rolling.horizon + 1;
            return Ok(Err(Refusal::new(Status::TooShort, format!("one origin needs n>={least}, has n={n}"))));
        }
        self.bench.compare_with(&self.steps.y, &plan.rolling);
        let mut rows = Vec::new();
        for (model, name) in plan.names.iter().enumerate() {
            let mut total = Row::of(name);
            for origin in plan.rolling.cutoffs(n).enumerate() {
                context.check_cancelled()?;
                let cutoff = calendar.at(&plan.clock, (self.steps.start + origin.1) as i64 - 1);
                let score = self.score(model, origin);
                if plan.per_origin {
                    let mut row = Row::of(name);
                    row.take(cutoff, score);
                    rows.push(row.end(1, &plan.rolling));
                } else {
                    total.take(cutoff, score);
                }
            }
            if !plan.per_origin {
                rows.push(total.end(plan.rolling.origins as i64, &plan.rolling));
            }
        }
        Ok(Ok(rows))
    }

    fn too_large(&self) -> Refusal {
        let (rows, bytes) = (self.rows_in, self.rows_in * 16);
        let next = "raise --memory, or filter the series or aggregate it to a coarser time";
        Refusal::new(Status::TooLarge, format!("no memory is left for the series, {next}: rows={rows}, bytes={bytes}"))
    }

    fn score(&mut self, model: usize, origin: (usize, usize)) -> Result<Score, Refusal> {
        let stock = self.steps.stock.get(origin.1 - 1).copied();
        self.bench.score(model, &self.steps.y, origin, stock, &self.plan.rolling)
    }
}

impl GroupWorker for Worker {
    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        if self.rows_in == 0
            && let Some(key) = (0..plan.layout.keys).find(|&k| rows.num_rows() > 0 && rows.column(k).is_null(0))
        {
            let name = rows.schema_ref().field(key).name().clone();
            self.series.fault(Status::NullId, format!("id is null, filter or mend the rows: column={name}"));
        }
        self.rows_in += rows.num_rows() as u64;
        if self.is_shed {
            return Ok(());
        }
        self.series.append(rows, &plan.layout, &plan.clock, plan.cleaning.fill)
    }

    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome> {
        context.check_cancelled()?;
        let result = self.rows(context);
        let outcome = result.map(|rows| {
            let refused = rows.is_err();
            let rows = rows.unwrap_or_else(|refusal| {
                self.plan.names.iter().map(|name| Row::refused(name, refusal.clone())).collect()
            });
            let outcome = Outcome { rows: rows.len(), refused: refused || rows.iter().all(Row::is_refused) };
            self.done.extend(rows);
            outcome
        });
        self.series.clear();
        (self.rows_in, self.is_shed) = (0, false);
        let held = 8 * self.series.capacity() + self.steps.memory_bytes() + self.bench.memory_bytes();
        if held > super::gather::KEPT_BYTES * (1 + self.plan.models.len()) {
            (self.series, self.steps) = (Series::default(), Steps::default());
            self.bench.let_go();
        }
        outcome
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        let plan = &self.plan;
        let columns = output::columns(&self.done, &plan.clock, &plan.rolling.levels, plan.per_origin, plan.has_stock);
        self.done.clear();
        columns
    }

    fn memory_bytes(&self) -> usize {
        // A row leaves as columns of about its own size.
        let row = size_of::<Row>() + size_of::<origins::Interval>() * self.plan.rolling.levels.len();
        8 * self.series.capacity() + self.steps.memory_bytes() + self.bench.memory_bytes() + 2 * self.done.len() * row
    }

    fn shed(&mut self) -> bool {
        self.series.let_go();
        self.is_shed = true;
        true
    }
}

#[cfg(test)]
mod tests;
