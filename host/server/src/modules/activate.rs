//! Changes which version new runs begin with: one compare-and-swap each, and followed here at once.

use super::active::{Active, Origin, Share, Why};
use super::store::put;
use super::version::{By, Version};
use crate::{Error, Host};
use faas_flow_core::{Code, Digest, FlowName};
use faas_flow_store::Check;

/// Which state of the active pointer somebody has in mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is.
    Any,
    /// The one of this revision: a change that somebody repeats, or that comes too late, is refused.
    Revision(u64),
}

/// Two operators at a time are common, ten are not.
const TRIES: usize = 10;

impl Host {
    /// Lets new runs begin with a version that is stored. Once more the same one changes nothing.
    pub async fn activate(
        &self,
        flow: &FlowName,
        digest: &Digest,
        expected: Expected,
        by: By,
    ) -> Result<(Active, u64), Error> {
        self.change(flow, expected, Some(digest), |active| {
            let same = active.now().is_some_and(|now| now.digest == *digest && now.origin == Origin::Push);
            if !same || active.canary.is_some() {
                active.activate(digest.clone(), Origin::Push, Why::Activated, by.clone());
            }
            Ok(())
        })
        .await
    }

    /// Goes back to the version that was in service before, or one further back if that was a roll-back itself.
    pub async fn roll_back(&self, flow: &FlowName, expected: Expected, by: By) -> Result<(Active, u64), Error> {
        self.change(flow, expected, None, |active| active.roll_back(by.clone())).await
    }

    /// Lets a share of the new runs begin with a version that is stored. It is withdrawn when more than `max_failures` of
    /// its last `over` runs have failed, where fewer count as so many.
    pub async fn try_out(
        &self,
        flow: &FlowName,
        (digest, share): (&Digest, Share),
        (max_failures, over): (Share, u32),
        expected: Expected,
        by: By,
    ) -> Result<(Active, u64), Error> {
        self.change(flow, expected, Some(digest), |active| {
            active.try_out(digest.clone(), share, (max_failures, over), by.clone());
            Ok(())
        })
        .await
    }

    /// Puts the canary into service.
    pub async fn promote(&self, flow: &FlowName, expected: Expected, by: By) -> Result<(Active, u64), Error> {
        self.change(flow, expected, None, |active| active.promote(by.clone())).await
    }

    /// Takes the canary back.
    pub async fn withdraw(&self, flow: &FlowName, expected: Expected, by: By) -> Result<(Active, u64), Error> {
        self.change(flow, expected, None, |active| active.withdraw(by.clone())).await
    }

    /// Changes the pointer if it is the expected one and what it points to can be loaded.
    async fn change(
        &self,
        flow: &FlowName,
        expected: Expected,
        wanted: Option<&Digest>,
        change: impl Fn(&mut Active) -> Result<(), Error>,
    ) -> Result<(Active, u64), Error> {
        self.loader()?;
        let stored = self.stored(flow);
        for _ in 0..TRIES {
            let ((before, at), _) = stored.active().await?;
            if let Expected::Revision(revision) = expected
                && revision != at
            {
                return Err(conflict(&before, at, revision, wanted));
            }
            let mut active = before.clone();
            change(&mut active)?;
            if active == before {
                return Ok((active, at));
            }
            let mut checks = Vec::new();
            for digest in active.in_service() {
                let (version, at) = stored.version(digest).await?.ok_or_else(|| unknown(flow, digest))?;
                if !version.is_there() {
                    return Err(unknown(flow, digest));
                }
                checks.push(Check { doc: Version::doc(digest), version: at });
                // What cannot be loaded is not put into service; and here it is served at once.
                self.version(flow, digest).await?;
            }
            if stored.commit(vec![put(Active::DOC, at, &active)?], checks).await? {
                self.take(flow, &active, at + 1).await?;
                return Ok((active, at + 1));
            }
        }
        Err(Error::new(Code::ACTIVATION_CONFLICT, "others change the active version all the time: try again"))
    }
}

fn unknown(flow: &FlowName, digest: &Digest) -> Error {
    let message = format!("flow {flow} has no version {}, or no longer: `modules list` shows them", digest.short());
    Error::new(Code::VERSION_UNKNOWN, message)
}

fn conflict(active: &Active, at: u64, expected: u64, wanted: Option<&Digest>) -> Error {
    let now = active.now().map_or_else(
        || "nothing is active".to_owned(),
        |now| format!("{} is active, by {}", now.digest.short(), now.by.who),
    );
    let wanted = wanted.map(|digest| format!(" {}", digest.short())).unwrap_or_default();
    let message = format!(
        "the change{wanted} was meant for revision {expected}, but this is revision {at}: {now}; look, and try again"
    );
    Error::new(Code::ACTIVATION_CONFLICT, message)
}
