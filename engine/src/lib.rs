//! How lakecast plans and executes, shared by client, scheduler and executor.
//!
//! In: SQL text and table locations. Out: plans of group functions, and Parquet staged by the sink.

pub mod cancel;
pub mod fleet;
pub mod functions;
pub mod group_map;
pub mod memory_size;
pub mod service;
pub mod session;
pub mod sink;
pub mod sql;
pub mod store;
pub mod tables;

pub use session::{SessionOptions, session};
