//! The audit log as a page, and what is recorded of the dashboard's own forms.

use super::Dashboard;
use super::control::Control;
use super::form::Form;
use super::page::{Page, View, time};
use crate::access::Head;
use crate::audit::{Attempt, AuditQuery};
use crate::request::Asked;
use crate::{AuditList, Error};
use axum::extract::State;
use axum::response::Response;
use faas_flow_core::{FlowName, RunId};
use faas_flow_graph::escaped;
use faas_flow_replica::audit::AuditEntry;
use serde_json::json;
use std::fmt::Write as _;
use std::sync::Arc;

/// What operators have asked for, the latest first: `?after=1234`.
pub(super) async fn show(
    State(dashboard): State<Arc<Dashboard>>,
    Asked(query): Asked<AuditQuery>,
    view: View,
) -> Result<Response, Error> {
    let list = query.find(&dashboard.host, None).await?;
    let up = escaped(view.up()).to_string();
    let mut main = String::from("<h1>Audit log</h1>\n");
    if list.entries.is_empty() {
        main.push_str("<p class=\"quiet\">Nothing has been changed yet.</p>\n");
    } else {
        main.push_str(&table(&list, &up));
    }
    if let Some(next) = list.next {
        // Writing to a string cannot fail.
        let _ = writeln!(main, "<p><a href=\"audit?after={next}\">Earlier</a></p>");
    }
    let trail = vec![("Flows".to_owned(), if view.up().is_empty() { "./" } else { view.up() }.to_owned())];
    let json = json!(list);
    Ok(Page { title: "Audit log".to_owned(), trail, main, aside: String::new(), live: false, json }.answer(&view))
}

fn table(list: &AuditList, up: &str) -> String {
    let mut table = String::from(
        "<table aria-label=\"Audit log\"><thead><tr><th>When</th><th>Who</th><th>From</th><th>What</th><th>Flow</th><th>Run</th><th>Outcome</th>\
         <th>Reason</th></tr></thead><tbody>\n",
    );
    let text = |text: &Option<String>| escaped(text.as_deref().unwrap_or_default()).to_string();
    for AuditEntry { at, action, actor, flow, run, target, outcome, code } in &list.entries {
        let who = match (&actor.who, &actor.via) {
            (Some(who), Some(via)) => format!("{} <span class=\"quiet\">{}</span>", escaped(who), escaped(via)),
            (who, _) => escaped(who.as_deref().unwrap_or("somebody")).to_string(),
        };
        let flow = flow.as_ref().map_or(String::new(), |flow| {
            let flow = escaped(flow.as_str());
            format!("<a href=\"{up}flows/{flow}\">{flow}</a>")
        });
        let run = run.as_ref().map_or(String::new(), |run| {
            let run = escaped(run.as_str());
            format!("<a href=\"{up}runs/{run}\"><code>{run}</code></a>")
        });
        let code = code.map_or(String::new(), |code| format!(" <code>{code}</code>"));
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "<tr><td>{}</td><td>{who}</td><td>{}</td><td>{} <span class=\"quiet\">{}</span></td><td>{flow}</td><td>{run}</td>\
             <td>{}{code}</td><td>{}</td></tr>",
            time(*at),
            text(&actor.from),
            escaped(action),
            escaped(target),
            outcome.as_str(),
            text(&actor.reason),
        );
    }
    table + "</tbody></table>\n"
}

impl Dashboard {
    /// Records what a form has changed here. What a replica behind the gateway does, it records itself.
    pub(super) async fn record<T>(
        &self,
        action: &str,
        form: &Form,
        (flow, run, target): (Option<&FlowName>, Option<&RunId>, &str),
        done: &Result<T, Error>,
    ) {
        // A replica does not know that a new run was begun by a form.
        if matches!(self.control, Control::Here) || action == "start" {
            let (action, actor) = (action.to_owned(), form.actor.clone());
            let attempt = Attempt { action, actor, flow: flow.cloned(), run: run.cloned(), target: target.to_owned() };
            attempt.ended(&self.host, done.as_ref().err().map(Error::code)).await;
        }
    }

    /// What a form asks for whose sender may see the dashboard but not change anything.
    pub(super) fn refused(&self, head: Head<'_>) -> Option<Attempt> {
        let actor = self.access.actor(head).ok()?;
        let path = head.uri.path().strip_prefix(self.prefix).unwrap_or_default();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (flow, run) = match *parts.as_slice() {
            ["flows", flow, ..] => (FlowName::new(flow).ok(), None),
            ["runs", run, _] => (None, RunId::new(run).ok()),
            _ => (None, None),
        };
        let action = match parts.last().copied().unwrap_or_default() {
            "run" => "start",
            "bulk" => "change-runs",
            action => action,
        };
        let action = action.chars().take(40).collect();
        let target = path.trim_matches('/').chars().take(300).collect();
        Some(Attempt { action, actor, flow, run, target })
    }
}
