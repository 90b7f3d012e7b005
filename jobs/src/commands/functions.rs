//! `lakecast functions`. In: a name, or nothing. Out: help made from the tables of functions, models and metrics.

use super::print;
use crate::cli::{FunctionsArgs, HelpFormat};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::functions_help::{Choices, Help};
use lakecast_engine::sql::PIPELINES;
use lakecast_udfs::forecast::{METRICS, MODELS, Status, auto_choices, model_params};

/// Help for everything that SQL offers beyond DataFusion's own functions.
fn help() -> Help {
    let text = |row: [&str; 3]| row.map(str::to_string);
    let models = MODELS.iter().map(|m| text([m.name(), m.summary(), m.source()]));
    let params = model_params().map(|(model, p)| {
        let default = match p.default {
            Some("null") => String::new(),
            Some(value) => format!(", {value} if left out"),
            None => ", must be given".into(),
        };
        [model.into(), p.name.into(), format!("{}; {}{default}", p.meaning, p.kind.words())]
    });
    let yes = |is: bool| if is { "yes" } else { "no" };
    let statuses = Status::ALL.iter().map(|s| text([s.name(), yes(s.is_forecast()), s.meaning()]));
    let metrics = METRICS.iter().map(|m| text([m.name, m.meaning, m.source]));
    let pipelines: Vec<_> = PIPELINES.iter().map(|p| p.signature).collect();
    Help::new(
        &pipelines,
        vec![
            choices("forecast", "Models", &["name", "what it does", "source"], models),
            choices("forecast", "Parameters of the models", &["model", "parameter", "meaning"], params),
            choices("forecast", "What auto tries", &["class", "meaning", "models, season_length => 7"], auto_choices()),
            choices("forecast", "Statuses", &["status", "forecast", "meaning"], statuses),
            choices("backtest", "Metrics", &["metric", "meaning", "source"], metrics),
        ],
    )
}

fn choices(
    function: &'static str,
    title: &'static str,
    head: &'static [&'static str; 3],
    rows: impl Iterator<Item = [String; 3]>,
) -> Choices {
    Choices { function, title, head, rows: rows.map(|row| row.to_vec()).collect() }
}

pub(super) fn functions(args: &FunctionsArgs) -> Result<(), Failure> {
    let help = help();
    let refuse = |e: String| Failure::new(Exit::Usage, e);
    let text = match (&args.name, args.format) {
        (None, HelpFormat::Text) => help.list(),
        (None, HelpFormat::Markdown) => help.markdown(),
        (Some(name), HelpFormat::Text) => help.explain(name).map_err(refuse)?,
        (Some(name), HelpFormat::Markdown) => help.explain_markdown(name).map_err(refuse)?,
    };
    print(text.trim_end())
}
