//! Faces of the steps inside the plans of baskets.  In: nothing. Out: signatures that plans call and help hides.

use super::rule_signatures::{RULES, joined};
use super::signatures::{CATEGORIES, ITEMSETS, MAX_ITEMSETS, MAX_LEN, METHOD, MINING, SHARDS, WEIGHT};
use crate::signature::{Class, Column, Kind, Output, Own, Param, Reach, Role, Signature, Table};

const fn column(name: &'static str, role: Role, class: Class, meaning: &'static str) -> Column {
    Column { name, role, class, many: false, required: true, meaning }
}

const fn own(names: &'static [&'static str], meaning: &'static str) -> Own {
    Own { names, class: Class::Any, required: true, meaning }
}

const fn output(name: &'static str, kind: &'static str, meaning: &'static str) -> Output {
    Output { name, kind, meaning }
}

const BASKET: Column =
    column("basket", Role::Value, Class::Exact, "identifier of the basket, rows in any order; no nulls");

const ITEM: Column = column("item", Role::Value, Class::Exact, "the item; repeated rows count once; no nulls");

/// `encode_baskets(rows, one => , basket => , item => , [weight => ,] ..)`: all baskets of one problem as few packed rows.
pub(super) static ENCODE_BASKETS: Signature = Signature {
    name: "encode_baskets",
    summary: "the filtered, rank-coded, merged baskets of one problem, and how its work is cut into tasks",
    columns: &[column("one", Role::Key, Class::Exact, "the same on all rows"), BASKET, ITEM, WEIGHT],
    tables: &[CATEGORIES],
    params: &MINING,
    output: &[
        output("part", "BIGINT", "number of the row, from 0"),
        output("info", "VARCHAR", "row 0: JSON with n_baskets, min_count, report, estimate and search"),
        output("items", "list of the item's type", "row 0: frequent items in rank order"),
        output("n_items", "BIGINT[]", "row 0: baskets that hold each of them, or their weight"),
        output("ranks", "INTEGER UNSIGNED[]", "later rows: ranks of baskets, ascending, one basket after the other"),
        output("ends", "INTEGER UNSIGNED[]", "later rows: where each basket ends in ranks"),
        output("weights", "BIGINT[]", "later rows: what each basket counts"),
        output("tasks", "INTEGER UNSIGNED[]", "row 0: task, item, nth, of; quadruples one after the other"),
        output("conflicts", "INTEGER UNSIGNED[]", "row 0: item, ancestor; pairs of ranks one after the other"),
    ],
};

/// The packed rows of `encode_baskets`, which every worker reads whole.
pub(super) const ENCODED: Table = Table {
    name: "encoded",
    reach: Reach::Whole,
    shared: &[],
    own: &[
        own(&["part"], "as encode_baskets gives it"),
        own(&["info"], "as encode_baskets gives it"),
        own(&["items"], "as encode_baskets gives it"),
        own(&["n_items"], "as encode_baskets gives it"),
        own(&["ranks"], "as encode_baskets gives it"),
        own(&["ends"], "as encode_baskets gives it"),
        own(&["weights"], "as encode_baskets gives it"),
        own(&["tasks"], "as encode_baskets gives it"),
        own(&["conflicts"], "as encode_baskets gives it"),
    ],
    meaning: "what encode_baskets gave, in its columns and types",
};

/// What `mine_tasks` and `mine_shard` give.
pub(super) const MINED: [&str; 2] = ["itemsets", "packed"];

pub(super) const RESULT_OF_TASK: Param = Param {
    name: "result",
    kind: Kind::Choice(|| MINED.to_vec()),
    default: Some("\"itemsets\""),
    meaning: "itemsets: itemset, len, support, n, n_baskets; packed: rows for derive_rules, for rules and for closed \
              and maximal itemsets",
};

/// `mine_tasks(tasks, task => , item => , encoded => ..)`: the itemsets of one task.
pub(super) static MINE_TASKS: Signature = Signature {
    name: "mine_tasks",
    summary: "the frequent itemsets of one task over baskets that every worker holds",
    columns: &[
        column("task", Role::Key, Class::Integer, "number of the task, 0 to shards - 1, each once"),
        column("item", Role::Value, Class::Any, "null, of the item's type: says what an itemset is made of"),
    ],
    tables: &[ENCODED],
    params: &[MAX_LEN, MAX_ITEMSETS, METHOD, SHARDS, RESULT_OF_TASK],
    output: &[
        output("itemset", "list of the item's type", "itemsets: items, ascending"),
        output("len", "INTEGER", "itemsets: number of items"),
        output("support", "DOUBLE", "itemsets: share of all baskets that hold all of them"),
        output("n", "BIGINT", "itemsets: baskets that hold all of them, or their weight"),
        output("n_baskets", "BIGINT", "itemsets: baskets in all, or their weight"),
        output("shard", "BIGINT", "packed: which rule shard reads the row"),
        output("kind", "TINYINT", "packed: 0 dictionary, 1 itemsets of the shard, 2 visitors"),
        output("codes", "INTEGER UNSIGNED[]", "packed: ranks, one itemset after the other"),
        output("ends", "INTEGER UNSIGNED[]", "packed: where each itemset ends in codes"),
        output("counts", "BIGINT[]", "packed: baskets that hold each itemset, or their weight"),
        output("items", "list of the item's type", "packed, kind 0: frequent items in rank order"),
        output("n_items", "BIGINT[]", "packed, kind 0: baskets that hold each of them, or their weight"),
        output("info", "VARCHAR", "packed, kind 0: JSON with n_baskets and min_count"),
    ],
};

/// What `mine_segment` gives.
pub(super) const RESULTS: [&str; 3] = ["itemsets", "rules", "estimate"];

const RESULT: Param = Param {
    name: "result",
    kind: Kind::Choice(|| RESULTS.to_vec()),
    default: Some("\"itemsets\""),
    meaning: "the columns of frequent_itemsets, association_rules or estimate_itemsets",
};

/// `mine_segment(rows, by => [..], basket => , item => , [weight => ,] result => ..)`: one whole problem in one task.
pub(super) static MINE_SEGMENT: Signature = Signature {
    name: "mine_segment",
    summary: "the itemsets, rules or estimate of a segment, all in one task",
    columns: &[
        Column {
            name: "by",
            role: Role::Key,
            class: Class::Exact,
            many: true,
            required: true,
            meaning: "the segment; a constant if there is only one",
        },
        BASKET,
        ITEM,
        WEIGHT,
    ],
    tables: &[CATEGORIES],
    params: &joined::<{ MINING.len() + 1 + RULES.len() }>(&[&MINING, &[RESULT], &RULES]),
    output: &[output("<result>", "as the result has them", "columns of the result, without by")],
};

/// What `derive_packed` gives.
pub(super) const DERIVED: [&str; 2] = ["rules", "itemsets"];

/// `derive_packed(rows, shard => , kind => , codes => , .., result => ..)`: the rules or itemsets of one rule shard.
pub(super) static DERIVE_PACKED: Signature = Signature {
    name: "derive_packed",
    summary: "the rules, or the itemsets of a kind, that belong to a shard of itemsets",
    columns: &[
        column("shard", Role::Key, Class::Integer, "as mine_tasks gives it"),
        column("kind", Role::Value, Class::Any, "as mine_tasks gives it"),
        column("codes", Role::Value, Class::Any, "as mine_tasks gives it"),
        column("ends", Role::Value, Class::Any, "as mine_tasks gives it"),
        column("counts", Role::Value, Class::Any, "as mine_tasks gives it"),
        column("items", Role::Value, Class::Any, "as mine_tasks gives it"),
        column("n_items", Role::Value, Class::Any, "as mine_tasks gives it"),
        column("info", Role::Value, Class::Any, "as mine_tasks gives it"),
    ],
    tables: &[],
    params: &joined::<{ RULES.len() + 2 }>(&[
        &RULES,
        &[
            Param {
                name: "result",
                kind: Kind::Choice(|| DERIVED.to_vec()),
                default: Some("\"rules\""),
                meaning: "the columns of association_rules or of frequent_itemsets",
            },
            ITEMSETS,
        ],
    ]),
    output: &[output("<result>", "as the result has them", "columns of the result")],
};
