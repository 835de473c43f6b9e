//! Jobs for tests.

use ensemble_contract::{Contract, ENGINE_VERSION};
use ensemble_sources::csv::{Dialect, Preamble};
use ensemble_store::{Document, DocumentKind, Epoch, JobId, JobNumber, Stamp, Store};

use crate::{JobRecord, JobState, PinnedContract, PinnedFile, Source};

/// A job under a contract whose header is one column `id`, on standard input.
pub(crate) fn job(id: JobId, number: u64, contract: &str) -> JobRecord {
    let Contract { name, silver, .. } = Contract::parse(contract, "sample.toml").unwrap();
    let header = vec!["id".to_owned()];
    let preamble = Preamble { dialect: Dialect { delimiter: b',' }, header, header_bytes: 3, next_line: 2 };
    let file = PinnedFile { name: "in.csv".to_owned(), file: None, upload: None, preamble, ignored: Vec::new() };
    let text = contract.to_owned();
    JobRecord {
        id,
        number: JobNumber(number),
        state: JobState::Running,
        ending: None,
        contract: PinnedContract { name, silver, text, hash: String::new(), engine_version: ENGINE_VERSION },
        source: Source::StandardInput(file),
        shard_bytes: 1024,
        record_limit_bytes: 1024,
        weight: 1,
        observed_at_us: 1,
        created_at_us: 1,
        ended_at_us: None,
        active_us: 0,
        leased_below: 64,
        totals: None,
    }
}

/// Puts a job's document into a store.
pub(crate) async fn put(store: &dyn Store, job: &JobRecord) {
    let stamp = Stamp { epoch: Epoch(1), version: 1 };
    let document = Document { id: job.id.to_string(), stamp, body: serde_json::to_vec(job).unwrap().into() };
    assert!(store.write_document(DocumentKind::Job, None, &document).await.unwrap());
}
