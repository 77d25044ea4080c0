//! Nodes that wait for signals.

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use faas_flow_e2e::browser::Browser;
use faas_flow_e2e::command::run;
use faas_flow_e2e::events;
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::{double, servers};
use serde_json::{Value, json};

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SECRET: &str = "the secret of the replicas";

fn serve() -> Serve {
    Serve::flows(&["fixture"])
}

/// A folder with secrets.
fn secrets() -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    std::fs::write(folder.path().join("secrets/faasflow-hmac-secret"), SECRET).unwrap();
    folder
}

async fn begin(server: &Server, query: &str, data: &str, id: &str) {
    let request = server.request(&format!("/function/fixture?{query}"), data.to_owned());
    let accepted = server.send(request.header("X-Faas-Flow-Reqid", id).header("X-Faas-Flow-Wait", "1ms")).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
}

/// Waits until nodes of a run wait for signals, this many.
async fn until_waiting(server: &Server, id: &str, nodes: usize) {
    until("nodes wait for signals", async || {
        let shown = server.shown(id);
        let waits = |node: &&Value| node["waits_for"]["signal"].is_object();
        shown["nodes"].as_array().unwrap().iter().filter(waits).count() == nodes
    })
    .await;
}

async fn signal(server: &Server, id: &str, name: &str, body: &str) -> Answer {
    server.post(&format!("/function/fixture/flow/{id}/signal/{name}"), body.to_owned()).await
}

/// A function that keeps what it got.
async fn mailbox() -> (String, Arc<Mutex<Vec<String>>>) {
    let mails = Arc::new(Mutex::new(Vec::new()));
    let mailed = mails.clone();
    let router = Router::new().fallback(move |body: Bytes| async move {
        mailed.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
        "sent"
    });
    (double::serve(router).await, mails)
}

/// SIGNAL-1.
#[tokio::test]
async fn a_node_waits_for_its_signal_and_goes_on_with_the_body() {
    let server = serve().start();
    begin(&server, "case=signal", "hi", "r").await;
    until_waiting(&server, "r", 1).await;
    let shown = run(server.folder(), ["requests", "show", "r"]).ok();
    assert!(shown.contains("    waits for signal approval since 20"), "{shown}");
    let asked = server.client.get(server.url("/function/fixture/flow/r/state")).header("Accept", "application/json");
    let state: Value = serde_json::from_str(&server.send(asked).await.ok()).unwrap();
    let awaiting = &state["awaiting"][0];
    assert_eq!((&awaiting["node"], &awaiting["signal"]), (&json!("n"), &json!("approval")), "{state}");
    let said = signal(&server, "r", "approval", "yes").await.ok();
    assert_eq!(said, "Signal approval to request r: a node continues with it\n");
    assert_eq!(server.result_of("fixture", "r").await.ok(), "yes after last");
    let shown = run(server.folder(), ["requests", "show", "r"]).ok();
    assert!(shown.contains("received signal approval, sent 20"), "{shown}");
}

/// SIGNAL-2, SIGNAL-3, with the command line.
#[tokio::test]
async fn a_signal_that_is_sent_early_waits_and_one_that_is_sent_twice_counts_once() {
    let gate = tokio::sync::watch::channel(false).0;
    let opened = gate.clone();
    let router = Router::new().fallback(move || {
        let gate = opened.clone();
        async move {
            gate.subscribe().wait_for(|open| *open).await.unwrap();
            "x"
        }
    });
    let url = double::serve(router).await;
    let server = serve().function("mail", &url).start();
    begin(&server, "case=signal-url&name=approval", "", "r").await;
    let to = server.url("");
    let send = |data: &str, key: &str| {
        let arguments = ["signal", "r", "approval", "--data", data, "--key", key, "--to", &to, "--flow", "fixture"];
        run(server.folder(), [&arguments[..], &["--json"]].concat()).json()
    };
    let first = send("one", "k");
    assert_eq!(first, json!({ "request_id": "r", "signal": "approval", "became": "kept" }));
    assert_eq!(send("two", "k")["became"], "repeated");
    gate.send_replace(true);
    assert_eq!(server.result_of("fixture", "r").await.ok(), "one");
}

/// SIGNAL-4.
#[tokio::test]
async fn what_no_node_can_take_is_refused() {
    let server = serve().start();
    signal(&server, "nobody", "approval", "").await.failed(404, "FF0212");
    begin(&server, "case=signal", "hi", "r").await;
    let message = signal(&server, "r", "aproval", "").await.failed(404, "FF0271");
    assert!(message.contains("did you mean `approval`?"), "{message}");
    signal(&server, "r", "not%20a%20name", "").await.failed(400, "FF0217");
    let long = server.request("/function/fixture/flow/r/signal/approval", "");
    let long = server.send(long.header("X-Faas-Flow-Idempotency-Key", "k".repeat(257))).await;
    long.failed(400, "FF0217");
    let by_get = server.get("/function/fixture/flow/r/signal/approval").await;
    assert_eq!(by_get.headers["allow"], "POST");
    by_get.failed(405, "FF0509");
    run(server.folder(), ["requests", "stop", "r", "--to", &server.url("")]).ok();
    signal(&server, "r", "approval", "").await.failed(409, "FF0222");
}

/// SIGNAL-4: 64 MiB altogether.
#[tokio::test]
async fn early_signals_are_kept_up_to_a_limit() {
    let server = serve().with("--body-limit", "64MiB").start();
    begin(&server, "case=signals-of-items", "Ada", "r").await;
    until_waiting(&server, "r", 1).await;
    let large = "x".repeat(64 << 20);
    assert!(signal(&server, "r", "early", &large).await.ok().contains("it is kept until one does"));
    signal(&server, "r", "early", "x").await.failed(429, "FF0272");
    signal(&server, "r", "signed-by-Ada", "yes").await.ok();
    assert_eq!(server.result_of("fixture", "r").await.ok(), "[Ada=yes]");
    let small = serve().start();
    begin(&small, "case=signal", "hi", "r").await;
    signal(&small, "r", "approval", &large).await.failed(413, "FF0204");
}

/// What the files below a folder have in bytes.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// SIGNAL-4.
#[tokio::test]
async fn the_body_of_a_refused_or_repeated_signal_is_not_stored() {
    let server = serve().start();
    begin(&server, "case=signals-of-items", "Ada", "r").await;
    until_waiting(&server, "r", 1).await;
    begin(&server, "case=signal", "Ada", "one").await;
    until_waiting(&server, "one", 1).await;
    let large = "x".repeat(2 << 20);
    let keyed = |name: &'static str| {
        let request = server.request(&format!("/function/fixture/flow/r/signal/{name}"), large.clone());
        server.send(request.header("X-Faas-Flow-Idempotency-Key", "k"))
    };
    let before = size(server.folder());
    keyed("early").await.ok();
    let after = size(server.folder());
    assert!(after >= before + (2 << 20), "the data store is here: {before} and then {after} bytes");
    for _ in 0..5 {
        assert!(keyed("early").await.ok().contains("was received before"));
        signal(&server, "one", "unknown", &large).await.failed(404, "FF0271");
    }
    let more = size(server.folder()) - after;
    assert!(more < 2 << 20, "{more} bytes of refused signals are stored");
}

/// SIGNAL-3: forged addresses and signatures of every kind.
#[tokio::test]
async fn an_address_with_a_far_expiry_and_a_form_that_grows_are_answered() {
    let server = serve().with("--body-limit", "1MiB").start();
    begin(&server, "case=signal", "hi", "r").await;
    until_waiting(&server, "r", 1).await;
    for expires in ["253402300800000", "18446744073709551615"] {
        let path = format!("/function/fixture/flow/r/signal/approval?once=x&expires={expires}");
        page(&server, server.client.get(server.url(&path))).await.ok();
    }
    // Each byte becomes six in JSON.
    let form = [b"a=".to_vec(), vec![1; 1 << 19]].concat();
    let path = "/function/fixture/flow/r/signal/approval?once=x&expires=99999999999999";
    let sent = server.request(path, form).header("Content-Type", "application/x-www-form-urlencoded");
    server.send(sent).await.failed(413, "FF0204");
    signal(&server, "r", "approval", "yes").await.ok();
    assert_eq!(server.result_of("fixture", "r").await.ok(), "yes after last");
}

/// SIGNAL-5.
#[tokio::test]
async fn a_wait_that_takes_too_long_fails_and_may_be_caught() {
    let server = serve().start();
    let failure = server.result("fixture?case=signal&ms=300", "hi").await.failed(504, "FF0270");
    assert!(failure.contains("no signal `approval` came in 300 ms"), "{failure}");
    begin(&server, "case=signal-or-not&ms=300", "hi", "r").await;
    until("the second node waits", async || {
        server.shown("r")["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|node| node["path"] == "n2" && node["waits_for"].is_object())
    })
    .await;
    signal(&server, "r", "approval", "late").await.ok();
    assert_eq!(server.result_of("fixture", "r").await.ok(), "late");
}

/// SIGNAL-1: each item waits for a signal of its own.
#[tokio::test]
async fn items_of_a_for_each_wait_for_signals_that_their_data_names() {
    let server = serve().start();
    begin(&server, "case=signals-of-items", "Ada Bob", "r").await;
    until_waiting(&server, "r", 2).await;
    signal(&server, "r", "signed-by-Bob", "no").await.ok();
    signal(&server, "r", "signed-by-Ada", "yes").await.ok();
    assert_eq!(server.result_of("fixture", "r").await.ok(), "[Ada=yes, Bob=no]");
    let failure = server.result("fixture?case=signal-of-a-malformed-name", "hi").await.failed(500, "FF0275");
    assert!(failure.contains("signal name `not a name` is malformed"), "{failure}");
}

/// SIGNAL-6.
#[tokio::test]
async fn a_node_that_is_tried_again_keeps_its_signal() {
    let calls = Arc::new(AtomicUsize::new(0));
    let called = calls.clone();
    let router = Router::new().fallback(move |body: Bytes| async move {
        match called.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => (StatusCode::SERVICE_UNAVAILABLE, Bytes::from_static(b"busy")),
            _ => (StatusCode::OK, body),
        }
    });
    let url = double::serve(router).await;
    let server = serve().function("job", &url).start();
    begin(&server, "case=signal-and-call", "hi", "r").await;
    until_waiting(&server, "r", 1).await;
    signal(&server, "r", "approval", "yes").await.ok();
    assert_eq!(server.result_of("fixture", "r").await.ok(), "yes");
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

/// SIGNAL-7: the replica that waits is killed, and the signal comes to another one.
#[tokio::test]
async fn a_wait_outlives_the_replica_and_any_replica_takes_the_signal() {
    let redis = servers::redis(&["--appendonly", "yes", "--appendfsync", "always"]);
    let state = format!("redis://127.0.0.1:{}", redis.port());
    let folder = TempDir::new().unwrap();
    let start = || serve().with("--state", &state).with("--lease", "500ms").start_in(folder.path());
    let first = start();
    begin(&first, "case=signal", "hi", "lost").await;
    begin(&first, "case=signal", "hi", "elsewhere").await;
    let shown = |id: &str| run(folder.path(), ["requests", "show", id, "--json", "--state", &state]).json();
    for id in ["lost", "elsewhere"] {
        until("it waits", async || shown(id)["nodes"][0]["waits_for"].is_object()).await;
    }
    let second = start();
    let began = Instant::now();
    assert_eq!(signal(&second, "elsewhere", "approval", "yes").await.status, 200);
    assert_eq!(second.result_of("fixture", "elsewhere").await.ok(), "yes after last");
    assert!(began.elapsed() < Duration::from_secs(20));
    first.kill();
    assert_eq!(signal(&second, "lost", "approval", "yes").await.status, 200);
    assert_eq!(second.result_of("fixture", "lost").await.ok(), "yes after last");
}

/// What a flow mails: the address of a signal.
async fn address(server: &Server, mails: &Mutex<Vec<String>>, query: &str, id: &str) -> String {
    let known = mails.lock().unwrap().len();
    begin(server, &format!("case=signal-url&name=approval{query}"), "", id).await;
    until("the mail is sent", async || mails.lock().unwrap().len() > known).await;
    mails.lock().unwrap().last().unwrap().clone()
}

/// The answer to a request for an address, as a browser asks.
async fn page(server: &Server, request: reqwest::RequestBuilder) -> Answer {
    server.send(request.header("Accept", "text/html,application/xhtml+xml")).await
}

/// SIGNAL-8.
#[tokio::test]
async fn an_address_works_once_and_neither_forged_nor_after_it_has_expired() {
    let folder = secrets();
    let (mail, mails) = mailbox().await;
    let server = serve().function("mail", &mail).with("--secrets", "secrets").start_in(folder.path());
    let url = address(&server, &mails, "", "r").await;
    assert!(url.starts_with(&server.url("/function/fixture/flow/r/signal/approval?once=")), "{url}");
    assert!(url.contains("&signature=v2%3D"), "{url}");
    let client = &server.client;
    for (old, new) in
        [("expires=1", "expires=2"), ("/r/", "/other/"), ("once=", "once=0"), ("signature=v2%3D", "signature=v2%3D00")]
    {
        let forged = url.replacen(old, new, 1);
        assert_ne!(forged, url);
        let answer = server.send(client.post(&forged).body("no")).await;
        assert!(answer.code.as_deref() == Some("FF0502"), "{forged}: {answer:?}");
    }
    let unsigned = url.split("&signature").next().unwrap();
    server.send(client.post(unsigned)).await.failed(401, "FF0501");
    server.send(client.post(url.replacen("approval", "other", 1))).await.failed(401, "FF0502");
    // Looking at it does not use it.
    for _ in 0..2 {
        assert!(server.send(client.get(&url)).await.ok().contains("it works once"));
    }
    server.send(client.post(&url).body("yes")).await.ok();
    assert_eq!(server.result_of("fixture", "r").await.ok(), "yes");
    server.send(client.post(&url).body("again")).await.failed(410, "FF0273");
    server.send(client.get(&url)).await.failed(410, "FF0273");

    let expired = address(&server, &mails, "&ms=1", "late").await;
    server.send(client.post(&expired).body("late")).await.failed(410, "FF0274");
    let page = page(&server, client.get(&expired)).await;
    assert_eq!((page.status, page.header("content-type")), (410, vec!["text/html; charset=utf-8"]));
    for (query, why) in [("name=not+a+name", "malformed"), ("name=approval&ms=99999999999999", "is valid for 1 to")] {
        let message = server.result(&format!("fixture?case=signal-url&{query}"), "").await.failed(422, "FF0012");
        assert!(message.contains(why), "{message}");
    }
}

/// SIGNAL-8.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_approves_with_a_comment_in_a_browser() {
    let folder = secrets();
    let (mail, mails) = mailbox().await;
    let server = serve().function("mail", &mail).with("--secrets", "secrets").start_in(folder.path());
    let url = address(&server, &mails, "", "r").await;
    let browser = Browser::open(folder.path()).await;
    browser.go(&url).await;
    let shown = browser.script("return document.body.innerText").await;
    let shown = shown.as_str().unwrap();
    for text in ["fixture waits for your decision", "approval", "r\n", "Approve", "Reject", "works once"] {
        assert!(shown.contains(text), "{shown}");
    }
    browser.script("document.querySelector('textarea').value = '\"fine\" <b>by me</b>'").await;
    browser.click("button.approve").await;
    until("the page says thank you", async || {
        browser.script("return document.body.innerText").await.as_str().unwrap().contains("Thank you")
    })
    .await;
    let result: Value = serde_json::from_str(&server.result_of("fixture", "r").await.ok()).unwrap();
    assert_eq!(result, json!({ "decision": "approve", "comment": "\"fine\" <b>by me</b>" }));
    browser.go(&url).await;
    let again = browser.script("return document.body.innerText").await;
    assert!(again.as_str().unwrap().contains("This address was used before"), "{again}");
}

/// An operator sends the signal on the dashboard, while the page renews itself.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sends_a_signal_on_the_dashboard() {
    let server = serve().start();
    begin(&server, "case=signal", "hi", "r").await;
    until_waiting(&server, "r", 1).await;
    let folder = TempDir::new().unwrap();
    let browser = Browser::open(folder.path()).await;
    browser.go(&server.url("/dashboard/runs/r")).await;
    browser.script("document.querySelector('form.signal input[name=body]').value = '{\"ok\":true}'").await;
    browser.script("document.querySelector('form.signal input[name=reason]').value = 'the boss agrees'").await;
    browser.click("button.signal").await;
    assert_eq!(server.result_of("fixture", "r").await.ok(), "{\"ok\":true} after last");
    let audit = server.get("/dashboard/audit").await.ok();
    assert!(audit.contains("the boss agrees"), "{audit}");
}

/// SIGNAL-9. Where requests are signed, signals are signed for their run and name; and the operator's token will do.
#[tokio::test]
async fn where_requests_are_authenticated_signals_are_signed_or_have_the_token() {
    let folder = secrets();
    std::fs::write(folder.path().join("secrets/faasflow-admin-token"), "the token of the operator").unwrap();
    let server = serve().with("--secrets", "secrets").flag("--authenticate-requests").start_in(folder.path());
    let request = |path: &str, body: &'static str| {
        let signature = events::hub_signature(SECRET, body);
        server.request(path, body).header("X-Hub-Signature-256", signature)
    };
    for (id, signs) in [("signed", true), ("token", false)] {
        let began = request("/function/fixture?case=signal", "hi").header("X-Faas-Flow-Reqid", id);
        assert_eq!(server.send(began.header("X-Faas-Flow-Wait", "1ms")).await.status, 202);
        signal(&server, id, "approval", "yes").await.failed(401, "FF0501");
        let path = format!("/function/fixture/flow/{id}/signal/approval");
        // The signature of a body would be good for every run.
        server.send(request(&path, "yes")).await.failed(401, "FF0501");
        let now = events::now();
        let signed = |at: &str, of: &str, key, body: &'static str, time| {
            events::signed_send(server.request(at, body), SECRET, (of, key, "yes"), time)
        };
        for (of, key, body, time, code) in [
            (&*path.replace(id, "other"), "", "yes", now, "FF0502"),
            (&path.replace("approval", "other"), "", "yes", now, "FF0502"),
            (&path, "1", "yes", now, "FF0502"),
            (&path, "", "no", now, "FF0502"),
            (&path, "", "yes", now - 400_000, "FF0503"),
        ] {
            server.send(signed(&path, of, key, body, time)).await.failed(401, code);
        }
        if signs {
            let json = |answer: Answer| serde_json::from_str::<Value>(&answer.ok()).unwrap()["became"].clone();
            let sent = || signed(&path, &path, "", "yes", now).header("Accept", "application/json");
            assert_eq!(json(server.send(sent()).await), "taken");
            // Who has recorded it cannot send it again.
            assert_eq!(json(server.send(sent()).await), "repeated");
        } else {
            server.send(server.request(&path, "yes").bearer_auth("the token of the operator")).await.ok();
        }
        let shown = async || run(folder.path(), ["requests", "show", id, "--json"]).json()["status"] == "succeeded";
        until("it has succeeded", shown).await;
    }
}

/// SIGNAL-8: the flow's code has no say in it.
#[tokio::test]
async fn a_host_without_a_public_address_is_to_blame_and_says_so_whatever_the_flow_does() {
    let folder = TempDir::new().unwrap();
    let serve = Serve::replica("fixture").with("--state", "memory").with("--healthcheck-interval", "0");
    let server = serve.start_in(folder.path());
    for case in ["signal-url&name=approval", "signal-url-or-not"] {
        let request = server.request(&format!("/?case={case}"), "").header("X-Faas-Flow-Wait", "60s");
        let message = server.send(request).await.failed(500, "FF0276");
        assert!(message.contains("set its configuration key `public_url`"), "{case}: {message}");
    }
    let serve = Serve::replica("fixture").with("--state", "memory").with("--healthcheck-interval", "0");
    let server = serve.with("--public-url", "https://flows.example.org/").start_in(folder.path());
    let request = server.request("/?case=signal-url-or-not", "").header("X-Faas-Flow-Wait", "60s");
    let url = server.send(request).await.ok();
    assert!(url.starts_with("https://flows.example.org/function/fixture/flow/"), "{url}");
    for wrong in ["https://flows.example.org/#a", "https://flows.example.org/?a=b"] {
        let module = faas_flow_test_support::modules::module("fixture");
        let arguments = ["function", module.to_str().unwrap(), "--state", "memory", "--public-url", wrong];
        let refused = run(folder.path(), arguments);
        let says = "without a user name, a password, a query or a fragment";
        assert!(refused.code == Some(2) && refused.stderr.contains(says), "{refused:?}");
    }
}

#[tokio::test]
async fn who_sends_a_signal_reads_what_is_wrong_with_it() {
    let folder = TempDir::new().unwrap();
    let server = serve().start_in(folder.path());
    begin(&server, "case=signal", "hi", "r").await;
    let malformed = server.post("/function/fixture/flow/r/signal/%ff%fe", "").await;
    let message = malformed.failed(400, "FF0217");
    assert!(message.contains("signal name") && !message.contains("request id"), "{message}");
    let to = server.url("");
    let done = run(folder.path(), ["signal", "r", "aproval", "--json", "--to", &to]);
    assert_eq!(done.code, Some(1));
    let printed: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(printed["failure"]["code"], "FF0271", "{printed}");
    let message = printed["failure"]["message"].as_str().unwrap();
    assert!(message.contains("did you mean `approval`?") && !message.contains('{'), "{message}");
    done.failed("FF0271", &["did you mean `approval`?"]);
}
