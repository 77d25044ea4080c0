use crate::branches::{BranchesModel, Condition, ForEach, Selects};
use crate::failed::Failed;
use crate::failure::Result;
use crate::handler::{Aggregate, Modify, RecoverFrom};
use crate::inputs::Inputs;
use crate::node::{Node, Operations};
use crate::repeat::{Repeat, RepeatModel};
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

pub(crate) type Shared<T> = Rc<RefCell<T>>;

pub(crate) fn shared<T>(value: T) -> Shared<T> {
    Rc::new(RefCell::new(value))
}

/// Nodes, and the edges between them. A clone is the same dag.
///
/// A dag has one start (a node without incoming edges) and no cycles. Its result is the output of its end (the node
/// without outgoing edges). A dag with several ends yields nothing, unless [`Dag::end_aggregator`] merges their
/// outputs.
///
/// ```
/// use faas_flow::{Context, Dag, Inputs, Result, Workflow};
///
/// fn define(workflow: &mut Workflow, _context: &Context) -> Result {
///     let dag = workflow.dag();
///     dag.node("split").apply("split-name");
///     dag.node("greet").modify(|name| Ok([b"Hello, ", name.as_slice()].concat()));
///     dag.node("face").apply("draw-face");
///     dag.node("card").aggregator(|inputs: Inputs| Ok(inputs.concat()));
///     dag.edge("split", "greet");
///     dag.edge("split", "face");
///     dag.edge("greet", "card");
///     dag.edge("face", "card");
///     Ok(())
/// }
/// # faas_flow::testing::Flow::new(define).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct Dag(pub(crate) Shared<DagModel>);

#[derive(Clone, Default)]
pub(crate) struct DagModel {
    pub nodes: Vec<(String, NodeKind)>,
    pub edges: Vec<Edge>,
    pub input_aggregators: Vec<(String, Aggregate)>,
    pub end_aggregator: Option<Aggregate>,
    pub recover_nodes: Vec<(String, RecoverFrom)>,
    pub recover: Option<RecoverFrom>,
}

#[derive(Clone)]
pub(crate) enum NodeKind {
    Operations(Shared<Operations>),
    SubDag(Dag),
    Condition(Shared<BranchesModel>),
    ForEach(Shared<BranchesModel>),
    Repeat(Shared<RepeatModel>),
}

impl Dag {
    /// A dag without nodes, to be used as a sub-dag, as a part of another dag, or as the whole flow.
    #[must_use = "a dag is not part of the flow until it is used"]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node that runs operations one after the other. A node without operations passes its input on.
    ///
    /// The id is unique within this dag: 1 to 64 characters of `A-Z a-z 0-9 _ . -`.
    pub fn node(&self, id: impl Into<String>) -> Node {
        let id = id.into();
        let operations = Shared::<Operations>::default();
        self.add(&id, NodeKind::Operations(operations.clone()));
        Node { dag: self.clone(), id: id.into(), operations }
    }

    /// Adds a node that runs a whole dag. The start of that dag gets the node's input, and its result is the node's
    /// output. The same dag may be used for several nodes.
    ///
    /// ```
    /// use faas_flow::{Context, Dag, Result, Workflow};
    ///
    /// fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    ///     let polish = Dag::new();
    ///     polish.node("resize").apply("resize");
    ///     polish.node("sharpen").apply("sharpen");
    ///     polish.edge("resize", "sharpen");
    ///
    ///     let dag = workflow.dag();
    ///     dag.sub_dag("polish", &polish);
    ///     dag.node("store").apply("store");
    ///     dag.edge("polish", "store");
    ///     Ok(())
    /// }
    /// # faas_flow::testing::Flow::new(define).unwrap();
    /// ```
    pub fn sub_dag(&self, id: impl Into<String>, dag: &Dag) {
        self.add(&id.into(), NodeKind::SubDag(dag.clone()));
    }

    /// Adds a node that runs some of its branches. `choose` gets the node's input and returns the keys of the branches
    /// to run: at least one, each at most once. See [`Condition`] for an example.
    #[must_use = "a condition needs branches: add nodes to the dags that `branch` returns"]
    pub fn condition<K: Into<String>, C: Into<String>, I: IntoIterator<Item = C>>(
        &self,
        id: impl Into<String>,
        keys: impl IntoIterator<Item = K>,
        choose: impl Fn(Vec<u8>) -> Result<I> + 'static,
    ) -> Condition {
        let choose = Rc::new(move |data| Ok(choose(data)?.into_iter().map(Into::into).collect()));
        let dags = keys.into_iter().map(|key| (key.into(), Dag::new())).collect();
        let model = BranchesModel::new(Selects::Choose(choose), dags);
        self.add(&id.into(), NodeKind::Condition(model.clone()));
        Condition { model }
    }

    /// Adds a node that runs one dag once for each item. `split` gets the node's input and returns the items in order,
    /// each with a key: 1 to 128 bytes, unique among the items. There may be none. See [`ForEach`] for an example.
    #[must_use = "a for-each needs a dag: add nodes to what `dag` returns"]
    pub fn for_each<K: Into<String>, D: Into<Vec<u8>>, I: IntoIterator<Item = (K, D)>>(
        &self,
        id: impl Into<String>,
        split: impl Fn(Vec<u8>) -> Result<I> + 'static,
    ) -> ForEach {
        let split =
            Rc::new(move |data| Ok(split(data)?.into_iter().map(|(key, item)| (key.into(), item.into())).collect()));
        let model = BranchesModel::new(Selects::Split(split), vec![(String::new(), Dag::new())]);
        self.add(&id.into(), NodeKind::ForEach(model.clone()));
        ForEach { model }
    }

    /// Adds a node that runs a dag again on its own result while `again` says so. `again` gets the result of each round and
    /// its number, from 1, and returns whether there is another one. See [`Repeat`] for an example.
    #[must_use = "a repeat needs a dag: add nodes to what `dag` returns"]
    pub fn repeat(&self, id: impl Into<String>, again: impl Fn(Vec<u8>, u32) -> Result<bool> + 'static) -> Repeat {
        let model = RepeatModel::new(Rc::new(move |(data, round)| again(data, round)));
        self.add(&id.into(), NodeKind::Repeat(model.clone()));
        Repeat { model }
    }

    /// Adds an edge: `to` runs after `from`, and gets its output unless the [`Edge`] says otherwise. The two nodes may
    /// be added before or after the edge.
    pub fn edge(&self, from: impl Into<String>, to: impl Into<String>) -> Edge {
        let edge = Edge(shared(EdgeModel { from: from.into(), to: to.into(), carries: Carries::Output }));
        self.0.borrow_mut().edges.push(edge.clone());
        edge
    }

    /// Merges the inputs of any node of this dag, named by predecessor in the order of the edges.
    /// [`Node::aggregator`] is the short form for nodes that run operations.
    ///
    /// Without an aggregator, a node with one incoming data edge gets what that edge carries. A node with several gets
    /// empty data, and finds its inputs in [`Context::inputs`](crate::Context::inputs).
    pub fn input_aggregator<T: Into<Vec<u8>>>(
        &self,
        node: impl Into<String>,
        aggregator: impl Fn(Inputs) -> Result<T> + 'static,
    ) {
        let node = node.into();
        self.0.borrow_mut().input_aggregators.push((node, aggregate(aggregator)));
    }

    /// Merges the outputs of this dag's ends into its result, named by node id in the order of their declaration.
    pub fn end_aggregator<T: Into<Vec<u8>>>(&self, aggregator: impl Fn(Inputs) -> Result<T> + 'static) {
        self.0.borrow_mut().end_aggregator = Some(aggregate(aggregator));
    }

    /// Catches the failure of a node of any kind, or of what is inside it, after all its retries. What the closure returns is
    /// the node's output. If it fails, so does the node. [`Node::recover_from`] is the short form for nodes that run
    /// operations.
    ///
    /// What the node had begun is cancelled: calls in flight are cut off, and runs that were called are stopped.
    pub fn recover_node<T: Into<Vec<u8>>>(
        &self,
        node: impl Into<String>,
        recover: impl Fn(Failed) -> Result<T> + 'static,
    ) {
        let recover = Rc::new(move |failed| recover(failed).map(Into::into));
        self.0.borrow_mut().recover_nodes.push((node.into(), recover));
    }

    /// Catches failures in this dag that were not caught further inside. The dag may be the outermost one, a sub-dag, a branch
    /// of a condition or that of a for-each. What the closure returns is the result of the dag. If it fails, so does the dag.
    ///
    /// ```
    /// use faas_flow::{Context, Failed, Result, Workflow};
    ///
    /// fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    ///     let dag = workflow.dag();
    ///     dag.node("charge").apply("charge");
    ///     dag.node("ship").apply("ship");
    ///     dag.edge("charge", "ship");
    ///     dag.recover_from(|failed: Failed| match failed.status() {
    ///         Some(402) => Ok("the card was declined".to_owned()),
    ///         _ => Err(failed.to_string().into()),
    ///     });
    ///     Ok(())
    /// }
    /// # faas_flow::testing::Flow::new(define).unwrap();
    /// ```
    pub fn recover_from<T: Into<Vec<u8>>>(&self, recover: impl Fn(Failed) -> Result<T> + 'static) {
        self.0.borrow_mut().recover = Some(Rc::new(move |failed| recover(failed).map(Into::into)));
    }

    #[doc(hidden)]
    #[deprecated(since = "0.1.0", note = "use `input_aggregator`")]
    pub fn aggregate_inputs<T: Into<Vec<u8>>>(
        &self,
        node: impl Into<String>,
        aggregator: impl Fn(Inputs) -> Result<T> + 'static,
    ) {
        self.input_aggregator(node, aggregator);
    }

    #[doc(hidden)]
    #[deprecated(since = "0.1.0", note = "use `end_aggregator`")]
    pub fn aggregate_ends<T: Into<Vec<u8>>>(&self, aggregator: impl Fn(Inputs) -> Result<T> + 'static) {
        self.end_aggregator(aggregator);
    }

    /// Copies the nodes, edges, input aggregators and recover closures of nodes that another dag has now into this one. What is added to the other
    /// dag later is not copied.
    pub fn append(&self, other: &Dag) {
        let other = other.0.borrow().clone();
        let mut this = self.0.borrow_mut();
        this.nodes.extend(other.nodes);
        this.edges.extend(other.edges);
        this.input_aggregators.extend(other.input_aggregators);
        this.recover_nodes.extend(other.recover_nodes);
    }

    fn add(&self, id: &str, kind: NodeKind) {
        self.0.borrow_mut().nodes.push((id.into(), kind));
    }
}

// Shows ids only: a dag can be nested in itself, which the host reports but printing must survive.
impl fmt::Debug for Dag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = self.0.borrow();
        let nodes: Vec<&str> = model.nodes.iter().map(|(id, _)| id.as_str()).collect();
        f.debug_struct("Dag").field("nodes", &nodes).field("edges", &model.edges).finish_non_exhaustive()
    }
}

pub(crate) fn aggregate<T: Into<Vec<u8>>>(aggregator: impl Fn(Inputs) -> Result<T> + 'static) -> Aggregate {
    Rc::new(move |inputs| aggregator(inputs).map(Into::into))
}

/// An edge between two nodes, made by [`Dag::edge`]. By default it carries the output of the first node to the second.
///
/// ```
/// use faas_flow::Dag;
///
/// let dag = Dag::new();
/// dag.node("fetch").apply("fetch");
/// dag.node("print").apply("print");
/// dag.node("notify").apply("notify");
/// dag.edge("fetch", "print").forwarder(|data| Ok(data.to_ascii_uppercase()));
/// dag.edge("print", "notify").execution();
/// ```
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
    /// Makes the edge carry nothing: it only orders the two nodes.
    pub fn execution(&self) -> Self {
        self.0.borrow_mut().carries = Carries::Nothing;
        self.clone()
    }

    /// Rewrites the data that the edge carries.
    pub fn forwarder<T: Into<Vec<u8>>>(&self, forward: impl Fn(Vec<u8>) -> Result<T> + 'static) -> Self {
        self.0.borrow_mut().carries = Carries::Forwarded(Rc::new(move |data| forward(data).map(Into::into)));
        self.clone()
    }
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EdgeModel { from, to, carries } = &*self.0.borrow();
        let carries = match carries {
            Carries::Output => "output",
            Carries::Nothing => "nothing",
            Carries::Forwarded(_) => "forwarded",
        };
        f.debug_struct("Edge").field("from", from).field("to", to).field("carries", &carries).finish()
    }
}
