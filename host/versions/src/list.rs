//! What operators see of a flow's versions.

use super::active::{Activation, Active};
use super::canary::{Canary, Withdrawn};
use super::error::Error;
use super::registry::Versions;
use super::tally::{Ends, Tally};
use super::version::Version;
use bytes::Bytes;
use faas_flow_core::{Digest, FlowName};
use serde::Serialize;

/// The state of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VersionState {
    /// New runs begin with it.
    Active,
    /// A share of the new runs begins with it.
    Canary,
    /// It is stored, and can be activated.
    Stored,
    /// A push is still storing it, or was interrupted.
    Incomplete,
    /// `gc` removed its bytes.
    Removed,
}

/// A version with its state.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct VersionView {
    /// Its state.
    pub state: VersionState,
    /// What is known of it.
    #[serde(flatten)]
    pub version: Version,
    /// How many runs in flight are pinned to it, if they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs_in_flight: Option<u64>,
}

/// Whether to count the runs in flight of each version, which reads the list of all runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunCounts {
    /// Count them.
    Count,
    /// Leave them out.
    Omit,
}

/// A flow's versions.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Listed {
    /// The flow.
    #[schema(value_type = String)]
    pub flow: FlowName,
    /// Counts the changes of the active pointer. A change that names the revision is refused if another came in between.
    pub revision: u64,
    /// The active version on the replica that answers.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub serves: Digest,
    /// How many versions that replica has loaded: those in service, and those that its runs are pinned to.
    pub loaded: usize,
    /// The versions, newest first.
    pub versions: Vec<VersionView>,
    /// The canary, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// How the canary's runs ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_runs: Option<CanaryRuns>,
    /// The canary that was withdrawn last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawn>,
    /// What was put into service, newest first.
    pub history: Vec<Activation>,
}

/// How a canary's runs ended.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CanaryRuns {
    /// The serial number of the canary.
    pub serial: u64,
    /// How many runs ended.
    pub ended: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How many of the last runs the canary is judged by.
    pub last: u64,
    /// How many of these failed.
    pub last_failed: u64,
}

impl CanaryRuns {
    fn of(tally: &Tally) -> Self {
        let Ends { ended, failed, .. } = tally.ends;
        Self { serial: tally.serial, ended, failed, last: tally.ends.last(), last_failed: tally.ends.last_failed() }
    }
}

impl Versions {
    /// Lists the versions of a flow that is served here.
    pub async fn list(&self, flow: &FlowName, counts: RunCounts) -> Result<Listed, Error> {
        self.loader()?;
        let stored = self.stored(flow);
        let (_, (tally, _)) = stored.active().await?;
        let ((active, revision), versions) = stored.all().await?;
        let runs = match counts {
            RunCounts::Count => Some(self.runs_in_flight(flow).await?),
            RunCounts::Omit => None,
        };
        let mut versions: Vec<VersionView> = versions
            .into_iter()
            .map(|(version, _)| VersionView {
                state: state(&version, &active),
                runs_in_flight: runs.as_ref().map(|runs| runs.get(&version.digest).copied().unwrap_or_default()),
                version,
            })
            .collect();
        versions.sort_by(|a, b| (b.version.by.at, &b.version.digest).cmp(&(a.version.by.at, &a.version.digest)));
        let here = self.table.read(flow, |service| (service.active.digest().clone(), service.loaded()));
        let (serves, loaded) = here.ok_or_else(|| Error::UnknownFlow { flow: flow.clone() })?;
        let canary_runs = active.canary.as_ref().map(|canary| CanaryRuns::of(&tally.of(canary.serial)));
        let Active { history, canary, withdrawn, .. } = active;
        Ok(Listed { flow: flow.clone(), revision, serves, loaded, versions, canary, canary_runs, withdrawn, history })
    }

    /// The active pointer of a flow as it is stored: empty for a flow of which nothing is. The flow need not be served here.
    pub async fn stored_active(&self, flow: &FlowName) -> Result<Active, Error> {
        let ((active, _), _) = self.stored(flow).active().await?;
        Ok(active)
    }

    /// The version with this digest, or the only version whose digest begins with these digits, which must be 8 at least.
    pub async fn find(&self, flow: &FlowName, digits: &str) -> Result<Version, Error> {
        self.loader()?;
        let unknown = || Error::UnknownVersion { flow: flow.clone(), version: digits.to_owned() };
        if let Ok(digest) = Digest::new(digits) {
            return Ok(self.stored(flow).version(&digest).await?.ok_or_else(unknown)?.0);
        }
        let hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !(8..64).contains(&digits.len()) || !hex {
            return Err(Error::BadDigest(digits.to_owned()));
        }
        let (_, versions) = self.stored(flow).all().await?;
        let mut found = versions.into_iter().filter(|(version, _)| version.digest.as_str().starts_with(digits));
        match (found.next(), found.next()) {
            (Some((version, _)), None) => Ok(version),
            (None, _) => Err(unknown()),
            (Some(_), Some(_)) => Err(Error::AmbiguousVersion { flow: flow.clone(), digits: digits.to_owned() }),
        }
    }

    /// The module of a version, checked against its digest.
    pub async fn module_bytes(&self, flow: &FlowName, version: &Version) -> Result<Bytes, Error> {
        if !version.is_there() {
            let version = version.digest.short().to_owned();
            return Err(Error::UnknownVersion { flow: flow.clone(), version });
        }
        self.stored(flow).intact_bytes(version).await
    }
}

fn state(version: &Version, active: &Active) -> VersionState {
    if version.removed.is_some() {
        VersionState::Removed
    } else if !version.stored {
        VersionState::Incomplete
    } else if active.now().is_some_and(|now| now.digest == version.digest) {
        VersionState::Active
    } else if active.canary.as_ref().is_some_and(|canary| canary.digest == version.digest) {
        VersionState::Canary
    } else {
        VersionState::Stored
    }
}
