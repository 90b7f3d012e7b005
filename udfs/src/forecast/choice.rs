//! A model as written in SQL: `ets_ana`, or `tsb(alpha_d => 0.1)`.  In: the text. Out: the row of the table and its kernel.

use super::model::{Kernel, Model};
use super::{MODELS, naive};
use crate::args;
use crate::error::{Error, Result};
use crate::signature::{Param, did_you_mean};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// A model with its parameters, and the simpler ones that take what it cannot take.
#[derive(Clone)]
pub struct Choice {
    /// The row of the table.
    pub model: &'static dyn Model,
    /// As written, without spaces: the name, and the parameters that were given.
    pub text: String,
    /// The mathematics.
    pub kernel: Arc<dyn Kernel>,
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Choice {
    /// Reads `name` or `name(parameter => value, ..)`. Values are numbers, lists of numbers in brackets, or words.
    ///
    /// Errors: `Argument`, with what is known and the nearest name; a seasonal model with a `season_length` below 2.
    pub fn parse(text: &str, season_length: usize) -> Result<Self> {
        let (name, given) = split(text)?;
        let model = super::model(name).ok_or_else(|| {
            let hint = did_you_mean(name, std::iter::once("auto").chain(MODELS.iter().map(|m| m.name())));
            Error::Argument(format!(
                "unknown model: name={name}, known=[auto, {}]{hint}",
                super::model_names().join(", ")
            ))
        })?;
        Self::bind(model, given, season_length)
    }

    /// The model with default parameters.
    pub fn plain(model: &'static dyn Model, season_length: usize) -> Result<Self> {
        Self::bind(model, Map::new(), season_length)
    }

    fn bind(model: &'static dyn Model, given: Map<String, Value>, season_length: usize) -> Result<Self> {
        if model.is_seasonal() && season_length < 2 {
            let others: Vec<_> = MODELS.iter().filter(|m| !m.is_seasonal()).map(|m| m.name()).collect();
            return Err(Error::Argument(format!(
                "bad argument: name=season_length, given={season_length}, allowed=[at least 2 with model '{}'], add \
                 `season_length => ..` or take a model without season: known=[{}]",
                model.name(),
                others.join(", ")
            )));
        }
        let mut written: Vec<_> =
            given.iter().map(|(k, v)| format!("{k}=>{}", v.to_string().replace('"', ""))).collect();
        written.sort_unstable();
        let text =
            if written.is_empty() { model.name().into() } else { format!("{}({})", model.name(), written.join(",")) };
        let args = args::Args::check_params(model.name(), model.params(), given)?;
        Ok(Self { model, text, kernel: model.bind(&args, season_length)? })
    }

    /// The next simpler model with its default parameters, if there is one.
    pub fn simpler(&self, season_length: usize) -> Result<Option<Self>> {
        self.model.simpler().map(|m| Self::plain(m, season_length)).transpose()
    }

    /// The foot of every ladder: the naive model.
    pub fn foot() -> Result<Self> {
        Self::plain(&naive::Naive, 1)
    }
}

/// Name and parameters of `name(parameter => value, ..)`.
fn split(text: &str) -> Result<(&str, Map<String, Value>)> {
    let bad = |what: &str| {
        Error::Argument(format!("bad model: {what}: given={text}, allowed=[name, name(parameter => value, ..)]"))
    };
    let text = text.trim();
    let Some((name, rest)) = text.split_once('(') else { return Ok((text, Map::new())) };
    let inside = rest.strip_suffix(')').ok_or_else(|| bad("the bracket is not closed"))?;
    let mut given = Map::new();
    for part in pieces(inside).filter(|p| !p.trim().is_empty()) {
        let (key, value) = part.split_once("=>").ok_or_else(|| bad("a parameter is written `name => value`"))?;
        let value = value.trim();
        // Words need no quotes: inside an SQL text they would have to be doubled.
        let json = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.trim_matches('\'').into()));
        if given.insert(key.trim().into(), json).is_some() {
            return Err(bad("a parameter is given twice"));
        }
    }
    Ok((name.trim(), given))
}

/// Splits at commas outside brackets.
pub(super) fn pieces(inside: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    inside.split(move |c| {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
}

/// The parameters of every model, for help: `(model, parameter)`.
pub fn model_params() -> impl Iterator<Item = (&'static str, &'static Param)> {
    MODELS.iter().flat_map(|m| m.params().iter().map(|p| (m.name(), p)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_read_with_its_parameters_and_wrong_ones_are_named() {
        assert_eq!(Choice::parse(" ets_ana ", 7).unwrap().text, "ets_ana");
        for (text, part) in [
            ("ets_anaa", "did you mean `ets_ana`?"),
            ("atuo", "did you mean `auto`?"),
            ("ets_ana(alpha_x => 0.1)", "unknown argument: name=alpha_x"),
            ("ets_ana(alpha", "not closed"),
            ("ets_ana(alpha)", "`name => value`"),
        ] {
            let said = Choice::parse(text, 7).unwrap_err().to_string();
            assert!(said.contains(part), "{text}: {said}");
        }
        assert!(Choice::parse("ets_ana", 1).unwrap_err().to_string().contains("season_length"));
    }
}
