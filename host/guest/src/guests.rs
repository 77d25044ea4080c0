//! Loads modules: checks their bytes, compiles them or finds their code in the cache, and links them.

use crate::bindings::offer;
use crate::cache::{Cache, compiled};
use crate::compiler::{Compiler, Waited, translate, waiting};
use crate::engine::{Ticker, compiling_engine, engine};
use crate::error::{Found, SUPPORTED, repeated};
use crate::exports::Exports;
use crate::module::{Loaded, Module};
use crate::room::{Instances, Room};
use crate::state::State;
use crate::wasi::{WasiImports, is_wasi, offer as offer_wasi};
use crate::{GuestError, Limits};
use faas_flow_core::Digest;
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

pub(crate) const PACKAGE: &str = "faas-flow:flow/";
const IMPORTS: [&str; 3] = ["types", "builder", "context"];
const EXPORTS: [&str; 2] = ["definition", "handlers"];
/// How many imports and exports a component may have. A flow needs about five, and some toolchains add a few.
const MOST_NAMES: usize = 1_000;
/// How many unknown imports an error names.
const MOST_NAMED: usize = 20;

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
    ///
    /// Modules are read and compiled in this process, which a hostile module may crash, unless
    /// [`with_compiler`](Self::with_compiler) says otherwise.
    pub fn new(limits: Limits, cache: Option<PathBuf>) -> Result<Self, GuestError> {
        let engine = engine(&limits)?;
        let mut linker = Linker::new(&engine);
        offer(&mut linker, &SUPPORTED).map_err(|reason| GuestError::Engine { reason: reason.to_string() })?;
        let cache = cache.and_then(|folder| Cache::open(folder, &engine)).map(Arc::new);
        let ticker = Ticker::start(&engine, limits.tick.max(Duration::from_millis(1)))?;
        let room = Room::new(limits.instances);
        Ok(Self { host: Arc::new(Host { engine, limits, room, _ticker: ticker }), linker, cache, compiler: None })
    }

    /// Reads and compiles modules in a separate process instead of in this one, as a host must that takes them from others.
    pub fn with_compiler(self, compiler: Compiler) -> Self {
        Self { compiler: Some(compiler), ..self }
    }

    /// The limits of every module.
    pub fn limits(&self) -> &Limits {
        &self.host.limits
    }

    /// The instances of all its modules.
    pub fn instances(&self) -> Instances {
        self.host.room.instances()
    }

    /// How long a module may take to be loaded.
    pub fn load_time(&self) -> Option<Duration> {
        self.compiler.as_ref().map(|compiler| compiler.at_most)
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
    /// A core module, as compilers create it for `wasm32-unknown-unknown` or WASI preview 1, is accepted too if it names its
    /// world, as the Rust SDK's do, or exports what flows do: it is wrapped in a component. The digest is that of `bytes` in
    /// either case.
    pub fn load(&self, bytes: &[u8]) -> Result<Module, GuestError> {
        let (_waiting, waited) = waiting();
        self.load_as(bytes, &Digest::of(bytes), &waited)
    }

    /// Like [`load`](Self::load), for a caller that has computed the digest of `bytes` already, and only for as long as
    /// somebody waits for the module.
    pub fn load_as(&self, bytes: &[u8], digest: &Digest, waited: &Waited) -> Result<Module, GuestError> {
        let limit = self.host.limits.module_bytes;
        if bytes.len() > limit {
            return Err(GuestError::ModuleTooLarge { size: bytes.len(), limit });
        }
        check_header(bytes)?;
        let (component, compiled) = self.component(bytes, digest, waited)?;
        let ty = component.component_type();
        let imports: Vec<String> = ty.imports(&self.host.engine).map(|(name, _)| name.to_owned()).collect();
        let exports: Vec<String> = ty.exports(&self.host.engine).map(|(name, _)| name.to_owned()).collect();
        check_counts(&imports, &exports)?;
        check_names(&imports, &exports)?;
        let said = |reason: wasmtime::Error| repeated(&format!("{reason:#}"));
        let mut linker = Cow::Borrowed(&self.linker);
        let mut wasi = WasiImports::default();
        if imports.iter().any(|name| is_wasi(name)) {
            let offered = offer_wasi(linker.to_mut(), &ty, &self.host.engine);
            wasi = offered.map_err(|reason| GuestError::MistypedImport { reason: said(reason) })?;
        }
        let pre = linker.instantiate_pre(&component);
        let pre = pre.map_err(|reason| GuestError::MistypedImport { reason: said(reason) })?;
        let functions = Exports::find(&pre, &exports);
        let functions = functions.map_err(|reason| GuestError::MistypedExport { reason: said(reason) })?;
        if functions.set_clock.is_some() {
            wasi.add_clock();
        }
        if compiled.is_some() {
            // The images of its memories are copied here, and not by the first instance on a thread that serves requests. Those of
            // cached code are mapped when they are needed, which takes no time.
            component.initialize_copy_on_write_image().map_err(|reason| GuestError::Engine { reason: said(reason) })?;
        }
        let code = Mutex::new(self.cache.clone().zip(compiled));
        let (host, digest) = (self.host.clone(), digest.clone());
        Ok(Module::new(Loaded { host, digest, imports, exports, wasi, pre, functions, code }))
    }

    /// The component, and its code if this call has compiled it.
    fn component(
        &self,
        bytes: &[u8],
        digest: &Digest,
        waited: &Waited,
    ) -> Result<(Component, Option<Vec<u8>>), GuestError> {
        let engine = &self.host.engine;
        if let Some(component) = self.cache.as_ref().and_then(|cache| cache.load(engine, digest)) {
            return Ok((component, None));
        }
        let code_bytes = self.host.limits.code_bytes;
        let code = match &self.compiler {
            Some(compiler) => compiler.run(bytes, code_bytes, waited)?,
            None => translate(&compiling_engine(&self.host.limits)?, bytes, code_bytes).code()?,
        };
        let failed = |reason: wasmtime::Error| GuestError::CompileFailed { reason: repeated(&format!("{reason:#}")) };
        Ok((compiled(engine, &code).map_err(failed)?, Some(code)))
    }
}

/// Whether bytes begin as a core module does.
pub(crate) fn is_core(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x01\0\0\0")
}

/// Refuses what is not WebAssembly. Reads no more than the first bytes, unless all are text.
fn check_header(bytes: &[u8]) -> Result<(), GuestError> {
    let found = match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return Ok(()),
        core if is_core(core) => return Ok(()),
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
pub(crate) fn contract(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix(PACKAGE)?;
    Some(rest.split_once('@').unwrap_or((rest, "")))
}

/// Whether the host supports a version, apart from its patch number.
fn is_supported(version: &str) -> bool {
    let minor = |version: &str| version.rsplit_once('.').map(|(minor, _)| minor.to_owned());
    SUPPORTED.iter().any(|supported| minor(supported) == minor(version))
}

fn check_counts(imports: &[String], exports: &[String]) -> Result<(), GuestError> {
    let count = imports.len() + exports.len();
    if count > MOST_NAMES {
        return Err(GuestError::TooComplex {
            what: format!("{count} imports and exports, more than the {MOST_NAMES} allowed"),
        });
    }
    Ok(())
}

fn check_names(imports: &[String], exports: &[String]) -> Result<(), GuestError> {
    for name in imports.iter().chain(exports) {
        if contract(name).is_some_and(|(_, version)| !is_supported(version)) {
            return Err(GuestError::WrongVersion { found: repeated(name) });
        }
    }
    let known = |name: &str| is_wasi(name) || contract(name).is_some_and(|(interface, _)| IMPORTS.contains(&interface));
    let offers =
        |wanted: &&str| exports.iter().filter_map(|name| contract(name)).any(|(interface, _)| interface == *wanted);
    if let Some(missing) = EXPORTS.iter().find(|wanted| !offers(wanted)) {
        return Err(GuestError::WrongWorld { missing: format!("{PACKAGE}{missing}") });
    }
    let unknown = imports.iter().filter(|name| !known(name));
    let names: Vec<String> = unknown.take(MOST_NAMED).map(|name| repeated(name)).collect();
    if names.is_empty() { Ok(()) } else { Err(GuestError::UnknownImport { names }) }
}
