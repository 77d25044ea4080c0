//! What the project aims at, beside what is measured.

use crate::report::Row;
use std::fmt;

/// Round trips of Redis that the median run of F2 is measured by: one for each of its ten nodes, and one for its start.
const ROUND_TRIPS: f64 = 11.0;

/// How much processor time a chain of calls may take, as a multiple of what the host's HTTP client alone takes for them.
const BARE: f64 = 1.3;

/// Something that a row is to reach.
pub struct Aim {
    what: String,
    met: bool,
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.met { "✓" } else { "✗" }, self.what)
    }
}

/// What this row is to reach, if it is to reach anything.
pub fn of(row: &Row) -> Option<Aim> {
    match row.concurrency {
        1 => in_round_trips(row).or_else(|| beside_bare(row)),
        _ => in_times(row),
    }
}

/// So many times the original's throughput.
fn in_times(row: &Row) -> Option<Aim> {
    let least = match (row.store, row.flow) {
        ("memory", "F2") => 50.0,
        ("redis", "F1") => 10.0,
        ("redis", "F2") => 20.0,
        ("redis", "F3" | "F4") => 30.0,
        _ => return None,
    };
    let times = row.runs_per_s / row.original.as_ref()?.runs_per_s;
    Some(Aim { what: format!("{least:.0}× the runs/s"), met: times >= least })
}

/// Twice as long as the round trips of one commit per node take.
fn in_round_trips(row: &Row) -> Option<Aim> {
    let trip = row.redis_round_trip_ms.filter(|_| row.flow == "F2")?;
    let most = 2.0 * ROUND_TRIPS * trip;
    Some(Aim { what: format!("p50 ≤ {most:.3} ms, 2 × {ROUND_TRIPS:.0} round trips"), met: row.p50_ms <= most })
}

/// Hardly more processor time than the calls alone take.
fn beside_bare(row: &Row) -> Option<Aim> {
    let (socket, library) = (row.bare_socket_cpu_ms?, row.bare_library_cpu_ms?);
    let most = BARE * library;
    let what = format!(
        "cpu ≤ {most:.3} ms, {BARE} × a bare HTTP client's (it is {:.1} ×; {:.1} × a blocking socket's)",
        row.cpu_ms_per_run / library,
        row.cpu_ms_per_run / socket
    );
    Some(Aim { what, met: row.cpu_ms_per_run <= most })
}

/// What all rows together are to reach: ready so soon, and so small.
pub fn of_server(ready_ms: f64, idle_rss_mib: f64) -> [Aim; 2] {
    [
        Aim { what: "ready in under 100 ms".to_owned(), met: ready_ms < 100.0 },
        Aim { what: "under 64 MiB resident idle".to_owned(), met: idle_rss_mib < 64.0 },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::original::figures;

    fn row(flow: &'static str, store: &'static str, concurrency: usize) -> Row {
        Row {
            flow,
            store,
            size: 64,
            concurrency,
            runs_per_s: 5000.0,
            p50_ms: 0.5,
            p99_ms: 1.0,
            cpu_ms_per_run: 0.3,
            rss_mib: 40.0,
            ready_ms: 20.0,
            idle_rss_mib: 30.0,
            redis_round_trip_ms: (store == "redis").then_some(0.02),
            redis_commits_per_run: None,
            bare_socket_cpu_ms: (flow == "F8").then_some(0.2),
            bare_library_cpu_ms: (flow == "F8").then_some(0.25),
            original: figures(flow, store, 64),
        }
    }

    fn said(row: &Row) -> Option<String> {
        of(row).map(|aim| aim.to_string())
    }

    #[test]
    fn aims_are_those_of_their_rows() {
        assert_eq!(said(&row("F2", "memory", 16)).as_deref(), Some("✗ 50× the runs/s"));
        assert_eq!(said(&row("F2", "redis", 16)).as_deref(), Some("✓ 20× the runs/s"));
        assert_eq!(said(&row("F2", "redis", 1)).as_deref(), Some("✗ p50 ≤ 0.440 ms, 2 × 11 round trips"));
        let said_of_calls = said(&row("F8", "memory", 1));
        assert_eq!(
            said_of_calls.as_deref(),
            Some("✓ cpu ≤ 0.325 ms, 1.3 × a bare HTTP client's (it is 1.2 ×; 1.5 × a blocking socket's)")
        );
        for none in [row("F1", "memory", 16), row("F2", "sqlite", 16), row("F3", "redis", 1), row("F7", "redis", 1)] {
            assert_eq!(said(&none), None);
        }
    }
}
