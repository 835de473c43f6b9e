//! `ensemble rejects`: the dead letters.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use crate::{
    catalogue::Catalogue,
    cli::{Global, OutputFormat, RejectsAction, RejectsArgs, RejectsListArgs},
    exit::Failure,
    letters::{Letter, Letters},
    node::block_on,
    output::{count, stdout, write_json},
    stores::Stores,
    tabular::{CsvSink, RowSink},
    text_table::{TextTable, visible},
};

/// The widest that a value and a row are shown to people.
const VALUE_WIDTH: usize = 24;
const ROW_WIDTH: usize = 60;

pub(crate) fn run(global: &Global, args: &RejectsArgs) -> Result<ExitCode, Failure> {
    match &args.action {
        Some(RejectsAction::Replay(args)) => super::submit::replay(global, args),
        None => list(global, &args.list),
    }
}

fn list(global: &Global, args: &RejectsListArgs) -> Result<ExitCode, Failure> {
    let settings = super::settings(global, &args.at.store)?;
    block_on(async {
        let stores = Stores::open_to_read(&settings, &args.at).await?;
        let printed = print(global.output, &stores, args).await;
        super::closed(stores, printed).await
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn print(output: OutputFormat, stores: &Stores, args: &RejectsListArgs) -> Result<(), Failure> {
    let catalogue = Catalogue::read(&*stores.store).await?;
    let job = args.job.map(|id| catalogue.job(id)).transpose()?.map(|job| job.number);
    let letters = Letters::new(&*stores.store, &catalogue, job, args.limit);
    match output {
        OutputFormat::Json => print_json(letters).await,
        OutputFormat::Csv => print_csv(letters).await,
        OutputFormat::Table => print_table(letters).await,
    }
}

/// One JSON object a line.
async fn print_json(mut letters: Letters<'_>) -> Result<(), Failure> {
    loop {
        let page = letters.next_page().await?;
        if page.is_empty() {
            return Ok(());
        }
        let mut out = stdout();
        let mut write = || {
            page.iter().try_for_each(|letter| write_json(&mut out, &letter.to_json()))?;
            out.flush()
        };
        write().map_err(Failure::printing)?;
    }
}

async fn print_csv(mut letters: Letters<'_>) -> Result<(), Failure> {
    let mut sink = CsvSink::new(io::stdout(), &Letter::columns()).map_err(Failure::printing)?;
    loop {
        let page = letters.next_page().await?;
        if page.is_empty() {
            return sink.finish().map_err(Failure::printing);
        }
        for letter in &page {
            letter.with_fields(|fields| sink.row(fields)).map_err(Failure::printing)?;
        }
    }
}

/// One table a job, its columns as wide as the first page needs.
async fn print_table(mut letters: Letters<'_>) -> Result<(), Failure> {
    let mut job = String::new();
    let mut rows = 0;
    loop {
        let page = letters.next_page().await?;
        if page.is_empty() {
            break;
        }
        rows += page.len() as u64;
        for part in page.chunk_by(|a, b| a.job == b.job) {
            let is_new = part.first().is_some_and(|letter| letter.job != job);
            if let (true, Some(letter)) = (is_new, part.first()) {
                job.clone_from(&letter.job);
            }
            print_part(part, is_new.then_some(job.as_str())).map_err(Failure::printing)?;
        }
    }
    eprintln!("{} rejected rows; whole rows and all rules with --output json", count(rows));
    Ok(())
}

fn print_part(part: &[Letter], heading: Option<&str>) -> io::Result<()> {
    let mut table = TextTable::new(["file", ">line", "rule", "value", "row"]);
    for letter in part {
        let text = |bytes: &[u8], most| visible(&String::from_utf8_lossy(bytes), most);
        table.push(vec![
            visible(&letter.file, usize::MAX),
            letter.letter.line.to_string(),
            letter.letter.rule.clone(),
            letter.letter.value.as_deref().map(|value| text(value, VALUE_WIDTH)).unwrap_or_default(),
            text(&letter.letter.raw, ROW_WIDTH),
        ]);
    }
    let mut out = stdout();
    if let Some(job) = heading {
        writeln!(out, "job {job}")?;
        table.print_header(&mut out)?;
    }
    table.print_rows(&mut out)?;
    out.flush()
}
