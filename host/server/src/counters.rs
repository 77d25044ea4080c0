//! What a replica has counted since it started, as Prometheus reads it.

mod store;

pub(crate) use store::Counted;

use faas_flow_core::Status;
use faas_flow_core::run::Outcome;
use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Call, Calls};

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
    /// Its run is pinned to a version that can be loaded nowhere.
    UnknownVersion,
    /// Its node is done, held by somebody, or not to be executed now.
    Stale,
}

impl Ignored {
    const ALL: [Ignored; 8] = [
        Ignored::Unsigned,
        Ignored::BadSignature,
        Ignored::TooOld,
        Ignored::Malformed,
        Ignored::Foreign,
        Ignored::UnknownRun,
        Ignored::UnknownVersion,
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
            Ignored::UnknownVersion => "unknown-version",
            Ignored::Stale => "stale",
        }
    }
}

/// How the execution of a node went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Executed {
    /// It yielded something.
    Done,
    /// It is to go on later.
    Suspended,
    /// It failed, with all its tries.
    Failed,
}

impl Executed {
    pub(crate) const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done(_) | Outcome::Branched(_) => Executed::Done,
            Outcome::Suspended(_) => Executed::Suspended,
            Outcome::Failed(_) => Executed::Failed,
        }
    }
}

/// What became of the right to execute a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lease {
    /// It holds for longer.
    Renewed,
    /// Somebody else has it, or nobody: this replica was too slow, or cut off from the store.
    Lost,
    /// This replica gave it back before it stopped.
    GivenBack,
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
    begun: AtomicU64,
    taken_up: AtomicU64,
    ended: [AtomicU64; ENDS.len()],
    executed: [AtomicU64; 3],
    leases: [AtomicU64; 3],
    store: [Calls; Call::ALL.len()],
    conflicts: AtomicU64,
}

/// How a run ends.
const ENDS: [Status; 3] = [Status::Succeeded, Status::Failed, Status::Stopped];

fn add(counter: &AtomicU64) {
    add_many(counter, 1);
}

fn add_many(counter: &AtomicU64, many: u64) {
    counter.fetch_add(many, Ordering::Relaxed);
}

fn add_to(counters: &[AtomicU64], at: usize) {
    counters.get(at).into_iter().for_each(add);
}

impl Counters {
    /// An event was taken.
    pub fn event_taken(&self) {
        add(&self.taken);
    }

    /// An event changed nothing.
    pub fn event_ignored(&self, why: Ignored) {
        add_to(&self.ignored, why as usize);
    }

    /// A request was answered with this status.
    pub fn request(&self, status: u16) {
        add_to(&self.requests, usize::from(status / 100).wrapping_sub(1));
    }

    /// A callback was delivered, or given up.
    pub fn callback(&self, delivered: Result<(), ()>) {
        add(if delivered.is_ok() { &self.delivered } else { &self.undelivered });
    }

    /// A run began here.
    pub(crate) fn run_begun(&self) {
        add(&self.begun);
    }

    /// This replica goes on with a run that nobody drove.
    pub(crate) fn run_taken_up(&self) {
        add(&self.taken_up);
    }

    /// A run ended here.
    pub(crate) fn run_ended(&self, status: Status) {
        add_to(&self.ended, ENDS.iter().position(|end| *end == status).unwrap_or(ENDS.len()));
    }

    /// A node was executed here.
    pub(crate) fn executed(&self, how: Executed) {
        add_to(&self.executed, how as usize);
    }

    /// Something became of so many leases of this replica.
    pub(crate) fn leases(&self, what: Lease, many: usize) {
        self.leases.get(what as usize).into_iter().for_each(|counter| add_many(counter, many as u64));
    }

    /// All counters in Prometheus' text format.
    pub fn prometheus(&self) -> String {
        let mut text = String::new();
        let alone = |counter| [(String::new(), counter)];
        let labelled = |label: &str, counters: &[(&str, &AtomicU64)]| -> Vec<(String, u64)> {
            counters.iter().map(|(value, counter)| (format!("{{{label}=\"{value}\"}}"), read(counter))).collect()
        };
        family(&mut text, "runs_begun", "runs that began here", alone(read(&self.begun)));
        let ended: Vec<_> = ENDS.into_iter().map(Status::as_str).zip(&self.ended).collect();
        family(&mut text, "runs_ended", "runs that ended here, by how", labelled("end", &ended));
        let help = "runs that nobody drove any more, and that this replica went on with";
        family(&mut text, "runs_taken_up", help, alone(read(&self.taken_up)));
        let executed: Vec<_> = ["done", "suspended", "failed"].into_iter().zip(&self.executed).collect();
        family(
            &mut text,
            "nodes_executed",
            "nodes that were executed here, by how it went",
            labelled("end", &executed),
        );
        let leases: Vec<_> = ["renewed", "lost", "given-back"].into_iter().zip(&self.leases).collect();
        family(&mut text, "leases", "leases on nodes, by what became of them", labelled("end", &leases));
        family(&mut text, "events_taken", "events whose node this replica took", alone(read(&self.taken)));
        let ignored: Vec<_> = Ignored::ALL.iter().map(|why| why.as_str()).zip(&self.ignored).collect();
        family(&mut text, "events_ignored", "events that changed nothing, by reason", labelled("reason", &ignored));
        let requests: Vec<_> = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(&self.requests).collect();
        family(&mut text, "requests", "answered requests, by class of status", labelled("status", &requests));
        let callbacks = [("delivered", &self.delivered), ("given-up", &self.undelivered)];
        family(&mut text, "callbacks", "callbacks, by how they ended", labelled("end", &callbacks));
        let calls = || Call::ALL.iter().map(|call| call.as_str()).zip(&self.store);
        let made: Vec<_> = calls().map(|(call, calls)| (call, &calls.made)).collect();
        family(&mut text, "store_calls", "round trips to the state store", labelled("call", &made));
        let failed: Vec<_> = calls().map(|(call, calls)| (call, &calls.failed)).collect();
        family(&mut text, "store_errors", "round trips that the state store failed", labelled("call", &failed));
        let micros = calls().map(|(call, calls)| (format!("{{call=\"{call}\"}}"), read(&calls.micros) as f64 / 1e6));
        family(&mut text, "store_seconds", "time that round trips to the state store took", micros);
        let help = "commits that found the run changed by somebody else";
        family(&mut text, "commit_conflicts", help, alone(read(&self.conflicts)));
        text
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn family<T: Display>(text: &mut String, name: &str, help: &str, counters: impl IntoIterator<Item = (String, T)>) {
    let _ = write!(text, "# HELP faas_flow_{name}_total {help}\n# TYPE faas_flow_{name}_total counter\n");
    for (labels, counter) in counters {
        let _ = writeln!(text, "faas_flow_{name}_total{labels} {counter}");
    }
}

/// A figure that goes up and down, in Prometheus' text format.
pub(crate) fn gauge(text: &mut String, name: &str, help: &str, now: u64) {
    let _ = write!(text, "# HELP faas_flow_{name} {help}\n# TYPE faas_flow_{name} gauge\nfaas_flow_{name} {now}\n");
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
        counters.run_ended(Status::Stopped);
        counters.run_ended(Status::Running);
        counters.executed(Executed::Suspended);
        counters.leases(Lease::GivenBack, 3);
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
            "faas_flow_runs_ended_total{end=\"succeeded\"} 0",
            "faas_flow_runs_ended_total{end=\"stopped\"} 1",
            "faas_flow_nodes_executed_total{end=\"suspended\"} 1",
            "faas_flow_leases_total{end=\"given-back\"} 3",
            "faas_flow_store_calls_total{call=\"commit\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.lines().all(|line| line.starts_with('#') || line.starts_with("faas_flow_")));
    }
}
