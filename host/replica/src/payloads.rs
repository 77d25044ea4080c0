//! Inputs and outputs of nodes, as the stores have them, for people who look for a fault.

use super::host::Host;
use crate::Error;
use faas_flow_core::run::{Input, RunView, Side};
use faas_flow_core::{Content, NodePath, Payload, RunId};
use faas_flow_versions::runs::load_around;

/// A part of a node's input, or its output.
#[derive(Debug, Clone)]
pub struct NodeData {
    /// The node that it comes from; empty for an output, and for an input that comes from no other node.
    pub from: String,
    /// Whether a forwarder changes it before the node gets it. What the forwarder makes of it is not stored.
    pub is_forwarded: bool,
    /// Where it is.
    pub payload: Payload,
}

impl From<Input> for NodeData {
    fn from(Input { from, payload, forwarder }: Input) -> Self {
        Self { from, is_forwarded: forwarder.is_some(), payload }
    }
}

impl Host {
    /// A run with one of its nodes; `None` if there is no such run. It has no nodes if it has no such node.
    ///
    /// # Errors
    ///
    /// The store fails.
    pub async fn node(&self, run: &RunId, node: &NodePath) -> Result<Option<RunView>, Error> {
        self.runs.written(run).await;
        let Some(state) = load_around(&*self.services.state, run, node).await? else { return Ok(None) };
        let mut view = RunView::new(state.run(), state.scopes());
        view.nodes.retain(|known| known.path == *node);
        Ok(Some(view))
    }

    /// What is stored of the input or the output of a node, which is nothing until it is there; `None` if the run has no such
    /// node.
    ///
    /// # Errors
    ///
    /// The store fails. Or it is about an input, and the run's version is missing: it says where the input comes from.
    pub async fn node_data(&self, run: &RunId, node: &NodePath, side: Side) -> Result<Option<Vec<NodeData>>, Error> {
        self.runs.written(run).await;
        let services = &self.services;
        let Some(state) = load_around(&*services.state, run, node).await? else { return Ok(None) };
        if state.shown_node(node).is_none() {
            return Ok(None);
        }
        Ok(Some(match side {
            Side::Output => {
                let whole =
                    |payload: &Payload| NodeData { from: String::new(), is_forwarded: false, payload: payload.clone() };
                state.output_of(node).map(whole).into_iter().collect()
            }
            Side::Input => {
                let plan = services.versions.plan_of(state.run()).await?;
                state.inputs_of(&plan, node).into_iter().map(NodeData::from).collect()
            }
        }))
    }

    /// The bytes of a payload of a run.
    ///
    /// # Errors
    ///
    /// The store fails, or no longer has them; or there is no memory for them at this moment.
    pub async fn fetch(&self, run: &RunId, payload: &Payload) -> Result<Content, Error> {
        Ok(self.services.data.fetch(&*self.services.state, run, payload).await?)
    }
}
