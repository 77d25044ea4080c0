//! Scenarios as they are played: what a file says, checked against the flow.

use bytes::Bytes;
use faas_flow_core::{Code, Millis, SignalName, Status};
use faas_flow_replica::Function;
use faas_flow_versions::Flow;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A scenario.
pub struct Scenario {
    /// Its file.
    pub file: PathBuf,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Its name.
    pub name: String,
    pub(crate) began: Millis,
    pub(crate) input: Data,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) functions: BTreeMap<String, Answers>,
    pub(crate) steps: Vec<Step>,
    pub(crate) at_most: Duration,
    pub(crate) expect: Expect,
}

/// Bytes, and whether they are JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Data {
    pub(crate) bytes: Bytes,
    pub(crate) media_type: Option<&'static str>,
}

/// How a function answers.
#[derive(Clone)]
pub(crate) enum Answers {
    /// With one of these after the other.
    Given(Vec<Answer>),
    /// With what it got.
    Echo,
    /// By a program.
    Program(Function),
    /// It is a flow, which replicas serve.
    Flow(Flow),
}

/// One answer of a function.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) delay: Duration,
    /// Why the call cannot be made.
    pub(crate) error: Option<String>,
    pub(crate) only: Only,
}

/// For which calls an answer is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Only {
    pub(crate) body: Option<Value>,
    pub(crate) containing: Option<String>,
}

impl Only {
    pub(crate) fn fits(&self, body: &[u8]) -> bool {
        self.body.as_ref().is_none_or(|expected| is(expected, body))
            && self.containing.as_ref().is_none_or(|part| String::from_utf8_lossy(body).contains(part.as_str()))
    }
}

/// Something that happens while the run is in flight.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Wait(Duration),
    WaitUntil(Millis),
    Signal(SignalName, Data),
    Stop,
}

/// The status that is expected, if any, and headers.
pub(crate) type ExpectedResponse = (Option<u16>, Vec<(String, String)>);

/// What is expected. Each line is that of the expectation in the file.
#[derive(Debug, Default)]
pub(crate) struct Expect {
    /// The line of `expect`; none if nothing is expected but that the run succeeds.
    pub(crate) line: Option<u64>,
    pub(crate) status: Option<At<Status>>,
    pub(crate) result: Option<At<Value>>,
    pub(crate) result_contains: Option<At<String>>,
    pub(crate) response: Option<At<ExpectedResponse>>,
    pub(crate) failure: Option<At<ExpectedFailure>>,
    pub(crate) calls: Option<At<Vec<At<ExpectedCall>>>>,
    pub(crate) counts: Vec<(String, At<usize>)>,
    pub(crate) labels: Vec<(String, At<String>)>,
    pub(crate) ran: Vec<At<String>>,
    pub(crate) did_not_run: Vec<At<String>>,
    pub(crate) logs: Vec<At<String>>,
    pub(crate) takes: Option<At<Duration>>,
}

/// Something with its line.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) line: u64,
    pub(crate) value: T,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ExpectedFailure {
    pub(crate) code: Option<Code>,
    pub(crate) node: Option<String>,
    pub(crate) contains: Option<String>,
    pub(crate) status: Option<u16>,
}

#[derive(Debug, Clone)]
pub(crate) struct ExpectedCall {
    pub(crate) function: String,
    pub(crate) body: Option<Value>,
    pub(crate) body_contains: Option<String>,
    pub(crate) times: usize,
}

/// Whether these bytes are what a file says: text as it is, and anything else as JSON.
pub(crate) fn is(expected: &Value, bytes: &[u8]) -> bool {
    match expected {
        Value::String(text) => text.as_bytes() == bytes,
        other => serde_json::from_slice::<Value>(bytes).is_ok_and(|found| same(other, &found)),
    }
}

/// Whether two values are the same, be their numbers whole or not.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

impl Scenario {
    /// The flows that are called in the place of functions.
    pub(crate) fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.functions.values().filter_map(|answers| match answers {
            Answers::Flow(flow) => Some(flow),
            _ => None,
        })
    }
}

/// Text as it is, and anything else as JSON.
pub(crate) fn data(value: Option<Value>) -> Data {
    match value {
        None => Data::default(),
        Some(Value::String(text)) => Data { bytes: text.into(), media_type: None },
        Some(json) => Data { bytes: json.to_string().into(), media_type: Some("application/json") },
    }
}

/// `: did you mean …?`, or what there is.
pub(crate) fn suggestion<'a>(wrong: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match faas_flow_core::nearest(wrong, known.clone(), |name| 1 + name.len() / 4) {
        Some(near) => format!(": did you mean `{near}`?"),
        None => {
            let mut all: Vec<&str> = known.collect();
            all.sort_unstable();
            all.dedup();
            match &*all {
                [] => ", and there are none at all: remove the line".to_owned(),
                all => {
                    format!(": there are {}", all.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
                }
            }
        }
    }
}
