//! Which version new runs begin with, and how that may change: without stores or clocks.

use super::version::By;
use crate::Error;
use faas_flow_core::{Code, Digest, Millis, RunId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Activations that are remembered.
const REMEMBERED: usize = 100;

/// Where a version came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// With the replicas: their image, or the file that they were started with.
    Image,
    /// Somebody pushed it.
    Push,
}

/// Why a version was put into service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// An image brought it.
    Image,
    /// Somebody said so.
    Activated,
    /// Somebody went back to it.
    RolledBack,
    /// It was a canary that did well.
    Promoted,
}

/// A version that was put into service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Activation {
    /// Counts the flow's activations, from 1.
    pub serial: u64,
    /// Which one.
    pub digest: Digest,
    /// Whose word it is: while it is the image's, each replica serves the module that it came with.
    pub origin: Origin,
    /// Why.
    pub why: Why,
    /// Who, when, and their message.
    #[serde(flatten)]
    pub by: By,
    /// The activation that a roll-back restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
}

impl Activation {
    /// What it stands for in the line of versions: itself, or what it restored.
    fn base(&self) -> u64 {
        self.restores.unwrap_or(self.serial)
    }
}

/// A share, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Share(u16);

impl Share {
    const WHOLE: u16 = 10_000;

    /// Reads `5%`, `0.25%` or `5`: more than 0 and at most 100 percent, in hundredths.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let number = text.trim().trim_end_matches('%').trim_end();
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str, most: usize| text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
        let hundredths = (!whole.is_empty() && digits(whole, 3) && digits(part, 2))
            .then(|| format!("{whole}{part:0<2}").parse::<u32>().ok())
            .flatten();
        match hundredths.and_then(|share| u16::try_from(share).ok()) {
            Some(share @ 1..=Self::WHOLE) => Ok(Self(share)),
            _ => {
                let text = text.chars().take(20).collect::<String>();
                let message = format!("`{}` is no share: 0.01% to 100%, in hundredths", text.escape_debug());
                Err(Error::new(Code::BAD_REQUEST, message))
            }
        }
    }

    /// Whether a run belongs to this share of all. A larger share has all runs of a smaller one.
    pub fn has(self, run: &RunId) -> bool {
        let hash = Sha256::digest(run.as_str());
        let number = hash.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        number % u64::from(Self::WHOLE) < u64::from(self.0)
    }

    /// Whether `part` of `all` is more than this.
    pub fn exceeded_by(self, part: u64, all: u64) -> bool {
        u128::from(part) * u128::from(Self::WHOLE) > u128::from(all) * u128::from(self.0)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        match part {
            0 => write!(f, "{whole}%"),
            part => write!(f, "{}%", format!("{whole}.{part:02}").trim_end_matches('0')),
        }
    }
}

/// A version that a share of the new runs begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Canary {
    /// Told from another canary of the same version by this.
    pub serial: u64,
    /// Which one.
    pub digest: Digest,
    /// How many of the new runs, in hundredths of a percent.
    pub share: Share,
    /// It is withdrawn when more than this share of its last runs have failed, in hundredths of a percent.
    pub max_failures: Share,
    /// How many of its last runs are looked at. Fewer count as if they were so many.
    pub over: u32,
    /// Who, when, and their message.
    #[serde(flatten)]
    pub by: By,
}

impl Canary {
    /// The most runs that may be looked at.
    pub const MOST: u32 = 10_000;

    /// Whether it fails too often, if so many of its last runs have failed.
    pub fn is_bad(&self, failed: u64) -> bool {
        self.max_failures.exceeded_by(failed, u64::from(self.over))
    }
}

/// A canary that failed too often, or that somebody took back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Withdrawn {
    /// Which version.
    pub digest: Digest,
    /// Who, when and why.
    #[serde(flatten)]
    pub by: By,
}

/// Which version new runs begin with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Active {
    /// What was put into service, the newest first: new runs begin with the first one.
    pub history: Vec<Activation>,
    /// A version that a share of the new runs begins with instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// The last canary that was withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawn>,
    /// The serial number of the last activation or canary.
    pub serial: u64,
}

impl Active {
    /// The document that holds it.
    pub(super) const DOC: &str = "active";

    /// What is in service.
    pub fn now(&self) -> Option<&Activation> {
        self.history.first()
    }

    /// Puts a version into service; a canary ends by it.
    pub(super) fn activate(&mut self, digest: Digest, origin: Origin, why: Why, by: By) {
        self.put(digest, origin, why, by, None);
    }

    fn put(&mut self, digest: Digest, origin: Origin, why: Why, by: By, restores: Option<u64>) {
        self.serial += 1;
        self.history.insert(0, Activation { serial: self.serial, digest, origin, why, by, restores });
        self.history.truncate(REMEMBERED);
        self.end_canary();
    }

    /// What takes the place of a canary withdraws it, unless it is the same version.
    fn end_canary(&mut self) {
        let now = self.now().cloned();
        if let (Some(canary), Some(now)) = (self.canary.take(), now)
            && canary.digest != now.digest
        {
            self.withdrawn = Some(Withdrawn { digest: canary.digest, by: now.by });
        }
    }

    /// Goes back to what was in service before; once more, to what was before that.
    pub(super) fn roll_back(&mut self, by: By) -> Result<(), Error> {
        let none = || Error::new(Code::NOTHING_TO_ROLL_BACK, "no other version was in service before this one");
        let now = self.now().ok_or_else(none)?;
        let before = self.history.iter().find(|old| old.serial < now.base() && old.digest != now.digest);
        let before = before.ok_or_else(none)?.clone();
        let restores = Some(before.base());
        self.put(before.digest, before.origin, Why::RolledBack, by, restores);
        Ok(())
    }

    /// Lets a share of the new runs begin with another version.
    pub(super) fn try_out(&mut self, digest: Digest, share: Share, (max_failures, over): (Share, u32), by: By) {
        self.serial += 1;
        if let Some(other) = self.canary.take().filter(|other| other.digest != digest) {
            self.withdrawn = Some(Withdrawn { digest: other.digest, by: by.clone() });
        }
        self.canary = Some(Canary { serial: self.serial, digest, share, max_failures, over, by });
    }

    /// Puts the canary into service.
    pub(super) fn promote(&mut self, by: By) -> Result<(), Error> {
        let canary = self.canary.take().ok_or_else(no_canary)?;
        self.activate(canary.digest, Origin::Push, Why::Promoted, by);
        Ok(())
    }

    /// Takes the canary back.
    pub(super) fn withdraw(&mut self, by: By) -> Result<(), Error> {
        let canary = self.canary.take().ok_or_else(no_canary)?;
        self.withdrawn = Some(Withdrawn { digest: canary.digest, by });
        Ok(())
    }

    /// The versions that new runs may begin with.
    pub fn in_service(&self) -> impl Iterator<Item = &Digest> {
        self.now().map(|now| &now.digest).into_iter().chain(self.canary.as_ref().map(|canary| &canary.digest))
    }

    /// When a version was last in service, or a canary: now, or when another took its place.
    pub(super) fn last_served(&self, digest: &Digest, now: Millis) -> Option<Millis> {
        let at = self.history.iter().position(|activation| activation.digest == *digest);
        let next =
            at.map(|at| at.checked_sub(1).and_then(|next| self.history.get(next)).map_or(now, |next| next.by.at));
        let withdrawn = self.withdrawn.as_ref().filter(|withdrawn| withdrawn.digest == *digest);
        next.max(withdrawn.map(|withdrawn| withdrawn.by.at))
    }
}

fn no_canary() -> Error {
    Error::new(Code::NO_CANARY, "there is no canary: it has been promoted or withdrawn, or there was none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u8) -> Digest {
        Digest::of(&[n])
    }

    fn by(at: Millis) -> By {
        By::new("me", "", at).unwrap()
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
        let limits = (Share::parse("5%").unwrap(), 100);
        let mut active = after(&[1]);
        assert_eq!(active.promote(by(1)).unwrap_err().code(), Code::NO_CANARY);
        active.try_out(digest(2), Share::parse("10").unwrap(), limits, by(2));
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
    fn shares_are_read_and_shown_in_hundredths_of_a_percent() {
        for (text, shown) in
            [("5%", "5%"), ("0.25%", "0.25%"), ("12.5", "12.5%"), (" 100 % ", "100%"), ("0.01", "0.01%")]
        {
            assert_eq!(Share::parse(text).unwrap().to_string(), shown);
        }
        for bad in ["", "%", "0", "0%", "100.01", "101", "-1", "1.234", "five", "1e2", ".5", "99999999999"] {
            assert_eq!(Share::parse(bad).unwrap_err().code(), Code::BAD_REQUEST, "{bad}");
        }
    }

    #[test]
    fn a_share_has_its_part_of_the_runs_and_a_larger_one_has_them_too() {
        let runs: Vec<RunId> = (0..20_000).map(|n| RunId::new(format!("run-{n}")).unwrap()).collect();
        let [small, large] = ["5%", "20%"].map(|text| Share::parse(text).unwrap());
        let count = |share: Share| runs.iter().filter(|run| share.has(run)).count();
        assert!((800..1200).contains(&count(small)), "{}", count(small));
        assert!((3700..4300).contains(&count(large)), "{}", count(large));
        assert!(runs.iter().all(|run| !small.has(run) || large.has(run)));
        assert!(runs.iter().all(|run| Share::parse("100").unwrap().has(run)));
    }

    #[test]
    fn a_canary_is_bad_once_more_than_its_share_has_failed() {
        let mut active = after(&[1]);
        active.try_out(digest(2), Share::parse("10").unwrap(), (Share::parse("5%").unwrap(), 100), by(2));
        let canary = active.canary.unwrap();
        assert!(!canary.is_bad(0) && !canary.is_bad(5) && canary.is_bad(6) && canary.is_bad(100));
    }

    #[test]
    fn a_version_was_last_served_when_another_took_its_place() {
        let active = after(&[1, 2, 3]);
        let served = |n| active.last_served(&digest(n), 99);
        assert_eq!([served(1), served(2), served(3), served(4)], [Some(1), Some(2), Some(99), None]);
        let mut tried = active.clone();
        tried.try_out(digest(1), Share::parse("10").unwrap(), (Share::parse("5%").unwrap(), 100), by(7));
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
