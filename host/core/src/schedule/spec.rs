//! What an author or an operator says about a schedule.

use super::when::When;
use crate::{Code, FlowName, MediaType, Millis, RunId, moment};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// How many schedules a flow may have.
pub const MOST_SCHEDULES: usize = 100;
/// The longest input of a schedule, in bytes.
pub const LONGEST_INPUT: usize = 64 << 10;

/// A schedule, as a flow or a configuration declares it, unchecked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Schedule {
    /// Unique within the flow: 1 to 32 characters of `A-Z a-z 0-9 _ -`.
    pub name: String,
    /// The cron expression or interval.
    pub when: String,
    /// The name of the time zone of a cron expression: `Europe/Berlin`. UTC without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// What happens with moments at which no replica was there.
    #[serde(default)]
    pub missed: Missed,
    /// What happens at a moment at which the run before has not ended.
    #[serde(default)]
    pub overlap: Overlap,
    /// The body of the request of each run; without one it is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<ScheduleInput>,
}

/// The body of the request with which a schedule begins runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ScheduleInput {
    /// The bytes. In JSON they are a text if they are UTF-8, and otherwise a list of numbers.
    #[serde(serialize_with = "write_bytes", deserialize_with = "read_bytes")]
    pub body: Vec<u8>,
    /// The media type of the bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
}

/// What happens with the moments at which no replica was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// Nothing begins for them.
    #[default]
    Skip,
    /// A run begins for the latest of them.
    One,
    /// A run begins for each of the last thousand of them, the oldest first.
    All,
}

/// What happens at a moment at which the run before has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// Another run begins beside it.
    Allow,
    /// No run begins for the moment.
    #[default]
    Skip,
    /// The moment waits until the run before has ended.
    Queue,
    /// The run before is stopped.
    Replace,
}

impl Missed {
    /// All policies with their names.
    pub const ALL: [(&'static str, Missed); 3] = [("skip", Missed::Skip), ("one", Missed::One), ("all", Missed::All)];

    /// The name of the policy.
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, policy)| *policy == self).map_or("", |(name, _)| name)
    }
}

impl Overlap {
    /// All policies with their names.
    pub const ALL: [(&'static str, Overlap); 4] =
        [("allow", Overlap::Allow), ("skip", Overlap::Skip), ("queue", Overlap::Queue), ("replace", Overlap::Replace)];

    /// The name of the policy.
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, policy)| *policy == self).map_or("", |(name, _)| name)
    }
}

/// Why a schedule is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSchedule {
    /// Its name is malformed.
    #[error("the name of schedule `{}` is malformed: it must have 1 to 32 characters out of A-Z a-z 0-9 _ -", name.escape_debug())]
    Name {
        /// The beginning of it.
        name: String,
    },
    /// The expression cannot be read.
    #[error("`{}` does not say when: {why}; write a cron expression such as `0 30 2 * * *`, or `every 10m`", when.escape_debug())]
    When {
        /// The beginning of it.
        when: String,
        /// What is wrong with it.
        why: String,
    },
    /// The expression has no moment.
    #[error("`{}` never fires: none of its months has such a day", when.escape_debug())]
    Never {
        /// The expression.
        when: String,
    },
    /// There is no such time zone.
    #[error("there is no time zone `{}`{}", zone.escape_debug(), near.as_ref().map_or(String::new(), |near| format!(": did you mean `{near}`?")))]
    Zone {
        /// The beginning of its name.
        zone: String,
        /// The name that was meant, perhaps.
        near: Option<String>,
    },
    /// Two schedules have one name.
    #[error("two schedules have the name `{name}`: rename one")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// There are too many schedules.
    #[error("the flow has {count} schedules, but at most {MOST_SCHEDULES} are possible")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// The input cannot be used.
    #[error("the input of schedule `{name}` {why}")]
    Input {
        /// The schedule.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A line of the configuration cannot be read.
    #[error("`{}` is not a schedule: {why}; write `nightly=0 30 2 * * *; time-zone=Europe/Berlin`", line.escape_debug())]
    Line {
        /// The beginning of it.
        line: String,
        /// What is wrong with it.
        why: String,
    },
}

impl BadSchedule {
    /// The error's code.
    pub fn code(&self) -> Code {
        match self {
            Self::Zone { .. } => Code::UNKNOWN_TIME_ZONE,
            Self::Never { .. } => Code::SCHEDULE_NEVER,
            _ => Code::BAD_SCHEDULE,
        }
    }
}

/// A checked schedule with its moments.
#[derive(Debug, Clone)]
pub struct Timed {
    /// What was declared.
    pub spec: Schedule,
    /// The moments.
    pub when: When,
}

impl Schedule {
    /// Checks the schedule by itself.
    pub fn timed(&self) -> Result<Timed, BadSchedule> {
        let is_named = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if !(1..=32).contains(&self.name.len()) || !self.name.bytes().all(is_named) {
            return Err(BadSchedule::Name { name: self.name.chars().take(80).collect() });
        }
        let input = |why: String| BadSchedule::Input { name: self.name.clone(), why };
        if let Some(ScheduleInput { body, media_type }) = &self.input {
            if body.len() > LONGEST_INPUT {
                return Err(input(format!("has {} bytes, but at most {LONGEST_INPUT} are possible", body.len())));
            }
            if !media_type.is_empty() {
                MediaType::parse(media_type).map_err(|error| input(format!("has a malformed media type: {error}")))?;
            }
        }
        Ok(Timed { when: When::parse(&self.when, self.time_zone.as_deref())?, spec: self.clone() })
    }

    /// Checks all schedules of a flow. The errors are of the first problems, at most one for each schedule.
    pub fn all_timed(schedules: &[Schedule]) -> Result<Vec<Timed>, Vec<BadSchedule>> {
        if schedules.len() > MOST_SCHEDULES {
            return Err(vec![BadSchedule::TooMany { count: schedules.len() }]);
        }
        let (mut timed, mut problems) = (Vec::new(), Vec::new());
        for (at, schedule) in schedules.iter().enumerate() {
            match schedule.timed() {
                Ok(_) if schedules.iter().take(at).any(|other| other.name == schedule.name) => {
                    problems.push(BadSchedule::Duplicate { name: schedule.name.clone() });
                }
                Ok(checked) => timed.push(checked),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(timed) } else { Err(problems) }
    }

    /// What decides at which moments it fires: if this changes, they are counted anew.
    pub(super) fn clockwork(&self) -> String {
        match &self.time_zone {
            Some(zone) => format!("{} {zone}", self.when.trim()),
            None => self.when.trim().to_owned(),
        }
    }
}

/// The request id of the run that a schedule of a flow begins for a moment: `nightly-20261201T013000Z-4f0c2a9be713`. Its end is
/// a hash, of which the flow is a part, since flows may share a store, and the `salt`, since who knows the id of a run may
/// read its result.
pub fn run_of((flow, schedule): (&FlowName, &str), at: Millis, salt: &str) -> Option<RunId> {
    let at = moment(at).replace(['-', ':'], "");
    let hash = sha2::Sha256::digest(format!("{salt}/{flow}/{schedule}/{at}"));
    let hash: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    RunId::new(format!("{schedule}-{at}-{hash}")).ok()
}

fn write_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => serializer.serialize_str(text),
        Err(_) => serializer.collect_seq(bytes),
    }
}

fn read_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Bytes(Vec<u8>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Text(text) => text.into_bytes(),
        Written::Bytes(bytes) => bytes,
    })
}
