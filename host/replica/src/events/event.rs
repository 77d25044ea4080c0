//! An event: the message "run R: execute path P".

use super::Error as EventError;
use crate::Error;
use faas_flow_core::{FlowName, NodePath, RunId};
use serde::{Deserialize, Serialize};

/// One event. It carries references only; the replica that receives it reads everything else from the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The run.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$", example = "d7ca4bhj0q8g00f3k1v0m2s9")]
    pub run: RunId,
    /// The node to execute.
    #[schema(value_type = String, min_length = 1)]
    pub path: NodePath,
}

impl Event {
    /// The largest size of an event, in bytes. Most have about a hundred bytes; the path of a node in dags that are nested
    /// to the limit, under the longest keys, still fits.
    pub const LIMIT: usize = 16 * 1024;

    /// The path that an event is sent to and signed for, independent of the gateways and servers that it passes.
    pub fn target(flow: &FlowName, run: &RunId) -> String {
        format!("/function/{flow}/flow/{run}/forward")
    }

    /// The event as a request's body.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::json!({ "run": self.run, "path": self.path }).to_string().into_bytes()
    }

    /// Reads a request's body. Fails with [`BAD_EVENT`](faas_flow_core::Code::BAD_EVENT).
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        if body.len() > Self::LIMIT {
            return Err(EventError::TooLarge { size: body.len() }.into());
        }
        serde_json::from_slice(body).map_err(|error| {
            let reason = error.to_string().escape_debug().take(200).collect();
            EventError::Malformed { reason }.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;
    use proptest::prelude::*;

    fn event(run: &str, path: &str) -> String {
        serde_json::json!({ "run": run, "path": path }).to_string()
    }

    #[test]
    fn an_event_reads_back() {
        let event = Event { run: RunId::new("r-1").unwrap(), path: NodePath::parse("C[a%2Fb]/n1").unwrap() };
        assert_eq!(event.encode(), br#"{"path":"C[a%2Fb]/n1","run":"r-1"}"#);
        assert_eq!(Event::parse(&event.encode()).unwrap(), event);
    }

    #[test]
    fn events_of_impossible_runs_and_paths_are_refused() {
        let long = "x".repeat(10 * 1024);
        let runs = ["", "a/b", "..", "a\0", "a\nb", "ü", &long].map(|run| event(run, "n1"));
        let paths = ["", "/", "a//b", "a\0", "a[b", "a]b", "a[%FF]/n", &long].map(|path| event("r", path));
        let other = ["", "null", "[]", "{}", r#"{"run":"r"}"#, r#"{"run":"r","path":"n","more":1}"#, "{\"run\":\"r\""];
        let other = other.map(str::to_owned).into_iter().chain([event("r", &"x/".repeat(Event::LIMIT))]);
        for body in runs.into_iter().chain(paths).chain(other) {
            let short: String = body.chars().take(60).collect();
            let error = Event::parse(body.as_bytes()).expect_err(&short);
            assert_eq!(error.code(), Code::BAD_EVENT, "{short}");
            assert!(error.to_string().len() < 300, "{error}");
        }
    }

    #[test]
    fn the_longest_path_fits() {
        let mut path = String::new();
        for _ in 0..32 {
            path.push_str(&format!("{}[{}]/", "n".repeat(64), "%20".repeat(128)));
        }
        path.push_str(&"n".repeat(64));
        let event = Event { run: RunId::new("r".repeat(64)).unwrap(), path: NodePath::parse(&path).unwrap() };
        assert_eq!(Event::parse(&event.encode()).unwrap(), event);
    }

    proptest! {
        #[test]
        fn no_bytes_make_parsing_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = Event::parse(&bytes);
        }

        #[test]
        fn no_text_makes_parsing_panic(run in "\\PC*", path in "\\PC*") {
            if let Ok(read) = Event::parse(event(&run, &path).as_bytes()) {
                prop_assert_eq!(read.run.as_str(), run);
                prop_assert_eq!(Event::parse(&read.encode()).unwrap(), read);
            }
        }
    }
}
