use crate::branches::{BranchesModel, ByItem, ByKey};
use crate::handler::{Aggregate, Modify};
use crate::node::Operations;
use crate::{Branches, Condition, ForEach, Inputs, Node, Result};
use std::cell::RefCell;
use std::rc::Rc;

pub(crate) type Shared<T> = Rc<RefCell<T>>;

pub(crate) fn shared<T>(value: T) -> Shared<T> {
    Rc::new(RefCell::new(value))
}

/// Nodes and the edges between them. A handle: clones are the same dag.
///
/// A dag has one start (a node without incoming edges) and no cycles. Its result is the output of its end (the node
/// without outgoing edges); with several ends it yields nothing, unless [`Dag::aggregate_ends`] merges them.
#[derive(Clone, Default)]
pub struct Dag(pub(crate) Shared<DagModel>);

#[derive(Clone, Default)]
pub(crate) struct DagModel {
    pub nodes: Vec<(String, NodeKind)>,
    pub edges: Vec<Edge>,
    pub aggregate_inputs: Vec<(String, Aggregate)>,
    pub aggregate_ends: Option<Aggregate>,
}

#[derive(Clone)]
pub(crate) enum NodeKind {
    Operations(Shared<Operations>),
    SubDag(Dag),
    Condition(Shared<BranchesModel>),
    ForEach(Shared<BranchesModel>),
}

impl Dag {
    /// A dag without nodes, to become a sub-dag, a part of another dag, or the whole flow.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node that runs operations, one after the other. The id is unique within its dag: 1 to 64 characters out
    /// of `A-Z a-z 0-9 _ . -`.
    pub fn node(&self, id: impl Into<String>) -> Node {
        let (id, operations) = (id.into(), Shared::<Operations>::default());
        self.add(&id, NodeKind::Operations(operations.clone()));
        Node { dag: self.clone(), id: id.into(), operations }
    }

    /// Adds a node that runs a whole dag, whose start gets the node's input and whose result is the node's output.
    pub fn sub_dag(&self, id: impl Into<String>, dag: &Dag) {
        self.add(&id.into(), NodeKind::SubDag(dag.clone()));
    }

    /// Adds a node that runs those of its branches whose keys `choose` returns: at least one, each once.
    pub fn condition<K: Into<String>, C: Into<String>, I: IntoIterator<Item = C>>(
        &self,
        id: impl Into<String>,
        keys: impl IntoIterator<Item = K>,
        choose: impl Fn(Vec<u8>) -> Result<I> + 'static,
    ) -> Condition {
        let choose = Rc::new(move |data| Ok(choose(data)?.into_iter().map(Into::into).collect()));
        let branches = Branches::<ByKey>::new(choose, keys.into_iter().map(Into::into));
        self.add(&id.into(), NodeKind::Condition(branches.model.clone()));
        branches
    }

    /// Adds a node that runs one dag for each item that `split` returns, each with a key that is unique among them,
    /// 1 to 128 bytes.
    pub fn for_each<K: Into<String>, D: Into<Vec<u8>>, I: IntoIterator<Item = (K, D)>>(
        &self,
        id: impl Into<String>,
        split: impl Fn(Vec<u8>) -> Result<I> + 'static,
    ) -> ForEach {
        let split =
            Rc::new(move |data| Ok(split(data)?.into_iter().map(|(key, item)| (key.into(), item.into())).collect()));
        let branches = Branches::<ByItem>::new(split);
        self.add(&id.into(), NodeKind::ForEach(branches.model.clone()));
        branches
    }

    /// Orders two nodes, which may be added before or after, and hands the output of the first to the second.
    pub fn edge(&self, from: impl Into<String>, to: impl Into<String>) -> Edge {
        let edge = Edge(shared(EdgeModel { from: from.into(), to: to.into(), carries: Carries::Output }));
        self.0.borrow_mut().edges.push(edge.clone());
        edge
    }

    /// Merges the inputs of a node of any kind, by predecessor. Without it, a node with one data edge gets what that
    /// carries, and a node with several gets nothing: its inputs are then only in [`Context::inputs`](crate::Context::inputs).
    pub fn aggregate_inputs<T: Into<Vec<u8>>>(
        &self,
        node: impl Into<String>,
        aggregator: impl Fn(Inputs) -> Result<T> + 'static,
    ) {
        self.0.borrow_mut().aggregate_inputs.push((node.into(), aggregate(aggregator)));
    }

    /// Merges the outputs of this dag's ends, by node id in the order of their declaration.
    pub fn aggregate_ends<T: Into<Vec<u8>>>(&self, aggregator: impl Fn(Inputs) -> Result<T> + 'static) {
        self.0.borrow_mut().aggregate_ends = Some(aggregate(aggregator));
    }

    /// Takes over the nodes, edges and input aggregators that another dag has now.
    pub fn append(&self, other: &Dag) {
        let other = other.0.borrow().clone();
        let mut this = self.0.borrow_mut();
        this.nodes.extend(other.nodes);
        this.edges.extend(other.edges);
        this.aggregate_inputs.extend(other.aggregate_inputs);
    }

    fn add(&self, id: &str, kind: NodeKind) {
        self.0.borrow_mut().nodes.push((id.into(), kind));
    }
}

pub(crate) fn aggregate<T: Into<Vec<u8>>>(aggregator: impl Fn(Inputs) -> Result<T> + 'static) -> Aggregate {
    Rc::new(move |inputs| aggregator(inputs).map(Into::into))
}

/// An ordering of two nodes; unless told otherwise, the second gets the output of the first.
#[derive(Clone)]
pub struct Edge(pub(crate) Shared<EdgeModel>);

pub(crate) struct EdgeModel {
    pub from: String,
    pub to: String,
    pub carries: Carries,
}

pub(crate) enum Carries {
    Output,
    Nothing,
    Forwarded(Modify),
}

impl Edge {
    /// The edge only orders; it hands nothing on.
    pub fn execution(&self) -> Self {
        self.0.borrow_mut().carries = Carries::Nothing;
        self.clone()
    }

    /// Rewrites what the edge hands on.
    pub fn forwarder<T: Into<Vec<u8>>>(&self, forward: impl Fn(Vec<u8>) -> Result<T> + 'static) -> Self {
        self.0.borrow_mut().carries = Carries::Forwarded(Rc::new(move |data| forward(data).map(Into::into)));
        self.clone()
    }
}
