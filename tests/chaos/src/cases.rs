//! What is run: the examples, and a for-each, with what must come of them.

use std::collections::BTreeMap;

/// One run.
#[derive(Debug, Clone)]
pub struct Case {
    /// The request id.
    pub id: String,
    /// The flow, and what follows its name in the URL.
    pub flow: &'static str,
    pub query: &'static str,
    pub input: String,
    pub result: String,
    /// Calls of step functions, each with an idempotency key of its own.
    pub calls: usize,
    /// Whether the result is to be sent to a callback.
    pub calls_back: bool,
    /// The body of the signal `approval` that is sent to it.
    pub signal: Option<String>,
    /// How long after its submission it is to start.
    pub start: Option<&'static str>,
    /// The labels that its caller gives it, as a header.
    pub label: Option<&'static str>,
    /// All labels that it must have in the end; empty if nobody looks.
    pub labels: BTreeMap<String, String>,
}

impl Case {
    /// Run number `index` of a flow that makes so many calls.
    fn new(index: usize, flow: &'static str, input: String, result: String, calls: usize) -> Self {
        Self {
            id: format!("chaos-{index}"),
            flow,
            query: "",
            input,
            result,
            calls,
            calls_back: index % CALLBACKS == 1,
            signal: None,
            start: None,
            label: None,
            labels: BTreeMap::new(),
        }
    }
}

/// The flows' modules.
pub const FLOWS: [&str; 6] =
    ["sync-chain", "async-chain", "parallel-branching", "dynamic-branching", "conditional-branching", "fixture"];
/// The functions that they apply. Each answers with what it was given and `>` and its name.
pub const FUNCTIONS: [&str; 5] = ["func1", "func2", "fake-storage", "step", "job"];
/// The function with a limit over all runs, and how many calls of it may be in flight at once.
pub const LIMITED: &str = "func2";
pub const LIMIT: usize = 8;
/// The flow that is swapped.
pub const VERSIONS: &str = "versions";
/// Every so many runs one has a callback.
const CALLBACKS: usize = 10;
/// Items of the for-each.
const ITEMS: usize = 20;

/// Run number `index`; every other one is of the flow that is swapped, if one is. What comes of that is the version's.
pub fn case(index: usize, swaps: bool) -> Case {
    if swaps && index.is_multiple_of(2) {
        let case = Case::new(index, VERSIONS, format!("input {index}"), String::new(), 0);
        return Case { calls_back: false, ..case };
    }
    let kind = index % FLOWS.len();
    if kind == 5 {
        return of_fixture(index);
    }
    let i = format!("input {index}");
    let a = format!("{i} n1");
    let items = format!("f1={a} F/n1, f2={a} F/n1");
    let (result, calls) = match kind {
        0 => (format!("you said \"{i}>func1>func2\""), 2),
        1 => (format!("you said \"{i}>func1>func2\">fake-storage"), 3),
        2 => (format!("n2={a}>func1, n3={a}>func2 n3>fake-storage"), 3),
        3 => (format!("c1={items}, c2={a}>func1 c2/n1>fake-storage"), 2),
        _ => {
            let x = format!("[x2=[{items}]>func1 x2/n2, x3=[{items}]>func1>func2]");
            (format!("[c1={x}, c2={a}>func1 c2/n1]>fake-storage"), 5)
        }
    };
    Case::new(index, FLOWS.get(kind).copied().unwrap_or_default(), i, result, calls)
}

/// Runs of the fixture: a for-each, rounds, a sleep, a wait for a signal, failures that are caught and tolerated, limits, and a
/// run that starts later and has labels.
fn of_fixture(index: usize) -> Case {
    let i = format!("{index:0>ITEMS$}");
    let case = |query: &'static str, input: String, result: String, calls: usize| {
        let case = Case::new(index, "fixture", input, result, calls);
        Case { query, ..case }
    };
    match index / FLOWS.len() % 9 {
        0 => {
            let items: Vec<_> = i.chars().enumerate().map(|(at, item)| format!("{at}={item}>step")).collect();
            case("?case=items", i, format!("[{}] after", items.join(", ")), ITEMS)
        }
        1 => {
            let result = format!("{i}>stepr>stepr>stepr after");
            case("?case=rounds", i, result, 3)
        }
        2 => {
            let result = format!("{i} before after last");
            case("?case=sleep&ms=6000", i, result, 0)
        }
        3 => {
            let signal = Some(format!("signal {index}"));
            Case { signal, ..case("?case=signal", i, format!("signal {index} after last"), 0) }
        }
        4 => case("?case=caught-item", format!("{index}\nbad\nc"), format!("[0={index}, 1=no bad, 2=c]"), 0),
        5 => {
            let result = format!("0={index}>step>step; 1: FF0012 at F[1]/n: it is bad; 2=c>step>step");
            case("?case=tolerant-calls", format!("{index}\nbad\nc"), result, 4)
        }
        6 => {
            let result = "[0=a>step, 1=b>step, 2=c>step]".to_owned();
            case("?case=limit-items&limit=rate&rate=20&function=step", "abc".to_owned(), result, 3)
        }
        7 => {
            let tenant = format!("tenant {}", index % 4);
            let result = format!("{tenant}>job");
            case("?case=limit-key&limit=tenants&concurrent=1", tenant, result, 1)
        }
        _ => {
            let of_run = [("by", "first".to_owned()), ("from", "caller".to_owned()), ("order", format!("{i}>step"))];
            let labels = BTreeMap::from(of_run.map(|(key, value)| (key.to_owned(), value)));
            let result = format!("{i}>step true");
            let case = case("?case=labels", i, result, 1);
            Case { start: Some("5s"), label: Some("from=caller,by=caller"), labels, ..case }
        }
    }
}
