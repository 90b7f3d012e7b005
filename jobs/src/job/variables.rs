//! `${name}` in SQL and locations.  In: text and values. Out: text, and where each of its characters came from.

/// Text after substitution, with the way back to the text as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Substituted {
    /// The text that is used.
    pub text: String,
    // Where a stretch of `text` starts, where it came from, and whether it was copied character by character.
    stretches: Vec<(usize, usize, bool)>,
}

impl Substituted {
    /// The byte offset in the text as written from which byte `offset` came; a value's bytes come from its `${`.
    pub fn origin(&self, offset: usize) -> usize {
        let next = self.stretches.partition_point(|(start, ..)| *start <= offset);
        match next.checked_sub(1).and_then(|i| self.stretches.get(i)) {
            Some((start, from, true)) => from + (offset - start),
            Some((_, from, false)) => *from,
            None => offset,
        }
    }
}

/// What is wrong with a `${..}`, and the byte at which it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadVariable {
    /// Byte offset of the `$`.
    pub offset: usize,
    /// How many bytes are wrong.
    pub bytes: usize,
    /// What is wrong.
    pub message: String,
}

/// Replaces every `${name}` by what `value` returns; `$${` becomes a literal `${`. Values are not searched again.
///
/// Errors: all of them, so that one look mends the text.
pub fn substitute(
    template: &str,
    mut value: impl FnMut(&str) -> Result<String, String>,
) -> Result<Substituted, Vec<BadVariable>> {
    let mut out = Substituted { text: String::with_capacity(template.len()), stretches: Vec::new() };
    let mut wrong = Vec::new();
    let mut at = 0;
    while let Some(found) = template[at..].find("${") {
        let dollar = at + found;
        let escaped = template[at..dollar].ends_with('$');
        let plain_end = if escaped { dollar - 1 } else { dollar };
        out.stretches.push((out.text.len(), at, true));
        out.text.push_str(&template[at..plain_end]);
        if escaped {
            out.stretches.push((out.text.len(), dollar, true));
            out.text.push_str("${");
            at = dollar + 2;
            continue;
        }
        let Some(length) = template[dollar..].find('}') else {
            let message = "`${` without `}`: close it, or write `$${` for a literal `${`".to_string();
            wrong.push(BadVariable { offset: dollar, bytes: 2, message });
            return Err(wrong);
        };
        at = dollar + length + 1;
        let name = &template[dollar + 2..at - 1];
        let found = if is_name(name) {
            value(name)
        } else {
            Err(format!("bad variable name: name={name:?}, allowed=[letters, digits and _, not starting with a digit]"))
        };
        match found {
            Ok(value) => {
                out.stretches.push((out.text.len(), dollar, false));
                out.text.push_str(&value);
            }
            Err(message) => wrong.push(BadVariable { offset: dollar, bytes: length + 1, message }),
        }
    }
    out.stretches.push((out.text.len(), at, true));
    out.text.push_str(&template[at..]);
    if wrong.is_empty() { Ok(out) } else { Err(wrong) }
}

/// Whether `name` can be a variable.
pub fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Result<String, String> {
        match name {
            "d" => Ok("2026-11-22".into()),
            "tricky" => Ok("${d}".into()),
            other => Err(format!("unknown: {other}")),
        }
    }

    #[test]
    fn values_replace_names_once() {
        assert_eq!(substitute("a ${d} b${d}", value).unwrap().text, "a 2026-11-22 b2026-11-22");
        assert_eq!(substitute("${tricky}", value).unwrap().text, "${d}");
        assert_eq!(substitute("$d $$ { } $", value).unwrap().text, "$d $$ { } $");
        assert_eq!(substitute("", value).unwrap().text, "");
    }

    #[test]
    fn two_dollars_are_a_literal() {
        assert_eq!(substitute("$${d} ${d}", value).unwrap().text, "${d} 2026-11-22");
        assert_eq!(substitute("é$${", value).unwrap().text, "é${");
    }

    #[test]
    fn every_wrong_name_is_reported_at_its_place() {
        let wrong = substitute("${x} ${d} ${1a} ${}", value).unwrap_err();
        let places: Vec<_> = wrong.iter().map(|w| (w.offset, w.bytes)).collect();
        assert_eq!(places, [(0, 4), (10, 5), (16, 3)]);
        assert_eq!(wrong[0].message, "unknown: x");
        assert!(wrong[1].message.starts_with("bad variable name: name=\"1a\""));
        assert!(substitute("a ${d", value).unwrap_err()[0].message.contains("without `}`"));
    }

    #[test]
    fn characters_lead_back_to_where_they_were_written() {
        let s = substitute("ab ${d} cd $${x} e", value).unwrap();
        assert_eq!(s.text, "ab 2026-11-22 cd ${x} e");
        for (needle, from) in [("ab", 0), ("2026", 3), ("-11", 3), ("cd", 8), ("${x", 12), ("e", 17)] {
            assert_eq!(s.origin(s.text.rfind(needle).unwrap()), from, "{needle}");
        }
    }
}
