//! `lakecast generate`. In: sizes and a seed. Out: a marketplace in a folder, the same bytes for the same seed.

use super::print;
use crate::cli::GenerateArgs;
use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::generate::{Error, GenerateOptions, generate as write};

pub(super) fn generate(args: GenerateArgs) -> Result<(), Failure> {
    let mut options = GenerateOptions::new(&args.out, args.days).map_err(|e| failure(&e))?;
    options.skus = args.skus;
    options.baskets = args.baskets;
    options.seed = args.seed;
    options.dirty = args.dirty;
    if let Some(start) = args.start_date {
        options.start_date = start;
    }
    let made = write(&options, &mut |_| ()).map_err(|e| failure(&e))?;
    for file in &made.files {
        print(&format!("{}  rows={}  bytes={}", file.path, file.rows, file.bytes))?;
    }
    Ok(())
}

fn failure(error: &Error) -> Failure {
    let exit = match error {
        Error::Options(_) | Error::OutputNotEmpty { .. } => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::new(exit, chain(error))
}
