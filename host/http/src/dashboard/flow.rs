//! A flow: its picture, and its latest runs.

use super::Dashboard;
use super::access::About;
use super::error::Error;
use super::flows::table;
use super::page::{Page, time};
use crate::Error as HttpError;
use crate::drawing::drawn;
use faas_flow_core::schedule::Kept;
use faas_flow_core::{Digest, FlowName, Labels, Status};
use faas_flow_graph::{Format, escaped, render};
use faas_flow_store::RunQuery;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

/// How many of the latest runs are listed.
const LISTED: usize = 100;

impl Dashboard {
    /// The page of a flow, with the runs in one state, or in any.
    pub(super) async fn flow(
        &self,
        flow: &FlowName,
        status: Option<Status>,
        labels: Labels,
    ) -> Result<Page, HttpError> {
        let query = |status, labels: &Labels, limit| RunQuery {
            flow: Some(flow.clone()),
            status,
            labels: labels.clone(),
            limit,
        };
        let runs = self.host.list(&query(status, &labels, LISTED)).await?;
        let served = self.host.versions().active(flow).map(|served| served.module.digest().clone());
        let version: Option<Digest> = match served.or_else(|| runs.first().map(|run| run.digest.clone())) {
            None if status.is_some() || !labels.is_empty() => {
                self.host.list(&query(None, &Labels::new(), 1)).await?.first().map(|run| run.digest.clone())
            }
            version => version,
        };
        let Some(version) = version else {
            return Err(Error::NoFlow { flow: flow.clone() }.into());
        };
        let picture = match self.definitions.of(flow, &version).await {
            Ok(definition) => {
                let name = flow.clone();
                let svg = drawn(move || render(&definition, name.as_str(), Format::Svg)).await?;
                format!("<div class=\"picture\">{svg}</div>")
            }
            Err(error) => format!("<p class=\"quiet\">No diagram: {}</p>", escaped(&error.to_string())),
        };
        let list = if runs.is_empty() {
            "<p class=\"quiet\">No runs.</p>".to_owned()
        } else {
            table(runs.iter(), "../", self.host.now())
        };
        let schedules = self.host.stored_schedules(flow).await?;
        let main = format!(
            "<h1>{}</h1>\n<p class=\"quiet\">version <code>{}</code></p>\n{picture}\n{}<h1>Latest runs</h1>\n{}\n{list}",
            escaped(flow.as_str()),
            version.short(),
            scheduled(&schedules, self.has_buttons().then(|| (flow, self.access.ticket(About::Flow(flow))))),
            states(flow, status, &labels)
        );
        let entries: Vec<_> = runs
            .iter()
            .map(|run| {
                json!({
                    "request_id": run.run, "status": run.status, "digest": run.digest,
                    "labels": run.labels, "started": run.started, "ended": run.ended,
                })
            })
            .collect();
        let schedules: Vec<_> = schedules.iter().map(|(name, kept)| {
            json!({ "name": name, "when": kept.clockwork, "next": kept.next, "paused": kept.paused, "past": kept.past })
        }).collect();
        let json = json!({ "flow": flow, "version": version, "schedules": schedules, "runs": entries });
        let trail = vec![("Flows".to_owned(), "../".to_owned())];
        let aside = if self.has_buttons() { self.begins(flow) } else { String::new() };
        Ok(Page { title: flow.to_string(), trail, main, aside, live: true, json })
    }

    /// The form that starts a run.
    fn begins(&self, flow: &FlowName) -> String {
        let ticket = self.access.ticket(About::Flow(flow));
        let flow = escaped(flow.as_str());
        format!(
            "<h1>Start a run</h1>\n<form class=\"run\" method=\"post\" action=\"{flow}/run\">\
             <input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\
             <textarea name=\"body\" rows=\"4\" placeholder=\"Request body\" aria-label=\"Request body\"></textarea>\
             <button>Start</button></form>"
        )
    }
}

/// The schedules with their next and last moments, and with buttons if there is a ticket for them; nothing if there are none.
fn scheduled(schedules: &[(String, Kept)], ticket: Option<(&FlowName, String)>) -> String {
    if schedules.is_empty() {
        return String::new();
    }
    let rows: String = schedules
        .iter()
        .map(|(name, kept)| {
            let next = match (kept.paused, kept.next) {
                (true, _) => "paused".to_owned(),
                (false, Some(next)) => time(next),
                (false, None) => String::new(),
            };
            let last = kept.past.first().map_or(String::new(), |past| {
                let word = past.fate.as_str();
                let run =
                    past.run.as_ref().map_or(word.to_owned(), |run| format!("<a href=\"../runs/{run}\">{word}</a>"));
                let code = past.code.map_or(String::new(), |code| format!(" {code}"));
                format!("{} {run}{code}", time(past.moment))
            });
            let (name, when) = (escaped(name), escaped(&kept.clockwork));
            let buttons = ticket.as_ref().map_or(String::new(), |(flow, ticket)| {
                let change = if kept.paused { ("resume", "Resume") } else { ("pause", "Pause") };
                let form = |(what, label): (&str, &str)| {
                    format!(
                        "<form method=\"post\" action=\"{flow}/schedules/{name}/{what}\">\
                         <input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\
                         <button class=\"small {what}\" title=\"{label} schedule {name}\">{label}</button></form>"
                    )
                };
                format!("<div class=\"few buttons\">{}{}</div>", form(change), form(("trigger", "Run now")))
            });
            format!(
                "<tr data-schedule=\"{name}\"><td>{name}</td><td><code>{when}</code></td><td>{next}</td><td>{last}</td>\
                 <td>{buttons}</td></tr>"
            )
        })
        .collect();
    format!(
        "<h1>Schedules</h1>\n<table><thead><tr><th>Name</th><th>When</th><th>Next</th><th>Last</th><th></th></tr></thead>\
         <tbody>{rows}</tbody></table>\n"
    )
}

/// A label in the query of a link.
fn asked(labels: &Labels) -> String {
    let asked = labels
        .iter()
        .map(|(key, value)| format!("&label={}", utf8_percent_encode(&format!("{key}={value}"), NON_ALPHANUMERIC)));
    asked.collect()
}

/// Links to the runs in each state, and a field for the labels of those that are listed.
fn states(flow: &FlowName, chosen: Option<Status>, labels: &Labels) -> String {
    let flow = escaped(flow.as_str());
    let link = |status: Option<Status>| {
        let word = status.map_or("all", Status::as_str);
        let state = status.map_or(String::new(), |status| format!("&state={}", status.as_str()));
        let query = format!("{state}{}", asked(labels));
        let query = query.strip_prefix('&').map_or(String::new(), |query| escaped(&format!("?{query}")).to_string());
        if status == chosen {
            format!("<strong>{word}</strong>")
        } else {
            format!("<a href=\"{flow}{query}\">{word}</a>")
        }
    };
    let links: Vec<String> = std::iter::once(None).chain(Status::ALL.map(Some)).map(link).collect();
    let state = chosen.map_or(String::new(), |status| {
        format!("<input type=\"hidden\" name=\"state\" value=\"{}\">", status.as_str())
    });
    let field = |label: &str| {
        let label = escaped(label);
        format!("<input name=\"label\" placeholder=\"order=42\" aria-label=\"Label\" value=\"{label}\"> ")
    };
    let fields = if labels.is_empty() {
        field("")
    } else {
        labels.iter().map(|(key, value)| field(&format!("{key}={value}"))).collect()
    };
    format!(
        "<p class=\"states quiet\">{}</p>\n<form method=\"get\" action=\"{flow}\">{state}{fields}\
         <button>Find by label</button></form>",
        links.join(" · ")
    )
}
