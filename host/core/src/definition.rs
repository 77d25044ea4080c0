//! The definition of a flow as plain data, exactly as its `define` declared it and not yet checked.
//!
//! The JSON form of a [`Definition`] is what `faas-flow graph --format definition` prints and what is stored with a run whose
//! definition depends on the request. [`Plan`](crate::Plan) is the checked form that the engine runs.

mod kinds;
mod limit;
mod repeat;
mod signal;

use crate::RetryPolicy;
use crate::schedule::Schedule;
pub use kinds::HandlerKind;
pub use limit::Limit;
pub use repeat::{MOST_ROUNDS, Repeat};
use serde::{Deserialize, Serialize};
pub use signal::{SignalSource, WaitFor};

/// A flow's shape.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Definition {
    /// The outermost dag.
    pub dag: Dag,
    /// The ids of the handlers that the flow's code has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub handlers: Vec<String>,
    /// The `recover` handler that is called when a run has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    /// The `finally` handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finally: Option<String>,
    /// The deadline of a run, counted from its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// What happens when the retries of a node run out.
    #[serde(skip_serializing_if = "is_default")]
    pub on_exhausted: Exhausted,
    /// The schedules that begin runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Schedule>,
}

/// What the host does when the retries of a node run out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exhausted {
    /// The run fails.
    #[default]
    Fail,
    /// The run pauses for an operator.
    Pause,
}

/// Nodes and the edges between them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Dag {
    /// In the order of their declaration.
    pub nodes: Vec<Node>,
    /// In the order of their declaration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<Edge>,
    /// Aggregators of nodes' inputs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aggregate_inputs: Vec<AggregateInputs>,
    /// The aggregator of several ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregate_ends: Option<String>,
    /// The handlers that catch the failures of nodes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recover_nodes: Vec<RecoverNode>,
    /// The `recover-from` handler that catches what fails in this dag, and yields its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recover: Option<String>,
}

/// The handler that catches the failure of one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RecoverNode {
    /// The node's id.
    pub node: String,
    /// The `recover-from` handler.
    pub recover: String,
}

/// The aggregator of one node's inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AggregateInputs {
    /// The node's id.
    pub node: String,
    /// The `aggregate` handler.
    pub aggregator: String,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Node {
    /// Unique within its dag.
    pub id: String,
    /// What it does.
    #[serde(flatten)]
    pub kind: NodeKind,
}

/// What a node does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// Runs operations, one after the other.
    Operations(Operations),
    /// Runs a dag.
    SubDag(Dag),
    /// Runs the branches that a handler chooses.
    Condition(Branches),
    /// Runs one dag per item that a handler yields.
    ForEach(Branches),
    /// Runs a dag again on its own result while a handler says so.
    Repeat(Repeat),
}

/// The operations of a node, and how it is run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Operations {
    /// In order. If there are none, the node passes its data on.
    pub list: Vec<Operation>,
    /// The retry policy of the whole node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Backoff>,
    /// The time limit of one attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The limit over all runs that each attempt keeps to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
}

/// One operation of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Calls a function; `target` is its name, perhaps with a path.
    Apply(Call),
    /// Calls a URL; `target` is the URL.
    Request(Call),
    /// Runs a `modify` handler.
    Modify(String),
    /// Hands its data on after this time, in milliseconds.
    Sleep(u64),
    /// Hands its data on at the moment that this `moment` handler names.
    SleepUntil(String),
    /// Hands on the body of a signal, once it has come.
    WaitFor(WaitFor),
}

impl Operation {
    /// Whether it calls a function or URL, and so has effects outside of the run.
    pub fn is_call(&self) -> bool {
        matches!(self, Self::Apply(_) | Self::Request(_))
    }
}

/// One call of a function or URL.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Call {
    /// A function's name, or a URL.
    pub target: String,
    /// `POST` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Name and value, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Name and value, in order, not percent-encoded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// The handler that sees the request before it is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepare: Option<String>,
    /// The handler that turns the response into data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive: Option<String>,
    /// The handler that turns the text of the call's failure into data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recover: Option<String>,
    /// The `recover-from` handler that turns the call's failure into data. Without effect beside `recover`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recover_from: Option<String>,
    /// The retry policy of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Backoff>,
    /// The statuses after which it is tried again. If there are none: 408, 429 and 5xx.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retry_on: Vec<u16>,
    /// The time limit of one try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Whether the function is called through the queue, and its answer comes later.
    #[serde(skip_serializing_if = "is_default")]
    pub asynchronous: bool,
    /// The limit over all runs that each try keeps to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
}

impl Call {
    /// Whether a response with this status is a reason to try again.
    pub fn retries_on(&self, status: u16) -> bool {
        match &*self.retry_on {
            [] => matches!(status, 408 | 429 | 500..=599),
            statuses => statuses.contains(&status),
        }
    }
}

/// The dags behind a condition or a for-each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Branches {
    /// The `condition` or `for-each` handler.
    pub handler: String,
    /// A condition's dags by key, in order; a for-each's single dag under the key `""`.
    pub dags: Vec<Branch>,
    /// Merges the results of the branches that ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregator: Option<String>,
    /// Branches start with empty data, and their results are dropped.
    #[serde(skip_serializing_if = "is_default")]
    pub carries_nothing: bool,
    /// How many branches may run at a time; `None` for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// How many items of a for-each may fail; `None` if none may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerate: Option<Tolerate>,
    /// The `gather` handler that merges results and tolerated failures. It takes the place of the aggregator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gather: Option<String>,
}

/// How many items of a for-each may fail without failing it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tolerate {
    /// This number.
    Items(u32),
    /// This share of all, from 0 to 1.
    Share(f32),
}

impl Tolerate {
    /// How many of so many items may fail.
    pub fn most(self, items: u32) -> u32 {
        match self {
            Tolerate::Items(most) => most,
            // 5 % of 100 are 5, although 0.05 is no binary fraction.
            Tolerate::Share(share) => (f64::from(items) * f64::from(share) + 1e-6).floor() as u32,
        }
    }
}

/// One dag behind a condition or for-each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Branch {
    /// Its key; `""` for a for-each.
    pub key: String,
    /// Its dag.
    pub dag: Dag,
}

/// An edge from one node to another, and what it carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Edge {
    /// The node that comes first.
    pub from: String,
    /// The node that waits for it.
    pub to: String,
    /// What it carries.
    #[serde(default, skip_serializing_if = "is_default")]
    pub carries: Carries,
}

/// What an edge carries.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carries {
    /// The output of the predecessor.
    #[default]
    Output,
    /// Nothing.
    Nothing,
    /// What this `forward` handler makes of the output.
    Forwarded(String),
}

/// A retry policy. Before try n (2 and later) the host waits
/// `min(max_delay_ms, first_delay_ms × factor^(n-2))`, less up to half of it at random.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Backoff {
    /// The number of tries, including the first: 1 to 100.
    pub attempts: u32,
    /// The wait before the second try.
    pub first_delay_ms: u32,
    /// What each further wait is multiplied by, 1 to 100.
    pub factor: f32,
    /// The longest wait, at most a day.
    pub max_delay_ms: u32,
}

impl Backoff {
    /// The wait before try `attempt` (2 and later), in milliseconds. `random` in 0..=1 takes off up to half of it.
    pub fn delay_ms(&self, attempt: u32, random: f64) -> u64 {
        let unlimited = Self { attempts: u32::MAX, ..*self };
        let delay = RetryPolicy::from(unlimited).delay_after(attempt.saturating_sub(1), random);
        delay.map_or(0, |delay| (delay.as_secs_f64() * 1000.0).round() as u64)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FAIL-1.
    #[test]
    fn a_call_is_retried_on_its_own_statuses_or_else_on_the_usual_ones() {
        let usual = Call::default();
        assert!([408, 429, 500, 503, 599].iter().all(|status| usual.retries_on(*status)));
        assert!([200, 400, 404].iter().all(|status| !usual.retries_on(*status)));
        let own = Call { retry_on: vec![404, 503], ..Call::default() };
        assert!(own.retries_on(404) && own.retries_on(503) && !own.retries_on(500));
    }

    #[test]
    fn waits_grow_to_the_cap_and_lose_half_at_most() {
        let backoff = Backoff { attempts: 9, first_delay_ms: 100, factor: 2.0, max_delay_ms: 500 };
        let waits: Vec<u64> = (2..=6).map(|attempt| backoff.delay_ms(attempt, 0.0)).collect();
        assert_eq!(waits, [100, 200, 400, 500, 500]);
        assert_eq!(backoff.delay_ms(3, 1.0), 100);
        assert_eq!(backoff.delay_ms(u32::MAX, 0.0), 500);
    }
}
