//! The `forecast` group function as SQL sees it.
//!
//! In: column types and literal arguments. Out: the output columns and a worker, or an error that says what to write.

use super::Choice;
use super::calendar::{Clock, Frequency};
use super::clean::{Duplicates, Fill};
use super::forecaster::{Asking, Terms};
use super::memory::fnv;
use super::pool_effects::POOL_BY;
use super::predictive::Asked;
use super::rows::COUNTS;
use super::series::{FUTURE, Layout, STATE};
use super::worker::{Cleaning, Plan, Worker};
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{BoundFunction, GroupFunction, GroupSchema, GroupWorker};
use crate::signature::{Class, Column, Kind, Output, Own, Param, Reach, Role, Signature, Table};
use arrow::datatypes::{DataType, Field};
use std::sync::Arc;

/// `forecast`: one series in, one row per step of its forecast out.
///
/// A series that cannot be forecast gives exactly one row: null forecast, and its `status` and `reason`
/// ([`super::Status`]). O(n + horizon) time and memory per series for every model of [`super::MODELS`].
pub struct Forecast;

pub(super) const HOLIDAYS: Table = Table {
    name: "holidays",
    reach: Reach::Whole,
    shared: &[],
    own: &[
        Own { names: &["ds", "date", "time"], class: Class::Time, required: true, meaning: "the day" },
        Own {
            names: &["name", "holiday"],
            class: Class::Text,
            required: true,
            meaning: "days of one name share an effect",
        },
        Own { names: &["lower_window"], class: Class::Integer, required: false, meaning: "days before, such as -1" },
        Own { names: &["upper_window"], class: Class::Integer, required: false, meaning: "days after, such as 1" },
    ],
    meaning: "days with an effect of their own, the same for all series, as Prophet takes them",
};

pub(super) const SEASON_LENGTH: Param = Param {
    name: "season_length",
    kind: Kind::Integer { min: 1, max: 10_000 },
    default: Some("1"),
    meaning: "observations per season: 24 for hours, 7 for days, 52 for weeks, 12 for months, 4 for quarters; 1 for no season, as for \
              years",
};

pub(super) const FREQ: Param = Param {
    name: "freq",
    kind: Kind::Text,
    default: Some("\"auto\""),
    meaning: "distance of observations: 'auto' infers it per series; '1' for integer steps; 's' 'min' 'h' 'D' 'W' 'MS' \
              'ME' 'month' 'QS' 'QE' 'quarter' 'YS' 'YE' 'year' and multiples such as '15min'",
};

pub(super) const FILL: Param = Param {
    name: "fill",
    kind: Kind::Choice(|| vec!["error", "null", "zero", "previous"]),
    default: Some("\"error\""),
    meaning: "a time of the calendar without a row: 'error' refuses the series, 'null' makes it a missing observation \
              that models step over (and a null value too), 'zero' and 'previous' put a value",
};

pub(super) const DUPLICATES: Param = Param {
    name: "duplicates",
    kind: Kind::Choice(|| vec!["error", "sum", "last"]),
    default: Some("\"error\""),
    meaning: "several rows of one time: 'error' refuses the series, 'sum' adds the values (regressors: the largest), \
              'last' takes the row with the largest version",
};

pub(super) const LEADING_ZEROS: Param = Param {
    name: "leading_zeros",
    kind: Kind::Choice(|| vec!["keep", "drop"]),
    default: Some("\"keep\""),
    meaning: "zeros before the first other value: 'drop' lets the series begin with its first sale",
};

pub(super) const SPIKES: Param = Param {
    name: "spikes",
    kind: Kind::Choice(|| vec!["keep", "cap"]),
    default: Some("\"keep\""),
    meaning: "'cap' cuts values beyond 5 scaled median absolute deviations from the median of their 13 neighbours in the \
              same phase of the season (Hampel filter)",
};

pub(super) static SIGNATURE: Signature = Signature {
    name: "forecast",
    summary: "forecasts every series: mean, prediction intervals and a status row for each",
    columns: &[
        Column {
            name: "id",
            role: Role::Key,
            class: Class::Exact,
            many: true,
            required: true,
            meaning: "column or columns that tell series apart, such as sku or [shop, sku]",
        },
        Column {
            name: "time",
            role: Role::Order,
            class: Class::Time,
            many: false,
            required: true,
            meaning: "time of the observation, on a regular calendar, once per series; any row order",
        },
        Column {
            name: "value",
            role: Role::Value,
            class: Class::Number,
            many: false,
            required: true,
            meaning: "what to forecast, in any unit; not NaN, and null only with fill => 'null'",
        },
        Column {
            name: "version",
            role: Role::Order,
            class: Class::Time,
            many: false,
            required: false,
            meaning: "tells rows of one time apart for duplicates => 'last', such as a load time: the largest wins",
        },
        Column {
            name: "available",
            role: Role::Value,
            class: Class::Flag,
            many: false,
            required: false,
            meaning: "whether the series could have a value: false or 0 (closed, stock-out) makes it a missing observation and no \
                      zero; null counts as true",
        },
        Column {
            name: "regressors",
            role: Role::Value,
            class: Class::Measure,
            many: true,
            required: false,
            meaning: "columns known in the future too, such as [price, promo], whose effects are estimated: 0 and 1 an event, \
                      all positive by its logarithm, else by its size; needs future",
        },
        Column {
            name: POOL_BY,
            role: Role::Value,
            class: Class::Exact,
            many: true,
            required: false,
            meaning: "column or columns of like series, such as department or [department, shop]: effects of a series are drawn \
                      to its group's, the more the shorter it is, and a group's to that of the first column; of a series in \
                      several groups its first row counts; needs regressors or holidays",
        },
    ],
    tables: &[
        Table {
            name: "future",
            reach: Reach::Group(FUTURE),
            shared: &["id", "time", "regressors"],
            own: &[],
            meaning: "the regressors at the times of the horizon; rows at other times change nothing",
        },
        Table {
            name: "state",
            reach: Reach::Group(STATE),
            shared: &["id"],
            own: &[Own {
                names: &["state"],
                class: Class::Bytes,
                required: true,
                meaning: "what an earlier forecast left of the series",
            }],
            meaning: "where each series was left, a row per id: the series goes on from there by the rows after its last time, \
                      and revised earlier rows change nothing until it is fitted anew; not with regressors or holidays",
        },
        HOLIDAYS,
    ],
    params: &[
        Param {
            name: "horizon",
            kind: Kind::Integer { min: 1, max: 10_000 },
            default: None,
            meaning: "steps to forecast after the last observation of each series",
        },
        SEASON_LENGTH,
        FREQ,
        Param {
            name: "model",
            kind: Kind::Text,
            default: Some("\"auto\""),
            meaning: "'auto' chooses and combines models by the kind of demand and by rolling origins; or a model by its name, its \
                      parameters in brackets, such as 'tsb(alpha_d => 0.2)'",
        },
        Param {
            name: "level",
            kind: Kind::IntegerList { min: 1, max: 99 },
            default: Some("[]"),
            meaning: "prediction intervals in percent, such as [80, 95]",
        },
        Param {
            name: "quantiles",
            kind: Kind::NumberList { above: 0.0, below: 1.0 },
            default: Some("[]"),
            meaning: "quantiles of the forecast distribution, such as [0.1, 0.5, 0.9]",
        },
        FILL,
        DUPLICATES,
        LEADING_ZEROS,
        SPIKES,
        Param {
            name: "non_negative",
            kind: Kind::Boolean,
            default: Some("null"),
            meaning: "cuts forecast, bounds and quantiles at zero; left out, of series without negative values",
        },
        Param {
            name: "fallback",
            kind: Kind::Choice(|| vec!["yes", "no"]),
            default: Some("\"yes\""),
            meaning: "a series that the model cannot take: 'yes' takes the next simpler one, 'no' refuses the series",
        },
        Param {
            name: "fitted",
            kind: Kind::Boolean,
            default: Some("false"),
            meaning: "whether the state of each series comes out, for the next night; not with regressors or holidays",
        },
        Param {
            name: "refit_every",
            kind: Kind::Integer { min: 1, max: 10_000 },
            default: Some("14"),
            meaning: "steps after which a series that goes on from its state is fitted anew, each in its turn, if the input \
                      reaches back over at least half of it",
        },
    ],
    output: &[
        Output { name: "<id>", kind: "as the input", meaning: "the id columns, unchanged" },
        Output {
            name: "<time>",
            kind: "as the input",
            meaning: "time of the step, named as the input's; null if refused",
        },
        Output { name: "step", kind: "int", meaning: "1 to horizon; null if refused" },
        Output { name: "yhat", kind: "double", meaning: "forecast mean, in the unit of value; null if refused" },
        Output { name: "yhat_lower_<level>", kind: "double", meaning: "lower bound; null if the spread is unknown" },
        Output { name: "yhat_upper_<level>", kind: "double", meaning: "upper bound; null if the spread is unknown" },
        Output {
            name: "yhat_q<percent>",
            kind: "double",
            meaning: "quantile, such as yhat_q10 or yhat_q2_5; null if the spread is unknown",
        },
        Output { name: "model", kind: "string", meaning: "the model that forecast; null if refused" },
        Output { name: "class", kind: "string", meaning: "kind of demand; null if refused" },
        Output { name: "cutoff", kind: "as the time", meaning: "last observed time of the series" },
        Output { name: "status", kind: "string", meaning: "whether the series has a forecast, and if not, why" },
        Output { name: "reason", kind: "string", meaning: "what, where and what to do; null if ok" },
        Output { name: "n_observed", kind: "int", meaning: "times with a value of their own that the model was given" },
        Output { name: "n_filled", kind: "int", meaning: "times without a row, or with a null, given what fill says" },
        Output { name: "n_duplicates", kind: "int", meaning: "rows merged into another of their time" },
        Output { name: "n_leading_zeros", kind: "int", meaning: "zeros dropped before the first other value" },
        Output { name: "n_closed", kind: "int", meaning: "rows taken as missing because available was false" },
        Output {
            name: "n_spikes",
            kind: "int",
            meaning: "values capped; null with spikes => 'keep', which does not look",
        },
        Output {
            name: "n_level_shifts",
            kind: "int",
            meaning: "level shifts seen, nothing done: means of two seasons (14 values) before and after that differ by more \
                      than 6 standard deviations within them",
        },
        Output {
            name: "level_shift",
            kind: "as the time",
            meaning: "when the last of them began, to the season; null if none",
        },
        Output {
            name: "regressors_unused",
            kind: "string",
            meaning: "regressors and holidays without an effect, and why; null if all have one; only with regressors or holidays",
        },
        Output {
            name: "effects",
            kind: "string",
            meaning: "on the first row, the effects that were used, such as promo=0.31 own; easter=0.12 pool: the logarithm of a \
                      factor, or a summand if values are negative (of a price: per logarithm; of a number: per standard \
                      deviation), and where each is from: own, shrunk (own, drawn to the group's), pool (the group's), closed \
                      (nothing ever sold there), collinear (shared with a column that says the same); only with regressors or \
                      holidays",
        },
        Output { name: "fit", kind: "string", meaning: "what became of last night's state; only with state or fitted" },
        Output {
            name: "fitted",
            kind: "binary",
            meaning: "where the series stands, on its first row, for the next night's `state => (SELECT <id>, fitted AS state ..)`; \
                      only with fitted => true",
        },
    ],
};

impl GroupFunction for Forecast {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn bind(&self, input: &GroupSchema, args: &Args) -> Result<Arc<dyn BoundFunction>> {
        let fields = input.schema.fields();
        let first = input.keys + input.order;
        let values = input.values.len().max(1);
        if !(1..=2).contains(&input.order) || fields.len() != first + values {
            return Err(Error::Bug(format!("forecast takes keys, times and values: columns={}", fields.len())));
        }
        let layout = Layout::of(input);
        let value = fields[layout.value].data_type();
        if !value.is_numeric() {
            return Err(Error::Argument(format!(
                "forecast: wrong column type: argument=value, type={value}, allowed=[{}]",
                Class::Number.words()
            )));
        }
        let clock = Clock::new(fields[layout.time].data_type())?;
        let plan = Plan {
            frequency: Frequency::parse(args.text("freq")?, &clock)?,
            clock,
            terms: Arc::new(terms(args)?),
            cleaning: cleaning(args)?,
            refit_every: size(args.integer("refit_every")?)? as u64,
            arguments: arguments(args, fields[layout.time].data_type())?,
            fitted: args.boolean("fitted")?.unwrap_or(false),
            regressors: layout.regressors.iter().map(|&at| fields[at].name().clone()).collect(),
            holidays: input.sides.iter().any(|side| side == "holidays"),
            layout,
        };
        check_together(&plan)?;
        let bound = Bound { time: fields[plan.layout.time].name().clone(), plan: Arc::new(plan) };
        let output = bound.output();
        let ids = fields.iter().take(input.keys);
        let mut names: Vec<_> = ids.map(|f| f.name()).chain(output.iter().map(Field::name)).collect();
        names.sort_unstable();
        match names.windows(2).find(|w| w[0] == w[1]) {
            None => Ok(Arc::new(bound)),
            Some(twice) => Err(Error::Argument(format!(
                "forecast: an input column has the name of an output column, rename it in a subquery: name={}",
                twice[0]
            ))),
        }
    }
}

pub(super) fn cleaning(args: &Args) -> Result<Cleaning> {
    Ok(Cleaning {
        fill: match args.text("fill")? {
            "null" => Fill::Null,
            "zero" => Fill::Zero,
            "previous" => Fill::Previous,
            _ => Fill::Error,
        },
        duplicates: match args.text("duplicates")? {
            "sum" => Duplicates::Sum,
            "last" => Duplicates::Last,
            _ => Duplicates::Error,
        },
        drop_leading_zeros: args.text("leading_zeros")? == "drop",
        cap_spikes: args.text("spikes")? == "cap",
    })
}

/// Arguments that need one another. Errors: `Argument`.
fn check_together(plan: &Plan) -> Result<()> {
    let refuse = |what: &str| Err(Error::Argument(format!("forecast: {what}")));
    let layout = &plan.layout;
    if plan.cleaning.duplicates == Duplicates::Last && layout.version.is_none() {
        return refuse("duplicates => 'last' needs `version => column`, which tells which row of a time is the last");
    }
    if !plan.regressors.is_empty() && layout.kind.is_none() {
        return refuse("regressors need `future => TABLE(..)`, their values at the times of the horizon");
    }
    if plan.has_effects() && layout.state.is_some() {
        return refuse(
            "state holds no effects of regressors and holidays, leave out state, or regressors and holidays",
        );
    }
    if plan.has_effects() && plan.fitted {
        return refuse(
            "fitted holds no effects of regressors and holidays, leave out fitted, or regressors and holidays",
        );
    }
    if plan.regressors.is_empty() && layout.kind.is_some() && layout.state.is_none() {
        return refuse("future needs `regressors => [..]`, the columns whose effects are wanted");
    }
    Ok(())
}

/// The name of a quantile's column: its percent, with `_` for the point.
fn quantile_name(quantile: f64) -> String {
    // By digits, because 100 times a float is another float: 0.07 is 7 and not 7.000000000000001.
    let text = format!("{quantile}");
    let digits = text.split_once('.').map_or("", |(_, digits)| digits);
    let (whole, rest) = digits.split_at(digits.len().min(2));
    let whole = format!("{whole:0<2}");
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        some => some,
    };
    if rest.is_empty() { format!("yhat_q{whole}") } else { format!("yhat_q{whole}_{rest}") }
}

fn size(number: i64) -> Result<usize> {
    usize::try_from(number).map_err(|e| Error::Bug(format!("{e}: number={number}")))
}

/// The name of the choice by class and rolling origins.
pub(super) const AUTO: &str = "auto";

/// Model, season, horizon and bounds. Errors: `Argument`.
fn terms(args: &Args) -> Result<Terms> {
    let season_length = size(args.integer("season_length")?)?;
    let asking = match args.text("model")? {
        AUTO => Asking::Auto,
        name => Asking::Ladder(ladder(name, args.text("fallback")? == "yes", season_length)?),
    };
    let asked = Asked { levels: args.integers("level")?, quantiles: args.numbers("quantiles")? };
    let (horizon, non_negative) = (size(args.integer("horizon")?)?, args.boolean("non_negative")?);
    Ok(Terms { asking, season_length, horizon, asked, non_negative })
}

/// The model asked for and those below it. Errors: `Argument`.
pub(super) fn ladder(name: &str, falls: bool, season_length: usize) -> Result<Vec<Arc<Choice>>> {
    let first = Choice::parse(name, season_length).map_err(|e| Error::Argument(format!("forecast: {e}")))?;
    let mut ladder = vec![Arc::new(first)];
    while falls && let Some(next) = ladder.last().map(|c| c.simpler(season_length)).transpose()?.flatten() {
        ladder.push(Arc::new(next));
    }
    Ok(ladder)
}

/// Hash of the arguments on which a fit depends, and of what a time is: a state of others is of no use.
fn arguments(args: &Args, time: &DataType) -> Result<u64> {
    let mut text = format!("{time}\n");
    for name in
        ["season_length", "freq", "model", "fallback", "fill", "duplicates", "leading_zeros", "spikes", "non_negative"]
    {
        text.push_str(&args.value(name)?.to_string());
        text.push('\n');
    }
    Ok(fnv(text.bytes()))
}

struct Bound {
    time: String,
    plan: Arc<Plan>,
}

impl BoundFunction for Bound {
    fn output(&self) -> Vec<Field> {
        let kind = self.plan.clock.kind();
        let mut fields = vec![
            Field::new(&self.time, kind.clone(), true),
            Field::new("step", DataType::Int32, true),
            Field::new("yhat", DataType::Float64, true),
        ];
        for level in &self.plan.terms.asked.levels {
            fields.push(Field::new(format!("yhat_lower_{level}"), DataType::Float64, true));
            fields.push(Field::new(format!("yhat_upper_{level}"), DataType::Float64, true));
        }
        for quantile in &self.plan.terms.asked.quantiles {
            fields.push(Field::new(quantile_name(*quantile), DataType::Float64, true));
        }
        fields.push(Field::new("model", DataType::Utf8, true));
        fields.push(Field::new("class", DataType::Utf8, true));
        fields.push(Field::new("cutoff", kind.clone(), true));
        fields.push(Field::new("status", DataType::Utf8, false));
        fields.push(Field::new("reason", DataType::Utf8, true));
        fields.extend(COUNTS.map(|name| Field::new(name, DataType::Int32, true)));
        fields.push(Field::new("level_shift", kind.clone(), true));
        if self.plan.has_effects() {
            fields.push(Field::new("regressors_unused", DataType::Utf8, true));
            fields.push(Field::new("effects", DataType::Utf8, true));
        }
        if self.plan.tells_fit() {
            fields.push(Field::new("fit", DataType::Utf8, true));
        }
        if self.plan.fitted {
            fields.push(Field::new("fitted", DataType::Binary, true));
        }
        fields
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        Box::new(Worker::new(Arc::clone(&self.plan)))
    }
}

#[cfg(test)]
mod tests;
