//! Layers in front of a router.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use std::convert::Infallible;
use tower::{Layer, Service};

/// Puts a layer in front of these routes as a whole.
///
/// [`Router::layer`] puts it in front of each route instead. There, a request copies its route with all layers around it, once
/// for each of these layers; a router, on the other hand, is shared. The layer sees requests before they are routed, so that it
/// knows nothing of the route.
pub(crate) fn in_front<L>(routes: Router, layer: L) -> Router
where
    L: Layer<Router>,
    L::Service: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request>>::Future: Send + 'static,
{
    Router::new().fallback_service(layer.layer(routes))
}
