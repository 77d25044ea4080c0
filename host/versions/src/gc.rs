//! Removes the bytes of versions that are no longer needed.

use super::active::Active;
use super::error::Error;
use super::registry::Versions;
use super::store::{At, Commit, put};
use super::timing::Timing;
use super::version::Version;
use faas_flow_core::{Digest, FlowName, Millis, Status};
use faas_flow_store::{Check, RunEntry, RunQuery, every_run};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Which versions to keep that are not needed.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// How many of the versions that were in service before the active one, the last ones first. Default: 3.
    pub predecessors: usize,
    /// How long a version is kept after it was pushed or in service, since replicas may lag behind. Default: 10 min;
    /// never less than [`LEAST`](Keep::LEAST).
    pub recent: Duration,
}

impl Keep {
    /// The largest number of predecessors: more than the history has.
    pub const MOST: usize = 1000;
    /// Within this time all replicas have followed a swap, and an operator who pushes a version has activated it.
    pub const LEAST: Duration = Duration::from_secs(5);
}

impl Default for Keep {
    fn default() -> Self {
        Self { predecessors: 3, recent: Duration::from_secs(600) }
    }
}

/// What `gc` does with versions that are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It removes them.
    Apply,
    /// It only says which ones it would remove.
    DryRun,
}

/// The result of a garbage collection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Collected {
    /// Those whose bytes were removed, or would be.
    #[schema(value_type = Vec<String>)]
    pub removed: Vec<Digest>,
    /// Those that were kept, and why.
    #[schema(value_type = BTreeMap<String, String>)]
    pub kept: BTreeMap<Digest, String>,
}

impl Versions {
    /// The runs of a flow that are in flight, newest first.
    pub(super) async fn in_flight(&self, flow: &FlowName) -> Result<Vec<RunEntry>, Error> {
        let mut runs = Vec::new();
        for status in Status::ALL.into_iter().filter(|status| !status.is_final()) {
            let query = RunQuery { flow: Some(flow.clone()), status: Some(status), ..RunQuery::latest(0) };
            runs.extend(every_run(&*self.state, query).await?);
        }
        runs.sort_by_key(|entry| std::cmp::Reverse(entry.started));
        Ok(runs)
    }

    /// How many runs in flight are pinned to each version of a flow.
    pub async fn runs_in_flight(&self, flow: &FlowName) -> Result<BTreeMap<Digest, u64>, Error> {
        let mut runs = BTreeMap::new();
        for entry in self.in_flight(flow).await? {
            *runs.entry(entry.digest).or_default() += 1;
        }
        Ok(runs)
    }

    /// Removes the bytes of versions. It never removes a version that new runs may begin with, that a replica came with, that a
    /// run in flight is pinned to, or that `keep` protects. Ended runs need no version, not even for their callbacks.
    pub async fn collect(&self, flow: &FlowName, keep: Keep, removal: Removal) -> Result<Collected, Error> {
        self.loader()?;
        let (stored, now) = (self.stored(flow), self.now());
        let ((active, revision), versions) = stored.all().await?;
        let pinned = self.runs_in_flight(flow).await?;
        let keep = Keep { recent: keep.recent.max(Keep::LEAST), ..keep };
        let need = Need { active: &active, pinned: &pinned, keep, timing: self.timing, now };
        let mut collected = Collected::default();
        for (version, at) in versions {
            let digest = version.digest.clone();
            if let Some(removed) = version.removed {
                if removal == Removal::Apply && is_within(self.timing.delete_again, removed, now) {
                    stored.delete_bytes(&digest, version.copy).await?;
                }
            } else if let Some(why) = need.of(&version) {
                collected.kept.insert(digest, why);
            } else if removal == Removal::DryRun || self.remove(flow, (version, at), revision).await? == Commit::Done {
                collected.removed.push(digest);
            } else {
                collected.kept.insert(digest, "it, or the active version, was changed meanwhile".to_owned());
            }
        }
        Ok(collected)
    }

    /// Removes a version's bytes, unless the version or the active pointer have changed.
    async fn remove(&self, flow: &FlowName, (version, at): At<Version>, revision: u64) -> Result<Commit, Error> {
        let stored = self.stored(flow);
        let (digest, copy) = (version.digest.clone(), version.copy);
        let version = Version { removed: Some(self.now()), ..version };
        // An activation at the same time either changes the pointer first, so that this conflicts, or finds the version
        // removed.
        let unchanged = Check { doc: Active::DOC.to_owned(), version: revision };
        let removed = stored.commit(vec![put(Version::doc(&digest), at, &version)?], vec![unchanged]).await?;
        if removed == Commit::Done {
            stored.delete_bytes(&digest, copy).await?;
        }
        Ok(removed)
    }

    /// Removes one version, unless new runs may begin with it or a run in flight is pinned to it. Answers whether it is gone.
    pub async fn discard(&self, flow: &FlowName, digest: &Digest) -> Result<bool, Error> {
        let stored = self.stored(flow);
        let ((active, revision), _) = stored.active().await?;
        let is_active = self.active(flow).is_some_and(|active| active.digest() == digest);
        if is_active || active.in_service().any(|serves| serves == digest) {
            return Ok(false);
        }
        match stored.version(digest).await? {
            Some((version, at)) if version.removed.is_none() => {
                let pinned = self.runs_in_flight(flow).await?;
                Ok(!pinned.contains_key(digest) && self.remove(flow, (version, at), revision).await? == Commit::Done)
            }
            _ => Ok(true),
        }
    }
}

/// What decides whether a version is needed.
struct Need<'a> {
    active: &'a Active,
    /// How many runs in flight are pinned to each version.
    pinned: &'a BTreeMap<Digest, u64>,
    keep: Keep,
    timing: Timing,
    now: Millis,
}

impl Need<'_> {
    /// Why a version must stay; none if it may be removed.
    fn of(&self, version: &Version) -> Option<String> {
        let digest = &version.digest;
        if self.active.in_service().any(|serves| serves == digest) {
            return Some("in service".to_owned());
        }
        if let Some(runs) = self.pinned.get(digest) {
            return Some(format!("pinned by {runs} run{} in flight", if *runs == 1 { "" } else { "s" }));
        }
        let announced_for = self.timing.announced_for();
        if version.announced.is_some_and(|at| is_within(announced_for, at, self.now)) {
            return Some(format!("a replica came with it within the last {} min", announced_for.as_secs() / 60));
        }
        let Keep { predecessors, recent } = self.keep;
        if self.predecessors().take(predecessors).any(|kept| kept == digest) {
            return Some(format!("one of the last {predecessors} before the active one"));
        }
        let last = version.by.at.max(self.active.last_served(digest, self.now).unwrap_or_default());
        is_within(recent, last, self.now)
            .then(|| format!("pushed or in service within the last {} s", recent.as_secs()))
    }

    /// The versions that were in service before and are no longer, the last one first, each once.
    fn predecessors(&self) -> impl Iterator<Item = &Digest> {
        let mut seen: BTreeSet<&Digest> = self.active.in_service().collect();
        self.active.history.iter().map(|activation| &activation.digest).filter(move |digest| seen.insert(*digest))
    }
}

/// Whether something happened within this time before `now`.
fn is_within(time: Duration, at: Millis, now: Millis) -> bool {
    u128::from(now.saturating_sub(at)) < time.as_millis()
}

#[cfg(test)]
mod tests {
    use super::super::active::Why;
    use super::super::version::{By, Origin};
    use super::*;

    fn version(n: u8, at: Millis) -> Version {
        Version {
            digest: Digest::of(&[n]),
            size: 1,
            wit: "0.1.0".into(),
            origin: Origin::Push,
            by: By::new("me", "", at).unwrap(),
            signature: None,
            stored: true,
            removed: None,
            copy: 0,
            announced: None,
        }
    }

    #[test]
    fn needed_versions_are_kept_and_the_reason_is_given() {
        let mut active = Active::default();
        for (at, n) in [1u8, 2, 3, 4].into_iter().enumerate() {
            active.activate(Digest::of(&[n]), Origin::Push, Why::Activated, By::new("me", "", at as u64).unwrap());
        }
        let keep = Keep { predecessors: 1, recent: Duration::from_millis(10) };
        let pinned = BTreeMap::from([(Digest::of(&[1]), 2)]);
        let need = Need { active: &active, pinned: &pinned, keep, timing: Timing::default(), now: 10_000_000 };
        let why = |version: &Version| need.of(version).unwrap_or_default();
        assert_eq!(why(&version(4, 0)), "in service");
        assert_eq!(why(&version(1, 0)), "pinned by 2 runs in flight");
        assert!(why(&version(3, 0)).starts_with("one of the last 1"));
        assert_eq!(why(&version(2, 0)), "");
        assert_eq!(why(&version(5, 0)), "");
        assert!(why(&version(5, 9_999_995)).starts_with("pushed or in service"));
        let announced = |at| Version { announced: Some(at), ..version(2, 0) };
        assert_eq!(why(&announced(9_000_000)), "a replica came with it within the last 30 min");
        assert_eq!(why(&announced(8_000_000)), "");
    }
}
