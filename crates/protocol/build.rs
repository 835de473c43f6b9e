//! Compiles the protocol files; protox stands in for protoc, so that nothing has to be installed.

use std::{error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../../proto");
    let files = protox::compile(["ensemble/v1/worker.proto"], [root])?;
    println!("cargo::rerun-if-changed=../../proto");
    prost_build::Config::new().bytes(["."]).compile_fds(files)?;
    Ok(())
}
