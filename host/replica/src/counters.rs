//! What a replica has counted since it started, as Prometheus metrics.
//!
//! Counting is one atomic addition: each counter is looked up by its label once, when it is registered.

mod labels;
mod store;

pub use labels::{AnswerEnd, Executed, Ignored, Lease, Permit};
pub use store::Counted;

use crate::traces::{DropReason, SpanCounts};
use faas_flow_core::schedule::{Fate, LATE};
use faas_flow_core::{Millis, Status};
use faas_flow_guest::Memory;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Call, Calls};

/// The final statuses of runs.
const ENDS: [Status; 3] = [Status::Succeeded, Status::Failed, Status::Stopped];

/// What becomes of the moments of schedules.
const FATES: [Fate; 4] = [Fate::Started, Fate::Skipped, Fate::Missed, Fate::Failed];
/// The bounds by which the lags of schedules are counted, in seconds. Up to a minute late, a moment is fired like any other.
const LAGS: [f64; 9] = [0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 600.0, 3600.0];

/// The classes of HTTP statuses.
const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// A metric with one label: its name, and its value.
type ByLabel<C> = Family<[(&'static str, &'static str); 1], C>;

/// The counters of one replica.
#[derive(Debug)]
pub struct Counters {
    registry: Registry,
    runs_started: Counter,
    runs_ended: [Counter; ENDS.len()],
    runs_recovered: Counter,
    nodes_executed: [Counter; Executed::ALL.len()],
    leases: [Counter; Lease::ALL.len()],
    events_accepted: Counter,
    events_ignored: [Counter; Ignored::ALL.len()],
    requests: [Counter; STATUS_CLASSES.len()],
    answers: [Counter; AnswerEnd::ALL.len()],
    callbacks_delivered: Counter,
    callbacks_failed: Counter,
    store: [Calls; Call::ALL.len()],
    commit_conflicts: Counter,
    limit_permits: [Counter; Permit::ALL.len()],
    limit_waits: Counter,
    schedule_moments: [Counter; FATES.len()],
    schedule_late: Counter,
    schedule_lag: Histogram,
    runs_live: Gauge<u64, AtomicU64>,
    store_malformed_entries: Gauge<u64, AtomicU64>,
    store_repaired_entries: Gauge<u64, AtomicU64>,
    memory_reserved: Gauge<u64, AtomicU64>,
    memory_limit: Gauge<u64, AtomicU64>,
    memory_refused: Counter,
    clock_ahead: Gauge<f64, AtomicU64>,
    /// What becomes of the spans of traces.
    pub(crate) spans: SpanCounts,
}

/// A counter of time, in seconds.
type Seconds = Counter<f64, AtomicU64>;

/// Registers a metric. The registry puts a period after the help, and `_total` after the name of a counter.
fn register<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

/// Registers a counter with one label, and looks up the counter of each of its values.
fn register_labelled<const N: usize>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: [&'static str; N],
) -> [Counter; N] {
    let family: ByLabel<Counter> = register(registry, name, help);
    values.map(|value| family.get_or_create_owned(&[(label, value)]))
}

impl Default for Counters {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("faas_flow");
        let to = &mut registry;
        let ends = ENDS.map(Status::as_str);
        let [callbacks_delivered, callbacks_failed] =
            register_labelled(to, "callbacks", "callbacks, by how they ended", "end", ["delivered", "failed"]);
        let made: ByLabel<Counter> = register(to, "store_calls", "round trips to the state store");
        let failed: ByLabel<Counter> = register(to, "store_errors", "round trips to the state store that failed");
        let seconds: ByLabel<Seconds> = register(to, "store_seconds", "time spent on round trips to the state store");
        Self {
            runs_started: register(to, "runs_started", "runs that started on this replica"),
            runs_ended: register_labelled(
                to,
                "runs_ended",
                "runs that ended on this replica, by final status",
                "end",
                ends,
            ),
            runs_recovered: register(
                to,
                "runs_recovered",
                "runs that this replica recovered because their owner was lost",
            ),
            nodes_executed: register_labelled(
                to,
                "nodes_executed",
                "nodes that this replica executed, by outcome",
                "end",
                Executed::ALL.map(Executed::as_str),
            ),
            leases: register_labelled(
                to,
                "leases",
                "leases on nodes, by what happened to them",
                "end",
                Lease::ALL.map(Lease::as_str),
            ),
            events_accepted: register(to, "events_accepted", "events whose node this replica executed"),
            events_ignored: register_labelled(
                to,
                "events_ignored",
                "events that changed nothing, by reason",
                "reason",
                Ignored::ALL.map(Ignored::as_str),
            ),
            requests: register_labelled(to, "requests", "answered requests, by status class", "status", STATUS_CLASSES),
            answers: register_labelled(
                to,
                "answers",
                "answers to nodes that wait, by what became of them",
                "end",
                AnswerEnd::ALL.map(AnswerEnd::as_str),
            ),
            callbacks_delivered,
            callbacks_failed,
            store: Call::ALL.map(|call| {
                let label = [("call", call.as_str())];
                Calls {
                    made: made.get_or_create_owned(&label),
                    failed: failed.get_or_create_owned(&label),
                    seconds: seconds.get_or_create_owned(&label),
                }
            }),
            commit_conflicts: register(
                to,
                "commit_conflicts",
                "commits that failed because another replica had changed the run",
            ),
            limit_permits: register_labelled(
                to,
                "limit_permits",
                "permits of limits that nodes and calls got on this replica, by where they came from",
                "from",
                Permit::ALL.map(Permit::as_str),
            ),
            limit_waits: register(to, "limit_waits", "nodes that were suspended until they get a permit of a limit"),
            schedule_moments: register_labelled(
                to,
                "schedule_moments",
                "moments of schedules that this replica decided on, by what became of them",
                "end",
                FATES.map(Fate::as_str),
            ),
            schedule_late: register(
                to,
                "schedule_late",
                "runs of schedules that began on this replica more than a minute after their moment",
            ),
            schedule_lag: {
                let lag = Histogram::new(LAGS);
                to.register(
                    "schedule_lag_seconds",
                    "time from a moment of a schedule until its run began",
                    lag.clone(),
                );
                lag
            },
            runs_live: register(to, "runs_live", "runs that this replica is working on"),
            store_malformed_entries: register(
                to,
                "store_malformed_entries",
                "malformed entries in the state store's lists of runs",
            ),
            store_repaired_entries: register(
                to,
                "store_repaired_entries",
                "entries of the state store's index of runs that did not fit their runs and were repaired",
            ),
            memory_reserved: register(
                to,
                "memory_reserved_bytes",
                "memory that payloads and flows use in this process",
            ),
            memory_limit: register(to, "memory_limit_bytes", "memory that payloads and flows may use in this process"),
            memory_refused: register(to, "memory_refused", "times that memory was asked for and there was too little"),
            clock_ahead: register(
                to,
                "clock_skew_seconds",
                "how far the clock of another replica was ahead of this one at its latest event",
            ),
            spans: SpanCounts {
                sent: register(to, "spans_sent", "spans of traces that were sent"),
                dropped: register_labelled(
                    to,
                    "spans_dropped",
                    "spans of traces that were not sent, by reason",
                    "reason",
                    DropReason::ALL.map(DropReason::as_str),
                ),
            },
            registry,
        }
    }
}

impl Counters {
    /// An event was signed by a clock that is ahead by so many milliseconds.
    pub(super) fn clock_ahead(&self, millis: Millis) {
        self.clock_ahead.set(millis as f64 / 1000.0);
    }

    /// An event led to the execution of its node.
    pub fn event_accepted(&self) {
        self.events_accepted.inc();
    }

    /// An event changed nothing.
    pub fn event_ignored(&self, why: Ignored) {
        if let Some(counter) = self.events_ignored.get(why as usize) {
            counter.inc();
        }
    }

    /// A request was answered with this status. Statuses outside 100 to 599 do not exist, and are not counted.
    pub fn request(&self, status: u16) {
        if let Some(counter) = self.requests.get(usize::from(status / 100).wrapping_sub(1)) {
            counter.inc();
        }
    }

    /// An answer to a node that waits has come.
    pub fn answered(&self, end: AnswerEnd) {
        if let Some(counter) = self.answers.get(end as usize) {
            counter.inc();
        }
    }

    /// A node or a call got a permit of a limit.
    pub fn permit(&self, from: Permit) {
        if let Some(counter) = self.limit_permits.get(from as usize) {
            counter.inc();
        }
    }

    /// A node was suspended until it gets a permit of a limit.
    pub fn waits_for_permit(&self) {
        self.limit_waits.inc();
    }

    /// So many moments of a schedule have had this fate here.
    pub fn schedule_moments(&self, fate: Fate, count: u64) {
        for (of, counter) in FATES.iter().zip(&self.schedule_moments) {
            if *of == fate {
                counter.inc_by(count);
            }
        }
    }

    /// A run of a schedule has begun so long after its moment.
    pub fn schedule_lag(&self, lag: Millis) {
        self.schedule_lag.observe(lag as f64 / 1000.0);
        if lag > LATE {
            self.schedule_late.inc();
        }
    }

    /// A callback was delivered, or all tries to deliver it failed.
    pub fn callback(&self, delivered: Result<(), ()>) {
        match delivered {
            Ok(()) => self.callbacks_delivered.inc(),
            Err(()) => self.callbacks_failed.inc(),
        };
    }

    /// A run started on this replica.
    pub fn run_started(&self) {
        self.runs_started.inc();
    }

    /// This replica recovered a run whose owner is gone.
    pub fn run_recovered(&self) {
        self.runs_recovered.inc();
    }

    /// A run ended on this replica. A status that is not final is not counted.
    pub fn run_ended(&self, status: Status) {
        for (end, counter) in ENDS.iter().zip(&self.runs_ended) {
            if *end == status {
                counter.inc();
            }
        }
    }

    /// This replica executed a node.
    pub fn executed(&self, how: Executed) {
        if let Some(counter) = self.nodes_executed.get(how as usize) {
            counter.inc();
        }
    }

    /// The same thing happened to this number of leases of this replica.
    pub fn leases(&self, what: Lease, count: usize) {
        if let Some(counter) = self.leases.get(what as usize) {
            counter.inc_by(count as u64);
        }
    }

    /// All metrics in Prometheus' text format. The arguments are figures that are read now: the number of runs that this
    /// replica works on, and those of malformed and of repaired entries that it found in the store's lists of runs.
    pub fn prometheus(&self, runs_live: u64, [malformed, repaired]: [u64; 2]) -> String {
        self.runs_live.set(runs_live);
        self.store_malformed_entries.set(malformed);
        self.store_repaired_entries.set(repaired);
        let memory = Memory::of_process();
        self.memory_reserved.set(memory.reserved() as u64);
        self.memory_limit.set(memory.limit() as u64);
        self.memory_refused.inner().store(memory.refused(), Ordering::Relaxed);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn counts_are_exposed_to_prometheus() {
        let counters = Counters::default();
        counters.event_accepted();
        for why in Ignored::ALL {
            counters.event_ignored(why);
        }
        counters.event_ignored(Ignored::Stale);
        for status in [200, 202, 404, 503, 99, 700] {
            counters.request(status);
        }
        counters.callback(Ok(()));
        counters.callback(Err(()));
        counters.run_ended(Status::Stopped);
        counters.run_ended(Status::Running);
        counters.executed(Executed::Suspended);
        counters.leases(Lease::Released, 3);
        counters.schedule_moments(Fate::Missed, 57);
        counters.schedule_lag(60_000);
        counters.schedule_lag(60_001);
        let text = counters.prometheus(5, [6, 7]);
        for line in [
            "# TYPE faas_flow_events_accepted_total counter",
            "faas_flow_events_accepted_total 1",
            "faas_flow_events_ignored_total{reason=\"unsigned\"} 1",
            "faas_flow_events_ignored_total{reason=\"stale\"} 2",
            "faas_flow_requests_total{status=\"2xx\"} 2",
            "faas_flow_requests_total{status=\"3xx\"} 0",
            "faas_flow_requests_total{status=\"5xx\"} 1",
            "faas_flow_callbacks_total{end=\"delivered\"} 1",
            "faas_flow_callbacks_total{end=\"failed\"} 1",
            "faas_flow_runs_ended_total{end=\"succeeded\"} 0",
            "faas_flow_runs_ended_total{end=\"stopped\"} 1",
            "faas_flow_nodes_executed_total{end=\"suspended\"} 1",
            "faas_flow_leases_total{end=\"released\"} 3",
            "faas_flow_store_calls_total{call=\"commit\"} 0",
            "faas_flow_schedule_moments_total{end=\"missed\"} 57",
            "faas_flow_schedule_moments_total{end=\"started\"} 0",
            "faas_flow_schedule_late_total 1",
            "faas_flow_schedule_lag_seconds_bucket{le=\"60\"} 1",
            "faas_flow_schedule_lag_seconds_count 2",
            "faas_flow_runs_live 5",
            "faas_flow_store_malformed_entries 6",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    /// Dashboards and alerts of users depend on these: the lines of a scrape without their values, sorted.
    #[test]
    fn names_types_labels_and_help_stay_as_they_are() {
        let text = Counters::default().prometheus(0, [0; 2]);
        let lines: BTreeSet<&str> = text
            .lines()
            .map(|line| if line.starts_with('#') { line } else { line.rsplit_once(' ').unwrap().0 })
            .collect();
        insta::assert_snapshot!(lines.into_iter().collect::<Vec<_>>().join("\n"));
    }
}
