//! The command line.

mod cluster;
mod explain;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ensemble_store::JobId;

pub(crate) use self::{
    cluster::{SubmitArgs, SubmitCsvArgs, SubmitSource, SupervisorArgs, WorkerArgs},
    explain::ExplainArgs,
};
use crate::settings::Overrides;

/// Validates large, dirty music catalogues into three layers that can be proved right: bronze (every byte as it came),
/// silver (one valid, standardised document a key) and gold (statistics that are always up to date).
#[derive(Debug, Parser)]
#[command(name = "ensemble", version, arg_required_else_help = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Settings that differ from the defaults (see `ensemble config print`)
    #[arg(long, global = true, value_name = "FILE", env = "ENSEMBLE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// For spreadsheets
    Csv,
}

/// Which store.
#[derive(Debug, Clone, Args)]
pub(crate) struct StoreArgs {
    /// Where the layers live: DIR, embedded:DIR or mongodb://HOST:PORT/DATABASE; without it the setting store.url,
    /// ./ensemble-data by default
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Where events go: embedded:DIR, kafka://HOST:PORT,HOST:PORT/PREFIX or none; without it the setting events.url, by
    /// default the directory `events` of an embedded store
    #[arg(long, value_name = "URL")]
    pub(crate) events: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load files into a store, all in this process
    ///
    /// Each row is judged by the contract; the store gets bronze, silver, dead letters and gold. Interrupt it as you
    /// like, or kill it: the same command goes on where it stood. Exit codes: 0 done, 1 the job failed or its limits
    /// stopped it, 2 it could not start, 128+n on signal n (the job can be resumed).
    Run(RunArgs),
    /// Serve jobs to clients and shards to workers, until it is told to stop
    ///
    /// Of several supervisors over one store one is in office; the others wait, and take over once it is silent. It
    /// prints a line `ready …` on stderr once it is in office. On an embedded store, which no other process can write
    /// to, it runs its workers itself.
    Supervisor(SupervisorArgs),
    /// Work for a supervisor, until it is told to stop
    ///
    /// It dials the supervisor, writes to the store and the event log itself, and dials again whenever the link breaks.
    /// It prints a line `ready …` on stderr once a supervisor has taken it. SIGTERM lets it finish what it holds.
    Worker(WorkerArgs),
    /// Hand a job to a server
    Submit(SubmitArgs),
    /// Write a synthetic catalogue of tracks to standard output, as CSV
    Generate(GenerateArgs),
    /// List the jobs of a store, or settle one
    Jobs(JobsArgs),
    /// Read a gold view
    Gold(GoldArgs),
    /// Read the dead letters: each rejected row with its place, rule and value
    Rejects(RejectsArgs),
    /// Say why a row, or a key, is in silver as it is, or why it is not
    ///
    /// A row is found in bronze and judged again under its job's own contract: each column's raw and standardised value
    /// and the rule that it breaks, and whether the row is live, displaced, a duplicate or rejected. A key is led back to
    /// its live row and those that were displaced. Exit code 2 where there is no such job, row or key.
    Explain(ExplainArgs),
    /// Write silver, a gold view or the dead letters to a file
    Export(ExportArgs),
    /// Check everything that a store promises; exit code 3 where something does not hold
    ///
    /// It judges every row of bronze again, and compares what comes out with silver, gold, the dead letters, the events
    /// and the ledger. It takes about 64 MiB of memory, and up to 170 bytes a row of disk beside the store meanwhile.
    Verify(VerifyArgs),
    /// Make a store ready: its collections and indexes, or its files
    ///
    /// Every command that opens a store does this too; on its own it is for a step before a deployment. Harmless when
    /// repeated.
    Migrate(StoreArgs),
    /// Look at contracts: what a valid row is
    Contract(ContractArgs),
    /// Look at the settings
    Config(ConfigArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// CSV files, objects (`s3://BUCKET/KEY`), patterns such as `data/*.csv`, or `-` for standard input, in the order in
    /// which they count
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<String>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The contract: a built-in one's name, or a file
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) contract: Option<String>,
    /// How many workers; the answer does not depend on it
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
    /// The size that shards aim at; the answer does not depend on it
    #[arg(long, value_name = "N")]
    pub(crate) shard_bytes: Option<u64>,
}

/// Which server.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerArgs {
    /// The server to ask, such as http://127.0.0.1:7070; of several, separated by commas, the one in office answers. A
    /// --store that is named is read itself
    #[arg(long, value_name = "URL", env = "ENSEMBLE_SERVER")]
    pub(crate) server: Option<String>,
}

/// Which store to read, or which server to ask.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    server: ServerArgs,
}

impl ReadArgs {
    /// The server to ask; a store that is named is read itself.
    pub(crate) fn server(&self) -> Option<&str> {
        self.server.server.as_deref().filter(|server| !server.is_empty() && self.store.store.is_none())
    }

    /// What is named here, or else there.
    pub(crate) fn or(&self, other: &Self) -> Self {
        let either = |mine: &Option<String>, theirs: &Option<String>| mine.clone().or_else(|| theirs.clone());
        Self {
            store: StoreArgs {
                store: either(&self.store.store, &other.store.store),
                events: either(&self.store.events, &other.store.events),
            },
            server: ServerArgs { server: either(&self.server.server, &other.server.server) },
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// How many rows
    #[arg(long, value_name = "N")]
    pub(crate) rows: u64,
    /// The share of rows that repeat an earlier row's key
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    pub(crate) duplicates: f64,
    /// The share of rows that break a rule
    #[arg(long, value_name = "SHARE", default_value_t = 0.005)]
    pub(crate) bad: f64,
    /// How many genres
    #[arg(long, value_name = "N", default_value_t = 82)]
    pub(crate) genres: u32,
    /// The same seed gives the same bytes
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    pub(crate) action: Option<JobsAction>,
    #[command(flatten)]
    pub(crate) at: ReadArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsAction {
    /// List all jobs, oldest first (the default)
    List {
        #[command(flatten)]
        at: ReadArgs,
    },
    /// Show one job
    Get(JobArgs),
    /// Follow a server's job to its end; the exit codes are those of `ensemble run`
    Watch(JobArgs),
    /// Mark an unfinished job as paused; a server's workers finish what they hold
    Pause(JobArgs),
    /// Go on with a paused or interrupted job: in this process, or a server's workers do
    Resume(JobArgs),
    /// Settle what an unfinished job had leased, and end it
    Cancel(JobArgs),
}

#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// The job's id
    #[arg(value_name = "JOB")]
    pub(crate) job: JobId,
    #[command(flatten)]
    pub(crate) at: ReadArgs,
}

#[derive(Debug, Args)]
pub(crate) struct GoldArgs {
    /// The view's name; without one, the views are listed
    #[arg(value_name = "VIEW")]
    pub(crate) view: Option<String>,
    #[command(flatten)]
    pub(crate) at: ReadArgs,
    /// Only the first rows
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RejectsArgs {
    #[command(subcommand)]
    pub(crate) action: Option<RejectsAction>,
    #[command(flatten)]
    pub(crate) list: RejectsListArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RejectsAction {
    /// Judge a server's rejected rows again, as a job of their own
    ///
    /// Its source are the rows that an ended job rejected, under the same contract or another one. Left out are rows that
    /// were too long, cut off in their dead letter (above 64 KiB) or without an end to their quotes: compare its rows with
    /// what was rejected. The rows count as observed now: under `keep = "last"` they displace what has been loaded
    /// meanwhile. With --wait it ends like `ensemble run`.
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The job that rejected them
    #[arg(value_name = "JOB")]
    pub(crate) job: JobId,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// The contract: a name that the server has built in, or a file here; without it the job's own
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) contract: Option<String>,
    /// Only rows whose first failed rule is this one; may be repeated
    #[arg(long = "rule", value_name = "RULE")]
    pub(crate) rules: Vec<String>,
    /// The job's share of the workers beside other jobs, 1 to 100
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) weight: u32,
    /// The same id, whenever repeated, is the same job
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
    /// Follow the job to its end
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RejectsListArgs {
    /// Of this job only
    #[arg(value_name = "JOB")]
    pub(crate) job: Option<JobId>,
    #[command(flatten)]
    pub(crate) at: ReadArgs,
    /// Only the first rows
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// What: `silver` (of the latest job's collection), `silver:COLLECTION`, `gold:VIEW` or `rejects`
    #[arg(value_name = "LAYER")]
    pub(crate) layer: String,
    /// Where to: a file that ends in .parquet or .csv
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) at: ReadArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// This job only
    #[arg(value_name = "JOB")]
    pub(crate) job: Option<JobId>,
    #[command(flatten)]
    pub(crate) at: ReadArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ContractArgs {
    #[command(subcommand)]
    pub(crate) action: ContractAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContractAction {
    /// Say whether a file is a contract, and what it says; exit code 2, and the place, where it is none
    Check {
        /// The contract
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// List the contracts that are built in, and, of the store or server that is named, those of its jobs
    List {
        #[command(flatten)]
        at: ReadArgs,
    },
    /// Print a contract's text
    Get {
        /// Its name, or its hash
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        at: ReadArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) action: ConfigAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Print the settings that are in force, and where each may be set
    Print,
}

impl Global {
    /// The settings file, for a command that has no store.
    pub(crate) fn bare_overrides(&self) -> Overrides {
        Overrides { file: self.config.clone(), values: Vec::new() }
    }

    /// The settings file and what this command's options say.
    pub(crate) fn overrides(&self, store: &StoreArgs) -> Overrides {
        let store_url = store.store.iter().map(|url| ("store.url", url.clone()));
        let events_url = store.events.iter().map(|url| ("events.url", url.clone()));
        let values = store_url.chain(events_url).collect();
        Overrides { file: self.config.clone(), values }
    }
}
