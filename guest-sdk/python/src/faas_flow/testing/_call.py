"""Calls that a run makes, and what functions of a test answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs, unquote, urlsplit

from .. import _check
from .._check import Time
from .._http import Headers, Request, Response

Data = bytes | str


@dataclass(frozen=True)
class Answer:
    """What a function of a test answers, if it is more than data or a `Response`."""

    status: int = 200
    """The status of the response."""
    headers: Headers = ()
    """The headers of the response."""
    body: Data = b""
    """The body of the response."""
    delay: Time = 0
    """The virtual time that the answer takes. If it is longer than the timeout of the call, which is a minute unless the flow
    says otherwise, the call fails."""
    error: str | None = None
    """Why there is no answer: the call fails as one that cannot be made."""


@dataclass(frozen=True)
class Call(Request):
    """One try of a call that a run has made, as its function gets it: what is sent, with the headers that the host adds, and
    who sends it."""

    function: str = ""
    """The function as it is called, `wc` or `wc/lines`, or the URL without its query."""
    node: str = ""
    """The path of the node that calls: `F[f2]/charge`."""
    tries: int = 1
    """How many tries of the call there were, with this one."""
    at: timedelta = timedelta()
    """The virtual time of the call, counted from the beginning of the run."""

    @property
    def path(self) -> str:
        """The path of the request, decoded: of a function, what follows its name, such as `/lines` or nothing."""
        path = urlsplit(self.url).path
        return unquote(path if "://" in self.function else _tail(path))

    def query(self, name: str) -> list[str]:
        """All values of a query parameter of the request, decoded, in order."""
        return parse_qs(urlsplit(self.url).query, keep_blank_values=True).get(name, [])


Answers = Data | Response | Answer
"""What a function of a test answers: data, a `Response`, or an `Answer` that says more."""
Function = Callable[[Call], Answers]
"""A function of a test, which gets the `Call`."""


def subject(target: str, url: str, is_url: bool) -> str:
    """The name by which a call is answered: the function with the path of the request, or the URL without its query."""
    if is_url:
        return url.split("#")[0].split("?")[0].rstrip("/")
    name = target.split("#")[0].split("?")[0].split("/")[0]
    return name + _tail(urlsplit(url).path).rstrip("/")


def _tail(path: str) -> str:
    """What follows the first segment of a path: `/lines` of `/wc/lines`."""
    _, slash, rest = path.removeprefix("/").partition("/")
    return slash + rest


def encoded(text: str) -> str:
    """Percent-encodes a name or value of a query parameter, as the host does."""
    return "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"%{byte:02X}" for byte in text.encode())


def answer_of(answer: object, name: str) -> Answer:
    """An answer that a test gives, with all that it may have."""
    if isinstance(answer, Answer):
        return answer
    if isinstance(answer, Response):
        return Answer(answer.status, answer.headers, answer.body)
    return Answer(body=_check.data(answer, f"what the test's function `{name}` answers"))


def retry_after(response: Response, now: datetime) -> int:
    """The wait that a response asks for, in milliseconds: a day at most."""
    value = (response.header("retry-after") or "").strip()
    most = 24 * 3600 * 1000
    if value.isdigit():
        return min(int(value) * 1000, most)
    try:
        until = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return 0
    return min(max(round((until.astimezone(timezone.utc) - now).total_seconds() * 1000), 0), most)
