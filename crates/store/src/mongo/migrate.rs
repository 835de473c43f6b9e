//! What has to be in a database before it is used: collections, an index, the format's number.

use mongodb::bson::{RawDocumentBuf, doc};
use serde::Deserialize;

use super::{command::Verb, names::parts_of, options::MongoCollections, server::Server, writer::Writer};
use crate::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// The format that this version reads and writes.
const FORMAT: i64 = 1;
const ID: &str = "store";

#[derive(Deserialize)]
struct Stored {
    format: i64,
}

/// Creates what is absent. A repeat changes nothing.
///
/// # Errors
/// [`StoreError::Refused`] where the user may not write; [`StoreError::UnknownVersion`]; those of [`Server::run`].
pub(super) async fn migrate(server: &Server, names: &MongoCollections) -> Result<()> {
    // First of all, so that a store of another version is not touched.
    check_format(server, names).await?;
    for name in names.all() {
        server.create(name).await?;
    }
    for name in [&names.bronze, &names.ledger, &names.spool] {
        server.create(&parts_of(name)).await?;
    }
    // For people: which rows of a job broke a rule. The program itself reads by id alone.
    let index = doc! { "key": { "job": 1, "rule": 1 }, "name": "job_rule" };
    let command = doc! {
        "createIndexes": &names.rejected,
        "indexes": [index],
        "writeConcern": { "w": "majority" },
    };
    const ACTION: &str = "create an index";
    let command = RawDocumentBuf::try_from(&command).map_err(|e| server.attempt(ACTION).unavailable(e))?;
    server.run(ACTION, command).await.map(drop)
}

/// Notes the format down where the database is new, and compares it where it is not. It shows as well that this user
/// may write and that a majority acknowledges it.
async fn check_format(server: &Server, names: &MongoCollections) -> Result<()> {
    const ACTION: &str = "write to the database";
    let update = |w: &mut Writer| {
        w.only("q", |w| w.text("_id", ID));
        let changes = w.open_document("u");
        w.only("$setOnInsert", |w| w.long("format", FORMAT));
        w.only("$set", |w| w.text("opened_by", concat!("ensemble ", env!("CARGO_PKG_VERSION"))));
        w.close(changes);
        w.boolean("upsert", true);
        Ok(())
    };
    // Refused only where two open a new database at once: then the other one's is there.
    server.write_one(ACTION, Verb::Update, &names.store, &update).await?;
    let stored: Option<Stored> = server.record("read the store's format", &names.store, ID).await?;
    match stored {
        Some(Stored { format: FORMAT }) => Ok(()),
        Some(Stored { format }) => Err(StoreError::UnknownVersion {
            path: server.name.clone().into(),
            found: format.to_string(),
            known: FORMAT as u32,
        }),
        None => Err(server.attempt(ACTION).unavailable("no majority has yet what was written")),
    }
}
