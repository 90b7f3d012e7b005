//! The group functions that a session knows, by name.
//!
//! In: the table in `lakecast-udfs`, and what a caller adds. Out: look-up by name, the same on every process.

use crate::cancel::Cancel;
use datafusion::common::{DataFusionError, Result, plan_datafusion_err};
use lakecast_udfs::Error;
use lakecast_udfs::functions::{FUNCTIONS, GroupFunction};
use lakecast_udfs::signature::did_you_mean;
use std::fmt;
use std::sync::Arc;

/// The group functions of a session. Cheap to clone.
#[derive(Clone)]
pub struct Functions(Arc<[&'static dyn GroupFunction]>);

impl Default for Functions {
    fn default() -> Self {
        Self(FUNCTIONS.into())
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Functions {
    /// The standard functions and `more`; a later function of the same name wins.
    pub fn with(more: &[&'static dyn GroupFunction]) -> Self {
        let mut all: Vec<_> = FUNCTIONS.to_vec();
        for f in more {
            all.retain(|g| g.signature().name != f.signature().name);
            all.push(*f);
        }
        Self(all.into())
    }

    /// All names, in the order of the table.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|f| f.signature().name)
    }

    /// The function called `name`, if there is one.
    pub fn find(&self, name: &str) -> Option<&'static dyn GroupFunction> {
        self.0.iter().copied().find(|f| f.signature().name == name)
    }

    /// The function called `name`. Errors: plan error with the known names and the nearest.
    pub fn get(&self, name: &str) -> Result<&'static dyn GroupFunction> {
        self.find(name).ok_or_else(|| {
            let hint = did_you_mean(name, self.names());
            plan_datafusion_err!(
                "unknown group function: name={name}, known=[{}]{hint}",
                self.names().collect::<Vec<_>>().join(", ")
            )
        })
    }
}

/// An error of the functions as DataFusion's, so that what the user must mend is told apart from what failed.
pub fn to_datafusion(error: Error) -> DataFusionError {
    match error {
        Error::Argument(m) => DataFusionError::Plan(m),
        Error::Limit(m) => DataFusionError::ResourcesExhausted(m),
        Error::Arrow(e) => e.into(),
        Error::Cancelled => Cancel::stopped(),
        other => DataFusionError::Execution(other.to_string()),
    }
}
