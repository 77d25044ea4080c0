"""Runs a whole flow in a test."""

from __future__ import annotations

from collections.abc import Callable

from .. import _check
from .._explain import home_of
from .._failure import Failed
from .._http import Request, Response
from .._record import Define, Recorded
from .._values import Outcome, State
from ._engine import Engine, Failing, Value
from ._fake import OCTET_STREAM, Fake

Data = bytes | str
Answer = Data | Response | Callable[[Request], Data | Response]
"""What a function of a test answers: data, a response, or what a Python function makes of the request."""


class RunFailed(Exception):
    """The run of a flow has failed. Its text is what the caller is answered."""

    def __init__(self, failed: Failed, answer: str) -> None:
        """Tests do not need this: `Run.result` raises it."""
        super().__init__(answer)
        self.failed = failed
        """What has failed."""


class Run:
    """One run of a flow, made by `run`.

    ```python
    fake = Fake(query={"express": "yes"})
    order = run(define, '{"id": 7}', fake).function("charge", '{"paid": true}').function("ship", Response(503))
    with pytest.raises(RunFailed, match="503"):
        order.result()
    assert [name for name, _ in order.calls] == ["charge", "ship", "ship"]
    assert fake.labels == {"order": "7"}
    ```

    Nodes are executed one after the other, sleeps and waits between tries take no time, limits hold nothing up, and nothing
    times out but a wait for a signal that the test does not send. To run the module itself with all rules of the host, use
    `faas-flow test`.
    """

    def __init__(self, define: Define, input: Data, fake: Fake, content_type: str) -> None:
        """Tests call `run` instead."""
        self._define = define
        self._input = Value(_check.data(input, "the input"), content_type)
        self._fake = fake
        self._answers: dict[str, Answer] = {}
        self._signals: list[tuple[str, bytes]] = []
        self._content_type = OCTET_STREAM
        self._calls: list[tuple[str, Request]] = []

    def function(self, name: str, answer: Answer) -> Run:
        """Gives the run a function (with its path, `wc/lines`, or for all its paths, `wc`) and says what it answers: data, a
        `Response`, or a Python function that gets the `Request`. A `ConnectionError` or `TimeoutError` that it raises is one
        of the call. A function that is called and was not given fails the test."""
        self._answers[_check.text(name, "the name of a function")] = answer
        return self

    def url(self, url: str, answer: Answer) -> Run:
        """Says what a URL answers, without or with its query. See `function`."""
        return self.function(url, answer)

    def signal(self, name: str, body: Data = "") -> Run:
        """Sends a signal to the run, before it begins. A wait for one that is not sent times out."""
        self._signals.append((_check.text(name, "the name of a signal"), _check.data(body, "the body of a signal")))
        return self

    def result(self) -> bytes:
        """Runs the flow to its end, the failure and the finally handler included, and returns its result. A run that fails
        raises `RunFailed`."""
        recorded = self._fake._defining(lambda context: Recorded(self._define, context))
        definition = recorded.definition
        engine = Engine(recorded.handlers, self._fake, home_of(self._define), self._answer, list(self._signals))
        try:
            value = engine.dag(definition["dag"], "", self._input)
        except Failing as failing:
            raise RunFailed(failing.failed, self._failed(engine, definition.get("on-failure"), failing)) from failing.cause
        else:
            self._content_type = value.media_type
            self._fake._state = State.SUCCEEDED
            return value.data
        finally:
            if "finally" in definition and self._fake._state is not State.RUNNING:
                outcome = Outcome.SUCCESS if self._fake._state is State.SUCCEEDED else Outcome.FAILURE
                engine.at_end(lambda handlers: handlers.finally_(definition["finally"], outcome))

    @property
    def content_type(self) -> str:
        """The media type of the result."""
        return self._content_type

    @property
    def calls(self) -> list[tuple[str, Request]]:
        """The calls that the run has made, in order: the function or URL as the flow names it, and the request."""
        return list(self._calls)

    def _failed(self, engine: Engine, handler: str | None, failing: Failing) -> str:
        self._fake._state = State.FAILED
        self._fake._response = None
        text = str(failing.failed)
        if handler is not None:
            answer = engine.at_end(lambda handlers: handlers.recover(handler, failing.failed.message))
            text = text if answer is None else answer.decode(errors="replace")
        return text

    def _answer(self, target: str, request: Request) -> Response:
        self._calls.append((target, request))
        for name in (target, target.split("?")[0], target.split("/")[0]):
            if name in self._answers:
                answer = self._answers[name]
                answer = answer(request) if callable(answer) else answer
                if isinstance(answer, Response):
                    return answer
                return Response(200, (), _check.data(answer, f"what the test's function `{name}` answers"))
        how = f".url({target!r}, …)" if "://" in target else f".function({target!r}, …)"
        raise LookupError(f"the flow calls `{target}`, of which the test knows nothing: add {how} to the run")


def run(define: Define, input: Data = "", fake: Fake | None = None, *, content_type: str = OCTET_STREAM) -> Run:
    """A run of the flow that `define` describes, whose request has this body. It begins with `Run.result`.

    The `Fake` says what else the request has, and remembers what the flow logged and set.
    """
    return Run(define, input, fake if fake is not None else Fake(), content_type)
