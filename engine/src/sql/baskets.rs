//! `frequent_itemsets` and `association_rules`: relational plans around the mining functions.
//!
//! In: one row for one item of one basket. Out: itemsets or rules. The passes are those of parallel FP-Growth (Li, Wang,
//! Zhang, Zhang, Chang 2008): count items, rank them, give every shard the prefixes it needs, mine shards independently.
//! Each common table expression below is one pass, and every prefix of the list is a plan by itself.

use super::call::Call;
use super::rewrite;
use datafusion::common::{Result, internal_datafusion_err, plan_datafusion_err, plan_err};
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::{Query, Statement, TableFactor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use lakecast_udfs::baskets::signatures::{ASSOCIATION_RULES, FREQUENT_ITEMSETS};
use lakecast_udfs::signature::{Role, Signature};
use std::fmt::Write;

/// A table function that is a plan around group functions.
pub struct Pipeline {
    /// Name, arguments and output as SQL sees them.
    pub signature: &'static Signature,
    sql: fn(&Call) -> Result<String>,
}

/// Every pipeline, in the order in which `lakecast functions` prints them.
pub const PIPELINES: &[Pipeline] = &[
    Pipeline { signature: &FREQUENT_ITEMSETS, sql: itemsets },
    Pipeline { signature: &ASSOCIATION_RULES, sql: rules },
];

impl Pipeline {
    pub(super) fn plan(&self, call: &Call, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        // Columns and types are checked on the user's own input first, so that errors speak of it and not of the passes.
        let input = call.plan_input(context)?;
        call.resolve(Role::Key, &input, context)?;
        call.resolve(Role::Value, &input, context)?;
        let query = parse(&(self.sql)(call)?)?;
        context.plan(TableFactor::Derived { lateral: false, subquery: query, alias: None, sample: None })
    }
}

fn parse(text: &str) -> Result<Box<Query>> {
    let statement =
        Parser::parse_sql(&GenericDialect {}, text).map_err(|e| internal_datafusion_err!("{e} in {text}"))?.pop();
    match statement {
        Some(Statement::Query(mut query)) => {
            rewrite::in_tree(query.as_mut());
            Ok(query)
        }
        _ => Err(internal_datafusion_err!("no query: {text}")),
    }
}

fn written(call: &Call, column: &str) -> Result<String> {
    match call.columns.get(column).map(Vec::as_slice) {
        Some([one]) => Ok(one.to_string()),
        _ => plan_err!("{}: argument takes one column: name={column}", call.signature.name),
    }
}

/// The passes up to `lc_mined(itemset, length, n)` and `lc_total(n_baskets, min_count)`.
fn passes(call: &Call) -> Result<String> {
    let (basket, item) = (written(call, "basket")?, written(call, "item")?);
    let min_count = min_count_sql(call)?;
    let shards = call.args.integer("shards").map_err(crate::functions::to_datafusion)?;
    let max_len = match call.args.value("max_len").map_err(crate::functions::to_datafusion)? {
        serde_json::Value::Null => String::new(),
        n => format!(", max_len => {n}"),
    };
    let mut shard_rows = String::new();
    for shard in 0..shards {
        let _ = write!(shard_rows, "{}({shard})", if shard == 0 { "" } else { ", " });
    }
    Ok(format!(
        "WITH lc_pairs AS (
           SELECT DISTINCT lakecast_present({basket}, '{basket_name}') AS basket, lakecast_present({item}, '{item_name}') AS item
           FROM ({input}) AS lc_input),
         lc_total AS (
           SELECT n_baskets, {min_count} AS min_count
           FROM (SELECT count(*) AS n_baskets FROM (SELECT DISTINCT basket FROM lc_pairs) AS lc_baskets) AS lc_counted),
         lc_counts AS (SELECT item, count(*) AS n_item FROM lc_pairs GROUP BY item),
         lc_list AS (
           SELECT c.item, c.n_item, t.min_count, row_number() OVER (ORDER BY c.n_item DESC, c.item) - 1 AS item_rank
           FROM lc_total AS t CROSS JOIN lc_counts AS c WHERE c.n_item >= t.min_count),
         lc_ranked AS (
           SELECT p.basket, CAST(l.item_rank AS BIGINT) AS item_rank FROM lc_list AS l JOIN lc_pairs AS p ON l.item = p.item),
         lc_rows AS (
           SELECT CAST(s.shard AS BIGINT) AS shard, CAST(0 AS TINYINT) AS kind, CAST(l.item_rank AS BIGINT) AS item_rank,
                  l.item, l.n_item, l.min_count, CAST(NULL AS BIGINT[]) AS prefix
           FROM (VALUES {shard_rows}) AS s(shard) CROSS JOIN lc_list AS l
           UNION ALL
           SELECT shard, kind, CAST(NULL AS BIGINT), NULL, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), CAST(prefix AS BIGINT[])
           FROM basket_prefixes(lc_ranked, basket => basket, rank => item_rank, shards => {shards})),
         lc_mined AS (
           SELECT itemset, len, n
           FROM mine_shard(lc_rows, shard => shard, kind => kind, rank => item_rank, item => item, n_item => n_item,
                           min_count => min_count, prefix => prefix, shards => {shards}{max_len}))",
        input = call.input,
        basket_name = basket.replace('\'', "''"),
        item_name = item.replace('\'', "''"),
    ))
}

/// The smallest count that is frequent, from `n_baskets`, in whole numbers: a share is a fraction of powers of ten, and
/// `ceil(share * n)` in floats would be one too many or too few at the border.
fn min_count_sql(call: &Call) -> Result<String> {
    let value = call.args.value("min_support").map_err(crate::functions::to_datafusion)?;
    if let Some(count) = value.as_i64() {
        return Ok(format!("CAST({count} AS BIGINT)"));
    }
    let share = value.as_f64().unwrap_or_default();
    let text = format!("{share}");
    let digits = text.split_once('.').map_or("", |(_, d)| d);
    if digits.len() > 9 {
        return plan_err!(
            "{}: min_support has too many decimals: given={share}, allowed=[up to 9 decimals]",
            call.signature.name
        );
    }
    let den = 10_i64.pow(digits.len() as u32);
    let num: i64 =
        text.replace('.', "").parse().map_err(|_| plan_datafusion_err!("min_support is no decimal: given={share}"))?;
    // At least 1, so that an empty input does not make every absent item frequent.
    Ok(format!("greatest(CAST((n_baskets * {num} + {den} - 1) / {den} AS BIGINT), CAST(1 AS BIGINT))"))
}

fn itemsets(call: &Call) -> Result<String> {
    Ok(format!(
        "{} SELECT m.itemset, m.len, CAST(m.n AS DOUBLE) / CAST(t.n_baskets AS DOUBLE) AS support, m.n, t.n_baskets
         FROM lc_total AS t CROSS JOIN lc_mined AS m",
        passes(call)?
    ))
}

fn rules(call: &Call) -> Result<String> {
    let literal = |name: &str| call.args.value(name).map(ToString::to_string).map_err(crate::functions::to_datafusion);
    Ok(format!(
        "{} SELECT {} FROM derive_rules(
            (SELECT CAST(0 AS BIGINT) AS lc_shard, m.itemset, m.n, t.n_baskets AS lc_n_baskets FROM lc_total AS t CROSS JOIN lc_mined AS m),
            shard => lc_shard, itemset => itemset, n => n, n_baskets => lc_n_baskets,
            min_confidence => {}, min_lift => {}, max_consequent => {}) AS r",
        passes(call)?,
        ASSOCIATION_RULES.output.iter().map(|o| format!("r.{}", o.name)).collect::<Vec<_>>().join(", "),
        literal("min_confidence")?,
        literal("min_lift")?,
        literal("max_consequent")?,
    ))
}
