//! Which form of the metrics a caller prefers.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use faas_flow_replica::Exposition;

/// The form that the header `Accept` prefers: OpenMetrics if it is named and nothing is liked better, or else Prometheus' own.
pub(super) fn exposition_for(headers: &HeaderMap) -> Exposition {
    let (mut open_metrics, mut text) = (0.0, 0.0);
    let kinds = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for kind in kinds.flat_map(|value| value.split(',')) {
        let mut parts = kind.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut liking, mut is_known) = (1.0, true);
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key.trim().to_ascii_lowercase().as_str() {
                "q" => liking = value.trim().parse::<f64>().unwrap_or_default(),
                "version" => is_known = matches!(value.trim(), "0.0.1" | "0.0.4" | "1.0.0"),
                _ => {}
            }
        }
        match name.as_str() {
            "application/openmetrics-text" if is_known => open_metrics = liking.max(open_metrics),
            "text/plain" if is_known => text = liking.max(text),
            _ => {}
        }
    }
    if open_metrics > 0.0 && open_metrics >= text { Exposition::OpenMetrics } else { Exposition::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_those_who_prefer_it() {
        let of = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            exposition_for(&headers)
        };
        assert_eq!(exposition_for(&HeaderMap::new()), Exposition::Text);
        for accept in [
            // Prometheus 2, with exemplars, and Prometheus 3.
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            "Application/OpenMetrics-Text; Version=1.0.0",
        ] {
            assert_eq!(of(accept), Exposition::OpenMetrics, "{accept}");
        }
        for accept in [
            "*/*",
            "",
            "text/html, */*;q=0.8",
            "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0",
        ] {
            assert_eq!(of(accept), Exposition::Text, "{accept}");
        }
    }
}
