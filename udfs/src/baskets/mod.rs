//! Itemset mining and association rules over plain slices, and their group functions.
//!
//! In: the frequent items' ranks of each basket. Out: frequent itemsets and rules between their parts.
//!
//! ```text
//! basket -> basket_prefixes -> one prefix per shard -> mine_shard -> itemsets -> derive_rules -> rules
//! ```

mod bit_rows;
mod categories;
mod collect;
mod columns;
mod derive_rules;
mod dictionary;
mod encode;
pub mod encoded;
mod itemset_index;
pub mod itemsets;
mod long_baskets;
mod merge;
pub mod metrics;
pub mod mining;
pub mod options;
pub mod pattern_growth;
mod prefixes;
mod rules;
mod shard;
pub mod signatures;
mod step_signatures;
pub mod threshold;
pub mod transactions;

#[cfg(test)]
mod brute_force_tests;
#[cfg(test)]
mod encode_tests;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod reference_tests;

pub use derive_rules::DeriveRules;
pub use prefixes::{BasketPrefixes, PREFIX};
pub use shard::MineShard;
