//! Makes components of core modules: names their world if their compiler could not, and adapts WASI preview 1.

use crate::error::SUPPORTED;
use crate::guests::PACKAGE;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The adapter, a core module without its world.
const ADAPTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/adapter.wasm"));
const ADAPTER_WIT: &str = include_str!("adapter.wit");
/// The contract with flows, in its latest version.
const CONTRACT: &str = include_str!("../../../../wit/flow.wit");
/// The name under which core modules import WASI preview 1.
pub(super) const PREVIEW_1: &str = "wasi_snapshot_preview1";
/// How the sections begin in which `wit-bindgen` names a module's world.
const WORLD_SECTION: &str = "component-type";

/// Why a core module cannot be made a component.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// It neither names its world nor exports what flows do.
    NoWorld,
    /// It cannot be read, or does not fit its world, for this reason.
    Module(String),
}

/// Adds everything that decides what becomes of a core module.
pub(crate) fn hash(state: &mut impl Hasher) {
    (ADAPTER, ADAPTER_WIT, CONTRACT).hash(state);
}

/// Makes a component of a core module.
pub(crate) fn component_of(core: &[u8]) -> Result<Vec<u8>, Unfit> {
    let outline = Outline::of(core).map_err(|reason| Unfit::Module(reason.to_string()))?;
    let core = if outline.names_world {
        Cow::Borrowed(core)
    } else if outline.exports.is_empty() {
        return Err(Unfit::NoWorld);
    } else {
        Cow::Owned(in_world(core, &world(&outline.exports)?).map_err(Unfit::Module)?)
    };
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true);
    let adapter = if outline.imports_wasi { Some(adapter().map_err(Unfit::Module)?) } else { None };
    let added = encoder.module(&core).and_then(|encoder| match &adapter {
        Some(adapter) => encoder.adapter(PREVIEW_1, adapter),
        None => Ok(encoder),
    });
    let encoded = added.and_then(|encoder| encoder.encode());
    encoded.map_err(|reason| Unfit::Module(format!("{reason:#}")))
}

/// The adapter, which names its world.
fn adapter() -> Result<Vec<u8>, String> {
    in_world(ADAPTER, &World { text: ADAPTER_WIT.to_owned(), uses: None, name: "adapter" })
}

/// A world, as text.
struct World {
    text: String,
    /// The text of the package that it uses, if it does.
    uses: Option<String>,
    name: &'static str,
}

/// A core module with a section that names its world.
fn in_world(core: &[u8], world: &World) -> Result<Vec<u8>, String> {
    let mut named = core.to_vec();
    let mut resolve = Resolve::default();
    let mut name = || {
        if let Some(used) = &world.uses {
            resolve.push_str("flow.wit", used)?;
        }
        let package = resolve.push_str("world.wit", &world.text)?;
        let world = resolve.select_world(&[package], Some(world.name))?;
        embed_component_metadata(&mut named, &resolve, world, StringEncoding::UTF8, false)
    };
    match name() {
        Ok(()) => Ok(named),
        Err(reason) => Err(format!("{reason:#}")),
    }
}

/// The world of a module that exports these interfaces.
fn world(exports: &BTreeSet<Interface>) -> Result<World, Unfit> {
    let version = exports.iter().find(|export| export.name == "definition").map(|definition| &*definition.version);
    let Some(version) = version.filter(|version| SUPPORTED.contains(version)) else {
        let found = exports.iter().next().map(Interface::to_string).unwrap_or_default();
        return Err(Unfit::Module(format!(
            "it exports `{found}`, but not `{PACKAGE}definition` in one of the versions {}",
            SUPPORTED.join(" and ")
        )));
    };
    // A version only adds to the earlier ones, and a module imports only what was there when it was built.
    let latest = SUPPORTED.last().copied().unwrap_or_default();
    let contract = CONTRACT.replace(latest, version);
    let exported: String = exports.iter().map(|export| format!("    export {export};\n")).collect();
    let text =
        format!("package faas-flow:module;\nworld module {{\n    import {PACKAGE}context@{version};\n{exported}}}\n");
    Ok(World { text, uses: Some(contract), name: "module" })
}

/// An interface of the contract that a core module exports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Interface {
    name: String,
    version: String,
}

impl Interface {
    /// The interface of an exported function: `faas-flow:flow/definition@0.2.0#define`.
    fn of(export: &str) -> Option<Self> {
        let (interface, _) = export.strip_prefix(PACKAGE)?.split_once('#')?;
        let (name, version) = interface.split_once('@')?;
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        (is_plain(name) && is_plain(version)).then(|| Self { name: name.to_owned(), version: version.to_owned() })
    }
}

impl std::fmt::Display for Interface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PACKAGE}{}@{}", self.name, self.version)
    }
}

/// What decides how a core module is wrapped.
#[derive(Debug, Default)]
struct Outline {
    /// Whether it names its world.
    names_world: bool,
    /// Whether it imports WASI preview 1.
    imports_wasi: bool,
    /// The interfaces of the contract that it exports.
    exports: BTreeSet<Interface>,
}

impl Outline {
    fn of(core: &[u8]) -> wasmparser::Result<Self> {
        let mut outline = Self::default();
        for payload in Parser::new(0).parse_all(core) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        outline.imports_wasi |= import?.module == PREVIEW_1;
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        outline.exports.extend(Interface::of(export?.name));
                    }
                }
                Payload::CustomSection(section) => outline.names_world |= section.name().starts_with(WORLD_SECTION),
                _ => {}
            }
        }
        Ok(outline)
    }
}
