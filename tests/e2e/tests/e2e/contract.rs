//! Modules that were built for an earlier version of the contract run as they did.

use async_compression::tokio::bufread::ZstdDecoder;
use faas_flow_e2e::command::run;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/0.1.0").join(name)
}

/// The module in Python, unpacked into this folder.
async fn unpacked(folder: &Path) -> PathBuf {
    let packed = fs::read(golden("greet-python.wasm.zst")).unwrap();
    let mut module = Vec::new();
    ZstdDecoder::new(&packed[..]).read_to_end(&mut module).await.unwrap();
    let file = folder.join("greet-python.wasm");
    fs::write(&file, module).unwrap();
    file
}

/// VAL-6.
#[tokio::test]
async fn modules_of_version_0_1_0_run_in_each_language() {
    let folder = TempDir::new().unwrap();
    for module in [golden("greet-rust.wasm"), golden("greet-js.wasm"), unpacked(folder.path()).await] {
        let module = module.to_str().unwrap();
        let checked: Value = serde_json::from_str(&run(folder.path(), ["check", module, "--json"]).ok()).unwrap();
        let exports = checked["exports"].to_string();
        assert!(exports.contains("faas-flow:flow/handlers@0.1.0"), "{module}: {exports}");
        assert_eq!(run(folder.path(), ["run", module, "--data", "Adam"]).ok(), "Hello, Adam!", "{module}");
    }
}
