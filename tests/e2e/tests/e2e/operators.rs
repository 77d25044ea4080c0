//! `faas-flow requests` over HTTP: with the admin token alone, from a machine that has no access to the stores.

use faas_flow_e2e::command::{Done, faas_flow, script};
use faas_flow_e2e::gateway::Gateway;
use faas_flow_e2e::server::{Serve, Server};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const TOKEN: &str = "a token of more than sixteen";

/// The operator's own machine.
struct Operator {
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Operator {
    fn with(environment: &[(&'static str, &str)]) -> Self {
        let environment = environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { folder: TempDir::new().unwrap(), environment }
    }

    /// `faas-flow requests …`
    async fn requests(&self, arguments: &[&str]) -> Done {
        let mut command = faas_flow(self.folder.path());
        command.arg("requests").args(arguments).envs(self.environment.iter().cloned());
        tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
    }

    /// The request ids that `list` lists.
    async fn listed(&self, arguments: &[&str]) -> Vec<String> {
        let list = self.requests(&[&["list", "--json"], arguments].concat()).await.json();
        list.as_array().unwrap().iter().map(|run| run["request_id"].as_str().unwrap().to_owned()).collect()
    }
}

/// A folder with the token among its secrets.
fn secrets() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("secrets")).unwrap();
    fs::write(folder.path().join("secrets/faasflow-admin-token"), TOKEN).unwrap();
    folder
}

/// Starts a server whose runs nobody else can read, since they are in memory.
fn start(serve: Serve) -> Server {
    let folder = secrets();
    let mut server = serve.with("--state", "memory").with("--secrets", "secrets").start_in(folder.path());
    server.own(folder);
    server
}

async fn run_as(server: &Server, flow: &str, id: &str, body: &str) {
    let request = server.request(flow, body.to_owned()).header("X-Faas-Flow-Reqid", id);
    server.send(request.header("X-Faas-Flow-Wait", "60s")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_a_server_are_listed_shown_and_changed_with_its_token_alone() {
    let folder = TempDir::new().unwrap();
    let gate = folder.path().join("open");
    let wait = format!("while [ ! -e {} -a -e \"$0\" ]; do sleep 0.02; done; cat", gate.display());
    let func1 = script(folder.path(), "gated.sh", &wait);
    let flows = Serve::flows(&["greet", "async-chain"]).function("func1", &func1);
    let server = start(flows.function("func2", "echo").function("fake-storage", "echo"));
    run_as(&server, "/function/greet", "hello", "Ada").await;
    let begin = async |id: &str| {
        server.send(server.request("/function/async-chain", "hi").header("X-Faas-Flow-Reqid", id)).await;
    };
    begin("chain").await;
    begin("other").await;

    let url = server.url("");
    let flow = server.url("/function/async-chain");
    let operator = Operator::with(&[("FAAS_FLOW_ADMIN_TOKEN", TOKEN), ("OPENFAAS_URL", &url)]);
    // A server, a flow's URL, and a flow's name.
    assert_eq!(operator.listed(&["--to", &url]).await, ["other", "chain", "hello"]);
    assert_eq!(operator.listed(&["--to", &url, "--flow", "greet"]).await, ["hello"]);
    for to in [flow.as_str(), "async-chain"] {
        assert_eq!(operator.listed(&["--to", to, "--limit", "1"]).await, ["other"]);
        assert_eq!(operator.listed(&["--to", to, "--status", "succeeded"]).await, [""; 0]);
        assert_eq!(operator.requests(&["show", "chain", "--to", to, "--json"]).await.json()["status"], "running");
    }
    let text = operator.requests(&["list", "--to", &url]).await.ok();
    assert!(text.starts_with("REQUEST ID") && text.contains("hello") && text.contains("succeeded"), "{text}");
    let text = operator.requests(&["show", "hello", "--to", &url]).await.ok();
    assert!(text.contains("flow        greet") && text.contains("done"), "{text}");

    let changed = async |what: &[&str]| operator.requests(what).await.ok();
    assert!(changed(&["pause", "chain", "--to", &url]).await.contains("paused request chain"));
    assert_eq!(operator.listed(&["--to", &url, "--status", "paused"]).await, ["chain"]);
    assert!(changed(&["resume", "chain", "--to", "async-chain"]).await.contains("resumed request chain"));
    // Without --to, the gateway at $OPENFAAS_URL is asked.
    assert!(changed(&["stop", "other"]).await.contains("stopped request other"));
    fs::write(&gate, "").unwrap();
    server.result_of("async-chain", "chain").await.ok();
    assert!(changed(&["rerun", "chain", "--node", "n2", "--to", &flow]).await.contains("request chain"));
    server.result_of("async-chain", "chain").await.ok();

    operator.requests(&["show", "nothing", "--to", &url]).await.failed("FF0212", &["nothing", &url]);
    operator.requests(&["show", "hello", "--to", &flow]).await.failed("FF0212", &["hello"]);
    operator.requests(&["list", "--to", &url, "--limit", "1001"]).await.failed("FF0217", &["limit"]);
    let stranger = Operator::with(&[]);
    for what in [&["list"][..], &["show", "chain"], &["stop", "chain"]] {
        for to in [&url, &flow] {
            stranger.requests(&[what, &["--to", to]].concat()).await.failed("FF0506", &[]);
        }
    }
    for path in ["/flow", "/flow/chain", "/flow/nothing"] {
        server.get(&format!("/function/async-chain{path}")).await.failed(401, "FF0506");
    }
    server.get("/_/flows").await.failed(401, "FF0506");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_flow_is_asked_itself_or_through_its_gateway() {
    let function = start(Serve::replica("greet"));
    run_as(&function, "/", "hello", "Ada").await;
    let gateway = Gateway::of("greet", &function.url("")).await;
    let url = gateway.url.clone();
    let operator = Operator::with(&[("FAAS_FLOW_ADMIN_TOKEN", TOKEN)]);
    for to in [&["--to", &function.url("")][..], &["--to", &url, "--flow", "greet"]] {
        assert_eq!(operator.listed(to).await, ["hello"]);
        let shown = operator.requests(&[&["show", "hello", "--json"], to].concat()).await.json();
        assert_eq!(shown["status"], "succeeded");
        operator.requests(&[&["pause", "hello"], to].concat()).await.failed("FF0222", &["hello"]);
    }
    operator.requests(&["list", "--to", &url]).await.failed("FF0214", &["--flow NAME", &url]);
}

/// A run of more than a thousand items, of which those that are called `x` fail.
async fn wide(folder: &Path) -> (Server, Vec<String>) {
    const ITEMS: usize = 1203;
    let step = script(folder, "step.sh", "read item; [ \"$item\" != x ] || { echo no luck >&2; exit 1; }; echo $item");
    let server = Serve::flows(&["fixture"]).function("step", &step).start();
    let items: String = (0..ITEMS).map(|at| if at == ITEMS - 1 { 'x' } else { 'a' }).collect();
    run_as(&server, "/function/fixture?case=items", "wide", &items).await;
    let paths = (0..ITEMS).map(|at| format!("F[{at}]/n")).collect();
    (server, paths)
}

fn paths(run: &Value) -> Vec<&str> {
    run["nodes"].as_array().unwrap().iter().map(|node| node["path"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_shown_in_their_order_page_by_page_and_those_that_failed_alone() {
    let folder = TempDir::new().unwrap();
    let (server, items) = wide(folder.path()).await;
    let operator = Operator::with(&[]);
    let stored = server.shown("wide");
    let mut expected = vec!["F", "after"];
    expected.extend(items.iter().map(String::as_str));
    assert_eq!(paths(&stored), expected);
    let asked = operator.requests(&["show", "wide", "--json", "--to", &server.url("")]).await.json();
    assert_eq!(asked, stored, "over HTTP it is the same as from the store");

    let last = items.last().unwrap();
    for to in [&["--to", &server.url("")][..], &["--state", &format!("sqlite:{}", store(&server))]] {
        let failed = operator.requests(&[&["show", "wide", "--failed", "--json"], to].concat()).await.json();
        assert_eq!(paths(&failed), [last.as_str()]);
        let text = operator.requests(&[&["show", "wide", "--failed"], to].concat()).await.ok();
        assert!(text.contains(last) && text.contains("no luck") && !text.contains("F[1]/n"), "{text}");
    }

    let shown = async |query: &str| server.get(&format!("/dashboard/runs/wide{query}")).await.ok();
    let first = shown("").await;
    assert!(first.contains("data-node=\"F\"") && !first.contains("data-node=\"F[1]/n\""), "one row: {first}");
    let branches = shown("?branches=F").await;
    assert!(branches.contains(&format!("data-node=\"{last}\"")), "the one that failed comes first: {branches}");
    assert!(
        branches.contains("branches 1 to 100 of 1203") && !branches.contains("data-node=\"F[100]/n\""),
        "{branches}"
    );
    assert!(branches.contains("offset=100&amp;limit=100&amp;branches=F"), "{branches}");
    let rest = shown("?branches=F&offset=1200&limit=100").await;
    assert!(rest.contains("data-node=\"F[1201]/n\"") && rest.contains("previous"), "{rest}");
    let failed = shown("?failed=true").await;
    assert!(failed.contains(&format!("data-node=\"{last}\"")) && !failed.contains("data-node=\"F[1]/n\""), "{failed}");
    server.get("/dashboard/runs/wide?limit=0").await.failed(400, "FF0217");
}

/// Where a local server keeps its runs.
fn store(server: &Server) -> String {
    server.folder().join(".faas-flow/state.db").display().to_string()
}
