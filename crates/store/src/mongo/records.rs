//! Records that are written whole, by their serde form: one document each, under its id.

use mongodb::bson::{Bson, Document, RawDocument, deserialize_from_slice, doc, serialize_to_raw_document_buf};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    command::Verb,
    errors::corrupt,
    names::shard_range,
    server::{Query, Server},
    writer::Writer,
};
use crate::{JobNumber, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// A record's document without its id. Each field is written as serde has it.
fn encode<T: Serialize>(server: &Server, action: &'static str, record: &T) -> Result<mongodb::bson::RawDocumentBuf> {
    serialize_to_raw_document_buf(record).map_err(|e| StoreError::Server {
        server: server.name.clone(),
        action,
        reason: format!("the record has no form in BSON: {e}"),
    })
}

/// Reads a record.
///
/// # Errors
/// [`StoreError::Corrupt`] where it is not what was written.
pub(super) fn decode<T: DeserializeOwned>(what: &str, found: &RawDocument) -> Result<T> {
    deserialize_from_slice(found.as_bytes()).map_err(|e| {
        let id = found.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
        corrupt(what, &id.map_or_else(String::new, |id| id.to_string()), e)
    })
}

impl Server {
    /// Inserts a record where its id is absent; whether it was.
    ///
    /// # Errors
    /// Those of [`Server::write`].
    pub(super) async fn insert_record<T: Serialize>(
        &self,
        action: &'static str,
        collection: &str,
        record: &T,
    ) -> Result<bool> {
        let document = encode(self, action, record)?;
        self.write_one(action, Verb::Insert, collection, &|w| put_fields(w, &document)).await
    }

    /// [`Server::keep`] for one record.
    ///
    /// # Errors
    /// Those of [`Server::keep`].
    pub(super) async fn keep_record<T: Serialize>(
        &self,
        action: &'static str,
        collection: &str,
        id: String,
        record: &T,
    ) -> Result<()> {
        let document = encode(self, action, record)?;
        self.keep(action, collection, &[id], &|_, w| put_fields(w, &document)).await
    }

    /// The record with this id.
    ///
    /// # Errors
    /// Those of [`Server::find`] and [`decode`].
    pub(super) async fn record<T: DeserializeOwned + Send>(
        &self,
        action: &'static str,
        collection: &str,
        id: &str,
    ) -> Result<Option<T>> {
        let found = self.find(action, collection, Query::id(id), |found| decode("the record", found)).await?;
        Ok(found.into_iter().next())
    }

    /// A job's records from the shard `from` on, in the order of their shards, which their ids tell. `what` is what
    /// errors call one.
    ///
    /// # Errors
    /// Those of [`Server::find`] and [`decode`].
    pub(super) async fn scan_shards<T: DeserializeOwned + Send>(
        &self,
        (action, what): (&'static str, &str),
        collection: &str,
        (job, from): (JobNumber, u32),
        limit: usize,
    ) -> Result<Vec<T>> {
        let (first, last) = shard_range(job, from);
        let query = Query::page(doc! { "$gte": first, "$lte": last }, limit);
        self.find(action, collection, query, |found| decode(what, found)).await
    }

    /// Deletes the documents whose ids the condition lets through.
    ///
    /// # Errors
    /// Those of [`Server::write`].
    pub(super) async fn delete(&self, action: &'static str, collection: &str, condition: &Document) -> Result<()> {
        let condition = encode(self, action, condition)?;
        let delete = |w: &mut Writer| {
            w.only("q", |w| w.raw("_id", condition.as_bytes()));
            w.long("limit", 0);
            Ok(())
        };
        self.write_one(action, Verb::Delete, collection, &delete).await.map(drop)
    }
}

fn put_fields(w: &mut Writer, document: &RawDocument) -> Result<()> {
    w.fields(document.as_bytes());
    Ok(())
}
