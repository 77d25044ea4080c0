//! The runs of a flow, for its operators: a list of them, and one with its nodes, page by page.

use super::error::Error;
use super::filter::RunFilter;
use super::openapi::{IfNoneMatch, On, Refusals};
use super::request::{Asked, FromQuery, Query, RunPath, Target, WholeBody};
use super::surface::Surface;
use super::unchanged::{Known, Tag};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use faas_flow_core::run::{NodeView, Run, RunView, Scope, Scopes, ShownNode};
use faas_flow_core::{Code, Digest, FlowName, Labels, Millis, RunId, Status};
use faas_flow_replica::{Enough, Look, Made, Shown};
use faas_flow_store::{Cursor, RunCounts, RunEntry, RunFailure, RunPage};
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
    /// How it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ListedFailure>,
    /// When it started, in milliseconds since the Unix epoch.
    #[schema(value_type = u64)]
    pub started: Millis,
    /// When it ended.
    #[schema(value_type = Option<u64>)]
    pub ended: Option<Millis>,
}

/// How a run in a list has failed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ListedFailure {
    /// The code.
    #[schema(value_type = String, pattern = "^FF[0-9]{4}$")]
    pub code: Code,
    /// The first 256 bytes of the message.
    pub message: String,
}

impl From<RunEntry> for ListedRun {
    fn from(RunEntry { run, flow, digest, status, labels, failure, started, ended, .. }: RunEntry) -> Self {
        let failure = failure.map(|RunFailure { code, message }| ListedFailure { code, message });
        Self { request_id: run, flow, digest, status, labels, failure, started, ended }
    }
}

/// Runs, the one that started last first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ListedRuns {
    /// The runs.
    pub runs: Vec<ListedRun>,
    /// What to give as `after` for the next page; missing if there are no more runs. A page may have fewer runs than its
    /// limit, even none, and be followed by another one: then few of the runs examined so far match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many runs of the flow have each status, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<ListedCounts>,
}

impl From<RunPage> for ListedRuns {
    fn from(RunPage { runs, next }: RunPage) -> Self {
        let runs = runs.into_iter().map(ListedRun::from).collect();
        Self { runs, next: next.map(|next| next.to_string()), counts: None }
    }
}

/// How many runs have each status.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct ListedCounts {
    running: u64,
    paused: u64,
    stopped: u64,
    succeeded: u64,
    failed: u64,
    /// Whether all runs were counted; otherwise only the latest were, about ten thousand, since the state store has no index.
    complete: bool,
}

impl From<RunCounts> for ListedCounts {
    fn from(counts: RunCounts) -> Self {
        Self {
            running: counts.of(Status::Running),
            paused: counts.of(Status::Paused),
            stopped: counts.of(Status::Stopped),
            succeeded: counts.of(Status::Succeeded),
            failed: counts.of(Status::Failed),
            complete: counts.complete,
        }
    }
}

/// Which page of the runs to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// The `next` of the previous page.
    #[param(value_type = String, required = false)]
    pub(crate) after: Option<Cursor>,
    /// How many runs to list at most: 50 unless given.
    #[param(value_type = u64, required = false, minimum = 1, maximum = 1000)]
    pub(crate) limit: u64,
    /// Whether to say how many runs of the flow have each status, whatever the page has.
    #[param(value_type = String, required = false, pattern = "^(true|false|)$")]
    pub(crate) counts: bool,
}

impl FromQuery for PageQuery {
    fn from_query(query: &Query) -> Result<Self, Error> {
        let after = query.first("after").filter(|after| !after.is_empty());
        let after = after.map(|after| {
            Cursor::parse(after).ok_or(Error::BadParameter { name: "after", rule: "the `next` of a page" })
        });
        Ok(Self { after: after.transpose()?, limit: limit(query, RUNS)?, counts: query.switch("counts")? })
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
    params(RunFilter, PageQuery),
    security((), ("token" = [])),
    responses((status = 200, description = "The runs, the one that started last first.", body = ListedRuns), Refusals, On<401>),
)]
pub(super) async fn list(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    Asked((filter, page)): Asked<(RunFilter, PageQuery)>,
) -> Result<Json<ListedRuns>, Error> {
    let PageQuery { after, limit, counts } = page;
    let host = &surface.host;
    let runs = host.list(&filter.query(Some(&flow.name), host.now(), (after, limit as usize))).await?;
    let counts = if counts { Some(host.counts(Some(&flow.name)).await?.into()) } else { None };
    Ok(Json(ListedRuns { counts, ..runs.into() }))
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
            headers(("ETag" = String, description = "Identifies the content of the answer.")), body = Value),
        On<304>, Refusals, On<401>,
    ),
)]
pub(super) async fn show(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id: run }: RunPath,
    Asked(nodes): Asked<NodesQuery>,
    known: Known,
) -> Result<Response, Error> {
    let look = surface.host.look(&run, Enough::Whole).await?.filter(|look| look.shown().run().flow == flow.name);
    let look = look.ok_or_else(|| Error::NoRun { flow: flow.name.clone(), run })?;
    let head = look.shown().head();
    let missing = surface.host.versions().missing_module(&head).await?;
    Ok(known_json(&known, &nodes.json_of(&look, missing.as_ref()).await?))
}

/// Delete a run that has ended
///
/// Everything that is stored of it is deleted. A callback that was not delivered yet is lost.
#[utoipa::path(
    delete,
    path = "/flow/{id}",
    operation_id = "delete-run",
    params(RunPath),
    security((), ("token" = [])),
    responses((status = 204, description = "The run is deleted."), Refusals, On<401>, On<409>),
)]
pub(super) async fn delete(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id: run }: RunPath,
    _: WholeBody,
) -> Result<StatusCode, Error> {
    let entry = surface.host.entry(&run).await?.filter(|entry| entry.flow == flow.name);
    if entry.is_none() {
        return Err(Error::NoRun { flow: flow.name.clone(), run });
    }
    surface.host.delete(&run).await?;
    Ok(StatusCode::NO_CONTENT)
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
        for bad in ["limit=0", "limit=1001", "after=x", "counts=maybe"] {
            assert!(PageQuery::from_query(&Query::parse(bad)).is_err(), "{bad}");
        }
    }
}
