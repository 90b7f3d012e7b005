//! Faces of the basket functions that users call.  In: nothing. Out: signatures for the SQL plans built around the kernels.

use super::metrics::METRIC_OUTPUT;
use crate::signature::{Class, Column, Kind, Output, Param, Role, Signature};

/// Most shards: each sends its own copy of the frequent items, so that more would only cost.
const SHARDS_MAX: i64 = 65_536;

const BASKET: Column = Column {
    name: "basket",
    role: Role::Key,
    class: Class::Exact,
    many: false,
    required: true,
    meaning: "identifier of the basket (order, receipt, session); no nulls",
};

const ITEM: Column = Column {
    name: "item",
    role: Role::Value,
    class: Class::Exact,
    many: false,
    required: true,
    meaning: "identifier of the item, one row for each item of a basket; repeated rows count once; no nulls",
};

const MIN_SUPPORT: Param = Param {
    name: "min_support",
    kind: Kind::CountOrShare,
    default: None,
    meaning: "how many baskets must hold an itemset: a count, or a share of all baskets, rounded up to whole baskets",
};

/// The longest itemsets wanted.
pub(super) const MAX_LEN: Param = Param {
    name: "max_len",
    kind: Kind::Integer { min: 1, max: i64::MAX },
    default: Some("null"),
    meaning: "most items in an itemset; no limit if left out",
};

/// How the work is cut.
pub(super) const SHARDS: Param = Param {
    name: "shards",
    kind: Kind::Integer { min: 1, max: SHARDS_MAX },
    default: Some("64"),
    meaning: "number of independent mining tasks; changes cost, never the itemsets; 8 to 16 for each core is a good number",
};

/// The confidence that a rule needs.
pub(super) const MIN_CONFIDENCE: Param = Param {
    name: "min_confidence",
    kind: Kind::Number { min: 0.0, max: 1.0 },
    default: Some("0.8"),
    meaning: "smallest share of the antecedent's baskets that hold the consequent too, compared exactly in whole numbers",
};

/// The lift that a rule needs.
pub(super) const MIN_LIFT: Param = Param {
    name: "min_lift",
    kind: Kind::Number { min: 0.0, max: f64::INFINITY },
    default: Some("0"),
    meaning: "smallest lift, compared exactly in whole numbers; above 1 the sides are bought together more often than by chance",
};

/// The longest consequents wanted.
pub(super) const MAX_CONSEQUENT: Param = Param {
    name: "max_consequent",
    kind: Kind::Integer { min: 1, max: i64::MAX },
    default: Some("1"),
    meaning: "most items in a consequent",
};

/// `frequent_itemsets(input, basket => , item => , min_support => ..)`: every itemset that enough baskets hold.
pub static FREQUENT_ITEMSETS: Signature = Signature {
    name: "frequent_itemsets",
    summary: "every set of items that at least min_support baskets hold",
    columns: &[BASKET, ITEM],
    tables: &[],
    params: &[MIN_SUPPORT, MAX_LEN, SHARDS],
    output: &[
        Output { name: "itemset", kind: "list of the item's type", meaning: "items, ascending" },
        Output { name: "len", kind: "INTEGER", meaning: "number of items" },
        Output { name: "support", kind: "DOUBLE", meaning: "share of all baskets that hold all of them, 0 to 1" },
        Output { name: "n", kind: "BIGINT", meaning: "baskets that hold all of them" },
        Output { name: "n_baskets", kind: "BIGINT", meaning: "baskets in all" },
    ],
};

/// `association_rules(input, basket => , item => , min_support => ..)`: rules between the parts of frequent itemsets.
pub static ASSOCIATION_RULES: Signature = Signature {
    name: "association_rules",
    summary: "rules antecedent => consequent from the frequent itemsets, with their measures",
    columns: &[BASKET, ITEM],
    tables: &[],
    params: &[MIN_SUPPORT, MIN_CONFIDENCE, MIN_LIFT, MAX_CONSEQUENT, MAX_LEN, SHARDS],
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

/// Output of the rules: both sides, one column for each row of the table of metrics, the whole numbers behind them.
pub(super) const RULE_OUTPUT: [Output; LISTS.len() + METRIC_OUTPUT.len() + COUNTS.len()] = {
    const BLANK: Output = Output { name: "", kind: "", meaning: "" };
    let mut out = [BLANK; LISTS.len() + METRIC_OUTPUT.len() + COUNTS.len()];
    let parts: [&[Output]; 3] = [&LISTS, &METRIC_OUTPUT, &COUNTS];
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
    out
};
