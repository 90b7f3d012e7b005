//! What lakecast computes: forecasting and itemset mining on plain slices, and the one table of group functions.
//!
//! In: rows of one group, in order. Out: rows. Nothing here knows DataFusion, Ballista or a store.

pub mod args;
pub mod baskets;
pub mod classification;
pub mod error;
pub mod forecast;
pub mod functions;
#[cfg(test)]
mod one_group;
pub mod signature;

pub use error::{Error, Result};
