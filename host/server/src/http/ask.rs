//! What a request asks of a flow: by path, or by query as in the original.

use super::answer::Caller;
use super::contract::About;
use super::modules::Modules;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use faas_flow_core::{Code, FlowName, RunId};
use faas_flow_replica::Error;

/// A request to a flow.
pub(super) struct Request<'a> {
    pub flow: &'a FlowName,
    pub caller: Caller,
    pub method: Method,
    pub headers: HeaderMap,
    pub query: Vec<(String, String)>,
    pub body: Bytes,
    pub about: About,
}

impl<'a> Request<'a> {
    pub fn new(flow: &'a FlowName, parts: Parts, caller: Caller) -> Self {
        let query = parse_query(parts.uri.query().unwrap_or_default());
        let about = parts.extensions.get::<About>().cloned().unwrap_or_default();
        Self { flow, caller, method: parts.method, headers: parts.headers, query, body: Bytes::new(), about }
    }

    /// A header's value as text; anything but ASCII becomes what no rule lets through.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    /// The first value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    Pause,
    Resume,
    Stop,
}

impl Control {
    /// `Successfully paused request …`
    pub const fn done(self) -> &'static str {
        match self {
            Control::Pause => "paused",
            Control::Resume => "resumed",
            Control::Stop => "stopped",
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Invoke,
    Definition,
    Forward(RunId),
    Control(Control, RunId),
    Rerun(RunId),
    State(RunId),
    Result(RunId),
    Modules(Modules),
}

impl Ask {
    pub fn read(rest: &str, query: &[(String, String)], method: &Method) -> Result<Self, Error> {
        let parts: Vec<&str> = rest.split('/').collect();
        match parts.as_slice() {
            [""] => Self::by_query(query),
            ["flow", id, what] => {
                let run = RunId::new(decode(id));
                Ok(match *what {
                    "forward" => Ask::Forward(run?),
                    "pause" => Ask::Control(Control::Pause, run?),
                    "resume" => Ask::Control(Control::Resume, run?),
                    "stop" => Ask::Control(Control::Stop, run?),
                    "rerun" => Ask::Rerun(run?),
                    "state" => Ask::State(run?),
                    "result" => Ask::Result(run?),
                    _ => return Err(unknown(rest)),
                })
            }
            ["modules", below @ ..] => Modules::read(below, method).map(Ask::Modules).ok_or_else(|| unknown(rest)),
            _ => Err(unknown(rest)),
        }
    }

    /// In the original's order: the first that is there counts.
    fn by_query(query: &[(String, String)]) -> Result<Self, Error> {
        let value = |name: &str| query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let run = |name| value(name).map(RunId::new).transpose();
        if value("export-dag").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(Ask::Definition);
        }
        for (name, what) in
            [("pause-flow", Control::Pause), ("stop-flow", Control::Stop), ("resume-flow", Control::Resume)]
        {
            if let Some(run) = run(name)? {
                return Ok(Ask::Control(what, run));
            }
        }
        Ok(run("state")?.map_or(Ask::Invoke, Ask::State))
    }

    /// By query, everything may be asked with GET and POST, as in the original.
    pub fn methods(&self) -> &'static [Method] {
        match self {
            Ask::Invoke | Ask::Definition | Ask::Control(..) | Ask::State(_) => &[Method::GET, Method::POST],
            Ask::Forward(_) | Ask::Rerun(_) => &[Method::POST],
            Ask::Result(_) => &[Method::GET],
            Ask::Modules(modules) => modules.methods(),
        }
    }

    /// The run that it is about, unless it begins one.
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Ask::Invoke | Ask::Definition | Ask::Modules(_) => None,
            Ask::Forward(run) | Ask::Control(_, run) | Ask::Rerun(run) | Ask::State(run) | Ask::Result(run) => {
                Some(run)
            }
        }
    }

    /// Whether it is an operator's.
    pub fn needs_token(&self) -> bool {
        matches!(self, Ask::Control(..) | Ask::Rerun(_) | Ask::Modules(_))
    }
}

pub(super) fn unknown(path: &str) -> Error {
    let path: String = path.escape_debug().take(100).collect();
    Error::new(Code::ROUTE_UNKNOWN, format!("there is nothing at `{path}`: /_/openapi.json lists what there is"))
}

pub(super) fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn parse_query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let spaced = |text: &str| decode(&text.replace('+', " "));
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (spaced(name), spaced(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rest: &str, query: &str) -> Result<Ask, Code> {
        Ask::read(rest, &parse_query(query), &Method::POST).map_err(|error| error.code())
    }

    fn run(id: &str) -> RunId {
        RunId::new(id).unwrap()
    }

    #[test]
    fn queries_are_decoded_in_order() {
        let query = parse_query("a=1&b=x%20y+z&a=2&c");
        let query: Vec<(&str, &str)> = query.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(query, [("a", "1"), ("b", "x y z"), ("a", "2"), ("c", "")]);
    }

    #[test]
    fn the_same_is_asked_by_path_and_by_query() {
        assert_eq!(read("", ""), Ok(Ask::Invoke));
        assert_eq!(read("", "export-dag=True"), Ok(Ask::Definition));
        assert_eq!(read("", "export-dag=false"), Ok(Ask::Invoke));
        for (path, query, what) in [
            ("flow/r/pause", "pause-flow=r", Control::Pause),
            ("flow/r/resume", "resume-flow=r", Control::Resume),
            ("flow/r/stop", "stop-flow=r", Control::Stop),
        ] {
            assert_eq!(read(path, ""), Ok(Ask::Control(what, run("r"))));
            assert_eq!(read("", query), Ok(Ask::Control(what, run("r"))));
        }
        assert_eq!(read("flow/r/state", "state=other"), Ok(Ask::State(run("r"))));
        assert_eq!(read("", "state=r"), Ok(Ask::State(run("r"))));
    }

    #[test]
    fn of_several_queries_the_originals_first_counts() {
        let all = ["state=a", "resume-flow=b", "stop-flow=c", "pause-flow=d", "export-dag=true"];
        let first = |count: usize| read("", &all[..count].join("&")).unwrap();
        assert_eq!(first(5), Ask::Definition);
        assert_eq!(first(4), Ask::Control(Control::Pause, run("d")));
        assert_eq!(first(3), Ask::Control(Control::Stop, run("c")));
        assert_eq!(first(2), Ask::Control(Control::Resume, run("b")));
        assert_eq!(first(1), Ask::State(run("a")));
    }

    #[test]
    fn impossible_ids_and_paths_are_refused() {
        let long = "x".repeat(10 * 1024);
        for id in ["", "..", "a%2Fb", "a.b", "%00", "a%0Ab", "%FF", &long] {
            assert_eq!(read(&format!("flow/{id}/state"), ""), Err(Code::BAD_REQUEST_ID), "{id}");
            assert_eq!(read("", &format!("stop-flow={id}")), Err(Code::BAD_REQUEST_ID), "{id}");
        }
        for path in
            ["else", "flow", "flow/r", "flow/r/dance", "flow/a/b/state", "flow/r/state/", "/flow/r/state", &long]
        {
            assert_eq!(read(path, ""), Err(Code::ROUTE_UNKNOWN), "{path}");
        }
    }
}
