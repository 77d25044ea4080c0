//! Labels of runs.

use faas_flow_e2e::command::run;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_test_support::servers;
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

async fn begin(server: &Server, path: &str, id: &str, labels: &[&str]) {
    let request = server.request(path, "Ada").header("X-Faas-Flow-Reqid", id);
    let request = labels.iter().fold(request, |request, labels| request.header("X-Faas-Flow-Label", *labels));
    server.send(request).await.ok();
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|run| run["request_id"].as_str().unwrap()).collect()
}

fn listed(folder: &Path, more: &[&str]) -> Value {
    run(folder, [&["requests", "list", "--json"], more].concat()).json()
}

/// LABEL-1, LABEL-2.
#[tokio::test]
async fn runs_are_found_by_their_labels() {
    let folder = TempDir::new().unwrap();
    let server = Serve::flows(&["greet"]).start_in(folder.path());
    let path = "/function/greet";
    begin(&server, path, "first", &["order=42, customer=Ada Lovelace"]).await;
    begin(&server, path, "second", &["order=42", "part=2"]).await;
    begin(&server, path, "third", &["order=43"]).await;
    begin(&server, path, "none", &[]).await;
    let to = server.url(path);
    for more in [&[][..], &["--to", &to]] {
        let list = |labels: &[&str]| {
            let labels = labels.iter().flat_map(|label| ["--label", *label]);
            listed(folder.path(), &labels.chain(more.iter().copied()).collect::<Vec<_>>())
        };
        assert_eq!(ids(&list(&["order=42"])), ["second", "first"]);
        assert_eq!(ids(&list(&["order=42", "customer=Ada Lovelace"])), ["first"]);
        assert_eq!(ids(&list(&["order=42", "part=1"])).len(), 0);
        assert_eq!(list(&["order=43"])[0]["labels"], json!({ "order": "43" }));
    }
    let text = run(folder.path(), ["requests", "list"]).ok();
    assert!(text.contains("  customer=Ada Lovelace, order=42\n"), "{text}");
    let text = run(folder.path(), ["requests", "show", "second"]).ok();
    assert!(text.contains("\nlabels      order=42, part=2\n"), "{text}");
    let page = server.get("/dashboard/flows/greet?label=order%3D42&state=succeeded").await.ok();
    assert!(page.contains("first") && page.contains("second") && !page.contains("third"), "{page}");
    assert!(page.contains("?status=failed&amp;label=order%3D42"), "{page}");
    let page = server.get("/dashboard/flows/greet?label=order%3D42&label=part%3D2&label=").await.ok();
    assert!(page.contains("second") && !page.contains("first"), "{page}");
    assert!(page.contains("value=\"order=42\"") && page.contains("value=\"part=2\""), "both fields stay: {page}");
    assert!(server.get("/dashboard/runs/second").await.ok().contains("labels order=42, part=2"));
    let asked = server.client.get(server.url(&format!("{path}/flow/first/state"))).header("Accept", "application/json");
    let state: Value = serde_json::from_str(&server.send(asked).await.ok()).unwrap();
    assert_eq!(state["labels"], json!({ "customer": "Ada Lovelace", "order": "42" }));
}

/// LABEL-2, with a real Redis and two replicas.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_find_each_others_runs_by_label() {
    let redis = servers::redis(&[]);
    let state = format!("redis://127.0.0.1:{}", redis.port());
    let folder = TempDir::new().unwrap();
    let [first, second] = ["one", "two"]
        .map(|_| Serve::replica("greet").with("--state", &state).with("--dispatch", "local").start_in(folder.path()));
    for number in 0..40 {
        let server = if number % 2 == 0 { &first } else { &second };
        let label = format!("order={}", number % 4);
        begin(server, "/", &format!("r{number}"), &[&label]).await;
    }
    for server in [&first, &second] {
        let list: Value = serde_json::from_str(&server.get("/flow?label=order%3D3").await.ok()).unwrap();
        let mut expected: Vec<String> = (0..40).filter(|number| number % 4 == 3).map(|n| format!("r{n}")).collect();
        let mut found: Vec<String> = ids(&list["runs"]).into_iter().map(str::to_owned).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }
}

/// LABEL-3: the run that is called has none.
#[tokio::test]
async fn a_called_run_does_not_inherit_labels() {
    let folder = TempDir::new().unwrap();
    let server = ["func1", "func2"]
        .iter()
        .fold(Serve::flows(&["fixture", "sync-chain"]), |serve, name| serve.function(name, "echo"));
    let server = server.start_in(folder.path());
    let request = server.request("/function/fixture?case=calls&target=sync-chain", "hi");
    let request = request.header("X-Faas-Flow-Label", "order=42").header("X-Faas-Flow-Wait", "60s");
    server.send(request).await.ok();
    assert_eq!(listed(folder.path(), &[]).as_array().unwrap().len(), 2);
    assert_eq!(listed(folder.path(), &["--label", "order=42"]).as_array().unwrap().len(), 1);
}

/// LABEL-4.
#[tokio::test]
async fn a_malformed_label_is_refused_and_no_run_begins() {
    let server = Serve::flows(&["greet"]).start();
    let many = (0..17).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
    let long = format!("k={}", "v".repeat(129));
    for labels in ["order", "=42", "-k=v", &many, &long] {
        let request = server.request("/function/greet", "Ada").header("X-Faas-Flow-Label", labels);
        server.send(request).await.failed(400, "FF0243");
    }
    let binary = reqwest::header::HeaderValue::from_bytes(b"k=\xff").unwrap();
    let request = server.request("/function/greet", "Ada").header("X-Faas-Flow-Label", binary);
    assert!(server.send(request).await.failed(400, "FF0243").contains("a label is not UTF-8 text"));
    server.get("/function/greet/flow?label=order").await.failed(400, "FF0243");
    assert_eq!(listed(server.folder(), &[]), json!([]));
}

/// LABEL-5: labels that the flow's code gives.
#[tokio::test]
async fn nodes_label_their_run() {
    let folder = TempDir::new().unwrap();
    let server = Serve::flows(&["fixture"]).function("step", "echo").start_in(folder.path());
    let request =
        server.request("/function/fixture?case=labels", "42").header("X-Faas-Flow-Label", "from=caller,by=caller");
    assert_eq!(server.send(request.header("X-Faas-Flow-Wait", "60s")).await.ok(), "42 true");
    let list = listed(folder.path(), &["--label", "order=42", "--label", "by=first"]);
    assert_eq!(list[0]["labels"], json!({ "by": "first", "from": "caller", "order": "42" }), "{list}");
    assert_eq!(listed(folder.path(), &["--label", "order=41"]), json!([]));
}

/// LABEL-2.
#[tokio::test]
async fn a_runs_log_lines_have_its_labels() {
    let server = Serve::replica("fixture").with("--state", "memory").with("--healthcheck-interval", "0").start();
    begin(&server, "/?case=logs", "labelled", &["order=42, customer=Ada"]).await;
    begin(&server, "/?case=logs", "plain", &[]).await;
    server.until_logged("run=\"plain\"").await;
    let log = server.log();
    let lines = |run: &str| log.lines().filter(|line| line.contains(&format!("run=\"{run}\""))).collect::<Vec<_>>();
    for target in [" flow: ", " request: "] {
        let labelled =
            lines("labelled").into_iter().find(|line| line.contains(target)).unwrap_or_else(|| panic!("{log}"));
        assert!(labelled.contains("labels=customer=Ada, order=42"), "{labelled}");
    }
    assert!(lines("plain").iter().all(|line| !line.contains("labels=")), "{log}");
}
