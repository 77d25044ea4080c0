//! Inputs and outputs of nodes, for operators who look for a fault.

use super::about::node_in;
use super::answer::data;
use super::browser::make_inert;
use super::error::Error;
use super::headers::{REQUEST_ID, insert};
use super::openapi::{On, Payload, Refusals};
use super::payload_access::{PayloadFault, ShownPayload};
use super::request::{Query, RunPath, Target};
use super::surface::Surface;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use faas_flow_core::run::Side;
use faas_flow_core::{FlowName, NodePath, RunId};
use faas_flow_replica::NodeData;
use std::ops::RangeInclusive;
use std::sync::Arc;
use utoipa::IntoParams;

/// The size of all that is shown, of which a preview has the beginning.
const SIZE: HeaderName = HeaderName::from_static("x-faas-flow-size");
/// The node whose output it is.
const FROM: HeaderName = HeaderName::from_static("x-faas-flow-from");
/// Whether a forwarder has changed it before the node got it.
const FORWARDED: HeaderName = HeaderName::from_static("x-faas-flow-forwarded");
/// Whether a part of it is hidden.
const REDACTED: HeaderName = HeaderName::from_static("x-faas-flow-redacted");
/// How many bytes a preview may have.
const PREVIEW: RangeInclusive<u64> = 1..=1_048_576;

/// Which node, and how much of its data.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DataQuery {
    /// The node's path: `n1`, or `C[c1]/n1` in a branch. Encoded for a query or not: as histories show it, it works too.
    #[param(value_type = String, min_length = 1)]
    pub(crate) node: NodePath,
    /// Return only the beginning of the data: at most this many bytes.
    #[param(value_type = u64, required = false, minimum = 1, maximum = 1048576)]
    preview: Option<u64>,
}

impl<S: Send + Sync> FromRequestParts<S> for DataQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let text = parts.uri.query().unwrap_or_default();
        let node = node_in(text)?.ok_or(Error::BadParameter { name: "node", rule: "the path of a node" })?;
        let preview = Query::parse(text).number("preview")?;
        if preview.is_some_and(|bytes| !PREVIEW.contains(&bytes)) {
            return Err(Error::BadParameter { name: "preview", rule: "a whole number from 1 to 1048576" });
        }
        Ok(Self { node, preview })
    }
}

/// Which part of an input.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FromNode {
    /// If the input has several parts: the id of the node before it whose output is asked for.
    #[param(value_type = String, required = false)]
    pub(crate) from: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for FromNode {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        Ok(Self { from: query.first("from").map(str::to_owned) })
    }
}

/// What a node got
///
/// It is the output of the node before it, as it was before any forwarder or aggregator changed it.
#[utoipa::path(
    get,
    path = "/flow/{id}/input",
    operation_id = "node-input",
    params(RunPath, DataQuery, FromNode),
    security((), ("token" = [])),
    responses(
        (status = 200, description = "The data.",
            headers(
                ("X-Faas-Flow-Reqid" = String, description = "The run's request id."),
                ("X-Faas-Flow-Size" = u64, description = "The size of all of the data that is shown, in bytes."),
                ("X-Faas-Flow-From" = String, description = "The node whose output it is, if it is one."),
                ("X-Faas-Flow-Forwarded" = String, description = "`true` if a forwarder has changed it before the node got it."),
                ("X-Faas-Flow-Redacted" = String, description = "`true` if a part of it is hidden and replaced by `***`."),
            ),
            content_type = "application/octet-stream", body = Payload),
        Refusals, On<401>,
    ),
)]
pub(super) async fn input(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id }: RunPath,
    query: DataQuery,
    FromNode { from }: FromNode,
) -> Result<Response, Error> {
    surface.payload((&flow.name, &id), query, (Side::Input, from)).await
}

/// What a node yielded
#[utoipa::path(
    get,
    path = "/flow/{id}/output",
    operation_id = "node-output",
    params(RunPath, DataQuery),
    security((), ("token" = [])),
    responses(
        (status = 200, description = "The data.",
            headers(
                ("X-Faas-Flow-Reqid" = String, description = "The run's request id."),
                ("X-Faas-Flow-Size" = u64, description = "The size of all of the data that is shown, in bytes."),
                ("X-Faas-Flow-Redacted" = String, description = "`true` if a part of it is hidden and replaced by `***`."),
            ),
            content_type = "application/octet-stream", body = Payload),
        Refusals, On<401>,
    ),
)]
pub(super) async fn output(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id }: RunPath,
    query: DataQuery,
) -> Result<Response, Error> {
    surface.payload((&flow.name, &id), query, (Side::Output, None)).await
}

impl Surface {
    async fn payload(
        &self,
        (flow, run): (&FlowName, &RunId),
        DataQuery { node, preview }: DataQuery,
        (side, from): (Side, Option<String>),
    ) -> Result<Response, Error> {
        // Only those with the right to it come here.
        let status = async { Ok(self.view(flow, run).await?.status) };
        let admitted = self.guards.payloads.admit(Ok(()), status).await?;
        let parts = admitted.parts(&self.host, run, &node, side).await?;
        let part = choose(parts, &node, side, from)?;
        let shown = admitted.payload(&self.host, run, (&node, side), &part.payload).await?;
        Ok(file(run, side, part, shown, preview))
    }
}

/// Data as an answer that a browser keeps as a file and never shows as a page: all of it, or its beginning.
pub(super) fn file(
    run: &RunId,
    side: Side,
    NodeData { from, is_forwarded, .. }: NodeData,
    ShownPayload { mut content, is_redacted }: ShownPayload,
    preview: Option<u64>,
) -> Response {
    let size = content.bytes.len();
    if let Some(preview) = preview {
        content.bytes.truncate(usize::try_from(preview).unwrap_or(usize::MAX));
    }
    let mut response = data(content);
    make_inert(&mut response);
    let headers = response.headers_mut();
    insert(headers, REQUEST_ID, run.as_str());
    insert(headers, SIZE, &size.to_string());
    if !from.is_empty() {
        insert(headers, FROM, &from);
    }
    for (name, _) in [(FORWARDED, is_forwarded), (REDACTED, is_redacted)].into_iter().filter(|(_, holds)| *holds) {
        headers.insert(name, HeaderValue::from_static("true"));
    }
    insert(headers, header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{}\"", side.as_str()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The part that is asked for, or the only one.
pub(super) fn choose(
    mut parts: Vec<NodeData>,
    node: &NodePath,
    side: Side,
    from: Option<String>,
) -> Result<NodeData, Error> {
    let none = |why| PayloadFault::None { node: node.clone(), side: side.as_str(), why }.into();
    if let Some(from) = from {
        let found = parts.into_iter().find(|part| part.from == from);
        return found.ok_or_else(|| none("no data has come from the node that `from` names"));
    }
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(none("it may not exist yet, or the node never has one")),
        (Some(last), false) => {
            let from = parts.into_iter().chain([last]).map(|part| part.from).collect();
            Err(PayloadFault::Several { node: node.clone(), from }.into())
        }
    }
}
