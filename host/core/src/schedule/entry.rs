//! A schedule as a line of the configuration: `nightly=0 30 2 * * *; time-zone=Europe/Berlin; missed=one`.

use super::spec::{BadSchedule, Missed, Overlap, Schedule, ScheduleInput};
use crate::FlowName;
use crate::suggest::nearest;

/// What an operator says about one schedule: it takes the place of the schedule of this name that the flow declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleEntry {
    /// The flow; any flow of the host without one.
    pub flow: Option<FlowName>,
    /// The schedule's name.
    pub name: String,
    /// The schedule; `None` if the flow is to have no schedule of this name.
    pub schedule: Option<Schedule>,
}

impl ScheduleEntry {
    /// Reads `[FLOW/]NAME=WHEN[; time-zone=ZONE][; missed=POLICY][; overlap=POLICY][; content-type=TYPE][; input=TEXT]`, or
    /// `[FLOW/]NAME=off`. The input is all that is left of the line.
    pub fn parse(line: &str) -> Result<Self, BadSchedule> {
        let refused = |why: String| BadSchedule::Line { line: shown(line), why };
        let (name, said) = line.split_once('=').ok_or_else(|| refused("it has no `=`".to_owned()))?;
        let (flow, name) = match name.trim().split_once('/') {
            Some((flow, name)) => {
                let flow = FlowName::new(flow.trim()).map_err(|malformed| refused(malformed.to_string()))?;
                (Some(flow), name.trim())
            }
            None => (None, name.trim()),
        };
        if said.trim() == "off" {
            return Ok(Self { flow, name: name.to_owned(), schedule: None });
        }
        let (when, mut rest) = said.split_once(';').unwrap_or((said, ""));
        let mut schedule = Schedule { name: name.to_owned(), when: when.trim().to_owned(), ..Schedule::default() };
        let mut media_type = String::new();
        while !rest.trim().is_empty() {
            let (key, after) = rest.split_once('=').ok_or_else(|| refused("a setting has no `=`".to_owned()))?;
            if key.trim() == "input" {
                let body = after.trim().as_bytes().to_vec();
                schedule.input = Some(ScheduleInput { body, media_type: String::new() });
                break;
            }
            let (value, next) = after.split_once(';').unwrap_or((after, ""));
            rest = next;
            match (key.trim(), value.trim()) {
                ("time-zone", zone) => schedule.time_zone = Some(zone.to_owned()),
                ("missed", policy) => schedule.missed = chosen("missed", policy, &Missed::ALL).map_err(refused)?,
                ("overlap", policy) => schedule.overlap = chosen("overlap", policy, &Overlap::ALL).map_err(refused)?,
                ("content-type", value) => media_type = value.to_owned(),
                (other, _) => {
                    let keys = "time-zone, missed, overlap, content-type and input";
                    return Err(refused(format!("there is no setting `{other}`, but {keys}")));
                }
            }
        }
        match &mut schedule.input {
            Some(input) => input.media_type = media_type,
            None if media_type.is_empty() => {}
            None => return Err(refused("it has a `content-type`, but no `input` of this type".to_owned())),
        }
        schedule.timed()?;
        Ok(Self { flow, name: name.to_owned(), schedule: Some(schedule) })
    }

    /// The schedules of a flow: those that it declares, and over them what the operator says.
    pub fn over(entries: &[Self], flow: &FlowName, declared: &[Schedule]) -> Vec<Schedule> {
        let mut schedules = declared.to_vec();
        for entry in entries.iter().filter(|entry| entry.flow.as_ref().is_none_or(|of| of == flow)) {
            schedules.retain(|schedule| schedule.name != entry.name);
            schedules.extend(entry.schedule.clone());
        }
        schedules
    }
}

/// What an operator says about flows or schedules that are not there: a sentence each. These are the flows that are served, each
/// with the schedules that it declares.
pub fn pointless(entries: &[ScheduleEntry], served: &[(&FlowName, &[Schedule])]) -> Vec<String> {
    let flows = || served.iter().map(|(flow, _)| flow.as_str());
    let concerns = |one: &Option<FlowName>, other: &Option<FlowName>| one.is_none() || other.is_none() || one == other;
    let adds = |flow: &Option<FlowName>, name: &str| {
        let mut added = entries.iter().filter(|other| other.name == name && other.schedule.is_some());
        added.any(|other| concerns(&other.flow, flow))
    };
    let says = entries.iter().filter_map(|ScheduleEntry { flow, name, schedule }| {
        if let Some(flow) = flow.as_ref().filter(|flow| !flows().any(|served| served == flow.as_str())) {
            let meant = meant(flow.as_str(), flows());
            return Some(format!(
                "the schedule `{flow}/{name}` is ignored, since no flow `{flow}` is served here{meant}"
            ));
        }
        let of = || served.iter().filter(|(served, _)| flow.as_ref().is_none_or(|flow| flow == *served));
        let declared = || of().flat_map(|(_, schedules)| schedules.iter().map(|schedule| schedule.name.as_str()));
        if schedule.is_some() || declared().any(|known| known == name) || adds(flow, name) {
            return None;
        }
        let meant = meant(name, declared());
        Some(format!("`{name}=off` switches nothing off, since no flow here has a schedule `{name}`{meant}"))
    });
    says.collect()
}

fn meant<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = nearest(wrong, known, |known| known.len() / 3);
    near.map_or(String::new(), |near| format!(": did you mean `{near}`?"))
}

/// The beginning of a line, without the input, which may be secret.
fn shown(line: &str) -> String {
    line.split("input").next().unwrap_or_default().trim_end().chars().take(80).collect()
}

fn chosen<T: Copy>(key: &str, policy: &str, all: &[(&'static str, T)]) -> Result<T, String> {
    all.iter().find(|(name, _)| *name == policy).map(|(_, policy)| *policy).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        format!("`{key}` must be one of {}", names.join(", "))
    })
}
