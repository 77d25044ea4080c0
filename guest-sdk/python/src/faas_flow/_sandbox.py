"""What Python does not have in a component, made visible as exceptions and lines of the log instead of crashes."""

from __future__ import annotations

import io
import linecache
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from ._values import Level

Log = Callable[[Level, str], None]

# What the standard library imports only when it is used, and flows often use.
_LATE = [
    "_strptime",
    "encodings.ascii",
    "encodings.cp1252",
    "encodings.latin_1",
    "encodings.utf_16",
    "encodings.utf_8_sig",
]


def prepare() -> None:
    """Imports, while the module is built, what is needed later."""
    for name in _LATE:
        __import__(name)
    # So that everything is loaded that the text of an exception needs.
    for code in ["undefined", "''.uper", "import sus"]:
        try:
            exec(code, {})
        except Exception as error:
            traceback.format_exception(error)


def enter(log: Log) -> None:
    """Replaces what would crash, at the first call in an instance."""
    sys.stdin = None
    sys.stdout = _Lines(log, Level.INFO)
    sys.stderr = _Lines(log, Level.WARN)
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not PathFinder]
    sys.meta_path.append(_TooLate())
    # The source files, from which tracebacks take their lines, are not there any more. Lines that are known lead to the parser,
    # which opens files when it finds a mistake.
    linecache.clearcache()
    linecache.checkcache = lambda filename=None: None
    linecache.updatecache = lambda filename, module_globals=None: []


def flush() -> None:
    """Logs what was printed without a line break."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, _Lines):
            stream.end_line()


class _Lines(io.TextIOBase):
    """Standard output or error: each line is one of the log."""

    def __init__(self, log: Log, level: Level) -> None:
        self._log = log
        self._level = level
        self._begun = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._write_line(line)
        return len(text)

    def end_line(self) -> None:
        if self._begun:
            line, self._begun = self._begun, ""
            self._write_line(line)

    def _write_line(self, line: str) -> None:
        self._log(self._level, line.encode("utf-8", "backslashreplace").decode())


class _TooLate:
    """Finds no module: those that were not imported while the module was built are not there."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        raise ModuleNotFoundError(
            f"`{name}` is imported too late: import it at the top of a file, because a module contains only what was "
            "imported when it was built",
            name=name,
        )
