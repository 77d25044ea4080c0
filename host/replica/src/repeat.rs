//! Rounds of a repeat: whether there is another one, and the wait before it.

use super::attempt::{NodeAttempt, Unfinished};
use super::operations::Whose;
use faas_flow_core::run::{OperationKind, Outcome, Side, Suspended};
use faas_flow_core::{Code, Content, Failure, HandlerId, Payload, round_key};
use std::time::Duration;

/// What decides about rounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounds<'a> {
    /// The `again` handler.
    pub(super) handler: &'a HandlerId,
    /// How many there may be.
    pub(super) most: u32,
    /// The wait before another one, in milliseconds.
    pub(super) wait_ms: u64,
}

impl NodeAttempt<'_> {
    /// Begins the first round with the data of the node.
    pub(super) async fn first_round(&mut self, data: Content) -> Result<Outcome, Failure> {
        Ok(begin(1, self.store("", data).await?))
    }

    /// Begins another round with the result of the one that has ended, if the flow's code says so, or else ends the node with
    /// that result.
    pub(super) async fn next_round(
        &mut self,
        rounds: Rounds<'_>,
        round: u32,
        result: &Payload,
    ) -> Result<Outcome, Unfinished> {
        let has_waited = self.work.suspended.as_ref().is_some_and(|suspended| suspended.data.is_some());
        if !has_waited {
            let data = self.live.fetch(result).await?;
            let whose = Whose::handler(OperationKind::Again);
            self.keep(whose, Side::Input, &data);
            let again = self.instance().await?.again(rounds.handler.as_str(), &data, round).await?;
            self.keep_text(whose, Side::Output, || again.to_string());
            if !again {
                return Ok(Outcome::Done(result.clone()));
            }
            if round >= rounds.most {
                return Err(endless(rounds).into());
            }
            self.wait_for_round(rounds.wait_ms, result).await?;
        }
        Ok(begin(round + 1, result.clone()))
    }

    /// Waits before a round: in memory if that is short, and otherwise without holding anything.
    async fn wait_for_round(&mut self, ms: u64, result: &Payload) -> Result<(), Unfinished> {
        let wait = Duration::from_millis(ms);
        if wait.is_zero() {
            return Ok(());
        }
        if self.live.waits_in_memory(wait, (&self.work.path, self.context.attempt)).await {
            self.return_instance();
            tokio::time::sleep(wait).await;
            return Ok(());
        }
        let until = self.live.services.now() + ms;
        let data = Some(result.clone());
        Err(Unfinished::Suspended(Suspended { data, ..Suspended::until(until) }))
    }
}

fn begin(round: u32, input: Payload) -> Outcome {
    Outcome::Branched(vec![(round_key(round), input)])
}

fn endless(Rounds { handler, most, .. }: Rounds<'_>) -> Failure {
    let message = format!(
        "`{handler}` wants another round after {most}, but there may be no more: raise the limit, or end the repeat earlier"
    );
    Failure::reject(Code::ENDLESS_REPEAT, message)
}
