"""The operations of nodes: the flow's own code, calls, sleeps and waits for signals."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from .._failure import FailureKind
from .._handlers import Handlers
from .._http import Request, Response
from .._record import Json
from ._attempt import Attempts, Failing, Value
from ._call import Answer, Call, encoded, retry_after, subject
from ._fake import _MEDIA_TYPE, _SIGNAL, OCTET_STREAM, Fake

_CALL_TIMEOUT = 60_000
"""The time limit of a try without one of its own, in milliseconds."""
_ANSWER_TIMEOUT = 24 * 3600 * 1000
"""That of an asynchronous call."""
_LONGEST_WAIT = 5_000
"""How long a node may be held while it waits between two tries."""
_LONGEST_SLEEP = 366 * 24 * 3600 * 1000
_FOREVER = 2**63
_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


@dataclass
class Signal:
    """A signal that somebody sends to the run."""

    at: int
    name: str
    body: bytes


@dataclass
class World:
    """What a run finds."""

    now: datetime
    """The moment at which it begins."""
    signals: list[Signal]
    answer: Callable[[Call], Answer]
    """What answers a call."""


@dataclass(frozen=True)
class _CallOf:
    """A call among the operations of a node."""

    path: str
    index: int
    call: Json
    is_url: bool


class Operations(Attempts):
    """Executes the operations of nodes."""

    def __init__(self, handlers: Handlers, fake: Fake, home: str, deadline: int | None, world: World) -> None:
        super().__init__(handlers, fake, home, deadline)
        self._world = world
        self._taken: dict[tuple[str, int], bytes] = {}
        """The signals that nodes have taken. They keep them in further attempts."""
        self.calls: list[Call] = []
        self.ran: list[str] = []
        """The paths of the nodes that have begun."""

    def operations(self, path: str, node: Json, gather: Callable[[], Value]) -> Value:
        """Attempts a node as often as its retry policy allows."""
        retry, attempts = node.get("retry"), 1

        def run() -> Value:
            value = gather()
            self._limit(node, value)
            for index, operation in enumerate(node["list"]):
                self._own.input = value.data
                value = self._operation(path, index, operation, value)
            return value

        while True:
            try:
                return self.attempt(path, run, node.get("timeout-ms"))
            except Failing as failing:
                if failing.level == "run":
                    raise
                failing.level = "node"
                wait = failing.wait(retry, attempts)
                if wait is None:
                    raise failing.last(retry, "node", attempts) from None
            self._own.until = None
            self._pass(wait)
            attempts += 1

    def _limit(self, of: Json, value: Value) -> None:
        """Asks for the key of a limit, which holds nothing up here."""
        id = of.get("limit", {}).get("key")
        if id is None:
            return
        try:
            self.plain(value, lambda handlers: handlers.key(id, value.data), id)
        except Failing as failing:
            failing.level = "node"
            raise

    def _operation(self, path: str, index: int, operation: Json, value: Value) -> Value:
        match operation:
            case {"modify": id}:
                return self.data(value, lambda handlers: handlers.modify(id, value.data), id)
            case {"sleep": ms}:
                return self._sleep(ms, value)
            case {"sleep-until": id}:
                return self._sleep_until(path, id, value)
            case {"wait-for": wait}:
                return self._wait_for(path, index, wait, value)
            case {"apply": call}:
                return self._call(_CallOf(path, index, call, False), value)
            case _:
                return self._call(_CallOf(path, index, operation["request"], True), value)

    def _sleep(self, ms: int, value: Value) -> Value:
        if ms > 0:
            self._suspend(ms)
        return value

    def _sleep_until(self, path: str, id: str, value: Value) -> Value:
        wake = self.plain(value, lambda handlers: handlers.moment(id, value.data), id)
        if wake.moment is None:
            ms = wake.after_ms or 0
        else:
            moment = moment_of(wake.moment)
            if moment is None:
                form = "is not a moment as RFC 3339 writes it, such as `2026-12-24T18:00:00+01:00`"
                raise Failing("FF0232", FailureKind.OTHER, path, f"`{wake.moment}` {form}", input=value.data)
            ms = -((self._moment() - moment) // timedelta(milliseconds=1))
        if ms > _LONGEST_SLEEP:
            most = shown(_LONGEST_SLEEP)
            message = f"the node would sleep for {shown(ms)}, but at most {most} (366 days) are possible"
            raise Failing("FF0232", FailureKind.OTHER, path, message, input=value.data)
        return self._sleep(ms, value)

    def _moment(self) -> datetime:
        return self._world.now + timedelta(milliseconds=self.now)

    def _wait_for(self, path: str, index: int, wait: Json, value: Value) -> Value:
        name = self._signal_of(path, wait["signal"], value)
        if (path, index) in self._taken:
            return Value(self._taken[path, index])
        limit: int | None = wait.get("timeout-ms")
        sent = next((sent for sent in self._world.signals if sent.name == name), None)
        if sent is not None and (limit is None or sent.at <= self.now + limit):
            self._world.signals.remove(sent)
            self._suspend(max(sent.at - self.now, 0))
            self._taken[path, index] = sent.body
            return Value(sent.body)
        if limit is None and self._deadline is None:
            advice = f"add .signal({name!r}, …) to the run"
            raise LookupError(f"node `{path}` waits for the signal `{name}`, without a timeout, and none comes: {advice}")
        self._suspend(_FOREVER if limit is None else limit)
        advice = "send it earlier, or give the wait a longer timeout"
        message = f"no signal `{name}` came in {shown(limit or 0)}: {advice}"
        failing = Failing("FF0270", FailureKind.TIMED_OUT, path, message, input=value.data)
        if "recover-from" not in wait:
            raise failing
        return self._recovering(value, lambda: self.recover_from(wait["recover-from"], failing))

    def _signal_of(self, path: str, signal: Json, value: Value) -> str:
        if "named" in signal:
            return str(signal["named"])
        id = signal["handler"]
        name = self.plain(value, lambda handlers: handlers.signal_name(id, value.data), id)
        if _SIGNAL.fullmatch(name):
            return name
        message = f"signal name `{name}` is malformed: 1 to 64 characters out of A-Z a-z 0-9 _ . -"
        raise Failing("FF0275", FailureKind.OTHER, path, message, input=value.data)

    def _call(self, of: _CallOf, value: Value) -> Value:
        """Makes a call, with the tries that its policy allows."""
        retry, tries = of.call.get("retry"), 1
        while True:
            try:
                return self._try(of, tries, value)
            except Failing as error:
                failing = error
                if failing.level != "operation":
                    raise
            failing.change(input=value.data)
            wait = failing.wait(retry, tries)
            if wait is None:
                break
            if wait > _LONGEST_WAIT:
                self._suspend(wait)
            else:
                self._pass(wait)
            tries += 1
        failing.last(retry, "call", tries)
        self._own.has_called = True
        if "recover" in of.call:
            id, text = of.call["recover"], failing.text_without_path
            return self._recovering(value, lambda: self.data(Value(), lambda handlers: handlers.recover(id, text), id))
        if "recover-from" in of.call:
            return self._recovering(value, lambda: self.recover_from(of.call["recover-from"], failing))
        raise failing

    def _recovering(self, value: Value, recover: Callable[[], Value]) -> Value:
        """Recovers from the failure of an operation. If that fails, it is the operation that has failed, with the data that it
        had got."""
        try:
            return recover()
        except Failing as failing:
            raise failing.change(input=value.data) from None

    def _try(self, of: _CallOf, tries: int, value: Value) -> Value:
        """One try of a call."""
        call, path, target = of.call, of.path, of.call["target"]
        self._limit(call, value)
        request = self._request(of, value)
        if "prepare" in call:
            unprepared = request
            seen = Value(request.body, _media_type(request))
            request = self.plain(seen, lambda handlers: handlers.prepare(call["prepare"], unprepared), call["prepare"])
        name, at = subject(target, request.url, of.is_url), timedelta(milliseconds=self.now)
        made = Call(request.method, request.url, request.headers, request.body, name, path, tries, at)
        self.calls.append(made)
        if call.get("asynchronous"):
            self._commit()
        try:
            response = self._answered(of, made)
        finally:
            self._own.has_called = True
        answer = Value(response.body, _media_type(response))
        if "receive" in call:
            return self.data(answer, lambda handlers: handlers.receive(call["receive"], response), call["receive"])
        if response.status == 202 and not of.is_url:
            advice = "have it answer when it is done, and call it with `.asynchronous()` if that takes long"
            message = f"`{target}` answered with status 202, so its result is not in the answer: {advice}"
            raise Failing("FF0250", FailureKind.ANSWERED, path, message)
        if 200 <= response.status < 300:
            return answer
        quote = response.body.decode(errors="replace").strip()[:500]
        message = f"`{target}` answered with status {response.status}" + (f": {quote}" if quote else "")
        failing = Failing("FF0207", FailureKind.ANSWERED, path, message)
        failing.change(status=response.status, body=response.body)
        failing.retry = response.status in (call.get("retry-on") or [408, 429, *range(500, 600)])
        if failing.retry:
            failing.retry_after = retry_after(response, self._moment())
        raise failing

    def _answered(self, of: _CallOf, made: Call) -> Response:
        """The response of a function, once its time has passed."""
        call, target = of.call, of.call["target"]
        is_asynchronous = call.get("asynchronous", False)
        limit: int = call.get("timeout-ms") or (_ANSWER_TIMEOUT if is_asynchronous else _CALL_TIMEOUT)
        pass_ = self._suspend if is_asynchronous else self._pass
        try:
            answer = self._world.answer(made)
        except TimeoutError:
            answer = Answer(delay=timedelta(milliseconds=limit + 1))
        except ConnectionError as error:
            answer = Answer(error=str(error))
        delay = answer.delay if isinstance(answer.delay, timedelta) else timedelta(seconds=answer.delay)
        ms = delay // timedelta(milliseconds=1)
        pass_(min(ms, limit))
        if ms > limit and is_asynchronous:
            message = f"`{target}` did not answer within {shown(limit)}"
            raise Failing("FF0253", FailureKind.TIMED_OUT, of.path, message, retry=True)
        if ms > limit:
            message = f"`{target}` did not answer within {limit} ms"
            raise Failing("FF0206", FailureKind.TIMED_OUT, of.path, message, retry=True)
        if answer.error is not None:
            message = f"no answer from {target}: {answer.error}"
            raise Failing("FF0208", FailureKind.UNREACHABLE, of.path, message, retry=True)
        headers = [(name.lower(), value) for name, value in answer.headers]
        body = answer.body if isinstance(answer.body, bytes) else answer.body.encode()
        return Response(answer.status, headers, body)

    def _request(self, of: _CallOf, value: Value) -> Request:
        """What a call sends before the flow's code changes it."""
        call = of.call
        url: str = call["target"] if of.is_url else f"http://function/{call['target']}"
        query = call.get("query", [])
        if query:
            url = url.split("#")[0]
        for name, text in query:
            url += f"{'&' if '?' in url else '?'}{encoded(name)}={encoded(text)}"
        headers = [(name, text) for name, text in call.get("headers", [])]
        is_set = any(name.lower() == "content-type" for name, _ in headers)
        if not is_set and (value.data or value.media_type != OCTET_STREAM):
            headers.append(("Content-Type", value.media_type))
        run = self._fake._request_id
        headers.append(("X-Faas-Flow-Idempotency-Key", f"{run}/{of.path}/{of.index}"))
        headers.append(("X-Faas-Flow-Reqid", run))
        return Request(call.get("method", "POST"), url, headers, value.data)


def _media_type(message: Request | Response) -> str:
    """What a message says that its body is."""
    text = message.header("content-type")
    return text if text is not None and len(text) <= 255 and _MEDIA_TYPE.fullmatch(text) else OCTET_STREAM


def moment_of(text: str) -> datetime | None:
    """Reads a moment in the form of RFC 3339."""
    match = _RFC_3339.fullmatch(text)
    if match is None:
        return None
    date, clock, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError:
        return None
    return moment.astimezone(timezone.utc) + timedelta(seconds=float(fraction or 0))


def shown(ms: int) -> str:
    """A duration as the host shows it: `1.5 s`, `2 min 3 s`, `48 h`."""
    seconds = ms // 1000
    if seconds == 0:
        return f"{ms} ms"
    if seconds < 60:
        return f"{ms / 1000:g} s"
    large, unit, small, smaller = (seconds // 60, "min", seconds % 60, "s")
    if seconds >= 3600:
        large, unit, small, smaller = (seconds // 3600, "h", seconds % 3600 // 60, "min")
    return f"{large} {unit}" + (f" {small} {smaller}" if small else "")
