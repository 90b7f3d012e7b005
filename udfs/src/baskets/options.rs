//! What a call asks of the mining: checked arguments as numbers and choices.  In: `Args`. Out: `MiningOptions`.

use super::mining::Method;
use crate::args::Args;
use crate::error::{Error, Result};

/// Most decimals of a share, so that it is a fraction of whole numbers that never overflows.
const DECIMALS_MAX: usize = 9;

/// What is mined, from the arguments of any function that has them; what a signature lacks keeps its default.
#[derive(Debug, Clone, PartialEq)]
pub struct MiningOptions {
    /// How often an itemset must occur.
    pub support: Support,
    /// Most items of an itemset; `usize::MAX` without a limit.
    pub max_len: usize,
    /// Most itemsets of a problem.
    pub max_itemsets: u64,
    /// Most items of a basket.
    pub max_basket_items: Option<usize>,
    /// What becomes of longer baskets.
    pub long_baskets: LongBaskets,
    /// Items to leave out, as text.
    pub exclude: Vec<String>,
    /// Items in more than this share of all baskets are left out.
    pub ubiquitous: Option<Share>,
    /// How tasks search.
    pub method: Method,
    /// Into how many tasks the work is cut.
    pub shards: usize,
}

/// How often an itemset must occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// In so many baskets.
    Count(i64),
    /// In this share of all baskets, rounded up.
    Share(Share),
    /// So often that there are at least so many itemsets.
    TopK(u64),
}

/// What becomes of baskets beyond `max_basket_items`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongBaskets {
    /// The run ends with an error.
    Refuse,
    /// Their items of highest support stay.
    Truncate,
}

/// A decimal share as an exact fraction: `0.3` is no binary fraction, and `ceil(0.3 * n)` in floats would be off by one at
/// the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    numerator: u64,
    denominator: u64,
}

impl Share {
    /// From a number from 0 to 1, as the user wrote it. Errors: `Argument` if it has too many decimals.
    pub fn new(function: &str, name: &str, share: f64) -> Result<Self> {
        let text = format!("{share}");
        let digits = text.split_once('.').map_or("", |(_, d)| d);
        let numerator = text.replace('.', "").parse().ok().filter(|_| digits.len() <= DECIMALS_MAX);
        let Some(numerator) = numerator.filter(|_| (0.0..=1.0).contains(&share)) else {
            return Err(Error::Argument(format!(
                "{function}: bad argument: name={name}, given={share}, allowed=[a share from 0 to 1 of up to \
                 {DECIMALS_MAX} decimals]"
            )));
        };
        Ok(Self { numerator, denominator: 10u64.pow(digits.len() as u32) })
    }

    /// The smallest whole number that is at least this share of `whole`.
    pub fn of(self, whole: i64) -> i64 {
        let (whole, numerator, denominator) = (whole as i128, self.numerator as i128, self.denominator as i128);
        ((whole * numerator + denominator - 1) / denominator) as i64
    }

    /// Numerator and denominator.
    pub fn fraction(self) -> (u64, u64) {
        (self.numerator, self.denominator)
    }

    /// Whether `part` is more than this share of `whole`.
    pub fn is_below(self, part: i64, whole: i64) -> bool {
        part as i128 * self.denominator as i128 > whole as i128 * self.numerator as i128
    }
}

impl Support {
    /// The smallest weight of a frequent itemset among baskets that weigh `n_baskets`, at least 1, so that an absent item is
    /// never frequent; 1 for a number of itemsets, which only a search turns into a weight.
    pub fn min_count(self, n_baskets: i64) -> i64 {
        match self {
            Self::Count(count) => count,
            Self::Share(share) => share.of(n_baskets).max(1),
            Self::TopK(_) => 1,
        }
    }
}

impl MiningOptions {
    /// Reads the arguments of `function`. Errors: `Argument` if neither or both of `min_support` and `top_k` are given, or a
    /// share has too many decimals.
    pub fn from_args(function: &str, args: &Args) -> Result<Self> {
        let given = |name: &str| -> Result<bool> { Ok(args.has(name) && !args.is_null(name)?) };
        let count =
            |name: &str| -> Result<Option<i64>> { if given(name)? { args.integer(name).map(Some) } else { Ok(None) } };
        let share = match given("ubiquitous")? {
            true => Some(Share::new(function, "ubiquitous", args.number("ubiquitous")?)?),
            false => None,
        };
        let truncate = given("long_baskets")? && args.text("long_baskets")? == "truncate";
        Ok(Self {
            support: support(function, args, count("top_k")?)?,
            max_len: count("max_len")?.map_or(usize::MAX, |n| n as usize),
            max_itemsets: count("max_itemsets")?.map_or(u64::MAX, |n| n as u64),
            max_basket_items: count("max_basket_items")?.map(|n| n as usize),
            long_baskets: if truncate { LongBaskets::Truncate } else { LongBaskets::Refuse },
            exclude: if given("exclude")? { args.names("exclude")? } else { vec![] },
            ubiquitous: share,
            method: method(if given("method")? { args.text("method")? } else { "auto" })?,
            shards: count("shards")?.unwrap_or(1) as usize,
        })
    }
}

fn support(function: &str, args: &Args, top_k: Option<i64>) -> Result<Support> {
    let min_support = args.value("min_support")?;
    match (min_support.as_i64(), min_support.as_f64(), top_k) {
        (None, None, Some(k)) => Ok(Support::TopK(k as u64)),
        (Some(count), _, None) => Ok(Support::Count(count)),
        (None, Some(share), None) => Ok(Support::Share(Share::new(function, "min_support", share)?)),
        (_, _, given) => Err(Error::Argument(format!(
            "{function}: give either min_support or top_k: min_support={min_support}, top_k={}",
            given.map_or_else(|| "null".into(), |k| k.to_string())
        ))),
    }
}

/// The method of a name. Errors: `Bug` if the signature allows what is not here.
pub(super) fn method(name: &str) -> Result<Method> {
    match name {
        "auto" => Ok(Method::Auto),
        "lcm" => Ok(Method::Lcm),
        "fp_growth" => Ok(Method::FpGrowth),
        "apriori" => Ok(Method::Apriori),
        _ => Err(Error::Bug(format!("no such method: {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::signatures::FREQUENT_ITEMSETS;
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn options(given: Value) -> Result<MiningOptions> {
        let Value::Object(given) = given else { panic!("no object") };
        MiningOptions::from_args("f", &Args::check(&FREQUENT_ITEMSETS, given)?)
    }

    #[test]
    fn every_argument_arrives() {
        let all = options(json!({"min_support": 3, "max_len": 4, "max_itemsets": 5, "max_basket_items": 6,
            "long_baskets": "truncate", "exclude": ["BAG", 7], "ubiquitous": 0.5, "method": "apriori", "shards": 8}));
        let expected = MiningOptions {
            support: Support::Count(3),
            max_len: 4,
            max_itemsets: 5,
            max_basket_items: Some(6),
            long_baskets: LongBaskets::Truncate,
            exclude: vec!["BAG".into(), "7".into()],
            ubiquitous: Some(Share { numerator: 5, denominator: 10 }),
            method: Method::Apriori,
            shards: 8,
        };
        let mut all = all.unwrap();
        all.ubiquitous = all.ubiquitous.map(|s| Share { numerator: s.numerator % 10, ..s });
        assert_eq!(all, expected);
        let left_out = options(json!({"top_k": 9})).unwrap();
        assert_eq!((left_out.support, left_out.max_itemsets), (Support::TopK(9), 5_000_000));
        assert_eq!((left_out.max_len, left_out.long_baskets), (usize::MAX, LongBaskets::Refuse));
    }

    #[test]
    fn support_and_top_k_exclude_each_other_and_shares_are_decimals() {
        for (given, words) in [
            (json!({}), "either min_support or top_k: min_support=null, top_k=null"),
            (json!({"min_support": 1, "top_k": 2}), "either min_support or top_k: min_support=1, top_k=2"),
            (json!({"min_support": 0.1, "top_k": 2}), "either min_support or top_k: min_support=0.1, top_k=2"),
            (
                json!({"min_support": 0.0123456789}),
                "given=0.0123456789, allowed=[a share from 0 to 1 of up to 9 decimals]",
            ),
            (json!({"min_support": 1, "exclude": [0.5]}), "list of texts or whole numbers"),
        ] {
            let error = options(given).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_share_of_nothing_needs_one_basket() {
        let share = Share::new("f", "x", 0.001).unwrap();
        assert_eq!(Support::Share(share).min_count(0), 1);
        assert_eq!(Share::new("f", "x", 1.0).unwrap().of(7), 7);
        assert_eq!(Share::new("f", "x", 1.0).unwrap().of(i64::MAX), i64::MAX);
    }

    proptest! {
        #[test]
        fn shares_round_up_in_whole_numbers(parts in 1u64..=1_000_000, whole in 0i64..1 << 40, part in 0i64..1 << 40) {
            let share = Share::new("f", "x", parts as f64 / 1e6).unwrap();
            let exact = whole as i128 * parts as i128;
            prop_assert_eq!(share.of(whole) as i128, exact / 1_000_000 + i128::from(exact % 1_000_000 != 0));
            prop_assert_eq!(share.is_below(part, whole), part as i128 * 1_000_000 > exact);
        }
    }
}
