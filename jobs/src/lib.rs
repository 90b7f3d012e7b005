//! What the user touches.  In: a job file and a command line. Out: published tables, reports, exit codes.

pub mod exit;
pub mod job;
pub mod problem;
pub mod spec;
