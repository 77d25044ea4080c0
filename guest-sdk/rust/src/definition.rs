//! The definition of a flow as plain data: handler ids stand where the author put closures. Its JSON form is the one
//! that the host uses.

use crate::backoff::Backoff;
use crate::values::{Exhausted, Missed, Overlap};
use serde::{Serialize, Serializer};

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Definition {
    pub dag: Dag,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub handlers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finally: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    pub on_exhausted: Exhausted,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Schedule>,
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Schedule {
    pub name: String,
    pub when: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    pub missed: Missed,
    pub overlap: Overlap,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<ScheduleInput>,
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ScheduleInput {
    #[serde(serialize_with = "text_or_bytes")]
    pub body: Vec<u8>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub media_type: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Dag {
    pub nodes: Vec<Node>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<Edge>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aggregate_inputs: Vec<AggregateInputs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregate_ends: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recover_nodes: Vec<RecoverNode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recover: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct RecoverNode {
    pub node: String,
    pub recover: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct AggregateInputs {
    pub node: String,
    pub aggregator: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Node {
    pub id: String,
    #[serde(flatten)]
    pub kind: NodeKind,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NodeKind {
    Operations(Operations),
    SubDag(Dag),
    Condition(Branches),
    ForEach(Branches),
    Repeat(Repeat),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Operations {
    pub list: Vec<Operation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Backoff>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Limit {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    Apply(Call),
    Request(Call),
    Modify(String),
    Sleep(u64),
    SleepUntil(String),
    WaitFor(WaitFor),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct WaitFor {
    pub signal: SignalSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recover_from: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SignalSource {
    Named(String),
    Handler(String),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Call {
    pub target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepare: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recover: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recover_from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Backoff>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retry_on: Vec<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub asynchronous: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Branches {
    pub handler: String,
    pub dags: Vec<Branch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregator: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub carries_nothing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerate: Option<Tolerate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gather: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tolerate {
    Items(u32),
    Share(f32),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Repeat {
    pub handler: String,
    pub dag: Dag,
    pub most: u32,
    #[serde(skip_serializing_if = "is_default")]
    pub wait_ms: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Branch {
    pub key: String,
    pub dag: Dag,
}

#[derive(Debug, Serialize)]
pub(crate) struct Edge {
    pub from: String,
    pub to: String,
    #[serde(skip_serializing_if = "is_default")]
    pub carries: Carries,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Carries {
    #[default]
    Output,
    Nothing,
    Forwarded(String),
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Bytes as a text if they are UTF-8, and otherwise as a list of numbers.
fn text_or_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => serializer.serialize_str(text),
        Err(_) => serializer.collect_seq(bytes),
    }
}
