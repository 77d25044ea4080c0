"""The text of an exception that left a flow's function: Python's own message, and where in the author's code it was raised."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any

from ._check import place
from ._failure import Failure

_SDK = os.path.dirname(__file__)
# More causes than this are left out, so that a message stays readable.
_CAUSES = 3


def home_of(define: Callable[..., Any]) -> str:
    """The folder of the author's code, which is that of the file with `define`."""
    code = getattr(define, "__code__", None)
    return os.path.dirname(code.co_filename) if code is not None else ""


def explain(error: BaseException, home: str, function: Callable[..., Any] | None = None) -> str:
    """The message of the exception and of its causes, each with the file and line, for people."""
    parts: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(parts) <= _CAUSES:
        parts.append(_one(seen, home, function if seen is error else None))
        seen = seen.__cause__
    # A text may have halves of characters, which have no form in UTF-8.
    return "; caused by ".join(parts).encode("utf-8", "backslashreplace").decode()


def _one(error: BaseException, home: str, function: Callable[..., Any] | None) -> str:
    if isinstance(error, Failure):
        return str(error) or type(error).__name__
    message = _message(error)
    where = _where(error, home)
    if where is None and function is not None:
        # Python could not even call the function, or it returned what it must not.
        return f"{message}, in {place(function)}" if place(function) not in message else message
    return f"{message} ({where})" if where is not None else message


def _message(error: BaseException) -> str:
    """What Python prints last of an uncaught exception, with its suggestions for misspelt names."""
    lines = traceback.TracebackException(type(error), error, error.__traceback__, compact=True).format_exception_only()
    return " ".join(line.strip() for part in lines for line in part.splitlines())


def _where(error: BaseException, home: str) -> str | None:
    """The innermost place of the author's code in the traceback."""
    found = None
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        file = code.co_filename
        if file.startswith(home + os.sep) and not file.startswith(_SDK):
            found = f"{os.path.relpath(file, home)}, line {step.tb_lineno}, in {code.co_name}"
        step = step.tb_next
    return found
