//! Why a command failed, each reason with its code.

use crate::config;
use faas_flow_core::{Code, Digest, Failure, FlowName, Malformed, RunId, SecretFlaw, ShownDuration};
use faas_flow_guest::GuestError;
use faas_flow_http::TokensFault;
use faas_flow_replica::events;
use faas_flow_store::StoreError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host could not do what the command asked of it.
    #[error(transparent)]
    Host(#[from] faas_flow_replica::Error),
    /// A server refused a request.
    #[error(transparent)]
    Http(#[from] faas_flow_http::Error),
    /// The gateway of a local server failed.
    #[error(transparent)]
    Gateway(#[from] faas_flow_gateway::Error),
    /// The configuration cannot be used.
    #[error(transparent)]
    Configuration(#[from] config::Error),
    /// The sources that `dev` serves cannot be built or watched.
    #[error(transparent)]
    Sources(#[from] SourcesError),

    /// Scenarios cannot be run.
    #[error(transparent)]
    Scenario(#[from] faas_flow_scenario::Error),
    /// No scenario has such a name.
    #[error("no scenario has `{only}` in its name: leave out --only to test all")]
    NoSuchScenario {
        /// The text.
        only: String,
    },

    /// A file that the command reads.
    #[error("cannot read {}: {source}", path.display())]
    InputUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file that the command writes.
    #[error("cannot write {}: {source}", path.display())]
    OutputUnwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The folder for the stores of a local server.
    #[error("cannot create the folder {}: {source}", folder.display())]
    NoStoreFolder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A command that does much was not confirmed.
    #[error("nothing was begun: this would be {what}; add --yes to confirm")]
    NotConfirmed {
        /// What it would do.
        what: String,
    },
    /// An option that must be a pair is none.
    #[error("`{option}` must have the form name=value")]
    NoPair {
        /// The value of the option.
        option: String,
    },
    /// `explain` was asked for a code that does not exist.
    #[error("unknown error code `{code}`: `faas-flow explain` lists all codes")]
    UnknownCode {
        /// What was asked for.
        code: String,
    },
    /// Two modules would be served under one name.
    #[error("two flows are called {flow}: rename one of them with NAME=FILE")]
    DuplicateFlow {
        /// The name.
        flow: FlowName,
    },
    /// A flow and a function would be called by one name.
    #[error("`{flow}` is the name of a flow and of a function (--function): rename one of them")]
    FunctionIsFlow {
        /// The name.
        flow: FlowName,
    },
    /// A label on the command line is none, or there are too many.
    #[error(transparent)]
    BadLabel(#[from] faas_flow_core::BadLabel),
    /// A command looks into a store in its own memory.
    #[error(
        "the state store is `memory`, which each process has for itself, so there is nothing in it: give the address of the \
         store that the servers use with --state-store (key state_store)"
    )]
    StoreOfNobodyElse,
    /// There is no such run.
    #[error("run {run} does not exist in {place}: `faas-flow requests list` lists the runs there")]
    UnknownRun {
        /// The request id.
        run: RunId,
        /// The address of the store or server, without passwords.
        place: String,
    },
    /// The run that the command waited for was abandoned, and can be continued.
    #[error("{}: `faas-flow serve` with the same stores resumes run {run}", failure.message)]
    Abandoned {
        /// The run.
        run: RunId,
        /// Why.
        failure: Failure,
    },

    /// Another program listens on the address.
    #[error(
        "the address {address} is already in use: choose another one with --listen (for a function, the key port), or port \
         0 for a free port"
    )]
    AddressInUse {
        /// The address.
        address: String,
    },
    /// Another program listens on the address for metrics.
    #[error(
        "the address {address} for metrics is already in use: set metrics_port to another port, or to 0 to disable metrics"
    )]
    MetricsAddressInUse {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    BadAddress {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The configured folder of the secrets does not exist.
    #[error("secret_mount_path is {}, which is not a folder", folder.display())]
    NoSecretsFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// Signatures must be checked, but there is no secret.
    #[error(
        "{why}, but there is no secret to check signatures with: put the secret faasflow-hmac-secret into {}, or set \
         secret_mount_path to its folder",
        folder.display()
    )]
    NoSigningSecret {
        /// Why signatures must be checked.
        why: WhySigned,
        /// The folder of the secrets.
        folder: PathBuf,
    },
    /// Others can reach a dashboard without a password.
    #[error(
        "other machines can reach {address}, but there is no token: put the secret faasflow-admin-token or faasflow-tokens into {}, or \
         set secret_mount_path to its folder",
        folder.display()
    )]
    NoAdminToken {
        /// The address of the dashboard.
        address: IpAddr,
        /// The folder of the secrets.
        folder: PathBuf,
    },
    /// The admin token cannot be used.
    #[error("the admin token in {} {fault}", path.display())]
    BadAdminToken {
        /// The file of the token.
        path: PathBuf,
        /// What is wrong with it.
        fault: AdminTokenFault,
    },
    /// The tokens that have names cannot be used.
    #[error("the tokens in {}: {fault}", path.display())]
    BadTokens {
        /// Their file.
        path: PathBuf,
        /// What is wrong with it.
        fault: TokensFileFault,
    },

    /// People cannot sign in with what the configuration says.
    #[error("oidc_issuer is set, but {missing}")]
    NoSignIn {
        /// What is missing.
        missing: String,
    },

    /// The server on this machine does not answer its health check.
    #[error("{address} does not answer: {source}")]
    Unhealthy {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A server did not answer in time.
    #[error("{url} did not respond within {}", ShownDuration(*limit))]
    NoResponse {
        /// The URL of the flow, without what may be secret.
        url: String,
        /// The time limit.
        limit: Duration,
    },
    /// There is a server at the URL, but not the flow of a host of this version.
    #[error("{url} did not respond as a flow does: check the URL, and whether its faas-flow is of this version")]
    NotAFlow {
        /// The URL, without what may be secret.
        url: String,
    },
    /// A server has nothing at the path of a flow's route.
    #[error(
        "there is no flow of this version of faas-flow at {url}: give --to the URL of a flow, for example http://gateway:8080/function/greet"
    )]
    NoFlowThere {
        /// The URL, without what may be secret.
        url: String,
    },
    /// A gateway does not say which flows it has.
    #[error("{url} does not list its flows: end the URL with /function/NAME, or add --flow NAME")]
    NoFlowNamed {
        /// The URL, without what may be secret.
        url: String,
    },
    /// A server sent another module than the one that was asked for.
    #[error(
        "{url} sent {bytes} bytes with the digest {} for module {}: pull it again, or push the module again",
        found.short(), digest.short()
    )]
    WrongModule {
        /// The URL of the flow, without what may be secret.
        url: String,
        /// The size of what was sent, in bytes.
        bytes: usize,
        /// Its digest.
        found: Digest,
        /// The digest that was asked for.
        digest: Digest,
    },

    /// The system refused something that should always work.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// Why a server must be able to check signatures.
#[derive(Debug, thiserror::Error)]
pub enum WhySigned {
    /// New requests must be signed.
    #[error("authenticate_request is true")]
    Authenticate,
    /// Results are only given to callers that sign their requests.
    #[error("result_access is signed")]
    Results,
    /// Others could send it events.
    #[error("other machines can reach {0}")]
    Reachable(IpAddr),
}

/// What is wrong with the admin token.
#[derive(Debug, thiserror::Error)]
pub enum AdminTokenFault {
    /// Its file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is not one line of text.
    #[error(transparent)]
    Flawed(#[from] SecretFlaw),
    /// It could be guessed.
    #[error("is too short: use at least 16 characters")]
    TooShort,
    /// A header of HTTP could not carry it.
    #[error("is not ASCII: use letters, digits and punctuation of ASCII")]
    NotAscii,
}

/// What is wrong with a file of tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokensFileFault {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// One of its lines cannot be used.
    #[error(transparent)]
    Line(#[from] TokensFault),
    /// It has no token of this name.
    #[error("there is no token `{0}`; `faas-flow token list` lists them")]
    Unknown(String),
}

/// Why sources cannot be built or watched.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// The folder cannot be read.
    #[error("cannot read the folder {}: {source}", folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Nothing says what the sources in the folder are written in.
    #[error(
        "{} has none of the files that show how to build it (Cargo.toml, go.mod, package.json, flow.ts, pyproject.toml, flow.py, \
         Makefile): give the folder of the flow; `faas-flow new` makes one, and `faas-flow dev` builds anything else with --build \
         and --module",
        folder.display()
    )]
    NoProject {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder looks like a project in several languages.
    #[error(
        "{} has {one} and {other}, so it is not clear how to build it: move one of them away, or use `faas-flow dev` with --build \
         and --module",
        folder.display()
    )]
    SeveralLanguages {
        /// The folder.
        folder: PathBuf,
        /// A file of one language.
        one: &'static str,
        /// A file of another.
        other: &'static str,
    },
    /// A new project would be where something is already.
    #[error("{} already exists: choose another name, or another folder", path.display())]
    AlreadyThere {
        /// What is there.
        path: PathBuf,
    },
    /// This program was built without a template.
    #[error("this faas-flow was built without the template {template}")]
    NoTemplate {
        /// The name of the template.
        template: &'static str,
    },
    /// Cargo wrote several modules.
    #[error("cargo builds several modules in {}: give the folder of one flow's package", folder.display())]
    SeveralModules {
        /// The folder.
        folder: PathBuf,
    },
    /// Cargo wrote no module.
    #[error(
        "cargo builds no module in {}: its Cargo.toml needs `crate-type = [\"cdylib\", \"rlib\"]` under `[lib]`",
        folder.display()
    )]
    NoModule {
        /// The folder.
        folder: PathBuf,
    },
    /// A program that builds the flow cannot be started.
    #[error("cannot run {program}: {source}; {install}")]
    ToolMissing {
        /// The program.
        program: &'static str,
        /// How to install it.
        install: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The packages of a project in TypeScript are not there.
    #[error("the packages of {} are not installed: run `npm install` in that folder", folder.display())]
    NotInstalled {
        /// The folder.
        folder: PathBuf,
    },
    /// The program that builds the flow succeeded, and has not written the module.
    #[error("{program} wrote no module to {}", module.display())]
    NotMade {
        /// The program.
        program: &'static str,
        /// Where the module should be.
        module: PathBuf,
    },
    /// A program that builds the flow has the wrong version.
    #[error("{program} is of version {found}, but this needs {needed}; {install}")]
    ToolUnfit {
        /// The program.
        program: &'static str,
        /// Its version.
        found: String,
        /// Which versions will do.
        needed: String,
        /// How to install one.
        install: &'static str,
    },
    /// The folder cannot be watched for changes.
    #[error("cannot watch the folder {}: {source}", folder.display())]
    Unwatchable {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: notify::Error,
    },
    /// The folder was watched, and is not watched any more.
    #[error("the folder {} is no longer being watched", folder.display())]
    NotWatched {
        /// The folder.
        folder: PathBuf,
    },
}

impl Error {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            Error::Host(error) => error.code(),
            Error::Http(error) => error.code(),
            Error::Gateway(error) => error.code(),
            Error::Configuration(error) => error.code(),
            Error::Sources(
                SourcesError::ToolMissing { .. } | SourcesError::ToolUnfit { .. } | SourcesError::NotInstalled { .. },
            ) => Code::TOOL_MISSING,
            Error::Sources(SourcesError::AlreadyThere { .. } | SourcesError::NoTemplate { .. }) => {
                Code::OUTPUT_UNWRITABLE
            }
            Error::Sources(_) | Error::InputUnreadable { .. } => Code::INPUT_UNREADABLE,
            Error::Scenario(error) => error.code(),
            Error::NoSuchScenario { .. } => Code::BAD_SCENARIO,
            Error::OutputUnwritable { .. } => Code::OUTPUT_UNWRITABLE,
            Error::NoStoreFolder { .. } => Code::STORE_READ_ONLY,
            Error::NotConfirmed { .. } => Code::NOT_CONFIRMED,
            Error::NoPair { .. } => Code::BAD_REQUEST,
            Error::UnknownCode { .. } => Code::UNKNOWN_CODE,
            Error::DuplicateFlow { .. } | Error::FunctionIsFlow { .. } => Code::DUPLICATE_FLOW,
            Error::StoreOfNobodyElse => Code::STORE_NOT_FOUND,
            Error::UnknownRun { .. } => Code::RUN_UNKNOWN,
            Error::BadLabel(_) => Code::BAD_LABEL,
            Error::Abandoned { failure, .. } => failure.code,
            Error::AddressInUse { .. } | Error::MetricsAddressInUse { .. } => Code::ADDRESS_IN_USE,
            Error::BadAddress { .. } => Code::BAD_ADDRESS,
            Error::NoSecretsFolder { .. }
            | Error::NoSigningSecret { .. }
            | Error::NoAdminToken { .. }
            | Error::BadAdminToken { .. }
            | Error::BadTokens { .. }
            | Error::NoSignIn { .. } => Code::BAD_SECRET,
            Error::Unhealthy { .. } => Code::CALL_UNREACHABLE,
            Error::NoResponse { .. } => Code::CALL_TIMED_OUT,
            Error::NotAFlow { .. } | Error::NoFlowThere { .. } | Error::NoFlowNamed { .. } => Code::FLOW_UNKNOWN,
            Error::WrongModule { .. } => Code::DIGEST_MISMATCH,
            Error::System { .. } => Code::INTERNAL,
        }
    }
}

impl From<faas_flow_versions::Error> for Error {
    fn from(error: faas_flow_versions::Error) -> Self {
        Error::Host(error.into())
    }
}

impl From<faas_flow_versions::signature::Error> for Error {
    fn from(error: faas_flow_versions::signature::Error) -> Self {
        Error::Host(error.into())
    }
}

impl From<GuestError> for Error {
    fn from(error: GuestError) -> Self {
        Error::Host(error.into())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Error::Host(error.into())
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Error::Host(malformed.into())
    }
}

impl From<events::Error> for Error {
    fn from(error: events::Error) -> Self {
        Error::Host(error.into())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Error::Host(failure.into())
    }
}
