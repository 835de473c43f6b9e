//! The command line as a person or a script meets it: the real binary, its files, exit codes and messages.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod contracts;
mod explain;
mod export;
mod input;
mod jobs;
mod kills;
mod machine;
mod matrix;
mod memory;
mod objects;
mod oracle;
mod processes;
mod rows;
mod server;
mod signals;
mod stores;
mod support;
mod uploads;
