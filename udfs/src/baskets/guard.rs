//! How many itemsets there are, before they are written.  In: baskets, search. Out: a count, or a refusal with advice.
//!
//! What is done when, cheapest first; all by counted work, never by the clock:
//! 1. An upper bound from the lengths of the baskets, in one pass: each frequent itemset is a subset of at least `min_count`
//!    baskets. It settles short baskets and small `max_len`.
//! 2. The exact count, by a miner whose sink adds up binomials, within [`BUDGET`]. Its spectrum of weights says what every
//!    higher support gives, so that no second run is needed for the advice.
//! 3. Beyond the budget the number is sampled and comes with its standard error; if an itemset is so long that its subsets
//!    alone are too many, it is a lower bound. The support that fits is searched by bisection over counts that stop at twice
//!    the limit.

use super::encoded::Encoded;
use super::mining::{Search, Tally, Task, mine};
use super::sampled_count::{DEPTH_MAX, sampled};
use super::transactions::Transactions;
use crate::error::{Error, Result};
use crate::functions::GroupContext;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::cell::Cell;
use std::collections::BTreeMap;

/// Operations that a check may cost.
pub const BUDGET: u64 = 2_000_000_000;

/// Operations between two questions of a miner to its context.
const OPERATIONS_PER_TICK: u64 = 1 << 20;

/// Standard errors by which a sampled number must be over the limit to be refused.
const ERRORS_SURE: f64 = 3.0;

/// Where the sampler's numbers start: any number would do.
const SEED: u64 = 2026;

/// Items that an estimate names.
const HEAVIEST: usize = 10;

/// Number of itemsets.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// All of them; with an infinite error, at least (`estimate`) or at most (`check` that passed) so many.
    pub itemsets: u128,
    /// Surely at least so many.
    pub at_least: u128,
    /// Whether they were counted.
    pub exact: bool,
    /// Standard error over the estimate: 0 if counted, infinite for a bound.
    pub relative_error: f64,
    /// The ranks that are in the most itemsets, and in how many: what leaving one out would save.
    pub by_item: Vec<(u32, u128)>,
    /// By number of items, from 1.
    pub by_len: Vec<u128>,
    /// The smallest support that keeps to the limit.
    pub fits: Option<Fits>,
    /// Operations of emitting the itemsets of which each rank is the rarest; empty unless counted.
    pub work_of_rarest: Vec<u64>,
    /// Of ranks with much of it, the same by second-rarest item; empty unless counted.
    pub work_of_pairs: BTreeMap<u32, Vec<(u32, u64)>>,
}

impl Estimate {
    /// Whether there are more than `limit`, so far as a sample can tell.
    fn surely_over(&self, limit: u128) -> bool {
        self.at_least > limit || self.itemsets as f64 * (1.0 - ERRORS_SURE * self.relative_error) > limit as f64
    }
}

/// A support that keeps to the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fits {
    /// Smallest weight of an itemset.
    pub count: u64,
    /// Itemsets there.
    pub itemsets: u128,
    /// Whether it is the smallest such weight; else smaller ones may fit that were not tried.
    pub exact: bool,
}

/// Counts the itemsets of a search, or estimates them, in about `budget` operations.
///
/// Half of the budget is for the count; of the other half a quarter is for the sample, the rest for the support that fits. Memory: two numbers an item and one a weight.
/// Errors: `Limit` for want of memory, `Cancelled`.
pub fn estimate(
    rows: Transactions<'_>,
    search: &Search<'_>,
    max_itemsets: u64,
    budget: u64,
    context: &dyn GroupContext,
) -> Result<Estimate> {
    Ok(counted(rows, search, max_itemsets, budget, context)?.0)
}

/// Refuses a problem of more than `max_itemsets`.
///
/// Cost: one pass over the baskets if that settles it, else counting, which is mining without writing, up to [`BUDGET`]
/// operations. What is not surely over the limit by then passes: the miner's own limit holds. Errors: `Limit` with the number, the
/// supports that fit and the items that are in most itemsets; `Cancelled`.
pub fn check(
    encoded: &Encoded,
    search: &Search<'_>,
    max_itemsets: u64,
    context: &dyn GroupContext,
) -> Result<Estimate> {
    let rows = encoded.rows.view();
    let at_most = upper_bound(rows, search);
    if at_most <= u128::from(max_itemsets) {
        return Ok(Estimate { itemsets: at_most, ..bound() });
    }
    let (estimate, tally) = counted(rows, search, max_itemsets, BUDGET, context)?;
    if !estimate.surely_over(u128::from(max_itemsets)) {
        return Ok(estimate);
    }
    Err(Error::Limit(advice(encoded, search, max_itemsets, &estimate, tally.as_ref())?))
}

/// The largest `min_count` with at least `k` itemsets, 1 if there are fewer; itemsets of equal weight come all or none, so
/// that there may be more than `k`.
///
/// `search.min_count` is the smallest answer. Counts stop at twice `k`, and what they saw raises the threshold of the next
/// one: never more than a few times `k` itemsets are looked at in a run. Errors: `Limit` for want of memory, `Cancelled`.
pub fn min_count_for_top_k(
    rows: Transactions<'_>,
    search: &Search<'_>,
    k: u64,
    context: &dyn GroupContext,
) -> Result<u64> {
    let k = u128::from(k.max(1));
    let least = search.min_count.max(1);
    let mut weights = weights(rows);
    weights.sort_unstable_by(|a, b| b.cmp(a));
    // The k commonest items are k itemsets already.
    let kth = usize::try_from(k - 1).ok().and_then(|at| weights.get(at)).copied().unwrap_or(least);
    let mut known = kth.max(least);
    let mut next = known;
    loop {
        let run = Run::new(rows, search, next, k.saturating_mul(2), u64::MAX, context)?;
        match run.tally.kth_weight(k) {
            Some(weight) if run.complete => return Ok(weight),
            Some(weight) => {
                known = weight;
                next = if weight > next { weight } else { next + 1 };
            }
            None if run.complete => return Ok(known),
            // Too long an itemset stopped it, whose subsets alone are more than k.
            None => {
                known = next;
                next += 1;
            }
        }
    }
}

fn bound() -> Estimate {
    Estimate {
        itemsets: 0,
        at_least: 0,
        exact: false,
        relative_error: f64::INFINITY,
        by_item: vec![],
        by_len: vec![],
        fits: None,
        work_of_rarest: vec![],
        work_of_pairs: BTreeMap::new(),
    }
}

/// The estimate, and the spectrum from the support that fits upwards.
fn counted(
    rows: Transactions<'_>,
    search: &Search<'_>,
    max_itemsets: u64,
    budget: u64,
    context: &dyn GroupContext,
) -> Result<(Estimate, Option<Tally>)> {
    let run = Run::new(rows, search, search.min_count, u128::MAX, budget / 2, context)?;
    let (limit, mut tally) = (u128::from(max_itemsets), run.tally);
    let mut estimate = Estimate {
        itemsets: tally.itemsets(),
        at_least: tally.itemsets(),
        by_item: heaviest(tally.with_item().iter().copied()),
        by_len: tally.by_len().to_vec(),
        ..bound()
    };
    if run.complete {
        (estimate.exact, estimate.relative_error) = (true, 0.0);
        estimate.work_of_rarest = tally.work_of_rarest().to_vec();
        estimate.fits = tally.fitting(limit).map(|(count, itemsets)| Fits { count, itemsets, exact: true });
        estimate.work_of_pairs = tally.take_pairs();
        return Ok((estimate, Some(tally)));
    }
    drop(tally);
    estimate.at_least = estimate.itemsets.max(lower_bound(rows, search));
    match sampled(rows, search, budget / 8, SEED, context)? {
        Some(sample) if sample.itemsets >= estimate.at_least as f64 => {
            estimate.itemsets = sample.itemsets.round() as u128;
            estimate.relative_error = sample.error / sample.itemsets;
            estimate.by_item = heaviest(sample.with_item.iter().map(|n| n.round() as u128));
            estimate.by_len = sample.by_len.iter().map(|n| n.round() as u128).collect();
        }
        Some(_) => estimate.itemsets = estimate.at_least,
        None => {
            let of_one = if search.conflicts.is_some() { 0 } else { subsets(DEPTH_MAX, search.max_len) };
            estimate.at_least = estimate.at_least.max(of_one);
            estimate.itemsets = estimate.at_least;
        }
    }
    if !estimate.surely_over(limit) {
        return Ok((estimate, None));
    }
    let (fits, tally) = bisect(rows, search, limit, budget * 3 / 8, context)?;
    estimate.fits = fits;
    Ok((estimate, tally))
}

/// The ranks with the largest numbers.
fn heaviest(with_item: impl Iterator<Item = u128>) -> Vec<(u32, u128)> {
    let mut heaviest: Vec<(u32, u128)> = (0..).zip(with_item).filter(|(_, n)| *n > 0).collect();
    heaviest.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    heaviest.truncate(HEAVIEST);
    heaviest
}

/// The smallest support with at most `limit` itemsets that is found with `budget` operations.
fn bisect(
    rows: Transactions<'_>,
    search: &Search<'_>,
    limit: u128,
    budget: u64,
    context: &dyn GroupContext,
) -> Result<(Option<Fits>, Option<Tally>)> {
    let (mut too_low, mut left) = (search.min_count, budget);
    let mut fits = weights(rows).into_iter().max().unwrap_or(0) + 1;
    let mut found = None;
    while fits - too_low > 1 && left > 0 {
        let middle = (too_low as f64 * fits as f64).sqrt() as u64;
        let middle = middle.clamp(too_low + 1, fits - 1);
        let run = Run::new(rows, search, middle, limit.saturating_mul(2), left, context)?;
        left = left.saturating_sub(run.work);
        match run.tally.fitting(limit).filter(|_| run.complete) {
            Some((count, _)) => {
                // Complete, but maybe beyond the limit below `count`: nothing under that needs a look.
                fits = count;
                too_low = if count > middle { count - 1 } else { too_low };
                found = Some(run.tally);
            }
            // Even a part of the itemsets is too many down to this weight; if work ran out, that is as good as too many.
            None => too_low = run.tally.kth_weight(limit + 1).unwrap_or(middle).clamp(middle, fits - 1),
        }
    }
    let fitting = found.as_ref().and_then(|tally| tally.fitting(limit));
    Ok((fitting.map(|(count, itemsets)| Fits { count, itemsets, exact: fits - too_low == 1 && left > 0 }), found))
}

/// A count that ended, or was ended.
pub(super) struct Run {
    pub(super) tally: Tally,
    pub(super) complete: bool,
    work: u64,
}

impl Run {
    pub(super) fn new(
        rows: Transactions<'_>,
        search: &Search<'_>,
        min_count: u64,
        itemsets: u128,
        work: u64,
        context: &dyn GroupContext,
    ) -> Result<Self> {
        let search = Search { min_count, ..*search };
        let mut tally = Tally::new(min_count, search.max_len, rows.n_items).stopping_at(itemsets, work);
        let metered =
            Metered { context, ticks: Cell::new(0), most: work / OPERATIONS_PER_TICK + 1, end: Cell::new(None) };
        let done = mine(rows, &Task::all(rows.n_items), &search, &mut tally, &metered);
        let complete = match (done, metered.end.get()) {
            (Ok(()), _) => true,
            // A limit of the count, or of the miner: an itemset so long that nobody counts its subsets.
            (Err(Error::Limit(_)), Some(End::Budget) | None) => false,
            (Err(error), _) => return Err(error),
        };
        let work = tally.work() + metered.ticks.get() * OPERATIONS_PER_TICK;
        Ok(Self { tally, complete, work })
    }
}

/// A context that ends a run after so many questions.
struct Metered<'a> {
    context: &'a dyn GroupContext,
    ticks: Cell<u64>,
    most: u64,
    end: Cell<Option<End>>,
}

#[derive(Clone, Copy)]
enum End {
    Budget,
    Memory,
}

impl GroupContext for Metered<'_> {
    fn reserve(&self, bytes: usize) -> Result<()> {
        self.context.reserve(bytes).inspect_err(|_| self.end.set(Some(End::Memory)))
    }

    fn check_cancelled(&self) -> Result<()> {
        self.context.check_cancelled()?;
        self.ticks.set(self.ticks.get() + 1);
        if self.ticks.get() > self.most {
            self.end.set(Some(End::Budget));
            return Err(Error::Limit(format!("counted no further: ticks={}", self.most)));
        }
        Ok(())
    }
}

/// The weight of each rank.
fn weights(rows: Transactions<'_>) -> Vec<u64> {
    let mut weights = vec![0; rows.n_items];
    for (at, &weight) in rows.weights.iter().enumerate() {
        rows.row(at).iter().for_each(|&item| weights[item as usize] += weight);
    }
    weights
}

/// Non-empty subsets of at most `max_len` of `n` items; saturates.
fn subsets(n: usize, max_len: usize) -> u128 {
    let (mut sum, mut chosen) = (0u128, 1u128);
    for k in 0..n.min(max_len) {
        let Some(more) = chosen.checked_mul((n - k) as u128) else { return u128::MAX };
        chosen = more / (k as u128 + 1);
        sum = sum.saturating_add(chosen);
    }
    sum
}

/// At most so many: all subsets of all baskets, `min_count` of which make one frequent itemset.
fn upper_bound(rows: Transactions<'_>, search: &Search<'_>) -> u128 {
    let mut sum = 0u128;
    for (at, &weight) in rows.weights.iter().enumerate() {
        sum = sum.saturating_add(subsets(rows.row(at).len(), search.max_len).saturating_mul(u128::from(weight)));
        if sum == u128::MAX {
            return sum;
        }
    }
    sum / u128::from(search.min_count.max(1))
}

/// At least so many: the subsets of the longest basket that is frequent by itself, unless items exclude each other.
fn lower_bound(rows: Transactions<'_>, search: &Search<'_>) -> u128 {
    let frequent = rows.weights.iter().enumerate().filter(|(_, weight)| **weight >= search.min_count);
    let longest = frequent.map(|(at, _)| rows.row(at).len()).max().unwrap_or(0);
    if search.conflicts.is_some() { 0 } else { subsets(longest, search.max_len) }
}

/// What to do about too many itemsets.
fn advice(
    encoded: &Encoded,
    search: &Search<'_>,
    max_itemsets: u64,
    estimate: &Estimate,
    tally: Option<&Tally>,
) -> Result<String> {
    let number = match (estimate.exact, estimate.itemsets) {
        (true, n) => n.to_string(),
        (false, u128::MAX) => "more than 10^38".to_string(),
        (false, n) if estimate.relative_error.is_finite() => {
            format!("about {n} (estimated, standard error {:.1} %)", estimate.relative_error * 100.0)
        }
        (false, n) => format!("at least {n}"),
    };
    let mut supports = Vec::new();
    if let (Some(fits), Some(tally)) = (estimate.fits, tally) {
        let smallest = if fits.exact { "the smallest" } else { "smaller ones not tried" };
        supports.push(format!("{} gives {} itemsets ({smallest})", fits.count, fits.itemsets));
        if let Some((share, count)) = round_share(fits.count, encoded.n_baskets) {
            supports.push(format!("{share} gives {} itemsets", tally.at(count)));
        }
    }
    if supports.is_empty() {
        supports.push("none found".into());
    }
    let names = ArrayFormatter::try_new(&encoded.items, &FormatOptions::default())?;
    let items: Vec<String> =
        estimate.by_item.iter().map(|(rank, n)| format!("{} in {n}", names.value(*rank as usize))).collect();
    Ok(format!(
        "too many frequent itemsets: raise min_support or max_itemsets, set a smaller max_len, or exclude the items that \
         cause them: itemsets={number}, max_itemsets={max_itemsets}, min_count={}, n_baskets={}, min_support that \
         fits=[{}], items in most itemsets{}=[{}]",
        search.min_count,
        encoded.n_baskets,
        supports.join("; "),
        match (estimate.exact, estimate.relative_error.is_finite()) {
            (true, _) => "",
            (false, true) => " by the estimate",
            (false, false) => " counted so far",
        },
        items.join(", "),
    ))
}

/// The smallest share of one significant digit whose count is at least `count`, as a user writes it, and that count.
fn round_share(count: u64, n_baskets: i64) -> Option<(String, u64)> {
    let n = u128::try_from(n_baskets).ok().filter(|&n| n > 0 && u128::from(count) <= n)?;
    for decimals in (1..=9usize).rev() {
        let whole = 10u128.pow(decimals as u32);
        let digit = (1..=9u128).find(|digit| (n * digit).div_ceil(whole) >= u128::from(count));
        if let Some(digit) = digit {
            let at = u64::try_from((n * digit).div_ceil(whole)).ok()?;
            return Some((format!("0.{digit:0decimals$}"), at));
        }
    }
    None
}
