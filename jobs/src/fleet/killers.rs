//! Partitions that kill their executors. In: what dead executors left under way. Out: an error that names the partition and
//! its largest group, instead of one executor after the other.

use super::Fleet;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::run::Planned;
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::physical_plan::execute_stream_partitioned;
use futures::{FutureExt, StreamExt};
use lakecast_engine::group_map::GroupMapNode;
use lakecast_engine::sink::{Checkpoint, Leftover, forget, leftovers};
use object_store::path::Path;
use std::collections::{BTreeMap, BTreeSet};

/// Executors that a partition may take with it. An executor that dies by itself takes whatever it runs with it, and that may
/// happen to a partition once; twice is the partition's fault until somebody looks.
const DEATHS_MAX: usize = 2;

/// Refuses to go on where a partition was under way on [`DEATHS_MAX`] executors that died.
///
/// Its notes are removed then, so that the same command tries again after somebody mended the cause.
pub(super) async fn check(planned: &Planned<'_>, place: &str, fleet: &Fleet, table: &Path, key: &str) -> Verdict {
    let store = planned.target.store.as_ref();
    // Neither a store nor a scheduler that is away says anything about a partition.
    let (Ok(left), Ok(alive)) = (leftovers(store, table, key).await, fleet.scheduler.progress("none").await) else {
        return Ok(());
    };
    if alive.executors.is_empty() {
        // A scheduler that was just started knows nobody yet.
        return Ok(());
    }
    let Ok(finished) = Checkpoint::all(&planned.target.store, table, key).await else { return Ok(()) };
    let finished: BTreeSet<_> = finished.iter().map(|c| c.partition as usize).collect();
    let left: Vec<_> = left.into_iter().filter(|l| !finished.contains(&l.partition)).collect();
    let killers = killers(&left, &alive.executors);
    if killers.is_empty() {
        return Ok(());
    }
    let mut told = vec![];
    for (partition, dead) in &killers {
        let largest = match largest_group(planned, *partition).await {
            Ok(Some(group)) => group,
            Ok(None) => "it has no groups".to_string(),
            Err(e) => format!("its groups cannot be counted: {}", e.strip_backtrace()),
        };
        told.push(format!("partition={partition}, executors=[{}], {largest}", dead.join(", ")));
    }
    for (partition, executors) in &killers {
        for executor in executors {
            forget(store, table, key, *partition, executor).await;
        }
    }
    let text = format!(
        "{place}: set aside, its executor died {DEATHS_MAX} times while computing it; give executors more memory, use more \
         partitions, or look at the group: {}",
        told.join("; ")
    );
    Err(Failure::new(Exit::Failed, text))
}

type Verdict = std::result::Result<(), Failure>;

/// The partitions that were under way on enough dead executors, and which those were.
fn killers(left: &[Leftover], alive: &[String]) -> BTreeMap<usize, Vec<String>> {
    let mut dead: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for entry in left.iter().filter(|l| !alive.contains(&l.executor_id)) {
        dead.entry(entry.partition).or_default().insert(&entry.executor_id);
    }
    let guilty = dead.into_iter().filter(|(_, executors)| executors.len() >= DEATHS_MAX);
    guilty.map(|(partition, executors)| (partition, executors.into_iter().map(str::to_string).collect())).collect()
}

/// The group of the partition with the most rows, and how many. Reads the keys of all rows.
async fn largest_group(planned: &Planned<'_>, partition: usize) -> Result<Option<String>> {
    let Some(map) = group_map(&planned.plan)? else { return Ok(None) };
    let keys: Vec<_> = map.input.schema().columns().into_iter().take(map.call.keys).collect();
    let names: Vec<_> = keys.iter().map(|k| k.name.clone()).collect();
    let rows = count(lit(1_i64)).alias("rows");
    let plan = LogicalPlanBuilder::from(map.input).aggregate(keys.into_iter().map(Expr::Column), [rows])?.build()?;
    let state = planned.context.state();
    let plan = state.create_physical_plan(&state.optimize(&plan)?).await?;
    // Hashed by the same keys into as many partitions, a group lies in the partition of the same number.
    let mut streams = execute_stream_partitioned(plan, planned.context.task_ctx())?;
    if partition >= streams.len() {
        return Ok(None);
    }
    let mut wanted = streams.swap_remove(partition);
    for mut other in streams {
        // Polled once and dropped: the shuffle then drops the rows of this partition instead of keeping them.
        let _ = other.next().now_or_never();
    }
    let mut largest: Option<(i64, String)> = None;
    while let Some(batch) = wanted.next().await.transpose()? {
        for row in 0..batch.num_rows() {
            let n = batch.column(names.len()).as_primitive::<Int64Type>().value(row);
            if largest.as_ref().is_none_or(|(most, _)| n > *most) {
                largest = Some((n, key_text(&batch, &names, row)?));
            }
        }
    }
    Ok(largest.map(|(rows, key)| format!("largest group: {key}, rows={rows}")))
}

fn key_text(batch: &RecordBatch, names: &[String], row: usize) -> Result<String> {
    let parts = names
        .iter()
        .enumerate()
        .map(|(column, name)| Ok(format!("{name}={}", array_value_to_string(batch.column(column), row)?)));
    Ok(parts.collect::<Result<Vec<_>>>()?.join(", "))
}

/// The group function of the query that is nearest to its rows.
fn group_map(plan: &LogicalPlan) -> Result<Option<GroupMapNode>> {
    let mut found = None;
    plan.apply(|node| {
        if let LogicalPlan::Extension(extension) = node
            && let Some(map) = extension.node.as_any().downcast_ref::<GroupMapNode>()
        {
            found = Some(map.clone());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_set_aside_after_two_dead_executors_and_not_after_a_live_one() {
        let left = |entries: &[(usize, &str)]| -> Vec<Leftover> {
            entries.iter().map(|(p, e)| Leftover { partition: *p, executor_id: e.to_string() }).collect()
        };
        let alive = ["c".to_string()];
        let found = killers(&left(&[(1, "a"), (1, "b"), (2, "a"), (3, "a"), (3, "c")]), &alive);
        assert_eq!(found, BTreeMap::from([(1, vec!["a".to_string(), "b".to_string()])]));
    }
}
