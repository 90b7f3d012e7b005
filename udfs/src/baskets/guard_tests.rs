//! Counts, advice, thresholds and bins on small and on real baskets.  In: databases. Out: claims held.

use super::brute_force_tests::{frequent, weighted_baskets};
use super::encoded::{EncodeReport, Encoded};
use super::guard::{BUDGET, check, estimate, min_count_for_top_k};
use super::itemsets::Itemsets;
use super::mining::{Method, Search, Tally, mine};
use super::reference_tests::{load, shared};
use super::sampled_count::sampled;
use super::task_bins::bins;
use super::transactions::TransactionBuf;
use crate::functions::Unlimited;
use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use proptest::prelude::*;
use std::sync::Arc;

fn buf(mut all: Vec<(Vec<u32>, u64)>, n_items: usize) -> TransactionBuf {
    all.retain(|(items, _)| !items.is_empty());
    all.sort();
    let mut rows = TransactionBuf { n_items, ..TransactionBuf::default() };
    for equal in all.chunk_by(|a, b| a.0 == b.0) {
        rows.push(&equal[0].0, equal.iter().map(|(_, weight)| weight).sum());
    }
    rows
}

pub(super) fn small(baskets: &[(u32, u64)]) -> TransactionBuf {
    buf(baskets.iter().map(|&(b, w)| ((0..32).filter(|i| b >> i & 1 == 1).collect(), w)).collect(), 32)
}

fn search(min_count: u64, max_len: usize) -> Search<'static> {
    Search { min_count, max_len, method: Method::Auto, conflicts: None }
}

fn real(set: &str, min_count: i64) -> Option<Encoded> {
    let (baskets, items) = load(&shared()?.join("data").join(set));
    let n_baskets = baskets.len() as i64;
    let mut support = vec![0i64; items.len()];
    baskets.iter().flatten().for_each(|&item| support[item as usize] += 1);
    let mut order: Vec<u32> = (0..items.len() as u32).filter(|&i| support[i as usize] >= min_count).collect();
    order.sort_by_key(|&i| (-support[i as usize], i));
    let mut rank = vec![u32::MAX; items.len()];
    order.iter().enumerate().for_each(|(r, &i)| rank[i as usize] = r as u32);
    let coded = baskets.iter().map(|basket| {
        let mut row: Vec<u32> = basket.iter().map(|&i| rank[i as usize]).filter(|&r| r != u32::MAX).collect();
        row.sort_unstable();
        (row, 1)
    });
    let rows = buf(coded.collect(), order.len());
    let n_items = order.iter().map(|&i| support[i as usize]).collect();
    let items = take(&items, &UInt32Array::from(order), None).unwrap();
    Some(Encoded { items, n_items, rows, n_baskets, min_count, conflicts: None, report: EncodeReport::default() })
}

fn one_column(rows: TransactionBuf, min_count: i64) -> Encoded {
    let items: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..rows.n_items as u32));
    let n_items = vec![min_count; rows.n_items];
    Encoded { items, n_items, rows, n_baskets: 1000, min_count, conflicts: None, report: EncodeReport::default() }
}

proptest! {
    #[test]
    fn counts_thresholds_and_bins_agree_with_every_subset(
        baskets in weighted_baskets(),
        min_count in 1u64..6,
        max_len in prop::sample::select(vec![1usize, 2, 3, usize::MAX]),
        limit in 1u64..60,
        n_bins in 1usize..9,
    ) {
        let rows = small(&baskets);
        let all = frequent(&baskets, min_count, max_len);
        let search = search(min_count, max_len);
        let known = estimate(rows.view(), &search, limit, 1 << 30, &Unlimited).unwrap();
        prop_assert!(known.exact && known.itemsets == all.len() as u128);
        let above = |count: u64| all.iter().filter(|(_, n)| *n as u64 >= count).count() as u64;
        if let Some(fits) = known.fits {
            prop_assert!(u128::from(above(fits.count)) == fits.itemsets && above(fits.count) <= limit);
            prop_assert!(fits.count == min_count || above(fits.count - 1) > limit);
        }
        let ok = check(&one_column(rows.clone(), min_count as i64), &search, limit, &Unlimited);
        prop_assert_eq!(ok.is_ok(), all.len() as u64 <= limit);
        prop_assert!(ok.is_err() || ok.unwrap().itemsets >= all.len() as u128);
        let top = min_count_for_top_k(rows.view(), &search, limit, &Unlimited).unwrap();
        prop_assert!(top == min_count && above(top) <= limit || above(top) >= limit && above(top + 1) < limit);
        for known in [known.clone(), super::guard::Estimate { work_of_rarest: vec![], ..known }] {
            let bins = bins(rows.view(), &search, &known, n_bins, &Unlimited).unwrap();
            let mut found = Itemsets::new(max_len);
            for tasks in &bins {
                mine(rows.view(), tasks, &search, &mut found, &Unlimited).unwrap();
            }
            let mut found: Vec<_> = (0..found.len()).map(|i| (found.items(i).to_vec(), found.counts[i])).collect();
            found.sort();
            prop_assert_eq!(&found, &all);
        }
    }
}

#[test]
fn the_gift_shop_is_refused_with_its_count_and_the_supports_that_fit() {
    let Some(encoded) = real("onlineretail", 40) else { return };
    let error = check(&encoded, &search(40, usize::MAX), 1_000_000, &Unlimited).unwrap_err().to_string();
    eprintln!("{error}");
    for words in ["itemsets=12198487", "0.003 gives 247514 itemsets", "(the smallest)"] {
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn explosions_are_refused_with_a_support_that_fits() {
    for (set, min_count) in [("onlineretail", 20), ("connect10k", 5000)] {
        let Some(encoded) = real(set, min_count) else { return };
        let error = check(&encoded, &search(min_count as u64, usize::MAX), 1_000_000, &Unlimited).unwrap_err();
        eprintln!("{set}: {error}");
        assert!(error.to_string().contains("itemsets (") || error.to_string().contains("gives"), "{error}");
    }
}

#[test]
fn a_sample_comes_near_the_count_of_real_sets() {
    // Work that is a quarter or less of what the count takes, but not so little that a few draws decide.
    for (set, min_count, work) in [("onlineretail", 40, BUDGET / 8), ("chess", 1278, 1 << 26)] {
        let Some(encoded) = real(set, min_count) else { return };
        let (rows, search) = (encoded.rows.view(), search(min_count as u64, usize::MAX));
        let truth = estimate(rows, &search, u64::MAX, 1 << 40, &Unlimited).unwrap().itemsets as f64;
        let sample = sampled(rows, &search, work, 1, &Unlimited).unwrap().unwrap();
        eprintln!("{set} {min_count}: {truth} itemsets, {work} operations say {} +- {}", sample.itemsets, sample.error);
        assert!((sample.itemsets - truth).abs() <= 3.0 * sample.error, "{set}: {sample:?}");
        assert!(sample.error > 0.0 && sample.error < 0.3 * truth, "{set}: {sample:?}");
    }
}

#[test]
fn strange_baskets_have_clear_outcomes() {
    let n = 100_000;
    let wide = one_column(buf(vec![((0..n).collect(), 1)], n as usize), 1);
    let error = check(&wide, &search(1, usize::MAX), 5_000_000, &Unlimited).unwrap_err().to_string();
    assert!(error.contains("itemsets=more than 10^38"), "{error}");
    let equal = one_column(buf(vec![((0..n).collect(), 1000)], n as usize), 500);
    let error = check(&equal, &search(500, 2), 5_000_000, &Unlimited).unwrap_err().to_string();
    assert!(error.contains("itemsets=about 5000050000 (estimated, standard error 0.0 %),"), "{error}");
    let unique = one_column(buf((0..n).map(|i| (vec![i], 1)).collect(), n as usize), 1);
    assert_eq!(check(&unique, &search(1, usize::MAX), 5_000_000, &Unlimited).unwrap().itemsets, u128::from(n));
    assert_eq!(min_count_for_top_k(wide.rows.view(), &search(1, usize::MAX), 7, &Unlimited).unwrap(), 1);
    let dealt = bins(
        wide.rows.view(),
        &search(1, 9),
        &super::guard::Estimate {
            itemsets: 0,
            at_least: 0,
            exact: false,
            relative_error: 0.0,
            by_item: vec![],
            by_len: vec![],
            fits: None,
            work_of_rarest: vec![],
            work_of_pairs: std::collections::BTreeMap::new(),
        },
        64,
        &Unlimited,
    );
    assert!(dealt.unwrap().iter().all(|tasks| !tasks.is_empty()));
}

#[test]
fn the_largest_of_64_bins_holds_less_than_two_fair_shares() {
    for (set, min_count) in
        [("retail", 9), ("onlineretail", 60), ("onlineretail", 40), ("chess", 1598), ("bms1", 36), ("mushroom", 813)]
    {
        let Some(encoded) = real(set, min_count) else { return };
        let (rows, search) = (encoded.rows.view(), search(min_count as u64, usize::MAX));
        let known = estimate(rows, &search, u64::MAX, 1 << 34, &Unlimited).unwrap();
        for (how, known) in
            [("counted", known.clone()), ("pairs", super::guard::Estimate { work_of_rarest: vec![], ..known })]
        {
            let work: Vec<u64> = bins(rows, &search, &known, 64, &Unlimited)
                .unwrap()
                .iter()
                .map(|tasks| {
                    let mut tally = Tally::new(search.min_count, search.max_len, rows.n_items);
                    mine(rows, tasks, &search, &mut tally, &Unlimited).unwrap();
                    tally.work() + tally.looked()
                })
                .collect();
            let (most, sum) = (work.iter().max().unwrap(), work.iter().sum::<u64>());
            let skew = *most as f64 * 64.0 / sum as f64;
            eprintln!("{set} {min_count} {how}: work {sum}, largest bin {skew:.2} fair shares");
            assert!(how == "pairs" || skew < 2.0, "{set}: {skew}");
        }
    }
}
