//! Why scenarios cannot be run.

use crate::SingleFault;
use faas_flow_core::Code;
use std::path::PathBuf;

/// Why scenarios cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There are no scenarios.
    #[error(
        "there are no scenarios in {}: write one into a file such as tests/first.yaml, as docs/testing.md shows, or name a file",
        path.display()
    )]
    NoScenarios {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file is not a scenario file, or what it says cannot be.
    #[error("{}:{line}: {what}", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A file with expectations cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The scenario could not be played, which is no fault of the flow's.
    #[error("cannot play {name}: {reason}")]
    NotPlayed {
        /// The scenario.
        name: String,
        /// Why.
        reason: String,
    },
    /// No scenario has such a fault.
    #[error(
        "no scenario takes a step, or sends an event, for --fault {fault}: steps and events are counted from 0, and `--explore` \
         finds the faults that there are"
    )]
    NoSuchFault {
        /// The fault.
        fault: SingleFault,
    },
    /// A flow in the place of a function cannot be loaded.
    #[error(transparent)]
    Flow(#[from] faas_flow_versions::Error),
}

impl Error {
    /// Whether the path has no scenarios because there is no such file or folder, or no scenario file in the folder.
    pub fn is_absence(&self) -> bool {
        match self {
            Error::NoScenarios { path } => path.is_dir(),
            Error::Unreadable { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            Error::Unreadable { .. } | Error::NoScenarios { .. } => Code::INPUT_UNREADABLE,
            Error::Bad { .. } | Error::NoSuchFault { .. } => Code::BAD_SCENARIO,
            Error::Unwritable { .. } => Code::OUTPUT_UNWRITABLE,
            Error::NotPlayed { .. } => Code::INTERNAL,
            Error::Flow(error) => error.code(),
        }
    }
}
