//! The active pointer: which version new runs begin with, and how that may change. It knows neither stores nor clocks.

use super::canary::{Canary, CanaryRule, Withdrawn};
use super::error::Error;
use super::share::Share;
use super::version::{By, Origin};
use faas_flow_core::{Digest, Millis};
use serde::{Deserialize, Serialize};

/// How many activations the history keeps.
const REMEMBERED: usize = 100;

/// Why a version was put into service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A replica came with a module that the flow had never had.
    Image,
    /// An operator activated it.
    Activated,
    /// An operator rolled back to it.
    RolledBack,
    /// It was a canary, and an operator promoted it.
    Promoted,
}

/// One entry of the history: a version was put into service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Activation {
    /// Counts the flow's activations, from 1.
    pub serial: u64,
    /// The version.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub digest: Digest,
    /// Where the version comes from. While an image's version is active, each replica serves the module that it came with.
    pub origin: Origin,
    /// Why it was put into service.
    pub why: Why,
    /// Who did it, when, and their message.
    #[serde(flatten)]
    pub by: By,
    /// For a roll-back, the serial number of the activation that it restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
}

impl Activation {
    /// The activation that it stands for when rolling back further: itself, or the one that it restored.
    fn base(&self) -> u64 {
        self.restores.unwrap_or(self.serial)
    }
}

/// The active pointer of a flow: which version new runs begin with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Active {
    /// What was put into service, newest first. New runs begin with the first entry. At most 100 entries are kept.
    pub history: Vec<Activation>,
    /// A version that a share of the new runs begins with instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// The canary that was withdrawn last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawn>,
    /// The serial number of the last activation or canary.
    pub serial: u64,
}

impl Active {
    /// The document that holds it.
    pub(super) const DOC: &str = "active";

    /// The activation that is in force.
    pub fn now(&self) -> Option<&Activation> {
        self.history.first()
    }

    /// Puts a version into service. This ends a canary.
    pub(super) fn activate(&mut self, digest: Digest, origin: Origin, why: Why, by: By) {
        self.put(digest, origin, why, by, None);
    }

    fn put(&mut self, digest: Digest, origin: Origin, why: Why, by: By, restores: Option<u64>) {
        self.serial += 1;
        self.history.insert(0, Activation { serial: self.serial, digest, origin, why, by, restores });
        self.history.truncate(REMEMBERED);
        self.end_canary();
    }

    /// Ends a canary: unless the active version is the canary itself, it was withdrawn.
    fn end_canary(&mut self) {
        let now = self.now().cloned();
        if let (Some(canary), Some(now)) = (self.canary.take(), now)
            && canary.digest != now.digest
        {
            self.withdrawn = Some(Withdrawn { digest: canary.digest, by: now.by });
        }
    }

    /// Goes back to the version that was in service before this one. After a roll-back, it goes back one version further.
    pub(super) fn roll_back(&mut self, by: By) -> Result<(), Error> {
        let now = self.now().ok_or(Error::NothingToRollBack)?;
        let before = self.history.iter().find(|old| old.serial < now.base() && old.digest != now.digest);
        let before = before.ok_or(Error::NothingToRollBack)?.clone();
        let restores = Some(before.base());
        self.put(before.digest, before.origin, Why::RolledBack, by, restores);
        Ok(())
    }

    /// Lets a share of the new runs begin with another version. A canary of a different version is withdrawn.
    pub(super) fn start_canary(&mut self, digest: Digest, share: Share, rule: CanaryRule, by: By) {
        self.serial += 1;
        if let Some(other) = self.canary.take().filter(|other| other.digest != digest) {
            self.withdrawn = Some(Withdrawn { digest: other.digest, by: by.clone() });
        }
        self.canary = Some(Canary { serial: self.serial, digest, share, rule, by });
    }

    /// Puts the canary into service.
    pub(super) fn promote(&mut self, by: By) -> Result<(), Error> {
        let canary = self.canary.take().ok_or(Error::NoCanary)?;
        self.activate(canary.digest, Origin::Push, Why::Promoted, by);
        Ok(())
    }

    /// Ends the canary, so that all new runs begin with the active version.
    pub(super) fn withdraw(&mut self, by: By) -> Result<(), Error> {
        let canary = self.canary.take().ok_or(Error::NoCanary)?;
        self.withdrawn = Some(Withdrawn { digest: canary.digest, by });
        Ok(())
    }

    /// The versions that new runs may begin with: the active one, and the canary.
    pub fn in_service(&self) -> impl Iterator<Item = &Digest> {
        self.now().map(|now| &now.digest).into_iter().chain(self.canary.as_ref().map(|canary| &canary.digest))
    }

    /// When new runs last began with a version, as far as the history knows: `now` for the active one, otherwise when another
    /// took its place or its canary was withdrawn.
    pub(super) fn last_served(&self, digest: &Digest, now: Millis) -> Option<Millis> {
        let at = self.history.iter().position(|activation| activation.digest == *digest);
        let next =
            at.map(|at| at.checked_sub(1).and_then(|next| self.history.get(next)).map_or(now, |next| next.by.at));
        let withdrawn = self.withdrawn.as_ref().filter(|withdrawn| withdrawn.digest == *digest);
        next.max(withdrawn.map(|withdrawn| withdrawn.by.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    fn digest(n: u8) -> Digest {
        Digest::of(&[n])
    }

    fn by(at: Millis) -> By {
        By::new("me", "", at).unwrap()
    }

    fn share(text: &str) -> Share {
        text.parse().unwrap()
    }

    fn after(activated: &[u8]) -> Active {
        let mut active = Active::default();
        for (at, n) in activated.iter().enumerate() {
            active.activate(digest(*n), Origin::Push, Why::Activated, by(at as u64));
        }
        active
    }

    #[test]
    fn rolling_back_twice_goes_back_by_two() {
        let mut active = after(&[1, 2, 3]);
        for expected in [2, 1] {
            active.roll_back(by(9)).unwrap();
            assert_eq!(active.now().unwrap().digest, digest(expected));
        }
        assert_eq!(active.roll_back(by(9)).unwrap_err().code(), Code::NOTHING_TO_ROLL_BACK);
        active.activate(digest(4), Origin::Push, Why::Activated, by(10));
        active.roll_back(by(11)).unwrap();
        assert_eq!(active.now().unwrap().digest, digest(1));
        assert_eq!(Active::default().roll_back(by(9)).unwrap_err().code(), Code::NOTHING_TO_ROLL_BACK);
    }

    #[test]
    fn rolling_back_skips_what_is_active_already() {
        let mut active = after(&[1, 2, 2]);
        active.roll_back(by(9)).unwrap();
        assert_eq!(active.now().unwrap().digest, digest(1));
    }

    #[test]
    fn a_canary_is_promoted_withdrawn_or_ended_by_an_activation() {
        let mut active = after(&[1]);
        assert_eq!(active.promote(by(1)).unwrap_err().code(), Code::NO_CANARY);
        active.start_canary(digest(2), share("10%"), CanaryRule::default(), by(2));
        assert_eq!(active.in_service().collect::<Vec<_>>(), [&digest(1), &digest(2)]);
        let mut withdrawn = active.clone();
        withdrawn.withdraw(by(3)).unwrap();
        assert_eq!((withdrawn.canary, withdrawn.withdrawn.unwrap().digest), (None, digest(2)));
        let mut other = active.clone();
        other.activate(digest(3), Origin::Push, Why::Activated, by(3));
        assert_eq!(other.canary, None);
        active.promote(by(3)).unwrap();
        assert_eq!((active.now().unwrap().digest.clone(), active.canary), (digest(2), None));
    }

    #[test]
    fn a_version_was_last_served_when_another_took_its_place() {
        let active = after(&[1, 2, 3]);
        let served = |n| active.last_served(&digest(n), 99);
        assert_eq!([served(1), served(2), served(3), served(4)], [Some(1), Some(2), Some(99), None]);
        let mut tried = active.clone();
        tried.start_canary(digest(1), share("10%"), CanaryRule::default(), by(7));
        tried.activate(digest(4), Origin::Push, Why::Activated, by(8));
        assert_eq!((tried.last_served(&digest(1), 99), tried.withdrawn.unwrap().digest), (Some(8), digest(1)));
    }

    #[test]
    fn the_history_is_bounded() {
        let active = after(&(0..200).collect::<Vec<u8>>());
        assert_eq!((active.history.len(), active.serial), (REMEMBERED, 200));
        let read: Active = serde_json::from_str(&serde_json::to_string(&active).unwrap()).unwrap();
        assert_eq!(read, active);
    }
}
