//! `lakecast generate`. In: sizes and a seed. Out: a marketplace in a folder, the same bytes for the same seed.

use super::print;
use crate::cli::GenerateArgs;
use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::generate::{GenerateOptions, generate as write};

pub(super) fn generate(args: GenerateArgs) -> Result<(), Failure> {
    let options = GenerateOptions {
        skus: args.skus,
        days: args.days,
        baskets: args.baskets,
        seed: args.seed,
        dirty: args.dirty,
        start_date: args.start_date,
        out: args.out,
    };
    let made = write(&options, &mut |_| ()).map_err(|e| Failure::new(Exit::Failed, chain(&e)))?;
    for file in &made.files {
        print(&format!("{}  rows={}  bytes={}", file.path.display(), file.rows, file.bytes))?;
    }
    Ok(())
}
