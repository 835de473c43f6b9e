//! The options of `ensemble explain`.

use clap::{ArgGroup, Args};
use ensemble_store::JobId;

use super::ReadArgs;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["line", "offset", "key"]))]
pub(crate) struct ExplainArgs {
    /// The job that read the row
    #[arg(value_name = "JOB", required_unless_present = "key", conflicts_with = "key")]
    pub(crate) job: Option<JobId>,
    /// A line of the row, counted from 1 with the header as line 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) line: Option<u64>,
    /// A byte of the row, counted from 0
    #[arg(long, value_name = "BYTES")]
    pub(crate) offset: Option<u64>,
    /// The row's file, by its name or as #N for the job's Nth; may be left out where the job has one
    #[arg(long, value_name = "NAME", conflicts_with = "key")]
    pub(crate) file: Option<String>,
    /// A key of silver, in the place of a row
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// The key's silver collection; may be left out where the store has one
    #[arg(long, value_name = "COLLECTION", requires = "key")]
    pub(crate) silver: Option<String>,
    #[command(flatten)]
    pub(crate) at: ReadArgs,
}
