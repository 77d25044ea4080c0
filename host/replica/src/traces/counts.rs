//! How many spans were sent, and how many were not, and why.

use prometheus_client::metrics::counter::Counter;

/// Why a span was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// Too many waited already.
    QueueFull,
    /// The server did not take it.
    ExportFailed,
    /// It is larger than a datagram.
    TooLarge,
    /// The replica was about to end.
    Stopped,
}

impl DropReason {
    pub(crate) const ALL: [DropReason; 4] =
        [DropReason::QueueFull, DropReason::ExportFailed, DropReason::TooLarge, DropReason::Stopped];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            DropReason::QueueFull => "queue_full",
            DropReason::ExportFailed => "export_failed",
            DropReason::TooLarge => "too_large",
            DropReason::Stopped => "stopped",
        }
    }
}

/// The counters of spans. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct SpanCounts {
    pub(crate) sent: Counter,
    pub(crate) dropped: [Counter; DropReason::ALL.len()],
}

impl SpanCounts {
    pub(super) fn sent(&self, spans: u64) {
        self.sent.inc_by(spans);
    }

    pub(super) fn dropped(&self, why: DropReason, spans: u64) {
        if let Some(counter) = self.dropped.get(why as usize) {
            counter.inc_by(spans);
        }
    }
}
