//! Assembles the adapter for WASI preview 1.

use std::path::Path;
use std::{env, error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    let source = "src/wasi/adapter.wat";
    println!("cargo::rerun-if-changed={source}");
    let adapter = wat::parse_file(source)?;
    let folder = env::var("OUT_DIR")?;
    Ok(fs::write(Path::new(&folder).join("adapter.wasm"), adapter)?)
}
