//! The `forecast` group function as SQL sees it.
//!
//! In: column types and literal arguments. Out: the output columns and a worker, or an error that says what to write.

use super::calendar::{Clock, Frequency};
use super::worker::{Fill, Plan, Worker};
use super::{Choice, intervals};
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{BoundFunction, GroupFunction, GroupSchema, GroupWorker};
use crate::signature::{Class, Column, Kind, Output, Param, Role, Signature};
use arrow::datatypes::{DataType, Field};
use std::sync::Arc;

/// `forecast`: one series in, one row per step of its forecast out.
///
/// A series that cannot be forecast gives exactly one row: null forecast, and its `status` and `reason`
/// ([`super::Status`]). O(n + horizon) time and memory per series for every model of [`super::MODELS`].
pub struct Forecast;

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
            meaning: "what to forecast, in any unit; neither null nor NaN",
        },
    ],
    params: &[
        Param {
            name: "horizon",
            kind: Kind::Integer { min: 1, max: 10_000 },
            default: None,
            meaning: "steps to forecast after the last observation of each series",
        },
        Param {
            name: "season_length",
            kind: Kind::Integer { min: 1, max: 10_000 },
            default: Some("1"),
            meaning: "observations per season, such as 7 for daily data with a week; 1 for no season",
        },
        Param {
            name: "freq",
            kind: Kind::Text,
            default: Some("\"auto\""),
            meaning: "distance of observations: 'auto' infers it per series; '1' for integer steps; 's' 'min' 'h' 'D' 'W' 'MS' \
                      'ME' 'month' 'QS' 'QE' 'quarter' 'YS' 'YE' 'year' and multiples such as '15min'",
        },
        Param {
            name: "model",
            kind: Kind::Text,
            default: Some("null"),
            meaning: "model, and its parameters in brackets; left out it is ets_ana with a season_length of at least 2, else ets_ann",
        },
        Param {
            name: "level",
            kind: Kind::IntegerList { min: 1, max: 99 },
            default: Some("[]"),
            meaning: "prediction intervals in percent, such as [80, 95]",
        },
        Param {
            name: "fill",
            kind: Kind::Choice(|| vec!["error", "zero", "previous"]),
            default: Some("\"error\""),
            meaning: "a time of the calendar without a row: 'error' refuses the series, 'zero' and 'previous' put a value",
        },
        Param {
            name: "fallback",
            kind: Kind::Choice(|| vec!["yes", "no"]),
            default: Some("\"yes\""),
            meaning: "a series too short for the model: 'yes' takes the next simpler one, 'no' refuses the series",
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
        Output { name: "model", kind: "string", meaning: "the model that forecast; null if refused" },
        Output { name: "cutoff", kind: "as the time", meaning: "last observed time of the series" },
        Output { name: "status", kind: "string", meaning: "whether the series has a forecast, and if not, why" },
        Output { name: "reason", kind: "string", meaning: "what, where and what to do; null if ok" },
    ],
};

impl GroupFunction for Forecast {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn bind(&self, input: &GroupSchema, args: &Args) -> Result<Arc<dyn BoundFunction>> {
        let fields = input.schema.fields();
        if input.order != 1 || fields.len() != input.keys + 2 {
            return Err(Error::Bug(format!("forecast takes keys, one time and one value: columns={}", fields.len())));
        }
        let value = fields[input.keys + 1].data_type();
        if !value.is_numeric() {
            return Err(Error::Argument(format!(
                "forecast: wrong column type: argument=value, type={value}, allowed=[{}]",
                Class::Number.words()
            )));
        }
        let clock = Clock::new(fields[input.keys].data_type())?;
        let plan = Plan {
            frequency: Frequency::parse(args.text("freq")?, &clock)?,
            clock,
            keys: input.keys,
            horizon: size(args.integer("horizon")?)?,
            terms: Arc::new(terms(args)?),
            levels: args.integers("level")?.into_iter().map(|level| (level, intervals::half_width(level))).collect(),
            fill: match args.text("fill")? {
                "zero" => Fill::Zero,
                "previous" => Fill::Previous,
                _ => Fill::Error,
            },
        };
        let bound = Bound { time: fields[input.keys].name().clone(), plan: Arc::new(plan) };
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

fn size(number: i64) -> Result<usize> {
    usize::try_from(number).map_err(|e| Error::Bug(format!("{e}: number={number}")))
}

fn terms(args: &Args) -> Result<super::forecaster::Terms> {
    use super::forecaster::{Asking, Terms};
    let season_length = size(args.integer("season_length")?)?;
    let name = if args.is_null("model")? { "auto" } else { args.text("model")? };
    let asking = if name == "auto" {
        Asking::Auto
    } else {
        let first = Choice::parse(name, season_length).map_err(|e| Error::Argument(format!("forecast: {e}")))?;
        let mut ladder = vec![Arc::new(first)];
        while args.text("fallback")? == "yes"
            && let Some(next) = ladder.last().map(|c| c.simpler(season_length)).transpose()?.flatten()
        {
            ladder.push(Arc::new(next));
        }
        Asking::Ladder(ladder)
    };
    let asked = super::predictive::Asked { levels: args.integers("level")?, quantiles: vec![] };
    let horizon = size(args.integer("horizon")?)?;
    Ok(Terms { asking, season_length, horizon, asked, non_negative: None })
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
        for (level, _) in &self.plan.levels {
            fields.push(Field::new(format!("yhat_lower_{level}"), DataType::Float64, true));
            fields.push(Field::new(format!("yhat_upper_{level}"), DataType::Float64, true));
        }
        fields.push(Field::new("model", DataType::Utf8, true));
        fields.push(Field::new("cutoff", kind.clone(), true));
        fields.push(Field::new("status", DataType::Utf8, false));
        fields.push(Field::new("reason", DataType::Utf8, true));
        fields
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        Box::new(Worker::new(Arc::clone(&self.plan)))
    }
}

#[cfg(test)]
mod tests;
