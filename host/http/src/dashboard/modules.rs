//! The versions of a flow: what is in service, buttons that change that, and the difference between two versions.

use super::Dashboard;
use super::access::About;
use super::control::Control;
use super::error::Error;
use super::form::{Form, NO_BUTTON, REASON};
use super::page::{Page, Size, View, time};
use crate::Error as HttpError;
use crate::drawing::drawn;
use crate::remote::{Asking, accepted, flow_at};
use crate::request::{FromQuery, Query};
use bytes::Bytes;
use faas_flow_core::run::Actor;
use faas_flow_core::{Digest, FlowName, Millis};
use faas_flow_graph::{Colours, Difference, escaped};
use faas_flow_guest::HttpRequest;
use faas_flow_replica::network::ChosenBy;
use faas_flow_versions::{By, CanaryRule, Expected, IfRemoved, RunCounts, Share, Upload};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// How many entries of the history are shown.
const HISTORY: usize = 20;

/// A change of what is in service.
pub(super) enum Change {
    /// New runs begin with this version, or a share of them.
    Activate {
        version: Digest,
        canary: Option<Share>,
    },
    Promote,
    Withdraw,
    RollBack,
}

impl Change {
    /// Its name in the audit log, and the version that it names.
    fn recorded(&self) -> (&'static str, String) {
        match self {
            Change::Activate { version, .. } => ("activate", version.to_string()),
            Change::Promote => ("promote", String::new()),
            Change::Withdraw => ("withdraw", String::new()),
            Change::RollBack => ("roll-back", String::new()),
        }
    }

    /// The route of a flow that does it, below `/modules`.
    fn route(self, revision: Option<u64>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(revision) = revision {
            query.append_pair("revision", &revision.to_string());
        }
        let route = match self {
            Change::Activate { version, canary } => {
                if let Some(share) = canary {
                    query.append_pair("canary", &share.to_string());
                }
                format!("/{version}/activate")
            }
            Change::Promote => "/promote".to_owned(),
            Change::Withdraw => "/withdraw".to_owned(),
            Change::RollBack => "/rollback".to_owned(),
        };
        format!("{route}?{}", query.finish())
    }
}

/// A module that was sent.
pub(super) struct Sent {
    pub bytes: Bytes,
    pub signature: Option<String>,
    pub is_again: bool,
}

/// Which versions to compare.
pub(super) struct Compared {
    from: Digest,
    to: Digest,
}

impl FromQuery for Compared {
    fn from_query(query: &Query) -> Result<Self, HttpError> {
        let digest = |name| {
            let given = query.first(name).unwrap_or_default();
            Digest::new(given).map_err(|_| HttpError::BadParameter { name, rule: "the digest of a version" })
        };
        Ok(Self { from: digest("from")?, to: digest("to")? })
    }
}

/// The versions as a replica lists them: `GET /modules`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Versions {
    revision: u64,
    versions: Vec<Version>,
    canary: Option<Canary>,
    canary_runs: Option<CanaryRuns>,
    history: Vec<Activation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Version {
    digest: Digest,
    state: String,
    size: u64,
    who: String,
    #[serde(default)]
    message: String,
    at: Millis,
    runs_in_flight: Option<u64>,
}

#[derive(Deserialize)]
struct Canary {
    digest: Digest,
    share: Share,
}

#[derive(Deserialize)]
struct CanaryRuns {
    ended: u64,
    failed: u64,
}

#[derive(Deserialize)]
struct Activation {
    digest: Digest,
    why: String,
    who: String,
    #[serde(default)]
    message: String,
    at: Millis,
}

impl Dashboard {
    /// The page of a flow's versions.
    pub(super) async fn modules(&self, flow: &FlowName, viewed: &View) -> Result<Page, HttpError> {
        let json = self.listed(flow).await?;
        let listed = Versions::deserialize(&json).map_err(|_| Error::ForeignAnswer { flow: flow.clone() })?;
        let ticket = viewed.deploys().then(|| self.access.ticket(About::Flow(flow)));
        let name = escaped(flow.as_str());
        let mut main = format!("<h1>Versions of {name}</h1>\n");
        main.push_str(&in_service(&listed, ticket.as_deref()));
        main.push_str(&table(&listed, ticket.as_deref()));
        main.push_str(&history(&listed));
        let aside = ticket.map_or(String::new(), |ticket| push_form(&ticket));
        let trail = vec![("Flows".to_owned(), "../../".to_owned()), (flow.to_string(), format!("../{flow}"))];
        Ok(Page { title: format!("Versions of {flow}"), trail, main, aside, live: true, json })
    }

    /// The versions, by this process or by a replica behind the gateway.
    async fn listed(&self, flow: &FlowName) -> Result<Value, HttpError> {
        match &self.control {
            Control::Gateway { .. } => {
                let answer = self.ask_modules(flow, "GET", "?runs=true", (None, None), Bytes::new()).await?;
                Ok(serde_json::from_slice(&answer).map_err(|_| Error::ForeignAnswer { flow: flow.clone() })?)
            }
            Control::Here | Control::Nobody => {
                let listed = self.host.versions().list(flow, RunCounts::Count).await.map_err(HttpError::of_version)?;
                Ok(serde_json::to_value(listed).unwrap_or_default())
            }
        }
    }

    /// Asks a replica behind the gateway about versions.
    async fn ask_modules(
        &self,
        flow: &FlowName,
        method: &str,
        route: &str,
        (form, signature): (Option<&Form>, Option<String>),
        body: Bytes,
    ) -> Result<Bytes, HttpError> {
        let Control::Gateway { network, gateway, token } = &self.control else { return Err(Error::ReadOnly.into()) };
        let url = format!("{}/modules{route}", flow_at(gateway, flow));
        let asking = form.map_or_else(|| Asking::with(token.clone()), |form| form.asking(token.as_deref()));
        let mut headers = asking.headers();
        headers.extend(signature.map(|line| ("X-Faas-Flow-Module-Signature".to_owned(), line)));
        let request = HttpRequest { method: method.to_owned(), url, headers, body };
        Ok(accepted(network.send(request, ChosenBy::Operator).await?)?.body)
    }

    /// Changes what is in service.
    pub(super) async fn change_service(
        &self,
        flow: &FlowName,
        change: Change,
        revision: Option<u64>,
        form: &Form,
    ) -> Result<(), HttpError> {
        if let Control::Here = &self.control {
            let (action, version) = change.recorded();
            let changed = self.change_here(flow, change, revision, form).await;
            self.record(action, form, (Some(flow), None, &version), &changed).await;
            return changed;
        }
        self.ask_modules(flow, "POST", &change.route(revision), (Some(form), None), Bytes::new()).await.map(drop)
    }

    async fn change_here(
        &self,
        flow: &FlowName,
        change: Change,
        revision: Option<u64>,
        form: &Form,
    ) -> Result<(), HttpError> {
        let versions = self.host.versions();
        let by = self.by(form)?;
        let expected = revision.map_or(Expected::Any, Expected::Revision);
        let changed = match change {
            Change::Activate { version, canary: Some(share) } => {
                versions.start_canary(flow, (&version, share), CanaryRule::default(), expected, by).await
            }
            Change::Activate { version, canary: None } => versions.activate(flow, &version, expected, by).await,
            Change::Promote => versions.promote(flow, expected, by).await,
            Change::Withdraw => versions.withdraw(flow, expected, by).await,
            Change::RollBack => versions.roll_back(flow, expected, by).await,
        };
        changed.map(drop).map_err(HttpError::of_version)
    }

    /// Who sends a form, and why.
    fn by(&self, form: &Form) -> Result<By, HttpError> {
        let Actor { who, reason, .. } = &form.actor;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Ok(By::new(&text(who), &text(reason), self.host.now())?)
    }

    /// Stores a version, and says which one it is.
    pub(super) async fn push(&self, flow: &FlowName, sent: Sent, form: &Form) -> Result<Digest, HttpError> {
        let digest = Digest::of(&sent.bytes);
        let pushed = self.push_as(flow, &digest, sent, form).await;
        self.record("push", form, (Some(flow), None, digest.as_str()), &pushed).await;
        pushed.map(|()| digest)
    }

    async fn push_as(&self, flow: &FlowName, digest: &Digest, sent: Sent, form: &Form) -> Result<(), HttpError> {
        let Sent { bytes, signature, is_again } = sent;
        if let Control::Here = &self.control {
            let by = self.by(form)?;
            let if_removed = if is_again { IfRemoved::StoreAgain } else { IfRemoved::Refuse };
            let upload = Upload { digest: digest.clone(), bytes, by, signature, if_removed };
            return self.host.versions().push(flow, upload).await.map(drop).map_err(HttpError::of_version);
        }
        let again = if is_again { "?again=true" } else { "" };
        self.ask_modules(flow, "PUT", &format!("/{digest}{again}"), (Some(form), signature), bytes).await.map(drop)
    }

    /// The page with the difference between two versions.
    pub(super) async fn difference(&self, flow: &FlowName, Compared { from, to }: Compared) -> Result<Page, HttpError> {
        let old = self.definitions.of(flow, &from).await?;
        let new = self.definitions.of(flow, &to).await?;
        let name = flow.to_string();
        let (picture, text, json) = drawn(move || {
            let difference = Difference::between(&old, &new);
            let json = serde_json::to_value(&difference).unwrap_or_default();
            (difference.svg(&old, &new, &name), difference.text(Colours::Off), json)
        })
        .await?;
        let main = format!(
            "<h1>From <code>{}</code> to <code>{}</code></h1>\n<div class=\"picture flow\" tabindex=\"0\" role=\"region\" \
             aria-label=\"Picture of the difference\">{picture}</div>\n<h2>Changes</h2>\n<pre class=\"payload\" tabindex=\"0\">{}</pre>\n",
            from.short(),
            to.short(),
            super::run::lines(&text)
        );
        let trail = vec![
            ("Flows".to_owned(), "../../../".to_owned()),
            (flow.to_string(), format!("../../{flow}")),
            ("Versions".to_owned(), "../modules".to_owned()),
        ];
        let json = json!({ "flow": flow, "from": from, "to": to, "difference": json });
        Ok(Page { title: format!("Difference in {flow}"), trail, main, aside: String::new(), live: false, json })
    }
}

/// The id of the form that changes what is in service.
const SERVICE: &str = "service";

/// A button that changes what is in service. Wherever it stands, it sends the fields of the one form.
fn button(what: &str, label: &str, attributes: &str) -> String {
    format!("<button class=\"small\" form=\"{SERVICE}\" formaction=\"modules/{what}\"{attributes}>{label}</button> ")
}

/// What new runs begin with, and the form that changes it, with the reason and the share of a canary.
fn in_service(listed: &Versions, ticket: Option<&str>) -> String {
    let revision = listed.revision;
    let mut html = String::new();
    if let Some(Activation { digest, .. }) = listed.history.first() {
        let canary = listed.canary.as_ref().map_or(String::new(), |canary| {
            let runs = listed.canary_runs.as_ref();
            let runs =
                runs.map_or(String::new(), |runs| format!(", {} of its {} runs failed", runs.failed, runs.ended));
            format!("; {} of them with the canary <code>{}</code>{runs}", canary.share, canary.digest.short())
        });
        // Writing to a string cannot fail.
        let _ = writeln!(html, "<p>New runs begin with <code>{}</code>{canary}.</p>", digest.short());
    }
    if let Some(ticket) = ticket {
        let mut buttons = String::new();
        if listed.canary.is_some() {
            buttons.push_str(&button("promote", "Promote the canary", ""));
            buttons.push_str(&button("withdraw", "Withdraw the canary", ""));
        }
        if listed.history.len() > 1 {
            buttons.push_str(&button("rollback", "Roll back", ""));
        }
        let _ = writeln!(
            html,
            "<form id=\"{SERVICE}\" class=\"buttons\" method=\"post\">{NO_BUTTON}\
             <input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\
             <input type=\"hidden\" name=\"revision\" value=\"{revision}\">{buttons}{REASON} \
             <label>Share of a new canary <input name=\"canary\" value=\"5%\" size=\"5\" maxlength=\"7\"></label></form>"
        );
    }
    html
}

fn table(listed: &Versions, ticket: Option<&str>) -> String {
    let active = listed.history.first().map(|activation| &activation.digest);
    let mut html = String::from(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Versions\"><table class=\"versions\" aria-label=\"Versions\"><thead><tr><th>Version</th>\
         <th>State</th><th>Stored (UTC)</th><th>By</th><th>Size</th><th>Runs in flight</th><th>Actions</th></tr></thead><tbody>\n",
    );
    for version in &listed.versions {
        let digest = &version.digest;
        let runs = version.runs_in_flight.map_or(String::new(), |runs| runs.to_string());
        let compare = active.filter(|active| *active != digest).map_or(String::new(), |active| {
            format!("<a href=\"modules/difference?from={active}&amp;to={digest}\">Compare with the active one</a>")
        });
        let is_usable = matches!(version.state.as_str(), "stored" | "canary");
        let buttons = if ticket.is_some() && is_usable {
            let (route, short) = (format!("{digest}/activate"), digest.short());
            let active = format!(" name=\"as\" value=\"active\" title=\"Activate version {short}\"");
            let canary = format!(" title=\"Start version {short} as canary, with the share above\"");
            button(&route, "Activate", &active) + &button(&route, "Start as canary", &canary)
        } else {
            String::new()
        };
        let state = escaped(&version.state);
        let _ = writeln!(
            html,
            "<tr id=\"version:{digest}\"><td><code title=\"{digest}\">{}</code></td><td><span class=\"badge {state}\">{state}</span></td>\
             <td>{}</td><td>{}<br><span class=\"quiet\">{}</span></td><td class=\"number\">{}</td><td class=\"number\">{runs}</td>\
             <td><div class=\"few buttons\">{buttons}</div>{compare}</td></tr>",
            digest.short(),
            time(version.at),
            escaped(&version.who),
            escaped(&version.message),
            Size(version.size)
        );
    }
    html + "</tbody></table></div>\n"
}

fn history(listed: &Versions) -> String {
    let mut html = String::from("<h2>History</h2>\n<ol class=\"history\">\n");
    for Activation { digest, why, who, message, at } in listed.history.iter().take(HISTORY) {
        let message = if message.is_empty() { String::new() } else { format!(": {}", escaped(message)) };
        let _ = writeln!(
            html,
            "<li>{} <code>{}</code> {} by {}{message}</li>",
            time(*at),
            digest.short(),
            escaped(&why.replace('-', " ")),
            escaped(who)
        );
    }
    html + "</ol>\n"
}

/// The form that sends a module.
fn push_form(ticket: &str) -> String {
    format!(
        "<h2 id=\"push\">Push a version</h2>\n<form class=\"run\" method=\"post\" action=\"modules/push\" enctype=\"multipart/form-data\">\
         <input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\
         <label>Module <input type=\"file\" name=\"module\" accept=\".wasm\" required></label>\
         <label>Reason <input name=\"reason\" maxlength=\"1000\"></label>\
         <details id=\"push-more\"><summary>More</summary>\
         <label>Signature, the line of the file <code>.wasm.sig</code> <input name=\"signature\" maxlength=\"1000\"></label>\
         <label><input type=\"checkbox\" name=\"again\" value=\"true\"> Store the version again if it was removed</label></details>\
         <button>Push</button></form>\n\
         <p class=\"quiet\">A version that was pushed is stored. New runs begin with it once you activate it.</p>"
    )
}
