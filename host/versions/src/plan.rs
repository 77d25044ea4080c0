//! What a version would change for the runs in flight, before it is pushed.

use super::error::Error;
use super::flow::{Artifact, Flow, computed};
use super::registry::Versions;
use super::runs::read_run;
use faas_flow_core::{Digest, FlowName, RunId};
use faas_flow_graph::Difference;
use faas_flow_store::RunEntry;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// How many runs are looked at, newest first. Each is read as a whole.
const LOOKED_AT: usize = 1000;
/// How many runs are read at a time.
const AT_A_TIME: usize = 16;

/// The runs in flight, sorted by what a new version would change for them. None of them moves to it: each ends on the version
/// that it began with.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Sorted {
    /// What they have yet to do is the same in both graphs, or they are of the new version already. The code of handlers is not
    /// compared.
    #[schema(value_type = Vec<String>)]
    pub unaffected: Vec<RunId>,
    /// They would continue differently in the new version; they end as the old version defines.
    #[schema(value_type = Vec<String>)]
    pub pinned: Vec<RunId>,
    /// Their version can be loaded nowhere, so they wait for it.
    #[schema(value_type = Vec<String>)]
    pub missing: Vec<RunId>,
    /// Their version is stored, but this host cannot load it.
    #[schema(value_type = Vec<String>)]
    pub unloadable: Vec<RunId>,
}

/// What a new version would change.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Planned {
    /// The flow.
    #[schema(value_type = String)]
    pub flow: FlowName,
    /// The active version.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub active: Digest,
    /// The new one.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub new: Digest,
    /// The runs in flight.
    pub runs: Sorted,
    /// The stored versions of runs in flight that cannot be loaded, and why.
    #[schema(value_type = BTreeMap<String, String>)]
    pub unloadable: BTreeMap<Digest, String>,
    /// How many more runs are in flight than the thousand that were looked at.
    pub more_runs: u64,
}

/// How an older version compares with the new one.
enum Comparison {
    /// It is loaded, and this is what the new one changes.
    Differs(Difference),
    /// Its module can be loaded nowhere.
    Missing,
    /// Its module is stored, but cannot be loaded for this reason.
    Unloadable(String),
}

impl Versions {
    /// Compares a module with the active version, and sorts the runs in flight by what it would change for them. Nothing is
    /// stored; but the module's code is run to obtain its definition, so it must be signed if keys are set.
    pub async fn plan(&self, flow: &FlowName, artifact: &Artifact) -> Result<Planned, Error> {
        let loader = self.loader()?;
        let active = self.active(flow).ok_or_else(|| Error::UnknownFlow { flow: flow.clone() })?.digest().clone();
        let new = loader.load_sent(artifact, flow).await?;
        let mut planned = Planned {
            flow: flow.clone(),
            active,
            new: new.digest().clone(),
            runs: Sorted::default(),
            unloadable: BTreeMap::new(),
            more_runs: 0,
        };
        let entries = self.in_flight(flow).await?;
        planned.more_runs = entries.len().saturating_sub(LOOKED_AT) as u64;
        let looked_at = entries.into_iter().take(LOOKED_AT);
        let views = looked_at.map(|entry| async move { (read_run(&*self.state, &entry.run).await, entry) });
        let mut views = stream::iter(views).buffered(AT_A_TIME);
        let mut comparisons = HashMap::new();
        while let Some((view, RunEntry { run, digest, .. })) = views.next().await {
            let Some(view) = view?.filter(|view| !view.status.is_final()) else { continue };
            if !comparisons.contains_key(&digest) {
                comparisons.insert(digest.clone(), self.compare(flow, &digest, &new).await);
            }
            match comparisons.get(&digest) {
                Some(Comparison::Differs(difference)) if difference.concerns(&view) => planned.runs.pinned.push(run),
                Some(Comparison::Differs(_)) => planned.runs.unaffected.push(run),
                Some(Comparison::Missing) | None => planned.runs.missing.push(run),
                Some(Comparison::Unloadable(why)) => {
                    planned.unloadable.entry(digest).or_insert_with(|| why.clone());
                    planned.runs.unloadable.push(run);
                }
            }
        }
        Ok(planned)
    }

    async fn compare(&self, flow: &FlowName, old: &Digest, new: &Flow) -> Comparison {
        match self.load(flow, old).await {
            Ok(old) => {
                let (old, new) = (old.definition.clone(), new.definition.clone());
                match computed("comparing versions", move || Difference::between(&old, &new)).await {
                    Ok(difference) => Comparison::Differs(difference),
                    Err(error) => Comparison::Unloadable(format!("{}: {error}", error.code())),
                }
            }
            Err(error) if error.is_module_lost() => Comparison::Missing,
            Err(error) => Comparison::Unloadable(format!("{}: {error}", error.code())),
        }
    }
}
