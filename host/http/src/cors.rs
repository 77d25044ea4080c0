//! Pages of other origins that may call this server with scripts: CORS, the consent for which browsers ask the server.

use super::headers::{ERROR, REQUEST_ID, STATE};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use std::time::Duration;
use tower::{Layer as _, ServiceExt as _};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

/// How long a browser may remember an answer to a preflight.
const REMEMBERED: Duration = Duration::from_secs(600);
/// The headers of answers that scripts may read, besides those that browsers always show.
const EXPOSED: [HeaderName; 8] = [
    ERROR,
    REQUEST_ID,
    STATE,
    HeaderName::from_static("x-faas-flow-callback-url"),
    HeaderName::from_static("x-duration-seconds"),
    header::ETAG,
    header::LOCATION,
    header::RETRY_AFTER,
];

/// Lets pages of these origins, each as `https://example.com`, read what these routes answer, except the dashboard; `*`
/// stands for all origins. Browsers send neither cookies nor logins along.
pub fn open_to_origins(routes: Router, origins: &[String]) -> Router {
    if origins.is_empty() {
        return routes;
    }
    let any = origins.iter().any(|origin| origin == "*");
    let listed = || AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()));
    let cors = CorsLayer::new()
        .allow_origin(if any { AllowOrigin::any() } else { listed() })
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .allow_private_network(!any)
        .expose_headers(EXPOSED)
        .max_age(REMEMBERED);
    routes.layer(from_fn_with_state(cors, entry))
}

async fn entry(State(cors): State<CorsLayer>, request: Request, next: Next) -> Response {
    let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    // A function may have an answer of its own to OPTIONS.
    if is_dashboard(request.uri().path()) || (request.method() == Method::OPTIONS && !asks) {
        return next.run(request).await;
    }
    match cors.layer(next).oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Whether a path is the dashboard's, which only its own pages read.
fn is_dashboard(path: &str) -> bool {
    path.trim_start_matches('/').split('/').next() == Some("dashboard")
}
