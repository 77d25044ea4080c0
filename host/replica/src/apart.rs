//! Work that takes long because a run is wide.

use faas_flow_core::run::{Event, Outcome};
use faas_flow_session::{Answer, Input, Session};
use tokio::runtime::{Handle, RuntimeFlavor};

/// How many scopes a run has whose session may take milliseconds to go through all of them.
const WIDE: usize = 1000;

/// Performs work that takes long and does not wait for anything. The other tasks of this worker go on meanwhile: another thread takes
/// them over. In a runtime with a single thread, such as that of simulations, they wait.
pub(super) fn apart<T>(work: impl FnOnce() -> T) -> T {
    let others_go_on =
        Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if others_go_on { tokio::task::block_in_place(work) } else { work() }
}

/// Lets other tasks have their turn before every thousandth of many small steps. A for-each may have a hundred thousand items.
pub(super) async fn in_turn(step: usize) {
    if step % WIDE == WIDE - 1 {
        tokio::task::yield_now().await;
    }
}

/// As [`apart`], if the work is that of a wide run.
pub(super) fn apart_if<T>(is_wide: bool, work: impl FnOnce() -> T) -> T {
    if is_wide { apart(work) } else { work() }
}

/// Whether so many scopes are loaded that what goes through all of them takes long.
pub(super) fn is_wide(session: &Session) -> bool {
    session.state().scope_count() >= WIDE
}

/// Whether a session goes through all scopes of a wide run because of an input, or begins so many. What is about one node does not
/// take long, however many there are.
pub(super) fn input_takes_long(session: &Session, input: &Input) -> bool {
    match input {
        Input::Event(Event::Complete { report, .. }, _) => {
            matches!(&report.outcome, Outcome::Branched(branches) if branches.len() >= WIDE)
        }
        Input::Event(Event::Claim { .. } | Event::Tried { .. } | Event::Joined { .. } | Event::Answer { .. }, _)
        | Input::Claim(_)
        | Input::CommitDue
        | Input::CutOff(_) => false,
        Input::Event(..) | Input::Check | Input::Recover | Input::Wake | Input::Store | Input::Release => {
            is_wide(session)
        }
    }
}

/// As [`input_takes_long`], for an answer: a check goes on when it has read the run.
pub(super) fn answer_takes_long(session: &Session, answer: &Answer) -> bool {
    !matches!(answer, Answer::Committed(_)) && is_wide(session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn the_only_worker_goes_on_with_other_tasks() {
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (send, receive) = sync_channel(1);
        let long = tokio::spawn(async move {
            apart(|| {
                begun.send(()).unwrap();
                receive.recv_timeout(Duration::from_secs(60))
            })
        });
        has_begun.await.unwrap();
        tokio::spawn(async move { send.send(()).unwrap() });
        assert_eq!(long.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn a_single_thread_does_the_work_itself() {
        assert_eq!(apart(|| 1), 1);
    }
}
