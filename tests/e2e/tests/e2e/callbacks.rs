//! Callbacks: a caller who asks for it is notified of how the run ended.

use axum::http::{HeaderMap, StatusCode};
use faas_flow_e2e::command::{Done, run};
use faas_flow_e2e::events::callback_signature;
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_gateway::{Config, Gateway, Profile, Upstream};
use faas_flow_test_support::{double, servers};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;

const CHAIN: &str = "/function/async-chain";
const SECRET: &str = "the secret of these tests";

/// A call that a hook received, and when.
struct Call {
    at: Instant,
    headers: HeaderMap,
    body: String,
}

impl Call {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name} is missing in {:?}", self.headers)).to_str().unwrap()
    }
}

/// A receiver of callbacks.
struct Hook {
    port: u16,
    calls: Arc<Mutex<Vec<Call>>>,
}

/// A hook's answer to a call, given the number of earlier calls: a status, and a header.
type Answers = fn(usize) -> (u16, Option<(&'static str, &'static str)>);

const FINE: Answers = |_| (200, None);

impl Hook {
    async fn new(answers: Answers) -> Self {
        Self::at(0, answers).await
    }

    async fn at(port: u16, answers: Answers) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let noted = calls.clone();
        let router = axum::Router::new().fallback(move |headers: HeaderMap, body: String| async move {
            let mut calls = noted.lock().unwrap();
            let (status, header) = answers(calls.len());
            calls.push(Call { at: Instant::now(), headers, body });
            (StatusCode::from_u16(status).unwrap(), axum::response::AppendHeaders(header), "")
        });
        double::serve_on(listener, router);
        Self { port, calls }
    }

    fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

fn chain(port: u16) -> Serve {
    let serve = Serve::flows(&["async-chain"]).with("--callback-host", &format!("127.0.0.1:{port}"));
    let serve = serve.with("--lease", "900ms");
    ["func1", "func2", "fake-storage"].into_iter().fold(serve, |serve, name| serve.function(name, "echo"))
}

/// Begins a run with a callback to this port.
async fn begin(server: &Server, id: &str, port: u16) -> Answer {
    let url = format!("http://127.0.0.1:{port}/hook");
    let request = server.request(CHAIN, "hi").header("X-Faas-Flow-Reqid", id);
    let answer = server.send(request.header("X-Faas-Flow-Callback-Url", url)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer
}

/// Waits until one callback has been `delivered` or `failed`.
async fn ended(server: &Server, how: &str) {
    let line = format!("faas_flow_callbacks_total{{end=\"{how}\"}} 1");
    until(&line, async || server.get("/_/metrics").await.ok().contains(&line)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_to_allowed_hosts_only() {
    let server = chain(9).with("--callback-host", "hooks.example").start();
    let call = |url: &str| server.send(server.request(CHAIN, "hi").header("X-Faas-Flow-Callback-Url", url));
    for bad in ["nowhere", "ftp://hooks.example/", "http://127.0.0.1:1/", "http://u:p@hooks.example/"] {
        call(bad).await.failed(400, "FF0507");
    }
    assert_eq!(call("").await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_delivered_signed_and_counted() {
    let hook = Hook::new(FINE).await;
    let secrets = tempfile::tempdir().unwrap();
    std::fs::write(secrets.path().join("faasflow-hmac-secret"), SECRET).unwrap();
    let server = chain(hook.port).with("--secrets", secrets.path().to_str().unwrap()).start();
    let url = format!("http://127.0.0.1:{}/h", hook.port);
    let request = server.request(CHAIN, "hi").header("X-Faas-Flow-Reqid", "r");
    let accepted = request.header("X-Faas-Flow-Callback-Url", &url).send().await.unwrap();
    assert_eq!(accepted.headers()["x-faas-flow-callback-url"], url);
    ended(&server, "delivered").await;
    let calls = hook.calls();
    let [call] = &calls[..] else { panic!("{} calls", calls.len()) };
    assert_eq!((call.header("x-faas-flow-reqid"), call.header("x-faas-flow-status")), ("r", "succeeded"));
    assert_eq!(call.body, "you said \"hi\"");
    assert_eq!(call.header("x-hub-signature-256"), callback_signature(SECRET, &call.body));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_too() {
    let hook = Hook::new(FINE).await;
    let broken = Hook::new(|_| (400, None)).await;
    let server = chain(hook.port).function("func2", format!("http://127.0.0.1:{}", broken.port)).start();
    begin(&server, "r", hook.port).await;
    ended(&server, "delivered").await;
    let calls = hook.calls();
    assert_eq!((calls[0].header("x-faas-flow-status"), calls[0].header("x-faas-flow-error")), ("failed", "FF0207"));
    assert!(calls[0].body.starts_with("FF0207 at n2: "), "{}", calls[0].body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_gets_its_callback_later_with_the_same_key() {
    let port = servers::free_port();
    let server = chain(port).start();
    begin(&server, "r", port).await;
    let said = "callback failed; trying again";
    until(said, async || server.log().contains(said)).await;
    let hook = Hook::at(port, |call| if call == 0 { (503, None) } else { (200, None) }).await;
    ended(&server, "delivered").await;
    let keys: Vec<String> =
        hook.calls().iter().map(|call| call.header("x-faas-flow-idempotency-key").to_owned()).collect();
    assert_eq!(keys, ["r/callback", "r/callback"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_asks_for_time_with_retry_after_gets_it() {
    let hook = Hook::new(|call| if call == 0 { (503, Some(("retry-after", "6"))) } else { (204, None) }).await;
    let server = chain(hook.port).start();
    begin(&server, "r", hook.port).await;
    ended(&server, "delivered").await;
    let calls = hook.calls();
    assert_eq!(calls.len(), 2);
    // Without `Retry-After`, the second try would have come after at most four seconds.
    assert!(calls[1].at - calls[0].at >= Duration::from_secs(6), "{:?}", calls[1].at - calls[0].at);
}

/// `faas-flow requests callback r`
fn send_again(server: &Server) -> Done {
    run(server.folder(), ["requests", "callback", "r", "--to", &server.url(CHAIN)])
}

async fn keys_of(hook: &Hook, calls: usize) -> Vec<String> {
    until(&format!("{calls} calls"), async || hook.calls.lock().unwrap().len() >= calls).await;
    hook.calls.lock().unwrap().iter().map(|call| call.header("x-faas-flow-idempotency-key").to_owned()).collect()
}

/// BACK-7.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_sent_again_with_the_key_of_its_end() {
    let hook = Hook::new(|call| if call == 0 { (404, None) } else { (200, None) }).await;
    let server = chain(hook.port).start();
    begin(&server, "r", hook.port).await;
    ended(&server, "failed").await;
    is_shown_as_given_up(&server).await;
    assert_eq!(send_again(&server).ok(), "Sending the callback of request r again\n");
    ended(&server, "delivered").await;
    until("it is stored", async || server.shown("r")["callback"]["delivered"].is_u64()).await;
    send_again(&server).ok();
    assert_eq!(keys_of(&hook, 3).await, ["r/callback", "r/callback", "r/callback"]);
    let shown = async || server.shown("r")["callback"]["delivered"].is_u64();
    until("it is delivered again", shown).await;
    assert_eq!(server.shown("r")["callback"]["tries"], 3);

    run(server.folder(), ["requests", "rerun", "r", "--node", "n1", "--to", &server.url(CHAIN)]).ok();
    assert_eq!(keys_of(&hook, 4).await[3], "r/callback~2");
    until("it is delivered", shown).await;
    send_again(&server).ok();
    assert_eq!(keys_of(&hook, 5).await[4], "r/callback~2");
}

/// BACK-7.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_survives_a_kill() {
    let hook = Hook::new(|call| if call == 1 { (503, None) } else { (400, None) }).await;
    let folder = tempfile::tempdir().unwrap();
    let server = chain(hook.port).start_in(folder.path());
    begin(&server, "r", hook.port).await;
    ended(&server, "failed").await;
    let shown = || run(folder.path(), ["requests", "show", "r", "--json"]).json();
    until("it is stored", async || shown()["callback"]["failure"].is_object()).await;
    run(folder.path(), ["requests", "callback", "r", "--to", &server.url(CHAIN)]).ok();
    server.until_logged("callback failed; trying again").await;
    server.kill();
    let server = chain(hook.port).start_in(folder.path());
    assert_eq!(keys_of(&hook, 3).await, ["r/callback", "r/callback", "r/callback"]);
    ended(&server, "failed").await;
}

/// BACK-7.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_has_not_ended_or_has_no_callback_has_none_to_send_again() {
    let gate = double::serve(axum::Router::new().fallback(async || std::future::pending::<()>().await)).await;
    let server = chain(9).function("func2", gate).start();
    let path = |id: &str| format!("{CHAIN}/flow/{id}/callback");
    begin(&server, "r", 9).await;
    let said = server.post(&path("r"), "").await.failed(409, "FF0222");
    assert!(said.contains("has not ended"), "{said}");
    send_again(&server).failed("FF0222", &["has not ended"]);
    let request = server.request(CHAIN, "hi").header("X-Faas-Flow-Reqid", "quiet");
    server.send(request).await;
    server.post(&format!("{CHAIN}/flow/quiet/stop"), "").await.ok();
    let said = server.post(&path("quiet"), "").await.failed(409, "FF0222");
    assert!(said.contains("asked for none"), "{said}");
    server.post(&path("nobody"), "").await.failed(404, "FF0212");
    assert_eq!(server.get(&path("quiet")).await.status, 405);
}

/// A step function that answers once the gate is open.
async fn gated() -> (watch::Sender<bool>, String) {
    let gate = watch::channel(false).0;
    let opened = gate.clone();
    let answer = move |body: String| async move {
        opened.subscribe().wait_for(|open| *open).await.unwrap();
        ([("content-type", "text/csv")], body)
    };
    (gate, double::serve(axum::Router::new().fallback(answer)).await)
}

/// A call through the queue, whose answer is to be posted to the hook.
async fn enqueue(server: &Server, path: &str, port: u16, wait: Option<&str>) {
    let url = format!("http://127.0.0.1:{port}/hook/secret-token");
    let mut request = server.request(path, "hi").header("X-Callback-Url", url);
    if let Some(wait) = wait {
        request = request.header("X-Faas-Flow-Wait", wait);
    }
    let answer = server.send(request).await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

/// BACK-8.
#[tokio::test(flavor = "multi_thread")]
async fn the_callback_url_of_openfaas_gets_the_result_once() {
    let (gate, csv) = gated().await;
    gate.send_replace(true);
    let hook = Hook::new(FINE).await;
    // Nobody but the queue-worker posts, so the host need not be allowed.
    let server = chain(9).function("fake-storage", csv).start();
    enqueue(&server, "/async-function/async-chain", hook.port, None).await;
    until("it is posted", async || !hook.calls.lock().unwrap().is_empty()).await;
    let calls = hook.calls();
    let [call] = &calls[..] else { panic!("{} calls", calls.len()) };
    assert_eq!((call.header("x-function-status"), call.header("x-function-name")), ("200", "async-chain"));
    assert_eq!((call.header("x-faas-flow-state"), call.header("content-type")), ("succeeded", "text/csv"));
    assert_eq!(call.body, "you said \"hi\"");
    assert!(server.shown(call.header("x-faas-flow-reqid"))["callback"].is_null(), "the host posts nothing itself");
}

/// BACK-8.
#[tokio::test(flavor = "multi_thread")]
async fn the_callback_url_of_openfaas_gets_a_late_result_after_the_202_of_the_queue() {
    let hook = Hook::new(FINE).await;
    for allowed in [true, false] {
        let (gate, csv) = gated().await;
        let server = chain(if allowed { hook.port } else { 9 }).function("fake-storage", csv).start();
        enqueue(&server, "/async-function/async-chain", hook.port, Some("1ms")).await;
        until("the 202 is posted", async || !hook.calls.lock().unwrap().is_empty()).await;
        let accepted = hook.calls();
        assert_eq!(accepted[0].header("x-function-status"), "202");
        let id = accepted[0].header("x-faas-flow-reqid").to_owned();
        gate.send_replace(true);
        if allowed {
            ended(&server, "delivered").await;
            let calls = hook.calls();
            let [call] = &calls[..] else { panic!("{} calls", calls.len()) };
            assert_eq!((call.header("x-function-status"), call.header("x-function-name")), ("200", "async-chain"));
            assert_eq!((call.header("x-faas-flow-reqid"), call.header("content-type")), (&*id, "text/csv"));
            assert_eq!(call.body, "you said \"hi\"");
        } else {
            assert_eq!(server.result_of("async-chain", &id).await.ok(), "you said \"hi\"");
            server.until_logged("the result is not sent to X-Callback-Url").await;
            assert!(!server.log().contains("secret-token"), "{}", server.log());
            assert_eq!(hook.calls().len(), 0);
        }
    }
}

/// BACK-8.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_flow_answers_the_queue_with_its_result() {
    let hook = Hook::new(FINE).await;
    let gateway = Gateway::new(Config::new(Profile::Ce));
    let url = double::serve(gateway.router()).await;
    gateway.start();
    let steps = ["func1", "func2", "fake-storage"].into_iter();
    let serve = Serve::replica("async-chain").with("--gateway", &url).with("--state", "memory");
    let serve = serve.with("--callback-host", &format!("127.0.0.1:{}", hook.port));
    let (gate, step) = gated().await;
    let server = steps.fold(serve, |serve, name| serve.function(name, &step)).start();
    gateway.set("async-chain", Arc::new(Upstream::new([server.url("/").parse().unwrap()])));
    let call = async |wait: Option<&str>| {
        let to = format!("http://127.0.0.1:{}/hook", hook.port);
        let request = server.client.post(format!("{url}/async-function/async-chain")).body("hi");
        let request = wait.into_iter().fold(request, |request, wait| request.header("X-Faas-Flow-Wait", wait));
        assert_eq!(request.header("X-Callback-Url", to).send().await.unwrap().status(), 202);
    };
    let statuses = async |calls: usize| {
        until(&format!("{calls} calls"), async || hook.calls.lock().unwrap().len() >= calls).await;
        let of = |call: Call| (call.header("x-function-status").to_owned(), call.body);
        hook.calls().into_iter().map(of).collect::<Vec<_>>()
    };
    call(Some("1ms")).await;
    assert_eq!(statuses(1).await, [("202".to_owned(), String::new())]);
    gate.send_replace(true);
    assert_eq!(statuses(1).await, [("200".to_owned(), "you said \"hi\"".to_owned())]);
    call(None).await;
    assert_eq!(statuses(1).await, [("200".to_owned(), "you said \"hi\"".to_owned())]);
    gateway.idle().await;
    assert_eq!(hook.calls().len(), 0);
}

async fn is_shown_as_given_up(server: &Server) {
    // A replica counts the end of a callback before others can read it.
    until("it is stored", async || server.shown("r")["callback"]["failure"].is_object()).await;
    let request = server.client.get(server.url(&format!("{CHAIN}/flow/r/state"))).header("Accept", "application/json");
    let state: serde_json::Value = serde_json::from_str(&server.send(request).await.ok()).unwrap();
    assert_eq!((&state["callback"], &state["callback-tries"]), (&"given-up".into(), &1.into()), "{state}");
    assert!(state["callback-failure"]["code"].is_string(), "{state}");
    let text = run(server.folder(), ["requests", "show", "r"]).ok();
    let line = text.lines().find(|line| line.starts_with("callback ")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("/…: given up after 1 try: FF"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_wrong_again_is_given_up_at_once() {
    let home: Answers = |_| (307, Some(("location", "/hook")));
    let get: Answers = |_| (303, Some(("location", "/hook")));
    // A loop of redirects is followed ten times.
    let refusals: [(Answers, usize); 4] = [(|_| (400, None), 1), (|_| (410, None), 1), (get, 1), (home, 11)];
    for (refuses, calls) in refusals {
        let hook = Hook::new(refuses).await;
        let server = chain(hook.port).start();
        begin(&server, "r", hook.port).await;
        ended(&server, "failed").await;
        assert_eq!(hook.calls().len(), calls);
        assert_eq!(server.result_of("async-chain", "r").await.ok(), "you said \"hi\"");
        is_shown_as_given_up(&server).await;
    }
}
