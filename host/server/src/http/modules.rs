//! `/modules…`: an operator's requests about the versions of a flow. All of them need the token.

use super::Surface;
use super::answer::{self, axum_json};
use super::ask::{self, Request};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use faas_flow_core::{Code, Digest};
use faas_flow_replica::{Error, Host};
use faas_flow_versions::{
    Activation, Active, Artifact, By, Canary, CanaryRule, Expected, IfRemoved, Keep, Removal, RunCounts, Share, Upload,
    Withdrawn,
};
use serde::Serialize;
use serde_json::json;

/// The line of a pushed module's signature.
const SIGNATURE: &str = "x-faas-flow-module-signature";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Modules {
    List,
    Show(String),
    Pull(String),
    Push(String),
    Activate(String),
    RollBack,
    Promote,
    Withdraw,
    Collect,
    Plan,
}

impl Modules {
    /// What is asked for below `modules`.
    pub fn read(path: &[&str], method: &Method) -> Option<Self> {
        Some(match path {
            [] => Modules::List,
            ["rollback"] => Modules::RollBack,
            ["promote"] => Modules::Promote,
            ["withdraw"] => Modules::Withdraw,
            ["gc"] => Modules::Collect,
            ["plan"] => Modules::Plan,
            [digest] if *method == Method::PUT => Modules::Push(ask::decode(digest)),
            [digest] => Modules::Show(ask::decode(digest)),
            [digest, "flow.wasm"] => Modules::Pull(ask::decode(digest)),
            [digest, "activate"] => Modules::Activate(ask::decode(digest)),
            _ => return None,
        })
    }

    pub fn methods(&self) -> &'static [Method] {
        match self {
            Modules::List | Modules::Pull(_) => &[Method::GET],
            Modules::Show(_) | Modules::Push(_) => &[Method::GET, Method::PUT],
            _ => &[Method::POST],
        }
    }

    /// The largest body, where it is not that of any request.
    pub fn largest(&self, host: &Host) -> Option<usize> {
        matches!(self, Modules::Push(_) | Modules::Plan).then(|| host.versions().module_limit()).flatten()
    }
}

/// What is in service after a change.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct InService {
    revision: u64,
    active: Option<Activation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<Canary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawn: Option<Withdrawn>,
}

impl Surface {
    pub(super) async fn modules(&self, request: &Request<'_>, ask: Modules) -> Result<Response, Error> {
        let answered = self.answer_modules(request, ask).await;
        match answered {
            // The fault of what was pushed, not of the host.
            Err(Error::Versions(error)) if error.is_bad_module() => {
                let mut response = answer::failed(&error.into(), request.caller);
                *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
                Ok(response)
            }
            answered => answered,
        }
    }

    async fn answer_modules(&self, request: &Request<'_>, ask: Modules) -> Result<Response, Error> {
        let (versions, flow) = (self.host.versions(), request.flow);
        let changed = match ask {
            Modules::List => {
                let counts = if switch(request, "runs")? { RunCounts::Count } else { RunCounts::Omit };
                return json(StatusCode::OK, &versions.list(flow, counts).await?);
            }
            Modules::Show(digits) => return json(StatusCode::OK, &versions.find(flow, &digits).await?),
            Modules::Pull(digits) => {
                let version = versions.find(flow, &digits).await?;
                let bytes = versions.module_bytes(flow, &version).await?;
                return Ok(([(header::CONTENT_TYPE, "application/wasm")], bytes).into_response());
            }
            Modules::Push(digest) => {
                let digest = Digest::new(&digest)?;
                let by = self.by(request)?;
                let if_removed = if switch(request, "again")? { IfRemoved::StoreAgain } else { IfRemoved::Refuse };
                let signature = request.header(SIGNATURE);
                let upload = Upload { digest, bytes: request.body.clone(), by, signature, if_removed };
                let pushed = versions.push(flow, upload).await?;
                let status = if pushed.known { StatusCode::OK } else { StatusCode::CREATED };
                return json(status, &json!({ "version": pushed.version, "known": pushed.known }));
            }
            Modules::Plan => {
                let artifact = Artifact::new(request.body.clone(), request.header(SIGNATURE));
                return json(StatusCode::OK, &versions.plan(flow, &artifact).await?);
            }
            Modules::Collect => {
                let removal = if switch(request, "dry-run")? { Removal::DryRun } else { Removal::Apply };
                let mut keep = Keep::default();
                if let Some(predecessors) = number(request, "keep")? {
                    let few = usize::try_from(predecessors).ok().filter(|few| *few <= Keep::MOST);
                    keep.predecessors = few.ok_or_else(|| malformed("keep", "at most 1000"))?;
                }
                if let Some(recent) = request.parameter("recent") {
                    keep.recent = super::invoke::parse_wait(recent)?;
                }
                return json(StatusCode::OK, &versions.collect(flow, keep, removal).await?);
            }
            Modules::Activate(digits) => {
                let digest = versions.find(flow, &digits).await?.digest;
                let (expected, by) = (expected(request)?, self.by(request)?);
                match request.parameter("canary").map(str::parse::<Share>).transpose()? {
                    Some(share) => versions.start_canary(flow, (&digest, share), rule(request)?, expected, by).await?,
                    None => versions.activate(flow, &digest, expected, by).await?,
                }
            }
            Modules::RollBack => versions.roll_back(flow, expected(request)?, self.by(request)?).await?,
            Modules::Promote => versions.promote(flow, expected(request)?, self.by(request)?).await?,
            Modules::Withdraw => versions.withdraw(flow, expected(request)?, self.by(request)?).await?,
        };
        let (Active { history, canary, withdrawn, .. }, revision) = changed;
        let active = history.into_iter().next();
        json(StatusCode::OK, &InService { revision, active, canary, withdrawn })
    }

    fn by(&self, request: &Request<'_>) -> Result<By, Error> {
        let text = |name| request.parameter(name).unwrap_or_default();
        Ok(By::new(text("who"), text("message"), self.host.now())?)
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, Error> {
    let value = serde_json::to_value(value);
    let value = value.map_err(|error| Error::new(Code::INTERNAL, format!("cannot write JSON: {error}")))?;
    let mut response = axum_json(&value);
    *response.status_mut() = status;
    Ok(response)
}

fn malformed(name: &str, rule: &str) -> Error {
    Error::new(Code::BAD_REQUEST, format!("the query parameter `{name}` must be {rule}"))
}

fn number(request: &Request<'_>, name: &str) -> Result<Option<u64>, Error> {
    let number = request.parameter(name).map(str::parse).transpose();
    number.map_err(|_| malformed(name, "a number"))
}

fn switch(request: &Request<'_>, name: &str) -> Result<bool, Error> {
    match request.parameter(name) {
        None | Some("false") => Ok(false),
        Some("true" | "") => Ok(true),
        Some(_) => Err(malformed(name, "true or false")),
    }
}

/// When a canary is withdrawn; the rule's defaults hold for what the request leaves out.
fn rule(request: &Request<'_>) -> Result<CanaryRule, Error> {
    let default = CanaryRule::default();
    let max_failures = request.parameter("max-failures").map(str::parse).transpose()?;
    let over = number(request, "over")?;
    let rule = CanaryRule::new(
        max_failures.unwrap_or(default.max_failures()),
        over.unwrap_or_else(|| u64::from(default.over())),
    );
    Ok(rule?)
}

fn expected(request: &Request<'_>) -> Result<Expected, Error> {
    Ok(number(request, "revision")?.map_or(Expected::Any, Expected::Revision))
}
