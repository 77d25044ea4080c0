//! The examples give the results that they should, in every language that they are written in.

use axum::Router;
use axum::body::Bytes;
use faas_flow_e2e::command::{run, script};
use faas_flow_e2e::program::root;
use faas_flow_e2e::server::{Serve, Server};
use faas_flow_e2e::wait::until;
use faas_flow_test_support::double;
use faas_flow_test_support::modules::module;
use serde_json::Value;
use std::process::Command;

fn serve(flow: &str) -> Server {
    let serve = Serve::flows(&[flow]);
    ["func1", "func2", "fake-storage"].iter().fold(serve, |serve, name| serve.function(name, "echo")).start()
}

async fn gives(flow: &str, input: &str, result: &str) {
    assert_eq!(serve(flow).result(flow, input.to_owned()).await.ok(), result, "{flow}");
}

const DYNAMIC: &str = "c1=f1=hi n1 F/n1, f2=hi n1 F/n1, c2=hi n1 c2/n1";

#[tokio::test]
async fn sync_chain_quotes_what_its_functions_made() {
    gives("sync-chain", "hi", "you said \"hi\"").await;
}

#[tokio::test]
async fn async_chain_quotes_on_the_way_and_logs_its_end_once() {
    let server = serve("async-chain");
    assert_eq!(server.result("async-chain", "hi").await.ok(), "you said \"hi\"");
    // The log arrives by another way than the answer, so it may come later.
    until("the end is logged", async || server.log().contains("the chain is done")).await;
    assert_eq!(server.log().matches("the chain is done").count(), 1);
}

#[tokio::test]
async fn parallel_branching_joins_in_declared_order() {
    gives("parallel-branching", "hi", "n2=hi n1, n3=hi n1 n3").await;
}

#[tokio::test]
async fn dynamic_branching_joins_its_branches() {
    gives("dynamic-branching", "hi", DYNAMIC).await;
}

#[tokio::test]
async fn conditional_branching_nests() {
    let x = "[f1=hi n1 F/n1, f2=hi n1 F/n1]";
    let result = format!("[c1=[x2={x} x2/n2, x3={x}], c2=hi n1 c2/n1]");
    gives("conditional-branching", "hi", &result).await;
}

#[tokio::test]
async fn invitation_has_another_flow_greet_and_waits_for_the_engraver() {
    let program = root().join("examples/invitation/functions/engraver.sh");
    let server = Serve::flows(&["invitation", "greet"]).function("engraver", program.display().to_string()).start();
    assert_eq!(server.result("invitation", "Ada").await.ok(), "~ Hello, Ada! Please come on Saturday. ~\n");
    let refusal = server.result("invitation", " ").await.failed(502, "FF0251");
    assert!(refusal.contains("flow `greet` failed") && refusal.contains("there is no name to greet"), "{refusal}");
}

#[tokio::test]
async fn order_goes_on_where_a_card_is_declined_or_an_item_is_sold_out() {
    let program = |name| format!("headers:{}", root().join("examples/order/functions").join(name).display());
    let functions = Serve::flows(&["order"]).function("charge", program("charge.sh"));
    let server = functions.function("ship", program("ship.sh")).function("track", "echo").start();
    let shipped = server.result("order", "Ada\nhat\nunicorn").await.ok();
    assert_eq!(shipped, "shipped hat\nno unicorn: `ship` answered with status 404: sold out");
    let declined = server.result("order", "Mallory\nhat").await.ok();
    assert_eq!(declined, "nothing was ordered, declined: the card of Mallory was declined");
    assert!(server.result("order", "Ada\nunicorn").await.failed(502, "FF0207").contains("sold out"));
}

#[tokio::test]
async fn order_waits_for_the_approval_of_a_large_order() {
    let program = |name| format!("headers:{}", root().join("examples/order/functions").join(name).display());
    let functions =
        Serve::flows(&["order"]).function("charge", program("charge.sh")).function("ship", program("ship.sh"));
    let server = functions.function("track", "echo").function("send-mail", "echo").start();
    let items = "hat\nscarf\ngloves\nboots";
    for (id, decision, result) in [
        ("approved", "approve", "shipped hat\nshipped scarf\nshipped gloves\nshipped boots"),
        ("refused", "too much", "nothing was ordered, declined: too much"),
    ] {
        let request = server.request("/function/order", format!("Ada\n{items}")).header("X-Faas-Flow-Reqid", id);
        assert_eq!(server.send(request).await.status, 202);
        run(server.folder(), ["signal", id, "approval", "--data", decision, "--to", &server.url("")]).ok();
        assert_eq!(server.result_of("order", id).await.ok(), result);
    }
}

#[tokio::test]
async fn reminder_sleeps_until_the_moment_and_then_sends_its_text() {
    let server = Serve::flows(&["reminder"]).function("send", "echo").start();
    let past = r#"{ "text": "Feed the cat", "at": "2025-12-24T18:00:00+01:00" }"#;
    assert_eq!(server.result("reminder", past).await.ok(), "Feed the cat");
    let refusal = server.result("reminder", r#"{ "text": "", "at": "soon" }"#).await.failed(500, "FF0232");
    assert!(refusal.contains("`soon` is not a moment"), "{refusal}");
}

#[tokio::test]
async fn approval_mails_an_address_and_goes_on_with_the_decision() {
    let (sent, mut mails) = tokio::sync::mpsc::unbounded_channel::<Value>();
    let router =
        Router::new().fallback(async move |body: Bytes| drop(sent.send(serde_json::from_slice(&body).unwrap())));
    let server = Serve::flows(&["approval"]).function("send-mail", double::serve(router).await).start();
    let accepted = server.post("/function/approval", r#"{ "id": "7", "total": 1200 }"#).await;
    let mail = mails.recv().await.unwrap()["text"].as_str().unwrap().to_owned();
    let address = mail.trim_end().rsplit(' ').next().unwrap();
    let form = server.client.post(address).header("Content-Type", "application/x-www-form-urlencoded");
    server.send(form.body("comment=too+much&decision=reject")).await.ok();
    let id = accepted.id.unwrap();
    assert_eq!(server.result_of("approval", &id).await.ok(), "order 7: reject (too much)");
}

#[tokio::test]
async fn polling_asks_for_the_status_until_the_job_is_done() {
    let program = |name: &str| root().join("examples/polling/functions").join(name).display().to_string();
    let server = Serve::flows(&["polling"]);
    let server = server.function("submit-job", program("submit-job.sh"));
    let server = server.function("job-status", program("job-status.sh")).start();
    assert_eq!(server.result("polling", "cake").await.ok(), "cake is ready");
}

#[tokio::test]
async fn nightly_import_imports_the_day_that_it_is_sent() {
    let program = |name: &str| root().join("examples/nightly-import/functions").join(name).display().to_string();
    let server = Serve::flows(&["nightly-import"]);
    let server = server.function("fetch-day", program("fetch-day.sh"));
    let server = server.function("import-rows", program("import-rows.sh")).start();
    assert_eq!(server.result("nightly-import", "2026-11-30").await.ok(), "imported 3 rows of 2026-11-30\n");
    server.result("nightly-import", "").await.failed(422, "FF0012");
}

#[tokio::test]
async fn greet_greets_by_name_and_refuses_nobody() {
    let server = serve("greet");
    assert_eq!(server.result("greet", " Ada\n").await.ok(), "Hello, Ada!");
    let refusal = server.result("greet", " ").await.failed(422, "FF0012");
    assert!(refusal.contains("there is no name to greet"), "{refusal}");
}

#[tokio::test]
async fn greet_answers_alike_in_every_language() {
    for flow in ["greet-go", "greet-typescript", "greet-python", "greet-c", "greet-cpp", "greet-zig"] {
        let server = serve(flow);
        assert_eq!(server.result(flow, " Ada\n").await.ok(), "Hello, Ada!", "{flow}");
        let refusal = server.result(flow, " ").await.failed(422, "FF0012");
        assert!(refusal.contains("there is no name to greet"), "{flow}: {refusal}");
    }
}

#[tokio::test]
async fn dynamic_branching_answers_alike_in_every_language() {
    for flow in ["go", "typescript", "python", "c", "cpp"].map(|language| format!("dynamic-branching-{language}")) {
        gives(&flow, "hi", DYNAMIC).await;
    }
}

#[test]
fn a_flow_has_one_definition_in_every_language() {
    let definition = |flow: &str| {
        let module = module(flow);
        run(&root(), ["graph", "--format", "definition", module.to_str().unwrap()]).ok()
    };
    for flow in ["greet", "dynamic-branching"] {
        let rust = definition(flow);
        assert!(rust.contains("\"dag\""), "{rust}");
        for language in ["go", "typescript", "python", "c", "cpp"] {
            assert_eq!(definition(&format!("{flow}-{language}")), rust, "{flow} in {language}");
        }
    }
}

/// TYPE-5, ANSWER-6.
#[tokio::test]
async fn flights_says_what_it_sends_and_blames_its_caller_for_malformed_rows() {
    let folder = tempfile::TempDir::new().unwrap();
    let told = folder.path().join("told");
    let text = format!("cat >/dev/null; printf '%s' \"$Http_Content_Type\" >'{}'; echo 1,2,3,4", told.display());
    let program = script(folder.path(), "function", &text);
    let server = Serve::flows(&["flights"]).function("delays", &program).function("busiest", &program).start();
    let row = |date: &str| format!(r#"[{{"date": "{date}", "delay": 1, "origin": "SFO"}}]"#);
    let report = server.result("flights", row("2001/01/01 05:59")).await;
    assert_eq!(report.content_type.as_deref(), Some("text/plain; charset=utf-8"), "{report:?}");
    assert_eq!(std::fs::read_to_string(&told).unwrap(), "text/csv; header=absent");
    let refusal = server.result("flights", row("yesterday")).await.failed(422, "FF0012");
    assert!(refusal.contains("row 0 has the date `yesterday`"), "{refusal}");
}

#[test]
fn the_report_on_flights_is_what_another_computation_says() {
    let example = root().join("examples/flights");
    let data = example.join("data/flights-5k.json");
    let script = example.join("recompute.py");
    let recomputed = Command::new("python3").arg(script).arg(&data).output().unwrap();
    assert!(recomputed.status.success());
    let recomputed = String::from_utf8(recomputed.stdout).unwrap();
    assert_eq!(recomputed, std::fs::read_to_string(example.join("report.txt")).unwrap());

    let module = module("flights");
    let data = format!("@{}", data.display());
    let function = |name| format!("{name}=./functions/{name}.sh");
    let delays = function("delays");
    let busiest = function("busiest");
    let arguments = ["run", module.to_str().unwrap(), "--data", &data, "--function", &delays, "--function", &busiest];
    assert_eq!(run(&example, arguments).ok(), recomputed);
}
