//! What a version would change for the runs in flight, before it is pushed.

use crate::flows::Brought;
use crate::{Error, Flow, Host};
use faas_flow_core::{Code, Digest, FlowName, RunId};
use faas_flow_graph::Difference;
use faas_flow_store::RunEntry;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Runs that are looked into, the newest: each is read as a whole.
const LOOKED_AT: usize = 1000;
/// Runs that are read at a time.
const AT_A_TIME: usize = 16;

/// The runs in flight, by what a new version would be to them. None of them will run on it: each ends on its own version.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sorted {
    /// What is ahead of them is the same in both graphs, or they are of this version already. Whether the code of handlers
    /// is the same cannot be told.
    pub unaffected: Vec<RunId>,
    /// They would go on otherwise in the new version: they end as the old one does.
    pub pinned: Vec<RunId>,
    /// Their version can be loaded nowhere: they wait for it.
    pub missing: Vec<RunId>,
    /// Their version is there, but this host cannot load it.
    pub unloadable: Vec<RunId>,
}

/// A new version beside the one in service.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Planned {
    /// The flow.
    pub flow: FlowName,
    /// The version in service.
    pub active: Digest,
    /// The new one.
    pub new: Digest,
    /// Runs in flight.
    pub runs: Sorted,
    /// The versions of runs in flight that cannot be loaded, and why.
    pub unloadable: BTreeMap<Digest, String>,
    /// Runs in flight beyond the thousand that were looked into.
    pub more_runs: u64,
}

/// What a version is beside the new one.
enum Beside {
    Differs(Difference),
    /// It can be loaded nowhere.
    Missing,
    /// It is there, and cannot be loaded for this reason.
    Unloadable(String),
}

impl Host {
    /// Compares a module with what is in service, and sorts the runs in flight. Nothing is stored; but
    /// its code describes itself, so it must be signed where that is asked for.
    pub async fn plan(&self, flow: &FlowName, brought: &Brought) -> Result<Planned, Error> {
        let loader = self.loader()?;
        let unknown = || Error::new(Code::FLOW_UNKNOWN, format!("there is no flow {flow} here"));
        let active = self.flow(flow).ok_or_else(unknown)?.module.digest().clone();
        let new = loader.load(brought, flow).await?;
        let mut planned = Planned {
            flow: flow.clone(),
            active,
            new: new.module.digest().clone(),
            runs: Sorted::default(),
            unloadable: BTreeMap::new(),
            more_runs: 0,
        };
        let entries = self.in_flight(flow).await?;
        planned.more_runs = entries.len().saturating_sub(LOOKED_AT) as u64;
        let looked_at = entries.into_iter().take(LOOKED_AT);
        let views = looked_at.map(|entry| async move { (self.view(&entry.run).await, entry) });
        let mut views = stream::iter(views).buffered(AT_A_TIME);
        let mut versions = HashMap::new();
        while let Some((view, RunEntry { run, digest, .. })) = views.next().await {
            let Some(view) = view?.filter(|view| !view.status.is_final()) else { continue };
            if !versions.contains_key(&digest) {
                versions.insert(digest.clone(), self.beside(flow, &digest, &new).await);
            }
            match versions.get(&digest) {
                Some(Beside::Differs(difference)) if difference.concerns(&view) => planned.runs.pinned.push(run),
                Some(Beside::Differs(_)) => planned.runs.unaffected.push(run),
                Some(Beside::Missing) | None => planned.runs.missing.push(run),
                Some(Beside::Unloadable(why)) => {
                    planned.unloadable.entry(digest).or_insert_with(|| why.clone());
                    planned.runs.unloadable.push(run);
                }
            }
        }
        Ok(planned)
    }

    /// What an old version is beside the new one.
    async fn beside(&self, flow: &FlowName, old: &Digest, new: &Arc<Flow>) -> Beside {
        match self.version(flow, old).await {
            Ok(old) => Beside::Differs(Difference::between(&old.definition, &new.definition)),
            Err(error) if matches!(error.code(), Code::MODULE_MISSING | Code::MODULE_DAMAGED) => Beside::Missing,
            Err(error) => Beside::Unloadable(format!("{}: {error}", error.code())),
        }
    }
}
