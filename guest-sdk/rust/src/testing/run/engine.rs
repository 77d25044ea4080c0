//! The rules by which a flow runs, as docs/concepts.md states them, for one node after the other.

use super::attempt::{Engine, Named, Value};
use super::failing::{Failing, Level, Step, stop};
use super::shape::{dag_of, ends, incoming};
use crate::definition::{self as plain, Branches, Carries, Dag, Edge, Node, NodeKind, Repeat, Tolerate};
use crate::failed::{Failed, FailureKind, Gathered};
use crate::record::encode;
use std::collections::{BTreeMap, BTreeSet};

/// What a node gets.
pub(super) struct Gather<'g> {
    incoming: &'g [&'g Edge],
    outputs: &'g BTreeMap<&'g str, Value>,
    aggregator: Option<&'g str>,
    input: &'g Value,
}

/// A dag that a node starts.
struct Branch<'d> {
    key: String,
    dag: &'d Dag,
    input: Value,
}

/// How a branch ended.
struct Ended {
    key: String,
    result: Result<Value, Failed>,
}

impl Engine<'_, '_> {
    pub(super) fn dag(&mut self, dag: &Dag, scope: &str, input: &Value) -> Step<Value> {
        let responded = self.fake.responded();
        match (self.nodes(dag, scope, input), &dag.recover) {
            (Err(failing), Some(id)) if failing.level != Level::Run => {
                self.fake.withdraw(responded);
                self.caught(id, &format!("{scope}(recover)"), &failing)
            }
            (ended, _) => ended,
        }
    }

    fn nodes(&mut self, dag: &Dag, scope: &str, input: &Value) -> Step<Value> {
        let incoming = incoming(dag, scope);
        let edges = |node: &Node| incoming.get(&*node.id).map_or(&[][..], Vec::as_slice);
        let begun = self.now;
        let (mut outputs, mut done) = (BTreeMap::<&str, Value>::new(), BTreeMap::<&str, u64>::new());
        for _ in &dag.nodes {
            let begins = |node: &Node| {
                edges(node).iter().try_fold(begun, |latest, edge| Some(latest.max(*done.get(&*edge.from)?)))
            };
            let ready = dag.nodes.iter().filter(|node| !done.contains_key(&*node.id));
            let ready = ready.filter_map(|node| Some((begins(node)?, node)));
            // Of several that would begin at the same time, the first one.
            let Some((at, node)) = ready.min_by_key(|(at, _)| *at) else {
                stop(&format!(
                    "nodes of {} wait for each other; `faas-flow check` reports all problems",
                    dag_of(scope)
                ));
            };
            self.now = at;
            let aggregator = dag.aggregate_inputs.iter().find(|entry| entry.node == node.id);
            let aggregator = aggregator.map(|entry| &*entry.aggregator);
            let gather = Gather { incoming: edges(node), outputs: &outputs, aggregator, input };
            let recover = dag.recover_nodes.iter().find(|entry| entry.node == node.id).map(|entry| &*entry.recover);
            let output = self.node(&format!("{scope}{}", node.id), node, &gather, recover)?;
            outputs.insert(&node.id, output);
            done.insert(&node.id, self.now);
        }
        self.now = done.into_values().max().unwrap_or(begun);
        let mut ends = ends(dag).filter_map(|id| Some((id.to_owned(), outputs.remove(id)?))).collect::<Vec<_>>();
        if let Some(id) = &dag.aggregate_ends {
            return self.attempt(&format!("{scope}(end)"), None, |engine| engine.aggregate(id, ends));
        }
        Ok(ends.pop().filter(|_| ends.is_empty()).map_or_else(Value::nothing, |(_, output)| output))
    }

    fn node(&mut self, path: &str, node: &Node, gather: &Gather<'_>, recover: Option<&str>) -> Step<Value> {
        let responded = self.fake.responded();
        self.ran.push(path.to_owned());
        let has_operations = matches!(node.kind, NodeKind::Operations(_));
        let passes_on = matches!(&node.kind, NodeKind::Operations(operations) if operations.list.is_empty());
        match (self.kind(path, &node.kind, gather), recover) {
            (Ok(value), _) => Ok(Value { is_request: value.is_request && passes_on, ..value }),
            (Err(failing), Some(id)) if failing.level != Level::Run => {
                if !has_operations {
                    self.fake.withdraw(responded);
                }
                self.caught(id, path, &failing)
            }
            (Err(failing), _) => Err(failing),
        }
    }

    fn kind(&mut self, path: &str, kind: &NodeKind, gather: &Gather<'_>) -> Step<Value> {
        match kind {
            NodeKind::Operations(operations) => self.operations(path, operations, gather),
            NodeKind::SubDag(dag) => {
                let value = self.attempt(path, None, |engine| engine.gather(gather))?;
                self.dag(dag, &format!("{path}/"), &value)
            }
            NodeKind::Condition(condition) => self.condition(path, condition, gather),
            NodeKind::ForEach(for_each) => self.for_each(path, for_each, gather),
            NodeKind::Repeat(repeat) => self.repeat(path, repeat, gather),
        }
    }

    /// What a node gets: the outputs of those before it, as forwarders rewrite them and an aggregator merges them.
    pub(super) fn gather(&mut self, gather: &Gather<'_>) -> Step<Value> {
        let Gather { incoming, outputs, aggregator, input } = gather;
        let mut inputs: Vec<Named> = Vec::new();
        if incoming.is_empty() {
            inputs.push((String::new(), (*input).clone()));
        }
        for edge in *incoming {
            let output = outputs.get(&*edge.from).cloned().unwrap_or_else(Value::nothing);
            let carried = match &edge.carries {
                Carries::Nothing => continue,
                Carries::Output => output,
                Carries::Forwarded(id) => self.data(&output, |handlers| handlers.forward(id, output.data.clone()))?,
            };
            inputs.push((edge.from.clone(), carried));
        }
        let named = inputs.iter().map(|(name, value)| (name.clone(), value.data.clone())).collect();
        let types = inputs.iter().map(|(_, value)| value.media_type.clone()).collect();
        let path = self.own.path.clone();
        self.fake.enter(&path, named, types);
        if let Some(id) = aggregator {
            return self.aggregate(id, inputs);
        }
        let only = inputs.pop().filter(|_| inputs.is_empty());
        let value = only.map_or_else(Value::nothing, |(_, value)| value);
        self.own.of_request = value.is_request;
        Ok(value)
    }

    fn caught(&mut self, id: &str, path: &str, failing: &Failing) -> Step<Value> {
        self.attempt(path, None, |engine| engine.recover_from(id, failing))
    }

    fn condition(&mut self, path: &str, condition: &Branches, gather: &Gather<'_>) -> Step<Value> {
        let branches = self.attempt(path, None, |engine| {
            let value = engine.gather(gather)?;
            let keys = engine.plain(&value, |handlers| handlers.condition(&condition.handler, value.data.clone()))?;
            chosen(path, condition, keys, &value)
        })?;
        let mut ended = self.branches(path, condition, branches, 0)?;
        if condition.aggregator.is_none()
            && ended.len() == 1
            && let Some(Ended { result: Ok(value), .. }) = ended.pop()
        {
            return Ok(value);
        }
        self.merge(path, condition, ended)
    }

    fn for_each(&mut self, path: &str, for_each: &Branches, gather: &Gather<'_>) -> Step<Value> {
        let dag = for_each.dags.first().map(|branch| &branch.dag);
        let branches = self.attempt(path, None, |engine| {
            let value = engine.gather(gather)?;
            let handler = &for_each.handler;
            let items = engine.plain(&value, |handlers| handlers.for_each(handler, value.data.clone()))?;
            let media_type = engine.fake.returned_content_type();
            let wrong =
                |code, message| Err(Failing::new(code, FailureKind::Other, path, message).with_input(&value.data));
            let mut known = BTreeSet::new();
            let mut branches = Vec::new();
            for (key, data) in items {
                if !(1..=128).contains(&key.len()) {
                    let message =
                        format!("handler `{handler}` yielded an item whose key has {} bytes, not 1 to 128", key.len());
                    return wrong("FF0118", message);
                }
                if !known.insert(key.clone()) {
                    let message =
                        format!("handler `{handler}` yielded two items with the key `{key}`: make keys unique");
                    return wrong("FF0203", message);
                }
                let Some(dag) = dag else { stop(&format!("for-each `{path}` has no dag")) };
                branches.push(Branch { key, dag, input: Value::new(data, &*media_type) });
            }
            Ok(branches)
        })?;
        if branches.is_empty() {
            return Ok(Value::nothing());
        }
        let tolerated = match for_each.tolerate {
            Some(Tolerate::Items(items)) => items,
            Some(Tolerate::Share(share)) => (branches.len() as f64 * f64::from(share) + 1e-6).floor() as u32,
            None => 0,
        };
        let ended = self.branches(path, for_each, branches, tolerated)?;
        self.merge(path, for_each, ended)
    }

    /// Executes branches one after the other. Their times are those at which they would run at the same time, as many as may.
    fn branches(
        &mut self,
        path: &str,
        model: &Branches,
        branches: Vec<Branch<'_>>,
        mut tolerated: u32,
    ) -> Step<Vec<Ended>> {
        let begun = self.now;
        let most = model.max_parallel.map_or(usize::MAX, |most| most as usize);
        let mut busy = Vec::new();
        let mut latest = begun;
        let mut all = Vec::with_capacity(branches.len());
        for Branch { key, dag, input } in branches {
            let first = busy.iter().enumerate().min_by_key(|(_, end)| **end).map(|(at, _)| at);
            self.now = match first.filter(|_| busy.len() >= most) {
                Some(at) => busy.swap_remove(at),
                None => begun,
            };
            let responded = self.fake.responded();
            let input = if model.carries_nothing { Value::nothing() } else { input };
            let result = match self.dag(dag, &format!("{path}[{}]/", encode(&key)), &input) {
                Ok(_) if model.carries_nothing => Ok(Value::nothing()),
                Ok(value) => Ok(value),
                Err(failing) if failing.level == Level::Run || tolerated == 0 => return Err(failing),
                Err(failing) => {
                    tolerated -= 1;
                    self.fake.withdraw(responded);
                    Err(failing.of_item())
                }
            };
            busy.push(self.now);
            latest = latest.max(self.now);
            all.push(Ended { key, result });
        }
        self.now = latest;
        Ok(all)
    }

    /// Merges the results of branches.
    fn merge(&mut self, path: &str, model: &Branches, ended: Vec<Ended>) -> Step<Value> {
        if let Some(id) = &model.gather {
            let item = |Ended { key, result }| Gathered { key, ended: result.map(|value: Value| value.data) };
            let items = ended.into_iter().map(item).collect();
            let gather = |engine: &mut Self| engine.data(&Value::nothing(), |handlers| handlers.gather(id, items));
            return self.attempt(path, None, gather);
        }
        let Some(id) = &model.aggregator else { return Ok(Value::nothing()) };
        let results = ended.into_iter().filter_map(|Ended { key, result }| Some((key, result.ok()?))).collect();
        self.attempt(path, None, |engine| engine.aggregate(id, results))
    }

    fn repeat(&mut self, path: &str, repeat: &Repeat, gather: &Gather<'_>) -> Step<Value> {
        let Repeat { handler, dag, most, wait_ms } = repeat;
        let mut value = self.attempt(path, None, |engine| engine.gather(gather))?;
        for round in 1.. {
            value = self.dag(dag, &format!("{path}[{round}]/"), &value)?;
            let goes_on = self.attempt(path, None, |engine| {
                let again = engine.plain(&value, |handlers| handlers.again(handler, (value.data.clone(), round)))?;
                if again && round >= *most {
                    let message = format!(
                        "`{handler}` wants another round after {most}, but there may be no more: raise the limit, or end the repeat earlier"
                    );
                    return Err(Failing::new("FF0262", FailureKind::Other, path, message));
                }
                if again {
                    engine.pass(*wait_ms)?;
                }
                Ok(again)
            })?;
            if !goes_on {
                break;
            }
        }
        Ok(value)
    }
}

/// The branches that a condition has chosen.
fn chosen<'d>(path: &str, condition: &'d Branches, keys: Vec<String>, value: &Value) -> Step<Vec<Branch<'d>>> {
    let wrong = |code, what: String| {
        let message = format!("handler `{}` {what}", condition.handler);
        Err(Failing::new(code, FailureKind::Other, path, message).with_input(&value.data))
    };
    if keys.is_empty() {
        return wrong("FF0202", "chose no branch: choose at least one; it may be an empty one".to_owned());
    }
    let mut branches: Vec<Branch<'_>> = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(plain::Branch { dag, .. }) = condition.dags.iter().find(|branch| branch.key == key) else {
            let known = condition.dags.iter().map(|branch| &*branch.key).collect::<Vec<_>>().join(", ");
            return wrong("FF0201", format!("chose `{key}`, but the branches are {known}"));
        };
        if branches.iter().any(|branch| branch.key == key) {
            return wrong("FF0203", format!("chose the branch `{key}` twice"));
        }
        branches.push(Branch { key, dag, input: value.clone() });
    }
    Ok(branches)
}
