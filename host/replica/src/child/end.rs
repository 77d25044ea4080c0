//! Tells the node that waits for a run that the run has ended. If that is lost, the node looks for it itself.

use super::outcome::response;
use crate::answers::{Answered, Reply, target};
use crate::ended::Ended;
use crate::live::Live;
use crate::log::log_run;
use faas_flow_core::run::Parent;
use faas_flow_core::{Code, Failure, RetryPolicy};
use faas_flow_guest::HttpRequest;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// How often the parent is told, and how long after each other.
const TRIES: RetryPolicy =
    RetryPolicy::exponential(Duration::from_millis(200), Duration::from_secs(5)).with_max_tries(5);
/// Maximum time for one try.
const TIMEOUT: Duration = Duration::from_secs(30);

impl Live {
    /// Tells the parent how the run ended.
    ///
    /// The future is boxed since its type contains itself: the end of a run may begin or end others.
    pub(crate) fn tell_parent(
        self: Arc<Self>,
        parent: Parent,
        ended: Arc<Ended>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { self.tell_with_patience(&parent, &ended).await })
    }

    async fn tell_with_patience(&self, parent: &Parent, ended: &Ended) {
        let mut delays = TRIES.delays(fastrand::f64);
        loop {
            let told = tokio::time::timeout(TIMEOUT, self.tell(parent, ended)).await;
            let failure = match told {
                Ok(Ok(())) => return,
                Ok(Err(failure)) => failure,
                Err(_) => Failure::retry(Code::CALL_TIMED_OUT, format!("no answer within {TIMEOUT:?}")),
            };
            let Some(delay) = delays.next().filter(|_| failure.retry) else {
                log_run!(warn, self, parent = %parent.run, parent_path = %parent.node, code = %failure.code, error = %failure.message, "could not notify the calling run of the end; it checks by itself");
                return;
            };
            tokio::time::sleep(delay).await;
        }
    }

    async fn tell(&self, parent: &Parent, ended: &Ended) -> Result<(), Failure> {
        let said = response(&self.id, ended);
        if let Some(host) = self.services.host_of(&parent.flow) {
            let told = host.answer(&parent.flow, &parent.run, &parent.node, parent.to, Reply::Response(said)).await;
            return match told {
                Ok(Answered::Taken | Answered::Ignored(_) | Answered::UnknownRun | Answered::Foreign) => Ok(()),
                Err(error) => Err(Failure::retry(error.code(), error.to_string())),
            };
        }
        let target = target(self.services.keys.as_ref(), &parent.run, &parent.node, parent.to);
        let mut headers = said.headers;
        headers.push(("X-Function-Status".to_owned(), said.status.to_string()));
        headers.push(("X-Function-Name".to_owned(), self.flow.name.to_string()));
        let url = format!("http://function/{}{target}", parent.flow);
        let request = HttpRequest { method: "POST".to_owned(), url, headers, body: said.body };
        let answer = self.services.functions.apply(parent.flow.as_str(), request).await?;
        match answer.status {
            200..300 => Ok(()),
            status @ (408 | 429 | 500..) => Err(Failure::retry(Code::CALL_STATUS, format!("status {status}"))),
            status => Err(Failure::reject(Code::CALL_STATUS, format!("status {status}"))),
        }
    }
}
