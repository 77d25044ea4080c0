//! How long runs, nodes, calls and handlers take, by flow and node.
//!
//! What is looked up by a name is looked up once for a run, and once for an execution of a node; the rest is one short lock of
//! the histogram that is added to. The number of series is bounded: flows and nodes beyond a limit share one label value.

use super::{CallEnd, Executed};
use crate::traces::TraceContext;
use faas_flow_core::{FlowName, NodePath, Status};
use opentelemetry::trace::TraceId;
use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::hash::Hash;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

/// The value of a label for all flows, nodes or limits that have no value of their own, since there are too many.
pub(crate) const OTHERS: &str = "(other)";
/// How many flows have a label value of their own.
pub(crate) const MOST_FLOWS: usize = 100;
/// How many nodes of a flow have one.
pub(super) const MOST_NODES: usize = 100;

/// The bounds of the buckets, in seconds.
const RUNS: [f64; 17] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0];
const NODES: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0];
const HANDLERS: [f64; 8] = [0.000_01, 0.000_1, 0.001, 0.01, 0.1, 1.0, 10.0, 60.0];

/// The trace that an exemplar is from, as the value of its label.
#[derive(Debug, Clone, Copy)]
struct Trace(TraceId);

impl EncodeLabelValue for Trace {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        write!(encoder, "{}", self.0)
    }
}

/// A histogram of times, some of them with the trace that they are from.
type Timed = HistogramWithExemplars<[(&'static str, Trace); 1]>;
type Labels<const N: usize> = [(&'static str, String); N];
type Times<const N: usize> = Family<Labels<N>, Timed, fn() -> Timed>;

/// The four families of histograms.
#[derive(Debug, Clone)]
struct Families {
    runs: Times<2>,
    nodes: Times<3>,
    calls: Times<3>,
    handlers: Family<Labels<1>, Histogram, fn() -> Histogram>,
}

/// The histograms of all flows.
#[derive(Debug)]
pub(super) struct Durations {
    families: Families,
    flows: RwLock<HashMap<FlowName, Arc<FlowDurations>>>,
    /// Those of the flows that are too many.
    others: OnceLock<Arc<FlowDurations>>,
}

impl Durations {
    pub(super) fn register(to: &mut Registry) -> Self {
        let families = Families {
            runs: Family::new_with_constructor(|| Timed::new(RUNS.into_iter())),
            nodes: Family::new_with_constructor(|| Timed::new(NODES.into_iter())),
            calls: Family::new_with_constructor(|| Timed::new(NODES.into_iter())),
            handlers: Family::new_with_constructor(|| Histogram::new(HANDLERS)),
        };
        let Families { runs, nodes, calls, handlers } = families.clone();
        to.register("run_duration_seconds", "time from the beginning of a run to its end", runs);
        to.register("node_duration_seconds", "time that an execution of a node took, with all its attempts", nodes);
        to.register("call_duration_seconds", "time from a try of a call until its answer, or its failure", calls);
        to.register(
            "handler_duration_seconds",
            "time from the call of a handler of a flow until it returned",
            handlers,
        );
        Self { families, flows: RwLock::default(), others: OnceLock::new() }
    }

    /// The histograms of a flow.
    pub(super) fn of(&self, flow: &FlowName) -> Arc<FlowDurations> {
        let make = |name: &str| Arc::new(FlowDurations::new(name, &self.families));
        let others = || self.others.get_or_init(|| make(OTHERS)).clone();
        find_or_make(&self.flows, flow, MOST_FLOWS, || (flow.clone(), make(flow.as_str())), others)
    }
}

/// What a map has for a key. If it has nothing, that is made, or, once the map is full, is what the others share.
fn find_or_make<K, Q, V>(
    map: &RwLock<HashMap<K, Arc<V>>>,
    key: &Q,
    most: usize,
    make: impl FnOnce() -> (K, Arc<V>),
    others: impl FnOnce() -> Arc<V>,
) -> Arc<V>
where
    K: Eq + Hash + std::borrow::Borrow<Q>,
    Q: Eq + Hash + ?Sized,
{
    let known = map.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.get(key) {
        return found.clone();
    }
    if known.len() >= most {
        return others();
    }
    drop(known);
    let mut known = map.write().unwrap_or_else(PoisonError::into_inner);
    // Another thread may have made it, or filled the map.
    match known.get(key) {
        Some(found) => found.clone(),
        None if known.len() >= most => others(),
        None => {
            let (key, made) = make();
            known.insert(key, made.clone());
            made
        }
    }
}

/// The histograms of one flow.
#[derive(Debug)]
pub(crate) struct FlowDurations {
    flow: String,
    families: Families,
    runs: [OnceLock<Timed>; 3],
    handlers: OnceLock<Histogram>,
    nodes: RwLock<HashMap<String, Arc<NodeDurations>>>,
    /// Those of the nodes that are too many.
    others: OnceLock<Arc<NodeDurations>>,
}

impl FlowDurations {
    fn new(flow: &str, families: &Families) -> Self {
        Self {
            flow: flow.to_owned(),
            families: families.clone(),
            runs: Default::default(),
            handlers: OnceLock::new(),
            nodes: RwLock::default(),
            others: OnceLock::new(),
        }
    }

    /// A run has ended with this status, which is final, so long after its beginning.
    pub(crate) fn run(&self, status: Status, took: Duration, trace: Option<&TraceContext>) {
        let Some(place) = super::ENDS.iter().position(|end| *end == status) else { return };
        let labels = || [("flow", self.flow.clone()), ("end", status.as_str().to_owned())];
        observe(&self.runs, place, &self.families.runs, labels, (took, trace));
    }

    /// A handler of the flow's code has returned.
    pub(crate) fn handled(&self, took: Duration) {
        let labels = || [("flow", self.flow.clone())];
        let handlers = self.handlers.get_or_init(|| self.families.handlers.get_or_create_owned(&labels()));
        handlers.observe(took.as_secs_f64());
    }

    /// The histograms of a node, which are those of the same node in all branches.
    pub(crate) fn node(&self, path: &NodePath) -> Arc<NodeDurations> {
        let node = without_branches(path);
        let make = |node: &str| Arc::new(NodeDurations::new(&self.flow, node, &self.families));
        let others = || self.others.get_or_init(|| make(OTHERS)).clone();
        find_or_make(&self.nodes, &*node, MOST_NODES, || (node.clone().into_owned(), make(&node)), others)
    }
}

/// The histograms of one node.
#[derive(Debug)]
pub(crate) struct NodeDurations {
    flow: String,
    node: String,
    families: Families,
    executions: [OnceLock<Timed>; Executed::ALL.len()],
    calls: [OnceLock<Timed>; CallEnd::ALL.len()],
}

impl NodeDurations {
    fn new(flow: &str, node: &str, families: &Families) -> Self {
        let (executions, calls) = Default::default();
        Self { flow: flow.to_owned(), node: node.to_owned(), families: families.clone(), executions, calls }
    }

    fn labels(&self, end: &str) -> Labels<3> {
        [("flow", self.flow.clone()), ("node", self.node.clone()), ("end", end.to_owned())]
    }

    /// The node was executed.
    pub(crate) fn executed(&self, how: Executed, took: Duration, trace: Option<&TraceContext>) {
        let labels = || self.labels(how.as_str());
        observe(&self.executions, how as usize, &self.families.nodes, labels, (took, trace));
    }

    /// A try of a call of the node has ended.
    pub(crate) fn called(&self, end: CallEnd, took: Duration, trace: Option<&TraceContext>) {
        observe(&self.calls, end as usize, &self.families.calls, || self.labels(end.as_str()), (took, trace));
    }
}

/// Adds a time to one of these histograms, which is made when it is first needed.
fn observe<const N: usize>(
    histograms: &[OnceLock<Timed>],
    place: usize,
    family: &Times<N>,
    labels: impl FnOnce() -> Labels<N>,
    (took, trace): (Duration, Option<&TraceContext>),
) {
    let Some(histogram) = histograms.get(place) else { return };
    let trace = trace.filter(|trace| trace.sampled).map(|trace| [("trace_id", Trace(trace.trace))]);
    let now = trace.map(|_| SystemTime::now());
    histogram.get_or_init(|| family.get_or_create_owned(&labels())).observe(took.as_secs_f64(), trace, now);
}

/// A path without the keys of branches: `C/F/n1` for `C[c1]/F[f2]/n1`.
fn without_branches(path: &NodePath) -> Cow<'_, str> {
    let node = path.node.as_str();
    if path.scope.is_root() {
        return Cow::Borrowed(node);
    }
    let mut name = String::with_capacity(path.scope.as_str().len() + node.len() + 1);
    for step in path.scope.as_str().split('/') {
        name.push_str(step.split_once('[').map_or(step, |(node, _)| node));
        name.push('/');
    }
    name.push_str(node);
    Cow::Owned(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Exposition;
    use crate::traces::{Propagated, Propagators, Sampled, TraceSampler};
    use faas_flow_core::RunId;

    fn exposed(exposition: Exposition, record: impl FnOnce(&Durations)) -> String {
        let mut registry = Registry::with_prefix("faas_flow");
        let durations = Durations::register(&mut registry);
        record(&durations);
        exposition.write([&registry])
    }

    fn flow(name: &str) -> FlowName {
        FlowName::new(name).unwrap()
    }

    fn node(path: &str) -> NodePath {
        NodePath::parse(path).unwrap()
    }

    #[test]
    fn a_node_is_the_same_in_all_branches() {
        let names = ["n1", "S/n1", "C[c1]/F[f2]/n1", "C[a[b]/n1", "C[a%2Fb]/S/n1"].map(|path| {
            let path = node(path);
            without_branches(&path).into_owned()
        });
        assert_eq!(names, ["n1", "S/n1", "C/F/n1", "C/n1", "C/S/n1"]);
    }

    #[test]
    fn flows_and_nodes_that_are_too_many_share_a_label() {
        let text = exposed(Exposition::Text, |durations| {
            for number in 0..MOST_FLOWS + 20 {
                durations.of(&flow(&format!("flow{number}"))).handled(Duration::ZERO);
            }
            for number in 0..MOST_NODES + 7 {
                let node = node(&format!("C[{number}]/n{number}"));
                durations.of(&flow("flow0")).node(&node).executed(Executed::Done, Duration::ZERO, None);
            }
        });
        let count = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
        assert_eq!(count("faas_flow_handler_duration_seconds_count{"), MOST_FLOWS + 1);
        assert!(text.contains("faas_flow_handler_duration_seconds_count{flow=\"(other)\"} 20\n"), "{text}");
        assert_eq!(count("faas_flow_node_duration_seconds_count{"), MOST_NODES + 1);
        let others = "faas_flow_node_duration_seconds_count{flow=\"flow0\",node=\"(other)\",end=\"done\"} 7\n";
        assert!(text.contains(others), "{text}");
    }

    #[test]
    fn only_open_metrics_has_exemplars_and_only_of_traces_that_are_sent() {
        let trace = |sampled| {
            let caller = Propagated::of(&[], Propagators::default());
            TraceContext {
                sampled,
                ..TraceContext::of(&RunId::new("r").unwrap(), &caller, TraceSampler::Always(Sampled::All))
            }
        };
        let record = |sampled| {
            move |durations: &Durations| {
                let trace = trace(sampled);
                durations.of(&flow("f")).run(Status::Failed, Duration::from_secs(20), Some(&trace));
            }
        };
        let id = trace(true).trace.to_string();
        let exemplar = format!("le=\"30.0\",flow=\"f\",end=\"failed\"}} 1 # {{trace_id=\"{id}\"}} 20.0 ");
        let text = exposed(Exposition::OpenMetrics, record(true));
        assert!(text.contains(&exemplar) && text.ends_with("\n# EOF\n"), "{exemplar} is not in\n{text}");
        assert!(!exposed(Exposition::OpenMetrics, record(false)).contains("trace_id"));
        assert!(!exposed(Exposition::Text, record(true)).contains("trace_id"));
    }
}
