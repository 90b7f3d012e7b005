//! Itemset mining and association rules over plain slices, and their group functions.
//!
//! In: the frequent items' ranks of each basket. Out: frequent itemsets and rules between their parts.
//!
//! ```text
//! basket -> basket_prefixes -> one prefix per shard -> mine_shard -> itemsets -> derive_rules -> rules
//! ```

mod bit_rows;
mod columns;
mod derive_rules;
mod itemset_index;
pub mod itemsets;
pub mod metrics;
pub mod mining;
pub mod pattern_growth;
mod prefixes;
mod recommend;
mod rules;
mod shard;
pub mod signatures;
pub mod threshold;
pub mod transactions;

#[cfg(test)]
mod brute_force_tests;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod reference_tests;

pub use derive_rules::DeriveRules;
pub use prefixes::{BasketPrefixes, PREFIX};
pub use recommend::RecommendForBasket;
pub use shard::MineShard;
