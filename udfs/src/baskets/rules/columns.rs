//! Rules as columns.  In: rules in codes. Out: the columns of `association_rules`, without the segment.

use super::Rules;
use crate::baskets::columns::list_of;
use crate::baskets::metrics::{Counts, METRICS};
use crate::baskets::shard::decode;
use crate::error::Result;
use arrow::array::{ArrayRef, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field};
use std::sync::Arc;

/// A whole number as an output column: its name, and where it stands.
type CountColumn = (&'static str, fn(&Counts) -> i64);

/// The whole numbers behind the measures.
const COUNTS: [CountColumn; 4] = [
    ("n_both", |c| c.both),
    ("n_antecedent", |c| c.antecedent),
    ("n_consequent", |c| c.consequent),
    ("n_baskets", |c| c.baskets),
];

/// The columns over items of type `item`.
pub(in crate::baskets) fn rule_fields(item: &DataType) -> Vec<Field> {
    let side = |name| Field::new(name, list_of(item.clone()), false);
    let mut fields = vec![side("antecedent"), side("consequent")];
    fields.extend(METRICS.iter().map(|m| Field::new(m.name, DataType::Float64, false)));
    fields.extend(COUNTS.iter().map(|(name, _)| Field::new(*name, DataType::Int64, false)));
    fields
}

/// Bytes of the columns of `rules` over items of `width` bytes.
pub(in crate::baskets) fn column_bytes(rules: &Rules, width: usize) -> usize {
    let items = rules.antecedents.len() + rules.consequents.len();
    items * (width + 4) + rules.len() * 8 * (METRICS.len() + COUNTS.len())
}

/// The columns of [`rule_fields`]. `items`: by code, ascending.
pub(in crate::baskets) fn rule_columns(function: &str, items: &ArrayRef, rules: Rules) -> Result<Vec<ArrayRef>> {
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(decode(function, items, rules.antecedents, rules.antecedent_offsets)?),
        Arc::new(decode(function, items, rules.consequents, rules.consequent_offsets)?),
    ];
    for metric in METRICS {
        columns.push(Arc::new(Float64Array::from((metric.column)(&rules.counts))));
    }
    for (_, of) in COUNTS {
        columns.push(Arc::new(Int64Array::from_iter_values(rules.counts.iter().map(of))));
    }
    Ok(columns)
}
