"""The rules by which a flow runs, in the few lines that a test needs. docs/concepts.md has all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from .._explain import explain
from .._failure import Failed, FailureKind, Gathered, Retry
from .._handlers import Handlers
from .._http import Request, Response
from .._inputs import Inputs
from .._record import Json, encode
from ._fake import OCTET_STREAM, Fake

T = TypeVar("T")

Named = list[tuple[str, "Value"]]


@dataclass(frozen=True)
class Value:
    """Data and its media type."""

    data: bytes = b""
    media_type: str = OCTET_STREAM


class Failing(Exception):
    """A failure on its way outwards."""

    def __init__(self, failed: Failed, retry: bool, cause: BaseException | None = None) -> None:
        super().__init__(str(failed))
        self.failed = failed
        self.retry = retry
        self.cause = cause


class Engine:
    """Executes the nodes of one run, one after the other."""

    def __init__(
        self,
        handlers: Handlers,
        fake: Fake,
        home: str,
        answer: Callable[[str, Request], Response],
        signals: list[tuple[str, bytes]],
    ) -> None:
        self._handlers = handlers
        self._fake = fake
        self._home = home
        self._answer = answer
        self._signals = signals

    def dag(self, dag: Json, scope: str, value: Value) -> Value:
        try:
            outputs: dict[str, Value] = {}
            for node, incoming in _order(dag, scope):
                outputs[node["id"]] = self._node(dag, scope, node, incoming, outputs, value)
            return self._ends(dag, scope, outputs)
        except Failing as failing:
            if "recover" not in dag:
                raise
            return self._caught(dag["recover"], scope + "(recover)", failing)

    def at_end(self, call: Callable[[Handlers], T]) -> T | None:
        """Calls a handler for the end of the run, whose failure changes nothing."""
        try:
            return self._call("", "", Value(), call)[0]
        except Failing as failing:
            self._fake.context().error(str(failing.failed))
            return None

    def _ends(self, dag: Json, scope: str, outputs: dict[str, Value]) -> Value:
        with_successors = {edge["from"] for edge in dag.get("edges", [])}
        ends = [node["id"] for node in dag["nodes"] if node["id"] not in with_successors]
        if "aggregate-ends" in dag:
            merged = [(id, outputs[id]) for id in ends]
            return self._aggregate(dag["aggregate-ends"], scope + "(end)", merged)
        return outputs[ends[0]] if len(ends) == 1 else Value()

    def _node(self, dag: Json, scope: str, node: Json, incoming: list[Json], outputs: dict[str, Value], value: Value) -> Value:
        id = node["id"]
        path = scope + id
        operations = node.get("operations", {})
        attempts = operations.get("retry", {}).get("attempts", 1)
        aggregator = _handler_of(dag.get("aggregate-inputs", []), id, "aggregator")
        try:
            for attempt in range(1, attempts + 1):
                before = self._fake._values.copy(), self._fake._labels.copy(), self._fake._response
                try:
                    self._fake._inputs = []
                    inputs = self._inputs(path, scope, incoming, outputs)
                    self._fake._inputs = [(name, input.data) for name, input in inputs]
                    self._fake._content_types = [input.media_type for _, input in inputs]
                    got = self._gathered(path, incoming, inputs, aggregator, value)
                    return self._kind(path, node, got)
                except Failing as failing:
                    self._fake._values, self._fake._labels, self._fake._response = before
                    if not failing.retry or attempt == attempts:
                        raise
            raise AssertionError("a node has at least one attempt")
        except Failing as failing:
            recover = _handler_of(dag.get("recover-nodes", []), id, "recover")
            if recover is None:
                raise
            return self._caught(recover, path, failing)

    def _inputs(self, path: str, scope: str, incoming: list[Json], outputs: dict[str, Value]) -> Named:
        """What the data edges to a node carry, by predecessor."""
        inputs = []
        for edge in incoming:
            output = outputs[edge["from"]]
            match edge.get("carries"):
                case None:
                    inputs.append((edge["from"], output))
                case {"forwarded": id}:
                    inputs.append((edge["from"], self._data(path, id, "forward", output)))
        return inputs

    def _gathered(self, path: str, incoming: list[Json], inputs: Named, aggregator: str | None, value: Value) -> Value:
        if aggregator is not None and incoming:
            return self._aggregate(aggregator, path, inputs)
        if not incoming:
            return value
        return inputs[0][1] if len(inputs) == 1 else Value()

    def _kind(self, path: str, node: Json, value: Value) -> Value:
        match node:
            case {"operations": operations}:
                if "key" in operations.get("limit", {}):
                    self._plain(path, value, lambda handlers: handlers.key(operations["limit"]["key"], value.data))
                for index, operation in enumerate(operations["list"]):
                    value = self._operation(path, operation, value)
                return value
            case {"sub-dag": dag}:
                return self.dag(dag, path + "/", value)
            case {"condition": condition}:
                return self._condition(path, condition, value)
            case {"for-each": for_each}:
                return self._for_each(path, for_each, value)
            case _:
                return self._repeat(path, node["repeat"], value)

    def _operation(self, path: str, operation: Json, value: Value) -> Value:
        match operation:
            case {"modify": id}:
                return self._data(path, id, "modify", value)
            case {"sleep": _}:
                return value
            case {"sleep-until": id}:
                self._plain(path, value, lambda handlers: handlers.moment(id, value.data))
                return value
            case {"wait-for": wait}:
                return self._wait_for(path, wait, value)
            case {"apply": call}:
                return self._tried(path, call, call["target"], value)
            case _:
                return self._tried(path, operation["request"], operation["request"]["target"], value)

    def _wait_for(self, path: str, wait: Json, value: Value) -> Value:
        name = wait["signal"].get("named")
        if name is None:
            id = wait["signal"]["handler"]
            name = self._plain(path, value, lambda handlers: handlers.signal_name(id, value.data))
        for at, (known, body) in enumerate(self._signals):
            if known == name:
                del self._signals[at]
                return Value(body)
        message = f"no signal `{name}` came in time"
        failing = Failing(Failed("FF0270", FailureKind.TIMED_OUT, None, message, path, 1, value.data), retry=False)
        if "recover-from" not in wait:
            raise failing
        return self._caught(wait["recover-from"], path, failing)

    def _tried(self, path: str, call: Json, target: str, value: Value) -> Value:
        attempts = call.get("retry", {}).get("attempts", 1)
        try:
            for attempt in range(1, attempts + 1):
                try:
                    return self._try(path, call, target, value)
                except Failing as failing:
                    failing.failed = replace(failing.failed, tries=attempt, input=value.data)
                    if not failing.retry or attempt == attempts:
                        raise
            raise AssertionError("a call has at least one try")
        except Failing as failing:
            if "recover" in call:
                message = failing.failed.message
                return self._returned(path, value, lambda handlers: handlers.recover(call["recover"], message))
            if "recover-from" in call:
                return self._caught(call["recover-from"], path, failing)
            raise

    def _try(self, path: str, call: Json, target: str, value: Value) -> Value:
        request = _request(call, target, value)
        if "key" in call.get("limit", {}):
            self._plain(path, value, lambda handlers: handlers.key(call["limit"]["key"], value.data))
        if "prepare" in call:
            request = self._plain(path, value, lambda handlers: handlers.prepare(call["prepare"], request))
        try:
            response = self._answer(target, request)
        except TimeoutError as error:
            failed = Failed("FF0206", FailureKind.TIMED_OUT, None, f"`{target}`: {error}", path)
            raise Failing(failed, retry=True, cause=error) from None
        except ConnectionError as error:
            failed = Failed("FF0208", FailureKind.UNREACHABLE, None, f"`{target}`: {error}", path)
            raise Failing(failed, retry=True, cause=error) from None
        answered = Value(response.body, response.header("content-type") or OCTET_STREAM)
        if "receive" in call:
            return self._returned(path, answered, lambda handlers: handlers.receive(call["receive"], response))
        if 200 <= response.status < 300:
            return answered
        quote = response.body.decode(errors="replace")
        message = f"`{target}` answered with status {response.status}" + (f": {quote}" if quote else "")
        statuses = call.get("retry-on", [408, 429, *range(500, 600)])
        failed = Failed("FF0207", FailureKind.ANSWERED, response.status, message, path, body=response.body)
        raise Failing(failed, retry=response.status in statuses)

    def _condition(self, path: str, condition: Json, value: Value) -> Value:
        keys = self._plain(path, value, lambda handlers: handlers.condition(condition["handler"], value.data))
        dags = {branch["key"]: branch["dag"] for branch in condition["dags"]}
        if not keys:
            raise _wrong("FF0202", "the condition chose no branch", path, value)
        for key in keys:
            if key not in dags:
                raise _wrong("FF0201", f"the condition chose the branch `{key}`, which does not exist", path, value)
        results, _ = self._branches(path, condition, [(key, dags[key], value) for key in keys], value, 0)
        if "aggregator" not in condition and len(keys) == 1:
            return results[0][1]
        return self._merged(path, condition, results)

    def _for_each(self, path: str, for_each: Json, value: Value) -> Value:
        items = self._plain(path, value, lambda handlers: handlers.for_each(for_each["handler"], value.data))
        media_type = self._fake.returned_content_type
        if not items:
            return Value()
        dag = for_each["dags"][0]["dag"]
        match for_each.get("tolerate"):
            case {"items": tolerated}:
                pass
            case {"share": share}:
                tolerated = int(share * len(items) + 1e-6)
            case _:
                tolerated = 0
        branches = [(key, dag, Value(data, media_type)) for key, data in items]
        results, gathered = self._branches(path, for_each, branches, value, tolerated)
        if "gather" in for_each:
            return self._returned(path, Value(), lambda handlers: handlers.gather(for_each["gather"], gathered))
        return self._merged(path, for_each, results)

    def _branches(
        self, path: str, model: Json, branches: list[tuple[str, Json, Value]], value: Value, tolerated: int
    ) -> tuple[Named, list[Gathered]]:
        results: Named = []
        gathered: list[Gathered] = []
        nothing = "carries-nothing" in model
        if len({key for key, _, _ in branches}) < len(branches):
            raise _wrong("FF0203", "an item or branch key occurs twice", path, value)
        for key, dag, input in branches:
            try:
                result = self.dag(dag, f"{path}[{encode(key)}]/", Value() if nothing else input)
                results.append((key, Value() if nothing else result))
                gathered.append(Gathered(key, results[-1][1].data))
            except Failing as failing:
                if tolerated == 0:
                    raise
                tolerated -= 1
                gathered.append(Gathered(key, replace(failing.failed, input=b"", body=None)))
        return results, gathered

    def _merged(self, path: str, model: Json, results: Named) -> Value:
        return self._aggregate(model["aggregator"], path, results) if "aggregator" in model else Value()

    def _repeat(self, path: str, repeat: Json, value: Value) -> Value:
        for round in range(1, repeat["most"] + 1):
            value = self.dag(repeat["dag"], f"{path}[{round}]/", value)
            result, number = value, round
            if not self._plain(path, value, lambda handlers: handlers.again(repeat["handler"], result.data, number)):
                return value
        raise _wrong("FF0262", f"the repeat wants more rounds than the {repeat['most']} that it may have", path, value)

    def _aggregate(self, id: str, path: str, inputs: Named) -> Value:
        self._fake._content_types = [value.media_type for _, value in inputs]
        merged = Inputs([(name, value.data) for name, value in inputs])
        return self._returned(path, Value(), lambda handlers: handlers.aggregate(id, merged))

    def _caught(self, id: str, path: str, failing: Failing) -> Value:
        return self._returned(path, Value(), lambda handlers: handlers.recover_from(id, failing.failed))

    def _data(self, path: str, id: str, kind: str, value: Value) -> Value:
        return self._returned(path, value, lambda handlers: getattr(handlers, kind)(id, value.data), id)

    def _returned(self, path: str, value: Value, call: Callable[[Handlers], bytes], id: str = "") -> Value:
        data, media_type = self._call(path, id, value, call)
        return Value(data, media_type)

    def _plain(self, path: str, value: Value, call: Callable[[Handlers], T]) -> T:
        return self._call(path, "", value, call)[0]

    def _call(self, path: str, id: str, value: Value, call: Callable[[Handlers], T]) -> tuple[T, str]:
        """Calls a function of the author, and returns its result and the media type of that."""
        self._fake._node = path
        self._fake._content_type = value.media_type
        try:
            return self._fake._calling(lambda: call(self._handlers)), self._fake.returned_content_type
        except Retry as error:
            failed = Failed("FF0013", FailureKind.REJECTED, None, str(error), path, 1, value.data)
            raise Failing(failed, retry=True, cause=error) from None
        except (Exception, SystemExit) as error:
            message = explain(error, self._home, self._handlers.function(id))
            failed = Failed("FF0012", FailureKind.REJECTED, None, message, path, 1, value.data)
            raise Failing(failed, retry=False, cause=error) from None


def _wrong(code: str, message: str, path: str, value: Value) -> Failing:
    return Failing(Failed(code, FailureKind.OTHER, None, message, path, 1, value.data), retry=False)


def _handler_of(entries: list[Json], node: str, field: str) -> str | None:
    return next((entry[field] for entry in entries if entry["node"] == node), None)


def _request(call: Json, target: str, value: Value) -> Request:
    url = target if "://" in target else f"http://gateway/function/{target}"
    if "query" in call:
        url += ("&" if "?" in url else "?") + urlencode([(name, text) for name, text in call["query"]], quote_via=quote)
    headers = [(name, text) for name, text in call.get("headers", [])]
    has_type = any(name.lower() == "content-type" for name, _ in headers)
    if not has_type and (value.data or value.media_type != OCTET_STREAM):
        headers.append(("content-type", value.media_type))
    return Request(call.get("method", "POST"), url, headers, value.data)


def _order(dag: Json, scope: str) -> Iterator[tuple[Json, list[Json]]]:
    """The nodes in an order in which each comes after its predecessors, and the edges that lead to each."""
    nodes: dict[str, Json] = {}
    for node in dag["nodes"]:
        if node["id"] in nodes:
            raise ValueError(f"the flow has two nodes `{scope}{node['id']}`: `faas-flow check` reports all problems")
        nodes[node["id"]] = node
    incoming: dict[str, list[Json]] = {id: [] for id in nodes}
    for edge in dag.get("edges", []):
        for id in (edge["from"], edge["to"]):
            if id not in nodes:
                raise ValueError(f"an edge names `{scope}{id}`, and the flow has no such node")
        incoming[edge["to"]].append(edge)
    done: set[Any] = set()
    while len(done) < len(nodes):
        ready = [id for id in nodes if id not in done and all(edge["from"] in done for edge in incoming[id])]
        if not ready:
            raise ValueError(f"the nodes {', '.join(sorted(set(nodes) - done))} of the flow wait for each other")
        for id in ready:
            done.add(id)
            yield nodes[id], incoming[id]
