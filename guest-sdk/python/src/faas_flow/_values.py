"""Small types that name one thing out of a few."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from . import _check
from ._check import Time


class Outcome(Enum):
    """How a run ended, as the function of `Workflow.finally_` sees it."""

    SUCCESS = "success"
    """The run produced its result."""
    FAILURE = "failure"
    """A node failed, the deadline passed, or the run was stopped."""


class State(Enum):
    """The state of a run."""

    RUNNING = "running"
    """Nodes are running or waiting to run."""
    PAUSED = "paused"
    """Nothing new starts until an operator resumes the run."""
    STOPPED = "stopped"
    """An operator ended the run before it was done."""
    SUCCEEDED = "succeeded"
    """The run ended with its result."""
    FAILED = "failed"
    """The run failed."""


class Level(Enum):
    """The severity of a log line, from the least to the most important."""

    TRACE = "trace"
    """Fine-grained detail, useful to the author of the flow only."""
    DEBUG = "debug"
    """Detail that helps to find a fault."""
    INFO = "info"
    """Normal events that an operator may want to see."""
    WARN = "warn"
    """Something that may become a problem."""
    ERROR = "error"
    """A problem."""


class Exhausted(Enum):
    """What the host does when a node has failed and its retries are exhausted."""

    FAIL = "fail"
    """The run fails. This is the default."""
    PAUSE = "pause"
    """The run pauses, so that an operator can fix the cause and resume it. A `Reject` still fails the run, since trying
    again cannot help."""


class Missed(Enum):
    """What happens with the moments of a `Schedule` at which no replica was running."""

    SKIP = "skip"
    """Nothing begins for them. This is the default."""
    ONE = "one"
    """A run begins for the latest of them."""
    ALL = "all"
    """A run begins for each of the last thousand of them, the oldest first."""


class Overlap(Enum):
    """What happens at a moment of a `Schedule` at which the previous run has not ended."""

    SKIP = "skip"
    """No run begins for the moment. This is the default."""
    ALLOW = "allow"
    """Another run begins beside it."""
    QUEUE = "queue"
    """The moment waits until the previous run has ended. At most a hundred wait."""
    REPLACE = "replace"
    """The previous run is stopped."""


@dataclass(frozen=True)
class Backoff:
    """A retry policy: how often to try, and how long to wait in between.

    Before try *n* (the second and later ones) the host waits `min(max_delay, first_delay × factor^(n-2))`, less a random
    share of up to one half, so that many runs that failed together are not tried again together.

    ```python
    # Waits of up to 1 s, 3 s and 9 s between four tries.
    dag.node("pay").apply("charge-card").retry(Backoff(4, first_delay=1, factor=3))
    ```

    The host checks the ranges when it loads the flow, and reports values outside of them.
    """

    attempts: int
    """The number of tries, including the first: 1 to 100."""
    first_delay: Time = 0.1
    """The wait before the second try: seconds, or a `timedelta`."""
    factor: float = 2.0
    """The factor by which each further wait is longer than the one before: 1 to 100."""
    max_delay: Time = 10
    """The longest wait: up to one day."""

    def __post_init__(self) -> None:
        most = 2**32 - 1
        _check.whole(self.attempts, "the number of attempts", 0, most)
        _check.millis(self.first_delay, "the first delay", most)
        _check.number(self.factor, "the factor")
        _check.millis(self.max_delay, "the longest delay", most)


@dataclass(frozen=True)
class Wake:
    """When a sleeping node continues: see `Node.sleep_until`. Made by `Wake.after` or `Wake.at`."""

    after_ms: int | None
    """After this time, in milliseconds. 0 does not sleep."""
    moment: str | None
    """At this moment, as RFC 3339 writes it: `2026-12-24T18:00:00+01:00`. A moment in the past does not sleep."""

    @staticmethod
    def after(time: Time) -> Wake:
        """After this time: seconds, or a `timedelta`."""
        return Wake(_check.millis(time, "the time of a sleep"), None)

    @staticmethod
    def at(moment: str | datetime) -> Wake:
        """At this moment: a text as RFC 3339 writes it, or a `datetime` with a time zone. The host refuses any other form
        when the node is executed."""
        if isinstance(moment, datetime):
            if moment.tzinfo is None:
                raise ValueError(f"the moment {moment.isoformat()} has no time zone: give the datetime a `tzinfo`")
            moment = moment.isoformat()
        return Wake(None, _check.text(moment, "the moment of a sleep"))
