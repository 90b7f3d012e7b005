//! `lakecast runs LOCATION`. In: a table's folder. Out: its runs, newest first.

use super::{Process, print};
use crate::cli::RunsArgs;
use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::publish::TableTarget;
use crate::run_record::list_runs;
use chrono::DateTime;
use lakecast_engine::store::Location;

pub(super) async fn runs(args: &RunsArgs, process: &Process) -> Result<(), Failure> {
    let refuse = |e: &dyn std::error::Error| Failure::new(Exit::Usage, chain(e));
    let location = Location::directory(&args.location).map_err(|e| refuse(&e))?;
    let store = process.stores.open(&location).map_err(|e| refuse(&e))?;
    let target = TableTarget { location_url: location.url().clone(), store };
    let runs = list_runs(&target).await?;
    if runs.is_empty() {
        return print(&format!("no runs recorded: location={}", args.location));
    }
    for run in runs {
        match run.record {
            Ok(r) => {
                let finished =
                    DateTime::from_timestamp_millis(r.finished_ms).map(|t| t.format("%Y-%m-%dT%H:%M:%SZ").to_string());
                print(&format!(
                    "{}  run_date={}  finished={}  {:.1} s",
                    r.run_id,
                    r.run_date,
                    finished.unwrap_or_default(),
                    r.seconds
                ))?;
                for t in r.tables {
                    let statuses: Vec<_> = t.rows_by_status.iter().map(|(s, n)| format!("{s}={n}")).collect();
                    print(&format!(
                        "  {}: version={}, rows={}, files={} [{}]",
                        t.output,
                        t.version,
                        t.rows,
                        t.files,
                        statuses.join(", ")
                    ))?;
                }
            }
            Err(why) => print(&format!("{}: unreadable record: {why}", run.path))?,
        }
    }
    Ok(())
}
