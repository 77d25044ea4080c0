//! The runs of a flow, for its operators: a list of them, and one with its nodes, page by page.

use super::error::Error;
use super::openapi::{IfNoneMatch, On, Refusals};
use super::request::{Asked, FromQuery, Operator, Query, RunPath, Target};
use super::surface::Surface;
use super::unchanged::{Known, Tag};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use faas_flow_core::run::{NodeView, Run, RunView, Scope, Scopes, ShownNode};
use faas_flow_core::{Digest, FlowName, Labels, Millis, RunId, Status};
use faas_flow_replica::{Enough, Look, Made, Shown};
use faas_flow_store::{RunEntry, RunQuery};
use faas_flow_versions::MissingModule;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::ops::RangeInclusive;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// How many runs or nodes one answer may have.
const LIMITS: RangeInclusive<u64> = 1..=1000;
/// How many nodes a page may leave out: more than a run can have.
const LAST: u64 = 1_000_000_000;
/// How many runs an answer has at most, unless the caller says so.
const RUNS: u64 = 50;
/// How many nodes an answer has at most, unless the caller says so.
const NODES: u64 = 500;

/// A run in a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ListedRun {
    /// Its request id.
    #[schema(value_type = String)]
    pub request_id: RunId,
    /// Its flow.
    #[schema(value_type = String)]
    pub flow: FlowName,
    /// The digest of its module.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Its status.
    #[schema(value_type = String, pattern = "^(running|paused|stopped|succeeded|failed)$")]
    pub status: Status,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    #[schema(value_type = HashMap<String, String>)]
    pub labels: Labels,
    /// When it started, in milliseconds since the Unix epoch.
    #[schema(value_type = u64)]
    pub started: Millis,
    /// When it ended.
    #[schema(value_type = Option<u64>)]
    pub ended: Option<Millis>,
}

impl From<RunEntry> for ListedRun {
    fn from(RunEntry { run, flow, digest, status, labels, started, ended, .. }: RunEntry) -> Self {
        Self { request_id: run, flow, digest, status, labels, started, ended }
    }
}

/// Runs, the one that started last first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ListedRuns {
    /// The runs.
    pub runs: Vec<ListedRun>,
}

/// Which runs to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only runs with this status.
    #[param(value_type = String, required = false, pattern = "^(running|paused|stopped|succeeded|failed)$")]
    status: Option<Status>,
    /// Only runs with this label, such as `order=42`. May be given several times: then with all of them.
    #[param(rename = "label", value_type = Vec<String>, required = false)]
    labels: Labels,
    /// How many runs to list at most: 50 unless given.
    #[param(value_type = u64, required = false, minimum = 1, maximum = 1000)]
    limit: u64,
}

impl FromQuery for ListQuery {
    fn from_query(query: &Query) -> Result<Self, Error> {
        const RULE: &str = "running, paused, stopped, succeeded or failed";
        let status = query.first("status").map(|status| Status::parse(status).ok_or(RULE)).transpose();
        let status = status.map_err(|rule| Error::BadParameter { name: "status", rule })?;
        Ok(Self { status, labels: query.labels()?, limit: limit(query, RUNS)? })
    }
}

/// Which nodes of a run to show: a page of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct NodesQuery {
    /// Only nodes that have failed, or whose latest attempt has.
    #[param(value_type = String, required = false, pattern = "^(true|false|)$")]
    pub(crate) failed: bool,
    /// How many of the nodes to leave out at the beginning.
    #[param(required = false, maximum = 1000000000)]
    pub(crate) offset: u64,
    /// How many nodes to show at most: 500 unless given.
    #[param(required = false, minimum = 1, maximum = 1000)]
    pub(crate) limit: u64,
}

impl FromQuery for NodesQuery {
    fn from_query(query: &Query) -> Result<Self, Error> {
        let offset = query.number("offset")?.unwrap_or(0);
        if offset > LAST {
            return Err(Error::BadParameter { name: "offset", rule: "a whole number of at most 1000000000" });
        }
        Ok(Self { failed: query.switch("failed")?, offset, limit: limit(query, NODES)? })
    }
}

fn limit(query: &Query, default: u64) -> Result<u64, Error> {
    let limit = query.number("limit")?.unwrap_or(default);
    let rule = "a whole number from 1 to 1000";
    if LIMITS.contains(&limit) { Ok(limit) } else { Err(Error::BadParameter { name: "limit", rule }) }
}

/// Some of a run's nodes.
pub(crate) struct NodesPage {
    /// Those that are shown.
    pub(crate) nodes: Vec<NodeView>,
    /// How many there are in all.
    pub(crate) count: usize,
    /// Where the next page begins, unless this is the last one.
    pub(crate) next: Option<usize>,
}

impl NodesQuery {
    /// The page that begins there.
    pub(crate) fn at(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// The query of a link to it.
    pub(crate) fn link(self) -> String {
        let Self { failed, offset, limit } = self;
        format!("?offset={offset}&amp;limit={limit}{}", if failed { "&amp;failed=true" } else { "" })
    }

    /// The page of the nodes of a run with these scopes.
    pub(crate) fn page(&self, run: &Run, scopes: &Scopes<Scope>) -> NodesPage {
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let limit = self.limit as usize;
        let (nodes, count): (Vec<NodeView>, usize) = if self.failed {
            let failed: Vec<ShownNode<'_>> = scopes.nodes(run).filter(ShownNode::has_failed).collect();
            let page = failed.iter().skip(offset).take(limit).map(ShownNode::view);
            (page.collect(), failed.len())
        } else {
            (scopes.nodes_from(run, offset).take(limit).map(|node| node.view()).collect(), scopes.count(run))
        };
        let end = offset.saturating_add(limit);
        NodesPage { nodes, count, next: (end < count).then_some(end) }
    }

    /// A run in JSON with the page of its nodes, and what it waits for.
    pub(crate) fn json(&self, shown: &Shown, missing: Option<&MissingModule>) -> Result<String, Error> {
        let NodesPage { nodes, count, next } = self.page(shown.run(), shown.scopes());
        let mut run = MissingModule::shown(missing, &RunView { nodes, ..shown.head() })?;
        if let Some(fields) = run.as_object_mut() {
            fields.insert("node_count".to_owned(), json!(count));
            if let Some(next) = next {
                fields.insert("next".to_owned(), json!(next));
            }
        }
        Ok(run.to_string())
    }

    /// The same, made once for all who ask for it before the look is renewed.
    pub(crate) async fn json_of(&self, look: &Look, missing: Option<&MissingModule>) -> Result<Made, Error> {
        let name = format!("json {self:?} {missing:?}");
        look.made(name, async { self.json(&look.shown(), missing) }).await
    }
}

/// The runs of the flow
#[utoipa::path(
    get,
    path = "/flow",
    operation_id = "runs",
    params(ListQuery),
    security((), ("token" = [])),
    responses((status = 200, description = "The runs, the one that started last first.", body = ListedRuns), Refusals, On<401>),
)]
pub(super) async fn list(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    _: Operator,
    Asked(ListQuery { status, labels, limit }): Asked<ListQuery>,
) -> Result<Json<ListedRuns>, Error> {
    let query = RunQuery { flow: Some(flow.name.clone()), status, labels, limit: limit as usize };
    let runs = surface.host.list(&query).await?;
    Ok(Json(ListedRuns { runs: runs.into_iter().map(ListedRun::from).collect() }))
}

/// A run with its nodes, page by page
#[utoipa::path(
    get,
    path = "/flow/{id}",
    operation_id = "run",
    params(RunPath, NodesQuery, IfNoneMatch),
    security((), ("token" = [])),
    responses(
        (status = 200, description = "The run, without payloads. `node_count` is the number of nodes in all; `next` is the \
            `offset` of the next page, if there is one.",
            headers(("ETag" = String, description = "Stands for what the answer says.")), body = Value),
        On<304>, Refusals, On<401>,
    ),
)]
pub(super) async fn show(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id: run }: RunPath,
    _: Operator,
    Asked(nodes): Asked<NodesQuery>,
    known: Known,
) -> Result<Response, Error> {
    let look = surface.host.look(&run, Enough::Whole).await?.filter(|look| look.shown().run().flow == flow.name);
    let look = look.ok_or_else(|| Error::NoRun { flow: flow.name.clone(), run })?;
    let head = look.shown().head();
    let missing = surface.host.versions().missing_module(&head).await?;
    Ok(known_json(&known, &nodes.json_of(&look, missing.as_ref()).await?))
}

/// An answer that is JSON already, unless the caller has it.
pub(crate) fn known_json(known: &Known, Made { text, digest }: &Made) -> Response {
    known.or(&Tag::of_digest(digest), || json_text(text))
}

/// An answer that is JSON already.
fn json_text(text: &str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text.to_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::run::Attempt;
    use faas_flow_core::{Code, Failure};

    fn run() -> Run {
        let failure = Some(Failure::reject(Code::INTERNAL, "no"));
        let node = |at: u64| {
            let failure = failure.clone().filter(|_| at.is_multiple_of(3));
            let attempt = Attempt { started: 0, ended: 0, failure, next: None };
            json!({ "id": format!("n{at}"), "progress": "done", "input_size": at, "attempts": [attempt] })
        };
        let run = json!({
            "id": "r", "flow": "f", "digest": Digest::of(b"f"), "started": 1, "request": {}, "phase": "flow",
            "hooks": (0..10).map(node).collect::<Vec<_>>(),
        });
        serde_json::from_value(run).unwrap()
    }

    fn shown(query: &str) -> (Vec<u64>, usize, Option<usize>) {
        let page = NodesQuery::from_query(&Query::parse(query)).unwrap().page(&run(), &Scopes::default());
        (page.nodes.iter().map(|node| node.input_size).collect(), page.count, page.next)
    }

    #[test]
    fn nodes_are_shown_page_by_page() {
        assert_eq!(shown(""), ((0..10).collect(), 10, None));
        assert_eq!(shown("limit=4"), (vec![0, 1, 2, 3], 10, Some(4)));
        assert_eq!(shown("limit=4&offset=8"), (vec![8, 9], 10, None));
        assert_eq!(shown("offset=10"), (vec![], 10, None));
        assert_eq!(shown("offset=1000000000"), (vec![], 10, None));
        assert_eq!(shown("failed&limit=3"), (vec![0, 3, 6], 4, Some(3)));
        assert_eq!(shown("failed=true&offset=3"), (vec![9], 4, None));
    }

    #[test]
    fn pages_have_limits() {
        for bad in ["limit=0", "limit=1001", "limit=-1", "offset=x", "offset=1000000001", "failed=maybe"] {
            let refused = NodesQuery::from_query(&Query::parse(bad)).unwrap_err();
            assert_eq!(refused.code(), Code::BAD_REQUEST, "{bad}");
        }
        for bad in ["limit=0", "limit=1001", "status=happy"] {
            assert!(ListQuery::from_query(&Query::parse(bad)).is_err(), "{bad}");
        }
    }
}
