//! Requests, counted and timed under of-watchdog's names, so that dashboards for other functions show these, too.

use axum::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// The upper bounds of the histogram's buckets, in seconds: the defaults of Prometheus' clients.
const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Answered requests, by status and method.
#[derive(Debug)]
pub(super) struct Requests {
    registry: Registry,
    answered: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    code: u16,
    method: &'static str,
}

impl Default for Requests {
    fn default() -> Self {
        let mut requests = Self {
            registry: Registry::default(),
            answered: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BOUNDS)),
            in_flight: Gauge::default(),
        };
        let registry = &mut requests.registry;
        registry.register("http_requests", "answered requests", requests.answered.clone());
        registry.register(
            "http_request_duration_seconds",
            "how long requests took to be answered",
            requests.seconds.clone(),
        );
        registry.register("http_requests_in_flight", "requests that are being answered", requests.in_flight.clone());
        requests
    }
}

impl Requests {
    pub fn answered(&self, status: u16, method: &Method, took: Duration) {
        let labels = Labels { code: status, method: label(method) };
        self.answered.get_or_create(&labels).inc();
        self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// The metrics, with the number of requests that are being answered now.
    pub fn registry(&self, in_flight: usize) -> &Registry {
        self.in_flight.set(i64::try_from(in_flight).unwrap_or(i64::MAX));
        &self.registry
    }
}

/// The method as Go's client writes it. Unknown methods share one label, or callers could create any number of them.
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
    use faas_flow_replica::Exposition;
    use std::collections::BTreeSet;

    #[test]
    fn a_request_is_in_every_bucket_that_it_fits_into() {
        let requests = Requests::default();
        requests.answered(200, &Method::POST, Duration::from_millis(30));
        requests.answered(200, &Method::POST, Duration::from_secs(20));
        requests.answered(404, &Method::from_bytes(b"BREW").unwrap(), Duration::ZERO);
        let text = Exposition::Text.write([requests.registry(3)]);
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

    #[test]
    fn the_documentation_has_every_metric_and_no_other() {
        let requests = Requests::default();
        requests.answered(200, &Method::POST, Duration::ZERO);
        let text = Exposition::Text.write([requests.registry(0)]);
        let is: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let page = std::fs::read_to_string(page).unwrap();
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `http_")?.split_once("` | "));
        let said = rows.map(|(name, rest)| format!("http_{name} {}", rest.split(' ').next().unwrap()));
        assert_eq!(is, said.collect::<Vec<_>>().iter().map(String::as_str).collect());
    }
}
