//! A share of something: more than nothing, and at most all of it.

use super::error::Error;
use faas_flow_core::RunId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// A share between 0.01 % and 100 %. It is stored as a number of hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Share(u16);

impl Share {
    const WHOLE: u16 = 10_000;
    /// 5 %.
    pub(super) const ONE_TWENTIETH: Self = Self(500);

    /// Whether a run belongs to this share of all runs. The answer depends on the run's id only, so that all replicas agree;
    /// the runs of a share also belong to every larger one.
    pub fn includes(self, run: &RunId) -> bool {
        let hash = Sha256::digest(run.as_str());
        let number = hash.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        number % u64::from(Self::WHOLE) < u64::from(self.0)
    }

    /// Whether `part` of `all` is more than this share.
    pub fn is_exceeded_by(self, part: u64, all: u64) -> bool {
        u128::from(part) * u128::from(Self::WHOLE) > u128::from(all) * u128::from(self.0)
    }
}

impl FromStr for Share {
    type Err = Error;

    /// Reads `5%`, `0.25%` or `5`: percent, with at most two decimals.
    fn from_str(text: &str) -> Result<Self, Error> {
        let number = text.trim().trim_end_matches('%').trim_end();
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str, most: usize| text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
        let hundredths = (!whole.is_empty() && digits(whole, 3) && digits(part, 2))
            .then(|| format!("{whole}{part:0<2}").parse::<u32>().ok())
            .flatten();
        match hundredths.and_then(|share| u16::try_from(share).ok()) {
            Some(share @ 1..=Self::WHOLE) => Ok(Self(share)),
            _ => Err(Error::BadShare(text.to_owned())),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0 / 100;
        match self.0 % 100 {
            0 => write!(f, "{whole}%"),
            part => write!(f, "{}%", format!("{whole}.{part:02}").trim_end_matches('0')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    fn share(text: &str) -> Share {
        text.parse().unwrap()
    }

    #[test]
    fn shares_are_read_and_shown_in_hundredths_of_a_percent() {
        for (text, shown) in
            [("5%", "5%"), ("0.25%", "0.25%"), ("12.5", "12.5%"), (" 100 % ", "100%"), ("0.01", "0.01%")]
        {
            assert_eq!(share(text).to_string(), shown);
        }
        assert_eq!(share("5%"), Share::ONE_TWENTIETH);
        for bad in ["", "%", "0", "0%", "100.01", "101", "-1", "1.234", "five", "1e2", ".5", "99999999999"] {
            assert_eq!(bad.parse::<Share>().unwrap_err().code(), Code::BAD_REQUEST, "{bad}");
        }
    }

    #[test]
    fn a_share_has_its_part_of_the_runs_and_a_larger_one_has_them_too() {
        let runs: Vec<RunId> = (0..20_000).map(|n| RunId::new(format!("run-{n}")).unwrap()).collect();
        let [small, large] = ["5%", "20%"].map(share);
        let count = |share: Share| runs.iter().filter(|run| share.includes(run)).count();
        assert!((800..1200).contains(&count(small)), "{}", count(small));
        assert!((3700..4300).contains(&count(large)), "{}", count(large));
        assert!(runs.iter().all(|run| !small.includes(run) || large.includes(run)));
        assert!(runs.iter().all(|run| share("100").includes(run)));
    }

    #[test]
    fn exactly_the_share_does_not_exceed_it() {
        let exceeds = |part| share("5%").is_exceeded_by(part, 100);
        assert_eq!([exceeds(0), exceeds(5), exceeds(6), exceeds(100)], [false, false, true, true]);
    }
}
