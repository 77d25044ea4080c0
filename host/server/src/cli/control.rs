//! `faas-flow requests pause`, `resume`, `stop`, `rerun` and `callback`: asks a server over HTTP.

use super::run::read_data;
use crate::Error;
use clap::{Args, Subcommand};
use faas_flow_core::{MediaType, NodePath, RunId};
use faas_flow_http::remote::{Action, Rerun};

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
    /// Continue from what failed or was cut off, or run a node and all nodes after it again
    Rerun {
        #[command(flatten)]
        target: Target,
        /// Path of the node, for example C[c1]/n1 [default: what failed or was cut off]
        #[arg(long)]
        node: Option<String>,
        /// New input of the node: text, @FILE, or @- for stdin [default: its previous input]
        #[arg(long, short, requires = "node", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        data: Option<String>,
        /// Media type of the new input [default: application/octet-stream]
        #[arg(long, value_name = "MEDIA-TYPE", requires = "data", value_parser = MediaType::parse)]
        content_type: Option<MediaType>,
    },
    /// Send the callback of a run once more, after the run has ended
    Callback(Target),
}

impl Control {
    /// The run that the command is about.
    pub(super) fn run(&self) -> Result<RunId, Error> {
        Ok(RunId::new(&self.target().id)?)
    }

    fn target(&self) -> &Target {
        match self {
            Control::Pause(target) | Control::Resume(target) | Control::Stop(target) | Control::Callback(target) => {
                target
            }
            Control::Rerun { target, .. } => target,
        }
    }

    /// What is asked of the run.
    pub(super) fn action(&self) -> Result<Action, Error> {
        Ok(match self {
            Control::Pause(_) => Action::Pause,
            Control::Resume(_) => Action::Resume,
            Control::Stop(_) => Action::Stop,
            Control::Callback(_) => Action::Callback,
            Control::Rerun { node, data, content_type, .. } => {
                let node = node.as_deref().map(NodePath::parse).transpose()?;
                let input = data.as_deref().map(read_data).transpose()?.unwrap_or_default().into();
                Action::Rerun(Rerun { node, input, media_type: content_type.clone() })
            }
        })
    }
}
