//! What each node of a run got and gave.

use crate::world::Cluster;
use anyhow::Context as _;
use bytes::Bytes;
use faas_flow_core::run::{NodeState, NodeView, Progress, RunState, RunView};
use faas_flow_core::{NodePath, Partition, Payload, Place, Plan, PlanCarries};
use faas_flow_store::DataKey;
use faas_flow_versions::Flow;
use std::sync::Arc;

/// A node of a run.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its path.
    pub path: NodePath,
    /// How far it came.
    pub progress: Progress,
    /// What it got, with the node from which that came; none for the input of the dag.
    pub got: Vec<(Option<String>, Bytes)>,
    /// What it gave.
    pub gave: Option<Bytes>,
    /// Its history.
    pub view: NodeView,
}

impl Node {
    /// Whether it has begun.
    pub fn ran(&self) -> bool {
        self.view.started.is_some()
    }
}

/// The nodes of a run with their data, in the order of the history.
pub(crate) async fn nodes(
    cluster: &Cluster,
    flow: &Flow,
    state: &RunState,
    view: &RunView,
) -> anyhow::Result<Vec<Node>> {
    let plan = match (&state.run().definition, &flow.plan) {
        (Some(definition), _) => Plan::new((**definition).clone()).ok().map(Arc::new),
        (None, plan) => plan.clone(),
    };
    let data = Data { cluster, partition: Partition::of_run(&state.run().id) };
    let mut nodes = Vec::new();
    for node in &view.nodes {
        let found = state.scope(&node.path.scope).and_then(|scope| {
            let here = scope.nodes.iter().find(|one| one.id == node.path.node)?;
            Some((scope, here))
        });
        let hook = state.run().hooks.iter().find(|hook| hook.id == node.path.node);
        let (mut got, mut gave) = (Vec::new(), None);
        if let Some(here) = found.map(|(_, here)| here).or(hook) {
            gave = data.read(here.output.as_ref()).await?;
        }
        if let Some((scope, here)) = found {
            let dag = plan.as_ref().and_then(|plan| plan.dag(&node.path.scope));
            let inputs = dag.and_then(|dag| Some((dag, &dag.node(&node.path.node)?.inputs)));
            match (&here.given, inputs) {
                (Some(given), _) => got.extend(data.read(Some(given)).await?.map(|bytes| (None, bytes))),
                (None, Some((dag, inputs))) if !inputs.is_empty() => {
                    for input in inputs.iter().filter(|input| input.carries != PlanCarries::Nothing) {
                        let from = dag.nodes.get(input.from).map(|from| &from.id);
                        let output = |one: &&NodeState| Some(&one.id) == from;
                        let before = scope.nodes.iter().find(output).and_then(|before| before.output.as_ref());
                        let bytes = data.read(before).await?;
                        got.extend(bytes.map(|bytes| (from.map(ToString::to_string), bytes)));
                    }
                }
                _ => got.extend(data.read(Some(&scope.input)).await?.map(|bytes| (None, bytes))),
            }
        }
        nodes.push(Node { path: node.path.clone(), progress: node.progress, got, gave, view: node.clone() });
    }
    Ok(nodes)
}

struct Data<'a> {
    cluster: &'a Cluster,
    partition: Partition,
}

impl Data<'_> {
    async fn read(&self, payload: Option<&Payload>) -> anyhow::Result<Option<Bytes>> {
        let Some(payload) = payload else { return Ok(None) };
        match &payload.place {
            Place::Inline(bytes) => Ok(Some(bytes.clone())),
            Place::Kept { doc, .. } => {
                let found = self.cluster.truth().read(&self.partition, std::slice::from_ref(doc)).await?;
                Ok(found.into_iter().flatten().next().map(|document| document.bytes))
            }
            Place::Stored { key, .. } => {
                let key = DataKey::new(self.partition.clone(), key.as_str()).context("a payload has a key")?;
                Ok(self.cluster.data().get(&key).await?)
            }
        }
    }
}
