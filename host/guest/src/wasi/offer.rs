//! Which imports of a component are WASI, and what is offered for them.

use super::adapter::PREVIEW_1;
use super::{missing, preview1, preview2};
use crate::state::State;
use std::collections::BTreeSet;
use wasmtime::component::Linker;
use wasmtime::component::types::{Component, ComponentItem};
use wasmtime::{Engine, Result, format_err};

/// What the adapter for WASI preview 1 imports begins with this.
const ADAPTER: &str = "faas-flow:adapter/";
/// The interface that the adapter exports, by which the host sets its clock.
pub(crate) const CLOCK: &str = "faas-flow:adapter/clock";
/// How many functions and resources of WASI a component may import. WASI 0.2 has about 400.
const MOST: usize = 2_000;

/// What a module uses of WASI, in the words of its users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WasiImports {
    /// What is virtual: `clock`, `random numbers`.
    pub has: BTreeSet<&'static str>,
    /// What flows do not have, although the module imports it: `files`, `sockets`. Calls of it fail.
    pub lacks: BTreeSet<String>,
}

/// Whether an import is one of WASI, in a version that the host knows.
pub(crate) fn is_wasi(import: &str) -> bool {
    let is_known = |version: &str| version.starts_with("0.2.");
    import.starts_with(ADAPTER)
        || import.starts_with("wasi:") && import.split_once('@').is_some_and(|(_, version)| is_known(version))
}

/// The name of an import as its author knows it.
pub(crate) fn shown(import: &str) -> &str {
    if import.starts_with(ADAPTER) { PREVIEW_1 } else { import }
}

/// Offers what a component imports of WASI.
pub(crate) fn offer(linker: &mut Linker<State>, component: &Component, engine: &Engine) -> Result<WasiImports> {
    let mut uses = WasiImports::default();
    let mut count = 0;
    // What is missing is offered first, and then replaced by what there is.
    linker.allow_shadowing(true);
    for (name, import) in component.imports(engine) {
        let (true, ComponentItem::ComponentInstance(imported)) = (is_wasi(name), import.ty) else { continue };
        let interface = name.split_once('@').map_or(name, |(interface, _)| interface);
        let mut offered = linker.instance(name)?;
        let items = imported.exports(engine);
        count += items.len();
        if count > MOST {
            return Err(format_err!("it imports more than {MOST} functions of WASI"));
        }
        for (item, ty) in items {
            match ty.ty {
                ComponentItem::ComponentFunc(_) if interface == "faas-flow:adapter/missing" => {
                    preview1::offer_missing(&mut offered, item)?;
                }
                ComponentItem::ComponentFunc(_) => missing::offer(&mut offered, name, item)?,
                ComponentItem::Resource(_) => preview2::offer_resource(&mut offered, item)?,
                _ => continue,
            }
            uses.add(interface, item);
        }
        match interface {
            "faas-flow:adapter/system" => preview1::offer_system(&mut offered)?,
            _ => preview2::offer(&mut offered, interface)?,
        }
    }
    Ok(uses)
}

impl WasiImports {
    /// Adds a function or resource of an interface.
    fn add(&mut self, interface: &str, item: &str) {
        let area = interface.split_once('/').map_or(interface, |(package, _)| package);
        match (area, interface, item) {
            (_, "faas-flow:adapter/system", "write") => self.has.insert("stdout and stderr"),
            (_, "faas-flow:adapter/system", "random") => self.has.insert("random numbers"),
            (_, "faas-flow:adapter/system", "exit") | (_, "wasi:cli/exit", _) => self.has.insert("exit"),
            (_, "faas-flow:adapter/missing", item) if item.starts_with("path") => self.lacks.insert("files".to_owned()),
            (_, "faas-flow:adapter/missing", _) => self.lacks.insert("sockets".to_owned()),
            (_, "wasi:cli/environment", _) => self.has.insert("environment (empty)"),
            (_, "wasi:cli/stdin", _) => self.has.insert("stdin (empty)"),
            (_, "wasi:cli/stdout" | "wasi:cli/stderr", _) => self.has.insert("stdout and stderr"),
            (_, "wasi:clocks/monotonic-clock" | "wasi:clocks/wall-clock", _) => self.has.insert("clock"),
            ("wasi:random", ..) => self.has.insert("random numbers"),
            ("wasi:cli" | "wasi:io", ..) => false,
            ("wasi:filesystem", ..) => self.lacks.insert("files".to_owned()),
            ("wasi:sockets", ..) => self.lacks.insert("sockets".to_owned()),
            ("wasi:http", ..) => self.lacks.insert("HTTP".to_owned()),
            _ => self.lacks.insert(interface.to_owned()),
        };
    }

    /// Adds the clock that the adapter for WASI preview 1 has.
    pub(crate) fn add_clock(&mut self) {
        self.has.insert("clock");
    }
}
