//! A run from the body of its request to its end.

use super::attempt::{Engine, Value};
use super::failing::{Failing, Step, stop};
use super::shape::awaited;
use super::{Ended, Plan, Signal, World};
use crate::definition::{Dag, Definition};
use crate::http::Response;
use crate::record::{Recorded, record};
use crate::testing::Fake;
use crate::values::{Exhausted, Level, Outcome, State};
use std::collections::BTreeSet;
use std::time::Duration;

/// Runs a flow.
#[track_caller]
pub(super) fn play(fake: &Fake, Plan { define, input, world }: Plan<'_>) -> Ended {
    let recorded = match fake.defining(|context| record(define, context)) {
        Ok(recorded) => recorded,
        Err(failure) => stop(&format!("the flow cannot be defined: {failure}")),
    };
    fake.playing(|| {
        let input = Value { data: input, media_type: fake.context().content_type(), is_request: true };
        play_recorded(fake, &recorded, &input, world)
    })
}

#[track_caller]
fn play_recorded(fake: &Fake, recorded: &Recorded, input: &Value, mut world: World<'_>) -> Ended {
    let Recorded { definition, handlers, .. } = recorded;
    expect(&world.signals, &definition.dag);
    world.signals.sort_by_key(|sent| sent.at);
    fake.enter_state(State::Running);
    let mut engine = Engine::new(definition, handlers, fake, world);
    let ended = engine.dag(&definition.dag, "", input);
    let took = Duration::from_millis(engine.now);
    let (state, response, result, failing) = match ended {
        Ok(value) => (State::Succeeded, Some(respond(fake, 200, value.clone())), value.data, None),
        Err(failing) if failing.retry && definition.on_exhausted == Exhausted::Pause => {
            (State::Paused, None, Vec::new(), Some(failing))
        }
        Err(mut failing) => {
            let response = failed(&mut engine, definition, &mut failing);
            (State::Failed, Some(response), Vec::new(), Some(failing))
        }
    };
    if let Some(id) = definition.finally.as_ref().filter(|_| state != State::Paused) {
        finally(&mut engine, id, state);
    }
    Ended { state, result, failing, response, calls: engine.calls, ran: engine.ran, took }
}

/// Refuses a signal for which no node ever waits.
#[track_caller]
fn expect(signals: &[Signal], dag: &Dag) {
    let mut names = BTreeSet::new();
    if awaited(dag, &mut names) {
        return;
    }
    let Some(unknown) = signals.iter().find(|sent| !names.contains(&*sent.name)) else { return };
    let awaits = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let awaits = if awaits.is_empty() { "none" } else { &awaits };
    let name = &unknown.name;
    stop(&format!("the test sends the signal `{name}`, for which the flow never waits: it waits for {awaits}"));
}

/// What the caller of the run gets.
fn respond(fake: &Fake, status: u16, body: Value) -> Response {
    let response = fake.response().unwrap_or_else(|| Response::new(status));
    let response = response.with_header("content-type", body.media_type);
    if matches!(response.status(), 204 | 205 | 304) { response } else { response.with_body(body.data) }
}

/// The answer for the caller of a run that has failed, which the failure handler may give.
fn failed(engine: &mut Engine<'_, '_>, definition: &Definition, failing: &mut Failing) -> Response {
    let fake = engine.fake;
    fake.enter_state(State::Failed);
    fake.set_response(None);
    if let Some(id) = &definition.on_failure {
        let text = failing.text();
        let handled: Step<Value> = engine
            .attempt("(failure)", None, |engine| engine.data(&Value::nothing(), |handlers| handlers.recover(id, text)));
        match handled {
            Ok(answer) => return respond(fake, failing.status(), answer),
            Err(own) => failing.in_words_of(&own),
        }
    }
    let body = Value::new(format!("{}\n", failing.text()).into_bytes(), "text/plain; charset=utf-8");
    respond(fake, failing.status(), body)
}

/// Calls the finally handler, whose failure changes nothing.
fn finally(engine: &mut Engine<'_, '_>, id: &str, state: State) {
    let fake = engine.fake;
    fake.enter_state(state);
    let response = fake.response();
    let outcome = if state == State::Succeeded { Outcome::Success } else { Outcome::Failure };
    let ended = engine
        .attempt("(finally)", None, |engine| engine.plain(&Value::nothing(), |handlers| handlers.finally(id, outcome)));
    if let Err(failing) = ended {
        let message = format!("the finally handler has failed: {}", failing.failed.message());
        fake.context().log(Level::Error, message);
    }
    fake.set_response(response);
}
