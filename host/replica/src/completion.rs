//! Work that must not be cut off halfway.

use crate::Error;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::task::Poll;

/// Completes work that changes a run, even if its caller goes away: otherwise a cancelled request could leave nodes that are
/// claimed but never executed, and a node whose time is up could leave a session that waits for an answer of its store for
/// ever. A panic becomes [`Error::TaskEndedEarly`].
pub(super) async fn run_to_completion<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let mut work = Box::pin(AssertUnwindSafe(work).catch_unwind());
    // Most work never waits, and so needs no task of its own.
    let done = match futures_util::poll!(&mut work) {
        Poll::Ready(done) => done,
        Poll::Pending => tokio::spawn(work).await.map_err(|_| Error::TaskEndedEarly)?,
    };
    done.map_err(|_| Error::TaskEndedEarly)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    #[tokio::test]
    async fn a_panic_is_answered_with_a_code_whether_the_work_waits_or_not() {
        let at_once = run_to_completion::<()>(async { panic!("at once") }).await;
        assert_eq!(at_once.unwrap_err().code(), Code::INTERNAL);
        let later = run_to_completion::<()>(async {
            tokio::task::yield_now().await;
            panic!("later")
        });
        assert_eq!(later.await.unwrap_err().code(), Code::INTERNAL);
    }
}
