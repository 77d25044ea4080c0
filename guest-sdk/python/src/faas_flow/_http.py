"""The HTTP messages that a flow's functions see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import _check

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Request:
    """An HTTP request that the host is about to send, as a function of `Call.prepare` sees it. Its methods return a changed
    copy.

    ```python
    call.prepare(lambda request: request.with_header("x-tenant", "acme"))
    ```
    """

    method: str
    """The method, in upper case: `POST`."""
    url: str
    """The absolute URL, with its query."""
    headers: Headers = ()
    """Names and values of the headers, in order. A name may occur more than once."""
    body: bytes = b""
    """The whole body."""

    def header(self, name: str) -> str | None:
        """The value of the first header with this name, or `None`. Upper and lower case are the same."""
        return _first(self.headers, name)

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    def with_method(self, method: str) -> Request:
        """With another method."""
        return replace(self, method=_check.text(method, "the method"))

    def with_url(self, url: str) -> Request:
        """With another URL. When the request goes to an OpenFaaS function, the host decides where that function is: it uses
        the query and the path after the function's name, and ignores scheme, host and port."""
        return replace(self, url=_check.text(url, "the URL"))

    def with_header(self, name: str, value: str) -> Request:
        """With one more header. Headers of the same name are kept: remove them with `without_header` first to replace them."""
        header = (_check.text(name, "the name of a header"), _check.text(value, f"the value of the header `{name}`"))
        return replace(self, headers=[*self.headers, header])

    def without_header(self, name: str) -> Request:
        """Without all headers with this name. Upper and lower case are the same."""
        return replace(self, headers=[header for header in self.headers if header[0].lower() != name.lower()])

    def with_body(self, body: bytes | str) -> Request:
        """With another body."""
        return replace(self, body=_check.data(body, "the body"))


@dataclass(frozen=True)
class Response:
    """An HTTP response as it arrived, as a function of `Call.receive` sees it."""

    status: int
    """The status code, from 100 to 599."""
    headers: Headers = ()
    """Names, in lower case, and values of the headers, in order of arrival. A name may occur more than once."""
    body: bytes = b""
    """The whole body."""

    def header(self, name: str) -> str | None:
        """The value of the first header with this name, or `None`. Upper and lower case are the same."""
        return _first(self.headers, name)

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


def _first(headers: Headers, name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name.lower()), None)
