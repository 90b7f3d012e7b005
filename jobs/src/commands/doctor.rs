//! `lakecast doctor LOCATION`. In: a folder or a bucket. Out: a line for every check of what publication needs of it.

use super::{Process, print};
use crate::cli::DoctorArgs;
use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::publish::{Finding, TableTarget, examine};
use lakecast_engine::store::{Location, Stores};

pub(super) async fn doctor(args: &DoctorArgs, process: &Process) -> Result<(), Failure> {
    let refuse = |e: &dyn std::error::Error| Failure::new(Exit::Usage, chain(e));
    let location = Location::directory(&args.location).map_err(|e| refuse(&e))?;
    // Who asks what is wrong wants the answer now, not after the patience of a night's run.
    let stores = Stores::impatient(process.stores.policy().clone());
    let store = stores.open(&location).map_err(|e| refuse(&e))?;
    let target = TableTarget { location_url: location.url().clone(), store };
    let mut printed = Ok(());
    let mut tell = |f: &Finding| {
        let line = format!("{:<8} {:<8} {}", f.check, f.verdict.word(), f.detail);
        if let Err(e) = print(&line) {
            printed = Err(e);
        }
    };
    examine(&target, process.now_ms, &mut tell).await?;
    printed?;
    print(&format!("tables can be published here: location={}", args.location))
}
