//! `ensemble config print`: the settings that are in force.

use std::{io::Write, process::ExitCode};

use serde_json::Value;

use crate::{
    cli::{ConfigAction, ConfigArgs, Global, OutputFormat, StoreArgs},
    exit::Failure,
    output::{print_json, stdout},
    settings::Settings,
    tabular::{Column, CsvSink, Field, Kind, RowSink},
};

pub(crate) fn run(global: &Global, args: &ConfigArgs) -> Result<ExitCode, Failure> {
    let ConfigAction::Print = args.action;
    let overrides = global.overrides(&StoreArgs { store: None, events: None });
    let settings = Settings::load(&overrides).map_err(Failure::could_not_start)?.masked();
    match global.output {
        OutputFormat::Json => print_json(&settings)?,
        OutputFormat::Table => print_toml(&entries(&settings)?).map_err(Failure::printing)?,
        OutputFormat::Csv => print_csv(&entries(&settings)?).map_err(Failure::printing)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One setting.
struct Entry {
    section: String,
    name: String,
    /// As TOML writes it.
    value: String,
    /// The environment variable that sets it.
    variable: String,
}

fn entries(settings: &Settings) -> Result<Vec<Entry>, Failure> {
    let tree = serde_json::to_value(settings).map_err(Failure::failed)?;
    let mut entries = Vec::new();
    for (section, settings) in tree.as_object().into_iter().flatten() {
        for (name, value) in settings.as_object().into_iter().flatten() {
            entries.push(Entry {
                section: section.clone(),
                name: name.clone(),
                value: toml_value(value)?,
                variable: format!("ENSEMBLE__{}__{}", section.to_uppercase(), name.to_uppercase()),
            });
        }
    }
    Ok(entries)
}

fn toml_value(value: &Value) -> Result<String, Failure> {
    toml::Value::try_from(value).map(|value| value.to_string()).map_err(Failure::failed)
}

fn print_toml(entries: &[Entry]) -> std::io::Result<()> {
    let mut out = stdout();
    let setting = |e: &Entry| format!("{} = {}", e.name, e.value);
    let width = entries.iter().map(|e| setting(e).chars().count()).max().unwrap_or(0);
    writeln!(
        out,
        "# The settings in force. Defaults < a file (--config or ENSEMBLE_CONFIG) < the environment < options."
    )?;
    let mut section = "";
    for entry in entries {
        if entry.section != section {
            section = &entry.section;
            writeln!(out, "\n[{section}]")?;
        }
        writeln!(out, "{:width$}  # {}", setting(entry), entry.variable)?;
    }
    out.flush()
}

fn print_csv(entries: &[Entry]) -> std::io::Result<()> {
    let columns = ["setting", "value", "variable"].map(|name| Column::new(name, Kind::Text));
    let mut sink = CsvSink::new(stdout(), &columns)?;
    for entry in entries {
        let name = format!("{}.{}", entry.section, entry.name);
        sink.row(&[Field::Text(&name), Field::Text(&entry.value), Field::Text(&entry.variable)])?;
    }
    sink.finish()
}
