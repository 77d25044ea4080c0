//! Pages of the dashboard that renew themselves: by a stream of events, in a browser and over HTTP.

use faas_flow_e2e::browser::Browser;
use faas_flow_e2e::command::script;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double;
use reqwest::Response;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// A server whose chain waits in its first node until the file is there.
fn gated(folder: &Path) -> (Server, PathBuf) {
    let gate = folder.join("open");
    let wait = format!("while [ ! -e {} -a -e \"$0\" ]; do sleep 0.02; done; cat", gate.display());
    let server = Serve::flows(&["async-chain"]).function("func1", script(folder, "gated.sh", &wait));
    let server = server.function("func2", "echo").function("fake-storage", "echo").with("--call-timeout", "1h").start();
    (server, gate)
}

async fn begin(server: &Server) -> String {
    let run = server.post("/function/async-chain", "hi").await.id.unwrap();
    until("the first node runs", async || {
        server.get(&format!("/dashboard/runs/{run}")).await.body.contains("badge running\">running</span></td>")
    })
    .await;
    run
}

/// The events of a stream.
struct Events {
    response: Response,
    text: String,
}

/// An event: its name, its id and its data.
#[derive(Debug)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

impl Events {
    async fn open(server: &Server, path: &str, last: Option<&str>) -> Self {
        let mut request = server.client.get(server.url(path)).header("Accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut events = Self { response, text: String::new() };
        assert_eq!(events.next().await.unwrap().name, "hello");
        events
    }

    /// The next event; none at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
                let data = serde_json::from_str(&field("data: ")).unwrap();
                let event = Event { name: field("event: "), id: field("id: "), data };
                self.text = rest.to_owned();
                return Some(event);
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(str::from_utf8(&chunk).unwrap());
        }
    }
}

/// The text after a patch, as the page makes it.
fn patched(old: &str, patch: &Value) -> String {
    let old: Vec<&str> = old.split('\n').collect();
    let lines = patch.as_array().unwrap().iter().flat_map(|part| match part {
        Value::String(new) => vec![new.as_str()],
        place => {
            let at = |index: usize| place[index].as_u64().unwrap() as usize;
            old[at(0)..at(0) + at(1)].to_vec()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_stream_tells_what_becomes_of_a_page_until_its_end() {
    let folder = TempDir::new().unwrap();
    let (server, gate) = gated(folder.path());
    let run = begin(&server).await;
    let path = format!("/dashboard/runs/{run}");
    let mut events = Events::open(&server, &path, None).await;
    let first = events.next().await.unwrap();
    assert_eq!(first.name, "page");
    let mut text = first.data.as_str().unwrap().to_owned();
    assert!(text.contains("running</span></td>"), "{text}");
    fs::write(&gate, "").unwrap();
    let mut last = first.id;
    loop {
        let event = events.next().await.unwrap();
        match event.name.as_str() {
            "patch" => {
                assert!(event.data.to_string().len() < text.len(), "a patch is smaller than the page");
                text = patched(&text, &event.data);
                last = event.id;
            }
            // A viewer who is slow gets the whole page.
            "page" => (text, last) = (event.data.as_str().unwrap().to_owned(), event.id),
            "end" => break,
            other => assert_eq!(other, "beat"),
        }
    }
    assert!(events.next().await.is_none(), "the stream ends");
    assert!(!last.is_empty());
    let page = server.get(&path).await.ok();
    let main = page.split("<main>\n").nth(1).unwrap().split("\n</main>").next().unwrap();
    assert_eq!(text, main, "what the patches made is the page");
    // A page that does not change any more has no stream.
    let none = server.client.get(server.url(&path)).header("Accept", "text/event-stream");
    assert_eq!(server.send(none).await.status, 204);
    let unknown = server.client.get(server.url("/dashboard/runs/nobody")).header("Accept", "text/event-stream");
    server.send(unknown).await.failed(404, "FF0212");
}

#[tokio::test]
async fn a_stream_that_broke_off_goes_on_where_it_was() {
    let folder = TempDir::new().unwrap();
    let (server, gate) = gated(folder.path());
    // The list of runs does not change while nothing begins or ends, but for the durations.
    let path = "/dashboard/flows/async-chain/modules";
    let mut events = Events::open(&server, path, None).await;
    let first = events.next().await.unwrap();
    assert_eq!(first.name, "page");
    drop(events);
    let mut again = Events::open(&server, path, Some(&first.id)).await;
    let next = again.next().await.unwrap();
    assert_eq!(next.name, "beat", "it has the page already: {next:?}");
    fs::write(&gate, "").unwrap();
}

#[tokio::test]
async fn a_server_that_stops_does_not_wait_for_streams() {
    let folder = TempDir::new().unwrap();
    let (mut server, gate) = gated(folder.path());
    let run = begin(&server).await;
    let mut events = Events::open(&server, &format!("/dashboard/runs/{run}"), None).await;
    events.next().await.unwrap();
    fs::write(&gate, "").unwrap();
    server.terminate();
    while events.next().await.is_some() {}
    assert_eq!(server.end().await, Some(0));
}

#[tokio::test]
async fn there_are_as_many_streams_as_may_be_and_places_are_given_back() {
    let folder = TempDir::new().unwrap();
    let (server, gate) = gated(folder.path());
    let mut open = Vec::new();
    for _ in 0..256 {
        open.push(Events::open(&server, "/dashboard/", None).await);
    }
    let one_more = || server.client.get(server.url("/dashboard/")).header("Accept", "text/event-stream");
    server.send(one_more()).await.failed(429, "FF0224");
    open.truncate(200);
    until("a place is free", async || one_more().send().await.unwrap().status() == 200).await;
    fs::write(&gate, "").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_browser_a_page_follows_its_run_and_leaves_what_somebody_does_alone() {
    let folder = TempDir::new().unwrap();
    let (server, gate) = gated(folder.path());
    let run = begin(&server).await;
    let browser = Browser::open(folder.path()).await;
    browser.go(&server.url(&format!("/dashboard/runs/{run}"))).await;
    let streams =
        "return performance.getEntriesByType('resource').filter(entry => entry.initiatorType === 'fetch').length";
    browser.script("window.same = document.querySelector('[data-node=n3]')").await;
    browser.script("document.querySelector('[data-node=n2] a').focus()").await;
    fs::write(&gate, "").unwrap();
    let badge = "return document.querySelector('h1 .badge').textContent";
    until("the page shows the end", async || browser.script(badge).await == "succeeded").await;
    let row =
        "return document.querySelector('[data-node=n3]') === window.same && window.same.textContent.includes('done')";
    assert_eq!(browser.script(row).await, true, "the same row shows something else");
    let focus = "return document.activeElement.closest('tr').dataset.node";
    assert_eq!(browser.script(focus).await, "n2", "the focus stays");
    assert_eq!(browser.script("return document.querySelector('[role=status]').textContent").await, "succeeded");
    assert_eq!(browser.script(streams).await, 0, "the page does not ask, it is told");
    until("it is not live any more", async || {
        browser.script("return document.querySelector('main').dataset.live").await == ""
    })
    .await;

    // What somebody types into a page that is renewed stays.
    browser.go(&server.url("/dashboard/flows/async-chain")).await;
    browser.script("document.querySelector('#search').open = true; document.querySelector('#search input[name=text]').value = 'typed'").await;
    let other = server.result("async-chain", "ho").await.id.unwrap();
    let listed = format!("return document.body.textContent.includes('{other}')");
    until("the new run is listed", async || browser.script(&listed).await == true).await;
    let kept =
        "return [document.querySelector('#search').open, document.querySelector('#search input[name=text]').value]";
    assert_eq!(browser.script(kept).await, serde_json::json!([true, "typed"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_browser_the_page_of_a_node_follows_it_and_what_is_unfolded_stays_so() {
    let folder = TempDir::new().unwrap();
    let gate = folder.path().join("open");
    let step = format!("[ -e {} ] || {{ echo not yet >&2; exit 1; }}; cat", gate.display());
    let step = script(folder.path(), "step.sh", &step);
    let server = Serve::flows(&["fixture"]).function("step", &step).start();
    let input = r#"{"a":{"b":{"c":{"d":1}}},"x":{"y":2}}"#;
    let call = server.request("/function/fixture?case=log-and-call", input).header("X-Faas-Flow-Reqid", "r");
    let answer = tokio::spawn(call.send());
    let path = "/dashboard/runs/r/node?node=n";
    until("the node runs", async || server.get(path).await.status == 200).await;

    let browser = Browser::open(folder.path()).await;
    browser.go(&server.url(path)).await;
    let ask = async |script: &str| browser.script(&format!("return {script}")).await;
    let tries = async || ask("document.querySelector('.happened')?.textContent ?? ''").await.to_string();
    until("a failed try is shown", async || tries().await.contains("not yet")).await;
    browser.click("#input details details details details > summary").await;
    browser.click("#input details > ul > li:nth-child(2) > details > summary").await;
    browser.script("window.tree = document.querySelector('#input ul')").await;
    let left_alone = "document.querySelector('#input ul') === window.tree && document.activeElement.textContent.includes('\"x\"') \
                      && [...window.tree.querySelectorAll('details')].map(one => one.open).join() === 'true,true,true,true,false'";
    assert_eq!(ask(left_alone).await, true, "one is unfolded, and another is folded");
    let before = tries().await;
    until("further tries are shown", async || tries().await != before).await;
    assert_eq!(ask(left_alone).await, true, "after further tries");
    assert_eq!(ask("document.querySelector('#output').textContent.includes('This node has no')").await, true);

    fs::write(&gate, "").unwrap();
    until("it is done", async || ask("document.querySelector('h1 .badge').textContent").await == "done").await;
    assert_eq!(ask(left_alone).await, true, "at the end");
    assert_eq!(ask("document.querySelectorAll('#output details').length").await, 5, "its output is shown");
    until("its log is shown", async || {
        ask("document.querySelector('#log')?.textContent.includes('before the call')").await == true
    })
    .await;
    assert_eq!(ask("document.querySelector('[role=status]').textContent").await, "done", "it is said");
    until("the page is not live any more", async || ask("document.querySelector('main').dataset.live").await == "")
        .await;
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
}

/// A proxy that does not let streams through: it waits for the end of each answer.
async fn without_streams(server: &Server) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (counted, client, to) = (asked.clone(), server.client.clone(), server.url(""));
    let pass = async move |request: axum::extract::Request| {
        let is_stream = request.headers().get("accept").is_some_and(|kind| kind == "text/event-stream");
        if is_stream {
            counted.fetch_add(1, Ordering::Relaxed);
            return (axum::http::StatusCode::BAD_GATEWAY, Vec::new());
        }
        let answer = client.get(format!("{to}{}", request.uri())).header("Accept", "text/html").send().await.unwrap();
        (axum::http::StatusCode::OK, answer.bytes().await.unwrap().to_vec())
    };
    let kind = [("content-type", "text/html; charset=utf-8")];
    let page = async move |request: axum::extract::Request| {
        let path = request.uri().path().to_owned();
        let (status, body) = pass(request).await;
        let kind = if path.ends_with(".js") { [("content-type", "text/javascript")] } else { kind };
        (status, kind, body)
    };
    (double::serve(axum::Router::new().fallback(page)).await, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_stream_gets_through_a_page_asks_by_itself() {
    let folder = TempDir::new().unwrap();
    let (server, gate) = gated(folder.path());
    let run = begin(&server).await;
    let (proxy, asked) = without_streams(&server).await;
    let browser = Browser::open(folder.path()).await;
    browser.go(&format!("{proxy}/dashboard/runs/{run}")).await;
    until("the page has tried a stream", async || asked.load(Ordering::Relaxed) > 0).await;
    fs::write(&gate, "").unwrap();
    let badge = "return document.querySelector('h1 .badge').textContent";
    until("the page shows the end", async || browser.script(badge).await == "succeeded").await;
    assert_eq!(asked.load(Ordering::Relaxed), 1, "it does not try the stream again at once");
}

/// A server whose flow has an item for each letter of its input. The item `x` fails once the others are done.
async fn with_items() -> Server {
    let done = Arc::new(AtomicUsize::new(0));
    let step = async move |body: String| {
        if body == "x" {
            while done.load(Ordering::Relaxed) < 59 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            return (axum::http::StatusCode::BAD_REQUEST, "refused");
        }
        done.fetch_add(1, Ordering::Relaxed);
        (axum::http::StatusCode::OK, "done")
    };
    let step = double::serve(axum::Router::new().fallback(step)).await;
    Serve::flows(&["fixture"]).function("step", step).start()
}

#[tokio::test]
async fn a_node_with_many_branches_is_a_row_that_leads_to_them() {
    let server = with_items().await;
    let items = format!("{}x{}", "a".repeat(30), "a".repeat(29));
    let request = server.request("/function/fixture?case=items", items).header("X-Faas-Flow-Reqid", "r");
    server.send(request).await;
    let shown = async |query: &str| server.get(&format!("/dashboard/runs/r{query}")).await.ok();
    until("it fails", async || shown("").await.contains("badge failed\">failed</span></h1>")).await;
    let run = shown("").await;
    let row = run.lines().find(|line| line.contains("data-node=\"F\"")).unwrap();
    assert!(row.contains("href=\"r?branches=F#nodes\"") && row.contains("1 failed · "), "{row}");
    assert!(!run.contains("data-node=\"F[0]/n\"") && !run.contains("F[0]/n:"), "the branches have no rows: {run}");
    assert!(run.contains("<a href=\"r?branches=F#nodes\">"), "the picture leads to them: {run}");
    let bar = run.lines().find(|line| line.contains("<title>F: ")).unwrap();
    assert!(bar.contains("1 failed") && bar.matches("<rect").count() > 1, "{bar}");

    let branches = shown("?branches=F&limit=50").await;
    let rows: Vec<&str> = branches.lines().filter(|line| line.contains("<tr data-node")).collect();
    assert_eq!(rows.len(), 50);
    assert!(rows[0].contains("data-node=\"F[30]/n\"") && rows[0].contains("badge failed"), "{}", rows[0]);
    assert!(branches.contains("branches 1 to 50 of 60"), "{branches}");
    let next = branches.split("offset=50&amp;limit=50&amp;branches=F").count();
    assert_eq!(next, 2, "there is a link to the next page: {branches}");
    let last = shown("?branches=F&offset=50&limit=50").await;
    assert_eq!(last.matches("<tr data-node").count(), 10);
    assert!(shown("?branches=other").await.contains("Branches of <code>other</code>"));
    server.get("/dashboard/runs/r?branches=%00").await.failed(400, "FF0217");
}
