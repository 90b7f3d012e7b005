//! placeholder

pub mod demo;
pub mod generate;
