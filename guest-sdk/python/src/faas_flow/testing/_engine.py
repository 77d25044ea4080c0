"""The rules by which a flow runs, as docs/concepts.md states them, for one node after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from .._failure import Failed, FailureKind, Gathered
from .._http import Response
from .._record import Json, encode
from ._attempt import Failing, Named, Value
from ._operations import Operations

Gather = Callable[[], Value]
"""What a node gets."""


@dataclass(frozen=True)
class _Branch:
    """A dag that a node starts."""

    key: str
    dag: Json
    input: Value


@dataclass(frozen=True)
class _Ended:
    """How a branch ended."""

    key: str
    value: Value
    failed: Failed | None


class Engine(Operations):
    """Executes the nodes of one run, one after the other."""

    def dag(self, dag: Json, scope: str, input: Value) -> Value:
        response = self._fake._response
        try:
            return self._nodes(dag, scope, input)
        except Failing as failing:
            if failing.level == "run" or "recover" not in dag:
                raise
            self._withdraw(response)
            return self._caught(dag["recover"], scope + "(recover)", failing)

    def _withdraw(self, before: Response | None) -> None:
        """Drops the status and headers that what does not go on has set."""
        if self._fake._response is not before:
            self._fake._response = None

    def _nodes(self, dag: Json, scope: str, input: Value) -> Value:
        incoming = _edges_to(dag, scope)
        begun = self.now
        outputs: dict[str, Value] = {}
        ended: dict[str, int] = {}
        while len(ended) < len(dag["nodes"]):
            ready = [
                (max([begun, *(ended[edge["from"]] for edge in incoming[node["id"]])]), node)
                for node in dag["nodes"]
                if node["id"] not in ended and all(edge["from"] in ended for edge in incoming[node["id"]])
            ]
            if not ready:
                raise ValueError(f"nodes of {_dag_of(scope)} wait for each other; {_ALL}")
            # Of several that would begin at the same time, the first one.
            self.now, node = min(ready, key=lambda begins: begins[0])
            outputs[node["id"]] = self._node(dag, scope, node, incoming[node["id"]], outputs, input)
            ended[node["id"]] = self.now
        self.now = max(ended.values())
        goes_on = {edge["from"] for edge in dag.get("edges", [])}
        ends = [node["id"] for node in dag["nodes"] if node["id"] not in goes_on]
        if "aggregate-ends" in dag:
            merged = [(id, outputs[id]) for id in ends]
            return self.attempt(scope + "(end)", lambda: self.aggregate(dag["aggregate-ends"], merged))
        return outputs[ends[0]] if len(ends) == 1 else Value()

    def _node(self, dag: Json, scope: str, node: Json, incoming: list[Json], outputs: dict[str, Value], input: Value) -> Value:
        id = node["id"]
        path, response = scope + id, self._fake._response
        self.ran.append(path)
        aggregator = _handler_of(dag.get("aggregate-inputs", []), id, "aggregator")
        try:
            value = self._kind(path, node, lambda: self._gather(incoming, outputs, aggregator, input))
            passes_on = "operations" in node and not node["operations"]["list"]
            return value if passes_on else replace(value, is_request=False)
        except Failing as failing:
            recover = _handler_of(dag.get("recover-nodes", []), id, "recover")
            if failing.level == "run" or recover is None:
                raise
            if "operations" not in node:
                self._withdraw(response)
            return self._caught(recover, path, failing)

    def _kind(self, path: str, node: Json, gather: Gather) -> Value:
        match node:
            case {"operations": operations}:
                return self.operations(path, operations, gather)
            case {"sub-dag": dag}:
                return self.dag(dag, path + "/", self.attempt(path, gather))
            case {"condition": condition}:
                return self._condition(path, condition, gather)
            case {"for-each": for_each}:
                return self._for_each(path, for_each, gather)
            case _:
                return self._repeat(path, node["repeat"], gather)

    def _gather(self, incoming: list[Json], outputs: dict[str, Value], aggregator: str | None, input: Value) -> Value:
        """What a node gets: the outputs of those before it, as forwarders rewrite them and an aggregator merges them."""
        inputs: Named = [] if incoming else [("", input)]
        for edge in incoming:
            output = outputs[edge["from"]]
            match edge.get("carries"):
                case None:
                    inputs.append((edge["from"], output))
                case {"forwarded": id}:
                    inputs.append((edge["from"], self._forwarded(id, output)))
        self._fake._inputs = [(name, value.data) for name, value in inputs]
        self._fake._content_types = [value.media_type for _, value in inputs]
        if aggregator is not None:
            return self.aggregate(aggregator, inputs)
        if len(inputs) != 1:
            return Value()
        self._own.of_request = inputs[0][1].is_request
        return inputs[0][1]

    def _forwarded(self, id: str, output: Value) -> Value:
        return self.data(output, lambda handlers: handlers.forward(id, output.data), id)

    def _caught(self, id: str, path: str, failing: Failing) -> Value:
        return self.attempt(path, lambda: self.recover_from(id, failing))

    def _condition(self, path: str, condition: Json, gather: Gather) -> Value:
        id = condition["handler"]

        def choose() -> list[_Branch]:
            value = gather()
            keys = self.plain(value, lambda handlers: handlers.condition(id, value.data), id)
            return _chosen(path, condition, keys, value)

        ended = self._branches(path, condition, self.attempt(path, choose), 0)
        if "aggregator" not in condition and len(ended) == 1:
            return ended[0].value
        return self._merge(path, condition, ended)

    def _for_each(self, path: str, for_each: Json, gather: Gather) -> Value:
        id, dag = for_each["handler"], for_each["dags"][0]["dag"]

        def split() -> list[_Branch]:
            value = gather()
            items = self.plain(value, lambda handlers: handlers.for_each(id, value.data), id)
            media_type = self._fake.returned_content_type
            known: set[str] = set()
            for key, _ in items:
                size = len(key.encode())
                if not 1 <= size <= 128:
                    raise _wrong("FF0118", path, id, f"yielded an item whose key has {size} bytes, not 1 to 128", value)
                if key in known:
                    raise _wrong("FF0203", path, id, f"yielded two items with the key `{key}`: make keys unique", value)
                known.add(key)
            return [_Branch(key, dag, Value(data, media_type)) for key, data in items]

        branches = self.attempt(path, split)
        if not branches:
            return Value()
        match for_each.get("tolerate"):
            case {"items": items}:
                tolerated = items
            case {"share": share}:
                tolerated = int(share * len(branches) + 1e-6)
            case _:
                tolerated = 0
        return self._merge(path, for_each, self._branches(path, for_each, branches, tolerated))

    def _branches(self, path: str, model: Json, branches: list[_Branch], tolerated: int) -> list[_Ended]:
        """Executes branches one after the other. Their times are those at which they would run at the same time, as many as
        may."""
        begun = latest = self.now
        most, nothing = model.get("max-parallel", len(branches)), "carries-nothing" in model
        busy: list[int] = []
        ended = []
        for branch in branches:
            self.now = begun
            if len(busy) >= most:
                self.now = min(busy)
                busy.remove(self.now)
            response, value, failed = self._fake._response, Value(), None
            try:
                value = self.dag(branch.dag, f"{path}[{encode(branch.key)}]/", Value() if nothing else branch.input)
            except Failing as failing:
                if failing.level == "run" or tolerated == 0:
                    raise
                tolerated -= 1
                self._withdraw(response)
                failed = replace(failing.failed, input=b"", body=None)
            ended.append(_Ended(branch.key, Value() if nothing else value, failed))
            busy.append(self.now)
            latest = max(latest, self.now)
        self.now = latest
        return ended

    def _merge(self, path: str, model: Json, ended: list[_Ended]) -> Value:
        """Merges the results of branches."""
        if "gather" in model:
            items = [
                Gathered(one.key, one.value.data) if one.failed is None else Gathered(one.key, one.failed) for one in ended
            ]
            id = model["gather"]
            return self.attempt(path, lambda: self.data(Value(), lambda handlers: handlers.gather(id, items), id))
        if "aggregator" not in model:
            return Value()
        results = [(one.key, one.value) for one in ended if one.failed is None]
        return self.attempt(path, lambda: self.aggregate(model["aggregator"], results))

    def _repeat(self, path: str, repeat: Json, gather: Gather) -> Value:
        id = repeat["handler"]
        value, number = self.attempt(path, gather), 1

        def goes_on() -> bool:
            result, round = value, number
            again = self.plain(result, lambda handlers: handlers.again(id, result.data, round), id)
            if again and round >= repeat["most"]:
                advice = "but there may be no more: raise the limit, or end the repeat earlier"
                message = f"`{id}` wants another round after {repeat['most']}, {advice}"
                raise Failing("FF0262", FailureKind.OTHER, path, message, input=result.data)
            if again:
                self._pass(repeat.get("wait-ms", 0))
            return again

        while True:
            value = self.dag(repeat["dag"], f"{path}[{number}]/", value)
            if not self.attempt(path, goes_on):
                return value
            number += 1


def _chosen(path: str, condition: Json, keys: list[str], value: Value) -> list[_Branch]:
    """The branches that a condition has chosen."""
    id = condition["handler"]
    dags = {branch["key"]: branch["dag"] for branch in condition["dags"]}
    if not keys:
        raise _wrong("FF0202", path, id, "chose no branch: choose at least one; it may be an empty one", value)
    for at, key in enumerate(keys):
        if key not in dags:
            raise _wrong("FF0201", path, id, f"chose `{key}`, but the branches are {', '.join(dags)}", value)
        if key in keys[:at]:
            raise _wrong("FF0203", path, id, f"chose the branch `{key}` twice", value)
    return [_Branch(key, dags[key], value) for key in keys]


def _wrong(code: str, path: str, handler: str, what: str, value: Value) -> Failing:
    return Failing(code, FailureKind.OTHER, path, f"handler `{handler}` {what}", input=value.data)


def _handler_of(entries: list[Json], node: str, field: str) -> str | None:
    return next((entry[field] for entry in entries if entry["node"] == node), None)


_ALL = "`faas-flow check` reports all problems of the flow"


def _dag_of(scope: str) -> str:
    return f"the dag of `{scope.rstrip('/')}`" if scope else "the flow"


def _edges_to(dag: Json, scope: str) -> dict[str, list[Json]]:
    """The edges that lead to each node. A dag that the host would not accept has no run."""
    incoming: dict[str, list[Json]] = {}
    for node in dag["nodes"]:
        if node["id"] in incoming:
            raise ValueError(f"{_dag_of(scope)} has two nodes `{node['id']}`; {_ALL}")
        incoming[node["id"]] = []
    for edge in dag.get("edges", []):
        for id in (edge["from"], edge["to"]):
            if id not in incoming:
                what = f"an edge from `{edge['from']}` to `{edge['to']}`, but no node `{id}`"
                raise ValueError(f"{_dag_of(scope)} has {what}; {_ALL}")
        incoming[edge["to"]].append(edge)
    starts = [id for id, edges in incoming.items() if not edges]
    if not incoming:
        raise ValueError(f"{_dag_of(scope)} has no nodes; {_ALL}")
    if not starts:
        raise ValueError(f"the nodes of {_dag_of(scope)} wait for each other; {_ALL}")
    if len(starts) > 1:
        names = "`, `".join(starts)
        raise ValueError(f"{_dag_of(scope)} has several starts, `{names}`: add edges, so that there is one; {_ALL}")
    return incoming


def awaited(dag: Json) -> set[str | None]:
    """The names of the signals for which a dag waits. One that a function of the flow chooses is `None`."""
    names: set[str | None] = set()
    for node in dag["nodes"]:
        for operation in node.get("operations", {}).get("list", []):
            if "wait-for" in operation:
                names.add(operation["wait-for"]["signal"].get("named"))
        inner = [node.get("sub-dag"), node.get("repeat", {}).get("dag")]
        branches = node.get("condition") or node.get("for-each") or {}
        inner += [branch["dag"] for branch in branches.get("dags", [])]
        for one in inner:
            names |= awaited(one) if one else set()
    return names
