//! Output of a worker until it is taken.  In: columns of groups. Out: all of them in one.

use crate::error::Result;
use arrow::array::{Array, ArrayRef, new_empty_array};
use arrow::compute::concat;
use arrow::datatypes::Field;

/// Columns of the groups since the last `take`.
#[derive(Default)]
pub(super) struct Finished {
    groups: Vec<Vec<ArrayRef>>,
    bytes: usize,
}

impl Finished {
    /// Adds the columns of a group, and says how many rows they have.
    pub(super) fn push(&mut self, columns: Vec<ArrayRef>) -> usize {
        let rows = columns.first().map_or(0, |column| column.len());
        if rows > 0 {
            self.bytes += columns.iter().map(|column| column.get_array_memory_size()).sum::<usize>();
            self.groups.push(columns);
        }
        rows
    }

    /// The rows of all groups, none of which is left.
    pub(super) fn take(&mut self, fields: &[Field]) -> Result<Vec<ArrayRef>> {
        let groups = std::mem::take(self).groups;
        match &groups[..] {
            [] => Ok(fields.iter().map(|field| new_empty_array(field.data_type())).collect()),
            [one] => Ok(one.clone()),
            all => (0..fields.len())
                .map(|at| Ok(concat(&all.iter().map(|columns| columns[at].as_ref()).collect::<Vec<_>>())?))
                .collect(),
        }
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes
    }
}
