//! What is run: the examples, and a for-each, with what must come of them.

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
}

/// The flows' modules.
pub const FLOWS: [&str; 6] =
    ["sync-chain", "async-chain", "parallel-branching", "dynamic-branching", "conditional-branching", "fixture"];
/// The functions that they apply. Each answers with what it was given and `>` and its name.
pub const FUNCTIONS: [&str; 4] = ["func1", "func2", "fake-storage", "step"];
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
        return Case {
            id: format!("chaos-{index}"),
            flow: VERSIONS,
            query: "",
            input: format!("input {index}"),
            result: String::new(),
            calls: 0,
            calls_back: false,
            signal: None,
        };
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
    Case {
        id: format!("chaos-{index}"),
        flow: FLOWS.get(kind).copied().unwrap_or_default(),
        query: "",
        input: i,
        result,
        calls,
        calls_back: index % CALLBACKS == 1,
        signal: None,
    }
}

/// Runs of the fixture: a for-each, rounds, a sleep, and a wait for a signal.
fn of_fixture(index: usize) -> Case {
    let i = format!("{index:0>ITEMS$}");
    let (query, result, calls, signal) = match index / FLOWS.len() % 4 {
        0 => {
            let items: Vec<_> = i.chars().enumerate().map(|(at, item)| format!("{at}={item}>step")).collect();
            ("?case=items", format!("[{}] after", items.join(", ")), ITEMS, None)
        }
        1 => ("?case=rounds", format!("{i}>stepr>stepr>stepr after"), 3, None),
        2 => ("?case=sleep&ms=6000", format!("{i} before after last"), 0, None),
        _ => ("?case=signal", format!("signal {index} after last"), 0, Some(format!("signal {index}"))),
    };
    let calls_back = index % CALLBACKS == 1;
    Case { id: format!("chaos-{index}"), flow: "fixture", query, input: i, result, calls, calls_back, signal }
}
