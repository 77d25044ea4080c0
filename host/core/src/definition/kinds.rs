//! The kinds of handlers that a definition names.

use super::{Branches, Call, Carries, Dag, Definition, Limit, NodeKind, Operation, SignalSource, WaitFor};
use std::collections::BTreeMap;
use std::fmt;

/// A kind of handler: a function of the contract's interface `handlers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the contract describes each of them")]
pub enum HandlerKind {
    Modify,
    Aggregate,
    Condition,
    ForEach,
    Forward,
    Prepare,
    Receive,
    Recover,
    Finally,
    RecoverFrom,
    Gather,
    Moment,
    Again,
    SignalName,
    Key,
}

impl fmt::Display for HandlerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Modify => "modify",
            Self::Aggregate => "aggregate",
            Self::Condition => "condition",
            Self::ForEach => "for-each",
            Self::Forward => "forward",
            Self::Prepare => "prepare",
            Self::Receive => "receive",
            Self::Recover => "recover",
            Self::Finally => "finally",
            Self::RecoverFrom => "recover-from",
            Self::Gather => "gather",
            Self::Moment => "moment",
            Self::Again => "again",
            Self::SignalName => "signal-name",
            Self::Key => "key",
        })
    }
}

impl Definition {
    /// The kinds of handlers that the flow calls, each with the id of the first handler of that kind.
    pub fn kinds(&self) -> BTreeMap<HandlerKind, &str> {
        let mut kinds = Kinds(BTreeMap::new());
        kinds.dag(&self.dag);
        kinds.add(HandlerKind::Recover, self.on_failure.as_deref());
        kinds.add(HandlerKind::Finally, self.finally.as_deref());
        kinds.0
    }
}

struct Kinds<'a>(BTreeMap<HandlerKind, &'a str>);

impl<'a> Kinds<'a> {
    fn add(&mut self, kind: HandlerKind, handler: Option<&'a str>) {
        if let Some(handler) = handler {
            self.0.entry(kind).or_insert(handler);
        }
    }

    fn dag(&mut self, dag: &'a Dag) {
        for node in &dag.nodes {
            match &node.kind {
                NodeKind::Operations(operations) => {
                    operations.list.iter().for_each(|one| self.operation(one));
                    self.limit(operations.limit.as_ref());
                }
                NodeKind::SubDag(dag) => self.dag(dag),
                NodeKind::Condition(branches) => self.branches(HandlerKind::Condition, branches),
                NodeKind::ForEach(branches) => self.branches(HandlerKind::ForEach, branches),
                NodeKind::Repeat(repeat) => {
                    self.add(HandlerKind::Again, Some(&repeat.handler));
                    self.dag(&repeat.dag);
                }
            }
        }
        for edge in &dag.edges {
            if let Carries::Forwarded(handler) = &edge.carries {
                self.add(HandlerKind::Forward, Some(handler));
            }
        }
        for inputs in &dag.aggregate_inputs {
            self.add(HandlerKind::Aggregate, Some(&inputs.aggregator));
        }
        self.add(HandlerKind::Aggregate, dag.aggregate_ends.as_deref());
        for node in &dag.recover_nodes {
            self.add(HandlerKind::RecoverFrom, Some(&node.recover));
        }
        self.add(HandlerKind::RecoverFrom, dag.recover.as_deref());
    }

    fn branches(&mut self, kind: HandlerKind, branches: &'a Branches) {
        self.add(kind, Some(&branches.handler));
        self.add(HandlerKind::Aggregate, branches.aggregator.as_deref());
        self.add(HandlerKind::Gather, branches.gather.as_deref());
        branches.dags.iter().for_each(|branch| self.dag(&branch.dag));
    }

    fn limit(&mut self, limit: Option<&'a Limit>) {
        self.add(HandlerKind::Key, limit.and_then(|limit| limit.key.as_deref()));
    }

    fn operation(&mut self, operation: &'a Operation) {
        match operation {
            Operation::Modify(handler) => self.add(HandlerKind::Modify, Some(handler)),
            Operation::Sleep(_) => {}
            Operation::SleepUntil(handler) => self.add(HandlerKind::Moment, Some(handler)),
            Operation::WaitFor(WaitFor { signal, recover_from, .. }) => {
                if let SignalSource::Handler(handler) = signal {
                    self.add(HandlerKind::SignalName, Some(handler));
                }
                self.add(HandlerKind::RecoverFrom, recover_from.as_deref());
            }
            Operation::Apply(Call { prepare, receive, recover, recover_from, limit, .. })
            | Operation::Request(Call { prepare, receive, recover, recover_from, limit, .. }) => {
                self.limit(limit.as_ref());
                self.add(HandlerKind::Prepare, prepare.as_deref());
                self.add(HandlerKind::Receive, receive.as_deref());
                self.add(HandlerKind::Recover, recover.as_deref());
                self.add(HandlerKind::RecoverFrom, recover_from.as_deref());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AggregateInputs, Branch, Edge, Node, Operations};
    use super::*;

    fn node(id: &str, kind: NodeKind) -> Node {
        Node { id: id.to_owned(), kind }
    }

    #[test]
    fn every_kind_is_found_once_wherever_it_is() {
        let named = |id: &str| Some(id.to_owned());
        let call = Call { prepare: named("p"), receive: named("r"), recover: named("again"), ..Call::default() };
        let list = vec![Operation::Modify("m".into()), Operation::Modify("second".into()), Operation::Apply(call)];
        let each = Dag {
            nodes: vec![node("n", NodeKind::Operations(Operations { list, ..Operations::default() }))],
            ..Dag::default()
        };
        let for_each = Branches {
            handler: "split".into(),
            dags: vec![Branch { key: String::new(), dag: each }],
            ..Branches::default()
        };
        let inside = Dag { nodes: vec![node("F", NodeKind::ForEach(for_each))], ..Dag::default() };
        let condition = Branches { handler: "choose".into(), ..Branches::default() };
        let dag = Dag {
            nodes: vec![node("S", NodeKind::SubDag(inside)), node("C", NodeKind::Condition(condition))],
            edges: vec![Edge { from: "S".into(), to: "C".into(), carries: Carries::Forwarded("f".into()) }],
            aggregate_inputs: vec![AggregateInputs { node: "C".into(), aggregator: "merge".into() }],
            ..Dag::default()
        };
        let definition = Definition { dag, finally: named("(finally)"), ..Definition::default() };
        let kinds = definition.kinds();
        let shown: Vec<String> = kinds.iter().map(|(kind, handler)| format!("{kind}: {handler}")).collect();
        assert_eq!(
            shown,
            [
                "modify: m",
                "aggregate: merge",
                "condition: choose",
                "for-each: split",
                "forward: f",
                "prepare: p",
                "receive: r",
                "recover: again",
                "finally: (finally)"
            ]
        );
    }
}
