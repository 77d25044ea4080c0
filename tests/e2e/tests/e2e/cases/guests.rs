//! The flow's own code: its failures, its limits, and its instances.

use super::*;

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
