//! The baskets: items by popularity, plus planted rules whose support and lift follow from the model.
//! In: options, catalog, days. Out: `order_lines` rows of any range of orders, and the planted rules.
//!
//! A basket draws its size n (a lognormal cut to whole numbers, mean about five, long tail), then n times an item by the
//! Zipf-Mandelbrot law weight = 1 / (rank + 1 + SHIFT); doubles count once. An item that is not sold on that day is drawn
//! again among the items that are sold and take part in no rule. Then each planted rule whose whole antecedent was drawn
//! adds its whole consequent with the rule's probability.
//!
//! All items of rules are sold on every day, an item is in one rule only, and replacement draws never take one. So with
//! G(z) = E[z^n] a set S of such items was drawn with probability sum over T in S of (-1)^|T| G(1 - q(T)), q being the
//! chance of one draw, and the expected support of antecedent, consequent and both is exact, not estimated.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int32Array, Int64Array, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::Result;
use super::calendar::Day;
use super::catalog::Catalog;
use super::random::{Purpose, Stream};

/// The shift of the Zipf-Mandelbrot law: the larger, the flatter the head.
const SHIFT: f64 = 10.0;
/// Largest number of draws of one basket.
const SIZE_MAX: usize = 200;
/// Parameters of the lognormal size.
const SIZE_LOG_MEAN: f64 = 1.2;
const SIZE_LOG_DEVIATION: f64 = 0.85;
/// One rule per so many items, and no more than so many rules.
const ITEMS_PER_RULE: u64 = 25;
const RULES_MAX: u64 = 24;
/// Consequents are rarer than antecedents: they start at this rank, or at an eighth of a small catalog.
const CONSEQUENT_RANK: u64 = 400;
/// Replacement draws before the most popular item is taken.
const REPLACEMENTS_MAX: usize = 64;

/// An association planted in the baskets, with what its model makes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlantedRule {
    /// Items that trigger the rule when all of them were drawn; sorted.
    pub antecedent: Vec<String>,
    /// Items that are added together; sorted.
    pub consequent: Vec<String>,
    /// Probability that a triggered rule adds its consequent, in 0..=1.
    pub probability: f64,
    /// Expected share of baskets that hold antecedent and consequent.
    pub expected_support: f64,
    /// Expected share of the baskets with the antecedent that hold the consequent.
    pub expected_confidence: f64,
    /// Expected lift: confidence over the share of baskets that hold the consequent.
    pub expected_lift: f64,
    /// Expected share of baskets that hold the antecedent.
    pub expected_antecedent_support: f64,
    /// Expected share of baskets that hold the consequent.
    pub expected_consequent_support: f64,
}

/// A planted rule by item numbers.
#[derive(Debug)]
struct Rule {
    antecedent: Vec<u64>,
    consequent: Vec<u64>,
    probability: f64,
}

/// Everything the draw of a basket needs.
#[derive(Debug)]
pub(super) struct Baskets<'a> {
    seed: u64,
    count: u64,
    catalog: &'a Catalog,
    days: &'a [Day],
    /// Cumulative chance of the ranks.
    popularity: Vec<f64>,
    /// Cumulative chance of the sizes 1, 2, ...
    sizes: Vec<f64>,
    /// Cumulative share of orders by day.
    order_days: Vec<f64>,
    rules: Vec<Rule>,
    /// Numbers of all items of rules, sorted.
    planted: Vec<u64>,
}

/// Running sums, the last one exactly 1.
fn cumulative(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sum = 0.0;
    let mut sums: Vec<f64> = weights
        .map(|weight| {
            sum += weight;
            sum
        })
        .collect();
    for value in &mut sums {
        *value /= sum;
    }
    sums
}

/// The place of `at` (in 0..1) among running sums.
fn place(sums: &[f64], at: f64) -> usize {
    sums.partition_point(|sum| *sum <= at).min(sums.len() - 1)
}

fn size_weight(size: usize) -> f64 {
    let distance = (libm::log(size as f64) - SIZE_LOG_MEAN) / SIZE_LOG_DEVIATION;
    libm::exp(-0.5 * distance * distance) / size as f64
}

impl<'a> Baskets<'a> {
    /// The model of `count` baskets over the days. Holds 8 bytes per item.
    pub(super) fn new(seed: u64, count: u64, catalog: &'a Catalog, days: &'a [Day]) -> Self {
        let popularity = cumulative((0..catalog.len()).map(|rank| 1.0 / (rank as f64 + 1.0 + SHIFT)));
        let sizes = cumulative((1..=SIZE_MAX).map(size_weight));
        let order_days =
            cumulative(days.iter().map(|day| day.factor * [0.9, 0.9, 0.95, 1.0, 1.1, 1.15, 1.0][day.weekday]));
        let rules = plant(seed, catalog);
        let mut planted: Vec<u64> =
            rules.iter().flat_map(|rule| rule.antecedent.iter().chain(&rule.consequent)).copied().collect();
        planted.sort_unstable();
        Self { seed, count, catalog, days, popularity, sizes, order_days, rules, planted }
    }

    /// Columns: order_id, sku, quantity, ds.
    pub(super) fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("order_id", DataType::Int64, false),
            Field::new("sku", DataType::Utf8, false),
            Field::new("quantity", DataType::Int32, false),
            Field::new("ds", DataType::Date32, false),
        ]))
    }

    /// The lines of some orders (numbered from 0; ids count from 1), in order of their ids.
    pub(super) fn lines(&self, orders: std::ops::Range<u64>) -> Result<RecordBatch> {
        let (mut id, mut quantity, mut ds) = (Vec::new(), Vec::new(), Vec::new());
        let mut sku = StringBuilder::new();
        let mut items = BTreeSet::new();
        for order in orders {
            let day = place(&self.order_days, (order as f64 + 0.5) / self.count as f64);
            let mut stream = Stream::of(self.seed, Purpose::Basket, order);
            self.draw(day as u32, &mut stream, &mut items);
            for number in &items {
                id.push(order as i64 + 1);
                sku.append_value(self.catalog.sku(*number));
                quantity.push(1 + stream.exponential(0.6) as i32);
                ds.push(self.days[day].date32);
            }
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(id)),
            Arc::new(sku.finish()),
            Arc::new(Int32Array::from(quantity)),
            Arc::new(Date32Array::from(ds)),
        ];
        Ok(RecordBatch::try_new(Self::schema(), columns)?)
    }

    /// Draws one basket as item numbers.
    fn draw(&self, day: u32, stream: &mut Stream, items: &mut BTreeSet<u64>) {
        items.clear();
        for _ in 0..=place(&self.sizes, stream.uniform()) {
            let drawn = self.catalog.number_of_rank(place(&self.popularity, stream.uniform()) as u64);
            let sold = self.planted.binary_search(&drawn).is_ok() || self.catalog.item(drawn).is_sold_on(day);
            items.insert(if sold { drawn } else { self.replacement(day, stream) });
        }
        // Items of rules are in one rule only, so that an added consequent triggers nothing.
        for rule in &self.rules {
            if rule.antecedent.iter().all(|number| items.contains(number)) && stream.chance(rule.probability) {
                items.extend(&rule.consequent);
            }
        }
    }

    fn replacement(&self, day: u32, stream: &mut Stream) -> u64 {
        for _ in 0..REPLACEMENTS_MAX {
            let number = self.catalog.number_of_rank(place(&self.popularity, stream.uniform()) as u64);
            if self.planted.binary_search(&number).is_err() && self.catalog.item(number).is_sold_on(day) {
                return number;
            }
        }
        self.catalog.number_of_rank(0)
    }

    /// The planted rules with their expected measures, in the order in which they were planted.
    pub(super) fn planted_rules(&self) -> Vec<PlantedRule> {
        self.rules.iter().map(|rule| self.expectation(rule)).collect()
    }

    fn expectation(&self, rule: &Rule) -> PlantedRule {
        let chance = |numbers: &[u64]| numbers.iter().map(|number| self.chance_of_draw(*number)).collect::<Vec<f64>>();
        let (left, right) = (chance(&rule.antecedent), chance(&rule.consequent));
        let antecedent = self.chance_of_set(&left);
        let together = self.chance_of_set(&[left, right.clone()].concat());
        let both = rule.probability * antecedent + (1.0 - rule.probability) * together;
        let consequent = self.chance_of_set(&right) + rule.probability * (antecedent - together);
        let names = |numbers: &[u64]| {
            let mut names: Vec<String> = numbers.iter().map(|number| self.catalog.sku(*number)).collect();
            names.sort_unstable();
            names
        };
        PlantedRule {
            antecedent: names(&rule.antecedent),
            consequent: names(&rule.consequent),
            probability: rule.probability,
            expected_support: both,
            expected_confidence: both / antecedent,
            expected_lift: both / (antecedent * consequent),
            expected_antecedent_support: antecedent,
            expected_consequent_support: consequent,
        }
    }

    /// Chance that one draw gives the item.
    fn chance_of_draw(&self, number: u64) -> f64 {
        let rank = self.catalog.item(number).rank as usize;
        self.popularity[rank] - rank.checked_sub(1).map_or(0.0, |before| self.popularity[before])
    }

    /// Chance that the draws of a basket hold all items of a set, given their chances per draw.
    fn chance_of_set(&self, chances: &[f64]) -> f64 {
        (0u32..1 << chances.len())
            .map(|subset| {
                let missed: f64 = (0..chances.len()).filter(|bit| subset >> bit & 1 == 1).map(|bit| chances[bit]).sum();
                let sign = if subset.count_ones() % 2 == 0 { 1.0 } else { -1.0 };
                sign * self.generating_function(1.0 - missed)
            })
            .sum()
    }

    /// E[z^n] over the size n of baskets.
    fn generating_function(&self, z: f64) -> f64 {
        let (mut sum, mut power, mut before) = (0.0, 1.0, 0.0);
        for sums in &self.sizes {
            power *= z;
            sum += (sums - before) * power;
            before = *sums;
        }
        sum
    }
}

/// Chooses the items of the rules: popular antecedents, rarer consequents, all of them sold on every day.
fn plant(seed: u64, catalog: &Catalog) -> Vec<Rule> {
    let wanted = (catalog.len() / ITEMS_PER_RULE).min(RULES_MAX);
    let border = (catalog.len() / 8).min(CONSEQUENT_RANK);
    let evergreen = |ranks: std::ops::Range<u64>| {
        ranks.map(|rank| catalog.item_of_rank(rank)).filter(|item| item.is_evergreen()).map(|item| item.number)
    };
    let mut antecedents = evergreen(1..border);
    let mut consequents = evergreen(border..catalog.len());
    let mut stream = Stream::of(seed, Purpose::Rules, 0);
    let mut rules = Vec::new();
    for index in 0..wanted {
        // The first of six has two antecedents, because those must be popular to meet; the fourth has two consequents.
        let (before, after) = match index % 6 {
            0 if wanted > 1 => (2, 1),
            3 => (1, 2),
            _ => (1, 1),
        };
        let antecedent: Vec<u64> = antecedents.by_ref().take(before).collect();
        let consequent: Vec<u64> = consequents.by_ref().take(after).collect();
        let probability = (30 + stream.below(46)) as f64 / 100.0;
        if antecedent.len() == before && consequent.len() == after {
            rules.push(Rule { antecedent, consequent, probability });
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{GenerateOptions, calendar};

    #[test]
    fn planted_rules_hold_in_the_drawn_baskets_within_sampling_error() {
        let options = GenerateOptions { skus: 600, ..GenerateOptions::new("unused", 200).unwrap() };
        let days = calendar::days(options.start_date, options.days).unwrap();
        let catalog = Catalog::new(&options);
        let count = 60_000;
        let baskets = Baskets::new(options.seed, count, &catalog, &days);
        let rules = baskets.planted_rules();
        assert_eq!(rules.len(), 24);
        let mut hits = vec![[0u64; 3]; rules.len()];
        let mut items = BTreeSet::new();
        let mut lines = 0;
        for order in 0..count {
            let day = place(&baskets.order_days, (order as f64 + 0.5) / count as f64) as u32;
            baskets.draw(day, &mut Stream::of(options.seed, Purpose::Basket, order), &mut items);
            lines += items.len();
            assert!(items.iter().all(|number| catalog.item(*number).is_sold_on(day)));
            for (rule, hits) in baskets.rules.iter().zip(&mut hits) {
                let left = rule.antecedent.iter().all(|number| items.contains(number));
                let right = rule.consequent.iter().all(|number| items.contains(number));
                hits[0] += u64::from(left && right);
                hits[1] += u64::from(left);
                hits[2] += u64::from(right);
            }
        }
        let mean_size = lines as f64 / count as f64;
        assert!((4.0..6.5).contains(&mean_size), "mean_size={mean_size}");
        for (rule, hits) in rules.iter().zip(&hits) {
            let expected = [rule.expected_support, rule.expected_antecedent_support, rule.expected_consequent_support];
            for (got, share) in hits.iter().zip(expected) {
                // Four and a half standard deviations: 72 comparisons go wrong once in two thousand seeds.
                let mean = share * count as f64;
                assert!(
                    (*got as f64 - mean).abs() <= 4.5 * libm::sqrt(mean),
                    "got={got}, expected={mean}, rule={rule:?}"
                );
            }
            assert!(rule.expected_lift > 3.0 && rule.expected_confidence > rule.probability, "rule={rule:?}");
        }
    }

    #[test]
    fn an_item_takes_part_in_one_rule() {
        for skus in [1, 24, 25, 60, 5000] {
            let options = GenerateOptions { skus, ..GenerateOptions::new("unused", 200).unwrap() };
            let days = calendar::days(options.start_date, options.days).unwrap();
            let catalog = Catalog::new(&options);
            let baskets = Baskets::new(options.seed, 10, &catalog, &days);
            let mut once = baskets.planted.clone();
            once.dedup();
            assert_eq!(once.len(), baskets.planted.len());
            assert_eq!(baskets.rules.is_empty(), skus < 25, "skus={skus}");
            assert!(baskets.lines(0..10).unwrap().num_rows() >= 10);
        }
    }
}
