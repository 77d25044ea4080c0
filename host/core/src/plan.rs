//! The checked form of a definition: what the engine runs.

mod repeat;
mod signals;

use crate::definition::{AggregateInputs, Branches, Carries, Dag, NodeKind, Operations, RecoverNode, Tolerate};
use crate::validate::{self, Problem, Warning};
use crate::{BranchKey, Definition, HandlerId, NodeId, NodePath, ScopePath};
pub use repeat::{PlanRepeat, round_key, round_of};
pub use signals::PlanSignals;
use std::collections::HashMap;
use std::sync::Arc;

/// A valid definition, indexed. Only [`Plan::new`] makes one.
#[derive(Debug)]
pub struct Plan {
    definition: Arc<Definition>,
    root: PlanDag,
    signals: PlanSignals,
    warnings: Vec<Warning>,
}

/// A valid dag: one start, no cycles, one node that yields its result.
#[derive(Debug)]
pub struct PlanDag {
    /// In the order of their declaration. If the dag has several ends, the last node is `(end)`, which follows all of them.
    pub nodes: Vec<PlanNode>,
    /// The index of the node without predecessors.
    pub start: usize,
    /// The index of the node whose output is the dag's result.
    pub end: usize,
    /// The index of the node `(recover)`, which no edge leads to: it catches what fails in this dag, and its output is the
    /// dag's result then.
    pub recover: Option<usize>,
    index: HashMap<NodeId, usize>,
}

/// One node of a valid dag.
#[derive(Debug)]
pub struct PlanNode {
    /// Unique within its dag.
    pub id: NodeId,
    /// What it does.
    pub kind: PlanKind,
    /// Merges its inputs.
    pub aggregator: Option<HandlerId>,
    /// Catches its failure.
    pub recover: Option<HandlerId>,
    /// The edges that end here, in declared order.
    pub inputs: Vec<PlanInput>,
    /// The indices of its successors.
    pub successors: Vec<usize>,
}

/// An edge, seen from the node where it ends.
#[derive(Debug)]
pub struct PlanInput {
    /// The index of the node where it begins.
    pub from: usize,
    /// What it carries.
    pub carries: PlanCarries,
}

/// What an edge carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanCarries {
    /// The output of the predecessor.
    Output,
    /// Nothing.
    Nothing,
    /// What this handler makes of the output.
    Forwarded(HandlerId),
}

/// What a node does.
#[derive(Debug)]
pub enum PlanKind {
    /// Runs operations.
    Operations(Arc<Operations>),
    /// Runs a dag.
    SubDag(PlanDag),
    /// Runs the branches that a handler chooses.
    Condition(PlanBranches),
    /// Runs one dag per item that a handler yields.
    ForEach(PlanBranches),
    /// Turns the failure that its dag has caught into the result of the dag.
    Recover(HandlerId),
    /// Runs a dag again on its own result while a handler says so.
    Repeat(PlanRepeat),
}

/// The dags behind a condition or for-each.
#[derive(Debug)]
pub struct PlanBranches {
    /// The `condition` or `for-each` handler.
    pub handler: HandlerId,
    /// A condition's dags with their keys; a for-each's only dag without.
    pub dags: Vec<(Option<BranchKey>, PlanDag)>,
    /// Merges the results.
    pub aggregator: Option<HandlerId>,
    /// Whether branches start with empty data and their results are dropped.
    pub carries_nothing: bool,
    /// How many branches may run at a time; `None` for no limit.
    pub max_parallel: Option<usize>,
    /// How many items of a for-each may fail.
    pub tolerate: Option<Tolerate>,
    /// Merges results and tolerated failures.
    pub gather: Option<HandlerId>,
    /// The index of the dag with each key.
    index: HashMap<BranchKey, usize>,
}

impl Plan {
    /// Checks a definition. The error contains every problem that it has, or the first fifty and one that counts the rest.
    pub fn new(definition: Definition) -> Result<Self, Vec<Problem>> {
        let warnings = validate::check(&definition)?;
        // A definition that passes `check` can be built. Should the two ever disagree, the problem is reported here.
        let root = PlanDag::new(&definition.dag).map_err(|problem| vec![problem])?;
        let signals = PlanSignals::new(&definition);
        Ok(Self { definition: Arc::new(definition), root, signals, warnings })
    }

    /// The definition that was checked.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// What is valid but probably not intended.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The signals that its nodes may wait for.
    pub fn signals(&self) -> &PlanSignals {
        &self.signals
    }

    /// The outermost dag.
    pub fn root(&self) -> &PlanDag {
        &self.root
    }

    /// The dag that a scope is an instance of.
    pub fn dag(&self, scope: &ScopePath) -> Option<&PlanDag> {
        let mut dag = &self.root;
        for step in scope.steps() {
            dag = dag.node(&step.node)?.branch(step.key.as_ref())?;
        }
        Some(dag)
    }

    /// Whether the data of a node is the body of the request, which nobody has changed on the way: through the starts of
    /// sub-dags and of branches of conditions, and through nodes without operations.
    pub fn gets_request_body(&self, path: &NodePath) -> bool {
        self.found_request_body(path).unwrap_or_default()
    }

    fn found_request_body(&self, path: &NodePath) -> Option<bool> {
        let mut path = path.clone();
        loop {
            let dag = self.dag(&path.scope)?;
            let node = dag.node(&path.node)?;
            let mut data = node.inputs.iter().filter(|input| input.carries != PlanCarries::Nothing);
            let (before, passes_on) = match (data.next(), data.next()) {
                _ if node.inputs.is_empty() => {
                    let Some((parent, key)) = path.scope.parent() else { return Some(true) };
                    let outer = self.dag(&parent.scope)?.node(&parent.node)?;
                    let passes_on = match &outer.kind {
                        PlanKind::SubDag(_) => true,
                        PlanKind::Condition(branches) => !branches.carries_nothing,
                        PlanKind::Repeat(_) => key.as_ref().and_then(round_of) == Some(1),
                        PlanKind::Operations(_) | PlanKind::ForEach(_) | PlanKind::Recover(_) => false,
                    };
                    (parent, passes_on && outer.aggregator.is_none())
                }
                (Some(PlanInput { from, carries: PlanCarries::Output }), None) => {
                    let from = dag.nodes.get(*from)?;
                    let is_empty = matches!(&from.kind, PlanKind::Operations(operations) if operations.list.is_empty());
                    (path.scope.node(&from.id), is_empty && from.aggregator.is_none())
                }
                _ => return Some(false),
            };
            if !passes_on {
                return Some(false);
            }
            path = before;
        }
    }

    /// Whether anything in the flow may catch or tolerate a failure of this node.
    pub fn catches(&self, path: &NodePath) -> bool {
        let catches = |path: &NodePath| {
            let Some(dag) = self.dag(&path.scope) else { return false };
            let node = dag.node(&path.node);
            let tolerates = |node: &PlanNode| node.branches().is_some_and(|branches| branches.tolerate.is_some());
            dag.recover.is_some() || node.is_some_and(|node| node.recover.is_some() || tolerates(node))
        };
        catches(path) || path.scope.around().any(|(parent, _)| catches(&parent))
    }

    /// Whether the flow is a single node with operations. While the caller of such a run waits, there is nothing to recover.
    pub fn is_single_node(&self) -> bool {
        matches!(&*self.root.nodes, [PlanNode { kind: PlanKind::Operations(_), .. }])
    }
}

impl PlanDag {
    fn new(dag: &Dag) -> Result<Self, Problem> {
        let mut nodes = Vec::with_capacity(dag.nodes.len() + 1);
        let mut index = HashMap::new();
        let mut at: HashMap<&str, usize> = HashMap::new();
        let mut aggregators: HashMap<&str, &str> = HashMap::new();
        for AggregateInputs { node, aggregator } in &dag.aggregate_inputs {
            aggregators.entry(node).or_insert(aggregator);
        }
        let mut recovers: HashMap<&str, &str> = HashMap::new();
        for RecoverNode { node, recover } in &dag.recover_nodes {
            recovers.entry(node).or_insert(recover);
        }
        for node in &dag.nodes {
            let id = NodeId::new(&node.id)?;
            index.insert(id.clone(), nodes.len());
            at.entry(&node.id).or_insert(nodes.len());
            let aggregator = aggregators.get(node.id.as_str()).map(HandlerId::new).transpose()?;
            let kind = PlanKind::new(&node.kind)?;
            let recover = recovers.get(node.id.as_str()).map(HandlerId::new).transpose()?;
            nodes.push(PlanNode { aggregator, recover, ..PlanNode::new(id, kind) });
        }
        for edge in &dag.edges {
            let carries = match &edge.carries {
                Carries::Output => PlanCarries::Output,
                Carries::Nothing => PlanCarries::Nothing,
                Carries::Forwarded(handler) => PlanCarries::Forwarded(HandlerId::new(handler)?),
            };
            if let (Some(from), Some(to)) = (at.get(edge.from.as_str()), at.get(edge.to.as_str())) {
                join(&mut nodes, *from, *to, carries);
            }
        }
        let ends: Vec<usize> =
            (0..nodes.len()).filter(|i| nodes.get(*i).is_some_and(|n| n.successors.is_empty())).collect();
        let start = nodes.iter().position(|node| node.inputs.is_empty()).unwrap_or(0);
        let end = match *ends {
            [end] => end,
            _ => {
                let end = nodes.len();
                let aggregator = dag.aggregate_ends.as_ref().map(HandlerId::new).transpose()?;
                let kind = PlanKind::Operations(Arc::default());
                index.insert(NodeId::end(), end);
                nodes.push(PlanNode { aggregator, ..PlanNode::new(NodeId::end(), kind) });
                for from in ends {
                    join(&mut nodes, from, end, PlanCarries::Output);
                }
                end
            }
        };
        let recover = match &dag.recover {
            None => None,
            Some(handler) => {
                let (at, id) = (nodes.len(), NodeId::recover());
                index.insert(id.clone(), at);
                nodes.push(PlanNode::new(id, PlanKind::Recover(HandlerId::new(handler)?)));
                Some(at)
            }
        };
        Ok(Self { nodes, start, end, recover, index })
    }

    /// The node with this id.
    pub fn node(&self, id: &NodeId) -> Option<&PlanNode> {
        self.nodes.get(self.position(id)?)
    }

    /// The index of the node with this id.
    pub fn position(&self, id: &NodeId) -> Option<usize> {
        self.index.get(id).copied()
    }
}

fn join(nodes: &mut [PlanNode], from: usize, to: usize, carries: PlanCarries) {
    if let Some(node) = nodes.get_mut(from) {
        node.successors.push(to);
    }
    if let Some(node) = nodes.get_mut(to) {
        node.inputs.push(PlanInput { from, carries });
    }
}

impl PlanNode {
    /// A node without handlers and edges.
    fn new(id: NodeId, kind: PlanKind) -> Self {
        Self { id, kind, aggregator: None, recover: None, inputs: Vec::new(), successors: Vec::new() }
    }

    /// The dag of one branch: a condition's by its key, a for-each's for any key, a repeat's by the number of the round, a
    /// sub-dag's for none.
    pub fn branch(&self, key: Option<&BranchKey>) -> Option<&PlanDag> {
        match &self.kind {
            PlanKind::Operations(_) | PlanKind::Recover(_) => None,
            PlanKind::SubDag(dag) => Some(dag),
            PlanKind::Condition(branches) => {
                let at = branches.index.get(key?)?;
                branches.dags.get(*at).map(|(_, dag)| dag)
            }
            PlanKind::ForEach(branches) => branches.dags.first().map(|(_, dag)| dag),
            PlanKind::Repeat(repeat) => repeat.round(key),
        }
    }

    /// The branches of a condition or for-each.
    pub fn branches(&self) -> Option<&PlanBranches> {
        match &self.kind {
            PlanKind::Condition(branches) | PlanKind::ForEach(branches) => Some(branches),
            _ => None,
        }
    }

    /// Whether it begins branches: those of a condition or for-each, the only one of a sub-dag, or the rounds of a repeat.
    pub(crate) fn begins_branches(&self) -> bool {
        !matches!(self.kind, PlanKind::Operations(_) | PlanKind::Recover(_))
    }
}

impl PlanKind {
    fn new(kind: &NodeKind) -> Result<Self, Problem> {
        Ok(match kind {
            NodeKind::Operations(operations) => PlanKind::Operations(Arc::new(operations.clone())),
            NodeKind::SubDag(dag) => PlanKind::SubDag(PlanDag::new(dag)?),
            NodeKind::Condition(branches) => {
                PlanKind::Condition(PlanBranches::new(branches, |key| BranchKey::new(key).ok())?)
            }
            NodeKind::ForEach(branches) => PlanKind::ForEach(PlanBranches::new(branches, |_| None)?),
            NodeKind::Repeat(repeat) => PlanKind::Repeat(PlanRepeat::new(repeat)?),
        })
    }
}

impl PlanBranches {
    /// The handler that merges the results of the branches, and whether it is a `gather` handler.
    pub fn merger(&self) -> Option<(&HandlerId, bool)> {
        let gather = self.gather.as_ref().map(|handler| (handler, true));
        gather.or_else(|| self.aggregator.as_ref().map(|handler| (handler, false)))
    }

    fn new(branches: &Branches, key: impl Fn(&str) -> Option<BranchKey>) -> Result<Self, Problem> {
        let dags = branches.dags.iter().map(|branch| Ok((key(&branch.key), PlanDag::new(&branch.dag)?)));
        let dags = dags.collect::<Result<Vec<_>, Problem>>()?;
        let keys = dags.iter().enumerate().filter_map(|(at, (key, _))| Some((key.clone()?, at)));
        Ok(Self {
            handler: HandlerId::new(&branches.handler)?,
            index: keys.collect(),
            dags,
            aggregator: branches.aggregator.as_ref().map(HandlerId::new).transpose()?,
            carries_nothing: branches.carries_nothing,
            max_parallel: branches.max_parallel.map(|count| count as usize),
            tolerate: branches.tolerate,
            gather: branches.gather.as_ref().map(HandlerId::new).transpose()?,
        })
    }
}
