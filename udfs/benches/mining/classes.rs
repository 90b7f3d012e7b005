//! Baskets of one density each.  In: nothing, seeds are fixed. Out: rank-coded rows and what is searched in them.

use lakecast_udfs::baskets::mining::{Method, Search};
use lakecast_udfs::baskets::transactions::TransactionBuf;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Baskets of one density.
#[derive(Clone, Copy)]
pub(crate) struct Class {
    /// What divan and the table print.
    pub(crate) name: &'static str,
    baskets: fn(&mut Noise) -> Vec<Vec<u32>>,
    min_count: u64,
    max_len: usize,
    /// Whether level by level ends in reasonable time.
    pub(crate) levels: bool,
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const ANY: usize = usize::MAX;

/// From sparse to dense.
pub(crate) const CLASSES: &[Class] = &[
    Class { name: "sparse_shop", baskets: sparse_shop, min_count: 8, max_len: ANY, levels: false },
    Class { name: "usual_shop", baskets: usual_shop, min_count: 60, max_len: ANY, levels: true },
    Class { name: "few_items", baskets: few_items, min_count: 300, max_len: ANY, levels: true },
    Class { name: "few_items_long", baskets: few_items_long, min_count: 2_000, max_len: ANY, levels: true },
    Class { name: "few_items_deep", baskets: few_items, min_count: 10, max_len: ANY, levels: true },
    Class { name: "more_items", baskets: more_items, min_count: 300, max_len: ANY, levels: true },
    Class { name: "equal_baskets", baskets: equal_baskets, min_count: 900, max_len: ANY, levels: true },
    Class { name: "broad", baskets: broad, min_count: 45, max_len: ANY, levels: true },
    Class { name: "records", baskets: records, min_count: 900, max_len: ANY, levels: false },
    Class { name: "very_dense", baskets: very_dense, min_count: 6_000, max_len: ANY, levels: false },
    Class { name: "wide_records", baskets: wide_records, min_count: 1_600, max_len: 3, levels: true },
    Class { name: "bundles", baskets: bundles, min_count: 40, max_len: 3, levels: true },
    Class { name: "ladder", baskets: ladder, min_count: 20, max_len: 2, levels: true },
];

impl Class {
    pub(crate) fn rows(&self) -> TransactionBuf {
        encode((self.baskets)(&mut Noise(20_261_201)), self.min_count)
    }

    pub(crate) fn search(&self, method: Method) -> Search<'static> {
        Search { min_count: self.min_count, max_len: self.max_len, method, conflicts: None }
    }
}

/// Linear congruential noise, so that every run sees the same.
pub(crate) struct Noise(u64);

impl Noise {
    /// In [0, 1).
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: u32) -> u32 {
        (self.uniform() * f64::from(n)) as u32
    }

    /// A length around `mean`, at least 1, with the long tail of an exponential.
    fn length(&mut self, mean: f64) -> usize {
        1 + (-(1.0 - self.uniform()).ln() * (mean - 1.0)) as usize
    }
}

/// Sums of the weights `1 / rank^exponent`, up to 1.
fn zipf(items: u32, exponent: f64) -> Vec<f64> {
    let mut sum = 0.0;
    let mut sums: Vec<f64> = (1..=items)
        .map(|rank| {
            sum += f64::from(rank).powf(-exponent);
            sum
        })
        .collect();
    sums.iter_mut().for_each(|s| *s /= sum);
    sums
}

fn draw(sums: &[f64], noise: &mut Noise) -> u32 {
    let u = noise.uniform();
    sums.partition_point(|&s| s <= u) as u32
}

/// Baskets of drawn items, of which some come with a companion, so that there is something to find.
fn shop(noise: &mut Noise, baskets: usize, length: f64, items: u32, exponent: f64) -> Vec<Vec<u32>> {
    let sums = zipf(items, exponent);
    (0..baskets)
        .map(|_| {
            let mut basket = Vec::new();
            for _ in 0..noise.length(length) {
                let item = draw(&sums, noise);
                basket.push(item);
                while noise.uniform() < 0.3 {
                    basket.push((item * 31 + noise.below(3) * 7 + 1) % items);
                }
            }
            basket
        })
        .collect()
}

fn sparse_shop(noise: &mut Noise) -> Vec<Vec<u32>> {
    shop(noise, 40_000, 4.0, 10_000, 0.7)
}

/// A Zipf tail.
fn usual_shop(noise: &mut Noise) -> Vec<Vec<u32>> {
    shop(noise, 30_000, 8.0, 4_000, 1.0)
}

/// Short baskets over few items: most rows occur often.
fn few_items(noise: &mut Noise) -> Vec<Vec<u32>> {
    shop(noise, 100_000, 3.0, 24, 0.6)
}

/// Short baskets over few items, less short.
fn few_items_long(noise: &mut Noise) -> Vec<Vec<u32>> {
    shop(noise, 100_000, 6.0, 24, 0.6)
}

/// Short baskets over more items: fewer rows share a prefix.
fn more_items(noise: &mut Noise) -> Vec<Vec<u32>> {
    shop(noise, 100_000, 3.0, 48, 0.6)
}

/// Few distinct baskets, each many times.
fn equal_baskets(noise: &mut Noise) -> Vec<Vec<u32>> {
    let kinds = shop(noise, 5_000, 8.0, 200, 0.8);
    let sums = zipf(kinds.len() as u32, 0.5);
    (0..100_000).map(|_| kinds[draw(&sums, noise) as usize].clone()).collect()
}

/// Long baskets over a broad range.
fn broad(noise: &mut Noise) -> Vec<Vec<u32>> {
    shop(noise, 3_000, 60.0, 2_000, 0.4)
}

/// A value for each attribute; the first value has a share between `least` and `most`.
fn attributes(noise: &mut Noise, rows: usize, n: u32, values: u32, least: f64, most: f64) -> Vec<Vec<u32>> {
    let shares: Vec<f64> = (0..n).map(|a| least + (most - least) * f64::from(a) / f64::from(n)).collect();
    (0..rows)
        .map(|_| {
            // Rows lean towards or away from the usual values, so that attributes are correlated.
            let lean = 1.0 + (noise.uniform() - 0.5) * 0.2;
            let mut value = |a: u32| {
                if noise.uniform() < shares[a as usize] * lean { 0 } else { 1 + noise.below(values - 1) }
            };
            (0..n).map(|a| a * values + value(a)).collect()
        })
        .collect()
}

/// Records of a few dozen attributes, like chess.
fn records(noise: &mut Noise) -> Vec<Vec<u32>> {
    attributes(noise, 3_000, 37, 2, 0.5, 1.0)
}

/// Records that hardly differ, like connect.
fn very_dense(noise: &mut Noise) -> Vec<Vec<u32>> {
    attributes(noise, 10_000, 43, 3, 0.75, 1.0)
}

/// Records of more attributes than a word has bits.
fn wide_records(noise: &mut Noise) -> Vec<Vec<u32>> {
    attributes(noise, 4_000, 120, 3, 0.3, 0.9)
}

/// The same hundred items in nearly every basket, and a few of a tail.
fn bundles(noise: &mut Noise) -> Vec<Vec<u32>> {
    let sums = zipf(400, 0.5);
    let one = |noise: &mut Noise| {
        let mut basket: Vec<u32> = (0..100).filter(|_| noise.uniform() < 0.999).collect();
        (0..noise.length(5.0)).for_each(|_| basket.push(100 + draw(&sums, noise)));
        basket
    };
    (0..6_000).map(|_| one(noise)).collect()
}

/// Steps that are taken in order, as far as each goes, and a few items of a tail.
fn ladder(noise: &mut Noise) -> Vec<Vec<u32>> {
    let sums = zipf(400, 0.5);
    let one = |noise: &mut Noise| {
        let mut basket: Vec<u32> = (0..noise.below(150)).collect();
        (0..noise.length(3.0)).for_each(|_| basket.push(150 + draw(&sums, noise)));
        basket
    };
    (0..10_000).map(|_| one(noise)).collect()
}

/// Frequent items as ranks, equal rows merged, in order.
fn encode(mut baskets: Vec<Vec<u32>>, min_count: u64) -> TransactionBuf {
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    for basket in &mut baskets {
        basket.sort_unstable();
        basket.dedup();
        basket.iter().for_each(|&item| *counts.entry(item).or_default() += 1);
    }
    let mut list: Vec<(Reverse<u64>, u32)> = counts.into_iter().map(|(item, n)| (Reverse(n), item)).collect();
    list.retain(|(n, _)| n.0 >= min_count);
    list.sort_unstable();
    let ranks: BTreeMap<u32, u32> = (0..).zip(&list).map(|(rank, &(_, item))| (item, rank)).collect();
    let mut merged: BTreeMap<Vec<u32>, u64> = BTreeMap::new();
    for basket in baskets {
        let mut row: Vec<u32> = basket.iter().filter_map(|item| ranks.get(item).copied()).collect();
        row.sort_unstable();
        if !row.is_empty() {
            *merged.entry(row).or_default() += 1;
        }
    }
    let mut rows = TransactionBuf { n_items: list.len(), ..TransactionBuf::default() };
    merged.iter().for_each(|(row, &n)| rows.push(row, n));
    rows
}
