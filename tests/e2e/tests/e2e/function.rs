//! A deployed function does for itself what of-watchdog does for other functions: health, timeouts, limits, metrics.

use faas_flow_e2e::command::{faas_flow, script};
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::modules::module;
use reqwest::{Method, Response};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use tempfile::TempDir;

/// A flow of one node, which answers once the gate is open.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let gate = "touch begun; until [ -e gate ]; do [ -e begun ] || exit 1; sleep 0.02; done; cat";
        script(folder.path(), "slow.sh", &format!("cd '{}'; {gate}", folder.path().display()));
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn function(&self) -> Serve {
        let serve = Serve::replica("sync-chain").with("--state", "memory").with("--dispatch", "local");
        let slow = self.path().join("slow.sh");
        serve.function("func1", &slow).function("func2", "echo")
    }

    fn open_gate(&self) {
        fs::write(self.path().join("gate"), "").unwrap();
    }

    async fn begun(&self) {
        until("the node begins", async || self.path().join("begun").exists()).await;
    }
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).unwrap_or_else(|| panic!("{name} is missing in {response:?}")).to_str().unwrap()
}

async fn get(server: &Server, path: &str) -> Response {
    server.client.get(server.url(path)).send().await.unwrap()
}

#[tokio::test]
async fn a_flow_yml_beside_the_module_says_what_the_environment_does_not() {
    let folder = TempDir::new().unwrap();
    let flow = folder.path().join("flow.wasm");
    fs::copy(module("sync-chain"), &flow).unwrap();
    let settings = "environment:\n  max_inflight: 7\n  state_store: memory\n  exec_timeout: 1s\n";
    fs::write(folder.path().join("flow.yml"), settings).unwrap();
    let config = |arguments: &[&str]| {
        let mut command = faas_flow(folder.path());
        command.args(["config", "--json"]).args(arguments).env("exec_timeout", "2s").env("flow", &flow);
        let rows: Vec<Value> = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        move |key: &str| {
            let row = rows.iter().find(|row| row["key"] == key).unwrap();
            format!("{} from {}", row["value"].as_str().unwrap(), row["from"].as_str().unwrap())
        }
    };
    let shown = config(&["--max-inflight", "8"]);
    assert_eq!(shown("max_inflight"), "8 from option --max-inflight");
    assert_eq!(shown("exec_timeout"), "2s from environment exec_timeout");
    assert_eq!(shown("state_store"), format!("memory from file {}", folder.path().join("flow.yml").display()));

    let serve = || {
        let mut command = faas_flow(folder.path());
        command.args(["function", "--listen", "127.0.0.1:0", "--metrics-port", "0", "--suppress-lock"]);
        command.args(["--function", "func1=echo", "--function", "func2=echo"]).env("OPENFAAS_NAME", "sync-chain");
        command
    };
    let server = Server::start(serve());
    assert_eq!(server.post("/", "hi").await.ok(), "you said \"hi\"");
    fs::write(folder.path().join("flow.yml"), "environment:\n  max_inflght: 7\n").unwrap();
    let refused = serve().output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("FF0410") && said.contains("max_inflight"), "{said}");
}

#[tokio::test]
async fn every_answer_says_how_long_it_took() {
    let world = World::new();
    world.open_gate();
    let server = world.function().start_in(world.path());
    let answers = [
        server.request("/", "hi").send().await.unwrap(),
        get(&server, "/_/health").await,
        get(&server, "/nowhere").await,
        get(&server, "/flow/unknown/state").await,
    ];
    assert_eq!(answers.each_ref().map(|answer| answer.status().as_u16()), [200, 200, 404, 404]);
    for answer in &answers {
        let seconds: f64 = header(answer, "x-duration-seconds").parse().unwrap();
        assert!((0.0..60.0).contains(&seconds), "{answer:?}");
    }
}

#[tokio::test]
async fn a_request_over_its_time_is_answered_with_504_and_its_run_goes_on() {
    let world = World::new();
    let server = world.function().with("--exec-timeout", "500ms").start_in(world.path());
    let answer = server.post("/", "hi").await;
    let id = answer.id.clone().expect("the run's id");
    let said = answer.failed(504, "FF0223");
    assert!(said.contains(&format!("/flow/{id}/result")) && said.contains("500 ms"), "{said}");
    assert_eq!(server.get(&format!("/flow/{id}/state")).await.ok(), "RUNNING");
    let chosen = server.send(server.request("/", "hi").header("X-Faas-Flow-Reqid", "chosen")).await;
    assert_eq!(chosen.id.as_deref(), Some("chosen"));
    chosen.failed(504, "FF0223");
    assert_eq!(server.get("/flow/chosen/state").await.ok(), "RUNNING");
    world.open_gate();
    for id in [&id, "chosen"] {
        assert_eq!(server.result_of("sync-chain", id).await.ok(), "you said \"hi\"");
    }
}

#[tokio::test]
async fn a_run_that_was_answered_with_504_can_be_stopped() {
    let world = World::new();
    let server = world.function().with("--exec-timeout", "500ms").start_in(world.path());
    let answer = server.post("/", "hi").await;
    let id = answer.id.clone().expect("the run's id");
    answer.failed(504, "FF0223");
    server.post(&format!("/flow/{id}/stop"), "").await.ok();
    let state = server.client.get(server.url(&format!("/flow/{id}/state"))).header("Accept", "application/json");
    let state: Value = serde_json::from_str(&server.send(state).await.ok()).unwrap();
    assert_eq!(state["state"], "stopped");
}

#[tokio::test]
async fn a_repeated_request_with_an_id_is_answered_as_the_first() {
    let world = World::new();
    let server = world.function().start_in(world.path());
    let ask = || server.send(server.request("/", "hi").header("X-Faas-Flow-Reqid", "mine"));
    let (first, second, ()) = tokio::join!(ask(), ask(), async {
        world.begun().await;
        world.open_gate();
    });
    let third = ask().await;
    for answer in [first, second, third] {
        assert_eq!(answer.id.as_deref(), Some("mine"));
        assert_eq!(answer.ok(), "you said \"hi\"");
    }
}

#[tokio::test]
async fn who_waits_for_a_result_is_answered_with_202_before_the_time_is_over() {
    let world = World::new();
    let server = world.function().with("--exec-timeout", "1s").start_in(world.path());
    let answer = server.send(server.request("/", "hi").header("X-Faas-Flow-Wait", "30s")).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let path = format!("/flow/{}/result", answer.id.unwrap());
    assert_eq!(server.send(server.client.get(server.url(&path)).header("X-Faas-Flow-Wait", "30s")).await.status, 202);
    world.open_gate();
    let result = server.send(server.client.get(server.url(&path)).header("X-Faas-Flow-Wait", "30s")).await;
    assert_eq!(result.ok(), "you said \"hi\"");
}

#[tokio::test]
async fn a_request_that_begins_no_run_in_time_is_answered_with_504_and_no_id() {
    let world = World::new();
    let server = world.function().with("--exec-timeout", "200ms").start_in(world.path());
    // A body that never ends.
    let mut stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let head = "Content-Length: 100\r\nConnection: close";
    let head = format!("POST / HTTP/1.1\r\nHost: {}\r\n{head}\r\n\r\nx", server.address);
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
    let mut said = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut said).await.unwrap();
    let said = said.to_lowercase();
    assert!(said.starts_with("http/1.1 504 ") && said.contains("x-faas-flow-error: ff0223"), "{said}");
    assert!(!said.contains("x-faas-flow-reqid"), "{said}");
}

#[tokio::test]
async fn a_caller_may_ask_for_an_answer_sooner_but_not_later() {
    let world = World::new();
    let server = world.function().with("--exec-timeout", "1s").start_in(world.path());
    for (timeout, within) in [("300ms", "300 ms"), ("20s", "1 s"), ("soon", "1 s"), ("0s", "1 s")] {
        let answer = server.send(server.request("/", "hi").header("X-Timeout", timeout)).await;
        let said = answer.failed(504, "FF0223");
        assert!(said.contains(&format!("within {within}:")), "{timeout}: {said}");
    }
    let unlimited = world.function().with("--exec-timeout", "0").start_in(world.path());
    let answer = unlimited.send(unlimited.request("/", "hi").header("X-Timeout", "300ms")).await;
    answer.failed(504, "FF0223");
    world.open_gate();
    assert_eq!(unlimited.post("/", "hi").await.ok(), "you said \"hi\"");
}

#[tokio::test]
async fn requests_beyond_max_inflight_are_turned_away_and_the_host_still_answers_for_itself() {
    let world = World::new();
    let server = world.function().with("--max-inflight", "1").start_in(world.path());
    assert_eq!(server.get("/_/ready").await.ok(), "OK");
    let first = tokio::spawn(server.request("/", "hi").send());
    world.begun().await;
    let refused = server.request("/", "hi").send().await.unwrap();
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, "1"));
    assert!(
        header(&refused, "x-faas-flow-error") == "FF0224" && refused.text().await.unwrap().contains("max_inflight")
    );
    server.get("/_/ready").await.failed(429, "FF0224");
    assert_eq!(server.get("/_/health").await.ok(), "OK");
    world.open_gate();
    assert_eq!(first.await.unwrap().unwrap().text().await.unwrap(), "you said \"hi\"");
    assert_eq!(server.get("/_/ready").await.ok(), "OK");
    assert_eq!(server.post("/", "hi").await.ok(), "you said \"hi\"");
}

#[tokio::test]
async fn a_caller_that_goes_away_is_in_flight_no_longer() {
    let world = World::new();
    let server = world.function().with("--max-inflight", "1").start_in(world.path());
    let gone = tokio::spawn(server.request("/", "hi").send());
    world.begun().await;
    server.get("/_/ready").await.failed(429, "FF0224");
    gone.abort();
    until("there is room again", async || server.get("/_/ready").await.status == 200).await;
}

#[tokio::test]
async fn health_and_readiness_are_for_get_and_head_and_fail_while_the_function_stops() {
    let world = World::new();
    let server = world.function().with("--healthcheck-interval", "10s").start_in(world.path());
    for path in ["/_/health", "/_/ready"] {
        for (method, status) in [(Method::GET, 200), (Method::HEAD, 200), (Method::POST, 405), (Method::DELETE, 405)] {
            let answer = server.client.request(method.clone(), server.url(path)).send().await.unwrap();
            assert_eq!(answer.status(), status, "{method} {path}");
        }
    }
    server.terminate();
    until("the health check fails", async || server.get("/_/health").await.status == 503).await;
    assert_eq!(server.get("/_/ready").await.status, 503);
}

#[tokio::test]
async fn metrics_have_of_watchdogs_names_and_leave_out_what_the_host_is_asked() {
    let world = World::new();
    // Nobody listens on this port at the moment.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = world.function().with("--metrics-port", &port.to_string()).start_in(world.path());
    let url = format!("http://127.0.0.1:{port}/metrics");
    let metrics = async || server.client.get(&url).send().await.unwrap();
    let waiting = tokio::spawn(server.request("/", "hi").send());
    world.begun().await;
    assert!(metrics().await.text().await.unwrap().contains("\nhttp_requests_in_flight 1\n"));
    world.open_gate();
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
    server.get("/_/health").await.ok();
    server.get("/flow/unknown/state").await.failed(404, "FF0212");
    let answer = metrics().await;
    assert_eq!(header(&answer, "content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.unwrap();
    for line in [
        "http_requests_total{code=\"200\",method=\"post\"} 1",
        "http_requests_total{code=\"404\",method=\"get\"} 1",
        "http_request_duration_seconds_count{code=\"200\",method=\"post\"} 1",
        "http_request_duration_seconds_bucket{code=\"404\",method=\"get\",le=\"+Inf\"} 1",
        "http_requests_in_flight 0",
        "faas_flow_requests_total{status=\"4xx\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("http_requests_total{code=\"200\",method=\"get\"}"), "{text}");
}

#[test]
fn a_metrics_port_that_is_taken_is_said_in_a_line() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut function = faas_flow(folder.path());
    function.arg("function").arg(module("greet")).args(["--listen", "127.0.0.1:0", "--state", "memory"]);
    let output = function.args(["--flow-name", "greet", "--metrics-port", &port]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let line = said.lines().find(|line| line.starts_with("error FF0401: ")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains(&port) && line.contains("set metrics_port"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn the_lock_file_is_there_while_the_function_is_healthy() {
    let world = World::new();
    let lock = world.path().join(".lock");
    let mut server = world.function().with("--healthcheck-interval", "10s").start_in(world.path());
    assert!(lock.exists());
    server.terminate();
    until("the lock file goes", async || !lock.exists()).await;
    assert_eq!(server.get("/_/health").await.status, 503);
    assert_eq!(server.end().await, Some(0));

    let server = world.function().flag("--suppress-lock").start_in(world.path());
    assert_eq!(server.get("/_/health").await.ok(), "OK");
    assert!(!lock.exists());
}

#[tokio::test]
async fn a_lock_file_that_cannot_be_written_is_a_warning() {
    let world = World::new();
    // Not even root can write to a folder as if it were a file.
    fs::create_dir(world.path().join(".lock")).unwrap();
    let server = world.function().start_in(world.path());
    assert_eq!(server.get("/_/health").await.ok(), "OK");
    let log = server.log();
    let warnings: Vec<&str> = log.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("lock file"), "{log}");
}

/// As `faas-cli local-run` does with `readonly_root_filesystem`: nothing is mounted at `/tmp`.
#[tokio::test]
async fn where_nothing_can_be_written_a_function_serves_all_the_same_and_says_what_it_lacks() {
    let folder = TempDir::new().unwrap();
    let mut command = faas_flow(folder.path());
    command.arg("function").arg(format!("sync-chain={}", module("sync-chain").display()));
    command.args(["--listen", "127.0.0.1:0", "--state", "memory", "--metrics-port", "0", "--dispatch", "local"]);
    command.args(["--function", "func1=echo", "--function", "func2=echo"]);
    // Not even root can create a folder there.
    command.envs(["HOME", "XDG_CACHE_HOME", "TMPDIR"].map(|name| (name, "/proc/none")));
    let server = Server::start(command);
    assert_eq!(server.post("/", "hi").await.ok(), "you said \"hi\"");
    let log = server.log();
    assert!(log.contains("not caching compiled code") && log.contains("cannot write the lock file"), "{log}");
}

#[tokio::test]
async fn a_request_is_a_line_of_the_log_without_what_is_the_callers_own() {
    let world = World::new();
    world.open_gate();
    let function = |level: Option<&str>| {
        let mut command = faas_flow(world.path());
        command.arg("function").arg(format!("sync-chain={}", module("sync-chain").display()));
        command.args(["--listen", "127.0.0.1:0", "--state", "memory", "--metrics-port", "0", "--suppress-lock"]);
        command.args(["--function", "func1=echo", "--function", "func2=echo"]);
        command.envs(level.map(|level| ("RUST_LOG", level)));
        Server::start(command)
    };
    let ask = async |server: &Server| {
        let request = server.request("/?query=s3cret", "s3cret").header("X-Faas-Flow-Reqid", "mine");
        assert_eq!(server.send(request.header("X-Own", "s3cret").header("X-Call-Id", "call-7")).await.status, 200);
        server.get("/_/health").await.ok();
    };
    let server = function(None);
    ask(&server).await;
    until("the request is logged", async || server.log().contains("answered")).await;
    let log = server.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("answered")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    for part in ["mine", "call-7", "POST", "path=\"/\"", "status=200", "seconds="] {
        assert!(lines[0].contains(part), "{part}: {log}");
    }
    assert!(!log.contains("s3cret"), "{log}");
    let silent = function(Some("warn"));
    ask(&silent).await;
    assert!(!silent.log().contains("answered"));
}
