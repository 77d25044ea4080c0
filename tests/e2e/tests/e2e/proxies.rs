//! What goes through a proxy that the environment names, and what does not.

use axum::Router;
use axum::extract::State;
use axum::http::Request;
use faas_flow_e2e::command::{Done, faas_flow};
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_test_support::double;
use std::process::Command;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

type Seen = Arc<Mutex<Vec<String>>>;

/// A proxy that answers itself, and records what it is asked for.
async fn proxy() -> (String, Seen) {
    let seen = Seen::default();
    let record = async |State(seen): State<Seen>, request: Request<axum::body::Body>| {
        seen.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
        "by proxy"
    };
    (double::serve(Router::new().fallback(record).with_state(seen.clone())).await, seen)
}

fn through(proxy: &str, mut command: Command) -> Command {
    for variable in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(variable, proxy);
    }
    command.env_remove("no_proxy").env_remove("NO_PROXY");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn only_requests_to_the_outside_go_through_a_proxy() {
    let (proxy, seen) = proxy().await;
    let inside = double::serve(Router::new().fallback(async || "direct")).await;
    let folder = TempDir::new().unwrap();
    let function = Serve::replica("fixture").with("--state", "memory").with("--dispatch", "local");
    let function = function.with("--gateway", &inside).with("--request-host", "*").with("--request-host", "127.0.0.1");
    let server = Server::start(through(&proxy, function.command_in(folder.path())));
    assert_eq!(server.post("/?case=path&path=x", "in").await.ok(), "direct");
    assert!(server.post(&format!("/?case=request-options&url={inside}/x"), "in").await.ok().contains("direct"));
    let mut list = through(&proxy, faas_flow(folder.path()));
    list.args(["modules", "list", "--to", &server.url("")]);
    let listed = tokio::task::spawn_blocking(move || Done::from(list.output().unwrap())).await.unwrap();
    assert!(listed.ok().contains("active"));
    assert!(seen.lock().unwrap().is_empty(), "{seen:?}");

    let outside = server.post("/?case=request-options&url=http://api.example/x", "in").await;
    assert!(outside.ok().contains("by proxy"));
    let seen = seen.lock().unwrap().clone();
    assert!(seen.len() == 1 && seen[0].contains("http://api.example/x"), "{seen:?}");
}

#[test]
fn config_shows_the_proxy_without_its_password() {
    let folder = TempDir::new().unwrap();
    let mut command = through("http://ann:secret@proxy.example:3128", faas_flow(folder.path()));
    let config = Done::from(command.arg("config").output().unwrap()).ok();
    let row = config.lines().find(|line| line.starts_with("request_proxy ")).unwrap().to_owned();
    assert!(row.contains("environment (HTTP_PROXY=http://***@proxy.example:3128"), "{row}");
    let mut command = through("http://proxy.example", faas_flow(folder.path()));
    let config = Done::from(command.args(["config", "--request-proxy", "none"]).output().unwrap()).ok();
    assert!(config.lines().any(|line| line.starts_with("request_proxy ") && line.contains("none")), "{config}");
}
