//! Asks another server, or a gateway, to change a run.

use crate::access::{FROM, REASON, USER};
use crate::{ERROR, Error};
use bytes::Bytes;
use faas_flow_core::{Code, FlowName, MediaType, NodePath, RunId, SignalName};
use faas_flow_guest::{HttpRequest, HttpResponse};
use faas_flow_replica::network::{ChosenBy, Network};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Who asks another server: with which token, on whose behalf, and why.
#[derive(Debug, Clone, Default)]
pub struct Asking {
    /// The bearer token.
    pub token: Option<String>,
    /// On whose behalf, if that is somebody else than the token's bearer; only the admin token is believed.
    pub user: Option<String>,
    /// From which address they ask.
    pub from: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl Asking {
    /// With this token.
    pub fn with(token: Option<String>) -> Self {
        Self { token, ..Self::default() }
    }

    /// The headers that say so.
    pub fn headers(&self) -> Vec<(String, String)> {
        let Self { token, user, from, reason } = self;
        let authorization = token.as_ref().map(|token| ("Authorization".to_owned(), format!("Bearer {token}")));
        let said = [(USER, user), (FROM, from), (REASON, reason)].into_iter();
        let said = said.filter_map(|(name, said)| Some((name.to_string(), said.clone()?)));
        authorization.into_iter().chain(said).collect()
    }
}

/// A change of a run.
pub enum Action {
    /// Schedules no new nodes until the run is resumed.
    Pause,
    /// Resumes a paused run.
    Resume,
    /// Ends the run.
    Stop,
    /// Executes something again.
    Rerun(Rerun),
    /// Sends the callback of an ended run once more.
    Callback,
    /// Sends a signal.
    Signal(Signal),
}

/// A signal to a run.
pub struct Signal {
    /// Its name.
    pub name: SignalName,
    /// Its body.
    pub body: Bytes,
    /// What the body is.
    pub media_type: Option<MediaType>,
    /// Its idempotency key.
    pub key: Option<String>,
    /// Whether the answer is to be JSON.
    pub as_json: bool,
}

/// What is executed again.
pub struct Rerun {
    /// This node, and everything that follows it; `None` for what failed or was cut off.
    pub node: Option<NodePath>,
    /// What the node gets as its input; if this is empty, what it got before.
    pub input: Bytes,
    /// What the input is.
    pub media_type: Option<MediaType>,
}

impl Action {
    /// The id of its operation.
    pub(crate) fn operation(&self) -> &'static str {
        match self {
            Action::Pause => "pause",
            Action::Resume => "resume",
            Action::Stop => "stop",
            Action::Callback => "callback",
            Action::Signal(_) => "signal",
            Action::Rerun(_) => "rerun",
        }
    }

    /// What it is about besides the run.
    pub(crate) fn target(&self) -> String {
        match self {
            Action::Signal(Signal { name, .. }) => name.to_string(),
            Action::Rerun(Rerun { node: Some(node), .. }) => node.to_string(),
            _ => String::new(),
        }
    }

    /// The end of the route that it has among those of a flow.
    fn route(&self) -> String {
        match self {
            Action::Pause => "pause".to_owned(),
            Action::Resume => "resume".to_owned(),
            Action::Stop => "stop".to_owned(),
            Action::Callback => "callback".to_owned(),
            Action::Signal(Signal { name, .. }) => format!("signal/{name}"),
            Action::Rerun(Rerun { node: None, .. }) => "rerun".to_owned(),
            Action::Rerun(Rerun { node: Some(path), .. }) => {
                format!("rerun?node={}", utf8_percent_encode(&path.to_string(), NON_ALPHANUMERIC))
            }
        }
    }
}

/// The URL of a flow on a server or gateway.
pub fn flow_at(server: &str, flow: &FlowName) -> String {
    format!("{}/function/{flow}", server.trim_end_matches('/'))
}

/// Asks the flow at this URL to change a run, and returns its answer's text.
pub async fn control(
    network: &dyn Network,
    flow: &str,
    run: &RunId,
    action: &Action,
    asking: &Asking,
) -> Result<String, Error> {
    let url = format!("{}/flow/{run}/{}", flow.trim_end_matches('/'), action.route());
    let mut headers = asking.headers();
    let mut body = Bytes::new();
    if let Action::Rerun(Rerun { input, media_type, .. }) = action {
        body = input.clone();
        headers.extend(media_type.as_ref().map(|media_type| ("Content-Type".to_owned(), media_type.to_string())));
    }
    if let Action::Signal(Signal { body: given, media_type, key, as_json, .. }) = action {
        body = given.clone();
        headers.extend(media_type.as_ref().map(|media_type| ("Content-Type".to_owned(), media_type.to_string())));
        headers.extend(key.as_ref().map(|key| ("X-Faas-Flow-Idempotency-Key".to_owned(), key.clone())));
        headers.extend(as_json.then(|| ("Accept".to_owned(), "application/json".to_owned())));
    }
    let request = HttpRequest { method: "POST".to_owned(), url, headers, body };
    Ok(text(&accepted(network.send(request, ChosenBy::Operator).await?)?))
}

/// The answer, or the error that it reports.
pub fn accepted(answer: HttpResponse) -> Result<HttpResponse, Error> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let text = text(&answer);
    let code = answer.headers.iter().find(|(name, _)| name == ERROR.as_str());
    let code = code.and_then(|(_, code)| Code::parse(code)).unwrap_or(Code::CALL_STATUS);
    let message = match serde_json::from_str::<Problem>(&text) {
        Ok(Problem { message }) => message,
        Err(_) => text.strip_prefix(&format!("{code}: ")).unwrap_or(&text).to_owned(),
    };
    Err(Error::Refused { code, status: answer.status, message })
}

/// What an error says as JSON. Its code is in a header, too.
#[derive(serde::Deserialize)]
struct Problem {
    message: String,
}

fn text(answer: &HttpResponse) -> String {
    String::from_utf8_lossy(&answer.body).trim().to_owned()
}
