//! `lakecast functions`. In: a name, or nothing. Out: help made from the tables of functions, models and metrics.

use super::print;
use crate::cli::{FunctionsArgs, HelpFormat};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::functions_help::{Choices, Help};
use lakecast_engine::sql::PIPELINES;
use lakecast_udfs::forecast::{MODELS, Status};

/// Help for everything that SQL offers beyond DataFusion's own functions.
fn help() -> Help {
    let models = MODELS.iter().map(|m| [m.name(), m.summary(), m.source()]);
    let statuses = Status::ALL.iter().map(|s| [s.name(), if s.is_forecast() { "yes" } else { "no" }, s.meaning()]);
    let pipelines: Vec<_> = PIPELINES.iter().map(|p| p.signature).collect();
    Help::new(
        &pipelines,
        vec![
            choices("Models", &["name", "what it does", "source"], models),
            choices("Statuses", &["status", "forecast", "meaning"], statuses),
        ],
    )
}

fn choices(
    title: &'static str,
    head: &'static [&'static str; 3],
    rows: impl Iterator<Item = [&'static str; 3]>,
) -> Choices {
    let rows = rows.map(|row| row.map(str::to_string).to_vec()).collect();
    Choices { function: "forecast", title, head, rows }
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
