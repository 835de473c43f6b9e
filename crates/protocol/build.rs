//! Compiles the protocol files; protox stands in for protoc, so that nothing has to be installed.

use std::{env, error::Error, path::Path};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../../proto");
    let files = ["contracts", "jobs", "gold", "layers", "worker"].map(|name| format!("ensemble/v1/{name}.proto"));
    let descriptors = protox::compile(files, [root])?;
    println!("cargo::rerun-if-changed=../../proto");
    // For reflection.
    std::fs::write(Path::new(&env::var("OUT_DIR")?).join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
