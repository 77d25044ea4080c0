"""Limits over all runs, and schedules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import _check
from ._values import Missed, Overlap


@dataclass(frozen=True)
class Limit:
    """A limit over all runs: how many calls or nodes may be in flight at a time, and how many may begin in a second.

    ```python
    # At most ten calls of the payment function a second, over all runs of the flow.
    dag.node("charge").apply("payment").limit(Limit("payments", per_second=10))
    # At most two trainings at a time for each tenant.
    trainings = Limit("trainings", concurrent=2, key=lambda order: json.loads(order)["tenant"])
    dag.node("train").apply("train-model").asynchronous().limit(trainings)
    ```

    The name belongs to the flow. If the operator defines a limit with this name, it counts over all flows, and the operator's
    figures replace those of the flow. Everything in a flow that names the same limit must give it the same figures.

    Permits are granted in the order in which they are asked for, and whatever waits for one holds nothing meanwhile. The host
    checks the ranges when it loads the flow.
    """

    name: str
    """1 to 64 characters of `A-Z a-z 0-9 _ . -`. Beside it, at least one of `concurrent` and `per_second` is needed."""
    concurrent: int | None = None
    """How many are in flight at a time, at least 1."""
    per_second: float | None = None
    """How many begin in a second, from 0.001 to 1,000,000."""
    key: Callable[[bytes], str] | None = None
    """A function that names a key for the data of the call or the node, such as a tenant: at most 256 bytes. Each key has the
    whole limit to itself."""

    def __post_init__(self) -> None:
        _check.text(self.name, "the name of a limit")
        if self.concurrent is not None:
            _check.whole(self.concurrent, f"`concurrent` of the limit `{self.name}`", 0, 2**32 - 1)
        if self.per_second is not None:
            _check.number(self.per_second, f"`per_second` of the limit `{self.name}`")
        if self.key is not None:
            _check.function(self.key, f"`key` of the limit `{self.name}`")


class Schedule:
    """A schedule, which begins runs of the flow. Made by `Workflow.schedule`.

    The request of a run that it has begun has two headers: `X-Faas-Flow-Schedule` with the schedule's name, and
    `X-Faas-Flow-Scheduled-At` with the moment that the run is for, such as `2026-12-01T01:30:00Z`. A run that begins late, or
    that is begun later for a moment of the past, finds its own moment there.

    ```python
    workflow.schedule("nightly", "0 30 2 * * *").time_zone("Europe/Berlin").missed(Missed.ONE)
    workflow.schedule("poll", "every 10m")
    ```
    """

    def __init__(self, name: str, when: str) -> None:
        """Flows call `Workflow.schedule` instead."""
        self._name = _check.text(name, "the name of a schedule")
        self._when = _check.text(when, f"the times of the schedule `{name}`")
        self._time_zone: str | None = None
        self._missed = Missed.SKIP
        self._overlap = Overlap.SKIP
        self._input: tuple[bytes, str] | None = None

    def time_zone(self, name: str) -> Schedule:
        """Sets the time zone of a cron expression, by its name in the IANA database: `Europe/Berlin`. By default it is UTC. An
        interval has no time zone."""
        self._time_zone = _check.text(name, "the name of a time zone")
        return self

    def missed(self, then: Missed) -> Schedule:
        """Sets what happens with moments at which no replica was running."""
        self._missed = Missed(then)
        return self

    def overlap(self, then: Overlap) -> Schedule:
        """Sets what happens at a moment at which the previous run has not ended."""
        self._overlap = Overlap(then)
        return self

    def input(self, body: bytes | str, media_type: str = "") -> Schedule:
        """Sets the body of the request of each run, at most 64 KiB, and its media type, such as `application/json`. An empty
        media type is `application/octet-stream`. By default the body is empty."""
        self._input = (_check.data(body, "the body of a schedule"), _check.text(media_type, "the media type"))
        return self
