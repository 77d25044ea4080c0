//! Checks a whole definition, so that an author sees every problem at once.
//!
//! The time that this takes is proportional to the size of the definition, also if everything in it is wrong: paths and
//! messages are written only for the first problems, and only so many names are compared in search of a similar one.

mod place;
mod report;

use crate::LONGEST_SLEEP_MS;
use crate::definition::{
    Backoff, Branches, Call, Carries, Dag, Edge, Limit, MOST_ROUNDS, Node, NodeKind, Operation, Operations,
    RecoverNode, Repeat, SignalSource, Tolerate, WaitFor,
};
use crate::function_path::{is_function_name, leaves_function, split_target};
use crate::limit::{Figures, is_limit_name};
use crate::redact;
use crate::schedule::Schedule;
use crate::{BranchKey, Code, Definition, HandlerId, Malformed, NameKind, NodeId, SignalName};
use place::Place;
use report::{Report, listed, shown};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// How many levels dags may be nested, counting the outermost dag.
pub const MAX_DEPTH: usize = 32;
const DAY_MS: u64 = 86_400_000;
const YEAR_MS: u64 = 366 * DAY_MS;
/// How long the answer to an asynchronous call may take.
const LONGEST_WAIT_MS: u64 = 30 * DAY_MS;

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
            NameKind::SignalName => Code::BAD_SIGNAL,
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

/// Checks everything. The error contains every problem, or the first [`report::MOST_TOLD`] and one that counts the rest; so do the
/// warnings.
pub(crate) fn check(definition: &Definition) -> Result<Vec<Warning>, Vec<Problem>> {
    let handlers = definition.handlers.iter().map(String::as_str).collect();
    let mut checker = Checker { handlers, limits: HashMap::new(), nested: HashMap::new(), report: Report::default() };
    let flow = &Place::Flow;
    checker.handler(flow, definition.on_failure.as_deref());
    checker.handler(flow, definition.finally.as_deref());
    checker.duration(flow, "deadline", definition.deadline_ms, YEAR_MS);
    checker.dag(flow, &definition.dag, 1);
    checker.schedules(flow, &definition.schedules);
    checker.report.end()
}

struct Checker<'a> {
    handlers: HashSet<&'a str>,
    /// What the limits allow that were named before, by their names.
    limits: HashMap<&'a str, (Figures, bool)>,
    /// Where a call first needed a permit of a limit while its node holds one of another limit, by the names of both, that of the
    /// node first.
    nested: HashMap<(&'a str, &'a str), String>,
    report: Report,
}

impl<'a> Checker<'a> {
    fn problem<M: Into<String>>(&mut self, code: Code, at: &Place<'_>, message: impl FnOnce() -> M) {
        self.report.problem(|| Problem { code, path: at.path(), message: message().into() });
    }

    fn malformed(&mut self, at: &Place<'_>, malformed: Malformed) {
        self.report.problem(|| Problem { path: at.path(), ..malformed.into() });
    }

    fn warn<M: Into<String>>(&mut self, at: &Place<'_>, message: impl FnOnce() -> M) {
        self.report.warning(|| Warning { path: at.path(), message: message().into() });
    }

    fn schedules(&mut self, at: &Place<'_>, schedules: &[Schedule]) {
        for bad in Schedule::all_timed(schedules).err().unwrap_or_default() {
            self.problem(bad.code(), at, || bad.to_string());
        }
    }

    fn dag(&mut self, at: &Place<'_>, dag: &'a Dag, depth: usize) {
        if depth > MAX_DEPTH {
            let message = || format!("dags are nested more than {MAX_DEPTH} deep: does a sub-dag contain itself?");
            return self.problem(Code::NESTED_TOO_DEEP, at, message);
        }
        if dag.nodes.is_empty() {
            return self.problem(Code::EMPTY_DAG, at, || "the dag has no nodes: add at least one");
        }
        let mut ids = HashSet::new();
        for node in &dag.nodes {
            let at = &Place::Node(at, &node.id);
            match NodeId::new(&node.id) {
                Err(malformed) => self.malformed(at, malformed),
                Ok(id) if id.is_reserved() => self.problem(Code::BAD_NODE_ID, at, || "the id is reserved"),
                Ok(_) if !ids.insert(node.id.as_str()) => {
                    let message = || "another node of this dag has the same id: rename one";
                    self.problem(Code::DUPLICATE_NODE, at, message);
                }
                Ok(_) => {}
            }
            self.node(at, node, depth);
        }
        self.edges(at, dag, &ids);
        for inputs in &dag.aggregate_inputs {
            self.handler(&Place::Node(at, &inputs.node), Some(&inputs.aggregator));
            if !ids.contains(inputs.node.as_str()) {
                let message =
                    || format!("an aggregator is given for node `{}`, which does not exist", shown(&inputs.node));
                self.problem(Code::AGGREGATOR_WITHOUT_NODE, at, message);
            }
        }
        self.handler(at, dag.aggregate_ends.as_deref());
        for RecoverNode { node, recover } in &dag.recover_nodes {
            self.handler(&Place::Node(at, node), Some(recover));
            if !ids.contains(node.as_str()) {
                let message = || format!("a recover handler is given for node `{}`, which does not exist", shown(node));
                self.problem(Code::RECOVER_WITHOUT_NODE, at, message);
            }
        }
        self.handler(at, dag.recover.as_deref());
    }

    fn edges(&mut self, at: &Place<'_>, dag: &Dag, ids: &HashSet<&str>) {
        let mut pairs = HashSet::new();
        let mut known = Vec::with_capacity(dag.edges.len());
        for edge in &dag.edges {
            let Edge { from, to, carries } = edge;
            if let Carries::Forwarded(handler) = carries {
                self.handler(at, Some(handler));
            }
            if ids.contains(from.as_str()) && ids.contains(to.as_str()) {
                known.push(edge);
            }
            for id in [from, to] {
                if !ids.contains(id.as_str()) {
                    let hint = self.report.did_you_mean(id, ids);
                    let (from, to, id) = (shown(from), shown(to), shown(id));
                    let message = || format!("the edge {from} → {to} names node `{id}`, which does not exist{hint}");
                    self.problem(Code::EDGE_TO_NOWHERE, at, message);
                }
            }
            if !pairs.insert((from, to)) {
                let message = || format!("there are two edges {} → {}: keep one", shown(from), shown(to));
                self.problem(Code::DUPLICATE_EDGE, at, message);
            }
        }
        self.order(at, dag, &known);
    }

    /// Cycles, starts, ends and joins of a dag, by its edges between nodes that exist. An edge that leads nowhere may be meant
    /// for a node that has no predecessor without it, so as many starts are not told.
    fn order(&mut self, at: &Place<'_>, dag: &Dag, known: &[&Edge]) {
        if let Some(cycle) = cycle(dag, known) {
            let message = || format!("the edges form a cycle: {}", listed(&cycle, " → "));
            return self.problem(Code::CYCLE, at, message);
        }
        let without = |ends: fn(&Edge) -> &str| -> Vec<&str> {
            let used: HashSet<&str> = known.iter().map(|edge| ends(edge)).collect();
            dag.nodes.iter().map(|node| node.id.as_str()).filter(|id| !used.contains(id)).collect()
        };
        let starts = without(|edge| &edge.to);
        let lost = dag.edges.len() - known.len();
        if starts.len() > 1 + lost {
            let message = || {
                format!(
                    "a dag has exactly one start, but {} have no predecessor: add the missing edges",
                    listed(&starts, ", ")
                )
            };
            self.problem(Code::SEVERAL_STARTS, at, message);
        }
        if lost > 0 {
            return;
        }
        let ends = without(|edge| &edge.from);
        if ends.len() > 1 && dag.aggregate_ends.is_none() {
            let ends = listed(&ends, ", ");
            let message = || {
                format!(
                    "the dag has several ends ({ends}) and yields nothing: aggregate its ends if that is not intended"
                )
            };
            self.warn(at, message);
        }
        self.joins(at, dag);
    }

    /// Warns of nodes that get several inputs, which nothing merges.
    fn joins(&mut self, at: &Place<'_>, dag: &Dag) {
        let merged: HashSet<&str> = dag.aggregate_inputs.iter().map(|given| given.node.as_str()).collect();
        let mut inputs: HashMap<&str, usize> = HashMap::new();
        for edge in dag.edges.iter().filter(|edge| edge.carries != Carries::Nothing) {
            *inputs.entry(&edge.to).or_default() += 1;
        }
        for node in &dag.nodes {
            let id = node.id.as_str();
            let inputs = inputs.get(id).copied().unwrap_or_default();
            if inputs > 1 && !merged.contains(id) {
                let message = || {
                    format!(
                        "{inputs} edges carry data to this node, but no aggregator merges it: the node gets no data, only `context.inputs`"
                    )
                };
                self.warn(&Place::Node(at, id), message);
            }
        }
    }

    fn node(&mut self, at: &Place<'_>, node: &'a Node, depth: usize) {
        match &node.kind {
            NodeKind::Operations(operations) => self.operations(at, operations),
            NodeKind::SubDag(dag) => self.dag(at, dag, depth + 1),
            NodeKind::Condition(branches) => {
                self.branches(at, branches, "condition");
                self.choices(at, branches, depth);
            }
            NodeKind::ForEach(branches) => {
                self.branches(at, branches, "for-each");
                self.items(at, branches, depth);
            }
            NodeKind::Repeat(repeat) => self.repeat(at, repeat, depth),
        }
    }

    /// Checks what conditions and for-eaches have in common. `kind` is for the message.
    fn branches(&mut self, at: &Place<'_>, branches: &Branches, kind: &str) {
        self.handler(at, Some(&branches.handler));
        self.handler(at, branches.aggregator.as_deref());
        self.handler(at, branches.gather.as_deref());
        if branches.max_parallel == Some(0) {
            let message = || "max-parallel is 0, so no branch would ever run: set it to at least 1";
            self.problem(Code::BAD_MAX_PARALLEL, at, message);
        }
        if branches.dags.is_empty() {
            self.problem(Code::NO_BRANCHES, at, || format!("the {kind} has no dag: give it a branch"));
        }
    }

    /// Checks what a for-each says of items that fail.
    fn tolerance(&mut self, at: &Place<'_>, branches: &Branches) {
        if let Some(Tolerate::Share(share)) = branches.tolerate
            && !(0.0..=1.0).contains(&share)
        {
            let message = || format!("the share of items that may fail is {share}, but must be from 0 to 1");
            self.problem(Code::BAD_TOLERANCE, at, message);
        }
        if branches.gather.is_some() && branches.aggregator.is_some() {
            self.warn(at, || "`gather` takes the place of the aggregator, which is never called: remove one of them");
        }
    }

    fn choices(&mut self, at: &Place<'_>, branches: &'a Branches, depth: usize) {
        let mut keys = HashSet::new();
        for branch in &branches.dags {
            if let Err(malformed) = BranchKey::new(&branch.key) {
                self.malformed(at, malformed);
            }
            if !keys.insert(branch.key.as_str()) {
                let message = || format!("two branches have the key `{}`: rename one", shown(&branch.key));
                self.problem(Code::DUPLICATE_BRANCH, at, message);
            }
            self.dag(&Place::Branch(at, &branch.key), &branch.dag, depth + 1);
        }
    }

    fn items(&mut self, at: &Place<'_>, branches: &'a Branches, depth: usize) {
        for (i, branch) in branches.dags.iter().enumerate() {
            if i > 0 {
                self.problem(Code::DUPLICATE_BRANCH, at, || "a for-each has one dag, but this one has several");
            }
            self.dag(&Place::Branch(at, ""), &branch.dag, depth + 1);
        }
        self.tolerance(at, branches);
        if branches.aggregator.is_none() && branches.gather.is_none() && !branches.carries_nothing {
            self.warn(at, || {
                "the for-each has no aggregator and yields nothing: declare that it carries nothing if that is intended"
            });
        }
    }

    fn repeat(&mut self, at: &Place<'_>, repeat: &'a Repeat, depth: usize) {
        let Repeat { handler, dag, most, wait_ms } = repeat;
        self.handler(at, Some(handler));
        if !(1..=MOST_ROUNDS).contains(most) {
            let message = || format!("the repeat may have {most} rounds, but must have 1 to {MOST_ROUNDS}");
            self.problem(Code::BAD_REPEAT, at, message);
        }
        if *wait_ms > LONGEST_WAIT_MS {
            let message =
                || format!("the wait between rounds is {wait_ms} ms, but must be at most {LONGEST_WAIT_MS} ms");
            self.problem(Code::BAD_REPEAT, at, message);
        }
        self.dag(&Place::Branch(at, ""), dag, depth + 1);
    }

    fn operations(&mut self, at: &Place<'_>, operations: &'a Operations) {
        self.retry(at, operations.retry.as_ref());
        self.duration(at, "timeout", operations.timeout_ms, DAY_MS);
        self.limit(at, operations.limit.as_ref());
        for (i, operation) in operations.list.iter().enumerate() {
            let at = &Place::Operation(at, i);
            match operation {
                Operation::Modify(handler) | Operation::SleepUntil(handler) => self.handler(at, Some(handler)),
                Operation::Sleep(ms) => self.sleep(at, *ms),
                Operation::WaitFor(wait) => self.wait_for(at, wait),
                Operation::Apply(call) => {
                    self.function(at, &call.target);
                    if call.asynchronous && call.method.as_deref().is_some_and(|method| method != "POST") {
                        let message = || "an asynchronous call is always a POST, so it must not have another method";
                        self.problem(Code::BAD_CALL, at, message);
                    }
                    self.call(at, call);
                    self.nested(at, operations.limit.as_ref(), call.limit.as_ref());
                }
                Operation::Request(call) => {
                    if !call.target.starts_with("http://") && !call.target.starts_with("https://") {
                        let message =
                            || format!("`{}` is not an http or https URL", shown(&redact::text(&call.target)));
                        self.problem(Code::BAD_CALL, at, message);
                    }
                    if call.asynchronous {
                        let message = || "only a function can be called asynchronously, and this is a URL: use `apply`";
                        self.problem(Code::BAD_CALL, at, message);
                    }
                    self.call(at, call);
                    self.nested(at, operations.limit.as_ref(), call.limit.as_ref());
                }
            }
        }
    }

    /// Warns of calls that may wait for each other, since their nodes hold permits meanwhile. A rate is not held.
    fn nested(&mut self, at: &Place<'_>, of_node: Option<&'a Limit>, of_call: Option<&'a Limit>) {
        let held = |limit: Option<&'a Limit>| limit.filter(|limit| limit.figures.concurrent.is_some());
        let (Some(Limit { name: outer, .. }), Some(Limit { name: inner, .. })) = (held(of_node), held(of_call)) else {
            return;
        };
        if outer == inner {
            return self.warn(at, || {
                format!(
                    "the call needs a permit of limit {inner} while its node holds one, so that all nodes wait once they hold \
                     all permits: give the limit only to the node or only to its calls"
                )
            });
        }
        if let Some(other) = self.nested.get(&(inner.as_str(), outer.as_str())).cloned() {
            self.warn(at, || {
                format!(
                    "the call needs limit {inner} while its node holds limit {outer}, and at {other} it is the other way round, \
                     so that both may wait for each other: take the two limits in the same order"
                )
            });
        }
        self.nested.entry((outer, inner)).or_insert_with(|| at.path());
    }

    fn sleep(&mut self, at: &Place<'_>, ms: u64) {
        if ms > LONGEST_SLEEP_MS {
            let message = || format!("the sleep is {ms} ms, but must be at most {LONGEST_SLEEP_MS} ms (366 days)");
            self.problem(Code::BAD_TIMEOUT, at, message);
        }
    }

    fn wait_for(&mut self, at: &Place<'_>, wait: &WaitFor) {
        match &wait.signal {
            SignalSource::Handler(handler) => self.handler(at, Some(handler)),
            SignalSource::Named(name) => {
                if let Err(malformed) = SignalName::new(name) {
                    self.malformed(at, malformed);
                }
            }
        }
        self.handler(at, wait.recover_from.as_deref());
        self.duration(at, "timeout of the wait", wait.timeout_ms, LONGEST_SLEEP_MS);
    }

    fn limit(&mut self, at: &Place<'_>, limit: Option<&'a Limit>) {
        let Some(Limit { name, figures, key }) = limit else { return };
        self.handler(at, key.as_deref());
        if !is_limit_name(name) {
            let message =
                || format!("`{}` is not a limit's name: use 1 to 64 characters of `A-Z a-z 0-9 _ . -`", shown(name));
            return self.problem(Code::BAD_LIMIT, at, message);
        }
        if let Err(bad) = figures.check() {
            return self.problem(Code::BAD_LIMIT, at, || format!("limit {name}: {bad}"));
        }
        let (first, first_has_key) = *self.limits.entry(name).or_insert((*figures, key.is_some()));
        if first != *figures {
            let message = || {
                format!("limit {name} is `{figures}` here, but `{first}` elsewhere in this flow: say the same in both")
            };
            self.problem(Code::LIMITS_DIFFER, at, message);
        } else if first_has_key != key.is_some() {
            let (here, there) = if key.is_some() { ("a key", "none") } else { ("no key", "one") };
            let message =
                || format!("limit {name} has {here} here, but {there} elsewhere in this flow: say the same in both");
            self.problem(Code::LIMITS_DIFFER, at, message);
        }
    }

    fn function(&mut self, at: &Place<'_>, target: &str) {
        let (name, below) = split_target(target);
        if !is_function_name(name) {
            let message = || format!("`{}` is not a function's name", shown(&redact::text(target)));
            self.problem(Code::BAD_CALL, at, message);
        } else if leaves_function(below) {
            let message = || {
                let (target, name) = (shown(&redact::text(target)), shown(name));
                format!("the path of `{target}` leaves function {name}: write it without `..`, in any spelling")
            };
            self.problem(Code::PATH_LEAVES_FUNCTION, at, message);
        }
    }

    fn call(&mut self, at: &Place<'_>, call: &'a Call) {
        self.limit(at, call.limit.as_ref());
        for handler in [&call.prepare, &call.receive, &call.recover, &call.recover_from] {
            self.handler(at, handler.as_deref());
        }
        self.retry(at, call.retry.as_ref());
        if let Some(status) = call.retry_on.iter().find(|status| !(100..=599).contains(*status)) {
            let message = || format!("`retry-on` has the status {status}, but statuses are 100 to 599");
            self.problem(Code::BAD_RETRY, at, message);
        }
        let longest = if call.asynchronous { LONGEST_WAIT_MS } else { DAY_MS };
        self.duration(at, "timeout", call.timeout_ms, longest);
        let token = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        };
        if let Some(method) = call.method.as_deref().filter(|method| !token(method)) {
            self.problem(Code::BAD_CALL, at, || format!("`{}` is not an HTTP method", shown(method)));
        }
        for (name, value) in &call.headers {
            if !token(name) || value.bytes().any(|b| b < b' ' && b != b'\t' || b == 0x7f) {
                self.problem(Code::BAD_CALL, at, || format!("the header `{}` is malformed", shown(name)));
            }
        }
    }

    fn handler(&mut self, at: &Place<'_>, handler: Option<&str>) {
        let Some(handler) = handler else { return };
        match HandlerId::new(handler) {
            Err(malformed) => self.malformed(at, malformed),
            Ok(_) if !self.handlers.contains(handler) => {
                let hint = self.report.did_you_mean(handler, &self.handlers);
                let message =
                    || format!("handler `{}` is not among those that the flow declares{hint}", shown(handler));
                self.problem(Code::UNKNOWN_HANDLER, at, message);
            }
            Ok(_) => {}
        }
    }

    fn retry(&mut self, at: &Place<'_>, retry: Option<&Backoff>) {
        let Some(retry) = retry else { return };
        let wrong = match retry {
            Backoff { attempts, .. } if !(1..=100).contains(attempts) => {
                format!("`attempts` is {attempts}, but must be 1 to 100")
            }
            Backoff { factor, .. } if !(1.0..=100.0).contains(factor) => {
                format!("`factor` is {factor}, but must be 1 to 100")
            }
            Backoff { max_delay_ms, .. } if u64::from(*max_delay_ms) > DAY_MS => {
                format!("`max-delay-ms` is {max_delay_ms}, but must be at most {DAY_MS}")
            }
            _ => return,
        };
        self.problem(Code::BAD_RETRY, at, || format!("the retry policy's {wrong}"));
    }

    fn duration(&mut self, at: &Place<'_>, what: &str, ms: Option<u64>, most: u64) {
        if let Some(ms) = ms.filter(|ms| !(1..=most).contains(ms)) {
            self.problem(Code::BAD_TIMEOUT, at, || format!("the {what} is {ms} ms, but must be 1 to {most} ms"));
        }
    }
}

/// The ids along one cycle, its first id again at the end.
fn cycle<'a>(dag: &'a Dag, edges: &[&'a Edge]) -> Option<Vec<&'a str>> {
    let mut successors: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut missing: HashMap<&str, usize> = dag.nodes.iter().map(|node| (node.id.as_str(), 0)).collect();
    for edge in edges {
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
    let mut before: HashMap<&str, &str> = HashMap::new();
    for edge in edges.iter().filter(|edge| missing.contains_key(edge.from.as_str())) {
        before.entry(&edge.to).or_insert(&edge.from);
    }
    let mut at = dag.nodes.iter().map(|node| node.id.as_str()).find(|id| missing.contains_key(id))?;
    let mut walk = vec![at];
    let mut seen = HashMap::from([(at, 0)]);
    loop {
        at = before.get(at)?;
        walk.push(at);
        if let Some(from) = seen.insert(at, walk.len() - 1) {
            let mut round = walk.split_off(from);
            round.reverse();
            return Some(round);
        }
    }
}
