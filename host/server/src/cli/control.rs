//! `faas-flow requests pause`, `resume`, `stop` and `rerun`: asks a server over HTTP.

use super::output::print_text;
use super::token::AdminToken;
use crate::Error;
use clap::{Args, Subcommand};
use faas_flow_core::{FlowName, NodePath, RunId};
use faas_flow_http::remote::{self, Action};
use faas_flow_replica::{Http, Settings};

#[derive(Args)]
pub(super) struct Target {
    /// Request id of the run
    id: String,
    /// Server or gateway that serves the flow
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        env = "FAAS_FLOW_SERVER",
        hide_env_values = true
    )]
    server: String,
    #[command(flatten)]
    admin: AdminToken,
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

    /// Sends the request to the server, and prints the response.
    pub(super) async fn ask(&self, flow: &FlowName) -> Result<(), Error> {
        let Target { id, server, admin } = self.target();
        let action = self.action()?;
        let network = Http::new(&Settings::default())?;
        let said = remote::control(&network, server, flow, &RunId::new(id)?, &action, admin.token.as_deref()).await?;
        print_text(format_args!("{said}\n"));
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
