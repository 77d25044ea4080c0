//! Pausing, resuming and stopping: by the host itself, or by whichever replica the gateway chooses.

use super::Dashboard;
use crate::{Error, Network};
use faas_flow_core::{Code, FlowName, RunId};
use faas_flow_guest::HttpRequest;
use std::sync::Arc;

/// Who changes runs when a button is pressed.
pub(crate) enum Control {
    /// The host that serves the dashboard.
    Here,
    /// Replicas behind this gateway, which want to hear their token.
    Gateway { network: Arc<dyn Network>, gateway: String, token: Option<String> },
    /// Nobody: there are no buttons.
    Nobody,
}

impl Dashboard {
    pub(super) fn has_buttons(&self) -> bool {
        !matches!(self.control, Control::Nobody)
    }

    pub(super) async fn control(&self, run: &RunId, what: &str) -> Result<(), Error> {
        match &self.control {
            Control::Here => match what {
                "pause" => self.host.pause(run).await,
                "resume" => self.host.resume(run).await,
                _ => self.host.stop(run).await,
            },
            Control::Gateway { network, gateway, token } => {
                let entry = self.host.state().entry(run).await?;
                let flow = entry.ok_or_else(|| super::run::unknown(run))?.flow;
                over_http(&**network, gateway, &flow, run, what, token.as_deref()).await.map(drop)
            }
            Control::Nobody => {
                let message = "this dashboard only shows: it has no `gateway` to ask for changes";
                Err(Error::new(Code::ROUTE_UNKNOWN, message))
            }
        }
    }
}

/// Asks a server or gateway to change a run; answers with what it says.
pub(crate) async fn over_http(
    network: &dyn Network,
    server: &str,
    flow: &FlowName,
    run: &RunId,
    what: &str,
    token: Option<&str>,
) -> Result<String, Error> {
    let url = format!("{}/function/{flow}/flow/{run}/{what}", server.trim_end_matches('/'));
    let authorization = token.map(|token| ("Authorization".to_owned(), format!("Bearer {token}")));
    let headers = authorization.into_iter().collect();
    let request = HttpRequest { method: "POST".to_owned(), url, headers, body: Default::default() };
    let answer = network.send(request).await?;
    let said = String::from_utf8_lossy(&answer.body).trim().to_owned();
    if (200..300).contains(&answer.status) {
        return Ok(said);
    }
    let code = answer.headers.iter().find(|(name, _)| name == "x-faas-flow-error");
    let code = code.and_then(|(_, code)| Code::parse(code)).unwrap_or(Code::CALL_STATUS);
    let said = said.strip_prefix(&format!("{code}: ")).unwrap_or(&said);
    Err(Error::new(code, format!("the server refuses (status {}): {said}", answer.status)))
}
