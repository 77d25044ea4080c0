//! What limits over all runs need of a state store: documents that belong to no run, which many replicas change all the time.

use super::new_run;
use crate::{Change, CommitError, Expect, Put, StateStore};
use faas_flow_core::limit::{Allowance, Entered, Figures, Line, Lines, MOST_WAITING, Scope, Ticket, document_of};
use faas_flow_core::run::{decode, encode};
use faas_flow_core::{FlowName, NodePath, Partition, RunId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const MOST: u32 = 3;
const LEASE: u64 = 1_000_000;

/// The partition of a limit that no other case uses.
fn new_limit() -> Partition {
    Partition::of_limit(new_run().as_str())
}

fn allowance() -> Allowance {
    Allowance { figures: Figures { concurrent: Some(MOST), per_second: None }, scope: Scope::All }
}

fn ticket(run: String) -> Ticket {
    let (flow, node) = (FlowName::new("greet").unwrap(), NodePath::parse("F[item 1000]/n").unwrap());
    Ticket { flow, run: RunId::new(run).unwrap(), node, operation: Some(0) }
}

fn put(lines: &Lines, version: u64) -> Change {
    let put = Put { doc: document_of(15), expect: Expect::Version(version), bytes: encode(lines).into() };
    Change { puts: vec![put], ..Change::default() }
}

async fn read(store: &dyn StateStore, partition: &Partition) -> (u64, Lines) {
    let read = store.read(partition, &[document_of(15)]).await.unwrap().remove(0);
    read.map_or((0, Lines::default()), |document| (document.version, decode(&document.bytes).unwrap()))
}

/// Changes the line of a limit, as often as others are faster.
async fn change<T>(store: &dyn StateStore, partition: &Partition, mut change: impl FnMut(&mut Line) -> T) -> T {
    loop {
        let (version, mut lines) = read(store, partition).await;
        let done = change(lines.line(""));
        match store.commit(partition, put(&lines, version)).await {
            Ok(_) => return done,
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => panic!("{error}"),
        }
    }
}

/// Eight replicas make calls that need permits, of which there are three.
pub(super) async fn no_permit_is_given_out_twice(store: Arc<dyn StateStore>) {
    let (partition, in_flight) = (new_limit(), Arc::new(AtomicU32::new(0)));
    let replicas = (0..8).map(|number| {
        let (store, partition, in_flight) = (store.clone(), partition.clone(), in_flight.clone());
        tokio::spawn(async move {
            let owner = format!("replica-{number}");
            for call in 0..4 {
                let ticket = ticket(format!("r{number}-{call}"));
                let enter = |line: &mut Line| line.enter(&allowance(), (&owner, &None, &ticket), 0, 0, LEASE);
                while change(&*store, &partition, enter).await != Entered::Granted {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                assert!(in_flight.fetch_add(1, Ordering::SeqCst) < MOST);
                tokio::time::sleep(Duration::from_millis(2)).await;
                in_flight.fetch_sub(1, Ordering::SeqCst);
                change(&*store, &partition, |line| line.leave(&owner, &ticket)).await;
            }
        })
    });
    for replica in replicas.collect::<Vec<_>>() {
        replica.await.unwrap();
    }
    assert!(read(&*store, &partition).await.1.line("").is_empty());
    let documents = store.read_all(&partition).await.unwrap();
    assert_eq!(documents.iter().map(|(doc, _)| doc.as_str()).collect::<Vec<_>>(), ["f"]);
    store.delete(&partition).await.unwrap();
}

/// With long names of runs and nodes, too.
pub(super) async fn a_full_line_is_stored(store: &dyn StateStore) {
    let partition = new_limit();
    let mut lines = Lines::default();
    for number in 0..MOST_WAITING {
        let ticket = ticket(format!("{number:0>64}"));
        lines.line("").enter(&allowance(), ("replica", &None, &ticket), 0, 0, LEASE);
    }
    store.commit(&partition, put(&lines, 0)).await.unwrap();
    assert_eq!(read(store, &partition).await, (1, lines.clone()));
    lines.line("").drop_ticket(&ticket(format!("{:0>64}", 0)));
    store.commit(&partition, put(&lines, 1)).await.unwrap();
    assert_eq!(read(store, &partition).await, (2, lines));
    store.delete(&partition).await.unwrap();
}
