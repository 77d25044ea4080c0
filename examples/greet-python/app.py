"""Greets by name. The smallest possible flow: one node with one modifier."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.builder import Workflow
from wit_world.imports.types import Failure_Reject


class Definition(exports.Definition):
    def define(self, flow: Workflow) -> None:
        flow.handlers(["greet/0"])
        flow.dag().node("greet").modify("greet/0")


class Handlers:
    """Only the kinds of handlers that this flow has. `exports.Handlers` lists all kinds."""

    def modify(self, handler: str, data: bytes) -> bytes:
        if handler != "greet/0":
            raise reject(f"the flow has no handler `{handler}`")
        try:
            return greet(data.decode()).encode()
        except UnicodeDecodeError:
            raise reject("the data is not valid UTF-8")


def greet(name: str) -> str:
    if not name.strip():
        raise reject("there is no name to greet: send one as the body")
    return f"Hello, {name.strip()}!"


def reject(message: str) -> Err:
    """A failure that the host does not retry. For one that it retries, use `Failure_Retry`."""
    return Err(Failure_Reject(message))
