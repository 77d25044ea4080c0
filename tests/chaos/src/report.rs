//! What came of it.

use crate::cases::LIMIT;
use serde::Serialize;

/// The figures.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Runs that were accepted.
    pub runs: usize,
    /// SIGKILLs of replicas and of Redis.
    pub kills: usize,
    /// Those of Redis.
    pub redis_kills: usize,
    /// Events that the gateway lost or repeated.
    pub faults: u64,
    /// Accepted runs that did not end.
    pub lost: usize,
    /// Runs that ended otherwise than they should have.
    pub wrong: usize,
    /// Nodes that were committed a second time, by what Redis wrote down.
    pub repeated_commits: usize,
    /// Runs that the store calls running.
    pub still_running: usize,
    /// Nodes that were committed.
    pub commits: usize,
    /// Calls of step functions.
    pub calls: usize,
    /// Calls that had been made before: with the same key and body.
    pub repeated_calls: usize,
    /// Calls beyond the attempts that the history of their node has.
    pub unexplained_calls: usize,
    /// Keys that were seen with another body, and runs that used more or fewer keys than they have calls.
    pub changed_keys: usize,
    /// The most calls of the function with a limit that were in flight at a time.
    pub most_in_flight: usize,
    /// Permits of this limit that are still held or waited for when all runs have ended.
    pub permits_left: usize,
    /// Moments at which the schedule began runs.
    pub moments: usize,
    /// Moments that have no run or two, and runs of the schedule that ended otherwise than they should have.
    pub moments_wrong: usize,
    /// Callbacks that were asked for.
    pub callbacks: usize,
    /// Those that did not arrive, or with something else.
    pub callbacks_lost: usize,
    /// The most runs that were seen running at a time.
    pub most_at_once: usize,
    /// Swaps of the flow of several versions.
    pub swaps: usize,
    /// Requests that a replica refused for any other reason than that its store was away, or that it was starting
    /// or about to stop.
    pub refused: usize,
    /// The resident memory of all replicas of the flow that is swapped, after all of it and a few swaps in peace.
    pub memory_kib: u64,
    /// The same, as many swaps in peace later.
    pub memory_after_swaps_kib: u64,
    /// The most versions that one of them had loaded in the end.
    pub most_loaded: usize,
    /// From the first request to the last end.
    pub seconds: f64,
}

impl Report {
    /// Whether everything went as it must.
    pub fn holds(&self) -> bool {
        let broken = [self.lost, self.wrong, self.repeated_commits, self.still_running, self.refused];
        let lost =
            [self.unexplained_calls, self.changed_keys, self.callbacks_lost, self.permits_left, self.moments_wrong];
        broken.iter().chain(&lost).all(|count| *count == 0)
            && self.moments > 0
            // A replica whose lease has run out while the store was away does not cut off its calls (LIMIT-5).
            && self.most_in_flight <= 2 * LIMIT
            // In service, ready, and what the replica came with. What allocators keep is not much.
            && self.most_loaded <= 3
            && self.memory_after_swaps_kib <= self.memory_kib + self.memory_kib / 10 + (4 << 10)
    }

    /// A line per figure.
    pub fn table(&self) -> anyhow::Result<String> {
        let figures = serde_json::to_value(self)?;
        let lines = figures.as_object().into_iter().flatten().map(|(name, value)| {
            let value = value.as_f64().filter(|_| value.is_f64()).map_or(value.to_string(), |v| format!("{v:.1}"));
            format!("{name:<18}{value:>8}\n")
        });
        Ok(lines.collect())
    }
}
