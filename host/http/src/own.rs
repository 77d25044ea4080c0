//! `/_/…`: what the host says about itself.

use super::error::Error;
use super::exposition::exposition_for;
use super::openapi::On;
use super::surface::Surface;
use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use std::sync::Arc;

/// Whether the host is healthy
#[utoipa::path(
    get,
    path = "/_/health",
    operation_id = "health",
    responses(
        (status = 200, description = "It works.", content_type = "text/plain", body = String),
        (status = 503, description = "It is starting or about to stop.", content_type = "text/plain", body = String),
        On<405>,
    ),
)]
pub(super) async fn health(State(surface): State<Arc<Surface>>) -> (StatusCode, &'static str) {
    state(&surface)
}

/// Whether the host accepts requests
#[utoipa::path(
    get,
    path = "/_/ready",
    operation_id = "ready",
    responses(
        (status = 200, description = "It accepts requests.", content_type = "text/plain", body = String),
        (status = 503, description = "It is starting or about to stop, cannot load the active version of a flow, or a store does not accept writes.",
            content_type = "text/plain", body = String),
        On<405>, On<429>,
    ),
)]
pub(super) async fn ready(State(surface): State<Arc<Surface>>) -> Result<(StatusCode, &'static str), Error> {
    if !surface.host.is_stopping() {
        surface.host.ready().await.map_err(|why| Error::NotReady { why })?;
    }
    Ok(state(&surface))
}

fn state(surface: &Surface) -> (StatusCode, &'static str) {
    if surface.host.is_stopping() { (StatusCode::SERVICE_UNAVAILABLE, "stopping") } else { (StatusCode::OK, "OK") }
}

/// Metrics for Prometheus
#[utoipa::path(
    get,
    path = "/_/metrics",
    operation_id = "metrics",
    responses(
        (status = 200, description = "Prometheus' text format, or that of OpenMetrics if the header `Accept` prefers it.",
            content((String = "text/plain"), (String = "application/openmetrics-text"))),
        On<405>,
    ),
)]
pub(super) async fn metrics(State(surface): State<Arc<Surface>>, headers: HeaderMap) -> impl IntoResponse {
    let exposition = exposition_for(&headers);
    ([(CONTENT_TYPE, exposition.content_type())], surface.host.metrics(exposition, &[]).await)
}

/// The names of the flows that the host serves
#[utoipa::path(
    get,
    path = "/_/flows",
    operation_id = "flows",
    security((), ("token" = [])),
    responses((status = 200, description = "The names.", body = Vec<String>), On<401>, On<403>, On<405>),
)]
pub(super) async fn flows(State(surface): State<Arc<Surface>>) -> Json<Vec<String>> {
    let flows = surface.host.versions().all_active();
    Json(flows.iter().map(|flow| flow.name.to_string()).collect())
}

/// The flows and step functions of a local server, one a line.
pub(super) async fn index(State(surface): State<Arc<Surface>>) -> String {
    let flows = surface.host.versions().all_active();
    let flows = flows.iter().map(|flow| format!("POST /function/{}\n", flow.name));
    let functions = surface.host.functions().names();
    let functions = functions.iter().map(|name| format!("POST /function/{name} (a step function)\n"));
    flows.chain(functions).collect()
}
