//! Two runs side by side: their nodes' states, durations, tries and sizes. What differs is marked.

use super::Dashboard;
use super::error::Error;
use super::node::page_of;
use super::page::{Page, Size, Took, badge, badge_of, time};
use super::rows::{Asked, Row, Table, described};
use crate::request::{FromQuery, Query};
use crate::{Error as HttpError, NodesQuery, Right};
use axum::http::HeaderMap;
use faas_flow_core::run::{RunView, Side as NodeSide, Tally};
use faas_flow_core::{NodePath, RunId};
use faas_flow_graph::escaped;
use faas_flow_replica::Enough;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::ready;

/// How many nodes of each run are compared.
const COMPARED: u64 = 1000;
/// Durations differ if one is longer by this factor, and by so many milliseconds.
const FACTOR: u64 = 2;
const LEAST: u64 = 100;

/// How many inputs are read for that, and how large each of them may be, in bytes.
const READ: usize = 50;
const LARGEST: u64 = 64 << 10;

/// With which run a run is compared.
pub(super) struct With(pub RunId);

impl FromQuery for With {
    fn from_query(query: &Query) -> Result<Self, HttpError> {
        Ok(Self(RunId::new(query.first("with").unwrap_or_default().trim())?))
    }
}

/// A run with the rows of its table.
struct Side {
    view: RunView,
    rows: BTreeMap<NodePath, Row>,
    order: Vec<NodePath>,
    count: usize,
}

impl Dashboard {
    /// The page that compares two runs.
    pub(super) async fn compare(&self, run: &RunId, with: &RunId, headers: &HeaderMap) -> Result<Page, HttpError> {
        let (left, right) = (self.side(run).await?, self.side(with).await?);
        let mut main = format!("<h1>Run <code>{run}</code> compared with <code>{with}</code></h1>\n");
        main.push_str(&heads(&left.view, &right.view, self.host.now()));
        main.push_str(
            "<h2>Nodes</h2>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Nodes\"><table class=\"compared\" aria-label=\"Nodes of both runs\"><thead><tr>\
             <th>Node</th><th colspan=\"2\">Progress</th><th colspan=\"2\">Duration</th><th colspan=\"2\">Tries</th>\
             <th colspan=\"2\">Input</th><th colspan=\"2\">Output</th></tr></thead><tbody>\n",
        );
        let mut nodes = Vec::new();
        let mut read = 0;
        let others = right.order.iter().filter(|path| !left.rows.contains_key(*path));
        for path in left.order.iter().chain(others) {
            let (a, b) = (left.rows.get(path), right.rows.get(path));
            let sizes = [a, b].map(|row| row.map(|row| row.node.input_size));
            let inputs = match sizes {
                [Some(a), Some(b)] if a == b && (1..=LARGEST).contains(&a) && read < READ => {
                    read += 1;
                    self.same_inputs([&left, &right], path, headers).await
                }
                [Some(0), Some(0)] => Some(true),
                [Some(a), Some(b)] => (a != b).then_some(false),
                _ => None,
            };
            main.push_str(&row(path, (run, a), (with, b), inputs));
            let side = |row: Option<&Row>| {
                row.map(|row| json!({ "progress": row.node.progress, "took": row.node.took(), "tries": row.node.tried(), "input_size": row.node.input_size, "output_size": row.node.output_size }))
            };
            nodes.push(json!({ "path": path, "left": side(a), "right": side(b), "same_input": inputs }));
        }
        main.push_str("</tbody></table></div>\n");
        if left.count.max(right.count) as u64 > COMPARED {
            let _ = writeln!(main, "<p class=\"quiet\">Only the first {COMPARED} nodes of each run are compared.</p>");
        }
        let flow = &left.view.flow;
        let trail = vec![
            ("Flows".to_owned(), "../../".to_owned()),
            (flow.to_string(), format!("../../flows/{flow}")),
            (run.to_string(), format!("../{run}")),
        ];
        let json = json!({ "left": run, "right": with, "nodes": nodes });
        Ok(Page { title: format!("{run} and {with}"), trail, main, aside: String::new(), live: false, json })
    }

    /// Whether a node got the same in both runs; `None` for those who may not see that.
    async fn same_inputs(&self, sides: [&Side; 2], node: &NodePath, headers: &HeaderMap) -> Option<bool> {
        let [left, right] = sides.map(async |side| {
            let status = ready(Ok(side.view.status));
            let admitted =
                self.access.payloads.admit(self.access.require(headers, &[Right::SeePayloads]), status).await.ok()?;
            let run = &side.view.request_id;
            let mut inputs = Vec::new();
            for part in admitted.parts(&self.host, run, node, NodeSide::Input).await.ok()? {
                let shown = admitted.payload(&self.host, run, (node, NodeSide::Input), &part.payload).await.ok()?;
                inputs.push((part.from, shown.content.bytes));
            }
            Some(inputs)
        });
        Some(left.await? == right.await?)
    }

    async fn side(&self, run: &RunId) -> Result<Side, HttpError> {
        let look = self.host.look(run, Enough::Whole).await?.ok_or_else(|| Error::NoRun { run: run.clone() })?;
        let shown = look.shown();
        let nodes = NodesQuery { failed: false, offset: 0, limit: COMPARED };
        let table = Table::new(&shown, Asked { nodes, branches: None });
        let count = table.count();
        let rows = table.into_rows();
        let order = rows.iter().map(|row| row.node.path.clone()).collect();
        let rows = rows.into_iter().map(|row| (row.node.path.clone(), row)).collect();
        Ok(Side { view: shown.head(), rows, order, count })
    }
}

fn heads(left: &RunView, right: &RunView, now: u64) -> String {
    let line = |run: &RunView| {
        let failure =
            run.failure.as_ref().map_or(String::new(), |failure| format!(" · {}", escaped(&failure.to_string())));
        format!(
            "<li><a href=\"../{id}\"><code>{id}</code></a> {} · version <code>{}</code> · started {} · took {}{failure}</li>\n",
            badge(run.status),
            run.digest.short(),
            time(run.started),
            Took(run.took(now)),
            id = run.request_id
        )
    };
    format!("<ul class=\"compared\">\n{}{}</ul>\n", line(left), line(right))
}

/// A row of the table, with a cell for each run.
fn row(
    path: &NodePath,
    (left, a): (&RunId, Option<&Row>),
    (right, b): (&RunId, Option<&Row>),
    same_input: Option<bool>,
) -> String {
    let link = |run: &RunId, row: Option<&Row>| {
        row.map_or(String::new(), |row| {
            let tally = row.branches.map_or(String::new(), |tally: Tally| format!("<br>{}", described(&tally)));
            let page = escaped(&page_of(run, path));
            format!("<a href=\"../{page}\">{}</a>{tally}", badge_of(row.node.progress.as_str()))
        })
    };
    let progress = |row: Option<&Row>| row.map(|row| (row.node.progress, row.branches));
    let took = |row: Option<&Row>| row.and_then(|row| row.node.took());
    let shown_took = |row| took(row).map_or(String::new(), |took| Took(took).to_string());
    let slower = match (took(a), took(b)) {
        (Some(a), Some(b)) => a.abs_diff(b) >= LEAST && a.max(b) >= a.min(b).saturating_mul(FACTOR),
        _ => false,
    };
    let tries = |row: Option<&Row>| row.map(|row| row.node.tried());
    let input = |row: Option<&Row>| row.map(|row| row.node.input_size);
    let output = |row: Option<&Row>| row.and_then(|row| row.node.output_size);
    let shown = |value: Option<usize>| value.map_or(String::new(), |value| value.to_string());
    let size = |value: Option<u64>| value.map_or(String::new(), |value| Size(value).to_string());
    let input_words = if same_input == Some(true) { "<br><span class=\"quiet\">the same</span>" } else { "" };
    let cells = [
        pair(link(left, a), link(right, b), progress(a) != progress(b)),
        pair(shown_took(a), shown_took(b), slower),
        pair(shown(tries(a)), shown(tries(b)), tries(a) != tries(b)),
        pair(size(input(a)), size(input(b)) + input_words, same_input == Some(false)),
        pair(size(output(a)), size(output(b)), output(a) != output(b)),
    ];
    format!("<tr><th scope=\"row\"><code>{}</code></th>{}</tr>\n", escaped(&path.to_string()), cells.concat())
}

/// Two cells, marked if they differ.
fn pair(a: String, b: String, differs: bool) -> String {
    let (class, word) =
        if differs { (" class=\"differs\"", "<span class=\"unseen\"> (differs)</span>") } else { ("", "") };
    format!("<td{class}>{a}</td><td{class}>{b}{word}</td>")
}

/// Where a run can be compared with another one.
pub(super) fn form(run: &RunId) -> String {
    format!(
        "<form class=\"compare\" method=\"get\" action=\"{run}/compare\"><label>Compare with run <input name=\"with\" required \
         maxlength=\"64\" pattern=\"[A-Za-z0-9_\\-]+\"></label> <button class=\"small\">Compare</button></form>\n"
    )
}
