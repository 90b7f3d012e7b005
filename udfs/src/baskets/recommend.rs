//! `recommend_for_basket`: what to offer beside a basket.  In: a basket's items, and a table of rules. Out: its best items.

mod index;
#[cfg(test)]
mod tests;

use super::columns::list_of;
use super::shard::decode;
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome};
use crate::signature::{Class, Column, Kind, Output, Own, Param, Reach, Role, Signature, Table};
use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, new_empty_array};
use arrow::datatypes::{DataType, Field};
use index::{Offer, RuleIndex};
use std::sync::Arc;

/// Recommends to each basket the items that its rules lead to and that it does not hold.
///
/// In: one row for one item of one basket (or of one customer), in any order, an item any number of times; whole, the
/// table `rules` with `antecedent`, `consequent`, `confidence` and `lift`, as `association_rules` gives them. A rule speaks
/// to a basket that holds its whole antecedent, an empty antecedent to every basket, and it speaks for each item of its
/// consequent. Where rules disagree about an item the best one counts: highest confidence, then highest lift, then most
/// items in the antecedent, then the antecedent that comes first in item order. The items of a basket are ranked by the same
/// measures of their best rules, and in the end by item, so that neither the order of rules nor that of rows matters.
///
/// Out: at most `k` rows per basket. A basket to which no rule speaks gives no row: join the baskets to the output from the
/// left where each must come out.
///
/// Cost: a rule is found by the item of its antecedent that the fewest antecedents hold, so a basket costs the antecedents
/// that are filed under its items, and of each that it holds at most `k` rules. Memory of each worker: 4 bytes an item of
/// an antecedent, 24 bytes a rule and item of its consequent, the texts of the items; a basket of any length adds nothing.
/// Errors: `Data` on nulls, on a confidence or lift that is no number, on an empty consequent and on items of another type
/// than the baskets'.
pub struct RecommendForBasket;

/// The table of rules.
const RULES: &str = "rules";

const fn own(name: &'static [&'static str], class: Class, meaning: &'static str) -> Own {
    Own { names: name, class, required: true, meaning }
}

static SIGNATURE: Signature = Signature {
    name: "recommend_for_basket",
    summary: "the items that rules lead to from what a basket holds",
    columns: &[
        Column {
            name: "basket",
            role: Role::Key,
            class: Class::Exact,
            many: true,
            required: true,
            meaning: "rows of one basket or customer share it",
        },
        Column {
            name: "item",
            role: Role::Value,
            class: Class::Exact,
            many: false,
            required: true,
            meaning: "an item that it holds, of the type of the rules' items",
        },
    ],
    tables: &[Table {
        name: RULES,
        reach: Reach::Whole,
        shared: &[],
        own: &[
            own(&["antecedent"], Class::Any, "a list of items, all of which a basket must hold"),
            own(&["consequent"], Class::Any, "a list of items, each of which is recommended"),
            own(&["confidence"], Class::Number, "what rules are compared by first; comes out as `score`"),
            own(&["lift"], Class::Number, "what rules of equal confidence are compared by"),
        ],
        meaning: "the rules, as `association_rules` gives them",
    }],
    params: &[Param {
        name: "k",
        kind: Kind::Integer { min: 1, max: i32::MAX as i64 },
        default: Some("10"),
        meaning: "most items recommended to a basket",
    }],
    output: &[
        Output { name: "rank", kind: "INTEGER", meaning: "1 for the best item of the basket, then 2 and so on" },
        Output { name: "item", kind: "the item's type", meaning: "an item that the basket does not hold" },
        Output { name: "score", kind: "DOUBLE", meaning: "confidence of the item's best rule" },
        Output { name: "lift", kind: "DOUBLE", meaning: "lift of that rule" },
        Output {
            name: "antecedent",
            kind: "list of the item's type",
            meaning: "left side of that rule, items ascending",
        },
    ],
};

impl GroupFunction for RecommendForBasket {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn is_public(&self) -> bool {
        false
    }

    fn bind(&self, input: &GroupSchema, args: &Args) -> Result<Arc<dyn BoundFunction>> {
        if !input.sides.iter().any(|side| side == RULES) {
            return Err(Error::Argument(format!(
                "{}: missing table of rules: add `{RULES} => TABLE(..)` with the output of association_rules",
                SIGNATURE.name
            )));
        }
        let item_at = input.positions("item").next().unwrap_or(input.keys + input.order);
        let item = input.schema.field(item_at).data_type().clone();
        Ok(Arc::new(Bound { item, item_at, k: args.integer("k")? as usize }))
    }
}

#[derive(Debug, Clone)]
struct Bound {
    item: DataType,
    /// Position of the item among the input columns.
    item_at: usize,
    k: usize,
}

impl BoundFunction for Bound {
    fn output(&self) -> Vec<Field> {
        vec![
            Field::new("rank", DataType::Int32, false),
            Field::new("item", self.item.clone(), false),
            Field::new("score", DataType::Float64, false),
            Field::new("lift", DataType::Float64, false),
            Field::new("antecedent", list_of(self.item.clone()), false),
        ]
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        Box::new(Worker { bound: self.clone(), index: None, basket: Basket::default(), rows: Rows::default() })
    }
}

struct Worker {
    bound: Bound,
    index: Option<RuleIndex>,
    basket: Basket,
    rows: Rows,
}

/// The current basket, and what is found for it. Whatever is kept by item has a place for each item that rules name.
#[derive(Default)]
struct Basket {
    /// Its items that rules name, each once.
    items: Vec<u32>,
    /// Whether it holds an item.
    holds: Vec<bool>,
    found: Found,
}

/// The best offer of each item that a rule leads to.
#[derive(Default)]
struct Found {
    offers: Vec<Offer>,
    /// Where in `offers` that of an item stands; `NO_OFFER` if there is none.
    offer_of: Vec<u32>,
}

const NO_OFFER: u32 = u32::MAX;

/// How many rules are looked at between two questions whether the run is cancelled.
const CHECK_EVERY: usize = 1 << 20;

impl Basket {
    fn new(items: usize) -> Self {
        let found = Found { offers: vec![], offer_of: vec![NO_OFFER; items] };
        Self { items: vec![], holds: vec![false; items], found }
    }

    fn add(&mut self, item: u32) {
        if !std::mem::replace(&mut self.holds[item as usize], true) {
            self.items.push(item);
        }
    }

    /// Finds the best offer for each item, best first, at most `k`.
    fn fill(&mut self, rules: &RuleIndex, k: usize, context: &dyn GroupContext) -> Result<()> {
        let mut looked_at = 0;
        let filed = self.items.iter().flat_map(|&item| rules.filed_under(item));
        for antecedent in rules.empty_antecedent().into_iter().chain(filed.copied()) {
            if looked_at >= CHECK_EVERY {
                context.check_cancelled()?;
                looked_at = 0;
            }
            looked_at += 1;
            if rules.antecedent(antecedent).iter().all(|&item| self.holds[item as usize]) {
                // What follows the best `k` of an antecedent ranks behind these in the end too.
                for offer in rules.offers(antecedent).filter(|offer| !self.holds[offer.item as usize]).take(k) {
                    looked_at += 1;
                    self.found.consider(offer);
                }
            }
        }
        self.found.keep_best(k);
        Ok(())
    }

    fn clear(&mut self) {
        for item in self.items.drain(..) {
            self.holds[item as usize] = false;
        }
        self.found.offers.clear();
    }

    fn memory_bytes(&self) -> usize {
        let words = self.items.capacity() + self.found.offer_of.capacity();
        4 * words + self.holds.capacity() + self.found.offers.capacity() * size_of::<Offer>()
    }
}

impl Found {
    fn consider(&mut self, offer: Offer) {
        let place = &mut self.offer_of[offer.item as usize];
        match self.offers.get_mut(*place as usize) {
            Some(best) if offer.ranking(best).is_lt() => *best = offer,
            Some(_) => {}
            None => {
                *place = self.offers.len() as u32;
                self.offers.push(offer);
            }
        }
    }

    /// Ranks the offers and forgets those behind the first `k`.
    fn keep_best(&mut self, k: usize) {
        for offer in &self.offers {
            self.offer_of[offer.item as usize] = NO_OFFER;
        }
        if k < self.offers.len() {
            self.offers.select_nth_unstable_by(k, Offer::ranking);
            self.offers.truncate(k);
        }
        self.offers.sort_unstable_by(Offer::ranking);
    }
}

/// Output not yet taken, items as codes.
#[derive(Default)]
struct Rows {
    ranks: Vec<i32>,
    items: Vec<u32>,
    scores: Vec<f64>,
    lifts: Vec<f64>,
    /// Items of all antecedents, one after the other.
    antecedents: Vec<u32>,
    /// Where each antecedent ends.
    ends: Vec<i32>,
}

impl Rows {
    fn add(&mut self, offers: &[Offer], rules: &RuleIndex) -> Result<()> {
        for (offer, rank) in offers.iter().zip(1..) {
            self.ranks.push(rank);
            self.items.push(offer.item);
            self.scores.push(offer.score);
            self.lifts.push(offer.lift);
            self.antecedents.extend_from_slice(rules.antecedent(offer.antecedent));
            self.ends.push(i32::try_from(self.antecedents.len()).map_err(|_| too_many("output", self.ends.len()))?);
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        let halves = self.ranks.capacity() + self.items.capacity() + self.antecedents.capacity() + self.ends.capacity();
        4 * halves + 8 * (self.scores.capacity() + self.lifts.capacity())
    }

    fn columns(self, dictionary: &ArrayRef) -> Result<Vec<ArrayRef>> {
        let each = (0..=self.items.len() as i32).collect();
        let offsets = std::iter::once(0).chain(self.ends).collect();
        Ok(vec![
            Arc::new(Int32Array::from(self.ranks)),
            Arc::clone(decode(SIGNATURE.name, dictionary, self.items, each)?.values()),
            Arc::new(Float64Array::from(self.scores)),
            Arc::new(Float64Array::from(self.lifts)),
            Arc::new(decode(SIGNATURE.name, dictionary, self.antecedents, offsets)?),
        ])
    }
}

fn too_many(what: &str, rows: usize) -> Error {
    Error::Limit(format!("{}: the {what} holds too many items: use fewer rules: rows={rows}", SIGNATURE.name))
}

impl GroupWorker for Worker {
    fn side(&mut self, name: &str, rows: &RecordBatch) -> Result<()> {
        if name != RULES || self.index.is_some() {
            return Err(Error::Bug(format!("{}: table not expected: name={name}", SIGNATURE.name)));
        }
        let index = RuleIndex::new(rows, &self.bound.item)?;
        self.basket = Basket::new(index.n_items());
        self.index = Some(index);
        Ok(())
    }

    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        let rules = self.index.as_ref().ok_or_else(no_rules)?;
        rules.known_items(rows.column(self.bound.item_at), |item| self.basket.add(item))
    }

    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome> {
        context.check_cancelled()?;
        let rules = self.index.as_ref().ok_or_else(no_rules)?;
        self.basket.fill(rules, self.bound.k, context)?;
        self.rows.add(&self.basket.found.offers, rules)?;
        let rows = self.basket.found.offers.len();
        self.basket.clear();
        context.reserve(self.memory_bytes())?;
        Ok(Outcome { rows, refused: false })
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        let none = new_empty_array(&self.bound.item);
        let dictionary = self.index.as_ref().map_or(&none, RuleIndex::dictionary);
        std::mem::take(&mut self.rows).columns(dictionary)
    }

    fn memory_bytes(&self) -> usize {
        let index = self.index.as_ref().map_or(0, RuleIndex::memory_bytes);
        index + self.basket.memory_bytes() + self.rows.memory_bytes()
    }
}

fn no_rules() -> Error {
    Error::Bug(format!("{}: a basket came before the table of rules", SIGNATURE.name))
}
