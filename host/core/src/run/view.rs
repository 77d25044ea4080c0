//! A run as people and tools see it.

use super::actor::Action;
use super::documents::{Attempt, Awaited, Callback, Called, Parent, Progress, Run, Scope, Wait, is_zero};
use super::nodes::{Scopes, ShownNode};
use super::signals::Taken;
use super::tries::{Tries, Try};
use crate::{
    Digest, Failure, FlowName, Labels, Millis, NodePath, ResponseHead, RunId, SignalName, Status, moment, text,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A run with all its nodes, without payloads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunView {
    /// The request id.
    pub request_id: RunId,
    /// The flow's name.
    pub flow: FlowName,
    /// The module's digest.
    pub digest: Digest,
    /// Its status.
    pub status: Status,
    /// When it started, or is to start, in milliseconds since the Unix epoch.
    pub started: Millis,
    /// The moment at which it was to start, if its caller has named one: `started` is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<Millis>,
    /// When it ended.
    pub ended: Option<Millis>,
    /// When it was last re-run after it had ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun: Option<Millis>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// The size of its result, in bytes.
    pub result_size: Option<u64>,
    /// The status and headers of the answer, if the run has ended and the flow has set them. Of the headers only the names are
    /// written, since their values are data of the flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(serialize_with = "without_values", deserialize_with = "names_alone")]
    pub response: Option<ResponseHead>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Its callback, and the delivery of it so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
    /// The node of another run that called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// What people have asked of it, the latest last: the latest 50 actions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// Its nodes, scope by scope: each scope before the branches of its nodes, and these in the order in which they were given,
    /// so that the tenth item comes after the second one. Within a scope, in the order of the definition.
    pub nodes: Vec<NodeView>,
}

/// One node of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeView {
    /// `C[c1]/n1`.
    pub path: NodePath,
    /// Its progress.
    pub progress: Progress,
    /// When it was claimed for the first time since the run began, or since it was to be executed again: by a re-run, or after
    /// a pause that its failure had caused. For a node whose branches go on in a re-run: when that began.
    pub started: Option<Millis>,
    /// When its progress last changed. For a cancelled node: when the run ended; `None` while its handlers are
    /// executed.
    pub since: Option<Millis>,
    /// When its sleep or its wait between two tries ends, or its wait for an answer is given up, if it is waiting until a
    /// moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Millis>,
    /// Since when it sleeps, if it waits because the flow says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleeps_since: Option<Millis>,
    /// Whose answer it is waiting for, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitView>,
    /// The signals that it has taken, without their bodies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<SignalView>,
    /// The runs that it has called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub called: Vec<Called>,
    /// The failure that its `recover` handler has caught, or is to catch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caught: Option<Failure>,
    /// How many of its branches have failed, which it tolerates.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tolerated: u32,
    /// How many rounds have begun, if it is a repeat.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rounds: u32,
    /// The size of all its inputs before any aggregator, in bytes; 0 until an attempt has been reported.
    pub input_size: u64,
    /// The size of its output, in bytes.
    pub output_size: Option<u64>,
    /// All its attempts: those that failed, and the one that ended it.
    pub attempts: Vec<Attempt>,
    /// The tries of its calls that failed, and those that succeeded after a failure.
    #[serde(default, skip_serializing_if = "Tries::is_empty")]
    pub tries: Tries,
    /// How many lines that its code has logged are kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub log_lines: u32,
    /// How many pieces of data are kept that its operations got and yielded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub operation_data: u32,
}

/// What has failed and is to be tried again: a call, or a node as a whole.
#[derive(Debug, Clone, Copy)]
pub struct Retrying<'a> {
    /// The try of a call that failed; `None` if the node as a whole did.
    pub call: Option<&'a Try>,
    /// Why.
    pub failure: &'a Failure,
    /// When it failed.
    pub ended: Millis,
    /// When the next try is due, or was.
    pub next: Millis,
}

impl std::fmt::Display for WaitView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.of {
            Awaited::Function { name } => write!(f, "function {name}"),
            Awaited::Run { flow, run } => write!(f, "run {run} of flow {flow}"),
            Awaited::Signal { signal } => write!(f, "signal {signal}"),
            Awaited::Limit { name, key } if key.is_empty() => write!(f, "limit {name}"),
            Awaited::Limit { name, key } => write!(f, "limit {name} for {}", text::printable(key)),
        }
    }
}

/// What a node waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitView {
    /// Who answers.
    #[serde(flatten)]
    pub of: Awaited,
    /// When the question was asked, in milliseconds since the Unix epoch.
    pub since: Millis,
}

/// A signal that a node has taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalView {
    /// Its name.
    pub signal: SignalName,
    /// When it came, in milliseconds since the Unix epoch.
    pub came: Millis,
    /// The size of its body, in bytes.
    pub size: u64,
}

impl SignalView {
    fn of(Taken { signal, at, body, .. }: &Taken) -> Self {
        Self { signal: signal.clone(), came: *at, size: body.size() }
    }
}

impl RunView {
    /// Puts the documents of a run together. Branches that were replaced are left out.
    pub fn new<'a>(run: &Run, scopes: impl IntoIterator<Item = &'a Scope>) -> Self {
        let mut known = Scopes::default();
        for scope in scopes {
            known.put(scope);
        }
        known.settle();
        Self { nodes: known.nodes(run).map(|node| node.view()).collect(), ..Self::head(run) }
    }

    /// The run without its nodes.
    pub fn head(run: &Run) -> Self {
        Self {
            request_id: run.id.clone(),
            flow: run.flow.clone(),
            digest: run.digest.clone(),
            status: run.status(),
            started: run.started,
            start_at: run.start_at,
            ended: run.ended,
            rerun: run.rerun,
            labels: run.labels.clone(),
            result_size: run.result.as_ref().map(crate::Payload::size),
            response: run.response_head().filter(|_| run.status().is_final()).cloned(),
            failure: run.failure.clone(),
            callback: run.callback.clone().map(Callback::redacted),
            parent: run.parent.as_deref().cloned(),
            actions: run.actions.clone(),
            nodes: Vec::new(),
        }
    }

    /// Whether it has a start time and none of its nodes has begun, if these are known.
    pub fn waits_for_start(&self) -> bool {
        self.start_at.is_some() && !self.status.is_final() && self.nodes.iter().all(|node| node.started.is_none())
    }

    /// How long it took, or has taken until now: since it was last re-run, if it was.
    pub fn took(&self, now: Millis) -> Millis {
        self.ended.unwrap_or(now).saturating_sub(self.rerun.unwrap_or(self.started))
    }
}

impl NodeView {
    /// The size of all its inputs, once it is known: when an attempt ends, or waits.
    pub fn known_input_size(&self) -> Option<u64> {
        (self.input_size > 0 || !self.attempts.is_empty()).then_some(self.input_size)
    }

    /// Whether it has failed, or its latest attempt has, so that it waits for another one or for somebody to resume the run.
    pub fn has_failed(&self) -> bool {
        has_failed(self.progress, &self.attempts, &self.tries)
    }

    /// The latest try of a call, if its attempt has not ended.
    fn open_try(&self) -> Option<&Try> {
        open_try(&self.attempts, &self.tries)
    }

    /// How often it was tried: each attempt that failed is one try, and so is the one with which it was done, however often it
    /// was claimed for that, and the one in which a call is to be tried again; and each try that repeats a call is one more. A
    /// node with branches begins them under one claim and merges their results under another.
    pub fn tried(&self) -> usize {
        let failed = self.attempts.iter().filter(|attempt| attempt.failure.is_some()).count();
        let counts = self.progress == Progress::Done || self.open_try().is_some();
        failed + self.tries.repeated as usize + usize::from(counts)
    }

    /// What of it has failed and what became of that, each as a sentence, in the order in which it happened. The only try of
    /// a call without a retry policy is not among them unless it was recovered, since the failure of its attempt says the same.
    pub fn happened(&self) -> Vec<String> {
        self.happened_with(&self.attempts)
    }

    /// The same without its attempts, for those who show them otherwise.
    pub fn happened_besides_attempts(&self) -> Vec<String> {
        self.happened_with(&[])
    }

    fn happened_with(&self, attempts: &[Attempt]) -> Vec<String> {
        let (first, left_out, latest) = self.tries.shown();
        let says_more = |one: &&Try| one.of > 1 || one.recovered;
        let shown = |one: &Try| (one.ended, one.to_string());
        let gap = (left_out > 0).then(|| {
            let since = first.last().map_or(0, |one| one.ended);
            (since, format!("{left_out} tries are not shown here"))
        });
        let first = first.iter().filter(says_more).map(shown);
        let latest = latest.iter().filter(says_more).map(shown);
        let attempts = attempts.iter().filter_map(|attempt| {
            let failure = attempt.failure.as_ref()?;
            let next = attempt.next.map_or(String::new(), |next| format!("; next attempt {}", moment(next)));
            Some((attempt.ended, format!("{failure}{next}")))
        });
        let mut happened: Vec<(Millis, String)> = first.chain(gap).chain(latest).chain(attempts).collect();
        happened.sort_by_key(|(at, _)| *at);
        let caught = self.caught.as_ref().map(|failure| format!("caught {failure}"));
        let tolerated = match self.tolerated {
            0 => None,
            1 => Some("1 item failed, which is tolerated".to_owned()),
            items => Some(format!("{items} items failed, which is tolerated")),
        };
        let signal = |one: &SignalView| format!("received signal {}, sent {}", one.signal, moment(one.came));
        let signals = self.signals.iter().map(signal);
        signals.chain(happened.into_iter().map(|(_, sentence)| sentence)).chain(caught).chain(tolerated).collect()
    }

    /// What of it has failed and is to be tried again, or is being tried again; `None` if nothing is, or if its latest try
    /// succeeded.
    pub fn retrying(&self) -> Option<Retrying<'_>> {
        if !matches!(self.progress, Progress::Ready | Progress::Running)
            || self.waits_for.is_some()
            || self.sleeps_since.is_some()
        {
            return None;
        }
        let (call, failure, ended, next) = match (self.open_try(), self.attempts.last()) {
            (Some(one), _) => (Some(one), &one.failure, one.ended, one.next),
            (None, Some(attempt)) => (None, &attempt.failure, attempt.ended, attempt.next),
            (None, None) => return None,
        };
        Some(Retrying { call, failure: failure.as_ref()?, ended, next: next? })
    }

    /// How long it took from its start to its end, in milliseconds, with everything in between: failed attempts, waits,
    /// branches, pauses. `None` if it has not begun or not ended.
    pub fn took(&self) -> Option<Millis> {
        let ended = matches!(self.progress, Progress::Done | Progress::Failed | Progress::Cancelled);
        let until = self.since.filter(|_| ended)?;
        Some(until.saturating_sub(self.started?))
    }

    pub(super) fn of(shown: &ShownNode<'_>) -> Self {
        let node = shown.state;
        let asked = node.asked().filter(|_| !shown.is_cut_off());
        let waits = node.waits().filter(|_| !shown.is_cut_off());
        Self {
            path: shown.path(),
            progress: shown.progress(),
            started: shown.started(),
            waits_until: match asked {
                Some(wait) => wait.limit,
                None => waits.map(|suspended| suspended.until),
            },
            sleeps_since: waits.and_then(|suspended| suspended.asleep),
            waits_for: asked.map(|Wait { of, since, .. }| WaitView { of: of.clone(), since: *since }),
            signals: node.signals.iter().map(SignalView::of).collect(),
            called: node.called.clone(),
            caught: shown.caught().map(|caught| caught.failure.clone()),
            tolerated: node.branches.as_ref().map_or(0, |branches| branches.failed),
            rounds: node.branches.as_ref().map_or(0, |branches| branches.round),
            since: shown.since(),
            input_size: node.input_size,
            output_size: node.output.as_ref().map(crate::Payload::size),
            attempts: node.attempts.clone(),
            tries: node.tries.as_deref().cloned().unwrap_or_default(),
            log_lines: node.logs.iter().map(|part| part.lines).sum(),
            operation_data: node.operations.iter().map(|part| part.kept).sum(),
        }
    }
}

/// Whether a node with this history has failed, or its latest attempt or the latest try of a call has.
pub(super) fn has_failed(progress: Progress, attempts: &[Attempt], tries: &Tries) -> bool {
    let failed = match open_try(attempts, tries) {
        Some(one) => one.failure.is_some() && !one.recovered,
        None => attempts.last().is_some_and(|attempt| attempt.failure.is_some()),
    };
    progress == Progress::Failed || failed
}

/// The latest try of a call, if its attempt has not ended.
fn open_try<'a>(attempts: &[Attempt], tries: &'a Tries) -> Option<&'a Try> {
    let ended = attempts.last().map(|attempt| attempt.ended);
    tries.kept.last().filter(|one| ended.is_none_or(|ended| one.ended > ended))
}

/// A [`ResponseHead`] as it is shown: with the names of its headers, without their values.
#[derive(Serialize, Deserialize)]
struct Shown<N> {
    status: u16,
    headers: Vec<N>,
}

fn without_values<S: Serializer>(response: &Option<ResponseHead>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = response.as_ref().map(|ResponseHead { status, headers }| Shown {
        status: *status,
        headers: headers.iter().map(|(name, _)| name.as_str()).collect(),
    });
    shown.serialize(serializer)
}

/// Reads what [`without_values`] has written: the values are empty.
fn names_alone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ResponseHead>, D::Error> {
    let shown = Option::<Shown<String>>::deserialize(deserializer)?;
    Ok(shown.map(|Shown { status, headers }| ResponseHead {
        status,
        headers: headers.into_iter().map(|name| (name, String::new())).collect(),
    }))
}
