//! Which parts of a flow scenarios reach.

use crate::nodes::Node;
use crate::places::{Called, Places};
use crate::{Suite, Tested};
use faas_flow_core::ScopePath;
use faas_flow_core::run::Progress;
use std::collections::{BTreeMap, BTreeSet};

/// Which parts of a flow some scenarios reach.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    nodes: Covered,
    edges: Covered,
    branches: Covered,
    handlers: Covered,
    tries: Covered,
}

/// The parts of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Covered {
    /// How many there are.
    pub all: usize,
    /// Those that no scenario reaches.
    pub missing: Vec<String>,
}

impl Coverage {
    /// The parts, each with the name of its kind.
    pub fn parts(&self) -> [(&'static str, &Covered); 5] {
        [
            ("nodes", &self.nodes),
            ("edges", &self.edges),
            ("branches", &self.branches),
            ("handlers", &self.handlers),
            ("tries", &self.tries),
        ]
    }
}

impl Covered {
    fn of<T>(all: &[T], name: impl Fn(&T) -> String, is_reached: impl Fn(&T) -> bool) -> Self {
        let missing = all.iter().filter(|one| !is_reached(one)).map(name).collect();
        Self { all: all.len(), missing }
    }
}

/// What runs have reached.
#[derive(Default)]
struct Reached {
    began: BTreeSet<String>,
    done: BTreeSet<String>,
    edges: BTreeSet<(String, String)>,
    branches: BTreeSet<String>,
    caught: BTreeSet<String>,
    /// Calls whose failures were caught.
    recovered: BTreeSet<(String, usize)>,
    /// Nodes that were done without a signal.
    missed: BTreeSet<String>,
    /// Calls that were tried again, and whole nodes.
    tried: BTreeSet<(String, Option<usize>)>,
}

impl Suite {
    /// Which parts of the flow these scenarios reach.
    pub fn coverage(&self, tested: &[Tested]) -> Coverage {
        let mut reached = Reached::default();
        for tested in tested {
            reached.add(&self.places, &tested.played.nodes);
        }
        let places = &self.places;
        let edge = |(from, to): &(String, String)| format!("{from} → {to}");
        let tries = |(place, operation): &(String, Option<usize>)| match operation {
            Some(operation) => format!("{place}, operation {operation}"),
            None => place.clone(),
        };
        Coverage {
            nodes: Covered::of(&places.nodes, |(place, _)| place.clone(), |(place, _)| reached.began.contains(place)),
            edges: Covered::of(&places.edges, edge, |edge| reached.edges.contains(edge)),
            branches: Covered::of(&places.branches, String::clone, |branch| reached.branches.contains(branch)),
            handlers: Covered::of(&places.handlers, |(id, _)| id.clone(), |(_, called)| reached.has_called(called)),
            tries: Covered::of(&places.tries, tries, |one| reached.tried.contains(one)),
        }
    }
}

impl Reached {
    fn add(&mut self, places: &Places, nodes: &[Node]) {
        // Edges join nodes of the same scope.
        let mut scopes: BTreeMap<&ScopePath, BTreeSet<String>> = BTreeMap::new();
        for node in nodes.iter().filter(|node| node.ran()) {
            let place = places.place(&node.path);
            scopes.entry(&node.path.scope).or_default().insert(place.clone());
            if let Some((parent, Some(key))) = node.path.scope.parent() {
                self.branches.insert(format!("{}[{key}]", places.place(&parent)));
            }
            let view = &node.view;
            if view.caught.is_some() {
                self.caught.insert(place.clone());
            }
            for one in &view.tries.kept {
                if one.recovered {
                    self.recovered.insert((place.clone(), one.operation as usize));
                }
                if one.number > 1 {
                    self.tried.insert((place.clone(), Some(one.operation as usize)));
                }
            }
            if view.attempts.len() > 1 {
                self.tried.insert((place.clone(), None));
            }
            if node.progress == Progress::Done {
                // The end of a wait for a signal that did not come was caught.
                if view.signals.is_empty() {
                    self.missed.insert(place.clone());
                }
                self.done.insert(place.clone());
            }
            self.began.insert(place);
        }
        for (from, to) in &places.edges {
            if scopes.values().any(|began| began.contains(from) && began.contains(to)) {
                self.edges.insert((from.clone(), to.clone()));
            }
        }
    }

    fn has_called(&self, called: &Called) -> bool {
        match called {
            Called::Began(place) => self.began.contains(place),
            Called::Done(place) => self.done.contains(place),
            Called::Caught(place) => self.caught.contains(place),
            Called::Forwarded(from, to) => self.edges.contains(&(from.clone(), to.clone())),
            Called::Operation(place, index) => self.done.contains(place) || (*index == 0 && self.began.contains(place)),
            Called::Recovered(place, index) => self.recovered.contains(&(place.clone(), *index)),
            Called::Missed(place) => self.missed.contains(place),
        }
    }
}
