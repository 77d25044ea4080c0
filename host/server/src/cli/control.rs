//! `faas-flow requests pause`, `resume`, `stop` and `rerun`: asks a server over HTTP.

use super::common;
use crate::{Error, Http, Network, Settings};
use clap::{Args, Subcommand};
use faas_flow_core::{Code, FlowName, NodePath, RunId};
use faas_flow_guest::HttpRequest;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

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
        let (Target { id, server, token }, server_path) = (self.target(), self.path()?);
        let url = format!("{}/function/{flow}/flow/{id}/{server_path}", server.trim_end_matches('/'));
        let authorization = token.iter().map(|token| ("Authorization".to_owned(), format!("Bearer {token}")));
        let request =
            HttpRequest { method: "POST".to_owned(), url, headers: authorization.collect(), body: Default::default() };
        let answer = Http::new(&Settings::default())?.send(request).await?;
        let said = String::from_utf8_lossy(&answer.body).trim().to_owned();
        if (200..300).contains(&answer.status) {
            common::print(format!("{said}\n"));
            return Ok(());
        }
        let code = answer.headers.iter().find(|(name, _)| name == "x-faas-flow-error");
        let code = code.and_then(|(_, code)| Code::parse(code)).unwrap_or(Code::CALL_STATUS);
        let said = said.strip_prefix(&format!("{code}: ")).unwrap_or(&said);
        Err(Error::new(code, format!("the server refuses (status {}): {said}", answer.status)))
    }

    fn path(&self) -> Result<String, Error> {
        Ok(match self {
            Control::Pause(_) => "pause".to_owned(),
            Control::Resume(_) => "resume".to_owned(),
            Control::Stop(_) => "stop".to_owned(),
            Control::Rerun { node, .. } => {
                let node = NodePath::parse(node)?.to_string();
                format!("rerun?node={}", utf8_percent_encode(&node, NON_ALPHANUMERIC))
            }
        })
    }
}
