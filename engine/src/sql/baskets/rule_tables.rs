//! `recommend` and `rules_diff`.  In: a call over tables of rules. Out: SQL text.

use super::text::{forwarded, name, present};
use super::{Scope, Text};
use crate::sql::call::{Call, plan_query};
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::sql::sqlparser::ast::Query;
use lakecast_udfs::baskets::rule_table_signatures::{BASKETS, DIFF_MEASURES, NOW};
use lakecast_udfs::signature::Role;

fn second<'a>(call: &'a Call, table: &str) -> Result<&'a Query> {
    let found = call.tables.iter().find(|(t, _)| t.name == table);
    found.map(|(_, query)| query.as_ref()).ok_or_else(|| internal_datafusion_err!("no table {table}"))
}

/// `recommend(TABLE(rules), TABLE(baskets), basket => , item => )`: the group function over the baskets, the rules beside it.
pub(super) fn recommend(call: &Call, scope: &mut Scope) -> Result<Text> {
    let baskets = second(call, BASKETS)?;
    let input = plan_query(baskets, scope.context)?;
    let keys = call.resolve(Role::Key, &input, scope.context)?;
    call.resolve(Role::Value, &input, scope.context)?;
    let names: Vec<String> = keys.iter().map(|key| name(&key.name)).collect();
    let written = call.columns.get("basket").map(Vec::as_slice).unwrap_or_default();
    let columns: Vec<String> = written.iter().zip(&names).map(|(expr, name)| format!("{expr} AS {name}")).collect();
    let sql = format!(
        "SELECT {names}, rank, item, score, lift, antecedent FROM recommend_for_basket(
           (SELECT {columns}, {item} AS lc_item FROM ({baskets}) AS lc_baskets),
           basket => [{names}], item => lc_item, rules => ({rules}){params})",
        names = names.join(", "),
        columns = columns.join(", "),
        item = present(call, "item")?,
        rules = call.input,
        params = forwarded(call, scope.functions, "recommend_for_basket")?,
    );
    Ok(Text { sql, why: None })
}

/// `rules_diff(TABLE(last), TABLE(now))`: both tables as one, a group a rule.
pub(super) fn diff(call: &Call, scope: &mut Scope) -> Result<Text> {
    let input = call.plan_input(scope.context)?;
    let by = call.resolve(Role::Key, &input, scope.context)?;
    let names: Vec<String> = by.iter().map(|key| name(&key.name)).collect();
    let written = call.columns.get("by").map(Vec::as_slice).unwrap_or_default();
    let side = |query: &dyn std::fmt::Display, now: u8| {
        let by: String = written.iter().zip(&names).map(|(expr, name)| format!("{expr} AS {name}, ")).collect();
        let measures: Vec<String> = DIFF_MEASURES.iter().map(|m| name(m)).collect();
        format!(
            "SELECT {by}antecedent, consequent, {now} AS lc_now, {} FROM ({query}) AS lc_side{now}",
            measures.join(", ")
        )
    };
    let keys: String = names.iter().map(|name| format!("{name}, ")).collect();
    let of = |measure: &str, now: u8| format!("max(CASE WHEN lc_now = {now} THEN {} END)", name(measure));
    let once = |now: u8, table: &str| format!("lakecast_once(count(CASE WHEN lc_now = {now} THEN 1 END), '{table}')");
    let measures: String = DIFF_MEASURES
        .iter()
        .map(|m| {
            format!(", {} AS {}, {} AS {}", of(m, 0), name(&format!("{m}_last")), of(m, 1), name(&format!("{m}_now")))
        })
        .collect();
    let sql = format!(
        "SELECT {keys}antecedent, consequent,
                CASE WHEN n_last = 0 THEN 'new' WHEN n_now = 0 THEN 'gone'
                     WHEN abs(confidence_now - confidence_last) > {tolerance} THEN 'moved' ELSE 'same' END AS change{shown}
         FROM (SELECT {keys}antecedent, consequent, {n_last} AS n_last, {n_now} AS n_now{measures}
               FROM ({last} UNION ALL {now}) AS lc_both
               GROUP BY {keys}antecedent, consequent) AS lc_rules",
        tolerance = call.args.number("tolerance").map_err(crate::functions::to_datafusion)?,
        shown = DIFF_MEASURES
            .iter()
            .map(|m| format!(", {}, {}", name(&format!("{m}_last")), name(&format!("{m}_now"))))
            .collect::<String>(),
        n_last = once(0, "the first table"),
        n_now = once(1, NOW),
        last = side(&call.input, 0),
        now = side(second(call, NOW)?, 1),
    );
    Ok(Text { sql, why: None })
}
