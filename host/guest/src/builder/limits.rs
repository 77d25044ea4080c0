//! How large a definition may become. Every call of `builder` is counted while `define` runs, so that a flow cannot fill the
//! host's memory, and so that what follows (checks, plans, pictures, differences) takes time in proportion to what is allowed.

use crate::error::GuestError;

/// How many of these a definition may have for each node that it may have, on the average.
const EDGES: usize = 4;
const OPERATIONS: usize = 4;
const HANDLERS: usize = 4;
const CALLS: usize = 10;
/// How many operations one node may have.
const OPERATIONS_OF_NODE: usize = 1_000;
/// The size of all texts together, in bytes.
const TEXT: usize = 16 << 20;
/// The size of the paths of all nodes and of both ends of all edges together, in bytes: pictures have them.
const PATHS: usize = 16 << 20;
/// The longest node id, branch key or handler id, in bytes. What is shorter but still too long is a problem of the definition,
/// which is told together with its other problems.
const NAME: usize = 1 << 10;
/// The longest target of a call, in bytes.
const TARGET: usize = 8 << 10;
/// The longest name or value of a header or query parameter, in bytes.
const PARAMETER: usize = 8 << 10;
/// The size of all headers and query parameters of one call together, in bytes.
const PARAMETERS: usize = 64 << 10;
/// How many headers and query parameters one call may have.
const PARAMETERS_OF_CALL: usize = 200;
/// The longest input of a schedule, in bytes. What is shorter but still too long is a problem of the definition.
const INPUT: usize = 1 << 20;
/// How many statuses a call may be retried on: there are no more.
const STATUSES: usize = 500;

/// A part of a definition that is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Node,
    Dag,
    Edge,
    Operation,
    Handler,
    Schedule,
}

/// A text of a definition that has a limit of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Text {
    NodeId,
    BranchKey,
    HandlerId,
    Target,
    Method,
    Parameter,
    Schedule,
}

/// What a definition has so far.
pub(crate) struct Counts {
    nodes_allowed: usize,
    calls: usize,
    text: usize,
    paths: usize,
    nodes: usize,
    dags: usize,
    edges: usize,
    operations: usize,
    handlers: usize,
    schedules: usize,
}

type Counted = Result<(), GuestError>;

impl Counts {
    /// Counts a definition that may have so many nodes.
    pub(crate) fn new(nodes_allowed: usize) -> Self {
        Self {
            nodes_allowed,
            calls: 0,
            text: 0,
            paths: 0,
            nodes: 0,
            dags: 0,
            edges: 0,
            operations: 0,
            handlers: 0,
            schedules: 0,
        }
    }

    /// Counts a call of `builder`.
    pub(crate) fn call(&mut self) -> Counted {
        self.calls += 1;
        within(self.calls, self.nodes_allowed.saturating_mul(CALLS), "calls of the builder")
    }

    /// Counts a part.
    pub(crate) fn part(&mut self, part: Part) -> Counted {
        let (count, of_each_node, what) = match part {
            Part::Node => (&mut self.nodes, 1, "nodes"),
            Part::Dag => (&mut self.dags, 1, "dags"),
            Part::Edge => (&mut self.edges, EDGES, "edges"),
            Part::Operation => (&mut self.operations, OPERATIONS, "operations"),
            Part::Handler => (&mut self.handlers, HANDLERS, "handlers"),
            Part::Schedule => (&mut self.schedules, 1, "schedules"),
        };
        *count += 1;
        within(*count, self.nodes_allowed.saturating_mul(of_each_node), what)
    }

    /// Counts a text.
    pub(crate) fn text(&mut self, kind: Text, text: &str) -> Counted {
        let (limit, what) = match kind {
            Text::NodeId => (NAME, "node id"),
            Text::BranchKey => (NAME, "branch key"),
            Text::HandlerId => (NAME, "handler id"),
            Text::Target => (TARGET, "call's target"),
            Text::Method => (NAME, "call's method"),
            Text::Parameter => (PARAMETER, "header or query parameter"),
            Text::Schedule => (NAME, "schedule's name, expression, time zone or media type"),
        };
        if text.len() > limit {
            return Err(GuestError::TextTooLong { what, size: text.len(), limit });
        }
        self.text = self.text.saturating_add(text.len());
        within(self.text, TEXT, "bytes of text")
    }

    /// Counts the input of a schedule.
    pub(crate) fn input(&mut self, size: usize) -> Counted {
        if size > INPUT {
            return Err(GuestError::TextTooLong { what: "schedule's input", size, limit: INPUT });
        }
        self.text = self.text.saturating_add(size);
        within(self.text, TEXT, "bytes of text")
    }

    /// Counts a path of so many bytes.
    pub(crate) fn path(&mut self, bytes: usize) -> Counted {
        self.paths = self.paths.saturating_add(bytes);
        within(self.paths, PATHS, "bytes in the paths of its nodes")
    }
}

/// Checks the number of operations of one node.
pub(crate) fn operations_of_node(count: usize) -> Counted {
    within(count, OPERATIONS_OF_NODE, "operations in one node")
}

/// Checks the headers and query parameters of one call.
pub(crate) fn parameters<'a>(all: impl Iterator<Item = &'a (String, String)>) -> Counted {
    let (count, size) = all.fold((0, 0), |(count, size), (name, value)| (count + 1, size + name.len() + value.len()));
    within(count, PARAMETERS_OF_CALL, "headers and query parameters in one call")?;
    let what = "call's list of headers and query parameters";
    if size > PARAMETERS { Err(GuestError::TextTooLong { what, size, limit: PARAMETERS }) } else { Ok(()) }
}

/// Checks the statuses that a call is retried on.
pub(crate) fn statuses(count: usize) -> Counted {
    within(count, STATUSES, "statuses to retry one call on")
}

fn within(count: usize, limit: usize, what: &'static str) -> Counted {
    if count > limit { Err(GuestError::DefinitionTooLarge { what, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a refusal says: what there is too much of, and how much there may be.
    fn refusal(counted: Counted) -> Option<(&'static str, usize)> {
        match counted {
            Ok(()) => None,
            Err(GuestError::DefinitionTooLarge { what, limit } | GuestError::TextTooLong { what, limit, .. }) => {
                Some((what, limit))
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// Counts one thing after another: as many as there may be, and one more.
    fn may_have(what: &'static str, limit: usize, mut one_more: impl FnMut() -> Counted) {
        for _ in 0..limit {
            assert_eq!(refusal(one_more()), None, "{what}");
        }
        assert_eq!(refusal(one_more()), Some((what, limit)));
    }

    /// Checks something that is as large as it may be, and something that is larger by one.
    fn may_be(what: &'static str, limit: usize, check: impl Fn(usize) -> Counted) {
        assert_eq!(refusal(check(limit)), None, "{what}");
        assert_eq!(refusal(check(limit + 1)), Some((what, limit)));
    }

    /// The numbers are those of docs/concepts.md.
    #[test]
    fn each_limit_admits_what_it_says_and_no_more() {
        const NODES: usize = 2;
        let of_each_node = [
            (Part::Node, "nodes", 1),
            (Part::Dag, "dags", 1),
            (Part::Edge, "edges", 4),
            (Part::Operation, "operations", 4),
            (Part::Handler, "handlers", 4),
            (Part::Schedule, "schedules", 1),
        ];
        for (part, what, of_each_node) in of_each_node {
            let mut counts = Counts::new(NODES);
            may_have(what, NODES * of_each_node, || counts.part(part));
        }
        let mut counts = Counts::new(NODES);
        may_have("calls of the builder", NODES * 10, || counts.call());

        let texts = [
            (Text::NodeId, "node id", 1 << 10),
            (Text::BranchKey, "branch key", 1 << 10),
            (Text::HandlerId, "handler id", 1 << 10),
            (Text::Target, "call's target", 8 << 10),
            (Text::Method, "call's method", 1 << 10),
            (Text::Parameter, "header or query parameter", 8 << 10),
            (Text::Schedule, "schedule's name, expression, time zone or media type", 1 << 10),
        ];
        for (text, what, limit) in texts {
            may_be(what, limit, |size| Counts::new(NODES).text(text, &"x".repeat(size)));
        }
        may_be("schedule's input", 1 << 20, |size| Counts::new(NODES).input(size));
        // Inputs and other texts together.
        may_be("bytes of text", 16 << 20, |size| {
            let mut counts = Counts::new(NODES);
            for _ in 0..15 {
                counts.input(1 << 20)?;
            }
            counts.text(Text::Target, &"x".repeat(8 << 10))?;
            counts.input((1 << 20) - (8 << 10))?;
            counts.text(Text::NodeId, &"x".repeat(size - (16 << 20)))
        });
        may_be("bytes of text", 16 << 20, |size| {
            let mut counts = Counts::new(NODES);
            for _ in 0..16 {
                counts.input(1 << 20)?;
            }
            counts.input(size - (16 << 20))
        });
        may_be("bytes in the paths of its nodes", 16 << 20, |size| {
            let mut counts = Counts::new(NODES);
            counts.path(8 << 20)?;
            counts.path(size - (8 << 20))
        });

        may_be("operations in one node", 1_000, operations_of_node);
        let empty = (String::new(), String::new());
        may_be("headers and query parameters in one call", 200, |count| parameters(vec![empty.clone(); count].iter()));
        may_be("call's list of headers and query parameters", 64 << 10, |size| {
            parameters([("x".repeat(100), "x".repeat(size - 100))].iter())
        });
        may_be("statuses to retry one call on", 500, statuses);
    }
}
