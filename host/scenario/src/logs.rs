//! What flows log while a scenario is played.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

/// A line that the flow has logged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// The node whose code has written it.
    pub node: String,
    /// `info` and the like.
    pub level: String,
    /// The text.
    pub text: String,
}

/// The lines of one scenario.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<Line>>>);

impl Lines {
    /// Collects the lines that are written meanwhile on this thread. Nothing else is logged: that replicas die is no news.
    pub(crate) fn collect<T>(&self, work: impl FnOnce() -> T) -> T {
        let subscriber = tracing_subscriber::registry().with(self.clone());
        tracing::subscriber::with_default(subscriber, work)
    }

    pub(crate) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "flow" && *metadata.level() <= Level::DEBUG
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line { level: event.metadata().level().as_str().to_lowercase(), ..Line::default() };
        event.record(&mut line);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "path" {
            value.clone_into(&mut self.node);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.text = format!("{value:?}");
        }
    }
}
