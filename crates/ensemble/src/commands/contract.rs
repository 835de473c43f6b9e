//! `ensemble contract`: what contracts say.

use std::{io::Write, path::Path, process::ExitCode};

use ensemble_contract::{Contract, Keep, builtin_names, did_you_mean};
use ensemble_supervisor::{KnownContract, find_contract, known_contracts};
use serde_json::{Value, json};

use crate::{
    catalogue::Catalogue,
    cli::{ContractAction, ContractArgs, Global, OutputFormat, ReadArgs},
    exit::Failure,
    node::block_on,
    output::{print_json, print_json_list, stdout},
    stores::Stores,
    tabular::{Column, CsvSink, Field, Kind, RowSink},
    text_table::TextTable,
};

pub(crate) fn run(global: &Global, args: &ContractArgs) -> Result<ExitCode, Failure> {
    match &args.action {
        ContractAction::Check { file } => check(global.output, file)?,
        ContractAction::List { at } => list(global.output, &known(global, at)?)?,
        ContractAction::Get { name, at } => {
            let known = known(global, at)?;
            let found = find_contract(&known, name).ok_or_else(|| unknown(&known, name))?;
            print_text(global.output, &found.contract)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Those that are built in, and, where a store or a server is named, those of its jobs.
fn known(global: &Global, at: &ReadArgs) -> Result<Vec<KnownContract>, Failure> {
    if at.store.store.is_none() && at.server().is_none() {
        return known_contracts(&[]).map_err(Failure::failed);
    }
    let settings = super::settings(global, &at.store)?;
    block_on(async {
        let stores = Stores::open_to_read(&settings, at).await?;
        let catalogue = Catalogue::read(&*stores.store).await;
        let known = catalogue.and_then(|c| known_contracts(c.jobs()).map_err(Failure::failed));
        super::closed(stores, known).await
    })
}

fn unknown(known: &[KnownContract], name: &str) -> Failure {
    let meant = did_you_mean(name, known.iter().map(|k| k.contract.name.as_str()));
    let built_in: Vec<_> = builtin_names().collect();
    Failure::could_not_start(anyhow::anyhow!(
        "no contract {name:?} is known{meant} Built in: {}; with --store or --server, those of its jobs too",
        built_in.join(", ")
    ))
}

fn check(output: OutputFormat, file: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| Failure::could_not_start(anyhow::anyhow!("cannot read {}: {e}", file.display())))?;
    let contract = Contract::parse(&text, &file.display().to_string()).map_err(Failure::could_not_start)?;
    match output {
        OutputFormat::Json => print_json(&described(&contract)),
        OutputFormat::Csv => columns_as_csv(&contract).map_err(Failure::printing),
        OutputFormat::Table => columns_as_table(&contract).map_err(Failure::printing),
    }
}

fn keep(contract: &Contract) -> &'static str {
    match contract.keep {
        Keep::First => "first",
        Keep::Last => "last",
    }
}

fn described(contract: &Contract) -> Value {
    let columns = contract.columns.iter();
    json!({
        "contract": contract.name,
        "hash": contract.hash,
        "silver": contract.silver,
        "key": contract.key_name(),
        "keep": keep(contract),
        "columns": columns.map(|c| json!({"name": c.name, "type": c.ty.to_string(), "required": c.required}))
            .collect::<Vec<_>>(),
        "views": contract.views.iter().map(|view| &view.name).collect::<Vec<_>>(),
    })
}

fn columns_as_csv(contract: &Contract) -> std::io::Result<()> {
    let columns = [("name", Kind::Text), ("type", Kind::Text), ("required", Kind::Bool)];
    let mut sink = CsvSink::new(stdout(), &columns.map(|(name, kind)| Column::new(name, kind)))?;
    for column in &contract.columns {
        let ty = column.ty.to_string();
        sink.row(&[Field::Text(&column.name), Field::Text(&ty), Field::Bool(column.required)])?;
    }
    sink.finish()
}

fn columns_as_table(contract: &Contract) -> std::io::Result<()> {
    let mut table = TextTable::new(["column", "type", "required"]);
    for column in &contract.columns {
        let required = if column.required { "required" } else { "–" };
        table.push(vec![column.name.clone(), column.ty.to_string(), required.to_owned()]);
    }
    let mut out = stdout();
    table.print(&mut out)?;
    let views: Vec<_> = contract.views.iter().map(|view| view.name.as_str()).collect();
    let views = if views.is_empty() { "none".to_owned() } else { views.join(", ") };
    writeln!(
        out,
        "\n{} fills {}, by {}, {} row of a key",
        contract.name,
        contract.silver,
        contract.key_name(),
        keep(contract)
    )?;
    writeln!(out, "views: {views}")?;
    out.flush()
}

fn list(output: OutputFormat, known: &[KnownContract]) -> Result<(), Failure> {
    match output {
        OutputFormat::Json => print_json_list(known.iter().map(|k| {
            let mut described = described(&k.contract);
            described["built_in"] = k.built_in.into();
            described
        })),
        OutputFormat::Csv => list_as_csv(known).map_err(Failure::printing),
        OutputFormat::Table => list_as_table(known).map_err(Failure::printing),
    }
}

fn list_as_csv(known: &[KnownContract]) -> std::io::Result<()> {
    let text = |name| Column::new(name, Kind::Text);
    let columns = [text("contract"), text("hash"), text("silver"), Column::new("built_in", Kind::Bool)];
    let mut sink = CsvSink::new(stdout(), &columns)?;
    for KnownContract { contract, built_in } in known {
        let [name, hash, silver] = [&contract.name, &contract.hash, &contract.silver].map(|text| Field::Text(text));
        sink.row(&[name, hash, silver, Field::Bool(*built_in)])?;
    }
    sink.finish()
}

fn list_as_table(known: &[KnownContract]) -> std::io::Result<()> {
    let mut table = TextTable::new(["contract", "silver", "key", ">columns", ">views", "from", "hash"]);
    for KnownContract { contract, built_in } in known {
        table.push(vec![
            contract.name.clone(),
            contract.silver.clone(),
            contract.key_name().to_owned(),
            contract.columns.len().to_string(),
            contract.views.len().to_string(),
            if *built_in { "built in" } else { "a job" }.to_owned(),
            contract.hash.chars().take(12).collect(),
        ]);
    }
    let mut out = stdout();
    table.print(&mut out)?;
    out.flush()
}

fn print_text(output: OutputFormat, contract: &Contract) -> Result<(), Failure> {
    if output == OutputFormat::Json {
        let mut described = described(contract);
        described["text"] = contract.text.as_str().into();
        return print_json(&described);
    }
    let mut out = stdout();
    out.write_all(contract.text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::printing)
}
