//! `/system/…` and `/healthz`: what `faas-cli` asks a gateway for.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use faas_flow_core::moment;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::logs::Wanted;
use crate::{Gateway, NAMESPACE};

/// How long a caller may follow the log: as long as the providers of OpenFaaS let it.
const FOLLOWED: Duration = Duration::from_secs(30);

impl Gateway {
    /// `/healthz`, and the parts of `/system/` that only read. Everything else there is answered with 501, since functions
    /// are not deployed to this gateway.
    pub fn system_router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/healthz", get(|| async { "OK" }))
            .route("/system/functions", get(list).fallback(read_only))
            .route("/system/function/{name}", get(describe).fallback(read_only))
            .route("/system/namespaces", get(|| async { json(&json!([NAMESPACE])) }))
            .route("/system/info", get(info))
            .route("/system/logs", get(logs))
            .route("/system/{*rest}", any(read_only))
            .with_state(self.clone())
    }

    /// What OpenFaaS says about a function.
    fn described(&self, name: &str, replicas: usize) -> Value {
        let started = self.config.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        json!({
            "name": name, "image": "", "namespace": NAMESPACE,
            "invocationCount": self.tally.invocations_of(name),
            "replicas": replicas, "availableReplicas": replicas, "labels": {}, "annotations": {},
            "createdAt": moment(u64::try_from(started.as_millis()).unwrap_or_default()),
        })
    }
}

/// The query of requests about functions.
#[derive(Deserialize)]
struct Within {
    #[serde(default)]
    namespace: String,
}

impl Within {
    /// Whether it is about the one namespace that there is.
    fn is_ours(&self) -> bool {
        matches!(self.namespace.as_str(), "" | NAMESPACE)
    }
}

async fn list(State(gateway): State<Arc<Gateway>>, Query(within): Query<Within>) -> Response {
    let functions = if within.is_ours() { gateway.functions() } else { Vec::new() };
    json(&Value::from_iter(functions.iter().map(|(name, replicas)| gateway.described(name, *replicas))))
}

async fn describe(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
    Query(within): Query<Within>,
) -> Response {
    let functions = if within.is_ours() { gateway.functions() } else { Vec::new() };
    match functions.iter().find(|(known, _)| *known == name) {
        Some((name, replicas)) => json(&gateway.described(name, *replicas)),
        None => missing(&name),
    }
}

async fn info() -> Response {
    let version = json!({ "release": env!("CARGO_PKG_VERSION"), "sha": "" });
    let provider = json!({ "provider": "faas-flow", "orchestration": "local", "version": version });
    json(&json!({ "provider": provider, "version": version, "arch": std::env::consts::ARCH }))
}

/// The query of requests for logs.
#[derive(Deserialize)]
struct LogQuery {
    name: String,
    #[serde(default)]
    instance: String,
    #[serde(default)]
    since: String,
    #[serde(default)]
    tail: i64,
    #[serde(default)]
    follow: String,
    #[serde(flatten)]
    within: Within,
}

async fn logs(State(gateway): State<Arc<Gateway>>, Query(query): Query<LogQuery>) -> Response {
    let known = gateway.functions().iter().any(|(name, _)| *name == query.name);
    if !known || !query.within.is_ours() {
        return missing(&query.name);
    }
    let Some(logs) = &gateway.config.logs else {
        let why = "this gateway has no logs: look where the function's process writes its output";
        return (StatusCode::NOT_IMPLEMENTED, why).into_response();
    };
    let since = match query.since.as_str() {
        "" => None,
        text => match moment_of(text) {
            Some(since) => Some(since),
            None => return (StatusCode::BAD_REQUEST, "`since` is a time, as in 2026-01-31T12:00:00Z").into_response(),
        },
    };
    let wanted = Wanted { function: query.name, instance: query.instance, since };
    let last = usize::try_from(query.tail).ok().filter(|tail| *tail > 0);
    let follow = matches!(query.follow.as_str(), "true" | "1").then_some(FOLLOWED);
    let lines = logs.read(wanted, last, follow);
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

/// Reads a time as RFC 3339 has it, whatever its offset.
fn moment_of(text: &str) -> Option<SystemTime> {
    let (time, sign, offset) = match text.get(19..)?.find(['+', '-']) {
        None => return humantime::parse_rfc3339(text).ok(),
        Some(at) => {
            let (time, offset) = text.split_at_checked(19 + at)?;
            (time, offset.chars().next()?, offset.get(1..)?)
        }
    };
    let (hours, minutes) = offset.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<u64>().ok()).flatten();
    let ahead = Duration::from_secs(number(hours)? * 3600 + number(minutes)? * 60);
    let there = humantime::parse_rfc3339(&format!("{time}Z")).ok()?;
    if sign == '+' { there.checked_sub(ahead) } else { there.checked_add(ahead) }
}

fn missing(name: &str) -> Response {
    (StatusCode::NOT_FOUND, format!("error finding function {name}: not found")).into_response()
}

async fn read_only() -> Response {
    let why = "functions are not deployed to this gateway: it serves those that it was started with";
    (StatusCode::NOT_IMPLEMENTED, why).into_response()
}

fn json(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_its_offset() {
        let utc = moment_of("2026-01-31T12:00:00Z").unwrap();
        for same in ["2026-01-31T13:30:00+01:30", "2026-01-31T07:00:00-05:00", "2026-01-31T12:00:00.000Z"] {
            assert_eq!(moment_of(same), Some(utc), "{same}");
        }
        for bad in
            ["", "yesterday", "2026-01-31", "2026-01-31T12:00:00", "2026-01-31T12:00:00+1:0", "2026-01-31T12:00:00+ä"]
        {
            assert_eq!(moment_of(bad), None, "{bad}");
        }
    }
}
