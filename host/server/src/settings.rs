//! What an operator may set, in one table.

use std::time::Duration;

/// The limits and times of a host.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Payloads up to so many bytes are kept inside the state; larger ones go to the data store. 32 KiB.
    pub inline_limit: usize,
    /// The largest body that a request may have, in bytes. 64 MiB.
    pub body_limit: usize,
    /// How long the body of a request may take to arrive. As long as it likes.
    pub read_timeout: Option<Duration>,
    /// The largest body that a call's response may have, in bytes. 64 MiB.
    pub response_limit: usize,
    /// Nodes of all runs together that execute at a time. 256.
    pub max_nodes: usize,
    /// Nodes of one run that execute or wait for their turn with a lease. 64.
    pub run_nodes: usize,
    /// Runs that are under way at a time; more are answered with 429. 10,000.
    pub max_runs: usize,
    /// Items of one for-each. 100,000.
    pub max_items: usize,
    /// How long a claim holds a node; it is renewed three times as often. 10 s.
    pub lease: Duration,
    /// How long what only the flow's own code did may wait to be committed together with what follows; a replica that dies
    /// in the meantime leaves it to be done again. 0 commits each node by itself. 10 ms.
    pub commit_delay: Duration,
    /// The longest that one try of a call takes where the flow says nothing. 60 s.
    pub call_timeout: Duration,
    /// How long a run's history and result are kept after its end. 7 days.
    pub history_ttl: Duration,
    /// How many ended runs of this replica are kept, however young: for stores in memory. No limit.
    pub history_limit: usize,
    /// The longest that a caller may wait for a result. 5 min.
    pub max_wait: Duration,
    /// How long a request to a flow of several nodes waits for the result where its caller says nothing. It does not.
    pub default_wait: Option<Duration>,
    /// The method of calls where the flow says nothing. POST.
    pub default_method: String,
    /// Where ready nodes are executed. Auto.
    pub dispatch: Dispatch,
    /// How long an event, or a request that its flow's definition depends on, waits for room on this replica before it is refused.
    /// 10 s.
    pub room_wait: Duration,
    /// Whether a failure repeats what a function said of it. It does not: that may be the data it was called with.
    pub answers: Answers,
    /// The longest wait between two tries that is sat out in place; longer ones are stored. 5 s.
    pub longest_sleep: Duration,
}

/// Where ready nodes are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatch {
    /// In place while there is room, through the gateway beyond.
    Auto,
    /// In place.
    Local,
    /// Through the gateway.
    Gateway,
}

/// What becomes of the answer of a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// The failure has its beginning: for the one who wrote the function, on the own machine.
    Quoted,
    /// It is told to nobody.
    Withheld,
}

impl Answers {
    /// What the message of a failure ends with.
    pub(crate) fn quote(self, answer: &[u8]) -> String {
        let said: String = match self {
            Answers::Quoted => String::from_utf8_lossy(answer).trim().chars().take(500).collect(),
            Answers::Withheld => String::new(),
        };
        if said.is_empty() { said } else { format!(": {said}") }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            inline_limit: 32 * 1024,
            body_limit: 64 * 1024 * 1024,
            read_timeout: None,
            response_limit: 64 * 1024 * 1024,
            max_nodes: 256,
            run_nodes: 64,
            max_runs: 10_000,
            max_items: 100_000,
            lease: Duration::from_secs(10),
            commit_delay: Duration::from_millis(10),
            call_timeout: Duration::from_secs(60),
            history_ttl: Duration::from_secs(7 * 24 * 3600),
            history_limit: usize::MAX,
            max_wait: Duration::from_secs(300),
            default_wait: None,
            default_method: "POST".to_owned(),
            dispatch: Dispatch::Auto,
            room_wait: Duration::from_secs(10),
            answers: Answers::Withheld,
            longest_sleep: Duration::from_secs(5),
        }
    }
}
