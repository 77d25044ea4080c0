//! What can go wrong with the versions of flows, each error with its code.

use super::signature;
use faas_flow_core::run::Unreadable;
use faas_flow_core::{Code, Digest, FlowName, Malformed, Problem, RunId};
use faas_flow_guest::GuestError;
use faas_flow_store::StoreError;
use std::fmt;
use std::path::PathBuf;
use tokio::task::JoinError;

/// Why something could not be done with the versions of a flow.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file of a module cannot be read.
    #[error("cannot read the module {}: {source}", path.display())]
    ModuleUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A folder is given where the file of a module is needed.
    #[error("{} is a folder, not a module: build the flow in it with `faas-flow build {}`, and give the module", path.display(), path.display())]
    ModuleIsFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The module cannot be used.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// The flow's definition is wrong. There is at least one problem.
    #[error("the definition of the flow is not valid:{}", list(.0))]
    InvalidDefinition(Vec<Problem>),
    /// The module's signature, or a key, is not acceptable.
    #[error(transparent)]
    Signature(#[from] signature::Error),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The name that a flow would have is not one.
    #[error(transparent)]
    BadFlowName(Malformed),

    /// This replica serves no flow of this name.
    #[error("there is no flow `{flow}` here")]
    UnknownFlow {
        /// The name.
        flow: FlowName,
    },
    /// The flow has no such version, or no longer has its bytes.
    #[error("flow {flow} has no version {version}, or its module was removed: `faas-flow modules list` shows them")]
    UnknownVersion {
        /// The flow.
        flow: FlowName,
        /// The digest, or its first digits.
        version: String,
    },
    /// Several versions have a digest that begins with these digits.
    #[error("several versions of flow {flow} begin with {digits}: give more digits")]
    AmbiguousVersion {
        /// The flow.
        flow: FlowName,
        /// The digits.
        digits: String,
    },
    /// A text that cannot be the beginning of a digest.
    #[error("`{}` is not a digest: give 8 to 64 digits out of 0-9 a-f", shown(.0))]
    BadDigest(String),
    /// A share of the runs that is not one.
    #[error("`{}` is not a share: give 0.01% to 100%, with at most two decimals", shown(.0))]
    BadShare(String),
    /// A canary would be judged by no runs, or by too many.
    #[error("a canary is judged by its last 1 to {most} runs, not by {over}", most = super::canary::CanaryRule::MOST_RUNS)]
    BadCanaryRule {
        /// How many runs were asked for.
        over: u64,
    },
    /// A name or message that does not fit on a line.
    #[error("`{field}` must have at most {longest} bytes and no control characters")]
    BadNote {
        /// `who` or `message`.
        field: &'static str,
        /// The longest text that is taken, in bytes.
        longest: usize,
    },

    /// The module of a version can be loaded nowhere.
    #[error("module {} of flow {flow} {absence}", digest.short())]
    Missing {
        /// The flow.
        flow: FlowName,
        /// The version.
        digest: Digest,
        /// Why it is not there.
        absence: Absence,
    },
    /// The active version of a flow cannot be loaded by a replica that starts, which serves nothing older instead.
    #[error("no run of flow {flow} begins here until its active version can be loaded: {why}")]
    ActiveMissing {
        /// The flow.
        flow: FlowName,
        /// Why it cannot be loaded, and what to do.
        why: String,
    },
    /// The stored bytes of a version do not have its digest.
    #[error(
        "module {} of flow {flow} is damaged in the module store ({found} bytes of {expected}): push it again",
        digest.short()
    )]
    Damaged {
        /// The flow.
        flow: FlowName,
        /// The version.
        digest: Digest,
        /// The size of what is stored, in bytes.
        found: usize,
        /// The size of the module, in bytes.
        expected: u64,
    },
    /// The bytes that were pushed are not the announced ones.
    #[error(
        "the module has the sha256 {}, but {} was announced: nothing was changed; push it again",
        found.short(),
        announced.short()
    )]
    DigestMismatch {
        /// The digest of the bytes.
        found: Digest,
        /// The digest that came with them.
        announced: Digest,
    },
    /// `gc` has removed the version, and an old push does not bring it back by accident.
    #[error(
        "version {} was pushed by {who} before and has been removed by gc: to store it again, push it with --again",
        digest.short()
    )]
    Removed {
        /// The version.
        digest: Digest,
        /// Who had pushed it.
        who: String,
    },
    /// This host has no module store.
    #[error("this host has no module store: it serves only the modules that it was started with")]
    NoModuleStore,

    /// The active pointer is not at the revision that a change was meant for.
    #[error(transparent)]
    RevisionConflict(Box<RevisionConflict>),
    /// Other writers were faster every time.
    #[error("gave up after {tries} conflicting changes to the versions of flow {flow}: try again")]
    Contended {
        /// The flow.
        flow: FlowName,
        /// How often it was tried.
        tries: usize,
    },
    /// No other version was in service before the active one.
    #[error("there is nothing to roll back to: no other version was in service before this one")]
    NothingToRollBack,
    /// There is no canary to promote or withdraw.
    #[error("there is no canary: it was promoted or withdrawn, or none was started")]
    NoCanary,

    /// A replica cannot serve the canary, though it serves the active version.
    #[error("the canary gets no runs here: {0}")]
    CanaryUnavailable(#[source] Box<Error>),
    /// A run cannot go on, since its version cannot be loaded.
    #[error("run {run} waits: {source}")]
    RunWaits {
        /// The run.
        run: RunId,
        /// Why its version cannot be loaded.
        source: Box<Error>,
    },
    /// A run whose flow defines itself for each request was stored without its definition.
    #[error("run {run} was stored without its definition")]
    DefinitionMissing {
        /// The run.
        run: RunId,
    },
    /// A stored document of a run cannot be read.
    #[error("run {run}: {source}")]
    RunUnreadable {
        /// The run.
        run: RunId,
        /// Why.
        source: Unreadable,
    },
    /// A stored document about the versions of a flow cannot be read.
    #[error("cannot read the stored document `{doc}` about the versions of flow {flow}: {source}")]
    DocumentUnreadable {
        /// The flow.
        flow: FlowName,
        /// The document's name.
        doc: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A value cannot be written as JSON.
    #[error("cannot write JSON: {0}")]
    Unwritable(#[source] serde_json::Error),
    /// A blocking task of the host panicked.
    #[error("{task} ended early: {source}")]
    Interrupted {
        /// What it did: `loading the module`.
        task: &'static str,
        /// Why.
        source: JoinError,
    },
}

/// The active pointer was changed since an operator looked at it.
#[derive(Debug, thiserror::Error)]
#[error(
    "the change{} was meant for revision {expected}, but the flow is at revision {found}, where {}: look at it and try again",
    wanted.as_ref().map(|digest| format!(" to {}", digest.short())).unwrap_or_default(),
    match active {
        Some((digest, who)) => format!("{} is active, by {who}", digest.short()),
        None => "nothing is active".to_owned(),
    }
)]
pub struct RevisionConflict {
    /// The version that was to be put into service, unless the change names none.
    pub wanted: Option<Digest>,
    /// The revision that the change was meant for.
    pub expected: u64,
    /// The revision that was found.
    pub found: u64,
    /// What is active at that revision, and who activated it.
    pub active: Option<(Digest, String)>,
}

/// Why a module is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// This host has no module store, or does not serve the flow.
    NotLoaded,
    /// Nobody has pushed it, or the push was interrupted.
    NotStored,
    /// `gc` has removed it.
    Removed,
    /// It should be stored, but its bytes are gone.
    Lost,
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Absence::NotLoaded => "is not loaded here",
            Absence::NotStored => "is not in the module store: push it",
            Absence::Removed => "was removed: push it again with --again",
            Absence::Lost => "is gone from the module store: push it again",
        })
    }
}

impl Error {
    /// The error's code. The first problem of a definition stands for all.
    pub fn code(&self) -> Code {
        match self {
            Error::ModuleUnreadable { .. } | Error::ModuleIsFolder { .. } => Code::MODULE_UNREADABLE,
            Error::Guest(error) => error.code(),
            Error::InvalidDefinition(problems) => problems.first().map_or(Code::INTERNAL, |problem| problem.code),
            Error::Signature(error) => error.code(),
            Error::Store(error) => error.code(),
            Error::BadFlowName(_) => Code::BAD_FLOW_NAME,
            Error::UnknownFlow { .. } => Code::FLOW_UNKNOWN,
            Error::UnknownVersion { .. } => Code::VERSION_UNKNOWN,
            Error::AmbiguousVersion { .. }
            | Error::BadDigest(_)
            | Error::BadShare(_)
            | Error::BadCanaryRule { .. }
            | Error::BadNote { .. } => Code::BAD_REQUEST,
            Error::Missing { .. } => Code::MODULE_MISSING,
            Error::ActiveMissing { .. } => Code::ACTIVE_MISSING,
            Error::Damaged { .. } => Code::MODULE_DAMAGED,
            Error::DigestMismatch { .. } => Code::DIGEST_MISMATCH,
            Error::Removed { .. } => Code::VERSION_REMOVED,
            Error::NoModuleStore => Code::MODULES_FIXED,
            Error::RevisionConflict(_) | Error::Contended { .. } => Code::ACTIVATION_CONFLICT,
            Error::NothingToRollBack => Code::NOTHING_TO_ROLL_BACK,
            Error::NoCanary => Code::NO_CANARY,
            Error::CanaryUnavailable(source) | Error::RunWaits { source, .. } => source.code(),
            Error::RunUnreadable { source, .. } => source.code(),
            Error::DefinitionMissing { .. } | Error::DocumentUnreadable { .. } => Code::STORE_CORRUPT,
            Error::Unwritable(_) | Error::Interrupted { .. } => Code::INTERNAL,
        }
    }

    /// Whether the module's bytes are gone or damaged, so that no replica can load it until somebody pushes it again.
    pub fn is_module_lost(&self) -> bool {
        matches!(self, Error::Missing { .. } | Error::Damaged { .. })
    }

    /// Whether the module itself is at fault: it is not a flow that a host can run.
    pub fn is_bad_module(&self) -> bool {
        match self {
            Error::Guest(error) => !matches!(error, GuestError::ModuleTooLarge { .. }),
            Error::InvalidDefinition(_) => true,
            _ => false,
        }
    }

    /// Whether the same may succeed a little later, since a store did not answer in time.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::Store(StoreError::Unavailable { .. } | StoreError::Locked { .. }))
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// Somebody's text, cut to 80 characters and safe to print.
fn shown(text: &str) -> String {
    text.chars().take(80).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_says_what_was_meant_and_what_is_there() {
        let [old, new] = [b"old", b"new"].map(|bytes| Digest::of(bytes));
        let active = Some((old.clone(), "ann".to_owned()));
        let conflict = RevisionConflict { wanted: Some(new.clone()), expected: 2, found: 3, active };
        let said = Error::RevisionConflict(Box::new(conflict));
        let expected = format!(
            "the change to {} was meant for revision 2, but the flow is at revision 3, where {} is active, by ann: look at \
             it and try again",
            new.short(),
            old.short()
        );
        assert_eq!((said.code(), said.to_string()), (Code::ACTIVATION_CONFLICT, expected));
    }

    #[test]
    fn what_wraps_an_error_has_its_code() {
        let flow = FlowName::new("greet").unwrap();
        let missing = Error::Missing { flow, digest: Digest::of(b"x"), absence: Absence::Removed };
        assert!(missing.is_module_lost());
        let waits = Error::RunWaits { run: RunId::new("r1").unwrap(), source: Box::new(missing) };
        assert_eq!(waits.code(), Code::MODULE_MISSING);
        assert!(waits.to_string().starts_with("run r1 waits: module "), "{waits}");
    }

    #[test]
    fn long_texts_of_strangers_are_cut_and_escaped() {
        let said = Error::BadDigest(format!("\u{1b}[31m{}", "x".repeat(500))).to_string();
        assert!(said.len() < 200 && !said.contains('\u{1b}'), "{said}");
    }
}
