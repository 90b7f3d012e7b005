//! Mining by prefixes.  In: a call. Out: the passes of parallel FP-Growth (Li, Wang, Zhang, Zhang, Chang 2008) as SQL text.
//!
//! Count items, rank them, give every shard the prefixes that it needs, mine shards independently. Each common table
//! expression below is one pass, and every prefix of the list is a plan by itself. Two things are added to the paper's passes:
//! equal prefixes of a shard are added up by every sender before they are shuffled, and the itemsets of a heavy item are cut
//! by their second-rarest item into pieces of different shards.

use super::text::{forwarded, literal, numbered_rows, present};
use crate::functions::{Functions, to_datafusion};
use crate::sql::call::Call;
use datafusion::common::Result;
use lakecast_udfs::baskets::options::{MiningOptions, Support};

/// How many shares of a shard's work an item is cut into: a piece holds about half of what a shard does on average.
const PIECES_A_SHARD: i64 = 2;

/// The passes up to `lc_rows`, the rows of the shards.
pub(super) fn passes(call: &Call) -> Result<String> {
    let options = MiningOptions::from_args(call.signature.name, &call.args).map_err(to_datafusion)?;
    let shards = call.args.integer("shards").map_err(to_datafusion)?;
    Ok(format!(
        "WITH lc_pairs AS (
           SELECT DISTINCT {basket} AS basket, {item} AS item FROM ({input}) AS lc_input),
         lc_total AS (
           SELECT n_baskets, {min_count} AS min_count
           FROM (SELECT count(*) AS n_baskets FROM (SELECT DISTINCT basket FROM lc_pairs) AS lc_baskets) AS lc_counted),
         lc_counts AS (SELECT item, count(*) AS n_item FROM lc_pairs{exclude} GROUP BY item),
         lc_frequent AS (
           SELECT c.item, c.n_item, t.min_count, t.n_baskets,
                  row_number() OVER (ORDER BY c.n_item DESC, c.item) - 1 AS item_rank,
                  sum(c.n_item) OVER (ORDER BY c.n_item DESC, c.item ROWS UNBOUNDED PRECEDING) - c.n_item AS n_before
           FROM lc_total AS t CROSS JOIN lc_counts AS c WHERE c.n_item >= t.min_count{ubiquitous}),
         lc_mass AS (
           SELECT *, CAST(n_item AS DECIMAL(19, 0)) * CAST(n_before AS DECIMAL(19, 0)) AS mass FROM lc_frequent),
         lc_list AS (
           SELECT item, n_item, min_count, n_baskets, CAST(item_rank AS BIGINT) AS item_rank,
                  CAST(CASE WHEN mass = 0 THEN 1 ELSE least(
                    ceil(CAST(mass AS DOUBLE) * {pieces} / CAST(sum(mass) OVER () AS DOUBLE)), {shards}) END AS BIGINT) AS pieces
           FROM lc_mass),
         lc_ranked AS (
           SELECT p.basket, l.item_rank, l.pieces FROM lc_list AS l JOIN lc_pairs AS p ON l.item = p.item),
         lc_prefixes AS (
           SELECT shard, kind, prefix, count(*) AS weight
           FROM basket_prefixes(lc_ranked, basket => basket, rank => item_rank, pieces => pieces, shards => {shards})
           GROUP BY shard, kind, prefix),
         lc_rows AS (
           SELECT CAST(s.shard AS BIGINT) AS shard, CAST(0 AS TINYINT) AS kind, l.item_rank, l.item, l.n_item, l.pieces,
                  l.min_count, l.n_baskets, arrow_cast(NULL, 'List(UInt32)') AS prefix, CAST(NULL AS BIGINT) AS weight
           FROM (VALUES {shard_rows}) AS s(shard) CROSS JOIN lc_list AS l
           UNION ALL
           SELECT shard, kind, CAST(NULL AS BIGINT), NULL, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT),
                  CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), prefix, weight
           FROM lc_prefixes)",
        basket = present(call, "basket")?,
        item = present(call, "item")?,
        input = call.input,
        min_count = min_count(options.support),
        exclude = excluded(&options.exclude),
        ubiquitous = options.ubiquitous.map(|share| {
            let (part, whole) = share.fraction();
            format!(" AND c.n_item * {whole} <= t.n_baskets * {part}")
        }).unwrap_or_default(),
        pieces = PIECES_A_SHARD * shards,
        shard_rows = numbered_rows(0, shards),
    ))
}

/// The shards over `lc_rows`.
pub(super) fn shards(call: &Call, functions: &Functions, result: &str) -> Result<String> {
    Ok(format!(
        "mine_shard(lc_rows, shard => shard, kind => kind, rank => item_rank, item => item, n_item => n_item,
                    pieces => pieces, min_count => min_count, n_baskets => n_baskets, prefix => prefix, weight => weight,
                    result => '{result}'{})",
        forwarded(call, functions, "mine_shard")?
    ))
}

/// Keeps the items that are not left out; their baskets count all the same.
fn excluded(items: &[String]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let items: Vec<String> = items.iter().map(|item| literal(item)).collect();
    format!(" WHERE CAST(item AS VARCHAR) NOT IN ({})", items.join(", "))
}

/// The smallest count that is frequent, from `n_baskets`, in whole numbers.
fn min_count(support: Support) -> String {
    match support {
        Support::Count(count) => format!("CAST({count} AS BIGINT)"),
        Support::Share(share) => {
            let (part, whole) = share.fraction();
            // At least 1, so that an empty input does not make every absent item frequent.
            format!("greatest(CAST((n_baskets * {part} + {whole} - 1) / {whole} AS BIGINT), CAST(1 AS BIGINT))")
        }
        // The plan has no place for it.
        Support::TopK(_) => "CAST(1 AS BIGINT)".into(),
    }
}
