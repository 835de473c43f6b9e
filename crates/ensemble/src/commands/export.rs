//! `ensemble export`: a layer as a file.

use std::{io, process::ExitCode};

use bytes::Bytes;
use ensemble_store::Store;
use indicatif::HumanBytes;
use serde_json::json;

use crate::{
    catalogue::{Catalogue, Collection},
    cli::{ExportArgs, Global, OutputFormat},
    exit::Failure,
    letters::{Letter, Letters},
    node::{block_on, interruptible},
    output::{count, print_csv, print_json},
    stores::Stores,
    tabular::{Column, CsvSink, ParquetSink, RowSink, gold_fields, silver_fields},
    target::{FileFormat, Target},
};

/// How many documents of silver are read at once.
const PAGE: usize = 4096;

/// What is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Layer {
    /// A silver collection; that of the latest job where none is named.
    Silver(Option<String>),
    Gold(String),
    Rejects,
}

pub(crate) fn run(global: &Global, args: &ExportArgs) -> Result<ExitCode, Failure> {
    let layer = Layer::parse(&args.layer)?;
    let format = FileFormat::of(&args.to)?;
    let settings = super::settings(global, &args.at.store)?;
    let (rows, bytes) = block_on(async {
        let stores = Stores::open_to_read(&settings, &args.at).await?;
        let written = interruptible(write(&*stores.store, &layer, format, args)).await;
        super::closed(stores, written).await
    })?;
    report(global.output, args, rows, bytes)?;
    Ok(ExitCode::SUCCESS)
}

fn report(output: OutputFormat, args: &ExportArgs, rows: u64, bytes: u64) -> Result<(), Failure> {
    let path = args.to.display().to_string();
    match output {
        OutputFormat::Json => print_json(&json!({"layer": args.layer, "rows": rows, "bytes": bytes, "path": path})),
        OutputFormat::Csv => print_csv(&[
            ("layer", args.layer.clone()),
            ("rows", rows.to_string()),
            ("bytes", bytes.to_string()),
            ("path", path),
        ]),
        OutputFormat::Table => {
            use std::io::Write as _;
            let line = format!("{}: {} rows, {} in {path}", args.layer, count(rows), HumanBytes(bytes));
            writeln!(io::stdout(), "{line}").map_err(Failure::printing)
        }
    }
}

/// Writes the layer, and returns its rows and the file's bytes.
async fn write(store: &dyn Store, layer: &Layer, format: FileFormat, args: &ExportArgs) -> Result<(u64, u64), Failure> {
    let failed = |e: io::Error| Failure::failed(anyhow::anyhow!("cannot write {}: {e}", args.to.display()));
    let catalogue = Catalogue::read(store).await?;
    let collection = match layer {
        Layer::Silver(None) | Layer::Rejects => catalogue.latest()?,
        Layer::Silver(Some(silver)) => catalogue.with_silver(silver)?,
        Layer::Gold(view) => catalogue.with_view(view)?,
    };
    let columns = match layer {
        Layer::Silver(_) => Column::of_silver(&collection.contract),
        Layer::Gold(view) => Column::of_gold(&collection.views.columns(view)),
        Layer::Rejects => Letter::columns(),
    };
    let target = Target::create(&args.to)?;
    let mut sink = open(&target, format, &columns).map_err(failed)?;
    let rows = match layer {
        Layer::Silver(_) => write_silver(store, &collection, &mut *sink, failed).await?,
        Layer::Gold(view) => {
            let gold = catalogue.gold(store, &collection).await?;
            let rows = collection.views.rows(view, gold.cells()).unwrap_or_default();
            rows.iter().try_for_each(|row| sink.row(&gold_fields(row))).map_err(failed)?;
            rows.len() as u64
        }
        Layer::Rejects => write_letters(Letters::new(store, &catalogue, None, None), &mut *sink, failed).await?,
    };
    sink.finish().map_err(failed)?;
    drop(sink);
    Ok((rows, target.complete().map_err(failed)?))
}

fn open(target: &Target, format: FileFormat, columns: &[Column]) -> io::Result<Box<dyn RowSink>> {
    let file = target.file()?;
    Ok(match format {
        FileFormat::Csv => Box::new(CsvSink::new(io::BufWriter::with_capacity(1 << 16, file), columns)?),
        FileFormat::Parquet => Box::new(ParquetSink::new(file, columns)?),
    })
}

async fn write_silver(
    store: &dyn Store,
    collection: &Collection,
    sink: &mut dyn RowSink,
    failed: impl Fn(io::Error) -> Failure,
) -> Result<u64, Failure> {
    let mut rows = 0;
    let mut after: Option<Bytes> = None;
    loop {
        let page = store.scan_silver(&collection.contract.silver, after, PAGE).await.map_err(Failure::failed)?;
        rows += page.len() as u64;
        for (_, doc) in &page {
            let mut fields = Vec::with_capacity(collection.contract.columns.len());
            silver_fields(&doc.live.fields, &mut fields).map_err(Failure::failed)?;
            sink.row(&fields).map_err(&failed)?;
        }
        match page.last() {
            Some((key, _)) if page.len() == PAGE => after = Some(key.clone()),
            _ => return Ok(rows),
        }
    }
}

async fn write_letters(
    mut letters: Letters<'_>,
    sink: &mut dyn RowSink,
    failed: impl Fn(io::Error) -> Failure,
) -> Result<u64, Failure> {
    let mut rows = 0;
    loop {
        let page = letters.next_page().await?;
        if page.is_empty() {
            return Ok(rows);
        }
        rows += page.len() as u64;
        for letter in &page {
            letter.with_fields(|fields| sink.row(fields)).map_err(&failed)?;
        }
    }
}

impl Layer {
    fn parse(text: &str) -> Result<Self, Failure> {
        match text.split_once(':') {
            None if text == "silver" => Ok(Self::Silver(None)),
            None if text == "rejects" => Ok(Self::Rejects),
            Some(("silver", collection)) if !collection.is_empty() => Ok(Self::Silver(Some(collection.to_owned()))),
            Some(("gold", view)) if !view.is_empty() => Ok(Self::Gold(view.to_owned())),
            _ => Err(Failure::could_not_start(anyhow::anyhow!(
                "cannot export {text:?}; name silver, silver:COLLECTION, gold:VIEW or rejects (`ensemble gold` lists the views)"
            ))),
        }
    }
}
