//! Checks a whole definition, so that an author sees every problem at once.

use crate::definition::{Backoff, Branches, Call, Carries, Dag, Node, NodeKind, Operation, Operations};
use crate::suggest::nearest;
use crate::{BranchKey, Code, Definition, HandlerId, Malformed, NameKind, NodeId};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// How many levels dags may be nested, counting the outermost dag.
pub const MAX_DEPTH: usize = 32;
const DAY_MS: u64 = 86_400_000;
const YEAR_MS: u64 = 366 * DAY_MS;

/// Why a definition was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The kind of problem.
    pub code: Code,
    /// Where: `C[c1]/n1`, or empty for the flow itself.
    pub path: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "{}: {}", self.code, self.message)
        } else {
            write!(f, "{} at {}: {}", self.code, self.path, self.message)
        }
    }
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        let code = match malformed.kind {
            NameKind::NodeId => Code::BAD_NODE_ID,
            NameKind::HandlerId => Code::BAD_HANDLER_ID,
            NameKind::BranchKey => Code::BAD_BRANCH_KEY,
            _ => Code::INTERNAL,
        };
        Problem { code, path: String::new(), message: malformed.to_string() }
    }
}

/// Something that is valid but probably not intended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// Where, as in [`Problem::path`].
    pub path: String,
    /// What will happen, and what to do if that is not intended.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// Checks everything. The error contains every problem.
pub(crate) fn check(definition: &Definition) -> Result<Vec<Warning>, Vec<Problem>> {
    let handlers = definition.handlers.iter().map(String::as_str).collect();
    let mut checker = Checker { handlers, problems: Vec::new(), warnings: Vec::new() };
    checker.handler("", definition.on_failure.as_deref());
    checker.handler("", definition.finally.as_deref());
    checker.duration("", "deadline", definition.deadline_ms, YEAR_MS);
    checker.dag("", &definition.dag, 1);
    if checker.problems.is_empty() { Ok(checker.warnings) } else { Err(checker.problems) }
}

struct Checker<'a> {
    handlers: HashSet<&'a str>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Checker<'_> {
    fn problem(&mut self, code: Code, path: &str, message: impl Into<String>) {
        self.problems.push(Problem { code, path: path.into(), message: message.into() });
    }

    fn malformed(&mut self, path: &str, malformed: Malformed) {
        self.problems.push(Problem { path: path.into(), ..malformed.into() });
    }

    fn warn(&mut self, path: &str, message: impl Into<String>) {
        self.warnings.push(Warning { path: path.into(), message: message.into() });
    }

    fn dag(&mut self, path: &str, dag: &Dag, depth: usize) {
        if depth > MAX_DEPTH {
            let message = format!("dags are nested more than {MAX_DEPTH} deep: does a sub-dag contain itself?");
            return self.problem(Code::NESTED_TOO_DEEP, path, message);
        }
        if dag.nodes.is_empty() {
            return self.problem(Code::EMPTY_DAG, path, "the dag has no nodes: add at least one");
        }
        let mut ids = HashSet::new();
        for node in &dag.nodes {
            let path = below(path, &node.id);
            match NodeId::new(&node.id) {
                Err(malformed) => self.malformed(&path, malformed),
                Ok(id) if id.is_reserved() => self.problem(Code::BAD_NODE_ID, &path, "the id is reserved"),
                Ok(_) if !ids.insert(node.id.as_str()) => {
                    self.problem(Code::DUPLICATE_NODE, &path, "another node of this dag has the same id: rename one");
                }
                Ok(_) => {}
            }
            self.node(&path, node, depth);
        }
        self.edges(path, dag, &ids);
        for inputs in &dag.aggregate_inputs {
            self.handler(&below(path, &inputs.node), Some(&inputs.aggregator));
            if !ids.contains(inputs.node.as_str()) {
                let message = format!("an aggregator is given for node `{}`, which does not exist", inputs.node);
                self.problem(Code::AGGREGATOR_WITHOUT_NODE, path, message);
            }
        }
        self.handler(path, dag.aggregate_ends.as_deref());
    }

    fn edges(&mut self, path: &str, dag: &Dag, ids: &HashSet<&str>) {
        let mut pairs = HashSet::new();
        let mut are_complete = true;
        for edge in &dag.edges {
            if let Carries::Forwarded(handler) = &edge.carries {
                self.handler(path, Some(handler));
            }
            for id in [&edge.from, &edge.to] {
                if !ids.contains(id.as_str()) {
                    are_complete = false;
                    let hint = did_you_mean(id, ids.iter().copied());
                    let message =
                        format!("the edge {} → {} names node `{id}`, which does not exist{hint}", edge.from, edge.to);
                    self.problem(Code::EDGE_TO_NOWHERE, path, message);
                }
            }
            if !pairs.insert((&edge.from, &edge.to)) {
                let message = format!("there are two edges {} → {}: keep one", edge.from, edge.to);
                self.problem(Code::DUPLICATE_EDGE, path, message);
            }
        }
        if are_complete {
            self.order(path, dag);
        }
    }

    /// Cycles, starts, ends and joins of a dag, all of whose edges join nodes that exist.
    fn order(&mut self, path: &str, dag: &Dag) {
        if let Some(cycle) = cycle(dag) {
            let message = format!("the edges form a cycle: {}", cycle.join(" → "));
            return self.problem(Code::CYCLE, path, message);
        }
        let without = |ends: fn(&crate::definition::Edge) -> &str| -> Vec<&str> {
            let used: HashSet<&str> = dag.edges.iter().map(ends).collect();
            dag.nodes.iter().map(|node| node.id.as_str()).filter(|id| !used.contains(id)).collect()
        };
        let starts = without(|edge| &edge.to);
        if starts.len() > 1 {
            let message = format!("{} have no predecessor, but a dag has one start: add edges", starts.join(", "));
            self.problem(Code::SEVERAL_STARTS, path, message);
        }
        let ends = without(|edge| &edge.from);
        if ends.len() > 1 && dag.aggregate_ends.is_none() {
            let message = format!(
                "the dag has several ends ({}) and yields nothing: aggregate its ends if that is not intended",
                ends.join(", ")
            );
            self.warn(path, message);
        }
        for node in &dag.nodes {
            let inputs = dag.edges.iter().filter(|edge| edge.to == node.id && edge.carries != Carries::Nothing).count();
            if inputs > 1 && !dag.aggregate_inputs.iter().any(|given| given.node == node.id) {
                let message = format!(
                    "{inputs} edges carry data to this node, but no aggregator merges it: the node gets no data, only `context.inputs`"
                );
                self.warn(&below(path, &node.id), message);
            }
        }
    }

    fn node(&mut self, path: &str, node: &Node, depth: usize) {
        match &node.kind {
            NodeKind::Operations(operations) => self.operations(path, operations),
            NodeKind::SubDag(dag) => self.dag(path, dag, depth + 1),
            NodeKind::Condition(branches) => {
                self.branches(path, branches, "condition");
                self.choices(path, branches, depth);
            }
            NodeKind::ForEach(branches) => {
                self.branches(path, branches, "for-each");
                self.items(path, branches, depth);
            }
        }
    }

    /// Checks what conditions and for-eaches have in common. `kind` is for the message.
    fn branches(&mut self, path: &str, branches: &Branches, kind: &str) {
        self.handler(path, Some(&branches.handler));
        self.handler(path, branches.aggregator.as_deref());
        if branches.max_parallel == Some(0) {
            self.problem(Code::BAD_MAX_PARALLEL, path, "max-parallel is 0, so no branch would ever run: at least 1");
        }
        if branches.dags.is_empty() {
            self.problem(Code::NO_BRANCHES, path, format!("the {kind} has no dag: give it a branch"));
        }
    }

    fn choices(&mut self, path: &str, branches: &Branches, depth: usize) {
        let mut keys = HashSet::new();
        for branch in &branches.dags {
            if let Err(malformed) = BranchKey::new(&branch.key) {
                self.malformed(path, malformed);
            }
            if !keys.insert(branch.key.as_str()) {
                let message = format!("two branches have the key `{}`: rename one", branch.key.escape_debug());
                self.problem(Code::DUPLICATE_BRANCH, path, message);
            }
            self.dag(&format!("{path}[{}]", branch.key), &branch.dag, depth + 1);
        }
    }

    fn items(&mut self, path: &str, branches: &Branches, depth: usize) {
        for (i, branch) in branches.dags.iter().enumerate() {
            if i > 0 {
                self.problem(Code::DUPLICATE_BRANCH, path, "a for-each has one dag, but this one has several");
            }
            self.dag(&format!("{path}[]"), &branch.dag, depth + 1);
        }
        if branches.aggregator.is_none() && !branches.carries_nothing {
            self.warn(
                path,
                "the for-each has no aggregator and yields nothing: declare that it carries nothing if that is intended",
            );
        }
    }

    fn operations(&mut self, path: &str, operations: &Operations) {
        self.retry(path, operations.retry.as_ref());
        self.duration(path, "timeout", operations.timeout_ms, DAY_MS);
        for (i, operation) in operations.list.iter().enumerate() {
            let path = format!("{path}/{i}");
            match operation {
                Operation::Modify(handler) => self.handler(&path, Some(handler)),
                Operation::Apply(call) => {
                    let name = call.target.split(['/', '?']).next().unwrap_or_default();
                    let valid = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
                    if name.is_empty() || !name.bytes().all(valid) || call.target.split('/').any(|part| part == "..") {
                        let message = format!("`{}` is not a function's name", call.target.escape_debug());
                        self.problem(Code::BAD_CALL, &path, message);
                    }
                    self.call(&path, call);
                }
                Operation::Request(call) => {
                    if !call.target.starts_with("http://") && !call.target.starts_with("https://") {
                        let message = format!("`{}` is not an http or https URL", call.target.escape_debug());
                        self.problem(Code::BAD_CALL, &path, message);
                    }
                    self.call(&path, call);
                }
            }
        }
    }

    fn call(&mut self, path: &str, call: &Call) {
        for handler in [&call.prepare, &call.receive, &call.recover] {
            self.handler(path, handler.as_deref());
        }
        self.retry(path, call.retry.as_ref());
        if let Some(status) = call.retry_on.iter().find(|status| !(100..=599).contains(*status)) {
            self.problem(Code::BAD_RETRY, path, format!("the call is retried on status {status}: 100 to 599"));
        }
        self.duration(path, "timeout", call.timeout_ms, DAY_MS);
        let token = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        };
        if let Some(method) = call.method.as_deref().filter(|method| !token(method)) {
            self.problem(Code::BAD_CALL, path, format!("`{}` is not an HTTP method", method.escape_debug()));
        }
        for (name, value) in &call.headers {
            if !token(name) || value.bytes().any(|b| b < b' ' && b != b'\t' || b == 0x7f) {
                self.problem(Code::BAD_CALL, path, format!("the header `{}` is malformed", name.escape_debug()));
            }
        }
    }

    fn handler(&mut self, path: &str, handler: Option<&str>) {
        let Some(handler) = handler else { return };
        match HandlerId::new(handler) {
            Err(malformed) => self.malformed(path, malformed),
            Ok(_) if !self.handlers.contains(handler) => {
                let hint = did_you_mean(handler, self.handlers.iter().copied());
                let message = format!("handler `{handler}` is not among those that the flow declares{hint}");
                self.problem(Code::UNKNOWN_HANDLER, path, message);
            }
            Ok(_) => {}
        }
    }

    fn retry(&mut self, path: &str, retry: Option<&Backoff>) {
        let Some(retry) = retry else { return };
        let wrong = match retry {
            Backoff { attempts, .. } if !(1..=100).contains(attempts) => format!("attempts is {attempts}: 1 to 100"),
            Backoff { factor, .. } if !(1.0..=100.0).contains(factor) => format!("factor is {factor}: 1 to 100"),
            Backoff { max_delay_ms, .. } if u64::from(*max_delay_ms) > DAY_MS => {
                format!("max-delay-ms is {max_delay_ms}: at most {DAY_MS}")
            }
            _ => return,
        };
        self.problem(Code::BAD_RETRY, path, format!("the retry policy's {wrong}"));
    }

    fn duration(&mut self, path: &str, what: &str, ms: Option<u64>, most: u64) {
        if let Some(ms) = ms.filter(|ms| !(1..=most).contains(ms)) {
            self.problem(Code::BAD_TIMEOUT, path, format!("the {what} is {ms} ms: 1 to {most}"));
        }
    }
}

fn below(path: &str, id: &str) -> String {
    if path.is_empty() { id.to_owned() } else { format!("{path}/{id}") }
}

/// `: did you mean …?` with the most similar name, if there is a similar one.
fn did_you_mean<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(wrong, known, |_| wrong.len().max(3) / 3).map_or(String::new(), |name| format!(": did you mean `{name}`?"))
}

/// The ids along one cycle, its first id again at the end.
fn cycle(dag: &Dag) -> Option<Vec<&str>> {
    let mut successors: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut missing: HashMap<&str, usize> = dag.nodes.iter().map(|node| (node.id.as_str(), 0)).collect();
    for edge in &dag.edges {
        successors.entry(&edge.from).or_default().push(&edge.to);
        *missing.entry(&edge.to).or_default() += 1;
    }
    let mut free: Vec<&str> = missing.iter().filter(|(_, n)| **n == 0).map(|(id, _)| *id).collect();
    while let Some(id) = free.pop() {
        missing.remove(id);
        for to in successors.get(id).into_iter().flatten() {
            if let Some(n) = missing.get_mut(to) {
                *n -= 1;
                if *n == 0 {
                    free.push(to);
                }
            }
        }
    }
    // Every node that is left has a predecessor that is left, so walking backwards must return to a node seen before.
    let mut at = dag.nodes.iter().map(|node| node.id.as_str()).find(|id| missing.contains_key(id))?;
    let mut walk = vec![at];
    loop {
        at = dag.edges.iter().find(|edge| edge.to == at && missing.contains_key(edge.from.as_str()))?.from.as_str();
        let seen = walk.iter().position(|id| *id == at);
        walk.push(at);
        if let Some(from) = seen {
            let mut round = walk.split_off(from);
            round.reverse();
            return Some(round);
        }
    }
}
