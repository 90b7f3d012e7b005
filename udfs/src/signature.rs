//! What a table function takes: its column arguments and its parameters, with docs, defaults and ranges.
//!
//! In: nothing. Out: static descriptions from which argument checks, `lakecast functions` and the README tables follow.

use arrow::datatypes::DataType;

/// The face of a table function in SQL: `name(input, column => expression.., parameter => literal..)`.
#[derive(Debug)]
pub struct Signature {
    /// The name in SQL.
    pub name: &'static str,
    /// One line for `lakecast functions`.
    pub summary: &'static str,
    /// Arguments that name columns of the input, in the order of the group's input.
    pub columns: &'static [Column],
    /// Arguments that are literals.
    pub params: &'static [Param],
    /// The columns that come out, as `name`, `type`, `meaning`.
    pub output: &'static [Output],
}

/// One output column, for help and docs.
#[derive(Debug)]
pub struct Output {
    /// Column name; `<level>` and `<id>` stand for what the call names.
    pub name: &'static str,
    /// SQL type in words.
    pub kind: &'static str,
    /// Meaning and unit.
    pub meaning: &'static str,
}

/// An argument that names one column (or several) of the input.
#[derive(Debug)]
pub struct Column {
    /// Argument name in SQL, for example `id`.
    pub name: &'static str,
    /// What the column does.
    pub role: Role,
    /// Which types are taken.
    pub class: Class,
    /// Whether `[a, b]` is allowed.
    pub many: bool,
    /// Whether the call must give it.
    pub required: bool,
    /// Meaning and unit.
    pub meaning: &'static str,
}

/// What a column does in a group function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Rows with equal keys form one group; keys come out first, unchanged. Null is a key of its own.
    Key,
    /// Rows of a group arrive ascending by these, nulls first.
    Order,
    /// Everything else that the function reads.
    Value,
}

/// Types that a column argument takes, checked at planning time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Integers, booleans, strings, dates, timestamps, decimals: what compares exactly.
    Exact,
    /// Date, timestamp or integer step number.
    Time,
    /// Integer, float or decimal; reaches the function as it is, because what is shuffled and sorted should be narrow.
    Number,
    /// Anything.
    Any,
}

impl Class {
    /// Whether `kind` belongs to the class.
    pub fn takes(self, kind: &DataType) -> bool {
        match self {
            Self::Any => true,
            Self::Number => kind.is_numeric(),
            Self::Time => {
                kind.is_integer() || matches!(kind, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
            }
            Self::Exact => {
                kind.is_integer()
                    || matches!(
                        kind,
                        DataType::Boolean
                            | DataType::Utf8
                            | DataType::LargeUtf8
                            | DataType::Utf8View
                            | DataType::Date32
                            | DataType::Date64
                            | DataType::Timestamp(..)
                            | DataType::Decimal128(..)
                            | DataType::Decimal256(..)
                    )
            }
        }
    }

    /// The allowed types in words, for error messages.
    pub fn words(self) -> &'static str {
        match self {
            Self::Exact => "integer, boolean, string, date, timestamp or decimal",
            Self::Time => "date, timestamp or integer step number",
            Self::Number => "integer, float or decimal",
            Self::Any => "any type",
        }
    }
}

/// A literal argument.
#[derive(Debug)]
pub struct Param {
    /// Argument name in SQL.
    pub name: &'static str,
    /// Type and range.
    pub kind: Kind,
    /// JSON text of the default; `None` if the call must give it; `Some("null")` if it may be absent.
    pub default: Option<&'static str>,
    /// Meaning and unit.
    pub meaning: &'static str,
}

/// Type and range of a literal argument.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Whole number within both ends.
    Integer {
        /// Smallest allowed.
        min: i64,
        /// Largest allowed.
        max: i64,
    },
    /// Finite number within both ends.
    Number {
        /// Smallest allowed.
        min: f64,
        /// Largest allowed.
        max: f64,
    },
    /// Whole numbers, each within both ends, ascending, no duplicates.
    IntegerList {
        /// Smallest allowed.
        min: i64,
        /// Largest allowed.
        max: i64,
    },
    /// So many whole numbers from 0 on, in any order: the orders of a model.
    Counts {
        /// How many.
        length: usize,
        /// Largest allowed.
        max: i64,
    },
    /// Finite numbers, each within both ends, in any order.
    NumberList {
        /// Smallest allowed.
        min: f64,
        /// Largest allowed.
        max: f64,
    },
    /// A whole number of at least 1 is a count; a fraction above 0 and at most 1 (with a decimal point) is a share.
    CountOrShare,
    /// One of the names that the function returns.
    Choice(fn() -> Vec<&'static str>),
    /// Free text that the function itself parses and checks in `bind`.
    Text,
}

impl Kind {
    /// The range in words, for help and errors.
    pub fn words(&self) -> String {
        match self {
            Self::Integer { min, max: i64::MAX } => format!("whole number, at least {min}"),
            Self::Integer { min, max } => format!("whole number from {min} to {max}"),
            Self::Number { min, max } if max.is_infinite() => format!("number, at least {min}"),
            Self::Number { min, max } => format!("number from {min} to {max}"),
            Self::IntegerList { min, max } => format!("list of whole numbers from {min} to {max}, ascending"),
            Self::Counts { length, max } => format!("list of {length} whole numbers from 0 to {max}"),
            Self::NumberList { min, max } => format!("list of numbers from {min} to {max}"),
            Self::CountOrShare => {
                "whole number of at least 1 (a count), or a fraction above 0 and at most 1 written with a point (a share)"
                    .into()
            }
            Self::Choice(known) => format!("one of {}", known().join(", ")),
            Self::Text => "text".into(),
        }
    }
}

/// The nearest known name, if one is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&name, &k.to_lowercase()), k))
        .filter(|(d, k)| *d <= 2.max(k.len() / 3))
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// The hint at the end of an error about an unknown name: `, did you mean ..?` with the nearest known one, or nothing.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map(|n| format!(", did you mean `{n}`?")).unwrap_or_default()
}
