//! Whether a text is exactly one query, and which names occur in it.  In: SQL. Out: errors with line and column.

use datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};
use std::collections::BTreeSet;

/// What is wrong with a SQL text. Line and column count characters from 1; `None` stands for the end of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// What is wrong.
    pub message: String,
    /// Where, in the text that was parsed.
    pub at: Option<(usize, usize)>,
}

/// Checks that `sql` is exactly one query that only reads. A semicolon at its end is allowed.
pub fn check_one_query(sql: &str) -> Result<(), SqlError> {
    let mut parser = Parser::new(&GenericDialect {}).try_with_sql(sql).map_err(syntax)?;
    while parser.consume_token(&Token::SemiColon) {}
    let first = parser.peek_token();
    if first.token == Token::EOF {
        return refuse("there is no query, write SELECT .. or WITH .. SELECT ..", first.span.start);
    }
    let statement = parser.parse_statement().map_err(syntax)?;
    let Statement::Query(query) = &statement else {
        let word = first.token.to_string().to_uppercase();
        return refuse(&format!("not a query: given={word}, allowed=[SELECT .., WITH .. SELECT ..]"), first.span.start);
    };
    if let Some(what) = writes(query) {
        return refuse(&format!("a query of a job only reads: given={what}"), first.span.start);
    }
    let mut separated = false;
    while parser.consume_token(&Token::SemiColon) {
        separated = true;
    }
    let next = parser.peek_token();
    match (next.token == Token::EOF, separated) {
        (true, _) => Ok(()),
        (false, true) => refuse("exactly one query is allowed, this starts a second one", next.span.start),
        (false, false) => {
            refuse(&format!("sql does not parse: expected: end of the query, found: {}", next.token), next.span.start)
        }
    }
}

/// Every word of the text that could name a table, lower case where it is not quoted. Holds more than the tables (column
/// names as well) and never less.
pub fn names(sql: &str) -> BTreeSet<String> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    let words = tokens.into_iter().filter_map(|token| match token {
        Token::Word(w) => Some(if w.quote_style.is_some() { w.value } else { w.value.to_lowercase() }),
        _ => None,
    });
    words.collect()
}

fn writes(query: &Query) -> Option<&'static str> {
    match query.body.as_ref() {
        SetExpr::Insert(_) => Some("INSERT"),
        SetExpr::Update(_) => Some("UPDATE"),
        SetExpr::Delete(_) => Some("DELETE"),
        SetExpr::Merge(_) => Some("MERGE"),
        SetExpr::Select(select) => select.into.as_ref().map(|_| "SELECT .. INTO"),
        SetExpr::Query(inner) => writes(inner),
        _ => None,
    }
}

fn refuse(message: &str, at: Location) -> Result<(), SqlError> {
    // The tokenizer gives the end of the text the place (0, 0).
    let place = |n: u64| usize::try_from(n).unwrap_or(0);
    let at = (at.line > 0).then(|| (place(at.line), place(at.column)));
    Err(SqlError { message: message.to_string(), at })
}

/// The parser writes the place at the end of its message: ` at Line: 1, Column: 10`.
fn syntax(error: ParserError) -> SqlError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            return SqlError { message: "sql does not parse: it is nested too deeply".into(), at: Some((1, 1)) };
        }
    };
    let parts = text.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((message, (line.trim().parse().ok()?, column.trim().parse().ok()?)))
    });
    let (message, at) = match parts {
        Some((message, at)) => (message, Some(at)),
        None => (text.as_str(), None),
    };
    let mut message = message.to_string();
    if let Some(first) = message.get_mut(0..1) {
        first.make_ascii_lowercase();
    }
    SqlError { message: format!("sql does not parse: {message}"), at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(sql: &str) -> (String, Option<(usize, usize)>) {
        let e = check_one_query(sql).unwrap_err();
        (e.message, e.at)
    }

    #[test]
    fn queries_of_every_form_pass() {
        for sql in [
            "SELECT 1",
            " ; SELECT 1;;\n-- end\n",
            "WITH a AS (SELECT 1) SELECT * FROM a UNION ALL SELECT 2 ORDER BY 1 LIMIT 1",
            "SELECT * FROM forecast(TABLE(sales), id => [a, b], time => ds, value => y, horizon => 28, level => [80, 95])",
            "SELECT * FROM forecast((SELECT * FROM sales WHERE y > 0), id => a, time => ds, value => y, horizon => 1)",
            "SELECT * FROM frequent_itemsets(baskets, basket => o, item => i, min_support => 0.01)",
            "VALUES (1), (2)",
        ] {
            assert_eq!(check_one_query(sql), Ok(()), "{sql}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_place() {
        assert_eq!(
            wrong("SELECT 1;\n  SELECT 2"),
            ("exactly one query is allowed, this starts a second one".into(), Some((2, 3)))
        );
        assert_eq!(
            wrong("COPY t TO 'x'"),
            ("not a query: given=COPY, allowed=[SELECT .., WITH .. SELECT ..]".into(), Some((1, 1)))
        );
        assert_eq!(wrong("DROP TABLE t").0, "not a query: given=DROP, allowed=[SELECT .., WITH .. SELECT ..]");
        assert_eq!(wrong("WITH a AS (SELECT 1) INSERT INTO t SELECT 1").0, "a query of a job only reads: given=INSERT");
        assert_eq!(wrong("SELECT 1 INTO t").0, "a query of a job only reads: given=SELECT .. INTO");
        assert_eq!(wrong("-- nothing\n"), ("there is no query, write SELECT .. or WITH .. SELECT ..".into(), None));
        assert_eq!(
            wrong("SELECT *\nFROM t WHERE )"),
            ("sql does not parse: expected: an expression, found: )".into(), Some((2, 14)))
        );
        assert_eq!(wrong("SELECT FROM t WHERE").1, None);
        assert_eq!(wrong("SELECT 'abc"), ("sql does not parse: unterminated string literal".into(), Some((1, 8))));
        assert_eq!(wrong("SELECT 1 2").1, Some((1, 10)));
        assert!(wrong(&format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500))).0.contains("nested too deeply"));
    }

    #[test]
    fn names_hold_every_table_of_the_text() {
        let names = names("SELECT * FROM forecast(TABLE(Sales), id => sku) JOIN \"Odd\" ON 'not_me' = x -- nor_me");
        for name in ["sales", "Odd", "forecast"] {
            assert!(names.contains(name), "{name}");
        }
        assert!(!names.contains("not_me") && !names.contains("nor_me"));
    }
}
