//! The two forms in which metrics are shown.

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

/// A form in which metrics are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus' text format, which everybody reads.
    Text,
    /// OpenMetrics' text format, which also has exemplars.
    OpenMetrics,
}

impl Exposition {
    /// The value of the header `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Exposition::Text => prometheus_text::CONTENT_TYPE,
            Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The metrics of these registries, as one document.
    pub fn write<'a>(self, registries: impl IntoIterator<Item = &'a Registry>) -> String {
        let mut document = String::new();
        for registry in registries {
            // Writing to a string cannot fail.
            let _ = match self {
                Exposition::Text => prometheus_text::encode(&mut document, registry),
                Exposition::OpenMetrics => text::encode_registry(&mut document, registry),
            };
        }
        if self == Exposition::OpenMetrics {
            let _ = text::encode_eof(&mut document);
        }
        document
    }
}
