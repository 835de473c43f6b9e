//! Sources of rows: files, objects and standard input, cut into shards of whole records.
//!
//! [`resolve`] turns command line arguments into [`Input`]s; [`csv::sniff`] finds out what an input's first bytes say
//! (delimiter, header); [`csv::Splitter`] cuts an input into shards, the same ones whenever and from wherever it is
//! read; [`csv::RecordReader`] takes a shard apart again. Blocking input only: callers run it on a blocking thread.

pub mod csv;
mod error;
mod files;
mod location;
mod objects;

pub use error::SourceError;
pub use files::{Change, Input, SourceFile, resolve};
pub use location::{Location, PartError};
pub use objects::ObjectUrl;
