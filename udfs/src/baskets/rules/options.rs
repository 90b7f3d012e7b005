//! Which rules are wanted.  In: checked arguments. Out: `RuleOptions`.

use crate::args::Args;
use crate::baskets::metrics::{METRICS, Metric};
use crate::baskets::threshold::Threshold;
use crate::error::{Error, Result};

/// Which rules are wanted, from the arguments of any function that derives them.
#[derive(Debug, Clone)]
pub struct RuleOptions {
    /// Smallest confidence.
    pub min_confidence: Threshold,
    /// Smallest lift.
    pub min_lift: Threshold,
    /// Most items of a consequent.
    pub max_consequent: usize,
    /// Items that the antecedent must and must not hold.
    pub antecedent: Names,
    /// Items that the consequent must and must not hold.
    pub consequent: Names,
    /// Only the best rules of each side.
    pub top: Option<Top>,
    /// Rules no better than a more general one are left out.
    pub prune_redundant: bool,
    /// Only rules that pass a test.
    pub significance: Option<Significance>,
}

/// Lists of items for one side of a rule, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// One of them at least, if there is any.
    pub include: Vec<String>,
    /// None of them.
    pub exclude: Vec<String>,
}

/// A side of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The left.
    Antecedent,
    /// The right.
    Consequent,
}

/// The best rules of each value of a side.
#[derive(Debug, Clone, Copy)]
pub struct Top {
    /// Whose values.
    pub by: Side,
    /// How many rules for each.
    pub rules: usize,
    /// What is best.
    pub order: &'static Metric,
}

/// Fisher's exact test of every rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Significance {
    /// How many tests are allowed for.
    pub correction: Correction,
    /// Chance of one false rule or more.
    pub alpha: f64,
}

/// How a test allows for many tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correction {
    /// Each at alpha over their number (Dunn 1961).
    Bonferroni,
    /// Step-down (Holm 1979).
    Holm,
}

impl RuleOptions {
    /// Reads the arguments of `function`. Errors: `Argument` if only one of `top_k_by` and `rules_per` is given.
    pub fn from_args(function: &str, args: &Args) -> Result<Self> {
        let side = |name: &str| -> Result<Names> {
            Ok(Names {
                include: args.names(&format!("{name}_include"))?,
                exclude: args.names(&format!("{name}_exclude"))?,
            })
        };
        let significance = match args.is_null("significance")? {
            true => None,
            false => Some(Significance {
                correction: match args.text("correction")? {
                    "holm" => Correction::Holm,
                    _ => Correction::Bonferroni,
                },
                alpha: args.number("alpha")?,
            }),
        };
        Ok(Self {
            min_confidence: Threshold::new(args.number("min_confidence")?),
            min_lift: Threshold::new(args.number("min_lift")?),
            max_consequent: args.integer("max_consequent")? as usize,
            antecedent: side("antecedent")?,
            consequent: side("consequent")?,
            top: top(function, args)?,
            prune_redundant: args.boolean("prune_redundant")?.unwrap_or(false),
            significance,
        })
    }

    /// Whether all itemsets of a problem must be in one place: a rule depends on more than the itemsets of its shard.
    pub fn needs_one_shard(&self) -> bool {
        self.max_consequent > 1
            || self.top.is_some_and(|top| top.by == Side::Consequent)
            || self.prune_redundant
            || self.significance.is_some()
    }
}

fn top(function: &str, args: &Args) -> Result<Option<Top>> {
    let by = match (args.is_null("top_k_by")?, args.is_null("rules_per")?) {
        (true, true) => return Ok(None),
        (false, false) => match args.text("top_k_by")? {
            "consequent" => Side::Consequent,
            _ => Side::Antecedent,
        },
        _ => {
            return Err(Error::Argument(format!(
                "{function}: give both top_k_by and rules_per, or neither: top_k_by={}, rules_per={}",
                args.value("top_k_by")?,
                args.value("rules_per")?
            )));
        }
    };
    let name = args.text("order_by")?;
    let order = METRICS.iter().find(|metric| metric.name == name);
    let order = order.ok_or_else(|| Error::Bug(format!("no such measure: {name}")))?;
    Ok(Some(Top { by, rules: args.integer("rules_per")? as usize, order }))
}
