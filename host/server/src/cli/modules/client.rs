//! Asks a server about a flow's versions.

use super::super::common;
use crate::remote::accepted;
use crate::{Error, Http, Network, Settings};
use bytes::Bytes;
use clap::Args;
use faas_flow_core::{Code, Digest};
use faas_flow_guest::{HttpRequest, Limits};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

/// For a module to be sent, compiled and stored.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Args)]
pub(super) struct Target {
    /// The flow, as it is called: http://gateway:8080/function/greet; or its name, on $OPENFAAS_URL or this machine's port 8080
    #[arg(long, value_name = "URL", env = "FAAS_FLOW_TO")]
    to: String,
    /// What a server wants to hear that others can reach: its faasflow-admin-token
    #[arg(long, env = "FAAS_FLOW_ADMIN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is kept with a change.
#[derive(Args)]
pub(super) struct Said {
    /// Why, for those who look at the history
    #[arg(long, short, value_name = "TEXT", default_value = "")]
    message: String,
    /// Who you are, for them [default: $USER]
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true, default_value = "")]
    who: String,
}

impl Said {
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        vec![("who", self.who.clone()), ("message", self.message.clone())]
    }
}

/// One flow on one server.
pub(in super::super) struct Client {
    http: Http,
    url: String,
    token: Option<String>,
    json: bool,
}

impl Client {
    pub(super) fn new(Target { to, token, json }: Target) -> Result<Self, Error> {
        Self::to(to, token, json)
    }

    /// What a flow is called by, or its name.
    pub(in super::super) fn to(to: String, token: Option<String>, json: bool) -> Result<Self, Error> {
        let url = match to.contains("://") {
            true => to,
            false => {
                let gateway = std::env::var("OPENFAAS_URL").unwrap_or_else(|_| "http://127.0.0.1:8080".to_owned());
                format!("{}/function/{to}", gateway.trim_end_matches('/'))
            }
        };
        // What can be pushed can be pulled.
        let response_limit = Limits::default().module_bytes;
        let settings = Settings { call_timeout: PATIENCE, response_limit, ..Settings::default() };
        Ok(Self { http: Http::new(&settings)?, url: url.trim_end_matches('/').to_owned(), token, json })
    }

    pub(super) async fn get(&self, path: &str, query: &[(&'static str, String)]) -> Result<Value, Error> {
        self.ask("GET", path, query, None, Bytes::new()).await
    }

    pub(super) async fn post(&self, path: &str, query: &[(&'static str, String)]) -> Result<Value, Error> {
        self.ask("POST", path, query, None, Bytes::new()).await
    }

    /// A version's module, whole.
    pub(in super::super) async fn module(&self, digest: &Digest) -> Result<Bytes, Error> {
        let bytes = self.send("GET", &format!("modules/{digest}/flow.wasm"), &[], None, Bytes::new()).await?;
        let found = Digest::of(&bytes);
        if found != *digest {
            let message = format!(
                "{} answered with {} bytes of sha256 {} for module {}: pull it again, or push the module again",
                self.url,
                bytes.len(),
                found.short(),
                digest.short()
            );
            return Err(Error::new(Code::DIGEST_MISMATCH, message));
        }
        Ok(bytes)
    }

    /// The whole digest of the version that begins so.
    pub(super) async fn digest(&self, digits: &str) -> Result<Digest, Error> {
        match Digest::new(digits) {
            Ok(digest) => Ok(digest),
            Err(_) => {
                let version = self.get(&format!("modules/{}", part(digits)), &[]).await?;
                let digest = version.get("digest").and_then(Value::as_str).unwrap_or_default();
                Ok(Digest::new(digest)?)
            }
        }
    }

    pub(in super::super) async fn ask(
        &self,
        method: &str,
        path: &str,
        query: &[(&'static str, String)],
        header: Option<(String, String)>,
        body: Bytes,
    ) -> Result<Value, Error> {
        let answer = self.send(method, path, query, header, body).await?;
        serde_json::from_slice(&answer).map_err(|_| {
            let message = format!(
                "{} is no flow of faas-flow, or one of an older version: it answers with something else",
                self.url
            );
            Error::new(Code::CALL_STATUS, message)
        })
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        query: &[(&'static str, String)],
        header: Option<(String, String)>,
        body: Bytes,
    ) -> Result<Bytes, Error> {
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", part(value))).collect();
        let url = match query.is_empty() {
            true => format!("{}/{path}", self.url),
            false => format!("{}/{path}?{}", self.url, query.join("&")),
        };
        let mut headers: Vec<_> = header.into_iter().collect();
        headers.extend(self.token.iter().map(|token| ("Authorization".to_owned(), format!("Bearer {token}"))));
        let request = HttpRequest { method: method.to_owned(), url, headers, body };
        let answer = tokio::time::timeout(PATIENCE, self.http.send(request)).await;
        let answer = answer.map_err(|_| {
            Error::new(Code::CALL_TIMED_OUT, format!("{} did not answer within {} s", self.url, PATIENCE.as_secs()))
        })??;
        Ok(accepted(answer)?.body)
    }

    /// What goes on, for people.
    pub(super) fn say(&self, what: String) {
        if !self.json {
            eprintln!("{what}");
        }
    }

    /// Prints what came out.
    pub(super) fn done(&self, json: &Value, text: impl FnOnce() -> String) -> Result<ExitCode, Error> {
        match self.json {
            true => common::print_json(json)?,
            false => common::print(text()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The header that a module's signature travels in.
pub(in super::super) fn signed(line: Option<String>) -> Option<(String, String)> {
    line.map(|line| ("X-Faas-Flow-Module-Signature".to_owned(), line))
}

/// Text as a part of a path or a query.
pub(super) fn part(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
