//! SQL literals as JSON. In: an expression of the call. Out: a JSON value, or `None` if it is no literal.

use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator, Value};
use serde_json::{Number, Value as Json};

/// A number without point or exponent becomes an integer, any other a float: `1` and `1.0` mean different things where a
/// count or a share is asked for.
pub(super) fn to_json(expr: &Expr) -> Option<Json> {
    match expr {
        Expr::Value(v) => match &v.value {
            Value::Number(text, _) => number(text),
            Value::SingleQuotedString(s) | Value::DoubleQuotedString(s) => Some(Json::String(s.clone())),
            Value::Boolean(b) => Some(Json::Bool(*b)),
            Value::Null => Some(Json::Null),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match to_json(expr)? {
            Json::Number(n) => number(&format!("-{n}")),
            _ => None,
        },
        Expr::Nested(inner) => to_json(inner),
        Expr::Array(list) => list.elem.iter().map(to_json).collect::<Option<Vec<_>>>().map(Json::Array),
        _ => None,
    }
}

fn number(text: &str) -> Option<Json> {
    match text.parse::<i64>() {
        Ok(i) => Some(Json::Number(i.into())),
        Err(_) => Number::from_f64(text.parse().ok()?).map(Json::Number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::{dialect::GenericDialect, parser::Parser};

    fn json(sql: &str) -> Option<String> {
        let expr = Parser::new(&GenericDialect {}).try_with_sql(sql).unwrap().parse_expr().unwrap();
        to_json(&expr).map(|j| j.to_string())
    }

    #[test]
    fn literals_keep_whole_and_broken_numbers_apart() {
        assert_eq!(json("28").as_deref(), Some("28"));
        assert_eq!(json("1.0").as_deref(), Some("1.0"));
        assert_eq!(json("0.0005").as_deref(), Some("0.0005"));
        assert_eq!(json("-7").as_deref(), Some("-7"));
        assert_eq!(json("[80, 95]").as_deref(), Some("[80,95]"));
        assert_eq!(json("'ets_ana'").as_deref(), Some("\"ets_ana\""));
        assert_eq!(json("NULL").as_deref(), Some("null"));
        assert_eq!(json("sku"), None);
        assert_eq!(json("[a, b]"), None);
    }
}
