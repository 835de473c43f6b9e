//! What a server says of itself, changed so that drivers stay with the proxy.

use bson::{RawBsonRef, RawDocument, RawDocumentBuf, cstr, rawdoc};

use super::message::{changed, has};

/// A change of what `hello` says. Drivers hear it from monitors (every `heartbeatFrequencyMS`) and on each new
/// connection: one that is open keeps the limits that it was opened with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelloChange {
    /// The server is a secondary whose primary is not known.
    NotWritablePrimary,
    /// The server belongs to the replica set of this name.
    SetName(String),
    /// The server takes this many writes in one command.
    MaxWriteBatchSize(i32),
    /// The server takes documents up to this many bytes.
    MaxBsonObjectSize(i32),
    /// The server takes messages up to this many bytes.
    MaxMessageSizeBytes(i32),
    /// The server speaks these versions of the protocol: lowest, highest.
    WireVersions(i32, i32),
}

impl HelloChange {
    fn fields(&self) -> RawDocumentBuf {
        match self {
            Self::NotWritablePrimary => rawdoc! { "isWritablePrimary": false, "ismaster": false, "secondary": true },
            Self::SetName(name) => rawdoc! { "setName": name.as_str() },
            Self::MaxWriteBatchSize(writes) => rawdoc! { "maxWriteBatchSize": *writes },
            Self::MaxBsonObjectSize(bytes) => rawdoc! { "maxBsonObjectSize": *bytes },
            Self::MaxMessageSizeBytes(bytes) => rawdoc! { "maxMessageSizeBytes": *bytes },
            Self::WireVersions(lowest, highest) => rawdoc! { "minWireVersion": *lowest, "maxWireVersion": *highest },
        }
    }
}

/// The answer to `hello` with the proxy in the server's place, and with these changes.
///
/// `topologyVersion` is taken out: a driver that knows it asks with `exhaustAllowed`, and the server then pushes one
/// hello after another, each answering the one before. Without it the driver polls, one reply to each request, and a
/// change of the proxy's is heard at the next poll instead of when the server happens to push. `compression` is taken
/// out because the proxy reads what passes.
///
/// `None` where the document cannot be read.
pub(super) fn rewritten(answer: &RawDocument, addr: &str, changes: &[HelloChange]) -> Option<RawDocumentBuf> {
    let without = ["topologyVersion", "compression", "hosts", "passives", "arbiters", "me", "primary"];
    let mut answer = changed(answer, &without, &at_this_address(answer, addr))?;
    for change in changes {
        let without: &[_] = if *change == HelloChange::NotWritablePrimary { &["primary"] } else { &[] };
        answer = changed(&answer, without, &change.fields())?;
    }
    Some(answer)
}

/// The addresses of a replica set's member. The proxy stands before one of them, so the set has one; and who else is
/// the primary cannot be reached.
fn at_this_address(answer: &RawDocument, addr: &str) -> RawDocumentBuf {
    if !has(answer, "setName") {
        return RawDocumentBuf::new();
    }
    let mut fields = rawdoc! { "hosts": [addr], "me": addr };
    if is_true(answer, "isWritablePrimary") || is_true(answer, "ismaster") {
        fields.append(cstr!("primary"), addr);
    }
    fields
}

fn is_true(answer: &RawDocument, name: &str) -> bool {
    matches!(answer.get(name), Ok(Some(RawBsonRef::Boolean(true))))
}
