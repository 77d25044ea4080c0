//! `faas-flow requests pause`, `resume`, `stop` and `rerun`: asks a server over HTTP.

use super::common;
use crate::remote::{self, Action};
use crate::{Error, Http, Settings};
use clap::{Args, Subcommand};
use faas_flow_core::{FlowName, NodePath, RunId};

#[derive(Args)]
pub(super) struct Target {
    /// The run's request id
    id: String,
    /// The server or gateway that has the flow
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", env = "FAAS_FLOW_SERVER")]
    server: String,
    /// What a server wants to hear that others can reach: its faasflow-admin-token
    #[arg(long, env = "FAAS_FLOW_ADMIN_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

#[derive(Subcommand)]
pub(super) enum Control {
    /// Lets nothing new start in a run
    Pause(Target),
    /// Lets a paused run go on
    Resume(Target),
    /// Ends a run
    Stop(Target),
    /// Runs a node of a run, and all that follows it, again
    Rerun {
        #[command(flatten)]
        target: Target,
        /// The node's path, as in C[c1]/n1
        #[arg(long)]
        node: String,
    },
}

impl Control {
    /// The run that is meant.
    pub(super) fn run(&self) -> Result<RunId, Error> {
        Ok(RunId::new(&self.target().id)?)
    }

    fn target(&self) -> &Target {
        match self {
            Control::Pause(target) | Control::Resume(target) | Control::Stop(target) => target,
            Control::Rerun { target, .. } => target,
        }
    }

    /// Asks the server, and prints what it answers.
    pub(super) async fn ask(&self, flow: &FlowName) -> Result<(), Error> {
        let (Target { id, server, token }, action) = (self.target(), self.action()?);
        let network = Http::new(&Settings::default())?;
        let said = remote::control(&network, server, flow, &RunId::new(id)?, &action, token.as_deref()).await?;
        common::print(format!("{said}\n"));
        Ok(())
    }

    fn action(&self) -> Result<Action, Error> {
        Ok(match self {
            Control::Pause(_) => Action::Pause,
            Control::Resume(_) => Action::Resume,
            Control::Stop(_) => Action::Stop,
            Control::Rerun { node, .. } => Action::Rerun(NodePath::parse(node)?),
        })
    }
}
