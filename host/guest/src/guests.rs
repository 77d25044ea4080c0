//! Loads modules: checks their bytes, compiles them or finds their code in the cache, and links them.

use crate::bindings::{Flow, FlowPre};
use crate::cache::{Cache, compiled};
use crate::compiler::Compiler;
use crate::engine::{Ticker, engine};
use crate::error::{Found, SUPPORTED};
use crate::module::{Loaded, Module};
use crate::room::Room;
use crate::state::State;
use crate::{GuestError, Limits};
use faas_flow_core::Digest;
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};
use wit_component::ComponentEncoder;

pub(crate) const PACKAGE: &str = "faas-flow:flow/";
const IMPORTS: [&str; 3] = ["types", "builder", "context"];
const EXPORTS: [&str; 2] = ["definition", "handlers"];

/// Loads modules. Modules keep the engine alive when this is dropped.
pub struct Guests {
    host: Arc<Host>,
    linker: Linker<State>,
    cache: Option<Arc<Cache>>,
    compiler: Option<Compiler>,
}

/// What all modules share.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) limits: Limits,
    pub(crate) room: Room,
    _ticker: Ticker,
}

impl Guests {
    /// Creates an engine with these limits. Compiled code is cached in the folder `cache`, which is created if it does not
    /// exist. A folder that belongs to another user, or that other users may write to, is not used.
    pub fn new(limits: Limits, cache: Option<PathBuf>) -> Result<Self, GuestError> {
        let engine = engine(&limits)?;
        let mut linker = Linker::new(&engine);
        Flow::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)
            .map_err(|reason| GuestError::Engine { reason: reason.to_string() })?;
        let cache = cache.and_then(|folder| Cache::open(folder, &engine)).map(Arc::new);
        let ticker = Ticker::start(&engine, limits.tick.max(Duration::from_millis(1)))?;
        let room = Room::new(limits.instances);
        Ok(Self { host: Arc::new(Host { engine, limits, room, _ticker: ticker }), linker, cache, compiler: None })
    }

    /// Compiles in a separate process instead of in this one.
    pub fn with_compiler(self, compiler: Compiler) -> Self {
        Self { compiler: Some(compiler), ..self }
    }

    /// The limits of every module.
    pub fn limits(&self) -> &Limits {
        &self.host.limits
    }

    /// Whether the memory of all instances is reserved in a pool. Without one, each instance is allocated when it is
    /// created, which is slower.
    pub fn has_pool(&self) -> bool {
        self.host.engine.pooling_allocator_metrics().is_some()
    }

    /// Checks a component and makes it ready to run, from cached code if there is some. Otherwise it compiles the component,
    /// which blocks for seconds: async callers use `spawn_blocking`. The caller then decides whether the new code is worth
    /// caching ([`Module::keep_code`]), for example after it has validated the definition.
    ///
    /// A core module, as compilers create it for `wasm32-unknown-unknown`, is accepted too if it names its world, as the
    /// Rust SDK's do: it is wrapped in a component. The digest is that of `bytes` in either case.
    pub fn load(&self, bytes: &[u8]) -> Result<Module, GuestError> {
        self.load_as(bytes, &Digest::of(bytes))
    }

    /// Like [`load`](Self::load), for a caller that has computed the digest of `bytes` already.
    pub fn load_as(&self, bytes: &[u8], digest: &Digest) -> Result<Module, GuestError> {
        let limit = self.host.limits.module_bytes;
        if bytes.len() > limit {
            return Err(GuestError::ModuleTooLarge { size: bytes.len(), limit });
        }
        check_header(bytes)?;
        let (component, compiled) = self.component(bytes, digest)?;
        let ty = component.component_type();
        let imports: Vec<String> = ty.imports(&self.host.engine).map(|(name, _)| name.to_owned()).collect();
        let exports: Vec<String> = ty.exports(&self.host.engine).map(|(name, _)| name.to_owned()).collect();
        check_names(&imports, &exports)?;
        let pre = self
            .linker
            .instantiate_pre(&component)
            .map_err(|reason| GuestError::MistypedImport { reason: format!("{reason:#}") })?;
        let pre = FlowPre::new(pre).map_err(|reason| GuestError::MistypedExport { reason: format!("{reason:#}") })?;
        let code = Mutex::new(self.cache.clone().zip(compiled));
        Ok(Module::new(Loaded { host: self.host.clone(), digest: digest.clone(), imports, exports, pre, code }))
    }

    /// The component, and its code if this call has compiled it.
    fn component(&self, bytes: &[u8], digest: &Digest) -> Result<(Component, Option<Vec<u8>>), GuestError> {
        let engine = &self.host.engine;
        if let Some(component) = self.cache.as_ref().and_then(|cache| cache.load(engine, digest)) {
            return Ok((component, None));
        }
        let failed = |reason: wasmtime::Error| GuestError::CompileFailed { reason: format!("{reason:#}") };
        let wrapped = wrapped(bytes)?;
        let code = match &self.compiler {
            Some(compiler) => compiler.run(&wrapped)?,
            None => engine.precompile_component(&wrapped).map_err(failed)?,
        };
        Ok((compiled(engine, &code).map_err(failed)?, Some(code)))
    }
}

/// The bytes of a component: the given ones, or a core module wrapped in a component.
fn wrapped(bytes: &[u8]) -> Result<Cow<'_, [u8]>, GuestError> {
    if !is_core(bytes) {
        return Ok(Cow::Borrowed(bytes));
    }
    let encoded = ComponentEncoder::default().validate(true).module(bytes).and_then(|encoder| encoder.encode());
    encoded
        .map(Cow::Owned)
        .map_err(|error| GuestError::NotAComponent { found: Found::UnfitCoreModule { reason: format!("{error:#}") } })
}

fn is_core(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x01\0\0\0")
}

/// Whether a core module names its WIT world, which wit-bindgen stores in a section with this prefix.
fn names_its_world(core: &[u8]) -> bool {
    const SECTION: &[u8] = b"component-type";
    core.windows(SECTION.len()).any(|window| window == SECTION)
}

fn check_header(bytes: &[u8]) -> Result<(), GuestError> {
    let found = match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return Ok(()),
        core if is_core(core) && names_its_world(core) => return Ok(()),
        core if is_core(core) => Found::CoreModule,
        [0, b'a', b's', b'm', ..] => Found::OtherVersion,
        [] => Found::Nothing,
        start => match std::str::from_utf8(bytes) {
            Ok(text) => Found::Text { start: text.chars().take(16).collect() },
            Err(_) => Found::Data { start: start.iter().take(8).copied().collect() },
        },
    };
    Err(GuestError::NotAComponent { found })
}

/// The interface and the version in a name of the WIT contract; `None` for other names.
fn contract(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix(PACKAGE)?;
    Some(rest.split_once('@').unwrap_or((rest, "")))
}

fn is_supported(version: &str) -> bool {
    version.strip_prefix(SUPPORTED).is_some_and(|rest| rest.starts_with('.'))
}

fn check_names(imports: &[String], exports: &[String]) -> Result<(), GuestError> {
    for name in imports.iter().chain(exports) {
        if contract(name).is_some_and(|(_, version)| !is_supported(version)) {
            return Err(GuestError::WrongVersion { found: name.clone() });
        }
    }
    let known = |name: &str| contract(name).is_some_and(|(interface, _)| IMPORTS.contains(&interface));
    let offers =
        |wanted: &&str| exports.iter().filter_map(|name| contract(name)).any(|(interface, _)| interface == *wanted);
    if let Some(missing) = EXPORTS.iter().find(|wanted| !offers(wanted)) {
        return Err(GuestError::WrongWorld { missing: format!("{PACKAGE}{missing}") });
    }
    let names: Vec<String> = imports.iter().filter(|name| !known(name)).cloned().collect();
    if names.is_empty() { Ok(()) } else { Err(GuestError::UnknownImport { names }) }
}
