//! The lake sink: staged Parquet per partition, checkpoint first.
//!
//! In: the rows of one output table. Out: one row per partition saying which file holds it. Nothing here makes a file
//! visible to readers; only the publication in `jobs` does.

mod checkpoint;
mod exec;
mod ledger;
mod node;
mod writer;

pub use checkpoint::{Checkpoint, checkpoint_dir};
pub use exec::{FleetTask, LakeSinkExec};
pub use ledger::{Leftover, bury, forget, leftovers};
pub use node::{LakeSinkNode, SinkSpec};
