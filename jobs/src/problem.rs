//! What is wrong with a job file, and where.  In: messages with places. Out: one line each, or a miette report.

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

/// The text of a job file and the name under which messages show it.
#[derive(Debug)]
pub struct Source {
    name: String,
    text: String,
}

impl Source {
    /// Takes the text as read; a byte order mark at its start is dropped, so that offsets count from the first character.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Arc::new(Self { name: name.into(), text })
    }

    /// The name that messages show, usually the path as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line `number` (from 1) and the byte offset at which it starts.
    pub fn line(&self, number: usize) -> Option<(usize, &str)> {
        let mut start = 0;
        for (i, line) in self.text.split_inclusive('\n').enumerate() {
            if i + 1 == number {
                return Some((start, line.trim_end_matches(['\n', '\r'])));
            }
            start += line.len();
        }
        None
    }

    /// The text at `place`.
    pub fn at(&self, place: Place) -> &str {
        self.text.get(place.offset..place.offset + place.bytes).unwrap_or_default()
    }
}

/// Where in the job file: line and column as editors count them, and the bytes to underline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// First byte in the text.
    pub offset: usize,
    /// How many bytes.
    pub bytes: usize,
}

impl Place {
    /// The place of a YAML node in `source`; `None` if the reader did not record one.
    pub fn of(location: serde_saphyr::Location, source: &Source) -> Option<Self> {
        if location.line() == 0 {
            return None;
        }
        let span = location.span();
        let mut place =
            Self::at(source, usize::try_from(location.line()).ok()?, usize::try_from(location.column()).ok()?);
        // The reader's scanner knows only line and column; nodes know their bytes as well.
        if let Some(offset) = span.byte_offset() {
            place.offset = usize::try_from(offset).ok()?;
            place.bytes = usize::try_from(span.byte_len().unwrap_or(0)).ok()?;
        }
        Some(place)
    }

    /// The place of one character by line and column, both from 1.
    pub fn at(source: &Source, line: usize, column: usize) -> Self {
        let (start, text) = source.line(line).unwrap_or((source.text().len(), ""));
        let (before, bytes) = match text.char_indices().nth(column.saturating_sub(1)) {
            Some((i, c)) => (i, c.len_utf8()),
            None => (text.len(), 0),
        };
        Self { line, column, offset: start + before, bytes }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong and what to do: lowercase, variables last.
    pub message: String,
    /// Where; `None` if it is not in the file, as with a wrong `--set`.
    pub place: Option<Place>,
}

/// Everything that is wrong with a job file; never empty. The command ends with the exit code for usage.
#[derive(Debug)]
pub struct JobError {
    file: NamedSource<String>,
    name: String,
    problems: Vec<Problem>,
}

impl JobError {
    /// From all problems found in `source`.
    pub fn new(source: &Source, problems: Vec<Problem>) -> Self {
        let file = NamedSource::new(source.name(), source.text().to_string());
        Self { file, name: source.name().to_string(), problems }
    }

    /// From one problem.
    pub fn one(source: &Source, place: Option<Place>, message: impl Into<String>) -> Self {
        Self::new(source, vec![Problem { message: message.into(), place }])
    }

    /// The lines of the file that the problems are about, with marks; `None` if no problem has a place.
    pub fn excerpt(&self) -> Option<String> {
        self.source_code()?;
        let mut report = String::new();
        let theme = miette::GraphicalTheme::unicode_nocolor();
        miette::GraphicalReportHandler::new_themed(theme).render_report(&mut report, self).ok()?;
        // The report opens with the message, which the caller shows by itself.
        let (_, lines) = report.split_at(report.find("╭─")?);
        Some(lines.trim_end().lines().map(|line| format!("  {}\n", line.trim_end())).collect())
    }

    /// The problems in the order in which they were found.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl Display for JobError {
    /// One line per problem: `file:line:column: message`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            match problem.place {
                Some(p) => write!(f, "{}:{}:{}: {}", self.name, p.line, p.column, problem.message)?,
                None => write!(f, "{}: {}", self.name, problem.message)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for JobError {}

impl Diagnostic for JobError {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.problems.iter().any(|p| p.place.is_some()).then_some(&self.file as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        // A multi-line SQL text is underlined by its first character: the message says which part of it is wrong.
        let text = self.file.inner();
        let labels = self.problems.iter().filter_map(move |problem| {
            let p = problem.place?;
            let start = p.offset.min(text.len());
            let bytes = text.get(start..start + p.bytes).map_or(0, |t| t.lines().next().map_or(0, str::len));
            Some(LabeledSpan::new(None, start, bytes))
        });
        Some(Box::new(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_with_file_line_and_column() {
        let source = Source::new("a.yaml", "\u{feff}name: x\ntabels: {}\n");
        let (offset, line) = source.line(2).unwrap();
        assert_eq!((offset, line), (8, "tabels: {}"));
        let place = Place { line: 2, column: 1, offset, bytes: 6 };
        assert_eq!(source.at(place), "tabels");
        let error = JobError::one(&source, Some(place), "unknown key: key=tabels");
        assert_eq!(error.to_string(), "a.yaml:2:1: unknown key: key=tabels");
        assert_eq!(JobError::one(&source, None, "no").to_string(), "a.yaml: no");
    }

    #[test]
    fn the_report_shows_the_line_of_the_file() {
        let source = Source::new("a.yaml", "name: x\ntabels: {}\n");
        let place = Place { line: 2, column: 1, offset: 8, bytes: 6 };
        let error = JobError::one(&source, Some(place), "unknown key: key=tabels");
        let report = error.excerpt().unwrap();
        assert!(report.contains("tabels: {}") && report.contains("──") && !report.contains("unknown key"), "{report}");
        assert_eq!(JobError::one(&source, None, "no").excerpt(), None);
    }
}
