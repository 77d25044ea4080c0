//! A deployed function that starts while its store or its gateway is away, or that cannot start at all.

use faas_flow_e2e::command::faas_flow;
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::modules::module;
use faas_flow_test_support::s3;
use faas_flow_test_support::{double, servers};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::timeout;

const FLOW: &str = "sync-chain";

fn function(state: &str) -> Serve {
    Serve::replica(FLOW).with("--state", state).function("func1", "echo").function("func2", "echo")
}

async fn health(server: &Server) -> Answer {
    server.get("/_/health").await
}

fn lines<'a>(log: &'a str, beginning: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.starts_with(beginning)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_503_while_its_store_is_away_and_serves_once_that_is_back() {
    let folder = TempDir::new().unwrap();
    let mut redis = servers::redis(&["--requirepass", "hidden"]);
    redis.kill();
    let metrics = servers::free_port();
    let state = format!("redis://:hidden@127.0.0.1:{}", redis.port());
    let mut command = function(&state).with("--healthcheck-interval", "0").command_in(folder.path());
    command.env("metrics_port", metrics.to_string());
    let mut server = Server::start_until("waiting for ", command);

    let place = format!("redis://127.0.0.1:{}", redis.port());
    for path in ["/_/health", "/_/ready", "/", "/flow/some/state", "/_/metrics"] {
        let answer = server.client.get(server.url(path)).send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!((answer.status().as_u16(), header("retry-after").as_deref()), (503, Some("1")), "{path}");
        assert_eq!(header("x-faas-flow-error").as_deref(), Some("FF0306"), "{path}");
        let said = answer.text().await.unwrap();
        assert!(said.lines().count() == 1 && said.contains("waiting for the ") && said.contains(&place), "{said}");
        assert!(!said.contains("hidden"), "{said}");
    }
    server.post("/", "hi").await.failed(503, "FF0306");
    let measured = async || {
        let answer = server.client.get(format!("http://127.0.0.1:{metrics}/metrics")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, said) = measured().await;
    assert!(status == 503 && said.starts_with("FF0225: "), "{said}");
    assert!(!folder.path().join(".lock").exists(), "it is not healthy yet");
    // It tries again and again, and logs that only once.
    let refuses = TcpListener::bind(("127.0.0.1", redis.port())).await.unwrap();
    for _ in 0..3 {
        drop(refuses.accept().await.unwrap());
    }
    drop(refuses);

    redis.run();
    until("it serves", async || health(&server).await.status == 200).await;
    assert_eq!(server.post("/", "hi").await.ok(), "you said \"hi\"");
    assert_eq!(measured().await.0, 200);
    assert!(folder.path().join(".lock").exists());
    let log = server.log();
    assert_eq!((lines(&log, "waiting for ").len(), lines(&log, "waited ").len()), (1, 1), "{log}");
    assert!(!log.contains("hidden"), "{log}");

    // A store that goes away later does not make the function unhealthy: a restart would not help.
    redis.kill();
    server.get("/flow/unknown/state").await.failed(503, "FF0306");
    assert_eq!(health(&server).await.ok(), "OK");
    redis.run();
    server.terminate();
    assert_eq!(server.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_s3_too() {
    let folder = TempDir::new().unwrap();
    let mut s3 = s3::Server::start().await;
    let data = s3.url("bucket", "&attempts=1");
    s3.stop().await;
    let command = function("memory").with("--data-store", &data).command_in(folder.path());
    let server = Server::start_until("waiting for the data store: error FF0306", command);
    let said = health(&server).await.failed(503, "FF0306");
    assert!(said.contains("s3://bucket at http://127.0.0.1"), "{said}");
    s3.resume().await;
    until("it serves", async || health(&server).await.status == 200).await;
    assert_eq!(server.post("/", "hi").await.ok(), "you said \"hi\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_while_it_waits() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("s3-access-key"), "somebody").unwrap();
    fs::write(folder.path().join("s3-secret-key"), "well-hidden").unwrap();
    // A host name that does not exist.
    let command = function("memory").with("--s3-url", "s3.invalid:9000").with("--secrets", ".");
    let mut server = Server::start_until("waiting for the data store", command.command_in(folder.path()));
    let said = health(&server).await.failed(503, "FF0306");
    assert!(said.contains("s3.invalid:9000") && !said.contains("well-hidden"), "{said}");
    server.terminate();
    assert_eq!(server.end().await, Some(0));
    assert!(!server.log().contains("error FF0499"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_without_its_gateway_and_calls_fail_with_their_code_until_it_is_back() {
    let gateway = format!("127.0.0.1:{}", servers::free_port());
    let folder = TempDir::new().unwrap();
    let function = Serve::replica(FLOW).with("--state", "memory").with("--gateway", &gateway);
    let server = function.with("--dispatch", "local").start_in(folder.path());
    assert_eq!(health(&server).await.ok(), "OK");
    let said = server.post("/", "hi").await.failed(502, "FF0208");
    assert!(said.contains(&gateway) && said.contains("the key `gateway`"), "{said}");
    let back = TcpListener::bind(&gateway).await.unwrap();
    let echo = axum::Router::new().fallback(async |body: String| body);
    double::serve_on(back, echo);
    server.post("/", "hi").await.ok();
}

/// Runs a function that cannot start. Returns its exit code and the first line of its error.
async fn ends(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    ends_in(faas_flow(folder), folder, arguments).await
}

async fn ends_in(mut command: Command, folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    command.env("metrics_port", "0").env("TMPDIR", folder).arg("function").arg(module(FLOW)).args(arguments);
    command.args(["--listen", "127.0.0.1:0"]);
    let output = tokio::process::Command::from(command).kill_on_drop(true).output();
    // It may have to compile its flow on a busy machine first.
    let output = timeout(Duration::from_secs(240), output).await.expect("it ends").unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let line = said.lines().find(|line| line.starts_with("error ")).unwrap_or_else(|| panic!("{said}"));
    (output.status.code(), line.to_owned())
}

#[tokio::test]
async fn what_no_waiting_mends_ends_it_even_while_another_store_is_away() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("secrets")).unwrap();
    let away = format!("redis://127.0.0.1:{}", servers::free_port());
    let name = ["--flow-name", FLOW];
    for (arguments, code, says) in [
        (vec!["--state", &away, "--data-store", "nowhere:x"], "FF0308", "nowhere:x"),
        (vec!["--state", "redis://", "--data-store", &away], "FF0308", "redis://"),
        (vec!["--state", &away, "--data-store", "s3://bucket?endpoint=nowhere"], "FF0308", "endpoint must be"),
        (vec!["--state", &away, "--s3-url", "s3.invalid", "--secrets", "secrets"], "FF0311", "s3-access-key"),
        (vec!["--state", &away, "--secrets", "none"], "FF0505", "none"),
        (vec!["--state", &away, "--guest-memory", "64KiB"], "FF00", ""),
    ] {
        let (status, line) = ends(folder.path(), &[arguments.as_slice(), &name].concat()).await;
        assert_eq!(status, Some(1), "{arguments:?}: {line}");
        assert!(line.starts_with(&format!("error {code}")) && line.contains(says), "{arguments:?}: {line}");
    }
    let (status, line) = ends(folder.path(), &["--state", &away, "--flow-name", "../x"]).await;
    assert!(status == Some(1) && line.starts_with("error FF0406") && line.contains("../x"), "{line}");
}

#[tokio::test]
async fn a_function_whose_tokens_nobody_would_check_does_not_start() {
    let folder = TempDir::new().unwrap();
    let mut command = faas_flow(folder.path());
    command.env("jwt_auth", "true");
    let (code, said) = ends_in(command, folder.path(), &["--state", "memory", "--flow-name", FLOW]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("jwt_auth") && said.contains("upstream_url"), "{said}");
}

#[tokio::test]
async fn a_function_whose_redis_may_evict_keys_does_not_start() {
    let folder = TempDir::new().unwrap();
    let evicts = servers::redis(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]);
    // As the chart and the compose files start it.
    let keeps = servers::redis(&["--maxmemory", "64mb", "--maxmemory-policy", "noeviction"]);
    let (evicts, keeps) = (evicts.url("redis"), keeps.url("redis"));
    for (state, data) in [(&evicts, &keeps), (&keeps, &evicts)] {
        let arguments = ["--state", state, "--data-store", data, "--flow-name", FLOW];
        let (code, said) = ends(folder.path(), &arguments).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.starts_with("error FF0312") && said.contains("noeviction"), "{said}");
    }
    assert_eq!(function(&keeps).start().post("/", "hi").await.status, 200);
}
