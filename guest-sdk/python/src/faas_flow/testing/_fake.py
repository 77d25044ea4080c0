"""The context of a run in tests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from .. import _check
from .._context import Context, calling, to_json
from .._failure import Reject
from .._http import Response
from .._values import Level, State

T = TypeVar("T")

OCTET_STREAM = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[!-.0-~]+/[!-.0-:<-~]+ *(;[ -~]*)?")
_SIGNAL = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")

Many = Mapping[str, str | Iterable[str]]
"""Names, each with a value or with several."""


class Fake:
    """The context of a run in tests. It answers what a test told it to, and remembers what the flow logged and set.

    ```python
    fake = Fake(headers={"x-team": "blue"}, values={"attempts": 1})
    flow = Flow(define, fake)
    flow.modify("count/0", "…")
    assert fake.get("attempts") == 2
    assert fake.logs == [(Level.WARN, "again")]
    ```
    """

    def __init__(
        self,
        *,
        query: Many = {},
        headers: Many = {},
        inputs: Mapping[str, bytes | str] = {},
        values: Mapping[str, Any] = {},
        content_type: str = OCTET_STREAM,
        content_types: Iterable[str] = (),
        request_id: str = "test",
        flow_name: str = "flow",
        node: str = "",
        state: State = State.RUNNING,
    ) -> None:
        """The context of the request `request_id` to the flow `flow_name`.

        - `query` and `headers` are those of the request, each name with one value or a list of values.
        - `inputs` are those of the current node, whose path is `node`.
        - `values` are what nodes of the run have set, as JSON.
        - `content_type` is the media type of the data that functions get, `content_types` are those of the values that
          aggregators get, in their order.
        """
        self._query = _pairs(query)
        self._headers = _pairs(headers)
        self._inputs = [(name, _check.data(data, f"the input `{name}`")) for name, data in inputs.items()]
        self._values = {key: to_json(value) for key, value in values.items()}
        self._content_type = content_type
        self._content_types = list(content_types) or [OCTET_STREAM] * len(self._inputs)
        self._request_id = request_id
        self._flow_name = flow_name
        self._node = node
        self._state = state
        self._is_defining = False
        self._returned: str | None = None
        self._response: Response | None = None
        self._labels: dict[str, str] = {}
        self._logs: list[tuple[Level, str]] = []

    def context(self) -> Context:
        """The context, as the flow gets it."""
        return Context(_Host(self))

    def get(self, key: str, default: Any = None) -> Any:
        """A JSON value that the flow, or the test, has set, or `default`."""
        value = self._values.get(key)
        return default if value is None else json.loads(value)

    @property
    def logs(self) -> list[tuple[Level, str]]:
        """The lines that the flow has logged, in order."""
        return list(self._logs)

    @property
    def labels(self) -> dict[str, str]:
        """The labels that the flow has given the run."""
        return dict(self._labels)

    @property
    def response(self) -> Response | None:
        """The status and headers that the flow has set with `Context.respond`; the body is empty. `None` if it has not."""
        return self._response

    @property
    def returned_content_type(self) -> str:
        """The media type of what the flow's latest function returned."""
        return self._returned or OCTET_STREAM

    def _calling(self, call: Callable[[], T]) -> T:
        """Calls a function of the flow."""
        self._returned = None
        with calling(_Host(self)):
            return call()

    def _defining(self, define: Callable[[Context], T]) -> T:
        """Calls `define` with a context in which nothing can be changed."""
        self._is_defining = True
        try:
            return define(self.context())
        finally:
            self._is_defining = False


class _Host:
    """What the context asks. It refuses what the host refuses."""

    def __init__(self, fake: Fake) -> None:
        self._fake = fake

    def request_id(self) -> str:
        return self._fake._request_id

    def flow_name(self) -> str:
        return self._fake._flow_name

    def node(self) -> str:
        return "" if self._fake._is_defining else self._fake._node

    def state(self) -> State:
        return self._fake._state

    def query(self, name: str) -> list[str]:
        return [value for key, value in self._fake._query if key == name]

    def header(self, name: str) -> list[str]:
        return [value for key, value in self._fake._headers if key.lower() == name.lower()]

    def inputs(self) -> list[tuple[str, bytes]]:
        return [] if self._fake._is_defining else list(self._fake._inputs)

    def content_type(self) -> str:
        return self._fake._content_type

    def content_types(self) -> list[str]:
        return [] if self._fake._is_defining else list(self._fake._content_types)

    def set_content_type(self, media_type: str) -> None:
        self._refuse_in_define("there is no data in `define` that could have a media type")
        if len(media_type) > 255 or not _MEDIA_TYPE.fullmatch(media_type):
            raise Reject(f"`{media_type}` is not a media type")
        self._fake._returned = media_type

    def respond(self, status: int, headers: list[tuple[str, str]]) -> None:
        self._refuse_in_define("there is no run in `define` that could be answered")
        if status == 202:
            raise Reject(f"an answer cannot have the status {status}")
        if len(headers) > 32 or sum(len(name) + len(value) for name, value in headers) > 8192:
            raise Reject("an answer has at most 32 headers of the flow, with 8,192 bytes altogether")
        self._fake._response = Response(status, [(name.lower(), value) for name, value in headers])

    def label(self, key: str, value: str) -> None:
        self._refuse_in_define("there is no run in `define` that could have a label")
        if not _LABEL.fullmatch(key):
            raise Reject(f"`{key}` cannot be the key of a label")
        if len(value.encode()) > 128 or any(ord(char) < 32 or 127 <= ord(char) < 160 for char in value):
            raise Reject(f"the value of the label `{key}` is too long, or has control characters")
        if len(self._fake._labels) >= 16 and key not in self._fake._labels:
            raise Reject("a run has at most 16 labels")
        self._fake._labels[key] = value

    def get(self, key: str) -> bytes | None:
        return self._fake._values.get(key)

    def set(self, key: str, value: bytes) -> None:
        self._refuse_change(key)
        self._fake._values[key] = value

    def delete(self, key: str) -> None:
        self._refuse_change(key)
        self._fake._values.pop(key, None)

    def signal_url(self, name: str, valid_ms: int | None) -> str:
        self._refuse_in_define("there is no run in `define` to which a signal could be sent")
        if not _SIGNAL.fullmatch(name):
            raise Reject(f"`{name}` is not the name of a signal")
        if valid_ms is not None and valid_ms > 31_622_400_000:
            raise Reject("an address of a signal is valid for at most 366 days")
        run = f"function/{self._fake._flow_name}/flow/{self._fake._request_id}"
        return f"https://example.org/{run}/signal/{name}?signature=test"

    def log(self, level: Level, message: str) -> None:
        self._fake._logs.append((level, message))

    def _refuse_in_define(self, why: str) -> None:
        if self._fake._is_defining:
            raise Reject(why)

    def _refuse_change(self, key: str) -> None:
        self._refuse_in_define(f"value `{key}` cannot be changed in `define`")
        if not 1 <= len(key.encode()) <= 256:
            raise Reject(f"value `{key}` has a key of {len(key.encode())} bytes, not 1 to 256")


def _pairs(many: Many) -> list[tuple[str, str]]:
    return [
        (name, _check.text(value, f"a value of `{name}`"))
        for name, values in many.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
