//! What the code of a run has logged, for its operators.

use super::answer::Accept;
use super::error::Error;
use super::openapi::{IfNoneMatch, On, Refusals};
use super::request::{Asked, FromQuery, Query, RunPath, Target};
use super::surface::Surface;
use super::unchanged::{Known, Tag};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use faas_flow_core::{Millis, NodePath};
use std::sync::Arc;
use utoipa::IntoParams;

/// The last moment that there is: the end of the year 9999.
const LAST: Millis = 253_402_300_799_999;

/// Which lines to show.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Only lines of this node, by its path, such as `F[1]/n`.
    #[param(value_type = String, required = false)]
    node: Option<NodePath>,
    /// Only lines that were logged at this moment or later, in milliseconds since the Unix epoch.
    #[param(value_type = u64, required = false, maximum = 253402300799999_i64)]
    from: Millis,
}

impl FromQuery for LogQuery {
    fn from_query(query: &Query) -> Result<Self, Error> {
        let node = query.first("node").filter(|node| !node.is_empty()).map(NodePath::parse).transpose()?;
        let from = query.number("from")?.unwrap_or(0);
        if from > LAST {
            let rule = "a moment in milliseconds since the Unix epoch, at most 253402300799999";
            return Err(Error::BadParameter { name: "from", rule });
        }
        Ok(Self { node, from })
    }
}

/// What a run has logged
#[utoipa::path(
    get,
    path = "/flow/{id}/logs",
    operation_id = "logs",
    params(RunPath, LogQuery, IfNoneMatch),
    security((), ("token" = [])),
    responses(
        (status = 200, description = "What is kept of the lines that the run's code has logged, by their time: as text, or for \
            those who accept `application/json` an object per line.",
            headers(("ETag" = String, description = "Identifies the content of the answer.")),
            content((String = "text/plain"), (String = "application/x-ndjson"))),
        On<304>, Refusals, On<401>,
    ),
)]
pub(super) async fn show(
    State(surface): State<Arc<Surface>>,
    Target(flow): Target,
    RunPath { id: run }: RunPath,
    Asked(LogQuery { node, from }): Asked<LogQuery>,
    accept: Accept,
    known: Known,
) -> Result<Response, Error> {
    let log = surface.host.log_of(&run, node.as_ref()).await?.filter(|log| log.head.flow == flow.name);
    let log = log.ok_or_else(|| Error::NoRun { flow: flow.name.clone(), run })?;
    let lines = log.lines.iter().filter(|line| line.at >= from);
    let (text, kind): (String, _) = match accept {
        Accept::Text => (lines.map(|line| format!("{line}\n")).collect(), "text/plain; charset=utf-8"),
        Accept::Json => (lines.map(|line| line.json() + "\n").collect(), "application/x-ndjson"),
    };
    Ok(known.or(&Tag::of(&text), || ([(header::CONTENT_TYPE, kind)], text).into_response()))
}
