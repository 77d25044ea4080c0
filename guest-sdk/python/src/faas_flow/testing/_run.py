"""Runs a whole flow in a test."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from .. import _check
from .._check import Time
from .._explain import home_of
from .._failure import Failed
from .._http import Response
from .._record import Define, Recorded
from .._values import Level, Outcome, State
from ._attempt import Failing, Value
from ._call import Answer, Answers, Call, Data, Function, answer_of
from ._engine import Engine, awaited
from ._fake import Fake
from ._operations import Signal, World, moment_of


class RunFailed(Exception):
    """The run of a flow has not succeeded. Its text is what the caller is answered, and the calls that the run has made."""

    def __init__(self, failed: Failed, text: str) -> None:
        """Tests do not need this: `Run.result` raises it."""
        super().__init__(text)
        self.failed = failed
        """What has failed."""


@dataclass(frozen=True)
class _Ended:
    """What came of a run."""

    state: State
    result: bytes
    failing: Failing | None
    response: Response | None
    engine: Engine
    took: timedelta


class Run:
    """One run of a flow, made by `run`.

    First say what the run finds: what functions answer, which signals come. The run takes place as soon as the test asks for
    what came of it, and only once.

    ```python
    order = run(define, "7")
    order.answers("charge", Response(503), "paid").function("ship", lambda call: b"shipped " + call.body)
    order.signal_after(timedelta(hours=5), "approval", "yes")
    assert order.result() == b"shipped yes"
    assert [call.function for call in order.calls] == ["charge", "charge", "ship"]
    assert order.labels == {"order": "7"}
    ```

    The rules are those of the host, with these simplifications. Nodes and branches are executed one after the other, and not
    at the same time: of those that are ready, the one that would begin the earliest. Time is virtual, and passes only by
    sleeps, by waits for signals, between tries and rounds, and by the delays of answers; waits between tries are as long as
    their policy allows. Limits over all runs hold nothing up, nothing begins by a schedule, and a flow that is called is a
    function like any other. To test those, use `faas-flow test`.
    """

    def __init__(self, define: Define, input: Data, fake: Fake) -> None:
        """Tests call `run` instead."""
        self._define = define
        self._input = _check.data(input, "the input")
        self._fake = fake
        self._functions: dict[str, Answers | Function] = {}
        self._signals: list[Signal] = []
        self._now = datetime(2026, 1, 1, tzinfo=timezone.utc)
        self._ended: _Ended | None = None

    def function(self, name: str, answer: Answers | Function) -> Run:
        """Says what a function answers to a call: one such as `charge`, which stands for all its paths, or `wc/lines` for
        what is below this path; or a URL, which stands for all below it. The longest name counts. A call for which there is no
        answer fails the test.

        The answer is data, a `Response`, an `Answer` that says more, or a Python function that gets the `Call`. A
        `ConnectionError` that it raises fails the call as one that cannot be made, and a `TimeoutError` as one that takes too
        long."""
        self._before("function")
        self._functions[_check.text(name, "the name of a function").rstrip("/")] = answer
        return self

    def answers(self, name: str, *answers: Answers) -> Run:
        """Says what a function answers: to each call the next one of these answers, and to all further calls the last one.
        Names are as for `function`."""
        if not answers:
            raise TypeError(f"`answers` of `{name}` needs at least one answer")
        rest = iter(answers[:-1])
        return self.function(name, lambda call: next(rest, answers[-1]))

    def signal(self, name: str, body: Data = "") -> Run:
        """Sends a signal to the run before it begins."""
        return self.signal_after(0, name, body)

    def signal_after(self, wait: Time, name: str, body: Data = "") -> Run:
        """Sends a signal to the run at a virtual time, counted from the beginning of the run: seconds, or a `timedelta`."""
        self._before("a signal")
        at = _check.millis(wait, "the time of a signal")
        body = _check.data(body, "the body of a signal")
        self._signals.append(Signal(at, _check.text(name, "the name of a signal"), body))
        return self

    def now(self, moment: str | datetime) -> Run:
        """Sets the moment at which the run begins: a text as RFC 3339 writes it, or a `datetime` with a time zone. By default
        it is 2026-01-01T00:00:00Z."""
        self._before("now")
        now = moment_of(moment) if isinstance(moment, str) else moment
        if now is None or now.tzinfo is None:
            raise ValueError(f"the run cannot begin at {moment}: write a moment such as 2026-12-24T18:00:00+01:00")
        self._now = now.astimezone(timezone.utc)
        return self

    def result(self) -> bytes:
        """The result of the run. A run that does not succeed raises `RunFailed`."""
        ended = self._end()
        if ended.failing is None:
            return ended.result
        if ended.response is None:
            text = f"the run has paused, as its flow says for a node that has failed: {ended.failing.text}"
        else:
            text = f"the run has failed: {ended.response.body.decode(errors='replace').strip()}"
        raise RunFailed(ended.failing.failed, text + _listed(ended.engine.calls)) from ended.failing.cause

    @property
    def state(self) -> State:
        """How the run ended: `State.SUCCEEDED`, `State.FAILED`, or `State.PAUSED` if a node has failed and its flow pauses
        then."""
        return self._end().state

    @property
    def failure(self) -> Failed | None:
        """What has failed, with its code, its path and its message. `None` if the run has succeeded."""
        failing = self._end().failing
        return None if failing is None else failing.failed

    @property
    def response(self) -> Response | None:
        """What the caller of the run is answered: the result, or the text of the failure, with the status and the headers that
        the flow has set, and the media type as `content-type`. `None` if the run has paused."""
        return self._end().response

    @property
    def calls(self) -> list[Call]:
        """The calls of functions and URLs that the run has made, each try by itself, in the order in which they were made."""
        return list(self._end().engine.calls)

    @property
    def ran(self) -> list[str]:
        """The paths of the nodes that ran, such as `F[f2]/charge`, in the order in which they began."""
        return list(self._end().engine.ran)

    @property
    def took(self) -> timedelta:
        """How much virtual time the run took."""
        return self._end().took

    @property
    def logs(self) -> list[tuple[Level, str]]:
        """The lines that the flow has logged, in order."""
        self._end()
        return self._fake.logs

    @property
    def labels(self) -> dict[str, str]:
        """The labels that the flow has given the run."""
        self._end()
        return self._fake.labels

    def value(self, key: str, default: Any = None) -> Any:
        """A JSON value that the flow, or the test, has set, or `default`."""
        self._end()
        return self._fake.get(key, default)

    def _before(self, what: str) -> None:
        """Refuses what has to be said before the run."""
        if self._ended is not None:
            raise RuntimeError(f"the run has taken place: say {what} before asking for what came of it")

    def _end(self) -> _Ended:
        if self._ended is None:
            self._ended = self._play()
        return self._ended

    def _play(self) -> _Ended:
        fake = self._fake
        facts = fake._node, fake._inputs, fake._content_type, fake._content_types, fake._state
        try:
            return self._played()
        finally:
            fake._node, fake._inputs, fake._content_type, fake._content_types, fake._state = facts

    def _played(self) -> _Ended:
        fake = self._fake
        recorded = fake._defining(lambda context: Recorded(self._define, context))
        definition = recorded.definition
        signals = sorted(self._signals, key=lambda sent: sent.at)
        _expect(signals, awaited(definition["dag"]))
        world = World(self._now, signals, self._answer)
        engine = Engine(recorded.handlers, fake, home_of(self._define), definition.get("deadline-ms"), world)
        fake._state = State.RUNNING
        state, result, failed, response = State.SUCCEEDED, Value(), None, None
        try:
            result = engine.dag(definition["dag"], "", Value(self._input, fake._content_type, True))
            response = self._respond(200, result)
        except Failing as failing:
            failed = failing
            state = State.PAUSED if definition.get("on-exhausted") == "pause" and failing.retry else State.FAILED
            if state is State.FAILED:
                response = self._failed(engine, definition.get("on-failure"), failing)
        took = timedelta(milliseconds=engine.now)
        if "finally" in definition and state is not State.PAUSED:
            self._finally(engine, definition["finally"], state)
        return _Ended(state, result.data, failed, response, engine, took)

    def _respond(self, status: int, body: Value) -> Response:
        """What the caller of the run gets."""
        set_by_flow = self._fake._response or Response(status)
        headers = [*set_by_flow.headers, ("content-type", body.media_type)]
        return Response(set_by_flow.status, headers, b"" if set_by_flow.status in (204, 205, 304) else body.data)

    def _failed(self, engine: Engine, handler: str | None, failing: Failing) -> Response:
        """The answer for the caller of a run that has failed, which the failure handler may give."""
        self._fake._state, self._fake._response = State.FAILED, None
        if handler is not None:
            text = failing.text
            try:
                answer = engine.attempt(
                    "(failure)", lambda: engine.data(Value(), lambda handlers: handlers.recover(handler, text), handler)
                )
                return self._respond(_status_of(failing), answer)
            except Failing as own:
                failing.change(message=own.failed.message)
                failing.answer = own.answer if own.answer is not None else failing.answer
                failing.spent = ""
        body = Value(f"{failing.text}\n".encode(), "text/plain; charset=utf-8")
        return self._respond(_status_of(failing), body)

    def _finally(self, engine: Engine, id: str, state: State) -> None:
        """Calls the finally handler, whose failure changes nothing."""
        self._fake._state, response = state, self._fake._response
        outcome = Outcome.SUCCESS if state is State.SUCCEEDED else Outcome.FAILURE
        try:
            engine.attempt(
                "(finally)", lambda: engine.plain(Value(), lambda handlers: handlers.finally_(id, outcome), id)
            )
        except Failing as failing:
            self._fake.context().error(f"the finally handler has failed: {failing.failed.message}")
        self._fake._response = response

    def _answer(self, call: Call) -> Answer:
        """What the longest name that a call is at or below answers."""
        name = call.function
        while name:
            if name in self._functions:
                answer = self._functions[name]
                return answer_of(answer(call) if callable(answer) else answer, name)
            name = name.rpartition("/")[0]
        known = ", ".join(f"`{name}`" for name in sorted(self._functions)) or "none"
        how = f"add .function({call.function!r}, …) or .answers({call.function!r}, …) to the run"
        what = f"node `{call.node}` calls `{call.function}`, and the test does not say what that answers"
        raise LookupError(f"{what} (it has answers for {known}): {how}")


def run(define: Define, input: Data = "", fake: Fake | None = None) -> Run:
    """A run of the whole flow that `define` describes, whose request has this body, with functions of the test in place of
    those that the flow calls.

    The `Fake` says what else the request has, and which values are set before; its content type is that of the request.
    Afterwards it also has what the flow has logged and set.
    """
    return Run(define, input, fake if fake is not None else Fake())


def _expect(signals: list[Signal], names: set[str | None]) -> None:
    """Refuses a signal for which no node ever waits."""
    for sent in signals:
        if None not in names and sent.name not in names:
            awaits = ", ".join(f"`{name}`" for name in sorted(filter(None, names))) or "none"
            what = f"the test sends the signal `{sent.name}`, for which the flow never waits"
            raise LookupError(f"{what}: it waits for {awaits}")


def _status_of(failing: Failing) -> int:
    """The status with which the caller of a run that has failed is answered."""
    if failing.answer is not None and 400 <= failing.answer <= 499:
        return failing.answer
    if failing.failed.code in ("FF0207", "FF0208", "FF0250"):
        return 502
    return 504 if failing.failed.code in ("FF0206", "FF0209", "FF0210", "FF0253", "FF0270") else 500


def _listed(calls: list[Call]) -> str:
    """Calls, for a message."""
    lines = [f"\n  {call.at} {call.node}: {call.method} {call.function} {call.body!r}" for call in calls]
    return "\nthe calls that it made:" + "".join(lines) if lines else ""
