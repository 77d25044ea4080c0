//! Beginning, pausing, resuming, stopping and re-running: by the host itself, or by whichever replica the gateway chooses.

use super::Dashboard;
use crate::{Error, Network, Submission, Waits};
use bytes::Bytes;
use faas_flow_core::{Code, FlowName, NodePath, RunId};
use faas_flow_guest::{HttpRequest, HttpResponse};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
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

/// What may be done to a run.
pub(crate) enum Action {
    Pause,
    Resume,
    Stop,
    /// From this node on.
    Rerun(NodePath),
}

impl Action {
    /// What it is called in the routes of a flow.
    fn route(&self) -> String {
        match self {
            Action::Pause => "pause".to_owned(),
            Action::Resume => "resume".to_owned(),
            Action::Stop => "stop".to_owned(),
            Action::Rerun(path) => format!("rerun?node={}", utf8_percent_encode(&path.to_string(), NON_ALPHANUMERIC)),
        }
    }
}

impl Dashboard {
    pub(super) fn has_buttons(&self) -> bool {
        !matches!(self.control, Control::Nobody)
    }

    /// Begins a run.
    pub(super) async fn begin(&self, flow: &FlowName, body: Bytes) -> Result<RunId, Error> {
        match &self.control {
            Control::Here => {
                let submission = Submission { id: None, body, request: Default::default(), callback: None };
                Ok(self.host.submit(flow, submission, Waits::No).await?.id)
            }
            Control::Gateway { network, gateway, .. } => {
                let run = RunId::new(xid::new().to_string())?;
                let url = format!("{}/function/{flow}", gateway.trim_end_matches('/'));
                let headers = vec![("X-Faas-Flow-Reqid".to_owned(), run.to_string())];
                let request = HttpRequest { method: "POST".to_owned(), url, headers, body };
                let answer = network.send(request).await?;
                // A run that failed has its own page, which says more.
                let begun = answer.headers.iter().any(|(name, _)| name == "x-faas-flow-state");
                if begun { Ok(run) } else { said(&answer).map(|_| run) }
            }
            Control::Nobody => Err(nobody()),
        }
    }

    pub(super) async fn control(&self, run: &RunId, action: Action) -> Result<(), Error> {
        match &self.control {
            Control::Here => match action {
                Action::Pause => self.host.pause(run).await,
                Action::Resume => self.host.resume(run).await,
                Action::Stop => self.host.stop(run).await,
                Action::Rerun(path) => self.host.rerun(run, &path).await,
            },
            Control::Gateway { network, gateway, token } => {
                let entry = self.host.state().entry(run).await?;
                let flow = entry.ok_or_else(|| super::run::unknown(run))?.flow;
                over_http(&**network, gateway, &flow, run, &action, token.as_deref()).await.map(drop)
            }
            Control::Nobody => Err(nobody()),
        }
    }
}

fn nobody() -> Error {
    Error::new(Code::ROUTE_UNKNOWN, "this dashboard only shows: it has no `gateway` to ask for changes")
}

/// Asks a server or gateway to change a run; answers with what it says.
pub(crate) async fn over_http(
    network: &dyn Network,
    server: &str,
    flow: &FlowName,
    run: &RunId,
    action: &Action,
    token: Option<&str>,
) -> Result<String, Error> {
    let url = format!("{}/function/{flow}/flow/{run}/{}", server.trim_end_matches('/'), action.route());
    let authorization = token.map(|token| ("Authorization".to_owned(), format!("Bearer {token}")));
    let headers = authorization.into_iter().collect();
    let request = HttpRequest { method: "POST".to_owned(), url, headers, body: Default::default() };
    said(&network.send(request).await?)
}

/// What was answered, or the error that it tells of.
fn said(answer: &HttpResponse) -> Result<String, Error> {
    let said = String::from_utf8_lossy(&answer.body).trim().to_owned();
    if (200..300).contains(&answer.status) {
        return Ok(said);
    }
    let code = answer.headers.iter().find(|(name, _)| name == "x-faas-flow-error");
    let code = code.and_then(|(_, code)| Code::parse(code)).unwrap_or(Code::CALL_STATUS);
    let said = said.strip_prefix(&format!("{code}: ")).unwrap_or(&said);
    Err(Error::new(code, format!("the server refuses (status {}): {said}", answer.status)))
}
