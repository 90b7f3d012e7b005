//! A number that two outputs share only if they are equal bit for bit.  In: record batches. Out: a hash of their rows.

use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

/// FNV-1a over the row format of `columns`.
pub(crate) fn digest(columns: &[ArrayRef], before: u64) -> Result<u64, ArrowError> {
    let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(columns)?;
    let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    Ok(rows.iter().fold(before, |h, row| row.as_ref().iter().fold(h, hash)))
}
