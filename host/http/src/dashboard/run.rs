//! A run: its diagram with the nodes' progress, its timeline, and the buttons that change it.

use super::Dashboard;
use super::access::About;
use super::compare;
use super::error::Error;
use super::form::{NO_BUTTON, REASON};
use super::node::{branches_of, page_of};
use super::page::{Page, Size, Took, View, badge, time};
use super::rows::{Asked, Table};
use super::timeline;
use crate::Accept;
use crate::Error as HttpError;
use crate::drawing::drawn;
use faas_flow_core::run::{Action, Parent, RunView};
use faas_flow_core::{Definition, NodePath, RunId, Status};
use faas_flow_graph::{escaped, render_progress};
use faas_flow_replica::error::Error as HostError;
use faas_flow_replica::{Enough, Look, Made};
use faas_flow_versions::MissingModule;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// The page of a run, in the form that the caller reads.
pub(super) enum RunPage {
    /// The page without its main part, which is made once for many.
    Html(Page, Made),
    Json(Made),
}

/// The id of the form that changes the run.
pub(super) const CHANGE: &str = "change";

/// How many of the latest actions of people are shown.
const ACTIONS: usize = 10;

impl Dashboard {
    /// The page of a run.
    pub(super) async fn run(&self, run: &RunId, asked: Asked, viewed: &View) -> Result<RunPage, HttpError> {
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
            Accept::Json => return Ok(RunPage::Json(asked.nodes.json_of(&look, waits.as_ref()).await?)),
            Accept::Text => self.shown(&look, &view, asked, (waits.as_ref(), viewed)).await?,
        };
        let trail =
            vec![("Flows".to_owned(), "../".to_owned()), (view.flow.to_string(), format!("../flows/{}", view.flow))];
        let live = !view.status.is_final() || !is_whole;
        let (title, aside) = (run.to_string(), compare::form(run));
        Ok(RunPage::Html(Page { title, trail, main: String::new(), aside, live, json: Value::Null }, main))
    }

    /// The main part of the page, which is made once for each renewal of the look and page of nodes.
    async fn shown(
        &self,
        look: &Arc<Look>,
        view: &RunView,
        asked: Asked,
        (waits, viewed): (Option<&MissingModule>, &View),
    ) -> Result<Made, HttpError> {
        let missing = waits.map(|missing| (&missing.version, missing.code));
        let name = format!("html {asked:?} {missing:?} {}", viewed.has_buttons());
        look.made(name, self.main(look, view, asked, (waits, viewed))).await
    }

    async fn main(
        &self,
        look: &Arc<Look>,
        view: &RunView,
        asked: Asked,
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
                let again = [("callback", "Send the callback again")];
                main.push_str(&self.buttons("callback", &view.request_id, viewed, &again));
            }
        }
        main.push_str(&picture(look, view, definition).await?);
        let shown = look.shown();
        if !shown.is_whole() {
            let count = shown.scopes().count(shown.run());
            let _ = writeln!(main, "<p class=\"quiet\">Reading the run: {count} nodes so far.</p>");
        }
        let table = Table::new(&shown, asked);
        main.push_str("<h2>Timeline</h2>\n");
        main.push_str(&timeline::draw(shown.run(), table.rows(), self.host.now()));
        let ticket = viewed.has_buttons().then(|| self.access.ticket(About::Run(&view.request_id)));
        main.push_str(&table.html(ticket.as_deref(), view.status));
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
        // The buttons of nodes, which run them again once the run has ended, belong to the same form.
        if !buttons.is_empty() || view.status.is_final() {
            head.push_str(&self.buttons(CHANGE, &view.request_id, viewed, buttons));
        }
        head
    }

    /// A form with the field for the reason and buttons, each of which posts to the route of that name.
    fn buttons(&self, form: &str, run: &RunId, viewed: &View, buttons: &[(&str, &str)]) -> String {
        if !viewed.has_buttons() {
            return String::new();
        }
        let id = escaped(run.as_str());
        let ticket = self.access.ticket(About::Run(run));
        let buttons = buttons
            .iter()
            .map(|(what, label)| format!("<button class=\"{what}\" formaction=\"{id}/{what}\">{label}</button> "));
        format!(
            "<form id=\"{form}\" class=\"buttons\" method=\"post\">{NO_BUTTON}\
             <input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">{}{REASON}</form>\n",
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
    let run = view.request_id.clone();
    let svg = drawn(move || {
        let (nodes, wide) = {
            let shown = look.shown();
            let rows = shown.scopes().rows(shown.run(), None, (0, usize::MAX)).rows;
            let wide = rows.iter().filter(|row| row.branches.is_some()).map(|row| row.node.path());
            (shown.scopes().progress(shown.run(), &definition), wide.collect::<HashSet<NodePath>>())
        };
        let link = |node: &NodePath| if wide.contains(node) { branches_of(&run, node) } else { page_of(&run, node) };
        render_progress(&definition, flow.as_str(), &nodes, link)
    });
    Ok(format!(
        "<div class=\"picture flow\" tabindex=\"0\" role=\"region\" aria-label=\"Picture of the flow\">{}</div>\n",
        svg.await?
    ))
}

/// The lines of a text, as HTML.
pub(super) fn lines(text: &str) -> String {
    text.lines().map(|line| escaped(&line.replace('\t', "    "))).collect::<Vec<_>>().join("\n")
}
