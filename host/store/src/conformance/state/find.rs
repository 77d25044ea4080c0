//! The list of runs: found by every condition, page by page, and counted.

use super::{entry, new_flow};
use crate::conformance::new_run;
use crate::{Change, RunEntry, RunFailure, RunQuery, StateStore, every_run};
use faas_flow_core::{Code, Digest, FlowName, Labels, Millis, Partition, RunId, Status};
use std::collections::BTreeSet;

async fn put(store: &dyn StateStore, entry: &RunEntry) {
    let partition = Partition::of_run(&entry.run);
    store.commit(&partition, Change { entry: Some(entry.clone()), ..Change::default() }).await.unwrap();
}

async fn delete(store: &dyn StateStore, entries: &[RunEntry]) {
    for entry in entries {
        store.delete(&Partition::of_run(&entry.run)).await.unwrap();
    }
}

fn failed(entry: RunEntry, code: Code, message: &str) -> RunEntry {
    RunEntry { status: Status::Failed, failure: Some(RunFailure::new(code, message)), ended: Some(9), ..entry }
}

fn latest_first(mut entries: Vec<RunEntry>) -> Vec<RunEntry> {
    entries.sort_by(|one, other| (other.started, &other.run).cmp(&(one.started, &one.run)));
    entries
}

/// Runs of a flow with every status, two versions, failures and labels, and some of another flow.
fn samples(flow: &FlowName, other: &FlowName) -> Vec<RunEntry> {
    let versions = [Digest::of(flow.as_str().as_bytes()), Digest::of(other.as_str().as_bytes())];
    let messages = ["`charge` timed out", "\u{c4}rger: 100% of \"it\" \\ it's_\n\u{202e}", ""];
    let sample = |n: usize| {
        let run = RunId::new(format!("{}{n:02}", new_run())).unwrap();
        let status = Status::ALL[n % Status::ALL.len()];
        let mut labels = Labels::new();
        if n.is_multiple_of(3) {
            labels.insert("third", flow.as_str()).unwrap();
        }
        let flow = if n.is_multiple_of(7) { other } else { flow };
        let entry = RunEntry {
            status,
            labels,
            digest: versions[n % 2].clone(),
            ended: status.is_final().then_some(9),
            // Some start at the same time.
            ..entry(&run, flow, 1_790_000_000_000 + (n / 4) as Millis * 1000)
        };
        match status {
            Status::Failed => {
                let code = if n.is_multiple_of(2) { Code::CALL_STATUS } else { Code::GUEST_REJECTED };
                failed(entry, code, messages[n % messages.len()])
            }
            _ => entry,
        }
    };
    latest_first((0..40).map(sample).collect())
}

pub(in crate::conformance) async fn runs_are_found_by_every_condition(store: &dyn StateStore) {
    let (flow, other) = (new_flow(), new_flow());
    let samples = samples(&flow, &other);
    for entry in &samples {
        put(store, entry).await;
        assert_eq!(store.entry(&entry.run).await.unwrap().as_ref(), Some(entry));
    }
    let mut third = Labels::new();
    third.insert("third", flow.as_str()).unwrap();
    let of_flow = || RunQuery { flow: Some(flow.clone()), ..RunQuery::latest(100) };
    let digest = samples[0].digest.as_str();
    let start = 1_790_000_000_000;
    let mut queries = vec![
        of_flow(),
        RunQuery { flow: Some(other.clone()), ..of_flow() },
        RunQuery { labels: third.clone(), ..RunQuery::latest(100) },
        RunQuery { labels: third, status: Some(Status::Paused), ..of_flow() },
        RunQuery { digest: Some(digest.to_owned()), ..RunQuery::latest(100) },
        RunQuery { digest: Some(digest[..12].to_owned()), status: Some(Status::Succeeded), ..of_flow() },
        RunQuery { digest: Some(digest[..3].to_owned()), ..of_flow() },
        RunQuery { digest: Some("no".to_owned()), ..of_flow() },
        RunQuery { since: Some(start + 3000), ..of_flow() },
        RunQuery { until: Some(start + 3000), ..of_flow() },
        RunQuery { since: Some(start + 2000), until: Some(start + 2001), ..of_flow() },
        RunQuery { since: Some(start + 3000), until: Some(start + 3000), ..of_flow() },
        RunQuery { since: Some(Millis::MAX >> 1), ..of_flow() },
        RunQuery { code: Some(Code::CALL_STATUS), ..of_flow() },
        RunQuery { code: Some(Code::GUEST_REJECTED), until: Some(start + 5000), ..of_flow() },
        RunQuery { code: Some(Code::EMPTY_DAG), ..of_flow() },
        RunQuery { code: Some(Code::CALL_STATUS), status: Some(Status::Running), ..of_flow() },
        RunQuery { text: Some("TIMED".to_owned()), ..of_flow() },
        RunQuery { text: Some("\u{e4}rger".to_owned()), ..of_flow() },
        RunQuery { text: Some("100% of \"it\" \\ it's_".to_owned()), ..of_flow() },
        RunQuery { text: Some("%".to_owned()), status: Some(Status::Succeeded), ..of_flow() },
        RunQuery { id: Some(samples[5].run.to_string()), ..RunQuery::latest(100) },
        RunQuery { id: Some(samples[5].run.as_str()[..20].to_owned()), ..of_flow() },
        RunQuery { id: Some("no such id'%_\u{e4}".to_owned()), ..of_flow() },
    ];
    queries.extend(Status::ALL.map(|status| RunQuery { status: Some(status), ..of_flow() }));
    for query in queries {
        let expected: Vec<RunEntry> = samples.iter().filter(|entry| query.admits(entry)).cloned().collect();
        let found = store.runs(&query).await.unwrap();
        assert_eq!((found.runs, found.next), (expected.clone(), None), "{query:?}");
        // The same page by page, in which no run is left out or comes twice.
        let mut paged = RunQuery { limit: 3, ..query };
        let mut seen = Vec::new();
        loop {
            let page = store.runs(&paged).await.unwrap();
            seen.extend(page.runs);
            paged.after = page.next;
            if paged.after.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "{paged:?}");
    }
    delete(store, &samples).await;
    assert_eq!(store.runs(&of_flow()).await.unwrap().runs, []);
}

pub(in crate::conformance) async fn what_a_run_is_found_by_changes_with_it(store: &dyn StateStore) {
    let (flow, run) = (new_flow(), new_run());
    let begun = entry(&run, &flow, 1000);
    let failed = failed(begun.clone(), Code::CALL_STATUS, "no");
    let again = RunEntry { digest: Digest::of(b"another module"), ..begun.clone() };
    let of_flow = || RunQuery { flow: Some(flow.clone()), ..RunQuery::latest(10) };
    for now in [&begun, &failed, &again] {
        put(store, now).await;
        let queries = [
            RunQuery { status: Some(Status::Running), ..of_flow() },
            RunQuery { status: Some(Status::Failed), ..of_flow() },
            RunQuery { code: Some(Code::CALL_STATUS), ..of_flow() },
            RunQuery { text: Some("no".to_owned()), ..of_flow() },
            RunQuery { digest: Some(begun.digest.to_string()), ..of_flow() },
            RunQuery { digest: Some(again.digest.to_string()), ..of_flow() },
        ];
        for query in queries {
            let expected: Vec<RunEntry> = Some(now).filter(|entry| query.admits(entry)).cloned().into_iter().collect();
            assert_eq!(store.runs(&query).await.unwrap().runs, expected, "{query:?}");
        }
    }
    delete(store, &[again]).await;
    assert_eq!(store.runs(&of_flow()).await.unwrap().runs, []);
    assert_eq!(store.counts(Some(&flow)).await.unwrap().total(), 0);
}

pub(in crate::conformance) async fn runs_are_counted_by_status(store: &dyn StateStore) {
    let (flow, other) = (new_flow(), new_flow());
    let mut samples = samples(&flow, &other);
    for entry in &samples {
        put(store, entry).await;
    }
    for entry in samples.iter_mut().filter(|entry| entry.status == Status::Running) {
        entry.status = Status::Stopped;
        put(store, entry).await;
    }
    for flow in [&flow, &other] {
        let counts = store.counts(Some(flow)).await.unwrap();
        for (status, count) in counts.each() {
            let expected = samples.iter().filter(|entry| entry.flow == *flow && entry.status == status).count();
            assert_eq!(count, expected as u64, "{status}");
        }
    }
    let all = store.counts(None).await.unwrap();
    assert!(!all.complete || all.total() >= 40);
    let flows: BTreeSet<FlowName> = store.flows().await.unwrap().into_iter().collect();
    assert!(flows.contains(&flow) && flows.contains(&other));
    let every = every_run(store, RunQuery { flow: Some(flow.clone()), ..RunQuery::latest(0) }).await.unwrap();
    assert_eq!(every.len(), samples.iter().filter(|entry| entry.flow == flow).count());
    delete(store, &samples).await;
    assert_eq!(store.counts(Some(&flow)).await.unwrap().total(), 0);
    assert!(!store.flows().await.unwrap().contains(&flow));
}
