//! Literal arguments of a call: checked against the signature, defaults filled in, then carried as JSON.
//!
//! In: a JSON object as the SQL face read it. Out: `Args`, the same on every process.

use crate::error::{Error, Result};
use crate::signature::{Kind, Param, Signature, did_you_mean, nearest};
use serde_json::{Map, Value};

/// Checked arguments with every default filled in. JSON text is the wire form.
#[derive(Debug, Clone, PartialEq)]
pub struct Args(Map<String, Value>);

impl Args {
    /// Checks `given` against the signature's parameters and fills in the defaults.
    ///
    /// Errors: `Argument`, naming the argument, what was given, what is allowed and the nearest known name.
    pub fn check(signature: &Signature, given: Map<String, Value>) -> Result<Self> {
        match given.keys().find(|name| !signature.params.iter().any(|p| p.name == name.as_str())) {
            Some(name) => Err(unknown(signature, name)),
            None => Self::check_params(signature.name, signature.params, given),
        }
    }

    /// Checks `given` against `params` of what is called `owner`, and fills in the defaults. Errors: as [`Args::check`].
    pub fn check_params(owner: &str, params: &[Param], given: Map<String, Value>) -> Result<Self> {
        if let Some(name) = given.keys().find(|name| !params.iter().any(|p| p.name == name.as_str())) {
            let known: Vec<_> = params.iter().map(|p| p.name).collect();
            let hint = did_you_mean(name, known.iter().copied());
            let known = known.join(", ");
            return Err(Error::Argument(format!("{owner}: unknown argument: name={name}, known=[{known}]{hint}")));
        }
        let mut args = Map::new();
        for p in params {
            let value = match (given.get(p.name), p.default) {
                (Some(v), _) if !v.is_null() => check_one(owner, p, v.clone())?,
                (_, Some(default)) => {
                    serde_json::from_str(default).map_err(|e| Error::Bug(format!("default of {}: {e}", p.name)))?
                }
                (_, None) => {
                    return Err(Error::Argument(format!(
                        "{owner}: missing argument: name={}, allowed=[{}], add `{} => ..`",
                        p.name,
                        p.kind.words(),
                        p.name
                    )));
                }
            };
            args.insert(p.name.to_string(), value);
        }
        Ok(Self(args))
    }

    /// From the wire form. Errors: `Bug` if it is not a JSON object.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map(Self).map_err(|e| Error::Bug(format!("arguments: {e}")))
    }

    /// The wire form: JSON with keys in a fixed order.
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    fn get(&self, name: &str) -> Result<&Value> {
        self.0.get(name).ok_or_else(|| Error::Bug(format!("argument {name} is not in the signature")))
    }

    /// Whether the signature has the argument.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether the argument was left out and has no default value.
    pub fn is_null(&self, name: &str) -> Result<bool> {
        Ok(self.get(name)?.is_null())
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Result<i64> {
        self.get(name)?.as_i64().ok_or_else(|| Error::Bug(format!("argument {name} is no integer")))
    }

    /// A number.
    pub fn number(&self, name: &str) -> Result<f64> {
        self.get(name)?.as_f64().ok_or_else(|| Error::Bug(format!("argument {name} is no number")))
    }

    /// A text or choice.
    pub fn text(&self, name: &str) -> Result<&str> {
        self.get(name)?.as_str().ok_or_else(|| Error::Bug(format!("argument {name} is no text")))
    }

    /// Names of values, whole numbers as text.
    pub fn names(&self, name: &str) -> Result<Vec<String>> {
        let list = self.get(name)?.as_array().ok_or_else(|| Error::Bug(format!("argument {name} is no list")))?;
        Ok(list.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_string)).collect())
    }

    /// A list of whole numbers.
    pub fn integers(&self, name: &str) -> Result<Vec<i64>> {
        let list = self.get(name)?.as_array().ok_or_else(|| Error::Bug(format!("argument {name} is no list")))?;
        Ok(list.iter().filter_map(Value::as_i64).collect())
    }

    /// `true` or `false`; `None` if it was left out and has no default value.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>> {
        match self.get(name)? {
            Value::Null => Ok(None),
            Value::Bool(b) => Ok(Some(*b)),
            _ => Err(Error::Bug(format!("argument {name} is no boolean"))),
        }
    }

    /// A list of numbers.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        let list = self.get(name)?.as_array().ok_or_else(|| Error::Bug(format!("argument {name} is no list")))?;
        Ok(list.iter().filter_map(Value::as_f64).collect())
    }

    /// The raw value.
    pub fn value(&self, name: &str) -> Result<&Value> {
        self.get(name)
    }
}

/// The error for an argument that the function does not know; columns and tables count as known names.
pub fn unknown(signature: &Signature, name: &str) -> Error {
    let columns = signature.columns.iter().map(|c| c.name).chain(signature.tables.iter().map(|t| t.name));
    let known: Vec<_> = columns.chain(signature.params.iter().map(|p| p.name)).collect();
    let hint = did_you_mean(name, known.iter().copied());
    Error::Argument(format!("{}: unknown argument: name={name}, known=[{}]{hint}", signature.name, known.join(", ")))
}

fn check_one(function: &str, p: &Param, v: Value) -> Result<Value> {
    let refuse = |hint: String| {
        Err(Error::Argument(format!(
            "{function}: bad argument: name={}, given={v}, allowed=[{}]{hint}",
            p.name,
            p.kind.words()
        )))
    };
    let ok = match p.kind {
        Kind::Integer { min, max } => v.as_i64().is_some_and(|i| (min..=max).contains(&i)),
        Kind::Number { min, max } => v.as_f64().is_some_and(|x| x >= min && x <= max),
        Kind::IntegerList { min, max } => v.as_array().is_some_and(|list| {
            let ints: Vec<_> = list.iter().filter_map(Value::as_i64).collect();
            ints.len() == list.len()
                && ints.iter().all(|i| (min..=max).contains(i))
                && ints.windows(2).all(|w| w[0] < w[1])
        }),
        Kind::NumberList { above, below } => v.as_array().is_some_and(|list| {
            let numbers: Vec<_> = list.iter().filter_map(Value::as_f64).collect();
            numbers.len() == list.len()
                && numbers.iter().all(|n| *n > above && *n < below)
                && numbers.windows(2).all(|w| w[0] < w[1])
        }),
        Kind::Numbers { min, max } => {
            v.as_array().is_some_and(|list| list.iter().all(|x| x.as_f64().is_some_and(|x| x >= min && x <= max)))
        }
        Kind::Counts { length, max } => v.as_array().is_some_and(|list| {
            list.len() == length && list.iter().all(|i| i.as_i64().is_some_and(|i| (0..=max).contains(&i)))
        }),
        Kind::Boolean => v.is_boolean(),
        Kind::CountOrShare => match v.as_i64() {
            Some(count) => count >= 1,
            None => v.as_f64().is_some_and(|x| x > 0.0 && x <= 1.0),
        },
        Kind::Choice(known) => {
            let name = v.as_str().unwrap_or_default();
            let known = known();
            if !known.contains(&name) {
                return refuse(nearest(name, known).map(|n| format!(", did you mean '{n}'?")).unwrap_or_default());
            }
            true
        }
        Kind::Names => v.as_array().is_some_and(|list| list.iter().all(|x| x.is_string() || x.is_i64())),
        Kind::Text => v.is_string(),
    };
    if ok { Ok(v) } else { refuse(String::new()) }
}
