//! Runs of whole flows.

mod attempt;
mod call;
mod engine;
mod failing;
mod moment;
mod operations;
mod play;
mod shape;

pub use call::{Answer, Call};

use crate::context::Context;
use crate::failed::Failed;
use crate::failure::Result;
use crate::http::Response;
use crate::testing::Fake;
use crate::values::{Level, State};
use crate::workflow::Workflow;
use failing::{Failing, stop};
use play::play;
use serde::de::DeserializeOwned;
use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A run of a whole flow, whose request has this body, with functions of the test in place of those that the flow calls.
///
/// ```
/// use faas_flow::testing::{Answer, Call, run};
/// use faas_flow::{Backoff, Context, Result, Workflow};
/// use std::time::Duration;
///
/// fn define(workflow: &mut Workflow, _context: &Context) -> Result {
///     let dag = workflow.dag();
///     dag.node("charge").apply("charge").retry(Backoff::attempts(3));
///     dag.node("approval").wait_for("approval").timeout(Duration::from_secs(2 * 24 * 3600)).apply("ship");
///     dag.edge("charge", "approval");
///     Ok(())
/// }
///
/// let run = run(define, "a hat")
///     .answers("charge", [Answer::new(503), Answer::from("paid")])
///     .function("ship", |call: &Call| format!("shipped after {}", String::from_utf8_lossy(call.body())))
///     .signal_after(Duration::from_secs(5 * 3600), "approval", "yes");
/// assert_eq!(run.result(), b"shipped after yes");
/// assert_eq!(run.calls().len(), 3);
/// assert_eq!(run.ran(), ["charge", "approval"]);
/// ```
#[must_use = "a run takes place when the test asks for what came of it"]
pub fn run<'a>(define: impl FnOnce(&mut Workflow, &Context) -> Result + 'a, input: impl Into<Vec<u8>>) -> Run<'a> {
    run_with(&Fake::new(), define, input)
}

/// Does what [`run`] does. The fake says what else the request has, and which values are set before; its content type is
/// that of the request. Afterwards it also has what the flow has logged and set.
#[must_use = "a run takes place when the test asks for what came of it"]
pub fn run_with<'a>(
    fake: &Fake,
    define: impl FnOnce(&mut Workflow, &Context) -> Result + 'a,
    input: impl Into<Vec<u8>>,
) -> Run<'a> {
    // 2026-01-01T00:00:00Z.
    let world = World { functions: BTreeMap::new(), signals: Vec::new(), now: 1_767_225_600_000 };
    let plan = Plan { define: Box::new(define), input: input.into(), world };
    Run { fake: fake.clone(), plan: Cell::new(Some(plan)), ended: OnceCell::new() }
}

/// One run of a whole flow, made by [`run`](fn@run).
///
/// First say what the run finds: what functions answer, which signals come. The run takes place as soon as the test asks for
/// what came of it, and only once.
///
/// The rules are those of the host, with these simplifications. Nodes and branches are executed one after the other, and not
/// at the same time: of those that are ready, the one that would begin the earliest. Time is virtual, and passes only by
/// sleeps, by waits for signals, between tries and rounds, and by the delays of answers; waits between tries are as long as
/// their policy allows. Limits over all runs hold nothing up, nothing begins by a schedule, and a flow that is called is a
/// function like any other. A panic of the flow's own code ends the test. To test the module on the real engine, use
/// `faas-flow test`.
///
/// # Panics
///
/// What asks for something that came of the run panics with a message that says what to do, if `define` fails, if the flow
/// calls a function for which the test has no answer, or if it waits forever for a signal.
pub struct Run<'a> {
    fake: Fake,
    plan: Cell<Option<Plan<'a>>>,
    ended: OnceCell<Ended>,
}

type Function<'a> = Box<dyn FnMut(&Call) -> Answer + 'a>;
type Define<'a> = Box<dyn FnOnce(&mut Workflow, &Context) -> Result + 'a>;

/// What a test says before the run.
struct Plan<'a> {
    define: Define<'a>,
    input: Vec<u8>,
    world: World<'a>,
}

/// What a run finds.
struct World<'a> {
    functions: BTreeMap<String, Function<'a>>,
    signals: Vec<Signal>,
    /// The moment at which the run begins, in milliseconds since 1970.
    now: i64,
}

/// A signal that somebody sends to the run.
struct Signal {
    /// When, in milliseconds since the beginning of the run.
    at: u64,
    name: String,
    body: Vec<u8>,
}

/// What came of a run.
struct Ended {
    state: State,
    result: Vec<u8>,
    failing: Option<Box<Failing>>,
    response: Option<Response>,
    calls: Vec<Call>,
    ran: Vec<String>,
    took: Duration,
}

impl<'a> Run<'a> {
    /// Says what a function answers to a call: one such as `charge`, which stands for all its paths, or `wc/lines` for what is
    /// below this path; or a URL, which stands for all below it. The longest name counts. A call for which there is no answer
    /// fails the test.
    #[track_caller]
    #[must_use = "it returns the run"]
    pub fn function<A: Into<Answer>>(self, name: impl Into<String>, mut answer: impl FnMut(&Call) -> A + 'a) -> Self {
        let name = name.into().trim_end_matches('/').to_owned();
        self.before("`function`", |plan| {
            plan.world.functions.insert(name, Box::new(move |call| answer(call).into()));
        })
    }

    /// Says what a function answers: to each call the next one of these answers, and to all further calls the last one. Names
    /// are as for [`Run::function`].
    #[track_caller]
    #[must_use = "it returns the run"]
    pub fn answers<A: Into<Answer>>(self, name: impl Into<String>, answers: impl IntoIterator<Item = A>) -> Self {
        let name = name.into();
        let mut answers = answers.into_iter().map(Into::into).collect::<Vec<Answer>>().into_iter();
        let Some(mut present) = answers.next() else {
            stop(&format!("`answers` of `{name}` needs at least one answer"))
        };
        let mut is_first = true;
        self.function(name, move |_: &Call| {
            if !std::mem::take(&mut is_first)
                && let Some(next) = answers.next()
            {
                present = next;
            }
            present.clone()
        })
    }

    /// Sends a signal to the run before it begins.
    #[track_caller]
    #[must_use = "it returns the run"]
    pub fn signal(self, name: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        self.signal_after(Duration::ZERO, name, body)
    }

    /// Sends a signal to the run at a virtual time, counted from the beginning of the run.
    #[track_caller]
    #[must_use = "it returns the run"]
    pub fn signal_after(self, wait: Duration, name: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        let at = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let sent = Signal { at, name: name.into(), body: body.into() };
        self.before("a signal", |plan| plan.world.signals.push(sent))
    }

    /// Sets the moment at which the run begins, as RFC 3339 writes it. By default it is 2026-01-01T00:00:00Z.
    #[track_caller]
    #[must_use = "it returns the run"]
    pub fn now(self, moment: &str) -> Self {
        let Some(now) = moment::of_rfc_3339(moment) else {
            stop(&format!("the run cannot begin at {moment:?}: write a moment such as 2026-12-24T18:00:00+01:00"));
        };
        self.before("`now`", |plan| plan.world.now = now)
    }

    /// The result of the run. If the run does not succeed, this panics with the text of the failure.
    #[track_caller]
    pub fn result(&self) -> &[u8] {
        let ended = self.end();
        let calls = listed(&ended.calls);
        match (&ended.failing, ended.state) {
            (None, _) => &ended.result,
            (Some(failing), State::Paused) => stop(&format!(
                "the run has paused, as its flow says for a node that has failed: {}{calls}",
                failing.text()
            )),
            (Some(_), _) => {
                let body = ended.response.as_ref().map(Response::body).unwrap_or_default();
                stop(&format!("the run has failed: {}{calls}", String::from_utf8_lossy(body).trim()))
            }
        }
    }

    /// How the run ended: [`State::Succeeded`], [`State::Failed`], or [`State::Paused`] if a node has failed and its flow pauses
    /// then.
    #[track_caller]
    pub fn state(&self) -> State {
        self.end().state
    }

    /// What has failed, with its code, its path and its message. `None` if the run has succeeded.
    #[track_caller]
    pub fn failure(&self) -> Option<&Failed> {
        self.end().failing.as_ref().map(|failing| &failing.failed)
    }

    /// What the caller of the run is answered: the result, or the text of the failure, with the status and the headers that the
    /// flow has set, and the media type as `content-type`. `None` if the run has paused.
    #[track_caller]
    pub fn response(&self) -> Option<&Response> {
        self.end().response.as_ref()
    }

    /// The calls of functions and URLs that the run has made, each try by itself, in the order in which they were made.
    #[track_caller]
    pub fn calls(&self) -> &[Call] {
        &self.end().calls
    }

    /// The paths of the nodes that ran, such as `F[f2]/charge`, in the order in which they began.
    #[track_caller]
    pub fn ran(&self) -> &[String] {
        &self.end().ran
    }

    /// How much virtual time the run took.
    #[track_caller]
    pub fn took(&self) -> Duration {
        self.end().took
    }

    /// The lines that the flow has logged, in order.
    #[track_caller]
    pub fn logs(&self) -> Vec<(Level, String)> {
        self.end();
        self.fake.logs()
    }

    /// The labels that the flow has given the run, sorted by key.
    #[track_caller]
    pub fn labels(&self) -> Vec<(String, String)> {
        self.end();
        self.fake.labels()
    }

    /// Reads a JSON value that the flow, or the test, has set.
    ///
    /// # Errors
    ///
    /// If the value is not JSON or does not fit the type.
    #[track_caller]
    pub fn value<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.end();
        self.fake.get(key)
    }

    /// Says something before the run.
    #[track_caller]
    fn before(mut self, what: &str, change: impl FnOnce(&mut Plan<'a>)) -> Self {
        match self.plan.get_mut() {
            Some(plan) => change(plan),
            None => stop(&format!("the run has taken place: say {what} before asking for what came of it")),
        }
        self
    }

    #[track_caller]
    fn end(&self) -> &Ended {
        if let Some(ended) = self.ended.get() {
            return ended;
        }
        let Some(plan) = self.plan.take() else { stop("the run has ended with a panic") };
        let ended = play(&self.fake, plan);
        self.ended.get_or_init(|| ended)
    }
}

impl World<'_> {
    /// What the longest name that a call is at or below answers.
    #[track_caller]
    fn answer(&mut self, call: &Call) -> Answer {
        let mut name = call.function();
        loop {
            if let Some(answer) = self.functions.get_mut(name) {
                return answer(call);
            }
            match name.rfind('/').and_then(|at| name.get(..at)) {
                Some(above) => name = above,
                None => break,
            }
        }
        let (node, name) = (call.node(), call.function());
        let known = self.functions.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "none" } else { &known };
        stop(&format!(
            "node `{node}` calls `{name}`, and the test does not say what that answers (it has answers for {known}): add .function({name:?}, …) or .answers({name:?}, …) to the run"
        ))
    }
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.ended.get().map(|ended| ended.state);
        f.debug_struct("Run").field("fake", &self.fake).field("state", &state).finish_non_exhaustive()
    }
}

/// Calls, for a message.
fn listed(calls: &[Call]) -> String {
    let line = |call: &Call| {
        let body = String::from_utf8_lossy(call.body());
        format!("\n  {:?} {}: {} {} {body:?}", call.at(), call.node(), call.method(), call.function())
    };
    match calls {
        [] => String::new(),
        calls => ["\nthe calls that it made:".to_owned()].into_iter().chain(calls.iter().map(line)).collect(),
    }
}
