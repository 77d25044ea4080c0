//! Executes work symbolically: a node's output tells how it came about, and does not depend on the order of events.

use faas_flow_core::definition::Operation;
use faas_flow_core::run::{ClaimToken, Ended, Input, Outcome, Task, Work};
use faas_flow_core::{BranchKey, MediaType, NodePath, Payload, ResponseHead, round_key, testing};

/// The media type of the data that this text is. It follows from the text, so that wherever the data arrives, its media type
/// can be checked.
pub fn media_type_of(text: &str) -> MediaType {
    if text.len().is_multiple_of(2) {
        MediaType::OCTET_STREAM
    } else {
        MediaType::parse(&format!("x/{}", text.len())).unwrap()
    }
}

/// The status and headers that some nodes set for the answer of the run. They follow from the node's path.
pub fn response(path: &NodePath) -> Option<ResponseHead> {
    let path = path.to_string();
    let length = u16::try_from(path.len()).unwrap();
    length.is_multiple_of(3).then(|| ResponseHead::new(300 + length, vec![("x-by".to_owned(), path)]).unwrap())
}

pub fn payload(text: &str) -> Payload {
    testing::payload(text).of_type(media_type_of(text))
}

/// What comes of a node's work. `text` fetches a payload, `set` the results that arrived for a merge, in order.
pub fn outcome(
    work: &Work,
    text: &dyn Fn(&Payload) -> String,
    set: &dyn Fn(ClaimToken) -> Vec<(String, Ended)>,
) -> Outcome {
    let input = |input: &Input| match &input.forwarder {
        Some(handler) => format!("{handler}({})", text(&input.payload)),
        None => text(&input.payload),
    };
    let named: Vec<String> = work.inputs.iter().map(|i| format!("{}:{}", i.from, input(i))).collect();
    let data = match (&work.aggregator, &work.inputs[..]) {
        (Some(handler), _) => format!("{handler}({})", named.join(",")),
        (None, [only]) => input(only),
        _ => String::new(),
    };
    match &work.task {
        Task::Operations(operations) => {
            let run = |data, operation: &Operation| match operation {
                Operation::WaitFor(_) => text(&work.signals[0].body),
                _ => format!("{}<{data}>", work.path.node),
            };
            Outcome::Done(payload(&operations.list.iter().fold(data, run)))
        }
        Task::Enter => Outcome::Branched(vec![(None, payload(&data))]),
        Task::Choose { keys, carries_nothing, .. } => {
            let chosen = keys.iter().enumerate().filter(|(i, _)| *i == 0 || (data.len() >> i) & 1 == 1);
            let input = if *carries_nothing { Payload::empty() } else { payload(&data) };
            Outcome::Branched(chosen.map(|(_, key)| (Some(key.clone()), input.clone())).collect())
        }
        Task::Split { carries_nothing, .. } => {
            let items = (0..data.len() % 5).map(|i| {
                let input = if *carries_nothing { Payload::empty() } else { payload(&format!("{i}")) };
                (Some(BranchKey::new(format!("i {i}/")).unwrap()), input)
            });
            Outcome::Branched(items.collect())
        }
        Task::Repeat { ended: None, .. } => Outcome::Branched(vec![(round_key(1), payload(&data))]),
        // Short, since what goes in comes out several times.
        Task::Repeat { most, ended: Some((round, result)), .. } => match text(result).len() {
            length if length < 64 && length % 4 > 0 && round < most => {
                Outcome::Branched(vec![(round_key(round + 1), result.clone())])
            }
            _ => Outcome::Done(result.clone()),
        },
        Task::Merge { handler, gathers, only, started_by, redone } => {
            let mut branches = match only {
                Some(only) => vec![only.clone()],
                None => set(*started_by),
            };
            for (key, ended) in redone {
                branches.iter_mut().find(|(known, _)| known == key).unwrap().1 = ended.clone();
            }
            let results = branches.into_iter().filter_map(|(key, ended)| match ended {
                Ok(payload) => Some(format!("{key}={}", text(&payload))),
                Err(failure) => gathers.then(|| format!("{key}!{}", failure.code)),
            });
            Outcome::Done(payload(&format!("{handler}({})", results.collect::<Vec<_>>().join(","))))
        }
        Task::Catch { handler, caught } => Outcome::Done(payload(&format!(
            "{handler} caught {} with {}",
            caught.failure,
            text(&caught.evidence.input)
        ))),
        Task::Recover { failure, .. } => Outcome::Done(payload(&format!("recovered {}", failure.code))),
        Task::Finally { .. } => Outcome::Done(Payload::empty()),
    }
}
