//! Faces of the basket functions that users call.  In: nothing. Out: signatures for the SQL plans built around the kernels.

pub use super::rule_signatures::ASSOCIATION_RULES;
use crate::signature::{Class, Column, Kind, Output, Own, Param, Reach, Role, Signature, Table};

/// Most shards: each is a task of its own, so that more would only cost.
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

const BY: Column = Column {
    name: "by",
    role: Role::Key,
    class: Class::Exact,
    many: true,
    required: false,
    meaning: "columns that cut the input into segments (store, category, week), each a problem of its own; null is a segment",
};

/// How much a basket counts.
pub(super) const WEIGHT: Column = Column {
    name: "weight",
    role: Role::Value,
    class: Class::Integer,
    many: false,
    required: false,
    meaning: "how much the basket counts, at least 1, the same on all of its rows; 1 if left out; supports and counts are \
              sums of weights; a fraction is scaled first: `CAST(round(w * 1000) AS BIGINT)`",
};

/// The columns of a basket function.
pub(super) const COLUMNS: &[Column] = &[BASKET, ITEM, BY, WEIGHT];

/// Where each item belongs.
pub(super) const CATEGORIES: Table = Table {
    name: "categories",
    reach: Reach::Whole,
    shared: &[],
    own: &[
        Own { names: &["item"], class: Class::Exact, required: true, meaning: "the item, or a category of items" },
        Own {
            names: &["category"],
            class: Class::Exact,
            required: true,
            meaning: "a category that it belongs to, of the item's type; may have categories itself, to any depth",
        },
    ],
    meaning: "categories of the items; every basket holds the categories of its items too, so that itemsets mix both; no \
              itemset holds an item and its own category",
};

/// How often an itemset must occur.
const MIN_SUPPORT: Param = Param {
    name: "min_support",
    kind: Kind::CountOrShare,
    default: Some("null"),
    meaning: "how many baskets must hold an itemset: a count, or a share of all baskets, rounded up to whole baskets; this \
              or top_k must be given",
};

pub(super) const RULE_MIN_SUPPORT: Param = Param {
    name: "min_support",
    kind: Kind::CountOrShare,
    default: None,
    meaning: "how many baskets must hold an itemset: a count, or a share of all baskets, rounded up to whole baskets",
};

const TOP_K: Param = Param {
    name: "top_k",
    kind: Kind::Integer { min: 1, max: i64::MAX },
    default: Some("null"),
    meaning: "in place of min_support: the largest support that gives at least so many itemsets; those of equal support \
              come all or not at all",
};

/// The longest itemsets wanted.
pub(super) const MAX_LEN: Param = Param {
    name: "max_len",
    kind: Kind::Integer { min: 1, max: i64::MAX },
    default: Some("null"),
    meaning: "most items in an itemset; no limit if left out",
};

/// The most itemsets that are worth having.
pub(super) const MAX_ITEMSETS: Param = Param {
    name: "max_itemsets",
    kind: Kind::Integer { min: 1, max: i64::MAX },
    default: Some("5000000"),
    meaning: "most itemsets of a segment, counted before any is written; beyond it the run is refused with their number, \
              the support that fits and the items that cause them; with the plan prefix, in which no task sees \
              all baskets, it holds for each shard",
};

pub(super) const MAX_BASKET_ITEMS: Param = Param {
    name: "max_basket_items",
    kind: Kind::Integer { min: 1, max: i64::MAX },
    default: Some("null"),
    meaning: "most distinct items of a basket, after exclude and ubiquitous, frequent or not; no limit if left out",
};

/// As `association_rules` has it too.
pub(super) const LONG_BASKETS: Param = Param {
    name: "long_baskets",
    kind: Kind::Choice(|| vec!["refuse", "truncate"]),
    default: Some("\"refuse\""),
    meaning: "what becomes of baskets beyond max_basket_items: refuse the run, or keep their items of highest support",
};

pub(super) const EXCLUDE: Param = Param {
    name: "exclude",
    kind: Kind::Names,
    default: Some("[]"),
    meaning: "items to leave out, such as bags and delivery lines; their baskets still count",
};

/// As `association_rules` has it too.
pub(super) const UBIQUITOUS: Param = Param {
    name: "ubiquitous",
    kind: Kind::Number { min: 0.0, max: 1.0 },
    default: Some("null"),
    meaning: "leave out items in more than this share of all baskets; their baskets still count",
};

/// Which itemsets come out.
pub(super) const ITEMSETS: Param = Param {
    name: "itemsets",
    kind: Kind::Choice(|| vec!["all", "closed", "maximal"]),
    default: Some("\"all\""),
    meaning: "all frequent itemsets, only those without a superset of equal support (closed), or only those without a \
              frequent superset (maximal)",
};

/// How itemsets are found.
pub(super) const METHOD: Param = Param {
    name: "method",
    kind: Kind::Choice(|| vec!["auto", "lcm", "fp_growth", "apriori"]),
    default: Some("\"auto\""),
    meaning: "how a task searches; changes cost, never the itemsets; auto takes fp_growth for short baskets that share \
              most prefixes, else lcm",
};

pub(super) const PLAN: Param = Param {
    name: "plan",
    kind: Kind::Choice(|| vec!["auto", "segment", "broadcast", "prefix"]),
    default: Some("\"auto\""),
    meaning: "how the work is spread: each segment in one task, all baskets to every executor with items as tasks, or \
              prefixes of baskets by item (PFP); changes cost, never the itemsets; auto chooses by size, EXPLAIN says why",
};

/// How the work is cut.
pub(super) const SHARDS: Param = Param {
    name: "shards",
    kind: Kind::Integer { min: 1, max: SHARDS_MAX },
    default: Some("64"),
    meaning: "number of independent mining tasks; changes cost, never the itemsets; 8 to 16 for each core is a good number",
};

/// What says which baskets and items count and how they are searched: for itemsets, rules and estimates alike.
pub(super) const MINING: [Param; 12] = [
    MIN_SUPPORT,
    TOP_K,
    MAX_LEN,
    MAX_ITEMSETS,
    MAX_BASKET_ITEMS,
    LONG_BASKETS,
    EXCLUDE,
    UBIQUITOUS,
    ITEMSETS,
    METHOD,
    PLAN,
    SHARDS,
];

pub(super) const SEGMENT: Output =
    Output { name: "<by>", kind: "as in the input", meaning: "the segment, if by is given" };

/// `frequent_itemsets(input, basket => , item => , min_support => ..)`: every itemset that enough baskets hold.
pub static FREQUENT_ITEMSETS: Signature = Signature {
    name: "frequent_itemsets",
    summary: "every set of items that at least min_support baskets hold",
    columns: COLUMNS,
    tables: &[CATEGORIES],
    params: &MINING,
    output: &[
        SEGMENT,
        Output { name: "itemset", kind: "list of the item's type", meaning: "items, ascending" },
        Output { name: "len", kind: "INTEGER", meaning: "number of items" },
        Output { name: "support", kind: "DOUBLE", meaning: "share of all baskets that hold all of them, 0 to 1" },
        Output { name: "n", kind: "BIGINT", meaning: "baskets that hold all of them, or their weight" },
        Output { name: "n_baskets", kind: "BIGINT", meaning: "baskets in all, or their weight" },
    ],
};

/// `estimate_itemsets(input, basket => , item => , min_support => ..)`: how many itemsets there would be.
pub static ESTIMATE_ITEMSETS: Signature = Signature {
    name: "estimate_itemsets",
    summary: "the number of itemsets that frequent_itemsets would give, a row a segment, before any of them is written",
    columns: COLUMNS,
    tables: &[CATEGORIES],
    params: &[RULE_MIN_SUPPORT, MAX_LEN, MAX_ITEMSETS, MAX_BASKET_ITEMS, LONG_BASKETS, EXCLUDE, UBIQUITOUS, METHOD],
    output: &[
        SEGMENT,
        Output {
            name: "itemsets",
            kind: "BIGINT",
            meaning: "itemsets; the largest number of the type stands for more",
        },
        Output { name: "exact", kind: "BOOLEAN", meaning: "whether they were counted; else they are estimated" },
        Output { name: "relative_error", kind: "DOUBLE", meaning: "standard error over the estimate, 0 if counted" },
        Output { name: "min_count", kind: "BIGINT", meaning: "baskets that must hold an itemset, or their weight" },
        Output { name: "n_baskets", kind: "BIGINT", meaning: "baskets in all, or their weight" },
        Output {
            name: "fits_min_count",
            kind: "BIGINT",
            meaning: "smallest min_count found that keeps to max_itemsets; null if none was found",
        },
        Output { name: "fits_itemsets", kind: "BIGINT", meaning: "itemsets there; null if none was found" },
        Output {
            name: "heaviest_items",
            kind: "list of the item's type",
            meaning: "items that are the rarest of the most itemsets, those of the most first",
        },
        Output {
            name: "duplicate_rows",
            kind: "BIGINT",
            meaning: "rows that repeat an item of their basket; they count once",
        },
        Output { name: "truncated_baskets", kind: "BIGINT", meaning: "baskets that were cut to max_basket_items" },
        Output { name: "truncated_items", kind: "BIGINT", meaning: "items that they lost in all" },
        Output {
            name: "ubiquitous_items",
            kind: "VARCHAR[]",
            meaning: "the first 20 items left out by ubiquitous, by name",
        },
        Output { name: "exclude_unknown", kind: "VARCHAR[]", meaning: "names in exclude that no item has" },
    ],
};
