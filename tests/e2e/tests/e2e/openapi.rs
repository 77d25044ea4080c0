//! The OpenAPI document is complete and correct: schemathesis finds no behaviour of real servers that contradicts it.

use faas_flow_e2e::program::root;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_test_support::modules;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// The run id in the document's examples.
const RUN: &str = "d7ca4bhj0q8g00f3k1v0m2s9";

/// How many examples schemathesis generates for each operation: as many as it tries in about a minute.
const EXAMPLES: u32 = 48;

/// Flows may use any further query parameters, so none of them is wrong. A request to `/` that asks for something in
/// its query ignores the headers that begin runs.
const SETTINGS: &str = r#"
[generation]
allow-extra-parameters = false

[[operations]]
include-path = "/"
checks.negative_data_rejection.enabled = false
"#;

/// The version that `cargo xtask setup` pins and installs.
fn schemathesis() -> PathBuf {
    let setup = std::fs::read_to_string(root().join("xtask/src/tool.rs")).unwrap();
    let version = setup.split("\"schemathesis\", \"").nth(1).and_then(|rest| rest.split('"').next());
    let folder = format!("tools/schemathesis-{}", version.expect("a pinned version"));
    let program = modules::cache().join(folder).join("bin/schemathesis");
    assert!(program.is_file(), "{} is missing: run `cargo xtask setup --ci`", program.display());
    program
}

const CHAIN: &str = "async-chain";
const TOKEN: &str = "the token of these tests";

/// Starts a server, which may require a token.
fn serve(serve: Serve, token: Option<&str>) -> Server {
    let folder = TempDir::new().unwrap();
    let serve = ["func1", "func2", "fake-storage"].into_iter().fold(serve, |serve, name| serve.function(name, "echo"));
    let serve = match token {
        Some(token) => {
            std::fs::create_dir(folder.path().join("secrets")).unwrap();
            std::fs::write(folder.path().join("secrets/faasflow-admin-token"), token).unwrap();
            serve.with("--secrets", folder.path().join("secrets").to_str().unwrap())
        }
        None => serve,
    };
    // A run may start long after its request. Who waits for it gets 202 before schemathesis gives up.
    let mut server = serve.with("--max-wait", "3s").start_in(folder.path());
    server.own(folder);
    server
}

/// Checks what the document says of some paths: those that match an expression, or all others.
async fn finds_nothing(server: &Server, base: &str, paths: [&str; 2], examples: u32, token: Option<&str>) {
    std::fs::write(server.folder().join("schemathesis.toml"), SETTINGS).unwrap();
    let mut run = Command::new(schemathesis());
    run.arg("run").arg(server.url("/_/openapi.json")).arg("--url").arg(server.url(base)).args(paths);
    run.args(["--max-examples", &examples.to_string(), "--seed", "1", "--no-color"]);
    // A well-formed callback may still be refused, since its host is not allowed.
    run.args(["--exclude-checks", "positive_data_acceptance"]);
    run.args(["--generation-database", "none"]).current_dir(server.folder());
    if let Some(token) = token {
        run.arg("--header").arg(format!("Authorization: Bearer {token}"));
    }
    let run = tokio::task::spawn_blocking(move || run.output());
    let run = tokio::time::timeout(Duration::from_secs(300), run).await.unwrap().unwrap().unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
}

/// Checks the routes under a flow's path, and the host's own routes.
async fn holds(server: &Server, flow: &str, token: Option<&str>) {
    let begun = server.request(flow, "hi").header("X-Faas-Flow-Reqid", RUN).header("X-Faas-Flow-Wait", "60s");
    server.send(begun).await.ok();
    finds_nothing(server, flow.trim_end_matches('/'), ["--exclude-path-regex", "^/_/"], EXAMPLES, token).await;
    finds_nothing(server, "", ["--include-path-regex", "^/_/"], EXAMPLES / 4, token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_holds_for_a_local_server() {
    holds(&serve(Serve::flows(&[CHAIN]), None), "/function/async-chain", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_holds_for_a_local_server_that_wants_a_token() {
    let server = serve(Serve::flows(&[CHAIN]), Some(TOKEN));
    holds(&server, "/function/async-chain", Some(TOKEN)).await;
    finds_nothing(&server, "/function/async-chain", ["--exclude-path-regex", "^/_/"], EXAMPLES / 4, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_holds_for_a_function() {
    let function = Serve::replica(CHAIN).with("--state", "memory");
    holds(&serve(function, None), "/", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_holds_for_a_function_that_wants_a_token() {
    let server = serve(Serve::replica(CHAIN).with("--state", "memory"), Some(TOKEN));
    holds(&server, "/", Some(TOKEN)).await;
    finds_nothing(&server, "", ["--exclude-path-regex", "^/_/"], EXAMPLES / 4, None).await;
}
