//! The nodes of a run as a table. A node with many branches is a row with a bar of their states, which leads to the branches.

use super::form::REASON;
use super::node::{branches_of, page_of};
use super::page::{Size, Took, badge_of, time};
use super::run::CHANGE;
use crate::request::{FromQuery, Query};
use crate::{Error as HttpError, NodesPage, NodesQuery};
use faas_flow_core::run::{Awaited, Called, NodeView, Progress, Tally, WaitView};
use faas_flow_core::{NodePath, RunId, Status};
use faas_flow_graph::escaped;
use faas_flow_replica::Shown;
use std::borrow::Cow;
use std::fmt::Write as _;

/// How many of a node's latest failures are shown.
const FAILURES: usize = 10;
/// How many letters of each of them are shown.
const LETTERS: usize = 500;
/// How many branches a page shows at most.
const BRANCHES: u64 = 100;
/// In units of the bar's own: its width, and the least of a state that a branch is in.
const BAR: f64 = 200.0;
const LEAST: f64 = 3.0;

/// Which rows somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub nodes: NodesQuery,
    /// The node whose branches are to be shown.
    pub branches: Option<NodePath>,
}

impl FromQuery for Asked {
    fn from_query(query: &Query) -> Result<Self, HttpError> {
        let nodes = NodesQuery::from_query(query)?;
        let branches = query.first("branches").filter(|path| !path.is_empty());
        let bad = |_| HttpError::BadParameter { name: "branches", rule: "the path of a node" };
        Ok(Self { nodes, branches: branches.map(NodePath::parse).transpose().map_err(bad)? })
    }
}

/// A row: a node, and what has become of its branches if it has many.
pub(super) struct Row {
    pub node: NodeView,
    pub branches: Option<Tally>,
}

/// A page of rows.
pub(super) struct Table {
    run: RunId,
    asked: Asked,
    rows: Vec<Row>,
    /// How many nodes, or branches, there are on all pages.
    count: usize,
    next: Option<u64>,
}

impl Table {
    pub fn new(shown: &Shown, mut asked: Asked) -> Self {
        let run = shown.run();
        if asked.branches.is_some() {
            asked.nodes.limit = asked.nodes.limit.min(BRANCHES);
        }
        let NodesQuery { failed, offset, limit } = asked.nodes;
        let (rows, count) = if failed {
            let NodesPage { nodes, count, .. } = asked.nodes.page(run, shown.scopes());
            (nodes.into_iter().map(|node| Row { node, branches: None }).collect(), count)
        } else {
            let page = (usize::try_from(offset).unwrap_or(usize::MAX), limit as usize);
            let found = shown.scopes().rows(run, asked.branches.as_ref(), page);
            let row = |row: &faas_flow_core::run::Row<'_>| Row { node: row.node.view(), branches: row.branches };
            (found.rows.iter().map(row).collect(), found.count)
        };
        let next = Some(offset + limit).filter(|next| *next < count as u64);
        Self { run: run.id.clone(), asked, rows, count, next }
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    /// How many nodes, or branches, there are on all pages.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The table. If there is a ticket for that, it has buttons that run a node again, and forms that send nodes the signals for
    /// which they wait.
    pub fn html(&self, ticket: Option<&str>, status: Status) -> String {
        let mut table = match &self.asked.branches {
            Some(node) => format!(
                "<h2 id=\"nodes\">Branches of <code>{}</code></h2>\n<p class=\"quiet\"><a href=\"{}\">all nodes of the run</a></p>\n",
                escaped(&node.to_string()),
                escaped(self.run.as_str())
            ),
            None => "<h2 id=\"nodes\">Nodes</h2>\n".to_owned(),
        };
        table.push_str(
            "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Nodes\"><table class=\"nodes\" aria-label=\"Nodes\"><thead><tr><th>Node</th>\
             <th>Progress</th><th>Duration</th><th>Tries</th><th>Input</th><th>Output</th><th>What happened</th><th>Actions</th></tr>\
             </thead><tbody>\n",
        );
        for row in &self.rows {
            self.row(&mut table, row, ticket, status);
        }
        table.push_str("</tbody></table></div>\n");
        table + &self.pages()
    }

    fn row(&self, table: &mut String, Row { node, branches }: &Row, ticket: Option<&str>, status: Status) {
        let id = escaped(self.run.as_str());
        let page = escaped(&page_of(&self.run, &node.path));
        let path = escaped(&node.path.to_string());
        let progress = badge_of(node.progress.as_str());
        let attempts = node.tried();
        let took = node.took().map_or(String::new(), |took| Took(took).to_string());
        let again = if ticket.is_some() && status.is_final() && may_run_again(node) {
            format!(
                "<button class=\"rerun\" form=\"{CHANGE}\" formaction=\"{id}/rerun\" name=\"node\" value=\"{path}\" \
                 title=\"Run {path} and all nodes that follow it again\">Run again</button>"
            )
        } else {
            String::new()
        };
        let signal = ticket.map_or_else(String::new, |ticket| signal_form(&id, node, ticket));
        let size = |size: Option<u64>| size.map_or(String::new(), |size| Size(size).to_string());
        let bar = branches.map_or(String::new(), |tally| self.bar(node, &tally));
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "<tr data-node=\"{path}\" id=\"row:{path}\"><td><a href=\"{page}\"><code>{path}</code></a>{bar}</td><td>{progress}</td>\
             <td class=\"number\">{took}</td><td class=\"number\">{attempts}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td>{}</td><td>{again}{signal}</td></tr>",
            size(node.known_input_size()),
            size(node.output_size),
            failures(node)
        );
    }

    /// A bar of the states of a node's branches, which leads to them.
    fn bar(&self, node: &NodeView, tally: &Tally) -> String {
        let words = described(tally);
        let link = escaped(&branches_of(&self.run, &node.path));
        let mut bar = format!(
            "<a class=\"branches\" href=\"{link}\"><svg class=\"states\" viewBox=\"0 0 {BAR} 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
        );
        for (progress, from, width) in parts(tally, 0.0, BAR) {
            let _ = write!(
                bar,
                "<rect class=\"{}\" x=\"{from:.1}\" width=\"{width:.1}\" height=\"8\"/>",
                progress.as_str()
            );
        }
        bar + "</svg>" + &words + "</a>"
    }

    /// Which rows the table has, and links to the others.
    fn pages(&self) -> String {
        let Self { rows, count, next, .. } = self;
        let query = self.asked.nodes;
        let run = escaped(self.run.as_str());
        let of = self
            .asked
            .branches
            .as_ref()
            .map_or(String::new(), |node| format!("&amp;branches={}", super::node::encoded(&node.to_string())));
        let link = |word: &str, to: String| format!("<a href=\"{run}{to}{of}#nodes\">{word}</a>");
        let mut parts = Vec::new();
        if query.offset > 0 || next.is_some() {
            let first = query.offset + 1;
            let (what, last) = match &self.asked.branches {
                Some(_) => ("branches", (query.offset + query.limit).min(*count as u64)),
                None => ("nodes", query.offset + rows.len() as u64),
            };
            parts.push(format!("{what} {first} to {last} of {count}"));
        }
        if query.offset > 0 {
            parts.push(link("previous", query.at(query.offset.saturating_sub(query.limit)).link()));
        }
        parts.extend(next.map(|next| link("next", query.at(next).link())));
        if self.asked.branches.is_none() {
            let (word, failed) = if query.failed { ("all nodes", false) } else { ("failed nodes", true) };
            parts.push(link(word, NodesQuery { failed, ..query.at(0) }.link()));
        }
        format!("<p class=\"states quiet\">{}</p>\n", parts.join(" · "))
    }
}

/// How many branches are in which state, in words.
pub(super) fn described(tally: &Tally) -> String {
    let some = tally.each().into_iter().filter(|(_, count)| *count > 0);
    let words: Vec<String> = some.map(|(progress, count)| format!("{count} {}", progress.as_str())).collect();
    words.join(" · ")
}

/// The parts of a bar: the state, where its part begins, and how wide it is. A single branch among ten thousand is still seen.
pub(super) fn parts(tally: &Tally, from: f64, width: f64) -> Vec<(Progress, f64, f64)> {
    let total = f64::from(tally.total().max(1));
    let least = LEAST.min(width / 6.0);
    let some: Vec<_> = tally.each().into_iter().filter(|(_, count)| *count > 0).collect();
    let wish: Vec<f64> = some.iter().map(|(_, count)| (width * f64::from(*count) / total).max(least)).collect();
    let scale = width / wish.iter().sum::<f64>().max(f64::EPSILON);
    let mut at = from;
    let place = |((progress, _), wish): (&(Progress, u32), f64)| {
        let part = (*progress, at, wish * scale);
        at += wish * scale;
        part
    };
    some.iter().zip(wish).map(place).collect()
}

/// A form that sends a node the signal for which it waits.
fn signal_form(run: &str, node: &NodeView, ticket: &str) -> String {
    let Some(WaitView { of: Awaited::Signal { signal }, since }) = &node.waits_for else { return String::new() };
    // The same wait of the same node: a form that is sent twice counts once.
    let once = escaped(&format!("{} {since}", node.path));
    let name = escaped(signal.as_str());
    format!(
        "<form class=\"signal\" method=\"post\" action=\"{run}/signal\"><input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\
         <input type=\"hidden\" name=\"name\" value=\"{name}\"><input type=\"hidden\" name=\"once\" value=\"{once}\">\
         <input name=\"body\" placeholder=\"text or JSON\" aria-label=\"body of signal {name}\">{REASON}\
         <button class=\"signal\" title=\"Send signal {name} with this body\">Send {name}</button></form>"
    )
}

fn failures(node: &NodeView) -> String {
    let happened = node.happened();
    let earlier = happened.len().saturating_sub(FAILURES);
    let more = (earlier > 0).then(|| format!("{earlier} earlier failures"));
    let failures = happened.iter().skip(earlier).map(|sentence| escaped(&short(sentence)));
    let rounds = (node.rounds > 0).then(|| format!("round {}", node.rounds));
    more.into_iter()
        .chain(rounds)
        .chain(failures)
        .chain(waits(node))
        .chain(called(node, ""))
        .collect::<Vec<_>>()
        .join("<br>")
}

/// What a node waits for, if it does.
pub(super) fn waits(node: &NodeView) -> Option<String> {
    let until = node.waits_until.map(|until| format!("until {}", time(until)));
    match (&node.waits_for, until) {
        (Some(wait), Some(until)) => Some(format!("waiting for {}, {until} at the latest", escaped(&wait.to_string()))),
        (Some(wait), None) => Some(format!("waiting for {}", escaped(&wait.to_string()))),
        (None, until) if node.sleeps_since.is_some() => until.map(|until| format!("sleeps {until}")),
        (None, until) => until.map(|until| format!("waiting {until}")),
    }
}

/// The runs that a node has called, with links. `up` leads to the folder of the runs.
pub(super) fn called<'a>(node: &'a NodeView, up: &'a str) -> impl Iterator<Item = String> {
    node.called.iter().map(move |Called { flow, run }| {
        format!("called <a href=\"{up}{0}\"><code>{0}</code></a> ({1})", escaped(run.as_str()), escaped(flow))
    })
}

/// The beginning of a failure, which may be long and stands beside many others. The page as JSON has all of it.
fn short(failure: &str) -> Cow<'_, str> {
    match failure.char_indices().nth(LETTERS) {
        Some((end, _)) => Cow::Owned(format!("{}…", failure.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(failure),
    }
}

/// Whether a node of a run that has ended may run again. The flow's handlers, whose names are in brackets, may not.
fn may_run_again(node: &NodeView) -> bool {
    matches!(node.progress, Progress::Done | Progress::Failed | Progress::Cancelled) && !node.path.node.is_reserved()
}
