//! The history of a run of a single node, which is written after the run's answer.

use async_trait::async_trait;
use bytes::Bytes;
use faas_flow_core::{FlowName, Millis, Partition, RunId};
use faas_flow_guest::{Guests, Limits};
use faas_flow_replica::{Enough, Functions, Host, Http, Parts, Settings, Submission, Waits};
use faas_flow_store::{
    Change, CommitError, Committed, Document, RunEntry, RunQuery, StateStore, StoreError, open_data, open_state,
};
use faas_flow_test_support::modules::module;
use faas_flow_versions::load_flow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A store whose commits wait until somebody lets them go on.
struct Slow {
    store: Arc<dyn StateStore>,
    goes_on: watch::Sender<bool>,
}

#[async_trait]
impl StateStore for Slow {
    async fn read(&self, partition: &Partition, docs: &[String]) -> Result<Vec<Option<Document>>, StoreError> {
        self.store.read(partition, docs).await
    }

    async fn read_all(&self, partition: &Partition) -> Result<Vec<(String, Document)>, StoreError> {
        self.store.read_all(partition).await
    }

    async fn commit(&self, partition: &Partition, change: Change) -> Result<Committed, CommitError> {
        self.goes_on.subscribe().wait_for(|goes_on| *goes_on).await.unwrap();
        self.store.commit(partition, change).await
    }

    async fn arrivals(&self, partition: &Partition, set: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        self.store.arrivals(partition, set).await
    }

    async fn arrived(&self, partition: &Partition, set: &str) -> Result<u64, StoreError> {
        self.store.arrived(partition, set).await
    }

    async fn entry(&self, run: &RunId) -> Result<Option<RunEntry>, StoreError> {
        self.store.entry(run).await
    }

    async fn runs(&self, query: &RunQuery) -> Result<Vec<RunEntry>, StoreError> {
        self.store.runs(query).await
    }

    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<RunId>, StoreError> {
        self.store.due(now, limit).await
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        self.store.delete(partition).await
    }
}

#[tokio::test]
async fn a_run_is_found_however_one_asks_for_it_right_after_its_answer() {
    let limits = Limits { tick: Duration::from_secs(3600), ..Limits::default() };
    let guests = Arc::new(Guests::new(limits, None).unwrap());
    let name = FlowName::new("greet").unwrap();
    let flow = load_flow(guests, &module("greet"), Some(name.clone())).await.unwrap();
    let settings = Settings::default();
    let slow = Arc::new(Slow { store: open_state("memory").await.unwrap(), goes_on: watch::channel(false).0 });
    let functions = Functions::new([], None, &settings, Arc::new(Http::new(&settings).unwrap()));
    let host = Host::new(Parts::new(settings, slow.clone(), open_data("memory").await.unwrap(), functions));
    host.versions().deploy(flow);
    let submission = Submission { body: "you".into(), ..Submission::default() };
    let submitted = host.submit(&name, submission, Waits::ForOneNode).await.unwrap();
    assert!(submitted.end(Duration::from_secs(60)).await.unwrap().is_some(), "it has ended, and is not stored");
    let (run, all) = (submitted.id.clone(), RunQuery { flow: None, status: None, limit: 10 });
    let found = async {
        tokio::join!(
            async { host.view(&run).await.unwrap().is_some() },
            async { host.look(&run, Enough::Whole).await.unwrap().is_some() },
            async { host.entry(&run).await.unwrap().is_some() },
            async { host.result(&run).await.unwrap().is_some() },
            async { host.list(&all).await.unwrap().len() == 1 },
            async { slow.goes_on.send_replace(true) },
        )
    };
    assert_eq!(found.await, (true, true, true, true, true, false));
}
