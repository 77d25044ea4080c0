"""Nodes that run operations, and the operations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from . import _check
from ._check import Time
from ._context import returns_json, to_json
from ._failure import Failed
from ._http import Request, Response
from ._inputs import Inputs
from ._limit import Limit
from ._values import Backoff, Wake

if TYPE_CHECKING:
    from ._dag import Dag

T = TypeVar("T", bound="Operation")

Data = bytes | str
"""What a function of a flow returns: bytes, or text, which is sent as UTF-8."""


@dataclass(frozen=True)
class Modify:
    """An operation: a call of the flow's own code."""

    run: Callable[[bytes], Data]


@dataclass(frozen=True)
class Sleep:
    """An operation: a sleep of this time."""

    ms: int


@dataclass(frozen=True)
class SleepUntil:
    """An operation: a sleep until a moment that a function names."""

    run: Callable[[bytes], Wake]


class Operations:
    """What `Node`, `Call` and `SignalWait` have in common: each method adds the next operation to the node."""

    _node: Node

    def apply(self, function: str) -> Call:
        """Adds a call of an OpenFaaS function. The name may be followed by a path: `func1` or `func1/path`.

        If the function is a flow, the call begins a run of it, and waits for the end of that run without holding anything:
        its result is the response, and its failure that of the call. The same call, repeated, is the same run. It is stopped
        if this run ends without it. At most 16 runs may be nested in this way.

        For a function that takes longer than a request may, see `Call.asynchronous`."""
        return self._node._add(Call(self._node, "apply", _check.text(function, "the name of a function")))

    def request(self, url: str) -> Call:
        """Adds a request to a URL, `http` or `https`."""
        return self._node._add(Call(self._node, "request", _check.text(url, "the URL of a request")))

    def modify(self, modifier: Callable[[bytes], Data]) -> Node:
        """Adds a call of the flow's own code: the function gets the data, and returns other data."""
        self._node._add(Modify(_check.function(modifier, "what `modify` gets")))
        return self._node

    def modify_json(self, modifier: Callable[[Any], Any]) -> Node:
        """Adds a call of the flow's own code that reads and writes JSON. Data that is not JSON is rejected, and what the
        function returns has the media type `application/json`.

        ```python
        dag.node("sum").modify_json(sum)  # [1, 2, 3] becomes 6
        ```"""
        _check.function(modifier, "what `modify_json` gets")

        def modify(data: bytes) -> bytes:
            result = to_json(_check.finished(modifier(json.loads(data)), modifier))
            returns_json()
            return result

        modify.__wrapped__ = modifier  # type: ignore[attr-defined]
        return self.modify(modify)

    def sleep(self, time: Time) -> Node:
        """Adds a sleep: the data is passed on unchanged after this time (seconds, or a `timedelta`), at most 366 days.

        A node that sleeps is stored, and nothing is held for it. Its `Node.timeout` does not count the sleep; the deadline of
        the run does."""
        self._node._add(Sleep(_check.millis(time, "the time of a sleep")))
        return self._node

    def sleep_until(self, moment: Callable[[bytes], Wake]) -> Node:
        """Adds a sleep until a moment that a function names for the data: one that it finds there, or a time from now. A
        moment in the past does not sleep. One that is malformed, or more than 366 days away, fails the node.

        ```python
        dag.node("review").sleep_until(lambda order: Wake.at(json.loads(order)["delivered"])).apply("send-mail")
        ```"""
        self._node._add(SleepUntil(_check.function(moment, "what `sleep_until` gets")))
        return self._node

    def wait_for(self, signal: str) -> SignalWait:
        """Adds a wait for a signal: a named message that is sent to the run, with `POST /flow/ID/signal/NAME`,
        `faas-flow signal`, or an address from `Context.signal_url`. The body of the signal is the output.

        Each signal is received by one node: the one that has waited for it the longest. One that is sent before a node waits
        for it is kept until one does. Nothing is held while the node waits. Its `Node.timeout` does not count the wait; the
        deadline of the run does. If the node is tried again, it keeps the signal that it has.

        The name has 1 to 64 characters of `A-Z a-z 0-9 _ . -`."""
        return self._node._add(SignalWait(self._node, _check.text(signal, "the name of a signal")))

    def wait_for_named(self, name: Callable[[bytes], str]) -> SignalWait:
        """Adds a wait as `wait_for` does, for the signal that a function names for the data: so each item of a for-each can
        wait for a signal of its own. A malformed name fails the node."""
        return self._node._add(SignalWait(self._node, _check.function(name, "what `wait_for_named` gets")))


class Node(Operations):
    """A node that runs operations one after the other, each on the output of the one before. Made by `Dag.node`.

    ```python
    node = dag.node("thumbnail").retry(Backoff(3)).timeout(30)
    node.apply("resize").query("width", "80").modify(lambda image: b"thumbnail:" + image)
    ```
    """

    def __init__(self, dag: Dag, id: str) -> None:
        """Flows call `Dag.node` instead."""
        self._node = self
        self._dag = dag
        self._id = id
        self._list: list[Operation] = []
        self._retry: Backoff | None = None
        self._timeout_ms: int | None = None
        self._limit: Limit | None = None

    def aggregator(self, aggregator: Callable[[Inputs], Data]) -> Node:
        """Merges the node's inputs, named by predecessor, before its first operation. The same as `Dag.input_aggregator`."""
        self._dag.input_aggregator(self._id, aggregator)
        return self

    def recover_from(self, recover: Callable[[Failed], Data]) -> Node:
        """Catches the failure of the node when its retries are exhausted. What the function returns is the node's output. If
        it fails, so does the node. The same as `Dag.recover_node`."""
        self._dag.recover_node(self._id, recover)
        return self

    def retry(self, policy: Backoff) -> Node:
        """Sets the retry policy of the node. When an operation has failed and its own retries are exhausted, the node is tried
        again from its first operation. By default it is tried once."""
        self._retry = _check.instance(policy, Backoff, "the retry policy")
        return self

    def timeout(self, time: Time) -> Node:
        """Limits the time that one try of the whole node may take: seconds, or a `timedelta`, at least 1 ms."""
        self._timeout_ms = _check.millis(time, f"the timeout of the node `{self._id}`")
        return self

    def limit(self, limit: Limit) -> Node:
        """Lets the node begin only with a permit of a limit over all runs. Each attempt holds one permit, from its first
        operation to its end, with all sleeps and answers that come later."""
        self._limit = _check.instance(limit, Limit, "the limit")
        return self

    def _add(self, operation: T) -> T:
        self._list.append(operation)
        return operation


class Call(Operations):
    """A call of a function or URL, made by `Node.apply` or `Node.request`: its options, and the node's next operations.

    The body of the request is the data that reached the operation. The method is `POST` unless `Call.method` says otherwise.
    The output is the body of the response, provided that its status is from 200 to 299.

    ```python
    call = dag.node("quote").apply("exchange-rates").header("accept", "application/json")
    call.retry(Backoff(3)).timeout(2).recover(lambda _: "{}").modify_json(choose)
    ```
    """

    def __init__(self, node: Node, kind: str, target: str) -> None:
        """Flows call `Node.apply` or `Node.request` instead."""
        self._node = node
        self._kind = kind
        self._target = target
        self._method: str | None = None
        self._headers: list[tuple[str, str]] = []
        self._query: list[tuple[str, str]] = []
        self._prepare: Callable[[Request], Request] | None = None
        self._receive: Callable[[Response], Data] | None = None
        self._recover: Callable[[str], Data] | None = None
        self._recover_from: Callable[[Failed], Data] | None = None
        self._retry: Backoff | None = None
        self._retry_on: list[int] = []
        self._timeout_ms: int | None = None
        self._asynchronous = False
        self._limit: Limit | None = None

    def method(self, name: str) -> Call:
        """Sets the HTTP method."""
        self._method = _check.text(name, "the method")
        return self

    def header(self, name: str, value: str) -> Call:
        """Adds a header. The same name may be added several times."""
        what = f"the value of the header `{name}`"
        self._headers.append((_check.text(name, "the name of a header"), _check.text(value, what)))
        return self

    def query(self, name: str, value: str) -> Call:
        """Adds a query parameter. The host percent-encodes name and value."""
        what = f"the value of the query parameter `{name}`"
        self._query.append((_check.text(name, "the name of a query parameter"), _check.text(value, what)))
        return self

    def prepare(self, prepare: Callable[[Request], Request]) -> Call:
        """Sets a function that sees each request before it is sent, and returns it, changed or not. It runs before every
        try."""
        self._prepare = _check.function(prepare, "what `prepare` gets")
        return self

    def receive(self, receive: Callable[[Response], Data]) -> Call:
        """Sets a function that turns the response, whatever its status, into data.

        With it no status is a failure by itself, so none is retried. To retry, the function raises `Retry`, and the policy of
        `Call.retry` applies. `Call.retry_on` has no effect."""
        self._receive = _check.function(receive, "what `receive` gets")
        return self

    def recover(self, recover: Callable[[str], Data]) -> Call:
        """Sets a function that gets the message of the call's failure when its retries are exhausted, and turns it into data
        to continue with, or into another failure."""
        self._recover = _check.function(recover, "what `recover` gets")
        return self

    def recover_from(self, recover: Callable[[Failed], Data]) -> Call:
        """Sets a function that gets the call's failure when its retries are exhausted, with the data of the operation and the
        body of the response, and turns it into data to continue with, or into another failure. It has no effect beside
        `Call.recover`."""
        self._recover_from = _check.function(recover, "what `recover_from` gets")
        return self

    def retry(self, policy: Backoff) -> Call:
        """Sets the retry policy of this call. By default it is tried once.

        The call is tried again after connection errors, timeouts, and a function's `Retry`. Unless `Call.receive` handles the
        responses, it is also tried again after the statuses 408, 429 and 5xx, or after those of `Call.retry_on` instead."""
        self._retry = _check.instance(policy, Backoff, "the retry policy")
        return self

    def retry_on(self, statuses: Iterable[int]) -> Call:
        """Sets the response statuses, from 100 to 599, after which `Call.retry` tries again. They replace the default of 408,
        429 and 5xx. None at all keeps the default."""
        self._retry_on = [_check.whole(status, "a status of `retry_on`", 100, 599) for status in statuses]
        return self

    def timeout(self, time: Time) -> Call:
        """Limits the time that one try of this call may take: seconds, or a `timedelta`, at least 1 ms."""
        self._timeout_ms = _check.millis(time, f"the timeout of the call of `{self._target}`")
        return self

    def asynchronous(self) -> Call:
        """Calls the function through the queue of OpenFaaS, and waits for its answer without holding anything: the function
        may take hours, and the node continues when the answer comes. Only for functions, and for `POST`.

        All other settings of this call keep their meaning: the answer, whatever its status, is the response, and
        `Call.timeout` limits the time from the call to the answer.

        ```python
        dag.node("train").apply("train-model").asynchronous().timeout(timedelta(hours=6))
        ```"""
        self._asynchronous = True
        return self

    def limit(self, limit: Limit) -> Call:
        """Lets each try of this call begin only with a permit of a limit over all runs. A call of a flow and an asynchronous
        call hold their permit until the answer comes. See `Limit` for an example."""
        self._limit = _check.instance(limit, Limit, "the limit")
        return self

    def aggregator(self, aggregator: Callable[[Inputs], Data]) -> Node:
        """Merges the inputs of the node: see `Node.aggregator`."""
        return self._node.aggregator(aggregator)


class SignalWait(Operations):
    """A wait for a signal, made by `Node.wait_for`: its options, and the node's next operations. The output is the body of the
    signal.

    ```python
    wait = dag.node("approval").wait_for("approval").timeout(timedelta(days=2))
    wait.recover_from(lambda _: '{"decision":"reject","comment":"nobody has answered"}').apply("store-decision")
    ```
    """

    def __init__(self, node: Node, signal: str | Callable[[bytes], str]) -> None:
        """Flows call `Node.wait_for` or `Node.wait_for_named` instead."""
        self._node = node
        self._signal = signal
        self._timeout_ms: int | None = None
        self._recover_from: Callable[[Failed], Data] | None = None

    def timeout(self, time: Time) -> SignalWait:
        """Limits how long the node waits: seconds, or a `timedelta`, from 1 ms to 366 days. By default it waits as long as the
        run may take. If no signal comes in time, the operation fails."""
        self._timeout_ms = _check.millis(time, "the timeout of a signal")
        return self

    def recover_from(self, recover: Callable[[Failed], Data]) -> SignalWait:
        """Sets a function that gets the failure if no signal comes in time, with the data of the operation, and turns it into
        data to continue with, or into another failure."""
        self._recover_from = _check.function(recover, "what `recover_from` gets")
        return self


Operation = Call | Modify | Sleep | SleepUntil | SignalWait
