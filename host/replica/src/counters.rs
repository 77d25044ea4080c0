//! What a replica has counted since it started, as Prometheus metrics.
//!
//! Counting is one atomic addition: each counter is looked up by its label once, when it is registered.

mod durations;
mod exposition;
mod figures;
mod labels;
mod store;

pub(crate) use durations::{FlowDurations, MOST_FLOWS, OTHERS};
pub use exposition::Exposition;
pub(crate) use figures::Figures;
pub use labels::{AnswerEnd, CallEnd, Deleted, EventEnd, Executed, Ignored, Lease, Permit, Retried, SuspendedFor};
pub use store::Counted;

use crate::traces::{DropReason, SpanCounts};
use durations::Durations;
use faas_flow_core::schedule::{Fate, LATE};
use faas_flow_core::{FlowName, Millis, Status};
use figures::Gauges;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use store::{Call, Calls};

/// The final statuses of runs.
const ENDS: [Status; 3] = [Status::Succeeded, Status::Failed, Status::Stopped];

/// What becomes of the moments of schedules.
const FATES: [Fate; 4] = [Fate::Started, Fate::Skipped, Fate::Missed, Fate::Failed];
/// The bounds by which the lags of schedules are counted, in seconds. Up to a minute late, a moment is fired like any other.
const LAGS: [f64; 9] = [0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 600.0, 3600.0];

/// The bounds of the waits for permits of limits, in seconds.
const LIMIT_WAITS: [f64; 10] = [0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0];

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
    runs_deleted: [Counter; Deleted::ALL.len()],
    nodes_executed: [Counter; Executed::ALL.len()],
    nodes_suspended: [Counter; SuspendedFor::ALL.len()],
    nodes_queued: Gauge,
    retries: [Counter; Retried::ALL.len()],
    retries_waiting: Gauge,
    durations: Durations,
    leases: [Counter; Lease::ALL.len()],
    events_accepted: Counter,
    events_ignored: [Counter; Ignored::ALL.len()],
    events_sent: [Counter; EventEnd::ALL.len()],
    requests: [Counter; STATUS_CLASSES.len()],
    answers: [Counter; AnswerEnd::ALL.len()],
    callbacks_delivered: Counter,
    callbacks_failed: Counter,
    store: [Calls; Call::ALL.len()],
    commit_conflicts: Counter,
    limit_permits: [Counter; Permit::ALL.len()],
    limit_waits: Counter,
    limit_wait: Histogram,
    schedule_moments: [Counter; FATES.len()],
    schedule_late: Counter,
    schedule_lag: Histogram,
    gauges: Gauges,
    /// Held while the figures of a moment are set and shown.
    showing: Mutex<()>,
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

/// One more in a gauge, until it is dropped.
pub(crate) struct OneMore(Gauge);

impl OneMore {
    fn of(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for OneMore {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Registers a histogram.
fn register_histogram(
    registry: &mut Registry,
    name: &str,
    help: &str,
    bounds: impl IntoIterator<Item = f64>,
) -> Histogram {
    let histogram = Histogram::new(bounds);
    registry.register(name, help, histogram.clone());
    histogram
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
        let durations = store::register_durations(to);
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
            runs_deleted: register_labelled(
                to,
                "runs_deleted",
                "ended runs that this replica deleted, by reason",
                "reason",
                Deleted::ALL.map(Deleted::as_str),
            ),
            nodes_executed: register_labelled(
                to,
                "nodes_executed",
                "nodes that this replica executed, by outcome",
                "end",
                Executed::ALL.map(Executed::as_str),
            ),
            nodes_suspended: register_labelled(
                to,
                "nodes_suspended",
                "nodes that this replica suspended, by what they wait for",
                "for",
                SuspendedFor::ALL.map(SuspendedFor::as_str),
            ),
            nodes_queued: register(to, "nodes_queued", "nodes that wait until this replica has room to execute them"),
            retries: register_labelled(
                to,
                "retries",
                "tries that failed and are made again, by what is tried",
                "of",
                Retried::ALL.map(Retried::as_str),
            ),
            retries_waiting: register(
                to,
                "retries_waiting",
                "nodes and calls that wait in the memory of this replica before their next try",
            ),
            durations: Durations::register(to),
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
            events_sent: register_labelled(
                to,
                "events_sent",
                "events that this replica sent to offer nodes to others, by how that ended",
                "end",
                EventEnd::ALL.map(EventEnd::as_str),
            ),
            requests: register_labelled(to, "requests", "answered requests, by status class", "status", STATUS_CLASSES),
            answers: register_labelled(
                to,
                "answers",
                "answers to nodes that wait, by outcome",
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
                    duration: durations.get_or_create_owned(&label),
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
            limit_wait: register_histogram(
                to,
                "limit_wait_seconds",
                "time from the first request for a permit of a limit until it was granted",
                LIMIT_WAITS,
            ),
            schedule_moments: register_labelled(
                to,
                "schedule_moments",
                "moments of schedules that this replica decided on, by outcome",
                "end",
                FATES.map(Fate::as_str),
            ),
            schedule_late: register(
                to,
                "schedule_late",
                "runs of schedules that began on this replica more than a minute after their moment",
            ),
            schedule_lag: register_histogram(
                to,
                "schedule_lag_seconds",
                "time from a moment of a schedule until its run began",
                LAGS,
            ),
            gauges: Gauges::register(to),
            showing: Mutex::default(),
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

    /// A permit of a limit was granted, so long after it was first asked for.
    pub(crate) fn waited_for_permit(&self, wait: Millis) {
        self.limit_wait.observe(wait as f64 / 1000.0);
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

    /// This replica deleted an ended run.
    pub(crate) fn deleted(&self, why: Deleted) {
        if let Some(counter) = self.runs_deleted.get(why as usize) {
            counter.inc();
        }
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

    /// This replica suspended a node.
    pub(crate) fn suspended(&self, waits: SuspendedFor) {
        if let Some(counter) = self.nodes_suspended.get(waits as usize) {
            counter.inc();
        }
    }

    /// A node waits until there is room to execute it, as long as the answer is kept.
    pub(crate) fn queued(&self) -> OneMore {
        OneMore::of(&self.nodes_queued)
    }

    /// A node or a call is tried once more.
    pub(crate) fn retried(&self, what: Retried) {
        if let Some(counter) = self.retries.get(what as usize) {
            counter.inc();
        }
    }

    /// A node or a call waits in memory before its next try, as long as the answer is kept.
    pub(crate) fn waits_for_retry(&self) -> OneMore {
        OneMore::of(&self.retries_waiting)
    }

    /// The histograms of a flow.
    pub(crate) fn durations(&self, flow: &FlowName) -> Arc<FlowDurations> {
        self.durations.of(flow)
    }

    /// An event that offers a node to other replicas was sent, or could not be.
    pub(crate) fn event_sent(&self, end: EventEnd) {
        if let Some(counter) = self.events_sent.get(end as usize) {
            counter.inc();
        }
    }

    /// The same thing happened to this number of leases of this replica.
    pub fn leases(&self, what: Lease, count: usize) {
        if let Some(counter) = self.leases.get(what as usize) {
            counter.inc_by(count as u64);
        }
    }

    /// All metrics, after those of other registries, with what is so at this moment.
    pub(crate) fn expose(&self, figures: &Figures, exposition: Exposition, others: &[&Registry]) -> String {
        let _turn = self.showing.lock().unwrap_or_else(PoisonError::into_inner);
        self.gauges.set(figures);
        exposition.write(others.iter().copied().chain([&self.registry]))
    }
}

#[cfg(test)]
mod tests;
