//! placeholder

pub mod store;
pub mod tables;
