//! The sums of an output. In: its checkpoints. Out: nothing, or why it must not be published.

use super::prepare::Planned;
use crate::exit::Exit;
use crate::failure::Failure;
use lakecast_engine::sink::Checkpoint;

/// Every partition exactly once, every row in a file, every group with a status, and the job's own checks.
pub(super) fn check(planned: &Planned<'_>, partitions: usize, checkpoints: &[Checkpoint]) -> Result<(), Failure> {
    let output = planned.output;
    let refuse =
        |what: String| Failure::new(Exit::Refused, format!("output {}: {what}, nothing was published", output.name));
    let numbers: Vec<u64> = checkpoints.iter().map(|c| c.partition).collect();
    if numbers != (0..partitions as u64).collect::<Vec<_>>() {
        return Err(refuse(format!("partitions do not add up: expected={partitions}, got={numbers:?}")));
    }
    for c in checkpoints {
        let by_status: u64 = c.rows_by_status.values().sum();
        let has_status = !c.rows_by_status.is_empty();
        if (c.rows > 0) != c.path.is_some() || (has_status && by_status != c.rows) || c.groups_refused > c.groups {
            return Err(refuse(format!("sums of a partition do not add up: {c:?}")));
        }
    }
    let rows: u64 = checkpoints.iter().map(|c| c.rows).sum();
    if let Some(min) = output.min_rows.filter(|min| rows < *min) {
        return Err(refuse(format!("fewer rows than the job's check allows: rows={rows}, min_rows={min}")));
    }
    let (groups, refused) = checkpoints.iter().fold((0, 0), |(g, r), c| (g + c.groups, r + c.groups_refused));
    let share = if groups == 0 { 0.0 } else { refused as f64 / groups as f64 };
    if let Some(max) = output.max_refused_share.filter(|max| share > *max) {
        return Err(refuse(format!(
            "more groups were refused than the job's check allows: refused={refused} of {groups}, share={share:.4}, max_refused_share={max}"
        )));
    }
    Ok(())
}
