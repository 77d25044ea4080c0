//! What a node gets: the outputs of the nodes before it, and the results of its branches.

use super::apart::in_turn;
use super::attempt::NodeAttempt;
use super::drive::failure as store_failure;
use super::live::Live;
use super::operations::{BESIDE, Whose};
use faas_flow_core::run::{ClaimToken, Ended, OperationKind, Side, set_of};
use faas_flow_core::{Content, Failure, Partition, Payload, Place};
use faas_flow_guest::Failed;
use faas_flow_session::read_arrival;
use faas_flow_store::Arrival;
use std::sync::{Arc, PoisonError};

impl NodeAttempt<'_> {
    /// The node's data: its inputs, as its forwarders change them and its aggregator merges them.
    pub(super) async fn gather(&mut self) -> Result<Content, Failure> {
        let work = self.work;
        let mut inputs = Vec::with_capacity(work.inputs.len());
        for input in &work.inputs {
            let mut data = self.live.fetch(&input.payload).await?;
            if let Some(forwarder) = &input.forwarder {
                let whose = Whose::handler(OperationKind::Forward).beside(&input.from, 0);
                self.keep(whose, Side::Input, &data);
                data = self.instance().await?.forward(forwarder.as_str(), data).await?;
                self.keep(whose, Side::Output, &data);
            }
            inputs.push((input.from.clone(), data));
        }
        let context = Arc::make_mut(&mut self.context);
        context.inputs = inputs;
        match (&work.aggregator, &*context.inputs) {
            (Some(aggregator), inputs) => {
                let inputs = inputs.to_vec();
                self.aggregate(aggregator.as_str(), inputs).await
            }
            (None, [(_, data)]) => Ok(data.clone()),
            (None, _) => Ok(Content::empty()),
        }
    }

    /// How the node's branches ended, by their keys, in the order in which the branches began. Those of branches that were run
    /// again are in `redone`.
    pub(super) async fn arrived(
        &self,
        started_by: ClaimToken,
        redone: &[(String, Ended)],
    ) -> Result<Vec<(String, Ended)>, Failure> {
        let live = self.live;
        let set = set_of(&self.work.path, started_by);
        let member = |arrival: &Arrival| (arrival.member.clone(), arrival.bytes.clone());
        let session = live.lock().await;
        let total = session.branches_of(&self.work.path).map(|total| total as usize);
        let unsaved: Vec<_> = session.unsaved_arrivals(&set).map(member).collect();
        drop(session);
        // If all branches ended here since the last commit, the store has none of them yet.
        let arrived = if total == Some(unsaved.len()) {
            unsaved
        } else {
            live.services
                .state
                .arrivals(&Partition::of_run(&live.id), &set)
                .await
                .map_err(|error| store_failure(&error))?
        };
        let mut results = Vec::with_capacity(arrived.len());
        for (at, (key, bytes)) in arrived.into_iter().enumerate() {
            in_turn(at).await;
            let (index, ended) = read_arrival(&bytes)?;
            let newer = redone.iter().find(|(again, _)| *again == key).map(|(_, ended)| ended.clone());
            results.push((index, key, newer.unwrap_or(ended)));
        }
        results.sort_by_key(|(index, ..)| *index);
        Ok(results.into_iter().map(|(_, key, ended)| (key, ended)).collect())
    }

    /// Merges how the node's branches ended: a `gather` handler sees all of them, an `aggregate` handler the results.
    pub(super) async fn merge(
        &mut self,
        handler: &str,
        gathers: bool,
        branches: Vec<(String, Ended)>,
    ) -> Result<Content, Failure> {
        if gathers {
            let mut items = Vec::with_capacity(branches.len());
            for (at, (key, ended)) in branches.into_iter().enumerate() {
                in_turn(at).await;
                let ended = match ended {
                    Ok(payload) => Ok(self.live.fetch(&payload).await?),
                    Err(failure) => {
                        let status = failure.answered;
                        Err(Failed { failure, status })
                    }
                };
                items.push((key, ended));
            }
            let whose = Whose::handler(OperationKind::Gather);
            for (key, ended) in items.iter().take(BESIDE) {
                let whose = whose.beside(key, items.len());
                match ended {
                    Ok(data) => self.keep(whose, Side::Input, data),
                    Err(failed) => self.keep_text(whose, Side::Input, || failed.failure.to_string()),
                }
            }
            let merged = self.instance().await?.gather(handler, items).await?;
            self.keep(whose, Side::Output, &merged);
            return Ok(merged);
        }
        let mut results = Vec::with_capacity(branches.len());
        for (at, (key, ended)) in branches.into_iter().enumerate() {
            in_turn(at).await;
            if let Ok(payload) = ended {
                results.push((key, self.live.fetch(&payload).await?));
            }
        }
        self.aggregate(handler, results).await
    }

    async fn aggregate(&mut self, handler: &str, inputs: Vec<(String, Content)>) -> Result<Content, Failure> {
        let whose = Whose::handler(OperationKind::Aggregate);
        self.keep_each(whose, Side::Input, &inputs);
        let merged = self.instance().await?.aggregate(handler, inputs).await?;
        self.keep(whose, Side::Output, &merged);
        Ok(merged)
    }
}

impl Live {
    /// What a payload refers to, from memory if this replica wrote or read it before.
    pub(super) async fn fetch(&self, payload: &Payload) -> Result<Content, Failure> {
        if let Some(content) = self.cached(payload) {
            return Ok(content);
        }
        let content = self.services.data.fetch(&*self.services.state, &self.id, payload).await?;
        if let Place::Kept { doc, .. } = &payload.place {
            self.cached.lock().unwrap_or_else(PoisonError::into_inner).insert(doc.clone(), content.bytes.clone());
        }
        Ok(content)
    }

    /// What a payload refers to, if it is in memory.
    pub(super) fn cached(&self, payload: &Payload) -> Option<Content> {
        let bytes = match &payload.place {
            Place::Inline(bytes) => bytes.clone(),
            Place::Kept { doc, .. } => self.cached.lock().unwrap_or_else(PoisonError::into_inner).get(doc).cloned()?,
            Place::Stored { .. } => return None,
        };
        Some(Content::new(bytes, payload.media_type.clone()))
    }
}
