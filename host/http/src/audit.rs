//! The audit log: what requests have asked for, and its list.

use super::access::Head;
use super::answer::Refusal;
use super::error::Error;
use super::openapi::{On, Refusals};
use super::request::{Asked, FromQuery, Query, Target};
use super::surface::Surface;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use faas_flow_core::run::Actor;
use faas_flow_core::{Code, FlowName, RunId};
use faas_flow_replica::Host;
use faas_flow_replica::audit::{AuditEntry, AuditOutcome, AuditPage};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// How many entries a list has if nobody says how many, and at most.
const LISTED: u64 = 100;
const MOST: u64 = 1000;
/// The longest target, in characters.
const LONGEST_TARGET: usize = 300;
/// Parameters that are told elsewhere, or that nobody needs to see.
const HIDDEN: [&str; 6] = ["who", "message", "reason", "signature", "once", "expires"];

/// Something that somebody asks for, before it is known what comes of it.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub action: String,
    pub actor: Actor,
    pub flow: Option<FlowName>,
    pub run: Option<RunId>,
    pub target: String,
}

impl Attempt {
    /// What a request to a route of a flow asks for.
    pub fn of(action: &str, actor: Actor, head: Head<'_>, flow: Option<FlowName>) -> Self {
        let path = head.uri.path().trim_matches('/');
        let named = ["function/", "async-function/"].into_iter().find_map(|prefix| path.strip_prefix(prefix));
        let (name, below) = named.map_or(("", path), |path| path.split_once('/').unwrap_or((path, "")));
        let flow = flow.or_else(|| FlowName::new(super::request::without_namespace(name)).ok());
        let of_run = below.strip_prefix("flow/").and_then(|below| below.split_once('/').or(Some((below, ""))));
        let run = of_run.and_then(|(run, _)| RunId::new(percent_decode_str(run).decode_utf8_lossy().as_ref()).ok());
        let below = of_run.filter(|_| run.is_some()).map_or(below, |(_, below)| below);
        let below = if below == action { "" } else { below };
        let given = Query::parse(head.uri.query().unwrap_or_default()).0;
        let given = given.into_iter().filter(|(name, _)| !HIDDEN.contains(&name.as_str()));
        let pairs: Vec<String> = given.map(|(name, value)| format!("{name}={value}")).collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        let target = format!("{below}{mark}{}", pairs.join("&"));
        let target = target.chars().filter(|c| !c.is_control()).take(LONGEST_TARGET).collect();
        Self { action: action.to_owned(), actor, flow, run, target }
    }

    /// Records what came of it.
    pub async fn ended(self, host: &Host, failed: Option<Code>) {
        let outcome = match failed {
            None => AuditOutcome::Done,
            Some(Code::RIGHT_MISSING) => AuditOutcome::Refused,
            Some(_) => AuditOutcome::Failed,
        };
        let Self { action, actor, flow, run, target } = self;
        host.audit(AuditEntry { at: host.now(), action, actor, flow, run, target, outcome, code: failed }).await;
    }
}

/// The code of the error that a response reports.
pub(super) fn code_of(response: &Response) -> Option<Code> {
    response.extensions().get().map(|Refusal(failure)| failure.code)
}

/// Which entries to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// The maximum number of entries.
    #[param(value_type = u64, required = false, minimum = 1, maximum = 1000)]
    limit: u64,
    /// The `next` of the previous answer.
    #[param(value_type = u64, required = false, minimum = 0)]
    after: Option<u64>,
}

impl FromQuery for AuditQuery {
    fn from_query(query: &Query) -> Result<Self, Error> {
        let limit = query.number("limit")?.unwrap_or(LISTED);
        if !(1..=MOST).contains(&limit) {
            return Err(Error::BadParameter { name: "limit", rule: "a whole number from 1 to 1000" });
        }
        let after = query.number("after")?;
        if after.is_some_and(|after| i64::try_from(after).is_err()) {
            return Err(Error::BadParameter { name: "after", rule: "the `next` of an answer" });
        }
        Ok(Self { limit, after })
    }
}

impl AuditQuery {
    /// The entries of a flow, or of all.
    pub async fn find(&self, host: &Host, flow: Option<&FlowName>) -> Result<AuditList, Error> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let AuditPage { entries, next } = host.audit_log(flow, self.after, limit).await?;
        Ok(AuditList { entries, next })
    }
}

/// Entries of the audit log, the latest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditList {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// What to give as `after` for the next page; missing if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// What operators have requested, the latest first
///
/// Who changed runs, schedules and versions of the flow, when, from where and why, and who has tried to without the necessary right.
#[utoipa::path(
    get,
    path = "/audit",
    operation_id = "audit",
    params(AuditQuery),
    security((), ("token" = [])),
    responses((status = 200, description = "The entries.", body = AuditList), Refusals, On<401>),
)]
pub(super) async fn list(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    Asked(query): Asked<AuditQuery>,
) -> Result<Json<AuditList>, Error> {
    Ok(Json(query.find(&surface.host, Some(&flow.name)).await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{Extensions, HeaderMap};

    #[test]
    fn a_place_that_no_answer_names_is_refused() {
        let read = |query: &str| {
            AuditQuery::from_query(&Query::parse(query))
                .map(|query| (query.limit, query.after))
                .map_err(|error| error.code())
        };
        assert_eq!(read("limit=7&after=42").unwrap(), (7, Some(42)));
        assert_eq!(read("").unwrap(), (LISTED, None));
        for bad in ["after=9223372036854775808", "after=-1", "limit=0", "limit=1001", "limit=x"] {
            assert_eq!(read(bad).unwrap_err(), Code::BAD_REQUEST, "{bad}");
        }
    }

    #[test]
    fn an_attempt_names_what_it_is_about() {
        let of = |action, uri: &str| {
            let (headers, extensions, uri) = (HeaderMap::new(), Extensions::new(), uri.parse().unwrap());
            let head = Head { headers: &headers, extensions: &extensions, uri: &uri };
            let Attempt { flow, run, target, .. } = Attempt::of(action, Actor::default(), head, None);
            let flow = flow.map(|flow| flow.to_string()).unwrap_or_default();
            (flow, run.map(|run| run.to_string()).unwrap_or_default(), target)
        };
        let is = |flow: &str, run: &str, target: &str| (flow.to_owned(), run.to_owned(), target.to_owned());
        assert_eq!(of("stop", "/function/greet/flow/r1/stop?reason=x"), is("greet", "r1", ""));
        assert_eq!(of("rerun", "/flow/r1/rerun?node=C%5Bc%5D%2Fn"), is("", "r1", "?node=C[c]/n"));
        assert_eq!(of("signal", "/function/g.openfaas-fn/flow/r1/signal/ok"), is("g", "r1", "signal/ok"));
        assert_eq!(
            of("change-runs", "/function/g/flow?action=stop&all=true"),
            is("g", "", "flow?action=stop&all=true")
        );
        assert_eq!(
            of("activate", "/function/g/modules/abc/activate?who=me&canary=10&message=m"),
            is("g", "", "modules/abc/activate?canary=10")
        );
        assert_eq!(of("delete-run", "/flow/%20"), is("", "", "flow/%20"));
    }
}
