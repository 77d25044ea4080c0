//! Signals that come to replicas whose copies of the run are old, or whose commits have no answer.

use crate::replica::{Fate, circumstances, perform};
use crate::shared::{HERE, Shared, command, paths, report};
use faas_flow_core::definition::{Node, NodeKind, Operation, Operations, SignalSource, WaitFor};
use faas_flow_core::run::{Awaited, Event, Outcome, SentSignal, Suspended, Wait, WaitId, Work};
use faas_flow_core::testing::{flow, graph, payload, the_start};
use faas_flow_core::{Definition, SignalName};
use faas_flow_session::Input;

fn name() -> SignalName {
    SignalName::new("ok").unwrap()
}

/// A node `n` that waits for the signal `ok`.
fn waiting() -> Definition {
    let wait = WaitFor { signal: SignalSource::Named("ok".to_owned()), timeout_ms: None, recover_from: None };
    let operations = Operations { list: vec![Operation::WaitFor(wait)], ..Operations::default() };
    flow(graph(vec![Node { id: "n".to_owned(), kind: NodeKind::Operations(operations) }], []))
}

fn waits(work: &Work) -> Input {
    let id = WaitId { claim: work.token, operation: 0 };
    let wait = Wait { id, of: Awaited::Signal { signal: name() }, since: 2, limit: None, looks: 0 };
    let suspended = Suspended { data: Some(payload("in")), wait: Some(Box::new(wait)), ..Suspended::until(90_000) };
    report(work, Outcome::Suspended(suspended))
}

fn signal(id: u64) -> Input {
    command(Event::Signal(SentSignal { name: name(), id, key: Some("once".to_owned()), body: payload("yes") }))
}

/// SIGNAL-1: otherwise the run would keep the signal, and the node would wait for ever.
#[test]
fn a_replica_with_an_old_copy_of_the_run_gives_the_signal_to_the_node_that_waits() {
    let shared = Shared::new(waiting());
    let (mut owner, ready) = shared.begin(HERE);
    let mut other = shared.open(1);
    shared.input(&mut owner, 2, waits(&ready.start[0]));
    let ready = shared.input(&mut other, 3, signal(1));
    assert_eq!((ready.refused, paths(&ready.start)), (None, vec!["n".to_owned()]));
    assert_eq!(ready.start[0].signals[0].body, payload("yes"));
}

/// SIGNAL-1: a node that waits since another replica has kept the signal takes it.
#[test]
fn a_node_that_begins_to_wait_with_an_old_copy_of_the_run_takes_the_signal_that_was_kept() {
    let shared = Shared::new(waiting());
    let (mut owner, ready) = shared.begin(HERE);
    assert!(shared.input(&mut shared.open(1), 2, signal(1)).start.is_empty());
    let again = shared.input(&mut owner, 3, waits(&ready.start[0])).start;
    assert_eq!((paths(&again), again[0].signals.len()), (vec!["n".to_owned()], 1));
}

/// SIGNAL-3, SIGNAL-7: who sends a signal is told that it is stored, whether its commit was answered or not, and it counts once.
#[test]
fn a_signal_whose_commit_has_no_answer_counts_once() {
    for fate in [Fate::Lost, Fate::AnswerLost] {
        let shared = Shared::new(waiting());
        let (mut owner, ready) = shared.begin(HERE);
        shared.input(&mut owner, 2, waits(&ready.start[0]));
        let mut other = shared.open(1);
        other.input(signal(1), &circumstances(3, HERE));
        // Its document is loaded, and then the commit fails.
        let mut failed = false;
        while let Some(io) = other.io() {
            let is_commit = matches!(io, faas_flow_session::Io::Commit { .. });
            let fate = if is_commit && !std::mem::replace(&mut failed, is_commit) { fate } else { Fate::Answered };
            other.answer(perform(&the_start().id, io, &*shared.store, fate), &circumstances(3, HERE));
        }
        let ready = other.ready();
        assert_eq!((ready.refused, paths(&ready.start)), (None, vec!["n".to_owned()]));
        let twice = shared.input(&mut shared.open(2), 4, signal(2));
        assert_eq!(twice.refused, Some(faas_flow_core::run::Refusal::Repeated));
    }
}
