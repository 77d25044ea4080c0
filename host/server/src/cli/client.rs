//! The client of a server's routes of one flow.

use super::output::{Output, complain, print_json, print_text};
use super::token::AdminToken;
use crate::Error;
use bytes::Bytes;
use clap::Args;
use faas_flow_core::{Code, Digest, RunId, redact};
use faas_flow_guest::{HttpRequest, HttpResponse, Limits};
use faas_flow_http::Error as HttpError;
use faas_flow_http::remote::{self, Action, Asking, accepted};
use faas_flow_replica::{ChosenBy, Http, Network, Settings};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

/// The time for a module to be sent, compiled and stored, and for anything else.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Args)]
pub(super) struct Target {
    /// URL of the flow, for example http://gateway:8080/function/greet, or its name on the gateway at $OPENFAAS_URL [default gateway: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", env = "FAAS_FLOW_TO", hide_env_values = true)]
    to: String,
    #[command(flatten)]
    admin: AdminToken,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

impl Target {
    /// What is printed.
    pub(super) fn output(&self) -> Output {
        Output::of_flag(self.json)
    }
}

/// What the history records about a change.
#[derive(Args)]
pub(super) struct Said {
    /// Reason for the change, for the history
    #[arg(long, short, value_name = "TEXT", default_value = "", hide_default_value = true)]
    message: String,
    /// Your name, for the history [default: $USER]
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true, default_value = "", hide_default_value = true)]
    who: String,
}

impl Said {
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        vec![("who", self.who.clone()), ("message", self.message.clone())]
    }
}

/// What is asked of a flow.
pub(super) struct Asked {
    method: &'static str,
    /// The path below the flow's, without a slash before it, and the query.
    path: String,
    header: Option<(String, String)>,
    body: Bytes,
}

impl Asked {
    pub(super) fn new(method: &'static str, path: &str) -> Self {
        Self { method, path: path.to_owned(), header: None, body: Bytes::new() }
    }

    pub(super) fn with_query(mut self, query: &[(&'static str, String)]) -> Self {
        for (at, (name, value)) in query.iter().enumerate() {
            self.path.push(if at == 0 { '?' } else { '&' });
            self.path.push_str(&format!("{name}={}", part(value)));
        }
        self
    }

    /// Sends a module, and its signature if there is one.
    pub(super) fn with_module(self, module: Bytes, signature: Option<String>) -> Self {
        let header = signature.map(|line| ("X-Faas-Flow-Module-Signature".to_owned(), line));
        Self { header, body: module, ..self }
    }
}

/// One flow on one server.
pub(super) struct Client {
    http: Http,
    url: String,
    asking: Asking,
    output: Output,
}

impl Client {
    pub(super) fn new(Target { to, admin, json }: Target) -> Result<Self, Error> {
        Self::to(to, admin.asking(), Output::of_flag(json))
    }

    /// A client for the flow at a URL, or of a name.
    pub(super) fn to(to: String, asking: Asking, output: Output) -> Result<Self, Error> {
        let url = if to.contains("://") { to } else { format!("{}/function/{to}", gateway().trim_end_matches('/')) };
        // Whatever can be pushed can be pulled.
        let response_limit = Limits::default().module_bytes;
        let settings = Settings { call_timeout: PATIENCE, response_limit, ..Settings::default() };
        Ok(Self { http: Http::new(&settings)?, url: url.trim_end_matches('/').to_owned(), asking, output })
    }

    pub(super) async fn get(&self, path: &str, query: &[(&'static str, String)]) -> Result<Value, Error> {
        self.ask(Asked::new("GET", path).with_query(query)).await
    }

    /// What is not JSON as a whole, but text, such as a line of JSON for each thing.
    pub(super) async fn text(&self, path: &str, query: &[(&'static str, String)]) -> Result<String, Error> {
        let mut asked = Asked::new("GET", path).with_query(query);
        asked.header = Some(("Accept".to_owned(), "application/json".to_owned()));
        let answer = self.send(asked).await?;
        String::from_utf8(answer.into()).map_err(|_| Error::NotAFlow { url: redact::url(&self.url) })
    }

    pub(super) async fn post(&self, path: &str, query: &[(&'static str, String)]) -> Result<Value, Error> {
        self.ask(Asked::new("POST", path).with_query(query)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<(), Error> {
        self.send(Asked::new("DELETE", path)).await.map(drop)
    }

    /// Fetches the module of a version.
    pub(super) async fn module(&self, digest: &Digest) -> Result<Bytes, Error> {
        let bytes = self.send(Asked::new("GET", &format!("modules/{digest}/flow.wasm"))).await?;
        let found = Digest::of(&bytes);
        if found != *digest {
            let url = redact::url(&self.url);
            return Err(Error::WrongModule { url, bytes: bytes.len(), found, digest: digest.clone() });
        }
        Ok(bytes)
    }

    /// The digest of the version that begins with these digits.
    pub(super) async fn digest(&self, digits: &str) -> Result<Digest, Error> {
        if let Ok(digest) = Digest::new(digits) {
            return Ok(digest);
        }
        let version = self.get(&format!("modules/{}", part(digits)), &[]).await?;
        let digest = version.get("digest").and_then(Value::as_str).unwrap_or_default();
        Ok(Digest::new(digest)?)
    }

    /// Asks for something that is answered as JSON.
    pub(super) async fn ask(&self, asked: Asked) -> Result<Value, Error> {
        let answer = self.send(asked).await?;
        serde_json::from_slice(&answer).map_err(|_| Error::NotAFlow { url: redact::url(&self.url) })
    }

    /// Asks for something that may be anything.
    pub(super) async fn fetch(&self, path: &str, query: &[(&'static str, String)]) -> Result<HttpResponse, Error> {
        self.answered(Asked::new("GET", path).with_query(query)).await
    }

    async fn send(&self, asked: Asked) -> Result<Bytes, Error> {
        Ok(self.answered(asked).await?.body)
    }

    async fn answered(&self, Asked { method, path, header, body }: Asked) -> Result<HttpResponse, Error> {
        let headers = header.into_iter().chain(self.asking.headers()).collect();
        let request = HttpRequest { method: method.to_owned(), url: format!("{}/{path}", self.url), headers, body };
        let answer = tokio::time::timeout(PATIENCE, self.http.send(request, ChosenBy::Operator)).await;
        let answer = answer.map_err(|_| Error::NoResponse { url: redact::url(&self.url), limit: PATIENCE })??;
        match accepted(answer) {
            Ok(answer) => Ok(answer),
            // The routes of a server or a gateway, or those of something else.
            Err(HttpError::Refused { code: Code::ROUTE_UNKNOWN | Code::CALL_STATUS, status: 404, .. }) => {
                Err(Error::NoFlowThere { url: redact::url(&self.url) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Asks to change a run of the flow, and returns the answer's text.
    pub(super) async fn control(&self, run: &RunId, action: &Action) -> Result<String, Error> {
        Ok(remote::control(&self.http, &self.url, run, action, &self.asking).await?)
    }

    /// The URL of the flow, without what may be secret.
    pub(super) fn place(&self) -> String {
        redact::url(&self.url)
    }

    /// Prints what is going on to stderr, unless JSON was asked for.
    pub(super) fn say(&self, what: String) {
        if self.output == Output::Text {
            complain(what);
        }
    }

    /// Prints the result.
    pub(super) fn done(&self, json: &Value, text: impl FnOnce() -> String) -> Result<ExitCode, Error> {
        match self.output {
            Output::Json => print_json(json)?,
            Output::Text => print_text(text()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The gateway that is asked if a command names none.
pub(super) fn gateway() -> String {
    std::env::var("OPENFAAS_URL").unwrap_or_else(|_| "http://127.0.0.1:8080".to_owned())
}

/// Encodes text as a part of a path or query.
pub(super) fn part(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
