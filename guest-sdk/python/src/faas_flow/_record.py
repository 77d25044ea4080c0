"""Turns what an author's `define` built into plain data and functions with ids.

The definition has the JSON form that the host uses, which `faas-flow graph --format definition` prints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._branches import Condition, ForEach, Repeat
from ._check import finished, millis
from ._context import Context
from ._dag import Dag, Edge, Workflow
from ._failure import Reject
from ._handlers import Handlers
from ._limit import Limit, Schedule
from ._node import Call, Modify, Node, Operation, SignalWait, Sleep, SleepUntil
from ._values import Backoff, Exhausted

Define = Callable[[Workflow, Context], None]
Json = dict[str, Any]

# The most bytes that the contract allows in a handler's id.
LONGEST_ID = 256


class Recorded:
    """A flow after its `define` has run."""

    def __init__(self, define: Define, context: Context) -> None:
        self.handlers = Handlers()
        # The dags that enclose the current one, to detect a dag that contains itself.
        self._enclosing: list[Dag] = []
        workflow = Workflow()
        call: Callable[..., Any] = define
        finished(call(workflow, context), define)
        definition: Json = {"dag": self._dag("", workflow._dag), "handlers": []}
        self._named(definition, "on-failure", "(failure)", "recover", workflow._on_failure)
        self._named(definition, "finally", "(finally)", "finally", workflow._finally)
        if workflow._deadline_ms is not None:
            definition["deadline-ms"] = workflow._deadline_ms
        if workflow._on_exhausted is not Exhausted.FAIL:
            definition["on-exhausted"] = workflow._on_exhausted.value
        if workflow._schedules:
            definition["schedules"] = [_schedule(schedule) for schedule in workflow._schedules]
        definition["handlers"] = self.handlers.ids()
        if not definition["handlers"]:
            del definition["handlers"]
        self.definition = definition

    def _name(self, id: str, kind: str, run: Callable[..., Any]) -> str:
        id = within_limit(id)
        self.handlers.add(id, kind, run)
        return id

    def _named(self, to: Json, field: str, id: str, kind: str, run: Callable[..., Any] | None) -> None:
        """Names the function, if there is one, and adds its id to the definition."""
        if run is not None:
            to[field] = self._name(id, kind, run)

    def _dag(self, prefix: str, dag: Dag) -> Json:
        if any(outer is dag for outer in self._enclosing):
            node = prefix.rstrip("/")
            raise Reject(f"the dag of `{node}` contains itself: create a new dag for each level")
        self._enclosing.append(dag)
        plain: Json = {"nodes": [self._node(prefix, id, node) for id, node in dag._nodes]}
        if dag._edges:
            plain["edges"] = [self._edge(prefix, edge) for edge in dag._edges]
        if dag._input_aggregators:
            plain["aggregate-inputs"] = [
                {"node": node, "aggregator": self._name(f"{prefix}{node}/aggregate", "aggregate", run)}
                for node, run in dag._input_aggregators
            ]
        self._named(plain, "aggregate-ends", f"{prefix}(end)/aggregate", "aggregate", dag._end_aggregator)
        if dag._recover_nodes:
            plain["recover-nodes"] = [
                {"node": node, "recover": self._name(f"{prefix}{node}/recover", "recover-from", run)}
                for node, run in dag._recover_nodes
            ]
        self._named(plain, "recover", f"{prefix}(recover)", "recover-from", dag._recover)
        self._enclosing.pop()
        return plain

    def _node(self, prefix: str, id: str, node: Node | Dag | Condition | ForEach | Repeat) -> Json:
        path = prefix + id
        match node:
            case Node():
                return {"id": id, "operations": self._operations(path, node)}
            case Dag():
                return {"id": id, "sub-dag": self._dag(f"{path}/", node)}
            case Condition():
                return {"id": id, "condition": self._condition(path, node)}
            case ForEach():
                return {"id": id, "for-each": self._for_each(path, node)}
            case Repeat():
                return {"id": id, "repeat": self._repeat(path, node)}

    def _operations(self, path: str, node: Node) -> Json:
        plain: Json = {"list": [self._operation(f"{path}/{at}", one) for at, one in enumerate(node._list)]}
        _options(plain, node._retry, node._timeout_ms)
        self._limit(plain, path, node._limit)
        return plain

    def _operation(self, path: str, operation: Operation) -> Json:
        match operation:
            case Call():
                return {operation._kind: self._call(path, operation)}
            case Modify():
                return {"modify": self._name(path, "modify", operation.run)}
            case Sleep():
                return {"sleep": operation.ms}
            case SleepUntil():
                return {"sleep-until": self._name(path, "moment", operation.run)}
            case SignalWait():
                return {"wait-for": self._wait_for(path, operation)}

    def _call(self, path: str, call: Call) -> Json:
        plain: Json = {"target": call._target}
        if call._method is not None:
            plain["method"] = call._method
        if call._headers:
            plain["headers"] = [list(header) for header in call._headers]
        if call._query:
            plain["query"] = [list(parameter) for parameter in call._query]
        self._named(plain, "prepare", f"{path}/prepare", "prepare", call._prepare)
        self._named(plain, "receive", f"{path}/receive", "receive", call._receive)
        self._named(plain, "recover", f"{path}/recover", "recover", call._recover)
        self._named(plain, "recover-from", f"{path}/recover-from", "recover-from", call._recover_from)
        _options(plain, call._retry, call._timeout_ms)
        if call._retry_on:
            plain["retry-on"] = call._retry_on
        if call._asynchronous:
            plain["asynchronous"] = True
        self._limit(plain, path, call._limit)
        return plain

    def _wait_for(self, path: str, wait: SignalWait) -> Json:
        signal = wait._signal
        named = {"named": signal} if isinstance(signal, str) else {"handler": self._name(path, "signal-name", signal)}
        plain: Json = {"signal": named}
        _options(plain, None, wait._timeout_ms)
        self._named(plain, "recover-from", f"{path}/recover-from", "recover-from", wait._recover_from)
        return plain

    def _limit(self, to: Json, path: str, limit: Limit | None) -> None:
        if limit is None:
            return
        plain: Json = {"name": limit.name}
        if limit.concurrent is not None:
            plain["concurrent"] = limit.concurrent
        if limit.per_second is not None:
            plain["per-second"] = float(limit.per_second)
        self._named(plain, "key", f"{path}/limit-key", "key", limit.key)
        to["limit"] = plain

    def _condition(self, path: str, condition: Condition) -> Json:
        plain: Json = {"handler": self._name(f"{path}/condition", "condition", condition._choose)}
        plain["dags"] = [
            {"key": key, "dag": self._dag(f"{path}[{encode(key)}]/", dag)} for key, dag in condition._dags.items()
        ]
        return self._branches(plain, path, condition)

    def _for_each(self, path: str, for_each: ForEach) -> Json:
        plain: Json = {"handler": self._name(f"{path}/for-each", "for-each", for_each._split)}
        plain["dags"] = [{"key": "", "dag": self._dag(f"{path}[]/", for_each._dag)}]
        self._branches(plain, path, for_each)
        if for_each._tolerate is not None:
            plain["tolerate"] = for_each._tolerate
        self._named(plain, "gather", f"{path}/gather", "gather", for_each._gather)
        return plain

    def _branches(self, plain: Json, path: str, branches: Condition | ForEach) -> Json:
        self._named(plain, "aggregator", f"{path}/aggregate-branches", "aggregate", branches._aggregator)
        if branches._carries_nothing:
            plain["carries-nothing"] = True
        if branches._max_parallel is not None:
            plain["max-parallel"] = branches._max_parallel
        return plain

    def _repeat(self, path: str, repeat: Repeat) -> Json:
        plain: Json = {"handler": self._name(f"{path}/again", "again", repeat._again)}
        plain["dag"] = self._dag(f"{path}[]/", repeat._dag)
        plain["most"] = repeat._most
        if repeat._wait_ms:
            plain["wait-ms"] = repeat._wait_ms
        return plain

    def _edge(self, prefix: str, edge: Edge) -> Json:
        plain: Json = {"from": edge._from, "to": edge._to}
        if edge._nothing:
            plain["carries"] = "nothing"
        elif edge._forwarder is not None:
            id = f"{prefix}{edge._from}->{edge._to}/forward"
            plain["carries"] = {"forwarded": self._name(id, "forward", edge._forwarder)}
        return plain


def _options(plain: Json, retry: Backoff | None, timeout_ms: int | None) -> None:
    if retry is not None:
        plain["retry"] = {
            "attempts": retry.attempts,
            "first-delay-ms": millis(retry.first_delay, "the first delay"),
            "factor": float(retry.factor),
            "max-delay-ms": millis(retry.max_delay, "the longest delay"),
        }
    if timeout_ms is not None:
        plain["timeout-ms"] = timeout_ms


def _schedule(schedule: Schedule) -> Json:
    plain: Json = {"name": schedule._name, "when": schedule._when}
    if schedule._time_zone is not None:
        plain["time-zone"] = schedule._time_zone
    plain["missed"] = schedule._missed.value
    plain["overlap"] = schedule._overlap.value
    if schedule._input is not None:
        body, media_type = schedule._input
        try:
            plain["input"] = {"body": body.decode()}
        except UnicodeDecodeError:
            plain["input"] = {"body": list(body)}
        if media_type:
            plain["input"]["media-type"] = media_type
    return plain


def within_limit(id: str) -> str:
    """The id, if it is not too long; otherwise its beginning, a `~`, which no path has, and a hash of all of it. So the id of a
    handler deep inside is valid too, and stays the same as long as the handler's place does."""
    data = id.encode()
    if len(data) <= LONGEST_ID:
        return id
    # FNV-1a with 64 bits.
    hash = 0xCBF29CE484222325
    for byte in data:
        hash = (hash ^ byte) * 0x100000001B3 % 2**64
    return f"{data[: LONGEST_ID - 17].decode(errors='ignore')}~{hash:016x}"


_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")


def encode(key: str) -> str:
    """Percent-encodes a branch key, as in the host's node paths."""
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in key.encode())
