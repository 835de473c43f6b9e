//! The commands, one file each.

mod config;
mod contract;
mod explain;
mod export;
mod follow;
mod generate;
mod gold;
mod jobs;
mod migrate;
mod rejects;
mod run;
mod submit;
mod supervisor;
mod verify;
mod worker;

use std::process::ExitCode;

use crate::{
    cli::{Cli, Command, Global, StoreArgs},
    exit::Failure,
    node::init_logging,
    settings::Settings,
    stores::Stores,
};

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let Cli { command, global } = cli;
    match command {
        Command::Run(args) => run::run(&global, &args),
        Command::Supervisor(args) => supervisor::run(&global, &args),
        Command::Worker(args) => worker::run(&global, &args),
        Command::Submit(args) => submit::run(&global, &args),
        Command::Generate(args) => generate::run(&args),
        Command::Jobs(args) => jobs::run(&global, &args),
        Command::Gold(args) => gold::run(&global, &args),
        Command::Rejects(args) => rejects::run(&global, &args),
        Command::Explain(args) => explain::run(&global, &args),
        Command::Export(args) => export::run(&global, &args),
        Command::Verify(args) => verify::run(&global, &args),
        Command::Migrate(args) => migrate::run(&global, &args),
        Command::Contract(args) => contract::run(&global, &args),
        Command::Config(args) => config::run(&global, &args),
    }
}

/// The settings of a command that names no more than its store.
fn settings(global: &Global, store: &StoreArgs) -> Result<Settings, Failure> {
    let settings = Settings::load(&global.overrides(store)).map_err(Failure::could_not_start)?;
    init_logging(&settings)?;
    Ok(settings)
}

/// What a command read, once the store is closed: closing a store that was only read can go wrong without harm.
async fn closed<T>(stores: Stores, result: Result<T, Failure>) -> Result<T, Failure> {
    if let Err(e) = stores.close().await {
        tracing::warn!(error = format!("{:#}", e.error), "the store could not be closed");
    }
    result
}
