//! The options of a cluster's commands: `ensemble supervisor`, `worker` and `submit`.

use clap::{Args, Subcommand};

use super::{ServerArgs, StoreArgs};

#[derive(Debug, Args)]
pub(crate) struct SupervisorArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Where clients are served over gRPC; without it the setting supervisor.listen, 127.0.0.1:7070 by default
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Where workers are served over gRPC; without it the setting supervisor.worker_listen, 127.0.0.1:7071 by default
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) worker_listen: Option<String>,
    /// Where health and metrics are served over HTTP; without it the setting supervisor.http_listen, 127.0.0.1:7072 by default
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) http_listen: Option<String>,
    /// How many workers this process runs beside those that dial it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=256))]
    pub(crate) workers: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// Where supervisors serve workers, separated by commas; without it the setting worker.supervisor,
    /// http://127.0.0.1:7071 by default
    #[arg(long, value_name = "URL")]
    pub(crate) supervisor: Option<String>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The worker's name, unique among the supervisor's workers
    #[arg(long, value_name = "NAME")]
    pub(crate) id: Option<String>,
    /// Where health and metrics are served over HTTP; without it nowhere
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) http_listen: Option<String>,
    /// How many shards are judged at the same time; without it one for each processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) validators: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    #[command(subcommand)]
    pub(crate) source: SubmitSource,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SubmitSource {
    /// CSV files: their bytes are uploaded, and the job begins once they are in the store
    ///
    /// With --wait it ends like `ensemble run`: with the job's report, and its exit codes.
    Csv(SubmitCsvArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SubmitCsvArgs {
    /// CSV files, objects (`s3://BUCKET/KEY`), patterns such as `data/*.csv`, or `-` for standard input, in the order in
    /// which they count
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<String>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// The contract: a name that the server has built in, or a file here
    #[arg(long, value_name = "NAME|FILE", default_value = "tracks")]
    pub(crate) contract: String,
    /// The size that shards aim at; the answer does not depend on it
    #[arg(long, value_name = "N")]
    pub(crate) shard_bytes: Option<u64>,
    /// The job's share of the workers beside other jobs, 1 to 100
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) weight: u32,
    /// The same id, whenever repeated, is the same job: an interrupted command goes on where it stood
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
    /// Have the supervisor read the files itself, under these paths below its supervisor.roots
    #[arg(long)]
    pub(crate) by_path: bool,
    /// Follow the job to its end
    #[arg(long)]
    pub(crate) wait: bool,
}
