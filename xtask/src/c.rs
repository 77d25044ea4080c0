//! Flows in C, C++ and Zig, and the SDK for them.

mod host;

use crate::files::write;
use crate::place::Place;
use crate::run::{Run, program};
use crate::sdk_copy::{SdkCopy, generated, notice};
use crate::tool::ZIG;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the SDK is.
const SDK: &str = "guest-sdk/c";
/// The copy of the SDK in the template, with what a flow and its tests need.
const COPY: SdkCopy = SdkCopy {
    sdk: SDK,
    copy: "template/faas-flow-c/sdk/c",
    folders: &["", "include", "src"],
    header: |name, from| match name {
        "README.md" => None,
        "LICENSE" => Some(String::new()),
        name if name.ends_with(".mk") => Some(generated("#", from)),
        _ => Some(format!("/* {} */\n", notice(from))),
    },
};
/// The file of the SDK that is made from the contract.
const HOST: &str = "src/host.h";

/// Builds all flows in C, C++ and Zig. Make finds out what is up to date.
pub fn build(place: &Place) -> Result<()> {
    if program("make", &["--version"]).quiet().is_none() {
        bail!(
            "make is missing, which builds flows in C: install it (on Debian: apt-get install make), and run this again"
        );
    }
    eprintln!("building flows in C, C++ and Zig");
    for (name, folder) in flows(place)? {
        let mut make = program("make", &["--silent", "--jobs=2", "--directory"]);
        make.arg(&folder);
        make.arg(format!("ZIG={} -m ziglang", ZIG.path(place).display()));
        make.arg(format!("BUILD={}", place.target.join("c").join(&name).display()));
        make.arg(format!("MODULE={}", crate::modules::module(place, &name).display()));
        make.must(&format!("building {name}"))?;
    }
    Ok(())
}

/// The flows by the names of their modules: examples that have a makefile, the conformance flow, and what the SDK's tests run.
fn flows(place: &Place) -> Result<BTreeMap<String, PathBuf>> {
    let mut flows = BTreeMap::new();
    for name in place.examples_with("Makefile")? {
        flows.insert(name.clone(), place.root.join("examples").join(name));
    }
    flows.insert("conformance-c".to_owned(), place.root.join("tests/conformance/c"));
    let tests = place.root.join(SDK).join("tests");
    for entry in tests.read_dir().with_context(|| format!("cannot list {}", tests.display()))? {
        let folder = entry?.path();
        if folder.join("Makefile").is_file() {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            flows.insert(format!("c-{name}"), folder);
        }
    }
    Ok(flows)
}

/// Writes what is generated: the functions of the contract in the SDK, and the template's copy of the SDK.
pub fn generate(place: &Place) -> Result<()> {
    write(&place.root.join(SDK).join(HOST), &host::header(&place.root.join("wit"))?)?;
    COPY.write(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdk_copy::assert_in_step;
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_sdk_for_c_is_in_step_with_the_contract() {
        let place = Place::find().unwrap();
        let found = fs::read_to_string(place.root.join(SDK).join(HOST)).unwrap();
        let expected = host::header(&place.root.join("wit")).unwrap();
        assert_eq!(found, expected, "{HOST} is outdated: run `cargo xtask template`, then use what is new in the SDK");
        // Every function of the host is called, and every export is defined.
        let sources = ["record.c", "context.c", "exports.c"];
        let read = |name: &&str| fs::read_to_string(place.root.join(SDK).join("src").join(name)).unwrap();
        let code = sources.iter().map(read).collect::<String>();
        for line in expected.lines() {
            let import =
                line.strip_prefix("WIT(").and_then(|rest| rest.split(", ").nth(1)).map(|name| format!("{name}("));
            let export = line
                .trim()
                .strip_prefix("X(")
                .and_then(|rest| rest.split_once(','))
                .map(|(name, _)| format!("wit_{name}("));
            for function in import.into_iter().chain(export) {
                assert!(code.contains(&function), "the SDK for C does not use {function}…)");
            }
        }
    }

    #[test]
    fn the_template_has_the_sdk_for_c_of_this_repository() {
        let place = Place::find().unwrap();
        let expected = COPY.files(&place).unwrap();
        assert!(expected.contains_key(Path::new("include/faas_flow.h")), "{:?}", expected.keys());
        assert_in_step(&place.root.join(COPY.copy), &expected);
    }
}
