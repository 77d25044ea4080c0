//! Turns what an author's `define` built into plain data and closures with ids.

use crate::branches::{BranchesModel, Selects};
use crate::context::Context;
use crate::dag::{Carries, Dag, Edge, EdgeModel, NodeKind};
use crate::definition as plain;
use crate::failure::{Failure, Result};
use crate::handler::{Handler, Handlers};
use crate::limit::Limit;
use crate::node::{CallModel, Operation, Operations};
use crate::repeat::RepeatModel;
use crate::signal::{SignalSource, WaitModel};
use crate::workflow::Workflow;
use std::fmt::Write as _;
use std::rc::Rc;

/// A flow after its `define` has run.
pub(crate) struct Recorded {
    pub definition: plain::Definition,
    pub handlers: Handlers,
    /// Not read any more. It is kept because dropping it would take time, and a component never drops what it recorded.
    pub _workflow: Workflow,
}

/// Runs `define`, gives every closure its id, and returns the definition together with the closures.
pub(crate) fn record(define: impl FnOnce(&mut Workflow, &Context) -> Result, context: &Context) -> Result<Recorded> {
    let mut workflow = Workflow::default();
    define(&mut workflow, context)?;
    let mut recorder = Recorder::default();
    let dag = recorder.dag("", &workflow.dag)?;
    let on_failure = workflow.on_failure.clone().map(|run| recorder.name("(failure)".into(), Handler::Recover(run)));
    let finally = workflow.finally.clone().map(|run| recorder.name("(finally)".into(), Handler::Finally(run)));
    let definition = plain::Definition {
        dag,
        handlers: recorder.handlers.0.keys().cloned().collect(),
        on_failure,
        finally,
        deadline_ms: workflow.deadline_ms,
        on_exhausted: workflow.on_exhausted,
        schedules: workflow.schedules.iter().map(|schedule| schedule.model.borrow().clone()).collect(),
    };
    Ok(Recorded { definition, handlers: recorder.handlers, _workflow: workflow })
}

#[derive(Default)]
struct Recorder {
    handlers: Handlers,
    /// The dags that enclose the current one, to detect a dag that contains itself.
    enclosing: Vec<Dag>,
}

impl Recorder {
    fn name(&mut self, id: String, handler: Handler) -> String {
        let id = within_limit(id);
        self.handlers.0.insert(id.clone(), handler);
        id
    }

    fn dag(&mut self, prefix: &str, dag: &Dag) -> Result<plain::Dag> {
        if self.enclosing.iter().any(|outer| Rc::ptr_eq(&outer.0, &dag.0)) {
            let node = prefix.trim_end_matches('/');
            return Err(Failure::Reject(format!(
                "the dag of `{node}` contains itself: create a new dag for each level"
            )));
        }
        self.enclosing.push(dag.clone());
        let model = dag.0.borrow();
        let nodes = model.nodes.iter().map(|(id, kind)| self.node(prefix, id, kind)).collect::<Result<_>>()?;
        let edges = model.edges.iter().map(|edge| self.edge(prefix, edge)).collect();
        let mut aggregate_inputs = Vec::new();
        for (node, run) in &model.input_aggregators {
            let aggregator = self.name([prefix, node, "/aggregate"].concat(), Handler::Aggregate(run.clone()));
            aggregate_inputs.push(plain::AggregateInputs { node: node.clone(), aggregator });
        }
        let aggregate_ends = model
            .end_aggregator
            .as_ref()
            .map(|run| self.name([prefix, "(end)/aggregate"].concat(), Handler::Aggregate(run.clone())));
        let mut recover_nodes = Vec::new();
        for (node, run) in &model.recover_nodes {
            let recover = self.name([prefix, node, "/recover"].concat(), Handler::RecoverFrom(run.clone()));
            recover_nodes.push(plain::RecoverNode { node: node.clone(), recover });
        }
        let recover = model.recover.clone().map(Handler::RecoverFrom);
        let recover = recover.map(|run| self.name([prefix, "(recover)"].concat(), run));
        self.enclosing.pop();
        Ok(plain::Dag { nodes, edges, aggregate_inputs, aggregate_ends, recover_nodes, recover })
    }

    fn node(&mut self, prefix: &str, id: &str, kind: &NodeKind) -> Result<plain::Node> {
        let path = [prefix, id].concat();
        let kind = match kind {
            NodeKind::Operations(model) => plain::NodeKind::Operations(self.operations(&path, &model.borrow())),
            NodeKind::SubDag(dag) => plain::NodeKind::SubDag(self.dag(&[&path, "/"].concat(), dag)?),
            NodeKind::Condition(model) => plain::NodeKind::Condition(self.branches(&path, &model.borrow())?),
            NodeKind::ForEach(model) => plain::NodeKind::ForEach(self.branches(&path, &model.borrow())?),
            NodeKind::Repeat(model) => plain::NodeKind::Repeat(self.repeat(&path, &model.borrow())?),
        };
        Ok(plain::Node { id: id.into(), kind })
    }

    fn operations(&mut self, path: &str, model: &Operations) -> plain::Operations {
        let operation = |(index, operation): (usize, &Operation)| {
            let path = [path, "/", &index.to_string()].concat();
            match operation {
                Operation::Apply(call) => plain::Operation::Apply(self.call(&path, &call.borrow())),
                Operation::Request(call) => plain::Operation::Request(self.call(&path, &call.borrow())),
                Operation::Sleep(ms) => plain::Operation::Sleep(*ms),
                Operation::SleepUntil(run) => {
                    plain::Operation::SleepUntil(self.name(path, Handler::Moment(run.clone())))
                }
                Operation::WaitFor(model) => plain::Operation::WaitFor(self.wait_for(&path, &model.borrow())),
                Operation::Modify(run) => plain::Operation::Modify(self.name(path, Handler::Modify(run.clone()))),
            }
        };
        let list = model.list.iter().enumerate().map(operation).collect();
        let limit = model.limit.as_ref().map(|limit| self.limit(path, limit));
        plain::Operations { list, retry: model.retry, timeout_ms: model.timeout_ms, limit }
    }

    fn limit(&mut self, path: &str, limit: &Limit) -> plain::Limit {
        let Limit { name, concurrent, per_second, key } = limit.clone();
        let key = key.map(|run| self.name([path, "/limit-key"].concat(), Handler::Key(run)));
        plain::Limit { name, concurrent, per_second, key }
    }

    fn wait_for(&mut self, path: &str, model: &WaitModel) -> plain::WaitFor {
        let signal = match &model.signal {
            SignalSource::Named(name) => plain::SignalSource::Named(name.clone()),
            SignalSource::Handler(run) => {
                plain::SignalSource::Handler(self.name(path.to_owned(), Handler::SignalName(run.clone())))
            }
        };
        let recover_from = model.recover_from.clone().map(Handler::RecoverFrom);
        let recover_from = recover_from.map(|run| self.name([path, "/recover-from"].concat(), run));
        plain::WaitFor { signal, timeout_ms: model.timeout_ms, recover_from }
    }

    fn call(&mut self, path: &str, model: &CallModel) -> plain::Call {
        let prepare = model.prepare.clone().map(Handler::Prepare);
        let receive = model.receive.clone().map(Handler::Receive);
        let recover = model.recover.clone().map(Handler::Recover);
        let recover_from = model.recover_from.clone().map(Handler::RecoverFrom);
        plain::Call {
            target: model.target.clone(),
            method: model.method.clone(),
            headers: model.headers.clone(),
            query: model.query.clone(),
            prepare: prepare.map(|run| self.name([path, "/prepare"].concat(), run)),
            receive: receive.map(|run| self.name([path, "/receive"].concat(), run)),
            recover: recover.map(|run| self.name([path, "/recover"].concat(), run)),
            recover_from: recover_from.map(|run| self.name([path, "/recover-from"].concat(), run)),
            retry: model.retry,
            retry_on: model.retry_on.clone(),
            timeout_ms: model.timeout_ms,
            asynchronous: model.asynchronous,
            limit: model.limit.as_ref().map(|limit| self.limit(path, limit)),
        }
    }

    fn branches(&mut self, path: &str, model: &BranchesModel) -> Result<plain::Branches> {
        let handler = match &model.selects {
            Selects::Choose(run) => self.name([path, "/condition"].concat(), Handler::Condition(run.clone())),
            Selects::Split(run) => self.name([path, "/for-each"].concat(), Handler::ForEach(run.clone())),
        };
        let mut dags = Vec::new();
        for (key, dag) in &model.dags {
            let dag = self.dag(&[path, "[", &encode(key), "]/"].concat(), dag)?;
            dags.push(plain::Branch { key: key.clone(), dag });
        }
        let aggregator = model
            .aggregator
            .as_ref()
            .map(|run| self.name([path, "/aggregate-branches"].concat(), Handler::Aggregate(run.clone())));
        let gather = model.gather.clone().map(Handler::Gather);
        let gather = gather.map(|run| self.name([path, "/gather"].concat(), run));
        Ok(plain::Branches {
            handler,
            dags,
            aggregator,
            carries_nothing: model.carries_nothing,
            max_parallel: model.max_parallel,
            tolerate: model.tolerate,
            gather,
        })
    }

    fn repeat(&mut self, path: &str, model: &RepeatModel) -> Result<plain::Repeat> {
        let RepeatModel { again, dag, most, wait_ms } = model;
        let handler = self.name([path, "/again"].concat(), Handler::Again(again.clone()));
        let dag = self.dag(&[path, "[]/"].concat(), dag)?;
        Ok(plain::Repeat { handler, dag, most: *most, wait_ms: *wait_ms })
    }

    fn edge(&mut self, prefix: &str, edge: &Edge) -> plain::Edge {
        let EdgeModel { from, to, carries } = &*edge.0.borrow();
        let carries = match carries {
            Carries::Output => plain::Carries::Output,
            Carries::Nothing => plain::Carries::Nothing,
            Carries::Forwarded(run) => plain::Carries::Forwarded(
                self.name([prefix, from, "->", to, "/forward"].concat(), Handler::Forward(run.clone())),
            ),
        };
        plain::Edge { from: from.clone(), to: to.clone(), carries }
    }
}

/// The most bytes that the contract allows in a handler's id.
const LONGEST_ID: usize = 256;

/// The id, if it is not too long; otherwise its beginning, a `~`, which no path has, and a hash of all of it. So the id of a
/// handler deep inside is valid too, and stays the same as long as the handler's place does.
fn within_limit(id: String) -> String {
    if id.len() <= LONGEST_ID {
        return id;
    }
    // FNV-1a with 64 bits.
    let hash = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let end = (0..=LONGEST_ID - 17).rev().find(|end| id.is_char_boundary(*end)).unwrap_or_default();
    format!("{}~{hash:016x}", id.get(..end).unwrap_or_default())
}

/// Percent-encodes a branch key, as in the host's node paths.
pub(crate) fn encode(key: &str) -> String {
    let mut text = String::new();
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' => text.push(char::from(byte)),
            // Writing to a string cannot fail.
            other => drop(write!(text, "%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_would_be_too_long_is_shortened_and_stays_unique() {
        let short = "a".repeat(LONGEST_ID);
        assert_eq!(within_limit(short.clone()), short);
        let long = |end: &str| format!("C[{}]/n/0/{end}", "%C3%BC".repeat(64));
        let (one, other) = (within_limit(long("prepare")), within_limit(long("receive")));
        assert_eq!((one.len(), other.len()), (LONGEST_ID, LONGEST_ID));
        assert_ne!(one, other);
        assert_eq!(one, within_limit(long("prepare")));
        assert!(within_limit("\u{fc}".repeat(200)).len() <= LONGEST_ID);
    }

    #[test]
    fn a_branch_key_of_128_bytes_gives_valid_handler_ids() {
        let key = "\u{fc}".repeat(64);
        let define = |workflow: &mut Workflow, _: &Context| {
            let choice = workflow.dag().condition("choice", [key.as_str()], |_: Vec<u8>| Ok(["x"]));
            choice.branch(&key).node("inner").modify(Ok::<Vec<u8>, Failure>).modify(Ok::<Vec<u8>, Failure>);
            Ok(())
        };
        let recorded = crate::testing::Fake::default().defining(|context| record(define, context)).unwrap();
        let ids = recorded.definition.handlers;
        assert_eq!(ids.len(), 3);
        assert!(ids.iter().all(|id| id.len() <= LONGEST_ID), "{ids:?}");
    }
}
