//! `frequent_itemsets`, `association_rules` and `estimate_itemsets`.  In: a call. Out: the text of one of three plans.
//!
//! All three give the same rows: a segment is a problem that one task does alone; a broadcast encodes a problem in one task
//! and mines it in many, each of which holds all of it; prefixes let no task hold all of it.

use super::choice::{Spread, choose, wants_a_kind};
use super::size::Size;
use super::text::{column, forwarded, forwarded_but, name, numbered_rows, present};
use super::{Scope, Text, prefix};
use crate::functions::to_datafusion;
use crate::sql::call::Call;
use datafusion::common::{Result, plan_err};
use lakecast_udfs::baskets::options::MiningOptions;
use lakecast_udfs::baskets::rules::options::RuleOptions;
use lakecast_udfs::signature::Role;

/// The columns of `frequent_itemsets` after the segment.
const ITEMSET_COLUMNS: &str = "itemset, len, support, n, n_baskets";

/// Shards of rules: each holds a copy of the items, and more than the cores of a few executors would only cost.
const RULE_SHARDS: i64 = 16;

/// Names of the user's `by` columns; types of all columns are checked on the user's own input first, so that errors speak
/// of it and not of the passes.
fn checked(call: &Call, scope: &mut Scope) -> Result<(Vec<String>, Size)> {
    MiningOptions::from_args(call.signature.name, &call.args).map_err(to_datafusion)?;
    let input = call.plan_input(scope.context)?;
    let keys = call.resolve(Role::Key, &input, scope.context)?;
    call.resolve(Role::Value, &input, scope.context)?;
    let by: Vec<String> = keys.into_iter().filter(|key| key.argument.name == "by").map(|key| key.name).collect();
    if let Some(twice) = by.iter().enumerate().find(|(at, name)| by[..*at].contains(name)) {
        return plan_err!(
            "{}: two columns of by have one name, give them names in a subquery: name={}",
            call.signature.name,
            twice.1
        );
    }
    Ok((by, Size::of(&input)?))
}

/// `frequent_itemsets`.
pub(super) fn itemsets(call: &Call, scope: &mut Scope) -> Result<Text> {
    let (by, size) = checked(call, scope)?;
    let (spread, why) = choose(call, size, scope.memory_bytes)?;
    let (sql, function) = match spread {
        Spread::Segment => (segment(call, scope, &by, "itemsets", ITEMSET_COLUMNS)?, "mine_segment"),
        Spread::Broadcast if wants_a_kind(call) => {
            (derived(call, scope, "itemsets", ITEMSET_COLUMNS, RULE_SHARDS)?, "mine_tasks")
        }
        Spread::Broadcast => {
            let shards = call.args.integer("shards").map_err(to_datafusion)?;
            let tasks = tasks(call, scope, "itemsets", shards)?;
            (format!("{} SELECT {ITEMSET_COLUMNS} FROM {tasks}", encoded(call, scope)?), "mine_tasks")
        }
        Spread::Prefix => (
            format!(
                "{} SELECT {ITEMSET_COLUMNS} FROM {}",
                prefix::passes(call)?,
                prefix::shards(call, scope.functions, "itemsets")?
            ),
            "mine_shard",
        ),
    };
    Ok(Text { sql, why: Some((function, why)) })
}

/// `association_rules`.
pub(super) fn rules(call: &Call, scope: &mut Scope) -> Result<Text> {
    let (by, size) = checked(call, scope)?;
    let (spread, why) = choose(call, size, scope.memory_bytes)?;
    let columns: Vec<&str> = call.signature.output.iter().map(|o| o.name).filter(|name| *name != "<by>").collect();
    let columns = columns.join(", ");
    let options = RuleOptions::from_args(call.signature.name, &call.args).map_err(to_datafusion)?;
    let (with, mined, function) = match spread {
        Spread::Segment => {
            let sql = segment(call, scope, &by, "rules", &columns)?;
            return Ok(Text { sql, why: Some(("mine_segment", why)) });
        }
        Spread::Broadcast => {
            let one = options.needs_one_shard();
            let sql = derived(call, scope, "rules", &columns, if one { 1 } else { RULE_SHARDS })?;
            return Ok(Text { sql, why: Some(("mine_tasks", why)) });
        }
        Spread::Prefix => (prefix::passes(call)?, prefix::shards(call, scope.functions, "itemsets")?, "mine_shard"),
    };
    let sql = format!(
        "{with} SELECT {columns} FROM derive_rules(
           (SELECT CAST(0 AS BIGINT) AS lc_shard, itemset, n, n_baskets FROM {mined} AS lc_mined),
           shard => lc_shard, itemset => itemset, n => n, n_baskets => n_baskets{})",
        forwarded(call, scope.functions, "derive_rules")?
    );
    Ok(Text { sql, why: Some((function, why)) })
}

/// What the itemsets of all tasks say of one another, in shards that settle it by themselves.
fn derived(call: &Call, scope: &Scope, result: &str, columns: &str, shards: i64) -> Result<String> {
    Ok(format!(
        "{} SELECT {columns} FROM derive_packed(
           (SELECT shard, kind, codes, ends, counts, items, n_items, info FROM {} AS lc_mined),
           shard => shard, kind => kind, codes => codes, ends => ends, counts => counts, items => items,
           n_items => n_items, info => info, result => '{result}'{})",
        encoded(call, scope)?,
        tasks(call, scope, "packed", shards)?,
        forwarded(call, scope.functions, "derive_packed")?
    ))
}

/// `estimate_itemsets`.
pub(super) fn estimate(call: &Call, scope: &mut Scope) -> Result<Text> {
    let (by, _) = checked(call, scope)?;
    let columns: Vec<&str> = call.signature.output.iter().map(|o| o.name).filter(|name| *name != "<by>").collect();
    Ok(Text { sql: segment(call, scope, &by, "estimate", &columns.join(", "))?, why: None })
}

/// Lines of baskets: what `extra` adds, `lc_basket`, `lc_item` and perhaps `lc_weight`.
fn lines(call: &Call, extra: &str) -> Result<String> {
    let weight = match call.columns.contains_key("weight") {
        true => format!(", {} AS lc_weight", column(call, "weight")?),
        false => String::new(),
    };
    let (basket, item) = (present(call, "basket")?, present(call, "item")?);
    Ok(format!("SELECT {extra}, {basket} AS lc_basket, {item} AS lc_item{weight} FROM ({}) AS lc_input", call.input))
}

/// Arguments of a function that reads lines of baskets.
fn of_lines(call: &Call) -> String {
    let weight = if call.columns.contains_key("weight") { ", weight => lc_weight" } else { "" };
    let categories = call.tables.iter().find(|(table, _)| table.name == "categories");
    let categories = categories.map(|(_, query)| format!(", categories => ({query})")).unwrap_or_default();
    format!("basket => lc_basket, item => lc_item{weight}{categories}")
}

/// One problem for each combination of `by`, or one in all.
fn segment(call: &Call, scope: &Scope, by: &[String], result: &str, columns: &str) -> Result<String> {
    let names: Vec<String> = by.iter().map(|by| name(by)).collect();
    let written = call.columns.get("by").map(Vec::as_slice).unwrap_or_default();
    let keys: Vec<String> = written.iter().zip(&names).map(|(expr, name)| format!("{expr} AS {name}")).collect();
    let (keys, key, shown) = match names.is_empty() {
        true => ("0 AS lc_one".to_string(), "lc_one".to_string(), String::new()),
        false => (keys.join(", "), names.join(", "), format!("{}, ", names.join(", "))),
    };
    Ok(format!(
        "SELECT {shown}{columns} FROM mine_segment(({}), by => [{key}], {}, result => '{result}'{})",
        lines(call, &keys)?,
        of_lines(call),
        forwarded(call, scope.functions, "mine_segment")?,
    ))
}

/// The passes up to `lc_encoded`.
fn encoded(call: &Call, scope: &Scope) -> Result<String> {
    Ok(format!(
        "WITH lc_lines AS ({}),
         lc_encoded AS (
           SELECT part, info, items, n_items, ranks, ends, weights, tasks, conflicts
           FROM encode_baskets(lc_lines, one => lc_one, {}{}))",
        lines(call, "0 AS lc_one")?,
        of_lines(call),
        forwarded(call, scope.functions, "encode_baskets")?,
    ))
}

/// The tasks over `lc_encoded`. The branch without rows gives the column its type. The numbers come from two tables, because
/// the rows of one would stay in one partition, and all tasks with them.
fn tasks(call: &Call, scope: &Scope, result: &str, rule_shards: i64) -> Result<String> {
    let shards = call.args.integer("shards").map_err(to_datafusion)?;
    Ok(format!(
        "mine_tasks(
           (SELECT CAST(0 AS BIGINT) AS lc_task, lc_item FROM lc_lines WHERE false
            {}),
           task => lc_task, item => lc_item, encoded => lc_encoded, result => '{result}', shards => {rule_shards}{})",
        [(0, shards / 2), (shards / 2, shards)]
            .into_iter()
            .filter(|(first, end)| first < end)
            .map(|(first, end)| {
                let rows = numbered_rows(first, end);
                format!("UNION ALL SELECT CAST(t.task AS BIGINT), NULL FROM (VALUES {rows}) AS t(task)")
            })
            .collect::<Vec<_>>()
            .join(" "),
        forwarded_but(call, scope.functions, "mine_tasks", "shards")?,
    ))
}
