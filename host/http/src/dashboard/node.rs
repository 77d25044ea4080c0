//! A node of a run: its state, what happened, and what it got and yielded.

use super::Dashboard;
use super::error::Error;
use super::page::{Page, Size, Took, View, badge_of, time};
use super::payload::{image_type, shown};
use super::rows::{called, waits};
use super::run::lines;
use crate::Error as HttpError;
use crate::Right;
use crate::error::status_of;
use crate::payload_access::{Admitted, PayloadFault, ShownPayload};
use crate::payloads::{choose, file};
use crate::unchanged::Tag;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use faas_flow_core::run::{Attempt, NodeView, RunView, Side};
use faas_flow_core::text::printable;
use faas_flow_core::{Code, Digest, NodePath, Payload, Place, RunId};
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

/// A node as the state store has it, and what there is of its data, which is not read yet.
pub(super) struct NodeLook<'a> {
    asked: Asked<'a>,
    run: RunView,
    node: NodeView,
    /// What is shown of it besides its data.
    state: String,
    /// What there is of its input and its output, for those who may see it.
    data: Result<(Admitted<'a>, [Found; 2]), HttpError>,
    /// Whether its log may be seen.
    log: Result<(), HttpError>,
}

/// What there is of a node's input or output.
type Found = Result<Vec<NodeData>, HttpError>;

impl NodeLook<'_> {
    /// Stands for what the page says: as long as it is the same, so is the page.
    pub fn tag(&self, view: &View) -> Tag {
        let node = json!(self.node);
        let mut told = format!("{:?} {} {:?}\n{node}", view.accept(), view.up(), self.run.status);
        let mut tell = |what: &str| {
            told.push('\n');
            told.push_str(what);
        };
        match &self.data {
            Ok((_, sides)) => {
                for side in sides {
                    match side {
                        Ok(parts) => {
                            for NodeData { from, is_forwarded, payload } in parts {
                                tell(&format!("{from} {is_forwarded} {}", identity(payload)));
                            }
                        }
                        Err(error) => tell(&error.to_string()),
                    }
                    tell("");
                }
            }
            Err(error) => tell(&error.to_string()),
        }
        tell(if self.log.is_ok() { "log" } else { "" });
        Tag::of(&told)
    }
}

/// Stands for the data itself, without reading it: what a key or a document has is replaced, but never overwritten.
fn identity(payload: &Payload) -> Digest {
    let kind = payload.media_type.as_str();
    let what = match &payload.place {
        Place::Inline(bytes) => format!("inline {kind} {}", Digest::of(bytes)),
        Place::Stored { key, .. } => format!("stored {kind} {key}"),
        Place::Kept { doc, .. } => format!("kept {kind} {doc}"),
    };
    Digest::of(what.as_bytes())
}

/// Whether a page has all that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IsWhole {
    Yes,
    /// Something could not be read that may be there the next time.
    No,
}

/// The main part of a node's page in the making.
#[derive(Default)]
pub(super) struct Drawn {
    pub(super) html: String,
    /// Whether something could not be read that may be there the next time.
    has_gaps: bool,
}

impl Drawn {
    /// Says why data cannot be shown.
    pub(super) fn failed(&mut self, error: &HttpError) {
        self.has_gaps |= status_of(error.code()).is_server_error();
        let _ = writeln!(self.html, "<p class=\"card error\">{}: {}</p>", error.code(), lines(&error.to_string()));
    }
}

impl Dashboard {
    /// Looks at a node, without reading its data.
    pub(super) async fn look_at_node<'a>(
        &'a self,
        asked: Asked<'a>,
        headers: &HeaderMap,
    ) -> Result<NodeLook<'a>, HttpError> {
        let Asked { run: id, node: path, .. } = asked;
        let run = self.host.node(id, path).await?.ok_or_else(|| Error::NoRun { run: id.clone() })?;
        let node = run.nodes.first().cloned();
        let node = node.ok_or_else(|| PayloadFault::NoNode { run: id.clone(), node: path.clone() })?;
        let status = ready(Ok(run.status));
        let data = match self.access.payloads.admit(self.access.require(headers, &[Right::SeePayloads]), status).await {
            Ok(admitted) => {
                let input = admitted.parts(&self.host, id, path, Side::Input).await;
                let output = admitted.parts(&self.host, id, path, Side::Output).await;
                Ok((admitted, [input, output]))
            }
            Err(error) => Err(error),
        };
        let log = self.access.require(headers, &[Right::See]);
        Ok(NodeLook { state: state(&run, &node), asked, run, node, data, log })
    }

    /// The page of a node, and whether it has all that there is.
    pub(super) async fn node(&self, look: NodeLook<'_>) -> (Page, IsWhole) {
        let NodeLook { asked, run: view, node: found, state, data, log } = look;
        let (run, node) = (asked.run, asked.node);
        let mut drawn = Drawn { html: state, has_gaps: false };
        let mut json = json!({ "run": run, "node": found });
        match data {
            Ok((admitted, sides)) => {
                for (side, parts) in [Side::Input, Side::Output].into_iter().zip(sides) {
                    let parts = self.data(&mut drawn, &asked, admitted, (side, parts)).await;
                    if let Some(json) = json.as_object_mut() {
                        json.insert(side.as_str().to_owned(), parts);
                    }
                }
                if found.operation_data > 0 {
                    let operations = self.operations(&mut drawn, (run, node), admitted).await;
                    if let Some(json) = json.as_object_mut() {
                        json.insert("operations".to_owned(), operations);
                    }
                }
            }
            Err(error) => drawn.html.push_str(&not_admitted(node, &error)),
        }
        if found.log_lines > 0 {
            self.log(&mut drawn, (run, node), log).await;
        }
        let trail = vec![
            ("Flows".to_owned(), "../../".to_owned()),
            (view.flow.to_string(), format!("../../flows/{}", view.flow)),
            (run.to_string(), format!("../{run}")),
        ];
        let (title, live) = (format!("{} · {run}", printable(node)), !view.status.is_final());
        let Drawn { html: main, has_gaps } = drawn;
        let is_whole = if has_gaps { IsWhole::No } else { IsWhole::Yes };
        (Page { title, trail, main, aside: String::new(), live, json }, is_whole)
    }

    /// What the node's code has logged, for those who have a token with the right to see it.
    async fn log(&self, drawn: &mut Drawn, (run, node): (&RunId, &NodePath), may_see: Result<(), HttpError>) {
        let log = match may_see {
            Ok(()) => self.host.log_of(run, Some(node)).await.map_err(HttpError::from),
            Err(error) => Err(error),
        };
        drawn.html.push_str("<section id=\"log\">\n<h2>Log</h2>\n");
        match log {
            Ok(log) => {
                let lines: Vec<String> =
                    log.into_iter().flat_map(|log| log.lines).map(|line| line.to_string()).collect();
                let _ =
                    writeln!(drawn.html, "<pre class=\"payload\" tabindex=\"0\">{}</pre>", escaped(&lines.join("\n")));
            }
            Err(error) => drawn.failed(&error),
        }
        drawn.html.push_str("</section>\n");
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

    /// Draws what a node got or yielded, and returns it as JSON without the data.
    async fn data(
        &self,
        drawn: &mut Drawn,
        asked: &Asked<'_>,
        admitted: Admitted<'_>,
        (side, parts): (Side, Found),
    ) -> Value {
        let title = match side {
            Side::Input => "Input",
            Side::Output => "Output",
        };
        let _ = writeln!(drawn.html, "<section id=\"{}\">\n<h2>{title}</h2>", side.as_str());
        let list = match parts {
            Ok(parts) => self.parts(drawn, asked, admitted, (side, parts)).await,
            Err(error) => {
                drawn.failed(&error);
                Value::Null
            }
        };
        drawn.html.push_str("</section>\n");
        list
    }

    async fn parts(
        &self,
        drawn: &mut Drawn,
        asked: &Asked<'_>,
        admitted: Admitted<'_>,
        (side, mut parts): (Side, Vec<NodeData>),
    ) -> Value {
        let Asked { node, from, .. } = asked;
        let all = parts.len();
        if all == 0 {
            let _ = writeln!(drawn.html, "<p class=\"quiet\">This node has no {}, or none yet.</p>", side.as_str());
        }
        if let Some(from) = from.as_ref().filter(|_| side == Side::Input && all > 1) {
            parts.retain(|part| part.from == *from);
        }
        let mut list = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            list.push(json!({ "from": part.from, "forwarded": part.is_forwarded, "size": part.payload.size() }));
            if at < PARTS {
                // With an id, a part stays the same element when the page is renewed, and so does what is unfolded in it.
                let _ = writeln!(drawn.html, "<div id=\"{}-{at}\">", side.as_str());
                self.part(drawn, asked, admitted, (side, part)).await;
                drawn.html.push_str("</div>\n");
                continue;
            }
            let (size, from) = (Size(part.payload.size()), &part.from);
            let here = escaped(&format!("node?node={}&from={}#input", encoded(&node.to_string()), encoded(from)));
            let from = escaped(from);
            let _ =
                writeln!(drawn.html, "<p class=\"quiet\">from <a href=\"{here}\"><code>{from}</code></a> · {size}</p>");
        }
        if parts.len() < all {
            let here = escaped(&format!("node?node={}#input", encoded(&node.to_string())));
            let _ = writeln!(drawn.html, "<p class=\"quiet\"><a href=\"{here}\">all {all} parts of the input</a></p>");
        }
        Value::Array(list)
    }

    /// Draws a part of an input, or an output.
    async fn part(
        &self,
        drawn: &mut Drawn,
        asked: &Asked<'_>,
        admitted: Admitted<'_>,
        (side, part): (Side, &NodeData),
    ) {
        let Asked { run, node, .. } = asked;
        let NodeData { from, is_forwarded, payload } = part;
        if !from.is_empty() {
            let before = if *is_forwarded { ", before its forwarder" } else { "" };
            let _ = writeln!(drawn.html, "<h3>from <code>{}</code>{before}</h3>", escaped(from));
        }
        let ShownPayload { content, is_redacted } = match admitted.payload(&self.host, run, (node, side), payload).await
        {
            Ok(shown) => shown,
            Err(error) => return drawn.failed(&error),
        };
        let hidden = if is_redacted { " · parts of it are hidden (<code>***</code>)" } else { "" };
        let _ = writeln!(
            drawn.html,
            "<p class=\"quiet\"><code>{}</code> · {}{hidden} · <a href=\"{}\" download>Download</a></p>",
            escaped(content.media_type.as_str()),
            Size(content.bytes.len() as u64),
            escaped(&link(node, side, from, ""))
        );
        // Another image has another address, so that a page that renews itself loads it.
        let image = format!("{}&is={}", link(node, side, from, "/image"), identity(payload).short());
        drawn.html.push_str(&shown(&content, &image));
    }
}

/// What is known of a node besides its data.
fn state(run: &RunView, node: &NodeView) -> String {
    let mut facts = Vec::new();
    facts.extend(node.started.map(|started| format!("started {}", time(started))));
    facts.extend(node.took().map(|took| format!("took {}", Took(took))));
    let tried = node.tried();
    facts.extend((tried > 0).then(|| if tried == 1 { "1 try".to_owned() } else { format!("{tried} tries") }));
    facts.extend((node.rounds > 0).then(|| format!("round {}", node.rounds)));
    facts.extend(node.known_input_size().map(|size| format!("input {}", Size(size))));
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
        html.push_str("<section id=\"happened\">\n<h2>What happened</h2>\n<ul class=\"happened\">\n");
        for sentence in tries {
            let _ = writeln!(html, "<li>{}</li>", lines(&sentence));
        }
        html.push_str("</ul>\n</section>\n");
    }
    html
}

/// The attempts of a node, with the whole text of each failure.
fn attempts(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return String::new();
    }
    let mut html = String::from(
        "<section id=\"attempts\">\n<h2>Attempts</h2>\n<table class=\"attempts\" aria-label=\"Attempts\"><thead><tr><th>Number</th><th>Started</th><th>Took</th><th>How it ended</th></tr>\
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
        let _ = writeln!(html, "<p class=\"quiet\">{earlier} earlier attempts are not shown.</p>");
    }
    html + "</section>\n"
}

/// Why somebody sees no data. The link asks for the token, which the browser sends from then on.
fn not_admitted(node: &NodePath, error: &HttpError) -> String {
    let code = error.code();
    let ask = if code == Code::TOKEN_NEEDED {
        format!(" <a href=\"{}\">Give the token</a>", escaped(&link(node, Side::Output, "", "")))
    } else {
        String::new()
    };
    format!("<h2>Input and output</h2>\n<p class=\"card\">{code}: {}{ask}</p>\n", escaped(&error.to_string()))
}
