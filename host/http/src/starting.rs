//! A server that listens before it can serve. Until then it answers with 503 and says what it is waiting for.

use super::answer::{Accept, in_form};
use super::error::Error;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use faas_flow_core::Code;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tower::ServiceExt;

/// The routes of a host that is starting, and what it waits for until it has them. Clones are one.
#[derive(Clone, Default)]
pub struct Starting(Arc<Inner>);

#[derive(Default)]
struct Inner {
    routes: OnceLock<Router>,
    waits: Mutex<Option<Waits>>,
}

/// What a starting host waits for, and the error that it met.
#[derive(Clone)]
struct Waits {
    what: String,
    code: Code,
    why: String,
}

impl Starting {
    /// What to serve from the beginning: the routes, as soon as there are any.
    pub fn router(&self) -> Router {
        Router::new().fallback(entry).with_state(self.clone())
    }

    /// From now on callers read that the host is waiting for this, because of that error.
    pub fn waits(&self, what: &str, error: &faas_flow_replica::error::Error) {
        let waits = Waits { what: what.to_owned(), code: error.code(), why: error.to_string() };
        *self.0.waits.lock().unwrap_or_else(PoisonError::into_inner) = Some(waits);
    }

    /// From now on callers reach these routes.
    pub fn serves(&self, routes: Router) {
        // A host starts once, so there are no routes yet.
        let _ = self.0.routes.set(routes);
    }

    fn error(&self) -> Error {
        let waits = self.0.waits.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match waits {
            Some(Waits { what, code, why }) => Error::Waiting { what, code, why },
            None => Error::Starting,
        }
    }
}

async fn entry(State(starting): State<Starting>, accept: Accept, request: Request) -> Response {
    match starting.0.routes.get() {
        Some(routes) => match routes.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        None => in_form(starting.error().into_response(), accept),
    }
}
