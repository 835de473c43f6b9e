//! `ensemble migrate`: make a store ready before anybody loads into it.

use std::{io::Write, process::ExitCode};

use serde::Serialize;

use crate::{
    cli::{Global, OutputFormat, StoreArgs},
    exit::Failure,
    node::block_on,
    output::{print_json, stdout},
    stores::open_store,
};

#[derive(Serialize)]
struct Migrated {
    store: String,
    state: &'static str,
}

pub(crate) fn run(global: &Global, args: &StoreArgs) -> Result<ExitCode, Failure> {
    let settings = super::settings(global, args)?;
    let store = block_on(async {
        // Opening makes what is missing, and refuses what another version wrote.
        let store = open_store(&settings).await?;
        let name = store.describe();
        store.close().await.map_err(Failure::failed)?;
        Ok(name)
    })?;
    match global.output {
        OutputFormat::Json => print_json(&Migrated { store, state: "ready" })?,
        OutputFormat::Table | OutputFormat::Csv => {
            let mut out = stdout();
            writeln!(out, "{store} is ready").and_then(|()| out.flush()).map_err(Failure::printing)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
