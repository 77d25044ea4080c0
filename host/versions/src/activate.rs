//! Changes of the active pointer by operators. Each is one compare-and-swap, and is served by this replica at once.

use super::active::{Active, Why};
use super::canary::CanaryRule;
use super::error::{Error, RevisionConflict};
use super::registry::Versions;
use super::share::Share;
use super::store::{Commit, Stored, put};
use super::version::{By, Origin, Version};
use faas_flow_core::{Digest, FlowName};
use faas_flow_store::Check;

/// The state of the active pointer that a change was meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Any state.
    Any,
    /// The state at this revision: a change that is repeated, or that comes too late, is refused.
    Revision(u64),
}

/// How often a change is tried. Two operators at the same time are common, ten are not.
const TRIES: usize = 10;

/// The active pointer after a change, with its revision.
pub type Changed = (Active, u64);

impl Versions {
    /// Starts new runs on a stored version. Activating the active version again changes nothing.
    pub async fn activate(
        &self,
        flow: &FlowName,
        digest: &Digest,
        expected: Expected,
        by: By,
    ) -> Result<Changed, Error> {
        self.change(flow, expected, Some(digest), |active| {
            let same = active.now().is_some_and(|now| now.digest == *digest && now.origin == Origin::Push);
            if !same || active.canary.is_some() {
                active.activate(digest.clone(), Origin::Push, Why::Activated, by.clone());
            }
            Ok(())
        })
        .await
    }

    /// Goes back to the version that was in service before. After a roll-back, it goes back one version further.
    pub async fn roll_back(&self, flow: &FlowName, expected: Expected, by: By) -> Result<Changed, Error> {
        self.change(flow, expected, None, |active| active.roll_back(by.clone())).await
    }

    /// Starts a share of the new runs on a stored version, until it is promoted, or withdrawn, by an operator or by the
    /// rule.
    pub async fn start_canary(
        &self,
        flow: &FlowName,
        (digest, share): (&Digest, Share),
        rule: CanaryRule,
        expected: Expected,
        by: By,
    ) -> Result<Changed, Error> {
        self.change(flow, expected, Some(digest), |active| {
            active.start_canary(digest.clone(), share, rule, by.clone());
            Ok(())
        })
        .await
    }

    /// Puts the canary into service.
    pub async fn promote(&self, flow: &FlowName, expected: Expected, by: By) -> Result<Changed, Error> {
        self.change(flow, expected, None, |active| active.promote(by.clone())).await
    }

    /// Ends the canary, so that all new runs begin with the active version.
    pub async fn withdraw(&self, flow: &FlowName, expected: Expected, by: By) -> Result<Changed, Error> {
        self.change(flow, expected, None, |active| active.withdraw(by.clone())).await
    }

    /// Changes the active pointer, if it is in the expected state and everything that it then points to can be loaded.
    async fn change(
        &self,
        flow: &FlowName,
        expected: Expected,
        wanted: Option<&Digest>,
        change: impl Fn(&mut Active) -> Result<(), Error>,
    ) -> Result<Changed, Error> {
        self.loader()?;
        let stored = self.stored(flow);
        for _ in 0..TRIES {
            let ((before, revision), _) = stored.active().await?;
            if let Expected::Revision(expected) = expected
                && expected != revision
            {
                return Err(conflict(&before, revision, expected, wanted));
            }
            let mut active = before.clone();
            change(&mut active)?;
            if active == before {
                return Ok((active, revision));
            }
            let checks = self.check_loadable(&stored, &active).await?;
            if stored.commit(vec![put(Active::DOC, revision, &active)?], checks).await? == Commit::Done {
                self.serve(flow, &active, revision + 1).await?;
                return Ok((active, revision + 1));
            }
        }
        Err(Error::Contended { flow: flow.clone(), tries: TRIES })
    }

    /// Loads every version that would be in service, so that none is put into service that cannot be loaded. The commit must
    /// repeat the checks, since `gc` may remove a version in the meantime.
    async fn check_loadable(&self, stored: &Stored<'_>, active: &Active) -> Result<Vec<Check>, Error> {
        let flow = stored.flow;
        let unknown =
            |digest: &Digest| Error::UnknownVersion { flow: flow.clone(), version: digest.short().to_owned() };
        let mut checks = Vec::new();
        for digest in active.in_service() {
            let (version, at) = stored.version(digest).await?.ok_or_else(|| unknown(digest))?;
            if !version.is_there() {
                return Err(unknown(digest));
            }
            checks.push(Check { doc: Version::doc(digest), version: at });
            self.load(flow, digest).await?;
        }
        Ok(checks)
    }
}

fn conflict(active: &Active, found: u64, expected: u64, wanted: Option<&Digest>) -> Error {
    let active = active.now().map(|now| (now.digest.clone(), now.by.who.clone()));
    Error::RevisionConflict(Box::new(RevisionConflict { wanted: wanted.cloned(), expected, found, active }))
}
