//! Faces of the rules: what users and plans may ask of them.  In: nothing. Out: parameters and outputs.

use super::metrics::{METRIC_OUTPUT, METRICS};
use super::signatures::{
    CATEGORIES, COLUMNS, EXCLUDE, LONG_BASKETS, MAX_BASKET_ITEMS, MAX_ITEMSETS, MAX_LEN, METHOD, PLAN,
    RULE_MIN_SUPPORT, SHARDS, UBIQUITOUS,
};
use crate::signature::{Kind, Output, Param, Signature};

const fn names(name: &'static str, meaning: &'static str) -> Param {
    Param { name, kind: Kind::Names, default: Some("[]"), meaning }
}

/// What says which rules come out, for every function that derives them.
pub(super) const RULES: [Param; 14] = [
    Param {
        name: "min_confidence",
        kind: Kind::Number { min: 0.0, max: 1.0 },
        default: Some("0.8"),
        meaning: "smallest share of the antecedent's baskets that hold the consequent too, compared exactly in whole numbers",
    },
    Param {
        name: "min_lift",
        kind: Kind::Number { min: 0.0, max: f64::INFINITY },
        default: Some("0"),
        meaning: "smallest lift, compared exactly in whole numbers; above 1 the sides are bought together more often than by \
                  chance",
    },
    Param {
        name: "max_consequent",
        kind: Kind::Integer { min: 1, max: i64::MAX },
        default: Some("1"),
        meaning: "most items in a consequent; above 1 all rules of a segment are derived in one task",
    },
    names(
        "antecedent_include",
        "items, by name, of which an antecedent must hold one at least; any antecedent if empty",
    ),
    names("antecedent_exclude", "items, by name, of which an antecedent must hold none"),
    names(
        "consequent_include",
        "items, by name, of which a consequent must hold one at least; any consequent if empty",
    ),
    names("consequent_exclude", "items, by name, of which a consequent must hold none"),
    Param {
        name: "top_k_by",
        kind: Kind::Choice(|| vec!["antecedent", "consequent"]),
        default: Some("null"),
        meaning: "keep only the best rules_per rules of each antecedent or of each consequent, after all other filters; by \
                  consequent all rules of a segment are derived in one task",
    },
    Param {
        name: "rules_per",
        kind: Kind::Integer { min: 1, max: i64::MAX },
        default: Some("null"),
        meaning: "how many rules top_k_by keeps",
    },
    Param {
        name: "order_by",
        kind: Kind::Choice(|| METRICS.iter().map(|metric| metric.name).collect()),
        default: Some("\"confidence\""),
        meaning: "the measure of the best rules of top_k_by, largest first, of fisher_p and imbalance_ratio smallest first; \
                  then n_both, largest first, the fewest items, and the items in ascending order",
    },
    Param {
        name: "prune_redundant",
        kind: Kind::Boolean,
        default: Some("false"),
        meaning: "leave out rules for which a rule with the same consequent, some items of the antecedent left out, has at \
                  least the same confidence; leaving out all of them leaves the consequent's share of all baskets (as \
                  is.redundant of R arules does with the rules of its apriori); all rules of a segment are derived in one task",
    },
    Param {
        name: "significance",
        kind: Kind::Choice(|| vec!["fisher"]),
        default: Some("null"),
        meaning: "keep only rules that pass Fisher's exact test, one-sided, at alpha, corrected for all splits of itemsets into \
                  two sides with up to max_consequent items on the right, whatever the other filters keep of them; counts are \
                  taken as independent baskets, so weights must be numbers of baskets; all rules of a segment are derived in \
                  one task",
    },
    CORRECTION,
    ALPHA,
];

const CORRECTION: Param = Param {
    name: "correction",
    kind: Kind::Choice(|| vec!["bonferroni", "holm"]),
    default: Some("\"bonferroni\""),
    meaning: "how significance allows for many tests; holm keeps at least as many rules at the same chance of any false one",
};

const ALPHA: Param = Param {
    name: "alpha",
    kind: Kind::Number { min: 0.0, max: 1.0 },
    default: Some("0.05"),
    meaning: "the chance of one false rule or more that significance leaves",
};

/// Lists of parameters, one after the other.
pub(super) const fn joined<const N: usize>(parts: &[&[Param]]) -> [Param; N] {
    const BLANK: Param = Param { name: "", kind: Kind::Boolean, default: None, meaning: "" };
    let mut out = [BLANK; N];
    let (mut part, mut at) = (0, 0);
    while part < parts.len() {
        let mut i = 0;
        while i < parts[part].len() {
            let Param { name, kind, default, meaning } = &parts[part][i];
            out[at] = Param { name, kind: *kind, default: *default, meaning };
            at += 1;
            i += 1;
        }
        part += 1;
    }
    assert!(at == N, "lengths do not add up");
    out
}

const MINING: [Param; 9] =
    [RULE_MIN_SUPPORT, MAX_LEN, MAX_ITEMSETS, MAX_BASKET_ITEMS, LONG_BASKETS, EXCLUDE, UBIQUITOUS, METHOD, PLAN];

/// `association_rules(input, basket => , item => , min_support => ..)`: rules between the parts of frequent itemsets.
pub static ASSOCIATION_RULES: Signature = Signature {
    name: "association_rules",
    summary: "rules antecedent => consequent from the frequent itemsets, with their measures",
    columns: COLUMNS,
    tables: &[CATEGORIES],
    params: &joined::<{ MINING.len() + 1 + RULES.len() }>(&[&MINING, &[SHARDS], &RULES]),
    output: &RULE_OUTPUT,
};

const LISTS: [Output; 2] = [
    Output { name: "antecedent", kind: "list of the item's type", meaning: "items on the left, ascending" },
    Output { name: "consequent", kind: "list of the item's type", meaning: "items on the right, ascending" },
];

const COUNTS: [Output; 4] = [
    Output { name: "n_both", kind: "BIGINT", meaning: "baskets that hold both sides" },
    Output { name: "n_antecedent", kind: "BIGINT", meaning: "baskets that hold the antecedent" },
    Output { name: "n_consequent", kind: "BIGINT", meaning: "baskets that hold the consequent" },
    Output { name: "n_baskets", kind: "BIGINT", meaning: "baskets in all" },
];

const N_OUTPUT: usize = LISTS.len() + METRICS.len() + COUNTS.len();

/// Output of the rules: both sides, one column for each row of the table of metrics, the whole numbers behind them.
pub(super) const RULE_OUTPUT: [Output; N_OUTPUT] = outputs(&[&LISTS, &METRIC_OUTPUT, &COUNTS]);

const fn outputs<const N: usize>(parts: &[&[Output]]) -> [Output; N] {
    let mut out = [const { Output { name: "", kind: "", meaning: "" } }; N];
    let (mut part, mut at) = (0, 0);
    while part < parts.len() {
        let mut i = 0;
        while i < parts[part].len() {
            let Output { name, kind, meaning } = parts[part][i];
            out[at] = Output { name, kind, meaning };
            at += 1;
            i += 1;
        }
        part += 1;
    }
    assert!(at == N, "lengths do not add up");
    out
}
