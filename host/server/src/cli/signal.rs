//! `faas-flow signal`: sends a signal to a run, on a server that is asked over HTTP.

use super::output::{Output, print_json, print_text};
use super::requests::Servers;
use super::run::read_data;
use super::token::AdminToken;
use crate::Error;
use clap::Args;
use faas_flow_core::{FlowName, MediaType, RunId, SignalName};
use faas_flow_http::remote::{Action, Signal};
use serde_json::Value;
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct SignalRun {
    /// Request id of the run
    id: String,
    /// Name of the signal
    name: String,
    /// Body of the signal, with which the waiting node continues: text, @FILE, or @- for stdin [default: nothing]
    #[arg(long, short)]
    data: Option<String>,
    /// Media type of the body [default: application/octet-stream]
    #[arg(long, value_name = "MEDIA-TYPE", requires = "data", value_parser = MediaType::parse)]
    content_type: Option<MediaType>,
    /// Idempotency key: of several signals with the same name and key, only the first counts
    #[arg(long)]
    key: Option<String>,
    /// URL of the flow, for example http://gateway:8080/function/greet, or its name on the gateway at $OPENFAAS_URL; or URL of a gateway or server [default: $OPENFAAS_URL or http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", env = "FAAS_FLOW_TO", hide_env_values = true)]
    to: Option<String>,
    /// Name of the flow; needed if the gateway does not list its flows
    #[arg(long, value_name = "NAME")]
    flow: Option<String>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    admin: AdminToken,
}

impl SignalRun {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let Self { id, name, data, content_type, key, to, flow, json, admin } = self;
        let (run, output) = (RunId::new(&id)?, Output::of_flag(json));
        let signal = Signal {
            name: SignalName::new(&name)?,
            body: data.as_deref().map(read_data).transpose()?.unwrap_or_default().into(),
            media_type: content_type,
            key,
            as_json: output == Output::Json,
        };
        let to = to.unwrap_or_else(super::client::gateway);
        let servers = Servers::new(to, flow.map(FlowName::new).transpose()?, admin.asking());
        let said = servers.control(&run, &Action::Signal(signal)).await?;
        match output {
            Output::Json => print_json(&serde_json::from_str::<Value>(&said).unwrap_or(Value::String(said)))?,
            Output::Text => print_text(format_args!("{said}\n")),
        }
        Ok(ExitCode::SUCCESS)
    }
}
