//! Every way in which a flow can behave. The module `fixture` defines a different flow for each `?case=`.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::AppendHeaders;
use faas_flow_e2e::command::{Done, run, script};
use faas_flow_e2e::server::{Answer, Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn fixture() -> Server {
    Serve::flows(&["fixture"]).function("step", "echo").start()
}

/// A server that gives guest code little time.
fn hasty() -> Server {
    Serve::flows(&["fixture"]).function("step", "echo").with("--guest-timeout", "1s").start()
}

async fn answer(server: &Server, case: &str) -> Answer {
    server.result(&format!("fixture?case={case}"), "in").await
}

async fn gives(case: &str, result: &str) {
    assert_eq!(answer(&fixture(), case).await.ok(), result, "{case}");
}

/// The run must end with this code at this node, and its caller reads all of these parts.
async fn fails(server: &Server, case: &str, (status, code): (u16, &str), node: &str, says: &[&str]) {
    let answer = answer(server, case).await;
    let id = answer.id.clone().expect("a request id");
    let body = answer.failed(status, code);
    for part in says {
        assert!(body.contains(part), "{case}: `{body}` does not say `{part}`");
    }
    let shown = server.shown(&id);
    assert_eq!((shown["status"].as_str(), shown["failure"]["code"].as_str()), (Some("failed"), Some(code)), "{case}");
    let failed = shown["nodes"].as_array().unwrap().iter().find(|node| node["progress"] == "failed");
    assert_eq!(failed.expect("a node failed")["path"], node, "{case}");
}

/// A function at a URL. Its answer depends on the number of earlier calls.
struct Step {
    url: String,
    calls: Arc<AtomicUsize>,
    /// The idempotency keys of the calls.
    seen: Arc<std::sync::Mutex<Vec<String>>>,
    /// The bodies of the calls.
    bodies: Arc<std::sync::Mutex<Vec<String>>>,
}

/// An answer that comes with `Retry-After: 2`.
const LATER: &str = "later";

async fn step(answer: fn(usize) -> (u16, &'static str)) -> Step {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let counter = calls.clone();
    let (keys, bodies) = (seen.clone(), Arc::new(std::sync::Mutex::new(Vec::new())));
    let said = bodies.clone();
    let router = Router::new().fallback(move |headers: HeaderMap, body: String| async move {
        let header = |name| headers.get(name).unwrap().to_str().unwrap().to_owned();
        let key = header("x-faas-flow-idempotency-key");
        assert!(key.starts_with(&format!("{}/", header("x-faas-flow-reqid"))), "{key}");
        keys.lock().unwrap().push(key);
        said.lock().unwrap().push(body);
        let (status, body) = answer(counter.fetch_add(1, Ordering::SeqCst));
        let later = (body == LATER).then_some(("retry-after", "2"));
        (StatusCode::from_u16(status).unwrap(), AppendHeaders(later), body)
    });
    let url = double::serve(router).await;
    Step { url, calls, seen, bodies }
}

fn with(step: &Step) -> Server {
    Serve::flows(&["fixture"]).function("step", &step.url).start()
}

#[tokio::test]
async fn a_wrong_choice_of_branches_fails_the_run() {
    let server = fixture();
    fails(&server, "unknown-branch", (500, "FF0201"), "C", &["C/condition", "nowhere", "a, b"]).await;
    fails(&server, "no-branch", (500, "FF0202"), "C", &["C/condition"]).await;
    fails(&server, "branch-twice", (500, "FF0203"), "C", &["C/condition", "`a`"]).await;
}

#[tokio::test]
async fn a_condition_yields_what_its_branches_yield() {
    gives("one-branch", "in b").await;
    gives("reversed-branches", "[b=in b, a=in a]").await;
}

#[tokio::test]
async fn items_are_merged_in_their_order_however_many_run_at_a_time() {
    for case in ["items", "items-two-at-a-time"] {
        gives(case, "[0=i, 1=n] after").await;
        let server = fixture();
        let body: String = ('a'..='z').collect();
        let expected: Vec<String> = body.chars().enumerate().map(|(index, item)| format!("{index}={item}")).collect();
        let result = server.result(&format!("fixture?case={case}"), body).await.ok();
        assert_eq!(result, format!("[{}] after", expected.join(", ")), "{case}");
    }
}

#[tokio::test]
async fn a_for_each_over_nothing_aggregates_nothing_and_goes_on() {
    assert_eq!(fixture().result("fixture?case=items", "").await.ok(), " after");
}

/// The ids that the SDK derives from them, the documents, files and keys of calls stay within their limits.
#[tokio::test(flavor = "multi_thread")]
async fn names_may_be_as_long_as_they_are_allowed_to_be() {
    let (node, key) = ("n".repeat(64), "\u{fc}".repeat(64));
    let keys: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = keys.clone();
    let step = async move |headers: HeaderMap, body: Bytes| {
        noted.lock().unwrap().push(headers["x-faas-flow-idempotency-key"].to_str().unwrap().to_owned());
        body
    };
    let step = double::serve(Router::new().fallback(step)).await;
    let server = Serve::flows(&["fixture"]).function("step", step).start();
    // A payload of its own, in a file.
    let (id, data) = ("r".repeat(64), "x".repeat(100_000));
    let request = server.request("/function/fixture?case=longest-names", data.clone()).header("X-Faas-Flow-Reqid", &id);
    let expected = format!("[{key}=[{key}={data} last]]");
    assert_eq!(server.send(request.header("X-Faas-Flow-Wait", "60s")).await.ok(), expected);

    let branch = format!("{node}[{}]", "%C3%BC".repeat(64));
    let path = format!("{branch}/{branch}/{node}");
    let shown = server.shown(&id);
    assert!(shown["nodes"].as_array().unwrap().iter().any(|node| node["path"] == path.as_str()), "{shown}");
    let to = server.url("/function/fixture");
    run(server.folder(), ["requests", "rerun", &id, "--node", &path, "--to", &to]).ok();
    until("it is called again", async || keys.lock().unwrap().len() == 2).await;
    assert_eq!(server.result_of("fixture", &id).await.ok(), expected);
    assert_eq!(keys.lock().unwrap()[0], format!("{id}/{path}/0"));
}

#[tokio::test]
async fn branches_that_carry_nothing_start_empty_and_drop_their_results() {
    let step = step(|_| (200, "dropped")).await;
    assert_eq!(answer(&with(&step), "items-carry-nothing").await.ok(), "[0=, 1=] after");
    assert_eq!(step.calls.load(Ordering::SeqCst), 2);
    gives("branches-carry-nothing", "[a=, b=]").await;
}

/// EACH-1.
#[tokio::test]
async fn keys_of_items_are_unique_and_well_formed() {
    let server = fixture();
    let twice = server.result("fixture?case=duplicate-key", "abca").await.failed(500, "FF0203");
    assert!(twice.contains("F/for-each") && twice.contains("`a`"), "{twice}");
    let empty = server.result("fixture?case=empty-key", "a").await.failed(500, "FF0118");
    assert!(empty.contains("F/for-each"), "{empty}");
}

/// EACH-5.
#[tokio::test]
async fn a_for_each_over_too_much_is_refused() {
    let server = fixture();
    let answer = server.result("fixture?case=items", "x".repeat(100_001)).await.failed(500, "FF0221");
    assert!(answer.contains("100001") && answer.contains("F/for-each"), "{answer}");
}

#[tokio::test]
async fn no_more_branches_run_than_allowed() {
    let folder = TempDir::new().unwrap();
    // Each call leaves a mark while it runs, and answers with the number of marks that it saw.
    let marks = "mkdir -p marks; touch marks/$$; sleep 0.05; ls marks | wc -l; rm marks/$$; cat > /dev/null";
    let body = format!("cd '{}'; {marks}", folder.path().display());
    let server = Serve::flows(&["fixture"]).function("step", script(folder.path(), "step.sh", &body)).start();
    let result = server.result("fixture?case=items-two-at-a-time", "abcdefgh").await.ok();
    let seen: Vec<u32> =
        result.split('=').skip(1).map(|part| part.split_whitespace().next().unwrap().parse().unwrap()).collect();
    assert_eq!(seen.len(), 8, "{result}");
    assert!(seen.iter().all(|running| (1..=2).contains(running)), "{result}");
}

/// CALL-5, FAIL-1.
#[tokio::test]
async fn a_call_is_tried_again_with_the_same_key() {
    let step = step(|calls| if calls < 2 { (503, "busy") } else { (200, "at last") }).await;
    assert_eq!(answer(&with(&step), "retried-call").await.ok(), "at last");
    let keys = step.seen.lock().unwrap().clone();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0] && key.ends_with("/n/0")), "{keys:?}");
}

/// FAIL-1.
#[tokio::test]
async fn a_call_is_tried_again_on_the_statuses_that_its_flow_names() {
    let missing = step(|call| if call == 0 { (404, "not yet") } else { (200, "there") }).await;
    assert_eq!(answer(&with(&missing), "call-retried-on-404").await.ok(), "there");
    let busy = step(|_| (503, "busy")).await;
    fails(&with(&busy), "call-retried-on-404", (502, "FF0207"), "n", &["503", "busy"]).await;
    assert_eq!(busy.calls.load(Ordering::SeqCst), 1);
}

/// WAIT-1, CALL-5, FAIL-7.
#[tokio::test]
async fn a_long_wait_is_stored_and_outlives_the_server() {
    let step = step(|call| if call == 0 { (503, LATER) } else { (200, "at last") }).await;
    let folder = TempDir::new().unwrap();
    let serve = || {
        let serve = Serve::flows(&["fixture"]).function("step", &step.url);
        serve.with("--lease", "500ms").with("--longest-sleep", "0").start_in(folder.path())
    };
    let shown = || run(folder.path(), ["requests", "show", "waits", "--json"]).json();
    let server = serve();
    let began = Instant::now();
    let request = server.request("/function/fixture?case=retried-call-in-a-node", "in");
    let accepted = server.send(request.header("X-Faas-Flow-Reqid", "waits").header("X-Faas-Flow-Wait", "1ms")).await;
    assert_eq!(accepted.status, 202);
    let waits = async || step.calls.load(Ordering::SeqCst) > 0 && !shown()["nodes"][0]["waits_until"].is_null();
    until("the node waits", waits).await;
    server.kill();
    let server = serve();
    assert_eq!(server.result_of("fixture", "waits").await.ok(), "at last done");
    assert!(began.elapsed() >= Duration::from_secs(2), "the step function asked for two seconds");
    let keys = step.seen.lock().unwrap().clone();
    assert_eq!(keys, ["waits/n/1", "waits/n/1"], "one operation, one key");
    // One attempt, which the wait is a part of, with two tries of its call.
    let node = &shown()["nodes"][0];
    let (attempts, tries) = (&node["attempts"], &node["tries"]["kept"]);
    assert_eq!((attempts.as_array().unwrap().len(), &attempts[0]["failure"]), (1, &Value::Null));
    let took = attempts[0]["ended"].as_u64().unwrap() - attempts[0]["started"].as_u64().unwrap();
    assert!(took >= 2_000, "the attempt took {took} ms");
    assert_eq!((&tries[0]["status"], &tries[0]["failure"]["code"]), (&503.into(), &"FF0207".into()));
    assert_eq!((&tries[1]["number"], &tries[1]["status"]), (&2.into(), &200.into()));
    assert!(tries[0]["next"].as_u64() <= tries[1]["started"].as_u64(), "{tries}");
}

/// HIST-7, HIST-8: while a call waits for its next try, its run shows what failed and when the next try is due.
#[tokio::test]
async fn tries_are_shown_while_a_call_waits_for_the_next_one() {
    static MENDED: AtomicBool = AtomicBool::new(false);
    let step = step(|_| if MENDED.load(Ordering::SeqCst) { (200, "at last") } else { (503, "busy") }).await;
    let server = with(&step);
    let id = server.post("/async-function/fixture?case=patient-call", "in").await.id.expect("a request id");
    // The queue may begin the run a little later.
    let json = async |path: String| -> Value {
        let asked = server.client.get(server.url(&path)).header("Accept", "application/json");
        serde_json::from_str(&server.send(asked).await.body).unwrap()
    };
    let mut state = Value::Null;
    until("the state says that the call is tried again", async || {
        state = json(format!("/function/fixture/flow/{id}/state")).await;
        !state["retrying"].is_null()
    })
    .await;
    let retrying = &state["retrying"][0];
    let said = ["node", "operation", "of", "status"].map(|member| retrying[member].clone());
    assert_eq!(Value::from(said.to_vec()), json!(["n", 0, 50, 503]), "{state}");
    assert_eq!(retrying["failure"]["code"], "FF0207");
    assert!(retrying["try"].as_u64() >= Some(1) && retrying["next"].as_u64() > retrying["failed"].as_u64(), "{state}");
    let text = run(server.folder(), ["requests", "show", &id]).ok();
    assert!(text.contains(" of 50 of operation 0, ") && text.contains("status 503: FF0207"), "{text}");
    assert!(text.contains("; next try 20"), "{text}");
    let page = server.client.get(server.url(&format!("/dashboard/runs/{id}"))).header("Accept", "text/html");
    let page = server.send(page).await.ok();
    assert!(page.contains(" of 50 of operation 0, ") && page.contains("; next try 20"), "{page}");
    MENDED.store(true, Ordering::SeqCst);
    assert_eq!(server.result_of("fixture", &id).await.ok(), "at last");
    let node = server.shown(&id)["nodes"][0].clone();
    let tries = node["tries"]["kept"].as_array().unwrap();
    assert_eq!(tries.last().unwrap()["status"], 200);
    assert_eq!(node["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(json(format!("/function/fixture/flow/{id}/state")).await["retrying"], Value::Null);
}

/// HIST-6, HIST-7, HIST-9.
#[tokio::test]
async fn the_history_says_what_a_recover_handler_recovered_and_which_policy_ran_out() {
    let step = step(|_| (503, "busy")).await;
    let server = with(&step);
    let recovered = answer(&server, "recovered-call").await;
    let id = recovered.id.clone().unwrap();
    let ran_out = "(the retry policy of the call ran out after 3 tries)";
    assert!(recovered.ok().ends_with(ran_out), "the handler gets to know it");
    let text = run(server.folder(), ["requests", "show", &id]).ok();
    let line = text.lines().find(|line| line.starts_with("n ")).unwrap();
    assert_eq!(line.split_whitespace().nth(4), Some("3"), "{text}");
    assert!(text.contains(&format!("{ran_out}; recovered")), "{text}");
    let tries = server.shown(&id)["nodes"][0]["tries"]["kept"].clone();
    assert_eq!((&tries[2]["recovered"], &tries[2]["failure"]["exhausted"]["policy"]), (&true.into(), &"call".into()));
    let page = server.client.get(server.url(&format!("/dashboard/runs/{id}"))).header("Accept", "text/html");
    assert!(server.send(page).await.ok().contains("; recovered"));
    // A node with a policy of its own is attempted as often as that says.
    let failed = answer(&server, "retried-node").await;
    let id = failed.id.clone().unwrap();
    let said = failed.failed(502, "FF0207");
    assert!(said.contains("the retry policy of the node ran out after 3 attempts"), "{said}");
    let state = server.client.get(server.url(&format!("/function/fixture/flow/{id}/state")));
    let state: Value =
        serde_json::from_str(&server.send(state.header("Accept", "application/json")).await.ok()).unwrap();
    assert_eq!(state["failure"]["exhausted"], json!({ "policy": "node", "tries": 3 }));
    assert_eq!(server.shown(&id)["nodes"][0]["attempts"].as_array().unwrap().len(), 3);
}

/// FAIL-3.
#[tokio::test]
async fn a_node_is_tried_again_and_its_history_says_so() {
    let step = step(|calls| if calls < 2 { (503, "busy") } else { (200, "at last") }).await;
    let server = with(&step);
    let answer = answer(&server, "retried-node").await;
    let id = answer.id.clone().unwrap();
    assert_eq!(answer.ok(), "at last");
    let shown = server.shown(&id);
    let attempts = shown["nodes"][0]["attempts"].as_array().unwrap();
    let codes: Vec<_> = attempts.iter().map(|attempt| attempt["failure"]["code"].as_str()).collect();
    assert_eq!(codes, [Some("FF0207"), Some("FF0207"), None]);
    assert_eq!(*step.bodies.lock().unwrap(), ["in once"; 3], "each attempt begins with the first operation");
}

/// FAIL-1.
#[tokio::test]
async fn tries_end_and_what_cannot_pass_is_not_tried_again() {
    let busy = step(|_| (503, "busy")).await;
    fails(&with(&busy), "retried-call", (502, "FF0207"), "n", &["503", "busy"]).await;
    assert_eq!(busy.calls.load(Ordering::SeqCst), 3);
    let wrong = step(|_| (404, "no such thing")).await;
    fails(&with(&wrong), "retried-call", (502, "FF0207"), "n", &["404", "no such thing"]).await;
    assert_eq!(wrong.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_run_pauses_where_its_flow_says_so() {
    let busy = step(|_| (503, "busy")).await;
    let server = with(&busy);
    let paused = answer(&server, "paused").await;
    assert_eq!((paused.status, busy.calls.load(Ordering::SeqCst)), (202, 3));
    let id = paused.id.unwrap();
    assert_eq!(server.get(&format!("/function/fixture/flow/{id}/state")).await.ok(), "PAUSED");
    let list = run(server.folder(), ["requests", "list", "--status", "paused", "--json"]).json();
    assert_eq!(list[0]["request_id"], id.as_str());
}

/// CALL-5: not even a re-run with the same input changes the key.
#[tokio::test]
async fn a_run_that_paused_itself_is_resumed_or_run_again() {
    let step = step(|call| if call % 4 < 3 { (503, "busy") } else { (200, "at last") }).await;
    let server = with(&step);
    let ways = ["resume", "rerun?node=n"];
    for (way, number) in ways.into_iter().zip(1..) {
        let paused = answer(&server, "paused").await;
        assert_eq!((paused.status, step.calls.load(Ordering::SeqCst)), (202, 4 * number - 1), "{way}");
        let id = paused.id.unwrap();
        server.post(&format!("/function/fixture/flow/{id}/{way}"), "").await.ok();
        let ended = server.client.get(server.url(&format!("/function/fixture/flow/{id}/result")));
        assert_eq!(server.send(ended.header("X-Faas-Flow-Wait", "60s")).await.ok(), "at last", "{way}");
        assert_eq!(step.calls.load(Ordering::SeqCst), 4 * number, "{way}");
        let keys = step.seen.lock().unwrap().split_off(0);
        assert!(keys.iter().all(|key| *key == format!("{id}/n/0")), "{way}: {keys:?}");
    }
}

/// Begins a run of one item per letter, under the id `r`.
async fn begin_items(server: &Server, letters: &'static str) -> Answer {
    let begin = server.request("/function/fixture?case=items", letters).header("X-Faas-Flow-Reqid", "r");
    server.send(begin.header("X-Faas-Flow-Wait", "60s")).await
}

/// Runs something of the run `r` again, from the command line.
fn rerun(server: &Server, options: &[&str]) -> Done {
    let address = server.url("");
    let to = ["requests", "rerun", "r", "--to", address.trim_end_matches('/')];
    run(server.folder(), to.iter().chain(options))
}

/// RERUN-4, RERUN-6.
#[tokio::test(flavor = "multi_thread")]
async fn one_item_of_a_finished_for_each_is_run_again_with_another_input() {
    let server = fixture();
    assert_eq!(begin_items(&server, "abc").await.ok(), "[0=a, 1=b, 2=c] after");
    rerun(&server, &["--node", "F[1]/n", "--data", "B"]).ok();
    assert_eq!(server.result_of("fixture", "r").await.ok(), "[0=a, 1=B, 2=c] after");
    // A path as it is shown, and what was replaced before stays so.
    server.post("/function/fixture/flow/r/rerun?node=F[2]/n", "C").await.ok();
    assert_eq!(server.result_of("fixture", "r").await.ok(), "[0=a, 1=B, 2=C] after");
    rerun(&server, &["--node", "F[7]/n"]).failed("FF0222", &["there is no node `F[7]/n`", "F[0]/n"]);
    rerun(&server, &[]).failed("FF0222", &["nothing of the run failed"]);
}

/// RERUN-7, CALL-5.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_from_what_failed_with_the_keys_of_before() {
    let step = step(|call| if call == 1 { (500, "out of order") } else { (200, "done") }).await;
    let server = with(&step);
    begin_items(&server, "a").await.ok();
    rerun(&server, &["--node", "F[0]/n"]).ok();
    server.result_of("fixture", "r").await.failed(502, "FF0207");
    rerun(&server, &[]).ok();
    assert_eq!(server.result_of("fixture", "r").await.ok(), "[0=done] after");
    assert_eq!(*step.seen.lock().unwrap(), ["r/F[0]/n/0"; 3]);
}

/// VAL-3.
#[tokio::test]
async fn what_a_failed_attempt_has_set_is_gone_in_the_next_one() {
    let step = step(|calls| if calls < 2 { (503, "busy") } else { (200, "at last") }).await;
    assert_eq!(answer(&with(&step), "values-of-attempts").await.ok(), "at last");
    assert_eq!(*step.bodies.lock().unwrap(), ["nothing was set before"; 3]);
}

/// FAIL-7.
#[tokio::test]
async fn a_node_is_tried_again_when_the_callee_wants_it() {
    let step = step(|call| if call == 0 { (503, LATER) } else { (200, "at last") }).await;
    let began = Instant::now();
    assert_eq!(answer(&with(&step), "retried-node").await.ok(), "at last");
    assert!(began.elapsed() >= Duration::from_secs(2), "the step function asked for two seconds");
    assert_eq!(step.calls.load(Ordering::SeqCst), 2);
}

/// FAIL-2.
#[tokio::test]
async fn a_recover_handler_goes_on_with_other_data() {
    let busy = step(|_| (503, "busy")).await;
    let result = answer(&with(&busy), "recovered-call").await.ok();
    assert!(result.starts_with("instead of: FF0207") && result.contains("busy"), "{result}");
    assert_eq!(busy.calls.load(Ordering::SeqCst), 3);
    // It is called for failures that are not retried, too, and may fail in another way.
    let wrong = step(|_| (404, "no such thing")).await;
    let result = answer(&with(&wrong), "recovered-call").await.ok();
    assert!(result.starts_with("instead of: FF0207") && result.contains("no such thing"), "{result}");
    assert_eq!(wrong.calls.load(Ordering::SeqCst), 1);
    fails(&with(&wrong), "call-failed-otherwise", (500, "FF0012"), "n", &["even worse"]).await;
}

/// CALL-2.
#[tokio::test]
async fn a_receive_handler_sees_responses_of_any_status() {
    let teapot = step(|_| (418, "short and stout")).await;
    assert_eq!(answer(&with(&teapot), "received-call").await.ok(), "418: short and stout");
}

/// CALL-2, CALL-3: what a `receive` handler makes of a response decides on another try, and each try is prepared.
#[tokio::test]
async fn a_receive_handler_says_whether_to_try_again_and_each_try_is_prepared_once() {
    let slow = step(|calls| if calls == 0 { (202, "not yet") } else { (503, "busy") }).await;
    assert_eq!(answer(&with(&slow), "received-again").await.ok(), "503: busy");
    assert_eq!(*slow.bodies.lock().unwrap(), ["in prepared"; 2]);
}

/// CALL-8.
#[tokio::test]
async fn a_function_leads_to_no_other_server() {
    let elsewhere = step(|_| (200, "from elsewhere")).await;
    let url = elsewhere.url.clone();
    let moved = Router::new().fallback(move || async move { (StatusCode::FOUND, [("location", url)], "moved") });
    let server = Serve::flows(&["fixture"]).function("step", double::serve(moved).await).start();
    fails(&server, "call", (502, "FF0240"), "n", &["302", &elsewhere.url]).await;
    assert_eq!(elsewhere.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_failure_in_a_chain_ends_it() {
    let wrong = step(|_| (400, "no")).await;
    fails(&with(&wrong), "call-in-a-chain", (502, "FF0207"), "n", &["`step`"]).await;
    let none = Serve::flows(&["fixture"]).start();
    fails(&none, "call-in-a-chain", (502, "FF0205"), "n", &["`step`"]).await;
}

/// FAIL-9: the lease has no say in it, and neither has a pause.
#[tokio::test]
async fn a_run_fails_at_its_deadline_and_not_at_the_next_look() {
    let folder = TempDir::new().unwrap();
    let server = Serve::flows(&["fixture"]).with("--lease", "10m");
    let server = server
        .function("step", script(folder.path(), "long.sh", "exec sleep 30"))
        .function("slow", script(folder.path(), "slow.sh", "sleep 0.5"))
        .start();
    // Alone, in a row, and after it was paused.
    answer(&server, "deadline").await.failed(504, "FF0210");
    answer(&server, "deadline-in-a-row").await.failed(504, "FF0210");
    let path = "/function/fixture?case=deadline-in-a-row";
    server.send(server.request(path, "in").header("X-Faas-Flow-Reqid", "paused")).await;
    server.post("/function/fixture/flow/paused/pause", "").await.ok();
    server.result_of("fixture", "paused").await.failed(504, "FF0210");
    let shown = server.shown("paused");
    let (began, ended) = (shown["started"].as_u64().unwrap(), shown["ended"].as_u64().unwrap());
    assert!((1_500..11_500).contains(&(ended - began)), "it ended after {} ms", ended - began);
    server.post("/function/fixture/flow/paused/resume", "").await.failed(409, "FF0222");
}

/// CALL-4, FAIL-8, FAIL-9.
#[tokio::test]
async fn times_are_kept() {
    let folder = TempDir::new().unwrap();
    let server = Serve::flows(&["fixture"]);
    let server = server.function("step", script(folder.path(), "slow.sh", "exec sleep 30")).start();
    fails(&server, "slow-call", (504, "FF0206"), "n", &["`step`", "50 ms"]).await;
    fails(&server, "slow-node", (504, "FF0209"), "n", &["50 ms"]).await;
    answer(&server, "deadline").await.failed(504, "FF0210");
    // A call without a limit of its own has the one of the server. A node that was too slow is attempted again.
    let server = Serve::flows(&["fixture"]).with("--call-timeout", "60ms");
    let server = server.function("step", script(folder.path(), "slow.sh", "exec sleep 30")).start();
    fails(&server, "call", (504, "FF0206"), "n", &["`step`", "60 ms"]).await;
    let slow = answer(&server, "slow-node-twice").await;
    let id = slow.id.clone().unwrap();
    slow.failed(504, "FF0209");
    assert_eq!(server.shown(&id)["nodes"][0]["attempts"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_url_that_a_request_names_is_called() {
    let step = step(|_| (200, "from afar")).await;
    let server = fixture();
    assert_eq!(answer(&server, &format!("request&url={}/x", step.url)).await.ok(), "from afar");
    // A definition that depends on the request is checked for each request.
    let refused = answer(&server, "request&url=ftp://host/").await;
    assert!(refused.failed(500, "FF0115").contains("ftp://host/"));
}

#[tokio::test]
async fn a_flows_code_says_whether_to_try_again() {
    let server = fixture();
    fails(&server, "reject", (422, "FF0012"), "n", &["not this"]).await;
    let answer = answer(&server, "retry").await;
    let id = answer.id.clone().unwrap();
    assert!(answer.failed(500, "FF0013").contains("not now"));
    let shown = server.shown(&id);
    let nodes = shown["nodes"].as_array().unwrap();
    assert_eq!(nodes[0]["attempts"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_flows_code_that_runs_wild_harms_only_its_run() {
    let server = fixture();
    fails(&server, "trap", (500, "FF0006"), "n", &[]).await;
    let recovered = answer(&server, "recovered-crash").await.ok();
    assert!(recovered.starts_with("instead of: FF0006") && !recovered.contains("earlier call"), "{recovered}");
    fails(&hasty(), "endless", (500, "FF0007"), "n", &[]).await;
    fails(&server, "greedy", (500, "FF0008"), "n", &[]).await;
    assert_eq!(answer(&server, "call").await.ok(), "in");
}

#[tokio::test]
async fn handlers_of_every_kind_are_held_to_the_limits() {
    let calm = fixture();
    let hasty = hasty();
    let ways = [("traps", "FF0006", &calm), ("loops", "FF0007", &hasty), ("grows", "FF0008", &calm)];
    for kind in ["modify", "aggregate", "condition", "for-each", "forward", "prepare", "receive", "recover"] {
        for (way, code, server) in ways {
            fails(server, &format!("{kind}-that-{way}"), (500, code), "n", &[]).await;
        }
    }
    for (way, code, server) in ways {
        let case = format!("define-that-{way}");
        let answer = answer(server, &case).await;
        assert_eq!((answer.status, answer.code.as_deref()), (500, Some(code)), "{case}: {answer:?}");
        // A handler that runs at the end of a run does not change how the run ended.
        let said = self::answer(server, &format!("failure-that-{way}")).await.failed(422, "FF0012");
        assert!(said.contains("no good"), "{said}");
        assert_eq!(self::answer(server, &format!("finally-that-{way}")).await.ok(), "in n");
    }
    for server in [&calm, &hasty] {
        assert_eq!(answer(server, "call").await.ok(), "in", "the host goes on");
    }
}

#[tokio::test]
async fn a_flow_sees_how_its_run_is_doing() {
    let server = fixture();
    let said = server.result("fixture?case=states", "fail").await.failed(422, "FF0012");
    assert!(said.starts_with("the failure handler saw Failed"), "{said}");
    assert_eq!(server.result("fixture?case=states", "fine").await.ok(), "fine");
    // The log arrives by another way than the answer, so it may come later.
    until("both runs have ended", async || server.log().matches("the finally handler saw").count() == 2).await;
    let log = server.log();
    assert_eq!(log.matches("the node saw Running").count(), 2, "{log}");
    for ended in ["Failed", "Succeeded"] {
        assert_eq!(log.matches(&format!("the finally handler saw {ended}")).count(), 1, "{log}");
    }
}

/// A step function that creates the file `begun`, and answers once there is a file `gate`.
fn gated(folder: &Path) -> PathBuf {
    let wait = "until [ -e gate ]; do [ -e begun ] || exit 1; sleep 0.02; done";
    script(folder, "gated.sh", &format!("cd '{}'; touch begun; {wait}; cat", folder.display()))
}

#[tokio::test]
async fn instances_that_are_idle_make_room() {
    let folder = TempDir::new().unwrap();
    let server = Serve::flows(&["async-chain", "greet"]).with("--guest-instances", "1");
    let server = server.function("func1", "echo").function("func2", "echo");
    // The second node leaves its instance for the next one to use, and the last node waits for the gate.
    let server = server.function("fake-storage", gated(folder.path())).start();
    let id = server.post("/function/async-chain", "hi").await.id.expect("a request id");
    until("the last node began", async || folder.path().join("begun").exists()).await;
    assert_eq!(server.result("greet", "Ada").await.ok(), "Hello, Ada!");
    std::fs::write(folder.path().join("gate"), "").unwrap();
    assert_eq!(server.result_of("async-chain", &id).await.ok(), "you said \"hi\"");
}

#[tokio::test]
async fn a_call_that_is_under_way_keeps_no_instance() {
    let folder = TempDir::new().unwrap();
    let server = Serve::flows(&["fixture", "greet"]).with("--guest-instances", "1");
    let server = server.function("step", gated(folder.path())).start();
    // The node runs guest code before the call and after it.
    let id = server.post("/async-function/fixture?case=retried-call-in-a-node", "hi").await.id.expect("a request id");
    until("the call began", async || folder.path().join("begun").exists()).await;
    assert_eq!(server.result("greet", "Ada").await.ok(), "Hello, Ada!");
    std::fs::write(folder.path().join("gate"), "").unwrap();
    assert_eq!(server.result_of("fixture", &id).await.ok(), "hi once done");
}

#[tokio::test]
async fn a_node_waits_for_instances_that_are_at_work_and_a_new_run_not_for_ever() {
    let server = Serve::flows(&["fixture", "greet"]).with("--guest-instances", "1").with("--room-wait", "1ms");
    let server = server.with("--guest-timeout", "5s").start();
    let busy = server.post("/async-function/fixture?case=modify-that-loops", "hi").await.id.expect("a request id");
    until("the loop began", async || server.shown(&busy)["nodes"][0]["progress"] == "running").await;
    let refused = server.post("/function/fixture?case=one-branch", "hi").await.failed(503, "FF0018");
    assert!(refused.contains("the limit is 1"), "{refused}");
    let greeted = server.post("/async-function/greet", "Ada").await.id.expect("a request id");
    server.result_of("fixture", &busy).await.failed(500, "FF0007");
    assert_eq!(server.result_of("greet", &greeted).await.ok(), "Hello, Ada!");
    assert_eq!(server.shown(&greeted)["nodes"][0]["attempts"].as_array().unwrap().len(), 1, "waiting is no try");
}

#[tokio::test]
async fn branches_side_by_side_need_no_more_instances_than_there_are() {
    let server = Serve::flows(&["conditional-branching"]).with("--guest-instances", "2");
    let server = ["func1", "func2", "fake-storage"].iter().fold(server, |server, name| server.function(name, "echo"));
    let server = server.start();
    let mut runs = Vec::new();
    for n in 0..20 {
        runs.push(server.post("/function/conditional-branching", n.to_string()).await.id.expect("a request id"));
    }
    for (n, id) in runs.iter().enumerate() {
        let x = format!("[f1={n} n1 F/n1, f2={n} n1 F/n1]");
        let result = server.result_of("conditional-branching", id).await.ok();
        assert_eq!(result, format!("[c1=[x2={x} x2/n2, x3={x}], c2={n} n1 c2/n1]"));
    }
}

#[tokio::test]
async fn a_failed_run_answers_what_its_flow_says_and_cleans_up_once() {
    let server = fixture();
    let said = answer(&server, "failure-answered").await.failed(422, "FF0012");
    assert!(said.starts_with("sorry: FF0012") && said.contains("no good"), "{said}");
    let said = answer(&server, "failure-not-answered").await.failed(422, "FF0012");
    assert!(said.starts_with("FF0012") && said.contains("no good"), "{said}");
    assert_eq!(answer(&server, "finally-after-success").await.ok(), "in");
    // The log arrives by another way than the answer, so it may come later.
    until("the last run has ended", async || server.log().contains("finally success")).await;
    let log = server.log();
    assert_eq!((log.matches("finally failure").count(), log.matches("finally success").count()), (2, 1), "{log}");
}

#[tokio::test]
async fn edges_hand_on_what_they_should() {
    gives("execution-edge", "b").await;
    gives("forwarder", "in a forwarded b").await;
    gives("inputs", "0 bytes, [left=in!left, right=in!right]").await;
}

#[tokio::test]
async fn a_dag_with_several_ends_yields_what_its_aggregator_makes_and_else_nothing() {
    gives("ends", "[b=inb, a=ina]").await;
    gives("two-ends", "").await;
}

#[tokio::test]
async fn a_sub_dag_is_a_node() {
    gives("sub-dag", "in a b after").await;
}

/// VAL-1.
#[tokio::test]
async fn values_last_as_long_as_the_run() {
    gives("values", "in true").await;
    // So do values that are too large to be stored within the state.
    let large = "x".repeat(100 * 1024);
    let result = fixture().result("fixture?case=values", large.clone()).await.ok();
    assert_eq!(result, format!("{large} true"));
}

/// VAL-2.
#[tokio::test]
async fn a_node_sees_its_own_values_at_once() {
    gives("own-values", "in called true").await;
    let server = fixture();
    // The same for a run that is stored from its beginning, since the caller chose its id.
    let request = server.request("/function/fixture?case=own-values", "in").header("X-Faas-Flow-Reqid", "stored");
    assert_eq!(server.send(request.header("X-Faas-Flow-Wait", "60s")).await.ok(), "in called true");
}

#[tokio::test]
async fn values_keep_their_types() {
    gives("typed-values", "Some((\"a\", 1.5)) None None true").await;
}

#[tokio::test]
async fn a_node_may_read_and_write_json() {
    let server = fixture();
    assert_eq!(server.result("fixture?case=json", "[1, 2, 39]").await.ok(), "42 in all");
    let refused = server.result("fixture?case=json", "[1, 2").await.failed(422, "FF0012");
    assert!(refused.contains("at n") && refused.contains("EOF"), "{refused}");
}

#[tokio::test]
async fn a_dag_takes_over_another_one() {
    gives("append", "[b=in a b]").await;
}

#[tokio::test]
async fn a_flow_sees_its_request_without_its_secrets() {
    let server = fixture();
    let request = server.request("/function/fixture?case=request-seen&x=1&x=a%20b", "in");
    let request = request.header("X-Faas-Flow-Reqid", "mine").header("x-team", "blue");
    let request = request.header("Authorization", "Bearer secret").header("X-Faas-Flow-Wait", "60s");
    let seen = server.send(request).await.ok();
    assert_eq!(seen, r#"mine fixture n ["1", "a b"] ["blue"] []"#);
}

/// A server that answers with a description of the request.
async fn mirror() -> String {
    let mirror = |method: Method, uri: Uri, headers: HeaderMap, body: String| async move {
        let header = |name| headers.get(name).map_or("none", |value| value.to_str().unwrap());
        format!("{method} {uri} {} {} {body}", header("x-team"), header("x-prepared"))
    };
    let router = Router::new().fallback(mirror);
    double::serve(router).await
}

/// CALL-3.
#[tokio::test]
async fn a_call_is_sent_as_the_flow_says() {
    let server = Serve::flows(&["fixture"]).function("step", mirror().await).start();
    assert_eq!(answer(&server, "call-options").await.ok(), "PUT /deeper?q=a%20b%26c blue yes in prepared");
}

#[tokio::test]
async fn a_request_is_sent_as_the_flow_says() {
    let url = mirror().await;
    let sent = answer(&fixture(), &format!("request-options&url={url}/there")).await.ok();
    assert_eq!(sent, "PATCH /there?q=a%20b%26c blue none in");
}

#[tokio::test]
async fn a_request_has_its_own_time() {
    // The system accepts connections, and nobody answers them.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    fails(&fixture(), &format!("slow-request&url={url}"), (504, "FF0206"), "n", &["50 ms"]).await;
}

#[tokio::test]
async fn a_definition_that_depends_on_the_request_is_checked_with_it() {
    let server = fixture();
    let cycle = answer(&server, "cycle").await.failed(500, "FF0105");
    assert!(cycle.contains("a → b → a") || cycle.contains("b → a → b"), "{cycle}");
    let bad = answer(&server, "no-nodes-in-a-branch").await.failed(500, "FF0101");
    assert!(bad.contains("C[empty]"), "{bad}");
    assert!(answer(&server, "nonsense").await.failed(500, "FF0005").contains("there is no case `nonsense`"));
    let module = faas_flow_test_support::modules::module("fixture");
    let checked = run(server.folder(), ["check", "--json", module.to_str().unwrap()]).json();
    assert_eq!(checked["per-request"], true);
}
