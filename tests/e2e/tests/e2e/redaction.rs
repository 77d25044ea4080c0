//! Secrets in the URLs of a flow and of the configuration are shown nowhere.

use axum::Router;
use axum::body::Bytes;
use faas_flow_e2e::command::{faas_flow, run};
use faas_flow_e2e::server::Serve;
use faas_flow_e2e::versions::push;
use faas_flow_e2e::wait::until;
use faas_flow_test_support::{double, modules};
use std::process::Command;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// Every secret contains this, and nothing else does.
const MARK: &str = "dont-tell";
/// How the URL of the flow is shown.
const SHOWN: &str = "http://***@127.0.0.1:1/pay?key=***";

/// What a command writes to stdout and stderr. It must not contain the mark.
#[track_caller]
fn said(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(!said.contains(MARK), "{command:?}: {said}");
    said
}

#[test]
fn no_command_shows_the_secrets_of_a_flow() {
    let folder = TempDir::new().unwrap();
    let one = modules::version(folder.path(), 1, "hide");
    let two = modules::version(folder.path(), 2, "hide");
    let okay = modules::version(folder.path(), 3, "okay");
    let command = |arguments: &[&str]| {
        let mut command = faas_flow(folder.path());
        command.args(arguments);
        said(command)
    };
    let [one, two, okay] = [&one, &two, &okay].map(|path| path.to_str().unwrap());
    for format in ["svg", "mermaid", "dot", "json", "definition"] {
        let drawn = command(&["graph", one, "--format", format]);
        assert!(drawn.contains("@127.0.0.1:1/pay?key="), "{format}: {drawn}");
    }
    for arguments in [["check", one].as_slice(), &["check", one, "--json"]] {
        command(arguments);
    }
    for (new, old) in [(two, one), (one, okay), (okay, one)] {
        for more in [[].as_slice(), &["--json"], &["--format", "svg"]] {
            command(&[&["plan", new, "--from", old], more].concat());
        }
    }
    let plan = command(&["plan", two, "--from", one]);
    assert!(plan.contains(&format!("target: {SHOWN} (what is hidden differs)")), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_log_metric_or_trace_shows_the_secrets_of_a_flow() {
    let folder = TempDir::new().unwrap();
    let spans: Arc<Mutex<Vec<u8>>> = Arc::default();
    let collected = spans.clone();
    let collect = async move |body: Bytes| collected.lock().unwrap().extend(body);
    let collector = double::serve(Router::new().fallback(collect)).await;
    let one = modules::version(folder.path(), 1, "hide");
    let serve = Serve::file("versions", &one).with("--callback-host", "127.0.0.1:1");
    let serve = serve.flag("--enable-tracing").with("--trace-server", &collector);
    let mut command = serve.command_in(folder.path());
    command.env("RUST_LOG", "trace");
    let mut server = faas_flow_e2e::server::Server::start(command);
    let begin = server.request("/function/versions", "hi").header("X-Faas-Flow-Reqid", "r");
    let callback = format!("http://127.0.0.1:1/{MARK}-path/done?token={MARK}-callback");
    server.send(begin.header("X-Faas-Flow-Callback-Url", &callback).header("X-Faas-Flow-Wait", "30s")).await;
    let odd = format!("http:ann:{MARK}@127.0.0.1:1/{MARK}");
    let refused = server.request("/function/versions", "hi").header("X-Faas-Flow-Callback-Url", odd);
    let refused = server.send(refused).await.failed(400, "FF0507");
    until("the callback fails", async || server.log().contains("callback failed")).await;
    let pushed = push(&server, &modules::version(folder.path(), 2, "hide")).await;
    let mut shown = vec![format!("{pushed:?}"), refused];
    for path in [
        "/function/versions?export-dag=true",
        "/function/versions/modules",
        "/function/versions/flow/r/state",
        "/function/versions/flow/r/result",
        "/dashboard/",
        "/dashboard/flows/versions",
        "/dashboard/runs/r",
        "/_/metrics",
        "/_/openapi.json",
        "/",
    ] {
        for accept in ["application/json", "text/html"] {
            let answer = server.client.get(server.url(path)).header("Accept", accept).send().await.unwrap();
            shown.push(format!("{path}: {:?} {}", answer.headers().clone(), answer.text().await.unwrap()));
        }
    }
    assert!(shown[2].contains(SHOWN), "{}", shown[2]);
    let run = run(folder.path(), ["requests", "show", "r", "--json"]).ok();
    assert!(run.contains("\"http://127.0.0.1:1/…\""), "{run}");
    shown.push(run);
    server.terminate();
    server.end().await;
    shown.push(server.log());
    let spans = String::from_utf8_lossy(&spans.lock().unwrap()).into_owned();
    assert!(spans.contains("http://***@127.0.0.1:1/pay"), "{spans}");
    shown.push(spans);
    for text in shown {
        let at = text.find(MARK).map(|at| &text[at.saturating_sub(300)..(at + 100).min(text.len())]);
        assert_eq!(at, None);
    }
}

#[test]
fn a_password_in_the_configuration_is_not_repeated() {
    let folder = TempDir::new().unwrap();
    let values = [
        format!("http://ann:{MARK}@host:80"),
        format!("http://ann:{MARK}/@host?a={MARK}"),
        format!("http://ann:{MARK} @host"),
        format!("http:ann:{MARK}@host"),
        format!("ann:{MARK}@host"),
        format!("http://host:port/?token={MARK}"),
        format!("redis://:{MARK}@host:1/?password={MARK}"),
        format!("consul:host?token={MARK}"),
        format!("step=http://ann:{MARK}@host/?a={MARK},other=http:ann:{MARK}@host"),
    ];
    let keys =
        ["gateway", "consul_url", "s3_url", "trace_server", "upstream_url", "state_store", "data_store", "functions"];
    for value in &values {
        for key in keys {
            let option = if key == "functions" { "function".to_owned() } else { key.replace('_', "-") };
            let mut option_given = faas_flow(folder.path());
            option_given.args(["config", &format!("--{option}"), value]);
            said(option_given);
            let mut variable_set = faas_flow(folder.path());
            variable_set.args(["config", "--json"]).env(key, value);
            said(variable_set);
        }
    }
    // A value that is malformed ends the program before it serves anything.
    for option in ["--gateway", "--upstream-url", "--function", "--state"] {
        let mut function = faas_flow(folder.path());
        function.args(["function", "flow.wasm", option, &format!("nonsense:ann:{MARK}@host?password={MARK}")]);
        said(function);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_asks_a_server_does_not_repeat_its_password() {
    let folder = TempDir::new().unwrap();
    let server = double::serve(Router::new().fallback(async || "hello")).await;
    let server = server.replace("http://", &format!("http://ann:{MARK}@"));
    let flow = format!("{server}/function/greet?token={MARK}");
    let module = modules::module("greet");
    let module = module.to_str().unwrap();
    let list = ["modules", "list", "--to", &flow];
    let push = ["push", module, "--to", &flow];
    let plan = ["plan", module, "--to", &flow];
    let stop = ["requests", "stop", "r", "--to", &server];
    for arguments in [list.as_slice(), &push, &plan, &stop] {
        let mut command = faas_flow(folder.path());
        command.args(arguments).env("OPENFAAS_URL", &server);
        tokio::task::spawn_blocking(move || said(command)).await.unwrap();
    }
}

#[test]
fn help_does_not_show_the_addresses_in_the_environment() {
    let folder = TempDir::new().unwrap();
    for arguments in [["push"].as_slice(), &["plan"], &["modules", "list"], &["requests", "stop"]] {
        let mut command = faas_flow(folder.path());
        let address = format!("http://ann:{MARK}@host");
        command.args(arguments).arg("--help").env("FAAS_FLOW_TO", &address);
        assert!(said(command).contains("Usage"));
    }
}
