"""What several cases use."""

from collections.abc import Callable, Iterable
from typing import Any

from faas_flow import Context, Dag, Failed, Inputs, Reject, Workflow

Case = Callable[[Dag, Workflow, Context], Any]


def add(text: str) -> Callable[[bytes], bytes]:
    """Adds a text to the data."""
    return lambda data: data + text.encode()


def join(inputs: Inputs) -> bytes:
    """`[a=1, b=2]`"""
    return b"[" + b", ".join(name.encode() + b"=" + data for name, data in inputs.items()) + b"]"


def words(data: bytes) -> list[tuple[str, str]]:
    """An item for each word, with the word as its key."""
    return [(word, word) for word in data.decode().split()]


def always(*keys: str) -> Callable[[bytes], Iterable[str]]:
    """Chooses the same branches whatever the data is."""
    return lambda _: keys


def itself(data: bytes) -> list[str]:
    """Chooses the branch that the data names."""
    return [data.decode()]


def refuse(data: bytes) -> bytes:
    """Rejects the data."""
    raise Reject(f"no {data.decode()}")


def picky(data: bytes) -> bytes:
    """Rejects data that begins with `bad`."""
    return refuse(data) if data.startswith(b"bad") else data


def shown(failed: Failed) -> str:
    """All that is known of a failure."""
    status = "none" if failed.status is None else failed.status
    body = "none" if failed.body is None else failed.body.decode()
    facts = f"tries {failed.tries}, status {status}, input {failed.input.decode()}, body {body}"
    return f"{failed.code} {failed.kind.value} at {failed.path}, {facts}: {failed.message}"
