//! A flow: its picture, and its latest runs.

use super::Dashboard;
use super::access::About;
use super::error::Error;
use super::flows::count_links;
use super::form::{NO_BUTTON, REASON};
use super::page::{Page, View, time};
use crate::drawing::drawn;
use crate::{Error as HttpError, PageQuery, RunFilter};
use faas_flow_core::schedule::Kept;
use faas_flow_core::{Digest, FlowName};
use faas_flow_graph::{Format, escaped, render};
use faas_flow_store::RunQuery;
use faas_flow_versions::Canary;
use serde_json::json;

impl Dashboard {
    /// The page of a flow, with the runs that match a filter.
    pub(super) async fn flow(
        &self,
        flow: &FlowName,
        filter: RunFilter,
        page: PageQuery,
        viewed: &View,
    ) -> Result<Page, HttpError> {
        let found = self.find(Some(flow), filter, page).await?;
        let active = self.host.versions().stored_active(flow).await?;
        let served = self.host.versions().active(flow).map(|served| served.module.digest().clone());
        let served = served.or_else(|| active.now().map(|now| now.digest.clone()));
        let canary = active.canary.filter(|_| viewed.sees_versions());
        let runs = found.runs();
        let version: Option<Digest> = match served.or_else(|| runs.first().map(|run| run.digest.clone())) {
            None if found.is_filtered() || !found.is_live() => {
                let latest = RunQuery { flow: Some(flow.clone()), ..RunQuery::latest(1) };
                self.host.list(&latest).await?.runs.first().map(|run| run.digest.clone())
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
                format!(
                    "<div class=\"picture flow\" tabindex=\"0\" role=\"region\" aria-label=\"Picture of the {}\">{svg}</div>",
                    if canary.is_some() { "active version" } else { "flow" }
                )
            }
            Err(error) => format!("<p class=\"quiet\">No diagram: {}</p>", escaped(&error.to_string())),
        };
        let counts = count_links(&self.host.counts(Some(flow)).await?, flow.as_str());
        let schedules = self.host.stored_schedules(flow).await?;
        let main = format!(
            "<h1>{}</h1>\n<p class=\"quiet\">version <code>{}</code> · <a href=\"{0}/modules\">all versions</a></p>\n{}{picture}\n{}<h2>Runs</h2>\n<p>{counts}</p>\n{}",
            escaped(flow.as_str()),
            version.short(),
            canary.as_ref().map_or(String::new(), |canary| beside(flow, &version, canary)),
            scheduled(&schedules, viewed.has_buttons().then(|| (flow, self.access.ticket(About::Flow(flow))))),
            found.html(flow.as_str(), "../", (self.host.now(), self.bulk_ticket(Some(flow), viewed)))
        );
        let schedules: Vec<_> = schedules.iter().map(|(name, kept)| {
            json!({ "name": name, "when": kept.clockwork, "next": kept.next, "paused": kept.paused, "past": kept.past })
        }).collect();
        let mut json = json!({ "flow": flow, "version": version, "schedules": schedules, "runs": found.json_runs() });
        if let (Some(Canary { digest, share, .. }), Some(json)) = (&canary, json.as_object_mut()) {
            json.insert("canary".to_owned(), json!({ "digest": digest, "share": share.to_string() }));
        }
        let trail = vec![("Flows".to_owned(), "../".to_owned())];
        let aside = if viewed.has_buttons() { self.begins(flow) } else { String::new() };
        Ok(Page { title: flow.to_string(), trail, main, aside, live: found.is_live(), json })
    }
}

/// What begins beside the active version, and what it changes.
fn beside(flow: &FlowName, active: &Digest, Canary { digest, share, .. }: &Canary) -> String {
    let flow = escaped(flow.as_str());
    format!(
        "<p class=\"beside\">New runs begin with <code title=\"{active}\">{}</code> <span class=\"badge active\">active</span>, and {share} of \
         them with <code title=\"{digest}\">{}</code> <span class=\"badge canary\">canary</span>. \
         <a href=\"{flow}/modules/difference?from={active}&amp;to={digest}\">What the canary changes</a></p>\n",
        active.short(),
        digest.short()
    )
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
            let buttons = ticket.as_ref().map_or(String::new(), |(flow, _)| {
                let change = if kept.paused { ("resume", "Resume") } else { ("pause", "Pause") };
                let button = |(what, label): (&str, &str)| {
                    format!(
                        "<button class=\"small {what}\" form=\"schedules\" formaction=\"{flow}/schedules/{name}/{what}\" \
                         title=\"{label} schedule {name}\">{label}</button>"
                    )
                };
                format!("<div class=\"few buttons\">{}{}</div>", button(change), button(("trigger", "Run now")))
            });
            format!(
                "<tr data-schedule=\"{name}\" id=\"schedule:{name}\"><td>{name}</td><td><code>{when}</code></td><td>{next}</td><td>{last}</td>\
                 <td>{buttons}</td></tr>"
            )
        })
        .collect();
    let form = ticket.as_ref().map_or(String::new(), |(_, ticket)| {
        format!(
            "<form id=\"schedules\" class=\"buttons\" method=\"post\">{NO_BUTTON}\
             <input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">{REASON}</form>\n"
        )
    });
    format!(
        "<h2>Schedules</h2>\n{form}<table aria-label=\"Schedules\"><thead><tr><th>Name</th><th>When</th><th>Next</th><th>Last</th><th>Actions</th></tr></thead>\
         <tbody>{rows}</tbody></table>\n"
    )
}
