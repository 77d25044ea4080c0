//! Runs in memory: the history of one is written after its answer, and its store may take long.

use crate::slow::Slow;
use async_trait::async_trait;
use faas_flow_core::run::Request;
use faas_flow_core::{Code, Failure, FlowName};
use faas_flow_guest::{Guests, HttpRequest, HttpResponse, Limits};
use faas_flow_replica::{ChosenBy, Enough, Function, Functions, Host, Network, Parts, Settings, Submission, Waits};
use faas_flow_store::{RunQuery, open_data};
use faas_flow_test_support::modules::module;
use faas_flow_versions::load_flow;
use std::sync::Arc;
use std::time::Duration;

/// A network on which every call fails at once.
pub struct Unreachable;

#[async_trait]
impl Network for Unreachable {
    async fn send(&self, _: HttpRequest, _: ChosenBy) -> Result<HttpResponse, Failure> {
        Err(Failure::retry(Code::CALL_UNREACHABLE, "it is away"))
    }
}

/// A host of this module, whose commits wait.
async fn host(name: &str) -> (Arc<Host>, FlowName, Arc<Slow>) {
    let limits = Limits { tick: Duration::from_secs(3600), ..Limits::default() };
    let guests = Arc::new(Guests::new(limits, None).unwrap());
    let flow_name = FlowName::new(name).unwrap();
    let flow = load_flow(guests, &module(name), Some(flow_name.clone())).await.unwrap();
    let settings = Settings::default();
    let slow = Slow::commits().await;
    let step = Function::parse("step=http://127.0.0.1").unwrap();
    let functions = Functions::new([step], None, &settings, Arc::new(Unreachable));
    let host = Host::new(Parts::new(settings, slow.clone(), open_data("memory").await.unwrap(), functions));
    host.versions().deploy(flow);
    (host, flow_name, slow)
}

#[tokio::test]
async fn a_run_is_found_however_one_asks_for_it_right_after_its_answer() {
    let (host, name, slow) = host("greet").await;
    let submission = Submission { body: "you".into(), ..Submission::default() };
    let submitted = host.submit(&name, submission, Waits::ForOneNode).await.unwrap();
    assert!(submitted.end(Duration::from_secs(60)).await.unwrap().is_some(), "it has ended, and is not stored");
    let (run, all) = (submitted.id.clone(), RunQuery::latest(10));
    let found = async {
        tokio::join!(
            async { host.view(&run).await.unwrap().is_some() },
            async { host.look(&run, Enough::Whole).await.unwrap().is_some() },
            async { host.entry(&run).await.unwrap().is_some() },
            async { host.result(&run).await.unwrap().is_some() },
            async { host.list(&all).await.unwrap().runs.len() == 1 },
            async { slow.commits.send_replace(true) },
        )
    };
    assert_eq!(found.await, (true, true, true, true, true, false));
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_time_is_up_while_its_run_is_stored_does_not_hold_up_the_run() {
    let (host, name, slow) = host("fixture").await;
    let query = vec![("case".to_owned(), "node-without-time-for-a-wait".to_owned())];
    let request = Request { query, ..Request::default() };
    let submission = Submission { request, ..Submission::default() };
    let submitted = host.submit(&name, submission, Waits::ForOneNode).await.unwrap();
    // The clock goes on as soon as everything waits: for the store, which is to have the run before its long wait, and for the end
    // of the node's time.
    tokio::time::sleep(Duration::from_millis(500)).await;
    slow.commits.send_replace(true);
    let ended = submitted.end(Duration::from_secs(3600)).await.unwrap().expect("the run ends");
    assert_eq!(ended.failure.as_ref().map(|failure| failure.code), Some(Code::NODE_TIMED_OUT));
}
