//! Baskets of too many items.  In: baskets, supports, a limit. Out: an error that names the longest, or shorter baskets.

use super::dictionary::Dictionary;
use super::encode::Problem;
use super::encoded::EncodeReport;
use super::options::LongBaskets;
use crate::error::{Error, Result};
use crate::functions::GroupContext;
use arrow::compute::sort_to_indices;
use arrow::util::display::array_value_to_string;
use std::cmp::Reverse;

/// Cuts baskets to their `max` items of highest `support`, ties by item, or refuses them; says whether any was cut.
///
/// Supports are those before any cut, so that the answer does not depend on which basket is cut first. Items that are left
/// out anyway neither count nor go. Errors: `Limit`, with the longest basket and the remedy.
pub(super) fn cut_long(
    problem: &mut Problem,
    baskets: &Dictionary,
    support: &[i64],
    max: usize,
    policy: LongBaskets,
    report: &mut EncodeReport,
    context: &dyn GroupContext,
) -> Result<bool> {
    let long = lengths(problem).into_iter().enumerate().filter(|&(_, length)| length > max);
    let long: Vec<(usize, usize)> = long.collect();
    context.check_cancelled()?;
    if long.is_empty() {
        return Ok(false);
    }
    if policy == LongBaskets::Refuse {
        return Err(refusal(baskets, &long, max)?);
    }
    report.truncated_baskets = long.len() as u64;
    report.truncated_items = long.iter().map(|&(_, length)| (length - max) as u64).sum();
    let position = positions(&problem.items)?;
    let mut long = long.into_iter().map(|(basket, _)| basket).peekable();
    let (mut start, mut to) = (0, 0);
    for (basket, end) in problem.ends.iter_mut().enumerate() {
        let mut stays = start..*end as usize;
        start = stays.end;
        if long.next_if_eq(&basket).is_some() {
            let items = &mut problem.own[stays.clone()];
            items.sort_unstable_by_key(|&item| {
                let item = item as usize;
                (!problem.out[item], Reverse(support[item]), position[item])
            });
            stays.end = stays.start + items.partition_point(|&item| problem.out[item as usize]) + max;
        }
        problem.own.copy_within(stays.clone(), to);
        to += stays.len();
        *end = to as u32;
    }
    problem.own.truncate(to);
    Ok(true)
}

/// How many items of each basket count.
fn lengths(problem: &Problem) -> Vec<usize> {
    let mut start = 0;
    let counted = |&end: &u32| {
        let items = &problem.own[start..end as usize];
        start = end as usize;
        items.iter().filter(|&&item| !problem.out[item as usize]).count()
    };
    problem.ends.iter().map(counted).collect()
}

/// The place of each item in ascending order.
fn positions(items: &Dictionary) -> Result<Vec<u32>> {
    let all: Vec<u32> = (0..items.len() as u32).collect();
    let mut position = vec![0; all.len()];
    let order = sort_to_indices(&items.values(&all)?, None, None)?;
    order.values().iter().enumerate().for_each(|(place, &item)| position[item as usize] = place as u32);
    Ok(position)
}

fn refusal(baskets: &Dictionary, long: &[(usize, usize)], max: usize) -> Result<Error> {
    let longest = long.iter().map(|&(_, length)| length).max().unwrap_or_default();
    let ties: Vec<u32> =
        long.iter().filter(|&&(_, length)| length == longest).map(|&(basket, _)| basket as u32).collect();
    let values = baskets.values(&ties)?;
    let first = sort_to_indices(&values, None, Some(1))?.value(0);
    Ok(Error::Limit(format!(
        "baskets hold more items than allowed: filter them, raise max_basket_items, or cut them with \
         long_baskets => 'truncate': basket={}, items={longest}, max_basket_items={max}, long_baskets={}",
        array_value_to_string(&values, first as usize)?,
        long.len()
    )))
}
