//! How fast the driver alone inserts the documents of a silver collection, with the store's write concern: what
//! `benches/servers.py` holds the whole pipeline against.
//!
//! ```text
//! bare_inserts URI FROM TO [AT_ONCE]     copies database FROM's spotify_clean to TO's in batches of 1,000, one or
//!                                        AT_ONCE at a time; prints documents and seconds
//! ```

use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use mongodb::{
    Client,
    bson::RawDocumentBuf,
    options::{Acknowledgment, CollectionOptions, WriteConcern},
};

const SILVER: &str = "spotify_clean";
const BATCH: usize = 1_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [uri, from, to, rest @ ..] = arguments.as_slice() else {
        return Err("usage: bare_inserts URI FROM TO [AT_ONCE]".into());
    };
    let at_once = rest.first().map_or(Ok(1), |n| n.parse::<usize>())?;
    let client = Client::with_uri_str(uri).await?;
    let source = client.database(from).collection::<RawDocumentBuf>(SILVER);
    // All of it is in memory before the clock starts: reading is not what is measured.
    let documents: Vec<RawDocumentBuf> = source.find(Default::default()).batch_size(1000).await?.try_collect().await?;
    let concern = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
    let options = CollectionOptions::builder().write_concern(concern).build();
    let target = client.database(to).collection_with_options::<RawDocumentBuf>(SILVER, options);
    let begun = Instant::now();
    let batches = documents.chunks(BATCH).map(|batch| target.insert_many(batch).ordered(false).into_future());
    stream::iter(batches).buffer_unordered(at_once).try_collect::<Vec<_>>().await?;
    println!("{} {:.3}", documents.len(), begun.elapsed().as_secs_f64());
    Ok(())
}
