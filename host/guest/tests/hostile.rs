//! Whatever a flow's code does, it becomes a coded failure, and the host keeps running.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use faas_flow_core::definition::{NodeKind, Operation};
use faas_flow_core::{Code, Content, Failure};
use faas_flow_guest::{GuestError, Guests, HttpRequest, HttpResponse, Instance, Limits, Module, NoContext, Outcome};
use faas_flow_test_support::hostile::*;
use std::sync::Arc;
use std::time::Duration;

fn limits() -> Limits {
    Limits { instances: 4, call_timeout: Duration::from_secs(60), ..Limits::default() }
}

fn guests() -> Guests {
    Guests::new(limits(), None).unwrap()
}

/// Guests that run out of time soon, if the body loops for ever, and else not on a busy machine either.
fn guests_for(body: &str) -> Guests {
    Guests::new(limits_for(body), None).unwrap()
}

fn limits_for(body: &str) -> Limits {
    let call_timeout = if body == LOOP { Duration::from_millis(500) } else { limits().call_timeout };
    Limits { call_timeout, ..limits() }
}

fn run() -> Arc<NoContext> {
    Arc::new(NoContext::new("test"))
}

async fn instance(guests: &Guests, modify: &str) -> Instance {
    instance_of(guests, &flow(ONE_NODE, modify)).await
}

async fn instance_of(guests: &Guests, flow: &[u8]) -> Instance {
    guests.load(flow).unwrap().instantiate(run(), Arc::default()).await.unwrap()
}

async fn failure_of(modify: &str) -> Failure {
    let guests = guests_for(modify);
    let mut instance = instance(&guests, modify).await;
    let failure = instance.modify("n", Content::from("x")).await.unwrap_err();
    assert!(!instance.usable());
    assert!(instance.modify("n", Content::empty()).await.is_err(), "a crashed instance cannot be called again");
    let mut good = self::instance(&guests, ECHO).await;
    assert_eq!(good.modify("n", Content::from("fine")).await.unwrap().bytes, "fine", "the host keeps running");
    failure
}

#[tokio::test]
async fn data_goes_in_and_out_and_an_instance_serves_many_calls() {
    let mut instance = instance(&guests(), ECHO).await;
    for text in ["one", "", "three"] {
        assert_eq!(instance.modify("n", Content::from(text)).await.unwrap().bytes, text);
    }
    assert!(instance.usable());
}

#[tokio::test]
async fn a_trap_is_a_crash() {
    let failure = failure_of(TRAP).await;
    assert_eq!((failure.code, failure.retry), (Code::GUEST_TRAPPED, false));
}

#[tokio::test]
async fn a_loop_runs_out_of_time() {
    assert_eq!(failure_of(LOOP).await.code, Code::GUEST_OUT_OF_TIME);
}

#[tokio::test]
async fn growing_runs_out_of_memory() {
    assert_eq!(failure_of(GROW).await.code, Code::GUEST_OUT_OF_MEMORY);
}

#[tokio::test]
async fn recursion_runs_out_of_stack() {
    assert_eq!(failure_of(RECURSE).await.code, Code::GUEST_OUT_OF_STACK);
}

#[tokio::test]
async fn a_table_that_grows_runs_out_of_memory() {
    assert_eq!(failure_of(GROW_TABLE).await.code, Code::GUEST_OUT_OF_MEMORY);
}

#[tokio::test]
async fn too_much_output_is_a_failure() {
    assert_eq!(failure_of(LARGE).await.code, Code::OUTPUT_TOO_LARGE);
    let roomy = Guests::new(Limits { memory_bytes: 2 << 30, instances: 1, ..Limits::default() }, None).unwrap();
    let failure = instance(&roomy, GIBIBYTE).await.modify("n", Content::empty()).await.unwrap_err();
    assert_eq!((failure.code, failure.retry), (Code::OUTPUT_TOO_LARGE, false), "{failure}");
}

#[tokio::test]
async fn an_invalid_value_is_neither_too_much_output_nor_a_crash() {
    for invalid in [HUGE, NO_TEXT, NO_HANDLE] {
        let failure = failure_of(invalid).await;
        assert_eq!((failure.code, failure.retry), (Code::BAD_HANDLER_ANSWER, false), "{failure}");
    }
}

/// Calls the handler of this kind.
async fn call(instance: &mut Instance, kind: &str) -> Result<(), Failure> {
    let data = Content::from("x");
    match kind {
        "modify" => instance.modify("n", data).await.map(drop),
        "aggregate" => instance.aggregate("n", vec![("a".to_owned(), data)]).await.map(drop),
        "condition" => instance.condition("n", &data).await.map(drop),
        "for-each" => instance.for_each("n", data).await.map(drop),
        "forward" => instance.forward("n", data).await.map(drop),
        "prepare" => {
            let (method, url) = ("POST".to_owned(), "http://function/f".to_owned());
            instance.prepare("n", HttpRequest { method, url, headers: Vec::new(), body: data.bytes }).await.map(drop)
        }
        "receive" => {
            instance.receive("n", HttpResponse { status: 200, headers: Vec::new(), body: data.bytes }).await.map(drop)
        }
        "recover" => instance.recover("n", "FF0001: why").await.map(drop),
        "finally" => instance.finally("n", Outcome::Failure).await,
        other => panic!("no kind {other}"),
    }
}

#[tokio::test]
async fn the_limits_apply_to_every_kind_of_handler() {
    let hostile = [
        (TRAP, Code::GUEST_TRAPPED),
        (LOOP, Code::GUEST_OUT_OF_TIME),
        (GROW, Code::GUEST_OUT_OF_MEMORY),
        (GROW_TABLE, Code::GUEST_OUT_OF_MEMORY),
        (RECURSE, Code::GUEST_OUT_OF_STACK),
        (NO_TEXT, Code::BAD_HANDLER_ANSWER),
    ];
    for (kind, _) in KINDS {
        for (body, code) in hostile {
            let guests = guests_for(body);
            let mut instance = instance_of(&guests, &flow_with(kind, body)).await;
            let failure = call(&mut instance, kind).await.unwrap_err();
            assert_eq!((failure.code, failure.retry), (code, false), "{kind}: {failure}");
            assert!(!instance.usable(), "{kind} {code}");
        }
    }
}

#[tokio::test]
async fn a_rejection_is_not_a_crash() {
    let mut instance = instance(&guests(), REJECT).await;
    let failure = instance.modify("n", Content::empty()).await.unwrap_err();
    assert_eq!(failure, Failure::reject(Code::GUEST_REJECTED, "no"));
    assert!(instance.usable());
}

#[tokio::test]
async fn a_full_pool_is_a_failure_that_can_be_retried() {
    let guests = guests();
    let module = guests.load(&flow(ONE_NODE, ECHO)).unwrap();
    let mut live = Vec::new();
    for _ in 0..4 {
        live.push(module.instantiate(run(), Arc::default()).await.unwrap());
    }
    let Err(GuestError::Call(failure)) = module.instantiate(run(), Arc::default()).await else {
        panic!("a fifth instance")
    };
    assert_eq!((failure.code, failure.retry), (Code::GUEST_POOL_FULL, true));
    live.clear();
    assert!(module.instantiate(run(), Arc::default()).await.is_ok());
}

/// The memories are too large for a pool to fit into the address space.
fn without_pool(limits: Limits) -> Guests {
    Guests::new(Limits { memory_bytes: 1 << 46, ..limits }, None).unwrap()
}

#[tokio::test]
async fn without_a_pool_the_number_of_instances_is_limited_too() {
    let guests = without_pool(limits());
    assert!(!guests.has_pool());
    let module = guests.load(&flow(ONE_NODE, ECHO)).unwrap();
    let mut live = Vec::new();
    for _ in 0..4 {
        live.push(module.instantiate(run(), Arc::default()).await.unwrap());
    }
    let Err(GuestError::Call(failure)) = module.instantiate(run(), Arc::default()).await else {
        panic!("a fifth instance")
    };
    assert_eq!((failure.code, failure.retry), (Code::GUEST_POOL_FULL, true));
    let Err(GuestError::Call(failure)) = module.define(run()).await else { panic!("a fifth instance") };
    assert_eq!(failure.code, Code::GUEST_POOL_FULL);
    live.clear();
    let mut instance = module.instantiate(run(), Arc::default()).await.unwrap();
    assert_eq!(instance.modify("n", Content::from("fine")).await.unwrap().bytes, "fine");
}

#[tokio::test]
async fn without_a_pool_the_limits_apply_too() {
    for (body, code) in [
        (TRAP, Code::GUEST_TRAPPED),
        (LOOP, Code::GUEST_OUT_OF_TIME),
        (GROW_TABLE, Code::GUEST_OUT_OF_MEMORY),
        (RECURSE, Code::GUEST_OUT_OF_STACK),
        (GIBIBYTE, Code::OUTPUT_TOO_LARGE),
    ] {
        let guests = without_pool(limits_for(body));
        let failure = instance(&guests, body).await.modify("n", Content::empty()).await.unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
    }
}

#[tokio::test]
async fn changes_are_those_since_the_instance_entered_the_node() {
    let mut instance = instance(&guests(), SET).await;
    instance.enter(Arc::default(), Vec::new());
    instance.modify("n", Content::from("1")).await.unwrap();
    instance.modify("n", Content::from("2")).await.unwrap();
    assert_eq!(instance.take_changes(), [("no".to_owned(), Some(Bytes::from_static(b"2")))]);
    let values = vec![("earlier".to_owned(), None)];
    instance.enter(Arc::default(), values.clone());
    assert_eq!(instance.take_changes(), values, "values of earlier calls of the node are included");
    instance.enter(Arc::default(), Vec::new());
    assert_eq!(instance.take_changes(), []);
}

fn module(define: &str) -> Module {
    guests_for(define).load(&flow(define, ECHO)).unwrap()
}

#[tokio::test]
async fn define_returns_a_definition_even_after_the_loader_was_dropped() {
    let defined = module(ONE_NODE).define(run()).await.unwrap();
    assert!(!defined.read_context);
    let [node] = &defined.definition.dag.nodes[..] else { panic!("{defined:?}") };
    let NodeKind::Operations(operations) = &node.kind else { panic!("{node:?}") };
    assert_eq!((node.id.as_str(), &operations.list[..]), ("no", &[Operation::Modify("no".into())][..]));
}

#[tokio::test]
async fn reading_the_context_in_define_is_noticed() {
    assert!(module(CURIOUS).define(run()).await.unwrap().read_context);
}

#[tokio::test]
async fn a_name_that_is_very_long_ends_the_definition() {
    let error = module(LONG_NAME).define(run()).await.unwrap_err();
    assert_eq!(error, GuestError::TextTooLong { what: "node id", size: 1 << 20, limit: 1 << 10 });
    assert_eq!(error.code(), Code::TEXT_TOO_LONG);
}

#[tokio::test]
async fn an_operator_may_allow_fewer_nodes() {
    let few = Guests::new(Limits { nodes: 1, ..limits() }, None).unwrap();
    assert!(few.load(&flow(ONE_NODE, ECHO)).unwrap().define(run()).await.is_ok());
    let error = few.load(&flow(ALL_WRONG, ECHO)).unwrap().define(run()).await.unwrap_err();
    assert_eq!(error, GuestError::DefinitionTooLarge { what: "nodes", limit: 1 });
}

#[tokio::test]
async fn a_definition_that_never_ends_is_a_failure() {
    let refused = |define| async move { module(define).define(run()).await.unwrap_err().code() };
    assert_eq!(refused(DEEP).await, Code::NESTED_TOO_DEEP);
    let patient = Guests::new(Limits { call_timeout: Duration::from_secs(300), ..Limits::default() }, None).unwrap();
    let endless = patient.load(&flow(ENDLESS, ECHO)).unwrap();
    let error = endless.define(run()).await.unwrap_err();
    assert_eq!(error.code(), Code::DEFINITION_TOO_LARGE, "{error}");
    assert!(error.to_string().contains("more than 20000 nodes"), "{error}");
    let endless = patient.load(&flow(ENDLESS_NODE, ECHO)).unwrap();
    let error = endless.define(run()).await.unwrap_err();
    assert!(error.to_string().contains("more than 1000 operations in one node"), "{error}");
    assert_eq!(refused(REFUSE).await, Code::DEFINE_FAILED);
    assert_eq!(refused(LOOP).await, Code::GUEST_OUT_OF_TIME);
    assert_eq!(refused(TRAP).await, Code::GUEST_TRAPPED);
    assert_eq!(refused(GROW).await, Code::GUEST_OUT_OF_MEMORY);
    assert_eq!(refused(GROW_TABLE).await, Code::GUEST_OUT_OF_MEMORY);
    assert_eq!(refused(RECURSE).await, Code::GUEST_OUT_OF_STACK);
    assert_eq!(refused(NO_TEXT).await, Code::BAD_HANDLER_ANSWER);
    assert_eq!(refused(NO_HANDLE).await, Code::BAD_HANDLER_ANSWER);
}
