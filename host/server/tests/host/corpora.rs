//! The fuzz targets, with every input that the repository has for them.

use faas_flow_fuzzing::TARGETS;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The files in a folder and the folders in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// An input that has led to a crash is put into the folder of its target, and is a test from then on.
#[test]
fn every_input_of_a_fuzz_target_does_no_harm() {
    for target in TARGETS {
        let inputs = files(&root().join(target.seeds));
        assert!(!inputs.is_empty(), "{} has no inputs", target.name);
        for input in inputs {
            // Shown if it panics.
            println!("{}: {}", target.name, input.display());
            (target.try_input)(&fs::read(input).unwrap());
        }
    }
}

/// The targets are compiled by the fuzzer alone, so that they only call what is compiled and tested here.
#[test]
fn the_fuzzer_runs_these_targets_with_these_inputs() {
    let (tasks, manifest) =
        (include_str!("../../../../xtask/src/fuzz.rs"), include_str!("../../../../fuzz/Cargo.toml"));
    let folder = root().join("fuzz/fuzz_targets");
    for target in TARGETS {
        let (name, seeds) = (target.name, target.seeds);
        let text = fs::read_to_string(folder.join(format!("{name}.rs"))).unwrap();
        let call = format!("libfuzzer_sys::fuzz_target!(|bytes: &[u8]| faas_flow_fuzzing::{name}(bytes));");
        assert_eq!(text, format!("#![no_main]\n\n{call}\n"), "{name}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "fuzz/Cargo.toml has no {name}");
        assert!(tasks.contains(&format!("\"{name}\", \"{seeds}\"")), "`cargo xtask fuzz` has no {name} with {seeds}");
    }
    assert_eq!(files(&folder).len(), TARGETS.len());
}
