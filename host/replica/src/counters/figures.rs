//! Figures that are not counted, but read when somebody asks for the metrics.

use super::durations::OTHERS;
use super::{ByLabel, register};
use faas_flow_core::Status;
use faas_flow_guest::{Instances, Memory};
use faas_flow_versions::Swaps;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many limits have a label value of their own.
const MOST_LIMITS: usize = 100;

/// What a replica knows of itself, and of the store, at one moment.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// The runs that it works on, and those of them of which it executes nothing now.
    pub(crate) runs_live: usize,
    pub(crate) runs_waiting: usize,
    /// The nodes that it executes, and how many it may execute.
    pub(crate) nodes_executing: usize,
    pub(crate) nodes_limit: usize,
    /// Entries that it found in the store's lists of runs.
    pub(crate) malformed_entries: u64,
    pub(crate) repaired_entries: u64,
    pub(crate) instances: Instances,
    pub(crate) swaps: Swaps,
    /// The version of each flow that is served here: the name of the flow, and the first digits of the digest.
    pub(crate) versions: Vec<(String, String)>,
    /// How many nodes wait here for permits of each limit.
    pub(crate) limits_waiting: BTreeMap<String, usize>,
    /// How many stored runs of each flow have each status.
    pub(crate) stored: Vec<(String, Status, u64)>,
}

type Number = Gauge<u64, AtomicU64>;

/// The metrics that show them.
#[derive(Debug)]
pub(super) struct Gauges {
    runs_live: Number,
    runs_waiting: Number,
    nodes_executing: Number,
    nodes_limit: Number,
    malformed_entries: Number,
    repaired_entries: Number,
    memory_reserved: Number,
    memory_limit: Number,
    memory_refused: Counter,
    instances: Number,
    instances_limit: Number,
    instances_created: Counter,
    instances_memory: Number,
    swaps: ByLabel<Counter>,
    canaries_withdrawn: Counter,
    versions: Family<[(&'static str, String); 2], Number>,
    limits_waiting: Family<[(&'static str, String); 1], Number>,
    stored: Family<[(&'static str, String); 2], Number>,
}

impl Gauges {
    pub(super) fn register(to: &mut Registry) -> Self {
        to.register("build", "the version of the program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        Self {
            runs_live: register(to, "runs_live", "runs that this replica works on"),
            runs_waiting: register(
                to,
                "runs_waiting",
                "runs that this replica works on and of which it executes no node at the moment",
            ),
            nodes_executing: register(to, "nodes_executing", "nodes that this replica executes"),
            nodes_limit: register(to, "nodes_limit", "nodes that this replica may execute at a time"),
            malformed_entries: register(
                to,
                "store_malformed_entries",
                "malformed entries in the state store's lists of runs",
            ),
            repaired_entries: register(
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
            instances: register(to, "instances", "instances of flows in this process"),
            instances_limit: register(to, "instances_limit", "instances of flows that there may be in this process"),
            instances_created: register(to, "instances_created", "instances of flows that were created"),
            instances_memory: register(to, "instances_memory_bytes", "linear memory of the instances of flows"),
            swaps: register(to, "swaps", "changes of the version that this replica serves, by how they ended"),
            canaries_withdrawn: register(
                to,
                "canaries_withdrawn",
                "canaries that this replica withdrew since too many of their runs failed",
            ),
            versions: register(to, "version_info", "the version of each flow that this replica serves"),
            limits_waiting: register(to, "limit_waiting", "nodes of this replica that wait for a permit, by limit"),
            stored: register(to, "stored_runs", "runs in the state store, by flow and status"),
        }
    }

    pub(super) fn set(&self, figures: &Figures) {
        let memory = Memory::of_process();
        let Figures { instances, swaps, .. } = figures;
        for (gauge, value) in [
            (&self.runs_live, figures.runs_live as u64),
            (&self.runs_waiting, figures.runs_waiting as u64),
            (&self.nodes_executing, figures.nodes_executing as u64),
            (&self.nodes_limit, figures.nodes_limit as u64),
            (&self.malformed_entries, figures.malformed_entries),
            (&self.repaired_entries, figures.repaired_entries),
            (&self.memory_reserved, memory.reserved() as u64),
            (&self.memory_limit, memory.limit() as u64),
            (&self.instances, u64::from(instances.exist)),
            (&self.instances_limit, u64::from(instances.limit)),
            (&self.instances_memory, instances.memory as u64),
        ] {
            gauge.set(value);
        }
        let swaps_of = |end| self.swaps.get_or_create_owned(&[("end", end)]);
        for (counter, value) in [
            (&self.memory_refused, memory.refused()),
            (&self.instances_created, instances.created),
            (&self.canaries_withdrawn, swaps.withdrawn),
            (&swaps_of("done"), swaps.done),
            (&swaps_of("failed"), swaps.failed),
        ] {
            counter.inner().store(value, Ordering::Relaxed);
        }
        self.versions.clear();
        for (flow, version) in &figures.versions {
            self.versions.get_or_create(&[("flow", flow.clone()), ("version", version.clone())]).set(1);
        }
        self.limits_waiting.clear();
        for (place, (limit, waiting)) in figures.limits_waiting.iter().enumerate() {
            let limit = if place < MOST_LIMITS { limit } else { OTHERS };
            self.limits_waiting.get_or_create(&[("limit", limit.to_owned())]).inc_by(*waiting as u64);
        }
        self.stored.clear();
        for (flow, status, runs) in &figures.stored {
            let labels = [("flow", flow.clone()), ("status", status.as_str().to_owned())];
            self.stored.get_or_create(&labels).set(*runs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Exposition;

    #[test]
    fn limits_that_are_too_many_share_a_label_and_what_is_gone_is_not_shown() {
        let mut registry = Registry::default();
        let gauges = Gauges::register(&mut registry);
        let limits_waiting = (0..MOST_LIMITS + 5).map(|number| (format!("limit{number:04}"), 2)).collect();
        gauges.set(&Figures { limits_waiting, ..Figures::default() });
        let text = Exposition::Text.write([&registry]);
        assert_eq!(text.lines().filter(|line| line.starts_with("limit_waiting{")).count(), MOST_LIMITS + 1);
        assert!(text.contains("limit_waiting{limit=\"(other)\"} 10\n"), "{text}");
        gauges.set(&Figures { stored: vec![("f".to_owned(), Status::Paused, 3)], ..Figures::default() });
        let text = Exposition::Text.write([&registry]);
        assert!(!text.contains("limit_waiting{"), "{text}");
        assert!(text.contains("stored_runs{flow=\"f\",status=\"paused\"} 3\n"), "{text}");
    }
}
