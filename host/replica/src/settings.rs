//! The limits and times of a host, with their defaults.

use crate::network::{Destinations, RequestProxy};
use crate::traces::Propagators;
use faas_flow_core::limit::Figures;
use faas_flow_core::redact::Rules;
use faas_flow_core::schedule::ScheduleEntry;
use faas_flow_guest::LogLimits;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

/// Headers, in lower case, that let their owner in somewhere. A run keeps them only if the operator says so.
pub const CREDENTIAL_HEADERS: [&str; 5] =
    ["authorization", "cookie", "proxy-authorization", "x-hub-signature", "x-hub-signature-256"];

/// The limits and times of a host.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Maximum size in bytes of a payload that is stored with the state; larger ones go to the data store. Default: 32 KiB.
    pub inline_limit: usize,
    /// Maximum size of a request's body, in bytes. Default: 32 MiB.
    pub body_limit: usize,
    /// Maximum time for the body of a request to arrive. Default: no limit.
    pub read_timeout: Option<Duration>,
    /// Maximum size of the response to a call, in bytes. Default: 32 MiB.
    pub response_limit: usize,
    /// Further request headers that programs used as functions get as environment variables. Default: none.
    pub program_headers: Vec<String>,
    /// Of [`CREDENTIAL_HEADERS`], those that runs keep of their requests, so that the flow's code can read them. Default: none.
    pub keep_headers: Vec<&'static str>,
    /// Maximum number of nodes that execute at the same time, of all runs together. Default: 256.
    pub max_nodes: usize,
    /// Maximum number of nodes of one run that execute, or are claimed and wait for their turn. Default: 64.
    pub run_nodes: usize,
    /// Maximum number of runs in progress; more are refused with 429. Default: 10,000.
    pub max_runs: usize,
    /// Maximum number of items of a for-each. Default: 100,000.
    pub max_items: usize,
    /// How long a claimed node is reserved for its replica, which renews the lease three times in that time. Default: 10 s.
    pub lease: Duration,
    /// Maximum time that the results of the flow's own code may wait to be committed together with those of later nodes. If the
    /// replica is lost meanwhile, these nodes are executed again. 0 commits each node on its own. Default: 10 ms.
    pub commit_delay: Duration,
    /// Maximum time for one try of a call for which the flow sets no timeout. Default: 60 s.
    pub call_timeout: Duration,
    /// Maximum time until a function that was called asynchronously answers, if the flow sets no timeout. Default: 24 h.
    pub answer_timeout: Duration,
    /// How long an idle connection to a function or URL is kept for the next call. 0 makes a new one for each call. Default: 3 s,
    /// which is shorter than common servers keep theirs.
    pub call_keep_alive: Duration,
    /// The proxy for requests to the outside. Default: as the environment says.
    pub request_proxy: RequestProxy,
    /// How long the history and the result of a run are kept after its end. Default: 7 days.
    pub history_ttl: Duration,
    /// How long those of a run are kept that has failed. Default: as long as those of others.
    pub history_ttl_failed: Option<Duration>,
    /// Maximum number of ended runs of each flow that are kept, regardless of their age. Default: no limit.
    pub history_budget: Option<usize>,
    /// Maximum number of this replica's ended runs that are kept, regardless of their age: for stores in memory. Default: no
    /// limit.
    pub history_limit: usize,
    /// The address of the gateway as people reach it, without a slash at its end: addresses that flows hand out begin with it.
    /// A local server sets it once it listens. Default: none.
    pub public_url: OnceLock<String>,
    /// Maximum time that a caller may wait for a result. Default: 5 min.
    pub max_wait: Duration,
    /// How long a request to a flow with several nodes waits for the result if the caller does not say. Default: it does not
    /// wait.
    pub default_wait: Option<Duration>,
    /// HTTP method of calls for which the flow sets none. Default: POST.
    pub default_method: String,
    /// Where ready nodes are executed. Default: auto.
    pub dispatch: Dispatch,
    /// How long an event waits for room on this replica before it is refused, and likewise a request on which its flow's
    /// definition depends. Default: 10 s.
    pub room_wait: Duration,
    /// Whether the message of a failed call quotes the response. Default: it does not, since a function may respond with the
    /// data that it was called with.
    pub answers: Answers,
    /// Where requests may go whose URL a flow or a caller chose. Default: flows may call any host, but no address with a special
    /// purpose, and nobody is called back.
    pub destinations: Destinations,
    /// The longest wait between two tries that the replica spends in memory; longer waits are stored. Default: 5 s.
    pub longest_sleep: Duration,
    /// The limits over all runs that the operator has set, by the names of limits or functions. Default: none.
    pub limits: BTreeMap<String, Figures>,
    /// How much the flow's code of one run may log. Default: 1000 lines per second, 1 MiB in all.
    pub flow_log: LogLimits,
    /// How many bytes of what its code logs a run keeps from one replica; 0 for none.
    pub run_logs: usize,
    /// How many bytes of what its operations get and yield a run keeps from one replica; 0 for none. Default: none.
    pub run_payloads: usize,
    /// What is hidden in that before it is kept. Default: nothing.
    pub redact: Rules,
    /// Schedules that take the place of those that flows declare. Default: none.
    pub schedules: Vec<ScheduleEntry>,
    /// Which headers about traces are read and passed on. Default: all that are known.
    pub propagators: Propagators,
    /// How many entries of the audit log are kept at least, of all replicas together; 0 for none. Default: 10,000.
    pub audit_length: usize,
}

/// Where ready nodes are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatch {
    /// On this replica while it has room, and otherwise through the gateway.
    Auto,
    /// On this replica.
    Local,
    /// Through the gateway.
    Gateway,
}

/// What becomes of the response to a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// The failure quotes its beginning, for authors who run their functions on their own machine.
    Quoted,
    /// It is discarded.
    Withheld,
}

impl Answers {
    /// The end of a failure's message: the beginning of an answer.
    pub fn quote(self, answer: &[u8]) -> String {
        self.quote_text(&String::from_utf8_lossy(answer).trim().chars().take(500).collect::<String>())
    }

    /// The end of a failure's message: a text that is short enough.
    pub fn quote_text(self, said: &str) -> String {
        if self == Answers::Withheld || said.is_empty() { String::new() } else { format!(": {said}") }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            inline_limit: 32 * 1024,
            body_limit: 32 * 1024 * 1024,
            read_timeout: None,
            response_limit: 32 * 1024 * 1024,
            program_headers: Vec::new(),
            keep_headers: Vec::new(),
            max_nodes: 256,
            run_nodes: 64,
            max_runs: 10_000,
            max_items: 100_000,
            lease: Duration::from_secs(10),
            commit_delay: Duration::from_millis(10),
            call_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(24 * 3600),
            call_keep_alive: Duration::from_secs(3),
            request_proxy: RequestProxy::default(),
            history_ttl: Duration::from_secs(7 * 24 * 3600),
            history_ttl_failed: None,
            history_budget: None,
            history_limit: usize::MAX,
            public_url: OnceLock::new(),
            max_wait: Duration::from_secs(300),
            default_wait: None,
            default_method: "POST".to_owned(),
            dispatch: Dispatch::Auto,
            room_wait: Duration::from_secs(10),
            answers: Answers::Withheld,
            destinations: Destinations::default(),
            longest_sleep: Duration::from_secs(5),
            limits: BTreeMap::new(),
            flow_log: LogLimits::default(),
            run_logs: 64 << 10,
            run_payloads: 0,
            redact: Rules::default(),
            schedules: Vec::new(),
            propagators: Propagators::default(),
            audit_length: 10_000,
        }
    }
}
