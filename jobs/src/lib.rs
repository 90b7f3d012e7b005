//! What the user touches.  In: a job file and a command line. Out: published tables, reports, exit codes.

pub mod cli;
pub mod commands;
pub mod demo;
pub mod exit;
pub mod failure;
pub mod fleet;
pub mod functions_help;
pub mod generate;
pub mod job;
pub mod logging;
pub mod problem;
pub mod progress;
pub mod publish;
pub mod run;
pub mod run_record;
pub mod signals;
pub mod spec;
