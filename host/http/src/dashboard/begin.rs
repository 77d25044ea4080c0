//! Starting a run from the dashboard: the form, and the request that it stands for.

use super::Dashboard;
use super::access::About;
use super::control::Control;
use super::error::Error;
use super::form::Form;
use crate::invoke::{kept_headers, labels_of};
use crate::remote::{accepted, flow_at};
use crate::request::Query;
use crate::{Error as HttpError, REQUEST_ID, STATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use faas_flow_core::run::Request;
use faas_flow_core::{Content, FlowName, MediaType, RunId};
use faas_flow_graph::escaped;
use faas_flow_guest::HttpRequest;
use faas_flow_replica::network::ChosenBy;
use faas_flow_replica::{Submission, Waits};

/// Headers that mean something to a caller who waits for the answer, or that belong to the connection.
const NOT_HERE: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "transfer-encoding",
    "x-callback-url",
    "x-faas-flow-callback-url",
    "x-faas-flow-reqid",
    "x-faas-flow-start-at",
    "x-faas-flow-wait",
];

/// What somebody has typed to start a run.
pub(super) struct Typed {
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Typed {
    pub fn of(form: &Form) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        for line in form.field("headers").lines().filter(|line| !line.trim().is_empty()) {
            let (name, value) = header(line).ok_or_else(|| Error::BadHeaderLine { line: line.to_owned() })?;
            if NOT_HERE.contains(&name.as_str()) {
                return Err(Error::HeaderNotHere { name });
            }
            headers.append(name, value);
        }
        let query = form.field("query").trim().trim_start_matches('?').to_owned();
        // Browsers end lines in forms with CRLF, whatever was typed.
        Ok(Self { query, headers, body: form.field("body").replace("\r\n", "\n").into() })
    }
}

/// A header on a line: `Name: value`.
fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

impl Dashboard {
    /// The form that starts a run.
    pub(super) fn begins(&self, flow: &FlowName) -> String {
        let ticket = self.access.ticket(About::Flow(flow));
        let flow = escaped(flow.as_str());
        format!(
            "<h2 id=\"start\">Start a run</h2>\n<form class=\"run\" method=\"post\" action=\"{flow}/run\">\
             <input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\
             <label>Body <textarea name=\"body\" rows=\"4\"></textarea></label>\
             <details id=\"more\"><summary>Headers, query and reason</summary>\
             <label>Headers, one on each line <textarea name=\"headers\" rows=\"3\" \
             placeholder=\"Content-Type: application/json\"></textarea></label>\
             <label>Query <input name=\"query\" placeholder=\"color=red\"></label>\
             <label>Reason <input name=\"reason\" maxlength=\"1000\"></label></details>\
             <button>Start</button></form>"
        )
    }

    /// Starts a run.
    pub(super) async fn begin(&self, flow: &FlowName, typed: Typed, form: &Form) -> Result<RunId, HttpError> {
        let begun = self.begin_at(flow, typed).await;
        self.record("start", form, (Some(flow), begun.as_ref().ok(), ""), &begun).await;
        begun
    }

    async fn begin_at(&self, flow: &FlowName, typed: Typed) -> Result<RunId, HttpError> {
        let Typed { query, headers, body } = typed;
        match &self.control {
            Control::Here => {
                let kept = kept_headers(&headers, &self.host.settings().keep_headers);
                let body = Content::new(body, MediaType::of_message(&kept));
                let labels = labels_of(&headers)?;
                let request = Request { query: Query::parse(&query).0, headers: kept };
                let submission = Submission { body, labels, request, ..Submission::default() };
                Ok(self.host.submit(flow, submission, Waits::No).await?.id)
            }
            Control::Gateway { network, gateway, .. } => {
                let run = self.host.draw_id();
                let mut url = flow_at(gateway, flow);
                if !query.is_empty() {
                    let pairs = form_urlencoded::parse(query.as_bytes());
                    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                    url = format!("{url}?{query}");
                }
                let given = headers.iter();
                let given = given
                    .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
                let headers = given.chain([(REQUEST_ID.to_string(), run.to_string())]).collect();
                let request = HttpRequest { method: "POST".to_owned(), url, headers, body };
                let answer = network.send(request, ChosenBy::Operator).await?;
                // A run that failed has its own page, which says more.
                let begun = answer.headers.iter().any(|(name, _)| name == STATE.as_str());
                if begun { Ok(run) } else { accepted(answer).map(|_| run) }
            }
            Control::Nobody => Err(Error::ReadOnly.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    fn typed(headers: &str) -> Result<Vec<(String, String)>, Code> {
        let form = Form::of_pairs(&[("headers", headers), ("query", "?a=1"), ("body", "one\r\ntwo")]);
        let typed = Typed::of(&form).map_err(|error| error.code())?;
        assert_eq!((typed.query.as_str(), &typed.body[..]), ("a=1", &b"one\ntwo"[..]));
        let headers = typed.headers.iter();
        Ok(headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect())
    }

    #[test]
    fn headers_are_typed_one_on_each_line() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(typed("X-Team: a: b\r\n\r\n  x-other :c"), Ok(vec![pair("x-team", "a: b"), pair("x-other", "c")]));
        for bad in ["no colon", ": no name", "bad name: x", "X-Faas-Flow-Reqid: r", "Host: elsewhere"] {
            assert_eq!(typed(bad), Err(Code::BAD_REQUEST), "{bad}");
        }
    }
}
