//! Many versions of a flow, loaded at the same time.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use faas_flow_core::Digest;
use faas_flow_guest::{Guests, Limits, NoContext};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

const VERSIONS: u32 = 100;
/// How much memory a version may take in addition to its code, in bytes.
const MOST: usize = 2 << 20;

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

fn module() -> Vec<u8> {
    let set = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let modules = set("FAAS_FLOW_MODULES").unwrap_or_else(|| {
        let cache = set("XDG_CACHE_HOME").unwrap_or_else(|| set("HOME").expect("HOME is set").join(".cache"));
        cache.join("faas-flow/modules")
    });
    std::fs::read(modules.join("versions.wasm")).expect("the module: run `cargo xtask modules`")
}

#[tokio::test]
async fn a_hundred_versions_need_little_memory_beyond_their_code_and_release_it() {
    let folder = tempfile::tempdir().unwrap();
    let guests = Guests::new(Limits::default(), Some(folder.path().to_owned())).unwrap();
    let version = |number: u32| {
        // A custom section makes it another module: the kind of section, its length, its name, and the number.
        [&module(), &[0, 9, 4][..], b"swap", &number.to_le_bytes()].concat()
    };
    // All versions have the same code, which is compiled once.
    let last = guests.load(&version(VERSIONS)).unwrap();
    last.keep_code();
    let files: Vec<PathBuf> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    for (file, number) in files.iter().flat_map(|file| (0..VERSIONS).map(move |number| (file, number))) {
        let (digest, name) = (Digest::of(&version(number)), file.file_name().unwrap().to_string_lossy());
        std::fs::copy(file, file.with_file_name(name.replace(last.digest().as_str(), digest.as_str()))).unwrap();
    }
    let size = |file: &PathBuf| std::fs::metadata(file).unwrap().len() as usize;
    let code = files.iter().map(size).sum::<usize>() * VERSIONS as usize;
    let define = async |number: u32| {
        let module = guests.load(&version(number)).unwrap();
        module.define(Arc::new(NoContext::new("versions"))).await.unwrap();
        module
    };
    // The first one allocates what all of them share.
    let first = define(VERSIONS).await;
    let before = resident();
    let (mut versions, began) = (Vec::new(), Instant::now());
    for number in 0..VERSIONS {
        versions.push(define(number).await);
    }
    eprintln!("loaded and defined in {:?} each", began.elapsed() / VERSIONS);
    let loaded = resident().saturating_sub(before);
    let each = loaded.saturating_sub(code) / VERSIONS as usize;
    eprintln!(
        "{VERSIONS} versions: {} KiB, of code {} KiB, beyond it {} KiB each",
        loaded >> 10,
        code >> 10,
        each >> 10
    );
    assert!(each < MOST, "{each} bytes each");
    drop(versions);
    let left = resident().saturating_sub(before);
    eprintln!("unloaded: {} KiB", left >> 10);
    assert!(left < loaded / 2 + MOST, "{left} of {loaded} bytes are left");
    drop(first);
}
