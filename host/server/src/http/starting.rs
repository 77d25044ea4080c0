//! A server that listens before it can serve: what it cannot do yet is said with 503.

use super::answer::{Caller, failed};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use faas_flow_core::Code;
use faas_flow_replica::Error;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tower::ServiceExt;

/// The routes of a host that is starting, and what it waits for until then. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Starting(Arc<Inner>);

#[derive(Default)]
struct Inner {
    routes: OnceLock<Router>,
    waits: Mutex<Option<(Code, String)>>,
}

impl Starting {
    /// What to serve from the beginning: the routes as soon as they are there.
    pub fn router(&self) -> Router {
        Router::new().fallback(entry).with_state(self.clone())
    }

    /// From here on callers read that it waits for this.
    pub fn waits(&self, what: &str, error: &Error) {
        let why = (error.code(), format!("the function is starting, and waits for {what}: {error}"));
        *self.0.waits.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// From here on callers reach these routes.
    pub fn serves(&self, routes: Router) {
        // There is one start, so nothing is there yet.
        let _ = self.0.routes.set(routes);
    }

    fn error(&self) -> Error {
        let waits = self.0.waits.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (code, message) = waits.unwrap_or((Code::STARTING, "the function is starting: try again".to_owned()));
        Error::new(code, message)
    }
}

async fn entry(State(starting): State<Starting>, request: Request) -> Response {
    match starting.0.routes.get() {
        Some(routes) => match routes.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        None => failed(&starting.error(), Caller::of(request.headers())),
    }
}
