//! The `ensemble` command: settings, wiring and output. What it does stands in the crates below.

mod base64;
mod catalogue;
mod cli;
mod commands;
mod exit;
mod letters;
mod node;
mod output;
mod progress;
mod remote;
mod report;
mod servers;
mod settings;
mod stores;
mod tabular;
mod target;
mod text_table;
mod upload;

use std::process::ExitCode;

use clap::Parser;

/// Shards are allocated by the megabyte on some threads and freed on others, which this allocator is a tenth faster at
/// than the system's. Its settings are in `.cargo/config.toml`.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are no errors; a reader that has gone away is none either.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { exit::COULD_NOT_START } else { 0 });
        }
    };
    match commands::run(cli) {
        Ok(code) => code,
        Err(e) => exit::report(&e),
    }
}
