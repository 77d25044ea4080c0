//! Flows in Go: those of the original library, all of the contract, and what a function of a flow should not do.

use faas_flow_e2e::command::run;
use faas_flow_e2e::program::root;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::modules::module;

fn serve(flow: &str) -> Server {
    let serve = Serve::flows(&[flow]);
    ["func1", "func2", "fake-storage", "echo"].iter().fold(serve, |serve, name| serve.function(name, "echo")).start()
}

/// Runs a case of the flow of `guest-sdk/go/internal/fixture`.
async fn case(server: &Server, case: &str, input: &str) -> faas_flow_e2e::server::Answer {
    server.result(&format!("go-fixture?case={case}"), input.to_owned()).await
}

fn definition(flow: &str) -> String {
    run(&root(), ["graph", "--format", "definition", module(flow).to_str().unwrap()]).ok()
}

#[tokio::test]
async fn flows_of_the_original_library_give_the_same_definition_and_result_as_ours() {
    let x = "[f1=hi n1 F/n1, f2=hi n1 F/n1]";
    let nested = format!("[c1=[x2={x} x2/n2, x3={x}], c2=hi n1 c2/n1]");
    for (flow, result) in [
        ("sync-chain", "you said \"hi\""),
        ("async-chain", "you said \"hi\""),
        ("parallel-branching", "n2=hi n1, n3=hi n1 n3"),
        ("dynamic-branching", "c1=f1=hi n1 F/n1, f2=hi n1 F/n1, c2=hi n1 c2/n1"),
        ("conditional-branching", &nested),
    ] {
        let original = format!("go-original-{flow}");
        assert_eq!(definition(&original), definition(flow), "{flow}");
        let server = serve(&original);
        assert_eq!(server.result(&original, "hi").await.ok(), result, "{flow}");
        if flow == "async-chain" {
            until("the end is logged", async || server.log().contains("the chain ended: success")).await;
        }
    }
}

#[tokio::test]
async fn the_handler_of_the_guide_for_migration_runs() {
    let serve = Serve::flows(&["go-original-orders"]).function("price", "echo").function("ship-parcel", "echo");
    let server = serve.function("ship-pallet", "echo").start();
    // Nobody answers at the address that it notifies, which it takes well.
    assert_eq!(server.result("go-original-orders", "hat\nscarf").await.ok(), "not notified");
    until("the end is logged", async || server.log().contains("ended: success")).await;
}

#[tokio::test]
async fn every_function_of_the_context_answers() {
    let server = Serve::flows(&["go-fixture"]).with("--public-url", "https://flows.example").start();
    let request = server.request("/function/go-fixture?case=context&a=1&a=2", "from caller");
    let request = request.header("X-Team", "blue").header("X-Faas-Flow-Reqid", "r1");
    let answer = server.send(request.header("X-Faas-Flow-Wait", "60s")).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!((answer.header("x-first"), answer.header("x-second")), (vec!["1"], vec!["2"]));
    let inputs = "[a=from caller=from caller b=from b=from b]";
    let types = "[text/csv application/octet-stream]";
    let facts = format!("r1 go-fixture end ongoing running [1 2] [blue] {types} {inputs} 41 [1 2] false true");
    assert_eq!(answer.body, facts);
    assert_eq!(server.shown("r1")["labels"]["order"], "7");
    for line in ["printed by a", "logged by end", "ended: success, succeeded"] {
        until(line, async || server.log().contains(line)).await;
    }
}

#[tokio::test]
async fn functions_prepare_requests_receive_responses_and_name_keys() {
    let server = serve("go-fixture");
    let echoed = "200: abc prepared with POST as text/plain";
    let request = server.request("/function/go-fixture?case=calls", "abc").header("Content-Type", "text/plain");
    let answer = server.send(request.header("X-Faas-Flow-Wait", "60s")).await;
    assert_eq!(answer.content_type.as_deref(), Some("application/json"));
    assert_eq!(answer.ok(), format!("{{\"doubled\":{}}}", 2 * echoed.len()));
}

#[tokio::test]
async fn functions_catch_and_gather_failures() {
    let result = case(&serve("go-fixture"), "catches", "good bad fine").await.ok();
    let gathered = "0=good; 1 failed with FF0012, rejected, 1 tries at items[1]/check; 2=fine";
    assert_eq!(result, format!("{gathered}; call: unreachable, status 0, body false, 1 tries; node: FF0012"));
}

#[tokio::test]
async fn functions_name_moments_rounds_and_signals() {
    let result = case(&serve("go-fixture"), "waits", "2025-12-24T18:00:00+01:00").await.ok();
    assert_eq!(result, "2025-12-24T18:00:00+01:00+++ timed-out");
}

#[tokio::test]
async fn a_failure_says_whether_to_try_again_and_what_the_caller_is_answered() {
    let server = serve("go-fixture");
    let refusal = case(&server, "fails", "x").await;
    assert_eq!(refusal.status, 404, "{refusal:?}");
    assert!(refusal.body.contains("there is no such order"), "{refusal:?}");
    let given_up = case(&server, "retries", "x").await;
    assert_eq!(given_up.code.as_deref(), Some("FF0013"), "{given_up:?}");
    assert!(
        given_up.body.contains("not yet: later (the retry policy of the call ran out after 3 tries)"),
        "{given_up:?}"
    );
}

#[tokio::test]
async fn a_panic_is_a_rejection_that_names_the_line() {
    let server = serve("go-fixture");
    let fixture = "guest-sdk/go/internal/fixture/fixture.go:";
    let refusal = case(&server, "panics", "x").await.failed(422, "FF0012");
    assert!(refusal.contains("panic at ") && refusal.contains(fixture), "{refusal}");
    assert!(refusal.contains("index out of range [6] with length 0"), "{refusal}");
    let refusal = case(&server, "panics-deeply", "x").await.failed(422, "FF0012");
    assert!(
        refusal.contains("strings.go:") && refusal.contains(", called from ") && refusal.contains(fixture),
        "{refusal}"
    );
    // The instance lives on.
    assert!(case(&server, "nothing", "x").await.failed(422, "FF0012").contains("there is no case"));
}

#[tokio::test]
async fn a_mistake_in_define_is_told_with_its_line() {
    let server = serve("go-fixture");
    let refusal = case(&server, "define-panics", "x").await;
    assert!(refusal.body.contains("fixture.go:") && refusal.body.contains("a dag that is nil"), "{refusal:?}");
    let refusal = server.result("go-fixture?case=define-fails&tenant=acme", "x").await;
    assert!(
        refusal.body.contains("there is no tenant \\\"acme\\\"")
            || refusal.body.contains("there is no tenant \"acme\""),
        "{refusal:?}"
    );
}

/// What Go does not let a program catch.
#[tokio::test]
async fn what_cannot_be_caught_fails_the_node_and_nothing_else() {
    let server = serve("go-fixture");
    for crash in ["exits", "waits-for-ever", "overflows"] {
        let crashed = case(&server, crash, "x").await;
        assert!(matches!(crashed.code.as_deref(), Some("FF0006" | "FF0008" | "FF0009")), "{crash}: {crashed:?}");
    }
    assert!(case(&server, "ends-its-goroutine", "x").await.failed(422, "FF0012").contains("runtime.Goexit"));
    assert!(case(&server, "nothing", "x").await.failed(422, "FF0012").contains("there is no case"));
}

#[tokio::test]
async fn large_data_survives_the_garbage_collector() {
    assert_eq!(case(&serve("go-fixture"), "large", "x").await.ok(), "4000200");
}
