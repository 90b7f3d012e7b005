//! End-to-end tests: real processes, real files, one module a topic.

mod support;

/// Bad input of every kind ends in a clear error or a status row.
mod bad_input;
/// Same rows, bit for bit, on any partitioning, batch size and file order.
mod equivalence;
/// Every examples/*.yaml runs and publishes.
mod examples;
/// Itemsets and rules equal the reference answers of the shared sets.
mod itemsets;
/// M5: rows, accuracy, memory.
mod m5;
/// The plans that SQL becomes.
mod plans;
/// Exactly-once publication under kill -9, and independent readers.
mod publication;
/// Functions, models and metrics: one table each, everything follows from it.
mod registry;
/// The style page, where a machine can check it.
mod tidy;
