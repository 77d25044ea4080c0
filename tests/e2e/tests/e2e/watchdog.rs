//! Behind of-watchdog, in its `http` mode.
//!
//! This uses a double of of-watchdog, which Debian does not package. It does what version 0.11 was observed to do: it
//! starts the function and forwards requests without their `Content-Length`. On SIGTERM it passes the signal on at
//! once, serves requests for another `healthcheck_interval`, and exits once those in flight are answered.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use faas_flow_e2e::command::{faas_flow, script};
use faas_flow_e2e::server::Server;
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double;
use faas_flow_test_support::modules::module;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const INTERVAL: Duration = Duration::from_secs(2);

/// The double, and the function behind it.
struct Watchdog {
    child: Server,
    address: String,
}

struct Upstream {
    url: String,
    client: reqwest::Client,
}

async fn proxy(State(upstream): State<Arc<Upstream>>, request: Request) -> Response {
    let url = format!("{}{}", upstream.url, request.uri());
    let sent = upstream.client.request(request.method().clone(), url);
    let mut headers = request.headers().clone();
    headers.remove("host");
    headers.remove("content-length");
    let sent = sent.headers(headers).body(reqwest::Body::wrap_stream(request.into_body().into_data_stream()));
    match sent.send().await {
        Ok(answer) => {
            (answer.status(), answer.headers().clone(), Body::from_stream(answer.bytes_stream())).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Watchdog {
    async fn start(folder: &Path, step: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let secrets = folder.join("secrets");
        fs::create_dir(&secrets).unwrap();
        fs::write(secrets.join("faasflow-hmac-secret"), "the secret of this function").unwrap();
        let mut command = faas_flow(folder);
        command.arg("function").arg(format!("sync-chain={}", module("sync-chain").display()));
        command.args(["--state", "memory", "--dispatch", "local", "--function", "func2=echo"]);
        command.arg("--function").arg(format!("func1={}", step.display()));
        // Settings that a deployment with of-watchdog makes for both.
        command.envs([("mode", "http"), ("fprocess", "faas-flow function"), ("upstream_url", &url)]);
        command
            .env("secret_mount_path", secrets)
            .env("healthcheck_interval", format!("{}s", INTERVAL.as_secs()))
            .env("TMPDIR", folder);
        let child = Server::start(command);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let upstream = Arc::new(Upstream { url, client });
        let router = Router::new().fallback(proxy).with_state(upstream);
        let address = double::serve(router).await;
        Self { child, address }
    }

    async fn ask(&self, body: impl Into<reqwest::Body>) -> (u16, String) {
        let answer = self.child.client.post(&self.address).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_of_watchdog_requests_are_answered_and_lock_file_and_metrics_are_left_to_it() {
    let folder = TempDir::new().unwrap();
    let watchdog = Watchdog::start(folder.path(), Path::new("echo")).await;
    assert_eq!(watchdog.ask("hi").await, (200, "you said \"hi\"".to_owned()));
    let large = "x".repeat(1 << 20);
    assert_eq!(watchdog.ask(large.clone()).await, (200, format!("you said \"{large}\"")));
    assert!(!folder.path().join(".lock").exists());
    assert!(!watchdog.child.log().contains("metrics"), "{}", watchdog.child.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_of_watchdog_no_request_fails_while_it_stops() {
    let folder = TempDir::new().unwrap();
    let gate = folder.path().join("gate");
    let step =
        format!("touch begun; until [ -e {0} ]; do [ -e begun ] || exit 1; sleep 0.02; done; cat", gate.display());
    let step = script(folder.path(), "slow.sh", &format!("cd {}; {step}", folder.path().display()));
    let mut watchdog = Watchdog::start(folder.path(), &step).await;
    let client = watchdog.child.client.clone();
    let address = watchdog.address.clone();
    let in_flight = tokio::spawn(async move { client.post(address).body("hi").send().await.unwrap().text().await });
    until("the step begins", async || folder.path().join("begun").exists()).await;
    let begun = Instant::now();
    watchdog.child.terminate();
    fs::write(&gate, "").unwrap();
    assert_eq!(in_flight.await.unwrap().unwrap(), "you said \"hi\"");
    // of-watchdog takes requests until then, and the function must answer each of them.
    while begun.elapsed() < INTERVAL {
        assert_eq!(watchdog.ask("hi").await, (200, "you said \"hi\"".to_owned()), "{:?}", begun.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(watchdog.child.end().await, Some(0));
}
