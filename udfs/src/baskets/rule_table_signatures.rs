//! Faces of the functions over tables of rules.  In: nothing. Out: signatures for the SQL plans built around them.

use crate::signature::{Class, Column, Kind, Output, Own, Param, Reach, Role, Signature, Table};

/// The table of baskets beside the rules.
pub const BASKETS: &str = "baskets";

/// The later table of rules.
pub const NOW: &str = "now";

/// The measures that `rules_diff` shows of both tables.
pub const DIFF_MEASURES: [&str; 6] = ["support", "confidence", "lift", "n_both", "n_antecedent", "n_consequent"];

const fn own(names: &'static [&'static str], class: Class, meaning: &'static str) -> Own {
    Own { names, class, required: true, meaning }
}

const fn output(name: &'static str, kind: &'static str, meaning: &'static str) -> Output {
    Output { name, kind, meaning }
}

/// `recommend(rules, baskets, basket => , item => )`: what to offer beside each basket.
pub static RECOMMEND: Signature = Signature {
    name: "recommend",
    summary: "the best items for each basket or customer that the rules of association_rules lead to",
    columns: &[
        Column {
            name: "basket",
            role: Role::Key,
            class: Class::Exact,
            many: true,
            required: true,
            meaning: "column or columns of baskets that tell baskets or customers apart",
        },
        Column {
            name: "item",
            role: Role::Value,
            class: Class::Exact,
            many: false,
            required: true,
            meaning: "column of baskets: an item that the basket holds, of the type of the rules' items; no nulls",
        },
    ],
    tables: &[Table {
        name: BASKETS,
        reach: Reach::Input,
        shared: &["basket", "item"],
        own: &[],
        meaning: "the baskets, one row for one item of one basket; the second argument, or by its name",
    }],
    params: &[Param {
        name: "k",
        kind: Kind::Integer { min: 1, max: i32::MAX as i64 },
        default: Some("10"),
        meaning: "most items recommended to a basket",
    }],
    output: &[
        output("<basket>", "as in the input", "the basket or customer; one to which no rule speaks has no row"),
        output("rank", "INTEGER", "1 for the best item of the basket, then 2 and so on"),
        output("item", "the item's type", "an item that the basket does not hold"),
        output("score", "DOUBLE", "confidence of the item's best rule"),
        output("lift", "DOUBLE", "lift of that rule"),
        output("antecedent", "list of the item's type", "left side of that rule, items ascending"),
    ],
};

/// `rules_diff(last, now)`: what became of the rules of two nights.
pub static RULES_DIFF: Signature = Signature {
    name: "rules_diff",
    summary: "what changed between two tables of rules: new, gone, moved or the same",
    columns: &[Column {
        name: "by",
        role: Role::Key,
        class: Class::Exact,
        many: true,
        required: false,
        meaning: "columns of both tables that tell segments apart, as given to association_rules",
    }],
    tables: &[Table {
        name: NOW,
        reach: Reach::Input,
        shared: &["by"],
        own: &[
            own(&["antecedent"], Class::Any, "items on the left, ascending"),
            own(&["consequent"], Class::Any, "items on the right, ascending"),
            own(&["support"], Class::Number, "as association_rules gives it"),
            own(&["confidence"], Class::Number, "as association_rules gives it"),
            own(&["lift"], Class::Number, "as association_rules gives it"),
            own(&["n_both"], Class::Integer, "as association_rules gives it"),
            own(&["n_antecedent"], Class::Integer, "as association_rules gives it"),
            own(&["n_consequent"], Class::Integer, "as association_rules gives it"),
        ],
        meaning: "the later rules, the second argument or by its name; the first argument is a table of the same columns",
    }],
    params: &[Param {
        name: "tolerance",
        kind: Kind::Number { min: 0.0, max: 1.0 },
        default: Some("0"),
        meaning: "a rule of both tables has moved if its confidence differs by more than this",
    }],
    output: &[
        output("<by>", "as in the input", "the segment, if by is given"),
        output("antecedent", "list of the item's type", "items on the left, ascending"),
        output("consequent", "list of the item's type", "items on the right, ascending"),
        output("change", "VARCHAR", "new (only in now), gone (only in the first table), moved or same"),
        output("support_last", "DOUBLE", "support in the first table; null if new"),
        output("support_now", "DOUBLE", "support in now; null if gone"),
        output("confidence_last", "DOUBLE", "confidence in the first table; null if new"),
        output("confidence_now", "DOUBLE", "confidence in now; null if gone"),
        output("lift_last", "DOUBLE", "lift in the first table; null if new"),
        output("lift_now", "DOUBLE", "lift in now; null if gone"),
        output("n_both_last", "BIGINT", "baskets with both sides in the first table; null if new"),
        output("n_both_now", "BIGINT", "baskets with both sides in now; null if gone"),
        output("n_antecedent_last", "BIGINT", "baskets with the antecedent in the first table; null if new"),
        output("n_antecedent_now", "BIGINT", "baskets with the antecedent in now; null if gone"),
        output("n_consequent_last", "BIGINT", "baskets with the consequent in the first table; null if new"),
        output("n_consequent_now", "BIGINT", "baskets with the consequent in now; null if gone"),
    ],
};
