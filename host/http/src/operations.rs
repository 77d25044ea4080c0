//! What the operations of a node got and yielded, for operators who look for a fault.

use super::about::node_in;
use super::browser::make_inert;
use super::error::Error;
use super::openapi::{On, Refusals};
use super::payload_access::{self, ShownPreview};
use super::request::{RunPath, Target};
use super::surface::Surface;
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use faas_flow_core::run::OperationData;
use faas_flow_core::{Millis, NodePath, RunId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Which node.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct NodeQuery {
    /// The node's path: `n1`, or `C[c1]/n1` in a branch. Encoded for a query or not: as histories show it, it works too.
    #[param(value_type = String, min_length = 1)]
    node: NodePath,
}

impl<S: Send + Sync> FromRequestParts<S> for NodeQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let node = node_in(parts.uri.query().unwrap_or_default())?;
        Ok(Self { node: node.ok_or(Error::BadParameter { name: "node", rule: "the path of a node" })? })
    }
}

/// What the operations of a node got and yielded.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct NodeOperations {
    /// The run's request id.
    #[schema(value_type = String)]
    pub request_id: RunId,
    /// The node's path.
    #[schema(value_type = String)]
    pub node: NodePath,
    /// What is kept, in the order in which it came.
    pub operations: Vec<OperationPayload>,
    /// How many pieces of data were not kept, since they did not fit.
    pub dropped: u64,
}

/// A piece of data that an operation, or another handler of a node, got or yielded.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct OperationPayload {
    /// When, in milliseconds since the Unix epoch.
    #[schema(value_type = u64)]
    pub at: Millis,
    /// In which attempt of the node, from 1.
    pub attempt: u32,
    /// Whose data it is: `modify`, `apply`, `request`, `sleep` or `wait-for` for operations; `prepare`, `receive` or `recover` for
    /// what handlers of a call make; `forward`, `aggregate`, `gather`, `condition`, `for-each` or `again` for other handlers of the
    /// node.
    pub kind: String,
    /// The index of the operation, from 0, if it is one of an operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<u32>,
    /// What is called: the function, or the URL without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The try of the call, from 1.
    #[serde(default, rename = "try", skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// `input` or `output`.
    #[schema(pattern = "^(input|output)$")]
    pub side: String,
    /// The node, the branch or the item that it is from, or for, if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// How many such pieces there were, of which the first eight are kept, if there were several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u32>,
    /// The status of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The media type.
    pub media_type: String,
    /// The size of all of it that may be shown, in bytes. At most the first 16,384 bytes are kept.
    pub size: u64,
    /// Whether a part of it is hidden and replaced by `***`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
    /// What is kept of it, if it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What is kept of it, if it is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(content_encoding = "base64")]
    pub base64: Option<String>,
    /// Why it is not shown, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
}

impl OperationPayload {
    /// What is kept of the data.
    pub fn bytes(&self) -> Vec<u8> {
        match (&self.text, &self.base64) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(base64)) => STANDARD.decode(base64).unwrap_or_default(),
            (None, None) => Vec::new(),
        }
    }
}

impl From<payload_access::ShownOperation> for OperationPayload {
    fn from(payload_access::ShownOperation { data, preview }: payload_access::ShownOperation) -> Self {
        let OperationData { at, attempt, kind, operation, target, number, side, from, of, status, .. } = data;
        let ShownPreview { content, size, is_redacted, withheld } = preview;
        let (text, base64) = match (withheld, std::str::from_utf8(&content.bytes)) {
            (Some(_), _) => (None, None),
            (None, Ok(text)) => (Some(text.to_owned()), None),
            (None, Err(_)) => (None, Some(STANDARD.encode(&content.bytes))),
        };
        Self {
            at,
            attempt,
            kind: kind.as_str().to_owned(),
            operation,
            target,
            number,
            side: side.as_str().to_owned(),
            from: Some(from).filter(|from| !from.is_empty()),
            of: Some(of).filter(|of| *of > 0),
            status,
            media_type: content.media_type.to_string(),
            size,
            redacted: is_redacted,
            text,
            base64,
            withheld: withheld.map(str::to_owned),
        }
    }
}

/// What the operations of a node got and yielded
///
/// The bodies of requests and responses of each try, what handlers were given and what they made of it, as far as it is kept with the
/// run (`run_payloads`).
#[utoipa::path(
    get,
    path = "/flow/{id}/operations",
    operation_id = "node-operations",
    params(RunPath, NodeQuery),
    security((), ("token" = [])),
    responses((status = 200, description = "What is kept.", body = NodeOperations), Refusals, On<401>),
)]
pub(super) async fn show(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id: run }: RunPath,
    NodeQuery { node }: NodeQuery,
) -> Result<Response, Error> {
    // Only those with the right to it come here.
    let status = async { Ok(surface.view(&flow.name, &run).await?.status) };
    let admitted = surface.guards.payloads.admit(Ok(()), status).await?;
    let shown = admitted.operations(&surface.host, &run, &node).await?;
    let operations = shown.list.into_iter().map(OperationPayload::from).collect();
    let answer = NodeOperations { request_id: run, node, operations, dropped: shown.dropped };
    let mut response = Json(answer).into_response();
    make_inert(&mut response);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
