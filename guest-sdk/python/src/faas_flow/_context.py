"""What a flow may ask of the run, and set in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from . import _check
from ._check import Time
from ._inputs import Inputs
from ._values import Level, State

JSON = "application/json"


class Host(Protocol):
    """What is behind a context: the host of the component, or the fake one of a test."""

    def request_id(self) -> str: ...
    def flow_name(self) -> str: ...
    def node(self) -> str: ...
    def state(self) -> State: ...
    def query(self, name: str) -> list[str]: ...
    def header(self, name: str) -> list[str]: ...
    def inputs(self) -> list[tuple[str, bytes]]: ...
    def content_type(self) -> str: ...
    def content_types(self) -> list[str]: ...
    def set_content_type(self, media_type: str) -> None: ...
    def respond(self, status: int, headers: list[tuple[str, str]]) -> None: ...
    def label(self, key: str, value: str) -> None: ...
    def get(self, key: str) -> bytes | None: ...
    def set(self, key: str, value: bytes) -> None: ...
    def delete(self, key: str) -> None: ...
    def signal_url(self, name: str, valid_ms: int | None) -> str: ...
    def log(self, level: Level, message: str) -> None: ...


class Context:
    """Facts about the current run, values that last as long as the run, and the log.

    Functions of a flow take it from around them:

    ```python
    def define(workflow: Workflow, context: Context) -> None:
        def count(data: bytes) -> bytes:
            context.set("lines", data.count(b"\\n"))
            return data

        dag = workflow.dag
        dag.node("count").modify(count)
        dag.node("report").modify(lambda _: f"{context.get('lines')} lines")
        dag.edge("count", "report")
    ```

    **In `define`.** `define` may read the context, for example to add a query parameter of the request to a call. The host
    then asks for the definition at the start of every run and keeps it with the run. If `define` does nothing with the
    context but log, it runs when the module is built, and its result is part of the module, which is faster.

    While `define` runs there is no current node: `node` and `inputs` are empty, and values cannot be changed.

    **Errors.** Reading a value raises `Retry` if the host cannot read it now. What the host refuses raises `Reject`.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    def request_id(self) -> str:
        """The id of the run, which is the `X-Faas-Flow-Reqid` of its request: 1 to 64 characters of `A-Z a-z 0-9 _ -`."""
        return self._host.request_id()

    @property
    def flow_name(self) -> str:
        """The name under which the flow is deployed."""
        return self._host.flow_name()

    @property
    def node(self) -> str:
        """The path of the current node within the run: `C[c1]/F[f2]/n1` is the node `n1` in the item `f2` of the for-each
        `F` in the branch `c1` of the condition `C`. Branch keys are percent-encoded."""
        return self._host.node()

    @property
    def state(self) -> State:
        """The state of the run when the host called this function: `State.RUNNING` in a node, `State.FAILED` in the failure
        handler, and in the finally handler the state in which the run ended."""
        return self._host.state()

    def query(self, name: str) -> list[str]:
        """All values of a query parameter of the request that started the run, decoded, in order."""
        return self._host.query(_check.text(name, "the name of a query parameter"))

    def header(self, name: str) -> list[str]:
        """All values of a header of the request that started the run, in order. Upper and lower case are the same.

        Credentials such as `Authorization` and `Cookie` are not available unless the operator allows them (`keep_headers`).
        A value that is not UTF-8 is read as ISO-8859-1."""
        return self._host.header(_check.text(name, "the name of a header"))

    @property
    def inputs(self) -> Inputs:
        """The inputs of the current node, by predecessor, before any aggregator."""
        return Inputs(self._host.inputs())

    @property
    def content_type(self) -> str:
        """The media type of the data that this function got: `application/json`, or `text/plain; charset=utf-8`. In a function
        of `Call.prepare` it is that of the request, in one of `Call.receive` that of the response.

        It is `application/octet-stream` if no media type was set for the data, and in functions that get several values or
        none: aggregators, and those for failures and for the end of the run."""
        return self._host.content_type()

    @property
    def content_types(self) -> list[str]:
        """Media types in the order of the values to which they belong: in an aggregator those of the values that it merges, in
        other functions those of `inputs`."""
        return self._host.content_types()

    def set_content_type(self, media_type: str) -> None:
        """Sets the media type of the data that this function is about to return; of each item, in the function of a for-each.
        Without this call it is `application/octet-stream`, or `application/json` in `Node.modify_json`.

        Calls of functions and URLs send it as `Content-Type`, and so does the answer to the caller. A text that is not a media
        type as RFC 9110 defines it, or has more than 255 bytes, is refused."""
        self._host.set_content_type(_check.text(media_type, "the media type"))

    def respond(self, status: int, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        """Sets the status and headers with which the caller of the run is answered.

        In a node they belong to the result of the run. If the node fails, they are dropped; if several nodes set them, those
        that were committed last count; and if the run fails, none do. In the failure handler they belong to what the handler
        returns. For the media type of the answer, use `set_content_type`.

        The status is from 200 to 599, but not 202. There may be 32 headers with 8,192 bytes altogether."""
        _check.whole(status, "the status of an answer", 200, 599)
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        checked = [
            (_check.text(name, "the name of a header"), _check.text(value, f"the value of the header `{name}`"))
            for name, value in pairs
        ]
        self._host.respond(status, checked)

    def signal_url(self, name: str, valid: Time | None = None) -> str:
        """An address with which anyone who knows it can send one signal of this name to this run: it is signed, works
        once, needs no token, and expires after 7 days, or after the time `valid` of at most 366 days. A browser that opens it
        gets a page with which to approve or reject, and to comment; the signal's body is then
        `{"decision":"approve","comment":"…"}`.

        If a node asks several times, also when it is tried again, only one of the addresses that it gets can be used. Other
        nodes get other addresses. It is refused if the name is malformed, and if the host does not know at which address it can
        be reached (its configuration key `public_url`)."""
        valid_ms = None if valid is None else _check.millis(valid, "the time for which an address is valid")
        return self._host.signal_url(_check.text(name, "the name of a signal"), valid_ms)

    def label(self, key: str, value: str) -> None:
        """Gives the run a label, by which people find it in lists, or replaces the value of a label that it has. It is
        committed with the node's output, and dropped if the node fails.

        A key has 1 to 63 characters of `A-Z a-z 0-9 . _ / -` of which the first is a letter or digit, a value at most 128
        bytes without control characters, and a run at most 16 labels."""
        self._host.label(_check.text(key, "the key of a label"), _check.text(value, f"the value of the label `{key}`"))

    def get(self, key: str, default: Any = None) -> Any:
        """A JSON value that some node of this run has set, or `default`.

        A node sees its own changes at once. It sees those of other nodes after they have committed."""
        value = self.get_bytes(key)
        return default if value is None else json.loads(value)

    def set(self, key: str, value: Any) -> None:
        """Sets a value, as JSON, for the rest of the run. See `set_bytes`."""
        self.set_bytes(key, to_json(value))

    def get_bytes(self, key: str) -> bytes | None:
        """The bytes of a value that some node of this run has set, or `None`."""
        return self._host.get(_check.text(key, "the key of a value"))

    def set_bytes(self, key: str, value: bytes | str) -> None:
        """Sets a value for the rest of the run. The key has 1 to 256 bytes.

        The host commits the change in one step with the node's output. If the node fails, the change is dropped."""
        self._host.set(_check.text(key, "the key of a value"), _check.data(value, f"the value of `{key}`"))

    def delete(self, key: str) -> None:
        """Deletes a value. Deleting one that does not exist is not an error."""
        self._host.delete(_check.text(key, "the key of a value"))

    def log(self, level: Level, message: str) -> None:
        """Writes a line to the host's log. The host adds the run and the node."""
        # A line of the log is never worth a failure.
        self._host.log(level, str(message).encode("utf-8", "backslashreplace").decode())

    def trace(self, message: str) -> None:
        """Logs at `Level.TRACE`."""
        self.log(Level.TRACE, message)

    def debug(self, message: str) -> None:
        """Logs at `Level.DEBUG`."""
        self.log(Level.DEBUG, message)

    def info(self, message: str) -> None:
        """Logs at `Level.INFO`."""
        self.log(Level.INFO, message)

    def warn(self, message: str) -> None:
        """Logs at `Level.WARN`."""
        self.log(Level.WARN, message)

    def error(self, message: str) -> None:
        """Logs at `Level.ERROR`."""
        self.log(Level.ERROR, message)

    def __repr__(self) -> str:
        # Shows no facts: printing a context in `define` must not count as reading it.
        return "Context()"


def to_json(value: Any) -> bytes:
    """JSON as the other SDKs write it: without spaces, and in UTF-8."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


_current: list[Host] = []
"""The host of the function that is being called, for `modify_json`, to which the author has given no context."""


class calling:
    """While it lasts, this host is the one of the function that is being called."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def __enter__(self) -> None:
        _current.append(self._host)

    def __exit__(self, *_: object) -> None:
        _current.pop()


def returns_json() -> None:
    """Says that the function that is being called returns JSON."""
    if _current:
        _current[-1].set_content_type(JSON)
