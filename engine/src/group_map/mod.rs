//! The one operator of lakecast: rows in, grouped by keys and ordered inside the group; rows out.
//!
//! In: a plan whose columns are `[keys.., order.., values..]`. Out: the keys and what the group function makes of them.

mod codec;
mod exec;
mod groups;
mod node;
mod planner;
mod side;

pub use codec::{LogicalCodec, PhysicalCodec};
pub use exec::{GroupAccount, GroupMapExec};
pub use node::{GroupCall, GroupMapNode};
pub use planner::{GroupMapPlanner, LakecastQueryPlanner};
