//! Events from other replicas: this one executes the node of an event, unless another one does.

use super::completion::run_to_completion;
use super::host::Host;
use super::live::Live;
use crate::Error;
use faas_flow_core::run::{Phase, Refusal};
use faas_flow_core::{FlowName, NodePath, RunId};
use faas_flow_session::{Input, Role};
use faas_flow_versions::runs::load_around;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// The outcome of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forwarded {
    /// This replica executes the node.
    Taken,
    /// There was nothing to do, for this reason.
    Ignored(String),
    /// There is no such run in the store.
    UnknownRun,
    /// The run belongs to another flow.
    Foreign,
}

/// The outcome of a claim.
enum Claimed {
    /// This replica executes the node.
    Taken,
    /// Another replica was faster, or the node must not be executed now.
    Refused(Refusal),
    /// This replica has left the run in the meantime, so the run must be opened again.
    Left,
}

impl Host {
    /// Executes a node of a flow's run, if it is ready and no replica executes it. Waits for room for at most the setting
    /// `room_wait`.
    pub async fn forward(self: &Arc<Self>, flow: &FlowName, run: &RunId, path: &NodePath) -> Result<Forwarded, Error> {
        if self.is_draining() {
            return Err(Error::Stopping);
        }
        loop {
            let permit = self.services.permits.clone().acquire_owned();
            let permit = tokio::time::timeout(self.services.settings.room_wait, permit).await;
            let Ok(Ok(permit)) = permit else { return Err(Error::NoRoomForEvent) };
            let known = self.runs.get(run);
            let live = match known {
                Some(live) => live,
                None => match self.open_to_help(flow, run, path).await? {
                    Ok(live) => live,
                    Err(forwarded) => return Ok(forwarded),
                },
            };
            if live.flow.name != *flow {
                return Ok(Forwarded::Foreign);
            }
            let path = path.clone();
            match run_to_completion(async move { live.claim(&path, permit).await }).await? {
                Claimed::Taken => return Ok(Forwarded::Taken),
                Claimed::Refused(refusal) => return Ok(Forwarded::Ignored(refusal.to_string())),
                Claimed::Left => {}
            }
        }
    }

    /// Opens a stored run to help with one of its nodes.
    async fn open_to_help(
        self: &Arc<Self>,
        flow: &FlowName,
        run: &RunId,
        path: &NodePath,
    ) -> Result<Result<Arc<Live>, Forwarded>, Error> {
        let Some(state) = load_around(&*self.services.state, run, path).await? else {
            return Ok(Err(Forwarded::UnknownRun));
        };
        if state.run().flow != *flow {
            return Ok(Err(Forwarded::Foreign));
        }
        if state.run().phase == Phase::Ended {
            return Ok(Err(Forwarded::Ignored(Refusal::Ended.to_string())));
        }
        self.open(state, Role::Helper).await.map(Ok)
    }
}

impl Live {
    /// Claims and executes a node that an event says is ready.
    async fn claim(self: &Arc<Self>, path: &NodePath, permit: OwnedSemaphorePermit) -> Result<Claimed, Error> {
        let mut session = self.lock().await;
        if session.has_left() {
            return Ok(Claimed::Left);
        }
        let mut reaction = self.drive(&mut session, Input::Claim(path.clone())).await;
        // If another replica was faster, the claim was applied here, but its commit conflicted.
        let executes = session.executes(path);
        drop(session);
        if let Some(failure) = reaction.abandoned.take() {
            return Err(failure.into());
        }
        if reaction.refused.is_some() || !executes {
            let refusal = reaction.refused.take().unwrap_or(Refusal::Leased);
            self.spawn_started(reaction);
            self.leave_if_done().await;
            return Ok(Claimed::Refused(refusal));
        }
        let mut permit = Some(permit);
        for started in std::mem::take(&mut reaction.start) {
            tokio::spawn(self.clone().execute(started, permit.take()));
        }
        self.spawn_started(reaction);
        Ok(Claimed::Taken)
    }
}
