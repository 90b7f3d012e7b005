//! Reading of input columns.  In: an array of a batch. Out: whole numbers without nulls, or an error that says why not.

use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type};
use std::sync::Arc;

/// A list type as DataFusion writes it: nullable elements named `item`.
pub(super) fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// Refuses nulls. Errors: `Data`.
pub(super) fn no_nulls(function: &str, name: &str, array: &dyn Array) -> Result<()> {
    match array.null_count() {
        0 => Ok(()),
        nulls => Err(Error::Data(format!(
            "{function}: null in column {name}: filter it with `WHERE {name} IS NOT NULL`: nulls={nulls}, rows={}",
            array.len()
        ))),
    }
}

/// Whole numbers. Errors: `Data` on nulls and on numbers beyond 64 bits.
pub(super) fn integers(function: &str, name: &str, array: &ArrayRef) -> Result<Int64Array> {
    no_nulls(function, name, array)?;
    let numbers = cast(array, &DataType::Int64)?;
    if numbers.null_count() > 0 {
        return Err(Error::Data(format!("{function}: column {name} holds a number beyond 64 bits, signed")));
    }
    Ok(numbers.as_primitive::<Int64Type>().clone())
}

/// Lists whose elements have the type `item`. Errors: `Data` on null lists and null elements.
pub(super) fn lists(function: &str, name: &str, array: &ArrayRef, item: &DataType) -> Result<ListArray> {
    no_nulls(function, name, array)?;
    let lists = cast(array, &list_of(item.clone()))?.as_list::<i32>().clone();
    let (first, last) = (lists.value_offsets()[0] as usize, lists.value_offsets()[lists.len()] as usize);
    no_nulls(function, name, &lists.values().slice(first, last - first))?;
    Ok(lists)
}

/// Refuses, while planning, a column whose type is not among the allowed ones.
pub(super) fn check_type(function: &str, field: &Field, ok: bool, allowed: &str) -> Result<()> {
    if ok {
        return Ok(());
    }
    Err(Error::Argument(format!(
        "{function}: bad column type: column={}, type={}, allowed=[{allowed}]",
        field.name(),
        field.data_type()
    )))
}

/// The element type of a list column. Errors: `Argument`.
pub(super) fn element_type(function: &str, field: &Field, allowed: &str) -> Result<DataType> {
    match field.data_type() {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Ok(item.data_type().clone())
        }
        _ => check_type(function, field, false, allowed).map(|()| DataType::Null),
    }
}
