//! Spans of handlers and of waits, and links between spans.

use super::*;

/// The fixture, on a server of its own, whose spans go to the collector soon.
fn fixture(functions: &str, collector: &str) -> Server {
    let serve = Serve::flows(&["fixture", "sync-chain"]).flag("--enable-tracing").with("--trace-server", collector);
    let serve =
        ["func1", "func2", "job"].iter().fold(serve, |serve, name| serve.function(name, format!("{functions}/{name}")));
    let folder = tempfile::TempDir::new().unwrap();
    let mut command = serve.command_in(folder.path());
    command.env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let mut server = Server::start(command);
    server.own(folder);
    server
}

impl World {
    async fn until_named(&self, name: &str) -> Span {
        let there = || self.spans.lock().unwrap().iter().any(|(_, span)| span.name == name);
        until(name, async || there()).await;
        self.span(name)
    }
}

const MILLI: u64 = 1_000_000;

fn millis(span: &Span) -> u64 {
    (span.end_time_unix_nano - span.start_time_unix_nano) / MILLI
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_of_a_handler_has_a_span_below_its_node() {
    let (world, functions, collector) = world().await;
    let server = fixture(&functions, &collector);
    let id = server.result("fixture?case=failure-answered", "hi").await.id.unwrap();
    let root = world.until_named(&id).await;
    let spans = world.spans.lock().unwrap().clone();
    let handlers: Vec<_> = spans
        .iter()
        .map(|(_, span)| (span, attributes(&span.attributes)))
        .filter(|(_, said)| said.contains_key("faasflow.handler"))
        .collect();
    let kinds: Vec<_> = handlers.iter().map(|(_, said)| &*said["faasflow.handler.kind"]).collect();
    assert_eq!(kinds, ["modify", "recover", "finally"], "{handlers:?}");
    for (span, said) in &handlers {
        let (_, node) = spans.iter().find(|(_, node)| node.span_id == span.parent_span_id).expect("its node's span");
        assert_eq!((&node.trace_id, &node.parent_span_id), (&root.trace_id, &root.span_id));
        assert_eq!(attributes(&node.attributes)["faasflow.node"], said["faasflow.node"]);
        assert!(node.start_time_unix_nano <= span.start_time_unix_nano);
        assert!(span.end_time_unix_nano <= node.end_time_unix_nano);
    }
    // The one that failed says its code, and nothing of what it said.
    let status = handlers[0].0.status.clone().unwrap();
    assert_eq!((status.code(), &*status.message), (Status::Error, "FF0012"));
    assert!(!format!("{spans:?}").contains("no good"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleep_has_a_span() {
    let (world, functions, collector) = world().await;
    let server = fixture(&functions, &collector);
    let id = server.result("fixture?case=sleep&ms=600", "hi").await.id.unwrap();
    let root = world.until_named(&id).await;
    let sleep = world.until_named("sleep").await;
    assert_eq!((&sleep.trace_id, &sleep.parent_span_id), (&root.trace_id, &root.span_id));
    assert_eq!(attributes(&sleep.attributes)["faasflow.node"], "n");
    assert!(millis(&sleep) >= 590, "{sleep:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_a_signal_has_a_span_that_ends_with_it() {
    let (world, functions, collector) = world().await;
    let server = fixture(&functions, &collector);
    let request = server.request("/function/fixture?case=signal", "hi").header("X-Faas-Flow-Reqid", "r");
    assert_eq!(server.send(request).await.status, 202);
    let state = server.client.get(server.url("/function/fixture/flow/r/state")).header("Accept", "application/json");
    let state = async || server.send(state.try_clone().unwrap()).await.body;
    until("it waits", async || state().await.contains("approval")).await;
    let sent = server.post("/function/fixture/flow/r/signal/approval", "yes").await;
    assert!(sent.status < 300, "{sent:?}");
    let root = world.until_named("r").await;
    let wait = world.until_named("wait for signal approval").await;
    assert_eq!((&wait.trace_id, &wait.parent_span_id), (&root.trace_id, &root.span_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_the_next_try_has_a_span_below_its_node() {
    let (world, functions, collector) = world().await;
    let serve = Serve::flows(&["fixture"]).flag("--enable-tracing").with("--trace-server", &collector);
    let server = serve.function("job", format!("{functions}/fails")).start();
    server.result("fixture?case=limit-tries&concurrent=1", "hi").await;
    let wait = world.until_named("wait for the next try").await;
    let node = world.until_named("n").await;
    assert_eq!((&wait.trace_id, &wait.parent_span_id), (&node.trace_id, &node.span_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_an_asynchronous_call_is_linked_to_the_call() {
    let (world, functions, collector) = world().await;
    let server = fixture(&functions, &collector);
    let id = server.result("fixture?case=limit-later&concurrent=1", "hi").await.id.unwrap();
    let root = world.until_named(&id).await;
    let (call, answer) = (world.until_named("apply job").await, world.until_named("answer job").await);
    assert_eq!(answer.kind, SpanKind::Consumer as i32);
    assert_eq!((&answer.trace_id, &answer.parent_span_id), (&root.trace_id, &root.span_id));
    let linked: Vec<_> = answer.links.iter().map(|link| (&link.trace_id, &link.span_id)).collect();
    assert_eq!(linked, [(&call.trace_id, &call.span_id)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_another_one_called_is_linked_to_it_and_its_answer_to_the_call() {
    let (world, functions, collector) = world().await;
    let server = fixture(&functions, &collector);
    let parent = server.result("fixture?case=calls&target=sync-chain", "hi").await.id.unwrap();
    let parent = world.until_named(&parent).await;
    let call = world.until_named("apply sync-chain").await;
    let child = attributes(&call.attributes)["faasflow.called.request.id"].clone();
    let child = world.until_named(&child).await;
    let link = &child.links[0];
    assert_eq!((&link.trace_id, &link.span_id), (&parent.trace_id, &parent.span_id));
    let answer = world.until_named("answer sync-chain").await;
    assert_eq!((&answer.links[0].trace_id, &answer.links[0].span_id), (&call.trace_id, &call.span_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_a_permit_has_a_span() {
    let (world, _, collector) = world().await;
    let gate = tokio::sync::watch::channel(false).0;
    let opened = gate.clone();
    let job = Router::new().fallback(move || {
        let gate = opened.clone();
        async move {
            gate.subscribe().wait_for(|open| *open).await.unwrap();
            "x"
        }
    });
    let serve = Serve::flows(&["fixture"]).flag("--enable-tracing").with("--trace-server", &collector);
    let server = serve.function("job", super::serve(job).await).start();
    for id in ["first", "second"] {
        let request = server.request("/function/fixture?case=limit&concurrent=1", "hi");
        let request = request.header("X-Faas-Flow-Reqid", id).header("X-Faas-Flow-Wait", "1ms");
        assert_eq!(server.send(request).await.status, 202);
    }
    let waits = "faas_flow_limit_waits_total 1";
    until("one of them waits", async || server.get("/_/metrics").await.ok().contains(waits)).await;
    gate.send_replace(true);
    let wait = world.until_named("wait for limit jobs").await;
    assert_eq!(attributes(&wait.attributes)["faasflow.node"], "n");
}
