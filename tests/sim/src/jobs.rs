//! What runs are of, and how each may end.

/// What a run is of: a flow with a query and a body, and what else its caller asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Job {
    /// The flow's module.
    pub flow: &'static str,
    /// Behind the `?`.
    pub query: &'static str,
    /// The request's body.
    pub body: &'static str,
    /// What else.
    pub asks: Asks,
}

/// What a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asks {
    /// The result, later, under an id of its own.
    Later,
    /// The result, for which it waits; if it gets none, it asks again. The host makes up the id.
    Now,
    /// The same of a flow of several nodes, which does not answer with its result unless its caller says that it waits.
    Waiting,
    /// To be told.
    Callback,
    /// That this node is run again, once the run has ended.
    Again(&'static str),
    /// To go on with these signals, each with its name and its body, which somebody sends until it is stored.
    Signals(&'static [(&'static str, &'static str)]),
    /// That the run starts after this time.
    Start(&'static str),
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}?{} with {} bytes, {:?}", self.flow, self.query, self.body.len(), self.asks)
    }
}

pub(crate) const fn job(flow: &'static str, query: &'static str, body: &'static str) -> Job {
    Job { flow, query, body, asks: Asks::Later }
}

impl Job {
    pub(crate) const fn asks(self, asks: Asks) -> Self {
        Self { asks, ..self }
    }

    /// Whether the run may end so, while all goes wrong, and clocks are so many milliseconds apart. What is cut off by time may
    /// have come more or less far.
    pub fn may_end(self, end: &str, right: &str, skew: u64) -> bool {
        let (end, right) = match self.query {
            // By the clock of the replica that ended it, the deadline was not over.
            IN_TIME if skew > 0 && end.starts_with("succeeded") => return true,
            IN_TIME | CAUGHT | BESIDE => return without_nodes(end) == without_nodes(right),
            // It was not called in time; or nobody was there to notice that it had not ended in time, until it had.
            ENDLESS if end.starts_with("failed FF0206") || end.starts_with("succeeded") => return true,
            // Its end came before the replica that had given it up, and stopped it, had said so.
            ENDLESS if end.starts_with("failed FF0251") && end.contains("was stopped in run CHILD") => return true,
            _ => (end, right),
        };
        end == right
    }
}

/// Too large to stand in a document beside others.
const LARGE: &str = match std::str::from_utf8(&[b'x'; 3000]) {
    Ok(text) => text,
    Err(_) => "",
};

const FLIGHTS: &str = r#"[{"date":"2001/01/01 05:59","delay":3,"origin":"SFO"},
    {"date":"2001/01/02 05:01","delay":40,"origin":"LAX"},{"date":"2001/01/01 17:30","delay":-2,"origin":"SFO"}]"#;

/// Every example, and every construct, alone and nested.
pub const JOBS: [Job; 86] = [
    job("greet", "", "Ada"),
    job("greet-typescript", "", "Ada"),
    job("greet-python", "", "Ada"),
    job("flights", "", FLIGHTS),
    job("async-chain", "", LARGE),
    job("fixture", "case=values", LARGE),
    job("fixture", "case=respond-in-a-chain", "in"),
    job("fixture", "case=respond-to-a-failure", "in").asks(Asks::Waiting),
    job("fixture", "case=respond&status=201&name=x-order&value=7", "in").asks(Asks::Now),
    job("greet", "", "Ada").asks(Asks::Now),
    job("sync-chain", "", "hi").asks(Asks::Now),
    // So long that it is stored before its end.
    job("fixture", "case=retried-call", "busy").asks(Asks::Now),
    job("dynamic-branching-typescript", "", "hi"),
    job("dynamic-branching-python", "", "hi"),
    job("parallel-branching", "", "hi").asks(Asks::Waiting),
    job("dynamic-branching", "", "hi").asks(Asks::Waiting),
    job("fixture", "case=items", "abcdefghijklmnopqrst").asks(Asks::Waiting),
    job("fixture", "case=reversed-branches", "in").asks(Asks::Waiting),
    job("fixture", "case=sub-dag", "in").asks(Asks::Waiting),
    job("fixture", "case=values", "in").asks(Asks::Waiting),
    job("fixture", "case=failure-answered", "in").asks(Asks::Waiting),
    job("fixture", "case=retried-node", "busy").asks(Asks::Waiting),
    job("async-chain", "", "hi").asks(Asks::Callback),
    job("fixture", "case=failure-not-answered", "in").asks(Asks::Callback),
    job("async-chain", "", "hi").asks(Asks::Again("n2")),
    job("fixture", "case=items", "abc").asks(Asks::Again("F")),
    job("sync-chain", "", "hi"),
    job("async-chain", "", "hi"),
    job("parallel-branching", "", "hi"),
    job("dynamic-branching", "", "hi"),
    job("conditional-branching", "", "hi"),
    job("fixture", "case=items", "abcdefghijklmnopqrst"),
    job("fixture", "case=items-two-at-a-time", "abcdefgh"),
    job("fixture", "case=reversed-branches", "in"),
    job("fixture", "case=one-branch", "in"),
    job("fixture", "case=reject", "in"),
    job("fixture", "case=values", "in"),
    job("fixture", "case=sub-dag", "in"),
    job("fixture", "case=items", "abcdefghijklmnopqrstuvwxyzabcd"),
    job("fixture", "case=ends", "in"),
    job("fixture", "case=failure-answered", "in"),
    job("fixture", "case=failure-not-answered", "in"),
    job("fixture", "case=finally-after-success", "in"),
    // Called once more after seven seconds, which is longer than replicas sit out.
    job("fixture", "case=retried-call", "busy"),
    job("fixture", "case=retried-call-in-a-node", "busy"),
    job("fixture", "case=retried-node", "busy"),
    // Failures that are caught, and items that may fail.
    job("fixture", CAUGHT, "in"),
    job("fixture", CAUGHT, "in").asks(Asks::Waiting),
    job("fixture", CAUGHT, "in").asks(Asks::Again("S")),
    job("fixture", "case=caught-item", "a\nbad\nc\nbad"),
    job("fixture", "case=tolerant-calls", "a\nbad\nc\nd"),
    job("fixture", "case=tolerant-calls", "a\nbad\nc\nd").asks(Asks::Callback),
    job("fixture", "case=tolerant-and-caught", "bad\nb"),
    // Rounds, the second of which begin after waits that are longer than replicas sit out.
    job("fixture", "case=rounds", "in"),
    job("fixture", "case=rounds&until=2&waits=7000", "in"),
    job("fixture", "case=rounds-of-items", "in"),
    job("fixture", "case=rounds&until=9&most=2", "in"),
    // Flows that call flows, and a function that answers through the queue.
    job("fixture", "case=calls&target=sync-chain&tries=30", "hi"),
    job("fixture", "case=calls&target=sync-chain&tries=30", "hi").asks(Asks::Waiting),
    job("fixture", "case=calls&target=sync-chain&tries=30", LARGE).asks(Asks::Callback),
    job("fixture", "case=calls&target=sync-chain&tries=30", "hi").asks(Asks::Again("call")),
    job("fixture", "case=calls&target=fixture&called-case=calls-deeper", "hi"),
    job("fixture", "case=calls&target=fixture&called-case=failure-not-answered", "in"),
    job("fixture", ENDLESS, "abcdef"),
    job("fixture", IN_TIME, "abcdef"),
    job("fixture", "case=calls-of-items", "abcd"),
    job("fixture", BESIDE, "hi"),
    job("fixture", BESIDE, "hi").asks(Asks::Again("S")),
    job("fixture", ASKS, "hi"),
    job("fixture", ASKS, "busy"),
    job("fixture", ASKS, "hi").asks(Asks::Again("call")),
    // Nodes that sleep: so long that nobody holds them, and so short that a replica sits it out.
    job("fixture", "case=sleep&ms=20000", "hi"),
    job("fixture", "case=sleep&ms=20000", LARGE).asks(Asks::Waiting),
    job("fixture", "case=sleep&ms=40000&timeout=30000", "hi").asks(Asks::Again("n")),
    job("fixture", "case=sleep-alone&ms=800", "hi").asks(Asks::Now),
    job("fixture", "case=sleep-and-call&ms=7000&attempts=30", "busy"),
    job("fixture", "case=sleeps-of-items&ms=9000", "abcd"),
    // Nodes that wait for signals.
    job("fixture", "case=signal", "hi").asks(Asks::Signals(&[("approval", "yes")])),
    job("fixture", "case=signal", "hi").asks(Asks::Signals(&[("approval", LARGE)])),
    job("fixture", "case=signals-of-items", "Ada Bob Cleo").asks(Asks::Signals(&[
        ("signed-by-Bob", "no"),
        ("signed-by-Cleo", "yes"),
        ("signed-by-Ada", "yes"),
    ])),
    // Calls that keep to a limit over all runs.
    job("fixture", "case=limit-items&function=limited&concurrent=2", "abcdef"),
    job("fixture", "case=limit-items&function=limited&concurrent=2", "abc").asks(Asks::Waiting),
    job("fixture", "case=limit-items&limit=rate&rate=2", "abcdef"),
    // Runs that start later: so late that nobody holds them, and soon.
    job("async-chain", "", "hi").asks(Asks::Start("20s")),
    job("parallel-branching", "", LARGE).asks(Asks::Start("500ms")),
    job("greet", "", "Ada").asks(Asks::Start("7s")),
];

/// How a run ended, without how far its nodes had come.
fn without_nodes(end: &str) -> String {
    let mut parts = end.split(" [");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.filter_map(|part| part.split_once(']')).fold(first, |whole, (_, rest)| whole + rest)
}

/// A call beside a failure that is caught, which may end before it is cut off.
const CAUGHT: &str = "case=caught-sub-dag";

/// A flow that was called beside a failure that is caught.
const BESIDE: &str = "case=calls-beside-a-failure&target=fixture";

/// A flow that takes longer than its caller waits.
const ENDLESS: &str = "case=calls&target=fixture&called-case=items-of-calls&timeout=1500";

/// The same within a deadline.
const IN_TIME: &str = "case=calls&target=fixture&called-case=items-of-calls&deadline=1500";

/// A function that is asked again if its answer has not come for long.
const ASKS: &str = "case=calls&target=job&asynchronously=yes&timeout=25000&tries=30";
