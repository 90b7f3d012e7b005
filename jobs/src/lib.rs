//! placeholder
pub mod publish;
pub mod run_record;
