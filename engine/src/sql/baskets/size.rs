//! How large an input is, as far as its tables say.  In: a logical plan. Out: rows and bytes of the tables that it reads.

use datafusion::common::Result;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::LogicalPlan;

/// Rows and bytes of all tables below a plan; `None` where a table does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Rows, before any filter or join.
    pub(super) rows: Option<u64>,
    /// Bytes of their files, as they lie.
    pub(super) bytes: Option<u64>,
}

impl Size {
    /// Of what `plan` reads.
    pub(super) fn of(plan: &LogicalPlan) -> Result<Self> {
        let mut size = Self { rows: Some(0), bytes: Some(0) };
        let mut tables = 0;
        plan.apply_with_subqueries(|node| {
            match node {
                LogicalPlan::TableScan(scan) => {
                    let statistics = source_as_provider(&scan.source).ok().and_then(|table| table.statistics());
                    let number = |n: Precision<usize>| n.get_value().map(|n| *n as u64);
                    let (rows, bytes) =
                        statistics.map_or((None, None), |s| (number(s.num_rows), number(s.total_byte_size)));
                    size.rows = size.rows.zip(rows).map(|(a, b)| a.saturating_add(b));
                    size.bytes = size.bytes.zip(bytes).map(|(a, b)| a.saturating_add(b));
                    tables += 1;
                }
                LogicalPlan::Values(values) => {
                    size.rows = size.rows.map(|rows| rows.saturating_add(values.values.len() as u64));
                    size.bytes = None;
                    tables += 1;
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if tables == 0 { Self { rows: None, bytes: None } } else { size })
    }
}
