//! Fenced documents: replaced and deleted only under the stamp that they have.

use mongodb::bson::{RawDocument, doc};

use super::{
    command::Verb,
    errors::corrupt,
    letters::bytes,
    options::MongoCollections,
    server::{Query, Server},
    writer::Writer,
};
use crate::{Document, DocumentKind, Epoch, Stamp, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// The collection of a kind of documents.
pub(super) fn collection(names: &MongoCollections, kind: DocumentKind) -> &str {
    match kind {
        DocumentKind::Job => &names.jobs,
        DocumentKind::Counter => &names.counters,
        DocumentKind::Checkpoint => &names.checkpoints,
        DocumentKind::Leadership => &names.leases,
        DocumentKind::Request => &names.requests,
        DocumentKind::Upload => &names.uploads,
    }
}

/// Writes who wrote a record and which time.
pub(super) fn put_stamp(w: &mut Writer, stamp: Stamp) {
    let open = w.open_document("stamp");
    w.unsigned("epoch", stamp.epoch.0);
    w.unsigned("version", stamp.version);
    w.close(open);
}

/// Who wrote a record and which time.
pub(super) fn read_stamp(found: &RawDocument) -> Option<Stamp> {
    let stamp = found.get_document("stamp").ok()?;
    let long = |name: &str| stamp.get_i64(name).ok().map(|value| value as u64);
    Some(Stamp { epoch: Epoch(long("epoch")?), version: long("version")? })
}

fn put_document(w: &mut Writer, document: &Document) {
    w.text("_id", &document.id);
    put_stamp(w, document.stamp);
    w.text_or_binary("body", &document.body);
}

/// The condition that a document has this id and this stamp.
fn put_query(w: &mut Writer, id: &str, stamp: Stamp) {
    let query = w.open_document("q");
    w.text("_id", id);
    w.unsigned("stamp.epoch", stamp.epoch.0);
    w.unsigned("stamp.version", stamp.version);
    w.close(query);
}

fn read_document(found: &RawDocument) -> Result<Document> {
    let read = || {
        let id = found.get_str("_id").ok()?.to_owned();
        Some(Document { id, stamp: read_stamp(found)?, body: bytes(found, "body")? })
    };
    let id = || found.get_str("_id").unwrap_or_default();
    read().ok_or_else(|| corrupt("the document", id(), "a field is missing or of another type"))
}

/// A document.
pub(super) async fn read(server: &Server, collection: &str, id: &str) -> Result<Option<Document>> {
    Ok(server.find("read a document", collection, Query::id(id), read_document).await?.pop())
}

/// Writes a document where the stored stamp is `expected` and lower than the new one.
pub(super) async fn write(
    server: &Server,
    collection: &str,
    expected: Option<Stamp>,
    document: &Document,
) -> Result<bool> {
    const ACTION: &str = "write a document";
    server.check()?;
    let Some(expected) = expected else {
        let insert = |w: &mut Writer| {
            put_document(w, document);
            Ok(())
        };
        return server.write_one(ACTION, Verb::Insert, collection, &insert).await;
    };
    if expected >= document.stamp {
        return Ok(false);
    }
    let update = |w: &mut Writer| {
        put_query(w, &document.id, expected);
        let new = w.open_document("u");
        put_document(w, document);
        w.close(new);
        Ok(())
    };
    server.write_one(ACTION, Verb::Update, collection, &update).await
}

/// Documents in bytewise order of their ids, behind `after`.
pub(super) async fn scan(
    server: &Server,
    collection: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Document>> {
    let condition = after.map_or_else(|| doc! {}, |after| doc! { "$gt": after });
    server.find("scan documents", collection, Query::page(condition, limit), read_document).await
}

/// Deletes a document where its stamp is `expected`.
pub(super) async fn delete(server: &Server, collection: &str, id: &str, expected: Stamp) -> Result<bool> {
    let delete = |w: &mut Writer| {
        put_query(w, id, expected);
        w.long("limit", 1);
        Ok(())
    };
    server.write_one("delete a document", Verb::Delete, collection, &delete).await
}
