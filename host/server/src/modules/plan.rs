//! What a version would change for the runs in flight, before it is pushed.

use crate::flows::Brought;
use crate::graph::Difference;
use crate::{Error, Flow, Host};
use faas_flow_core::{Code, Digest, FlowName, RunId, Status};
use faas_flow_store::{RunEntry, RunQuery};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// Runs that are looked into, the newest: each is read as a whole.
const LOOKED_AT: usize = 1000;

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
    /// Runs in flight beyond the thousand that were looked into.
    pub more_runs: u64,
}

impl Host {
    /// Compares a module with what is in service, and sorts the runs in flight. Nothing is stored; but
    /// its code describes itself, so it must be signed where that is asked for.
    pub async fn plan(&self, flow: &FlowName, brought: &Brought) -> Result<Planned, Error> {
        let loader = self.loader()?;
        let unknown = || Error::new(Code::FLOW_UNKNOWN, format!("there is no flow {flow} here"));
        let active = self.flow(flow).ok_or_else(unknown)?.module.digest().clone();
        let new = loader.load(brought, flow).await?;
        let mut differences = HashMap::new();
        let mut planned = Planned {
            flow: flow.clone(),
            active,
            new: new.module.digest().clone(),
            runs: Sorted::default(),
            more_runs: 0,
        };
        let mut entries: Vec<RunEntry> = Vec::new();
        for status in Status::ALL.into_iter().filter(|status| !status.is_final()) {
            let query = RunQuery { flow: Some(flow.clone()), status: Some(status), limit: u32::MAX as usize };
            entries.extend(self.state.runs(&query).await?);
        }
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.started));
        planned.more_runs = entries.len().saturating_sub(LOOKED_AT) as u64;
        for RunEntry { run, digest, .. } in entries.into_iter().take(LOOKED_AT) {
            if !differences.contains_key(&digest) {
                differences.insert(digest.clone(), self.difference(flow, &digest, &new).await?);
            }
            let Some(view) = self.view(&run).await?.filter(|view| !view.status.is_final()) else { continue };
            match differences.get(&digest).and_then(Option::as_ref) {
                None => planned.runs.missing.push(run),
                Some(difference) if difference.concerns(&view) => planned.runs.pinned.push(run),
                Some(_) => planned.runs.unaffected.push(run),
            }
        }
        Ok(planned)
    }

    /// How the new version differs from another; none if that one can be loaded nowhere.
    async fn difference(&self, flow: &FlowName, old: &Digest, new: &Arc<Flow>) -> Result<Option<Difference>, Error> {
        match self.version(flow, old).await {
            Ok(old) => Ok(Some(Difference::between(&old.definition, &new.definition))),
            Err(error) if matches!(error.code(), Code::MODULE_MISSING | Code::MODULE_DAMAGED) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
