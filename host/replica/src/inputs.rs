//! What a node gets: the outputs of the nodes before it, and the results of its branches.

use super::attempt::NodeAttempt;
use super::drive::failure as store_failure;
use super::live::Live;
use bytes::Bytes;
use faas_flow_core::run::{ClaimToken, set_of};
use faas_flow_core::{Failure, Partition, Payload};
use faas_flow_session::read_arrival;
use faas_flow_store::Arrival;
use std::sync::{Arc, PoisonError};

impl NodeAttempt<'_> {
    /// The node's data: its inputs, as its forwarders change them and its aggregator merges them.
    pub(super) async fn gather(&mut self) -> Result<Bytes, Failure> {
        let work = self.work;
        let mut inputs = Vec::with_capacity(work.inputs.len());
        for input in &work.inputs {
            let mut data = self.live.fetch(&input.payload).await?;
            if let Some(forwarder) = &input.forwarder {
                data = self.instance().await?.forward(forwarder.as_str(), data).await?;
            }
            inputs.push((input.from.clone(), data));
        }
        let context = Arc::make_mut(&mut self.context);
        context.inputs = inputs;
        match (&work.aggregator, &*context.inputs) {
            (Some(aggregator), inputs) => {
                let inputs = inputs.to_vec();
                self.instance().await?.aggregate(aggregator.as_str(), inputs).await
            }
            (None, [(_, data)]) => Ok(data.clone()),
            (None, _) => Ok(Bytes::new()),
        }
    }

    /// The results of the node's branches by their keys, in the order in which the branches began.
    pub(super) async fn arrived(&self, started_by: ClaimToken) -> Result<Vec<(String, Bytes)>, Failure> {
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
        for (key, bytes) in arrived {
            let (index, payload) = read_arrival(&bytes)?;
            results.push((index, key, live.fetch(&payload).await?));
        }
        results.sort_by_key(|(index, ..)| *index);
        Ok(results.into_iter().map(|(_, key, data)| (key, data)).collect())
    }
}

impl Live {
    /// The bytes of a payload, from memory if this replica wrote or read them before.
    pub(super) async fn fetch(&self, payload: &Payload) -> Result<Bytes, Failure> {
        if let Some(bytes) = self.cached(payload) {
            return Ok(bytes);
        }
        let bytes = self.services.data.fetch(&*self.services.state, &self.id, payload).await?;
        if let Payload::Kept { doc, .. } = payload {
            self.cached.lock().unwrap_or_else(PoisonError::into_inner).insert(doc.clone(), bytes.clone());
        }
        Ok(bytes)
    }

    /// The bytes of a payload, if they are in memory.
    pub(super) fn cached(&self, payload: &Payload) -> Option<Bytes> {
        match payload {
            Payload::Inline(bytes) => Some(bytes.clone()),
            Payload::Kept { doc, .. } => self.cached.lock().unwrap_or_else(PoisonError::into_inner).get(doc).cloned(),
            Payload::Stored { .. } => None,
        }
    }
}
