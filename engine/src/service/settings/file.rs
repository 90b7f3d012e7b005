//! The file of settings as written.  In: YAML text and the flags. Out: values per flag, or the first thing that is wrong.

use std::cell::Cell;
use std::fmt;

use clap::{Arg, ArgAction};
use lakecast_udfs::signature::did_you_mean;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error as YamlError, MergeKeyPolicy, Spanned};

/// A flag that the file may set.
#[derive(Debug)]
pub(super) struct Flag {
    id: String,
    key: String,
    /// Whether it may be repeated: then a list is allowed.
    many: bool,
}

impl Flag {
    /// The flag of `arg`; `None` if a file cannot set it.
    pub(super) fn of(arg: &Arg) -> Option<Self> {
        let key = arg.get_long().filter(|long| !["config", "help", "version"].contains(long))?;
        let many = matches!(arg.get_action(), ArgAction::Append);
        Some(Self { id: arg.get_id().to_string(), key: key.to_string(), many })
    }
}

/// One key of the file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) key: String,
    /// Line, from 1; 0 if unknown.
    pub(super) line: u64,
    /// As written, for clap to read; one unless the flag may be repeated.
    pub(super) values: Vec<String>,
}

/// What is wrong.
#[derive(Debug)]
pub(super) struct Problem {
    /// Line, from 1; 0 if unknown.
    pub(super) line: u64,
    pub(super) message: String,
}

/// Reads the file; it may be empty.
pub(super) fn read(text: &str, flags: &[Flag]) -> Result<Vec<Entry>, Problem> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_events: 100_000, max_aliases: 1_000, max_anchors: 1_000, max_depth: 8 },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    let (problem, open) = (Cell::new(None), Cell::new(None));
    let entries = serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        yaml.deserialize_option(Entries { flags, problem: &problem, open: &open })
    });
    entries.map_err(|error| problem.take().unwrap_or_else(|| in_our_words(error.without_snippet(), open.take())))
}

/// `open`: the flag and the line of the key whose value was being read.
fn in_our_words(error: &YamlError, open: Option<(&Flag, u64)>) -> Problem {
    let place = error.location().map_or(0, |place| place.line());
    let of_a_type = matches!(
        error,
        YamlError::Unexpected { .. }
            | YamlError::NullIntoString { .. }
            | YamlError::InvalidScalar { .. }
            | YamlError::SerdeInvalidType { .. }
            | YamlError::SerdeInvalidValue { .. }
            | YamlError::TaggedScalarCannotDeserializeIntoString { .. }
    );
    let (line, message) = match (error, open) {
        (_, Some((flag, line))) if of_a_type => {
            let expected = if flag.many { "text, or a list of texts" } else { "text, a number, true or false" };
            (line, format!("wrong type: key={}, expected=[{expected}], detail={}", flag.key, plain(error)))
        }
        (_, None) if of_a_type => {
            (place, "wrong type: expected=a mapping of flags, as in `log-level: info`".to_string())
        }
        (YamlError::DuplicateMappingKey { key, .. }, _) => {
            (place, format!("key is written twice, remove one: key={}", key.as_deref().unwrap_or("?")))
        }
        (YamlError::MergeKeyNotAllowed { .. }, _) => {
            (place, "merge keys (`<<`) are not allowed, write the keys out".to_string())
        }
        (YamlError::MultipleDocuments { .. }, _) => {
            (place, "more than one YAML document, a file of settings holds one".to_string())
        }
        _ => (place, format!("not valid YAML: {}", plain(error))),
    };
    Problem { line, message }
}

/// The reader's words without the place, which is shown apart.
fn plain(error: impl fmt::Display) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    text.replace('\n', ", ")
}

/// Reads the mapping, and notes in our own words what is wrong with a key.
struct Entries<'a> {
    flags: &'a [Flag],
    problem: &'a Cell<Option<Problem>>,
    open: &'a Cell<Option<(&'a Flag, u64)>>,
}

impl Entries<'_> {
    fn unknown(&self, key: &str) -> String {
        if key == "config" {
            return "a file of settings cannot name another one: key=config".to_string();
        }
        let known: Vec<&str> = self.flags.iter().map(|flag| flag.key.as_str()).collect();
        let hint = did_you_mean(key, known.iter().copied());
        format!("unknown key: key={key}, allowed=[{}]{hint}", known.join(", "))
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = Vec<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of flags")
    }

    fn visit_none<E>(self) -> Result<Vec<Entry>, E> {
        Ok(Vec::new())
    }

    fn visit_unit<E>(self) -> Result<Vec<Entry>, E> {
        Ok(Vec::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, yaml: D) -> Result<Vec<Entry>, D::Error> {
        yaml.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Entry>, A::Error> {
        let mut entries = Vec::new();
        while let Some(Spanned { value: key, referenced, .. }) = map.next_key::<Spanned<String>>()? {
            let line = referenced.line();
            let Some(flag) = self.flags.iter().find(|flag| flag.key == key) else {
                self.problem.set(Some(Problem { line, message: self.unknown(&key) }));
                return Err(A::Error::custom("unknown key"));
            };
            self.open.set(Some((flag, line)));
            let values = map.next_value_seed(Values { many: flag.many })?;
            self.open.set(None);
            entries.push(Entry { id: flag.id.clone(), key, line, values });
        }
        Ok(entries)
    }
}

/// Reads the value of one key.
struct Values {
    many: bool,
}

impl<'de> DeserializeSeed<'de> for Values {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, yaml: D) -> Result<Vec<String>, D::Error> {
        // Read as text, a scalar comes as written: `off` and `1.0` stay what they are.
        if self.many { yaml.deserialize_any(self) } else { yaml.deserialize_string(self) }
    }
}

impl<'de> Visitor<'de> for Values {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Vec<String>, E> {
        Ok(vec![text.to_string()])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(values)
    }
}
