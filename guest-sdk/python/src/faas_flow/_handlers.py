"""The functions of a flow, by handler id, and the check of what they return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import _check
from ._failure import Failed, Gathered, Reject
from ._http import Request, Response
from ._inputs import Inputs
from ._values import Outcome, Wake


@dataclass(frozen=True)
class Handler:
    """A function of the author."""

    kind: str
    run: Callable[..., Any]


class Handlers:
    """All functions of a flow. Each method calls one, and returns what the host needs."""

    def __init__(self) -> None:
        self._all: dict[str, Handler] = {}

    def add(self, id: str, kind: str, run: Callable[..., Any]) -> None:
        self._all[id] = Handler(kind, run)

    def ids(self) -> list[str]:
        """The ids, in the order of their bytes."""
        return sorted(self._all, key=str.encode)

    def function(self, id: str) -> Callable[..., Any] | None:
        return self._all[id].run if id in self._all else None

    def modify(self, id: str, data: bytes) -> bytes:
        return self._data(id, "modify", data)

    def aggregate(self, id: str, inputs: Inputs) -> bytes:
        return self._data(id, "aggregate", inputs)

    def condition(self, id: str, data: bytes) -> list[str]:
        result = self._call(id, "condition", data)
        if isinstance(result, (str, bytes)) or not hasattr(result, "__iter__"):
            raise self._wrong(id, result, "the keys of the branches, as a list")
        return [_check.text(key, f"a key that {self._place(id)} returned") for key in result]

    def for_each(self, id: str, data: bytes) -> list[tuple[str, bytes]]:
        result = self._call(id, "for-each", data)
        if isinstance(result, Mapping):
            result = result.items()
        if isinstance(result, (str, bytes)) or not hasattr(result, "__iter__"):
            raise self._wrong(id, result, "pairs of key and data, or a dict")
        items = []
        for item in result:
            if not isinstance(item, (tuple, list)) or len(item) != 2:
                raise self._wrong(id, item, "pairs of key and data, or a dict", "an item that is")
            key = _check.text(item[0], f"a key that {self._place(id)} returned")
            items.append((key, _check.data(item[1], f"the item `{key}` that {self._place(id)} returned")))
        return items

    def forward(self, id: str, data: bytes) -> bytes:
        return self._data(id, "forward", data)

    def prepare(self, id: str, request: Request) -> Request:
        result = self._call(id, "prepare", request)
        if not isinstance(result, Request):
            raise self._wrong(id, result, "the Request")
        return result

    def receive(self, id: str, response: Response) -> bytes:
        return self._data(id, "receive", response)

    def recover(self, id: str, error: str) -> bytes:
        return self._data(id, "recover", error)

    def recover_from(self, id: str, failed: Failed) -> bytes:
        return self._data(id, "recover-from", failed)

    def gather(self, id: str, items: list[Gathered]) -> bytes:
        return self._data(id, "gather", items)

    def moment(self, id: str, data: bytes) -> Wake:
        result = self._call(id, "moment", data)
        if not isinstance(result, Wake):
            raise self._wrong(id, result, "Wake.at(…) or Wake.after(…)")
        return result

    def again(self, id: str, data: bytes, round: int) -> bool:
        result = self._call(id, "again", data, round)
        if not isinstance(result, bool):
            raise self._wrong(id, result, "True or False")
        return result

    def signal_name(self, id: str, data: bytes) -> str:
        return _check.text(self._call(id, "signal-name", data), f"what {self._place(id)} returned")

    def key(self, id: str, data: bytes) -> str:
        return _check.text(self._call(id, "key", data), f"what {self._place(id)} returned")

    def finally_(self, id: str, outcome: Outcome) -> None:
        self._call(id, "finally", outcome)

    def _data(self, id: str, kind: str, *arguments: object) -> bytes:
        return _check.data(self._call(id, kind, *arguments), f"what {self._place(id)} returned")

    def _call(self, id: str, kind: str, *arguments: object) -> Any:
        handler = self._all.get(id)
        if handler is None:
            raise Reject(f"the flow has no handler `{id}`")
        if handler.kind != kind:
            raise Reject(f"handler `{id}` was called as `{kind}`, but its kind is `{handler.kind}`")
        return _check.finished(handler.run(*arguments), handler.run)

    def _place(self, id: str) -> str:
        return _check.place(self._all[id].run)

    def _wrong(self, id: str, found: object, wanted: str, which: str = "") -> TypeError:
        name = "None" if found is None else type(found).__qualname__
        return TypeError(f"{self._place(id)} returned {which + ' ' if which else ''}{name}, and must return {wanted}")
