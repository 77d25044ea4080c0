//! How many ended runs are kept.

use faas_flow_core::{FlowName, RunId, Status};
use faas_flow_guest::{Guests, Limits};
use faas_flow_replica::{Exposition, Functions, Host, Http, Parts, Settings, Submission, Waits};
use faas_flow_store::{RunQuery, open_data, open_state};
use faas_flow_test_support::modules::module;
use faas_flow_versions::{Clock, load_flow};
use std::sync::Arc;
use std::time::Duration;

/// Far more than one page of the search.
const RUNS: usize = 1200;
const BUDGET: usize = 3;

/// END-5.
#[tokio::test(start_paused = true)]
async fn ended_runs_beyond_the_budget_are_deleted_the_oldest_first() {
    let guests = Arc::new(Guests::new(Limits { tick: Duration::from_secs(3600), ..Limits::default() }, None).unwrap());
    let name = FlowName::new("greet").unwrap();
    let flow = load_flow(guests, &module("greet"), Some(name.clone())).await.unwrap();
    let settings = Settings { history_budget: Some(BUDGET), ..Settings::default() };
    let functions = Functions::new([], None, &settings, Arc::new(Http::new(&settings).unwrap()));
    let state = open_state("memory").await.unwrap();
    let parts = Parts::new(settings, state.clone(), open_data("memory").await.unwrap(), functions);
    let host = Host::new(Parts { clock: Clock::tokio(1_790_000_000_000), ..parts });
    host.versions().deploy(flow);
    for number in 0..RUNS {
        // Each begins a moment later than the one before.
        tokio::time::sleep(Duration::from_millis(10)).await;
        let id = Some(RunId::new(format!("run{number:04}")).unwrap());
        let submission = Submission { id, body: "you".into(), ..Submission::default() };
        let submitted = host.submit(&name, submission, Waits::ForOneNode).await.unwrap();
        assert!(submitted.end(Duration::from_secs(60)).await.unwrap().is_some());
    }
    assert_eq!(host.counts(Some(&name)).await.unwrap().of(Status::Succeeded), RUNS as u64);
    let sweeping = tokio::spawn(host.clone().sweep());
    let is_kept = async {
        while state.counts(Some(&name)).await.unwrap().total() > BUDGET as u64 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), is_kept).await.expect("the others are deleted");
    sweeping.abort();
    let left = host.list(&RunQuery::latest(10)).await.unwrap().runs;
    let left: Vec<&str> = left.iter().map(|entry| entry.run.as_str()).collect();
    assert_eq!(left, ["run1199", "run1198", "run1197"]);
    let metrics = host.metrics(Exposition::Text, &[]).await;
    let line = format!("faas_flow_runs_deleted_total{{reason=\"budget\"}} {}\n", RUNS - BUDGET);
    assert!(metrics.contains(&line), "{metrics}");
}
