//! `lakecast functions`.  In: the signatures of all table functions. Out: help for a terminal, or markdown for a README.

use lakecast_udfs::functions::FUNCTIONS;
use lakecast_udfs::signature::{Param, Role, Signature, did_you_mean};
use std::fmt::Write as _;

/// Names that an argument of a function takes or a column of it holds, with their meaning: the models of `forecast`, say.
#[derive(Debug, Clone)]
pub struct Choices {
    /// The function.
    pub function: &'static str,
    /// The heading, for example `Models`.
    pub title: &'static str,
    /// Headings of the columns; the first holds the name as SQL writes it.
    pub head: &'static [&'static str],
    /// A row per name, in the order in which help prints them.
    pub rows: Vec<Vec<String>>,
}

/// Everything that help can be asked about.
#[derive(Debug)]
pub struct Help {
    signatures: Vec<&'static Signature>,
    choices: Vec<Choices>,
}

impl Help {
    /// All public group functions, then `pipelines` (functions that are whole plans); with the names that they take.
    pub fn new(pipelines: &[&'static Signature], choices: Vec<Choices>) -> Self {
        let groups = FUNCTIONS.iter().filter(|f| f.is_public()).map(|f| f.signature());
        Self::of(groups.chain(pipelines.iter().copied()).collect(), choices)
    }

    fn of(signatures: Vec<&'static Signature>, choices: Vec<Choices>) -> Self {
        Self { signatures, choices }
    }

    /// All functions, a line each.
    pub fn list(&self) -> String {
        let rows = self.signatures.iter().map(|s| vec![s.name.to_string(), s.summary.to_string()]).collect();
        let mut out = columns(&["function", "what it does"], rows);
        out.push_str("\nlakecast functions NAME explains one of them\n");
        out
    }

    /// One function in full. Errors: an unknown name, with the nearest known one.
    pub fn explain(&self, name: &str) -> Result<String, String> {
        let s = self.find(name)?;
        let mut out = format!("{}: {}\n\n{}\n", s.name, s.summary, usage(s));
        for Section { title, head, rows } in self.sections(s) {
            let _ = write!(out, "\n{title}\n{}", indent(&columns(head, rows)));
        }
        Ok(out)
    }

    /// All functions in full, as markdown; a test holds the README to it.
    pub fn markdown(&self) -> String {
        let all: Vec<_> = self.signatures.iter().map(|s| self.markdown_of(s)).collect();
        all.join("\n")
    }

    /// One function in full, as markdown. Errors: an unknown name, with the nearest known one.
    pub fn explain_markdown(&self, name: &str) -> Result<String, String> {
        Ok(self.markdown_of(self.find(name)?))
    }

    fn markdown_of(&self, s: &Signature) -> String {
        let mut out = format!("### `{}`\n\n{}\n\n```sql\n{}\n```\n", s.name, s.summary, usage(s));
        for Section { title, head, rows } in self.sections(s) {
            let _ = write!(out, "\n{title}:\n\n| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
            for row in rows {
                let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
                let rest = cells.get(1..).unwrap_or_default().join(" | ");
                let _ = writeln!(out, "| `{}` | {rest} |", cells.first().map_or("", String::as_str));
            }
        }
        out
    }

    fn find(&self, name: &str) -> Result<&'static Signature, String> {
        self.signatures.iter().copied().find(|s| s.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            let known: Vec<_> = self.signatures.iter().map(|s| s.name).collect();
            let hint = did_you_mean(name, known.iter().copied());
            format!("unknown function: name={name}, known=[{}]{hint}", known.join(", "))
        })
    }

    fn sections(&self, s: &Signature) -> Vec<Section> {
        let output = s.output.iter().map(|o| vec![o.name.to_string(), o.kind.to_string(), o.meaning.to_string()]);
        let mut sections = vec![
            Section {
                title: "Columns",
                head: &["argument", "given", "takes", "meaning"],
                rows: s.columns.iter().map(column_row).collect(),
            },
            Section {
                title: "Tables",
                head: &["argument", "its columns", "meaning"],
                rows: s.tables.iter().map(|t| vec![t.name.to_string(), t.words(), t.meaning.to_string()]).collect(),
            },
            Section {
                title: "Parameters",
                head: &["argument", "default", "allowed", "meaning"],
                rows: s.params.iter().map(param_row).collect(),
            },
            Section { title: "Output", head: &["column", "type", "meaning"], rows: output.collect() },
        ];
        for choices in self.choices.iter().filter(|c| c.function == s.name) {
            sections.push(Section { title: choices.title, head: choices.head, rows: choices.rows.clone() });
        }
        sections.retain(|section| !section.rows.is_empty());
        sections
    }
}

/// One table of a function's help.
struct Section {
    title: &'static str,
    head: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

fn column_row(c: &lakecast_udfs::signature::Column) -> Vec<String> {
    let given = match (c.required, c.many) {
        (true, true) => "required, one or [a, b]",
        (true, false) => "required",
        (false, true) => "optional, one or [a, b]",
        (false, false) => "optional",
    };
    let role = match c.role {
        Role::Key => "rows with equal values form a group",
        Role::Order => "orders the rows of a group",
        Role::Value => "",
    };
    let meaning = if role.is_empty() { c.meaning.to_string() } else { format!("{}; {role}", c.meaning) };
    vec![c.name.to_string(), given.to_string(), c.class.words().to_string(), meaning]
}

fn param_row(p: &Param) -> Vec<String> {
    let default = match p.default {
        None => "required",
        Some("null") => "none",
        Some(text) => text,
    };
    vec![p.name.to_string(), default.to_string(), p.kind.words(), p.meaning.to_string()]
}

/// The shortest call, then what may be added.
fn usage(s: &Signature) -> String {
    let columns = s.columns.iter().filter(|c| c.required).map(|c| format!("{} => column", c.name));
    let params = s.params.iter().filter(|p| p.default.is_none()).map(|p| format!("{} => ..", p.name));
    let arguments: Vec<_> = std::iter::once("TABLE(t)".to_string()).chain(columns).chain(params).collect();
    format!("SELECT * FROM {}({})", s.name, arguments.join(", "))
}

/// Aligned columns; the last one is not padded.
fn columns(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let all: Vec<_> = std::iter::once(head).chain(rows).collect();
    let width = |i: usize| all.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..all.first().map_or(0, Vec::len)).map(width).collect();
    let mut out = String::new();
    for row in &all {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lakecast_udfs::signature::{Class, Column, Kind, Output};

    static FORECAST: Signature = Signature {
        name: "forecast",
        summary: "forecasts every series",
        columns: &[
            Column { name: "id", role: Role::Key, class: Class::Exact, many: true, required: true, meaning: "series" },
            Column {
                name: "w",
                role: Role::Value,
                class: Class::Number,
                many: false,
                required: false,
                meaning: "weight",
            },
        ],
        tables: &[],
        params: &[
            Param { name: "horizon", kind: Kind::Integer { min: 1, max: 9 }, default: None, meaning: "steps" },
            Param { name: "freq", kind: Kind::Text, default: Some("null"), meaning: "a|b" },
            Param {
                name: "level",
                kind: Kind::IntegerList { min: 1, max: 99 },
                default: Some("[80, 95]"),
                meaning: "%",
            },
        ],
        output: &[Output { name: "yhat", kind: "double", meaning: "mean, in the unit of value" }],
    };
    static RULES: Signature =
        Signature { name: "association_rules", summary: "rules", columns: &[], tables: &[], params: &[], output: &[] };

    fn help() -> Help {
        let head = &["name", "what it does", "source"];
        let rows = vec![vec!["naive".into(), "the last value".into(), "FPP3, 5.2".into()]];
        Help::of(vec![&FORECAST, &RULES], vec![Choices { function: "forecast", title: "Models", head, rows }])
    }

    #[test]
    fn the_list_has_a_line_per_function() {
        assert_eq!(
            help().list(),
            "function           what it does\n\
             forecast           forecasts every series\n\
             association_rules  rules\n\
             \nlakecast functions NAME explains one of them\n"
        );
    }

    #[test]
    fn a_function_is_explained_with_defaults_ranges_and_models() {
        assert_eq!(
            help().explain("Forecast").unwrap(),
            "forecast: forecasts every series

SELECT * FROM forecast(TABLE(t), id => column, horizon => ..)

Columns
  argument  given                    takes                                                 meaning
  id        required, one or [a, b]  integer, boolean, string, date, timestamp or decimal  series; rows with equal values form a group
  w         optional                 integer, float or decimal                             weight

Parameters
  argument  default   allowed                                        meaning
  horizon   required  whole number from 1 to 9                       steps
  freq      none      text                                           a|b
  level     [80, 95]  list of whole numbers from 1 to 99, ascending  %

Output
  column  type    meaning
  yhat    double  mean, in the unit of value

Models
  name   what it does    source
  naive  the last value  FPP3, 5.2
"
        );
    }

    #[test]
    fn markdown_escapes_and_leaves_empty_sections_out() {
        let text = help().markdown();
        assert!(text.contains("| `freq` | none | text | a\\|b |\n"), "{text}");
        assert!(text.contains("| argument | default | allowed | meaning |\n|---|---|---|---|\n"), "{text}");
        assert!(
            text.ends_with(
                "### `association_rules`\n\nrules\n\n```sql\nSELECT * FROM association_rules(TABLE(t))\n```\n"
            )
        );
        assert_eq!(help().explain_markdown("association_rules").unwrap().matches('|').count(), 0);
    }

    #[test]
    fn an_unknown_name_gets_the_nearest() {
        assert_eq!(
            help().explain("forcast").unwrap_err(),
            "unknown function: name=forcast, known=[forecast, association_rules], did you mean `forecast`?"
        );
    }

    #[test]
    fn every_public_function_is_listed() {
        let list = Help::new(&[&RULES], vec![]).list();
        for f in FUNCTIONS.iter().filter(|f| f.is_public()) {
            assert!(list.contains(f.signature().name));
        }
        assert!(list.contains("association_rules"));
    }
}
