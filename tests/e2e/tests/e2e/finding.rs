//! Finding runs, over HTTP, with the CLI and on the dashboard, and changing all that were found.

use faas_flow_e2e::command::{Done, faas_flow};
use faas_flow_e2e::server::{Serve, Server};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

/// A server with runs `greet-0` to `greet-4`, which have succeeded, and `bad-0` to `bad-2`, which have failed.
async fn server() -> Server {
    let server = Serve::flows(&["greet", "fixture"]).with("--state", "memory").start();
    let begin = async |path: &str, id: &str, body: &str| {
        let request = server.request(path, body.to_owned()).header("X-Faas-Flow-Reqid", id);
        server.send(request.header("X-Faas-Flow-Label", "batch=7").header("X-Faas-Flow-Wait", "60s")).await;
    };
    for n in 0..5 {
        begin("/function/greet", &format!("greet-{n}"), "Ada").await;
    }
    for n in 0..3 {
        begin("/function/fixture?case=reject", &format!("bad-{n}"), "in").await;
    }
    server
}

async fn found(server: &Server, query: &str) -> Value {
    let answer = server.get(&format!("/function/fixture/flow{query}")).await.ok();
    serde_json::from_str(&answer).unwrap()
}

fn ids(found: &Value) -> Vec<&str> {
    found["runs"].as_array().unwrap().iter().map(|run| run["request_id"].as_str().unwrap()).collect()
}

async fn requests(folder: &Path, server: &Server, arguments: &[&str]) -> Done {
    let mut command = faas_flow(folder);
    command.arg("requests").args(arguments).args(["--to", &server.url("")]);
    tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_found_by_what_is_known_of_them() {
    let server = server().await;
    let all = found(&server, "?counts").await;
    assert_eq!(ids(&all), ["bad-2", "bad-1", "bad-0"]);
    assert_eq!((&all["counts"]["failed"], &all["counts"]["complete"]), (&3.into(), &true.into()));
    assert_eq!(all.get("next"), None);
    let (code, message) = (all["runs"][0]["failure"]["code"].as_str().unwrap(), &all["runs"][0]["failure"]["message"]);
    let word = message.as_str().unwrap().split(' ').next().unwrap().to_uppercase();
    let digest = &all["runs"][0]["digest"].as_str().unwrap()[..8];
    for (query, count) in [
        (format!("?code={code}"), 3),
        (format!("?text={word}"), 3),
        (format!("?digest={digest}"), 3),
        ("?id=bad-1".to_owned(), 1),
        ("?label=batch%3D7&status=failed".to_owned(), 3),
        ("?status=succeeded".to_owned(), 0),
        ("?since=1h".to_owned(), 3),
        ("?until=1h".to_owned(), 0),
        ("?since=2026-01-01&until=2026-01-02".to_owned(), 0),
        ("?text=nothing%20of%20the%20kind".to_owned(), 0),
    ] {
        assert_eq!(ids(&found(&server, &query).await).len(), count, "{query}");
    }
    let page = found(&server, "?limit=2").await;
    assert_eq!(ids(&page), ["bad-2", "bad-1"]);
    let next = format!("?limit=2&after={}", page["next"].as_str().unwrap());
    assert_eq!(ids(&found(&server, &next).await), ["bad-0"]);
    for (bad, name) in [("?code=FF9999", "code"), ("?since=yesterday", "since"), ("?after=x", "after")] {
        let refused = server.get(&format!("/function/fixture/flow{bad}")).await.failed(400, "FF0217");
        assert!(refused.contains(name), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cli_finds_runs_of_all_flows_page_by_page() {
    let server = server().await;
    let folder = TempDir::new().unwrap();
    let list = async |arguments: &[&str]| {
        let done = requests(folder.path(), &server, &[&["list", "--json"], arguments].concat()).await;
        let (next, list) = (done.stderr.clone(), done.json());
        let ids = list.as_array().unwrap().iter().map(|run| run["request_id"].as_str().unwrap().to_owned());
        (ids.collect::<Vec<_>>(), next)
    };
    let mut after: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    loop {
        let more: Vec<&str> = after.iter().map(String::as_str).collect();
        let (ids, hint) = list(&[&["--limit", "3"], &more[..]].concat()).await;
        seen.extend(ids);
        let Some(place) = hint.trim().strip_prefix("There are more runs. To see the next ones, add --after ") else {
            break;
        };
        after = vec!["--after".to_owned(), place.to_owned()];
    }
    assert_eq!(seen, ["bad-2", "bad-1", "bad-0", "greet-4", "greet-3", "greet-2", "greet-1", "greet-0"]);
    assert_eq!(list(&["--id", "greet-3"]).await.0, ["greet-3"]);
    assert_eq!(list(&["--status", "failed", "--since", "1h", "--label", "batch=7"]).await.0.len(), 3);
    let text = requests(folder.path(), &server, &["list", "--status", "failed"]).await.ok();
    assert!(text.contains("FF0"), "the code of the failure is in the list: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_runs_that_were_found_are_changed_at_once() {
    let server = server().await;
    let folder = TempDir::new().unwrap();
    let bulk = async |arguments: &[&str]| requests(folder.path(), &server, &[&["bulk"], arguments].concat()).await;
    assert_eq!(bulk(&["rerun", "--status", "failed", "--dry-run"]).await.ok(), "would rerun 3 runs\n");
    bulk(&["rerun", "--status", "failed"]).await.failed("FF0412", &["rerun 3 runs"]);
    assert_eq!(bulk(&["rerun", "--status", "failed", "--yes"]).await.ok(), "3 runs run again\n");
    bulk(&["delete", "--yes"]).await.failed("FF0217", &["all"]);
    bulk(&["delete", "--yes", "--status", "running"]).await.failed("FF0217", &["status"]);
    let done = bulk(&["delete", "--yes", "--id", "greet-", "--json"]).await.json();
    assert_eq!((done["changed"].as_array().unwrap().len(), &done["failed"]), (5, &Value::Array(Vec::new())));
    let text = requests(folder.path(), &server, &["list"]).await.ok();
    assert!(!text.contains("greet-"), "{text}");
    server.get("/function/greet/flow/greet-0").await.failed(404, "FF0212");

    // A run by itself.
    requests(folder.path(), &server, &["delete", "bad-0"]).await.ok();
    requests(folder.path(), &server, &["delete", "bad-0"]).await.failed("FF0212", &["bad-0"]);
    assert_eq!(ids(&found(&server, "").await).len(), 2);
    let sleeping = server.request("/function/greet", "Ada").header("X-Faas-Flow-Reqid", "later");
    server.send(sleeping.header("X-Faas-Flow-Start-At", "1h")).await;
    requests(folder.path(), &server, &["delete", "later"]).await.failed("FF0222", &["later", "stop it first"]);
    let done = bulk(&["stop", "--all", "--yes"]).await.ok();
    assert_eq!(done, "1 run stopped\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_finds_runs_and_its_address_holds_the_query() {
    let server = server().await;
    let page = async |path: &str| {
        let request = server.client.get(server.url(&format!("/dashboard/{path}"))).header("Accept", "text/html");
        server.send(request).await.ok()
    };
    let home = page("").await;
    assert!(home.contains("href=\"flows/greet?status=succeeded\">5 succeeded"), "{home}");
    assert!(home.contains("href=\"flows/fixture?status=failed\">3 failed"), "{home}");
    let runs = page("runs?status=failed&id=bad-1&text=").await;
    assert!(runs.contains("href=\"runs/bad-1\"") && !runs.contains("bad-2"), "{runs}");
    assert!(runs.contains("name=\"id\" placeholder=\"\" value=\"bad-1\""), "the form shows what is asked for: {runs}");
    assert!(runs.contains("href=\"runs?status=succeeded&amp;id=bad%2D1\""), "{runs}");
    let flow = page("flows/greet?since=1h").await;
    assert!(flow.contains("href=\"../runs/greet-0\"") && flow.contains("5 succeeded"), "{flow}");
    let odd = page("runs?text=%3Cscript%3E%22%E2%80%AE").await;
    assert!(!odd.contains("<script>\"") && odd.contains("No runs."), "{odd}");
}

/// The value of a hidden field of the form about many runs.
fn hidden<'a>(page: &'a str, name: &str) -> &'a str {
    let form = page.split("class=\"bulk\"").nth(1).unwrap_or(page);
    form.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap().split('"').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_changes_all_runs_that_match_after_a_question() {
    let server = server().await;
    let page = async |path: &str| {
        let request = server.client.get(server.url(&format!("/dashboard/{path}"))).header("Accept", "text/html");
        server.send(request).await.ok()
    };
    let post = async |path: &str, form: String| {
        let request = server.client.post(server.url(&format!("/dashboard/{path}"))).header("Accept", "text/html");
        server.send(request.body(form)).await
    };
    let list = page("runs?status=failed").await;
    assert!(list.contains("value=\"rerun\"") && !list.contains("value=\"pause\""), "what is possible: {list}");
    let form = format!("ticket={}&action=rerun&status=failed", hidden(&list, "ticket"));
    post("runs/bulk", "action=rerun&status=failed".to_owned()).await.failed(401, "FF0502");
    let question = post("runs/bulk", form.clone()).await.ok();
    assert!(question.contains("<h1>Run again 3 runs?</h1>"), "{question}");
    let report = post("runs/bulk", form + "&confirmed=yes").await.ok();
    assert!(report.contains("3 runs run again."), "{report}");

    let list = page("flows/greet").await;
    let form = format!("ticket={}&action=delete&id=greet-1&confirmed=yes", hidden(&list, "ticket"));
    assert!(post("flows/greet/bulk", form).await.ok().contains("1 run deleted."));
    let list = page("flows/greet").await;
    assert!(list.contains("4 succeeded") && !list.contains("runs/greet-1\""), "{list}");
}
