//! Gold cells: one collection a view, replaced only by higher stamps.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use futures::future::join_all;
use mongodb::bson::{RawDocument, doc};
use serde_json::{Map, Value};

use super::{
    command::{Verb, Write},
    documents::{put_stamp, read_stamp},
    errors::corrupt,
    keep::MajorityWait,
    letters::bytes,
    server::{Query, Server},
    writer::{Index, Writer},
};
use crate::{
    GoldCell, GoldRows, Stamp, StoreError,
    records::{from_hex, to_hex},
};

type Result<T> = std::result::Result<T, StoreError>;

const ACTION: &str = "write gold cells";
/// How many cells one query asks for.
const CELLS_AT_ONCE: usize = 1_000;

/// Writes each cell whose stored stamp is lower or absent, and waits until a majority has those that keep it out: they
/// may go again with a fail-over.
pub(super) async fn write(server: &Server, cells: Vec<GoldCell>) -> Result<()> {
    server.check()?;
    let mut views: BTreeMap<&str, Vec<(String, &GoldCell)>> = BTreeMap::new();
    for cell in &cells {
        // Text in the order of the keys' bytes: binary ids would be ordered by their length first.
        views.entry(&cell.view).or_default().push((to_hex(&cell.key), cell));
    }
    // What is under way is waited for also after a failure: ending it would cost its connections.
    let views = join_all(views.into_iter().map(|(view, cells)| write_view(server, view, cells))).await;
    views.into_iter().collect()
}

async fn write_view(server: &Server, view: &str, mut open: Vec<(String, &GoldCell)>) -> Result<()> {
    let mut majority = MajorityWait::new(server.limits.operation_timeout);
    loop {
        let refused = write_once(server, view, &open).await?;
        open = refused.into_iter().map(|at| open[at].clone()).collect();
        open = still_lower(server, view, open).await?;
        if open.is_empty() {
            return Ok(());
        }
        if !majority.pause().await {
            return Err(server.attempt(ACTION).unavailable("no majority has yet the cells that were there before"));
        }
    }
}

/// Writes cells; the places of those that were refused. A cell that is there with the same or a higher stamp does not
/// match its statement, and the insert that takes its place is refused because of its id.
async fn write_once(server: &Server, view: &str, cells: &[(String, &GoldCell)]) -> Result<Vec<usize>> {
    let put = |at: usize, w: &mut Writer| {
        let (id, cell) = &cells[at];
        put_query(w, id, cell.stamp);
        let new = w.open_document("u");
        w.text("_id", id);
        put_stamp(w, cell.stamp);
        w.binary("cell", &cell.cell);
        if let Some(rows) = &cell.rows {
            put_rows(w, rows);
        }
        w.close(new);
        w.boolean("upsert", true);
        Ok(())
    };
    let count = cells.len();
    let written =
        server.write(Write { action: ACTION, verb: Verb::Update, collection: view, count, put: &put }).await?;
    Ok(written.doubtful.into_iter().flatten().chain(written.refused).collect())
}

/// For people and other clients, beside the cell: `row`, or `rows` where a cell has several.
fn put_rows(w: &mut Writer, rows: &GoldRows) {
    match rows {
        GoldRows::One(row) => put_row(w, "row", row),
        GoldRows::Pairs(rows) => {
            let (list, mut index) = (w.open_array("rows"), Index::new());
            rows.iter().enumerate().for_each(|(at, row)| put_row(w, index.name(at), row));
            w.close(list);
        }
    }
}

/// Names are those of silver's columns, which were checked when they were declared, and what stands before them.
fn put_row(w: &mut Writer, name: &str, row: &Map<String, Value>) {
    let open = w.open_document(name);
    for (name, value) in row {
        match value {
            Value::Null => w.null(name),
            Value::Bool(value) => w.boolean(name, *value),
            Value::String(text) => w.text(name, text),
            Value::Number(number) => match number.as_i64() {
                Some(number) => w.long(name, number),
                None => w.double(name, number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::Array(_) | Value::Object(_) => w.text(name, &value.to_string()),
        }
    }
    w.close(open);
}

/// The condition that a cell has this id and a lower stamp.
fn put_query(w: &mut Writer, id: &str, stamp: Stamp) {
    let query = w.open_document("q");
    w.text("_id", id);
    let either = w.open_array("$or");
    w.only("0", |w| w.only("stamp.epoch", |w| w.unsigned("$lt", stamp.epoch.0)));
    w.only("1", |w| {
        w.unsigned("stamp.epoch", stamp.epoch.0);
        w.only("stamp.version", |w| w.unsigned("$lt", stamp.version));
    });
    w.close(either);
    w.close(query);
}

/// Those of the cells of which a majority has no equal or higher stamp.
async fn still_lower<'a>(
    server: &Server,
    view: &str,
    cells: Vec<(String, &'a GoldCell)>,
) -> Result<Vec<(String, &'a GoldCell)>> {
    let mut lower = Vec::new();
    for part in cells.chunks(CELLS_AT_ONCE) {
        let query = Query::ids(part.iter().map(|(id, _)| id.clone()).collect()).only(&["stamp"]);
        let stored = server.find(ACTION, view, query, |found| {
            let id = found.get_str("_id").unwrap_or_default();
            let stamp = read_stamp(found).ok_or_else(|| corrupt("the gold cell", id, "it has no stamp"))?;
            Ok((id.to_owned(), stamp))
        });
        let stored: HashMap<String, Stamp> = stored.await?.into_iter().collect();
        lower.extend(part.iter().filter(|(id, cell)| stored.get(id).is_none_or(|stamp| *stamp < cell.stamp)).cloned());
    }
    Ok(lower)
}

/// A view's cells in bytewise order of their keys, behind `after`.
pub(super) async fn scan(server: &Server, view: &str, after: Option<Bytes>, limit: usize) -> Result<Vec<GoldCell>> {
    let condition = after.map_or_else(|| doc! {}, |after| doc! { "$gt": to_hex(&after) });
    let query = Query::page(condition, limit).only(&["stamp", "cell"]);
    server.find("scan gold cells", view, query, |found| read_cell(view, found)).await
}

fn read_cell(view: &str, found: &RawDocument) -> Result<GoldCell> {
    let id = found.get_str("_id").unwrap_or_default();
    let read = || {
        let key = from_hex(found.get_str("_id").ok()?)?.into();
        let (stamp, cell) = (read_stamp(found)?, bytes(found, "cell")?);
        Some(GoldCell { view: view.to_owned(), key, stamp, cell, rows: None })
    };
    read().ok_or_else(|| corrupt("the gold cell", id, "a field is missing or of another type"))
}
