//! The HTTP surface of flows: on a local server under `/function/NAME`, deployed at `/`. docs/http.md describes it, and
//! `/_/openapi.json` describes it to machines.

mod about;
mod access;
mod answer;
mod ask;
mod audit;
mod browser;
mod bulk;
mod contract;
mod cors;
pub mod dashboard;
mod drawing;
mod error;
mod exposition;
mod filter;
mod guards;
mod headers;
mod invoke;
mod local;
mod location;
mod logs;
mod modules;
mod openapi;
mod operations;
mod own;
mod payload_access;
mod payloads;
pub mod remote;
mod repeated;
mod reply;
mod request;
mod requests;
mod routes;
mod runs;
mod schedules;
mod signals;
mod starting;
mod step;
mod surface;
mod unchanged;

pub use access::{
    ADMIN, Admin, Holder, NamedToken, Proxies, Right, RightMissing, Rights, TokenFault, TokenHash, Tokens, TokensFault,
    TokensFlaw, UnknownRight, draw_token, parse_tokens,
};
pub(crate) use answer::{Accept, Refusal};
pub use audit::AuditList;
pub use browser::BrowserRules;
pub use bulk::{BulkAction, BulkDone, BulkFailure};
pub use contract::Contract;
pub use cors::open_to_origins;
pub use error::Error;
/// How every server of this program takes connections.
pub use faas_flow_gateway::{Patience, serve};
pub use filter::RunFilter;
pub use guards::{Guards, ResultAccess};
pub(crate) use headers::{ERROR, REQUEST_ID, STATE};
pub use local::local_router;
pub(crate) use location::forwarded_prefix;
pub use operations::{NodeOperations, OperationPayload};
pub use payload_access::{PayloadAccess, PayloadFault, ShowPayloads};
pub(crate) use request::{RunPath, path_parameter};
pub use runs::{ListedFailure, ListedRun, ListedRuns};
pub(crate) use runs::{NodesPage, NodesQuery, PageQuery};
pub use starting::Starting;

use axum::Router;
use faas_flow_core::FlowName;
use faas_flow_replica::Host;
use routes::AsyncCalls;
use std::sync::Arc;
use surface::Surface;

/// The local server: all flows and step functions under `/function/NAME` and `/async-function/NAME`.
pub fn router(host: Arc<Host>, guards: Guards) -> Router {
    routes::local(Surface { host, guards, flow: None }, AsyncCalls::Here)
}

/// Like [`router`], but without `/async-function/NAME`, which a gateway's queue takes.
pub(crate) fn router_beside_queue(host: Arc<Host>, guards: Guards) -> Router {
    routes::local(Surface { host, guards, flow: None }, AsyncCalls::Queued)
}

/// A deployed function: one flow at `/`, and under its own `/function/NAME` too, so that links hold behind a gateway.
pub fn function_router(host: Arc<Host>, flow: FlowName, guards: Guards) -> Router {
    routes::deployed(Surface { host, guards, flow: Some(flow) })
}
