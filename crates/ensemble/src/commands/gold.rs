//! `ensemble gold`: the statistics.

use std::{io::Write, process::ExitCode};

use ensemble_contract::{Contract, GroupBy};
use ensemble_gold::{GoldColumnKind, GoldRow, GoldValue};
use serde_json::json;

use crate::{
    catalogue::{Catalogue, Collection},
    cli::{Global, GoldArgs, OutputFormat},
    exit::Failure,
    node::block_on,
    output::{count, print_json_list, stdout},
    remote::{GoldView, Remote},
    stores::Stores,
    tabular::{Column, CsvSink, Field, Kind, RowSink, gold_fields},
    text_table::{TextTable, visible},
};

pub(crate) fn run(global: &Global, args: &GoldArgs) -> Result<ExitCode, Failure> {
    let settings = super::settings(global, &args.at.store)?;
    block_on(async {
        if let (Some(view), Some(server)) = (&args.view, args.at.server()) {
            // It has the sums at hand, and need not ask the store.
            return print_view(global.output, &Remote::new(server)?.view(view, args.limit).await?);
        }
        let stores = Stores::open_to_read(&settings, &args.at).await?;
        let printed = match &args.view {
            Some(view) => {
                let view = stored_view(&stores, view, args.limit).await;
                view.and_then(|view| print_view(global.output, &view))
            }
            None => list_views(global.output, &stores).await,
        };
        super::closed(stores, printed).await
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn stored_view(stores: &Stores, view: &str, limit: Option<usize>) -> Result<GoldView, Failure> {
    let catalogue = Catalogue::read(&*stores.store).await?;
    let collection = catalogue.with_view(view)?;
    let gold = catalogue.gold(&*stores.store, &collection).await?;
    let mut rows = collection.views.rows(view, gold.cells()).unwrap_or_default();
    rows.truncate(limit.unwrap_or(usize::MAX));
    Ok(GoldView { columns: collection.views.columns(view), rows })
}

fn print_view(output: OutputFormat, GoldView { columns, rows }: &GoldView) -> Result<(), Failure> {
    match output {
        OutputFormat::Json => print_json_list(rows.iter().map(GoldRow::to_json)),
        OutputFormat::Csv => print_csv(columns, rows).map_err(Failure::printing),
        OutputFormat::Table => print_table(columns, rows).map_err(Failure::printing),
    }
}

/// The largest groups of a store's first view: what a person wants to see once a job has succeeded.
pub(crate) struct Preview {
    view: String,
    columns: Vec<(String, GoldColumnKind)>,
    rows: Vec<GoldRow>,
}

impl Preview {
    const ROWS: usize = 10;

    /// Reads the first view of this silver collection; `None` where it has none.
    pub(crate) async fn read(stores: &Stores, silver: &str) -> Result<Option<Self>, Failure> {
        let catalogue = Catalogue::read(&*stores.store).await?;
        let collection = catalogue.with_silver(silver)?;
        let Some(view) = collection.views.names().next().map(str::to_owned) else { return Ok(None) };
        let gold = catalogue.gold(&*stores.store, &collection).await?;
        let mut rows = collection.views.rows(&view, gold.cells()).unwrap_or_default();
        rows.sort_by_key(|row| match row.get("count") {
            Some(GoldValue::Int(n)) => std::cmp::Reverse(*n),
            _ => std::cmp::Reverse(0),
        });
        rows.truncate(Self::ROWS);
        Ok(Some(Self { columns: collection.views.columns(&view), view, rows }))
    }

    /// Prints it as a table, means only.
    pub(crate) fn print(&self) -> std::io::Result<()> {
        let mut out = stdout();
        writeln!(out, "\n{}: the largest, with means", self.view)?;
        table(&self.columns, &self.rows).print(&mut out)?;
        out.flush()
    }
}

fn print_csv(columns: &[(String, GoldColumnKind)], rows: &[GoldRow]) -> std::io::Result<()> {
    let mut sink = CsvSink::new(stdout(), &Column::of_gold(columns))?;
    rows.iter().try_for_each(|row| sink.row(&gold_fields(row)))?;
    sink.finish()
}

fn print_table(columns: &[(String, GoldColumnKind)], rows: &[GoldRow]) -> std::io::Result<()> {
    let mut out = stdout();
    table(columns, rows).print(&mut out)?;
    out.flush()?;
    if columns.iter().any(|(name, _)| !shown(name)) {
        eprintln!("{} rows; the measures are means: deviations and sums with --output json or csv", rows.len());
    }
    Ok(())
}

fn shown(column: &str) -> bool {
    !column.starts_with("stddev_") && !column.starts_with("sum_")
}

/// Keys, counts and means; deviations and sums would not fit on a line.
fn table(columns: &[(String, GoldColumnKind)], rows: &[GoldRow]) -> TextTable {
    let headers: Vec<String> = columns
        .iter()
        .filter(|(name, _)| shown(name))
        .map(|(name, kind)| {
            let right = if matches!(kind, GoldColumnKind::Int | GoldColumnKind::Float) { ">" } else { "" };
            format!("{right}{}", name.strip_prefix("mean_").unwrap_or(name))
        })
        .collect();
    let mut table = TextTable::new(headers.iter().map(String::as_str));
    for row in rows {
        let cells = row.columns().iter().zip(row.values()).filter(|((name, _), _)| shown(name));
        table.push(cells.map(|((name, _), value)| cell(name, value)).collect());
    }
    table
}

fn cell(column: &str, value: &GoldValue) -> String {
    match value {
        GoldValue::Null => "–".to_owned(),
        // A year is no amount.
        GoldValue::Int(v) if column == "count" || column == "n" => count(v.unsigned_abs()),
        GoldValue::Int(v) => v.to_string(),
        GoldValue::Float(v) if column.starts_with("mean_") || column == "r" => format!("{v:.3}"),
        GoldValue::Float(v) => v.to_string(),
        GoldValue::Text(v) => visible(v, usize::MAX),
        GoldValue::Bool(v) => v.to_string(),
    }
}

/// A view as the list of views shows it.
struct Listed {
    view: String,
    by: Vec<String>,
    cells: usize,
    silver: String,
}

async fn list_views(output: OutputFormat, stores: &Stores) -> Result<(), Failure> {
    let catalogue = Catalogue::read(&*stores.store).await?;
    let mut listed: Vec<Listed> = Vec::new();
    for collection in catalogue.collections()? {
        let gold = catalogue.gold(&*stores.store, &collection).await?;
        listed.extend(views_of(&collection, gold.cells()));
    }
    match output {
        OutputFormat::Json => print_json_list(
            listed.iter().map(|v| json!({"view": v.view, "by": v.by, "cells": v.cells, "silver": v.silver})),
        ),
        OutputFormat::Csv => list_as_csv(&listed).map_err(Failure::printing),
        OutputFormat::Table => list_as_table(&listed).map_err(Failure::printing),
    }
}

fn views_of(collection: &Collection, cells: &ensemble_gold::Cells) -> Vec<Listed> {
    let contract = &collection.contract;
    let visible_cells = |view: u16| cells.of_view(view).filter(|(_, cell)| cell.count > 0).count();
    (0u16..)
        .zip(&contract.views)
        .map(|(number, view)| Listed {
            view: view.name.clone(),
            by: view.by.iter().map(|by| key_name(contract, by)).collect(),
            cells: visible_cells(number),
            silver: contract.silver.clone(),
        })
        .collect()
}

/// As the contract writes it: `year`, `valence/0.05`.
fn key_name(contract: &Contract, by: &GroupBy) -> String {
    let column = contract.columns.get(by.column).map_or("", |column| column.name.as_str());
    match by.bin_nano {
        None => column.to_owned(),
        Some(width) => {
            let text = format!("{}.{:09}", width / 1_000_000_000, width % 1_000_000_000);
            format!("{column}/{}", text.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}

fn list_as_csv(listed: &[Listed]) -> std::io::Result<()> {
    let columns = [("view", Kind::Text), ("by", Kind::Text), ("cells", Kind::Int), ("silver", Kind::Text)];
    let mut sink = CsvSink::new(stdout(), &columns.map(|(name, kind)| Column::new(name, kind)))?;
    for v in listed {
        let cells = i64::try_from(v.cells).unwrap_or(i64::MAX);
        sink.row(&[Field::Text(&v.view), Field::Text(&v.by.join(" ")), Field::Int(cells), Field::Text(&v.silver)])?;
    }
    sink.finish()
}

fn list_as_table(listed: &[Listed]) -> std::io::Result<()> {
    let mut table = TextTable::new(["view", "by", ">cells", "silver"]);
    for v in listed {
        let by = if v.by.is_empty() { "–".to_owned() } else { v.by.join(", ") };
        table.push(vec![v.view.clone(), by, count(v.cells as u64), v.silver.clone()]);
    }
    let mut out = stdout();
    table.print(&mut out)?;
    out.flush()
}
