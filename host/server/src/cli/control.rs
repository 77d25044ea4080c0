//! `faas-flow requests pause`, `resume`, `stop` and `rerun`: asks a server over HTTP.

use crate::Error;
use clap::{Args, Subcommand};
use faas_flow_core::{NodePath, RunId};
use faas_flow_http::remote::Action;

#[derive(Args)]
pub(super) struct Target {
    /// Request id of the run
    id: String,
}

#[derive(Subcommand)]
pub(super) enum Control {
    /// Pause a run: nodes already running finish, and no others start
    Pause(Target),
    /// Resume a paused run
    Resume(Target),
    /// Stop a run for good
    Stop(Target),
    /// Run a node of a run, and all nodes after it, again
    Rerun {
        #[command(flatten)]
        target: Target,
        /// Path of the node, for example C[c1]/n1
        #[arg(long)]
        node: String,
    },
}

impl Control {
    /// The run that the command is about.
    pub(super) fn run(&self) -> Result<RunId, Error> {
        Ok(RunId::new(&self.target().id)?)
    }

    fn target(&self) -> &Target {
        match self {
            Control::Pause(target) | Control::Resume(target) | Control::Stop(target) => target,
            Control::Rerun { target, .. } => target,
        }
    }

    /// What is asked of the run.
    pub(super) fn action(&self) -> Result<Action, Error> {
        Ok(match self {
            Control::Pause(_) => Action::Pause,
            Control::Resume(_) => Action::Resume,
            Control::Stop(_) => Action::Stop,
            Control::Rerun { node, .. } => Action::Rerun(NodePath::parse(node)?),
        })
    }
}
