//! `lakecast functions`. In: a name, or nothing. Out: help made from the tables of functions, models and metrics.

use super::print;
use crate::cli::{FunctionsArgs, HelpFormat};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::functions_help::{Choice, Choices, Help};
use lakecast_engine::sql::PIPELINES;
use lakecast_udfs::forecast::MODELS;

/// Help for everything that SQL offers beyond DataFusion's own functions.
fn help() -> Help {
    let rows = MODELS.iter().map(|m| Choice { name: m.name(), summary: m.summary(), source: m.source() }).collect();
    let pipelines: Vec<_> = PIPELINES.iter().map(|p| p.signature).collect();
    Help::new(&pipelines, vec![Choices { function: "forecast", title: "Models", rows }])
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
