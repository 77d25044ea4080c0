//! Why a module cannot be used.

use faas_flow_core::{Code, Failure};

/// The versions of the contract that this host serves.
pub(crate) const SERVED: &str = "0.1";

/// Why a module cannot be loaded, or cannot say what its flow looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// The bytes are something else.
    #[error("not a WebAssembly component: {found}")]
    NotAComponent {
        /// What the bytes are instead, and what to do.
        found: String,
    },
    /// A component for another world.
    #[error(
        "the component is not a flow: it does not export {missing}; build it for the world `flow` of `faas-flow:flow@0.1.0`"
    )]
    WrongWorld {
        /// The missing export, or what is wrong about it.
        missing: String,
    },
    /// A flow for another version of the contract.
    #[error(
        "the component was made for {found}, but this host serves faas-flow:flow@{SERVED}; rebuild it, or use another host"
    )]
    WrongVersion {
        /// The name with the version that the component has.
        found: String,
    },
    /// The component wants what the host does not have.
    #[error("the component imports {}, which the host does not offer; build it without (componentize-py: `--stub-wasi`)", .names.join(", "))]
    UnknownImport {
        /// All of them.
        names: Vec<String>,
    },
    /// `define` returned an error.
    #[error("the flow could not describe itself: {reason}")]
    DefineFailed {
        /// The flow's own words.
        reason: String,
    },
    /// The component is broken, or larger than the limits allow.
    #[error("the component could not be compiled: {reason}")]
    CompileFailed {
        /// What the compiler says.
        reason: String,
    },
    /// The component takes too long to compile.
    #[error("compiling the component took longer than {} s, and was broken off: is it very large? build it with optimisation, or raise compile_timeout", .at_most.as_secs())]
    CompileTimedOut {
        /// How long it may take.
        at_most: std::time::Duration,
    },
    /// The file is too large.
    #[error("the module has {size} bytes, more than the {limit} that are allowed: strip it, or keep data out of it")]
    ModuleTooLarge {
        /// Its size.
        size: usize,
        /// The largest allowed.
        limit: usize,
    },
    /// The flow describes too much.
    #[error("the definition is too large: `define` may make {calls} calls with {bytes} bytes of text; does it loop?")]
    DefinitionTooLarge {
        /// The calls allowed.
        calls: usize,
        /// The bytes of text allowed.
        bytes: usize,
    },
    /// Dags in dags in dags.
    #[error("dags are nested more than {limit} deep; does a sub-dag contain itself?")]
    NestedTooDeep {
        /// The deepest nesting allowed.
        limit: usize,
    },
    /// The flow's code crashed or broke a limit.
    #[error("{}", .0.message)]
    Call(Failure),
    /// The host itself cannot run WebAssembly here.
    #[error("cannot run WebAssembly here: {reason}")]
    Engine {
        /// What wasmtime says.
        reason: String,
    },
}

impl GuestError {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            Self::NotAComponent { .. } => Code::NOT_A_COMPONENT,
            Self::WrongWorld { .. } => Code::WRONG_WORLD,
            Self::WrongVersion { .. } => Code::WRONG_VERSION,
            Self::UnknownImport { .. } => Code::UNKNOWN_IMPORT,
            Self::DefineFailed { .. } => Code::DEFINE_FAILED,
            Self::CompileFailed { .. } => Code::COMPILE_FAILED,
            Self::CompileTimedOut { .. } => Code::COMPILE_TIMED_OUT,
            Self::ModuleTooLarge { .. } => Code::MODULE_TOO_LARGE,
            Self::DefinitionTooLarge { .. } => Code::DEFINITION_TOO_LARGE,
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
