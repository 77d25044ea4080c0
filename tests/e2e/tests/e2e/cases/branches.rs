//! Conditions and for-eaches.

use super::*;

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
