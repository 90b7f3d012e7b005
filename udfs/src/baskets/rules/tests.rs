//! Rules and kinds against brute force, and of many shards against one place.

use crate::args::Args;
use crate::baskets::DerivePacked;
use crate::baskets::itemset_rows::{DictionaryInfo, dictionary_rows, packed_fields, packed_rows};
use crate::baskets::itemsets::Itemsets;
use crate::baskets::metrics::{Counts, METRICS};
use crate::functions::{GroupFunction, GroupSchema, Unlimited};
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Int32Type, Int64Type, Schema};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Basket = BTreeSet<i32>;
type Rule = (Vec<i32>, Vec<i32>, [i64; 4]);

/// A database of up to six items, some baskets empty.
struct Data {
    baskets: Vec<Basket>,
    /// Every frequent itemset.
    frequent: BTreeMap<Vec<i32>, i64>,
    /// By rank.
    items: Vec<i32>,
}

impl Data {
    fn new(masks: &[u8], min_count: i64) -> Self {
        let baskets: Vec<Basket> =
            masks.iter().map(|m| (0..6).filter(|i| m >> i & 1 == 1).map(|i| 100 - 7 * i).collect()).collect();
        let mut frequent: BTreeMap<Vec<i32>, i64> = BTreeMap::new();
        for mask in 1u8..64 {
            let set: Basket = (0..6).filter(|i| mask >> i & 1 == 1).map(|i| 100 - 7 * i).collect();
            let n = baskets.iter().filter(|b| set.is_subset(b)).count() as i64;
            if n >= min_count {
                frequent.insert(set.into_iter().collect(), n);
            }
        }
        let mut items: Vec<i32> = frequent.keys().filter(|s| s.len() == 1).map(|s| s[0]).collect();
        items.sort_by_key(|item| (-frequent[&vec![*item]], *item));
        Self { baskets, frequent, items }
    }

    fn count(&self, items: &[i32]) -> i64 {
        self.baskets.iter().filter(|b| items.iter().all(|i| b.contains(i))).count() as i64
    }

    /// What `derive_packed` makes of it in so many shards.
    fn derive(&self, shards: usize, params: Value) -> crate::Result<Vec<RecordBatch>> {
        let mut found = Itemsets::new(usize::MAX);
        for (set, n) in &self.frequent {
            let mut ranks: Vec<u32> =
                set.iter().map(|i| self.items.iter().position(|o| o == i).unwrap() as u32).collect();
            ranks.sort();
            found.codes.extend(ranks);
            found.offsets.push(found.codes.len() as i32);
            found.counts.push(*n);
        }
        let items: ArrayRef = Arc::new(Int32Array::from(self.items.clone()));
        let n_items: Vec<i64> = self.items.iter().map(|i| self.frequent[&vec![*i]]).collect();
        let info = DictionaryInfo { n_baskets: self.baskets.len() as i64, min_count: 1 };
        let schema = Arc::new(Schema::new(packed_fields(&DataType::Int32)));
        let batches =
            [packed_rows(&found, shards, &DataType::Int32)?, dictionary_rows(&items, &n_items, info, shards)?]
                .map(|columns| RecordBatch::try_new(schema.clone(), columns).unwrap());
        let rows = concat_batches(&schema, &batches)?;
        let Value::Object(params) = params else { panic!("no object") };
        let args = Args::check(DerivePacked.signature(), params)?;
        let bound = DerivePacked.bind(&GroupSchema::new(schema, 1, 0), &args)?;
        let mut worker = bound.worker();
        let output = Arc::new(Schema::new(bound.output()));
        let mut out = vec![];
        for shard in 0..shards as i64 {
            let mine = rows.column(0).as_primitive::<Int64Type>().iter().map(|s| Some(s == Some(shard))).collect();
            worker.push(&filter_record_batch(&rows, &mine)?)?;
            worker.finish(&Unlimited)?;
            out.push(RecordBatch::try_new(output.clone(), worker.take()?)?);
        }
        Ok(out)
    }

    fn rules(&self, shards: usize, params: Value) -> Vec<Rule> {
        let mut rules: Vec<Rule> = self.derive(shards, params).unwrap().iter().flat_map(listed).collect();
        rules.sort();
        rules
    }

    /// Every rule of up to `most` items on the right that reaches the confidence, in percent.
    fn brute(&self, most: usize, percent: i64, filter: impl Fn(&Rule) -> bool) -> Vec<Rule> {
        let mut rules = vec![];
        for (set, &both) in &self.frequent {
            for mask in 1..(1u32 << set.len()) - 1 {
                let side = |right: bool| -> Vec<i32> {
                    (0..set.len()).filter(|at| (mask >> at & 1 == 1) == right).map(|at| set[at]).collect()
                };
                let (x, y) = (side(false), side(true));
                let n = [both, self.count(&x), self.count(&y), self.baskets.len() as i64];
                let rule = (x, y, n);
                if rule.1.len() <= most && both * 100 >= percent * n[1] && filter(&rule) {
                    rules.push(rule);
                }
            }
        }
        rules.sort();
        rules
    }
}

fn numbers(lists: &dyn Array, row: usize) -> Vec<i32> {
    lists.as_list::<i32>().value(row).as_primitive::<Int32Type>().values().to_vec()
}

fn listed(batch: &RecordBatch) -> Vec<Rule> {
    let n = |name: &str, row| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().value(row);
    (0..batch.num_rows())
        .map(|row| {
            let counts = ["n_both", "n_antecedent", "n_consequent", "n_baskets"].map(|name| n(name, row));
            (numbers(batch.column(0), row), numbers(batch.column(1), row), counts)
        })
        .collect()
}

fn counts(rule: &Rule) -> Counts {
    let [both, antecedent, consequent, baskets] = rule.2;
    Counts { both, antecedent, consequent, baskets }
}

fn metric(name: &str, rule: &Rule) -> f64 {
    (METRICS.iter().find(|m| m.name == name).unwrap().of)(&counts(rule))
}

/// The best `k` of each value of a side by a measure, as documented.
fn best(rules: Vec<Rule>, k: usize, by: fn(&Rule) -> &Vec<i32>, name: &str) -> Vec<Rule> {
    let sign = if ["fisher_p", "imbalance_ratio"].contains(&name) { 1.0 } else { -1.0 };
    let mut groups: BTreeMap<Vec<i32>, Vec<Rule>> = BTreeMap::new();
    rules.into_iter().for_each(|rule| groups.entry(by(&rule).clone()).or_default().push(rule));
    let mut kept = vec![];
    for (_, mut group) in groups {
        group.sort_by(|a, b| {
            let key = |r: &Rule| (-r.2[0], r.0.len() + r.1.len(), r.0.clone(), r.1.clone());
            (sign * metric(name, a)).total_cmp(&(sign * metric(name, b))).then(key(a).cmp(&key(b)))
        });
        kept.extend(group.into_iter().take(k));
    }
    kept.sort();
    kept
}

fn significant(data: &Data, all: Vec<Rule>, most: usize, alpha: f64, holm: bool) -> Vec<Rule> {
    let tests = data.brute(most, 0, |_| true).len() as f64;
    let mut p: Vec<f64> = all.iter().map(|r| metric("fisher_p", r)).collect();
    let by_rule = p.clone();
    p.sort_by(f64::total_cmp);
    let failed =
        p.iter().enumerate().find(|(i, p)| **p > alpha / (tests - *i as f64)).map_or(f64::INFINITY, |(_, p)| *p);
    let pass = |p: f64| if holm { p < failed } else { p <= alpha / tests };
    all.into_iter().zip(by_rule).filter(|(_, p)| pass(*p)).map(|(rule, _)| rule).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn shards_give_the_rules_of_one_place_and_of_brute_force(
        masks in prop::collection::vec(0u8..64, 1..20), min_count in 1i64..4, percent in 0i64..=100,
    ) {
        let data = Data::new(&masks, min_count);
        let expected = data.brute(1, percent, |_| true);
        for shards in [1, 2, 7, 64] {
            prop_assert_eq!(&data.rules(shards, json!({"min_confidence": percent as f64 / 100.0})), &expected);
        }
        let params = json!({"min_confidence": percent as f64 / 100.0, "max_consequent": 3, "min_lift": 1.2});
        let lift = |r: &Rule| r.2[0] * r.2[3] * 10 >= 12 * r.2[1] * r.2[2];
        prop_assert_eq!(data.rules(1, params), data.brute(3, percent, lift));
    }

    #[test]
    fn lists_hold_for_each_side(masks in prop::collection::vec(0u8..64, 1..20), at in prop::array::uniform4(0i32..6)) {
        let data = Data::new(&masks, 1);
        let [a, b, c, d] = at.map(|i| 100 - 7 * i);
        let params = json!({"min_confidence": 0.2, "max_consequent": 2, "antecedent_include": [a, b],
            "antecedent_exclude": [c], "consequent_include": [d, c], "consequent_exclude": [a]});
        let take = |r: &Rule| {
            (r.0.contains(&a) || r.0.contains(&b)) && !r.0.contains(&c)
                && (r.1.contains(&d) || r.1.contains(&c)) && !r.1.contains(&a)
        };
        prop_assert_eq!(data.rules(1, params), data.brute(2, 20, take));
    }

    #[test]
    fn the_best_of_each_side(masks in prop::collection::vec(0u8..64, 1..20), k in 1usize..4, m in 0..METRICS.len()) {
        let data = Data::new(&masks, 1);
        let name = METRICS[m].name;
        let params = |side: &str| {
            json!({"min_confidence": 0.1, "top_k_by": side, "rules_per": k, "order_by": name})
        };
        let all = data.brute(1, 10, |_| true);
        for shards in [1, 7] {
            prop_assert_eq!(data.rules(shards, params("antecedent")), best(all.clone(), k, |r| &r.0, name));
        }
        prop_assert_eq!(data.rules(1, params("consequent")), best(all, k, |r| &r.1, name));
    }

    #[test]
    fn redundant_rules_go(masks in prop::collection::vec(0u8..64, 1..20), percent in 0i64..=100) {
        let data = Data::new(&masks, 1);
        let improves = |r: &Rule| (0..(1u32 << r.0.len()) - 1).all(|mask| {
            let part: Vec<i32> = (0..r.0.len()).filter(|at| mask >> at & 1 == 1).map(|at| r.0[at]).collect();
            let whole: Vec<i32> = part.iter().chain(&r.1).copied().collect();
            data.count(&whole) * r.2[1] < r.2[0] * data.count(&part)
        });
        let params = json!({"min_confidence": percent as f64 / 100.0, "max_consequent": 2, "prune_redundant": true});
        prop_assert_eq!(data.rules(1, params), data.brute(2, percent, improves));
    }

    #[test]
    fn significant_rules_stay(masks in prop::collection::vec(0u8..16, 10..60), percent in 0i64..=60, most in 1usize..3) {
        let data = Data::new(&masks, 1);
        for correction in ["bonferroni", "holm"] {
            let params = json!({"min_confidence": percent as f64 / 100.0, "max_consequent": most,
                "significance": "fisher", "alpha": 0.3, "correction": correction});
            let expected = significant(&data, data.brute(most, percent, |_| true), most, 0.3, correction == "holm");
            prop_assert_eq!(data.rules(1, params), expected);
        }
    }

    #[test]
    fn shards_give_the_closed_and_maximal_itemsets_of_brute_force(
        masks in prop::collection::vec(0u8..64, 1..20), min_count in 1i64..4,
    ) {
        let data = Data::new(&masks, min_count);
        let above = |set: &[i32], equal: Option<i64>| data.frequent.iter().any(|(other, n)| {
            other.len() > set.len() && set.iter().all(|i| other.contains(i)) && equal.is_none_or(|m| m == *n)
        });
        for (kind, keep) in [
            ("all", &(|_: &[i32], _: i64| true) as &dyn Fn(&[i32], i64) -> bool),
            ("closed", &|set, n| !above(set, Some(n))),
            ("maximal", &|set, _| !above(set, None)),
        ] {
            let expected: Vec<(Vec<i32>, i64)> =
                data.frequent.iter().filter(|(s, n)| keep(s, **n)).map(|(s, n)| (s.clone(), *n)).collect();
            for shards in [1, 2, 7, 64] {
                let out = data.derive(shards, json!({"result": "itemsets", "itemsets": kind})).unwrap();
                let mut got: Vec<(Vec<i32>, i64)> = out.iter().flat_map(|batch| {
                    let n = batch.column(3).as_primitive::<Int64Type>();
                    (0..batch.num_rows()).map(|row| (numbers(batch.column(0), row), n.value(row))).collect::<Vec<_>>()
                }).collect();
                got.sort();
                prop_assert_eq!(&got, &expected, "{} in {}", kind, shards);
            }
        }
    }
}

#[test]
fn what_looks_beyond_a_shard_is_refused_in_one() {
    let data = Data::new(&[7, 7, 3, 63], 1);
    for params in [
        json!({"max_consequent": 2}),
        json!({"top_k_by": "consequent", "rules_per": 1}),
        json!({"prune_redundant": true}),
        json!({"significance": "fisher"}),
    ] {
        let error = data.derive(2, params.clone()).unwrap_err().to_string();
        assert!(error.contains("use `shards => 1`"), "{params}: {error}");
    }
    let error = data.derive(1, json!({"rules_per": 1})).unwrap_err().to_string();
    assert!(error.contains("both top_k_by and rules_per"), "{error}");
}
