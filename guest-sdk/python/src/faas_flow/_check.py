"""Checks of what authors pass to the SDK: the message names the argument, and the failure has the author's line."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

T = TypeVar("T")

Time = float | timedelta
"""A length of time: seconds, or a `datetime.timedelta`."""

_MILLISECOND = timedelta(milliseconds=1)
# What marks the code of a coroutine and of an asynchronous generator.
_ASYNC = 0x0080 | 0x0200


def text(value: object, what: str) -> str:
    """The value, if it is a text that has a form in UTF-8."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is {_kind(value)}, and must be str")
    value.encode()
    return value


def whole(value: object, what: str, least: int, most: int) -> int:
    """The value, if it is a whole number in this range."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} is {_kind(value)}, and must be int")
    if not least <= value <= most:
        raise ValueError(f"{what} is {value}, and must be from {least:,} to {most:,}")
    return value


def number(value: object, what: str) -> float:
    """The value, if it is a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what} is {_kind(value)}, and must be a number")
    return float(value)


def millis(time: object, what: str, most: int = 2**64 - 1) -> int:
    """A length of time in whole milliseconds."""
    length = time if isinstance(time, timedelta) else timedelta(seconds=number(time, what))
    milliseconds = length // _MILLISECOND
    if not 0 <= milliseconds <= most:
        raise ValueError(f"{what} is {length.total_seconds():g} s, and must be from 0 to {most // 1000:,} s")
    return milliseconds


def data(value: object, what: str) -> bytes:
    """The value as bytes, if it is text or bytes."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"{what} is {_kind(value)}, and must be bytes or str")


def instance(value: object, kind: type[T], what: str) -> T:
    """The value, if it is of this type."""
    if not isinstance(value, kind):
        raise TypeError(f"{what} is {_kind(value)}, and must be {kind.__qualname__}")
    return value


def function(value: Any, what: str) -> Any:
    """The value, if it is a function that is not async."""
    if not callable(value):
        raise TypeError(f"{what} is {_kind(value)}, and must be a function")
    code = getattr(value, "__code__", None)
    if code is not None and code.co_flags & _ASYNC:
        raise TypeError(f"{place(value)} is async: a flow has no event loop, so write `def` without `async`")
    return value


def finished(result: T, function: Any) -> T:
    """What a function returned, if it did not only begin."""
    if hasattr(result, "__await__"):
        # Otherwise Python would write a warning that nothing has awaited it.
        getattr(result, "close", lambda: None)()
        raise TypeError(f"{place(function)} is async: a flow has no event loop, so write `def` without `async`")
    return result


def place(function: Any) -> str:
    """A function's name, with its file and line if it has them."""
    function = getattr(function, "__wrapped__", function)
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    name = name.rpartition("<locals>.")[2]
    code = getattr(function, "__code__", None)
    return f"`{name}`" if code is None else f"`{name}` ({_file(code.co_filename)}, line {code.co_firstlineno})"


def _file(path: str) -> str:
    return path.rpartition("/")[2]


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__qualname__
