//! Calls and nodes that are tried again, and runs that are resumed or run again.

use super::*;

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
    rerun(&server, &[]).failed("FF0222", &["no node of the run failed"]);
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
