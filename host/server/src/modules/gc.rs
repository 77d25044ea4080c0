//! Removes the bytes of versions that nobody needs any more.

use super::active::Active;
use super::image::SAID;
use super::store::{At, put};
use super::version::Version;
use crate::{Error, Host};
use faas_flow_core::{Digest, FlowName, Millis, Status};
use faas_flow_store::{Check, RunEntry, RunQuery};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What to keep.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// So many versions that were in service before the active one. 3.
    pub predecessors: usize,
    /// Whatever was pushed or in service so recently, as replicas may be a little behind. 10 min; no less than
    /// [`LEAST`](Keep::LEAST).
    pub recent: Duration,
    /// Remove nothing, but say what would be.
    pub dry_run: bool,
}

impl Keep {
    /// The most predecessors that one may ask for: the history has fewer.
    pub const MOST: usize = 1000;
    /// Within this time all replicas have heard of a swap, and whoever pushed a version has activated it.
    pub const LEAST: Duration = Duration::from_secs(5);
}

impl Default for Keep {
    fn default() -> Self {
        Self { predecessors: 3, recent: Duration::from_secs(600), dry_run: false }
    }
}

/// What became of the versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Collected {
    /// Those whose bytes were removed, or would be.
    pub removed: Vec<Digest>,
    /// Those that were kept, and why.
    pub kept: BTreeMap<Digest, String>,
}

/// How long the bytes of a version that was removed are looked for once more, should that have been broken off.
const LOOKED_FOR: Duration = Duration::from_secs(24 * 3600);

impl Host {
    /// The runs of a flow that are in flight, the newest first.
    pub(super) async fn in_flight(&self, flow: &FlowName) -> Result<Vec<RunEntry>, Error> {
        let mut runs = Vec::new();
        for status in Status::ALL.into_iter().filter(|status| !status.is_final()) {
            let query = RunQuery { flow: Some(flow.clone()), status: Some(status), limit: u32::MAX as usize };
            runs.extend(self.state.runs(&query).await?);
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

    /// Removes versions: never one that new runs may begin with, that a replica came with, that a run in flight is pinned
    /// to, or that `keep` names. Calling back when a run has ended needs none.
    pub async fn collect(&self, flow: &FlowName, keep: Keep) -> Result<Collected, Error> {
        self.loader()?;
        let keep = Keep { recent: keep.recent.max(Keep::LEAST), ..keep };
        let (stored, now) = (self.stored(flow), self.now());
        let ((active, revision), versions) = stored.all().await?;
        let pinned = self.runs_in_flight(flow).await?;
        let mut collected = Collected::default();
        for (version, at) in versions {
            let digest = version.digest.clone();
            if let Some(removed) = version.removed {
                if now.saturating_sub(removed) < LOOKED_FOR.as_millis() as u64 && !keep.dry_run {
                    stored.remove(&digest, version.copy).await?;
                }
                continue;
            }
            if let Some(why) = needed(&version, &active, &pinned, &keep, now) {
                collected.kept.insert(digest, why);
                continue;
            }
            if !keep.dry_run && !self.remove(flow, (version, at), revision).await? {
                collected.kept.insert(digest, "somebody changed it, or the active version, meanwhile".to_owned());
                continue;
            }
            collected.removed.push(digest);
        }
        Ok(collected)
    }

    /// Removes a version's bytes, unless it, or the active version, is not what it was.
    async fn remove(&self, flow: &FlowName, (version, at): At<Version>, revision: u64) -> Result<bool, Error> {
        let (stored, digest, copy) = (self.stored(flow), version.digest.clone(), version.copy);
        let version = Version { removed: Some(self.now()), ..version };
        // Whoever activates it at the same time has changed the pointer, or finds it removed.
        let unchanged = Check { doc: Active::DOC.to_owned(), version: revision };
        let removed = stored.commit(vec![put(Version::doc(&digest), at, &version)?], vec![unchanged]).await?;
        if removed {
            stored.remove(&digest, copy).await?;
        }
        Ok(removed)
    }

    /// Removes one version, unless new runs may begin with it or a run needs it. Answers whether it is gone.
    pub(crate) async fn discard(&self, flow: &FlowName, digest: &Digest) -> Result<bool, Error> {
        let stored = self.stored(flow);
        let ((active, revision), _) = stored.active().await?;
        let serves = self.flow(flow).is_some_and(|flow| flow.module.digest() == digest);
        if serves || active.in_service().any(|serves| serves == digest) {
            return Ok(false);
        }
        match stored.version(digest).await? {
            Some((version, at)) if version.removed.is_none() => {
                let pinned = self.runs_in_flight(flow).await?;
                Ok(!pinned.contains_key(digest) && self.remove(flow, (version, at), revision).await?)
            }
            _ => Ok(true),
        }
    }
}

/// Why a version must stay.
fn needed(
    version: &Version,
    active: &Active,
    pinned: &BTreeMap<Digest, u64>,
    keep: &Keep,
    now: Millis,
) -> Option<String> {
    let digest = &version.digest;
    if active.in_service().any(|serves| serves == digest) {
        return Some("in service".to_owned());
    }
    if let Some(runs) = pinned.get(digest) {
        return Some(format!("pinned by {runs} run{} in flight", if *runs == 1 { "" } else { "s" }));
    }
    if version.brought.is_some_and(|said| now.saturating_sub(said) < 3 * SAID.as_millis() as u64) {
        return Some(format!("a replica of the last {} min came with it", 3 * SAID.as_secs() / 60));
    }
    let current: BTreeSet<&Digest> = active.in_service().collect();
    let mut predecessors: Vec<&Digest> = Vec::new();
    for activation in &active.history {
        if !current.contains(&activation.digest) && !predecessors.contains(&&activation.digest) {
            predecessors.push(&activation.digest);
        }
    }
    if predecessors.iter().take(keep.predecessors).any(|kept| *kept == digest) {
        return Some(format!("one of the last {} before the active one", keep.predecessors));
    }
    let last = version.by.at.max(active.last_served(digest, now).unwrap_or_default());
    (now.saturating_sub(last) < keep.recent.as_millis() as u64)
        .then(|| format!("pushed or in service within the last {} s", keep.recent.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::super::active::{Origin, Why};
    use super::super::version::By;
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
            brought: None,
        }
    }

    #[test]
    fn what_is_needed_is_kept_and_why_is_said() {
        let mut active = Active::default();
        for (at, n) in [1u8, 2, 3, 4].into_iter().enumerate() {
            active.activate(Digest::of(&[n]), Origin::Push, Why::Activated, By::new("me", "", at as u64).unwrap());
        }
        let keep = Keep { predecessors: 1, recent: Duration::from_millis(10), dry_run: false };
        let pinned = BTreeMap::from([(Digest::of(&[1]), 2)]);
        let why = |version: &Version| needed(version, &active, &pinned, &keep, 10_000_000).unwrap_or_default();
        assert_eq!(why(&version(4, 0)), "in service");
        assert_eq!(why(&version(1, 0)), "pinned by 2 runs in flight");
        assert!(why(&version(3, 0)).starts_with("one of the last 1"));
        assert_eq!(why(&version(2, 0)), "");
        assert_eq!(why(&version(5, 0)), "");
        assert!(why(&version(5, 9_999_995)).starts_with("pushed or in service"));
        let brought = |at| Version { brought: Some(at), ..version(2, 0) };
        assert_eq!(why(&brought(9_000_000)), "a replica of the last 30 min came with it");
        assert_eq!(why(&brought(8_000_000)), "");
    }
}
