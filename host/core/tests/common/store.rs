//! A store in memory, with the promises that the engine relies on: commits are atomic and compare versions.

use faas_flow_core::run::{ClaimToken, DATA, Doc, Effect, Progress, Run, RunState, Scope, decode, encode, set_of};
use faas_flow_core::{NodePath, Payload, ScopePath};
use std::collections::BTreeMap;

/// What is stored of one run.
#[derive(Default)]
pub struct Store {
    documents: BTreeMap<String, (u64, Vec<u8>)>,
    sets: BTreeMap<String, BTreeMap<String, (u32, Payload)>>,
    version: u64,
    /// Commits that were refused because somebody else was quicker.
    pub conflicts: usize,
}

/// A document that holds an output: its name and its bytes.
pub type Data = (String, Vec<u8>);

/// Somebody else was quicker.
pub struct Conflict;

impl Store {
    /// Only the run's own document.
    pub fn load(&self) -> RunState {
        let (version, bytes) = &self.documents["run"];
        RunState::load(decode(bytes).unwrap(), *version)
    }

    /// Every stored scope.
    pub fn scopes(&self) -> Vec<Doc> {
        self.documents.keys().filter_map(|name| Doc::parse(name)).filter(|doc| *doc != Doc::Run).collect()
    }

    /// Brings a document to hand, or forgets it if there is none.
    pub fn bring(&self, state: &mut RunState, doc: &Doc) -> bool {
        match (doc, self.documents.get(&doc.name())) {
            (Doc::Run, Some((version, bytes))) => state.reload_run(decode(bytes).unwrap(), *version),
            (Doc::Scope(_), Some((version, bytes))) => {
                state.load_scope(decode(bytes).unwrap(), *version);
            }
            (Doc::Scope(path), None) => {
                state.forget_scope(path);
                return false;
            }
            (Doc::Run, None) => return false,
        }
        true
    }

    /// Replaces everything at hand by what is stored.
    pub fn reload(&self, state: &mut RunState) {
        for doc in state.held() {
            self.bring(state, &doc);
        }
    }

    /// Writes what changed, data of its own, and arrivals; answers with the nodes whose sets are full.
    pub fn commit(
        &mut self,
        state: &mut RunState,
        data: Option<&Data>,
        effects: &[Effect],
    ) -> Result<Vec<(NodePath, ClaimToken)>, Conflict> {
        let mut puts = vec![];
        state.write_changed(|doc, version, bytes| puts.push((doc.clone(), version, bytes)));
        let stored = |name: &str| self.documents.get(name).map_or(0, |(version, _)| *version);
        let stale = puts.iter().any(|(doc, version, _)| stored(&doc.name()) != *version);
        if stale || stored("run") != state.run_version() {
            self.conflicts += 1;
            return Err(Conflict);
        }
        self.version += 1;
        for (doc, _, bytes) in puts {
            let again = match &doc {
                Doc::Run => encode(&decode::<Run>(&bytes).unwrap()),
                Doc::Scope(_) => encode(&decode::<Scope>(&bytes).unwrap()),
            };
            assert_eq!(again, bytes, "{} survives a round trip", doc.name());
            self.documents.insert(doc.name(), (self.version, bytes));
            state.committed(&doc, self.version);
        }
        if let Some((doc, bytes)) = data {
            let old = self.documents.insert(doc.clone(), (self.version, bytes.clone()));
            assert!(doc.starts_with(DATA) && old.is_none(), "{doc} is written twice");
        }
        let mut full = Vec::new();
        for effect in effects {
            let Effect::Arrive { node, began_by, key, index, payload, total } = effect else { continue };
            let set = self.sets.entry(set_of(node, *began_by)).or_default();
            let old = set.insert(key.to_string(), (*index, payload.clone()));
            assert!(old.is_none(), "{node}[{key}] came twice");
            if set.len() == *total as usize {
                full.push((node.clone(), *began_by));
            }
        }
        Ok(full)
    }

    /// How far the nodes of a scope are, by id.
    pub fn progress(&self, scope: &ScopePath) -> BTreeMap<String, Progress> {
        let (_, bytes) = &self.documents[&Doc::Scope(scope.clone()).name()];
        let scope: Scope = decode(bytes).unwrap();
        scope.nodes.into_iter().map(|node| (node.id.to_string(), node.progress)).collect()
    }

    /// How many have arrived in a set.
    pub fn arrived(&self, node: &NodePath, began_by: ClaimToken) -> usize {
        self.sets.get(&set_of(node, began_by)).map_or(0, BTreeMap::len)
    }

    /// What has arrived in a set, in the order of the branches.
    pub fn set(&self, node: &NodePath, began_by: ClaimToken) -> Vec<String> {
        let set = &self.sets[&set_of(node, began_by)];
        let mut all: Vec<_> = set.iter().map(|(key, (i, data))| (*i, format!("{key}={}", self.text(data)))).collect();
        all.sort();
        all.into_iter().map(|(_, value)| value).collect()
    }

    /// The text of a payload, wherever it is.
    pub fn text(&self, payload: &Payload) -> String {
        let bytes = match payload {
            Payload::Inline(bytes) => bytes.to_vec(),
            Payload::Kept { doc, .. } => self.documents[doc].1.clone(),
            Payload::Stored { .. } => unreachable!("the simulation has no data store"),
        };
        String::from_utf8(bytes).unwrap()
    }
}
