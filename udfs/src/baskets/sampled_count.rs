//! How many itemsets there are, by sampling.  In: baskets, search, work. Out: an unbiased number and its error.
//!
//! An itemset belongs to its rarest item, beside that to its second rarest, and so on: a tree, in which the itemsets of an
//! item are those of a smaller problem, the baskets with that item cut below it. Where the work allows, every item's problem is
//! counted up to its share, and what was not finished is taken apart in the same way with the other half of the work: most
//! problems are small, and the few large ones hold most of all itemsets. Where it does not, items are drawn with a probability
//! in proportion to a guess of their itemsets, and what an item's problem gives, over its probability, is one estimate of all;
//! the mean of several is taken, and their spread gives the standard error (Hansen, Hurwitz, 1943). All of that is unbiased,
//! whatever the guess is. With work for a single draw it is the descent of Knuth (Mathematics of Computation 29, 1975).

use super::encode::conflicts;
use super::encoded::pairs;
use super::guard::Run;
use super::itemset_index::{STEP, mix};
use super::mining::{Conflicts, Search};
use super::occurrences::Occurrences;
use super::transactions::{TransactionBuf, Transactions};
use crate::error::Result;
use crate::functions::GroupContext;

/// Draws of a problem that has work for more.
const DRAWS_MAX: u64 = 64;

/// Draws where their spread is the error: not below another draw, whose spread holds theirs.
const DRAWS_MIN: u64 = 16;

/// Operations of counting one item's problem, below which it is not tried.
const COUNT_MIN: u64 = 1 << 12;

/// Operations below which nothing is drawn twice.
const WORK_MIN: u64 = 1 << 16;

/// An itemset longer than that has more subsets than anyone writes, so that no number is needed.
pub(super) const DEPTH_MAX: usize = 62;

/// A number of itemsets that was not counted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sampled {
    /// All of them.
    pub(super) itemsets: f64,
    /// The standard error of `itemsets`.
    pub(super) error: f64,
    /// With each rank.
    pub(super) with_item: Vec<f64>,
    /// By number of items, from 1.
    pub(super) by_len: Vec<f64>,
}

/// Estimates the number of itemsets with about `work` operations; `None` if one of them is too long to have its subsets counted.
///
/// The same input and seed always give the same number. Memory: a copy of the baskets and 8 bytes an occurrence.
/// Errors: `Limit` for want of memory, `Cancelled`.
pub(super) fn sampled(
    rows: Transactions<'_>,
    search: &Search<'_>,
    work: u64,
    seed: u64,
    context: &dyn GroupContext,
) -> Result<Option<Sampled>> {
    let mut sampler =
        Sampler { context, random: seed, drawn: 0, with_item: vec![0.0; rows.n_items], by_len: vec![], path: vec![] };
    let labels: Vec<u32> = (0..rows.n_items as u32).collect();
    let first = Problem { occurrences: Occurrences::new(rows, context)?, rows, labels: &labels, search: *search };
    let Some(Number { itemsets, variance }) = sampler.split(&first, 1.0, work)? else { return Ok(None) };
    Ok(Some(Sampled { itemsets, error: variance.sqrt(), with_item: sampler.with_item, by_len: sampler.by_len }))
}

/// A number of itemsets and the variance of its estimate.
#[derive(Debug, Clone, Copy, Default)]
struct Number {
    itemsets: f64,
    variance: f64,
}

/// Baskets with the path, cut below it.
struct Problem<'a> {
    rows: Transactions<'a>,
    occurrences: Occurrences<'a>,
    /// Rank of each item of `rows`.
    labels: &'a [u32],
    search: Search<'a>,
}

struct Sampler<'a> {
    context: &'a dyn GroupContext,
    random: u64,
    /// Draws that the path goes through.
    drawn: usize,
    with_item: Vec<f64>,
    by_len: Vec<f64>,
    path: Vec<u32>,
}

impl Sampler<'_> {
    /// The itemsets of a problem that is too large to be counted, each of which stands for `weight`; `None` if one is too long.
    fn split(&mut self, problem: &Problem<'_>, weight: f64, work: u64) -> Result<Option<Number>> {
        let items: Vec<usize> = (0..problem.rows.n_items)
            .filter(|&item| problem.occurrences.weight(item) >= problem.search.min_count)
            .collect();
        let share = work / 2 / items.len().max(1) as u64;
        if share < COUNT_MIN {
            return self.draw(problem, &items, weight, work);
        }
        let (mut sum, mut large) = (Number::default(), Vec::new());
        for item in items {
            match self.counted(problem, item, weight, share)? {
                Some(number) => sum.itemsets += number,
                None => large.push(item),
            }
        }
        let share = work / 2 / large.len().max(1) as u64;
        if share < COUNT_MIN {
            let Some(rest) = self.draw(problem, &large, weight, work / 2)? else { return Ok(None) };
            return Ok(Some(Number { itemsets: sum.itemsets + rest.itemsets, variance: rest.variance }));
        }
        for item in large {
            let Some(of_item) = self.child(problem, item, weight, share)? else { return Ok(None) };
            sum = Number { itemsets: sum.itemsets + of_item.itemsets, variance: sum.variance + of_item.variance };
        }
        Ok(Some(sum))
    }

    /// The mean of several draws among `items`.
    fn draw(&mut self, problem: &Problem<'_>, items: &[usize], weight: f64, work: u64) -> Result<Option<Number>> {
        let sums = guesses(problem, items, work);
        let Some(&all) = sums.last() else { return Ok(Some(Number::default())) };
        let least = if self.drawn == 0 { DRAWS_MIN } else { 1 };
        let draws = (work / WORK_MIN).clamp(least, DRAWS_MAX);
        let mut found = Vec::with_capacity(draws as usize);
        self.drawn += 1;
        for _ in 0..draws {
            let at = self.uniform() * all;
            let nth = sums.partition_point(|&sum| sum <= at).min(sums.len() - 1);
            let chance = (sums[nth] - if nth == 0 { 0.0 } else { sums[nth - 1] }) / all;
            let stands_for = weight / chance / draws as f64;
            let work = work / draws;
            let number = match self.counted(problem, items[nth], stands_for, work / 2)? {
                Some(number) => number,
                None => match self.child(problem, items[nth], stands_for, work / 2)? {
                    Some(number) => number.itemsets,
                    None => return Ok(None),
                },
            };
            found.push(number / chance);
        }
        self.drawn -= 1;
        let mean = found.iter().sum::<f64>() / draws as f64;
        let spread = found.iter().map(|number| (number - mean).powi(2)).sum::<f64>();
        let variance = spread / (draws as f64 * (draws as f64 - 1.0).max(1.0));
        Ok(Some(Number { itemsets: mean, variance }))
    }

    /// The itemsets of which `item` is the rarest beside the path, if `work` is enough to count them.
    fn counted(&mut self, problem: &Problem<'_>, item: usize, weight: f64, work: u64) -> Result<Option<f64>> {
        let label = problem.labels[item];
        let mut number = 1.0;
        if problem.search.max_len > 1 {
            let below = project(problem, item);
            let search = below.search(problem);
            let run = Run::new(below.rows.view(), &search, search.min_count, u128::MAX, work, self.context)?;
            if !run.complete {
                return Ok(None);
            }
            number += run.tally.itemsets() as f64;
            for (nth, &n) in run.tally.by_len().iter().enumerate() {
                self.add_len(self.path.len() + 2 + nth, n as f64 * weight);
            }
            for (&label, &n) in below.labels.iter().zip(run.tally.with_item()) {
                self.with_item[label as usize] += n as f64 * weight;
            }
        }
        self.add_item(label, number, weight);
        Ok(Some(number))
    }

    /// The same without counting them all; `None` if one of them is too long.
    fn child(&mut self, problem: &Problem<'_>, item: usize, weight: f64, work: u64) -> Result<Option<Number>> {
        self.context.check_cancelled()?;
        if self.path.len() == DEPTH_MAX {
            return Ok(None);
        }
        let label = problem.labels[item];
        let below = project(problem, item);
        let search = below.search(problem);
        let rows = below.rows.view();
        let occurrences = Occurrences::new(rows, self.context)?;
        self.path.push(label);
        let found = self.split(&Problem { rows, occurrences, labels: &below.labels, search }, weight, work)?;
        self.path.pop();
        let Some(number) = found else { return Ok(None) };
        let with_path = Number { itemsets: number.itemsets + 1.0, ..number };
        self.add_item(label, with_path.itemsets, weight);
        Ok(Some(with_path))
    }

    /// Adds `number` itemsets of which `label` is the rarest beside the path, one of them without any other item.
    fn add_item(&mut self, label: u32, number: f64, weight: f64) {
        self.with_item[label as usize] += number * weight;
        self.add_len(self.path.len() + 1, weight);
    }

    fn add_len(&mut self, len: usize, n: f64) {
        if self.by_len.len() < len {
            self.by_len.resize(len, 0.0);
        }
        self.by_len[len - 1] += n;
    }

    /// A number in [0, 1).
    fn uniform(&mut self) -> f64 {
        let random = mix(self.random);
        self.random = self.random.wrapping_add(STEP);
        (random >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Sums of the guesses of the items up to each.
///
/// The guess is what the load of a task goes by: occurrences times frequent pairs. Pairs are counted if the work allows.
fn guesses(problem: &Problem<'_>, items: &[usize], work: u64) -> Vec<f64> {
    let Problem { rows, occurrences, search, .. } = problem;
    let scans = items.iter().map(|&item| occurrences.scan(item));
    let with_pairs = search.max_len > 1 && scans.clone().sum::<u64>() <= work / 2;
    let mut counts = vec![0u64; rows.n_items];
    let mut sum = 0.0;
    let one = |(&item, scan): (&usize, u64)| {
        let pairs = if with_pairs { occurrences.pairs(item, search.min_count, &mut counts) } else { 0 };
        sum += (1 + scan) as f64 * (1.0 + f64::from(pairs));
        sum
    };
    items.iter().zip(scans).map(one).collect()
}

/// The problem of an item.
struct Below {
    rows: TransactionBuf,
    labels: Vec<u32>,
    conflicts: Option<Conflicts>,
}

impl Below {
    fn search<'a>(&'a self, above: &Problem<'a>) -> Search<'a> {
        Search { max_len: above.search.max_len - 1, conflicts: self.conflicts.as_ref(), ..above.search }
    }
}

/// The rows of an item, cut below it, without what is not frequent beside it or conflicts with it.
fn project(problem: &Problem<'_>, item: usize) -> Below {
    let Problem { occurrences, labels, search, .. } = problem;
    let mut counts = vec![0u64; item];
    for (items, weight) in occurrences.below(item) {
        items.iter().for_each(|&other| counts[other as usize] += weight);
    }
    let barred: Vec<(u32, u32)> = search.conflicts.map(pairs).unwrap_or_default();
    for &(_, other) in barred.iter().filter(|&&(one, other)| one as usize == item && (other as usize) < item) {
        counts[other as usize] = 0;
    }
    let kept: Vec<u32> = (0..item as u32).filter(|&other| counts[other as usize] >= search.min_count.max(1)).collect();
    let mut codes = vec![u32::MAX; item];
    (0..).zip(&kept).for_each(|(code, &other)| codes[other as usize] = code);
    let (mut flat, mut list) = (Vec::new(), Vec::with_capacity(occurrences.below(item).len()));
    for (items, weight) in occurrences.below(item) {
        let from = flat.len();
        flat.extend(items.iter().map(|&other| codes[other as usize]).filter(|&code| code != u32::MAX));
        if flat.len() > from {
            list.push((from..flat.len(), weight));
        }
    }
    list.sort_unstable_by(|a, b| flat[a.0.clone()].cmp(&flat[b.0.clone()]));
    let mut out = TransactionBuf { n_items: kept.len(), ..TransactionBuf::default() };
    for equal in list.chunk_by(|a, b| flat[a.0.clone()] == flat[b.0.clone()]) {
        out.push(&flat[equal[0].0.clone()], equal.iter().map(|(_, weight)| weight).sum());
    }
    let code = |other: u32| codes.get(other as usize).copied().filter(|&code| code != u32::MAX);
    let barred = barred.into_iter().filter_map(|(one, other)| Some((code(one)?, code(other)?))).collect();
    Below {
        rows: out,
        labels: kept.iter().map(|&other| labels[other as usize]).collect(),
        conflicts: search.conflicts.map(|_| conflicts(barred, kept.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baskets::brute_force_tests::{frequent, weighted_baskets};
    use crate::baskets::guard_tests::small;
    use crate::baskets::mining::Method;
    use crate::functions::Unlimited;
    use proptest::prelude::*;

    const SEEDS: u64 = 400;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn the_mean_over_seeds_is_the_number_and_its_errors_are_as_said(
            baskets in weighted_baskets(),
            min_count in 1u64..4,
            max_len in prop::sample::select(vec![1usize, 2, 3, usize::MAX]),
            barred in prop::collection::vec((0u32..8, 0u32..8), 0..3),
        ) {
            let both = barred.iter().filter(|(a, b)| a != b).flat_map(|&(a, b)| [(a, b), (b, a)]);
            let conflicts = conflicts(both.collect(), 32);
            let search = Search { min_count, max_len, method: Method::Auto, conflicts: Some(&conflicts) };
            let apart = |set: &[u32]| !pairs(&conflicts).iter().any(|(a, b)| set.contains(a) && set.contains(b));
            let all: Vec<_> = frequent(&baskets, min_count, max_len).into_iter().filter(|(set, _)| apart(set)).collect();
            let rows = small(&baskets);
            let one = |seed| sampled(rows.view(), &search, 0, seed, &Unlimited).unwrap().unwrap();
            let found: Vec<Sampled> = (0..SEEDS).map(one).collect();
            let mean = |f: &dyn Fn(&Sampled) -> f64| found.iter().map(f).sum::<f64>() / SEEDS as f64;
            let near = |mean: f64, truth: usize, error: f64| (mean - truth as f64).abs() <= 6.0 * error + 1e-9;
            let variance = mean(&|s| s.error.powi(2));
            prop_assert!(near(mean(&|s| s.itemsets), all.len(), (variance / SEEDS as f64).sqrt()));
            for sample in &found {
                prop_assert!((sample.by_len.iter().sum::<f64>() - sample.itemsets).abs() < 1e-6 * (1.0 + sample.itemsets));
            }
            for item in 0..32u32 {
                let f = |s: &Sampled| s.with_item[item as usize];
                let center = mean(&f);
                let spread = mean(&|s| (f(s) - center).powi(2));
                let truth = all.iter().filter(|(set, _)| set.contains(&item)).count();
                prop_assert!(near(center, truth, (spread / SEEDS as f64).sqrt()), "{item}: {center} for {truth}");
            }
        }
    }

    #[test]
    fn pairs_of_one_long_basket_are_sampled_without_searching_deeper() {
        let mut rows = TransactionBuf { n_items: 100, ..TransactionBuf::default() };
        rows.push(&(0..100).collect::<Vec<_>>(), 3);
        let search = Search { min_count: 2, max_len: 2, method: Method::Auto, conflicts: None };
        let found = sampled(rows.view(), &search, 0, 1, &Unlimited).unwrap().unwrap();
        assert!((found.itemsets - 5050.0).abs() <= 4.0 * found.error && found.by_len.len() == 2, "{found:?}");
    }
}
