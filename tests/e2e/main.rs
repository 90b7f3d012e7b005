//! End-to-end tests: real processes, real files, one module a topic.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends by a panic, and so do the helpers it calls")]

mod support;

/// Bad input of every kind ends in a clear error or a status row.
mod bad_input;
/// Baskets: plans and why, limits, segments, categories, recommendations, what changed between nights.
mod baskets;
/// Whether a location is fit for publication.
mod doctor;
/// Same rows, bit for bit, on any partitioning, batch size and file order.
mod equivalence;
/// Every examples/*.yaml runs and publishes.
mod examples;
/// A faulty network before an S3 server: errors, resets, cut bodies, stalls, outages.
mod fault_proxy;
/// Scheduler and executors give the rows of one process.
mod fleet;
/// Executors, scheduler and controllers die, freeze and end at any moment.
mod fleet_faults;
/// A message between the processes of a fleet is lost.
mod fleet_messages;
/// Links between the hosts of a fleet are cut and heal.
mod fleet_network;
/// A store that answers badly, or not at all for a while, under a fleet.
mod fleet_noise;
/// What a fleet refuses, what it never tells, and how it says what is wrong.
mod fleet_safety;
/// Many files, a giant key, a partition that kills its executors.
mod fleet_wide;
/// Itemsets and rules equal the reference answers of the shared sets.
mod itemsets;
/// M5: rows, accuracy, memory.
mod m5;
/// Hosts of one machine, with a network between them that can be cut.
mod netns;
/// The plans that SQL becomes.
mod plans;
/// Exactly-once publication under kill -9, and independent readers.
mod publication;
/// README says what the code does.
mod readme;
/// Functions, models and metrics: one table each, everything follows from it.
mod registry;
/// The lake in a bucket of a real S3 server.
mod s3;
/// Tables beside the input of a call.
mod side_tables;
/// One key with a thousand times the rows of the others.
mod skew;
/// The style page, where a machine can check it.
mod tidy;
