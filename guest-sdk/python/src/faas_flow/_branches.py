"""Nodes that run dags: branches, items and rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from . import _check
from ._check import Time
from ._failure import Gathered
from ._inputs import Inputs
from ._node import Data

if TYPE_CHECKING:
    from ._dag import Dag

Items = Mapping[str, Data] | Iterable[tuple[str, Data]]
"""The items of a for-each, in order: a mapping, or pairs of key and data."""


class Condition:
    """The branches of a condition: one dag per key. Made by `Dag.condition`.

    Without an aggregator, a condition that chose exactly one branch yields the result of that branch, and a condition that
    chose several yields nothing.

    ```python
    size = dag.condition("size", ["small", "large"], lambda data: ["small" if len(data) < 1024 else "large"])
    size.branch("small").node("ship").apply("ship-parcel")
    size.branch("large").node("ship").apply("ship-pallet")
    ```
    """

    def __init__(self, new: Callable[[], Dag], keys: Iterable[str], choose: Callable[[bytes], Iterable[str]]) -> None:
        """Flows call `Dag.condition` instead."""
        self._new = new
        self._choose = choose
        self._dags: dict[str, Dag] = {}
        self._aggregator: Callable[[Inputs], Data] | None = None
        self._carries_nothing = False
        self._max_parallel: int | None = None
        if isinstance(keys, str):
            raise TypeError(f"the keys of the branches are the text {keys!r}, and must be a list of texts")
        for key in keys:
            if key in self._dags:
                raise ValueError(f"the key {key!r} stands twice among the branches: each branch needs one of its own")
            self.branch(key)

    def branch(self, key: str) -> Dag:
        """The dag of the branch with this key, the same one each time. A key that the condition did not list adds a branch.
        Keys have 1 to 128 bytes."""
        if _check.text(key, "the key of a branch") not in self._dags:
            self._dags[key] = self._new()
        return self._dags[key]

    def aggregator(self, aggregator: Callable[[Inputs], Data]) -> Condition:
        """Merges the results of the branches that ran, named by their keys, in the order in which they were chosen."""
        self._aggregator = _check.function(aggregator, "what `aggregator` gets")
        return self

    def execution(self) -> Condition:
        """Makes the branches start with empty data, and drops their results."""
        self._carries_nothing = True
        return self

    def max_parallel(self, count: int) -> Condition:
        """Limits how many branches run at the same time, at least 1. By default they all do."""
        self._max_parallel = _check.whole(count, "`max_parallel`", 0, 2**32 - 1)
        return self


class ForEach:
    """The branches of a for-each: one dag, which runs once for each item. Made by `Dag.for_each`.

    Without an aggregator, a for-each yields nothing.

    ```python
    lines = dag.for_each("lines", lambda data: ((str(i), line) for i, line in enumerate(data.splitlines())))
    lines.dag.node("translate").apply("translate")
    lines.max_parallel(4).aggregator(lambda results: results.concat())
    ```
    """

    def __init__(self, dag: Dag, split: Callable[[bytes], Items]) -> None:
        """Flows call `Dag.for_each` instead."""
        self._dag = dag
        self._split = split
        self._aggregator: Callable[[Inputs], Data] | None = None
        self._gather: Callable[[list[Gathered]], Data] | None = None
        self._carries_nothing = False
        self._max_parallel: int | None = None
        self._tolerate: dict[str, int | float] | None = None

    @property
    def dag(self) -> Dag:
        """The dag that runs for each item, the same one each time."""
        return self._dag

    def aggregator(self, aggregator: Callable[[Inputs], Data]) -> ForEach:
        """Merges the results of all items, named by their keys, in the order in which they were split. If there are no items,
        the aggregator is not called and the node's output is empty."""
        self._aggregator = _check.function(aggregator, "what `aggregator` gets")
        return self

    def execution(self) -> ForEach:
        """Makes the branches start with empty data, and drops their results."""
        self._carries_nothing = True
        return self

    def max_parallel(self, count: int) -> ForEach:
        """Limits how many items are processed at the same time, at least 1. By default they all are."""
        self._max_parallel = _check.whole(count, "`max_parallel`", 0, 2**32 - 1)
        return self

    def tolerate(self, items: int) -> ForEach:
        """Lets this number of items fail without failing the for-each. By default none may (fail-fast).

        An item that fails and is tolerated has no result: an `aggregator` does not see it, and a function of `gather` sees its
        failure. The other items continue. If one more item fails, the for-each fails.

        ```python
        def report(items: list[Gathered]) -> str:
            return "".join(f"{item.key}: {item.failed or 'shipped'}\\n" for item in items)

        orders.tolerate_share(0.05).gather(report)
        ```"""
        self._tolerate = {"items": _check.whole(items, "`tolerate`", 0, 2**32 - 1)}
        return self

    def tolerate_share(self, share: float) -> ForEach:
        """Lets this share of the items fail, from 0.0 to 1.0, rounded down to whole items: `0.05` of 30 items are 1. See
        `tolerate`, which it replaces."""
        self._tolerate = {"share": _check.number(share, "`tolerate_share`")}
        return self

    def gather(self, gather: Callable[[list[Gathered]], Data]) -> ForEach:
        """Merges the results of all items as `aggregator` does, and sees tolerated failures in their places. It takes the place
        of an aggregator."""
        self._gather = _check.function(gather, "what `gather` gets")
        return self


class Repeat:
    """A dag that runs again on its own result. Made by `Dag.repeat`.

    Each time that the dag runs is a round. The first one begins with the node's input, each further one with the result of the
    one before. The result of the last one is the node's output.

    ```python
    poll = dag.repeat("poll", lambda status, round: status != b"done").most(60).wait(60)
    poll.dag.node("ask").apply("job-status")
    ```
    """

    def __init__(self, dag: Dag, again: Callable[[bytes, int], bool]) -> None:
        """Flows call `Dag.repeat` instead."""
        self._dag = dag
        self._again = again
        self._most = 100
        self._wait_ms = 0

    @property
    def dag(self) -> Dag:
        """The dag that each round runs, the same one each time."""
        return self._dag

    def most(self, rounds: int) -> Repeat:
        """Limits how many rounds there are, from 1 to 1,000. By default there are at most 100. If the function wants another
        round after the last one, the node fails."""
        self._most = _check.whole(rounds, "the number of rounds", 0, 2**32 - 1)
        return self

    def wait(self, time: Time) -> Repeat:
        """Waits between two rounds: seconds, or a `timedelta`, at most 30 days. By default the next one begins at once.
        Nothing is held during the wait."""
        self._wait_ms = _check.millis(time, "the wait between two rounds")
        return self
