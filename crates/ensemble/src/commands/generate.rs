//! `ensemble generate`: a catalogue of tracks that never existed.

use std::{io, process::ExitCode};

use ensemble_testkit::tracks::TrackCatalogue;

use crate::{cli::GenerateArgs, exit::Failure};

pub(crate) fn run(args: &GenerateArgs) -> Result<ExitCode, Failure> {
    share("--duplicates", args.duplicates)?;
    share("--bad", args.bad)?;
    let catalogue = TrackCatalogue {
        rows: args.rows,
        duplicates: args.duplicates,
        bad: args.bad,
        genres: args.genres,
        seed: args.seed,
    };
    // The catalogue comes in large pieces already; the lock is taken once.
    catalogue.write_to(&mut io::stdout().lock()).map_err(Failure::printing)?;
    Ok(ExitCode::SUCCESS)
}

fn share(option: &str, value: f64) -> Result<(), Failure> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(Failure::could_not_start(anyhow::anyhow!("{option} is {value}, and must be a share from 0 to 1")))
}
