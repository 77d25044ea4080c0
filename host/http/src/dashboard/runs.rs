//! The runs that match a filter, page by page: of one flow, or of all.

use super::Dashboard;
use super::bulk::{about, buttons};
use super::control::Control;
use super::flows::table;
use super::page::{Page, View};
use crate::{Error, PageQuery, RunFilter};
use faas_flow_core::{FlowName, Millis, Status};
use faas_flow_graph::escaped;
use faas_flow_store::{RunEntry, RunPage};
use serde_json::json;

/// How many runs a page has.
const LISTED: usize = 100;

/// The runs that are asked for, and where the next page begins.
pub(super) struct Found {
    page: RunPage,
    filter: RunFilter,
    is_first: bool,
}

impl Dashboard {
    /// The page of all runs.
    pub(super) async fn runs(&self, filter: RunFilter, page: PageQuery, viewed: &View) -> Result<Page, Error> {
        let up = viewed.up();
        let found = self.find(None, filter, page).await?;
        let counts = self.host.counts(None).await?;
        let main = format!(
            "<h1>Runs</h1>\n<p class=\"quiet\">{} in all</p>\n{}",
            counts.total(),
            found.html("runs", &escaped(up).to_string(), (self.host.now(), self.bulk_ticket(None, viewed)))
        );
        let is_live = found.is_live();
        let trail = vec![("Flows".to_owned(), if up.is_empty() { "./".to_owned() } else { up.to_owned() })];
        let aside = String::new();
        Ok(Page { title: "Runs".to_owned(), trail, main, aside, live: is_live, json: found.json() })
    }

    /// What a form about many runs carries, of a flow or of all; `None` if there is no such form.
    pub(super) fn bulk_ticket(&self, flow: Option<&FlowName>, viewed: &View) -> Option<String> {
        let is_possible = match self.control {
            Control::Here => true,
            Control::Gateway { .. } => flow.is_some(),
            Control::Nobody => false,
        };
        (is_possible && viewed.has_buttons()).then(|| self.access.ticket(about(flow)))
    }

    /// The runs that match a filter, of a flow or of all.
    pub(super) async fn find(
        &self,
        flow: Option<&FlowName>,
        filter: RunFilter,
        page: PageQuery,
    ) -> Result<Found, Error> {
        let is_first = page.after.is_none();
        let page = self.host.list(&filter.query(flow, self.host.now(), (page.after, LISTED))).await?;
        Ok(Found { page, filter, is_first })
    }
}

impl Found {
    pub(super) fn runs(&self) -> &[RunEntry] {
        &self.page.runs
    }

    /// Whether the page changes by itself. One in the middle of the list is looked at in peace.
    pub(super) fn is_live(&self) -> bool {
        self.is_first
    }

    /// Whether anything is asked for.
    pub(super) fn is_filtered(&self) -> bool {
        self.filter != RunFilter::default()
    }

    /// The form, the table and the links to other pages. `here` is the last part of the page's own address, and links to other pages
    /// begin with `up`. With a ticket, there are buttons for all runs that match.
    pub(super) fn html(&self, here: &str, up: &str, (now, ticket): (Millis, Option<String>)) -> String {
        let Self { page: RunPage { runs, next }, filter, is_first } = self;
        let here = escaped(here).to_string();
        let list =
            if runs.is_empty() { "<p class=\"quiet\">No runs.</p>".to_owned() } else { table(runs.iter(), up, now) };
        let mut pager = String::new();
        if !is_first {
            pager.push_str(&format!("<a href=\"{here}{}\">First page</a> ", escaped(&filter.link(&[]))));
        }
        if let Some(next) = next {
            let link = filter.link(&[("after", next.to_string())]);
            let words = if runs.len() < LISTED { "Search on" } else { "Older runs" };
            pager.push_str(&format!("<a rel=\"next\" href=\"{here}{}\">{words}</a>", escaped(&link)));
        }
        if next.is_some() && runs.len() < LISTED {
            pager.push_str(" <span class=\"quiet\">Few of the runs examined so far match, and there are more.</span>");
        }
        let pager = if pager.is_empty() { pager } else { format!("<p class=\"pager\">{pager}</p>\n") };
        let bulk = ticket.filter(|_| !runs.is_empty()).map_or(String::new(), |ticket| buttons(filter, &here, &ticket));
        format!("{}{}\n{list}{pager}{bulk}", states(filter, &here), form(filter, &here))
    }

    pub(super) fn json(&self) -> serde_json::Value {
        json!({ "runs": self.json_runs(), "next": self.page.next.as_ref().map(ToString::to_string) })
    }

    pub(super) fn json_runs(&self) -> Vec<serde_json::Value> {
        let runs = self.page.runs.iter().cloned().map(crate::ListedRun::from);
        runs.map(|run| serde_json::to_value(run).unwrap_or_default()).collect()
    }
}

/// Links to the runs in each state.
fn states(filter: &RunFilter, here: &str) -> String {
    let link = |status: Option<Status>| {
        let word = status.map_or("all", Status::as_str);
        if status == filter.status {
            return format!("<strong>{word}</strong>");
        }
        let link = RunFilter { status, ..filter.clone() }.link(&[]);
        format!("<a href=\"{here}{}\">{word}</a>", escaped(&link))
    };
    let links: Vec<String> = std::iter::once(None).chain(Status::ALL.map(Some)).map(link).collect();
    format!("<p class=\"states quiet\">{}</p>\n", links.join(" · "))
}

/// The form of all other conditions.
fn form(filter: &RunFilter, here: &str) -> String {
    let field = |name: &str, label: &str, example: &str, value: &str| {
        format!(
            "<label>{label} <input name=\"{name}\" placeholder=\"{example}\" value=\"{}\" maxlength=\"256\"></label> ",
            escaped(value)
        )
    };
    let of = |value: &Option<String>| value.clone().unwrap_or_default();
    let code = filter.code.map(|code| code.to_string()).unwrap_or_default();
    let mut fields: Vec<String> = filter
        .labels
        .iter()
        .map(|(key, value)| field("label", "Label", "order=42", &format!("{key}={value}")))
        .collect();
    if fields.is_empty() {
        fields.push(field("label", "Label", "order=42", ""));
    }
    fields.push(field("text", "Failure contains", "timed out", &of(&filter.text)));
    fields.push(field("code", "Code", "FF0208", &code));
    fields.push(field("id", "Id begins with", "", &of(&filter.id)));
    fields.push(field("digest", "Version", "3f2a91", &of(&filter.digest)));
    fields.push(field("since", "Since", "2h or 2026-12-24", &of(&filter.since)));
    fields.push(field("until", "Until", "10m", &of(&filter.until)));
    let status = filter.status.map_or(String::new(), |status| {
        format!("<input type=\"hidden\" name=\"status\" value=\"{}\">", status.as_str())
    });
    let open = if *filter == (RunFilter { status: filter.status, ..RunFilter::default() }) { "" } else { " open" };
    format!(
        "<details class=\"search\" id=\"search\"{open}><summary>Search</summary><form method=\"get\" action=\"{here}\">{status}{}\
         <button>Search</button></form></details>",
        fields.concat()
    )
}
