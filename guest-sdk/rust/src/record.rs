//! Gives every closure its id, and takes the definition down.

use crate::branches::{BranchesModel, Selects};
use crate::dag::{Carries, Edge, NodeKind};
use crate::definition as plain;
use crate::handler::{Handler, Handlers};
use crate::node::{CallModel, Operation, Operations};
use crate::{Context, Dag, Failure, Result, Workflow};
use std::rc::Rc;

pub(crate) type Define = fn(&mut Workflow, &Context) -> Result;

/// A flow that was described.
pub(crate) struct Recorded {
    pub definition: plain::Definition,
    pub handlers: Handlers,
    /// As its author built it: read no more, and freed with the rest or, in a component, never.
    pub _workflow: Workflow,
}

/// Runs `define`, and returns what it described together with the closures.
pub(crate) fn record(define: Define, context: &Context) -> Result<Recorded> {
    let mut workflow = Workflow::default();
    define(&mut workflow, context)?;
    let mut recorder = Recorder::default();
    let dag = recorder.dag("", &workflow.dag)?;
    let on_failure = workflow.on_failure.clone().map(|run| recorder.keep("(failure)".into(), Handler::Recover(run)));
    let finally = workflow.finally.clone().map(|run| recorder.keep("(finally)".into(), Handler::Finally(run)));
    let definition = plain::Definition {
        dag,
        handlers: recorder.handlers.0.keys().cloned().collect(),
        on_failure,
        finally,
        deadline_ms: workflow.deadline_ms,
        on_exhausted: workflow.on_exhausted,
    };
    Ok(Recorded { definition, handlers: recorder.handlers, _workflow: workflow })
}

#[derive(Default)]
struct Recorder {
    handlers: Handlers,
    /// The dags around the current one, to notice one that contains itself.
    around: Vec<Dag>,
}

impl Recorder {
    fn keep(&mut self, id: String, handler: Handler) -> String {
        self.handlers.0.insert(id.clone(), handler);
        id
    }

    fn dag(&mut self, prefix: &str, dag: &Dag) -> Result<plain::Dag> {
        if self.around.iter().any(|outer| Rc::ptr_eq(&outer.0, &dag.0)) {
            let node = prefix.trim_end_matches('/');
            return Err(Failure::Reject(format!("the dag of `{node}` contains itself: make a new dag for each level")));
        }
        self.around.push(dag.clone());
        let model = dag.0.borrow();
        let nodes = model.nodes.iter().map(|(id, kind)| self.node(prefix, id, kind)).collect::<Result<_>>()?;
        let edges = model.edges.iter().map(|edge| self.edge(prefix, edge)).collect();
        let mut aggregate_inputs = Vec::new();
        for (node, run) in &model.aggregate_inputs {
            let aggregator = self.keep([prefix, node, "/aggregate"].concat(), Handler::Aggregate(run.clone()));
            aggregate_inputs.push(plain::AggregateInputs { node: node.clone(), aggregator });
        }
        let aggregate_ends = model
            .aggregate_ends
            .as_ref()
            .map(|run| self.keep([prefix, "(end)/aggregate"].concat(), Handler::Aggregate(run.clone())));
        self.around.pop();
        Ok(plain::Dag { nodes, edges, aggregate_inputs, aggregate_ends })
    }

    fn node(&mut self, prefix: &str, id: &str, kind: &NodeKind) -> Result<plain::Node> {
        let path = [prefix, id].concat();
        let kind = match kind {
            NodeKind::Operations(model) => plain::NodeKind::Operations(self.operations(&path, &model.borrow())),
            NodeKind::SubDag(dag) => plain::NodeKind::SubDag(self.dag(&[&path, "/"].concat(), dag)?),
            NodeKind::Condition(model) => plain::NodeKind::Condition(self.branches(&path, &model.borrow())?),
            NodeKind::ForEach(model) => plain::NodeKind::ForEach(self.branches(&path, &model.borrow())?),
        };
        Ok(plain::Node { id: id.into(), kind })
    }

    fn operations(&mut self, path: &str, model: &Operations) -> plain::Operations {
        let operation = |(index, operation): (usize, &Operation)| {
            let path = [path, "/", &index.to_string()].concat();
            match operation {
                Operation::Apply(call) => plain::Operation::Apply(self.call(&path, &call.borrow())),
                Operation::Request(call) => plain::Operation::Request(self.call(&path, &call.borrow())),
                Operation::Modify(run) => plain::Operation::Modify(self.keep(path, Handler::Modify(run.clone()))),
            }
        };
        let list = model.list.iter().enumerate().map(operation).collect();
        plain::Operations { list, retry: model.retry, timeout_ms: model.timeout_ms }
    }

    fn call(&mut self, path: &str, model: &CallModel) -> plain::Call {
        let prepare = model.prepare.clone().map(Handler::Prepare);
        let receive = model.receive.clone().map(Handler::Receive);
        let recover = model.recover.clone().map(Handler::Recover);
        plain::Call {
            target: model.target.clone(),
            method: model.method.clone(),
            headers: model.headers.clone(),
            query: model.query.clone(),
            prepare: prepare.map(|run| self.keep([path, "/prepare"].concat(), run)),
            receive: receive.map(|run| self.keep([path, "/receive"].concat(), run)),
            recover: recover.map(|run| self.keep([path, "/recover"].concat(), run)),
            retry: model.retry,
            retry_on: model.retry_on.clone(),
            timeout_ms: model.timeout_ms,
        }
    }

    fn branches(&mut self, path: &str, model: &BranchesModel) -> Result<plain::Branches> {
        let handler = match &model.selects {
            Selects::Choose(run) => self.keep([path, "/condition"].concat(), Handler::Condition(run.clone())),
            Selects::Split(run) => self.keep([path, "/for-each"].concat(), Handler::ForEach(run.clone())),
        };
        let mut dags = Vec::new();
        for (key, dag) in &model.dags {
            let dag = self.dag(&[path, "[", &encode(key), "]/"].concat(), dag)?;
            dags.push(plain::Branch { key: key.clone(), dag });
        }
        let aggregator = model
            .aggregator
            .as_ref()
            .map(|run| self.keep([path, "/aggregate-branches"].concat(), Handler::Aggregate(run.clone())));
        let (carries_nothing, max_parallel) = (model.carries_nothing, model.max_parallel);
        Ok(plain::Branches { handler, dags, aggregator, carries_nothing, max_parallel })
    }

    fn edge(&mut self, prefix: &str, edge: &Edge) -> plain::Edge {
        let edge = edge.0.borrow();
        let (from, to) = (edge.from.clone(), edge.to.clone());
        let carries = match &edge.carries {
            Carries::Output => plain::Carries::Output,
            Carries::Nothing => plain::Carries::Nothing,
            Carries::Forwarded(run) => plain::Carries::Forwarded(
                self.keep([prefix, &from, "->", &to, "/forward"].concat(), Handler::Forward(run.clone())),
            ),
        };
        plain::Edge { from, to, carries }
    }
}

/// A branch's key as it stands in ids and paths.
fn encode(key: &str) -> String {
    let mut text = String::new();
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' => text.push(char::from(byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}
