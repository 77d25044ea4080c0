"""Calls the flow's own code, and lets virtual time pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from .._explain import explain
from .._failure import Failed, FailureKind, Reject, Retry
from .._handlers import Handlers
from .._http import Response
from .._inputs import Inputs
from .._record import Json
from ._fake import OCTET_STREAM, Fake

T = TypeVar("T")

Level = Literal["operation", "node", "run"]
"""Whose failure it is: nobody further in catches it."""


@dataclass(frozen=True)
class Value:
    """Data and its media type."""

    data: bytes = b""
    media_type: str = OCTET_STREAM
    is_request: bool = False
    """Whether it is the body of the request, which nobody has changed on the way."""


Named = list[tuple[str, Value]]


class Failing(Exception):
    """A failure on its way outwards."""

    def __init__(
        self,
        code: str,
        kind: FailureKind,
        path: str,
        message: str,
        *,
        retry: bool = False,
        level: Level = "operation",
        input: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.failed = Failed(code, kind, None, message, path, 1, input)
        self.retry = retry
        self.level = level
        self.spent = ""
        """Which retry policy ran out, if one did."""
        self.answer: int | None = None
        """The status with which a function of the flow wants its caller to be answered."""
        self.retry_after = 0
        """The wait for which a response asks, in milliseconds."""
        self.cause: BaseException | None = None

    def change(self, **facts: Any) -> Failing:
        """The same failure, of which other facts are known."""
        self.failed = replace(self.failed, **facts)
        return self

    @property
    def text(self) -> str:
        """What the host shows of it."""
        return str(self.failed) + (f" ({self.spent})" if self.spent else "")

    @property
    def text_without_path(self) -> str:
        """What the host shows of it, without the path."""
        return str(replace(self.failed, path="")) + (f" ({self.spent})" if self.spent else "")

    def wait(self, policy: Json | None, tries: int) -> int | None:
        """The wait before another try in milliseconds, if the policy allows one after this number of them."""
        if policy is None or not self.retry or tries >= policy["attempts"]:
            return None
        wait, factor, most = (float(policy[key]) for key in ("first-delay-ms", "factor", "max-delay-ms"))
        for _ in range(tries - 1):
            wait = min(wait * factor, most)
        return max(round(min(wait, most)), self.retry_after)

    def last(self, policy: Json | None, whose: Literal["call", "node"], tries: int) -> Failing:
        """Says that there is no further try."""
        if policy is not None and self.retry:
            one, several = ("try", "tries") if whose == "call" else ("attempt", "attempts")
            self.spent = f"the retry policy of the {whose} ran out after {tries} {one if tries == 1 else several}"
            self.change(tries=tries)
        return self


@dataclass
class _Own:
    """One attempt of a node, as far as it is not that of its branches. Times are in milliseconds."""

    path: str
    limit: int | None
    before: tuple[dict[str, bytes], dict[str, str], Response | None]
    until: int | None = None
    input: bytes = b""
    """What the present operation has got."""
    of_request: bool = False
    """Whether it has got the body of the request."""
    has_called: bool = False
    """Whether it has seen what a call answered."""


class Attempts:
    """Executes the flow's own code, one function after the other."""

    def __init__(self, handlers: Handlers, fake: Fake, home: str, deadline: int | None) -> None:
        self._handlers = handlers
        self._fake = fake
        self._home = home
        self._deadline = deadline
        self.now = 0
        """The virtual time of what is being executed in milliseconds, counted from the beginning of the run."""
        self._own = _Own("", None, self._changes())

    def attempt(self, path: str, run: Callable[[], T], limit: int | None = None) -> T:
        """Executes the flow's own code, or operations, and drops what they have set if they fail."""
        self._own = _Own(path, limit, self._changes())
        self._fake._node, self._fake._inputs, self._fake._content_types = path, [], []
        self._commit()
        try:
            return run()
        except Failing:
            self._fake._values, self._fake._labels, self._fake._response = self._own.before
            raise

    def _changes(self) -> tuple[dict[str, bytes], dict[str, str], Response | None]:
        return self._fake._values.copy(), self._fake._labels.copy(), self._fake._response

    def _commit(self) -> None:
        """Keeps what the attempt has set by now, and restarts its time limit."""
        self._own.before = self._changes()
        self._own.until = None if self._own.limit is None else self.now + self._own.limit

    def data(self, of: Value, call: Callable[[Handlers], bytes], id: str = "") -> Value:
        """Calls a function of the flow that returns data."""
        data = self.plain(of, call, id)
        return Value(data, self._fake.returned_content_type)

    def plain(self, of: Value, call: Callable[[Handlers], T], id: str = "") -> T:
        """Calls a function of the flow with this data."""
        self._fake._content_type = of.media_type
        try:
            return self._fake._calling(lambda: call(self._handlers))
        except Retry as error:
            failing = Failing("FF0013", FailureKind.REJECTED, self._own.path, str(error), retry=True, input=of.data)
            failing.cause = error
        except (Exception, SystemExit) as error:
            message = explain(error, self._home, self._handlers.function(id))
            failing = Failing("FF0012", FailureKind.REJECTED, self._own.path, message, input=of.data)
            failing.cause = error
            if isinstance(error, Reject):
                failing.answer = error.status
            if failing.answer is None and self._own.of_request and not self._own.has_called:
                failing.answer = 422
        raise failing

    def aggregate(self, id: str, inputs: Named) -> Value:
        of_node = self._fake._content_types
        self._fake._content_types = [value.media_type for _, value in inputs]
        merged = Inputs([(name, value.data) for name, value in inputs])
        value = self.data(Value(), lambda handlers: handlers.aggregate(id, merged), id)
        self._fake._content_types = of_node
        return value

    def recover_from(self, id: str, failing: Failing) -> Value:
        return self.data(Value(), lambda handlers: handlers.recover_from(id, failing.failed), id)

    def _pass(self, ms: int) -> None:
        """Lets time pass while a node is being executed."""
        end, until = self.now + ms, self._own.until
        is_late = until is not None and end > until
        if until is not None and is_late:
            end = until
        if self._deadline is not None and end > self._deadline:
            self.now = self._deadline
            why = "raise the deadline, or look in the history of the run for what was slow"
            message = f"the run took longer than its deadline: {why}"
            raise Failing("FF0210", FailureKind.OTHER, "", message, level="run")
        self.now = end
        if is_late:
            message = f"the node took longer than its timeout of {self._own.limit} ms"
            kind, input = FailureKind.TIMED_OUT, self._own.input
            raise Failing("FF0209", kind, self._own.path, message, retry=True, level="node", input=input)

    def _suspend(self, ms: int) -> None:
        """Lets time pass while nothing is held: what the node has set is committed, and its time limit does not count."""
        self._own.until = None
        self._pass(ms)
        self._commit()
