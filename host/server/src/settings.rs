//! What an operator may set, in one table.

use std::time::Duration;

/// The limits and times of a host.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Payloads up to so many bytes are kept inside the state; larger ones go to the data store. 32 KiB.
    pub inline_limit: usize,
    /// The largest body that a request may have, in bytes. 64 MiB.
    pub body_limit: usize,
    /// The largest body that a call's response may have, in bytes. 64 MiB.
    pub response_limit: usize,
    /// Nodes of all runs together that execute at a time. 256.
    pub max_inflight: usize,
    /// Nodes of one run that execute or wait for their turn with a lease. 64.
    pub run_inflight: usize,
    /// Runs that are under way at a time; more are answered with 429. 10,000.
    pub max_runs: usize,
    /// Items of one for-each. 100,000.
    pub max_items: usize,
    /// How long a claim holds a node; it is renewed three times as often. 10 s.
    pub lease: Duration,
    /// The longest that one try of a call takes where the flow says nothing. 60 s.
    pub call_timeout: Duration,
    /// How long a run's history and result are kept after its end. 7 days.
    pub history_ttl: Duration,
    /// How many ended runs of this replica are kept, however young: for stores in memory. No limit.
    pub history_limit: usize,
    /// The longest that a caller may wait for a result. 5 min.
    pub max_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            inline_limit: 32 * 1024,
            body_limit: 64 * 1024 * 1024,
            response_limit: 64 * 1024 * 1024,
            max_inflight: 256,
            run_inflight: 64,
            max_runs: 10_000,
            max_items: 100_000,
            lease: Duration::from_secs(10),
            call_timeout: Duration::from_secs(60),
            history_ttl: Duration::from_secs(7 * 24 * 3600),
            history_limit: usize::MAX,
            max_wait: Duration::from_secs(300),
        }
    }
}
