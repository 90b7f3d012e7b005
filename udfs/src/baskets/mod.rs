//! Itemset mining and association rules over plain slices, and their group functions.
//!
//! In: the frequent items' ranks of each basket. Out: frequent itemsets and rules between their parts.
//!
//! ```text
//! basket -> basket_prefixes -> one prefix per shard -> mine_shard -> itemsets -> derive_rules -> rules
//! ```

mod categories;
mod collect;
mod columns;
mod derive_packed;
mod derive_rules;
mod dictionary;
mod encode;
mod encode_baskets;
pub mod encoded;
mod finished;
mod fisher;
pub mod guard;
mod itemset_index;
mod itemset_rows;
pub mod itemsets;
pub mod kinds;
mod long_baskets;
mod merge;
pub mod metrics;
mod mine_segment;
mod mine_tasks;
pub mod mining;
mod occurrences;
pub mod options;
mod prefixes;
mod problem;
mod recommend;
mod rule_signatures;
pub mod rule_table_signatures;
pub mod rules;
mod sampled_count;
mod sets;
mod shard;
pub mod signatures;
mod step_signatures;
pub mod task_bins;
pub mod threshold;
pub mod transactions;

#[cfg(test)]
mod brute_force_tests;
#[cfg(test)]
mod encode_tests;
#[cfg(test)]
mod guard_tests;
#[cfg(test)]
mod one_problem_reference_tests;
#[cfg(test)]
mod one_problem_tests;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod reference_tests;

pub use derive_packed::DerivePacked;
pub use derive_rules::DeriveRules;
pub use encode_baskets::EncodeBaskets;
pub use mine_segment::MineSegment;
pub use mine_tasks::MineTasks;
pub use prefixes::{BasketPrefixes, PREFIX};
pub use recommend::RecommendForBasket;
pub use shard::MineShard;
