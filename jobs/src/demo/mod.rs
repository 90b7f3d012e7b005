//! What `lakecast demo` shows: forecasts as small plots, rules against the planted ones, counts by status.
//! In: plain numbers and names. Out: text for a terminal of 80 columns, without colour.

mod plot;
mod tables;

pub use plot::plot;
pub use tables::{FoundRule, rules_table, status_table};
