"""Calls the functions of a flow one by one."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

from .. import _check
from .._failure import Failed, Gathered
from .._http import Request, Response
from .._inputs import Inputs
from .._record import Define, Json, Recorded
from .._values import Outcome, Wake
from ._fake import Fake

Data = bytes | str


class Flow:
    """A flow whose functions can be called by their handler ids. Every method that calls a function returns what it returns,
    as the host would get it. It raises `Reject` for an id that the flow does not have, or whose function is of another kind,
    and `TypeError` if the function returns something else than it must.

    ```python
    flow = Flow(define, Fake(query={"name": "Adam"}))
    assert flow.modify("sync/0", "") == b"Hello, Adam!"
    ```
    """

    def __init__(self, define: Define, fake: Fake | None = None) -> None:
        """Runs `define` with this context, or with one that knows nothing."""
        self._fake = fake if fake is not None else Fake()
        recorded = self._fake._defining(lambda context: Recorded(define, context))
        self._definition = recorded.definition
        self._handlers = recorded.handlers

    @property
    def definition(self) -> Json:
        """The definition, in the JSON form that `faas-flow graph --format definition` prints."""
        return copy.deepcopy(self._definition)

    @property
    def handlers(self) -> list[str]:
        """The handler ids of all functions, in the order of their bytes."""
        return self._handlers.ids()

    def modify(self, id: str, data: Data) -> bytes:
        """Calls a modifier."""
        return self._fake._calling(lambda: self._handlers.modify(id, _data(data)))

    def aggregate(self, id: str, inputs: Mapping[str, Data] | Iterable[tuple[str, Data]]) -> bytes:
        """Calls an aggregator with named values."""
        pairs = inputs.items() if isinstance(inputs, Mapping) else inputs
        named = Inputs([(name, _data(data)) for name, data in pairs])
        return self._fake._calling(lambda: self._handlers.aggregate(id, named))

    def condition(self, id: str, data: Data) -> list[str]:
        """Calls the function that chooses the branches of a condition, and returns their keys."""
        return self._fake._calling(lambda: self._handlers.condition(id, _data(data)))

    def for_each(self, id: str, data: Data) -> list[tuple[str, bytes]]:
        """Calls the function that splits the input of a for-each, and returns the items with their keys."""
        return self._fake._calling(lambda: self._handlers.for_each(id, _data(data)))

    def again(self, id: str, data: Data, round: int) -> bool:
        """Calls the function that says whether a repeat runs again, with the result of a round and its number, from 1."""
        return self._fake._calling(lambda: self._handlers.again(id, _data(data), round))

    def key(self, id: str, data: Data) -> str:
        """Calls the function that names the key of a limit for the data of a call or a node."""
        return self._fake._calling(lambda: self._handlers.key(id, _data(data)))

    def forward(self, id: str, data: Data) -> bytes:
        """Calls the forwarder of an edge."""
        return self._fake._calling(lambda: self._handlers.forward(id, _data(data)))

    def prepare(self, id: str, request: Request) -> Request:
        """Calls the function that prepares the request of a call."""
        return self._fake._calling(lambda: self._handlers.prepare(id, request))

    def receive(self, id: str, response: Response) -> bytes:
        """Calls the function that receives the response of a call."""
        return self._fake._calling(lambda: self._handlers.receive(id, response))

    def recover(self, id: str, failure: str) -> bytes:
        """Calls the function that recovers from the failure of a call, or the failure handler of the flow: `(failure)`."""
        return self._fake._calling(lambda: self._handlers.recover(id, failure))

    def recover_from(self, id: str, failed: Failed) -> bytes:
        """Calls the function that catches the failure of a call, a node or a dag."""
        return self._fake._calling(lambda: self._handlers.recover_from(id, failed))

    def gather(self, id: str, items: Iterable[Gathered]) -> bytes:
        """Calls the function that gathers the items of a for-each."""
        return self._fake._calling(lambda: self._handlers.gather(id, list(items)))

    def moment(self, id: str, data: Data) -> Wake:
        """Calls the function that names the moment until which a node sleeps."""
        return self._fake._calling(lambda: self._handlers.moment(id, _data(data)))

    def signal_name(self, id: str, data: Data) -> str:
        """Calls the function that names the signal that a node waits for."""
        return self._fake._calling(lambda: self._handlers.signal_name(id, _data(data)))

    def finally_(self, outcome: Outcome) -> None:
        """Calls the finally handler of the flow."""
        self._fake._calling(lambda: self._handlers.finally_("(finally)", outcome))


def _data(data: Data) -> bytes:
    return _check.data(data, "the data")
