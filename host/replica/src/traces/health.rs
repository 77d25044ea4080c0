//! Whether the server takes the spans, so that the log says once that it does not, and once that it does again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Shared by all that know of the server.
#[derive(Debug, Clone)]
pub(super) struct Health(Arc<State>);

#[derive(Debug)]
struct State {
    /// Without passwords.
    server: String,
    /// Whether the last spans were lost, which was logged.
    fails: AtomicBool,
    /// What went wrong last, in more detail than exporters tell.
    cause: Mutex<Option<String>>,
}

impl Health {
    pub(super) fn of(server: String) -> Self {
        Self(Arc::new(State { server, fails: AtomicBool::new(false), cause: Mutex::default() }))
    }

    /// A request has failed for this reason. It may succeed when it is repeated.
    pub(super) fn caused_by(&self, reason: String) {
        *self.0.cause.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// Spans were lost.
    pub(super) fn failed(&self, error: &str) {
        let cause = self.0.cause.lock().unwrap_or_else(PoisonError::into_inner).take();
        if !self.0.fails.swap(true, Ordering::Relaxed) {
            let error = cause.as_deref().unwrap_or(error);
            tracing::warn!(server = self.0.server, error, "spans are lost until trace_server accepts them");
        }
    }

    /// Spans were sent.
    pub(super) fn succeeded(&self) {
        if self.0.fails.swap(false, Ordering::Relaxed) {
            tracing::info!(server = self.0.server, "trace_server accepts spans again");
        }
    }
}
