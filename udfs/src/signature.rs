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
    /// Arguments that are tables beside the input.
    pub tables: &'static [Table],
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

/// An argument that is a table beside the input: `name => TABLE(x)`, `name => x` or `name => (SELECT ..)`.
#[derive(Debug)]
pub struct Table {
    /// Argument name in SQL, for example `future`.
    pub name: &'static str,
    /// How its rows reach the function.
    pub reach: Reach,
    /// Column arguments of the call whose columns the table holds too, under the names that they have in the input.
    pub shared: &'static [&'static str],
    /// Columns that only the table has.
    pub own: &'static [Own],
    /// What the table says.
    pub meaning: &'static str,
}

impl Table {
    /// The columns in words, for help and errors.
    pub fn words(&self) -> String {
        let shared = self.shared.iter().map(|name| format!("those of {name}"));
        let own = self.own.iter().map(|own| match own.required {
            true => own.names.join("|"),
            false => format!("[{}]", own.names.join("|")),
        });
        shared.chain(own).collect::<Vec<_>>().join(", ")
    }
}

/// How the rows of a side table reach a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Among the rows of the group with the same keys, told apart by the number in the value column [`KIND`]; what the
    /// table does not hold is null.
    Group(i8),
    /// Whole, to every worker, before its first group ([`crate::functions::GroupWorker::side`]).
    Whole,
    /// As an input of its own of a function that is a plan: it must be given, after the first input without a name or
    /// anywhere by its name.
    Input,
}

/// Name of the value column that says where a row comes from: 0 for the input, else the number of its table. It is there
/// only if the call gives such a table.
pub const KIND: &str = "lc_kind";

/// A column that only a side table has.
#[derive(Debug)]
pub struct Own {
    /// Names that it may have; the first is its name from there on.
    pub names: &'static [&'static str],
    /// Which types are taken. Times become the type of the call's order column, the rest [`Class::carried`].
    pub class: Class,
    /// Whether the table must have it; else it is null.
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
    /// As `Number`, or boolean.
    Measure,
    /// Boolean or integer.
    Flag,
    /// Integer.
    Integer,
    /// String.
    Text,
    /// Binary or string.
    Bytes,
    /// Anything.
    Any,
}

impl Class {
    /// The type as which a column of its own reaches a function from a side table; `None`: as it is.
    pub fn carried(self) -> Option<DataType> {
        match self {
            Self::Number | Self::Measure => Some(DataType::Float64),
            Self::Flag => Some(DataType::Boolean),
            Self::Integer => Some(DataType::Int64),
            Self::Text => Some(DataType::Utf8),
            Self::Bytes => Some(DataType::Binary),
            Self::Any | Self::Exact | Self::Time => None,
        }
    }

    /// Whether `kind` belongs to the class.
    pub fn takes(self, kind: &DataType) -> bool {
        match self {
            Self::Any => true,
            Self::Number => kind.is_numeric(),
            Self::Measure => kind.is_numeric() || *kind == DataType::Boolean,
            Self::Flag => kind.is_integer() || *kind == DataType::Boolean,
            Self::Integer => kind.is_integer(),
            Self::Text => matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
            Self::Bytes => {
                Self::Text.takes(kind)
                    || matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
            }
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
            Self::Measure => "integer, float, decimal or boolean",
            Self::Flag => "boolean, or an integer that is 0 or not",
            Self::Integer => "integer",
            Self::Text => "string",
            Self::Bytes => "binary or string",
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
    /// Numbers, each strictly between both ends, ascending, no duplicates.
    NumberList {
        /// All are greater.
        above: f64,
        /// All are smaller.
        below: f64,
    },
    /// Numbers, each within both ends, in any order.
    Numbers {
        /// Smallest allowed.
        min: f64,
        /// Largest allowed.
        max: f64,
    },
    /// So many whole numbers, in a fixed order, such as an ARIMA order.
    Counts {
        /// How many.
        length: usize,
        /// Largest allowed; the smallest is 0.
        max: i64,
    },
    /// `true` or `false`.
    Boolean,
    /// A whole number of at least 1 is a count; a fraction above 0 and at most 1 (with a decimal point) is a share.
    CountOrShare,
    /// Names of values: texts or whole numbers, in any order.
    Names,
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
            Self::Number { min, max } if *min <= -1e100 && *max >= 1e100 => "any number".into(),
            Self::Number { min, max } if max.is_infinite() => format!("number, at least {min}"),
            Self::Number { min, max } => format!("number from {min} to {max}"),
            Self::IntegerList { min, max } => format!("list of whole numbers from {min} to {max}, ascending"),
            Self::NumberList { above, below } => format!("list of numbers above {above} and below {below}, ascending"),
            Self::Numbers { min, max } if *min <= -1e9 && *max >= 1e9 => "list of numbers".into(),
            Self::Numbers { min, max } => format!("list of numbers from {min} to {max}"),
            Self::Counts { length, max } => format!("list of {length} whole numbers from 0 to {max}"),
            Self::Boolean => "true or false".into(),
            Self::CountOrShare => {
                "whole number of at least 1 (a count), or a fraction above 0 and at most 1 written with a point (a share)"
                    .into()
            }
            Self::Names => "list of texts or whole numbers".into(),
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
