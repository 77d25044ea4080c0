"""Makes a component of a flow. `componentize-py` runs it: an author's code does not import it, unless `define` is somewhere
else than in `flow.py` (see `use`).

While the module is built, `define` runs and is recorded, so that the definition is part of the module. If `define` reads the
context, it runs again in each instance, when there is a context.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import TypeVar

from componentize_py_types import Err, Ok
from wit_world.imports import builder, types
from wit_world.imports import context as wit

from . import _replay, _sandbox
from ._context import Context, calling
from ._explain import explain, home_of
from ._failure import Failed, FailureKind, Gathered, Reject, Retry
from ._handlers import Handlers as Functions
from ._http import Request, Response
from ._inputs import Inputs
from ._record import Define, Recorded
from ._values import Level, Outcome, State

__all__ = [
    "Definition",
    "Gathering",
    "Handlers",
    "Limiting",
    "Recovery",
    "Repeating",
    "Signalling",
    "Timing",
    "use",
]

T = TypeVar("T")


class _ReadsContext(BaseException):
    """`define` reads the context, and the module is still being built."""


class _Host:
    """The context that the host offers, once there is one."""

    def __init__(self) -> None:
        self.is_building = True
        self.was_read = False
        self.logged: list[tuple[Level, str]] = []

    def _ask(self, call: Callable[[], T], failure: type[Retry] | type[Reject] = Reject) -> T:
        if self.is_building:
            self.was_read = True
            raise _ReadsContext
        try:
            return call()
        except Err as error:
            raise failure(error.value) from None

    def request_id(self) -> str:
        return self._ask(wit.request_id)

    def flow_name(self) -> str:
        return self._ask(wit.flow_name)

    def node(self) -> str:
        return self._ask(wit.node)

    def state(self) -> State:
        return State[self._ask(wit.state).name]

    def query(self, name: str) -> list[str]:
        return self._ask(lambda: wit.query(name))

    def header(self, name: str) -> list[str]:
        return self._ask(lambda: wit.header(name))

    def inputs(self) -> list[tuple[str, bytes]]:
        return self._ask(wit.inputs)

    def content_type(self) -> str:
        return self._ask(wit.content_type)

    def content_types(self) -> list[str]:
        return self._ask(wit.content_types)

    def set_content_type(self, media_type: str) -> None:
        self._ask(lambda: wit.set_content_type(media_type))

    def respond(self, status: int, headers: list[tuple[str, str]]) -> None:
        self._ask(lambda: wit.respond(status, headers))

    def label(self, key: str, value: str) -> None:
        self._ask(lambda: wit.label(key, value))

    # Reading fails when the store cannot be reached, which may pass. Changing fails when the host refuses the key or the value,
    # which does not.
    def get(self, key: str) -> bytes | None:
        return self._ask(lambda: wit.get(key), Retry)

    def set(self, key: str, value: bytes) -> None:
        self._ask(lambda: wit.set(key, value))

    def delete(self, key: str) -> None:
        self._ask(lambda: wit.delete(key))

    def signal_url(self, name: str, valid_ms: int | None) -> str:
        return self._ask(lambda: wit.signal_url(name, valid_ms))

    def log(self, level: Level, message: str) -> None:
        if self.is_building:
            self.logged.append((level, message))
        else:
            wit.log(wit.Level[level.name], message)


class _Flow:
    """The flow of this module, and what is recorded of it."""

    def __init__(self, define: Define) -> None:
        self.define = define
        self.home = home_of(define)
        self.host = _Host()
        self.context = Context(self.host)
        self.recorded: Recorded | None = None
        try:
            recorded = Recorded(define, self.context)
        except _ReadsContext:
            return
        # Nothing that `define` may have caught is forgotten.
        if not self.host.was_read:
            self.recorded = recorded

    def begin(self) -> Recorded:
        """What is recorded, in an instance, whose first call this may be."""
        if self.host.is_building:
            self.host.is_building = False
            _sandbox.enter(self.host.log)
        if self.recorded is None:
            self.host.logged.clear()
            with calling(self.host):
                self.recorded = Recorded(self.define, self.context)
        return self.recorded

    def failure(self, id: str, error: BaseException) -> types.Failure:
        function = self.recorded.handlers.function(id) if self.recorded else None
        message = explain(error, self.home, function)
        if isinstance(error, Retry):
            return types.Failure_Retry(message)
        if isinstance(error, Reject):
            if error.status is not None:
                try:
                    wit.set_reject_status(error.status)
                except Err as refused:
                    message = f"{message} ({refused.value})"
        else:
            self.context.debug("".join(traceback.format_exception(error)))
        return types.Failure_Reject(message)


_flow: list[_Flow] = []


def use(define: Define) -> None:
    """Makes the flow that this function describes the one of the module.

    `faas_flow.app` does it with the `define` of `flow.py`. A module with `define` somewhere else has a file of its own for
    `componentize-py`:

    ```python
    from faas_flow.component import *
    from orders import define

    use(define)
    ```
    """
    if not callable(define):
        raise TypeError(f"`define` is {type(define).__name__}, and must be a function `define(workflow, context)`")
    _sandbox.prepare()
    _flow[:] = [_Flow(define)]


def _answer(id: str, call: Callable[[Functions], T]) -> T:
    """Calls a function of the author. Whatever leaves it becomes a failure, even `sys.exit`: the component would crash."""
    flow = _flow[0]
    try:
        with calling(flow.host):
            return call(flow.begin().handlers)
    except BaseException as error:
        raise Err(flow.failure(id, error)) from None
    finally:
        _sandbox.flush()


class Definition:
    """The interface `definition` of the contract."""

    def define(self, flow: builder.Workflow) -> None:
        """Describes the flow to the host."""
        this = _flow[0]
        try:
            definition = this.begin().definition
            for level, message in this.host.logged:
                this.host.log(level, message)
            _replay.workflow(flow, definition)
        except BaseException as error:
            raise Err(explain(error, this.home, this.define)) from None
        finally:
            _sandbox.flush()


class Handlers:
    """The interface `handlers` of the contract."""

    def modify(self, handler: str, data: bytes) -> bytes:
        return _answer(handler, lambda functions: functions.modify(handler, data))

    def aggregate(self, handler: str, inputs: list[tuple[str, bytes]]) -> bytes:
        return _answer(handler, lambda functions: functions.aggregate(handler, Inputs(inputs)))

    def condition(self, handler: str, data: bytes) -> list[str]:
        return _answer(handler, lambda functions: functions.condition(handler, data))

    def for_each(self, handler: str, data: bytes) -> list[tuple[str, bytes]]:
        return _answer(handler, lambda functions: functions.for_each(handler, data))

    def forward(self, handler: str, data: bytes) -> bytes:
        return _answer(handler, lambda functions: functions.forward(handler, data))

    def prepare(self, handler: str, request: types.HttpRequest) -> types.HttpRequest:
        got = Request(request.method, request.url, request.headers, request.body)
        changed = _answer(handler, lambda functions: functions.prepare(handler, got))
        return types.HttpRequest(changed.method, changed.url, list(changed.headers), changed.body)

    def receive(self, handler: str, response: types.HttpResponse) -> bytes:
        got = Response(response.status, response.headers, response.body)
        return _answer(handler, lambda functions: functions.receive(handler, got))

    def recover(self, handler: str, error: str) -> bytes:
        return _answer(handler, lambda functions: functions.recover(handler, error))

    def finally_(self, handler: str, outcome: types.Outcome) -> None:
        _answer(handler, lambda functions: functions.finally_(handler, Outcome[outcome.name]))


class Recovery:
    """The interface `recovery` of the contract."""

    def recover_from(self, handler: str, what: types.Failed, input: bytes, body: bytes | None) -> bytes:
        return _answer(handler, lambda functions: functions.recover_from(handler, _failed(what, input, body)))


class Gathering:
    """The interface `gathering` of the contract."""

    def gather(self, handler: str, items: list[types.Gathered]) -> bytes:
        gathered = [
            Gathered(item.key, item.ended.value if isinstance(item.ended, Ok) else _failed(item.ended.value))
            for item in items
        ]
        return _answer(handler, lambda functions: functions.gather(handler, gathered))


class Timing:
    """The interface `timing` of the contract."""

    def moment(self, handler: str, data: bytes) -> types.Wake:
        wake = _answer(handler, lambda functions: functions.moment(handler, data))
        return types.Wake_After(wake.after_ms or 0) if wake.moment is None else types.Wake_At(wake.moment)


class Repeating:
    """The interface `repeating` of the contract."""

    def again(self, handler: str, data: bytes, round: int) -> bool:
        return _answer(handler, lambda functions: functions.again(handler, data, round))


class Signalling:
    """The interface `signalling` of the contract."""

    def signal_name(self, handler: str, data: bytes) -> str:
        return _answer(handler, lambda functions: functions.signal_name(handler, data))


class Limiting:
    """The interface `limiting` of the contract."""

    def key(self, handler: str, data: bytes) -> str:
        return _answer(handler, lambda functions: functions.key(handler, data))


def _failed(what: types.Failed, input: bytes = b"", body: bytes | None = None) -> Failed:
    kind = FailureKind[what.kind.name]
    return Failed(what.code, kind, what.status, what.message, what.path, what.tries, input, body)
