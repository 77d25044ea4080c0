//! Requests, counted and timed under of-watchdog's names, so that what watches other functions watches these.

use axum::http::Method;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The upper bounds of the histogram, in seconds: those that Prometheus' clients have.
const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Answered requests, by status and method.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<BTreeMap<(u16, &'static str), Times>>);

#[derive(Debug, Default)]
struct Times {
    /// How many took no longer than each bound.
    within: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

impl Requests {
    pub fn answered(&self, status: u16, method: &Method, took: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = all.entry((status, label(method))).or_default();
        let took = took.as_secs_f64();
        times.count += 1;
        times.seconds += took;
        for (within, bound) in times.within.iter_mut().zip(BOUNDS) {
            *within += u64::from(took <= bound);
        }
    }

    /// In Prometheus' text format, with how many are under way.
    pub fn prometheus(&self, in_flight: usize) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        family(&mut text, "http_requests_total", "counter", "answered requests");
        for ((status, method), times) in all.iter() {
            let _ = writeln!(text, "http_requests_total{{code=\"{status}\",method=\"{method}\"}} {}", times.count);
        }
        let name = "http_request_duration_seconds";
        family(&mut text, name, "histogram", "how long requests took to be answered");
        for ((status, method), times) in all.iter() {
            let labels = format!("code=\"{status}\",method=\"{method}\"");
            for (bound, within) in BOUNDS.iter().zip(times.within) {
                let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {within}");
            }
            let Times { count, seconds, .. } = times;
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
            let _ = writeln!(text, "{name}_sum{{{labels}}} {seconds}\n{name}_count{{{labels}}} {count}");
        }
        family(&mut text, "http_requests_in_flight", "gauge", "requests that are being answered");
        let _ = writeln!(text, "http_requests_in_flight {in_flight}");
        text
    }
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// As Go's client writes methods; those that nobody knows are one, or callers could invent ever new ones.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::HEAD => "head",
        Method::OPTIONS => "options",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_in_every_bucket_that_it_fits_into() {
        let requests = Requests::default();
        requests.answered(200, &Method::POST, Duration::from_millis(30));
        requests.answered(200, &Method::POST, Duration::from_secs(20));
        requests.answered(404, &Method::from_bytes(b"BREW").unwrap(), Duration::ZERO);
        let text = requests.prometheus(3);
        for line in [
            "http_requests_total{code=\"200\",method=\"post\"} 2",
            "http_requests_total{code=\"404\",method=\"unknown\"} 1",
            "http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"0.025\"} 0",
            "http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"0.05\"} 1",
            "http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"1\"} 1",
            "http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"+Inf\"} 2",
            "http_request_duration_seconds_sum{code=\"200\",method=\"post\"} 20.03",
            "http_request_duration_seconds_count{code=\"200\",method=\"post\"} 2",
            "http_requests_in_flight 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
