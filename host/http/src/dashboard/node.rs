//! A node of a run: its state, what happened, and what it got and yielded.

use super::Dashboard;
use super::error::Error;
use super::page::{Page, Size, Took, badge_of, time};
use super::payload::{image_type, shown};
use super::rows::{called, waits};
use super::run::lines;
use crate::Error as HttpError;
use crate::Right;
use crate::payload_access::{Admitted, PayloadFault, ShownPayload};
use crate::payloads::{choose, file};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use faas_flow_core::run::{Attempt, NodeView, RunView, Side};
use faas_flow_core::text::printable;
use faas_flow_core::{Code, NodePath, RunId};
use faas_flow_graph::escaped;
use faas_flow_replica::NodeData;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::future::ready;

/// How many of a node's latest attempts are shown.
const ATTEMPTS: usize = 100;
/// How many parts of an input are shown at once.
const PARTS: usize = 8;

/// Which data of which node somebody asks for.
pub(super) struct Asked<'a> {
    pub run: &'a RunId,
    pub node: &'a NodePath,
    /// Of an input: the node that it comes from.
    pub from: Option<String>,
}

/// A link to the data of a node, from the node's page: `node/output?node=n1`.
fn link(node: &NodePath, side: Side, from: &str, what: &str) -> String {
    let mut link = format!("node/{}{what}?node={}", side.as_str(), encoded(&node.to_string()));
    if !from.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(link, "&from={}", encoded(from));
    }
    link
}

pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A link to the page of a node, from the page of its run.
pub(super) fn page_of(run: &RunId, node: &NodePath) -> String {
    format!("{run}/node?node={}", encoded(&node.to_string()))
}

/// A link to the branches of a node, from the page of its run.
pub(super) fn branches_of(run: &RunId, node: &NodePath) -> String {
    format!("{run}?branches={}#nodes", encoded(&node.to_string()))
}

impl Dashboard {
    /// The page of a node.
    pub(super) async fn node(&self, asked: Asked<'_>, headers: &HeaderMap) -> Result<Page, HttpError> {
        let Asked { run, node, .. } = &asked;
        let view = self.host.node(run, node).await?.ok_or_else(|| Error::NoRun { run: (*run).clone() })?;
        let found = view.nodes.first();
        let found = found.ok_or_else(|| PayloadFault::NoNode { run: (*run).clone(), node: (*node).clone() })?;
        let mut main = self.state(&view, found);
        let mut json = json!({ "run": run, "node": found });
        let status = ready(Ok(view.status));
        match self.access.payloads.admit(self.access.require(headers, &[Right::SeePayloads]), status).await {
            Ok(admitted) => {
                for side in [Side::Input, Side::Output] {
                    let (html, parts) = self.data(&asked, admitted, side).await;
                    main.push_str(&html);
                    if let Some(json) = json.as_object_mut() {
                        json.insert(side.as_str().to_owned(), parts);
                    }
                }
                if found.operation_data > 0 {
                    let (html, operations) = self.operations(run, node, admitted).await;
                    main.push_str(&html);
                    if let Some(json) = json.as_object_mut() {
                        json.insert("operations".to_owned(), operations);
                    }
                }
            }
            Err(error) => main.push_str(&not_admitted(node, &error)),
        }
        if found.log_lines > 0 {
            main.push_str(&self.log(run, node, headers).await);
        }
        let trail = vec![
            ("Flows".to_owned(), "../../".to_owned()),
            (view.flow.to_string(), format!("../../flows/{}", view.flow)),
            (run.to_string(), format!("../{run}")),
        ];
        // It is not renewed by itself, so that what somebody has unfolded stays so.
        Ok(Page {
            title: format!("{} · {run}", printable(node)), trail, main, aside: String::new(), live: false, json
        })
    }

    /// What the node's code has logged, for those who have a token with the right to see it.
    async fn log(&self, run: &RunId, node: &NodePath, headers: &HeaderMap) -> String {
        let log = match self.access.require(headers, &[Right::See]) {
            Ok(()) => self.host.log_of(run, Some(node)).await.map_err(HttpError::from),
            Err(error) => Err(error),
        };
        let shown = match log {
            Ok(log) => {
                let lines: Vec<String> =
                    log.into_iter().flat_map(|log| log.lines).map(|line| line.to_string()).collect();
                format!("<pre class=\"payload\" tabindex=\"0\">{}</pre>\n", escaped(&lines.join("\n")))
            }
            Err(error) => failed(&error),
        };
        format!("<h1 id=\"log\">Log</h1>\n{shown}")
    }

    /// A file with a node's input or output.
    pub(super) async fn file(&self, asked: Asked<'_>, side: Side, headers: &HeaderMap) -> Result<Response, HttpError> {
        let run = asked.run;
        let (part, shown) = self.payload(asked, side, headers).await?;
        Ok(file(run, side, part, shown, None))
    }

    /// A node's input or output as an image of the page.
    pub(super) async fn image(&self, asked: Asked<'_>, side: Side, headers: &HeaderMap) -> Result<Response, HttpError> {
        let none = PayloadFault::None {
            node: asked.node.clone(),
            side: side.as_str(),
            why: "it is not an image that is shown",
        };
        let (_, ShownPayload { content, .. }) = self.payload(asked, side, headers).await?;
        let kind = image_type(&content.bytes).ok_or(none)?;
        let mut response = content.bytes.into_response();
        crate::browser::make_inert(&mut response);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Ok(response)
    }

    async fn payload(
        &self,
        Asked { run, node, from }: Asked<'_>,
        side: Side,
        headers: &HeaderMap,
    ) -> Result<(NodeData, ShownPayload), HttpError> {
        let status = async {
            let view = self.host.head(run).await?;
            Ok(view.ok_or_else(|| Error::NoRun { run: run.clone() })?.status)
        };
        let admitted = self.access.payloads.admit(self.access.require(headers, &[Right::SeePayloads]), status).await?;
        let part = choose(admitted.parts(&self.host, run, node, side).await?, node, side, from)?;
        let shown = admitted.payload(&self.host, run, (node, side), &part.payload).await?;
        Ok((part, shown))
    }

    /// What a node got or yielded, as HTML and as JSON without the data.
    async fn data(&self, asked: &Asked<'_>, admitted: Admitted<'_>, side: Side) -> (String, Value) {
        let Asked { run, node, from } = asked;
        let title = match side {
            Side::Input => "Input",
            Side::Output => "Output",
        };
        let mut html = format!("<h1 id=\"{}\">{title}</h1>\n", side.as_str());
        let mut parts = match admitted.parts(&self.host, run, node, side).await {
            Ok(parts) => parts,
            Err(error) => {
                html.push_str(&failed(&error));
                return (html, Value::Null);
            }
        };
        let all = parts.len();
        if all == 0 {
            let why = "There is none: it is not there yet, or there never is one.";
            let _ = writeln!(html, "<p class=\"quiet\">{why}</p>");
        }
        if let Some(from) = from.as_ref().filter(|_| side == Side::Input && all > 1) {
            parts.retain(|part| part.from == *from);
        }
        let mut list = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            list.push(json!({ "from": part.from, "forwarded": part.is_forwarded, "size": part.payload.size() }));
            if at < PARTS {
                html.push_str(&self.part(asked, admitted, side, part).await);
                continue;
            }
            let (size, from) = (Size(part.payload.size()), &part.from);
            let here = escaped(&format!("node?node={}&from={}#input", encoded(&node.to_string()), encoded(from)));
            let from = escaped(from);
            let _ = writeln!(html, "<p class=\"quiet\">from <a href=\"{here}\"><code>{from}</code></a> · {size}</p>");
        }
        if parts.len() < all {
            let here = escaped(&format!("node?node={}#input", encoded(&node.to_string())));
            let _ = writeln!(html, "<p class=\"quiet\"><a href=\"{here}\">all {all} parts of the input</a></p>");
        }
        (html, Value::Array(list))
    }

    /// A part of an input, or an output.
    async fn part(&self, asked: &Asked<'_>, admitted: Admitted<'_>, side: Side, part: &NodeData) -> String {
        let Asked { run, node, .. } = asked;
        let NodeData { from, is_forwarded, payload } = part;
        let mut html = String::new();
        if !from.is_empty() {
            let before = if *is_forwarded { ", before its forwarder" } else { "" };
            let _ = writeln!(html, "<h2>from <code>{}</code>{before}</h2>", escaped(from));
        }
        let ShownPayload { content, is_redacted } = match admitted.payload(&self.host, run, (node, side), payload).await
        {
            Ok(shown) => shown,
            Err(error) => return html + &failed(&error),
        };
        let hidden = if is_redacted { " · parts of it are hidden (<code>***</code>)" } else { "" };
        let _ = writeln!(
            html,
            "<p class=\"quiet\"><code>{}</code> · {}{hidden} · <a href=\"{}\" download>Download</a></p>",
            escaped(content.media_type.as_str()),
            Size(content.bytes.len() as u64),
            escaped(&link(node, side, from, ""))
        );
        html + &shown(&content, &link(node, side, from, "/image"))
    }

    /// What is known of a node besides its data.
    fn state(&self, run: &RunView, node: &NodeView) -> String {
        let mut facts = Vec::new();
        facts.extend(node.started.map(|started| format!("started {}", time(started))));
        facts.extend(node.took().map(|took| format!("took {}", Took(took))));
        let tried = node.tried();
        facts.extend((tried > 0).then(|| if tried == 1 { "1 try".to_owned() } else { format!("{tried} tries") }));
        facts.extend((node.rounds > 0).then(|| format!("round {}", node.rounds)));
        facts.push(format!("input {}", Size(node.input_size)));
        facts.extend(node.output_size.map(|size| format!("output {}", Size(size))));
        let mut html = format!(
            "<h1><code>{}</code> {}</h1>\n<p class=\"quiet\">of run <a href=\"../{2}\"><code>{2}</code></a> · {3}</p>\n",
            escaped(&node.path.to_string()),
            badge_of(node.progress.as_str()),
            escaped(run.request_id.as_str()),
            facts.join(" · ")
        );
        for line in waits(node).into_iter().chain(called(node, "../")) {
            let _ = writeln!(html, "<p class=\"quiet\">{line}</p>");
        }
        html.push_str(&attempts(&node.attempts));
        let tries = node.happened_besides_attempts();
        if !tries.is_empty() {
            html.push_str("<h1>What happened</h1>\n<ul class=\"happened\">\n");
            for sentence in tries {
                let _ = writeln!(html, "<li>{}</li>", lines(&sentence));
            }
            html.push_str("</ul>\n");
        }
        html
    }
}

/// The attempts of a node, with the whole text of each failure.
fn attempts(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return String::new();
    }
    let mut html = String::from(
        "<h1>Attempts</h1>\n<table class=\"attempts\"><thead><tr><th>Number</th><th>Started</th><th>Took</th><th>How it ended</th></tr>\
         </thead><tbody>\n",
    );
    let earlier = attempts.len().saturating_sub(ATTEMPTS);
    for (number, Attempt { started, ended, failure, next }) in (1..).zip(attempts).skip(earlier) {
        let end = failure.as_ref().map_or("succeeded".to_owned(), |failure| lines(&failure.to_string()));
        let next = next.map_or(String::new(), |next| format!("\nnext attempt {}", time(next)));
        let _ = writeln!(
            html,
            "<tr><td class=\"number\">{number}</td><td>{}</td><td class=\"number\">{}</td><td class=\"ended\">{end}{next}</td></tr>",
            time(*started),
            Took(ended.saturating_sub(*started))
        );
    }
    html.push_str("</tbody></table>\n");
    if earlier > 0 {
        let _ = writeln!(html, "<p class=\"quiet\">{earlier} earlier attempts are left out.</p>");
    }
    html
}

/// Why data cannot be shown.
pub(super) fn failed(error: &HttpError) -> String {
    format!("<p class=\"card error\">{}: {}</p>\n", error.code(), lines(&error.to_string()))
}

/// Why somebody sees no data. The link asks for the token, which the browser sends from then on.
fn not_admitted(node: &NodePath, error: &HttpError) -> String {
    let code = error.code();
    let ask = if code == Code::TOKEN_NEEDED {
        format!(" <a href=\"{}\">Give the token</a>", escaped(&link(node, Side::Output, "", "")))
    } else {
        String::new()
    };
    format!("<h1>Input and output</h1>\n<p class=\"card\">{code}: {}{ask}</p>\n", escaped(&error.to_string()))
}
