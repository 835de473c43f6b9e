//! Bytes of any length: in the document itself, or in documents of their own where one would be too large.
//!
//! Parts carry the digest of all bytes in their ids. So attempts that bring the same bytes share them, one that brings
//! others does not touch them, and what a repeat inserts is always the same.

use bytes::Bytes;
use mongodb::bson::{Binary, doc, spec::BinarySubtype};
use serde::{Deserialize, Serialize};

use super::{
    errors::corrupt,
    server::{Query, Server},
};
use crate::{StoreError, compress_if_it_pays, records::to_hex};

type Result<T> = std::result::Result<T, StoreError>;

/// The most bytes of one document: well below the server's 16 MiB, with room for the other fields.
const PART_BYTES: usize = 12 << 20;

/// How bytes stand in a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Payload {
    /// `plain`, or `lz4`: one LZ4 block.
    encoding: Encoding,
    /// Bytes before they were encoded.
    length: i64,
    /// The encoded bytes, where they fit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    bytes: Option<Binary>,
    /// Where they do not: how many parts there are, and what stands in their ids.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    parts: Option<Parts>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    Plain,
    Lz4,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Parts {
    count: i64,
    digest: String,
}

/// Bytes that are ready to be written.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) payload: Payload,
    /// What goes into documents of its own; empty where it fits.
    encoded: Bytes,
}

impl Packed {
    /// Compresses where that pays, and sees whether one document is enough. Takes milliseconds a megabyte.
    pub(super) fn compressed(plain: &Bytes) -> Self {
        match compress_if_it_pays(plain, 0) {
            Some(packed) => Self::new(Encoding::Lz4, plain.len(), packed.into()),
            None => Self::plain(plain),
        }
    }

    /// The bytes as they are.
    pub(super) fn plain(plain: &Bytes) -> Self {
        Self::new(Encoding::Plain, plain.len(), plain.clone())
    }

    fn new(encoding: Encoding, length: usize, encoded: Bytes) -> Self {
        let length = length as i64;
        if encoded.len() <= PART_BYTES {
            let bytes = Binary { subtype: BinarySubtype::Generic, bytes: encoded.to_vec() };
            return Self {
                payload: Payload { encoding, length, bytes: Some(bytes), parts: None },
                encoded: Bytes::new(),
            };
        }
        let parts = Parts { count: encoded.len().div_ceil(PART_BYTES) as i64, digest: digest(&encoded) };
        Self { payload: Payload { encoding, length, bytes: None, parts: Some(parts) }, encoded }
    }
}

/// What tells contents apart.
fn digest(bytes: &[u8]) -> String {
    to_hex(&blake3::hash(bytes).as_bytes()[..16])
}

fn part_id(owner: &str, digest: &str, part: usize) -> String {
    format!("{owner}/{digest}/{part:05}")
}

impl Server {
    /// Writes the parts of `packed`, if it has any, under their owner's id; they are durable before the owner is
    /// written.
    ///
    /// # Errors
    /// Those of [`Server::keep`].
    pub(super) async fn put_parts(&self, collection: &str, owner: &str, packed: &Packed) -> Result<()> {
        let Some(Parts { digest, .. }) = &packed.payload.parts else { return Ok(()) };
        let parts: Vec<&[u8]> = packed.encoded.chunks(PART_BYTES).collect();
        let ids: Vec<String> = (0..parts.len()).map(|part| part_id(owner, digest, part)).collect();
        self.keep("write a part of a large document", collection, &ids, &|at, w| {
            w.text("_id", &ids[at]);
            w.binary("bytes", parts[at]);
            Ok(())
        })
        .await
    }

    /// The bytes of `payload`.
    ///
    /// # Errors
    /// Those of [`Server::find`]; [`StoreError::Corrupt`] where they are not what was written.
    pub(super) async fn unpack(&self, collection: &str, owner: &str, payload: Payload) -> Result<Bytes> {
        let Payload { encoding, length, bytes, parts } = payload;
        let damaged = |reason: &str| corrupt("the content of", owner, reason);
        let encoded = match (bytes, parts) {
            (Some(binary), _) => binary.bytes,
            (None, Some(parts)) => self.read_parts(collection, owner, &parts).await?,
            (None, None) => return Err(damaged("it has neither bytes nor parts")),
        };
        let length = usize::try_from(length).map_err(|_| damaged("its length is negative"))?;
        let plain = match encoding {
            Encoding::Plain => encoded,
            // An LZ4 block cannot grow by more than 255 times, so a wrong length costs no more memory than that.
            Encoding::Lz4 if length / 255 > encoded.len() => return Err(damaged("its length cannot be")),
            Encoding::Lz4 => {
                lz4_flex::block::decompress(&encoded, length).map_err(|e| damaged(&format!("LZ4: {e}")))?
            }
        };
        if plain.len() == length { Ok(plain.into()) } else { Err(damaged("its length is another")) }
    }

    async fn read_parts(&self, collection: &str, owner: &str, parts: &Parts) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        for part in 0..usize::try_from(parts.count).unwrap_or(0) {
            // One at a time: several would not fit into one reply anyway.
            let id = part_id(owner, &parts.digest, part);
            let read = self.find("read a part of a large document", collection, Query::id(&id), |found| {
                let binary = found.get_binary("bytes").map_err(|e| corrupt("the part", &id, e))?;
                Ok(binary.bytes.to_vec())
            });
            let found = read.await?.pop().ok_or_else(|| corrupt("the part", &id, "it is missing"))?;
            all.extend(found);
        }
        if digest(&all) == parts.digest {
            Ok(all)
        } else {
            Err(corrupt("the parts of", owner, "their digest is another"))
        }
    }

    /// The ids of all parts of an owner lie between these two.
    pub(super) fn part_range(owner: &str) -> mongodb::bson::Document {
        // The digit 0 comes right behind the slash.
        doc! { "$gte": format!("{owner}/"), "$lt": format!("{owner}0") }
    }
}
