//! The errors of this crate.

use faas_flow_core::{Code, Failure};

/// The versions of the WIT contract that this host supports, the oldest first. Modules of a version are supported for good.
pub(crate) const SUPPORTED: [&str; 2] = ["0.1.0", "0.2.0"];

/// What a file is if it is not a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Found {
    /// A core module of WebAssembly without a WIT world.
    #[error(
        "this is a core wasm module that is not a flow: it does not export `faas-flow:flow/definition@0.2.0#define`, and does not name its WIT world; build it with an SDK, or run `wasm-tools component embed`"
    )]
    CoreModule,
    /// A core module that names its WIT world, but does not fit it.
    #[error("this is a core wasm module that cannot be wrapped in a component: {reason}")]
    UnfitCoreModule {
        /// What does not fit.
        reason: String,
    },
    /// WebAssembly of an unknown version.
    #[error("this is WebAssembly of a version that the host does not support")]
    OtherVersion,
    /// An empty file.
    #[error("the file is empty")]
    Nothing,
    /// Text.
    #[error("this is text that begins with `{}`", .start.escape_debug())]
    Text {
        /// The first characters.
        start: String,
    },
    /// Other data.
    #[error("this is data that begins with {start:02x?}")]
    Data {
        /// The first bytes.
        start: Vec<u8>,
    },
}

/// Why a module cannot be loaded, or cannot say what its flow looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// The bytes are not a component.
    #[error("not a WebAssembly component: {found}")]
    NotAComponent {
        /// What the bytes are instead.
        found: Found,
    },
    /// A component of another WIT world.
    #[error(
        "the component is not a flow: it does not export {missing}; build it for the world `flow` of `faas-flow:flow@0.2.0`"
    )]
    WrongWorld {
        /// The missing export.
        missing: String,
    },
    /// An export has another type than the contract's.
    #[error(
        "the component is not a flow: an export has the wrong type: {reason}; rebuild it with this host's `wit/flow.wit`"
    )]
    MistypedExport {
        /// Wasmtime's message.
        reason: String,
    },
    /// A flow that was built for another version of the WIT contract.
    #[error(
        "the component was built for {found}, but this host supports the versions {} of faas-flow:flow; use a newer host, or rebuild the component for one of these",
        SUPPORTED.join(" and ")
    )]
    WrongVersion {
        /// The interface that the component names, with its version.
        found: String,
    },
    /// The component imports interfaces that the host does not offer.
    #[error("the component imports {}, which the host does not offer; build it without them, and for no other WASI than 0.2", .names.join(", "))]
    UnknownImport {
        /// Such imports, in the order of the component; if there are very many, the first ones.
        names: Vec<String>,
    },
    /// An import has a name that the host offers, but another type.
    #[error("an import of the component has the wrong type: {reason}; rebuild it with this host's `wit/flow.wit`")]
    MistypedImport {
        /// Wasmtime's message.
        reason: String,
    },
    /// `define` returned an error.
    #[error("the flow's `define` returned an error: {reason}")]
    DefineFailed {
        /// The error that `define` returned.
        reason: String,
    },
    /// The component is broken, or larger than the limits allow.
    #[error("the component could not be compiled: {reason}")]
    CompileFailed {
        /// The compiler's message.
        reason: String,
    },
    /// Compiling the component took too long.
    #[error("compiling the component took longer than {} s and was cancelled; if it is very large, build it with optimizations, or raise compile_timeout", .at_most.as_secs())]
    CompileTimedOut {
        /// The time limit.
        at_most: std::time::Duration,
    },
    /// The module file is too large.
    #[error("the module has {size} bytes, more than the {limit} allowed: strip it, or keep data out of it")]
    ModuleTooLarge {
        /// Its size in bytes.
        size: usize,
        /// The largest size allowed, in bytes.
        limit: usize,
    },
    /// The compiler ended without an answer.
    #[error(
        "the component could not be compiled, since the compiler crashed: {how}; nothing was changed. Build the module again, and report it if its tools were the usual ones"
    )]
    CompilerDied {
        /// How it ended.
        how: String,
    },
    /// The machine code is too large.
    #[error(
        "the module's machine code is larger than the {limit} bytes allowed: leave out code and large, mostly empty data, or raise compiled_limit"
    )]
    CodeTooLarge {
        /// The largest size allowed, in bytes.
        limit: u64,
    },
    /// The component has too many memories or tables.
    #[error("the component has {what}: build it from fewer modules")]
    TooComplex {
        /// What it has, and how much is allowed.
        what: String,
    },
    /// The flow's definition is too large.
    #[error(
        "the definition is too large: it has more than {limit} {what}; does `define` loop? If it needs them, raise flow_nodes"
    )]
    DefinitionTooLarge {
        /// What it has too many of.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// A name or another text in the definition is too long.
    #[error("a {what} in the definition has {size} bytes, more than the {limit} allowed: shorten it")]
    TextTooLong {
        /// What it is.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The largest size allowed, in bytes.
        limit: usize,
    },
    /// The definition nests dags too deeply.
    #[error("dags are nested more than {limit} deep; does a sub-dag contain itself?")]
    NestedTooDeep {
        /// The deepest nesting allowed.
        limit: usize,
    },
    /// The flow's code crashed or exceeded a limit.
    #[error("{}", .0.message)]
    Call(Failure),
    /// WebAssembly cannot run on this machine.
    #[error("cannot run WebAssembly on this machine: {reason}")]
    Engine {
        /// The reason, mostly wasmtime's message.
        reason: String,
    },
}

impl GuestError {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            Self::NotAComponent { .. } => Code::NOT_A_COMPONENT,
            Self::WrongWorld { .. } | Self::MistypedExport { .. } => Code::WRONG_WORLD,
            Self::WrongVersion { .. } => Code::WRONG_VERSION,
            Self::UnknownImport { .. } | Self::MistypedImport { .. } => Code::UNKNOWN_IMPORT,
            Self::DefineFailed { .. } => Code::DEFINE_FAILED,
            Self::CompileFailed { .. } => Code::COMPILE_FAILED,
            Self::CompileTimedOut { .. } => Code::COMPILE_TIMED_OUT,
            Self::CompilerDied { .. } => Code::COMPILER_DIED,
            Self::CodeTooLarge { .. } => Code::CODE_TOO_LARGE,
            Self::TooComplex { .. } => Code::MODULE_TOO_COMPLEX,
            Self::ModuleTooLarge { .. } => Code::MODULE_TOO_LARGE,
            Self::DefinitionTooLarge { .. } => Code::DEFINITION_TOO_LARGE,
            Self::TextTooLong { .. } => Code::TEXT_TOO_LONG,
            Self::NestedTooDeep { .. } => Code::NESTED_TOO_DEEP,
            Self::Call(failure) => failure.code,
            Self::Engine { .. } => Code::INTERNAL,
        }
    }
}

impl From<Failure> for GuestError {
    fn from(failure: Failure) -> Self {
        Self::Call(failure)
    }
}

impl From<GuestError> for Failure {
    fn from(error: GuestError) -> Self {
        match error {
            GuestError::Call(failure) => failure,
            other => Failure::reject(other.code(), other.to_string()),
        }
    }
}

/// The longest text of a module's that an error repeats, in bytes.
const REPEATED: usize = 1 << 10;

/// A text that came from a module or is about one, as an error repeats it: its beginning, on one line.
pub(crate) fn repeated(text: &str) -> String {
    let beginning = text.get(..text.floor_char_boundary(REPEATED)).unwrap_or_default();
    let mut repeated: String = beginning.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if beginning.len() < text.len() {
        repeated.push('…');
    }
    repeated
}
