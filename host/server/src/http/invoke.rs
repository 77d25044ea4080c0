//! New requests to a flow.

use super::Surface;
use super::answer::{self, Caller, REQUEST_ID, insert};
use super::ask::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use faas_flow_core::run::{Doc, Request as Kept, Run};
use faas_flow_core::{Code, Digest, FlowName, RunId};
use faas_flow_replica::{Ended, Error, Submission, Waits};
use faas_flow_versions::runs::read;
use std::time::Duration;

const WAIT: &str = "x-faas-flow-wait";
const CALLBACK: &str = "x-faas-flow-callback-url";
/// Kept with a run whose caller chose the id, so that a repeated request is told from another one.
const BODY: &str = "x-faas-flow-body-digest";
/// Headers that a run does not keep: they let their owner in somewhere, or are the host's own.
const NOT_KEPT: [&str; 6] =
    ["authorization", "cookie", "proxy-authorization", "x-hub-signature", "x-hub-signature-256", BODY];
/// How long the first of two requests with one id may take to be stored.
const TWIN: Duration = Duration::from_secs(2);

impl Surface {
    pub(super) async fn invoke(&self, request: Request<'_>, asynchronous: bool) -> Result<Response, Error> {
        self.guards.authenticate(&request)?;
        let id = request.header(REQUEST_ID).map(RunId::new).transpose()?;
        let callback = self.guards.callback(request.header(CALLBACK).as_deref())?;
        let wait = self.wait_of(&request)?.filter(|_| !asynchronous);
        let Request { flow, caller, headers, query, body, about, .. } = request;
        let mut kept = kept(&headers);
        let digest = id.as_ref().map(|_| Digest::of(&body).to_string());
        kept.extend(digest.clone().map(|digest| (BODY.to_owned(), digest)));
        let submission =
            Submission { id: id.clone(), body, request: Kept { query, headers: kept }, callback: callback.clone() };
        let settings = self.host.settings();
        let waits = match wait.or(settings.default_wait) {
            _ if asynchronous => Waits::No,
            Some(_) => Waits::Yes,
            None => Waits::ForOneNode,
        };
        let patience = |answers: bool| match (wait, answers) {
            _ if asynchronous => None,
            (Some(wait), _) => Some(wait),
            // A flow of a single node answers with its result, as in the original; any other goes on by itself.
            (None, true) => Some(settings.max_wait),
            (None, false) => settings.default_wait.map(|wait| about.in_time(wait)),
        };
        let (run, ended) = match (self.host.submit(flow, submission, waits).await, id, digest) {
            (Ok(run), ..) => {
                about.set(&run.id);
                let ended = match patience(run.answers()) {
                    Some(wait) => run.end(wait).await?,
                    None => None,
                };
                (run.id, ended)
            }
            (Err(error), Some(id), Some(digest)) if error.code() == Code::RUN_EXISTS => {
                let run = self.same(flow, &id, &digest).await?;
                about.set(&id);
                let ended = match patience(self.host.answers(&run).await?) {
                    Some(wait) => self.host.wait(&id, wait).await?,
                    None => None,
                };
                (id, ended)
            }
            (Err(error), ..) => return Err(error),
        };
        let mut response = answer_to(flow, &run, ended.as_deref(), caller);
        if let Some(callback) = callback {
            insert(response.headers_mut(), CALLBACK, &callback);
        }
        Ok(response)
    }

    /// How long the caller waits, if it does.
    pub(super) fn wait_of(&self, request: &Request<'_>) -> Result<Option<Duration>, Error> {
        let wait = request.header(WAIT).map(|wait| parse_wait(&wait)).transpose()?;
        Ok(wait.map(|wait| request.about.in_time(wait.min(self.host.settings().max_wait))))
    }

    /// The run that has this id was begun by the same request: the same flow, the same body.
    async fn same(&self, flow: &FlowName, id: &RunId, digest: &str) -> Result<Run, Error> {
        let taken = |what: &str| {
            let message = format!("the request id {id} belongs to a run {what}: choose another");
            Err(Error::new(Code::RUN_EXISTS, message))
        };
        let until = tokio::time::Instant::now() + TWIN;
        let document = loop {
            match self.host.state().read(id, &[Doc::Run.name()]).await?.into_iter().next().flatten() {
                Some(document) => break document,
                None if tokio::time::Instant::now() >= until => return taken("that is just being begun"),
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let run: Run = read(id, &document)?;
        let body = run.request.headers.iter().find(|(name, _)| name == BODY);
        match body {
            _ if run.flow != *flow => taken("of another flow"),
            Some((_, body)) if body == digest => Ok(run),
            _ => taken("with another body"),
        }
    }
}

fn answer_to(flow: &FlowName, run: &RunId, ended: Option<&Ended>, caller: Caller) -> Response {
    let mut response = match ended {
        Some(ended) => answer::ended(run, ended, caller),
        None => StatusCode::ACCEPTED.into_response(),
    };
    let accepted = response.status() == StatusCode::ACCEPTED;
    let headers = response.headers_mut();
    insert(headers, REQUEST_ID, run.as_str());
    if accepted {
        insert(headers, header::LOCATION.as_str(), &format!("/function/{flow}/flow/{run}/result"));
    }
    response
}

pub(super) fn kept(headers: &HeaderMap) -> Vec<(String, String)> {
    let kept = headers.iter().filter(|(name, _)| !NOT_KEPT.contains(&name.as_str()));
    kept.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

/// `30s`, `500ms`, `2m`, or seconds.
pub(super) fn parse_wait(text: &str) -> Result<Duration, Error> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let count = Some(digits).filter(|digits| digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit()));
    let wait = count.and_then(|count| count.parse::<u64>().ok()).and_then(|count| match unit {
        "ms" => Some(Duration::from_millis(count)),
        "s" | "" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_secs(count.saturating_mul(60))),
        _ => None,
    });
    wait.ok_or_else(|| {
        let text: String = text.escape_debug().take(40).collect();
        Error::new(Code::BAD_REQUEST, format!("`{text}` is no time to wait: write 30s, 500ms or 2m"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_with_their_units() {
        assert_eq!(parse_wait("30s").unwrap(), Duration::from_secs(30));
        assert_eq!(parse_wait("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(parse_wait("2m").unwrap(), Duration::from_secs(120));
        for bad in ["soon", "", "-1s", "+1s", "1h", "\u{fffd}", &"9".repeat(40)] {
            assert_eq!(parse_wait(bad).unwrap_err().code(), Code::BAD_REQUEST, "{bad}");
        }
    }
}
