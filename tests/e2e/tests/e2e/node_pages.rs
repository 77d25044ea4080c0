//! Pages of nodes on the dashboard: their state, and what they got and yielded.

use faas_flow_e2e::browser::Browser;
use faas_flow_e2e::command::{faas_flow, script};
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_test_support::servers;
use serde_json::Value;
use std::fs;
use tempfile::TempDir;

const TOKEN: &str = "a token of more than sixteen";
/// The smallest PNG: one transparent pixel.
const PIXEL: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\nIDATx\x9cc\0\x01\0\0\
    \x05\0\x01\r\n-\xb4\0\0\0\0IEND\xaeB`\x82";

async fn run_as(server: &Server, id: &str, query: &str, body: impl Into<reqwest::Body>) {
    let request = server.request(&format!("/function/fixture?{query}"), body).header("X-Faas-Flow-Reqid", id);
    server.send(request.header("X-Faas-Flow-Wait", "60s")).await;
}

/// The page of a node of the run `r`.
async fn page(server: &Server, node: &str) -> String {
    server.get(&format!("/dashboard/runs/r/node?node={node}")).await.ok()
}

/// What an answer says that comes from a node's data.
fn assert_inert(answer: &Answer) {
    assert_eq!(answer.header("x-content-type-options"), ["nosniff"]);
    let policy = answer.header("content-security-policy").concat();
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
    assert_eq!(answer.header("cross-origin-resource-policy"), ["same-origin"]);
    assert_eq!(answer.header("cache-control"), ["no-store"]);
}

#[tokio::test]
async fn a_run_leads_to_its_nodes_and_these_show_what_they_got_and_yielded() {
    let server = Serve::flows(&["fixture"]).start();
    run_as(&server, "r", "case=inputs", "x").await;
    let run = server.get("/dashboard/runs/r").await.ok();
    assert!(run.contains("<a href=\"r/node?node=last\"><code>last</code></a>"), "{run}");
    let last = page(&server, "last").await;
    for part in [
        "<a href=\"../r\"><code>r</code></a>",
        "class=\"badge done\"",
        "<h3>from <code>left</code></h3>",
        "<h3>from <code>right</code></h3>",
        "<pre class=\"payload\" tabindex=\"0\">x!right</pre>",
        "href=\"node/input?node=last&amp;from=left\" download",
        "href=\"node/output?node=last\" download",
    ] {
        assert!(last.contains(part), "{part} in {last}");
    }
    let one = page(&server, "last&from=right").await;
    assert!(one.contains("x!right") && !one.contains("from <code>left</code>"), "{one}");
    let file = server.get("/dashboard/runs/r/node/input?node=last&from=left").await;
    assert_eq!(file.header("content-disposition"), ["attachment; filename=\"input\""]);
    assert_inert(&file);
    assert_eq!(file.ok(), "x!left");
    let asked = server.client.get(server.url("/dashboard/runs/r/node?node=last")).header("Accept", "application/json");
    let json: Value = serde_json::from_str(&server.send(asked).await.ok()).unwrap();
    assert_eq!((&json["node"]["path"], &json["input"][1]["from"]), (&"last".into(), &"right".into()));
    assert_eq!(json["output"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_node_shows_why_it_failed_and_what_it_got_in_a_branch() {
    let folder = TempDir::new().unwrap();
    let fails = script(folder.path(), "fails.sh", "echo '<b>no</b>' >&2; exit 1");
    let server = Serve::flows(&["fixture"]).function("step", &fails).start();
    run_as(&server, "r", "case=items", "a").await;
    let run = server.get("/dashboard/runs/r").await.ok();
    assert!(run.contains("<a href=\"r/node?node=F%5B0%5D%2Fn\">"), "{run}");
    let shown = page(&server, "F%5B0%5D%2Fn").await;
    assert!(shown.contains("class=\"badge failed\"") && shown.contains("&lt;b&gt;no&lt;/b&gt;"), "{shown}");
    assert!(
        shown.contains("<pre class=\"payload\" tabindex=\"0\">a</pre>") && shown.contains("This node has no"),
        "{shown}"
    );
    assert_eq!(shown, page(&server, "F[0]/n").await, "a path may be written as it is shown");
}

#[tokio::test]
async fn data_never_becomes_markup_and_images_are_those_that_execute_nothing() {
    let server = Serve::flows(&["fixture"]).start();
    run_as(&server, "r", "case=typed&type=text/html", "<script>alert(1)</script>\u{202e}\u{1b}[2J").await;
    let text = page(&server, "n").await;
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;\\u{202e}\\u{1b}[2J"), "{text}");
    assert!(!text.contains("<script>") && !text.contains('\u{202e}'), "{text}");
    let run = |id, media_type, body: &[u8]| run_as(&server, id, media_type, body.to_vec());
    run("svg", "case=typed&type=image/svg%2Bxml", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>").await;
    let svg = server.get("/dashboard/runs/svg/node?node=n").await.ok();
    assert!(svg.contains("&lt;svg xmlns") && !svg.contains("<img"), "{svg}");
    server.get("/dashboard/runs/svg/node/output/image?node=n").await.failed(404, "FF0517");
    run("png", "case=typed&type=text/html", PIXEL).await;
    let png = server.get("/dashboard/runs/png/node?node=n").await.ok();
    assert!(png.contains("<img class=\"payload\" src=\"node/output/image?node=n&amp;is="), "{png}");
    let image = server.get("/dashboard/runs/png/node/output/image?node=n").await;
    assert_eq!(image.content_type.as_deref(), Some("image/png"));
    assert_inert(&image);
    run("bytes", "case=typed&type=image/png", &[0, 0xff, b'<']).await;
    let bytes = server.get("/dashboard/runs/bytes/node?node=n").await.ok();
    assert!(bytes.contains("00000000  00 ff 3c") && bytes.contains("..&lt;"), "{bytes}");
}

#[tokio::test]
async fn a_large_payload_is_shown_as_a_preview() {
    let server = Serve::flows(&["fixture"]).start();
    run_as(&server, "r", "case=typed&type=application/json", format!("[\"{}\"]", "a".repeat(16 << 20))).await;
    let shown = page(&server, "n").await;
    assert!(shown.len() < 300_000 && shown.contains("The first 64.0 KiB of 16.0 MiB"), "{} bytes", shown.len());
}

#[tokio::test]
async fn what_there_is_not_has_a_code() {
    let server = Serve::flows(&["fixture"]).with("--show-payloads", "failed").start();
    run_as(&server, "r", "case=forwarder", "x").await;
    for (path, status, code) in [
        ("r/node", 400, "FF0217"),
        ("r/node?node=", 400, "FF0217"),
        ("r/node?node=other", 404, "FF0517"),
        ("r/node?node=F%5Bx%5D%2Fa", 404, "FF0517"),
        ("none/node?node=a", 404, "FF0212"),
        ("none/node/output?node=a", 404, "FF0212"),
        ("r/node/output?node=a", 403, "FF0516"),
        ("r/node/output/image?node=a", 403, "FF0516"),
        ("r/node/other?node=a", 404, "FF0508"),
    ] {
        server.get(&format!("/dashboard/runs/{path}")).await.failed(status, code);
    }
    let long = "n".repeat(1024);
    server.get(&format!("/dashboard/runs/{long}/node?node=a")).await.failed(400, "FF0213");
    let shown = page(&server, "a").await;
    assert!(shown.contains("FF0516: inputs and outputs") && !shown.contains("<pre"), "its state is shown: {shown}");
}

#[tokio::test]
async fn those_who_may_only_see_the_dashboard_see_no_data() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("secrets")).unwrap();
    fs::write(folder.path().join("secrets/faasflow-admin-token"), TOKEN).unwrap();
    let server = Serve::flows(&["fixture"]).with("--secrets", "secrets").with("--result-access", "open");
    let server = server.start_in(folder.path());
    run_as(&server, "r", "case=forwarder", "dont-tell").await;
    let shown = page(&server, "a").await;
    assert!(shown.contains("class=\"badge done\"") && shown.contains("FF0506"), "{shown}");
    assert!(!shown.contains("dont-tell"), "{shown}");
    let mut answers = Vec::new();
    for path in ["r/node/input?node=a", "r/node/output?node=none", "none/node/output?node=a", "none/node/input?node=a"]
    {
        answers.push(server.get(&format!("/dashboard/runs/{path}")).await.failed(401, "FF0506"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    server.get("/dashboard/runs/r/node/input/image?node=a").await.failed(401, "FF0506");
    let asked = server.client.get(server.url("/dashboard/runs/r/node?node=a")).basic_auth("me", Some(TOKEN));
    assert!(server.send(asked).await.ok().contains("dont-tell"));
}

#[tokio::test]
async fn the_dashboard_of_a_cluster_shows_data_if_its_own_keys_say_so() {
    let folder = TempDir::new().unwrap();
    let redis = servers::redis(&[]);
    let store = redis.url("redis");
    let stores = |serve: Serve| serve.with("--state-store", &store).with("--data-store", &store);
    let server = stores(Serve::flows(&["fixture"])).start_in(folder.path());
    run_as(&server, "r", "case=inputs", "{\"password\":\"s3cret\"}").await;
    let dashboard = |options: &[&str]| {
        let mut command = faas_flow(folder.path());
        command.args(["dashboard", "--listen", "127.0.0.1:0", "--cache", "other", "--gateway", ""]);
        command.args(["--state-store", &store, "--data-store", &store]).args(options);
        Server::start(command)
    };
    let hidden = dashboard(&[]).get("/runs/r/node?node=first").await.ok();
    assert!(hidden.contains("FF0516") && !hidden.contains("s3cret"), "{hidden}");
    let dashboard = dashboard(&["--show-payloads", "always", "--redact", "/password"]);
    let shown = dashboard.get("/runs/r/node?node=first").await.ok();
    assert!(shown.contains("***") && !shown.contains("s3cret"), "the input is JSON: {shown}");
    assert!(
        shown.contains("<h2>Output</h2>\n<div id=\"output-0\">\n<p class=\"card error\">FF0516"),
        "the output is not: {shown}"
    );
    // Links lead to the same server, wherever a proxy has put it.
    let link = dashboard.url_from("/runs/r/node?node=first", "node/input?node=first");
    assert_eq!(
        dashboard.get(link.as_str().strip_prefix(&dashboard.url("")).unwrap()).await.ok(),
        "{\"password\":\"***\"}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_browser_a_tree_folds_an_image_loads_and_nothing_is_executed() {
    let folder = TempDir::new().unwrap();
    let server = Serve::flows(&["fixture"]).start();
    let nasty =
        "{\"<img src=x onerror=document.title=1>\":[1,{\"\u{202e}b\":\"</ul><script>document.title=2</script>\"}]}";
    run_as(&server, "r", "case=typed&type=application/json", nasty).await;
    run_as(&server, "png", "case=typed&type=image/png", PIXEL.to_vec()).await;
    let browser = Browser::open_with(folder.path(), &["--window-size=500,800"]).await;
    browser.go(&server.url("/dashboard/runs/r")).await;
    browser.click("tr[data-node=n] a").await;
    assert_eq!(browser.script("return document.title").await, "n · r · faas-flow");
    assert_eq!(browser.script("return document.querySelectorAll('main script, main img').length").await, 0);
    let open = "return document.querySelectorAll('#output ul details[open]').length";
    assert_eq!(browser.script(open).await, 3);
    browser.click("#output ul details details details > summary").await;
    assert_eq!(browser.script(open).await, 2, "it works without a script of the page");
    let wide = "return document.documentElement.scrollWidth > window.innerWidth";
    assert_eq!(browser.script(wide).await, false, "it fits a narrow window");
    browser.go(&server.url("/dashboard/runs/png/node?node=n")).await;
    let loaded = "return [...document.images].map(image => image.complete && image.naturalWidth)";
    assert_eq!(browser.script(loaded).await, serde_json::json!([1, 1]));
}
