//! One action for all runs that a filter finds: first a page that says how many there are and asks, then a hundred at a time.

use super::Dashboard;
use super::access::About;
use super::control::Control;
use super::error::Error;
use super::form::{Form, REASON};
use super::page::Page;
use crate::bulk::{Bulk, BulkPlace};
use crate::remote::{accepted, flow_at};
use crate::request::FromQuery as _;
use crate::{BulkAction, BulkDone, BulkFailure, Error as HttpError, RunFilter};
use bytes::Bytes;
use faas_flow_core::FlowName;
use faas_flow_graph::escaped;
use faas_flow_guest::HttpRequest;
use faas_flow_replica::network::ChosenBy;
use serde_json::json;
use std::fmt::Write as _;

/// How many failures a page tells one by one.
const TOLD: usize = 100;

/// Buttons for all runs that the filter of a list finds. The form's address is `here`, with `/bulk` behind it.
pub(super) fn buttons(filter: &RunFilter, here: &str, ticket: &str) -> String {
    let possible = BulkAction::ALL.into_iter().filter(|action| action.is_possible(filter.status));
    let buttons: String = possible
        .map(|action| {
            let class = if action == BulkAction::Delete { "small stop" } else { "small" };
            format!(
                "<button class=\"{class}\" name=\"action\" value=\"{}\">{}</button> ",
                action.as_str(),
                label(action)
            )
        })
        .collect();
    let fields = fields(filter, ticket);
    format!(
        "<form class=\"bulk\" method=\"post\" action=\"{here}/bulk\">{fields}\
         <span class=\"quiet\">All runs that match, on all pages:</span> {buttons}</form>\n"
    )
}

const fn label(action: BulkAction) -> &'static str {
    match action {
        BulkAction::Pause => "Pause",
        BulkAction::Resume => "Resume",
        BulkAction::Stop => "Stop",
        BulkAction::Rerun => "Run again",
        BulkAction::Delete => "Delete",
    }
}

/// The filter and the ticket as hidden fields.
fn fields(filter: &RunFilter, ticket: &str) -> String {
    let mut fields = format!("<input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">");
    for (name, value) in filter.pairs() {
        // Writing to a string cannot fail.
        let _ = write!(fields, "<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(&value));
    }
    fields
}

/// What a form asks for.
struct Asked {
    action: BulkAction,
    filter: RunFilter,
    flow: Option<FlowName>,
    /// Whether the user has agreed.
    confirmed: bool,
    after: Option<String>,
    /// What the requests before have done.
    changed: u64,
    failed: u64,
    /// Why, which the requests that follow say, too.
    reason: String,
}

impl Asked {
    fn of(flow: Option<FlowName>, form: &Form) -> Result<Self, HttpError> {
        let bad = |name, rule| HttpError::BadParameter { name, rule };
        let action = BulkAction::parse(form.field("action"));
        let number = |name| form.field(name).parse().unwrap_or_default();
        Ok(Self {
            action: action.ok_or(bad("action", "pause, resume, stop, rerun or delete"))?,
            filter: RunFilter::from_query(&form.query())?,
            flow,
            confirmed: form.field("confirmed") == "yes",
            after: Some(form.field("after").to_owned()).filter(|after| !after.is_empty()),
            changed: number("changed"),
            failed: number("failed"),
            reason: form.field("reason").to_owned(),
        })
    }
}

impl Dashboard {
    /// The page that follows a form about many runs, of a flow or of all. `list` leads back to the list.
    pub(super) async fn bulk(&self, flow: Option<FlowName>, form: &Form, list: &str) -> Result<Page, HttpError> {
        self.access.check(about(flow.as_ref()), form.field("ticket"))?;
        let mut asked = Asked::of(flow, form)?;
        let done = self.perform(&asked, form).await;
        if asked.confirmed {
            let target = format!("flow{}", asked.filter.link(&[("action", asked.action.as_str().to_owned())]));
            self.record("change-runs", form, (asked.flow.as_ref(), None, &target), &done).await;
        }
        let done = done?;
        asked.changed += done.changed.len() as u64;
        asked.failed += done.failed.len() as u64;
        let ticket = self.access.ticket(about(asked.flow.as_ref()));
        let back = escaped(&format!("{list}{}", asked.filter.link(&[]))).to_string();
        let main = if asked.confirmed {
            report(&asked, &done, &ticket, &back)
        } else {
            question(&asked, &done, &ticket, &back)
        };
        let title = format!("{} runs", label(asked.action));
        let json =
            json!({ "changed": asked.changed, "failed": asked.failed, "next": done.next, "matching": done.matching });
        let trail = vec![("Runs".to_owned(), format!("{list}{}", asked.filter.link(&[])))];
        Ok(Page { title, trail, main, aside: String::new(), live: false, json })
    }

    /// Counts the runs, or changes the next hundred.
    async fn perform(&self, asked: &Asked, form: &Form) -> Result<BulkDone, HttpError> {
        let Asked { action, filter, flow, confirmed, after, .. } = asked;
        match &self.control {
            Control::Here => {
                let bulk = Bulk { action: *action, filter: filter.clone(), flow: flow.clone() };
                let place = after.as_deref().and_then(BulkPlace::parse);
                if *confirmed {
                    bulk.perform(&self.host, place, Some(&form.actor)).await
                } else {
                    bulk.count(&self.host).await
                }
            }
            Control::Gateway { network, gateway, token } => {
                let Some(flow) = flow else { return Err(Error::ReadOnly.into()) };
                let mut further = vec![("action", action.as_str().to_owned()), ("all", "true".to_owned())];
                further.extend((!confirmed).then(|| ("dry-run", "true".to_owned())));
                further.extend(after.iter().map(|after| ("after", after.clone())));
                let url = format!("{}/flow{}", flow_at(gateway, flow), filter.link(&further));
                let headers = form.asking(token.as_deref()).headers();
                let request = HttpRequest { method: "POST".to_owned(), url, headers, body: Bytes::new() };
                let answer = accepted(network.send(request, ChosenBy::Operator).await?)?;
                serde_json::from_slice(&answer.body).map_err(|_| Error::ForeignAnswer { flow: flow.clone() }.into())
            }
            Control::Nobody => Err(Error::ReadOnly.into()),
        }
    }
}

/// What a form about many runs is about.
pub(super) fn about(flow: Option<&FlowName>) -> About<'_> {
    flow.map_or(About::AllRuns, About::Flow)
}

/// Asks whether the runs are meant.
fn question(asked: &Asked, counted: &BulkDone, ticket: &str, back: &str) -> String {
    let label = label(asked.action);
    let matching = counted.matching.unwrap_or_default();
    let more = if counted.complete == Some(false) { "more than " } else { "" };
    let runs = if matching == 1 { "run" } else { "runs" };
    if matching == 0 {
        return format!("<h1>{label}</h1>\n<p>No run matches.</p>\n<p><a href=\"{back}\">Back to the list</a></p>\n");
    }
    format!(
        "<h1>{label} {more}{matching} {runs}?</h1>\n{}<form method=\"post\" action=\"bulk\">{}\
         <input type=\"hidden\" name=\"action\" value=\"{}\"><input type=\"hidden\" name=\"confirmed\" value=\"yes\">\
         <p>{REASON}</p>\
         <p class=\"buttons\"><button class=\"stop\">{label} {more}{matching} {runs}</button></p></form>\
         <p><a href=\"{back}\">Back to the list</a></p>\n",
        conditions(&asked.filter),
        fields(&asked.filter, ticket),
        asked.action.as_str(),
    )
}

fn conditions(filter: &RunFilter) -> String {
    let pairs = filter.pairs();
    if pairs.is_empty() {
        return "<p>These are all runs in a state that allows this.</p>\n".to_owned();
    }
    let list: String =
        pairs.iter().map(|(name, value)| format!("<li>{name}: <code>{}</code></li>", escaped(value))).collect();
    format!("<ul>{list}</ul>\n")
}

/// Says what was done, and goes on if there is more to do: by itself, or with a button where no script runs.
fn report(asked: &Asked, done: &BulkDone, ticket: &str, back: &str) -> String {
    let Asked { action, changed, failed, .. } = asked;
    let mut report = format!(
        "<h1>{}</h1>\n<p role=\"status\">{changed} {} {}{}.</p>\n",
        label(*action),
        if *changed == 1 { "run" } else { "runs" },
        action.done(),
        if *failed > 0 { format!(", {failed} unchanged") } else { String::new() },
    );
    if let Some(next) = &done.next {
        // Writing to a string cannot fail.
        let _ = writeln!(
            report,
            "<form class=\"goes-on\" method=\"post\" action=\"bulk\">{}<input type=\"hidden\" name=\"action\" value=\"{}\">\
             <input type=\"hidden\" name=\"confirmed\" value=\"yes\"><input type=\"hidden\" name=\"after\" value=\"{}\">\
             <input type=\"hidden\" name=\"reason\" value=\"{}\"><input type=\"hidden\" name=\"changed\" value=\"{changed}\"><input type=\"hidden\" name=\"failed\" value=\"{failed}\">\
             <p class=\"buttons\"><button>Continue</button></p></form>",
            fields(&asked.filter, ticket),
            action.as_str(),
            escaped(next),
            escaped(&asked.reason),
        );
    }
    for BulkFailure { request_id, code, message } in done.failed.iter().take(TOLD) {
        let _ = writeln!(
            report,
            "<p class=\"error\"><code>{request_id}</code> <code>{code}</code> {}</p>",
            escaped(message)
        );
    }
    let _ = writeln!(report, "<p><a href=\"{back}\">Back to the list</a></p>");
    report
}
