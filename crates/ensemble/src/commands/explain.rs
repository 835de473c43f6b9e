//! `ensemble explain`: why a row, or a key, is in silver as it is, or why it is not.

mod csv;
mod json;
mod show;

use std::process::ExitCode;

use ensemble_store::ErrorClass;
use ensemble_supervisor::{
    ExplainError, KeyExplanation, RowExplanation, RowOutcome, RowQuery, SourceRow, explain_key, explain_row,
};
use ensemble_validation::Place;

use crate::{
    cli::{ExplainArgs, Global, OutputFormat},
    exit::Failure,
    node::block_on,
    output::print_json,
    stores::Stores,
};

pub(crate) fn run(global: &Global, args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let settings = super::settings(global, &args.at.store)?;
    let explained = block_on(async {
        let stores = Stores::open_to_read(&settings, &args.at).await?;
        let explained = explain(&stores, args).await;
        super::closed(stores, explained).await
    })?;
    match (global.output, &explained) {
        (OutputFormat::Json, Explained::Row(row)) => print_json(&json::row(row))?,
        (OutputFormat::Json, Explained::Key(key)) => print_json(&json::key(key))?,
        (OutputFormat::Csv, Explained::Row(row)) => csv::row(row).map_err(Failure::printing)?,
        (OutputFormat::Csv, Explained::Key(key)) => csv::key(key).map_err(Failure::printing)?,
        (OutputFormat::Table, Explained::Row(row)) => show::row(row).map_err(Failure::printing)?,
        (OutputFormat::Table, Explained::Key(key)) => show::key(key).map_err(Failure::printing)?,
    }
    Ok(ExitCode::SUCCESS)
}

enum Explained {
    Row(RowExplanation),
    Key(KeyExplanation),
}

async fn explain(stores: &Stores, args: &ExplainArgs) -> Result<Explained, Failure> {
    let at = args.line.map(Place::Line).or(args.offset.map(Place::Offset));
    match (&args.key, args.job, at) {
        (Some(key), _, _) => {
            let explained = explain_key(&*stores.store, key, args.silver.as_deref()).await;
            explained.map(Explained::Key).map_err(failure)
        }
        (None, Some(job), Some(at)) => {
            let query = RowQuery { job, file: args.file.clone(), at };
            explain_row(&*stores.store, &query).await.map(Explained::Row).map_err(failure)
        }
        _ => Err(Failure::could_not_start(anyhow::anyhow!("name a job and --line or --offset, or a --key"))),
    }
}

fn failure(error: ExplainError) -> Failure {
    match error.class() {
        ErrorClass::Invalid => Failure::could_not_start(error),
        ErrorClass::Transient | ErrorClass::Fatal => Failure::failed(error),
    }
}

/// An outcome's name.
fn name(outcome: &RowOutcome) -> &'static str {
    match outcome {
        RowOutcome::Rejected { .. } => "rejected",
        RowOutcome::Live => "live",
        RowOutcome::Displaced { .. } => "displaced",
        RowOutcome::Duplicate { .. } => "duplicate",
        RowOutcome::Superseded { .. } => "superseded",
        RowOutcome::Aside { .. } => "aside",
    }
}

fn keep(keep: ensemble_contract::Keep) -> &'static str {
    match keep {
        ensemble_contract::Keep::First => "first",
        ensemble_contract::Keep::Last => "last",
    }
}

/// Whether anything is known of the record: its shard may have been set aside without its bytes.
fn is_known(row: &SourceRow) -> bool {
    row.line > 0
}
