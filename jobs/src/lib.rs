//! What the user touches.  In: a job file and a command line. Out: published tables, reports, exit codes.

pub mod cli;
pub mod exit;
pub mod functions_help;
pub mod job;
pub mod logging;
pub mod problem;
pub mod progress;
pub mod signals;
pub mod spec;
