//! "Run R: execute path P."

use crate::Error;
use faas_flow_core::{Code, FlowName, NodePath, RunId};
use serde::{Deserialize, Serialize};

/// One event. It carries references only: whoever takes it reads the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The run.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$", example = "d7ca4bhj0q8g00f3k1v0")]
    pub run: RunId,
    /// The node to execute.
    #[schema(value_type = String, min_length = 1)]
    pub path: NodePath,
}

impl Event {
    /// The most bytes that an event may have. Most have a hundred; dags nested to the limit under keys of the longest
    /// kind still fit.
    pub const LIMIT: usize = 16 * 1024;

    /// The path that an event is sent to and signed for, whichever gateway or server it passes.
    pub fn target(flow: &FlowName, run: &RunId) -> String {
        format!("/function/{flow}/flow/{run}/forward")
    }

    /// The event as a request's body.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::json!({ "run": self.run, "path": self.path }).to_string().into_bytes()
    }

    /// Reads a request's body.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        if body.len() > Self::LIMIT {
            let message = format!("the event has {} bytes, and {} is the most", body.len(), Self::LIMIT);
            return Err(Error::new(Code::BAD_EVENT, message));
        }
        serde_json::from_slice(body).map_err(|error| {
            let error: String = error.to_string().escape_debug().take(200).collect();
            Error::new(Code::BAD_EVENT, format!("the event is malformed: {error}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
