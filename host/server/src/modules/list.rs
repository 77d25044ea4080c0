//! What operators see of a flow's versions.

use super::active::{Active, Canary, Withdrawn};
use super::canary::Ends;
use super::version::Version;
use crate::{Error, Host};
use bytes::Bytes;
use faas_flow_core::{Code, Digest, FlowName};
use serde::Serialize;

/// Where a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// New runs begin with it.
    Active,
    /// A share of them does.
    Canary,
    /// It is stored.
    Stored,
    /// Somebody is about to store it, or that was broken off.
    Incomplete,
    /// `gc` removed its bytes.
    Removed,
}

/// A version, and where it stands.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct VersionView {
    /// Where it stands.
    pub standing: Standing,
    /// What is known of it.
    #[serde(flatten)]
    pub version: Version,
    /// Runs in flight that are pinned to it, if somebody asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs_in_flight: Option<u64>,
}

/// A flow's versions.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Listed {
    /// Of which flow.
    pub flow: FlowName,
    /// Counts the changes of what is active: send it along, and a change that came in between is found out.
    pub revision: u64,
    /// What new runs begin with on the replica that answers.
    pub serves: Digest,
    /// How many versions that replica has loaded: those in service, and those that its runs are pinned to.
    pub loaded: usize,
    /// The versions, the newest first.
    pub versions: Vec<VersionView>,
    /// The canary, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// How its runs ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_runs: Option<CanaryRuns>,
    /// The last canary that was withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawn>,
    /// What was in service, the newest first.
    pub history: Vec<super::Activation>,
}

/// How a canary's runs ended.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CanaryRuns {
    /// Of which canary.
    pub serial: u64,
    /// How many.
    pub ended: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How many of them are looked at: the last ones.
    pub last: u64,
    /// How many of these failed.
    pub last_failed: u64,
}

impl CanaryRuns {
    fn of(serial: u64, ends: &Ends) -> Self {
        let Ends { ended, failed, .. } = *ends;
        Self { serial, ended, failed, last: ends.last(), last_failed: ends.last_failed() }
    }
}

impl Host {
    /// Lists a flow's versions; counts the runs that are pinned to each, which reads the list of all runs, if asked to.
    pub async fn versions(&self, flow: &FlowName, count_runs: bool) -> Result<Listed, Error> {
        self.loader()?;
        let stored = self.stored(flow);
        let (_, (tally, _)) = stored.active().await?;
        let ((active, revision), versions) = stored.all().await?;
        let runs = if count_runs { Some(self.runs_in_flight(flow).await?) } else { None };
        let mut versions: Vec<VersionView> = versions
            .into_iter()
            .map(|(version, _)| VersionView {
                standing: standing(&version, &active),
                runs_in_flight: runs.as_ref().map(|runs| runs.get(&version.digest).copied().unwrap_or_default()),
                version,
            })
            .collect();
        versions.sort_by(|a, b| (b.version.by.at, &b.version.digest).cmp(&(a.version.by.at, &a.version.digest)));
        let here = self.serve(flow, |service| (service.active.module.digest().clone(), service.loaded()));
        let (serves, loaded) =
            here.ok_or_else(|| Error::new(Code::FLOW_UNKNOWN, format!("there is no flow {flow}")))?;
        let canary_runs = active.canary.as_ref().map(|canary| match tally.serial == canary.serial {
            true => CanaryRuns::of(canary.serial, &tally.ends),
            false => CanaryRuns::of(canary.serial, &Ends::default()),
        });
        let Active { history, canary, withdrawn, .. } = active;
        Ok(Listed { flow: flow.clone(), revision, serves, loaded, versions, canary, canary_runs, withdrawn, history })
    }

    /// The one version whose digest begins so: eight digits or more.
    pub async fn find_version(&self, flow: &FlowName, digits: &str) -> Result<Version, Error> {
        self.loader()?;
        let known = || Error::new(Code::VERSION_UNKNOWN, format!("flow {flow} has no version {digits}"));
        if let Ok(digest) = Digest::new(digits) {
            return Ok(self.stored(flow).version(&digest).await?.ok_or_else(known)?.0);
        }
        let hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !(8..64).contains(&digits.len()) || !hex {
            let message = format!("`{}` is no digest: 8 to 64 digits, 0-9 a-f", digits.escape_debug());
            return Err(Error::new(Code::BAD_REQUEST, message.chars().take(120).collect::<String>()));
        }
        let (_, versions) = self.stored(flow).all().await?;
        let mut found = versions.into_iter().filter(|(version, _)| version.digest.as_str().starts_with(digits));
        match (found.next(), found.next()) {
            (Some((version, _)), None) => Ok(version),
            (None, _) => Err(known()),
            (Some(_), Some(_)) => {
                Err(Error::new(Code::BAD_REQUEST, format!("several versions begin with {digits}: give more digits")))
            }
        }
    }

    /// A version's module.
    pub async fn module_bytes(&self, flow: &FlowName, version: &Version) -> Result<Bytes, Error> {
        if !version.is_there() {
            let message = format!("module {} of flow {flow} is no longer stored", version.digest.short());
            return Err(Error::new(Code::VERSION_UNKNOWN, message));
        }
        self.stored(flow).whole(version).await
    }
}

fn standing(version: &Version, active: &Active) -> Standing {
    let is = |digest: &Digest| *digest == version.digest;
    match active {
        _ if version.removed.is_some() => Standing::Removed,
        _ if !version.stored => Standing::Incomplete,
        active if active.now().is_some_and(|now| is(&now.digest)) => Standing::Active,
        active if active.canary.as_ref().is_some_and(|canary| is(&canary.digest)) => Standing::Canary,
        _ => Standing::Stored,
    }
}
