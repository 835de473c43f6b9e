//! The supervising roles: jobs and their shards, leases, the workers' sessions, and the aggregator of gold.
//!
//! What decides is plain data and plain functions ([`ShardTable`], [`GoldState`], [`give_up`]); the actors around it
//! move messages and run what was decided. Workers are known by their link alone.

mod aggregator;
mod aside;
mod collection;
mod contracts;
mod error;
mod explain;
mod gold_state;
mod handle;
mod job;
mod layout;
mod leadership;
mod ledger;
mod office;
mod planner;
mod record;
#[cfg(test)]
mod samples;
mod service;
mod session;
mod status;
mod submit;
mod supervisor;
mod table;
mod totals;
mod uploads;

pub use aggregator::AggregatorHandle;
pub use aside::{Aside, give_up};
pub use collection::{Collection, CurrentHead, Draft, load_gold};
pub use contracts::{KnownContract, find_contract, known_contracts};
pub use error::SupervisorError;
pub use explain::{
    ClaimedRow, ExplainError, ExplainedColumn, KeyExplanation, RowExplanation, RowOutcome, RowQuery, SourceRow,
    explain_key, explain_row,
};
pub use gold_state::{Covered, GoldState};
pub use handle::{JobHandle, SupervisorHandle, SupervisorOptions};
pub use layout::{LayoutError, NameUse, check_layout};
pub use leadership::{Candidate, Term};
pub use ledger::settled_totals;
pub use office::Office;
pub use planner::SourceReader;
pub use record::{Ending, JobRecord, JobState, PinnedContract, PinnedFile, PinnedUpload, Source, list_jobs, read_job};
pub use service::{Desk, DeskOptions, routes, worker_routes};
pub use status::{JobReport, JobStatus};
pub use submit::{Relation, Submission, SubmitError};
pub use table::{Lease, Next, ShardTable, Trouble};
pub use totals::Totals;
