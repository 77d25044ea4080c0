//! A replica that stops.

use faas_flow_core::FlowName;
use faas_flow_guest::{Guests, Limits};
use faas_flow_http::{Guards, function_router};
use faas_flow_replica::{Functions, Host, Http, Parts, Settings};
use faas_flow_store::{open_data, open_state};
use faas_flow_test_support::modules::module;
use faas_flow_versions::load_flow;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

#[tokio::test]
async fn a_replica_that_drains_takes_nothing_and_says_to_come_again() {
    let limits = Limits { tick: Duration::from_secs(3600), ..Limits::default() };
    let guests = Arc::new(Guests::new(limits, None).unwrap());
    let name = FlowName::new("sync-chain").unwrap();
    let flow = load_flow(guests, &module("sync-chain"), Some(name.clone())).await.unwrap();
    let settings = Settings::default();
    let state = open_state("memory").await.unwrap();
    let data = open_data("memory").await.unwrap();
    let functions = Functions::new([], None, &settings, Arc::new(Http::new(&settings).unwrap()));
    let host = Host::new(Parts::new(settings, state, data, functions));
    host.versions().deploy(flow);
    assert_eq!(host.drain(Duration::ZERO, Duration::ZERO).await, 0);
    let replica = function_router(host, name, Guards::default());
    let event = r#"{"run":"r","path":"sync"}"#;
    for (path, body) in [("/", "hi"), ("/flow/r/forward", event)] {
        let request = axum::extract::Request::post(path).body(axum::body::Body::from(body)).unwrap();
        let answer = replica.clone().oneshot(request).await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap();
        let said = (answer.status().as_u16(), header("x-faas-flow-error"), header("retry-after"));
        assert_eq!(said, (503, "FF0227", "1"), "{path}");
    }
}
