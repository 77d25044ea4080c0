"""What a flow's functions raise, and what they get that catch failures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

from . import _check


class Failure(Exception):
    """Why a function of a flow produced no value: `Retry` or `Reject`.

    The message appears in the run's history, in the logs and in the caller's answer, so write it for people. Any other
    exception that leaves a function of a flow is a rejection, too, because code that runs again on the same input fails
    again. Its text is Python's own message, with the file and line: `ValueError: … (flow.py, line 12, in report)`.
    """


class Retry(Failure):
    """Trying again may help: the host retries as often as the retry policy of the call or node allows.

    ```python
    def stock(response: Response) -> bytes:
        if response.status == 503:
            raise Retry("the warehouse is closed for a moment")
        return response.body
    ```
    """


class Reject(Failure):
    """Trying again cannot help: the host does not retry.

    If the run fails with it, its caller is answered with `status`, from 400 to 499. Without a status, the caller gets 422 if
    the function rejects the body of the request itself, that is, in the node that gets it, before the node has called
    anything; and otherwise 500.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        """A failure that happens again on the next try."""
        super().__init__(message)
        self.status = None if status is None else _check.whole(status, "the status of a rejection", 400, 499)


class FailureKind(Enum):
    """What kind of failure it is."""

    REJECTED = "rejected"
    """The flow's code has rejected its data, or asked for a retry when none was left."""
    ANSWERED = "answered"
    """A call was answered with an error status, or with an answer that cannot be used."""
    UNREACHABLE = "unreachable"
    """A call could not be made: there was no connection, or no such function."""
    TIMED_OUT = "timed-out"
    """A call, a node or an answer took too long."""
    CRASHED = "crashed"
    """The flow's code crashed or exceeded a limit."""
    CHILD = "child"
    """A flow that was called did not succeed."""
    OTHER = "other"
    """Anything else."""


@dataclass(frozen=True)
class Failed:
    """A failure after all retries, as functions that catch failures see it: those of `Node.recover_from`,
    `Call.recover_from`, `Dag.recover_from`, `Dag.recover_node` and `ForEach.gather`.

    As text, it reads as the host writes it: `FF0207 at charge: function charge answered with status 402`.
    """

    code: str
    """The error code, such as `FF0207`."""
    kind: FailureKind
    """What kind of failure that is."""
    status: int | None = None
    """The status of the response, from 100 to 599, if a call failed because of it."""
    message: str = ""
    """The text of the failure, for people."""
    path: str = ""
    """The path of the node that failed: `F[f2]/charge`."""
    tries: int = 1
    """How many tries of the call, or attempts of the node, there were. At least 1."""
    input: bytes = b""
    """The input of the failed operation, or of the failed node if none of its operations had begun. Empty in a function
    of `ForEach.gather`."""
    body: bytes | None = None
    """The body of the response, if a call failed because of its status. `None` in a function of `ForEach.gather`."""

    def json(self) -> Any:
        """The body of the response, read as JSON; `None` if there is no body."""
        return None if self.body is None else json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.code} at {self.path}: {self.message}" if self.path else f"{self.code}: {self.message}"


@dataclass(frozen=True)
class Gathered:
    """One item of a for-each and how it ended, as a function of `ForEach.gather` sees it."""

    key: str
    """The key of the item."""
    ended: bytes | Failed
    """The result of the item, or why it has none, which the for-each tolerates."""

    @property
    def failed(self) -> Failed | None:
        """Why the item has no result, or `None` if it has one."""
        return self.ended if isinstance(self.ended, Failed) else None
