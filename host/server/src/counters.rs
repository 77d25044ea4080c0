//! What a replica has counted since it started, as Prometheus reads it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why an event changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// It carries no signature.
    Unsigned,
    /// Its signature is wrong.
    BadSignature,
    /// It was signed too long ago, or in the future.
    TooOld,
    /// It cannot be read.
    Malformed,
    /// It is about another flow, or about another run than its path says.
    Foreign,
    /// There is no such run here.
    UnknownRun,
    /// Its node is done, held by somebody, or not to be executed now.
    Stale,
}

impl Ignored {
    const ALL: [Ignored; 7] = [
        Ignored::Unsigned,
        Ignored::BadSignature,
        Ignored::TooOld,
        Ignored::Malformed,
        Ignored::Foreign,
        Ignored::UnknownRun,
        Ignored::Stale,
    ];

    /// The value of the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Ignored::Unsigned => "unsigned",
            Ignored::BadSignature => "bad-signature",
            Ignored::TooOld => "too-old",
            Ignored::Malformed => "malformed",
            Ignored::Foreign => "foreign-flow",
            Ignored::UnknownRun => "unknown-run",
            Ignored::Stale => "stale",
        }
    }
}

/// The counters of one replica.
#[derive(Debug, Default)]
pub struct Counters {
    taken: AtomicU64,
    ignored: [AtomicU64; Ignored::ALL.len()],
    /// 1xx to 5xx.
    requests: [AtomicU64; 5],
    delivered: AtomicU64,
    undelivered: AtomicU64,
}

fn add(counter: Option<&AtomicU64>) {
    if let Some(counter) = counter {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counters {
    /// An event was taken.
    pub fn event_taken(&self) {
        add(Some(&self.taken));
    }

    /// An event changed nothing.
    pub fn event_ignored(&self, why: Ignored) {
        add(self.ignored.get(why as usize));
    }

    /// A request was answered with this status.
    pub fn request(&self, status: u16) {
        add(self.requests.get(usize::from(status / 100).wrapping_sub(1)));
    }

    /// A callback was delivered, or given up.
    pub fn callback(&self, delivered: Result<(), ()>) {
        add(Some(if delivered.is_ok() { &self.delivered } else { &self.undelivered }));
    }

    /// All counters in Prometheus' text format.
    pub fn prometheus(&self) -> String {
        let mut text = String::new();
        family(&mut text, "events_taken", "events whose node this replica took", [(String::new(), &self.taken)]);
        let ignored = Ignored::ALL.iter().zip(&self.ignored);
        let ignored = ignored.map(|(why, counter)| (format!("{{reason=\"{}\"}}", why.as_str()), counter));
        family(&mut text, "events_ignored", "events that changed nothing, by reason", ignored);
        let requests = (1..).zip(&self.requests);
        let requests = requests.map(|(class, counter)| (format!("{{status=\"{class}xx\"}}"), counter));
        family(&mut text, "requests", "answered requests, by class of status", requests);
        let callbacks = [("delivered", &self.delivered), ("given-up", &self.undelivered)];
        let callbacks = callbacks.map(|(end, counter)| (format!("{{end=\"{end}\"}}"), counter));
        family(&mut text, "callbacks", "callbacks, by how they ended", callbacks);
        text
    }
}

fn family<'a>(text: &mut String, name: &str, help: &str, counters: impl IntoIterator<Item = (String, &'a AtomicU64)>) {
    let _ = write!(text, "# HELP faas_flow_{name}_total {help}\n# TYPE faas_flow_{name}_total counter\n");
    for (labels, counter) in counters {
        let _ = writeln!(text, "faas_flow_{name}_total{labels} {}", counter.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_read_by_prometheus() {
        let counters = Counters::default();
        counters.event_taken();
        Ignored::ALL.into_iter().for_each(|why| counters.event_ignored(why));
        counters.event_ignored(Ignored::Stale);
        [200, 202, 404, 503, 99, 700].into_iter().for_each(|status| counters.request(status));
        counters.callback(Ok(()));
        counters.callback(Err(()));
        let text = counters.prometheus();
        for line in [
            "# TYPE faas_flow_events_taken_total counter",
            "faas_flow_events_taken_total 1",
            "faas_flow_events_ignored_total{reason=\"unsigned\"} 1",
            "faas_flow_events_ignored_total{reason=\"stale\"} 2",
            "faas_flow_requests_total{status=\"2xx\"} 2",
            "faas_flow_requests_total{status=\"3xx\"} 0",
            "faas_flow_requests_total{status=\"5xx\"} 1",
            "faas_flow_callbacks_total{end=\"given-up\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.lines().all(|line| line.starts_with('#') || line.starts_with("faas_flow_")));
    }
}
