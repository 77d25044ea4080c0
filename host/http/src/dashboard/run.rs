//! A run: its diagram with the nodes' progress, its timeline, and the buttons that change it.

use super::Dashboard;
use super::access::About;
use super::error::Error;
use super::node::page_of;
use super::page::{Page, Size, Took, View, badge, badge_of, time};
use super::timeline;
use crate::Error as HttpError;
use crate::drawing::drawn;
use crate::{Accept, NodesPage, NodesQuery};
use faas_flow_core::run::{Action, Awaited, Called, NodeView, Parent, Progress, RunView, WaitView};
use faas_flow_core::{Definition, RunId, Status};
use faas_flow_graph::{escaped, render_progress};
use faas_flow_replica::error::Error as HostError;
use faas_flow_replica::{Enough, Look, Made, Shown};
use faas_flow_versions::MissingModule;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

/// The page of a run, in the form that the caller reads.
pub(super) enum RunPage {
    /// The page without its main part, which is made once for many.
    Html(Page, Made),
    Json(Made),
}

/// How many of the latest actions of people are shown.
const ACTIONS: usize = 10;
/// How many of a node's latest failures are shown.
const FAILURES: usize = 10;
/// How many letters of each of them are shown.
const LETTERS: usize = 500;

impl Dashboard {
    /// The page of a run.
    pub(super) async fn run(&self, run: &RunId, nodes: NodesQuery, viewed: &View) -> Result<RunPage, HttpError> {
        let enough = match viewed.accept() {
            Accept::Json => Enough::Whole,
            Accept::Text => Enough::Part,
        };
        let look = self.host.look(run, enough).await?.ok_or_else(|| Error::NoRun { run: run.clone() })?;
        let (view, is_whole) = {
            let shown = look.shown();
            (shown.head(), shown.is_whole())
        };
        let waits = self.host.versions().missing_module(&view).await.ok().flatten();
        let main = match viewed.accept() {
            Accept::Json => return Ok(RunPage::Json(nodes.json_of(&look, waits.as_ref()).await?)),
            Accept::Text => self.shown(&look, &view, nodes, (waits.as_ref(), viewed)).await?,
        };
        let trail =
            vec![("Flows".to_owned(), "../".to_owned()), (view.flow.to_string(), format!("../flows/{}", view.flow))];
        let live = !view.status.is_final() || !is_whole;
        let (title, aside) = (run.to_string(), String::new());
        Ok(RunPage::Html(Page { title, trail, main: String::new(), aside, live, json: Value::Null }, main))
    }

    /// The main part of the page, which is made once for each renewal of the look and page of nodes.
    async fn shown(
        &self,
        look: &Arc<Look>,
        view: &RunView,
        nodes: NodesQuery,
        (waits, viewed): (Option<&MissingModule>, &View),
    ) -> Result<Made, HttpError> {
        let missing = waits.map(|missing| (&missing.version, missing.code));
        let name = format!("html {nodes:?} {missing:?} {}", viewed.has_buttons());
        look.made(name, self.main(look, view, nodes, (waits, viewed))).await
    }

    async fn main(
        &self,
        look: &Arc<Look>,
        view: &RunView,
        nodes: NodesQuery,
        (waits, viewed): (Option<&MissingModule>, &View),
    ) -> Result<String, HttpError> {
        let stored = look.shown().run().definition.clone();
        let definition = match stored {
            Some(definition) => Ok(definition),
            None => self.definitions.of(&view.flow, &view.digest).await,
        };
        let mut main = self.head(view, viewed);
        if let Some(missing) = waits {
            let why = escaped(&missing.why.to_string());
            let _ = writeln!(
                main,
                "<p class=\"card error\">Waiting for version <code>{}</code>: {}: {why}</p>",
                missing.version, missing.code
            );
        }
        if let Some(failure) = &view.failure {
            let _ = writeln!(main, "<p class=\"card error\">{}</p>", lines(&failure.to_string()));
        }
        if let Some(callback) = &view.callback {
            let class = if callback.is_given_up() { "card error" } else { "quiet" };
            let (url, described) = (escaped(&callback.url), escaped(&callback.described()));
            let _ = writeln!(main, "<p class=\"{class}\">Callback to <code>{url}</code>: {described}</p>");
            if callback.is_over() {
                main.push_str(&self.buttons(&view.request_id, viewed, &[("callback", "Send the callback again")]));
            }
        }
        main.push_str(&picture(look, view, definition).await?);
        let shown = look.shown();
        if !shown.is_whole() {
            let count = shown.scopes().count(shown.run());
            let _ = writeln!(main, "<p class=\"quiet\">Reading the run: {count} nodes so far.</p>");
        }
        main.push_str("<h1>Timeline</h1>\n");
        main.push_str(&timeline::draw(&shown, self.host.now()));
        main.push_str("<h1>Nodes</h1>\n");
        let ticket = viewed.has_buttons().then(|| self.access.ticket(About::Run(&view.request_id)));
        main.push_str(&table(&shown, nodes, ticket.as_deref(), view.status));
        Ok(main)
    }

    fn head(&self, view: &RunView, viewed: &View) -> String {
        let now = self.host.now();
        let starts_later = view.start_at.is_some_and(|at| at > now && !view.status.is_final());
        let took = Took(view.took(now));
        let took = match (view.ended, starts_later) {
            (Some(_), _) => format!(" · took {took}"),
            (None, true) => String::new(),
            (None, false) => format!(" · {took} so far"),
        };
        let again = view.rerun.map_or(String::new(), |again| format!(" · run again {}", time(again)));
        let result = view.result_size.map_or(String::new(), |size| format!(" · result {}", Size(size)));
        let answer = view.response.as_ref().map_or(String::new(), |head| format!(" · answered with {}", head.status));
        let mut head = format!(
            "<h1><code>{}</code> {}</h1>\n<p class=\"quiet\">version <code>{}</code> · {} {}{again}{took}{result}{answer}</p>\n",
            escaped(view.request_id.as_str()),
            badge(view.status),
            view.digest.short(),
            if starts_later { "starts" } else { "started" },
            time(view.started),
        );
        if !view.labels.is_empty() {
            let _ = writeln!(head, "<p class=\"quiet\">labels {}</p>", escaped(&view.labels.to_string()));
        }
        if let Some(Parent { flow, run, node, .. }) = &view.parent {
            let (flow, run, node) = (escaped(flow.as_str()), escaped(run.as_str()), escaped(&node.to_string()));
            let _ = writeln!(
                head,
                "<p class=\"quiet\">called by node <code>{node}</code> of <a href=\"{run}\"><code>{run}</code></a> ({flow})</p>"
            );
        }
        for action in view.actions.iter().rev().take(ACTIONS) {
            let Action { at, action, actor } = action;
            let (action, actor) = (escaped(action), escaped(&actor.to_string()).to_string());
            let _ = writeln!(head, "<p class=\"quiet action\">{} {action} {actor}</p>", time(*at));
        }
        let buttons: &[(&str, &str)] = match view.status {
            Status::Running => &[("pause", "Pause"), ("stop", "Stop")],
            Status::Paused => &[("resume", "Resume"), ("stop", "Stop")],
            Status::Failed | Status::Stopped => &[("rerun", "Run the rest")],
            _ => &[],
        };
        head.push_str(&self.buttons(&view.request_id, viewed, buttons));
        head
    }

    /// Buttons, each of which posts to the route of that name.
    fn buttons(&self, run: &RunId, viewed: &View, buttons: &[(&str, &str)]) -> String {
        if !viewed.has_buttons() || buttons.is_empty() {
            return String::new();
        }
        let id = escaped(run.as_str());
        let ticket = self.access.ticket(About::Run(run));
        let buttons = buttons
            .iter()
            .map(|(what, label)| format!("<button class=\"{what}\" formaction=\"{id}/{what}\">{label}</button> "));
        // The first button is what the Enter key presses in the field for the reason: nothing.
        format!(
            "<form class=\"buttons\" method=\"post\"><button hidden disabled></button>\
             <input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">{}\
             <input name=\"reason\" maxlength=\"1000\" placeholder=\"Reason (optional)\" aria-label=\"Reason\"></form>\n",
            buttons.collect::<String>()
        )
    }
}

async fn picture(
    look: &Arc<Look>,
    view: &RunView,
    definition: Result<Arc<Definition>, HostError>,
) -> Result<String, HttpError> {
    let definition = match definition {
        Ok(definition) => definition,
        Err(error) => return Ok(format!("<p class=\"quiet\">No diagram: {}</p>\n", escaped(&error.to_string()))),
    };
    let (look, flow) = (look.clone(), view.flow.clone());
    let svg = drawn(move || {
        let nodes = {
            let shown = look.shown();
            shown.scopes().progress(shown.run(), &definition)
        };
        render_progress(&definition, flow.as_str(), &nodes)
    });
    Ok(format!("<div class=\"picture\">{}</div>\n", svg.await?))
}

/// A table of a page of the nodes. If there is a ticket for that, it has buttons that run one of them again, and forms that send
/// them the signals for which they wait.
fn table(shown: &Shown, query: NodesQuery, ticket: Option<&str>, status: Status) -> String {
    let mut table = String::from(
        "<table class=\"nodes\"><thead><tr><th>Node</th><th>Progress</th><th>Duration</th><th>Tries</th><th>Input</th><th>Output</th>\
         <th>What happened</th><th></th></tr></thead><tbody>\n",
    );
    let id = escaped(shown.run().id.as_str());
    let page = query.page(shown.run(), shown.scopes());
    for node in &page.nodes {
        let page = page_of(&shown.run().id, &node.path);
        let path = escaped(&node.path.to_string());
        let progress = badge_of(node.progress.as_str());
        let attempts = node.tried();
        let took = node.took().map_or(String::new(), |took| Took(took).to_string());
        let again = ticket.filter(|_| status.is_final() && may_run_again(node));
        let again = again.map_or_else(String::new, |ticket| {
            format!(
                "<form method=\"post\" action=\"{id}/rerun\"><input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\
                 <input type=\"hidden\" name=\"node\" value=\"{path}\">\
                 <button class=\"rerun\" title=\"Run {path} and all nodes that follow it again\">Run again</button></form>"
            )
        });
        let signal = ticket.map_or_else(String::new, |ticket| signal_form(&id, node, ticket));
        let out = node.output_size.map_or(String::new(), |size| Size(size).to_string());
        let _ = writeln!(
            table,
            "<tr data-node=\"{path}\"><td><a href=\"{page}\"><code>{path}</code></a></td><td>{progress}</td>\
             <td class=\"number\">{took}</td><td class=\"number\">{attempts}</td><td class=\"number\">{}</td><td class=\"number\">{out}</td>\
             <td>{}</td><td>{again}{signal}</td></tr>",
            Size(node.input_size),
            failures(node)
        );
    }
    table.push_str("</tbody></table>\n");
    table.push_str(&pages(&id, query, &page));
    table
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
         <input name=\"body\" placeholder=\"text or JSON\" aria-label=\"body of signal {name}\">\
         <button class=\"signal\" title=\"Send signal {name} with this body\">Send {name}</button></form>"
    )
}

/// Which nodes the table has, and links to the others.
fn pages(run: &str, query: NodesQuery, page: &NodesPage) -> String {
    let NodesPage { nodes, count, next } = page;
    let link = |word: &str, to: String| format!("<a href=\"{run}{to}\">{word}</a>");
    let mut parts = Vec::new();
    if query.offset > 0 || next.is_some() {
        let first = query.offset + 1;
        parts.push(format!("nodes {first} to {} of {count}", query.offset + nodes.len() as u64));
    }
    if query.offset > 0 {
        parts.push(link("previous", query.at(query.offset.saturating_sub(query.limit)).link()));
    }
    parts.extend(next.map(|next| link("next", query.at(next as u64).link())));
    let (word, failed) = if query.failed { ("all nodes", false) } else { ("failed nodes", true) };
    parts.push(link(word, NodesQuery { failed, ..query.at(0) }.link()));
    format!("<p class=\"states quiet\">{}</p>\n", parts.join(" · "))
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

/// The lines of a text, as HTML.
pub(super) fn lines(text: &str) -> String {
    text.lines().map(|line| escaped(&line.replace('\t', "    "))).collect::<Vec<_>>().join("\n")
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
