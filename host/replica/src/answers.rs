//! Answers to nodes that wait: from functions that were called asynchronously, and from runs that were called.

use super::completion::run_to_completion;
use super::host::Host;
use super::live::Live;
use crate::counters::AnswerEnd;
use crate::events::Keys;
use crate::{Error, SIGNATURE_PARAMETER};
use faas_flow_core::run::{Event, Phase, Refusal, Said, WaitId};
use faas_flow_core::{Failure, FlowName, MediaType, NodePath, RunId, Status};
use faas_flow_guest::HttpResponse;
use faas_flow_session::{Documents, Input, Role};
use faas_flow_versions::runs::load_around;
use std::sync::Arc;
use url::form_urlencoded;

/// How many bytes of headers are kept of an answer.
const HEADERS: usize = 16 * 1024;
/// Headers of an answer that say nothing about it: they belong to the connection, or to the request that brought it.
const NOT_KEPT: [&str; 12] = [
    "connection",
    "content-length",
    "date",
    "host",
    "keep-alive",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-faas-flow-signature",
];

/// What has come as an answer.
#[derive(Debug)]
pub enum Reply {
    /// A response.
    Response(HttpResponse),
    /// That there will be none, for this reason.
    Failed(Failure),
    /// None: the node has got the permit for which it waits.
    Permit,
}

/// The outcome of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// The node continues with it.
    Taken,
    /// Nobody waits for it, for this reason.
    Ignored(Refusal),
    /// There is no such run in the store.
    UnknownRun,
    /// The run belongs to another flow.
    Foreign,
}

/// What is signed of the address of an answer.
fn signed(run: &RunId, node: &NodePath, to: WaitId) -> String {
    format!("{run}\n{node}\n{}\n{}", to.claim, to.operation)
}

/// The path and query to which the answer to a wait is sent, below the path of the run's flow.
pub(crate) fn target(keys: Option<&Keys>, run: &RunId, node: &NodePath, to: WaitId) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("node", &node.to_string());
    query.append_pair("claim", &to.claim.to_string()).append_pair("operation", &to.operation.to_string());
    if let Some(keys) = keys {
        query.append_pair(SIGNATURE_PARAMETER, &keys.sign_answer(&signed(run, node, to)));
    }
    format!("/flow/{run}/answer?{}", query.finish())
}

/// Checks the signature in the address of an answer.
pub fn check_answer(
    keys: &Keys,
    run: &RunId,
    node: &NodePath,
    to: WaitId,
    signature: Option<&str>,
) -> Result<(), Error> {
    keys.verify_answer(&signed(run, node, to), signature)
}

impl Host {
    /// Takes the answer to a node that waits, and continues the node, here unless it waits elsewhere. When this returns
    /// [`Answered::Taken`], the answer is stored.
    pub async fn answer(
        self: &Arc<Self>,
        flow: &FlowName,
        run: &RunId,
        node: &NodePath,
        to: WaitId,
        reply: Reply,
    ) -> Result<Answered, Error> {
        let answered = self.give_answer(flow, run, node, to, reply).await?;
        self.counters().answered(match &answered {
            Answered::Taken => AnswerEnd::Taken,
            Answered::Ignored(_) => AnswerEnd::Ignored,
            Answered::UnknownRun | Answered::Foreign => AnswerEnd::UnknownRun,
        });
        Ok(answered)
    }

    /// Continues a node that waits for a permit, and has got it.
    pub(crate) async fn wake(
        self: &Arc<Self>,
        flow: &FlowName,
        run: &RunId,
        node: &NodePath,
        to: WaitId,
    ) -> Result<Answered, Error> {
        self.give_answer(flow, run, node, to, Reply::Permit).await
    }

    /// Whether a run is paused, as far as the store tells.
    pub(crate) async fn is_paused(&self, run: &RunId) -> bool {
        let entry = self.entry(run).await;
        entry.is_ok_and(|entry| entry.is_some_and(|entry| entry.status == Status::Paused))
    }

    async fn give_answer(
        self: &Arc<Self>,
        flow: &FlowName,
        run: &RunId,
        node: &NodePath,
        to: WaitId,
        reply: Reply,
    ) -> Result<Answered, Error> {
        let mut stored = None;
        loop {
            let known = self.runs.get(run);
            let live = match known {
                Some(live) => live,
                None => match self.open_to_answer(flow, run, node).await? {
                    Ok(live) => live,
                    Err(answered) => return Ok(answered),
                },
            };
            if live.flow.name != *flow {
                return Ok(Answered::Foreign);
            }
            let (said, documents) = match &stored {
                Some(answer) => answer,
                None => stored.insert(self.store_answer(run, node, &reply).await?),
            }
            .clone();
            let event = Event::Answer { path: node.clone(), to, said };
            // Without an answer, this replica has left the run in the meantime.
            if let Some(answered) = run_to_completion(async move { live.answer(event, documents).await }).await? {
                return Ok(answered);
            }
        }
    }

    async fn open_to_answer(
        self: &Arc<Self>,
        flow: &FlowName,
        run: &RunId,
        node: &NodePath,
    ) -> Result<Result<Arc<Live>, Answered>, Error> {
        let Some(state) = load_around(&*self.services.state, run, node).await? else {
            return Ok(Err(Answered::UnknownRun));
        };
        if state.run().flow != *flow {
            return Ok(Err(Answered::Foreign));
        }
        if state.run().phase == Phase::Ended {
            return Ok(Err(Answered::Ignored(Refusal::Ended)));
        }
        self.open(state, Role::Helper).await.map(Ok)
    }

    async fn store_answer(&self, run: &RunId, node: &NodePath, reply: &Reply) -> Result<(Said, Documents), Error> {
        let HttpResponse { status, headers, body } = match reply {
            Reply::Response(response) => response,
            Reply::Failed(failure) => return Ok((Said::Failed(failure.clone()), Documents::new())),
            Reply::Permit => return Ok((Said::Permit, Documents::new())),
        };
        let mut documents = Documents::new();
        let name = format!("{node}/{:016x}/answer", fastrand::u64(..));
        let media_type = MediaType::of_message(headers);
        let body = self.services.data.store_payload(run, name, body.clone(), &mut documents).await?.of_type(media_type);
        Ok((Said::Response { status: *status, headers: kept(headers), body }, documents))
    }
}

/// The headers of an answer that are kept, as many as there is room for.
fn kept(headers: &[(String, String)]) -> Vec<(String, String)> {
    let mut room = HEADERS;
    let kept = headers.iter().filter(|(name, value)| {
        let fits = !NOT_KEPT.contains(&name.to_ascii_lowercase().as_str()) && name.len() + value.len() <= room;
        if fits {
            room -= name.len() + value.len();
        }
        fits
    });
    kept.cloned().collect()
}

impl Live {
    /// Gives the session an answer; `None` if this replica has left the run.
    async fn answer(self: &Arc<Self>, event: Event, documents: Documents) -> Result<Option<Answered>, Error> {
        let mut session = self.lock().await;
        if session.has_left() {
            return Ok(None);
        }
        let mut reaction = self.drive(&mut session, Input::Event(event, documents)).await;
        drop(session);
        let failure = reaction.abandoned.take();
        let refused = reaction.refused.take();
        self.spawn_started(reaction);
        self.leave_if_done().await;
        match (failure, refused) {
            (Some(failure), _) => Err(failure.into()),
            (None, Some(refusal)) => Ok(Some(Answered::Ignored(refusal))),
            (None, None) => Ok(Some(Answered::Taken)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_keeps_headers_that_are_about_it_up_to_a_limit() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![
            header("Host", "gateway"),
            header("Content-Type", "text/plain"),
            header("x-large", &"x".repeat(HEADERS)),
            header("retry-after", "7"),
        ];
        assert_eq!(kept(&headers), [header("Content-Type", "text/plain"), header("retry-after", "7")]);
    }

    #[test]
    fn an_address_is_signed_for_one_wait() {
        let keys = Keys::new("sixteen bytes ok", None).unwrap();
        let (run, node) = (RunId::new("r-1").unwrap(), NodePath::parse("F[a%2Fb]/n1").unwrap());
        let to = WaitId { claim: faas_flow_core::run::ClaimToken::new(7), operation: 1 };
        let address = target(Some(&keys), &run, &node, to);
        let signature = address.rsplit_once("signature=").unwrap().1.replace("%3D", "=");
        assert!(check_answer(&keys, &run, &node, to, Some(&signature)).is_ok());
        let code = |to, signature: Option<&str>| check_answer(&keys, &run, &node, to, signature).unwrap_err().code();
        assert_eq!(code(WaitId { operation: 2, ..to }, Some(&signature)), faas_flow_core::Code::BAD_SIGNATURE);
        assert_eq!(code(to, None), faas_flow_core::Code::UNSIGNED);
        assert!(!target(None, &run, &node, to).contains("signature"));
    }
}
